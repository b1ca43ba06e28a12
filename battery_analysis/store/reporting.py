"""What a report tells of a cell, loaded from the store."""

from __future__ import annotations

from typing import Any

import polars as pl

from battery_analysis.analysis.halves import HalfCycles, half_cycles
from battery_analysis.analysis.impedance import Spectrum, spectra
from battery_analysis.columns import CYCLE_COUNT, FREQUENCY, IMAGINARY_IMPEDANCE, REAL_IMPEDANCE, STEP_COUNT, TEST_TIME
from battery_analysis.errors import AnalysisError, NotFoundError
from battery_analysis.models import Sample, TestResult
from battery_analysis.reports.cells import Cell, Flag, TestFacts, cycles_to_draw
from battery_analysis.store import frames
from battery_analysis.store.access import by_id
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_frames import Dataset, load_dataset
from battery_analysis.store.normalised import normalise_cell
from battery_analysis.store.units import spelled

TOLD = (
    *("chemistry", "manufacturer", "form_factor", "cell_type", "description", "project", "nominal_capacity_ah"),
    *("area_cm2", "thickness_um", "volume_cm3", "mass_g", "active_mass_mg", "loading_mg_cm2"),
)
"""Facts of a sample that a report tells, or says that nobody stated."""

_UNTOLD_IN_WORDS = frozenset({"description", "project", "manufacturer"})
_SPECTRUM = (FREQUENCY.name, REAL_IMPEDANCE.name, IMAGINARY_IMPEDANCE.name)
_BESIDE_SPECTRA = (TEST_TIME.name, CYCLE_COUNT.name, STEP_COUNT.name)


def load_cell(store: Store, code: str) -> Cell:
    """Load everything that a report tells of a cell.

    Raises:
        NotFoundError: No test has this cell code.
        ArchiveError: Stored data is missing, or was read anew since the dataset was built.
    """
    dataset = load_dataset(store, code)
    cycles, placed = _polars(dataset.cycles(form="polars")), _polars(dataset.tests(form="polars"))
    if not placed.height:
        raise NotFoundError(f"no test has the cell code {code!r} any more")
    tests = {row["test_id"]: by_id(TestResult, row["test_id"]) for row in placed.to_dicts()}
    going_on = {row["test_id"] for row in placed.to_dicts() if row["continues"] or tests[row["test_id"]].continuation}
    sample = by_id(Sample, next(iter(tests.values())).sample.id)
    size = normalise_cell(store, code)
    return Cell(
        code=code,
        sample=sample.name,
        version=dataset.version,
        facts=[(spelled(name), _text(value)) for name in TOLD if (value := getattr(sample, name)) is not None],
        unknown=[
            spelled(name).partition(" / ")[0]
            for name in TOLD
            if getattr(sample, name) is None and name not in _UNTOLD_IN_WORDS
        ],
        tests=[_facts(tests[row["test_id"]], row) for row in placed.to_dicts()],
        cycles=cycles,
        remarks=dataset.remarks,
        curves={number: _half_cycles(dataset, number, going_on) for number in cycles_to_draw(cycles)},
        spectra=[spectrum for test in tests.values() for spectrum in _spectra(store, test)],
        normalised=size.quantities,
        normalised_cycle=size.cycle_count,
    )


def _facts(test: TestResult, placed: dict[str, Any]) -> TestFacts:
    return TestFacts(
        name=test.name,
        tester=test.tester,
        device=test.device,
        channel=test.channel,
        type=test.test_type,
        started_at=test.started_at,
        records=test.record_count,
        first_cycle=placed["first_cycle"],
        last_cycle=placed["last_cycle"],
        reader=f"{test.reader} {test.reader_version}",
        flags=[
            Flag(flag["name"], flag["message"], [(first, last) for first, last in flag.get("records", ())])
            for flag in test.quality_flags
        ],
        warnings=list(test.warnings),
        has_temperature=any("temperature" in name for name in test.columns),
    )


def _half_cycles(dataset: Dataset, cycle: int, going_on: set[str]) -> HalfCycles | str:
    """Load one cycle and take it apart, or say why that cannot be; counters of some tests do not begin with them."""
    # With the one before it in its test: counters that are never reset say what flowed only by how they grew.
    frame = _polars(dataset.frame(cycles=(cycle - 1, cycle), form="polars"))
    tests = frame.filter(cycle_count=cycle)["test_id"].unique()
    frame = frame.filter(pl.col("test_id").is_in(tests.implode()))
    empty = [values.name for values in frame if values.null_count() == values.len()]  # of tests that count otherwise
    goes_on = not going_on.isdisjoint(frame["test_id"].head(1))
    try:
        return half_cycles(frame.drop(empty), continuation=goes_on).of_cycle(cycle)
    except AnalysisError as exc:
        return str(exc)


def _spectra(store: Store, test: TestResult) -> list[tuple[str, Spectrum]]:
    """Load the spectra of a test, each with its name."""
    if not set(_SPECTRUM) <= set(test.columns):
        return []
    names = [name for name in test.columns if name in _SPECTRUM or name in _BESIDE_SPECTRA]
    try:
        found = spectra(frames.select(store, test, names, None, None))
    except AnalysisError:  # columns for a spectrum, but none in them
        return []
    numbers = range(1, len(found) + 1)
    return [
        (f"{test.name}, {number}" if len(found) > 1 else test.name, each)
        for number, each in zip(numbers, found, strict=True)
    ]


def _polars(table: Any) -> pl.DataFrame:
    assert isinstance(table, pl.DataFrame)
    return table


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
