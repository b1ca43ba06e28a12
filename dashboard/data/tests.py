"""Tests: found, shown, tagged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import polars as pl
from bson import ObjectId

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.ingest.sample_rules import rules_from
from battery_analysis.models import Change, ImportedFile, TestResult
from battery_analysis.models.test_result import TEST_TYPES
from battery_analysis.store import frames, history, samples, search, test_edits
from battery_analysis.store import tests as stored
from battery_analysis.store.access import by_id, visible
from dashboard import links
from dashboard.data import added, asked, settings, store
from dashboard.data.edits import Edit

MOST_COUNTED = 5_000
"""Of more tests that fit nobody wants the number, and to count them takes longer than to show some."""

TYPES = TEST_TYPES
GROUPS = search.GROUPS
Test = TestResult


def query(chosen: Mapping[str, Any], sort: str | None = None) -> search.Query:
    """Return what to search for, from values of controls or of a query.

    Args:
        chosen: By the names of the search: ``text``, ``sample``, ``cell``, ``tester``, ``type``, ``chemistry``,
            ``project``, ``tags``, ``first``, ``last`` (days), ``min_cycles``, ``max_cycles``, ``job`` (of whose
            files they are); empty ones let all pass.
        sort: One of ``search.SORTS``, with ``-`` before it for downwards; newest first without.
    """
    exact = ("text", "sample", "cell", "tester", "chemistry", "project")
    words: dict[str, Any] = {name: links.text(chosen.get(name)) or None for name in exact}
    return search.Query(
        **words,
        test_type=links.text(chosen.get("type")) or None,
        tags=links.texts(chosen.get("tags")),
        first_day=links.day(chosen.get("first")),
        last_day=links.day(chosen.get("last")),
        min_cycles=_whole(chosen.get("min_cycles")),
        max_cycles=_whole(chosen.get("max_cycles")),
        ids=_of_job(links.text(chosen.get("job"))),
        sort=sort or "-started",
    )


@asked
def _of_job(job: str | None) -> list[ObjectId] | None:
    """Return the tests that the files of an import belong to, None where no import is named."""
    if not job:
        return None
    if not ObjectId.is_valid(job):
        return []
    return list(visible(ImportedFile).filter(job=ObjectId(job), test_result__ne=None).distinct("test_result"))


def _whole(given: Any) -> int | None:
    return int(given) if isinstance(given, int | float) else links.whole(given)


@asked
def listed(wanted: search.Query, first: int, last: int | None) -> tuple[list[dict[str, Any]], int, bool]:
    """Return the tests of a search from number ``first`` to before ``last``, how many fit, and whether even more do."""
    cut = replace(wanted, skip=first, limit=None if last is None else last - first)
    found = _plain(search.search(cut))
    total, more = (len(found), False) if last is None else search.count(wanted, MOST_COUNTED)
    return found, total, more


def _plain(found: Iterable[search.Found]) -> list[dict[str, Any]]:
    """Return found tests as rows of a table, with what people added to each as ``metadata.KEY``."""
    rows = [plain(each) for each in found]
    shown = visible(TestResult).filter(id__in=[ObjectId(row["id"]) for row in rows]).only("metadata").as_pymongo()
    known = {str(each["_id"]): each.get("metadata") or {} for each in shown}
    return [{**row, **_named(known.get(row["id"], {}))} for row in rows]


def _named(added: Mapping[str, Any]) -> dict[str, Any]:
    return {f"metadata.{key}": value if isinstance(value, int | float) else str(value) for key, value in added.items()}


def plain(found: search.Found) -> dict[str, Any]:
    """Return a found test as a row of a table."""
    started = found.started_at.isoformat() if found.started_at else None
    return {**asdict(found), "id": str(found.id), "started_at": started}


@asked
def undated(wanted: search.Query) -> int:
    """Return how many tests a range of days leaves out because they have no date."""
    return search.count_undated(wanted)


@asked
def is_empty() -> bool:
    """Say whether there is no test at all."""
    return visible(TestResult).only("id").first() is None


@asked
def choices() -> dict[str, list[str]]:
    """Return the values that tests have, by filter."""
    fields = {"tester": "tester", "chemistry": "chemistry", "project": "project", "type": "test_type", "tags": "tags"}
    return {
        name: sorted(each for each in visible(TestResult).distinct(field) if each) for name, field in fields.items()
    }


@asked
def one(test_id: str) -> Test:
    """Return a test.

    Raises:
        NotFoundError: No such test.
    """
    return by_id(TestResult, test_id)


@asked
def cycles(test_id: str) -> pl.DataFrame:
    """Return the cycle table of a test."""
    return frames.load_cycles(store(), test_id, form="polars")  # type: ignore[return-value]


@asked
def overview(test_id: str) -> pl.DataFrame:
    """Return the thinned records of a test."""
    return frames.load_overview(store(), test_id)


@asked
def set_tags(test_id: str, wanted: Sequence[str], seen: Sequence[str], author: str | None = None) -> list[str]:
    """Add to the tags of a test and remove from them what a reader did who had ``seen`` some, and return them.

    What somebody else has added or removed meanwhile stays so.

    Raises:
        InvalidDocumentError: A tag is empty or too long.
    """
    gone = [each for each in seen if each not in wanted]
    new = [each for each in wanted if each not in seen]
    changed = test_edits.tag(test_id, add=new, remove=gone, author=author) if gone or new else one(test_id)
    return list(changed.tags)


@asked
def edit(typed: Edit) -> None:
    """Change what people added to a test, its tags or sample, as somebody typed it into a cell of a table.

    Raises:
        NotFoundError: No such test, or no such sample.
        InvalidDocumentError: A tag is too long, or no sample is named.
        ConflictError: Somebody else has changed it meanwhile.
    """
    if typed.field == "tags":
        set_tags(typed.row, list(dict.fromkeys(typed.value or ())), typed.seen or (), typed.author)
    elif typed.field == "sample":
        _move(typed.row, str(typed.value or "").strip(), typed.seen, typed.author)
    elif typed.field.startswith("metadata."):
        key = typed.field.removeprefix("metadata.")
        seen = {key: history.written(typed.seen)}
        set_metadata(typed.row, {key: str(typed.value or "").strip()}, seen, typed.author)
    else:
        raise InvalidDocumentError(f"tests: {typed.field} comes from the file or the sample")


def _move(test_id: str, name: str, seen: str, author: str | None) -> None:
    test = by_id(TestResult, test_id)
    if not name:
        raise InvalidDocumentError(f"test {test.name}: the name of a sample is wanted, got none")
    target = samples.by_name(name)
    if target.id != test.sample.id:
        codes = rules_from(settings()).codes(target.name) or [target.name]
        stored.move(store(), test_id, target, codes[0], author, seen=seen)
        samples.refresh_aggregates({test.sample.id, target.id})


@asked
def row(test_id: str) -> dict[str, Any]:
    """Return one test as a row of a table.

    Raises:
        NotFoundError: No such test.
    """
    return _plain(search.search(search.Query(ids=[by_id(TestResult, test_id).id])))[0]


@asked
def grouped(wanted: search.Query, by: str) -> list[search.Group]:
    """Return the tests of a search counted by one of ``GROUPS``, most first."""
    return search.groups(wanted, by)


@asked
def add_note(test_id: str, text: str, author: str | None) -> Test:
    """Add a note to a test and return it."""
    return test_edits.add_note(test_id, text, author)


@asked
def set_metadata(test_id: str, wanted: Mapping[str, str], seen: Mapping[str, str], author: str | None) -> Test:
    """Make what people added to a test what a reader typed who had ``seen`` some of it, and return the test.

    Only what the reader has changed is stored, so that what somebody else adds meanwhile stays.

    Raises:
        InvalidDocumentError: A name that no entry can have.
        ConflictError: Somebody else has changed meanwhile what the reader did.
    """
    changed = {key: wanted.get(key, "") for key in {**seen, **wanted} if wanted.get(key, "") != seen.get(key, "")}
    if not changed:
        return one(test_id)
    test = test_edits.set_metadata(test_id, changed, author, seen=seen)
    added.forget()
    return test


def further(test: Test) -> dict[str, str]:
    """Return what people added to a test, as texts."""
    return {str(key): history.written(value) for key, value in (test.metadata or {}).items()}


@asked
def changes(test_id: str) -> list[Change]:
    """Return what people changed of a test, newest first."""
    return history.of(by_id(TestResult, test_id).id)
