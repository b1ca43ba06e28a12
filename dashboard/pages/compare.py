"""Cells and tests compared: lines upon one another, means of groups, boxes, correlations, what is left of capacity."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from html import unescape
from typing import TYPE_CHECKING, Any

import dash_ag_grid as dag
from dash import ALL as EVERY
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from dashboard import comparing, figures, figures_compare, grid, links, parts, pickers, tables, views
from dashboard.comparing import ALL, EACH, FEATURES, SPREADS
from dashboard.data import lives
from dashboard.data.lives import Life
from dashboard.figures_compare import Looks
from dashboard.links import Given
from dashboard.quantities import AS_MEASURED, AXES, DIVISORS, QUANTITIES, Choice, incomplete_cycles, undated_cycles
from dashboard.retention import group_means, retention_table

if TYPE_CHECKING:
    import polars as pl

PATH = "/compare"
TITLE = "Compare"
GROUP = "Look"

MOST = 200
"""Cells and tests that are compared at once."""

MOST_REASONS = 5
MOST_ROWS = 14
"""Of the table; it scrolls to the others."""

RETAINED_AT = "50, 100, 200, 500, 1000"
ACROSS, UPWARDS = comparing.title_of("mean_coulombic_efficiency"), comparing.title_of("capacity_retention")
MEASURES = {"spearman_rho": "Spearman's rho", "pearson_r": "Pearson's r"}

_ROW_HEIGHT, _HEAD_HEIGHT = 32, 56
_GRID = {"rowHeight": _ROW_HEIGHT, "headerHeight": 36, "ensureDomOrder": True}
_SUBJECT = ("cell", "test")
_LOOKS = ("group", "line")


def _id(name: str) -> dict[str, str]:
    return links.control("compare", name)


def layout(**query: Given) -> Component:
    """Return the page for what the address holds: ``?cell=…&test=…`` and how they are compared."""
    if lives.newest_cell() is None:
        return pickers.nothing(TITLE)
    given = {name: links.text(each) for name, each in query.items()}
    cells, tests = links.texts(query.get("cell")), links.texts(query.get("test"))
    quantity = (
        parts.select(_id("y"), "Quantity", {name: each.title for name, each in QUANTITIES.items()}, given.get("y")),
        parts.select(_id("x"), "Against", AXES, given.get("x")),
        parts.select(_id("by"), "Divided by", DIVISORS, given.get("by"), every=AS_MEASURED),
        parts.number_input(_id("reference"), "Reference cycle", links.whole(query.get("reference")), step=1, least=0),
        parts.select(_id("spread"), "Show", _SHOWN, given.get("spread"), every="Each line"),
        parts.switch(_id("incomplete"), "Incomplete cycles", on=given.get("incomplete") == "yes"),
    )
    subject = (
        pickers.cells("compare", cells),
        pickers.tests("compare", tests),
        parts.select("compare-kind", "Add all cells of", lives.kinds(), every="Choose"),
        parts.select(_id("group"), "Colour and group by", _groups(()), given.get("group"), every="Each by itself"),
        parts.select(_id("line"), "Line by", {}, given.get("line"), every="Nothing"),
    )
    return parts.page(
        TITLE,
        parts.toolbar(*subject),
        html.Div(id="compare-note", role="status"),
        html.Div(
            [
                figures.figure_card("compare-lines", "Lines", None, *quantity, height=460),
                *_below(given),
            ],
            id="compare-content",
            className="page",
            hidden=True,
        ),
        actions=[views.menu(PATH)],
    )


_SHOWN = {name: f"Mean, {words[0].lower()}{words[1:]}" for name, words in SPREADS.items()}


def _below(given: Mapping[str, str | None]) -> list[Component]:
    features = {name: title for name, (title, _, _) in FEATURES.items()}
    exports = [parts.button(label, {"type": "compare-export", "form": form}) for form, label in tables.FORMS.items()]
    numbers = parts.card(
        "What is left",
        parts.toolbar(parts.text_input(_id("at"), "Retention at cycles", given.get("at") or RETAINED_AT, roomy=True)),
        html.Div(
            dag.AgGrid(
                id="compare-table",
                columnDefs=[],
                rowData=[],
                defaultColDef={"resizable": True, "minWidth": 70},
                dashGridOptions=_GRID,
            ),
            className="grid-box",
        ),
        html.P(
            "Means are over those of a group that have the number; of cycles to 80 % only where all have come so far.",
            className="hint",
        ),
        dcc.Download(id="compare-download"),
        actions=[parts.menu("Export", *exports)],
    )
    box = figures.figure_card(
        "compare-boxes",
        "By group",
        None,
        parts.select(_id("feature"), "Number", features, given.get("feature")),
    )
    pair = figures.figure_card(
        "compare-pair", "Two numbers against one another", None, html.Div(id="compare-pair-note")
    )
    axes = [
        parts.select(_id(name), label, [], given.get(name) or usual)
        for name, label, usual in (("one", "Across", ACROSS), ("other", "Upwards", UPWARDS))
    ]
    for axis in axes:
        axis.className += " roomy"
    heat = figures.figure_card(
        "compare-matrix",
        "What goes with what",
        None,
        parts.select(_id("measure"), "Correlation", MEASURES, given.get("measure")),
        *axes,
        height=figures_compare.MATRIX_HEIGHT,
        least_width=figures_compare.MATRIX_HEIGHT,
    )
    return [numbers, heat, parts.grid(pair, box)]


def _groups(found: Sequence[Life]) -> dict[str, str]:
    return {ALL: "All together", **comparing.trait_titles(found)}


def _options(named: Mapping[str, str], nothing: str) -> list[dict[str, str]]:
    return [{"label": nothing, "value": ""}, *({"label": label, "value": value} for value, label in named.items())]


def add(kind: str | None, cells: list[str] | None) -> tuple[Any, Any, Any]:
    """Add all cells of a project, a chemistry or a tag to those that are compared."""
    if not kind:
        return no_update, no_update, no_update
    together = list(dict.fromkeys([*(cells or []), *lives.cells_of_kind(kind, MOST)]))
    return list(dict.fromkeys([*together, *lives.cells()])), together, ""


def _found(cells: list[str] | None, tests: list[str] | None) -> tuple[list[Life], list[str]]:
    cells, tests = cells or [], tests or []
    found, absent = lives.several(cells[:MOST], tests[: max(MOST - len(cells), 0)])
    if len(cells) + len(tests) > MOST:
        absent.append(f"{len(cells) + len(tests)} cells and tests are chosen; the first {MOST} are compared")
    return found, absent


def draw(
    cells: list[str] | None,
    tests: list[str] | None,
    group: str | None,
    line: str | None,
    y: str | None,
    x: str | None,
    by: str | None,
    reference: float | None,
    spread: str | None,
    incomplete: bool | None,
) -> tuple[Any, ...]:
    """Draw a quantity of all that are compared, and offer what they can be grouped by."""
    if not cells and not tests:
        said = parts.empty("Nothing is chosen yet.", "Choose cells or single tests above, or all cells of a project.")
        return no_update, said, True, no_update, no_update
    found, reasons = _found(cells, tests)
    choice = Choice(
        links.choice(y, list(QUANTITIES)),
        links.choice(x, list(AXES)),
        links.choice(by, ["", *DIVISORS]),
        None if reference is None else int(reference),
    )
    how = links.choice(spread, ["", *SPREADS])
    looks = _by_group(found, group or (ALL if how else EACH), line)  # a mean of one alone is none
    shown, missing = figures_compare.overlay(found, looks, choice, spread=how, incomplete=bool(incomplete))
    notes = [parts.note(each, tone="warning") for each in _shortened([*reasons, *missing])]
    left_out = 0 if incomplete else sum(map(incomplete_cycles, found))
    if left_out:
        notes.append(parts.note(f"{parts.count(left_out, 'incomplete cycle')} not shown."))
    if choice.against == "date" and (undated := sum(map(undated_cycles, found))):
        notes.append(parts.note(f"{parts.count(undated, 'cycle')} of tests without a date not shown.", tone="warning"))
    if not choice.is_divided:
        notes.append(parts.note(f"{choice.of.title} is as measured: it is nothing that can be divided so."))
    groups, traits = _groups(found), comparing.trait_titles(found)
    return shown, notes, not found, _options(groups, "Each by itself"), _options(traits, "Nothing")


def _shortened(reasons: Sequence[str]) -> list[str]:
    rest = len(reasons) - MOST_REASONS
    return [*reasons[:MOST_REASONS], *([f"and {rest} more are missing"] if rest > 0 else [])]


def tabulate(
    cells: list[str] | None, tests: list[str] | None, group: str | None, reference: float | None, at: str | None
) -> tuple[Any, ...]:
    """Return columns, rows, means of groups and height of the table of what is left."""
    found, _ = _found(cells, tests)
    columns, rows = retention_table(found, group or EACH, at, None if reference is None else int(reference))
    means = group_means(columns, rows)
    height = f"{_HEAD_HEIGHT + _ROW_HEIGHT * (min(max(len(rows), 1), MOST_ROWS) + min(len(means), MOST_ROWS))}px"
    options = {**_GRID, "pinnedBottomRowData": means}
    return [column.definition() for column in columns], rows, options, {"height": height}


def send_table(
    clicks: Sequence[int | None],
    cells: list[str] | None,
    tests: list[str] | None,
    group: str | None,
    reference: float | None,
    at: str | None,
) -> Any:
    """Send the table of what is left as a file."""
    if not any(clicks) or not ctx.triggered_id:
        return no_update
    found, _ = _found(cells, tests)
    columns, rows = retention_table(found, group or EACH, at, None if reference is None else int(reference))
    rows = [*rows, *group_means(columns, rows)]
    form = ctx.triggered_id["form"]
    chosen = {"cell": cells, "test": tests, "group": group, "reference": reference, "at": at}
    headings = {column.field: column.heading for column in columns}
    content = tables.written(form, "retention", headings, grid.as_headed(columns, rows), chosen)
    return dcc.send_bytes(content, f"retention.{form}")


def draw_boxes(
    cells: list[str] | None, tests: list[str] | None, group: str | None, line: str | None, feature: str | None
) -> Any:
    """Draw how one number is spread in the groups."""
    found, _ = _found(cells, tests)
    shown, _ = figures_compare.boxes(found, _by_group(found, group, line), links.choice(feature, list(FEATURES)))
    return shown


def _by_group(found: Sequence[Life], group: str | None, line: str | None) -> Looks:
    return Looks(found, group or EACH, line or "")


def draw_matrix(cells: list[str] | None, tests: list[str] | None, measure: str | None) -> tuple[Any, Any, Any]:
    """Draw what goes with what, and offer the numbers of the pair."""
    found, _ = _found(cells, tests)
    table = comparing.table_of_numbers(found)
    chosen = links.choice(measure, list(MEASURES))
    names, square = comparing.matrix(table, chosen)
    options = [{"label": name, "value": name} for name in table.columns]
    return figures_compare.correlation_matrix(names, square, MEASURES[chosen]), options, options


def choose_pair(click: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """Take the pair of the square that was clicked."""
    points = (click or {}).get("points") or ()
    return (unescape(points[0]["x"]), unescape(points[0]["y"])) if points else (no_update, no_update)


def draw_pair(
    cells: list[str] | None,
    tests: list[str] | None,
    group: str | None,
    line: str | None,
    one: str | None,
    other: str | None,
) -> tuple[Any, Any]:
    """Draw two numbers against one another, with how well they go together."""
    found, _ = _found(cells, tests)
    table = comparing.table_of_numbers(found)
    if one not in table.columns or other not in table.columns:
        return figures.figure([], x=one or "", y=other or ""), "No life that is compared has these numbers."
    shown = figures_compare.scatter(found, _by_group(found, group, line), table, one, other)
    return shown, _said(table, one, other)


def _said(table: pl.DataFrame, one: str, other: str) -> str:
    from battery_analysis.analysis.correlations import correlations

    row = correlations(table.select(one, other), [one], [other]).row(0, named=True) if one != other else {}
    if row.get("pearson_r") is None:
        return str(row.get("reason") or "The same number twice.")
    return (
        f"{row['n']} cells and tests: Pearson's r {row['pearson_r']:.3f} (p {row['pearson_p']:.2g}), "
        f"Spearman's rho {row['spearman_rho']:.3f} (p {row['spearman_p']:.2g}). A correlation is no cause."
    )


def register_callbacks(app: Dash) -> None:
    """Wire the controls."""
    pickers.register_callbacks(app, "compare", *_SUBJECT)
    inputs = functools.partial(_values, Input)
    app.callback(
        Output(_id("cell"), "options", allow_duplicate=True),
        Output(_id("cell"), "value"),
        Output("compare-kind", "value"),
        Input("compare-kind", "value"),
        State(_id("cell"), "value"),
        prevent_initial_call=True,
    )(add)
    app.callback(
        Output(figures.graph("compare-lines"), "figure"),
        Output("compare-note", "children"),
        Output("compare-content", "hidden"),
        Output(_id("group"), "options"),
        Output(_id("line"), "options"),
        *inputs(*_SUBJECT, *_LOOKS, "y", "x", "by", "reference", "spread", "incomplete"),
    )(draw)
    for name in ("lines", "boxes", "pair"):
        figures.open_on_click(app, f"compare-{name}")
    app.callback(
        Output("compare-table", "columnDefs"),
        Output("compare-table", "rowData"),
        Output("compare-table", "dashGridOptions"),
        Output("compare-table", "style"),
        *inputs(*_SUBJECT, "group", "reference", "at"),
    )(tabulate)
    app.callback(
        Output("compare-download", "data"),
        Input({"type": "compare-export", "form": EVERY}, "n_clicks"),
        *_values(State, *_SUBJECT, "group", "reference", "at"),
        prevent_initial_call=True,
    )(send_table)
    app.callback(Output(figures.graph("compare-boxes"), "figure"), *inputs(*_SUBJECT, *_LOOKS, "feature"))(draw_boxes)
    app.callback(
        Output(figures.graph("compare-matrix"), "figure"),
        Output(_id("one"), "options"),
        Output(_id("other"), "options"),
        *inputs(*_SUBJECT, "measure"),
    )(draw_matrix)
    app.callback(
        Output(_id("one"), "value"),
        Output(_id("other"), "value"),
        Input(figures.graph("compare-matrix"), "clickData"),
        prevent_initial_call=True,
    )(choose_pair)
    app.callback(
        Output(figures.graph("compare-pair"), "figure"),
        Output("compare-pair-note", "children"),
        *inputs(*_SUBJECT, *_LOOKS, "one", "other"),
    )(draw_pair)


def _values(kind: Any, *names: str) -> list[Any]:
    return [kind(_id(name), "value") for name in names]
