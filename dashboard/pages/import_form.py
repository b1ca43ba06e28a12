"""What is said of files before they are imported, and what an import would take them for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import parts
from dashboard.data import previews
from dashboard.data.requests import Asked

FIELDS = ("sample", "tags", "operator", "device")
FOLDER_FIELDS = (*FIELDS, "include", "exclude", "depth", "sample_lookup", "no_archive", "reset")

_NAMED = 6

_CYCLES = {
    "cycle_count": ("Cycle →", 0),
    "charge_capacity_ah": ("Charge / Ah →", 5),
    "discharge_capacity_ah": ("Discharge / Ah →", 5),
    "coulombic_efficiency": ("CE / % →", 2),
}


def control(where: str, name: str) -> dict[str, str]:
    """Return the id of a control of a form."""
    return {"form": where, "field": name}


def field(
    id: Any, label: str, value: str | None = None, *, placeholder: str = "", hint: str | None = None, **more: Any
) -> Component:
    """Return a field of a form: its value is there with the click on the button, with no pause for the last key."""
    control = dcc.Input(**{"id": id, "type": "text", "placeholder": placeholder, "autoComplete": "off", **more})
    if value is not None:
        control.value = value
    return parts.labelled(label, control, hint)


def fields(where: str) -> Component:
    """Return the controls of a form: those of a folder of the server, or of an upload."""
    text = field
    but = "but those whose own sample is changed above" if where == "upload" else None
    said = [
        text(control(where, "sample"), "One sample for all files", placeholder="as the files say", hint=but),
        text(control(where, "tags"), "Tags", placeholder="separated by commas"),
        text(control(where, "operator"), "Operator"),
        text(control(where, "device"), "Device"),
    ]
    if where == "upload":
        return parts.toolbar(*said)
    return html.Div(
        [
            parts.toolbar(
                text(control(where, "include"), "Only files", placeholder="*.ndax, *rate*"),
                text(control(where, "exclude"), "Leave out", placeholder="*/archive/*"),
                text(control(where, "depth"), "Folder levels", type="number", min=0, step=1),
                *said,
            ),
            parts.toolbar(
                parts.switch(control(where, "sample_lookup"), "Sample only from the file's header"),
                parts.switch(control(where, "no_archive"), "Keep no raw bytes"),
                parts.switch(control(where, "reset"), "Read again what was imported before"),
            ),
        ],
        className="stack",
    )


def preview(look: previews.Look, *, editable: bool) -> list[Component | None]:
    """Return what was found so far: reader, sample and why, first cycles, or why a file cannot be read.

    Args:
        look: The preview.
        editable: Whether the sample of each file is a field.
    """
    said: Component | None = None
    if look.problem:
        said = parts.problem(look.problem)
    elif not look.is_done:
        done = f"{len(look.found):,} of {look.total:,} files" if look.total else "looking for files"
        said = parts.note(f"Reading … {done}")
    elif look.left_out:
        said = parts.note(
            f"The first {look.total:,} files; {look.left_out:,} more are imported without a look at them."
        )
    elif not look.total:
        return [parts.empty("There is no file to import here.")]
    return [said, _table(look.found, editable=editable) if look.found else None]


def _table(found: Sequence[previews.Found], *, editable: bool) -> Component:
    columns = {
        "file": "File",
        "reader": "Reader",
        "sample": "Sample",
        "why": "Sample by",
        "records": "Records →",
        "cycles": "Cycles →",
        "first": "First cycles, or what is wrong",
    }
    rows = [_row(each, editable=editable) for each in sorted(found, key=lambda each: each.relative)]
    return parts.table("What the files are", columns, rows)


def _row(found: previews.Found, *, editable: bool) -> dict[str, Any]:
    known = found.decision.sample if found.decision else None
    if is_nameless(found):
        known = None
    problem = parts.badge("cannot be read", tone="bad") if found.problem else None
    warnings = [parts.note(each, tone="warning") for each in found.warnings]
    wrong = html.Span([problem, " ", found.problem], className="wide-text") if found.problem else None
    return {
        "file": html.Span(found.relative, className="path"),
        "reader": found.reader or parts.UNKNOWN,
        "sample": _sample(found.relative, known) if editable and not found.problem else known or parts.UNKNOWN,
        "why": _why(found),
        "records": f"{found.records:,}" if found.records is not None else parts.UNKNOWN,
        "cycles": f"{found.cycles:,}" if found.cycles is not None else parts.UNKNOWN,
        "first": html.Div([wrong or _cycles(found.first_cycles), *warnings], className="stack"),
    }


def is_nameless(found: previews.Found) -> bool:
    """Say whether nothing names the sample of an uploaded file: the folder it fell back on is the spool's own."""
    return found.decision is not None and found.decision.rule == "folder" and "/" not in found.relative


def not_ready(look: previews.Look, typed: Mapping[str, str], how: Asked) -> str | None:
    """Say why an upload cannot be imported yet.

    Args:
        look: What its files are.
        typed: What stands in the fields of samples, by path.
        how: What is said of all its files.
    """
    if not look.is_done:
        return "The files are still being looked at; import them once all are listed."
    readable = [each for each in look.found if not each.problem]
    nameless = [each.relative for each in readable if is_nameless(each) and not typed.get(each.relative)]
    if not nameless or how.sample:
        return None
    return f"Nothing says of which sample these files are; fill it in: {', '.join(nameless[:_NAMED])}"


def _why(found: previews.Found) -> Component | str:
    if found.decision is None:
        return parts.UNKNOWN
    if is_nameless(found):
        return parts.badge("nothing names it", tone="warning")
    passed = found.decision.passed_over
    return found.decision.rule + (f"; passed over {', '.join(passed)}" if passed else "")


def _sample(path: str, known: str | None) -> Component:
    field = dcc.Input(id={"type": "upload-sample", "path": path}, type="text", value=known or "")
    name = html.Span(f"Sample of {path}", className="visually-hidden")
    return html.Label([name, field], className="control")


def _cycles(rows: Sequence[Mapping[str, Any]]) -> Component | str:
    if not rows:
        return "no cycles"
    columns = {name: heading for name, (heading, _) in _CYCLES.items() if name in rows[0]}
    shown = [{name: _number(row[name], name) for name in columns} for row in rows]
    summary = html.Summary(f"first {len(rows)} cycles" if len(rows) > 1 else "first cycle")
    return html.Details([summary, parts.table("First cycles", columns, shown)], className="more")


def _number(value: float | None, name: str) -> str:
    if value is None:
        return parts.UNKNOWN
    if name == "coulombic_efficiency":
        return f"{value * 100:.2f}"
    return f"{value:.{_CYCLES[name][1]}g}" if _CYCLES[name][1] else f"{value:,}"
