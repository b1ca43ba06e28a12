"""Tables of any length: the server sorts, filters and cuts, the browser holds the rows in sight.

A page says its columns and a function ``fetch(Wanted) -> Rows``; ``server_grid`` is the table with choice of columns
and exports, ``register_server_grid`` wires it to the function and to the controls that filter it. Order and columns
stand in the address, as ``sort=-field`` and ``columns=field,field``, where they are not the usual ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import dash_ag_grid as dag
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import grid_editing, links, parts, tables
from dashboard.grid_editing import Editing
from dashboard.links import Given

Kind = Literal["text", "number", "whole", "percent", "moment", "tags", "flags"]

BLOCK_ROWS = 100
"""How many rows the browser asks for at once."""

ADDED = "metadata."
"""With what the fields of rows begin that hold what the lab has added; exports have all of them."""

_FORMATS = {
    "text": "text(params.value)",
    "number": "number(params.value, 5)",
    "whole": "whole(params.value)",
    "percent": "percent(params.value)",
    "moment": "moment(params.value)",
}
_TAGS = {"tags": "plain", "flags": "warning"}
_WIDTHS = {"number": 120, "whole": 100, "percent": 110, "moment": 150, "tags": 160, "flags": 160}


USUAL_WIDTH = 200
"""In pixels."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    field: str
    """Key of a row."""
    title: str
    unit: str = ""
    kind: Kind = "text"
    sort: str | None = None
    """What the server sorts by; None: this column cannot be sorted."""
    width: int | None = None
    """In pixels."""
    hidden: bool = False
    """Whether it is shown only once chosen."""
    link: str | None = None
    """Beginning of the address that a cell leads to, such as ``/test/``; the row's ``link_field`` ends it."""
    link_field: str = "id"
    is_edited: bool = False
    """Whether people may edit its cells, in tables that are ``Editing``."""
    choices: Sequence[str] = ()
    """What an edited cell may hold; anything if there are none."""

    @property
    def least_width(self) -> int:
        """In pixels."""
        return self.width or _WIDTHS.get(self.kind, USUAL_WIDTH)

    @property
    def heading(self) -> str:
        """Title with unit."""
        return f"{self.title} / {self.unit}" if self.unit else self.title

    def definition(self, id: str = "") -> dict[str, Any]:
        """Return what AG Grid wants to know; the table with this id is one whose cells may be edited."""
        shown: dict[str, Any] = {}
        if self.kind in _TAGS:
            shown = {"cellRenderer": "Tags", "cellRendererParams": {"tone": _TAGS[self.kind]}}
        elif self.link is not None:
            shown = {"cellRenderer": "Link", "cellRendererParams": {"path": self.link, "field": self.link_field}}
        else:
            shown = {"valueFormatter": {"function": _FORMATS[self.kind]}}
        right = {"type": "rightAligned"} if self.kind in ("number", "whole", "percent") else {}
        named = {
            "field": self.field,
            "headerName": self.heading,
            "hide": self.hidden,
            "sortable": self.sort is not None,
        }
        edited = {}
        if self.is_edited:
            edited = grid_editing.definition(
                id, is_list=self.kind in _TAGS, is_number=bool(right), choices=self.choices
            )
        return {**named, "width": self.least_width, **right, **shown, **edited}


@dataclass(frozen=True)
class Wanted:
    """Which rows a table asks for."""

    first: int = 0
    last: int | None = None
    """The row after the last; None: all."""
    sort: str | None = None
    """The ``sort`` of a column, with ``-`` before it for downwards."""
    chosen: Mapping[str, Any] = field(default_factory=dict)
    """Values of the controls, by the names given to ``register_server_grid``."""


@dataclass(frozen=True)
class Rows:
    """Rows in the order asked for, and how many there are in all."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    more: bool = False
    """Whether there are more than ``total``, which then is only how far somebody counted."""


def looks(id: str) -> dict[str, dict[str, str]]:
    """Return the ids of the controls that hold order and columns of a table, by their names in the address."""
    return {name: links.control(id, name) for name in ("sort", "columns")}


Fetch = Callable[[Wanted], Rows]


def added_columns(keys: Sequence[str]) -> list[Column]:
    """Return a column for each property that the lab has added, shown once chosen."""
    return [Column(f"{ADDED}{key}", key, sort=f"{ADDED}{key}", hidden=True, width=130, is_edited=True) for key in keys]


def server_grid(
    id: str,
    columns: Sequence[Column],
    given: Mapping[str, Given],
    *,
    height: str = "calc(100vh - 260px)",
    is_edited: bool = False,
) -> Component:
    """Return a table that fetches its rows as they come into sight.

    Args:
        id: Its id; rows chosen by a click are at ``Input(id, "selectedRows")``.
        columns: In their order.
        given: What the address holds; ``sort`` and ``columns`` are read.
        height: As CSS says it.
        is_edited: Whether cells of columns that ``is_edited`` can be edited; ``register_server_grid`` is told how.
    """
    usual = [column.field for column in columns if not column.hidden]
    chosen = _columns_of(given, columns)
    sort = _sort_of(given, columns)
    table = dag.AgGrid(
        id=id,
        rowModelType="infinite",
        columnDefs=[
            {
                **column.definition(id),
                "hide": column.field not in (usual if chosen is None else chosen),
                **({"initialSort": "desc" if sort[:1] == "-" else "asc"} if sort.lstrip("-") == column.field else {}),
            }
            for column in columns
        ],
        defaultColDef={"resizable": True, "minWidth": 70, "suppressMovable": False},
        dashGridOptions={
            "cacheBlockSize": BLOCK_ROWS,
            "maxBlocksInCache": 30,
            "rowHeight": 32,
            "headerHeight": 36,
            "enableCellTextSelection": True,
            "ensureDomOrder": True,
            "suppressFieldDotNotation": True,  # metadata.rig is the name of a field
            "autoSizeStrategy": {  # wider than asked where there is room, never narrower
                "type": "fitGridWidth",
                "columnLimits": [{"colId": column.field, "minWidth": column.least_width} for column in columns],
            },
            "suppressMultiSort": True,  # the server sorts by one column
            "localeText": {"noRowsToShow": "Nothing is here, or nothing fits the filters."},
            "rowSelection": {
                "mode": "multiRow",
                "checkboxes": False,
                "headerCheckbox": False,
                "enableClickSelection": True,
            },
        },
        getRowId="params.data.id",
        style={"height": height, "minHeight": "280px"},
    )
    chooser = dcc.Checklist(
        id=f"{id}-columns",
        options=[{"label": f" {column.heading}", "value": column.field} for column in columns],
        value=usual if chosen is None else chosen,
        persistence=chosen is None,  # what a link shows does not become what its reader is used to
        persistence_type="local",
    )
    exports = [
        parts.button(label, {"type": "grid-export", "grid": id, "form": form}) for form, label in tables.FORMS.items()
    ]
    head = html.Div(
        [
            html.Span(id=f"{id}-count", className="count", role="status"),
            html.Div(
                [
                    *(grid_editing.controls(id) if is_edited else []),
                    parts.menu("Columns", chooser),
                    parts.menu("Export", *exports),
                ],
                className="actions",
            ),
        ],
        className="grid-head",
    )
    unseen = [
        dcc.Store(id=f"{id}-stale"),
        dcc.Store(id=f"{id}-usual", data=usual),
        dcc.Download(id=f"{id}-download"),
        dcc.Input(id=links.control(id, "sort"), type="hidden", value=sort),
        dcc.Input(id=links.control(id, "columns"), type="hidden", value=links.text(given.get("columns")) or ""),
    ]
    return html.Div([head, table, *unseen], className="grid-box", id=f"{id}-box")


def _columns_of(given: Mapping[str, Given], columns: Sequence[Column]) -> list[str] | None:
    """Return the columns that an address shows, None where it does not say."""
    wanted = (links.text(given.get("columns")) or "").split(",")
    return [column.field for column in columns if column.field in wanted] or None


def _sort_of(given: Mapping[str, Given], columns: Sequence[Column]) -> str:
    """Return the order that an address holds: a field, with ``-`` before it for downwards, or nothing."""
    wanted = links.text(given.get("sort")) or ""
    known = {column.field for column in columns if column.sort is not None}
    return wanted if wanted.removeprefix("-") in known else ""


def register_server_grid(
    app: Dash,
    id: str,
    columns: Sequence[Column],
    fetch: Fetch,
    controls: Mapping[str, Any],
    *,
    word: str = "row",
    editing: Editing | None = None,
) -> None:
    """Wire a table to what it shows.

    Args:
        app: The application.
        id: The table's id.
        columns: Its columns.
        fetch: Returns the rows that are wanted; called in a thread, for the export with ``last=None``.
        controls: Ids of the controls that filter it, by the names under which ``Wanted.chosen`` holds their values.
        word: What a row is, to say how many there are and to name exported files.
        editing: What becomes of edited cells, for tables that are edited.
    """
    names = tuple(controls)
    states = [State(control, "value") for control in controls.values()]
    app.callback(
        Output(id, "getRowsResponse"),
        Output(f"{id}-count", "children"),
        Input(id, "getRowsRequest"),
        *states,
        prevent_initial_call=True,
    )(functools.partial(_answer, fetch, {column.field: column.sort for column in columns}, names, word))
    app.callback(
        Output(f"{id}-download", "data"),
        Input({"type": "grid-export", "grid": id, "form": ALL}, "n_clicks"),
        State(id, "getRowsRequest"),
        *states,
        prevent_initial_call=True,
    )(functools.partial(_export, fetch, tuple(columns), names, word))
    app.clientside_callback(
        ClientsideFunction("grid", "choose"),
        Output(id, "columnDefs"),
        Output(links.control(id, "columns"), "value"),
        Input(f"{id}-columns", "value"),
        State(id, "columnDefs"),
        State(f"{id}-usual", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("grid", "sorted"),
        Output(links.control(id, "sort"), "value"),
        Input(id, "getRowsRequest"),
        State(links.control(id, "sort"), "value"),
        prevent_initial_call=True,
    )
    if editing is not None:
        grid_editing.register(app, id, editing)
    if controls:
        app.clientside_callback(
            ClientsideFunction("grid", "refresh"),
            Output(f"{id}-stale", "data"),
            *(Input(control, "value") for control in controls.values()),
            prevent_initial_call=True,
        )


def _answer(
    fetch: Fetch,
    sorts: Mapping[str, str | None],
    names: Sequence[str],
    word: str,
    request: Mapping[str, Any] | None,
    *values: Any,
) -> tuple[Any, Any]:
    if not request:
        return no_update, no_update
    chosen = dict(zip(names, values, strict=True))
    first = int(request["startRow"])
    try:
        found = fetch(Wanted(first, first + BLOCK_ROWS, _sort(request, sorts), chosen))
    except BatteryAnalysisError as exc:
        parts.log(exc, f"the table of {word}s")
        return {"rowData": [], "rowCount": 0}, parts.problem(exc)
    said = ("more than " if found.more else "") + parts.count(found.total, word)
    total: int | None = found.total
    if found.more:  # the table learns its end as it comes there
        total = None if len(found.rows) == BLOCK_ROWS else first + len(found.rows)
    return {"rowData": found.rows, "rowCount": total}, said


def _export(
    fetch: Fetch,
    columns: Sequence[Column],
    names: Sequence[str],
    word: str,
    clicks: Sequence[int | None],
    request: Mapping[str, Any] | None,
    *values: Any,
) -> Any:
    if not any(clicks) or not ctx.triggered_id:
        return no_update
    chosen = dict(zip(names, values, strict=True))
    sort = _sort(request or {}, {column.field: column.sort for column in columns})
    found = fetch(Wanted(sort=sort, chosen=chosen))
    form = ctx.triggered_id["form"]
    headings = {column.field: column.heading for column in columns}
    added = sorted({key for row in found.rows for key in row if key.startswith(ADDED)})
    headings |= {key: key for key in added}
    content = tables.written(form, f"{word}s", headings, as_headed(columns, found.rows), chosen)
    return dcc.send_bytes(content, f"{word}s.{form}")


def as_headed(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with shares in percent, as the headings of their columns say and the table shows them."""
    shares = [column.field for column in columns if column.kind == "percent"]
    return [{**row, **{name: 100 * row[name] for name in shares if row.get(name) is not None}} for row in rows]


def _sort(request: Mapping[str, Any], sorts: Mapping[str, str | None]) -> str | None:
    """Return by what the browser wants the rows sorted, if the column can be; what the lab has added always can."""
    for each in request.get("sortModel") or ():
        field = each["colId"]
        key = field if field.startswith(ADDED) else sorts.get(field)
        if key is not None:
            return f"-{key}" if each["sort"] == "desc" else key
    return None
