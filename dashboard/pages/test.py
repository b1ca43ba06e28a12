"""One test: what is known of it, what was measured, what people say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import attached_files, figures, flagging, grid, history, parts
from dashboard.data import tests
from dashboard.figures_cycles import capacity_by_cycle
from dashboard.figures_records import voltage_and_current
from dashboard.grid import Column, Rows, Wanted
from dashboard.links import Given
from dashboard.pages import one_test_cards as cards

PATH = "/test/<test_id>"
TITLE = "Test"
GROUP = None

CYCLES = (
    Column("cycle_count", "Cycle", kind="whole", sort="cycle_count", width=80),
    Column("charge_capacity_ah", "Charge", "Ah", kind="number", sort="charge_capacity_ah"),
    Column("discharge_capacity_ah", "Discharge", "Ah", kind="number", sort="discharge_capacity_ah"),
    Column("coulombic_efficiency", "Coulombic eff.", "%", kind="percent", sort="coulombic_efficiency", width=165),
    Column("charge_energy_wh", "Charge", "Wh", kind="number", sort="charge_energy_wh"),
    Column("discharge_energy_wh", "Discharge", "Wh", kind="number", sort="discharge_energy_wh", width=135),
    Column("energy_efficiency", "Energy eff.", "%", kind="percent", sort="energy_efficiency", width=130),
    Column("mean_charge_voltage_volt", "Mean charge", "V", kind="number", hidden=True, width=140),
    Column("mean_discharge_voltage_volt", "Mean discharge", "V", kind="number", hidden=True, width=150),
    Column("internal_resistance_ohm", "Resistance", "Ω", kind="number", sort="internal_resistance_ohm", hidden=True),
    Column("max_temperature_celsius", "Max. temperature", "°C", kind="number", hidden=True, width=160),
    Column("records", "Records", kind="whole", hidden=True),
    Column("remarks", "Remarks", kind="flags", width=200),
)


def layout(test_id: str, **query: Given) -> Component:
    """Return the page of a test."""
    test = tests.one(test_id)
    cycles, overview = tests.cycles(test_id), tests.overview(test_id)
    drawn = []
    if overview.height:
        drawn.append(figures.figure_card("records", "Voltage and current", voltage_and_current(overview), height=320))
    if cycles.height:
        drawn.append(figures.figure_card("capacity", "Capacity by cycle", capacity_by_cycle(cycles), height=320))
    table = grid.server_grid("test-cycles", CYCLES, query, height="420px") if cycles.height else None
    files = [attached_files.card("test", test_id), attached_files.brought([test.id])]
    return parts.page(
        test.name,
        cards.numbers(test),
        parts.grid(*drawn) if drawn else None,
        parts.grid(
            html.Div([cards.facts(test), *files], className="page"),
            html.Div([cards.quality(test), cards.people(test)], className="page"),
        ),
        parts.card("Cycles", table) if table else None,
        parts.grid(cards.columns(test), cards.header(test)),
        dcc.Input(id="test-id", type="hidden", value=test_id),
        subtitle=cards.subtitle(test),
        actions=cards.elsewhere(test),
    )


def fetch_cycles(wanted: Wanted) -> Rows:
    """Return the cycles that the table asks for."""
    table = tests.cycles(wanted.chosen["test"])
    if wanted.sort:
        table = table.sort(wanted.sort.removeprefix("-"), descending=wanted.sort.startswith("-"), nulls_last=True)
    rows = [cycle_row(row) for row in table[wanted.first : wanted.last].to_dicts()]
    return Rows(rows, table.height)


def cycle_row(cycle: dict[str, Any]) -> dict[str, Any]:
    """Return a cycle as a row of the table, with what is to be remarked of it in words."""
    remarks = {"incomplete": not cycle["complete"], "gap": cycle["has_gap"]}
    said = [word for word, holds in remarks.items() if holds]
    return {**cycle, "id": str(cycle["cycle_count"]), "remarks": said}


def save_tags(
    _: int, text: str | None, seen: Sequence[str], author: str | None, test_id: str
) -> tuple[Any, Any, Any, Any, Any]:
    """Add the words that the reader has added to the tags of the test, and remove those that are gone."""
    wanted = list(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))
    try:
        tags = tests.set_tags(test_id, wanted, seen, _name(author))
    except BatteryAnalysisError as exc:
        return no_update, no_update, no_update, parts.problem(exc), no_update
    said, told = parts.note("Saved.", tone="good"), history.told(tests.changes(test_id))
    return parts.badges(tags), ", ".join(tags), tags, said, told


def save_further(
    _: int, text: str | None, seen: Mapping[str, str], author: str | None, test_id: str
) -> tuple[Any, Any, Any]:
    """Store what the reader has changed of the further properties of the test."""
    try:
        changed = tests.set_metadata(test_id, history.named_lines(text), seen, _name(author))
    except BatteryAnalysisError as exc:
        return no_update, no_update, history.refusal(exc, "test-further-stored")
    return tests.further(changed), history.told(tests.changes(test_id)), parts.note("Saved.", tone="good")


def load_further(clicks: int | None, text: str | None, seen: Mapping[str, str], test_id: str) -> tuple[Any, ...]:
    """Load what somebody else has stored meanwhile of the further properties; what the reader has typed stays."""
    if not clicks:
        return (no_update,) * 4
    try:
        stored = tests.further(tests.one(test_id))
        merged, theirs = history.together(history.named_lines(text), seen, stored)
    except BatteryAnalysisError as exc:
        return *[no_update] * 3, parts.problem(exc)
    return cards.lines(merged), stored, history.told(tests.changes(test_id)), history.loaded(theirs)


def add_note(_: int, text: str | None, author: str | None, test_id: str) -> tuple[Any, Any, Any]:
    """Add what the reader typed to the notes of the test, and empty the field."""
    if not (text or "").strip():
        return cards.notes(tests.one(test_id)), parts.problem("A note needs some words."), text
    changed = tests.add_note(test_id, str(text).strip(), _name(author))
    return cards.notes(changed), None, ""


def _name(author: str | None) -> str | None:
    return (author or "").strip() or None


def register_callbacks(app: Dash) -> None:
    """Wire the table of cycles, the flags, the tags, what people added, and the notes."""
    flagging.register_callbacks(app)
    grid.register_server_grid(app, "test-cycles", CYCLES, fetch_cycles, {"test": "test-id"}, word="cycle")
    test_id, author = State("test-id", "value"), State(history.AUTHOR, "value")
    app.callback(
        Output("test-further-seen", "data"),
        Output("test-history", "children", allow_duplicate=True),
        Output("test-further-said", "children"),
        Input("test-further-save", "n_clicks"),
        State("test-further-text", "value"),
        State("test-further-seen", "data"),
        author,
        test_id,
        prevent_initial_call=True,
    )(save_further)
    app.callback(
        Output("test-further-text", "value"),
        Output("test-further-seen", "data", allow_duplicate=True),
        Output("test-history", "children", allow_duplicate=True),
        Output("test-further-said", "children", allow_duplicate=True),
        Input("test-further-stored", "n_clicks"),
        State("test-further-text", "value"),
        State("test-further-seen", "data"),
        test_id,
        prevent_initial_call=True,
    )(load_further)
    app.callback(
        Output("test-tags", "children"),
        Output("test-tags-text", "value"),
        Output("test-tags-seen", "data"),
        Output("test-tags-said", "children"),
        Output("test-history", "children"),
        Input("test-tags-save", "n_clicks"),
        State("test-tags-text", "value"),
        State("test-tags-seen", "data"),
        author,
        test_id,
        prevent_initial_call=True,
    )(save_tags)
    app.callback(
        Output("test-notes", "children"),
        Output("test-note-said", "children"),
        Output("test-note-text", "value"),
        Input("test-note-add", "n_clicks"),
        State("test-note-text", "value"),
        author,
        test_id,
        prevent_initial_call=True,
    )(add_note)
