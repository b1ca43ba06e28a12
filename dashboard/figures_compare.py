"""Figures that compare lives: lines upon one another, means, boxes, correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from battery_analysis.analysis.correlations import FEWEST
from dashboard import links
from dashboard.comparing import EACH, FEATURES, drawn, grouped, in_order, mean_with_spread, shown, summed_up
from dashboard.figures import DASHES, PALETTES, axis_title, figure, plain, shortened, theme
from dashboard.quantities import AXES, Choice, Scale, readable

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from dashboard.data.lives import Life

MOST_POINTS = 40_000
"""Points of all lines together; each keeps its peaks when it is thinned."""

MOST_NAMED = 16
"""Lines in a legend."""

MATRIX_HEIGHT = 640

TICK_CHARACTERS = 24
"""Of the name of a group below its box."""

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x", "star", "hexagon")
_HEIGHT = 460


def opened(life: Life) -> str:
    """Return the address that a click on a life leads to."""
    return links.cell(life.id) if life.of == "cell" else links.test(life.id)


class Looks:
    """Colours, dashes and symbols of lives, by group and by another trait; the same in all figures of a comparison."""

    def __init__(self, lives: Sequence[Life], group_by: str, line_by: str) -> None:
        self.groups = grouped(lives, group_by)
        self.names = list(dict.fromkeys(self.groups)) if group_by == EACH else in_order(self.groups)
        self.lines = grouped(lives, line_by) if line_by else None
        self.line_names = in_order(self.lines or [])

    @property
    def _are_many(self) -> bool:
        """Whether there are more groups than signs: then colours only tell their order."""
        return len(self.names) > len(PALETTES["light"]) * len(DASHES)

    def colour(self, group: str) -> str:
        """Return the colour of a group."""
        palette = PALETTES[theme()]
        place = self.names.index(group)
        if not self._are_many:
            return palette[place % len(palette)]
        from plotly.colors import sample_colorscale

        low, high = (0.0, 0.85) if theme() == "light" else (0.2, 1.0)
        return str(sample_colorscale("plasma", [low + (high - low) * place / (len(self.names) - 1)])[0])

    def dash(self, place: int) -> str:
        """Return the dash of a life: by its trait, else one that tells groups of the same colour apart."""
        if self.lines is not None:
            return DASHES[self.line_names.index(self.lines[place]) % len(DASHES)]
        turn = 0 if self._are_many else self.names.index(self.groups[place]) // len(PALETTES["light"])
        return DASHES[turn % len(DASHES)]

    def symbol(self, place: int) -> str:
        """Return the symbol of a life: by its trait, else by its group."""
        if self.lines is not None:
            return _SYMBOLS[self.line_names.index(self.lines[place]) % len(_SYMBOLS)]
        return _SYMBOLS[self.names.index(self.groups[place]) % len(_SYMBOLS)]

    def dash_of_half(self, place: int, direction: str) -> str:
        """Return the dash of a life, or, where no trait has a say, of charges beside discharges."""
        return "dot" if direction == "charge" and self.lines is None else self.dash(place)

    def named(self, place: int) -> str:
        """Return what a legend calls a life."""
        return plain(self.groups[place] if self.lines is None else f"{self.groups[place]}, {self.lines[place]}")


def overlay(
    lives: Sequence[Life], looks: Looks, choice: Choice, *, spread: str = "", incomplete: bool = False
) -> tuple[go.Figure, list[str]]:
    """Draw a quantity of many lives into one figure.

    Args:
        lives: What is compared.
        looks: Their colours and dashes.
        choice: The quantity.
        spread: Empty for a line for each life; one of ``comparing.SPREADS`` for means of groups with their spread.
        incomplete: Whether cycles that are not complete count, too.

    Returns:
        The figure, and why lives are missing from it.
    """
    found, reasons = drawn(lives, choice, incomplete=incomplete)
    scale = Scale.of(choice, found.values())
    lines = {
        (place, direction): part
        for place, whole in found.items()
        for (direction,), part in scale.applied(whole)
        .partition_by("direction", as_dict=True, maintain_order=True)
        .items()
    }
    if spread:
        traces = _means(lines, looks, choice, spread, scale)
    else:
        each = max(MOST_POINTS // max(len(lines), 1), 100)
        traces = [
            _line(lives[place], place, looks, _thinned(part, each), choice, scale) for (place, _), part in lines.items()
        ]
    _name_once(traces)
    titles = {"x": axis_title(AXES[choice.against], scale.along_unit), "y": axis_title(choice.of.title, scale.unit)}
    shown = figure(traces, **titles, height=_HEIGHT, hovermode="closest")
    named = {trace["name"] for trace in traces}
    shown.update_layout(showlegend=1 < len(named) <= MOST_NAMED)
    return shown, reasons


def _line(life: Life, place: int, looks: Looks, part: pl.DataFrame, choice: Choice, scale: Scale) -> dict[str, Any]:
    direction = part["direction"][0] if len(choice.of.parts) > 1 else ""
    half = f", {direction}" if direction else ""
    few = part.height < 60
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": looks.named(place),
        "legendgroup": looks.named(place),
        "x": choice.along(part["x"]),
        "y": part["y"].cast(float).to_numpy().astype(np.float32),
        "line": {
            "color": looks.colour(looks.groups[place]),
            "dash": looks.dash_of_half(place, direction),
            "width": 1.5,
        },
        "marker": {"size": 4},
        "meta": [plain(life.name), opened(life)],
        "hovertemplate": f"%{{meta[0]}}{half}<br>{scale.place(choice)}: %{{y:.6g}} {scale.unit}<extra></extra>",
    }


def _means(
    lines: Mapping[tuple[int, str], pl.DataFrame], looks: Looks, choice: Choice, spread: str, scale: Scale
) -> list[dict[str, Any]]:
    """Return, for each group, the line of its mean in the band of its spread."""
    together: dict[tuple[str, str, str], list[pl.DataFrame]] = {}
    dashes: dict[tuple[str, str, str], str] = {}
    for (place, direction), part in lines.items():
        half = direction if len(choice.of.parts) > 1 else ""
        key = (looks.named(place), looks.groups[place], half)
        together.setdefault(key, []).append(part)
        dashes.setdefault(key, looks.dash_of_half(place, half))
    traces: list[dict[str, Any]] = []
    for key, parts in together.items():
        name, group, direction = key
        mean = mean_with_spread(parts, spread, counts=choice.against in ("cycle", "half"))
        colour, label = looks.colour(group), f"{name}, {direction}" if direction else name
        common = {"type": "scatter", "mode": "lines", "name": label, "legendgroup": label, "x": choice.along(mean["x"])}
        edge = {**common, "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        if len(parts) > 1:
            traces.append({**edge, "y": mean["high"].to_numpy()})
            traces.append({**edge, "y": mean["low"].to_numpy(), "fill": "tonexty", "fillcolor": _pale(colour)})
        of_group = f"<br>{scale.place(choice)}: %{{y:.6g}} {scale.unit}, mean of %{{customdata[0]}}"
        around = "<br>%{customdata[1]:.6g} to %{customdata[2]:.6g}"
        traces.append(
            {
                **common,
                "y": mean["mean"].to_numpy(),
                "customdata": mean.select("n", "low", "high").to_numpy(),
                "line": {"color": colour, "dash": dashes[key], "width": 2},
                "hovertemplate": f"%{{meta[0]}}{of_group}{around}<extra></extra>",
                "meta": [label],
            }
        )
    return traces


def _pale(colour: str) -> str:
    """Return a colour that lets what is below it through."""
    if colour.startswith("#"):
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        return f"rgba({red},{green},{blue},0.18)"
    return colour.replace("rgb(", "rgba(").replace(")", ",0.18)")


def _name_once(traces: Sequence[dict[str, Any]]) -> None:
    named: set[str] = set()
    for trace in traces:
        if trace.get("showlegend") is not False:
            trace["showlegend"] = trace["name"] not in named
            named.add(trace["name"])


def _thinned(part: pl.DataFrame, most: int) -> pl.DataFrame:
    if part.height <= most:
        return part
    from tsdownsample import MinMaxLTTBDownsampler

    values = np.ascontiguousarray(part["y"].to_numpy())
    kept = MinMaxLTTBDownsampler().downsample(values, n_out=most)  # type: ignore[no-untyped-call]
    thinned: pl.DataFrame = part[kept.tolist()]
    return thinned


def boxes(lives: Sequence[Life], looks: Looks, feature: str) -> tuple[go.Figure, list[str]]:
    """Draw how a number that sums lives up is spread in each group, with the lives as points beside its box.

    Returns:
        The figure, and which lives have no such number.
    """
    values = [shown(feature, summed_up(life)[feature]) for life in lives]
    title, unit, _ = FEATURES[feature]
    factor, unit = readable(unit, max((abs(each) for each in values if each is not None), default=0.0))
    traces = []
    for group in looks.names:
        own = [place for place, name in enumerate(looks.groups) if name == group and values[place] is not None]
        colour = looks.colour(group)
        traces.append(
            {
                "type": "box",
                "name": plain(group),
                "x": [plain(group)] * len(own),
                "y": [factor * (values[place] or 0.0) for place in own],
                "customdata": [[plain(lives[place].name), opened(lives[place])] for place in own],
                "boxpoints": "all",
                "pointpos": 0,
                "jitter": 0.4,
                "marker": {"color": colour, "size": 6},
                "line": {"color": colour},
                "fillcolor": _pale(colour),
                "hovertemplate": f"%{{customdata[0]}}<br>%{{y:.6g}} {unit}<extra></extra>",
            }
        )
    filled = [trace for trace in traces if trace["y"]]
    drawn = figure(filled, x="Group", y=axis_title(title, unit), height=360, xaxis_type="category")
    ticks = [plain(shortened(group, TICK_CHARACTERS)) for group in looks.names]
    drawn.update_layout(showlegend=False, xaxis={"tickvals": list(map(plain, looks.names)), "ticktext": ticks})
    return drawn, [life.name for life, value in zip(lives, values, strict=True) if value is None]


def correlation_matrix(names: Sequence[str], square: Sequence[Sequence[float | None]], measure: str) -> go.Figure:
    """Draw correlations as a heat map; its points know their columns by ``x`` and ``y``."""
    ink = PALETTES[theme()]
    middle = "#ffffff" if theme() == "light" else "#161a21"
    texts = [["" if each is None else f"{each:.2f}" for each in row] for row in square]
    heat = {
        "type": "heatmap",
        "x": list(map(plain, names)),
        "y": list(map(plain, names)),
        "z": [list(row) for row in square],
        "text": texts,
        "texttemplate": "%{text}" if len(names) <= 16 else "",
        "zmin": -1,
        "zmax": 1,
        "colorscale": [[0, ink[1]], [0.5, middle], [1, ink[0]]],
        "colorbar": {"title": {"text": measure, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": f"%{{x}}<br>%{{y}}<br>{measure} %{{z:.3f}}<extra></extra>",
    }
    drawn = figure([heat], x="", y="", height=MATRIX_HEIGHT)
    drawn.update_layout(
        xaxis={"type": "category", "tickangle": -40, "showgrid": False},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
        clickmode="event",
    )
    if not names:
        said = f"Numbers of {FEWEST} cells or tests are needed<br>to see what goes with what."
        drawn.add_annotation(text=said, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    return drawn


def scatter(lives: Sequence[Life], looks: Looks, table: pl.DataFrame, x: str, y: str) -> go.Figure:
    """Draw two numbers of each life against one another.

    Args:
        lives: What is compared.
        looks: Their colours and symbols.
        table: Of ``comparing.table_of_numbers``.
        x: Name of a column.
        y: The same.
    """
    known = [place for place in range(len(lives)) if None not in (table[x][place], table[y][place])]
    together: dict[str, list[int]] = {}
    for group in looks.names:
        for place in known:
            if looks.groups[place] == group:
                together.setdefault(looks.named(place), []).append(place)
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [table[x][place] for place in own],
            "y": [table[y][place] for place in own],
            "customdata": [[plain(lives[place].name), opened(lives[place])] for place in own],
            "marker": {"color": looks.colour(looks.groups[own[0]]), "size": 9, "symbol": looks.symbol(own[0])},
            "hovertemplate": "%{customdata[0]}<br>%{x:.6g}<br>%{y:.6g}<extra></extra>",
        }
        for name, own in together.items()
    ]
    drawn = figure(traces, x=plain(x), y=plain(y), height=360)
    drawn.update_layout(showlegend=1 < len(drawn.data) <= MOST_NAMED)
    return drawn
