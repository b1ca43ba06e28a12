"""Peaks of differential curves: where they are, how high and wide, what they hold, and which is which over cycles.

A peak is a local maximum that stands out of its surroundings (its prominence) by a share of the curve's largest value,
and by three standard errors of its highest point.

- position and height: vertex of the parabola fitted to the top quarter of the prominence (three points at least)
- width: at half of the prominence, lines between points
- area: between the valleys on both sides (the lowest points before the next peaks, or the ends of the curve), above
  the straight line between them. For dQ/dV it is a capacity, for dV/dQ a voltage. A curve that runs below that line
  more than above it, as a narrow peak on a sagging flank does, holds none: null, with the reason.

Standard errors of position and height are what noise of the raw curve does to the fit, through the smoother, if it is
independent from point to point. Noise of the voltage is not: what it takes from one cell it gives to the next, so that
errors of dQ/dV are upper bounds (of simulated cells with 0.1 mV of noise positions scatter by a fifth of them). The
bias of smoothing comes on top: it lowers and widens peaks that are not much wider than the smoother.

Tracking: each cycle's peaks are assigned to those seen before, last positions first, so that the sum of the shifts is
smallest and none exceeds the largest that is allowed. What fits none begins a new track. A track waits when its
peak is not seen for a while. Charge and discharge are tracked apart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from battery_analysis.analysis.differential import DQDV, DifferentialCurves
from battery_analysis.analysis.records import FloatArray, IntArray
from battery_analysis.errors import AnalysisError

PROMINENCE_FRACTION = 0.05
TOP_FRACTION = 0.25
ERRORS_OF_PROMINENCE = 3.0


def find_peaks(
    curves: DifferentialCurves,
    *,
    min_prominence_fraction: float = PROMINENCE_FRACTION,
    max_shift: float | None = None,
) -> pl.DataFrame:
    """Find the peaks of each curve, and track them over cycles.

    Args:
        curves: Curves of ``dqdv`` or ``dvdq``.
        min_prominence_fraction: Least prominence, as a share of the curve's largest value.
        max_shift: Furthest that a peak moves from one cycle to the next in which it is seen, in the unit of the
            axis; by default fifteen steps of the grid.

    Returns:
        One row per peak, by half cycle and position: ``half_cycle``, ``cycle_count``, ``direction``, ``peak`` (number
        of the track, from 1 in each direction), then for dQ/dV ``position_volt``, ``position_error_volt``,
        ``height_ah_per_volt``, ``height_error_ah_per_volt``, ``width_volt``, ``area_ah``; for dV/dQ
        ``position_ah``, … ``height_volt_per_ah``, … ``width_ah``, ``area_volt``; and ``reason``, where there is no
        area. Errors are null where those of the curve are.

    Raises:
        AnalysisError: The prominence is not between 0 and 1, or the shift not above 0.

    Example:
        A cell that takes half of its charge at 3.5 V:

        >>> from battery_analysis.analysis.differential import dqdv
        >>> volt = np.linspace(3.0, 4.0, 501)
        >>> charge = 0.5 * (volt - 3.0) + 0.25 * (1 + np.tanh((volt - 3.5) / 0.05))
        >>> frame = pl.DataFrame({
        ...     "test_time_second": 3600.0 * charge, "current_ampere": np.ones(501),
        ...     "voltage_volt": volt, "cycle_count": np.ones(501, dtype=int),
        ... })
        >>> find_peaks(dqdv(frame))["position_volt"].round(4).to_list()
        [3.5]
    """
    if not 0 < min_prominence_fraction < 1:
        raise AnalysisError(f"min_prominence_fraction must be between 0 and 1, got {min_prominence_fraction}")
    if max_shift is None:
        max_shift = 15 * curves.step
    if not max_shift > 0:
        raise AnalysisError(f"max_shift must be above 0, got {max_shift}")
    response = curves.smoother.response(curves.step)
    half = curves.curves["half_cycle"].to_numpy()
    x, y, error = (curves.curves[name].to_numpy() for name in (curves.x, curves.y, curves.error))
    begins = np.flatnonzero(np.diff(half, prepend=-1))
    rows: list[dict[str, Any]] = []
    for begin, end in pairwise([*begins.tolist(), half.size]):
        own = slice(begin, end)
        for found in _peaks(x[own], y[own], error[own], curves, response, min_prominence_fraction):
            rows.append({"half_cycle": int(half[begin]), **found})
    table = pl.DataFrame(rows, schema=_schema(curves) | {"reason": pl.String}, orient="row")
    named = table.join(
        curves.halves.select("half_cycle", "cycle_count", "direction"), on="half_cycle", maintain_order="left"
    )
    return _tracked(named, f"position_{_units(curves)[0]}", max_shift)


def _units(curves: DifferentialCurves) -> tuple[str, str, str]:
    """Units of axis, values and areas, as in names of columns."""
    return ("volt", "ah_per_volt", "ah") if curves.y == DQDV else ("ah", "volt_per_ah", "volt")


def _schema(curves: DifferentialCurves) -> dict[str, type[pl.DataType]]:
    axis, value, area = _units(curves)
    names = (
        f"position_{axis}",
        f"position_error_{axis}",
        f"height_{value}",
        f"height_error_{value}",
        f"width_{axis}",
        f"area_{area}",
    )
    return {"half_cycle": pl.Int64, **dict.fromkeys(names, pl.Float64)}


def _peaks(
    x: FloatArray,
    y: FloatArray,
    error: FloatArray,
    curves: DifferentialCurves,
    response: FloatArray,
    fraction: float,
) -> list[dict[str, Any]]:
    from scipy.signal import find_peaks as local_maxima
    from scipy.signal import peak_widths

    if not y.max() > 0:
        return []
    least = np.fmax(fraction * float(y.max()), ERRORS_OF_PROMINENCE * error)
    at, told = local_maxima(y, prominence=least)
    if not at.size:
        return []
    widths = peak_widths(y, at, 0.5, (told["prominences"], told["left_bases"], told["right_bases"]))[0] * curves.step
    valleys = _valleys(y, at)
    names = list(_schema(curves))[1:]
    found: list[dict[str, Any]] = []
    for number, place in enumerate(at):
        low, high = valleys[number], valleys[number + 1]
        line = np.interp(x[low : high + 1], x[[low, high]], y[[low, high]])
        area = float(np.trapezoid(y[low : high + 1] - line, dx=curves.step))
        vertex = _vertex(y, int(place), float(told["prominences"][number]), response, float(error[place]))
        values = (
            float(x[place]) + vertex.offset * curves.step,
            None if vertex.offset_error is None else vertex.offset_error * curves.step,
            vertex.height,
            vertex.height_error,
            float(widths[number]),
            area if area > 0 else None,
        )
        why = None if area > 0 else "no area: most of the curve lies below the line between the valleys"
        found.append({**dict(zip(names, values, strict=True)), "reason": why})
    return found


class _Vertex(NamedTuple):
    """Vertex of a peak: points from its highest one, and its value, with standard errors."""

    offset: float
    offset_error: float | None
    height: float
    height_error: float | None


def _vertex(y: FloatArray, place: int, prominence: float, response: FloatArray, error: float) -> _Vertex:
    """Fit a parabola to the top of a peak; ``error`` is that of its highest point."""
    below = y < y[place] - TOP_FRACTION * prominence
    left = place - int(np.argmax(below[place::-1])) + 1 if below[:place].any() else 0
    right = place + int(np.argmax(below[place:])) - 1 if below[place:].any() else y.size - 1
    left, right = min(left, place - 1), max(right, place + 1)
    weights = np.linalg.pinv(np.vander(np.arange(left - place, right - place + 1.0), 3))
    a, b, c = (float(each) for each in weights @ y[left : right + 1])
    offset = -b / (2 * a) if a < 0 else 0.0
    if not left - place <= offset <= right - place:  # a shoulder's parabola has its vertex elsewhere
        return _Vertex(0.0, None, float(y[place]), None if np.isnan(error) else error)
    height = c + offset * (b + offset * a)
    if np.isnan(error) or not a < 0:
        return _Vertex(offset, None, height, None if np.isnan(error) else error)
    raw = error / float(np.sqrt(np.sum(response**2)))
    of_offset = -(weights[1] + 2 * offset * weights[0]) / (2 * a)
    of_height = weights[2] + offset * (weights[1] + offset * weights[0])
    spread = [raw * float(np.linalg.norm(np.convolve(response, each))) for each in (of_offset, of_height)]
    return _Vertex(offset, spread[0], height, spread[1])


def _valleys(y: FloatArray, at: IntArray) -> IntArray:
    """Lowest points ahead of, between and behind the peaks."""
    edges = [0, *at.tolist(), y.size - 1]
    return np.array([start + int(np.argmin(y[start : end + 1])) for start, end in pairwise(edges)])


def _tracked(peaks: pl.DataFrame, position: str, furthest: float) -> pl.DataFrame:
    """Number the peaks so that one number follows one peak over the cycles of a direction."""
    track = np.zeros(peaks.height, dtype=np.int64)
    place, half = peaks[position].to_numpy(), peaks["half_cycle"].to_numpy()
    for direction in peaks["direction"].unique().to_list():
        rows = (peaks["direction"] == direction).arg_true().to_numpy()
        seen = np.empty(0)  # last position of each track
        for number in np.unique(half[rows]):
            own = rows[half[rows] == number]
            known, which = _assigned(place[own], seen, furthest)
            track[own[known]] = which + 1
            seen[which] = place[own[known]]
            new = np.setdiff1d(np.arange(own.size), known)
            track[own[new]] = seen.size + 1 + np.arange(new.size)
            seen = np.append(seen, place[own[new]])
    values = [name for name in peaks.columns if name not in ("half_cycle", "cycle_count", "direction")]
    numbered = peaks.with_columns(pl.Series("peak", track))
    return numbered.select("half_cycle", "cycle_count", "direction", "peak", *values)


def _assigned(places: FloatArray, seen: FloatArray, furthest: float) -> tuple[IntArray, IntArray]:
    """Pair peaks with tracks: positions among the places, and the track of each."""
    from scipy.optimize import linear_sum_assignment

    if not (places.size and seen.size):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    shift = np.abs(places[:, None] - seen[None, :])
    # A shift that is not allowed costs more than all that are: no pair is given up for it.
    cost = np.where(shift <= furthest, shift, furthest * (1 + places.size))
    known, which = linear_sum_assignment(cost)
    allowed = shift[known, which] <= furthest
    return known[allowed], which[allowed]
