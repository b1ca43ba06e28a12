"""Who changed what, and when: the reader's name, lines that people type, and the history as it is told."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
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
