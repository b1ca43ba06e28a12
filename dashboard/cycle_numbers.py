"""Cycles as people name them: numbers and ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RANGE = re.compile(r"(\d+)(?:[-–](\d+)(?::(\d+))?)?")


def cycles_named(text: str | None, known: Iterable[int]) -> tuple[list[int], str | None]:
    """Return the cycles that a person names, in order, and what is wrong with the text.

    Args:
        text: Numbers and ranges, which may have a step.
        known: The cycles that there are; others are left out.

    Example:
        >>> cycles_named("1, 5-8, 10-30:10", range(1, 25))
        ([1, 5, 6, 7, 8, 10, 20], None)
        >>> cycles_named("first", range(3))
        ([], "cycles: numbers and ranges such as 1, 5-8, 10-100:10 wanted, got 'first'")
    """
    there, named = set(known), set()
    close = re.sub(r"\s*([-–:])\s*", r"\1", text or "")
    for each in filter(None, re.split(r"[,;\s]+", close)):
        found = _RANGE.fullmatch(each)
        if not found:
            return [], f"cycles: numbers and ranges such as 1, 5-8, 10-100:10 wanted, got {each!r}"
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        named |= {cycle for cycle in there if first <= cycle <= last and (cycle - first) % max(step, 1) == 0}
    return sorted(named), None


def cycles_written(cycles: Iterable[int]) -> str:
    """Return cycles as ``cycles_named`` reads them."""
    return ", ".join(map(str, sorted(cycles)))
