"""What the values of settings may be: how each is read from text and checked, and the sentence for when it is not so.

``Kind.from_text`` turns the text of a variable or an ``.ini`` file into what a ``.toml`` file would hold, or leaves it
as it is; ``Kind.check`` returns the value as ``Settings`` keeps it, or raises a ValueError that says what it must be.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from math import inf, isfinite
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
    if is_dataclass(value) and not isinstance(value, type):
        paths = {each.name: getattr(value, each.name) for each in fields(value)}
        return replace(value, **{name: anchored(each, base) for name, each in paths.items() if isinstance(each, Path)})
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


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
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


def list_of(check: Callable[[Any], Any], *, or_one: bool = False) -> Kind:
    """A list of values; ``or_one``: a single value is a list of one."""

    def check_all(value: Any) -> tuple[Any, ...]:
        if or_one and isinstance(value, str):
            return (check(value),)
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
    each = list_of(choice(*names).check)

    def check(value: Any) -> tuple[str, ...]:
        chosen: tuple[str, ...] = each.check(value)
        if not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(f"must name at least one of {', '.join(names)}, and each once")
        return chosen

    return Kind(check, split)


class TableError(ValueError):
    """A value within a table is not as it must be; the text begins with where it stands, as in ``2, folder = 3: …``."""


def table(
    value: Any, keys: Mapping[str, Kind], *, required: tuple[str, ...] = (), secret: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the checked entries of a table.

    Args:
        value: What should be a table.
        keys: What each key may hold.
        required: Keys that must be there.
        secret: Keys whose values no message shows.

    Raises:
        ValueError: It is no table.
        TableError: A key is unknown or missing, or its value is not as it must be.
    """
    if not isinstance(value, Mapping):
        raise ValueError("must be a table, which only a .toml file can hold")
    if unknown := [name for name in value if name not in keys]:
        near = difflib.get_close_matches(str(unknown[0]), keys, n=1)
        hint = f"; is {near[0]} meant?" if near else f"; there are {', '.join(keys)}"
        raise TableError(f": unknown key {unknown[0]!r}{hint}")
    if missing := [name for name in required if name not in value]:
        raise TableError(f": {missing[0]} is missing")
    checked = {}
    for name, each in value.items():
        try:
            checked[name] = keys[name].check(each)
        except TableError as exc:
            raise TableError(f".{name}{exc}") from exc
        except ValueError as exc:
            shown = "" if name in secret else f" = {repr(each)[:120]}"
            raise TableError(f".{name}{shown}: {exc}") from exc
    return checked


def tables_of(check: Callable[[Any], Any], *, or_one: bool = False) -> Kind:
    """A list of tables, each as ``check`` returns it; ``or_one``: a single table is a list of one."""

    def check_all(value: Any) -> tuple[Any, ...]:
        if or_one and isinstance(value, Mapping):
            return (check(value),)
        if not isinstance(value, list | tuple):
            raise ValueError("must be a list of tables, which only a .toml file can hold")
        done = []
        for number, each in enumerate(value, start=1):
            try:
                done.append(check(each))
            except ValueError as exc:
                where = str(exc) if isinstance(exc, TableError) else f": {exc}"
                raise TableError(f" {number}{where}") from exc
        return tuple(done)

    return Kind(check_all)


def number(low: float, high: float, unit: str) -> Kind:
    """A number above ``low`` and up to ``high``."""

    def check(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low < value <= high:
            limits = f"above {low:g}" if high == inf else f"above {low:g} and up to {high:g}"
            raise ValueError(f"must be {unit}, {limits}")
        return float(value)

    return Kind(check)


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("must be a table of texts")
    return dict(value)


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
PATHS = list_of(_path)
TEXTS = list_of(_text)
SECONDS = Kind(_seconds, _or_text(float))
PATTERN = Kind(_pattern)
PATTERNS = list_of(_pattern)
TIME_ZONE = Kind(_time_zone)
TEXT = Kind(_text)
TRUTH = Kind(_truth)
LABELS = Kind(_labels)
