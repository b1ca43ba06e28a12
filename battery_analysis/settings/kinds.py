"""What the values of settings may be: how each is read from text and checked, and the sentence for when it is not so.

``Kind.from_text`` turns the text of a variable or an ``.ini`` file into what a ``.toml`` file would hold, or leaves it
as it is; ``Kind.check`` returns the value as ``Settings`` keeps it, or raises a ValueError that says what it must be.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote


@dataclass(frozen=True)
class Kind:
    """One kind of value."""

    check: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str


def _or_text(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def from_text(text: str) -> Any:
        try:
            return convert(text)
        except ValueError:
            return text  # the check says what it should have been

    return from_text


def split(text: str) -> list[str]:
    r"""Split a list written as text: at line breaks if there are any, else at commas.

    >>> split("*.csv, *.mpr"), split("\nCH\\d{1,2}\nMB\\d+")
    (['*.csv', '*.mpr'], ['CH\\d{1,2}', 'MB\\d+'])
    """
    parts = text.splitlines() if "\n" in text else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def anchored(value: Any, base: Path) -> Any:
    """Make relative paths count from ``base``; everything else stays."""
    if isinstance(value, Path):
        return Path(base, value.expanduser())
    if isinstance(value, tuple):
        return tuple(anchored(each, base) for each in value)
    return value


def whole(low: int, high: int | None = None) -> Kind:
    """A whole number within limits."""
    limits = f"of {low} or more" if high is None else f"from {low} to {high}"

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            raise ValueError(f"must be a whole number {limits}")
        return value

    return Kind(check, _or_text(int))


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value) or value < 0:
        raise ValueError("must be a number of seconds, 0 or more")
    return float(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be 1 or 0")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value


def _path(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    return Path(_text(value))


def _pattern(value: Any) -> str:
    try:
        re.compile(_text(value))
    except re.error as exc:
        raise ValueError(f"must be a regular expression: {exc}") from exc
    return str(value)


def _time_zone(value: Any) -> str:
    from zoneinfo import ZoneInfo

    name = _text(value)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:  # unknown, malformed, or the name of a folder of zones
        raise ValueError("must be an IANA time zone such as Europe/Berlin") from exc
    return name


def _host(value: Any) -> str:
    host = _text(value)
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError as exc:
            raise ValueError("must be a host name or address alone, without port or scheme") from exc
    elif re.search(r"[\s/@?]", host):
        raise ValueError("must be a host name or address alone")
    return host


def _list_of(check: Callable[[Any], Any]) -> Kind:
    def check_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError("must be a list")
        return tuple(check(each) for each in value)

    return Kind(check_all, split)


def choice(*names: str) -> Kind:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(value)

    return Kind(check)


def some_of(*names: str) -> Kind:
    """A list of some of these words, in the order wanted, each at most once."""
    each = _list_of(choice(*names).check)

    def check(value: Any) -> tuple[str, ...]:
        chosen: tuple[str, ...] = each.check(value)
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(f"must name at least one of {', '.join(names)}, and each once")
        return chosen

    return Kind(check, split)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a table, which only a .toml file can hold")
    return dict(value)


def _tables(value: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of tables, which only a .toml file can hold")
    return tuple(_table(each) for each in value)


_FORM = re.compile(
    r"mongodb(?:\+srv)?://"
    r"(?:(?P<user>[^/?@:]*(?::[^/?@:]*)?)@)?"  # and password
    r"(?P<hosts>[^/?@\s]+)(?:/(?P<database>[^/?@]*))?(?:\?(?P<options>[^@]*))?"  # a bare @ would cut a password in two
)


def _uri(value: Any) -> str:
    found = _FORM.fullmatch(_text(value))
    if not found:
        raise ValueError(
            "must have the form mongodb://user:password@host:port/database; "
            "in user and password write / as %2F, : as %3A, @ as %40, ? as %3F, % as %25"
        )
    if found["database"]:
        _database(unquote(found["database"]))
    return str(value)


def database_of(uri: str) -> str | None:
    """Name of the database in a connection string, if it names one.

    >>> database_of("mongodb://db.example.org/cells?tls=true"), database_of("mongodb://db.example.org")
    ('cells', None)
    """
    found = _FORM.fullmatch(uri)
    return unquote(found["database"]) if found and found["database"] else None


def with_database(uri: str, name: str) -> str:
    """Name another database in a connection string that names one; the user still logs in where they did.

    >>> with_database("mongodb://ada:secret@db.example.org/cells?tls=true", "lab")
    'mongodb://ada:secret@db.example.org/lab?tls=true&authSource=cells'
    """
    found = _FORM.fullmatch(uri)
    if not found or not found["database"] or unquote(found["database"]) == name:
        return uri
    options = found["options"] or ""
    password = ":" in (found["user"] or "")
    if password and not re.search(r"authSource=|authMechanism=(?!SCRAM)", options, re.IGNORECASE):
        options += f"{'&' if options else ''}authSource={found['database']}"
    return f"{uri[: found.start('database')]}{quote(name, safe='')}{'?' if options else ''}{options}"


def hosts_of(uri: str) -> str:
    """Hosts and ports of a connection string, without user and password.

    >>> hosts_of("mongodb://ada:secret@a.example.org:27017,b.example.org/cells")
    'a.example.org:27017,b.example.org'
    """
    found = _FORM.fullmatch(uri)
    return unquote(found["hosts"]) if found else "the server of db_uri"


def _database(value: Any) -> str:
    name = _text(value)
    if len(name.encode()) > 63 or re.search(r'[\s/\\."$*<>:|?\0]', name):
        raise ValueError('must name a database: at most 63 bytes, without spaces and none of / \\ . " $ * < > : | ?')
    return name


URI = Kind(_uri)
HOST = Kind(_host)
PORT = whole(1, 65535)
DATABASE = Kind(_database)
SWITCH = Kind(_switch, lambda text: {"1": True, "0": False}.get(text, text))
PATH = Kind(_path)
PATHS = _list_of(_path)
TEXTS = _list_of(_text)
SECONDS = Kind(_seconds, _or_text(float))
PATTERN = Kind(_pattern)
PATTERNS = _list_of(_pattern)
TIME_ZONE = Kind(_time_zone)
TABLE = Kind(_table)
TABLES = Kind(_tables)
