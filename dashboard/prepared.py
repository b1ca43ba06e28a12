"""Files that the server has prepared on request: a route hands each out, under an address that nobody can guess."""

from __future__ import annotations

import atexit
import secrets
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dash import Dash
from starlette.responses import FileResponse, PlainTextResponse, Response

KEPT_SECONDS = 3600
"""How long a file can be fetched."""

MOST_KEPT = 20
"""How many are kept at once; the oldest goes first."""

_PATH = "/prepared/{token}"


@dataclass
class _Offered:
    folder: Path
    file: Path
    made_at: float


_lock = threading.Lock()
_offered: dict[str, _Offered] = {}
_root: Path | None = None


def new_folder() -> Path:
    """Return an empty folder to write into, gone at the latest with the server."""
    global _root
    with _lock:
        _root = _root or Path(tempfile.mkdtemp(prefix="battery-prepared-"))
    return Path(tempfile.mkdtemp(dir=_root))


def offer(files: Sequence[Path], folder: Path, name: str) -> tuple[str, str]:
    """Keep files for whoever asked for them, and return name and address of what can be fetched.

    Args:
        files: What was written; several become one zip.
        folder: Holds them, made by ``new_folder``; it is removed with them.
        name: Of the zip, without its suffix.
    """
    from battery_analysis.files import safe_name

    file = files[0] if len(files) == 1 else _zipped(folder / f"{safe_name(name)}.zip", files)
    token = secrets.token_urlsafe(24)
    with _lock:
        _offered[token] = _Offered(folder, file, time.monotonic())
        _forget_old()
    return file.name, _PATH.format(token=token)


def register_callbacks(app: Dash) -> None:
    """Wire the route."""
    app.server.add_api_route(_PATH, _fetch, include_in_schema=False)


def _fetch(token: str) -> Response:
    with _lock:
        found = _offered.get(token)
    if found is None or not found.file.exists():
        return PlainTextResponse("This file is no longer kept; please ask for it again.", 404)
    length = {"Content-Encoding": "identity"}  # or it would be compressed on its way, and lose its length
    return FileResponse(found.file, media_type="application/octet-stream", filename=found.file.name, headers=length)


def _zipped(target: Path, files: Sequence[Path]) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
            file.unlink()
    return target


def _forget_old() -> None:
    """Remove what is too old or too much; callers hold the lock."""
    oldest_first = sorted(_offered, key=lambda token: _offered[token].made_at)
    limit = time.monotonic() - KEPT_SECONDS
    for place, token in enumerate(oldest_first):
        if _offered[token].made_at < limit or place < len(oldest_first) - MOST_KEPT:
            shutil.rmtree(_offered.pop(token).folder, ignore_errors=True)


@atexit.register
def _forget_all() -> None:
    if _root is not None:
        shutil.rmtree(_root, ignore_errors=True)
