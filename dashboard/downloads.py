"""Bytes that leave the dashboard as files: streamed, under their own name, never shown as a page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from urllib.parse import quote

from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from battery_analysis.errors import BatteryAnalysisError, NotFoundError
from dashboard.data import raw_files

RAW_PATH = "/raw-files/{raw_id}/download"


def raw_address(raw_id: object, sha256: str | None = None) -> str:
    """Return where the bytes of a raw file are, those of its newest version unless a digest is given."""
    address = RAW_PATH.format(raw_id=quote(str(raw_id), safe=""))
    return f"{address}?version={sha256}" if sha256 else address


def register_routes(server: FastAPI) -> None:
    """Add the routes."""
    server.add_api_route(RAW_PATH, raw_bytes, include_in_schema=False, response_model=None)


def raw_bytes(raw_id: str, version: str | None = None) -> Response:
    """Answer with the exact bytes of a raw file; the archive compares them with their digest while they go out.

    Should they differ at the end, the connection breaks before the announced length, and browsers say so.
    """
    try:
        raw, size, chunks = raw_files.opened(raw_id, version)
        first = next(chunks, b"")  # what is missing shows before the answer begins
    except NotFoundError as exc:
        return PlainTextResponse(str(exc), 404)
    except BatteryAnalysisError as exc:
        return PlainTextResponse(str(exc), 500)
    digest = version or raw.sha256
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(raw.filename, safe='')}",
        "Content-Length": str(size),
        "Content-Encoding": "identity",  # or it would be compressed on its way, and lose its length
        "ETag": f'"{digest}"',
        "X-Content-SHA256": digest,
    }
    return StreamingResponse(_all(first, chunks), media_type="application/octet-stream", headers=headers)


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    return itertools.chain((first,), rest)
