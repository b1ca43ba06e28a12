"""Everything about one cell code: what it is, its tests, its life, its dataset, its files and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import attached_files, background, figures, history, links, parts, pickers
from dashboard.data import cells, lives, samples
from dashboard.figures_cell import capacity, efficiency, timeline, timeline_height
from dashboard.links import Given
from dashboard.pages import cell_cards as cards
from dashboard.pages import sample_cards

if TYPE_CHECKING:
    import plotly.graph_objects as go

PATH = "/cell"
TITLE = "Cell"
GROUP = "Find"


def layout(cell: Given = None, **_: Given) -> Component:
    """Return the page of the cell that the address names, without one of the one tested last."""
    code = links.text(cell) or lives.newest_cell()
    if code is None:
        return parts.page(TITLE, parts.empty("There are no cells yet.", parts.to_import()))
    return parts.page(TITLE, parts.toolbar(pickers.cell("cell", code), history.author()), _body(code))


def _body(code: str) -> Component:
    return html.Div([*body(code), dcc.Store(id="cell-code", data=code)], id="cell-body", className="page")


def body(code: str) -> list[Component]:
    """Return the cards of a cell; what needs its cycles is drawn right after."""
    try:
        shown = cells.one(code)
    except BatteryAnalysisError as exc:
        return [parts.problem(exc)]
    sample = samples.some(shown.samples[0].id) if shown.samples else None
    dated = [each for each in shown.tests if each.started_at is not None]
    undated = len(shown.tests) - len(dated)
    said = parts.note(f"{parts.count(undated, 'test')} without a date cannot be drawn.") if undated else None
    names = {str(test.id): test.name for test in shown.tests}
    line = None
    if dated:
        height = timeline_height(shown.tests)
        line = figures.figure_card("cell-timeline", "Tests in time", timeline(shown.tests), height=height, wide=True)
    return [
        each
        for each in (
            cards.title(shown),
            html.Div(id="cell-numbers"),
            parts.grid(
                figures.figure_card("cell-capacity", "Capacity over life", height=340),
                figures.figure_card("cell-efficiency", "Efficiency over life", height=340),
            ),
            line,
            said,
            cards.tests(shown),
            parts.grid(
                html.Div(
                    [
                        cards.quality(shown) if shown.tests else None,
                        cards.dataset(shown),
                        cards.downloads(),
                        attached_files.brought(names),
                    ],
                    className="page",
                ),
                html.Div(
                    [
                        sample_cards.properties(sample),
                        attached_files.card("sample", sample.name, names),
                        sample_cards.notes_card(sample, *cards.notes_of_tests(shown)),
                        sample_cards.history_card(sample),
                        sample_cards.hidden(sample),
                    ],
                    className="page",
                )
                if sample
                else None,
            ),
        )
        if each is not None
    ]


def choose(code: str | None, shown: str | None) -> Any:
    """Show another cell."""
    return no_update if not code or code == shown else [*body(code), dcc.Store(id="cell-code", data=code)]


def draw(code: str) -> tuple[go.Figure, go.Figure, Component]:
    """Draw the life of a cell and the numbers one looks for first."""
    table = cells.cycles(code)
    return capacity(table), efficiency(table), cards.numbers(table)


def change_dataset(_: int | None, confirmed: int | None, version: str | None, code: str) -> tuple[Any, Any]:
    """Build the dataset anew, or go back to an older version."""
    if not ctx.triggered_id or not any(each["value"] for each in ctx.triggered):
        return no_update, no_update
    try:
        if ctx.triggered_id == "cell-build":
            number, is_new = cells.build(code)
            said = f"Version {number} is new." if is_new else f"Version {number} is up to date."
        else:
            number = cells.roll_back(code, int(version or 0))
            said = f"Version {number} is new and equals version {version}. It stays until a test of the cell changes."
    except BatteryAnalysisError as exc:
        return no_update, parts.problem(exc)
    return cards.dataset_content(cells.one(code)), parts.note(said, tone="good")


def prepare(_: int | None, form: str | None, code: str | None) -> background.Work | Component:
    """Write a cell as the reader wants it, beside everything else that goes on."""
    if not ctx.triggered_id or not form or not code or not any(each["value"] for each in ctx.triggered):
        return html.Div()
    return cards.writing(code, form)


def register_callbacks(app: Dash) -> None:
    """Wire the choice, the figures, the dataset and the files; the sample's own cards are wired by its page."""
    pickers.register_callbacks(app, "cell", "cell")
    app.callback(
        Output("cell-body", "children"),
        Input(links.control("cell", "cell"), "value"),
        State("cell-code", "data"),
        prevent_initial_call=True,
    )(choose)
    app.callback(
        Output(figures.graph("cell-capacity"), "figure"),
        Output(figures.graph("cell-efficiency"), "figure"),
        Output("cell-numbers", "children"),
        Input("cell-code", "data"),
    )(draw)
    app.callback(
        Output("cell-dataset", "children"),
        Output("cell-dataset-said", "children"),
        Input("cell-build", "n_clicks"),
        Input("cell-restore", "submit_n_clicks"),
        State("cell-version", "value"),
        State("cell-code", "data"),
        prevent_initial_call=True,
    )(change_dataset)
    inputs = [Input("cell-prepare", "n_clicks"), State("cell-form", "value"), State("cell-code", "data")]
    background.register(app, "cell-file", inputs, prepare)
