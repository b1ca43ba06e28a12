"""Photographs and documents of samples and tests, as streams to and from the browser."""

from __future__ import annotations

import itertools
import logging
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

from dash import Dash
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from battery_analysis.errors import BatteryAnalysisError, NotFoundError, one_line
from dashboard.data import attached

MOST_BYTES = 256 * 2**20
"""The largest photograph or document."""

_PDF = b"%PDF-"

logger = logging.getLogger(__name__)


def register_callbacks(app: Dash) -> None:
    """Wire the two routes."""
    app.server.add_api_route("/attachments", receive, methods=["POST"], include_in_schema=False)
    app.server.add_api_route("/attachments/{attachment_id}", show, include_in_schema=False)


async def receive(request: Request, name: str, sample: str = "", test: str = "", author: str = "") -> Response:
    """Attach the bytes of a request to a sample or a test."""
    kind: attached.Kind = "test" if test else "sample"
    filename = re.split(r"[/\\]", name)[-1].strip() or "file"
    with tempfile.NamedTemporaryFile(prefix="battery-attachment-") as file:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MOST_BYTES:
                return PlainTextResponse(f"{filename}: larger than {MOST_BYTES // 2**20} MiB", 413)
            await run_in_threadpool(file.write, chunk)
        file.flush()
        try:
            await run_in_threadpool(attached.add, kind, test or sample, Path(file.name), filename, author.strip())
        except BatteryAnalysisError as exc:
            return PlainTextResponse(one_line(str(exc)), 404 if isinstance(exc, NotFoundError) else 400)
    return PlainTextResponse("attached")


def show(attachment_id: str) -> Response:
    """Return an attachment; only images and PDFs are shown, everything else is saved, so that no script of it runs."""
    try:
        found, chunks = attached.opened(attachment_id)
        head = next(chunks, b"")
    except BatteryAnalysisError as exc:
        return PlainTextResponse(one_line(str(exc)), 404)
    kind = "application/pdf" if head.startswith(_PDF) else attached.image_type_of(head)
    placed = "inline" if kind else "attachment"
    headers = {
        "Content-Disposition": f"{placed}; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Length": str(found.size),
        "Content-Encoding": "identity",  # or it would be compressed on its way, and lose its length
        "Cache-Control": "private, max-age=86400",
    }
    body = itertools.chain([head], chunks)
    return StreamingResponse(body, media_type=kind or "application/octet-stream", headers=headers)
