"""What an analysis is about: a test, a cell, or cells beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from battery_analysis.errors import AnalysisError
from battery_analysis.models import Sample, TestResult
from battery_analysis.store import lives as stored
from battery_analysis.store import normalised, subjects
from battery_analysis.store.access import visible
from battery_analysis.store.sample_search import metadata_keys
from dashboard.data import asked, samples, store

Subject = subjects.Subject
SeveralTestsError = subjects.SeveralTestsError
NormalisedCell = normalised.NormalisedCell

MOST_RECORDS = 20_000_000
"""Of a test whose records are analysed here."""

MOST_TESTS = 200

MOST_AT_ONCE = 20
"""Tests whose records are analysed together."""


@asked
def tests_of_cell(code: str | None) -> dict[str, str]:
    """Return the tests of a cell, the first first: names by id."""
    found = visible(TestResult).filter(cell_code=code).order_by("started_at").scalar("id", "name")
    return {str(identity): name for identity, name in found.limit(MOST_TESTS)}


@asked
def chosen(cell: str | None, test: str | None) -> Subject:
    """Return a test, or without one a cell.

    Raises:
        NotFoundError: It is not there.
    """
    if test:
        return subjects.of_test(store(), test)
    return subjects.of_cell(store(), cell or "", "choose one of them")


@asked
def cycles(subject: Subject) -> pl.DataFrame:
    """Return the cycle table of a subject."""
    return subject.cycles()


@asked
def records(subject: Subject) -> pl.DataFrame:
    """Return the records of a subject.

    Raises:
        SeveralTestsError: It is a cell with several tests.
        AnalysisError: Its records are too many.
    """
    if subject.record_count > MOST_RECORDS:
        raise AnalysisError(
            f"{subject.name} has {subject.record_count:,} records, more than the {MOST_RECORDS:,} that are analysed "
            "here; type: battery-analysis analyse"
        )
    return subject.frame()


@asked
def tests_with_records(cell: str | None, test: str | None) -> list[tuple[Subject, pl.DataFrame]]:
    """Return a test with its records, or without one all tests of a cell that have cycles, in the order of their start.

    Raises:
        AnalysisError: The cell has no such test.
        SeveralTestsError: It has too many tests or records.
        NotFoundError: The test is not there.
    """
    if test:
        alone = subjects.of_test(store(), test)
        return [(alone, records(alone))]
    found = visible(TestResult).filter(cell_code=cell, cycle_count__gt=0).order_by("started_at", "id")
    tests = list(found.only("id", "record_count"))
    if not tests:
        raise AnalysisError(f"no test of cell {cell} has cycles")
    count = sum(each.record_count for each in tests)
    if len(tests) > MOST_AT_ONCE or count > MOST_RECORDS:
        raise SeveralTestsError(
            f"cell {cell} has {len(tests)} tests with {count:,} records; at most {MOST_AT_ONCE} with "
            f"{MOST_RECORDS:,} are analysed together: choose one of them"
        )
    chosen = [subjects.of_test(store(), str(each.id)) for each in tests]
    return [(each, each.frame()) for each in chosen]


@asked
def properties_of_cells(codes: Sequence[str]) -> pl.DataFrame:
    """Return what is known of the samples of cells, a row each; of several samples that of the first test counts."""
    tests = visible(TestResult).filter(cell_code__in=list(codes)).order_by("started_at", "id").no_dereference()
    first: dict[str, Any] = {}
    for code, sample in tests.scalar("cell_code", "sample"):
        first.setdefault(code, sample.id)
    found = {each.id: each for each in visible(Sample).filter(id__in=list(first.values()))}
    return subjects.properties([(code, found.get(first.get(code))) for code in codes])


@asked
def properties() -> dict[str, str]:
    """Return all properties that a sample can be told by, with how they are written, by name."""
    added = {name: name for name in metadata_keys() if name not in subjects.PROPERTIES}
    return {name: " / ".join(filter(None, samples.title(name))) for name in subjects.PROPERTIES} | added


@asked
def cycles_of_cells(codes: Sequence[str]) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """Return the cycle tables of cells by code, and a sentence for each cell that is not there."""
    found, absent = stored.load_lives(store(), codes)
    return {life.name: life.cycles for life in found}, absent


@asked
def normalise(code: str, cycle: int | None) -> NormalisedCell:
    """Return capacity, energy and resistance of a cell for its size.

    Raises:
        NotFoundError: No test has this cell code, or there is no such cycle.
    """
    return normalised.normalise_cell(store(), code, cycle)
