"""Which tests have lost the most: an example of an ad hoc script.

A script is a file with ``layout()``; ``TITLE`` and ``register_callbacks(app)`` are welcome. It may use all that pages
use. Ids begin with the script's name, so that they are nobody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output
from dash.development.base_component import Component

from dashboard import figures, parts
from dashboard.data import tests
from dashboard.data.names import told_apart

if TYPE_CHECKING:
    import plotly.graph_objects as go

TITLE = "Fastest fade"

MOST_TESTS = 12
HEIGHT = 520
NAME_CHARACTERS = 40


def layout() -> Component:
    """Return a choice and a figure; the callback below draws it as soon as it stands on the page."""
    if tests.is_empty():
        return parts.empty("There are no tests yet.", parts.to_import())
    least = parts.number_input("fastest-fade-cycles", "Tests with cycles from", 50, step=1, least=2)
    return figures.figure_card("fastest-fade", "Capacity that is left", None, least, height=HEIGHT)


def draw(least_cycles: float | None) -> go.Figure:
    """Draw the tests with the lowest retention."""
    wanted = tests.query({"min_cycles": int(least_cycles or 2)}, sort="retention")
    rows, *_ = tests.listed(wanted, 0, 10 * MOST_TESTS)
    known = [row for row in rows if row["capacity_retention"] is not None][:MOST_TESTS]
    cells = ((row["id"], f"{row['cell_code']} · {row['name']}", row["cell_code"]) for row in known)
    names = list(told_apart(cells).values())
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "x": [100 * row["capacity_retention"] for row in known],
        "y": list(map(figures.plain, names)),
        "width": 0.4,
        "customdata": [row["cycles"] for row in known],
        "hovertemplate": "%{y}<br>%{x:.1f} % after %{customdata} cycles<extra></extra>",
    }
    # Names stand above their bars: beside them they would leave no room for bars on a phone.
    above = {"x": 0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    labels = [
        {**above, "y": place - 0.2, "text": figures.plain(figures.shortened(name, NAME_CHARACTERS))}
        for place, name in enumerate(names)
    ]
    places = {"showticklabels": False, "ticks": "", "showgrid": False, "range": [len(known) - 0.6, -0.8]}
    looks: dict[str, Any] = (
        {"yaxis": {"type": "category", **places}, "annotations": labels}
        if known
        else figures.nothing("No test has so many cycles: ask for fewer above.")
    )
    return figures.figure([trace], x=figures.axis_title("Retention", "%"), y="", height=HEIGHT, **looks)


def register_callbacks(app: Dash) -> None:
    """Draw anew when the choice changes; called once, when the dashboard starts."""
    app.callback(Output(figures.graph("fastest-fade"), "figure"), Input("fastest-fade-cycles", "value"))(draw)
