"""Figures of analyses: fade, anomalies, rates, pulses, titrations, likeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashboard.answers import heading
from dashboard.figures import DASHES, PALETTES, axis_title, figure, muted, plain, theme
from dashboard.quantities import readable

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from battery_analysis.analysis.answers import Answer

MOST_POINTS = 4_000
MOST_LAWS = 4


def fade(answer: Answer, height: int = 420) -> go.Figure:
    """Draw the capacities that were fitted, the best laws, the end of life, and the interval of its cycle."""
    import polars as pl

    palette = PALETTES[theme()]
    life, curves = answer.facts, answer.beside["curves"]
    traces = [_points(answer.beside["capacities"], "cycle_count", "discharge_capacity_ah", "measured", muted())]
    weights = answer.tables["laws"].filter(pl.col("reason").is_null())
    shown = [law for law in dict.fromkeys([life["law"], *weights["law"]]) if law in curves.columns][:MOST_LAWS]
    for place, law in enumerate(shown):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": str(law),
                "x": _thinned(curves)["cycle_count"].to_list(),
                "y": _thinned(curves)[str(law)].to_list(),
                "line": {"width": 2, "color": palette[place], "dash": DASHES[place % len(DASHES)]},
                "hovertemplate": "cycle %{x:.0f}: %{y:.5g} Ah",
            }
        )
    drawn = figure(traces, x="Cycle", y=axis_title("Discharge capacity", "Ah"), height=height)
    threshold, share = float(str(life["threshold_ah"])), float(str(life["threshold_fraction"]))
    drawn.add_hline(
        y=threshold,
        line={"width": 1, "dash": "dot", "color": palette[1]},
        annotation={"text": f"end of life at {share:.0%}", "font": {"size": 11}},
        annotation_position="bottom left",
    )
    low, high, predicted = (life[name] for name in ("low_cycle", "high_cycle", "predicted_cycle"))
    end = 3 * float(str(curves["cycle_count"].max()))  # what lies far beyond would flatten what was measured
    if isinstance(predicted, float) and predicted <= end:
        drawn.add_vline(x=predicted, line={"width": 1, "color": palette[0]})
    if isinstance(low, float) and isinstance(high, float) and high <= end:
        drawn.add_vrect(x0=low, x1=high, line_width=0, fillcolor=palette[0], opacity=0.12)
    return drawn


def anomalies(cycles: pl.DataFrame, found: pl.DataFrame, quantity: str, height: int = 320) -> go.Figure:
    """Draw a quantity per cycle with what stands out in it."""
    import polars as pl

    palette = PALETTES[theme()]
    usable = cycles.filter(pl.col(quantity).is_not_null())
    traces = [_points(usable, "cycle_count", quantity, heading(quantity).partition(" / ")[0], palette[0])]
    own = found.filter(pl.col("quantity") == quantity)
    for place, kind in enumerate(own["kind"].unique(maintain_order=True)):
        marked = own.filter(pl.col("kind") == kind)
        at = usable.join(marked, how="cross").filter(
            pl.col("cycle_count").is_between(pl.col("first_cycle"), pl.col("last_cycle"))
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": str(kind).replace("_", " "),
                "x": at["cycle_count"].to_list(),
                "y": at[quantity].to_list(),
                "text": [plain(each) for each in at["message"]],
                "marker": {
                    "size": 12,
                    "symbol": ("circle-open", "diamond-open", "square-open", "x")[place % 4],
                    "color": palette[1 + place],
                    "line": {"width": 2},
                },
                "hovertemplate": "cycle %{x}: %{text}",
            }
        )
    return figure(traces, x="Cycle", y=heading(quantity), height=height)


ROLE_TITLES = {
    "formation": "Formation",
    "checkup": "Check-up",
    "cycling": "Cycling",
    "other_rate": "Other rate",
}


def roles(answer: Answer, height: int = 380) -> go.Figure:
    """Draw the discharge capacity of cycles, told apart by what they are for."""
    import polars as pl

    palette = PALETTES[theme()]
    looks = {
        "cycling": (palette[0], "circle"),
        "checkup": (palette[1], "diamond"),
        "formation": (palette[2], "square"),
        "other_rate": (palette[3], "triangle-up"),
    }
    known = answer.beside["capacities"].filter(pl.col("discharge_capacity_ah").is_not_null())
    by, unit = readable("Ah", float(known["discharge_capacity_ah"].max() or 0.0))  # type: ignore[arg-type]
    known = known.with_columns(pl.col("discharge_capacity_ah") * by)
    traces = []
    for role, (color, symbol) in looks.items():
        own = known.filter(pl.col("role") == role)
        if own.height:
            trace = _points(own, "cycle_count", "discharge_capacity_ah", ROLE_TITLES[role], color)
            trace["marker"] |= {"symbol": symbol, "size": 6 if role == "cycling" else 9}
            trace["hovertemplate"] = f"cycle %{{x:.0f}}: %{{y:.5g}} {unit}"
            traces.append(trace)
    untold = known.filter(pl.col("role").is_null())
    if untold.height:
        traces.append(_points(untold, "cycle_count", "discharge_capacity_ah", "cannot be told", muted()))
    return figure(traces, x="Cycle", y=axis_title("Discharge capacity", unit), height=height)


def efficiencies(cycles: pl.DataFrame, height: int = 360) -> go.Figure:
    """Draw the efficiencies of a cycle table."""
    palette = PALETTES[theme()]
    names = [name for name in cycles.columns if name != "cycle_count" and cycles[name].count()]
    traces = [
        _points(cycles.with_columns(cycles[name] * 100), "cycle_count", name, heading(name), palette[place])
        for place, name in enumerate(names)
    ]
    return figure(traces, x="Cycle", y=axis_title("Efficiency", "%"), height=height)


def rates(answer: Answer, height: int = 380) -> go.Figure:
    """Draw capacities of half cycles over their rate, and the median of each level."""
    import polars as pl

    palette = PALETTES[theme()]
    levels = answer.tables["levels"]
    x = "c_rate" if levels["c_rate"].count() else "current_ampere"
    halves = answer.tables["half_cycles"].filter(pl.col("level").is_not_null())
    single = _points(halves, x, "capacity_ah", "half cycles", muted(), customdata="cycle_count")
    single["hovertemplate"] = "cycle %{customdata}: %{y:.5g} Ah at %{x:.4g}" + (" C" if x == "c_rate" else " A")
    median = _points(levels, x, "capacity_ah", "median of each rate", palette[0])
    median |= {"mode": "lines+markers", "marker": {"size": 9, "color": palette[0]}, "line": {"color": palette[0]}}
    title = axis_title("Rate", "C") if x == "c_rate" else axis_title("Current", "A")
    return figure(
        [single, median], x=title, y=axis_title("Capacity", "Ah"), height=height, xaxis={"type": "log", "dtick": "D2"}
    )


def pulses(table: pl.DataFrame, height: int = 380) -> go.Figure:
    """Draw resistances of pulses, at each time that was asked for, over the state of charge or the charge."""
    import polars as pl

    palette = PALETTES[theme()]
    x = "soc" if table["soc"].count() else "charge_ah"
    names = [name for name in table.columns if name.startswith("r_") and name.endswith("s_ohm") and table[name].count()]
    symbols = {"charge": "triangle-up", "discharge": "circle", "rest": "square-open"}
    traces = []
    for place, name in enumerate(names):
        for direction in table["direction"].unique(maintain_order=True):
            own = table.filter((pl.col("direction") == direction) & pl.col(name).is_not_null())
            if not own.height:
                continue
            label = f"{heading(name).partition(' / ')[0]}, {direction}"
            trace = _points(own, x, name, label, palette[place % len(palette)], customdata="pulse")
            trace["marker"]["symbol"] = symbols.get(str(direction), "circle")
            trace["y"] = (_thinned(own)[name] * 1e3).to_list()
            trace["hovertemplate"] = "pulse %{customdata}: %{y:.4g} mΩ"
            traces.append(trace)
    title = "State of charge" if x == "soc" else axis_title("Charge since the test's beginning", "Ah")
    return figure(traces, x=title, y=axis_title("Resistance", "mΩ"), height=height)


def rest_voltages(table: pl.DataFrame, height: int = 360) -> go.Figure:
    """Draw voltages at the ends of rests over charge."""
    import polars as pl

    palette = PALETTES[theme()]
    traces = [
        _points(table.filter(pl.col("direction") == way), "charge_ah", "voltage_volt", f"after {way}", palette[place])
        for place, way in enumerate(table["direction"].unique(maintain_order=True))
    ]
    x = axis_title("Charge since the test's beginning", "Ah")
    return figure(traces, x=x, y=axis_title("Voltage at rest", "V"), height=height)


def diffusion(table: pl.DataFrame, height: int = 360) -> go.Figure:
    """Draw diffusion coefficients of titrations over the voltage at rest, or D/L² where no length is known."""
    import polars as pl

    palette = PALETTES[theme()]
    name = "diffusion_coefficient_cm2_per_second"
    known = bool(table[name].count())
    column, title = (name, axis_title("D", "cm²/s")) if known else ("d_per_length_squared_per_second", "D/L² / 1/s")
    traces = []
    for place, way in enumerate(table["direction"].unique(maintain_order=True)):
        own = table.filter((pl.col("direction") == way) & (pl.col(column) > 0))
        trace = _points(own, "voltage_after_volt", column, str(way), palette[place], customdata="titration")
        valid = _thinned(own)["valid"].fill_null(False).to_list()
        trace["marker"]["symbol"] = ["circle" if each else "circle-open" for each in valid]
        trace["hovertemplate"] = "titration %{customdata}: %{y:.3g} at %{x:.4f} V"
        traces.append(trace)
    x = axis_title("Voltage at rest", "V")
    return figure(traces, x=x, y=title, height=height, yaxis={"type": "log", "exponentformat": "power"})


def scores(answer: Answer, height: int = 420) -> go.Figure:
    """Draw cells in the plane of their first two principal components, coloured by cluster where there are any."""
    import polars as pl

    palette = PALETTES[theme()]
    table = answer.tables["scores"]
    second = "pc2" if "pc2" in table.columns else None
    if "clusters" in answer.tables:
        table = table.join(answer.tables["clusters"], on="cell", how="left")
    groups = (
        table.sort("cluster", nulls_last=True).partition_by("cluster", maintain_order=True)
        if "cluster" in table.columns
        else [table]
    )
    traces = []
    for place, own in enumerate(groups):
        label = f"cluster {own['cluster'][0]}" if len(groups) > 1 and own["cluster"][0] is not None else "cells"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": label,
                "x": own["pc1"].to_list(),
                "y": own[second].to_list() if second else [0.0] * own.height,
                "text": [plain(each) for each in own["cell"].cast(pl.String)],
                "textposition": "top center",
                "marker": {"size": 10, "color": palette[place % len(palette)]},
                "hovertemplate": "%{text}",
            }
        )
    explained = _numbers(answer.facts["explained"])
    titles = [f"Principal component {number} ({share:.0%})" for number, share in enumerate(explained, start=1)]
    return figure(traces, x=titles[0], y=titles[1] if second else "", height=height)


def distances(table: pl.DataFrame, cells: Sequence[str], height: int = 420) -> go.Figure:
    """Draw how far cells are apart as a matrix."""
    import polars as pl

    place = {cell: number for number, cell in enumerate(cells)}
    matrix: list[list[float | None]] = [[None] * len(cells) for _ in cells]
    for number in range(len(cells)):
        matrix[number][number] = 0.0
    for first, second, apart in table.select("cell", "other", pl.col("distance")).iter_rows():
        matrix[place[first]][place[second]] = matrix[place[second]][place[first]] = apart
    names = [plain(each) for each in cells]
    trace = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": matrix,
        "colorscale": "Cividis",
        "colorbar": {"title": {"text": "Distance", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "hovertemplate": "%{x} and %{y}: %{z:.3f}<extra></extra>",
    }
    category = {"type": "category"}
    return figure(
        [trace], x="Cell", y="Cell", height=height, xaxis=category, yaxis={**category, "autorange": "reversed"}
    )


def _points(
    table: pl.DataFrame, x: str, y: str, name: str, color: str, customdata: str | None = None
) -> dict[str, Any]:
    shown = _thinned(table)
    beside: Mapping[str, Any] = {"customdata": shown[customdata].to_list()} if customdata else {}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": shown[x].to_list(),
        "y": shown[y].to_list(),
        "marker": {"size": 6, "color": color},
        "hovertemplate": "%{x:.6g}: %{y:.6g}",
        **beside,
    }


def _thinned(table: pl.DataFrame) -> pl.DataFrame:
    """Return every other row, or every third and so on, of a table of very many."""
    return table.gather_every(max(-(-table.height // MOST_POINTS), 1))


def _numbers(values: Any) -> list[float]:
    return [float(each) for each in values]
