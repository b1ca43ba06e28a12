"""What the pages of samples and cells have in common: properties, files, notes and history, all of them editable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import ALL, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import links, parts
from dashboard.data import samples
from dashboard.data.samples import Sample
from dashboard.history import loaded as said_loaded
from dashboard.history import named_lines, refusal, together, told

FIELD = "sample-field"
METADATA = "further"


def hidden(sample: Sample) -> Component:
    """Return what the callbacks of the cards need to know."""
    return html.Div(
        [
            dcc.Store(id="sample-name", data=sample.name),
            dcc.Store(id="sample-loaded", data=samples.values(sample)),
        ]
    )


# Properties


def properties(sample: Sample) -> Component:
    """Return what is known of a sample, and the form to change it."""
    shown = html.Div(known(sample), id="sample-properties")
    form = html.Details(
        [html.Summary("Edit", className="button plain"), _form(samples.values(sample))], className="disclosure"
    )
    return parts.card("Properties", html.Div([shown, form], className="stack"))


def known(sample: Sample) -> Component:
    """Return what is known of a sample."""
    facts: dict[str, parts.Children] = {}
    for field in samples.PROPERTIES:
        title, unit = samples.title(field)
        value = getattr(sample, field)
        facts[title] = parts.quantity(value, unit) if isinstance(value, float) else value
    for role in samples.RELATIVES:
        other = getattr(sample, role)
        facts[samples.title(role)[0]] = parts.sample_link(other.name) if other else None
    facts["Tags"] = parts.badges(sample.tags) if sample.tags else None
    facts["Found by"] = parts.job_link(sample.created_in, "an import") if sample.created_in else None
    added = {str(key): samples.written(value) for key, value in sample.metadata.items()}
    if not any(value not in (None, "") for value in (*facts.values(), *added.values())):
        return parts.empty("Nothing is known of this sample yet.", "Edit tells the store what it is.")
    return parts.facts(facts, added)


def _form(values: Mapping[str, str]) -> Component:
    fields = [_field(name, values.get(name, "")) for name in ("name", *samples.PROPERTIES, *samples.RELATIVES, "tags")]
    further = parts.labelled(
        "Further properties, one a line: name = value", dcc.Textarea(id={FIELD: METADATA}, value=_lines(values))
    )
    return html.Div(
        [
            html.Div([*fields, html.Div(further, className="wide")], className="form"),
            parts.toolbar(parts.button("Save", "sample-save", kind="primary")),
            html.Div(id="sample-said", role="status"),
        ],
        className="stack",
    )


def _lines(values: Mapping[str, str]) -> str:
    further = {name.removeprefix("metadata."): text for name, text in values.items() if name.startswith("metadata.")}
    return "\n".join(f"{name} = {text}" for name, text in further.items() if text)


def _field(name: str, value: str) -> Component:
    title, unit = samples.title(name)
    label = f"{title} / {unit}" if unit else title
    if name == "cell_type":
        return parts.select({FIELD: name}, label, samples.CELL_TYPES, value or None, every="Not stated")
    places = {"tags": "with commas between", **dict.fromkeys(samples.RELATIVES, "name of a sample")}
    return parts.text_input({FIELD: name}, label, value, placeholder=places.get(name, ""), at_once=True)


def typed(ids: Sequence[Mapping[str, str]], values: Sequence[str | None]) -> dict[str, str]:
    """Return what stands in the form, by field.

    Raises:
        BatteryAnalysisError: A line of the further properties has no name.
    """
    given: dict[str, str] = {}
    for each, value in zip(ids, values, strict=True):
        if each[FIELD] != METADATA:
            given[each[FIELD]] = (value or "").strip()
            continue
        given |= {f"metadata.{name}": text for name, text in named_lines(value).items()}
    return given


def save(
    clicks: int | None,
    values: Sequence[str | None],
    ids: Sequence[Mapping[str, str]],
    loaded: Mapping[str, str],
    name: str,
    who: str | None,
) -> tuple[Any, ...]:
    """Store what differs from what the form was filled with, so that nobody's other changes are undone."""
    if not clicks:  # the page has only just come
        return (no_update,) * 6
    try:
        given = typed(ids, values)
        cleared = {key: "" for key in loaded if key.startswith("metadata.") and key not in given}
        wanted = {key: value for key, value in {**given, **cleared}.items() if value != loaded.get(key, "")}
        if not wanted:
            return (*[no_update] * 5, parts.note("Nothing has changed."))
        sample = samples.change(name, wanted, who, {key: loaded.get(key, "") for key in wanted})
    except BatteryAnalysisError as exc:
        return (*[no_update] * 5, refusal(exc, "sample-stored"))
    elsewhere = links.sample(sample.name) if sample.name != name else no_update
    said = parts.note(f"Saved: {', '.join(samples.title(key)[0] for key in wanted)}.", tone="good")
    return known(sample), history(sample), samples.values(sample), sample.name, elsewhere, said


def load_stored(
    clicks: int | None,
    values: Sequence[str | None],
    ids: Sequence[Mapping[str, str]],
    seen: Mapping[str, str],
    name: str,
) -> tuple[Any, ...]:
    """Load what somebody else has stored meanwhile; what the reader has typed stays in the form."""
    if not clicks:
        return [no_update] * len(ids), *[no_update] * 3, no_update
    try:
        sample = samples.one(name)
        stored = samples.values(sample)
        merged, theirs = together(typed(ids, values), seen, stored)
    except BatteryAnalysisError as exc:
        return [no_update] * len(ids), *[no_update] * 3, parts.problem(exc)
    fields = [_lines(merged) if each[FIELD] == METADATA else merged.get(each[FIELD], "") for each in ids]
    return fields, known(sample), history(sample), stored, said_loaded(theirs)


# History and notes


def history_card(sample: Sample) -> Component:
    """Return the card of what people changed."""
    return parts.card("History", html.Div(history(sample), id="sample-history", className="scroll", tabIndex="0"))


def history(sample: Sample) -> Component:
    """Return what people changed of a sample, newest first."""
    return told(samples.changes(sample))


def notes_card(sample: Sample, *more: Component) -> Component:
    """Return the notes of a sample, and where to add one."""
    words = dcc.Textarea(id="sample-note-text", placeholder="What was seen, done or decided")
    form = html.Div(
        [
            parts.labelled("New note", words),
            parts.toolbar(parts.button("Add note", "sample-note-add")),
            html.Div(id="sample-note-said", role="status"),
        ],
        className="stack",
    )
    return parts.card("Notes", html.Div([html.Div(notes(sample), id="sample-notes"), *more, form], className="stack"))


def notes(sample: Sample) -> Component:
    """Return the notes, newest first."""
    if not sample.notes_log:
        return html.P("No notes yet.", className="hint")
    lines = [
        html.Li([html.Div([parts.moment(note.written_at), " ", note.author or ""], className="hint"), note.text])
        for note in reversed(sample.notes_log)
    ]
    return html.Ul(lines, className="notes")


def add_note(_: int, text: str | None, who: str | None, name: str) -> tuple[Any, Any, Any]:
    """Add what the reader typed, and empty the field."""
    if not (text or "").strip():
        return no_update, parts.problem("A note needs some words."), no_update
    return notes(samples.add_note(name, text or "", who)), None, ""


def tests(sample: Sample, around: samples.Around) -> Component:
    """Return the newest tests of a sample."""
    if not around.tests:
        return parts.card("Tests", parts.empty("No test of this sample yet.", parts.to_import()))
    columns = {"test": "Test", "cell": "Cell", "type": "Type", "started": "Started (UTC)", "cycles": "Cycles →"}
    rows = [
        {
            "test": parts.test_link(each.id, each.name),
            "cell": parts.cell_link(each.cell_code),
            "type": each.test_type or parts.UNKNOWN,
            "started": parts.moment(each.started_at),
            "cycles": f"{each.cycle_count:,}",
        }
        for each in around.tests
    ]
    cut = around.test_count > len(rows)
    said = parts.note(f"The newest {len(rows)} of {around.test_count:,}.") if cut else None
    every = dcc.Link("All tests", href=links.href("/tests", sample=sample.name), className="button plain")
    raw = dcc.Link("Raw files", href=links.href("/raw-files", sample=sample.name), className="button plain")
    return parts.card("Tests", parts.table(f"Newest tests of {sample.name}", columns, rows), said, actions=[raw, every])


def register_callbacks(app: Dash) -> None:
    """Wire form and notes."""
    name, who = State("sample-name", "data"), State("author", "value")
    app.callback(
        Output("sample-properties", "children"),
        Output("sample-history", "children"),
        Output("sample-loaded", "data"),
        Output("sample-name", "data"),
        Output("url", "href", allow_duplicate=True),
        Output("sample-said", "children"),
        Input("sample-save", "n_clicks"),
        State({FIELD: ALL}, "value"),
        State({FIELD: ALL}, "id"),
        State("sample-loaded", "data"),
        name,
        who,
        prevent_initial_call=True,
    )(save)
    app.callback(
        Output({FIELD: ALL}, "value"),
        Output("sample-properties", "children", allow_duplicate=True),
        Output("sample-history", "children", allow_duplicate=True),
        Output("sample-loaded", "data", allow_duplicate=True),
        Output("sample-said", "children", allow_duplicate=True),
        Input("sample-stored", "n_clicks"),
        State({FIELD: ALL}, "value"),
        State({FIELD: ALL}, "id"),
        State("sample-loaded", "data"),
        name,
        prevent_initial_call=True,
    )(load_stored)
    app.callback(
        Output("sample-notes", "children"),
        Output("sample-note-said", "children"),
        Output("sample-note-text", "value"),
        Input("sample-note-add", "n_clicks"),
        State("sample-note-text", "value"),
        who,
        name,
        prevent_initial_call=True,
    )(add_note)
