"""Figures of quantities per cycle, of one cell or test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from battery_analysis.errors import AnalysisError
from dashboard.figures import PALETTES, axis_title, figure, theme
from dashboard.quantities import AXES, Choice, points, readable

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from dashboard.data.lives import Life

MOST_POINTS = 5_000
"""Of more cycles every other, third or so is drawn; chosen ones always."""

_SYMBOLS = {"charge": "triangle-up", "discharge": "circle", "": "circle"}
_HEIGHT = 400


def per_cycle(
    life: Life,
    first: Choice,
    second: Choice | None = None,
    chosen: Mapping[int, str] | None = None,
    *,
    incomplete: bool = False,
) -> tuple[go.Figure, list[str]]:
    """Draw one or two quantities of the cycles of a life, the second on an axis of its own at the right.

    Args:
        life: What is drawn.
        first: What is drawn at the left.
        second: What is drawn at the right.
        chosen: Colours of the cycles that are to be marked, by number.
        incomplete: Whether cycles that are not complete are drawn, too, hollow.

    Returns:
        The figure, whose points know their cycle as ``customdata[0]``, and why a quantity is missing from it.
    """
    found: list[tuple[Choice, pl.DataFrame]] = []
    reasons = []
    for choice in (first, second):
        try:
            found += [(choice, points(life, choice, incomplete=incomplete))] if choice else []
        except AnalysisError as exc:
            reasons.append(str(exc))
    along, x_unit = _scaled([table["x"] for _, table in found], first.axis_unit)
    traces: list[Mapping[str, Any]] = []
    layout: dict[str, Any] = {}
    titles = [axis_title(choice.of.title, choice.unit) for choice in (first, second) if choice]
    for place, (choice, table) in enumerate(found):
        factor, unit = _scaled([table["y"]], choice.unit)
        right = {"yaxis": "y2"} if choice is second and choice is not first else {}
        titles[1 if right else 0] = axis_title(choice.of.title, unit)
        for part in table.partition_by("direction", maintain_order=True):
            traces.append(_points(part, choice, factor, unit, along, place) | right)
        if chosen and not place:
            traces.append(_rings(table, factor, along, chosen))
    if len(titles) > 1:
        ticks = {"overlaying": "y", "side": "right", "tickmode": "auto", "showgrid": False, "zeroline": False}
        layout["yaxis2"] = {**ticks, "title": {"text": titles[1]}, "automargin": True}
    drawn = figure(traces, x=axis_title(AXES[first.against], x_unit), y=titles[0], height=_HEIGHT, **layout)
    if not traces:
        drawn.add_annotation(
            text="<br>".join(_escaped(reasons)), showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5
        )
    # A click is a choice, dragging looks closer: zooming must not be mistaken for either.
    drawn.update_layout(hovermode="closest", clickmode="event")
    return drawn, reasons


def _escaped(texts: Sequence[str]) -> list[str]:
    return [text.replace("&", "&amp;").replace("<", "&lt;") for text in texts]


def _scaled(values: Sequence[pl.Series], unit: str) -> tuple[float, str]:
    largest = [float(each.abs().cast(float).to_numpy().max()) for each in values if each.len()]
    return readable(unit, max(largest, default=0.0))


def _points(table: pl.DataFrame, choice: Choice, factor: float, unit: str, along: float, place: int) -> dict[str, Any]:
    """Return a trace of points."""
    import polars as pl

    shown = table.gather_every(max(-(-table.height // MOST_POINTS), 1))
    direction = shown["direction"][0]
    symbol = "diamond" if place else _SYMBOLS[direction]
    whole = shown["complete"].fill_null(False).to_list()
    symbols = symbol if all(whole) else [symbol if each else f"{symbol}-open" for each in whole]
    number = "cycle %{customdata[0]}" if choice.against == "cycle" else "%{x:.6g}, cycle %{customdata[0]}"
    several = len(choice.of.parts) > 1
    said = shown.select(
        "cycle_count",
        pl.when(pl.col("cycle_count") != pl.col("test_cycle_count"))
        .then(pl.format(" ({} of its test)", "test_cycle_count"))
        .otherwise(pl.lit("")),
        pl.when(pl.col("role").is_in(["formation", "checkup"]))
        .then(pl.format(", {}", pl.col("role").replace("checkup", "check-up")))
        .otherwise(pl.lit(""))
        + pl.when(pl.col("complete").fill_null(False)).then(pl.lit("")).otherwise(pl.lit(", not complete")),
    )
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{choice.of.title}, {direction}" if several else choice.of.title,
        "x": (shown["x"] * along).to_numpy() if choice.axis_unit else shown["x"].to_numpy(),
        "y": (shown["y"] * factor).to_numpy(),
        "customdata": said.rows(),
        "marker": {"size": 5, "symbol": symbols},
        "hovertemplate": f"{number}%{{customdata[1]}}%{{customdata[2]}}<br>%{{y:.6g}} {unit}",
    }


def _rings(table: pl.DataFrame, factor: float, along: float, chosen: Mapping[int, str]) -> dict[str, Any]:
    """Return rings around the points of chosen cycles."""
    import polars as pl

    marked = table.filter(pl.col("cycle_count").is_in(list(chosen)))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "chosen cycles",
        "x": (marked["x"] * along).to_numpy(),
        "y": (marked["y"] * factor).to_numpy(),
        "marker": {
            "size": 13,
            "symbol": "circle-open",
            "line": {"width": 2.5},
            "color": [chosen[cycle] for cycle in marked["cycle_count"]],
        },
        "hoverinfo": "skip",
        "showlegend": False,
    }


def colours(cycles: Sequence[int]) -> dict[int, str]:
    """Return the colour of each chosen cycle: apart where they are few, from dark to bright where they are many."""
    palette = PALETTES[theme()]
    if len(cycles) <= len(palette):
        return dict(zip(cycles, palette, strict=False))
    from plotly.colors import sample_colorscale

    low, high = (0.0, 0.85) if theme() == "light" else (0.2, 1.0)
    places = [low + (high - low) * number / (len(cycles) - 1) for number in range(len(cycles))]
    return dict(zip(cycles, sample_colorscale("plasma", places), strict=True))
