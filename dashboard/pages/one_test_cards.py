"""The cards of a test's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import flagging, history, links, parts
from dashboard.data import tests
from dashboard.data.series import unit_of

if TYPE_CHECKING:
    from dashboard.data.tests import Test

_quantity = parts.quantity


def subtitle(test: Test) -> list[Any]:
    """Return whose test it is and where it ran."""
    where = " ".join(filter(None, (test.tester, test.device, f"channel {test.channel}" if test.channel else None)))
    return [parts.sample_link(test.sample_name), " · cell ", parts.cell_link(test.cell_code), f" · {where}"]


def elsewhere(test: Test) -> list[Component]:
    """Return links to where else to look at it."""
    pages = {"Time series": "/series"}
    if test.cycle_count:
        pages |= {"Cycles": "/cycles", "dQ/dV": "/differential"}
    if "real_impedance_ohm" in test.columns:
        pages["EIS"] = "/eis"
    return [
        dcc.Link(word, href=links.href(path, test=test.id), className="button plain") for word, path in pages.items()
    ]


def numbers(test: Test) -> Component:
    """Return the numbers one looks for first."""
    return parts.stats(
        parts.stat("Cycles", f"{test.cycle_count:,}"),
        parts.stat("Records", f"{test.record_count:,}"),
        parts.stat("Initial capacity", _quantity(test.initial_capacity_ah, "Ah", 4)),
        parts.stat("Final capacity", _quantity(test.final_capacity_ah, "Ah", 4)),
        parts.stat("Retention", _quantity(test.capacity_retention, "%", 3)),
        parts.stat("Coulombic efficiency", _quantity(test.mean_coulombic_efficiency, "%", 4), "mean"),
    )


def facts(test: Test) -> Component:
    """Return what the file and its import say."""
    limits = [_quantity(limit, "V") for limit in test.voltage_limits_volt or ()]
    files = [parts.raw_file_link(part.raw_file, part.filename) for part in test.raw_files]
    known: dict[str, Any] = {
        "Type": " · ".join(filter(None, (test.test_type, test.technique))),
        "Chemistry": test.chemistry,
        "Project": test.project,
        "Started": _utc(test.started_at),
        "Ended": _utc(test.ended_at),
        "Finished": {True: "yes", False: "no", None: None}[test.finished],
        "Duration": parts.duration(test.duration_second),
        "Protocol": test.protocol,
        "C-rates": ", ".join(f"{rate:.3g}" for rate in test.c_rates or ()),
        "Operator": test.operator,
        "Comment": test.comment,
        "Software": test.software,
        "Temperature": _quantity(test.temperature_celsius, "°C", 3),
        "Voltage limits": " to ".join(limits),
        "Nominal capacity": _quantity(test.nominal_capacity_ah, "Ah", 4),
        "Active mass": _quantity(test.active_mass_gram, "g", 4),
        "Throughput": _quantity(test.throughput_ah, "Ah", 4),
        "Resistance": _quantity(test.median_internal_resistance_ohm, "Ω", 4),
        "Cycle life (80 %)": f"{test.cycle_life_80:,}" if test.cycle_life_80 else None,
        "Cycle numbers": {"tester": "the tester's own", "derived": "derived"}.get(test.cycle_method or ""),
        "Efficiency": (test.efficiency_convention or "").replace("_", " "),
        "Raw files": html.Ul([html.Li(file) for file in files]) if files else None,
        "Import": parts.job_link(test.import_job),
        "Read by": f"{test.reader} {test.reader_version}, revision {test.revision}",
        "Sample from": test.sample_rule,
        "SHA-256": html.Code(test.sha256),
    }
    return parts.card("Facts", parts.facts(known, tests.further(test)))


def _utc(at: Any) -> Any:
    return html.Span([parts.moment(at), " UTC"]) if at else None


def quality(test: Test) -> Component:
    """Return the flags that checks and people raised, and what the reader of the file warned of."""
    further = [parts.note(warning) for warning in test.warnings]
    if test.gap_cycles:
        gaps = f"{parts.count(test.gap_cycles, 'cycle')} with a gap: what flowed there is unknown."
        further = [parts.note(gaps, tone="warning"), *further]
    return flagging.card({str(test.id): test.name}, links.href("/flags", test=test.id), *further)


def people(test: Test) -> Component:
    """Return tags, what people added, notes and history, and where to change them."""
    author = history.author()
    words = ", ".join(test.tags)
    tags = html.Div(
        [
            html.Div(parts.badges(test.tags), id="test-tags"),
            parts.toolbar(
                parts.text_input("test-tags-text", "Tags", words, placeholder="with commas between", at_once=True),
                parts.button("Save tags", "test-tags-save"),
            ),
            html.Div(id="test-tags-said", role="status"),
            dcc.Store(id="test-tags-seen", data=list(test.tags)),
        ],
        className="stack",
    )
    added = tests.further(test)
    further = html.Div(
        [
            parts.labelled(
                "Further properties, one a line: name = value", dcc.Textarea(id="test-further-text", value=lines(added))
            ),
            parts.toolbar(parts.button("Save properties", "test-further-save")),
            html.Div(id="test-further-said", role="status"),
            dcc.Store(id="test-further-seen", data=added),
        ],
        className="stack",
    )
    form = html.Div(
        [
            parts.labelled("New note", dcc.Textarea(id="test-note-text", placeholder="What was seen, done or decided")),
            parts.toolbar(parts.button("Add note", "test-note-add")),
            html.Div(id="test-note-said", role="status"),
        ],
        className="stack",
    )
    written = html.Div(notes(test), id="test-notes")
    told = html.Div(history.told(tests.changes(str(test.id))), id="test-history", className="scroll", tabIndex="0")
    content = [author, tags, further, written, form, html.H3("History"), told]
    return parts.card("Tags, notes and history", html.Div(content, className="stack"))


def lines(added: Mapping[str, str]) -> str:
    """Return further properties as people type them, one a line."""
    return "\n".join(f"{key} = {value}" for key, value in added.items() if value)


def notes(test: Test) -> Component:
    """Return the notes, newest first."""
    if not test.notes_log:
        return html.P("No notes yet.", className="hint")
    lines = [
        html.Li([html.Div([parts.moment(note.written_at), " ", note.author or ""], className="hint"), note.text])
        for note in reversed(test.notes_log)
    ]
    return html.Ul(lines, className="notes")


def columns(test: Test) -> Component:
    """Return the columns of the records with what they span."""
    heads = {"name": "Column", "unit": "Unit", "least": "Minimum →", "most": "Maximum →", "source": "In the file"}
    rows = [
        {
            "name": html.Code(name),
            "unit": unit_of(name, fact.get("unit", "")),
            "least": _plain(fact["minimum"]),
            "most": _plain(fact["maximum"]),
            "source": fact.get("source"),
        }
        for name, fact in test.columns.items()
    ]
    return parts.card("Columns", parts.table("Columns of the records", heads, rows))


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value if value is not None else parts.UNKNOWN)


def header(test: Test) -> Component | None:
    """Return the file's own header, line by line."""
    if not test.header:
        return None
    lines = [{"key": line.key, "value": line.value} for line in test.header]
    table = parts.table("Header of the file", {"key": "Key", "value": "Value"}, lines)
    return parts.card("Header of the file", html.Div(table, className="tall"))
