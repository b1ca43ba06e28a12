"""Rate capability, and Peukert's exponent.

Half cycles of one direction are compared by their current (``halves``: the mean before the voltage was held). Those
whose currents differ by less than ``SAME_RATE`` are of one level. Comparable are complete half cycles that end at the
same voltage, within ``SAME_VOLT`` of the median (weighted by capacity): a pulse, or a discharge that was stopped half
way, says nothing about what a rate leaves of the capacity. That a cell faded between two levels is not taken out;
protocols come back to the slowest level for that, and ``levels`` gives the first and last cycle of each.

Peukert (1897): I^k·t is constant, so that log t = log p − k·log I with t the time to empty the cell in h, t = Q/I.
The exponent is the slope over the median capacities of the levels, by least squares of equal weight, with the
standard error of the slope and an interval by Student's t. An ideal cell has k = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.records import FloatArray, IntArray
from battery_analysis.analysis.robust import deviation
from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

SAME_RATE = 0.1
SAME_VOLT = 0.05

_NEEDED = (
    "half_cycle",
    "cycle_count",
    "direction",
    "capacity_ah",
    "current_ampere",
    "min_voltage_volt",
    "max_voltage_volt",
    "complete",
)


@dataclass(frozen=True)
class RateCapability:
    """Capacity against rate.

    ``halves``: ``half_cycle``, ``cycle_count``, ``current_ampere``, ``c_rate`` (current over nominal capacity, in 1/h;
    null without one), ``capacity_ah``, ``level`` (from 1, the slowest), ``relative_capacity`` (over the median of the
    slowest level); the last two null where ``reason`` says why the half cycle is not comparable.

    ``levels``: ``level``, ``current_ampere`` and ``c_rate`` (medians), ``halves``, ``first_cycle``, ``last_cycle``,
    ``capacity_ah`` (median), ``capacity_deviation_ah`` (scaled, ``robust``; null of a single one),
    ``relative_capacity``.
    """

    direction: Literal["charge", "discharge"]
    halves: pl.DataFrame
    levels: pl.DataFrame


@dataclass(frozen=True)
class Peukert:
    """Peukert's exponent, with its standard error and interval; ``constant`` is p in A^k·h.

    ``residual`` is the root mean square of the relative deviations in time, per degree of freedom.
    """

    exponent: float
    standard_error: float
    low: float
    high: float
    confidence: float
    constant: float
    levels: int
    residual: float


def rate_capability(
    halves: pl.DataFrame,
    *,
    direction: Literal["charge", "discharge"] = "discharge",
    nominal_capacity_ah: float | None = None,
) -> RateCapability:
    """Compare what half cycles of one direction hold at their rates.

    Args:
        halves: Table of ``half_cycles``.
        direction: Which.
        nominal_capacity_ah: Capacity that counts as 1C.

    Raises:
        AnalysisError: No half cycle is comparable, a column is missing, or the nominal capacity is not above 0.

    Example:
        1 Ah at 0.1 A, of which 0.8 Ah are left at 1 A:

        >>> halves = pl.DataFrame({
        ...     "half_cycle": [0, 1], "cycle_count": [1, 2], "direction": ["discharge"] * 2, "complete": [True] * 2,
        ...     "capacity_ah": [1.0, 0.8], "current_ampere": [0.1, 1.0],
        ...     "min_voltage_volt": [3.0, 3.0], "max_voltage_volt": [4.1, 4.0],
        ... })
        >>> rate_capability(halves, nominal_capacity_ah=2.0).levels.select("c_rate", "relative_capacity").rows()
        [(0.05, 1.0), (0.5, 0.8)]
    """
    missing = [name for name in _NEEDED if name not in halves.columns]
    if missing:
        raise AnalysisError(f"columns {missing} not found; the table of half cycles has {halves.columns}")
    if nominal_capacity_ah is not None and not nominal_capacity_ah > 0:
        raise AnalysisError(f"nominal_capacity_ah must be above 0, got {nominal_capacity_ah}")
    own = halves.filter(pl.col("direction") == direction)
    reasons = _reasons(own, "min_voltage_volt" if direction == "discharge" else "max_voltage_volt")
    comparable = np.array([reason is None for reason in reasons], dtype=np.bool_)
    if not comparable.any():
        why = f": {reasons[0]}" if reasons else ""
        found = counted(own.height, f"half cycle of {direction}", f"half cycles of {direction}")
        raise AnalysisError(f"none of {found} can be compared{why}")
    level = pl.Series("level", [None] * own.height, dtype=pl.Int64)
    current = own["current_ampere"].cast(pl.Float64).to_numpy()
    level = level.scatter(np.flatnonzero(comparable), levels_of(current[comparable], SAME_RATE))
    table = own.select("half_cycle", "cycle_count", "current_ampere", "capacity_ah").with_columns(
        level, reason=pl.Series(reasons, dtype=pl.String)
    )
    slowest = table.filter(pl.col("level") == 1)["capacity_ah"].median()
    rate = pl.col("current_ampere") / nominal_capacity_ah if nominal_capacity_ah else pl.lit(None, pl.Float64)
    relative = pl.when(pl.col("level").is_not_null()).then(pl.col("capacity_ah") / slowest)
    table = table.with_columns(c_rate=rate, relative_capacity=relative).select(
        "half_cycle", "cycle_count", "current_ampere", "c_rate", "capacity_ah", "level", "relative_capacity", "reason"
    )
    return RateCapability(direction, table, _levels(table))


def levels_of(current: FloatArray, same: float) -> IntArray:
    """Number the levels of currents, from 1 for the smallest: a new one where the next is larger by more than a share.

    >>> levels_of(np.array([1.0, 0.1, 1.02, 0.5]), 0.1).tolist()
    [3, 1, 3, 2]
    """
    order = np.argsort(current, kind="stable")
    climbs = np.append(False, current[order][1:] > (1 + same) * current[order][:-1])
    levels = np.empty(current.size, dtype=np.int64)
    levels[order] = 1 + np.cumsum(climbs)
    return levels


def peukert(capability: RateCapability, *, confidence: float = 0.95) -> Peukert:
    """Fit Peukert's exponent to the levels of a rate test.

    Args:
        capability: Of ``rate_capability``.
        confidence: Of the interval.

    Raises:
        AnalysisError: Fewer than three levels: two always lie on a line, which says nothing of the error.

    Example:
        A cell that lasts half as long at twice the current has k = 1:

        >>> halves = pl.DataFrame({
        ...     "half_cycle": [0, 1, 2], "cycle_count": [1, 2, 3], "direction": ["discharge"] * 3,
        ...     "complete": [True] * 3, "capacity_ah": [1.0, 1.0, 1.0], "current_ampere": [1.0, 2.0, 4.0],
        ...     "min_voltage_volt": [3.0] * 3, "max_voltage_volt": [4.0] * 3,
        ... })
        >>> round(peukert(rate_capability(halves)).exponent, 6)
        1.0
    """
    if not 0 < confidence < 1:
        raise AnalysisError(f"confidence must be between 0 and 1, got {confidence}")
    levels = capability.levels
    if levels.height < 3:
        raise AnalysisError(f"Peukert's exponent needs three rates, the {capability.direction}s have {levels.height}")
    from scipy.stats import t as student

    x = np.log(levels["current_ampere"].to_numpy())
    y = np.log(levels["capacity_ah"].to_numpy()) - x
    away = x - x.mean()
    exponent = -float(away @ y / (away @ away))
    constant = float(y.mean() + exponent * x.mean())
    residual = y - (constant - exponent * x)
    spread = float(np.sqrt(residual @ residual / (x.size - 2)))
    error = spread / float(np.sqrt(away @ away))
    reach = error * float(student.ppf((1 + confidence) / 2, x.size - 2))
    return Peukert(
        exponent, error, exponent - reach, exponent + reach, confidence, float(np.exp(constant)), int(x.size), spread
    )


def _reasons(own: pl.DataFrame, end: str) -> list[str | None]:
    """Why each half cycle cannot be compared; None for those that can."""
    capacity = own["capacity_ah"].cast(pl.Float64).fill_null(0.0).to_numpy()
    voltage = own[end].cast(pl.Float64).to_numpy()
    usual = _weighted_median(voltage, capacity)
    reasons: list[str | None] = []
    for half, ended in zip(own.rows(named=True), voltage, strict=True):
        if half["capacity_ah"] is None or not half["capacity_ah"] > 0:
            reasons.append("its capacity is unknown")
        elif not half["complete"]:
            reasons.append("it is not over")
        elif half["current_ampere"] is None or not half["current_ampere"] > 0:
            reasons.append("it has no current before the voltage is held")
        elif np.isfinite(ended) and abs(ended - usual) > SAME_VOLT:
            reasons.append(f"it ends at {ended:.3f} V, most of the charge at {usual:.3f} V")
        else:
            reasons.append(None)
    return reasons


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    known = np.isfinite(values) & (weights > 0)
    if not known.any():
        return float("nan")
    order = np.argsort(values[known], kind="stable")
    reached = np.cumsum(weights[known][order])
    return float(values[known][order][np.searchsorted(reached, reached[-1] / 2)])


def _levels(table: pl.DataFrame) -> pl.DataFrame:
    levels = (
        table.drop_nulls("level")
        .group_by("level", maintain_order=True)
        .agg(
            pl.col("current_ampere", "c_rate").median(),
            halves=pl.len(),
            first_cycle=pl.col("cycle_count").min(),
            last_cycle=pl.col("cycle_count").max(),
            each=pl.col("capacity_ah"),
            capacity_ah=pl.col("capacity_ah").median(),
        )
        .sort("level")
    )
    spread = [deviation(each.to_numpy()) if each.len() > 1 else None for each in levels["each"]]
    return levels.drop("each").with_columns(
        pl.Series("capacity_deviation_ah", spread, dtype=pl.Float64),
        relative_capacity=pl.col("capacity_ah") / pl.col("capacity_ah").first(),
    )
