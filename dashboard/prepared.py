"""Files that the server prepares on request, fetched as streams: callbacks make them, a route hands them out.

``offer`` runs in a callback, so that an error stands where the reader asked, and returns the address to fetch from.
"""

from __future__ import annotations

import atexit
import secrets
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from starlette.responses import FileResponse, PlainTextResponse, Response

from battery_analysis.errors import BatteryAnalysisError

KEPT_SECONDS = 3600
"""How long a file can be fetched."""

MOST_KEPT = 20
"""How many are kept at once; the oldest goes first."""


@dataclass
class _Offered:
    folder: Path
    file: Path
    made_at: float


_lock = threading.Lock()
_offered: dict[str, _Offered] = {}


def offer(write: Callable[[Path], Sequence[Path]], name: str) -> str:
    """Let a function write files into a folder of their own, and return the address under which they can be fetched.

    Args:
        write: Writes into the folder it is given and returns what it wrote; several files become one zip.
        name: Of the zip, without its suffix.

    Raises:
        BatteryAnalysisError: Whatever ``write`` raises, or the disk is full.
    """
    folder = Path(tempfile.mkdtemp(prefix="battery-download-"))
    try:
        files = write(folder)
        file = files[0] if len(files) == 1 else _zipped(folder / f"{name}.zip", files)
    except OSError as exc:
        shutil.rmtree(folder, ignore_errors=True)
        raise BatteryAnalysisError(f"{name}: cannot be prepared: {exc.strerror or exc}") from exc
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    token = secrets.token_urlsafe(24)
    with _lock:
        _offered[token] = _Offered(folder, file, time.monotonic())
        _forget_old()
    return f"/prepared/{token}"


def receiver(id: str) -> Component:
    """Return what fetches a file: a callback that puts the address of ``offer`` into ``Output(id, "data")``."""
    return html.Div([dcc.Store(id=id), dcc.Store(id={"type": "fetched", "download": id})])


def register_callbacks(app: Dash) -> None:
    """Wire the route."""
    app.server.add_api_route("/prepared/{token}", _fetch, include_in_schema=False)


def register_receiver(app: Dash, id: str) -> None:
    """Let the browser fetch what ``receiver(id)`` is told."""
    app.clientside_callback(
        ClientsideFunction("files", "fetch"),
        Output({"type": "fetched", "download": id}, "data"),
        Input(id, "data"),
        prevent_initial_call=True,
    )


def _fetch(token: str) -> Response:
    with _lock:
        found = _offered.get(token)
    if found is None or not found.file.exists():
        return PlainTextResponse("This file is no longer kept; please ask for it again.", 404)
    return FileResponse(found.file, filename=found.file.name)


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
    for each in _offered.values():
        shutil.rmtree(each.folder, ignore_errors=True)
