"""Answers are compressed: those of callbacks quickly, since somebody waits; what browsers keep, well."""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

CALLBACK = "/_dash-update-component"
LEAST_BYTES = 1000
QUICKLY, WELL = 1, 5
"""Levels. Of a figure, the second takes a millisecond more, a tenth of all it takes, for a thirtieth less."""


class Compressed:
    """ASGI middleware that compresses for browsers that say they can read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._quickly = GZipMiddleware(app, minimum_size=LEAST_BYTES, compresslevel=QUICKLY)
        self._well = GZipMiddleware(app, minimum_size=LEAST_BYTES, compresslevel=WELL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_quick = scope["type"] == "http" and scope["path"] == CALLBACK
        await (self._quickly if is_quick else self._well)(scope, receive, send)
