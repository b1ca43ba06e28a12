"""Trait filter: samples and tests by conditions on any of their properties, kept under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import grid, links, parts, views
from dashboard.data import samples as stored_samples
from dashboard.data import tests as stored_tests
from dashboard.data import traits
from dashboard.grid import Rows, Wanted
from dashboard.links import Given
from dashboard.pages import samples, tests

PATH = "/traits"
TITLE = "Trait filter"
GROUP = "Find"

OF = {"tests": "Tests", "samples": "Samples"}
MATCH = {"all": "All conditions hold", "any": "Any condition holds"}

_TABLES = {
    "tests": ("traits-tests", tests.COLUMNS, tests.EDITING),
    "samples": ("traits-samples", samples.COLUMNS, samples.EDITING),
}
_CONTROLS = {name: links.control("traits", name) for name in ("where", "match", "of")}


def layout(where: Given = None, match: Given = None, of: Given = None, **query: Given) -> Component:
    """Return the page with the conditions that the address holds."""
    if stored_tests.is_empty() and stored_samples.is_empty():
        return parts.page(TITLE, parts.empty("There are no tests and no samples yet.", parts.to_import()))
    texts = links.texts(where)
    shown = links.choice(of, tuple(OF))
    named = traits.properties()
    first = "test.capacity_retention"
    return parts.page(
        TITLE,
        parts.card(
            "Conditions",
            html.Div(
                [
                    html.Div(conditions(texts), id="traits-conditions"),
                    # Holds the conditions for the address; they are changed by the buttons.
                    html.Div(dcc.Dropdown(id=_CONTROLS["where"], options=texts, value=texts, multi=True), hidden=True),
                    html.Div(_builder(named, first), className="condition"),
                    html.Div(id="traits-said", role="status"),
                ],
                className="stack",
            ),
        ),
        parts.toolbar(
            parts.select(_CONTROLS["of"], "Show", OF, shown),
            parts.select(_CONTROLS["match"], "That fit when", MATCH, links.choice(match, tuple(MATCH))),
        ),
        html.Div(table(shown, query), id="traits-table"),
        actions=[views.menu(PATH)],
    )


def _builder(named: Mapping[str, str], first: str) -> list[Component]:
    options = [{"label": label, "value": value} for value, label in named.items()]
    offered, hint = traits.values(first)
    value = dcc.Input(
        id="traits-value", type="text", list="traits-offered", placeholder=hint, autoComplete="off", debounce=False
    )
    return [
        parts.labelled("Property", dcc.Dropdown(id="traits-property", options=options, value=first, clearable=False)),
        parts.select("traits-operator", "Comparison", traits.operators(first)),
        parts.labelled("Value", value),
        parts.button("Add condition", "traits-add", kind="primary"),
        html.Datalist([html.Option(value=each) for each in offered], id="traits-offered"),
    ]


def conditions(texts: Sequence[str]) -> Component:
    """Return the conditions in words, each with a button that removes it."""
    if not texts:
        return parts.empty("No condition yet: everything fits.", "Add one below; several can be joined.")
    return html.Ul([html.Li(_line(place, text)) for place, text in enumerate(texts)], className="conditions")


def _line(place: int, text: str) -> Component:
    try:
        said: Component = html.Span(traits.described(traits.read([text])[0]))
    except BatteryAnalysisError as exc:
        said = parts.problem(exc)
    remove = html.Button(
        "×",
        id={"type": "traits-remove", "place": place},
        type="button",
        className="icon-button",
        **{"aria-label": "Remove this condition"},
    )
    return html.Div([said, remove], className="file-line")


def table(of: str, query: Mapping[str, Given]) -> Component:
    """Return the table of tests or of samples."""
    columns = tests.columns() if of == "tests" else samples.columns()
    return grid.server_grid(_TABLES[of][0], columns, query, height="calc(100vh - 420px)", is_edited=True)


def show_other(of: str) -> Component:
    """Return the other table, in its usual order."""
    return table(of, {})


def fetch_tests(wanted: Wanted) -> Rows:
    """Return the tests that fit."""
    return _fetch("tests", wanted)


def fetch_samples(wanted: Wanted) -> Rows:
    """Return the samples that fit."""
    return _fetch("samples", wanted)


def _fetch(of: traits.Of, wanted: Wanted) -> Rows:
    try:
        read = traits.read(links.texts(wanted.chosen["where"]))
    except BatteryAnalysisError:
        return Rows([], 0)  # what is wrong stands where the condition stands
    every = wanted.chosen["match"] != "any"
    found, total, more = traits.found(of, read, every=every, sort=wanted.sort, first=wanted.first, last=wanted.last)
    return Rows(found, total, more)


def change(
    _: int | None,
    __: Sequence[int | None],
    property_: str | None,
    operator: str | None,
    value: str | None,
    present: Sequence[str] | None,
) -> tuple[Any, ...]:
    """Add the condition that stands in the fields, or remove one."""
    pressed = ctx.triggered_id
    if not pressed or not any(each["value"] for each in ctx.triggered):
        return (no_update,) * 5
    texts = list(present or ())
    if isinstance(pressed, Mapping):
        del texts[pressed["place"] : pressed["place"] + 1]
        return texts, texts, conditions(texts), None, no_update
    try:
        added = str(traits.built(property_ or "", operator or "", value or ""))
    except BatteryAnalysisError as exc:
        return no_update, no_update, no_update, parts.problem(exc), no_update
    texts = list(dict.fromkeys([*texts, added]))
    return texts, texts, conditions(texts), None, ""


def offer(property_: str | None) -> tuple[Any, ...]:
    """Offer the comparisons and the values of a property."""
    if not property_:
        return (no_update,) * 4
    operators = traits.operators(property_)
    offered, hint = traits.values(property_)
    options = [{"label": label, "value": value} for value, label in operators.items()]
    return options, options[0]["value"], [html.Option(value=each) for each in offered], hint


def register_callbacks(app: Dash) -> None:
    """Wire conditions and tables."""
    where = _CONTROLS["where"]
    for of, fetch in (("tests", fetch_tests), ("samples", fetch_samples)):
        id, columns, editing = _TABLES[of]
        chosen = {name: _CONTROLS[name] for name in ("where", "match")}
        grid.register_server_grid(app, id, columns, fetch, chosen, word=of.removesuffix("s"), editing=editing)
    app.callback(Output("traits-table", "children"), Input(_CONTROLS["of"], "value"), prevent_initial_call=True)(
        show_other
    )
    app.callback(
        Output(where, "options"),
        Output(where, "value"),
        Output("traits-conditions", "children"),
        Output("traits-said", "children"),
        Output("traits-value", "value"),
        Input("traits-add", "n_clicks"),
        Input({"type": "traits-remove", "place": ALL}, "n_clicks"),
        State("traits-property", "value"),
        State("traits-operator", "value"),
        State("traits-value", "value"),
        State(where, "value"),
        prevent_initial_call=True,
    )(change)
    app.callback(
        Output("traits-operator", "options"),
        Output("traits-operator", "value"),
        Output("traits-offered", "children"),
        Output("traits-value", "placeholder"),
        Input("traits-property", "value"),
        prevent_initial_call=True,
    )(offer)
