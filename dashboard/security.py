"""What every request must satisfy before accounts exist, and what every answer says to the browser.

A page of another site may not drive the dashboard: its requests are told by ``Sec-Fetch-Site`` and ``Origin``, which
browsers set and scripts cannot; a name that was made to point here (DNS rebinding) is told by ``Host``. Programs that
send neither header, such as the Python client, are no browsers and are let through.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLBACK_BYTES = 8 * 2**20
"""The largest body of a callback; files arrive at routes of their own, as streams."""

_CALLBACKS = "/_dash-"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def headers(script_hashes: Sequence[str]) -> Mapping[str, str]:
    """Return the headers of every answer.

    Args:
        script_hashes: Of the inline scripts that Dash itself writes; no other may run.
    """
    policy = {
        "default-src": "'self'",
        "script-src": " ".join(("'self'", *script_hashes)),
        "style-src": "'self' 'unsafe-inline'",  # plotly and AG Grid put style elements into the page
        "img-src": "'self' data: blob:",  # exported figures
        "font-src": "'self' data:",  # AG Grid's icons
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


class Guard:
    """ASGI middleware that refuses what does not come from the dashboard's own pages."""

    def __init__(self, app: ASGIApp, *, host: str, answer_headers: Mapping[str, str]) -> None:
        self._app = app
        self._names = own_names(host)
        self._is_loopback = is_loopback(host)
        self._answer_headers = answer_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with the reason why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no websockets here"})
            return
        if scope["type"] != "http":  # the server's own start and end
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        refusal = self._refusal(scope, asked)
        if refusal is not None:
            status, reason = refusal
            await PlainTextResponse(reason, status)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._answer_headers)
            await send(message)

        if scope["path"].startswith(_CALLBACKS):
            receive = _limited(receive, CALLBACK_BYTES)
        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, asked: Headers) -> tuple[int, str] | None:
        host = asked.get("host", "")
        if not self._is_own(host):
            return 400, f"this server is not called {host[:200]!r}"
        if scope["method"] in _SAFE_METHODS:
            return None
        origin = asked.get("origin")
        foreign = asked.get("sec-fetch-site", "same-origin") != "same-origin"
        if foreign or (origin is not None and urlsplit(origin).netloc != host):
            return 403, "only the dashboard's own pages may ask this"
        length = asked.get("content-length", "0")
        if scope["path"].startswith(_CALLBACKS) and (not length.isdecimal() or int(length) > CALLBACK_BYTES):
            return 413, f"a request may hold {CALLBACK_BYTES} bytes, this one has {length[:20]}"
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or (not self._is_loopback and _is_address(name))


def is_loopback(host: str) -> bool:
    """Say whether a server on this address is reached from its own computer only."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def own_names(host: str) -> frozenset[str]:
    """Return the names under which a server on this address is asked for; it may look them up on the network."""
    if is_loopback(host):
        return frozenset({"localhost", "127.0.0.1", "::1", host})
    name = socket.gethostname().lower()
    return frozenset({"localhost", host.lower(), name, f"{name}.local", socket.getfqdn().lower()})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _limited(receive: Receive, most: int) -> Receive:
    """Cut off a body that is sent in pieces of no announced length."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return message if seen <= most else {"type": "http.disconnect"}

    return counted
