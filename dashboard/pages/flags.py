"""Flags of tests, by people and by the checks at import: found, reviewed, resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import flagging, grid, links, parts
from dashboard.data import flags
from dashboard.grid import Column, Rows, Wanted
from dashboard.links import Given
from dashboard.pages import import_form as form

PATH = "/flags"
TITLE = "Flags"
GROUP = "Find"

GRID = "flags"
COLUMNS = (
    Column("message", "What is flagged", link="/flags?flag=", width=420),
    Column("state", "State", sort="state", width=100),
    Column("raised_by", "Raised by", sort="check", width=160),
    Column("test", "Test", link="/test/", link_field="test_id", width=220),
    Column("cell_code", "Cell", link="/cell?cell=", link_field="cell_code", width=110),
    Column("sample", "Sample", link="/sample?sample=", link_field="sample", width=140),
    Column("raised_at", "Raised (UTC)", kind="moment", sort="raised"),
    Column("notes", "Notes", kind="whole", width=80),
    Column("last_note", "Last note", width=280),
)

_STATES = {**flagging.STATES, "every": "All"}
_VERBS = {"reviewed": "Reviewed", "resolved": "Resolved", "open": "Open again"}


def layout(flag: Given = None, test: Given = None, **query: Given) -> Component:
    """Return the page; an address may name a flag, or a test whose flags are shown and to which one can be added."""
    text, id = links.text, _id
    chosen, of_test = text(flag), text(test)
    state = links.choice(query.get("state"), list(_STATES))
    filters = parts.toolbar(
        parts.select(id("state"), "State", _STATES, "every" if of_test and not query.get("state") else state),
        parts.select(
            id("raised_by"),
            "Raised by",
            {"checks": "Checks at import", "people": "People"},
            text(query.get("raised_by")),
            every="Anybody",
        ),
        parts.select(id("check"), "Check", flags.checks(), text(query.get("check")), every="All checks"),
        parts.text_input(id("text"), "Words", text(query.get("text")), placeholder="in flags and notes"),
        parts.text_input(id("cell"), "Cell code", text(query.get("cell"))),
        parts.text_input(id("test"), "Test", of_test, placeholder="id"),
    )
    return parts.page(
        TITLE,
        html.Div(head(chosen), id="flags-head"),
        _new(of_test) if of_test else None,
        _settling(chosen) if chosen else None,
        filters,
        grid.server_grid(GRID, COLUMNS, query, height="46vh"),
        None if chosen else _settling(chosen),
        dcc.Store(id="flag-chosen", data=chosen),
        dcc.Store(id="flags-changed"),
    )


def _id(name: str) -> dict[str, str]:
    return links.control("flags", name)


def head(chosen: str | None) -> Component:
    """Return the chosen flag, or how many flags there are in each state."""
    if chosen:
        return facts(chosen)
    values = flags.counts()
    shown = parts.stats(
        *(
            parts.stat(_STATES[each], f"{values[each]:,}", tone="bad" if each == "open" and values[each] else "plain")
            for each in flags.STATES
        )
    )
    if any(values.values()):
        return shown
    step = ["Checks set them at ", dcc.Link("import", href="/import"), ", people on the page of a "]
    step += [dcc.Link("cell", href="/cell"), " or a ", dcc.Link("test", href="/tests"), "."]
    return html.Div([shown, parts.empty("There is no flag yet.", step)], className="page")


def facts(flag_id: str) -> Component:
    """Return what is known of a flag, and what people said of it."""
    flag, test = flags.one(flag_id)
    # Counted from 1, as people do.
    spans = ", ".join(f"{first + 1:,} to {last + 1:,}" for first, last in flag.records[:10])
    more = f" and {len(flag.records) - 10} more" if len(flag.records) > 10 else ""
    known: dict[str, parts.Children] = {
        "State": parts.badge(_STATES[flag.state], tone=flagging.TONES.get(flag.state, "plain")),
        "Test": parts.test_link(test.id, test.name),
        "Cell": parts.cell_link(test.cell_code),
        "Sample": parts.sample_link(test.sample_name),
        "Raised by": f"check: {flag.check}" if flag.check else flag.created_by or "a person",
        "Raised (UTC)": parts.moment(flag.created_at),
        "Records": f"{spans}{more}" if spans else None,
        "State since (UTC)": parts.moment(flag.settled_at) if flag.settled_at else None,
        "Set by": flag.settled_by,
    }
    notes = [
        html.Li([parts.moment(note.written_at), " ", html.Strong(note.author or "somebody"), ": ", note.text])
        for note in reversed(flag.notes_log)
    ]
    return parts.card(
        flag.message,
        parts.facts(known),
        html.Div([html.H3("Notes"), html.Ul(notes, className="path")]) if notes else None,
        actions=[dcc.Link("All flags", href=PATH, className="button plain")],
        wide=True,
    )


def _new(test_id: str) -> Component:
    return parts.card(
        f"Flag {flags.test_name(test_id)}",
        html.Div(
            [
                form.field(
                    _field("message"), "What should its readers know?", placeholder="such as: wrong mass entered"
                ),
                _author("author"),
                parts.button("Flag", "flag-raise", kind="primary"),
            ],
            className="toolbar grows",
        ),
        html.Div(id="flag-raise-said", role="alert"),
        wide=True,
    )


def _settling(chosen: str | None) -> Component:
    """Return what can be said of the chosen flag, or of those that are selected in the table."""
    of_what = "This flag is …" if chosen else "The selected flags are …"
    hint = None if chosen else "Select rows with a click, several with Ctrl or Shift."
    return parts.card(
        None,
        html.Div(
            [
                parts.select(_field("state"), of_what, _VERBS, "reviewed"),
                form.field(_field("note"), "Note", placeholder="why; wanted to resolve"),
                _author("settler"),
                parts.button("Save", "flags-settle", kind="primary"),
            ],
            className="toolbar grows",
        ),
        html.P(hint, className="hint") if hint else None,
        html.Div(id="flags-said", role="alert"),
        wide=True,
    )


def _author(name: str) -> Component:
    more: dict[str, Any] = {"persistence": "author", "persistence_type": "local"}
    return form.field(_field(name), "Your name", **more)


def _field(name: str) -> dict[str, str]:
    return {"form": "flags", "field": name}


def settle(
    clicks: int | None,
    chosen: str | None,
    selected: Sequence[Mapping[str, Any]] | None,
    state: str,
    note: str | None,
    author: str | None,
) -> tuple[Any, Any]:
    """Say something of flags."""
    if not clicks:
        return no_update, no_update
    wanted = [chosen] if chosen else [row["id"] for row in selected or ()]
    if not wanted:
        return parts.problem("No flag is selected; click on one in the table."), no_update
    try:
        number = flags.settle(wanted, state, note or "", (author or "").strip() or None)
    except BatteryAnalysisError as exc:
        return parts.problem(exc), no_update
    return parts.note(f"{parts.count(number, 'flag')}: {_VERBS[state].lower()}.", tone="good"), clicks


def show_changed(_: Any, chosen: str | None) -> Component:
    """Draw the head of the page anew once something was said."""
    return head(chosen)


def raise_flag(clicks: int | None, test_id: str | None, message: str | None, author: str | None) -> tuple[Any, Any]:
    """Flag the test that the address names."""
    if not clicks or not test_id:
        return no_update, no_update
    if not (message or "").strip():
        return parts.problem("Say what is to be flagged."), no_update
    try:
        flags.raise_flag(test_id, message or "", (author or "").strip() or None)
    except BatteryAnalysisError as exc:
        return parts.problem(exc), no_update
    return parts.note("The test is flagged.", tone="good"), f"raised {clicks}"


def fetch(wanted: Wanted) -> Rows:
    """Return the rows that the table asks for."""
    found, total = flags.listed(flags.query(wanted.chosen, wanted.sort), wanted.first, wanted.last)
    return Rows(found, total)


def register_callbacks(app: Dash) -> None:
    """Wire the page."""
    changed = Output("flags-changed", "data", allow_duplicate=True)
    app.callback(
        Output("flags-said", "children"),
        changed,
        Input("flags-settle", "n_clicks"),
        State("flag-chosen", "data"),
        State(GRID, "selectedRows"),
        *(State(_field(name), "value") for name in ("state", "note", "settler")),
        prevent_initial_call=True,
    )(settle)
    app.callback(
        Output("flag-raise-said", "children"),
        changed,
        Input("flag-raise", "n_clicks"),
        State(_id("test"), "value"),
        *(State(_field(name), "value") for name in ("message", "author")),
        prevent_initial_call=True,
    )(raise_flag)
    app.callback(
        Output("flags-head", "children"),
        Input("flags-changed", "data"),
        State("flag-chosen", "data"),
        prevent_initial_call=True,
    )(show_changed)
    app.clientside_callback(
        ClientsideFunction("grid", "refresh"),
        Output(f"{GRID}-stale", "data", allow_duplicate=True),
        Input("flags-changed", "data"),
        prevent_initial_call=True,
    )
    grid.register_server_grid(app, GRID, COLUMNS, fetch, {name: _id(name) for name in flags.FILTERS}, word="flag")
