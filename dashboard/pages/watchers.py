"""Watchers: folders from which files are imported as they appear and grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import grid, links, live, parts
from dashboard.data import folders, watching
from dashboard.data.requests import Asked
from dashboard.grid import Column, Rows, Wanted
from dashboard.links import Given
from dashboard.pages import import_form as form

PATH = "/watchers"
TITLE = "Watchers"
GROUP = "Watch"

QUARANTINE = "watcher-quarantine"
COLUMNS = (
    Column("path", "File", width=420),
    Column("reason", "Why it was not imported", width=520),
    Column("since", "Since (UTC)", kind="moment"),
)

_TONES: dict[str, parts.Tone] = {"running": "good", "interrupted": "bad"}


def layout(watcher: Given = None, text: Given = None, **query: Given) -> Component:
    """Return the page; an address may name a watcher."""
    chosen = links.text(watcher)
    shown = (_one(chosen, links.text(text), query),) if chosen else (_all(), _new())
    return parts.page(TITLE, html.Div(id="watcher-said"), *shown)


def _all() -> Component:
    return parts.card("Watched folders", html.Div(listed(), id="watchers"), *live.ticking("watchers"), wide=True)


def listed() -> list[Component]:
    """Return all watchers."""
    now = datetime.now(UTC)
    columns = {
        "roots": "Folder",
        "state": "State",
        "files": "Files →",
        "waiting": "Waiting →",
        "lag": "Longest wait →",
        "failed": "Quarantine →",
        "last": "Last import (UTC)",
        "do": "",
    }
    rows: list[dict[str, Any]] = [
        {
            "roots": html.Span(each.about, className="path"),
            "state": parts.badge("could not start", tone="bad") if each.problem else parts.badge("starting"),
            "last": each.problem,
        }
        for each in watching.beginning()
    ]
    rows += [
        {
            "roots": dcc.Link(", ".join(each.watch.roots), href=_address(each), className="path"),
            "state": _state(each),
            "files": f"{each.watch.files:,}",
            "waiting": f"{each.watch.waiting:,}",
            "lag": parts.duration(each.lag.total_seconds()) if each.lag else parts.UNKNOWN,
            "failed": f"{each.watch.quarantined:,}",
            "last": parts.moment(each.watch.last_import_at),
            "do": html.Div(_actions(each, "all"), className="actions"),
        }
        for each in watching.everyone(now)
    ]
    if not rows:
        here = "Add one below, or type " if folders.roots() else "Type "
        return [parts.empty("No folder is being watched.", [here, html.Code("battery-analysis watch FOLDER")])]
    return [parts.table("Watched folders", columns, rows)]


def _address(watcher: watching.Watcher) -> str:
    return links.href(PATH, watcher=str(watcher.watch.id))


def _state(watcher: watching.Watcher) -> Component:
    if watcher.is_leaving:
        return parts.badge("stopping", tone="warning")
    troubled = watcher.state == "running" and bool(watcher.watch.troubles)
    return parts.badge(
        f"{watcher.state}, with trouble" if troubled else watcher.state,
        tone="warning" if troubled else _TONES.get(watcher.state, "plain"),
    )


def _actions(watcher: watching.Watcher, shown: str) -> list[Component]:
    """Return the button that stops or starts a watcher; ``shown`` says whether with ``all`` or as the only ``one``."""
    id = {"type": "watcher-do", "watcher": str(watcher.watch.id), "shown": shown}
    name = ", ".join(watcher.watch.roots)
    if watcher.state == "running":
        label: dict[str, Any] = {"aria-label": f"Stop watching {name}", "disabled": watcher.is_leaving}
        return [parts.button("Stop", {**id, "wish": "stop"}, **label)]
    if watcher.may_start:
        label = {"aria-label": f"Start watching {name}"}
        return [parts.button("Start", {**id, "wish": "start"}, **label)]
    return []


def _new() -> Component:
    """Return the form of a new watcher."""
    if not folders.roots():
        step = [
            "The folders that may be watched from here are named in the settings: ",
            html.Code('import_roots = ["/data/cyclers"]'),
            ". In a terminal any can be: ",
            html.Code("battery-analysis watch FOLDER"),
        ]
        return parts.card("Watch a folder", parts.empty("No folder of the server is open to the dashboard.", step))
    first = str(folders.roots()[0])
    text, id = form.field, _field
    return parts.card(
        "Watch a folder",
        html.Div(
            [
                parts.toolbar(
                    text(id("roots"), "Folder", first if len(folders.roots()) == 1 else None, placeholder=first),
                    text(id("include"), "Only files", placeholder="*.ndax, *rate*"),
                    text(id("exclude"), "Leave out", placeholder="*/archive/*"),
                    text(id("tags"), "Tags", placeholder="separated by commas"),
                    text(id("poll"), "Look every / s", type="number", min=0.1, step="any"),
                    parts.switch(id("sample_lookup"), "Sample only from the file's header"),
                ),
                html.P(
                    "Files are imported when they appear, grow or are moved there. “Look every” is for network shares, "
                    "which tell of no changes; without it the watcher listens. It goes on when the dashboard ends.",
                    className="hint",
                ),
                html.Div(id="watcher-new-said", role="alert"),
                html.Div(parts.button("Watch", "watcher-add", kind="primary"), className="actions"),
            ],
            className="stack",
        ),
        wide=True,
    )


def _field(name: str) -> dict[str, str]:
    return {"form": "watcher", "field": name}


def _one(watch_id: str, text: str | None, query: Mapping[str, Given]) -> Component:
    """Return one watcher with what it could not import."""
    chosen = dcc.Input(id=links.control("watchers", "watcher"), type="hidden", value=watch_id)
    find = parts.toolbar(parts.text_input(links.control("watchers", "text"), "File or reason", text))
    return parts.card(
        "Watcher",
        html.Div(
            [
                html.Div(facts(watch_id), id="watcher-facts", className="stack"),
                html.H3("Quarantine"),
                html.P("Each is tried again when it changes.", className="hint"),
                find,
                grid.server_grid(QUARANTINE, COLUMNS, query, height="40vh"),
                chosen,
            ],
            className="stack",
        ),
        *live.ticking("watcher"),
        actions=[dcc.Link("All watchers", href=PATH, className="button plain")],
        wide=True,
    )


def facts(watch_id: str) -> list[Component]:
    """Return what is known of a watcher, and the button that stops or starts it."""
    found = watching.one(watch_id, datetime.now(UTC))
    watch, log = found.watch, watching.log(found.watch)
    counts = ", ".join(f"{number:,} {name}" for name, number in sorted(watch.counts.items()) if number)
    known: dict[str, parts.Children] = {
        "Folders": html.Ul([html.Li(root) for root in watch.roots]),
        "State": _state(found),
        "Process": f"{watch.pid} on {watch.host}",
        "Started (UTC)": parts.moment(watch.started_at),
        "Stopped (UTC)": parts.moment(watch.stopped_at) if watch.stopped_at else None,
        "Files dealt with": f"{watch.files:,}",
        "Waiting": f"{watch.waiting:,}"
        + (f", for up to {parts.duration(found.lag.total_seconds())}" if found.lag else ""),
        "Since it started": counts or "nothing imported",
        "Last import (UTC)": parts.moment(watch.last_import_at),
        "Looked through (UTC)": parts.moment(watch.scanned_at),
        "Files in quarantine": f"{watch.quarantined:,}",
        "Import": parts.job_link(watch.import_job),
        "Log": dcc.Link("what it says", href=links.href("/logs", source=log)) if log else None,
        "In a terminal": html.Code(found.command),
    }
    troubles = [parts.note(trouble, tone="warning") for trouble in watch.troubles]
    buttons = html.Div(_actions(found, "one"), className="actions")
    return [*troubles, parts.facts(known), buttons]


def do(clicks: Sequence[int | None]) -> Any:
    """Start or stop a watcher."""
    if not any(clicks) or not ctx.triggered_id:
        return no_update
    watch_id = ctx.triggered_id["watcher"]
    try:
        if ctx.triggered_id["wish"] == "stop":
            watching.stop(watch_id)
        else:
            watching.start(watch_id)
    except BatteryAnalysisError as exc:
        return parts.problem(exc)
    if ctx.triggered_id["shown"] == "one":
        set_props("watcher-facts", {"children": facts(watch_id)})
    else:
        set_props("watchers", {"children": listed()})
    return None


def add(clicks: int | None, values: Sequence[Any]) -> Any:
    """Start a new watcher, as the form says."""
    if not clicks:
        return no_update
    given = {each["id"]["field"]: value for each, value in zip(ctx.states_list[0], values, strict=True)}
    places = [each.strip() for each in (given.pop("roots") or "").split(",") if each.strip()]
    poll = given.pop("poll")
    try:
        watching.add(places, Asked.of(given), poll)
    except BatteryAnalysisError as exc:
        return parts.problem(exc)
    set_props("watchers", {"children": listed()})
    return None


def fetch(wanted: Wanted) -> Rows:
    """Return the files in quarantine that the table asks for."""
    found, total = watching.quarantine(wanted.chosen["watcher"], wanted.chosen, wanted.first, wanted.last)
    return Rows(found, total)


def register_callbacks(app: Dash) -> None:
    """Wire the page."""
    live.register(app, "watchers", "watchers", listed)
    live.register(app, "watcher", "watcher-facts", facts, State(links.control("watchers", "watcher"), "value"))
    live.refresh_grid(app, "watcher", QUARANTINE)
    app.callback(
        Output("watcher-said", "children"),
        Input({"type": "watcher-do", "watcher": ALL, "shown": ALL, "wish": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )(do)
    app.callback(
        Output("watcher-new-said", "children"),
        Input("watcher-add", "n_clicks"),
        State(_field(ALL), "value"),
        prevent_initial_call=True,
    )(add)
    controls = {name: links.control("watchers", name) for name in ("watcher", "text")}
    grid.register_server_grid(app, QUARANTINE, COLUMNS, fetch, controls, word="file")
