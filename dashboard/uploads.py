"""The routes by which files arrive, in pieces: a connection that breaks loses the piece in hand, no more.

The browser announces all files, then sends each from the byte on that is missing; announcing the same files again
goes on where it stopped. ``assets/upload.js`` is the other side.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from battery_analysis.errors import BatteryAnalysisError, ConflictError, NotFoundError
from dashboard.data import incoming

LIST_BYTES = 1 << 20
"""The most that may be said of the files to come."""
DRAINED_BYTES = 32 << 20
"""So much of what is refused is still taken from the wire, or the browser would not hear why."""

_WRITTEN_AT_ONCE = 1 << 20


def register_routes(server: FastAPI) -> None:
    """Add the routes."""
    more: dict[str, Any] = {"include_in_schema": False, "response_model": None}
    server.add_api_route("/uploads", announce, methods=["POST"], **more)
    server.add_api_route("/uploads/{batch}/{number}", append, methods=["PATCH"], **more)
    server.add_api_route("/uploads/{batch}", discard, methods=["DELETE"], **more)


async def announce(request: Request) -> Response:
    """Open a batch, or find the one that these files belong to, and say how much of each is here."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIST_BYTES:
            return PlainTextResponse(f"the list of files may hold {LIST_BYTES} bytes", 413)
    try:
        listed = json.loads(body)["files"]
        announced = [(str(each["path"]), int(each["size"]), int(each.get("modified") or 0)) for each in listed]
    except (ValueError, TypeError, KeyError, AttributeError, UnicodeDecodeError):
        return PlainTextResponse('{"files": [{"path": …, "size": …}]} wanted', 400)
    try:
        return JSONResponse(await run_in_threadpool(incoming.begin, announced))
    except BatteryAnalysisError as exc:
        return PlainTextResponse(str(exc), 400)


async def append(request: Request, batch: str, number: int, offset: int = 0) -> Response:
    """Write a piece to the end of a file; answer how much of it is here, 409 where that is not ``offset``."""
    try:
        with incoming.spool().writing(batch, number, offset) as piece:
            waiting = bytearray()
            with suppress(ClientDisconnect):  # what came stays; the browser asks where to go on
                async for chunk in request.stream():
                    waiting += chunk
                    if len(waiting) >= _WRITTEN_AT_ONCE:
                        await run_in_threadpool(piece.write, bytes(waiting))
                        waiting.clear()
            await run_in_threadpool(piece.write, bytes(waiting))
            return JSONResponse({"received": piece.received})
    except NotFoundError as exc:
        refusal: Response = PlainTextResponse(str(exc), 404)
    except ConflictError:
        refusal = JSONResponse({"received": incoming.spool().batch(batch).received(number)}, 409)
    except BatteryAnalysisError as exc:
        refusal = PlainTextResponse(str(exc), 413)
    await _drain(request)
    return refusal


async def discard(batch: str) -> Response:
    """Remove a batch."""
    try:
        await run_in_threadpool(incoming.spool().discard, batch)
    except NotFoundError as exc:
        return PlainTextResponse(str(exc), 404)
    return Response(status_code=204)


async def _drain(request: Request) -> None:
    taken = 0
    with suppress(ClientDisconnect, RuntimeError):  # RuntimeError: all of it was taken already
        async for chunk in request.stream():
            taken += len(chunk)
            if taken > DRAINED_BYTES:
                return
