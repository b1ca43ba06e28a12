"""All samples: found by words and properties, counted by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import grid, groups, links, parts, views
from dashboard.data import added, samples
from dashboard.grid import Column, Kind, Rows, Wanted
from dashboard.grid_editing import Editing
from dashboard.links import Given

PATH = "/samples"
TITLE = "Samples"
GROUP = "Find"

FILTERS = (*samples.FILTERS, "lacks")

_RARE = ("manufacturer", "form_factor", "cell_type", "parent", "part", "lacks")
_SHOWN = ("chemistry", "form_factor", "project", "nominal_capacity_ah")


def property_column(field: str, *, hidden: bool = False) -> Column:
    """Return the column of a property of samples, under its name and unit."""
    title, unit = samples.title(field)
    kind: Kind = "number" if field in samples.NUMBERS else "text"
    choices = samples.CELL_TYPES if field == "cell_type" else ()
    width = 190 if unit else 150
    return Column(field, title, unit, kind, field, width, hidden, is_edited=True, choices=choices)


def relative_column(role: str, *, hidden: bool = True) -> Column:
    """Return the column of another sample that one was made from or holds."""
    return Column(
        role, role.capitalize(), link="/sample?sample=", link_field=role, hidden=hidden, width=130, is_edited=True
    )


EDITING = Editing(samples.edit, samples.row)

NAME = Column("name", "Sample", sort="name", link="/sample?sample=", link_field="name", width=170)

COLUMNS = (
    NAME,
    *(property_column(field) for field in _SHOWN),
    Column("test_count", "Tests", kind="whole", sort="test_count"),
    Column("cycle_count", "Cycles", kind="whole", sort="cycle_count"),
    Column("mean_initial_capacity_ah", "Mean initial", "Ah", kind="number", sort="mean_initial_capacity_ah", width=150),
    Column("mean_final_capacity_ah", "Mean final", "Ah", kind="number", sort="mean_final_capacity_ah", width=140),
    Column("mean_capacity_retention", "Mean retention", "%", kind="percent", sort="mean_capacity_retention", width=165),
    Column(
        "mean_coulombic_efficiency",
        "Mean coulombic eff.",
        "%",
        kind="percent",
        sort="mean_coulombic_efficiency",
        width=195,
        hidden=True,
    ),
    Column(
        "median_internal_resistance_ohm",
        "Median resistance",
        "Ω",
        kind="number",
        sort="median_internal_resistance_ohm",
        width=180,
        hidden=True,
    ),
    Column("tags", "Tags", kind="tags", is_edited=True),
    Column("last_started_at", "Last test (UTC)", kind="moment", sort="last_started_at"),
    Column("updated_at", "Changed (UTC)", kind="moment", sort="updated_at", hidden=True),
    *(relative_column(role) for role in samples.RELATIVES),
    *(property_column(field, hidden=True) for field in samples.PROPERTIES if field not in _SHOWN),
)


def columns() -> list[Column]:
    """Return all columns, with those of what the lab has added."""
    return [*COLUMNS, *grid.added_columns(added.keys("sample"))]


def layout(**query: Given) -> Component:
    """Return the page with the filters and the grouping that the address holds."""
    new = parts.menu(
        "New sample",
        parts.text_input("samples-new-name", "Name", placeholder="as the lab calls it", at_once=True),
        parts.button("Make sample", "samples-new"),
        html.Div(id="samples-new-said"),
    )
    if samples.is_empty():
        hint = [*parts.to_import(), ": it makes samples from its files. New sample makes one by hand."]
        return parts.page(TITLE, parts.empty("There are no samples yet.", hint), actions=[new])
    fields = {field: samples.title(field)[0] for field in samples.PROPERTIES}
    by = {field: samples.title(field)[0] for field in samples.GROUPS}
    lacks = parts.select(
        links.control("samples", "lacks"), "Lacking", fields, links.text(query.get("lacks")), every="Nothing particular"
    )
    group = parts.select(
        links.control("samples", "group"), "Group by", by, links.text(query.get("group")), every="No groups"
    )
    return parts.page(
        TITLE,
        filters("samples", query, group, lacks),
        html.Div(id="samples-groups"),
        grid.server_grid("samples", columns(), query, height="calc(100vh - 320px)", is_edited=True),
        actions=[views.menu(PATH), new],
    )


def filters(page: str, query: Mapping[str, Given], *own: Component) -> Component:
    """Return the controls that filter samples, on whichever page, and the page's own, the first in sight."""
    values = samples.choices()

    def one_of(name: str, label: str, every: str) -> Component:
        return parts.select(links.control(page, name), label, values[name], links.text(query.get(name)), every=every)

    def words(name: str, label: str, placeholder: str = "") -> Component:
        return parts.text_input(links.control(page, name), label, links.text(query.get(name)), placeholder=placeholder)

    tags = parts.multi_select(
        links.control(page, "tags"), "Tags", values["tags"], links.texts(query.get("tags")), placeholder="Any"
    )
    rare = parts.toolbar(
        one_of("manufacturer", "Manufacturer", "All manufacturers"),
        one_of("form_factor", "Form factor", "All form factors"),
        one_of("cell_type", "Cell type", "All cell types"),
        words("parent", "Made from", "name of a sample"),
        words("part", "With the component", "name of a sample"),
        *own[1:],
    )
    given = any(query.get(name) for name in _RARE)
    more = html.Details(
        [html.Summary("More filters", className="button plain"), rare], className="disclosure", open=given
    )
    common = parts.toolbar(
        words("text", "Words", "names, tags, notes"),
        one_of("project", "Project", "All projects"),
        one_of("chemistry", "Chemistry", "All chemistries"),
        tags,
        *own[:1],
    )
    return html.Div([common, more], className="stack")


def controls(page: str, names: tuple[str, ...] = FILTERS) -> dict[str, dict[str, str]]:
    """Return the ids of the controls of ``filters`` by name."""
    return {name: links.control(page, name) for name in names}


def fetch(wanted: Wanted) -> Rows:
    """Return the rows that the table asks for."""
    found, total = samples.listed(samples.query(wanted.chosen, wanted.sort), wanted.first, wanted.last)
    return Rows(found, total)


def show_groups(by: str | None, *values: Any) -> Component | None:
    """Return the groups of the samples that the filters let through, each a link to its own in the same table."""
    if not by:
        return None
    chosen = dict(zip((*FILTERS, *grid.looks("samples")), values, strict=True))
    title = samples.title(by)[0]
    found = samples.grouped(samples.query(chosen), by)
    counts = ("samples", "tests", "cycles")
    return groups.card(
        title, "samples", found, counts, lambda value: links.href(PATH, **{**chosen, by: value, "group": by})
    )


def make(clicks: int | None, name: str | None) -> tuple[Any, Any]:
    """Make a sample and go to its page."""
    if not clicks:  # the page has only just come
        return no_update, no_update
    try:
        made = samples.create(name or "", None)
    except BatteryAnalysisError as exc:
        return no_update, parts.problem(exc)
    return links.sample(made.name), None


def register_callbacks(app: Dash) -> None:
    """Wire the table and the groups to the filters."""
    wired = controls("samples")
    grid.register_server_grid(app, "samples", COLUMNS, fetch, wired, word="sample", editing=EDITING)
    app.callback(
        Output("samples-groups", "children"),
        Input(links.control("samples", "group"), "value"),
        *(Input(id, "value") for id in (*wired.values(), *grid.looks("samples").values())),
    )(show_groups)
    app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("samples-new-said", "children"),
        Input("samples-new", "n_clicks"),
        State("samples-new-name", "value"),
        prevent_initial_call=True,
    )(make)
