"""Find tests by sample, cell, chemistry, date, tester, kind, tags, project, cycles and words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

from bson import ObjectId
from mongoengine import QuerySet

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.models import TestResult
from battery_analysis.store import added_order
from battery_analysis.store.access import visible
from battery_analysis.store.added_order import ADDED
from battery_analysis.store.words import words_of

SORTS = {
    "started": "started_at",
    "sample": "sample_name",
    "cell": "cell_code",
    "chemistry": "chemistry",
    "tester": "tester",
    "type": "test_type",
    "cycles": "cycle_count",
    "initial": "initial_capacity_ah",
    "final": "final_capacity_ah",
    "retention": "capacity_retention",
}

GROUPS = {
    "project": "project",
    "sample": "sample_name",
    "cell": "cell_code",
    "chemistry": "chemistry",
    "tester": "tester",
    "type": "test_type",
}
"""By what tests can be counted, with their fields."""

MOST_GROUPS = 500

_SHOWN = (
    "sample_name",
    "cell_code",
    "chemistry",
    "tester",
    "test_type",
    "started_at",
    "record_count",
    "cycle_count",
    "initial_capacity_ah",
    "final_capacity_ah",
    "capacity_retention",
    "sha256",
    "tags",
    "project",
    "name",
    "quality_flags.name",
)


@dataclass(frozen=True)
class Query:
    """What to look for; filters that are left out let everything pass. Texts are compared exactly.

    ``text`` finds tests that have, for each of its words, a word that begins with it, in names,
    tags, protocol, comment or notes. Dates are days in UTC, both included.
    """

    sample: str | None = None
    cell: str | None = None
    chemistry: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    tester: str | None = None
    test_type: str | None = None
    tags: Sequence[str] = ()
    project: str | None = None
    min_cycles: int | None = None
    max_cycles: int | None = None
    text: str | None = None
    ids: Sequence[ObjectId] | None = None
    where: Sequence[Mapping[str, Any]] = ()
    """Further conditions as MongoDB has them."""
    sort: str = "-started"
    limit: int | None = None
    skip: int = 0
    """How many of those that fit to pass over, for whoever shows them page by page."""


@dataclass(frozen=True)
class Found:
    """One test as a search lists it."""

    id: ObjectId
    sample: str
    cell_code: str
    chemistry: str | None
    tester: str
    type: str | None
    started_at: datetime | None
    records: int
    cycles: int
    initial_capacity_ah: float | None
    final_capacity_ah: float | None
    capacity_retention: float | None
    sha256: str
    tags: list[str]
    project: str | None
    name: str
    flags: list[str]
    """Names of the import checks that failed."""


@dataclass(frozen=True)
class Group:
    """Tests that have one value in common."""

    value: str | None
    tests: int
    cycles: int
    mean_initial_capacity_ah: float | None
    mean_capacity_retention: float | None
    mean_coulombic_efficiency: float | None


def search(query: Query) -> Iterator[Found]:
    """Yield the tests that fit, in the order asked for.

    Raises:
        InvalidDocumentError: The sort key is none of ``SORTS`` and no ``metadata.KEY``.
    """
    for row in _rows(query):
        yield Found(
            id=row["_id"],
            sample=row["sample_name"],
            cell_code=row["cell_code"],
            chemistry=row.get("chemistry"),
            tester=row["tester"],
            type=row.get("test_type"),
            started_at=row.get("started_at"),
            records=row["record_count"],
            cycles=row["cycle_count"],
            initial_capacity_ah=row.get("initial_capacity_ah"),
            final_capacity_ah=row.get("final_capacity_ah"),
            capacity_retention=row.get("capacity_retention"),
            sha256=row["sha256"],
            tags=row.get("tags", []),
            project=row.get("project"),
            name=row["name"],
            flags=[flag["name"] for flag in row.get("quality_flags", [])],
        )


def _rows(query: Query) -> Iterable[dict[str, Any]]:
    if not query.sort.removeprefix("-").startswith(ADDED):
        found: Iterable[dict[str, Any]] = ordered(query).only(*_SHOWN).as_pymongo()
        return found

    def fitting(condition: Mapping[str, Any]) -> QuerySet:
        return matching(replace(query, where=[*query.where, condition]))

    ids = added_order.page(query.sort, fitting, "-started_at", query.skip, query.limit)
    return added_order.in_order(visible(TestResult).only(*_SHOWN), ids)


def groups(query: Query, by: str) -> list[Group]:
    """Return the tests that fit, counted by the values of one of ``GROUPS``, most first.

    Raises:
        InvalidDocumentError: Tests cannot be counted by this.
    """
    if by not in GROUPS:
        raise InvalidDocumentError(f"group: one of {', '.join(GROUPS)} wanted, got {by!r}")
    group = {
        "_id": f"${GROUPS[by]}",
        "tests": {"$sum": 1},
        "cycles": {"$sum": "$cycle_count"},
        "mean_initial_capacity_ah": {"$avg": "$initial_capacity_ah"},
        "mean_capacity_retention": {"$avg": "$capacity_retention"},
        "mean_coulombic_efficiency": {"$avg": "$mean_coulombic_efficiency"},
    }
    pipeline = [{"$group": group}, {"$sort": {"tests": -1, "_id": 1}}, {"$limit": MOST_GROUPS}]
    return [Group(value=row.pop("_id"), **row) for row in matching(query).aggregate(pipeline)]


def ordered(query: Query) -> QuerySet:
    """Return the tests that fit as a query set."""
    backwards, key = query.sort.startswith("-"), query.sort.removeprefix("-")
    if key not in SORTS:
        raise InvalidDocumentError(f"sort: one of {', '.join(SORTS)} wanted, got {query.sort!r}")
    found = matching(query).order_by(f"{'-' if backwards else '+'}{SORTS[key]}")
    found = found.skip(query.skip) if query.skip else found
    return found.limit(query.limit) if query.limit else found


def count_undated(query: Query) -> int:
    """Return how many tests a date range leaves out because they have no date."""
    if query.first_day is None and query.last_day is None:
        return 0
    return int(matching(query, dated=False).count())


def count(query: Query, most: int) -> tuple[int, bool]:
    """Return how many tests fit, and whether there are more: with a filter they are counted no further than ``most``.

    To count is to look at each of them, which takes longer than to show some.
    """
    found = matching(query)
    if not found._query:
        return int(TestResult._get_collection().estimated_document_count()), False
    counted = int(found.limit(most + 1).count(with_limit_and_skip=True))
    return min(counted, most), counted > most


def matching(query: Query, *, dated: bool = True) -> QuerySet:
    """Return the tests that fit; with ``dated=False`` those without a date that fit all other filters."""
    exact = {
        "sample_name": query.sample,
        "cell_code": query.cell,
        "chemistry": query.chemistry,
        "tester": query.tester,
        "test_type": query.test_type,
        "project": query.project,
    }
    conditions: list[dict[str, Any]] = [{field: value} for field, value in exact.items() if value is not None]
    conditions += [{"tags": tag} for tag in query.tags]
    # As text: a compiled pattern carries the Unicode flag, with which the server cannot use an index.
    conditions += [{"words": {"$regex": f"^{re.escape(word)}"}} for word in words_of(query.text or "")]
    if query.ids is not None:
        conditions.append({"_id": {"$in": list(query.ids)}})
    conditions += [dict(each) for each in query.where]
    cycles = _between(query.min_cycles, query.max_cycles)
    if cycles:
        conditions.append({"cycle_count": cycles})
    days = _days(query.first_day, query.last_day)
    if not dated:
        conditions.append({"started_at": None})
    elif days:
        conditions.append({"started_at": days})
    return visible(TestResult).filter(__raw__={"$and": conditions} if conditions else {})


def _between(low: Any, high: Any) -> dict[str, Any]:
    bounds = {"$gte": low, "$lte": high}
    return {operator: value for operator, value in bounds.items() if value is not None}


def _days(first: date | None, last: date | None) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    if first is not None:
        bounds["$gte"] = datetime.combine(first, time.min, UTC)
    if last is not None:
        bounds["$lte"] = datetime.combine(last, time.max, UTC)  # to the last millisecond, which is all BSON keeps
    return bounds
