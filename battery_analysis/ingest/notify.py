"""Send messages to e-mail, Slack and webhook targets; one that cannot be reached is a warning in the log, no error.

Passwords and addresses of webhooks are in no message and no log line.
"""

from __future__ import annotations

import json
import logging
import os
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from http.client import HTTPException
from typing import Any

from battery_analysis.errors import SettingsError, one_line
from battery_analysis.ingest.news import PRODUCT, Message, News, message_of
from battery_analysis.settings.notify import (
    SUBMISSION_OVER_TLS_PORT,
    EmailTarget,
    Notify,
    Target,
    check_url,
)

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
"""For each step of a conversation with a target."""


def send(notify: Notify, news: Sequence[News], environ: Mapping[str, str] | None = None) -> bool:
    """Send each target the news it wants, as one message; say whether any got it, or none wanted it."""
    variables = os.environ if environ is None else environ
    reached: list[bool] = []
    for target in notify.targets:
        if wanted := [each for each in news if each.event in target.events]:
            reached.append(_sent(target, message_of(wanted, socket.gethostname()), variables))
    return any(reached) or not reached


def _sent(target: Target, message: Message, environ: Mapping[str, str]) -> bool:
    secrets: list[str] = []
    try:
        if isinstance(target, EmailTarget):
            password = _secret(target.password, target.password_env, environ)
            secrets = [password] if password else []
            _mail(target, password, message)
        else:
            url = _secret(target.url, target.url_env, environ) or ""
            secrets = [url, url.partition("://")[2]]
            _post(check_url(url), _slack(message) if target.kind == "slack" else _plain(message))
    except (OSError, smtplib.SMTPException, HTTPException, ValueError, SettingsError) as exc:
        logger.warning("%s could not be told: %s", _named(target), _without(secrets, _reason(exc)))
        return False
    return True


def email_of(target: EmailTarget, message: Message) -> EmailMessage:
    """Return a message as a mail."""
    mail = EmailMessage()
    mail["Subject"] = one_line(message.subject)
    mail["From"] = target.sender
    mail["To"] = ", ".join(target.to)
    mail["Date"] = formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain=socket.gethostname())  # without it, names are looked up in the network
    mail.set_content(f"{message.text}\n\n-- \n{PRODUCT}\n")
    return mail


def _mail(target: EmailTarget, password: str | None, message: Message) -> None:
    here, mail = socket.gethostname(), email_of(target, message)
    if target.port == SUBMISSION_OVER_TLS_PORT:
        trusted = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            target.host, target.port, here, timeout=TIMEOUT_SECONDS, context=trusted
        )
    else:
        server = smtplib.SMTP(target.host, target.port, here, timeout=TIMEOUT_SECONDS)
    with server:
        if target.starttls and target.port != SUBMISSION_OVER_TLS_PORT:
            server.starttls(context=ssl.create_default_context())
        if target.user and password:
            server.login(target.user, password)
        if refused := server.send_message(mail):
            raise smtplib.SMTPRecipientsRefused(refused)


def _slack(message: Message) -> dict[str, Any]:
    text = f"*{message.subject}*\n{message.text}"
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}


def _plain(message: Message) -> dict[str, Any]:
    news = [{"event": each.event, "text": each.text, **each.facts} for each in message.news]
    said = {"subject": message.subject, "text": message.text, "news": news}
    return {"source": PRODUCT, "host": socket.gethostname(), **said}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message that is redirected arrives as an empty question somewhere else."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        return None


def _post(url: str, body: Mapping[str, Any]) -> None:
    data = json.dumps(body, default=str).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "User-Agent": PRODUCT})
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read(1024)


def _secret(value: str | None, variable: str | None, environ: Mapping[str, str]) -> str | None:
    if variable is None:
        return value
    if not environ.get(variable):
        raise SettingsError(f"variable {variable} is not set")
    return environ[variable]


def _named(target: Target) -> str:
    if isinstance(target, EmailTarget):
        return f"e-mail by {target.host}"
    return "Slack" if target.kind == "slack" else "webhook"


def _reason(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError():
            return f"it answered {error.code} {error.reason}"
        case urllib.error.URLError():
            return str(error.reason)
        case smtplib.SMTPRecipientsRefused():
            return f"it refuses {', '.join(error.recipients)}"
        case smtplib.SMTPResponseException():
            answer = error.smtp_error
            said = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
            return f"it answered {error.smtp_code} {said}"
        case _:
            return str(error) or type(error).__name__


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return one_line(text)
