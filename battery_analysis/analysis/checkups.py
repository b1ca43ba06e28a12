"""Which cycles age a cell, and which are formation, check-ups (reference performance tests) or tests of another rate.

The measure is the mean discharge current of each cycle. The usual rate is the one most cycles have (within 10 %);
without one that at least half of the cycles have, as in a rate test, nothing is marked. Other cycles differ from it:

- slow: less than ``SLOW_FRACTION`` of the usual current
- fast: more than its inverse
- deep: capacity and span of the voltage both more than ``DEEP_FACTOR`` times those of the usual cycles, as the full
  cycles are by which shallow cycling is checked
- of another rate: a current that stands apart from the usual ones and is less than ``OTHER_RATE`` of their median, or
  more than its inverse; so all that are slow or fast

Check-up: up to ``LONGEST_CHECKUP`` such cycles in a row, at least one of them slow or deep. Formation: the slow cycles
with which a test begins, up to ``LONGEST_FORMATION`` and less than half of it. A cell that was formed elsewhere may
begin with a check-up instead: so it is taken where check-ups at the same rate come back later and the first cycle is no
less efficient than the later ones (by ``FORMING_LOSS``). What is left is cycling at the usual rate, and of another rate
``other_rate``: less capacity at a higher current is no ageing, and comes back with the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from battery_analysis.analysis.rate import SAME_RATE, levels_of
from battery_analysis.analysis.records import BoolArray, FloatArray, IntArray
from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

SLOW_FRACTION = 0.6
OTHER_RATE = 0.8
DEEP_FACTOR = 1.3
LONGEST_CHECKUP = 5
LONGEST_FORMATION = 10
FORMING_LOSS = 0.02
FEWEST_CYCLES = 5
NO_USUAL_RATE = "no rate is usual"

ROLES = ("formation", "checkup", "cycling", "other_rate")

NEEDED = ("cycle_count", "discharge_capacity_ah", "discharge_time_second", "min_voltage_volt", "max_voltage_volt")


def mark_cycles(cycles: pl.DataFrame, *, nominal_capacity_ah: float | None = None) -> pl.DataFrame:
    """Mark formation and check-up cycles of a cycle table.

    Args:
        cycles: Table of ``summarise_cycles``, of one test or of all tests of a cell in order.
        nominal_capacity_ah: Capacity that counts as 1C, for ``c_rate``.

    Returns:
        One row per cycle: ``cycle_count``, ``discharge_current_ampere`` (mean), ``c_rate`` (null without a nominal
        capacity), ``role`` (one of ``ROLES``; null where it cannot be told), ``reason``.

    Raises:
        AnalysisError: A column is missing, or the nominal capacity is not above 0.

    Example:
        Two slow cycles, then eight at ten times their rate:

        >>> cycles = pl.DataFrame({
        ...     "cycle_count": range(1, 11), "discharge_capacity_ah": [1.0] * 10,
        ...     "discharge_time_second": [36000.0] * 2 + [3600.0] * 8,
        ...     "min_voltage_volt": [3.0] * 10, "max_voltage_volt": [4.2] * 10,
        ... })
        >>> mark_cycles(cycles)["role"].to_list()[:3]
        ['formation', 'formation', 'cycling']
    """
    missing = [name for name in NEEDED if name not in cycles.columns]
    if missing:
        raise AnalysisError(f"columns {missing} not found; the cycle table has {cycles.columns}")
    if nominal_capacity_ah is not None and not nominal_capacity_ah > 0:
        raise AnalysisError(f"nominal_capacity_ah must be above 0, got {nominal_capacity_ah}")
    hours = pl.col("discharge_time_second") / 3600
    current = cycles.select(pl.when(hours > 0).then(pl.col("discharge_capacity_ah") / hours)).to_series()
    roles, reasons = _roles(cycles, current.cast(pl.Float64).to_numpy())
    rate = current / nominal_capacity_ah if nominal_capacity_ah else None
    return cycles.select("cycle_count").with_columns(
        current.cast(pl.Float64).alias("discharge_current_ampere"),
        pl.Series("c_rate", rate if rate is not None else [None] * cycles.height, dtype=pl.Float64),
        pl.Series("role", roles, dtype=pl.String),
        pl.Series("reason", reasons, dtype=pl.String),
    )


@dataclass(frozen=True)
class Ageing:
    """The cycles whose capacities tell how a cell ages, and the numbers of the others by their role."""

    cycles: pl.DataFrame
    left_out: dict[str, list[int]]


def ageing_cycles(cycles: pl.DataFrame) -> Ageing:
    """Leave out formation, check-ups and cycles of another rate, whose capacities follow no law of fade together.

    Args:
        cycles: As for ``mark_cycles``.

    Raises:
        AnalysisError: A column is missing, or no rate is usual, as in a rate test: a capacity that falls as the current
            rises tells nothing of ageing.

    Example:
        >>> cycles = pl.DataFrame({
        ...     "cycle_count": range(1, 11), "discharge_capacity_ah": [1.0] * 10,
        ...     "discharge_time_second": [36000.0] * 2 + [3600.0] * 8,
        ...     "min_voltage_volt": [3.0] * 10, "max_voltage_volt": [4.2] * 10,
        ... })
        >>> ageing = ageing_cycles(cycles)
        >>> ageing.cycles.height, ageing.left_out
        (8, {'formation': [1, 2]})
    """
    marks = mark_cycles(cycles)
    mixed = marks.filter(pl.col("reason").str.starts_with(NO_USUAL_RATE))
    if mixed.height >= FEWEST_CYCLES:  # of fewer nothing is fitted anyway
        raise AnalysisError(f"{mixed['reason'][0]}; capacities at different currents tell nothing of ageing")
    others = {role: marks.filter(role=role)["cycle_count"].to_list() for role in ROLES if role != "cycling"}
    keeps = marks["role"].is_null() | (marks["role"] == "cycling")
    return Ageing(cycles.filter(keeps), {role: numbers for role, numbers in others.items() if numbers})


@dataclass(frozen=True)
class _Kinds:
    """How the cycles that discharged compare with the usual ones; ``rows`` are their rows in the table."""

    rows: IntArray
    number: list[int]
    current: FloatArray
    usual: float
    of_usual: int
    slow: BoolArray
    fast: BoolArray
    deep: BoolArray
    another: BoolArray
    efficiency: FloatArray

    def describe(self, place: int) -> str:
        """What a cycle is like beside the usual ones."""
        share = self.current[place] / self.usual
        text = f"discharged at {self.current[place]:.3g} A, {share:.2g} times the {self.usual:.3g} A"
        text += f" of {self.of_usual} of {len(self.number)} cycles"
        return text + (", and deeper than they are" if self.deep[place] else "")


def _roles(cycles: pl.DataFrame, current: FloatArray) -> tuple[list[str | None], list[str]]:
    roles: list[str | None] = [None] * cycles.height
    reasons = ["nothing was discharged"] * cycles.height
    rows = np.flatnonzero(np.isfinite(current) & (current > 0))
    if not rows.size:
        return roles, reasons
    levels = levels_of(current[rows], SAME_RATE)
    common = int(np.bincount(levels).argmax())
    of_usual = int((levels == common).sum())
    if of_usual < max(FEWEST_CYCLES, rows.size / 2):
        why = f"{NO_USUAL_RATE}: the most common one has {of_usual} of {counted(rows.size, 'cycle')}"
        for row in rows:
            reasons[row] = why
        return roles, reasons
    kinds = _kinds(cycles, rows, current[rows], levels == common)
    for row in rows:
        roles[row], reasons[row] = "cycling", "like most cycles"
    blocks = _blocks(kinds.another | kinds.deep)
    checkups = [block for block in blocks if _is_checkup(kinds, block)]
    forming = _formation(kinds, checkups)
    later = [block for block in checkups if forming is None or block[0] >= forming[1]]
    if forming is not None:
        roles_of = ("formation", _formation_reason(kinds, forming))
        _mark(kinds, forming, roles_of, roles, reasons)
        blocks = [block for block in blocks if block[0] >= forming[1]]
    rhythm = _rhythm([kinds.number[block[0]] for block in later])
    for block in blocks:
        if block in later:
            _mark(kinds, block, ("checkup", rhythm), roles, reasons)
        else:
            why = f"{block[1] - block[0]} such cycles in a row are no check-up" if _slow_or_deep(kinds, block) else ""
            for place in range(*block):
                role = "other_rate" if kinds.another[place] else "cycling"
                _mark(kinds, (place, place + 1), (role, why), roles, reasons)
    return roles, reasons


def _kinds(cycles: pl.DataFrame, rows: IntArray, current: FloatArray, is_usual: BoolArray) -> _Kinds:
    usual = float(np.median(current[is_usual]))
    span = (cycles["max_voltage_volt"] - cycles["min_voltage_volt"]).cast(pl.Float64).to_numpy()[rows]
    capacity = cycles["discharge_capacity_ah"].cast(pl.Float64).to_numpy()[rows]
    deep = np.ones(rows.size, dtype=np.bool_)
    for values in (span, capacity):
        known = values[is_usual & np.isfinite(values)]
        deep &= values > DEEP_FACTOR * (np.median(known) if known.size else np.inf)
    efficiency = np.full(rows.size, np.nan)
    if "coulombic_efficiency" in cycles.columns:
        efficiency = cycles["coulombic_efficiency"].cast(pl.Float64).to_numpy()[rows]
    return _Kinds(
        rows=rows,
        number=cycles["cycle_count"].gather(rows).to_list(),
        current=current,
        usual=usual,
        of_usual=int(is_usual.sum()),
        slow=current < SLOW_FRACTION * usual,
        fast=current > usual / SLOW_FRACTION,
        deep=deep,
        another=~is_usual & ((current < OTHER_RATE * usual) | (current > usual / OTHER_RATE)),
        efficiency=efficiency,
    )


def _blocks(unusual: BoolArray) -> list[tuple[int, int]]:
    """First of each stretch of unusual cycles, and the cycle after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], unusual, [False])).astype(np.int8)))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def _slow_or_deep(kinds: _Kinds, block: tuple[int, int]) -> bool:
    return bool((kinds.slow | kinds.deep)[slice(*block)].any())


def _is_checkup(kinds: _Kinds, block: tuple[int, int]) -> bool:
    return block[1] - block[0] <= LONGEST_CHECKUP and _slow_or_deep(kinds, block)


def _formation(kinds: _Kinds, checkups: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Stretch of slow cycles at the start that is formation, None where there is none."""
    end = int(np.argmin(kinds.slow)) if not kinds.slow.all() else kinds.slow.size
    if not 0 < end <= LONGEST_FORMATION or 2 * end >= kinds.slow.size:
        return None
    again = any(
        np.abs(kinds.current[slice(*block)] / kinds.current[0] - 1).min() < SAME_RATE
        for block in checkups
        if block[0] >= end
    )
    return None if again and not _loses(kinds, end) else (0, end)


def _loses(kinds: _Kinds, end: int) -> bool:
    """Whether the first cycle is less efficient than the later ones, as a cell that forms is."""
    later = kinds.efficiency[end:][np.isfinite(kinds.efficiency[end:])]
    return bool(later.size and kinds.efficiency[0] < np.median(later) - FORMING_LOSS)


def _formation_reason(kinds: _Kinds, block: tuple[int, int]) -> str:
    text = f"the test begins with {block[1]} slow cycle{'s' if block[1] > 1 else ''}"
    if _loses(kinds, block[1]):
        text += f", the first with a coulombic efficiency of {kinds.efficiency[0]:.3f}"
    return text


def _rhythm(starts: list[int]) -> str:
    """How often check-ups come."""
    if len(starts) < 2:
        return "the only such cycles"
    apart = np.array([later - earlier for earlier, later in pairwise(starts)])
    usual = float(np.median(apart))
    if (np.abs(apart - usual) <= max(1.0, 0.2 * usual)).all():
        return f"such cycles come {len(starts)} times, every {usual:g} cycles"
    return f"such cycles come {len(starts)} times, {apart.min()} to {apart.max()} cycles apart"


def _mark(
    kinds: _Kinds,
    block: tuple[int, int],
    told: tuple[str, str],
    roles: list[str | None],
    reasons: list[str],
) -> None:
    role, why = told
    for place in range(*block):
        row = int(kinds.rows[place])
        roles[row], reasons[row] = role, "; ".join(filter(None, (kinds.describe(place), why)))
