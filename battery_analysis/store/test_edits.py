"""What people change of a test by hand: tags, notes and added properties, each in one step, with its history.

An importer that writes the same test meanwhile touches none of them, so such a change needs no revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId

from battery_analysis.errors import ConflictError, InvalidDocumentError
from battery_analysis.models import Note, TestResult, checked, now
from battery_analysis.models.base import can_name_entry
from battery_analysis.store import history
from battery_analysis.store.access import by_id
from battery_analysis.store.words import refresh_words


def tag(
    test_id: str | ObjectId, *, add: Sequence[str] = (), remove: Sequence[str] = (), author: str | None = None
) -> TestResult:
    """Add and remove tags of a test; its history tells who did.

    Raises:
        NotFoundError: No such test.
        InvalidDocumentError: A tag is empty or too long.
    """
    test = by_id(TestResult, test_id)
    taken = list(dict.fromkeys(remove))
    new = [each for each in dict.fromkeys(add) if each not in taken]
    test.tags = [*test.tags, *new]
    checked(test)
    before = _change_by_hand(test, {"$addToSet": {"tags": {"$each": new}}}).get("tags", [])
    if taken:
        _change_by_hand(test, {"$pull": {"tags": {"$in": taken}}})
    after = [each for each in dict.fromkeys([*before, *new]) if each not in taken]
    history.record(test.id, {"tags": before}, {"tags": after}, author)
    return by_id(TestResult, test_id)


def add_note(test_id: str | ObjectId, text: str, author: str | None = None) -> TestResult:
    """Add a note to a test.

    Raises:
        NotFoundError: No such test.
    """
    test = by_id(TestResult, test_id)
    test.notes_log.append(Note(text=text, author=author))
    checked(test)
    _change_by_hand(test, {"$push": {"notes_log": test.notes_log[-1].to_mongo()}})
    return by_id(TestResult, test_id)


def set_metadata(
    test_id: str | ObjectId,
    values: Mapping[str, str],
    author: str | None = None,
    *,
    seen: Mapping[str, str] | None = None,
) -> TestResult:
    """Set entries of what people added to a test, or remove those whose value is empty; its history tells who did.

    Args:
        test_id: The test.
        values: What is set, by entry.
        author: Who sets it.
        seen: What the entries held, as ``history.written`` writes it, when whoever changes them looked; nothing is
            changed where somebody else has changed one of them since.

    Raises:
        NotFoundError: No such test.
        InvalidDocumentError: A name that no entry can have.
        ConflictError: An entry does not hold any longer what was ``seen``.
    """
    test = by_id(TestResult, test_id)
    if wrong := [key for key in values if not can_name_entry(key)]:
        raise InvalidDocumentError(f"TestResult {test.name!r}: metadata: no entry can be named {wrong[0]!r}")
    as_read: dict[str, Any] = {}
    if seen is not None:
        history.refuse_changed(f"test {test.name}", {key: test.metadata.get(key) for key in values}, values, seen)
        stored = test.to_mongo().get("metadata", {})
        as_read = {f"metadata.{key}": stored.get(key) for key in values}
    given = {f"metadata.{key}": value for key, value in values.items()}
    change: dict[str, Any] = {"$set": {name: value for name, value in given.items() if value}}
    if gone := {name: "" for name, value in given.items() if not value}:
        change["$unset"] = gone
    former = _change_by_hand(test, change, as_read).get("metadata", {})
    history.record(test.id, {f"metadata.{key}": former.get(key) for key in values}, given, author)
    return by_id(TestResult, test_id)


def _change_by_hand(
    test: TestResult, change: Mapping[str, Any], as_read: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Change a test in one step, so that nobody who changes it at the same time is overwritten.

    Returns the tags and the metadata that it had.

    Raises:
        ConflictError: Fields do not hold any longer what was read.
    """
    moment = now()
    edited = {**change.get("$set", {}), "updated_at": moment, "edited_at": moment}
    former = TestResult._get_collection().find_one_and_update(
        {"_id": test.id, **(as_read or {})}, {**change, "$set": edited}, {"tags": 1, "metadata": 1}
    )
    if former is None and as_read:
        raise ConflictError(f"test {test.name}: somebody else changed it just now; nothing of yours is stored")
    refresh_words(test.id)
    return former or {}
