"""Missing data: which samples lack which property, and filling it in for many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, set_props
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import background, grid, history, links, parts
from dashboard.data import missing, samples
from dashboard.grid import Column, Rows, Wanted
from dashboard.links import Given
from dashboard.pages.samples import NAME, controls, filters, property_column

PATH = "/missing"
TITLE = "Missing data"
GROUP = "Find"

FILTERS = samples.FILTERS
SHOWN_NAMES = 12

COLUMNS = (
    NAME,
    *(property_column(field) for field in ("project", "chemistry", "form_factor")),
    Column("test_count", "Tests", kind="whole", sort="test_count"),
    Column("cycle_count", "Cycles", kind="whole", sort="cycle_count"),
    Column("last_started_at", "Last test (UTC)", kind="moment", sort="last_started_at"),
)


def layout(**query: Given) -> Component:
    """Return the page with the filters and the property that the address holds."""
    if samples.is_empty():
        hint = [*parts.to_import(), "; this page then tells what is not known of the samples."]
        return parts.page(TITLE, parts.empty("There are no samples yet.", hint))
    named = {field: samples.title(field)[0] for field in missing.fields()}
    given = links.text(query.get("field"))
    counts, _ = samples.lacking(samples.query(query), list(named))
    field = given if given in named else next((name for name in named if counts[name]), next(iter(named)))
    choice = parts.select(links.control("missing", "field"), "Property", named, field)
    return parts.page(
        TITLE,
        filters("missing", query),
        parts.grid(
            parts.card("What is known of how many samples", html.Div(id="missing-coverage")),
            html.Div([_filling(choice, field), _lacking(query)], className="page"),
        ),
        dcc.Input(id="missing-done", type="hidden", value=""),
        dcc.Store(id="missing-wanted"),
    )


def _filling(choice: Component, field: str) -> Component:
    confirm = parts.button("Fill in", "missing-fill-in", kind="primary")
    content = [
        parts.toolbar(choice, history.author()),
        html.Div(id="missing-none", role="status"),
        html.Div(ask(field), id="missing-value-place"),
        html.Div(id="missing-preview", role="status"),
        html.Div(confirm, id="missing-confirm", hidden=True),
        background.place("missing-fill"),
    ]
    return parts.card("Fill in", html.Div(content, className="stack"))


def _lacking(query: Mapping[str, Given]) -> Component:
    said = html.P("Click rows to fill in only those; without a choice all of them are filled in.", className="hint")
    return parts.card("Samples that lack it", said, grid.server_grid("missing", COLUMNS, query, height="340px"))


def coverage(*values: Any) -> Component:
    """Return of how many samples each property is known."""
    chosen = dict(zip(FILTERS, values, strict=False))
    fields = missing.fields()
    counts, total = samples.lacking(samples.query(chosen), fields)
    if not total:
        return parts.empty("No sample fits these filters.")
    nothing = parts.note(f"Nothing is missing of {parts.count(total, 'sample')}.", tone="good")
    columns = {"property": "Property", "known": "Known", "lacking": "Lacking →"}
    rows = [
        {
            "property": dcc.Link(_heading(field), href=links.href(PATH, **{**chosen, "field": field})),
            "known": html.Span(
                [
                    html.Progress(
                        value=str(total - counts[field]), max=str(total), **{"aria-label": f"{_heading(field)} known"}
                    ),
                    f" {(total - counts[field]) / total:.0%}",
                ],
                className="progress-line",
            ),
            "lacking": f"{counts[field]:,} of {total:,}",
        }
        for field in sorted(fields, key=lambda each: -counts[each])
    ]
    table = html.Div(parts.table("What samples lack", columns, rows), className="scroll", tabIndex="0")
    return table if any(counts.values()) else html.Div([nothing, table], className="stack")


def offer(field: str | None, _: Any, *values: Any) -> tuple[Component | None, bool]:
    """Say so where no sample lacks the chosen property, and ask for no value then."""
    chosen = dict(zip(FILTERS, values, strict=True))
    _rows, lacking = samples.listed(samples.query({**chosen, "lacks": field}), 0, 1)
    if lacking:
        return None, False
    return parts.note(f"No sample here lacks {_heading(field or '')}; the table beside says what is missing."), True


def _heading(field: str) -> str:
    title, unit = samples.title(field)
    return f"{title} / {unit}" if unit else title


def fetch(wanted: Wanted) -> Rows:
    """Return the samples that lack the chosen property."""
    chosen = {**wanted.chosen, "lacks": wanted.chosen["field"]}
    found, total = samples.listed(samples.query(chosen, wanted.sort), wanted.first, wanted.last)
    return Rows(found, total)


def ask(field: str | None) -> Component:
    """Return the field for the value, and the button that shows what would happen."""
    if not field:
        return html.Div()
    label = f"{_heading(field)} of all of them"
    value = (
        parts.select("missing-value", label, samples.CELL_TYPES, every="Choose one")
        if field == "cell_type"
        else parts.text_input("missing-value", label, at_once=True)
    )
    return parts.toolbar(value, parts.button("Preview", "missing-look"))


def preview(
    clicks: int | None,
    field: str | None,
    value: str | None,
    rows: Sequence[Mapping[str, Any]] | None,
    *values: Any,
) -> tuple[Any, Any, bool]:
    """Say which samples would get the value; nothing is stored."""
    if not clicks or ctx.triggered_id != "missing-look":
        return None, None, True  # another property, or other filters: what was shown no longer holds
    chosen = dict(zip(FILTERS, values, strict=True))
    try:
        found = missing.lacking(samples.query(chosen), field or "", [row["id"] for row in rows or ()])
        if not found:
            return parts.empty("No sample lacks it."), None, True
        missing.check(found[0][0], field or "", value or "")
    except BatteryAnalysisError as exc:
        return parts.problem(exc), None, True
    names = ", ".join(name for _, name in found[:SHOWN_NAMES])
    more = f" and {len(found) - SHOWN_NAMES:,} more" if len(found) > SHOWN_NAMES else ""
    counted = parts.count(len(found), "sample")
    said = parts.note(html.Strong(f"{counted}: {_heading(field or '')} = {value}"), html.Br(), f"{names}{more}")
    wanted = {"samples": [identity for identity, _ in found], "field": field, "value": value}
    return said, wanted, False


def fill(clicks: int | None, wanted: Mapping[str, Any] | None, author: str | None) -> background.Work | Component:
    """Fill in what the preview showed; many samples go to processes, in steps that can be stopped."""
    if not clicks or not wanted:
        return html.Div()
    identities, field, value = wanted["samples"], wanted["field"], wanted["value"]
    if len(identities) <= missing.AT_ONCE:
        return done([missing.fill(identities, field, value, author)])
    steps = [identities[start : start + missing.AT_ONCE] for start in range(0, len(identities), missing.AT_ONCE)]
    settings = missing.task_settings()
    tasks = [(missing.fill_apart, (settings, step, field, value, author)) for step in steps]
    return background.Work(f"Filling in {parts.count(len(identities), 'sample')}", tasks, done)


def done(results: Sequence[missing.Filled]) -> Component:
    """Return what became of the samples, and let the tables look again."""
    import uuid

    filled, kept, problems = (
        [name for result in results for name in getattr(result, part)] for part in ("done", "kept", "problems")
    )
    set_props("missing-done", {"value": uuid.uuid4().hex})
    set_props("missing-preview", {"children": None})
    set_props("missing-confirm", {"hidden": True})
    lines = [parts.note(f"{parts.count(len(filled), 'sample')} filled in.", tone="good")] if filled else []
    if kept:
        lines.append(parts.note(f"Known meanwhile, and left as it is: {', '.join(kept[:SHOWN_NAMES])}"))
    lines += [parts.problem(problem) for problem in problems[:SHOWN_NAMES]]
    return html.Div(lines, className="stack")


def register_callbacks(app: Dash) -> None:
    """Wire coverage, table, preview and filling in."""
    ids = controls("missing", FILTERS)
    field = links.control("missing", "field")
    given = [Input(id, "value") for id in ids.values()]
    app.callback(Output("missing-coverage", "children"), *given, Input("missing-done", "value"))(coverage)
    grid.register_server_grid(
        app, "missing", COLUMNS, fetch, {**ids, "field": field, "done": "missing-done"}, word="sample"
    )
    app.callback(
        Output("missing-none", "children"),
        Output("missing-value-place", "hidden"),
        Input(field, "value"),
        Input("missing-done", "value"),
        *given,
    )(offer)
    app.callback(Output("missing-value-place", "children"), Input(field, "value"), prevent_initial_call=True)(ask)
    app.callback(
        Output("missing-preview", "children"),
        Output("missing-wanted", "data"),
        Output("missing-confirm", "hidden"),
        Input("missing-look", "n_clicks"),
        Input(field, "value"),
        State("missing-value", "value"),
        State("missing", "selectedRows"),
        *given,
        prevent_initial_call=True,
    )(preview)
    inputs = [Input("missing-fill-in", "n_clicks"), State("missing-wanted", "data"), State("author", "value")]
    background.register(app, "missing-fill", inputs, fill)
