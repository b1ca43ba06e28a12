"""Readers that other packages bring along, by the entry point ``battery_analysis.readers``.

They are looked for once, when no reader of this package recognises a file. One that does not follow the protocol is
refused by name with a line that says what is missing; the others are used.
"""

from __future__ import annotations

import inspect
import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple, cast

from battery_analysis.errors import BatteryAnalysisError
from battery_analysis.readers.base import Reader

GROUP = "battery_analysis.readers"

logger = logging.getLogger(__name__)

_TEXTS = ("name", "version", "tester", "description")


class PluginError(BatteryAnalysisError):
    """A plug-in cannot be loaded, or is no reader."""


class Refused(NamedTuple):
    """A plug-in that is not used, and why."""

    name: str
    package: str
    reason: str


class Plugins(NamedTuple):
    """What other packages bring along."""

    readers: tuple[Reader, ...]
    refused: tuple[Refused, ...]


@cache
def plugins(taken: frozenset[str]) -> Plugins:
    """Load the readers of other packages; ``taken`` are names that are in use."""
    readers: dict[str, Reader] = {}
    refused: list[Refused] = []
    for point in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        try:
            reader = load(point)
            if reader.name in taken or reader.name in readers:
                raise PluginError(f"there is a reader {reader.name!r} already")
            readers[reader.name] = reader
        except PluginError as exc:
            package = point.dist.name if point.dist else point.value
            refused.append(Refused(point.name, package, str(exc)))
            logger.warning("the reader %s of %s is refused: %s", point.name, package, exc)
    return Plugins(tuple(readers.values()), tuple(refused))


def load(point: EntryPoint) -> Reader:
    """Load one entry point and check that it gives a reader.

    Raises:
        PluginError: It cannot be loaded, or breaks the protocol; says what is missing.
    """
    try:
        found = point.load()
        reader = found() if isinstance(found, type) else found
    except Exception as exc:
        raise PluginError(f"{point.value} cannot be loaded: {type(exc).__name__}: {exc}") from exc
    if fault := _fault(reader):
        raise PluginError(f"{point.value} {fault}")
    return cast(Reader, reader)


def _fault(reader: object) -> str | None:
    for key in _TEXTS:
        text = getattr(reader, key, None)
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            return f"has no {key!r}" if text is None else f"has a {key!r} that is no line of text: {text!r}"
    suffixes = getattr(reader, "suffixes", None)
    if not isinstance(suffixes, frozenset | set | tuple | list) or not all(map(_is_suffix, suffixes)):
        return "has no 'suffixes': a set of texts such as '.csv' in lower case"
    if not _takes(getattr(reader, "recognises", None), b"", None):
        return "has no method 'recognises(head, path)'"
    if not _takes(getattr(reader, "read", None), None, time_zone="UTC"):
        return "has no method 'read(path, *, time_zone)'"
    return None


def _is_suffix(text: object) -> bool:
    return isinstance(text, str) and text.startswith(".") and text == text.lower()


def _takes(method: object, *args: object, **options: object) -> bool:
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind(*args, **options)
    except (TypeError, ValueError):
        return False
    return True
