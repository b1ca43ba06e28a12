"""Cells of tables that people edit where they stand.

What is typed goes to the store as a form's fields do, with its author and what the cell held when its reader looked.
A refused value gives way to what is stored, and the reason stands at the cell.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import history, parts
from dashboard.data.edits import Edit


@dataclass(frozen=True)
class Editing:
    """What becomes of edited cells."""

    store: Callable[[Edit], None]
    """Stores one, or raises a ``BatteryAnalysisError`` that says why not."""
    row: Callable[[str], Mapping[str, Any]]
    """Returns a row as it is stored, by its ``id``."""


def definition(id: str, *, is_list: bool, is_number: bool, choices: Sequence[str]) -> dict[str, Any]:
    """Return what AG Grid wants to know of a column whose cells are edited, of the table with this id."""
    known: dict[str, Any] = {
        "editable": {"function": f"isEditing('{id}')"},
        "cellClass": ["edited", *(["ag-right-aligned-cell"] if is_number else [])],
        "cellDataType": False,  # what is typed arrives as it was typed: the store says what is wrong with it
    }
    if choices:
        return {**known, "cellEditor": "agSelectCellEditor", "cellEditorParams": {"values": ["", *choices]}}
    known |= {"cellEditor": "agTextCellEditor", "valueParser": {"function": "params.newValue"}}
    if is_list:
        known |= {
            "cellEditorParams": {"useFormatter": True},
            "valueFormatter": {"function": "words(params.value)"},
            "valueParser": {"function": "taken(params.newValue)"},
        }
    return known


def controls(id: str) -> list[Component]:
    """Return the switch that lets cells be edited, and the field for the reader's name, which shows with it."""
    hint = html.Span("Enter or a double click edits, Escape leaves it.", className="hint")
    switch = parts.switch(f"{id}-editing", "Edit cells")
    return [html.Div([hint, history.author()], className="when-editing"), switch, dcc.Store(id=f"{id}-edited")]


def register(app: Dash, id: str, editing: Editing) -> None:
    """Wire the cells of a table."""
    app.clientside_callback(
        ClientsideFunction("grid", "edit"),
        Output(f"{id}-box", "className"),
        Input(f"{id}-editing", "value"),
    )
    app.callback(
        Output(f"{id}-edited", "data"),
        Input(id, "cellValueChanged"),
        State(history.AUTHOR, "value"),
        prevent_initial_call=True,
    )(functools.partial(_store, editing))
    app.clientside_callback(
        ClientsideFunction("grid", "stored"),
        Output(f"{id}-stale", "data", allow_duplicate=True),
        Input(f"{id}-edited", "data"),
        prevent_initial_call=True,
    )


def _store(editing: Editing, changed: Sequence[Mapping[str, Any]] | None, author: str | None) -> Any:
    if not changed:
        return no_update
    name = (author or "").strip() or None
    edits = (Edit(each["rowId"], each["colId"], each.get("oldValue"), each.get("value"), name) for each in changed)
    return [_answer(editing, edit) for edit in edits]


def _answer(editing: Editing, edit: Edit) -> dict[str, Any]:
    """Store a cell, and return the row as it is now and what was wrong; without a row the cell takes its old value."""
    answer: dict[str, Any] = {"id": edit.row, "field": edit.field, "seen": edit.seen, "row": None, "problem": None}
    try:
        editing.store(edit)
    except BatteryAnalysisError as exc:
        answer["problem"] = str(exc)
    try:
        answer["row"] = editing.row(edit.row)
    except BatteryAnalysisError as exc:
        answer["problem"] = answer["problem"] or str(exc)
    return answer
