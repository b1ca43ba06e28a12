"""Any columns of any tests over time, from the whole test to single records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import figures, links, parts, pickers, views
from dashboard.data import lives, series
from dashboard.figures_series import height_of
from dashboard.links import Given
from dashboard.pages import series_files
from dashboard.pages.series_window import AXES, Wanted

PATH = "/series"
TITLE = "Time series"
GROUP = "Look"

MARKS = {"cycles": "Cycles", "steps": "Steps", "none": "None"}

MOST_TESTS = 8

_FIGURE = "series"


def layout(**query: Given) -> Component:
    """Return the page with the tests, or else the cell, and with signals and window that the address holds."""
    cell = links.text(query.get("cell"))
    given = links.texts(query.get("test")) or (series.of_cell(cell, MOST_TESTS) if cell else [])
    usual = "date" if len(given) > 1 and cell else None
    found = series.some(given)
    if not found and not lives.tests(with_cycles=False):
        return parts.page(TITLE, parts.empty("There are no tests yet.", parts.to_import()))
    known = series.signals(found)
    asked = [name for name in links.texts(query.get("signal")) if name in known]
    text = links.text
    controls = parts.toolbar(
        _wide(pickers.tests("series", given, label="Tests", with_cycles=False)),
        _signals(_options(known), asked),
        parts.select(_id("axis"), "Axis", AXES, links.choice(query.get("axis") or usual, tuple(AXES))),
        parts.select(_id("marks"), "Marks", MARKS, links.choice(query.get("marks"), tuple(MARKS))),
        parts.text_input(_id("from"), "From", text(query.get("from")), placeholder="start"),
        parts.text_input(_id("to"), "To", text(query.get("to")), placeholder="end"),
        parts.button("Whole test", "series-whole"),
    )
    shown = figures.figure_card(_FIGURE, "Signals over time", height=height_of(2), wide=True)
    said = html.Div(id="series-note", **{"aria-live": "polite"})
    files = parts.menu("Records", html.Div(id="series-files", className="menu-lines"))
    return parts.page(TITLE, controls, said, html.Div(shown, id="series-shown"), actions=[files, views.menu(PATH)])


def _signals(options: dict[str, str], chosen: Sequence[str]) -> Component:
    return _wide(parts.multi_select(_id("signal"), "Signals", options, chosen, placeholder="Usual signals"))


def _wide(control: Component) -> Component:
    control.className = "control roomy"
    return control


def _id(name: str) -> dict[str, str]:
    return links.control("series", name)


def _options(known: dict[str, series.Signal]) -> dict[str, str]:
    return {name: figures.axis_title(each.title, each.unit) for name, each in known.items()}


def offer(chosen: Sequence[str] | None) -> list[dict[str, str]]:
    """Offer the columns of the chosen tests."""
    known = series.signals(series.some(chosen or ()))
    return [{"label": label, "value": name} for name, label in _options(known).items()]


def draw(
    chosen: Sequence[str] | None,
    names: Sequence[str] | None,
    axis: str,
    marks: str,
    first: str | None,
    last: str | None,
) -> tuple[Any, ...]:
    """Draw the window that the controls say: figure, its height, whether to hide it, what is to be said, its files."""
    if not chosen:
        said = parts.empty("No test is chosen.", "Choose one above: type a part of its name, cell or tag.")
        return no_update, no_update, True, said, []
    try:
        wanted = Wanted(series.some(chosen[:MOST_TESTS]), names or (), axis, first or "", last or "")
        drawn, remarks = wanted.figure(marks)
    except BatteryAnalysisError as exc:
        return no_update, no_update, True, parts.problem(exc), []
    if len(chosen) > MOST_TESTS:
        remarks.append(f"The first {MOST_TESTS} of {len(chosen)} tests are shown.")
    files = series_files.menu_lines(chosen, wanted.names, axis, first, last)
    return drawn, figures.tall(height_of(len(wanted.names))), False, [parts.note(each) for each in remarks], files


def register_callbacks(app: Dash) -> None:
    """Wire tests, signals and window to the figure, and zooming in the figure to the window."""
    pickers.register_callbacks(app, "series", "any test")
    series_files.register(app)
    app.callback(Output(_id("signal"), "options"), Input(_id("test"), "value"), prevent_initial_call=True)(offer)
    app.clientside_callback(
        ClientsideFunction("series", "zoom"),
        Output(_id("from"), "value"),
        Output(_id("to"), "value"),
        Input(figures.graph(_FIGURE), "relayoutData"),
        Input("series-whole", "n_clicks"),
        Input(_id("axis"), "value"),
        State(_id("from"), "value"),
        State(_id("to"), "value"),
        prevent_initial_call=True,
    )
    app.callback(
        Output(figures.graph(_FIGURE), "figure"),
        Output(figures.graph(_FIGURE), "style"),
        Output("series-shown", "hidden"),
        Output("series-note", "children"),
        Output("series-files", "children"),
        *(Input(_id(name), "value") for name in ("test", "signal", "axis", "marks", "from", "to")),
    )(draw)
