"""What an analysis is about: a test, a cell, or cells beside one another."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from battery_analysis.errors import AnalysisError
from battery_analysis.models import TestResult
from battery_analysis.store import lives as stored
from battery_analysis.store import normalised, subjects
from battery_analysis.store.access import by_id, visible
from dashboard.data import asked, store

Subject = subjects.Subject
NormalisedCell = normalised.NormalisedCell

MOST_RECORDS = 20_000_000
"""Of a test whose records are analysed here."""

MOST_TESTS = 200


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
    return subjects.of_cell(store(), cell or "", "choose one of them above")


@asked
def cycles(subject: Subject) -> pl.DataFrame:
    """Return the cycle table of a subject."""
    return subject.cycles()


@asked
def records(subject: Subject, test: str | None) -> pl.DataFrame:
    """Return the records of a subject.

    Raises:
        AnalysisError: It is a cell with several tests, or there are too many.
    """
    if test and (count := by_id(TestResult, test).record_count) > MOST_RECORDS:
        raise AnalysisError(
            f"{subject.name} has {count:,} records, more than the {MOST_RECORDS:,} that are analysed here; "
            f"type: battery-analysis analyse"
        )
    return subject.frame()


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
