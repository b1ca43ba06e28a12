"""What the lab has added to samples and tests: the keys of their metadata."""

from __future__ import annotations

import functools
import time

from battery_analysis.store import traits
from battery_analysis.store.traits import Subject
from dashboard.data import asked, store

KEPT_SECONDS = 60.0
"""To look through 100,000 tests for keys takes longer than to show some; what others add is seen later."""

MOST = 40


@asked
def keys(subject: Subject) -> list[str]:
    """Return the keys of samples or tests, the most frequent first."""
    return list(_keys(subject, store().where, int(time.monotonic() // KEPT_SECONDS)))


@functools.lru_cache(maxsize=8)
def _keys(subject: Subject, _: str, __: int) -> tuple[str, ...]:
    return tuple(traits.added_keys(subject, MOST))


def forget() -> None:
    """Look again: somebody has added something here."""
    _keys.cache_clear()
