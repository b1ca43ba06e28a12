"""Who changed what, and when: the reader's name, lines that people type, the history, and changes that collide."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError, ConflictError
from dashboard import parts
from dashboard.data import samples

AUTHOR = "author"
"""Id of the field for the reader's name; one a page."""


def author() -> Component:
    """Return the field for the reader's name, which the browser remembers: there are no accounts."""
    field = dcc.Input(
        id=AUTHOR, type="text", persistence="author", persistence_type="local", autoComplete="name", debounce=False
    )
    return html.Div(parts.labelled("Your name, for the history", field), **{"data-author": ""})


def named_lines(text: str | None) -> dict[str, str]:
    """Return what stands in lines of ``name = value``.

    Raises:
        BatteryAnalysisError: A line has no name.

    Example:
        >>> named_lines("supplier = A=B")
        {'supplier': 'A=B'}
    """
    given: dict[str, str] = {}
    for line in filter(str.strip, (text or "").splitlines()):
        name, sign, value = line.partition("=")
        if not sign or not name.strip():
            raise BatteryAnalysisError(f"further properties: name = value wanted, got {line!r}")
        given[name.strip()] = value.strip()
    return given


def refusal(error: BatteryAnalysisError, id: str) -> Component:
    """Say why nothing was stored, and, where somebody else was faster, offer what is stored now.

    Args:
        error: What the store said.
        id: Of the button; its callback brings ``together`` what was typed and what is stored.
    """
    if not isinstance(error, ConflictError):
        return parts.problem(error)
    offer = parts.button("Load what is stored now", id)
    return html.Div([parts.problem(error), parts.toolbar(offer, html.Span("What you typed stays.", className="hint"))])


def together(
    typed: Mapping[str, str], seen: Mapping[str, str], stored: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Bring together what a reader has changed and what is stored by now.

    Args:
        typed: What the reader's form holds, by name.
        seen: What was stored when the reader began.
        stored: What is stored now.

    Returns:
        What the form is to hold: what is stored, below what the reader has changed; and, of names that somebody else
        has changed otherwise, what is stored.

    Example:
        >>> together({"a": "mine", "b": "2"}, {"a": "1", "b": "2"}, {"a": "theirs", "b": "3"})
        ({'a': 'mine', 'b': '3'}, {'a': 'theirs'})
    """
    changed = {name: typed.get(name, "") for name in {**seen, **typed} if typed.get(name, "") != seen.get(name, "")}
    theirs = {name: stored.get(name, "") for name in changed if stored.get(name, "") != seen.get(name, "")}
    return {**stored, **changed}, {name: value for name, value in theirs.items() if value != changed[name]}


def loaded(theirs: Mapping[str, str]) -> Component:
    """Say that what is stored was loaded, and what of it the reader's own words would replace."""
    said: list[Any] = ["What is stored now is loaded, and what you typed is still in the form."]
    if theirs:
        said += [" Saving puts yours in the place of:", html.Ul([html.Li(_stored(*each)) for each in theirs.items()])]
    return html.Div(said, className="note tone-warning")


def _stored(name: str, value: str) -> list[Any]:
    return [html.Strong(samples.title(name)[0]), f": {value or 'nothing'}"]


def told(changes: Sequence[samples.Change]) -> Component:
    """Return changes, newest first, those of one moment together."""
    if not changes:
        return parts.empty("Nobody has changed anything yet.")
    together = itertools.groupby(changes, key=lambda each: (each.created_at, each.created_by))
    return html.Ul([html.Li(_at_once(when, who, list(lines))) for (when, who), lines in together], className="history")


def _at_once(when: datetime, who: str | None, lines: Sequence[samples.Change]) -> list[Component]:
    head = html.Div([parts.moment(when), f" UTC · {who or 'name not given'}"], className="hint")
    return [head, *(html.Div(_line(each)) for each in lines)]


def _line(change: samples.Change) -> list[Any]:
    before, after = samples.written(change.before), samples.written(change.after)
    title, unit = samples.title(change.field)
    was = [html.Del(before), " → "] if before else []
    return [html.Strong(f"{title} / {unit}" if unit else title), ": ", *was, html.Ins(after or "cleared")]
