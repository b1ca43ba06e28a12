"""Who is told of what: e-mail, Slack and webhook targets, each with the events it wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal
from urllib.parse import urlsplit

from battery_analysis.settings import kinds

Event = Literal["completed", "failed", "stalled", "retention"]
EVENTS: tuple[Event, ...] = ("completed", "failed", "stalled", "retention")

SUBMISSION_PORT = 587
SUBMISSION_OVER_TLS_PORT = 465
"""Where a server speaks TLS from the first byte."""


@dataclass(frozen=True)
class EmailTarget:
    """A mail server and whom it writes to. The password, or the variable that holds it, is in no ``repr``."""

    host: str
    to: tuple[str, ...]
    sender: str
    port: int = SUBMISSION_PORT
    starttls: bool = True
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_env: str | None = None
    events: tuple[Event, ...] = EVENTS


@dataclass(frozen=True)
class UrlTarget:
    """A Slack webhook, or any other that takes JSON. Its address is a secret: who knows it may write there."""

    kind: Literal["slack", "webhook"]
    url: str | None = field(default=None, repr=False)
    url_env: str | None = None
    events: tuple[Event, ...] = EVENTS


Target = EmailTarget | UrlTarget


@dataclass(frozen=True)
class Notify:
    """All targets, and when there is something to tell."""

    targets: tuple[Target, ...] = ()
    stalled_hours: float = 24.0
    """A test that was growing is stalled once it got no new records for so long."""
    retention: float = 0.8
    """A cell is worth a message once its capacity retention is below this fraction."""
    quiet_minutes: float = 30.0
    """A watcher sends one message in this time at most."""

    def wanting(self, event: Event) -> list[Target]:
        """Return the targets that want to hear of an event."""
        return [target for target in self.targets if event in target.events]


def check_url(value: Any) -> str:
    """Return an address that a message can be posted to.

    Raises:
        ValueError: It is none; the text does not show it.
    """
    text: str = kinds.TEXT.check(value)
    try:
        parts = urlsplit(text)
    except ValueError as exc:
        raise ValueError("must be an address that begins with https:// or http://") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("must be an address that begins with https:// or http://")
    return text


def _address(value: Any) -> str:
    text: str = kinds.TEXT.check(value)
    if "@" not in text or not text.isprintable() or "," in text:
        raise ValueError("must be an e-mail address")
    return text


_EVENTS = kinds.some_of(*EVENTS)
_EMAIL: Mapping[str, kinds.Kind] = {
    "host": kinds.HOST,
    "port": kinds.PORT,
    "starttls": kinds.TRUTH,
    "user": kinds.TEXT,
    "password": kinds.TEXT,
    "password_env": kinds.TEXT,
    "from": kinds.Kind(_address),
    "to": kinds.list_of(_address, or_one=True),
    "events": _EVENTS,
}
_URL: Mapping[str, kinds.Kind] = {"url": kinds.Kind(check_url), "url_env": kinds.TEXT, "events": _EVENTS}


def _email(value: Any) -> EmailTarget:
    entries = kinds.table(value, _EMAIL, required=("host", "from", "to"), secret=frozenset({"password"}))
    if "password" in entries and "password_env" in entries:
        raise kinds.TableError(": password and password_env exclude one another")
    if ("user" in entries) != bool(entries.keys() & {"password", "password_env"}):
        raise kinds.TableError(": user and password (or password_env) go together")
    if not entries["to"]:
        raise kinds.TableError(".to: nobody is named")
    return EmailTarget(sender=entries.pop("from"), **entries)


def _url_target(kind: Literal["slack", "webhook"]) -> kinds.Kind:
    def check(value: Any) -> UrlTarget:
        entries = kinds.table(value, _URL, secret=frozenset({"url"}))
        if ("url" in entries) == ("url_env" in entries):
            raise kinds.TableError(": one of url and url_env is wanted")
        return UrlTarget(kind, **entries)

    return kinds.tables_of(check, or_one=True)


_KEYS: Mapping[str, kinds.Kind] = {
    "email": kinds.tables_of(_email, or_one=True),
    "slack": _url_target("slack"),
    "webhook": _url_target("webhook"),
    "stalled_hours": kinds.number(0.0, inf, "a number of hours"),
    "retention": kinds.number(0.0, 1.0, "a fraction"),
    "quiet_minutes": kinds.number(0.0, inf, "a number of minutes"),
}


def _notify(value: Any) -> Notify:
    entries = kinds.table(value, _KEYS, secret=frozenset({"email", "slack", "webhook"}))
    targets = tuple(target for kind in ("email", "slack", "webhook") for target in entries.pop(kind, ()))
    return Notify(targets, **entries)


NOTIFY = kinds.Kind(_notify)
