"""A mail server and a web server on this computer, to see what targets get."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mailbox:
    """What a mail server took."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mail = BytesParser(_class=EmailMessage, policy=default).parsebytes(envelope.content or b"")  # type: ignore[arg-type]
        self.mails.append(mail)  # type: ignore[arg-type]
        return "250 OK"


@contextmanager
def mail_server(password: str | None = None, **options: Any) -> Iterator[Mailbox]:
    """Run a mail server, with a password if there is one."""
    box = Mailbox()

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword) -> AuthResult:
        box.logins.append((login.login.decode(), login.password.decode()))
        return AuthResult(success=login.password.decode() == password)

    if password is not None:
        options |= {"authenticator": check, "auth_required": True}
    with socket.create_server(("127.0.0.1", 0)) as free:
        box.port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Hook:
    """What a web server was told. ``status`` is what it answers."""

    url: str = ""
    status: int = 200
    location: str | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def web_server() -> Iterator[Hook]:
    """Run a web server that takes JSON."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_address[1]}/services/hunter2"
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
