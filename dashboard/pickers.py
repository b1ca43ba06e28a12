"""Choosing tests among any number of them: the server searches while the reader types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import Dash, Input, Output, State, dcc, no_update
from dash.development.base_component import Component

from dashboard import links, parts
from dashboard.data import tests

MOST = 30
"""How many tests are offered at once; more words find the others."""


def test_picker(page: str, chosen: Sequence[str], *, label: str = "Tests", several: bool = True) -> Component:
    """Return a choice of tests that the address holds as ``?test=…``; its value is a list of ids, or one id.

    Args:
        page: The page's word, as for ``links.control``.
        chosen: Ids of what is chosen at first; those of no test are left out.
        label: What is chosen.
        several: Whether more than one can be.
    """
    offered = _options("", chosen)
    known = [each["value"] for each in offered]
    kept = [each for each in chosen if each in known]
    control = dcc.Dropdown(
        id=links.control(page, "test"),
        options=offered,
        value=kept if several else next(iter(kept), None),
        multi=several,
        placeholder="Name, cell, sample, tag …",
        optionHeight=32,
        maxHeight=400,
    )
    shown = parts.labelled(label, control)
    shown.className = "control grow"
    return shown


def register_test_picker(app: Dash, page: str) -> None:
    """Wire the test picker of a page to the search."""
    picker = links.control(page, "test")
    app.callback(
        Output(picker, "options"),
        Input(picker, "search_value"),
        State(picker, "value"),
        State(picker, "options"),
        prevent_initial_call=True,
    )(search)


def search(typed: str | None, value: Sequence[str] | str | None, offered: Sequence[dict[str, Any]]) -> Any:
    """Offer the tests that fit what was typed, and keep those that are chosen."""
    if not typed and offered:
        return no_update
    return _options(typed or "", links.texts(value))  # type: ignore[arg-type]


def _options(typed: str, chosen: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"value": each.id, "label": each.label, "title": each.label, "search": f"{each.label} {typed}"}
        for each in tests.offered(typed, chosen, MOST)
    ]
