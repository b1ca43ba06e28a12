"""Answers of analyses on a page: facts, tables with their exports, remarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dash import ALL, MATCH, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from dashboard import links, parts, tables

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS = 100
"""Rows of a table that are shown."""
MOST_EXPORTED = 20_000
"""Rows that a page holds for export."""

_LONG = 48

_UNITS = {
    "cm2_per_second": "cm²/s",
    "squared_per_second": "1/s",
    "volt_per_root_second": "V/√s",
    "volt_per_hour": "V/h",
    "volt_per_cycle": "V/cycle",
    "ah_per_cycle": "Ah/cycle",
    "mah_cm2": "mAh/cm²",
    "mah_cm3": "mAh/cm³",
    "mah_g": "mAh/g",
    "mwh_cm2": "mWh/cm²",
    "wh_kg": "Wh/kg",
    "wh_l": "Wh/L",
    "ohm_cm2": "Ω cm²",
    "ohm_cm": "Ω cm",
    "mg_cm2": "mg/cm²",
    "ah": "Ah",
    "wh": "Wh",
    "volt": "V",
    "ampere": "A",
    "watt": "W",
    "ohm": "Ω",
    "seconds": "s",
    "second": "s",
    "hertz": "Hz",
    "celsius": "°C",
    "cm2": "cm²",
    "um": "µm",
    "mg": "mg",
    "g": "g",
}
"""Endings of names, longer ones first, and the units they mean."""

_SIGNS = {
    "d": "D",
    "d per length": "D/L²",
    "delta es": "ΔEs",
    "r squared": "R²",
    "aicc": "AICc",
    "soc": "SOC",
    "c rate": "C-rate",
    "cv share": "CV share",
    "eta squared": "η²",
    "kruskal h": "Kruskal–Wallis H",
    "kruskal p": "Kruskal–Wallis p",
    "pearson r": "Pearson's r",
    "pearson p": "Pearson's p",
    "spearman rho": "Spearman's rho",
    "spearman p": "Spearman's p",
    "pc1": "PC 1",
    "pc2": "PC 2",
}


def heading(name: str) -> str:
    """Write a machine name for people, with its unit.

    >>> heading("discharge_capacity_ah"), heading("first_cycle"), heading("r_0_1s_ohm")
    ('Discharge capacity / Ah', 'First cycle', 'R 0.1 s / Ω')
    """
    if name.startswith("r_") and name.endswith("s_ohm"):
        return f"R {name[2:-5].replace('_', '.')} s / Ω"
    unit = next((ending for ending in _UNITS if name.endswith(f"_{ending}")), None)
    words = (name.removesuffix(f"_{unit}") if unit else name).replace("_", " ")
    words = _SIGNS.get(words, words[:1].upper() + words[1:])
    return f"{words} / {_UNITS[unit]}" if unit else words


def text(value: Any) -> str:
    """Write a value of a fact or a table.

    >>> text(1.23456789), text(True), text(["a", "b"]), text(None), text(1200)
    ('1.2346', 'yes', 'a, b', '–', '1,200')
    """
    match value:
        case None:
            return parts.UNKNOWN
        case bool():
            return "yes" if value else "no"
        case float():
            return parts.quantity(value) if value == value else parts.UNKNOWN
        case int():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(text, value))
        case _:
            return str(value)


def facts(known: Mapping[str, Any]) -> Component:
    """Return facts of an answer, a line each."""
    return parts.facts({heading(name): text(value) for name, value in known.items() if value is not None})


def remarks(said: Iterable[str]) -> list[Component]:
    """Return what an answer says to people."""
    return [parts.note(each if "_" in each.split()[0] else each[:1].upper() + each[1:]) for each in said]


def table_card(
    id: str,
    title: str,
    table: pl.DataFrame,
    *above: Component,
    columns: Sequence[str] = (),
    whole: Sequence[str] = (),
    wide: bool = True,
) -> Component:
    """Return a table with its exports.

    Args:
        id: The table's word, one for each table on a page.
        title: What its rows are; also the name of exported files.
        table: All rows.
        above: What stands between the title and the rows.
        columns: Which columns are shown, in this order; those that hold anything without.
        whole: Columns whose texts are shown to their end, in several lines where they are long.
        wide: Whether it takes a whole row of the page.
    """
    from polars import selectors

    shown = list(columns) or [name for name in table.columns if table[name].null_count() < table.height]
    numbers = {name for name, dtype in table.schema.items() if dtype.is_numeric()}
    headings = {name: heading(name) + (" →" if name in numbers else "") for name in shown}
    rows = [
        {name: _cell(text(row[name]), whole=name in whole) for name in shown}
        for row in table.head(MOST_ROWS).iter_rows(named=True)
    ]
    if not table.height:
        return parts.card(title, *above, parts.empty("There are none."), wide=wide)
    every = table.head(MOST_EXPORTED).with_columns(selectors.float().fill_nan(None)).to_dicts()
    kept = {"title": title, "headings": {name: heading(name) for name in table.columns}, "rows": every}
    buttons = [parts.button(label, {**_id("export", id), "form": form}) for form, label in tables.FORMS.items()]
    return parts.card(
        title,
        *above,
        html.Div(parts.table(title, headings, rows), className="answer-table"),
        _more(table.height),
        dcc.Store(id=_id("rows", id), data=kept),
        dcc.Download(id=_id("download", id)),
        actions=[parts.menu("Export", *buttons)],
        wide=wide,
    )


def _more(rows: int) -> Component | None:
    """Say how many rows are not shown, and whether an export holds all of them."""
    if rows <= MOST_ROWS:
        return None
    held = "which an export holds" if rows <= MOST_EXPORTED else f"an export holds the first {MOST_EXPORTED:,}"
    return parts.note(f"… and {rows - MOST_ROWS:,} more rows, {held}.")


def _cell(written: str, *, whole: bool = False) -> Component | str:
    """Cut long texts off; all of it shows on hovering."""
    if whole:
        return html.Span(written, className="whole")
    return html.Span(written, title=written, className="cut") if len(written) > _LONG else written


def _id(what: str, table_id: Any) -> dict[str, Any]:
    return {"type": f"answer-{what}", "table": table_id}


def export(_: Sequence[int | None], kept: Mapping[str, Any], path: str, search: str | None) -> Any:
    """Send a table in the form that was chosen, with what was selected."""
    form = ctx.triggered_id["form"] if ctx.triggered_id else None
    if form not in tables.FORMS or not any(each["value"] for each in ctx.triggered):
        return no_update
    selected = {"page": path, **links.read(search)}
    content = tables.written(form, kept["title"], kept["headings"], kept["rows"], selected)
    return dcc.send_bytes(content, f"{kept['title']}.{form}")


def register_callbacks(app: Dash) -> None:
    """Wire the exports of every table of an answer there is and will be."""
    app.callback(
        Output(_id("download", MATCH), "data"),
        Input({**_id("export", MATCH), "form": ALL}, "n_clicks"),
        State(_id("rows", MATCH), "data"),
        State("url", "pathname"),
        State("url", "search"),
        prevent_initial_call=True,
    )(export)
