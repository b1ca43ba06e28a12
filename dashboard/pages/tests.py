"""All tests, found by words and filters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dash import Dash, Input, Output, html
from dash.development.base_component import Component

from dashboard import grid, groups, links, parts, views
from dashboard.data import added, tests
from dashboard.grid import Column, Rows, Wanted
from dashboard.grid_editing import Editing
from dashboard.links import Given

PATH = "/tests"
TITLE = "Tests"
GROUP = "Find"

COLUMNS = (
    Column("name", "Test", link="/test/", width=240),
    Column("cell_code", "Cell", sort="cell", link="/cell?cell=", link_field="cell_code", width=90),
    Column("sample", "Sample", sort="sample", link="/sample?sample=", link_field="sample", width=100, is_edited=True),
    Column("chemistry", "Chemistry", sort="chemistry", width=110),
    Column("tester", "Tester", sort="tester", width=95),
    Column("type", "Type", sort="type", width=85),
    Column("started_at", "Started (UTC)", kind="moment", sort="started"),
    Column("cycles", "Cycles", kind="whole", sort="cycles", width=95),
    Column("records", "Records", kind="whole", hidden=True),
    Column("initial_capacity_ah", "Initial", "Ah", kind="number", sort="initial", width=100),
    Column("final_capacity_ah", "Final", "Ah", kind="number", sort="final", width=95),
    Column("capacity_retention", "Retention", "%", kind="percent", sort="retention", width=125),
    Column("flags", "Failed checks", kind="flags"),
    Column("tags", "Tags", kind="tags", is_edited=True),
    Column("project", "Project", hidden=True, width=120),
    Column("sha256", "SHA-256", hidden=True, width=200),
)

EDITING = Editing(tests.edit, tests.row)

FILTERS = (
    "text",
    "tester",
    "type",
    "chemistry",
    "project",
    "tags",
    "first",
    "last",
    "min_cycles",
    "max_cycles",
    "cell",
    "sample",
    "job",
)


def columns() -> list[Column]:
    """Return all columns, with those of what the lab has added."""
    return [*COLUMNS, *grid.added_columns(added.keys("test"))]


def layout(**query: Given) -> Component:
    """Return the page with the filters that the address holds."""
    if tests.is_empty():
        return parts.page(TITLE, parts.empty("There are no tests yet.", parts.to_import()))
    values, text, id = tests.choices(), links.text, _id

    def one_of(name: str, label: str, every: str) -> Component:
        return parts.select(id(name), label, values[name], text(query.get(name)), every=every)

    filters = parts.toolbar(
        parts.text_input(
            id("text"), "Words", text(query.get("text")), placeholder="names, tags, protocol, notes", roomy=True
        ),
        one_of("tester", "Tester", "All testers"),
        one_of("type", "Type", "All types"),
        one_of("chemistry", "Chemistry", "All chemistries"),
        one_of("project", "Project", "All projects"),
        parts.multi_select(id("tags"), "Tags", values["tags"], links.texts(query.get("tags")), placeholder="Any"),
        parts.day_input(id("first"), "From", text(query.get("first"))),
        parts.day_input(id("last"), "To", text(query.get("last"))),
        parts.number_input(id("min_cycles"), "Cycles from", links.whole(query.get("min_cycles")), step=1, least=0),
        parts.number_input(id("max_cycles"), "Cycles to", links.whole(query.get("max_cycles")), step=1, least=0),
        parts.text_input(id("cell"), "Cell code", text(query.get("cell"))),
        parts.text_input(id("sample"), "Sample", text(query.get("sample"))),
        html.Div(parts.text_input(id("job"), "Import job", text(query.get("job"))), hidden=not query.get("job")),
        parts.select(
            id("group"), "Group by", _headings(tests.GROUPS), text(query.get("group")) or "", every="No groups"
        ),
    )
    return parts.page(
        TITLE,
        filters,
        html.Div(id="tests-groups"),
        grid.server_grid("tests", columns(), query, height="calc(100vh - 320px)", is_edited=True),
        actions=[views.menu(PATH)],
    )


def _headings(names: Iterable[str]) -> dict[str, str]:
    return {name: name.capitalize() for name in names}


def _id(name: str) -> dict[str, str]:
    return links.control("tests", name)


def fetch(wanted: Wanted) -> Rows:
    """Return the rows that the table asks for."""
    found, total, more = tests.listed(tests.query(wanted.chosen, wanted.sort), wanted.first, wanted.last)
    return Rows(found, total, more)


def show_groups(by: str | None, *values: Any) -> Component | None:
    """Return the groups of the tests that the filters let through, each a link to its own tests in the same table."""
    if not by or by not in tests.GROUPS:
        return None
    chosen = dict(zip((*FILTERS, *grid.looks("tests")), values, strict=True))
    found = tests.grouped(tests.query(chosen), by)
    counts = ("tests", "cycles")
    address = {**chosen, "group": by}
    return groups.card(
        by.capitalize(), "tests", found, counts, lambda value: links.href(PATH, **{**address, by: value})
    )


def register_callbacks(app: Dash) -> None:
    """Wire the table and the groups to the filters."""
    controls = {name: _id(name) for name in FILTERS}
    grid.register_server_grid(app, "tests", COLUMNS, fetch, controls, word="test", editing=EDITING)
    app.callback(
        Output("tests-groups", "children"),
        Input(_id("group"), "value"),
        *(Input(id, "value") for id in (*controls.values(), *grid.looks("tests").values())),
    )(show_groups)
