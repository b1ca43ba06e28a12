"""What a cell or a test tells beyond its cycles: fade and life, roles, protocol, rates, pulses, likeness, models.

The numbers are those of ``battery-analysis analyse …`` and ``battery-analysis normalize``.
"""

from __future__ import annotations

from collections.abc import Mapping

from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component

from dashboard import background, links, parts, pickers, views
from dashboard.data import subjects
from dashboard.links import Given
from dashboard.pages.advanced_cells import CORRELATE, SIMILAR
from dashboard.pages.advanced_cycles import ANOMALIES, EFFICIENCY, FADE, NORMALISED, ROLES
from dashboard.pages.advanced_models import OCV, SIMULATE
from dashboard.pages.advanced_records import GITT, PROTOCOL, PULSES, RATE
from dashboard.pages.advanced_view import PAGE, PATH, View, id_of

TITLE = "Advanced analysis"
GROUP = "Think"

VIEWS: Mapping[str, View] = {
    each.name: each
    for each in (
        *(FADE, NORMALISED, EFFICIENCY, ANOMALIES, ROLES, PROTOCOL, RATE, PULSES, GITT),
        *(OCV, SIMULATE, SIMILAR, CORRELATE),
    )
}


def layout(**query: Given) -> Component:
    """Return the page for what the address holds: ``?cell=``, ``?test=``, ``?view=`` and the options of that view."""
    cell = pickers.named_cell(query)
    if cell is None:
        return pickers.nothing(TITLE)
    chosen = links.choice(query.get("view"), list(VIEWS))
    kinds = parts.segmented(id_of("view"), "Analysis", {name: view.title for name, view in VIEWS.items()}, chosen)
    tests = pickers.test_of(PAGE, cell, links.text(query.get("test")), subjects.tests_of_cell)
    tests.className += " roomy"
    return parts.page(
        TITLE,
        kinds,
        html.Div(
            parts.toolbar(pickers.cell(PAGE, cell), tests), id="advanced-subject", hidden=not VIEWS[chosen].is_of_one
        ),
        html.Div(_shown(chosen, query), id="advanced-view", className="page"),
        actions=[views.menu(PATH)],
    )


def _shown(view: str, query: Mapping[str, Given]) -> list[Component]:
    chosen = VIEWS[view]
    return [parts.toolbar(*chosen.controls(query)), background.place(f"{PAGE}-{view}")]


def show(view: str, search: str | None) -> tuple[list[Component], bool]:
    """Show another analysis, with the options that the address holds."""
    return _shown(links.choice(view, list(VIEWS)), links.read(search)), not VIEWS[
        links.choice(view, list(VIEWS))
    ].is_of_one


def register_callbacks(app: Dash) -> None:
    """Wire the choice of the analysis and of its subject, and every analysis to its place."""
    pickers.register_callbacks(app, PAGE, "cell")
    app.callback(
        Output("advanced-view", "children"),
        Output("advanced-subject", "hidden"),
        Input(id_of("view"), "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )(show)
    pickers.register_test_of(app, PAGE, subjects.tests_of_cell)
    for name, view in VIEWS.items():
        wanted = [Input(id_of(each), "value") for each in (*view.about, *view.options)]
        background.register(app, f"{PAGE}-{name}", wanted, view.begun)
    for name, offer in (("cells", pickers.offer_cells), ("aged", pickers.offer_tests)):
        offered = Input(id_of(name), "search_value"), State(id_of(name), "value")
        app.callback(Output(id_of(name), "options"), *offered, prevent_initial_call=True)(offer)
