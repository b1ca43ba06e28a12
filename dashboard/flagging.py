"""Flags where their tests are shown: who says what, and where it stands; a new one is set in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import history, links, parts
from dashboard.data import flags

TONES: dict[str, parts.Tone] = {"open": "bad", "reviewed": "warning", "resolved": "good"}
STATES = {"open": "Open", "reviewed": "Reviewed", "resolved": "Resolved", "cleared": "Check passes now"}

_SPANS = 5


def card(tests: Mapping[str, str], address: str, *further: Component) -> Component:
    """Return the flags of tests, what else is to be said of their quality, and where to set a flag.

    The page has the field of ``history.author``.

    Args:
        tests: Names by id.
        address: Where the page of flags shows them.
        further: Notes, such as what a reader of files warned of.
    """
    said = html.Div(listed(tests), id="flags-here")
    every = dcc.Link("All its flags", href=address, className="button plain")
    content = [html.Div([said, *further], className="stack scroll", tabIndex="0"), *_raising(tests)]
    return parts.card("Flags", html.Div(content, className="stack"), actions=[every])


def listed(tests: Mapping[str, str]) -> Component:
    """Return the flags of tests, those first that nobody has seen to, and of which test where there are several."""
    found = flags.of_tests(list(tests))
    if not found:
        return parts.empty("No flag: no check failed at import, and nobody has set one.")
    lines = [_line(flag, tests if len(tests) > 1 else {}) for flag in found]
    return html.Ul(lines, className="flag-lines")


def _line(flag: flags.Flag, tests: Mapping[str, str]) -> Component:
    test_id = str(flag.test_result)
    raised = f"check: {flag.check}" if flag.check else flag.created_by or "a person"
    told: list[Any] = ["raised by ", raised, ", ", parts.moment(flag.created_at)]
    if flag.settled_at:
        since = STATES[flag.state].lower()
        told += [" · ", since, f" by {flag.settled_by}" if flag.settled_by else "", ", ", parts.moment(flag.settled_at)]
    if test_id in tests:
        told += [" · ", parts.test_link(test_id, tests[test_id])]
    note = flag.notes_log[-1] if flag.notes_log else None
    head = [
        parts.badge(STATES[flag.state], tone=TONES.get(flag.state, "plain")),
        " ",
        dcc.Link(flag.message, href=links.href("/flags", flag=flag.id)),
        spans(flag.records),
    ]
    return html.Li([html.Div(head), html.Div(told, className="hint"), html.Div(f"“{note.text}”") if note else None])


def spans(records: Sequence[Sequence[int]]) -> str:
    """Return spans of records as people count them, from 1.

    Example:
        >>> spans([(0, 4), (9, 9)])
        ' (record 1 to 5, 10)'
    """
    each = [f"{first + 1:,} to {last + 1:,}" if last > first else f"{first + 1:,}" for first, last in records]
    return f" (record {', '.join(each[:_SPANS])}{' …' if len(each) > _SPANS else ''})" if each else ""


def _raising(tests: Mapping[str, str]) -> list[Component]:
    first = next(iter(tests), "")
    which = parts.select("flag-here-test", "Test", tests, first) if len(tests) > 1 else None
    only = None if which else dcc.Input(id="flag-here-test", type="hidden", value=first)
    return [
        html.Div(
            [
                parts.text_input("flag-here-message", "New flag", placeholder="what readers should know", at_once=True),
                *([which] if which else []),
                parts.button("Set flag", "flag-here-raise"),
            ],
            className="toolbar grows",
        ),
        html.Div([only, dcc.Store(id="flag-here-tests", data=dict(tests))], hidden=True),
        html.Div(id="flag-here-said", role="status"),
    ]


def raise_flag(
    clicks: int | None, test_id: str, message: str | None, author: str | None, tests: Mapping[str, str]
) -> tuple[Any, Any, Any]:
    """Flag a test as its reader says, and draw the flags anew."""
    if not clicks:
        return no_update, no_update, no_update
    if not (message or "").strip():
        return no_update, parts.problem("Say what is to be flagged."), no_update
    try:
        flags.raise_flag(test_id, message or "", (author or "").strip() or None)
    except BatteryAnalysisError as exc:
        return no_update, parts.problem(exc), no_update
    return listed(tests), parts.note("The test is flagged.", tone="good"), ""


def register_callbacks(app: Dash) -> None:
    """Wire the card, on whichever page it is."""
    app.callback(
        Output("flags-here", "children"),
        Output("flag-here-said", "children"),
        Output("flag-here-message", "value"),
        Input("flag-here-raise", "n_clicks"),
        State("flag-here-test", "value"),
        State("flag-here-message", "value"),
        State(history.AUTHOR, "value"),
        State("flag-here-tests", "data"),
        prevent_initial_call=True,
    )(raise_flag)
