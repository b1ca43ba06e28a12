"""Figures of quantities per cycle, of one cell or test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from battery_analysis.errors import AnalysisError
from dashboard.figures import PALETTES, axis_title, figure, plain, theme
from dashboard.quantities import AXES, Choice, Scale, points

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
    traces: list[Mapping[str, Any]] = []
    layout: dict[str, Any] = {}
    along = AXES[first.against]
    titles = [axis_title(choice.of.title, choice.unit) for choice in (first, second) if choice]
    for choice, table in found:
        scale = Scale.of(choice, [table], (beside for _, beside in found))
        scaled, right = scale.applied(table), choice is not first
        titles[1 if right else 0] = axis_title(choice.of.title, scale.unit)
        along = axis_title(AXES[choice.against], scale.along_unit)
        axis = {"yaxis": "y2"} if right else {}
        traces += [_points(part, choice, scale, right=right) | axis for part in scaled.partition_by("direction")]
        if chosen and not right:
            traces.append(_rings(scaled, chosen, choice))
    if len(titles) > 1:
        ticks = {"overlaying": "y", "side": "right", "tickmode": "auto", "showgrid": False, "zeroline": False}
        layout["yaxis2"] = {**ticks, "title": {"text": titles[1]}, "automargin": True}
    drawn = figure(traces, x=along, y=titles[0], height=_HEIGHT, **layout)
    if not traces:
        said = "<br>".join(plain(each) for each in reasons)
        drawn.add_annotation(text=said, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    # A click is a choice, dragging looks closer: zooming must not be mistaken for either.
    drawn.update_layout(hovermode="closest", clickmode="event")
    return drawn, reasons


def _points(table: pl.DataFrame, choice: Choice, scale: Scale, *, right: bool) -> dict[str, Any]:
    """Return a trace of points."""
    import polars as pl

    shown = table.gather_every(max(-(-table.height // MOST_POINTS), 1))
    direction = shown["direction"][0]
    symbol = "diamond" if right else _SYMBOLS[direction]
    whole = shown["complete"].fill_null(False).to_list()
    symbols = symbol if all(whole) else [symbol if each else f"{symbol}-open" for each in whole]
    number = scale.place(choice) + ("" if choice.against == "cycle" else ", cycle %{customdata[0]}")
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
        "x": choice.along(shown["x"]),
        "y": shown["y"].to_numpy(),
        "customdata": said.rows(),
        "marker": {"size": 5, "symbol": symbols},
        "hovertemplate": f"{number}%{{customdata[1]}}%{{customdata[2]}}<br>%{{y:.6g}} {scale.unit}",
    }


def _rings(table: pl.DataFrame, chosen: Mapping[int, str], choice: Choice) -> dict[str, Any]:
    """Return rings around the points of chosen cycles."""
    import polars as pl

    marked = table.filter(pl.col("cycle_count").is_in(list(chosen)))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "chosen cycles",
        "x": choice.along(marked["x"]),
        "y": marked["y"].to_numpy(),
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
