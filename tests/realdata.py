"""Real and hostile cycler files, kept outside the project because their licences differ.

They are found in the folder that ``BATTERY_TEST_DATA`` names, or in ``shared/data`` beside the project:
a folder ``real`` and a folder ``hostile``, each with a ``manifest.json``. Tests that need them skip with a reason
where they are absent.
"""

from __future__ import annotations

import functools
import json
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("BATTERY_TEST_DATA", _BESIDE))


def _entries(folder: str) -> list[dict[str, Any]]:
    manifest = DATA / folder / "manifest.json"
    if not manifest.is_file():
        return []
    return list(json.loads(manifest.read_text(encoding="utf-8"))["files"])


def real_entries(*vendors: str) -> list[dict[str, Any]]:
    """Manifest entries of the real files, all or those of some vendors; empty where the files are absent."""
    return [entry for entry in _entries("real") if not vendors or entry["vendor"] in vendors]


def hostile_entries() -> list[dict[str, Any]]:
    """Manifest entries of the hostile files; empty where the files are absent."""
    return _entries("hostile")


def real(path: str) -> Path:
    """Path of a real file; skips the calling test where it is absent."""
    found = DATA / "real" / path
    if not found.exists():
        pytest.skip(f"no real cycler files at {DATA} (set BATTERY_TEST_DATA)")
    return found


def hostile(path: str) -> Path:
    """Path of a hostile file, unpacked into a temporary folder; skips the calling test where it is absent."""
    if not (DATA / "hostile" / "files.tar.gz").is_file():
        pytest.skip(f"no hostile files at {DATA} (set BATTERY_TEST_DATA)")
    return _unpacked() / path


@functools.cache
def _unpacked() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="hostile-")
    _KEPT.append(folder)
    with tarfile.open(DATA / "hostile" / "files.tar.gz") as tar:
        tar.extractall(folder.name, filter="fully_trusted")  # it holds links on purpose
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
