"""What the dashboard, its imports and its watchers have said lately, and the jobs of all commands."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from dashboard import links, live, parts
from dashboard.data import logs
from dashboard.links import Given

PATH = "/logs"
TITLE = "Logs"
GROUP = "Watch"

REFRESH_MILLISECONDS = 3_000

_TONES: dict[str, parts.Tone] = {"warning": "warning", "error": "bad"}
_LABELS = {"debug": "All", "info": "Info and worse", "warning": "Warnings and errors", "error": "Errors"}


def layout(source: Given = None, level: Given = None, text: Given = None, **_: Given) -> Component:
    """Return the page with the filter that the address holds."""
    named, words = links.text(source), links.text(text)
    least = links.choice(level, ("info", *logs.LEVELS))
    shown = draw(named, least, words)
    filters = parts.toolbar(
        parts.select(_id("source"), "Log", logs.sources(), named, every="All logs"),
        parts.select(_id("level"), "Level", _LABELS, least),
        parts.text_input(_id("text"), "Words", words),
        parts.switch("logs-live", "Live", on=True),
    )
    return parts.page(
        TITLE,
        filters,
        parts.card(None, html.Div(shown, id="logs-lines"), wide=True),
        dcc.Interval(id="logs-tick", interval=REFRESH_MILLISECONDS),
        dcc.Store(id="logs-seen"),
        subtitle=[
            "What this dashboard and the commands that it started said, and when jobs of all commands began and ended. "
            "What else commands in a terminal say, they say there; what became of their files stands with each ",
            dcc.Link("import", href="/import"),
            " and ",
            dcc.Link("watcher", href="/watchers"),
            ".",
        ],
    )


def _id(name: str) -> dict[str, str]:
    return links.control("logs", name)


def draw(source: str | None, level: str, text: str | None) -> Component:
    """Return the newest lines that fit."""
    found = logs.lines(source or None, level, text)
    if not found:
        return parts.empty("No line fits.", "Choose another level, or all logs." if text or source else None)
    columns = {"at": "Time (UTC)", "level": "Level", "text": "What was said", "source": "Log"}
    rows = [
        {
            "at": html.Time(f"{line.at:%Y-%m-%d %H:%M:%S}", dateTime=line.at.isoformat(), className="no-wrap"),
            "level": parts.badge(line.level, tone=_TONES.get(line.level, "plain")),
            "source": html.Span(line.source, className="no-wrap"),
            "text": _text(line),
        }
        for line in found
    ]
    more = parts.note(f"The newest {logs.MOST} lines.") if len(rows) == logs.MOST else None
    return html.Div([parts.table("Log lines", columns, rows), more], className="stack lines")


def _text(line: logs.Line) -> Component:
    if line.job:
        return html.Div(parts.job_link(line.job, line.text), className="said")
    first, _, rest = line.text.partition("\n")
    if not rest:
        return html.Div(first, className="said")
    return html.Details([html.Summary(first), html.Pre(rest)], className="more said")


def refresh(_: int, source: str | None, level: str, text: str | None, seen: str | None, is_live: bool) -> Any:
    """Look again, at once when the filter changed, else only if live."""
    if ctx.triggered_id == "logs-tick" and not is_live:
        return no_update, no_update
    return live.if_changed(draw(source, level, text), seen)


def register_callbacks(app: Dash) -> None:
    """Wire the lines to the filter and the clock."""
    app.callback(
        Output("logs-lines", "children"),
        Output("logs-seen", "data"),
        Input("logs-tick", "n_intervals"),
        *(Input(_id(name), "value") for name in ("source", "level", "text")),
        State("logs-seen", "data"),
        State("logs-live", "value"),
        prevent_initial_call=True,
    )(refresh)
