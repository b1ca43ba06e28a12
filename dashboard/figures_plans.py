"""Figures of experiment plans: the matrix and how far its cells are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dashboard.answers import heading
from dashboard.figures import PALETTES, figure, muted, plain, theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from dashboard.data.plans import Cell, State

MOST_WORDS = 300
"""Fields of the matrix whose progress is written into them."""

_ROW_PIXELS, _LEAST, _MOST = 36, 240, 900


def matrix(state: State) -> go.Figure:
    """Draw which cells of a plan have tests: a field for each combination of levels, or a point for each run."""
    factors = [factor.name for factor in state.plan.factors]
    if state.plan.design == "latin_hypercube":
        return _spread(state, factors)
    half = len(factors) // 2
    columns = sorted({_key(cell, half, len(factors)) for cell in state.cells}, key=_order(state, half, len(factors)))
    rows = sorted({_key(cell, 0, half) for cell in state.cells}, key=_order(state, 0, half))
    fields: dict[tuple[Any, Any], list[Cell]] = {}
    for cell in state.cells:
        fields.setdefault((_key(cell, 0, half), _key(cell, half, len(factors))), []).append(cell)
    shares, words, said = [], [], []
    for row in rows:
        own = [fields.get((row, column), []) for column in columns]
        shares.append([sum(cell.tests > 0 for cell in each) / len(each) if each else None for each in own])
        words.append([_progress(each) for each in own])
        said.append([_told(each) for each in own])
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [_written(each) for each in columns],
        "y": [_written(each) for each in rows],
        "z": shares,
        "zmin": 0,
        "zmax": 1,
        "customdata": said,
        "colorscale": _scale(),
        "xgap": 3,
        "ygap": 3,
        "colorbar": {
            "title": {"text": "With tests", "side": "right"},
            "tickformat": ".0%",
            "thickness": 12,
            "outlinewidth": 0,
        },
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    if len(rows) * len(columns) <= MOST_WORDS:
        trace |= {"text": words, "texttemplate": "%{text}"}
    category = {"type": "category", "showgrid": False}
    return figure(
        [trace],
        x=", ".join(map(heading, factors[half:])),
        y=", ".join(map(heading, factors[:half])),
        height=min(max(len(rows) * _ROW_PIXELS + 140, _LEAST), _MOST),
        xaxis=category,
        yaxis={**category, "autorange": "reversed"},
    )


def _spread(state: State, factors: Sequence[str]) -> go.Figure:
    """Draw the runs over their first two factors."""
    palette = PALETTES[theme()]
    looks = {"done": (palette[2], "circle"), "assigned": (palette[1], "circle-dot"), "open": (muted(), "circle-open")}
    traces = []
    for word, (color, symbol) in looks.items():
        own = [cell for cell in state.cells if cell.state == word]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{word} ({len(own)})",
                "x": [_level(cell.levels[0]) for cell in own],
                "y": [_level(cell.levels[1]) if len(factors) > 1 else 0 for cell in own],
                "customdata": [_told([cell]) for cell in own],
                "marker": {"size": 12, "color": color, "symbol": symbol, "line": {"width": 2, "color": color}},
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    y = heading(factors[1]) if len(factors) > 1 else ""
    return figure(traces, x=heading(factors[0]), y=y, height=420, showlegend=True)


def _key(cell: Cell, first: int, last: int) -> tuple[Any, ...]:
    return cell.levels[first:last]


def _order(state: State, first: int, last: int) -> Any:
    """Return the order of combinations: that in which the plan's factors name their levels."""
    levels = [list(factor.levels) for factor in state.plan.factors[first:last]]
    return lambda key: [known.index(level) for known, level in zip(levels, key, strict=True)]


def _written(key: Sequence[Any]) -> str:
    return ", ".join(map(_text, key)) or "all"


def _text(level: Any) -> str:
    return f"{level:g}" if isinstance(level, float) else plain(str(level))


def _level(level: Any) -> Any:
    return level if isinstance(level, float) else _text(level)


def _progress(cells: Sequence[Cell]) -> str:
    done = sum(cell.tests > 0 for cell in cells)
    if not cells:
        return ""
    if len(cells) > 1:
        return f"{done} of {len(cells)}"
    tests = cells[0].tests
    return f"{tests} test{'s' * (tests != 1)}" if tests else cells[0].state


def _told(cells: Sequence[Cell]) -> str:
    """Return what a field says when pointed at."""
    lines = []
    for cell in cells:
        names = plain(", ".join(link.sample_name for link in cell.links))
        lines.append(
            f"cell {cell.number} ({', '.join(map(_text, cell.levels))}): {cell.state}"
            + (f", {cell.tests} tests of {names}" if names else "")
        )
    return "<br>".join(lines) or "not in the design"


def _scale() -> list[list[Any]]:
    soft, strong = ("#e7ebf0", "#4cb892") if theme() == "light" else ("#2a303b", "#0f7d5e")
    return [[0, soft], [1, strong]]
