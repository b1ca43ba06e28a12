"""Differential capacity dQ/dV and differential voltage dV/dQ of half cycles, and what changed between cycles.

Both are mean slopes over the cells of one uniform grid for all half cycles of a test, smoothed by a stated
``Smoother``. They are positive in both directions: charge that is taken out counts as negative, and so does the fall of
the voltage. Where the voltage moves against the current dV/dQ is negative.

dQ/dV (Ah/V). The charge of each record is spread evenly over the voltages between the record before it and itself;
what falls into a cell, divided by its height, is dQ/dV. No charge is lost or counted twice, whatever the voltage
does: noise moves charge to neighbouring cells, a plateau fills few cells, and a voltage that stays the same (as a
resolution of, say, 1 mV makes it do) spreads its charge over that resolution. Cells that a half cycle does not
cover in full are left out.

dV/dQ (V/Ah). The mean voltage of each cell of charge is the integral of the voltage, linear between records, over the
cell; the difference of neighbouring cells over the step is dV/dQ. Its axis is the charge moved since the first record
of the half cycle.

Left out are: the part in which the voltage is held at the end (dV is zero there, dQ/dV none); and for dQ/dV the
interval of the first record of a step, over which the voltage jumps by the resistance. Currents are taken as
small: resistance shifts the curves along the voltage by I·R, by as much to the other side in the other direction.

Uncertainty: ``error`` is the standard error that noise leaves in a smoothed value, from what the smoother took away
around it. Systematic is what smoothing does to peaks narrower than its width (``smoothing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from battery_analysis.analysis.halves import HalfCycles, half_cycles
from battery_analysis.analysis.records import FloatArray, IntArray
from battery_analysis.analysis.smoothing import Smoother, errors_of
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import CURRENT, VOLTAGE
from battery_analysis.errors import AnalysisError

DQDV = "dqdv_ah_per_volt"
DVDQ = "dvdq_volt_per_ah"
ERRORS = {DQDV: "dqdv_error_ah_per_volt", DVDQ: "dvdq_error_volt_per_ah"}

STEP_VOLT = 0.002
CELLS_OF_CAPACITY = 500
FEWEST_RECORDS = 5

_ROWS_AT_ONCE = 256
_MOST_CELLS = 100_000
_SAME_VOLT = 1e-9


@dataclass(frozen=True)
class DifferentialCurves:
    """Curves of many half cycles on one grid.

    ``curves`` has ``half_cycle``, ``cycle_count``, ``direction``, the axis ``x`` (``voltage_volt`` or ``capacity_ah``)
    and the values ``y`` (``dqdv_ah_per_volt`` or ``dvdq_volt_per_ah``) with their standard errors ``error`` (null where
    nothing is smoothed). ``halves`` has every half cycle that was asked for: ``half_cycle``, ``cycle_count``,
    ``direction``, ``points`` of its curve, and ``reason`` where it has none. ``step`` is that of the grid.
    """

    curves: pl.DataFrame
    halves: pl.DataFrame
    x: str
    y: str
    error: str
    step: float
    smoother: Smoother


@dataclass(frozen=True)
class _Block:
    """Raw slopes, one half cycle a row; each row's own lie from ``first`` to before ``end``. ``axis`` is the grid."""

    values: FloatArray
    first: IntArray
    end: IntArray
    axis: FloatArray


@dataclass(frozen=True)
class _Part:
    """Records of some half cycles that count for a curve; ``row`` is the half cycle within the part."""

    rows: int
    row: IntArray
    moved: FloatArray
    voltage: FloatArray
    joined: IntArray
    """Records (positions in the part) whose interval begins at the record before them."""


def dqdv(
    data: pl.DataFrame | HalfCycles,
    *,
    step_volt: float = STEP_VOLT,
    smoother: Smoother | None = None,
    cycles: Sequence[int] | None = None,
) -> DifferentialCurves:
    """Differentiate capacity by voltage on a uniform grid of voltage.

    Args:
        data: Canonical time series with ``test_time_second``, ``current_ampere``, ``voltage_volt``, or its half cycles.
        step_volt: Height of a cell, in V. The grid's points are the middles of cells that begin at 0 V.
        smoother: How curves are smoothed; by default a Gaussian five steps wide. Its width is in V.
        cycles: Numbers of the cycles that are asked for; all by default.

    Raises:
        AnalysisError: There is no half cycle, no voltage, or none of these cycles; or the step is not above 0.

    Example:
        1 Ah between 3 V and 4 V at an even pace is 1 Ah/V:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [36.0 * i for i in range(101)], "current_ampere": [1.0] * 101,
        ...     "voltage_volt": [3 + 0.01 * i for i in range(101)], "cycle_count": [1] * 101,
        ... })
        >>> curves = dqdv(frame, step_volt=0.05).curves
        >>> curves["dqdv_ah_per_volt"].round(6).unique().to_list()
        [1.0]
    """
    halves = _half_cycles(data)
    _positive("step_volt", step_volt)
    return _curves(halves, "voltage_volt", DQDV, step_volt, smoother or Smoother(), cycles)


def dvdq(
    data: pl.DataFrame | HalfCycles,
    *,
    step_ah: float | None = None,
    smoother: Smoother | None = None,
    cycles: Sequence[int] | None = None,
) -> DifferentialCurves:
    """Differentiate voltage by capacity on a uniform grid of capacity.

    Args:
        data: Canonical time series with ``test_time_second``, ``current_ampere``, ``voltage_volt``, or its half cycles.
        step_ah: Width of a cell, in Ah; by default a 500th of the largest half cycle.
        smoother: How curves are smoothed; by default a Gaussian five steps wide. Its width is in Ah.
        cycles: Numbers of the cycles that are asked for; all by default.

    Raises:
        AnalysisError: There is no half cycle, no voltage, or none of these cycles; or the step is not above 0.

    Example:
        1 Ah between 4 V and 3 V at an even pace is 1 V/Ah, also on discharge:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [36.0 * i for i in range(101)], "current_ampere": [-1.0] * 101,
        ...     "voltage_volt": [4 - 0.01 * i for i in range(101)], "cycle_count": [1] * 101,
        ... })
        >>> curves = dvdq(frame, step_ah=0.05).curves
        >>> curves["dvdq_volt_per_ah"].round(6).unique().to_list()
        [1.0]
    """
    halves = _half_cycles(data)
    if step_ah is None:
        step_ah = float(np.bincount(halves.half, halves.moved).max()) / CELLS_OF_CAPACITY
    _positive("step_ah", step_ah)
    return _curves(halves, "capacity_ah", DVDQ, step_ah, smoother or Smoother(), cycles)


def change_from(curves: DifferentialCurves, cycle: int) -> pl.DataFrame:
    """Subtract the curves of one cycle from those of all others, by direction, where both have a value.

    Args:
        curves: Curves of ``dqdv`` or ``dvdq``.
        cycle: Number of the cycle to compare with; of several half cycles of a direction its first counts.

    Returns:
        ``half_cycle``, ``cycle_count``, ``direction``, the axis, and ``change_…`` in the unit of the values.

    Raises:
        AnalysisError: That cycle has no curve.
    """
    of_cycle = curves.curves.filter(pl.col("cycle_count") == cycle)
    first = pl.col("half_cycle") == pl.col("half_cycle").min().over("direction")
    reference = of_cycle.filter(first)
    if not reference.height:
        reasons = curves.halves.filter(pl.col("cycle_count") == cycle)["reason"].drop_nulls().to_list()
        raise AnalysisError(f"cycle {cycle} has no curve to compare with: {'; '.join(reasons) or 'no such cycle'}")
    # All curves lie on one grid, so that equal places are equal numbers.
    reference = reference.select("direction", curves.x, pl.col(curves.y).alias("reference"))
    change = (pl.col(curves.y) - pl.col("reference")).alias(f"change_{curves.y}")
    joined = curves.curves.join(reference, on=["direction", curves.x], maintain_order="left")
    return joined.select("half_cycle", "cycle_count", "direction", curves.x, change)


def _half_cycles(data: pl.DataFrame | HalfCycles) -> HalfCycles:
    halves = data if isinstance(data, HalfCycles) else half_cycles(data)
    if np.isnan(halves.voltage).all():
        raise AnalysisError(f"{VOLTAGE.name}: no values; {CURRENT.name} alone has no differential capacity")
    return halves


def _positive(name: str, value: float) -> None:
    if not (value > 0 and np.isfinite(value)):
        raise AnalysisError(f"{name} must be above 0, got {value}")


def _curves(
    halves: HalfCycles, x: str, y: str, step: float, smoother: Smoother, cycles: Sequence[int] | None
) -> DifferentialCurves:
    table = halves.table if cycles is None else halves.table.filter(pl.col("cycle_count").is_in(list(cycles)))
    if not table.height:
        known = halves.table["cycle_count"]
        raise AnalysisError(
            f"none of the cycles {list(cycles or ())} has a half cycle; there are {known.unique().len()}"
        )
    asked = table["half_cycle"].to_numpy()
    unusable = table["has_gap"].to_numpy() & table["capacity_ah"].is_null().to_numpy()
    parts, points = [], np.zeros(asked.size, dtype=np.int64)
    reasons: list[str | None] = [None] * asked.size
    resolution = _resolution(halves)
    for begin in range(0, asked.size, _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        part = _part(halves, asked[rows])
        records = np.bincount(part.row, minlength=part.rows)
        block = _by_voltage(part, step, resolution) if y == DQDV else _by_capacity(part, step, table["direction"][rows])
        hopeless = unusable[rows] | (records < FEWEST_RECORDS)
        end = np.where(hopeless, block.first, block.end)
        smoothed = smoother.smooth(block.values, block.first, end, step)
        given = ~np.isnan(smoothed)
        points[rows] = np.count_nonzero(given, axis=1)
        errors = errors_of(block.values, smoothed, smoother, step)
        parts.append((np.broadcast_to(block.axis, given.shape)[given], smoothed[given], errors[given]))
        for index in np.flatnonzero(points[rows] == 0):
            cells = int(block.end[index] - block.first[index])
            gap = bool(unusable[begin + index])
            reasons[begin + index] = _reason(gap, int(records[index]), cells, smoother.points(step), step, x)
    axis, values, error = (np.concatenate([part[number] for part in parts]) for number in range(3))
    place = np.repeat(asked, points)
    curves = pl.DataFrame({"half_cycle": place}).with_columns(
        halves.table["cycle_count"].gather(place),
        halves.table["direction"].gather(place),
        pl.Series(x, axis),
        pl.Series(y, values),
        pl.Series(ERRORS[y], error, nan_to_null=True),
    )
    told = table.select("half_cycle", "cycle_count", "direction").with_columns(
        pl.Series("points", points),
        pl.Series("reason", reasons, dtype=pl.String),
    )
    return DifferentialCurves(curves, told, x, y, ERRORS[y], step, smoother)


def _reason(gap: bool, records: int, cells: int, fewest: int, step: float, x: str) -> str:
    unit = "V" if x == "voltage_volt" else "Ah"
    if gap:
        return "a gap in the records: what flowed there is unknown"
    if records < FEWEST_RECORDS:
        return f"{counted(records, 'record')} before the voltage is held, fewer than {FEWEST_RECORDS}"
    return f"spans {counted(max(cells, 0), 'step')} of {step:.4g} {unit}, the smoother needs {fewest}"


def _part(halves: HalfCycles, asked: IntArray) -> _Part:
    """Records of some half cycles without those at which the voltage is held."""
    begin, end = np.searchsorted(halves.half, [asked[0], asked[-1] + 1])
    span = slice(int(begin), int(end))
    row_of = np.full(int(asked[-1] - asked[0]) + 1, -1, dtype=np.int64)
    row_of[asked - asked[0]] = np.arange(asked.size)
    row = row_of[halves.half[span] - asked[0]]
    chosen = np.flatnonzero((row >= 0) & ~halves.held[span] & ~np.isnan(halves.voltage[span]))
    row, record = row[chosen], halves.record[span][chosen]
    follows = np.zeros(row.size, dtype=np.bool_)
    follows[1:] = (np.diff(record) == 1) & (np.diff(row) == 0)
    joined = np.flatnonzero(follows & ~halves.first[span][chosen])
    return _Part(asked.size, row, halves.moved[span][chosen], halves.voltage[span][chosen], joined)


def _resolution(halves: HalfCycles) -> float:
    """Resolution of the recorded voltage in V: what all but the smallest hundredth of its steps exceed."""
    steps = np.abs(np.diff(halves.voltage))
    steps = steps[steps > _SAME_VOLT]
    return float(np.quantile(steps, 0.01)) if steps.size else 0.0


def _by_voltage(part: _Part, step: float, resolution: float) -> _Block:
    """Charge per volt in the cells of a grid of voltage."""
    low = np.minimum(part.voltage[part.joined - 1], part.voltage[part.joined])
    high = np.maximum(part.voltage[part.joined - 1], part.voltage[part.joined])
    row, moved = part.row[part.joined], part.moved[part.joined]
    least, most = np.full(part.rows, np.inf), np.full(part.rows, -np.inf)
    np.minimum.at(least, row, low)
    np.maximum.at(most, row, high)
    empty = ~np.isfinite(least)
    least[empty], most[empty] = 0.0, 0.0
    same = high - low < _SAME_VOLT
    low = np.where(same, low - resolution / 2, low) / step
    high = np.where(same, high + resolution / 2, high) / step
    # A hair's breadth decides no cell: 3.0 V lies at the edge of one, however it is rounded.
    first, end = np.ceil(least / step - 1e-6).astype(np.int64), np.floor(most / step + 1e-6).astype(np.int64)
    base = int(np.floor(low.min())) if low.size else 0
    cells = int(np.floor(high.max())) + 3 - base if high.size else 1
    if cells > _MOST_CELLS:
        raise AnalysisError(f"step of {step} V cuts the voltage into {cells} cells, more than {_MOST_CELLS}")
    values = _spread(low - base, high - base, moved, row, (part.rows, cells)) / step
    first, end = np.clip(first - base, 0, cells), np.clip(end - base, 0, cells)
    return _Block(values, first, np.maximum(first, end), step * np.arange(base + 0.5, base + cells))


def _spread(low: FloatArray, high: FloatArray, amount: FloatArray, row: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Spread amounts evenly between two places each, in cells, and add up what falls into each cell of each row.

    >>> _spread(np.array([0.5]), np.array([2.5]), np.array([4.0]), np.array([0]), (1, 4)).tolist()
    [[1.0, 2.0, 1.0, 0.0]]
    """
    width = shape[1]
    cell = np.floor(low).astype(np.int64)
    over = (np.floor(high) > cell) & (high - low > 1e-6)
    size = shape[0] * width
    total = np.bincount((row * width + cell)[~over], amount[~over], size).astype(np.float64, copy=False)
    # Over several cells: even from the edge on where it begins, taken back from the edge on where it ends.
    rate, at = amount[over] / (high[over] - low[over]), row[over] * width
    even = np.zeros(size)
    for place, sign in ((low[over], 1.0), (high[over], -1.0)):
        edge = np.ceil(place)
        before = at + edge.astype(np.int64)
        even += np.bincount(before, sign * rate, size)
        total += np.bincount(np.maximum(before - 1, 0), sign * rate * (edge - place), size)
    return total.reshape(shape) + np.cumsum(even.reshape(shape), axis=1)


def _by_capacity(part: _Part, step: float, direction: pl.Series) -> _Block:
    """Volts per charge between the cells of a grid of capacity."""
    begins = np.flatnonzero(np.diff(part.row, prepend=-1))
    moved = part.moved.copy()
    moved[begins] = 0.0  # counted from the first record
    through = np.cumsum(moved)
    capacity = through - np.repeat(through[begins], np.diff([*begins, moved.size]))
    last = np.zeros(part.rows)
    np.maximum.at(last, part.row, capacity)
    counts = np.floor(last / step + 1e-6).astype(np.int64)
    cells = int(counts.max(initial=0))
    if cells > _MOST_CELLS:
        raise AnalysisError(f"step of {step} Ah cuts the capacity into {cells} cells, more than {_MOST_CELLS}")
    means = np.full((part.rows, cells + 1), np.nan)
    for start, end in pairwise([*begins.tolist(), moved.size]):
        row = part.row[start]
        count = int(counts[row])
        edges: FloatArray = step * np.arange(count + 1.0)
        means[row, :count] = np.diff(_integral(capacity[start:end], part.voltage[start:end], edges)) / step
    way = np.where((direction == "charge").to_numpy(), 1.0, -1.0)
    values = np.diff(means, axis=1) / step * way[:, None]
    ends = np.maximum(counts - 1, 0)
    edges = step * np.arange(1.0, values.shape[1] + 1)
    return _Block(values, np.zeros(part.rows, dtype=np.int64), ends, edges)


def _integral(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    """Integral of a line through points from the first of them up to each place.

    >>> _integral(np.array([0.0, 2.0]), np.array([1.0, 3.0]), np.array([0.0, 1.0, 2.0])).tolist()
    [0.0, 1.5, 4.0]
    """
    whole = np.append(0.0, np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    before = np.clip(np.searchsorted(x, at, side="right") - 1, 0, max(x.size - 2, 0))
    after = np.minimum(before + 1, x.size - 1)
    beyond = np.minimum(at, x[-1]) - x[before]
    width = x[after] - x[before]
    slope = np.divide(y[after] - y[before], width, out=np.zeros_like(width), where=width > 0)
    integral: FloatArray = whole[before] + beyond * (y[before] + slope * beyond / 2)
    return integral
