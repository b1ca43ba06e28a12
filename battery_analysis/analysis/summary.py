"""Quantities of a whole test, from its cycle table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from battery_analysis.analysis.records import has_values
from battery_analysis.columns import TEST_TIME

CYCLE_LIFE_FRACTION = 0.8


@dataclass(frozen=True)
class TestSummary:
    """What one test amounts to. None where it is not known.

    Initial and final capacity are the discharge capacities of the first and last complete cycle, retention is their
    ratio, efficiencies are means over complete cycles. ``cycle_life_80`` is the number of the first of two successive
    complete cycles below 80 % of the initial capacity. ``c_rates`` are the mean charge and discharge
    currents of the cycles over the nominal capacity, in 1/h, each rate once, rounded to two digits.
    """

    __test__ = False  # not a test class, whatever its name

    cycle_count: int
    initial_capacity_ah: float | None = None
    final_capacity_ah: float | None = None
    capacity_retention: float | None = None
    mean_coulombic_efficiency: float | None = None
    mean_energy_efficiency: float | None = None
    mean_voltage_efficiency: float | None = None
    median_internal_resistance_ohm: float | None = None
    cycle_life_80: int | None = None
    throughput_ah: float | None = None
    throughput_wh: float | None = None
    duration_second: float | None = None
    c_rates: tuple[float, ...] | None = None


def summarise_test(
    cycles: pl.DataFrame, frame: pl.DataFrame | None = None, *, nominal_capacity_ah: float | None = None
) -> TestSummary:
    """Reduce a cycle table to the quantities of its test.

    Args:
        cycles: Table of ``summarise_cycles``.
        frame: The records, for the duration of a test without cycles.
        nominal_capacity_ah: Capacity that counts as 1C; without it there are no C-rates.

    Example:
        >>> cycles = pl.DataFrame({
        ...     "cycle_count": [1, 2, 3], "complete": [True, True, True],
        ...     "charge_capacity_ah": [2.0, 1.5, 1.5], "discharge_capacity_ah": [2.0, 1.5, 1.5],
        ... })
        >>> summary = summarise_test(cycles)
        >>> summary.capacity_retention, summary.cycle_life_80, summary.throughput_ah
        (0.75, 2, 10.0)
    """
    complete = cycles.filter(pl.col("complete"))
    capacity = complete["discharge_capacity_ah"].drop_nulls()
    initial, final = (capacity[0], capacity[-1]) if capacity.len() else (None, None)
    return TestSummary(
        cycle_count=cycles.height,
        initial_capacity_ah=initial,
        final_capacity_ah=final,
        capacity_retention=final / initial if initial and final is not None else None,
        mean_coulombic_efficiency=_mean(complete, "coulombic_efficiency"),
        mean_energy_efficiency=_mean(complete, "energy_efficiency"),
        mean_voltage_efficiency=_mean(complete, "voltage_efficiency"),
        median_internal_resistance_ohm=_median(cycles, "internal_resistance_ohm"),
        cycle_life_80=cycle_life_below(complete, CYCLE_LIFE_FRACTION * initial) if initial else None,
        throughput_ah=_throughput(cycles, "capacity_ah"),
        throughput_wh=_throughput(cycles, "energy_wh"),
        duration_second=_duration(cycles, frame),
        c_rates=_c_rates(cycles, nominal_capacity_ah),
    )


def _mean(cycles: pl.DataFrame, name: str) -> float | None:
    return float(np.mean(cycles[name].drop_nulls().to_numpy())) if has_values(cycles, name) else None


def _median(cycles: pl.DataFrame, name: str) -> float | None:
    return float(np.median(cycles[name].drop_nulls().to_numpy())) if has_values(cycles, name) else None


def cycle_life_below(complete: pl.DataFrame, threshold_ah: float) -> int | None:
    """Number of the first of two successive complete cycles whose discharge capacity is below a threshold.

    >>> cycles = pl.DataFrame({"cycle_count": [1, 2, 3, 4], "discharge_capacity_ah": [1.0, 0.7, 0.7, 0.7]})
    >>> cycle_life_below(cycles, 0.8), cycle_life_below(cycles, 0.6)
    (2, None)
    """
    below = (complete["discharge_capacity_ah"] < threshold_ah).fill_null(False)
    twice = (below & below.shift(-1, fill_value=False)).arg_max() if below.any() else None
    if twice is None or not (below[twice] and twice + 1 < below.len() and below[twice + 1]):
        return None
    return int(complete["cycle_count"][twice])


def _throughput(cycles: pl.DataFrame, quantity: str) -> float | None:
    """Everything charged and discharged; None where a cycle's part of it is unknown."""
    names = [name for name in (f"charge_{quantity}", f"discharge_{quantity}") if name in cycles.columns]
    if not names or not cycles.height or any(cycles[name].null_count() for name in names):
        return None
    return float(sum(cycles[name].sum() for name in names))


def _duration(cycles: pl.DataFrame, frame: pl.DataFrame | None) -> float | None:
    if frame is not None and has_values(frame, TEST_TIME.name):
        time = frame[TEST_TIME.name].drop_nulls()
        return float(time[-1] - time[0])
    if has_values(cycles, "end_time_second"):
        return float(cycles.select(pl.col("end_time_second").max() - pl.col("start_time_second").min()).item())
    return None


def _c_rates(cycles: pl.DataFrame, nominal_capacity_ah: float | None) -> tuple[float, ...] | None:
    if not nominal_capacity_ah or not cycles.height:
        return None
    rates: set[float] = set()
    for half in ("charge", "discharge"):
        hours = cycles[f"{half}_time_second"].to_numpy() / 3600
        amount = cycles[f"{half}_capacity_ah"].to_numpy()
        known = (hours > 0) & (amount > 0)
        rates.update(float(f"{rate:.2g}") for rate in amount[known] / hours[known] / nominal_capacity_ah)
    return tuple(sorted(rates))
