"""Folders of the server, as far as the setting ``import_roots`` opens them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from battery_analysis.errors import IngestError
from battery_analysis.ingest.discover import stored_text
from battery_analysis.ingest.source_archive import is_called_archive
from dashboard.data import incoming, processes, settings
from dashboard.data.requests import Asked

SHOWN = 300


@dataclass(frozen=True)
class Listing:
    """What lies in a folder."""

    path: Path
    root: Path
    """The one of ``import_roots`` that it lies below."""
    folders: list[str]
    archives: list[str]
    """Names of archives with files in them, each of which can be imported by itself."""
    files: int
    """Others."""
    is_cut: bool
    """Whether there are more folders and archives than ``SHOWN``."""


def roots() -> list[Path]:
    """Return the folders that may be imported from."""
    return list(settings().import_roots)


def checked(text: str) -> Path:
    """Return a folder or archive below one of ``import_roots``, links and ``..`` resolved.

    Raises:
        IngestError: It is not there, or lies elsewhere.
    """
    return _checked(text)[0]


def _checked(text: str) -> tuple[Path, Path]:
    try:
        path = Path(text).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links; the same answer as for others' files
        path = None
    for root in roots():
        if path is not None and path.is_relative_to(root.resolve()):
            return path, root
    raise IngestError(f"{text[:300]}: not there, or not below a folder that the setting import_roots names")


def listing(text: str) -> Listing:
    """Return what lies in a folder.

    Raises:
        IngestError: It is not below one of ``import_roots``, or cannot be read.
    """
    path, root = _checked(text)
    folders, archives, files = [], [], 0
    if path.is_dir():
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_symlink() or entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        folders.append(stored_text(entry.name))
                    elif is_called_archive(entry.name):
                        archives.append(stored_text(entry.name))
                    else:
                        files += 1
        except OSError as exc:
            raise IngestError(f"{path}: {exc.strerror}") from exc
    is_cut = len(folders) + len(archives) > SHOWN
    return Listing(path, root, sorted(folders)[:SHOWN], sorted(archives)[:SHOWN], files, is_cut)


def begin(text: str, how: Asked) -> processes.Started:
    """Import a folder or archive.

    Raises:
        IngestError: It is not below one of ``import_roots``, or the import cannot be started.
    """
    path = checked(text)
    how.request(str(path)).options(settings())  # what is wrong with what was asked shows here
    return processes.start("import", ["import", *how.words(), "--", str(path)], about=str(path), then=incoming.tidy)
