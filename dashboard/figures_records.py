"""Figures of records over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.figures import axis_title, figure

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

SECONDS_PER_HOUR = 3600.0

_SIGNALS = {"voltage_volt": ("Voltage", "V"), "current_ampere": ("Current", "A")}
_UPPER, _LOWER = (0.4, 1.0), (0.0, 0.32)


def voltage_and_current(overview: pl.DataFrame, *, height: int = 320) -> go.Figure:
    """Draw voltage, and current below it, over test time.

    Args:
        overview: Thinned signals: ``signal``, ``test_time_second``, ``value``.
        height: In pixels.
    """
    import plotly.graph_objects as go
    import polars as pl

    parts = {name: overview.filter(pl.col("signal") == name) for name in _SIGNALS}
    known = {name: points for name, points in parts.items() if points.height}
    traces: list[Any] = []
    for (name, points), axis in zip(known.items(), ("y", "y2"), strict=False):
        title, unit = _SIGNALS[name]
        hours, values = points["test_time_second"] / SECONDS_PER_HOUR, points["value"]
        shown = {"line": {"width": 1.2}, "hovertemplate": f"%{{x:.5g}} h: %{{y:.5g}} {unit}", "yaxis": axis}
        traces.append(go.Scatter(x=hours.to_numpy(), y=values.to_numpy(), name=title.lower(), **shown))
    titles = [axis_title(*_SIGNALS[name]) for name in known or _SIGNALS]
    drawn = figure(traces, x=axis_title("Test time", "h"), y=titles[0], height=height)
    if len(traces) == len(_SIGNALS):
        below = {"title": {"text": titles[1]}, "domain": _LOWER}
        drawn.update_layout(yaxis_domain=_UPPER, yaxis2=below, xaxis_anchor="y2", showlegend=False)
    return drawn
