"""Figures of the life of one cell: capacity, efficiency, and its tests in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dashboard.figures import PALETTES, axis_title, figure, plain, theme
from dashboard.quantities import readable

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from dashboard.data.cells import Test

MOST_POINTS = 5_000
"""Of more cycles every other, third or so is drawn."""

MOST_SEAMS = 60
"""Of more tests, the places where one follows another would hide the points."""

_HEIGHT = 340
_EFFICIENCY_LOWEST = 0.8


def capacity(cycles: pl.DataFrame) -> go.Figure:
    """Draw charge and discharge capacity over the cycle number of the cell; cycles that are not complete are hollow.

    Args:
        cycles: With the columns of ``analysis.dataset.DATASET_SCHEMA``.
    """
    highest = [cycles[name].max() for name in _CAPACITIES]
    largest = max((float(value) for value in highest if isinstance(value, float)), default=0.0)
    factor, unit = readable("Ah", largest)
    traces = [_points(cycles, column, factor, unit, symbol) for column, symbol in _CAPACITIES.items()]
    shown = [trace for trace in traces if trace is not None]
    return figure(shown, x="Cycle", y=axis_title("Capacity", unit), height=_HEIGHT, shapes=_seams(cycles), **_CLOSEST)


def efficiency(cycles: pl.DataFrame) -> go.Figure:
    """Draw coulombic and energy efficiency; the axis starts with 80 % where lower ones are few."""
    traces = [_points(cycles, column, 100, "%", symbol) for column, symbol in _EFFICIENCIES.items()]
    shown = [trace for trace in traces if trace is not None]
    values = [value for name in _EFFICIENCIES for value in cycles[name].drop_nulls().to_list()]
    usual = [value for value in values if _EFFICIENCY_LOWEST <= value <= 2 - _EFFICIENCY_LOWEST]
    axis: dict[str, Any] = {}
    if len(usual) < len(values) and len(usual) > 0.9 * len(values):
        low, high = min(usual) * 100, max(usual) * 100
        axis = {"yaxis_range": [low - 0.05 * (high - low) - 0.1, high + 0.05 * (high - low) + 0.1]}
    y = axis_title("Efficiency", "%")
    return figure(shown, x="Cycle", y=y, height=_HEIGHT, shapes=_seams(cycles), **axis, **_CLOSEST)


_CAPACITIES = {"charge_capacity_ah": "triangle-up", "discharge_capacity_ah": "circle"}
_EFFICIENCIES = {"coulombic_efficiency": "circle", "energy_efficiency": "diamond"}
_CLOSEST = {"hovermode": "closest"}


def _points(cycles: pl.DataFrame, column: str, factor: float, unit: str, symbol: str) -> dict[str, Any] | None:
    known = cycles.filter(cycles[column] > 0)  # a spectrum counts as a cycle, too, in which nothing flowed
    if not known.height:
        return None
    shown = known.gather_every(max(-(-known.height // MOST_POINTS), 1))
    whole = shown["complete"].fill_null(False).to_list()
    return {
        "type": "scatter",
        "mode": "markers",
        "name": column.removesuffix("_ah").replace("_", " ").capitalize(),
        "x": shown["cycle_count"].to_numpy(),
        "y": (shown[column] * factor).to_numpy(),
        "marker": {"size": 5, "symbol": symbol if all(whole) else [symbol + "-open" * (not each) for each in whole]},
        "hovertemplate": f"cycle %{{x}}: %{{y:.5g}} {unit}",
    }


def _seams(cycles: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a thin line wherever another test begins."""
    tests = cycles["test_id"].rle_id()
    firsts = cycles.filter(tests.diff().fill_null(0) > 0)["cycle_count"].to_list()
    if len(firsts) > MOST_SEAMS:
        return []
    line = {"color": "rgba(128,128,128,0.5)", "width": 1, "dash": "dot"}
    return [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": first - 0.5,
            "x1": first - 0.5,
            "y0": 0,
            "y1": 1,
            "line": line,
        }
        for first in firsts
    ]


def timeline(tests: Sequence[Test]) -> go.Figure:
    """Draw the tests that have a date as bars in time, the first at the top, coloured by tester."""
    dated = [each for each in tests if each.started_at is not None]
    testers = list(dict.fromkeys(each.tester for each in dated))
    palette = PALETTES[theme()]
    traces = []
    for place, tester in enumerate(testers):
        its = [each for each in dated if each.tester == tester]
        colour = palette[place % len(palette)]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": plain(tester),
                "base": [each.started_at.isoformat() for each in its],
                "x": [max(_milliseconds(each), 1.0) for each in its],
                "y": [f"{dated.index(each) + 1}" for each in its],
                "text": [plain(each.name) for each in its],
                "textposition": "none",
                "width": 0.6,
                "customdata": [[_day(each.started_at), _day(each.ended_at), each.cycle_count] for each in its],
                "hovertemplate": "%{text}<br>%{customdata[0]} to %{customdata[1]}, %{customdata[2]} cycles",
                "marker": {"color": colour, "line": {"width": 2, "color": colour}},  # seen, however short it was
            }
        )
    order = [f"{place + 1}" for place in range(len(dated))]
    rows = {"type": "category", "categoryorder": "array", "categoryarray": order, "autorange": "reversed"}
    height = timeline_height(tests)
    return figure(traces, x="Time (UTC)", y="Test", height=height, xaxis_type="date", yaxis=rows, barmode="overlay")


def timeline_height(tests: Sequence[Test]) -> int:
    """Return how high the time line of these tests is, in pixels."""
    return 130 + 26 * min(sum(each.started_at is not None for each in tests), 30)


def _milliseconds(test: Test) -> float:
    if test.ended_at is not None and test.started_at is not None and test.ended_at >= test.started_at:
        return float((test.ended_at - test.started_at).total_seconds() * 1e3)
    return float((test.duration_second or 0) * 1e3)


def _day(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at is not None else "?"
