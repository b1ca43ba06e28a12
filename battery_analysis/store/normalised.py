"""What a cell's dataset and its sample say together: capacity, energy and resistance for its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from battery_analysis.analysis.impedance import landmarks, spectra
from battery_analysis.analysis.normalise import FORMULAS, Measured, Normalised, Properties, completed, normalise
from battery_analysis.columns import FREQUENCY
from battery_analysis.errors import AnalysisError, NotFoundError
from battery_analysis.models import Sample, TestResult
from battery_analysis.store import frames
from battery_analysis.store.access import by_id
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_frames import load_dataset

_OF_SPECTRA = ("ohmic_resistance_ohm", "high_frequency_impedance_ohm")


@dataclass(frozen=True)
class NormalisedCell:
    """A cell for its size; ``cycle_count`` is the number within the cell of the cycle that was taken."""

    cell_code: str
    sample: str
    dataset_version: int
    cycle_count: int | None
    test_id: str | None
    spectrum_test_id: str | None
    highest_frequency_hertz: float | None
    measured: Measured
    properties: Properties
    quantities: list[Normalised]

    @property
    def lacks(self) -> list[str]:
        """Properties of the sample without which something cannot be known."""
        needed = dict.fromkeys(name for formula in FORMULAS for name in formula.properties)
        return [name for name in needed if not getattr(self.properties, name)]


def normalise_cell(store: Store, code: str, cycle: int | None = None) -> NormalisedCell:
    """Relate capacity, energy and resistance of a cell to area, mass, volume and thickness of its sample.

    Args:
        store: An open store.
        code: The cell; its dataset is built if it has none.
        cycle: Number within the cell; without it the first complete cycle that discharges and is no formation.

    Raises:
        NotFoundError: No test has this cell code, or there is no such cycle.
        ArchiveError: Stored data is missing.
    """
    dataset = load_dataset(store, code)
    cycles: Any = dataset.cycles(form="polars")
    tests: Any = dataset.tests(form="polars")
    if not tests.height:
        raise NotFoundError(f"no test has the cell code {code!r} any more")
    row, reason = _cycle(cycles, code, cycle)
    test_id = row["test_id"] if row else tests["test_id"][0]
    test = by_id(TestResult, test_id)
    sample = by_id(Sample, test.sample.id)
    reasons = {name: reason for name in ("capacity_ah", "energy_wh", "internal_resistance_ohm") if reason}
    if row and row["internal_resistance_ohm"] is None:
        reasons["internal_resistance_ohm"] = f"the tester reports no internal resistance in cycle {row['cycle_count']}"
    impedance = _impedance(store, tests["test_id"].to_list())
    measured = Measured(
        capacity_ah=row["discharge_capacity_ah"] if row else None,
        energy_wh=row["discharge_energy_wh"] if row else None,
        internal_resistance_ohm=row["internal_resistance_ohm"] if row else None,
        ohmic_resistance_ohm=impedance.ohmic_resistance_ohm,
        high_frequency_impedance_ohm=impedance.high_frequency_impedance_ohm,
        reasons={**reasons, **impedance.reasons},
    )
    properties = completed(_properties(sample, test))
    return NormalisedCell(
        cell_code=code,
        sample=sample.name,
        dataset_version=dataset.version,
        cycle_count=row["cycle_count"] if row else None,
        test_id=test_id if row else None,
        spectrum_test_id=impedance.test_id,
        highest_frequency_hertz=impedance.frequency_hertz,
        measured=measured,
        properties=properties,
        quantities=normalise(measured, properties),
    )


def _cycle(cycles: pl.DataFrame, code: str, wanted: int | None) -> tuple[dict[str, Any] | None, str | None]:
    """Return the cycle to take, or why there is none."""
    if wanted is not None:
        found = cycles.filter(cycle_count=wanted)
        if not found.height:
            raise NotFoundError(f"cell {code!r} has no cycle {wanted}; it has {cycles.height}")
    else:
        found = cycles.filter(pl.col("complete") & (pl.col("discharge_capacity_ah") > 0))
        formed = found.filter(pl.col("role").ne_missing("formation"))
        found = (formed if formed.height else found).head(1)
    return (found.row(0, named=True), None) if found.height else (None, "no cycle is complete")


def _properties(sample: Sample, test: TestResult) -> Properties:
    known = {name: getattr(sample, name) for name in Properties.__dataclass_fields__ if name != "sources"}
    lacks_mass = known["active_mass_mg"] is None and not (known["area_cm2"] and known["loading_mg_cm2"])
    if lacks_mass and test.active_mass_gram:
        known["active_mass_mg"] = 1e3 * test.active_mass_gram
        return Properties(**known, sources={"active_mass_mg": f"as the file {test.name} says"})
    return Properties(**known)


@dataclass(frozen=True)
class _Impedance:
    """What the last spectrum of a cell says in ohm, and why it says no more."""

    test_id: str | None = None
    ohmic_resistance_ohm: float | None = None
    high_frequency_impedance_ohm: float | None = None
    frequency_hertz: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


def _impedance(store: Store, test_ids: list[str]) -> _Impedance:
    """Read the last spectrum of a cell."""
    for test_id in reversed(test_ids):
        test = by_id(TestResult, test_id)
        if FREQUENCY.name in test.columns:
            try:
                last = spectra(frames.select(store, test, None, None, None))[-1]
            except AnalysisError as exc:
                return _Impedance(test_id, reasons=dict.fromkeys(_OF_SPECTRA, str(exc)))
            at_top, hertz = float(last.impedance[0].real), float(last.frequency[0])
            try:
                ohmic = landmarks(last).ohmic_resistance_ohm
                why_not = "the last spectrum does not turn from inductive to capacitive"
            except AnalysisError as exc:
                ohmic, why_not = None, str(exc)
            reasons = {"ohmic_resistance_ohm": why_not} if ohmic is None else {}
            return _Impedance(test_id, ohmic, at_top, hertz, reasons)
    return _Impedance(reasons=dict.fromkeys(_OF_SPECTRA, "no impedance spectrum was measured"))
