"""Figures of what goes with what: properties of samples against what their cells did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.answers import heading
from dashboard.figures import PALETTES, figure, plain, theme

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl


def correlated(table: pl.DataFrame, height: int = 460) -> go.Figure:
    """Draw Spearman's rho of every number of the samples with every result as a heat map.

    Args:
        table: Of ``analysis.correlations.correlations``.
        height: In pixels.
    """
    import polars as pl

    known = table.filter(pl.col("spearman_rho").is_not_null())
    properties, results = (known[name].unique(maintain_order=True).to_list() for name in ("property", "result"))
    rho = {(one, other): each for one, other, each in known.select("property", "result", "spearman_rho").iter_rows()}
    count = {(one, other): each for one, other, each in known.select("property", "result", "n").iter_rows()}
    ink, middle = PALETTES[theme()], "#ffffff" if theme() == "light" else "#161a21"
    heat = {
        "type": "heatmap",
        "x": [plain(heading(each)) for each in properties],
        "y": [plain(heading(each)) for each in results],
        "z": [[rho.get((one, other)) for one in properties] for other in results],
        "customdata": [[count.get((one, other)) for one in properties] for other in results],
        "texttemplate": "%{z:.2f}" if len(properties) * len(results) <= 256 else "",
        "zmin": -1,
        "zmax": 1,
        "colorscale": [[0, ink[1]], [0.5, middle], [1, ink[0]]],
        "colorbar": {"title": {"text": "Spearman's rho", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "%{x}<br>%{y}<br>rho %{z:.3f} of %{customdata} cells<extra></extra>",
    }
    drawn = figure([heat], x="", y="", height=height)
    drawn.update_layout(
        xaxis={"type": "category", "tickangle": -40, "showgrid": False, "automargin": True},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "automargin": True},
    )
    return drawn


def pair(cells: pl.DataFrame, name: str, result: str, height: int = 420) -> go.Figure:
    """Draw a result of cells against a property of their samples: as points, or in boxes of categories.

    Args:
        cells: A row each, with ``cell`` and both columns.
        name: The property.
        result: A number.
        height: In pixels.
    """
    import polars as pl

    known = cells.filter(pl.col(name).is_not_null(), pl.col(result).is_finite())
    is_number = known[name].dtype.is_numeric()
    color = PALETTES[theme()][0]
    trace: dict[str, Any] = {
        "x": known[name].to_list() if is_number else [plain(str(each)) for each in known[name]],
        "y": known[result].to_list(),
        "text": [plain(str(each)) for each in known["cell"]],
        "name": "cells",
        "marker": {"size": 9, "color": color},
        "hovertemplate": "%{text}<br>%{x}: %{y:.5g}<extra></extra>",
    }
    kind = {"type": "scatter", "mode": "markers"} if is_number else {"type": "box", "boxpoints": "all", "pointpos": 0}
    axis = {} if is_number else {"type": "category"}
    return figure([trace | kind], x=plain(heading(name)), y=heading(result), height=height, xaxis=axis)
