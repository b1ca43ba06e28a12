"""What a report tells of a cell, as it was loaded; and what follows from it without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from battery_analysis.analysis.halves import HalfCycles
from battery_analysis.analysis.impedance import Spectrum
from battery_analysis.analysis.normalise import Normalised

CURVES = 5
"""Cycles whose voltages are drawn."""


@dataclass(frozen=True)
class Flag:
    """A check that failed on import; records from 0, both ends included."""

    check: str
    message: str
    records: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class TestFacts:
    """One test of a cell."""

    __test__ = False  # not a test class, whatever its name

    name: str
    tester: str
    device: str | None
    channel: str | None
    type: str | None
    started_at: datetime | None
    records: int
    first_cycle: int | None
    last_cycle: int | None
    reader: str
    flags: Sequence[Flag] = ()
    warnings: Sequence[str] = ()
    has_temperature: bool = False


@dataclass(frozen=True)
class Cell:
    """Everything a report tells of one cell.

    ``facts`` are those of its sample, with units in their names; ``unknown`` are those that nobody stated. ``curves``
    are the half cycles of the cycles that are drawn, or why they cannot be.
    """

    code: str
    sample: str
    version: int
    facts: Sequence[tuple[str, str]]
    unknown: Sequence[str]
    tests: Sequence[TestFacts]
    cycles: pl.DataFrame
    remarks: Sequence[str] = ()
    curves: dict[int, HalfCycles | str] = field(default_factory=dict)
    spectra: Sequence[tuple[str, Spectrum]] = ()
    """Each with the name of its test, and its number within it where there are several."""
    normalised: Sequence[Normalised] = ()
    normalised_cycle: int | None = None

    @property
    def complete(self) -> pl.DataFrame:
        """Complete cycles with a discharge capacity."""
        return self.cycles.filter(pl.col("complete") & pl.col("discharge_capacity_ah").is_not_null())

    @property
    def ageing(self) -> pl.DataFrame:
        """Complete cycles that are neither formation nor check-up nor of another rate."""
        return self.complete.filter(pl.col("role").is_null() | (pl.col("role") == "cycling"))


def cycles_to_draw(cycles: pl.DataFrame, most: int = CURVES) -> list[int]:
    """Choose cycles for curves: the first and the last complete one that cycles, and others at equal distances.

    Example:
        >>> cycles_to_draw(pl.DataFrame({
        ...     "cycle_count": range(1, 102), "complete": [True] * 100 + [False], "role": [None] * 101,
        ...     "charge_capacity_ah": [1.0] * 101, "discharge_capacity_ah": [1.0] * 101}))
        [1, 26, 51, 75, 100]
    """
    both = pl.col("charge_capacity_ah").is_not_null() & pl.col("discharge_capacity_ah").is_not_null()
    usable = cycles.filter(pl.col("complete") & both)
    cycling = usable.filter(pl.col("role").is_null() | (pl.col("role") == "cycling"))
    numbers = (cycling if cycling.height else usable)["cycle_count"].to_list()
    if len(numbers) <= most:
        return numbers
    return [numbers[round(place * (len(numbers) - 1) / (most - 1))] for place in range(most)]
