"""Efficiencies over a life: how large, how steady, where they go; and what went through the cell.

Statistics are over complete cycles with a known value. An average is the mean, with the standard deviation of single
cycles; beside it stand the median and the scaled deviation (``robust``), which a few wild cycles do not move. Both
deviations hold the trend, too. The trend is the slope by Theil and Sen per cycle, and counts as one (``rising``,
``falling``) only where its confidence interval leaves out zero; else it is ``none``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.robust import deviation, slope
from battery_analysis.errors import AnalysisError

Efficiency = Literal["coulombic_efficiency", "energy_efficiency", "voltage_efficiency"]
Direction = Literal["rising", "falling", "none"]
EFFICIENCIES: tuple[Efficiency, ...] = ("coulombic_efficiency", "energy_efficiency", "voltage_efficiency")


@dataclass(frozen=True)
class EfficiencyStatistics:
    """Statistics of an efficiency (a ratio, 1 for all that went in) over cycles; None where ``reason`` says why.

    ``first_cycle`` to ``last_cycle`` are the cycles that count, ``trend_per_cycle`` is the slope with its bounds.
    ``capacity_retained_by_efficiency`` would be the capacity after all these cycles, as a share, if what coulombic
    efficiency lacks were lost for good each time (the product of all values); a bound, not a forecast, and None for
    the other efficiencies.
    """

    quantity: Efficiency
    cycles: int
    first_cycle: int | None = None
    last_cycle: int | None = None
    mean: float | None = None
    standard_deviation: float | None = None
    standard_error: float | None = None
    median: float | None = None
    robust_deviation: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    trend: Direction | None = None
    trend_per_cycle: float | None = None
    trend_low: float | None = None
    trend_high: float | None = None
    confidence: float = 0.95
    capacity_retained_by_efficiency: float | None = None
    reason: str | None = None


def efficiency_statistics(
    cycles: pl.DataFrame, quantity: Efficiency = "coulombic_efficiency", *, confidence: float = 0.95
) -> EfficiencyStatistics:
    """Describe an efficiency over the cycles of a table.

    Args:
        cycles: ``cycle_count``, the efficiency, and ``complete`` where there is one; by which convention the
            efficiency was divided is the table's business (``efficiency``).
        quantity: Which efficiency.
        confidence: Of the bounds of the trend.

    Raises:
        AnalysisError: The table has no such column, or the confidence is not between 0 and 1.

    Example:
        >>> cycles = pl.DataFrame({
        ...     "cycle_count": [1, 2, 3, 4, 5, 6],
        ...     "coulombic_efficiency": [0.90, 0.991, 0.992, 0.993, 0.994, None],
        ... })
        >>> found = efficiency_statistics(cycles)
        >>> found.cycles, found.median, found.trend
        (5, 0.992, 'rising')
    """
    if not 0 < confidence < 1:
        raise AnalysisError(f"confidence must be between 0 and 1, got {confidence}")
    missing = [name for name in ("cycle_count", quantity) if name not in cycles.columns]
    if missing:
        raise AnalysisError(f"columns {missing} not found; the cycle table has {cycles.columns}")
    usable = cycles.filter(pl.col("complete")) if "complete" in cycles.columns else cycles
    usable = usable.filter(pl.col(quantity).is_finite())
    if not usable.height:
        return EfficiencyStatistics(
            quantity, 0, confidence=confidence, reason=f"no complete cycle of {cycles.height} has a {quantity}"
        )
    number = usable["cycle_count"].cast(pl.Float64).to_numpy()
    value = usable[quantity].cast(pl.Float64).to_numpy()
    spread = float(np.std(value, ddof=1)) if value.size > 1 else None
    statistics = {
        "quantity": quantity,
        "cycles": int(value.size),
        "first_cycle": int(number.min()),
        "last_cycle": int(number.max()),
        "mean": float(value.mean()),
        "standard_deviation": spread,
        "standard_error": None if spread is None else spread / float(np.sqrt(value.size)),
        "median": float(np.median(value)),
        "robust_deviation": deviation(value) if value.size > 1 else None,
        "minimum": float(value.min()),
        "maximum": float(value.max()),
        "confidence": confidence,
    }
    if quantity == "coulombic_efficiency":
        statistics["capacity_retained_by_efficiency"] = float(np.prod(value))
    try:
        line = slope(number, value, confidence)
    except AnalysisError as exc:
        return EfficiencyStatistics(**statistics, reason=f"no trend: {exc}")  # type: ignore[arg-type]
    trend: Direction = "rising" if line.low > 0 else "falling" if line.high < 0 else "none"
    return EfficiencyStatistics(
        **statistics,  # type: ignore[arg-type]
        trend=trend,
        trend_per_cycle=line.value,
        trend_low=line.low,
        trend_high=line.high,
    )


def throughput(cycles: pl.DataFrame, *, nominal_capacity_ah: float | None = None) -> pl.DataFrame:
    """Add up what was charged and discharged up to the end of each cycle.

    Args:
        cycles: ``cycle_count``, ``charge_capacity_ah``, ``discharge_capacity_ah`` and, where known,
            ``charge_energy_wh`` and ``discharge_energy_wh``, in order of time.
        nominal_capacity_ah: Capacity that counts as one full charge or discharge.

    Returns:
        ``cycle_count``, ``throughput_ah``, ``throughput_wh`` (both directions) and ``equivalent_full_cycles``
        (throughput over twice the nominal capacity; null without one). From the first cycle on whose part is
        unknown, the sum is unknown, too: null, and ``reason`` names that cycle.

    Raises:
        AnalysisError: The capacities are missing, or the nominal capacity is not above 0.

    Example:
        >>> cycles = pl.DataFrame({
        ...     "cycle_count": [1, 2, 3],
        ...     "charge_capacity_ah": [1.0, 1.0, None],
        ...     "discharge_capacity_ah": [1.0, 1.0, 1.0],
        ... })
        >>> throughput(cycles, nominal_capacity_ah=0.5)["equivalent_full_cycles"].to_list()
        [2.0, 4.0, None]
    """
    capacities = ["charge_capacity_ah", "discharge_capacity_ah"]
    missing = [name for name in ("cycle_count", *capacities) if name not in cycles.columns]
    if missing:
        raise AnalysisError(f"columns {missing} not found; the cycle table has {cycles.columns}")
    if nominal_capacity_ah is not None and not nominal_capacity_ah > 0:
        raise AnalysisError(f"nominal_capacity_ah must be above 0, got {nominal_capacity_ah}")
    energies = ["charge_energy_wh", "discharge_energy_wh"]
    nothing = pl.repeat(None, cycles.height, dtype=pl.Float64, eager=True)
    charge = _running_sum(cycles, capacities)
    energy = _running_sum(cycles, energies) if set(energies) <= set(cycles.columns) else nothing
    full = charge / (2 * nominal_capacity_ah) if nominal_capacity_ah else nothing
    unknown = charge.is_null().arg_max() if charge.is_null().any() else None
    reason = None if unknown is None else f"what flowed in cycle {cycles['cycle_count'][unknown]} is unknown"
    return cycles.select("cycle_count").with_columns(
        charge.alias("throughput_ah"),
        energy.alias("throughput_wh"),
        full.alias("equivalent_full_cycles"),
        pl.when(charge.is_null()).then(pl.lit(reason, pl.String)).alias("reason"),
    )


def _running_sum(cycles: pl.DataFrame, names: list[str]) -> pl.Series:
    """Sum of columns up to each row, null from the first unknown value on."""
    part = cycles.select(pl.sum_horizontal(names, ignore_nulls=False).cast(pl.Float64)).to_series()
    unknown = part.is_null() | ~part.is_finite()
    return part.cum_sum().set(unknown.cum_max(), None)
