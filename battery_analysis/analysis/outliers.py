"""What stands out in a test: single wild cycles, jumps, sudden deaths, and records or cycles that are missing.

Every anomaly names the cycles and, where it is about records, their range, with the numbers that tell.

- ``outlier``: a cycle's value differs from the median of the others around it (``WINDOW`` cycles, moved along their
  median slope, so that fade is no outlier) by more than ``THRESHOLD`` scaled deviations (``robust``) of all such
  differences, and than as many usual changes from cycle to cycle there. 3.5 marks 1 in 2,000 of normal noise. However
  steady a cell is, a difference below ``LEAST`` is none: 0.5 % of a capacity, 0.001 of a coulombic and 0.005 of an
  energy efficiency, 5 mV, 1 K, 2 % of a resistance; 0.1 % of anything else.
- ``jump``: the medians of the ``SIDE`` cycles before and after differ by more than ``THRESHOLD`` scaled deviations and
  by more than ``LEAST_JUMP`` of the value, and than ``LEAST``. An outlier moves no median, and fade moves both sides
  alike: they must differ as much with what the trend on both sides explains taken off.
- ``sudden_death``: the discharge capacity falls within ``DEATH_CYCLES`` cycles below ``DEATH_FRACTION`` of the median
  of the ``SIDE`` cycles before, and never comes back. Nothing is looked for in what follows.
- ``missing_cycles``: numbers that the cycle table leaves out.
- ``gap``: intervals in which records or time are missing (``integration.gaps``).

A value that is the same in all cycles has no outliers, and a quantity with fewer than ``FEWEST`` known values is not
judged: ``unjudged`` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.findings import ranges_of
from battery_analysis.analysis.integration import gaps, pauses, record_jumps
from battery_analysis.analysis.records import FloatArray, IntArray, Records, cycle_column, has_values
from battery_analysis.analysis.robust import deviation, running_median, z_scores
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import CURRENT, TEST_TIME
from battery_analysis.errors import AnalysisError

Kind = Literal["outlier", "jump", "sudden_death", "missing_cycles", "gap"]

THRESHOLD = 3.5
WINDOW = 11
FEWEST = 8
SIDE = 5
LEAST_JUMP = 0.01
LEAST: dict[str, tuple[float, float]] = {
    "charge_capacity_ah": (0.0, 0.005),
    "discharge_capacity_ah": (0.0, 0.005),
    "coulombic_efficiency": (0.001, 0.0),
    "energy_efficiency": (0.005, 0.0),
    "mean_charge_voltage_volt": (0.005, 0.0),
    "mean_discharge_voltage_volt": (0.005, 0.0),
    "internal_resistance_ohm": (0.0, 0.02),
    "max_temperature_celsius": (1.0, 0.0),
}
"""Differences that are none, however regular the other cycles are: in the quantity's unit, and as a share of it."""
_LEAST_OF_OTHERS = (0.0, 0.001)
DEATH_FRACTION = 0.5
DEATH_CYCLES = 3
DYING_FRACTION = 0.9
"""Of the median of before: the last cycle above it is the last that lived."""

QUANTITIES = (
    "charge_capacity_ah",
    "discharge_capacity_ah",
    "coulombic_efficiency",
    "energy_efficiency",
    "mean_charge_voltage_volt",
    "mean_discharge_voltage_volt",
    "internal_resistance_ohm",
    "max_temperature_celsius",
)


@dataclass(frozen=True)
class Anomaly:
    """One thing that stands out.

    ``cycles`` are the numbers of its first and last cycle; ``records`` positions in the frame, both included, where it
    is about records. ``numbers`` have their units in their names, those of a quantity as its column has them.
    """

    kind: Kind
    message: str
    quantity: str | None = None
    cycles: tuple[int, int] | None = None
    records: tuple[int, int] | None = None
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Anomalies:
    """What was found, and which quantities could not be judged, each with the reason."""

    found: tuple[Anomaly, ...]
    unjudged: dict[str, str]

    def of(self, kind: Kind) -> tuple[Anomaly, ...]:
        """Only those of a kind."""
        return tuple(anomaly for anomaly in self.found if anomaly.kind == kind)


def find_anomalies(
    cycles: pl.DataFrame,
    quantities: Sequence[str] = QUANTITIES,
    *,
    threshold: float = THRESHOLD,
    window: int = WINDOW,
    left_out: Collection[int] = (),
) -> Anomalies:
    """Look for outliers, jumps, sudden deaths and missing cycles in a cycle table.

    Args:
        cycles: Table of ``summarise_cycles``, in order; incomplete cycles do not count.
        quantities: Columns to judge; those that the table lacks are left out, and said to be.
        threshold: Scaled deviations beyond which a value stands out.
        window: Cycles over which medians go, odd.
        left_out: Numbers of cycles that are there, but not judged: check-ups and other rates (``checkups``) would be
            the outliers.

    Raises:
        AnalysisError: The table has no cycle numbers, the threshold is not above 0, or the window not odd and above 2.

    Example:
        >>> cycles = pl.DataFrame({"cycle_count": range(1, 10), "discharge_capacity_ah": [1.0] * 4 + [0.3] + [1.0] * 4})
        >>> [(each.kind, each.cycles) for each in find_anomalies(cycles).found]
        [('outlier', (5, 5))]
    """
    if "cycle_count" not in cycles.columns:
        raise AnalysisError(f"column 'cycle_count' not found; the cycle table has {cycles.columns}")
    if not threshold > 0:
        raise AnalysisError(f"threshold must be above 0, got {threshold}")
    if window < 3 or window % 2 == 0:
        raise AnalysisError(f"window must be an odd number of cycles above 2, got {window}")
    complete = cycles.filter(pl.col("complete")) if "complete" in cycles.columns else cycles
    complete = complete.filter(~pl.col("cycle_count").is_in(list(left_out)))
    found: list[Anomaly] = []
    unjudged: dict[str, str] = {}
    for quantity in quantities:
        if quantity not in complete.columns:
            unjudged[quantity] = "the cycle table has no such column"
            continue
        usable = complete.filter(pl.col(quantity).is_finite())
        if usable.height < FEWEST:
            unjudged[quantity] = f"{counted(usable.height, 'complete cycle')} with a value, fewer than {FEWEST}"
            continue
        number = usable["cycle_count"].cast(pl.Int64).to_numpy()
        values = usable[quantity].cast(pl.Float64).to_numpy()
        death = _death(number, values) if quantity == "discharge_capacity_ah" else None
        lived = number.size if death is None else int(np.searchsorted(number, death.cycles[0] if death.cycles else 0))
        found += [death] if death else []
        jumps = _jumps(quantity, number[:lived], values[:lived], threshold)
        found += jumps
        found += _outliers(quantity, number[:lived], values[:lived], threshold, window)
    found += _missing(cycles["cycle_count"].cast(pl.Int64).to_numpy())
    return Anomalies(tuple(found), unjudged)


def cycle_z_scores(cycles: pl.DataFrame, quantity: str, *, window: int = WINDOW) -> pl.DataFrame:
    """Give each cycle's distance from the median of those around it, in scaled deviations of all such distances.

    Returns:
        ``cycle_count``, the quantity, ``expected`` (in its unit) and ``robust_z``; the last is null
        where the value is unknown, or where all distances are equal.

    Raises:
        AnalysisError: The table has no such column.
    """
    missing = [name for name in ("cycle_count", quantity) if name not in cycles.columns]
    if missing:
        raise AnalysisError(f"columns {missing} not found; the cycle table has {cycles.columns}")
    values = cycles[quantity].cast(pl.Float64).to_numpy()
    middle = np.full(values.size, np.nan)
    known = np.isfinite(values)
    middle[known] = _middle(values[known], window)
    return cycles.select("cycle_count", quantity).with_columns(
        pl.Series("expected", middle, nan_to_null=True),
        pl.Series("robust_z", z_scores(values - middle), nan_to_null=True),
    )


def find_gaps(frame: pl.DataFrame, *, continuation: bool = False) -> tuple[Anomaly, ...]:
    """List the intervals of a test in which records or time are missing (``integration.gaps``).

    Args:
        frame: Canonical time series in time order.
        continuation: The first record goes on from another file.

    Returns:
        One anomaly for each stretch of such intervals, with its length in s and how much the record number jumped.

    Raises:
        AnalysisError: No time or no current was recorded.

    Example:
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 1.0, 2.0, 9.0], "current_ampere": [1.0] * 4, "record_index": [1, 2, 3, 10]})
        >>> [(gap.records, gap.numbers["missing_records"]) for gap in find_gaps(frame)]
        [((2, 3), 6.0)]
    """
    for column in (TEST_TIME, CURRENT):
        if not has_values(frame, column.name):
            raise AnalysisError(f"{column.name}: no values; gaps are looked for in a time series with a current")
    records = Records.of(frame, continuation=continuation)
    jumped, paused = set(record_jumps(records).tolist()), set(pauses(records).tolist())
    cycle = frame[name] if (name := cycle_column(frame)) else None
    found = []
    for first, last in ranges_of(gaps(records)):
        inside = range(first, last + 1)
        why = [
            text
            for text, some in (
                ("record numbers are left out", any(record in jumped for record in inside)),
                ("the wall clock ran on without the test time", any(record in paused for record in inside)),
            )
            if some
        ]
        seconds = float(records.time[last] - records.time[max(first - 1, 0)])
        numbers = {
            "seconds": seconds,
            "current_change_ampere": float(records.current[last] - records.current[first - 1]),
        }
        if jumped & set(inside):
            index = frame["record_index"]
            numbers["missing_records"] = float(index[last] - index[first - 1] - (last - first + 1))
        span = None
        if cycle is not None and cycle[first - 1] is not None and cycle[last] is not None:
            span = (int(cycle[first - 1]), int(cycle[last]))
        reason = " and ".join(why) or "the clock was repaired, or the current changed unseen during a long silence"
        found.append(
            Anomaly("gap", f"{reason}, over {seconds:.6g} s of test time", None, span, (first - 1, last), numbers)
        )
    return tuple(found)


def _outliers(quantity: str, number: IntArray, values: FloatArray, threshold: float, window: int) -> list[Anomaly]:
    if values.size < FEWEST:
        return []
    middle = _middle(values, window)
    away = np.abs(values - middle)
    scores = z_scores(values - middle)
    usual = running_median(np.abs(np.diff(values, append=values[-1])), window)
    wild = np.flatnonzero((np.abs(scores) > threshold) & (away > threshold * usual) & (away > _least(quantity, middle)))
    return [
        Anomaly(
            "outlier",
            f"{quantity} {values[place]:.6g} in cycle {number[place]}, around it {middle[place]:.6g}",
            quantity,
            (int(number[place]), int(number[place])),
            numbers={
                quantity: float(values[place]),
                f"expected_{quantity}": float(middle[place]),
                "robust_z": float(scores[place]),
            },
        )
        for place in wild
    ]


def _least(quantity: str, values: FloatArray) -> FloatArray:
    """Differences from these values that are none."""
    absolute, share = LEAST.get(quantity, _LEAST_OF_OTHERS)
    return np.maximum(absolute, share * np.abs(values))


def _middle(values: FloatArray, window: int) -> FloatArray:
    """Median of the other values in a window around each, moved along their median slope to its place.

    >>> _middle(np.array([1.0, 2.0, 30.0, 4.0, 5.0]), 3).tolist()
    [1.0, 15.5, 3.0, 17.5, 5.0]
    """
    half = window // 2
    middle = np.full(values.size, np.nan)
    if values.size >= window:
        around = np.lib.stride_tricks.sliding_window_view(values, window)
        middle[half : values.size - half] = _at(around, half)
    for place in {*range(min(half, values.size)), *range(max(0, values.size - half), values.size)}:
        first, end = max(0, place - half), min(values.size, place + half + 1)
        middle[place] = _at(values[None, first:end], place - first)[0] if end - first > 2 else values[place]
    return middle


def _at(around: FloatArray, place: int) -> FloatArray:
    """What the others of each row lead to expect at a place in it."""
    slope = np.median(np.diff(around, axis=1), axis=1)
    level = around + slope[:, None] * (place - np.arange(around.shape[1]))
    expected: FloatArray = np.median(np.delete(level, place, axis=1), axis=1)
    return expected


def _jumps(quantity: str, number: IntArray, values: FloatArray, threshold: float) -> list[Anomaly]:
    """Cycles from which on the level is another."""
    places = np.arange(SIDE, values.size - SIDE + 1)
    if not places.size:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(values, SIDE)
    before, after = windows[places - SIDE], windows[places]
    height = np.median(after, axis=1) - np.median(before, axis=1)
    # What a trend on both sides explains: the medians are SIDE cycles apart.
    trend = SIDE * 0.5 * (np.median(np.diff(before, axis=1), axis=1) + np.median(np.diff(after, axis=1), axis=1))
    size = np.minimum(np.abs(height), np.abs(height - trend))
    noise = deviation(np.diff(values)) / np.sqrt(2)
    level = np.median(before, axis=1)
    clear = (size > threshold * noise) & (size > LEAST_JUMP * np.abs(level)) & (size > _least(quantity, level))
    clear &= np.ptp(before, axis=1) + np.ptp(after, axis=1) < 2 * size  # a wild cycle at the edge is no jump
    found = []
    for first, last in ranges_of(np.flatnonzero(clear)):
        best = first + int(np.argmax(np.abs(np.diff(values)[places[first : last + 1] - 1])))
        place = int(places[best])
        low, high = float(np.median(before[best])), float(np.median(after[best]))
        found.append(
            Anomaly(
                "jump",
                f"{quantity} goes from {low:.6g} to {high:.6g} between cycles {number[place - 1]} and {number[place]}",
                quantity,
                (int(number[place - 1]), int(number[place])),
                numbers={f"before_{quantity}": low, f"after_{quantity}": high},
            )
        )
    return found


def _death(number: IntArray, values: FloatArray) -> Anomaly | None:
    """Fall of the capacity from which it does not come back."""
    best_to_come = np.maximum.accumulate(values[::-1])[::-1]
    before = np.lib.stride_tricks.sliding_window_view(values, SIDE)[:-1] if values.size > SIDE else np.empty((0, SIDE))
    usual = np.append(np.full(SIDE, np.nan), np.median(before, axis=1))
    dead = np.flatnonzero(best_to_come < DEATH_FRACTION * usual)
    if not dead.size:
        return None
    place, level = int(dead[0]), float(usual[dead[0]])
    alive = int(np.flatnonzero(values[:place] >= DYING_FRACTION * level)[-1])
    if place - alive > DEATH_CYCLES:
        return None  # a fade that went on for longer
    numbers = {"before_discharge_capacity_ah": level, "after_discharge_capacity_ah": float(values[place])}
    return Anomaly(
        "sudden_death",
        f"discharge capacity falls from {level:.4g} Ah to {values[place]:.4g} Ah "
        f"between cycles {number[alive]} and {number[place]}, and stays below half",
        "discharge_capacity_ah",
        (int(number[place]), int(number[-1])),
        numbers=numbers,
    )


def _missing(number: IntArray) -> list[Anomaly]:
    left = np.flatnonzero(np.diff(number) > 1)
    return [
        Anomaly(
            "missing_cycles",
            f"no cycle between {number[place]} and {number[place + 1]}",
            None,
            (int(number[place]) + 1, int(number[place + 1]) - 1),
            numbers={"missing_cycles": float(number[place + 1] - number[place] - 1)},
        )
        for place in left
    ]
