"""dQ/dV and dV/dQ of chosen cycles: smoothed as one says, their peaks over life, and what changed between cycles."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError, NotFoundError
from dashboard import figures, links, parts, pickers, views
from dashboard.cycle_numbers import cycles_named, cycles_written
from dashboard.data import differential, lives
from dashboard.data.lives import Life
from dashboard.figures_per_cycle import colours
from dashboard.links import Given
from dashboard.pages import differential_shown as shown

PATH = "/differential"
TITLE = "dQ/dV"
GROUP = "Look"

KINDS = {"dqdv": "dQ/dV over voltage", "dvdq": "dV/dQ over charge"}
DIRECTIONS = {"charge": "Charge", "discharge": "Discharge"}
SMOOTHERS = {"gaussian": "Gaussian", "savitzky_golay": "Savitzky–Golay", "spline": "Smoothing spline", "none": "None"}

MOST_CYCLES = 40
SOME = 6
MANY = 30

_STEP = {"dqdv": "Step / mV", "dvdq": "Step / mAh"}
_WIDTH = {"dqdv": "Smoothed over / mV", "dvdq": "Smoothed over / mAh"}
_SHIFT = {"dqdv": "Furthest shift of a peak / mV", "dvdq": "Furthest shift of a peak / mAh"}
_FIGURES = ("differential", "differential-peaks", "differential-change")


def _id(name: str) -> dict[str, str]:
    return links.control("differential", name)


def layout(**query: Given) -> Component:
    """Return the page for what the address holds."""
    given = {name: links.text(each) for name, each in query.items()}
    cell = pickers.named_cell(query)
    if cell is None:
        return pickers.nothing(TITLE)
    kind = links.choice(query.get("kind"), tuple(KINDS))
    number = {name: links.number(query.get(name)) for name in ("step", "width", "shift", "prominence")}
    whole = {name: links.whole(query.get(name)) for name in ("order", "reference")}
    subject = parts.toolbar(
        pickers.cell("differential", cell),
        pickers.test_of("differential", cell, given.get("test")),
        parts.text_input(_id("cycles"), "Cycles", given.get("cycles"), placeholder="1, 50, 100-200:20", roomy=True),
        parts.button(f"{SOME} over life", "differential-some"),
        parts.button(f"{MANY} over life", "differential-many"),
    )
    curves = parts.toolbar(
        parts.select(_id("kind"), "Curve", KINDS, kind),
        parts.select(_id("half"), "Halves", DIRECTIONS, given.get("half"), every="Both"),
        parts.select(_id("smoother"), "Smoother", SMOOTHERS, given.get("smoother")),
        _number("step", _STEP[kind], number["step"]),
        _number("width", _WIDTH[kind], number["width"]),
        _number("order", "Order (Savitzky–Golay)", whole["order"], "3", step=1),
        _number("prominence", "Least prominence / %", number["prominence"], "5"),
        _number("shift", _SHIFT[kind], number["shift"]),
        _number("reference", "Difference to cycle", whole["reference"], "first chosen", step=1),
    )
    of_peaks = parts.select(
        _id("property"),
        "Property",
        {str(name): label for name, label in shown.PROPERTIES.items()},
        given.get("property"),
    )
    return parts.page(
        TITLE,
        subject,
        curves,
        html.Div(id="differential-note", role="status"),
        html.Div(
            parts.grid(
                figures.figure_card("differential", "Differential curves", height=shown.HEIGHT, wide=True),
                figures.figure_card("differential-peaks", "Peaks over cycles", None, of_peaks, height=shown.HEIGHT),
                figures.figure_card("differential-change", "Difference between cycles", height=shown.HEIGHT),
                html.Div(id="differential-table", className="wide"),
            ),
            id="differential-shown",
        ),
        actions=[views.menu(PATH)],
    )


def _number(name: str, label: str, value: float | None, usual: str = "usual", step: float | str = "any") -> Component:
    """Return a field for a number; empty it shows what is usual. Its label may follow the kind of curve."""
    field = dcc.Input(id=_id(name), type="number", value=value, min=0, step=step, debounce=0.4, placeholder=usual)
    return parts.labelled(html.Span(label, id=f"differential-{name}-label"), field)


def choose(_: int | None, __: int | None, cell: str | None, test: str | None, chosen: str | None) -> Any:
    """Choose some complete cycles spread over life: when asked to, and when there is no choice yet."""
    pressed = ctx.triggered_id in ("differential-some", "differential-many")
    if chosen and not pressed and ctx.triggered_id is None:
        return no_update
    try:
        life = lives.one(cell, test or None)
    except NotFoundError:
        return no_update
    return cycles_written(spread(life, MANY if ctx.triggered_id == "differential-many" else SOME))


def spread(life: Life, most: int) -> list[int]:
    """Return up to ``most`` complete cycles of a life, evenly spread, the first and the last among them."""
    whole = life.cycles.filter(life.cycles["complete"].fill_null(False))["cycle_count"].unique().sort().to_list()
    if len(whole) <= most:
        return whole
    return [whole[round(place * (len(whole) - 1) / (most - 1))] for place in range(most)]


def units(kind: str) -> tuple[str | None, ...]:
    """Say the units of step, width and shift, and take back values in the unit of the other kind."""
    return _STEP[kind], _WIDTH[kind], _SHIFT[kind], None, None, None


def draw(
    cell: str | None,
    test: str | None,
    written: str | None,
    kind: str,
    half: str | None,
    smoother: str,
    step: float | None,
    width: float | None,
    order: int | None,
    prominence: float | None,
    shift: float | None,
    reference: int | None,
    what: str,
) -> tuple[Any, ...]:
    """Draw curves, peaks and differences of the chosen cycles."""
    try:
        life = lives.one(cell, test or None)
        cycles, wrong = cycles_named(written, life.cycles["cycle_count"])
        if not cycles:
            return _nothing(wrong or "Write the numbers of cycles above to see their curves.")
        halves, reasons = differential.halves_of(life, cycles[:MOST_CYCLES])
        if halves is None:
            return _nothing(*reasons)
        found = shown.Shown(halves, shown.Asked(kind, half or "", smoother, step, width, order, prominence, shift))
        first = cycles[0] if reference is None else reference
        drawn = found.figures(colours(cycles[:MOST_CYCLES]), first, shown.property_of(what))
    except (AnalysisError, NotFoundError) as exc:
        return _nothing(str(exc))
    if len(cycles) > MOST_CYCLES:
        reasons.append(f"{len(cycles)} cycles are chosen; the first {MOST_CYCLES} are shown.")
    said = [parts.note(found.about), *(parts.note(each, tone="warning") for each in (*reasons, *found.reasons))]
    return *drawn, found.table(), said, False


def _nothing(*said: str) -> tuple[Any, ...]:
    return no_update, no_update, no_update, None, [parts.note(each, tone="warning") for each in said], True


def register_callbacks(app: Dash) -> None:
    """Wire the controls."""
    pickers.register_callbacks(app, "differential", "cell")
    pickers.register_test_of(app, "differential")
    app.callback(
        Output(_id("cycles"), "value"),
        Input("differential-some", "n_clicks"),
        Input("differential-many", "n_clicks"),
        Input(_id("cell"), "value"),
        Input(_id("test"), "value"),
        State(_id("cycles"), "value"),
    )(choose)
    app.callback(
        *(Output(f"differential-{name}-label", "children") for name in ("step", "width", "shift")),
        *(Output(_id(name), "value") for name in ("step", "width", "shift")),
        Input(_id("kind"), "value"),
        prevent_initial_call=True,
    )(units)
    names = ("cell", "test", "cycles", "kind", "half", "smoother", "step", "width", "order", "prominence", "shift")
    app.callback(
        *(Output(figures.graph(name), "figure") for name in _FIGURES),
        Output("differential-table", "children"),
        Output("differential-note", "children"),
        Output("differential-shown", "hidden"),
        *(Input(_id(name), "value") for name in (*names, "reference", "property")),
    )(draw)
