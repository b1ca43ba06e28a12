"""Flags of tests: listed, raised and settled."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from bson import ObjectId

from battery_analysis.models import Flag as StoredFlag
from battery_analysis.models import TestResult
from battery_analysis.models.flag import FLAG_STATES as STATES
from battery_analysis.store import flags as stored
from battery_analysis.store.access import by_id, visible
from dashboard import links
from dashboard.data import asked

Flag = StoredFlag
SETTABLE = stored.SETTABLE
FILTERS = ("state", "raised_by", "check", "text", "cell", "test")

__all__ = ["FILTERS", "SETTABLE", "STATES", "Flag"]


@functools.cache
def _caught_up() -> int:
    """Raise, once for the process, the flags of tests that were stored before there were flags."""
    return stored.catch_up()


def query(chosen: Mapping[str, Any], sort: str | None = None) -> stored.FlagQuery:
    """Return which flags are wanted, from values of controls or of an address; ``state`` may be ``every``."""
    given: dict[str, Any] = {name: links.text(chosen.get(name)) or None for name in FILTERS}
    state = None if given["state"] == "every" else given["state"]
    return stored.FlagQuery(**{**given, "state": state}, sort=sort or "-raised")


@asked
def listed(wanted: stored.FlagQuery, first: int, last: int | None) -> tuple[list[dict[str, Any]], int]:
    """Return the flags that are wanted from number ``first`` to before ``last``, and how many there are in all."""
    _caught_up()
    cut = replace(wanted, skip=first, limit=None if last is None else last - first)
    rows = [_row(each) for each in stored.search_flags(cut)]
    return rows, len(rows) if last is None else int(stored.matching_flags(wanted).count())


def _row(found: stored.FoundFlag) -> dict[str, Any]:
    raised_by = f"check: {found.check}" if found.check else found.raised_by or "a person"
    texts = {"id": str(found.id), "test_id": str(found.test_id), "raised_at": found.raised_at.isoformat()}
    return {**asdict(found), **texts, "raised_by": raised_by}


@asked
def of_tests(test_ids: Sequence[str]) -> list[Flag]:
    """Return the flags of tests, those first that nobody has seen to, the newest of each state first."""
    _caught_up()
    found = stored.of_tests([ObjectId(each) for each in test_ids])
    return sorted(found, key=lambda flag: (STATES.index(flag.state), -flag.created_at.timestamp()))


@asked
def counts() -> dict[str, int]:
    """Return how many flags there are in each state."""
    _caught_up()
    return {state: int(visible(StoredFlag).filter(state=state).count()) for state in STATES}


@asked
def checks() -> list[str]:
    """Return the checks that raised flags."""
    return sorted(each for each in visible(StoredFlag).distinct("check") if each)


@asked
def one(flag_id: str) -> tuple[Flag, TestResult]:
    """Return a flag and the test it is of, without its data.

    Raises:
        NotFoundError: No such flag, or its test is gone.
    """
    flag = by_id(StoredFlag, flag_id)
    return flag, by_id(TestResult, flag.test_result)


@asked
def test_name(test_id: str) -> str:
    """Return the name of a test.

    Raises:
        NotFoundError: No such test.
    """
    return str(by_id(TestResult, test_id).name)


@asked
def raise_flag(test_id: str, message: str, author: str | None) -> Flag:
    """Flag a test as a person.

    Raises:
        NotFoundError: No such test.
        InvalidDocumentError: The message is empty or too long.
    """
    return stored.raise_flag(test_id, message, author)


@asked
def settle(flag_ids: Sequence[str], state: str, note: str, author: str | None) -> int:
    """Say of flags that they are reviewed, resolved or open again, and why; return how many they were.

    Raises:
        InvalidDocumentError: One is to be resolved without a note.
    """
    for each in flag_ids:
        stored.settle(each, state, note, author)
    return len(flag_ids)
