"""Lives of cells and tests: cycle tables with what they are divided and told apart by, and records of single cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from battery_analysis.errors import NotFoundError
from battery_analysis.models import TestResult
from battery_analysis.store import lives as stored
from battery_analysis.store import search
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.kept_tables import KeptTables
from dashboard.data import asked, store
from dashboard.data.names import told_apart

Life = stored.Life

MOST_OFFERED = 50

KEPT = KeptTables(most_rows=250_000)
"""Cycle tables in memory, about 80 MB at most: several figures of a page show the same ones, and several people do."""


@asked
def several(cells: Sequence[str], tests: Sequence[str]) -> tuple[list[Life], list[str]]:
    """Return the lives of cells and tests, each under a name of its own, and a sentence for each that is not there."""
    found, absent = stored.load_lives(store(), cells, tests, KEPT)
    told = told_apart((life.id, life.name, str(life.traits.get("cell", life.name))) for life in found)
    return [replace(life, name=told[life.id]) if life.of == "test" else life for life in found], absent


@asked
def one(cell: str | None, test: str | None) -> Life:
    """Return the life of a test, or without one of a cell.

    Raises:
        NotFoundError: It is not there.
    """
    found, absent = stored.load_lives(store(), [cell] if cell and not test else [], [test] if test else [], KEPT)
    if not found:
        raise NotFoundError(absent[0])
    return found[0]


@asked
def cycle(life: Life, number: int) -> pl.DataFrame:
    """Return the records of a cycle, and of the one before it."""
    return stored.load_cycle(store(), life, number)


@asked
def cells(containing: str = "") -> list[str]:
    """Return cell codes that contain a text."""
    return stored.cell_codes(containing, MOST_OFFERED)


@asked
def newest_cell() -> str | None:
    """Return the cell of the test with cycles that was started last; None without any."""
    found = visible(TestResult).filter(cycle_count__gt=0).order_by("-started_at").only("cell_code").first()
    return found.cell_code if found else None


@asked
def cell_of(test: str) -> str:
    """Return the cell code of a test.

    Raises:
        NotFoundError: No such test.
    """
    return str(by_id(TestResult, test).cell_code)


@asked
def tests_of_cell(cell: str | None) -> dict[str, str]:
    """Return the tests of a cell that have cycles, the first first: names by id."""
    found = visible(TestResult).filter(cell_code=cell, cycle_count__gt=0).order_by("started_at").scalar("id", "name")
    return {str(identity): name for identity, name in found.limit(MOST_OFFERED)}


@asked
def tests(containing: str = "", *, with_cycles: bool = True) -> dict[str, str]:
    """Return tests, those with cycles or all, whose words begin with those of a text, newest first: names by id."""
    found = search.search(search.Query(text=containing, min_cycles=1 if with_cycles else None, limit=MOST_OFFERED))
    return {str(each.id): _labelled(each.cell_code, each.name) for each in found}


@asked
def names(tests: Sequence[str]) -> dict[str, str]:
    """Return the names of tests by id; those that are not there are told as such, so that a choice of them stays."""
    found = visible(TestResult).filter(id__in=stored.object_ids(tests)).scalar("id", "cell_code", "name")
    known = {str(identity): _labelled(code, name) for identity, code, name in found}
    return {each: known.get(each, f"{each} (no such test)") for each in tests}


def _labelled(code: str, name: str) -> str:
    return f"{code} · {name}"


@asked
def kinds() -> dict[str, str]:
    """Return what cells can be taken together by: ``project=…``, ``chemistry=…`` and ``tags=…``, with what to say."""
    said = {"project": "Project", "chemistry": "Chemistry", "tags": "Tag"}
    return {
        f"{field}={value}": f"{word}: {value}"
        for field, word in said.items()
        for value in sorted(each for each in visible(TestResult).distinct(field) if each)
    }


@asked
def cells_of_kind(kind: str, most: int) -> list[str]:
    """Return the cells with a test of one of ``kinds``."""
    field, _, value = kind.partition("=")
    if field not in ("project", "chemistry", "tags"):
        return []
    return sorted(visible(TestResult).filter(**{field: value}, cycle_count__gt=0).distinct("cell_code"))[:most]
