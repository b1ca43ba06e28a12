"""Cycles of a cell or a test: any quantity of each, and what happens within those that are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError, NotFoundError
from dashboard import figures, figures_curves, links, parts, pickers, views
from dashboard.cycle_numbers import cycles_named, cycles_written
from dashboard.data import lives
from dashboard.data.lives import Life
from dashboard.figures_curves import DIRECTIONS, MOST_NAMED, SIGNALS
from dashboard.figures_per_cycle import colours, per_cycle
from dashboard.links import Given
from dashboard.quantities import AS_MEASURED, AXES, DIVISORS, QUANTITIES, Choice, incomplete_cycles, undated_cycles

PATH = "/cycles"
TITLE = "Cycles"
GROUP = "Look"

MOST_CHOSEN = 24
"""Cycles whose records are loaded at once."""

_TITLES = {name: each.title for name, each in QUANTITIES.items()}


def _id(name: str) -> dict[str, str]:
    return links.control("cycles", name)


def layout(**query: Given) -> Component:
    """Return the page for what the address holds: ``?cell=``, ``?test=``, what is drawn, and the cycles chosen."""
    given = {name: links.text(each) for name, each in query.items()}
    cell = pickers.named_cell(query)
    if cell is None:
        return pickers.nothing(TITLE)
    subject = (
        pickers.cell("cycles", cell),
        pickers.test_of("cycles", cell, given.get("test")),
    )
    drawn = (
        parts.select(_id("y"), "Quantity", _TITLES, given.get("y")),
        parts.select(_id("y2"), "And at the right", _TITLES, given.get("y2"), every="Nothing"),
        parts.select(_id("x"), "Against", AXES, given.get("x")),
        parts.select(_id("by"), "Divided by", DIVISORS, given.get("by"), every=AS_MEASURED),
        parts.number_input(_id("reference"), "Reference cycle", links.whole(query.get("reference")), step=1, least=0),
        parts.switch(_id("incomplete"), "Incomplete cycles", on=given.get("incomplete") == "yes"),
    )
    within = (
        parts.text_input(_id("cycles"), "Chosen cycles", given.get("cycles"), placeholder="1, 50, 100-200:20"),
        parts.select(_id("half"), "Halves", DIRECTIONS, given.get("half"), every="Charge and discharge"),
        parts.select(_id("signal"), "Signal over time", SIGNALS, given.get("signal")),
        parts.button("Choose first, middle and last", "cycles-some"),
        parts.button("Choose none", "cycles-none"),
    )
    return parts.page(
        TITLE,
        parts.toolbar(*subject),
        html.Div(id="cycles-note", role="status"),
        figures.figure_card("per-cycle", "Quantities per cycle", None, *drawn, height=400),
        parts.toolbar(*within),
        html.Div(id="cycles-curves-note", role="status"),
        html.Div(
            [
                parts.grid(
                    figures.figure_card("cycle-voltage", "Voltage over charge", height=340),
                    figures.figure_card("cycle-dqdv", "dQ/dV", height=340),
                ),
                figures.figure_card("cycle-time", "Over time", height=340),
            ],
            id="cycles-curves",
            className="page",
            hidden=True,
        ),
        actions=[views.menu(PATH)],
    )


def draw(
    cell: str | None,
    test: str | None,
    y: str,
    y2: str | None,
    x: str,
    by: str | None,
    reference: float | None,
    incomplete: bool | None,
    chosen: str | None,
) -> tuple[Any, Any]:
    """Draw quantities per cycle, and say why one is missing."""
    life = _life(cell, test)
    if isinstance(life, str):
        return figures.figure([], x=AXES[links.choice(x, list(AXES))], y=""), parts.note(life, tone="warning")
    first = _choice(y, x, by, reference)
    second = _choice(y2, x, by, reference) if y2 else None
    cycles, _ = cycles_named(chosen, life.cycles["cycle_count"])
    drawn, reasons = per_cycle(life, first, second, colours(cycles[:MOST_CHOSEN]), incomplete=bool(incomplete))
    said = [_missing(reason, life) for reason in reasons]
    left_out = 0 if incomplete else incomplete_cycles(life)
    if left_out:
        said.append(parts.note(f"{parts.count(left_out, 'incomplete cycle')} not shown."))
    if first.against == "date" and (undated := undated_cycles(life)):
        said.append(parts.note(f"{parts.count(undated, 'cycle')} of tests without a date not shown.", tone="warning"))
    said += [
        parts.note(f"{each.of.title} is as measured: it is nothing that can be divided {_by(each)}.")
        for each in (first, second)
        if each and not each.is_divided
    ]
    return drawn, said


def _missing(reason: str, life: Life) -> Component:
    """Say why something is not drawn, and where it can be mended."""
    sample = life.traits.get("sample")
    mend = dcc.Link("Edit the sample", href=links.sample(str(sample))) if "of the sample" in reason and sample else None
    return parts.note(reason, ". " if mend else None, mend, tone="warning")


def _by(choice: Choice) -> str:
    words = DIVISORS[choice.by]
    return "by the nominal capacity" if choice.by == "nominal" else f"so: {words[0].lower()}{words[1:]}"


def _choice(y: str | None, x: str | None, by: str | None, reference: float | None) -> Choice:
    return Choice(
        links.choice(y, list(QUANTITIES)),
        links.choice(x, list(AXES)),
        links.choice(by, ["", *DIVISORS]),
        None if reference is None else int(reference),
    )


def _life(cell: str | None, test: str | None) -> Life | str:
    try:
        return lives.one(cell, test or None)
    except NotFoundError as exc:
        return str(exc)


def draw_curves(
    cell: str | None,
    test: str | None,
    by: str | None,
    reference: float | None,
    chosen: str | None,
    half: str | None,
    signal: str | None,
) -> tuple[Any, ...]:
    """Draw what happens within the chosen cycles."""
    life = _life(cell, test)
    if isinstance(life, str):
        return _nothing(parts.note(life, tone="warning"))
    cycles, wrong = cycles_named(chosen, life.cycles["cycle_count"])
    if not life.cycles.height:
        return _nothing(parts.note(f"{life.name} has no cycles."))
    if not cycles:
        how = "Click points above, or write cycle numbers, to see what happens within these cycles."
        return _nothing(parts.note(wrong or how, tone="warning" if wrong else "plain"))
    shown = cycles[:MOST_CHOSEN]
    curves = figures_curves.taken_apart(life, colours(shown), {each: lives.cycle(life, each) for each in shown})
    choice, direction = _choice(None, None, by, reference), links.choice(half, ["", *DIRECTIONS])
    try:
        voltage = figures_curves.voltage_over_charge(curves, choice, direction)
        slopes, missing = figures_curves.differential(curves, choice, direction)
    except AnalysisError as exc:
        return _nothing(_missing(str(exc), life))
    time = figures_curves.over_time(curves, links.choice(signal, list(SIGNALS)))
    said = [parts.note(each, tone="warning") for each in (*curves.reasons, *missing)]
    if len(cycles) > MOST_CHOSEN:
        said.append(parts.note(f"{len(cycles)} cycles are chosen; the first {MOST_CHOSEN} are shown.", tone="warning"))
    if len(shown) > MOST_NAMED:
        said.append(parts.note(f"Colours run from cycle {shown[0]}, dark, to cycle {shown[-1]}, bright."))
    return voltage, slopes, time, said, False


def _nothing(said: Component) -> tuple[Any, ...]:
    return no_update, no_update, no_update, said, True


def choose(
    click: Mapping[str, Any] | None,
    _: int | None,
    __: int | None,
    chosen: str | None,
    cell: str | None,
    test: str | None,
) -> tuple[Any, Any]:
    """Add the cycle that was clicked to the chosen ones, or take it away; or choose some, or none."""
    if ctx.triggered_id == "cycles-none":
        return "", None
    life = _life(cell, test)
    if isinstance(life, str):
        return no_update, None
    if ctx.triggered_id == "cycles-some":
        whole = life.cycles.filter(life.cycles["complete"].fill_null(False))["cycle_count"].to_list()
        return cycles_written({whole[0], whole[len(whole) // 2], whole[-1]} if whole else ()), None
    clicked = [each["customdata"][0] for each in (click or {}).get("points", ()) if each.get("customdata")]
    if not clicked:
        return no_update, None
    cycles, _wrong = cycles_named(chosen, life.cycles["cycle_count"])
    return cycles_written(set(cycles) ^ {int(clicked[0])}), None


def register_callbacks(app: Dash) -> None:
    """Wire the controls."""
    pickers.register_callbacks(app, "cycles", "cell")
    subject = Input(_id("cell"), "value"), Input(_id("test"), "value")
    pickers.register_test_of(app, "cycles")
    app.callback(
        Output(figures.graph("per-cycle"), "figure"),
        Output("cycles-note", "children"),
        *subject,
        *(Input(_id(name), "value") for name in ("y", "y2", "x", "by", "reference", "incomplete", "cycles")),
    )(draw)
    app.callback(
        *(Output(figures.graph(name), "figure") for name in ("cycle-voltage", "cycle-dqdv", "cycle-time")),
        Output("cycles-curves-note", "children"),
        Output("cycles-curves", "hidden"),
        *subject,
        *(Input(_id(name), "value") for name in ("by", "reference", "cycles", "half", "signal")),
    )(draw_curves)
    app.callback(
        Output(_id("cycles"), "value"),
        Output(figures.graph("per-cycle"), "clickData"),
        Input(figures.graph("per-cycle"), "clickData"),
        Input("cycles-some", "n_clicks"),
        Input("cycles-none", "n_clicks"),
        State(_id("cycles"), "value"),
        State(_id("cell"), "value"),
        State(_id("test"), "value"),
        prevent_initial_call=True,
    )(choose)
