"""Flags of tests: raised by people and by checks at import, reviewed and resolved by people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bson import ObjectId
from mongoengine import NotUniqueError, QuerySet

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.models import Flag, Note, TestResult, checked, now
from battery_analysis.store.access import by_id, object_id, visible

SETTABLE = ("open", "reviewed", "resolved")
"""States that people give."""

SORTS = {"raised": "created_at", "changed": "updated_at", "state": "state", "check": "check"}


@dataclass(frozen=True)
class FlagQuery:
    """Which flags; filters that are left out let everything pass. ``text`` is any part of message or notes."""

    state: str | None = None
    raised_by: Literal["checks", "people"] | None = None
    check: str | None = None
    test: str | None = None
    cell: str | None = None
    text: str | None = None
    sort: str = "-raised"
    skip: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class FoundFlag:
    """One flag as a list shows it."""

    id: ObjectId
    test_id: ObjectId
    test: str
    sample: str | None
    cell_code: str | None
    check: str | None
    raised_by: str | None
    message: str
    state: str
    raised_at: datetime
    notes: int
    last_note: str | None


def follow(test: TestResult) -> None:
    """Bring the flags that checks raised for a test up to date with what it says of its checks.

    What people said stays; a resolved flag is open again once its check says something else, or fails again.
    """
    failing = {str(flag["name"]): flag for flag in test.quality_flags}
    known = {flag.check: flag for flag in visible(Flag).filter(test_result=test.id, check__ne=None)}
    for name, failure in failing.items():
        if name in known:
            _say_again(known[name], failure)
        else:
            _raise(test.id, name, failure)
    for name, flag in known.items():
        if name in failing or flag.state == "cleared":
            continue
        if flag.notes_log:
            flag.modify(state="cleared", settled_at=now(), settled_by=None, updated_at=now())
        else:
            flag.delete()


def _raise(test_id: ObjectId, check: str, failure: Mapping[str, Any]) -> None:
    flag = Flag(
        test_result=test_id,
        check=check,
        key=f"{test_id} {check}",
        message=failure["message"],
        records=list(failure.get("records") or ()),
    )
    with suppress(NotUniqueError):  # another process was as fast with the same test
        flag.save(force_insert=True, validate=False)


def _say_again(flag: Flag, failure: Mapping[str, Any]) -> None:
    if flag.state != "cleared" and flag.message == failure["message"]:
        return
    changes = {"message": failure["message"], "records": list(failure.get("records") or ()), "updated_at": now()}
    if flag.state in ("resolved", "cleared"):
        changes |= {"state": "open", "settled_at": now(), "settled_by": None}
    flag.modify(**changes)


def catch_up() -> int:
    """Raise the flags of tests that were stored before there were flags, and return how many tests those were.

    An importer that dies between a test and its flags leaves such a test, too.
    """
    flagged = set(visible(Flag).filter(check__ne=None).distinct("test_result"))
    failing = visible(TestResult).filter(__raw__={"quality_flags.0": {"$exists": True}}).only("id", "quality_flags")
    late = [test for test in failing if test.id not in flagged]
    for test in late:
        follow(test)
    return len(late)


def raise_flag(test_id: str | ObjectId, message: str, author: str | None = None) -> Flag:
    """Flag a test as a person.

    Raises:
        NotFoundError: No such test.
        InvalidDocumentError: The message is empty or too long.
    """
    test = by_id(TestResult, test_id)
    flag = Flag(test_result=test.id, message=message.strip(), created_by=author or None)
    checked(flag)
    flag.save(force_insert=True, validate=False)
    return flag


def settle(flag_id: str | ObjectId, state: str, note: str, author: str | None = None) -> Flag:
    """Say of a flag that it is reviewed, resolved or open again, and why.

    Raises:
        NotFoundError: No such flag.
        InvalidDocumentError: The state is none of ``SETTABLE``, or a flag is to be resolved without a note.
    """
    if state not in SETTABLE:
        raise InvalidDocumentError(f"state: one of {', '.join(SETTABLE)} wanted, got {state!r}")
    text = note.strip()
    if state == "resolved" and not text:
        raise InvalidDocumentError("a note is wanted that says why the flag is resolved, got none")
    flag = by_id(Flag, flag_id)
    changes: dict[str, Any] = {"updated_at": now()}
    if flag.state != state:
        changes |= {"state": state, "settled_at": now(), "settled_by": author or None}
    if text:
        changes["push__notes_log"] = Note(text=text, author=author or None)
    flag.modify(**changes)
    return by_id(Flag, flag.id)


def forget(test_id: ObjectId) -> None:
    """Remove the flags of a test that is gone."""
    visible(Flag).filter(test_result=test_id).delete()


def of_tests(identities: Iterable[ObjectId]) -> list[Flag]:
    """Return the flags of tests, open ones first, then by time."""
    return list(visible(Flag).filter(test_result__in=list(identities)).order_by("state", "-created_at"))


def search_flags(query: FlagQuery) -> list[FoundFlag]:
    """Return the flags that fit, in the order asked for.

    Raises:
        InvalidDocumentError: The sort key is none of ``SORTS``.
        NotFoundError: ``test`` is no id.
    """
    backwards, key = query.sort.startswith("-"), query.sort.removeprefix("-")
    if key not in SORTS:
        raise InvalidDocumentError(f"sort: one of {', '.join(SORTS)} wanted, got {query.sort!r}")
    found = matching_flags(query).order_by(f"{'-' if backwards else '+'}{SORTS[key]}").skip(query.skip)
    flags = list(found.limit(query.limit) if query.limit else found)
    tests = _tests([flag.test_result for flag in flags])
    return [_found(flag, tests.get(flag.test_result, {})) for flag in flags]


def matching_flags(query: FlagQuery) -> QuerySet:
    """Return the flags that fit.

    Raises:
        NotFoundError: ``test`` is no id.
    """
    wanted: list[dict[str, Any]] = []
    if query.state:
        wanted.append({"state": query.state})
    if query.raised_by:
        wanted.append({"check": None if query.raised_by == "people" else {"$ne": None}})
    if query.check:
        wanted.append({"check": query.check})
    if query.test:
        wanted.append({"test_result": object_id(TestResult, query.test)})
    if query.cell:
        wanted.append({"test_result": {"$in": list(visible(TestResult).filter(cell_code=query.cell).scalar("id"))}})
    if query.text:
        part = {"$regex": re.escape(query.text), "$options": "i"}
        wanted.append({"$or": [{"message": part}, {"notes_log.text": part}]})
    return visible(Flag).filter(__raw__={"$and": wanted} if wanted else {})


def _tests(identities: Sequence[ObjectId]) -> dict[ObjectId, dict[str, Any]]:
    shown = visible(TestResult).filter(id__in=identities).only("name", "sample_name", "cell_code")
    return {row["_id"]: row for row in shown.as_pymongo()}


def _found(flag: Flag, test: Mapping[str, Any]) -> FoundFlag:
    return FoundFlag(
        id=flag.id,
        test_id=flag.test_result,
        test=test.get("name", "a test that is gone"),
        sample=test.get("sample_name"),
        cell_code=test.get("cell_code"),
        check=flag.check,
        raised_by=flag.created_by,
        message=flag.message,
        state=flag.state,
        raised_at=flag.created_at,
        notes=len(flag.notes_log),
        last_note=flag.notes_log[-1].text if flag.notes_log else None,
    )
