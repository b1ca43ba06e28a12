"""Figures of cycle tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboard.figures import axis_title, figure

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

MOST_POINTS = 10_000
"""Of more cycles, every other, third or so is drawn."""


def capacity_by_cycle(cycles: pl.DataFrame, *, height: int = 320) -> go.Figure:
    """Draw charge and discharge capacity over the cycle number.

    Args:
        cycles: A cycle table with ``cycle_count``, ``charge_capacity_ah`` and ``discharge_capacity_ah``.
        height: In pixels.
    """
    import plotly.graph_objects as go

    shown = cycles.gather_every(max(-(-cycles.height // MOST_POINTS), 1))
    traces = [
        go.Scatter(
            x=shown["cycle_count"].to_list(),
            y=shown[f"{direction}_capacity_ah"].to_list(),
            name=direction,
            mode="markers",
            marker={"size": 5, "symbol": symbol},
            hovertemplate="cycle %{x}: %{y:.5g} Ah",
        )
        for direction, symbol in (("charge", "triangle-up"), ("discharge", "circle"))
    ]
    return figure(traces, x="Cycle", y=axis_title("Capacity", "Ah"), height=height)
