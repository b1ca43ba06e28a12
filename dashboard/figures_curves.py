"""Figures of what happens within chosen cycles: voltage over charge, dQ/dV, and signals over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from battery_analysis.analysis.differential import dqdv
from battery_analysis.analysis.halves import HalfCycles, half_cycles
from battery_analysis.analysis.records import FloatArray
from battery_analysis.columns import CURRENT, SENSOR_TEMPERATURES, SURFACE_TEMPERATURE, TEST_TIME, VOLTAGE
from battery_analysis.errors import AnalysisError
from dashboard.figures import axis_title, figure
from dashboard.quantities import Choice, capacity_factor, readable

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from dashboard.data.lives import Life

MOST_POINTS = 1_000
"""Points of a curve."""

MOST_NAMED = 8
"""Cycles in a legend; of more, their colours tell the order."""

SIGNALS = {"voltage": "Voltage", "current": "Current", "temperature": "Temperature"}
DIRECTIONS = {"charge": "Charge", "discharge": "Discharge"}

_TEMPERATURES = tuple(column.name for column in (SURFACE_TEMPERATURE, *SENSOR_TEMPERATURES))
_UNITS = {"voltage": "V", "current": "A", "temperature": "°C"}
_HEIGHT = 340


@dataclass(frozen=True)
class Curves:
    """Cycles of a life taken apart, by number, in the colours in which all figures show them."""

    life: Life
    colours: Mapping[int, str]
    records: Mapping[int, pl.DataFrame]
    halves: Mapping[int, HalfCycles]
    reasons: Sequence[str]
    """Why others are missing."""


def taken_apart(life: Life, colours: Mapping[int, str], records: Mapping[int, pl.DataFrame]) -> Curves:
    """Take cycles apart into their halves.

    Args:
        life: Whose cycles they are.
        colours: By number.
        records: Of each cycle and the one before it, by number.
    """
    halves: dict[int, HalfCycles] = {}
    reasons = []
    for cycle, frame in records.items():
        try:
            halves[cycle] = half_cycles(frame).of_cycle(cycle)
        except AnalysisError as exc:
            reasons.append(f"cycle {cycle}: {exc}")
    return Curves(life, colours, records, halves, reasons)


def voltage_over_charge(curves: Curves, choice: Choice, direction: str = "") -> go.Figure:
    """Draw voltage over the charge moved since the beginning of each half cycle.

    Args:
        curves: The chosen cycles.
        choice: What the charge is divided by.
        direction: ``charge``, ``discharge``, or empty for both.

    Raises:
        AnalysisError: What it is to be divided by is not known.
    """
    factor, unit = _factor(curves, choice)
    traces = []
    for cycle, halves in curves.halves.items():
        for row, way in _rows(halves, direction):
            own = halves.half == row
            moved, voltage = factor * np.cumsum(halves.moved[own]), halves.voltage[own]
            x, y = _thinned(moved, voltage)
            shown = f"cycle {cycle}, {way}<br>%{{x:.5g}} {unit}, %{{y:.5g}} V<extra></extra>"
            traces.append(_line(curves, cycle, x, y, shown))
    return _figure(traces, axis_title("Charge moved", unit), axis_title("Voltage", "V"))


def differential(curves: Curves, choice: Choice, direction: str = "") -> tuple[go.Figure, list[str]]:
    """Draw dQ/dV over voltage, that of discharges downwards.

    Args:
        curves: The chosen cycles.
        choice: What the charge is divided by.
        direction: ``charge``, ``discharge``, or empty for both.

    Returns:
        The figure, and why half cycles are missing from it.

    Raises:
        AnalysisError: What the charge is to be divided by is not known.
    """
    import polars as pl

    factor, unit = _factor(curves, choice)
    traces: list[dict[str, Any]] = []
    reasons: list[str] = []
    for cycle, halves in curves.halves.items():
        try:
            found = dqdv(halves)
        except AnalysisError as exc:
            reasons.append(f"cycle {cycle}: {exc}")
            continue
        for row, way in _rows(halves, direction):
            part = found.curves.filter(pl.col("half_cycle") == row)
            sign = 1.0 if way == "charge" else -1.0
            if part.height:
                shown = f"cycle {cycle}, {way}<br>%{{x:.4f}} V, %{{y:.4g}} {unit}/V<extra></extra>"
                y = sign * factor * part[found.y].to_numpy()
                traces.append(_line(curves, cycle, part[found.x].to_numpy(), y, shown))
            else:
                why = found.halves.filter(pl.col("half_cycle") == row)["reason"].drop_nulls().to_list()
                reasons += [f"cycle {cycle}, {way}: no dQ/dV, {reason}" for reason in why]
    drawn = _figure(traces, axis_title("Voltage", "V"), axis_title("dQ/dV, discharge downwards", f"{unit}/V"))
    return drawn, reasons


def over_time(curves: Curves, signal: str) -> go.Figure:
    """Draw voltage, current or temperature over the time since each cycle began, rests included."""
    import polars as pl

    pieces: list[tuple[int, FloatArray, FloatArray]] = []
    for cycle, records in curves.records.items():
        own = records.filter(pl.col("cycle_count") == cycle)
        names = {"voltage": (VOLTAGE.name,), "current": (CURRENT.name,), "temperature": _TEMPERATURES}[signal]
        name = next((each for each in names if each in own.columns), None)
        if name is not None and TEST_TIME.name in own.columns and own.height:
            time = own[TEST_TIME.name].to_numpy()
            pieces.append((cycle, time - time[0], own[name].cast(pl.Float64).to_numpy()))
    factor, unit = readable("s", max((float(time[-1]) for _, time, _ in pieces), default=0.0))
    traces = []
    for cycle, time, values in pieces:
        x, y = _thinned(time * factor, values)
        shown = f"cycle {cycle}<br>%{{x:.4g}} {unit}, %{{y:.5g}} {_UNITS[signal]}<extra></extra>"
        traces.append(_line(curves, cycle, x, y, shown))
    y_title = axis_title(SIGNALS[signal], _UNITS[signal])
    return _figure(traces, axis_title("Time in the cycle", unit), y_title)


def _figure(traces: Sequence[dict[str, Any]], x: str, y: str) -> go.Figure:
    drawn = figure(traces, x=x, y=y, height=_HEIGHT)
    named: set[str] = set()
    for trace in drawn.data:  # charge and discharge of a cycle share its colour and its place in the legend
        trace.showlegend = trace.name not in named
        named.add(trace.name)
    drawn.update_layout(showlegend=1 < len(named) <= MOST_NAMED)
    return drawn


def _factor(curves: Curves, choice: Choice) -> tuple[float, str]:
    largest = max((float(each.table["capacity_ah"].max() or 0) for each in curves.halves.values()), default=0.0)  # type: ignore[arg-type]
    return capacity_factor(curves.life, choice, largest)


def _rows(halves: HalfCycles, direction: str) -> list[tuple[int, str]]:
    """Return the half cycles of a direction; of several in one cycle the one that moved most, as pulses are many."""
    found: dict[str, tuple[float, int]] = {}
    for row, way, moved in halves.table.select("half_cycle", "direction", "capacity_ah").iter_rows():
        if direction in ("", way) and (way not in found or (moved or 0) > found[way][0]):
            found[way] = (moved or 0, row)
    return sorted((row, way) for way, (_, row) in found.items())


def _line(curves: Curves, cycle: int, x: FloatArray, y: FloatArray, shown: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"cycle {cycle}",
        "legendgroup": str(cycle),
        "x": x,
        "y": y,
        "line": {"color": curves.colours[cycle], "width": 1.5},
        "hovertemplate": shown,
    }


def _thinned(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a few points that look like all."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if x.size <= MOST_POINTS:
        return x, y
    from tsdownsample import MinMaxLTTBDownsampler

    kept = MinMaxLTTBDownsampler().downsample(np.ascontiguousarray(y), n_out=MOST_POINTS)  # type: ignore[no-untyped-call]
    return x[kept], y[kept]
