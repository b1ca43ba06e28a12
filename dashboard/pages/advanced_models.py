"""A test beside a model: half-cell curves fitted to its voltage at rest, and its current sent through PyBaMM."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import answers, figures, links, parts
from dashboard.background import Work
from dashboard.data import half_cells, lives, subjects
from dashboard.pages.advanced_view import Query, View, id_of, subject

if TYPE_CHECKING:
    from battery_analysis.analysis.answers import Answer
    from battery_analysis.analysis.halves import HalfCycles
    from battery_analysis.analysis.simulation import Simulation

MODELS = ("SPMe", "SPM", "DFN")

_ELECTRODES = ("positive", "negative")
_MODES = {
    "lithium_inventory": "Lithium inventory",
    "positive_material": "Positive material",
    "negative_material": "Negative material",
}


def _ocv_controls(query: Query) -> list[Component]:
    curves = half_cells.listed()
    directions = {"discharge": "Discharge", "charge": "Charge"}
    aged = links.text(query.get("aged"))
    offered = lives.names([aged] if aged else []) | lives.tests_of_cell(links.text(query.get("cell")))
    options = [{"label": label, "value": value} for value, label in offered.items()]
    later = dcc.Dropdown(id=id_of("aged"), options=options, value=aged, placeholder="None; type words of a test")
    return [
        *(
            _roomy(
                parts.select(
                    id_of(each), f"{each.capitalize()} electrode", curves, links.text(query.get(each)), every="Choose"
                )
            )
            for each in _ELECTRODES
        ),
        parts.select(id_of("way"), "Half cycle", directions, links.text(query.get("way"))),
        _cycle(query, "slow", "Its cycle, else the slowest"),
        parts.labelled("The cell later", later, roomy=True),
        _cycle(query, "later", "Its cycle, else the same"),
    ]


def _cycle(query: Query, name: str, label: str) -> Component:
    return parts.number_input(id_of(name), label, links.whole(query.get(name)), step=1, least=0)


def _roomy(control: Component) -> Component:
    control.className += " roomy"
    return control


def _ocv(
    cell: str | None,
    test: str | None,
    positive: str | None,
    negative: str | None,
    way: str | None,
    slow: float | None,
    aged: str | None,
    later: float | None,
) -> Work | Component:
    from battery_analysis.analysis import answers as analyses

    if not positive or not negative:
        return _no_curves()
    chosen, own = subject(cell, test)
    halves = [_halves(chosen, own)]
    if aged:
        halves.append(_halves(subjects.chosen(None, aged), aged))
    electrodes = half_cells.curve(positive, "positive"), half_cells.curve(negative, "negative")
    options = {
        "direction": links.choice(way, ("discharge", "charge")),
        "cycle": None if slow is None else int(slow),
        "aged_cycle": None if later is None else int(later),
    }
    task = functools.partial(analyses.ocv, **cast("Any", options)), (halves, *electrodes)
    return Work(f"Half cells of {chosen.name}", [task], _draw_ocv)


def _halves(chosen: subjects.Subject, own: str | None) -> HalfCycles:
    from battery_analysis.analysis.halves import half_cycles

    frame = subjects.records(chosen, own)
    return half_cycles(frame, finished=chosen.finished, continuation=chosen.continuation)


def _no_curves() -> Component:
    step = [
        "A curve is a CSV file with the columns ",
        html.Code("lithiation"),
        " (0, empty, to 1, full) and ",
        html.Code("voltage_volt"),
        " (against lithium). Attach it to a sample, such as the electrode, or to a test: open it in ",
        dcc.Link("Samples", href="/samples"),
        " or ",
        dcc.Link("Tests", href="/tests"),
        ", then choose it here.",
    ]
    if half_cells.listed():
        return parts.empty("Choose the half-cell curves of both electrodes above.", step)
    return parts.empty("No half-cell curve is here yet.", step)


def _draw_ocv(results: list[Answer]) -> Component:
    from dashboard.figures_models import half_cell_fit

    (answer,) = results
    found = answer.facts
    is_aged = "aged" in answer.beside
    columns = {"what": "Quantity", "value": "Value →", "error": "± →"}
    if is_aged:
        columns |= {"aged": "Later →", "aged_error": "± later →"}
    rows = [_row(found, *each) for each in _FITTED]
    why = [
        f"{name}no errors: {found[key]}" for name, key in (("", "reason"), ("later, ", "aged reason")) if found.get(key)
    ]
    drawn = half_cell_fit(answer.tables["curve"], answer.beside.get("aged"))
    return parts.grid(
        html.Div(_modes(found), className="wide page") if is_aged else None,
        figures.figure_card("half-cells", "Voltage and its electrodes", drawn, height=460),
        parts.card("Electrodes", parts.table("Electrodes", columns, rows), *answers.remarks(why)),
        answers.table_card("half-cell-curve", "Curve", answer.tables["curve"]),
    )


_FITTED = (
    ("Capacity of the half cycle", "capacity_ah", None, "Ah"),
    ("Positive electrode", "positive_capacity_ah", "positive_capacity_error_ah", "Ah"),
    ("Negative electrode", "negative_capacity_ah", "negative_capacity_error_ah", "Ah"),
    ("Lithium inventory", "lithium_inventory_ah", "lithium_inventory_error_ah", "Ah"),
    ("Lithiation of the negative, discharged", "negative_empty", None, ""),
    ("Lithiation of the negative, charged", "negative_full", None, ""),
    ("Lithiation of the positive, discharged", "positive_full", None, ""),
    ("Lithiation of the positive, charged", "positive_empty", None, ""),
    ("RMS misfit", "rmse_volt", None, "V"),
)


def _row(found: Mapping[str, Any], title: str, value: str, error: str | None, unit: str) -> dict[str, str]:
    def said(name: str | None, digits: int = 5) -> str:
        return "" if name is None else parts.quantity(found.get(name), unit, digits)

    later, later_error = f"aged {value}", f"aged {error}" if error else None
    return {
        "what": title,
        "value": said(value),
        "error": said(error, 2),
        "aged": said(later),
        "aged_error": said(later_error, 2),
    }


def _modes(found: Mapping[str, Any]) -> Component:
    shown = []
    for name, title in _MODES.items():
        error = found[f"{name}_loss_error"]
        hint = "error not known" if error is None else f"± {parts.quantity(error, '%', 2)}"
        lost = f"Loss of {title[0].lower()}{title[1:]}"
        shown.append(parts.stat(lost, parts.quantity(found[f"{name}_loss"], "%", 3), hint))
    return parts.stats(*shown)


def _simulate_controls(query: Query) -> list[Component]:
    number = functools.partial(_number, query)
    return [
        parts.text_input(id_of("set"), "Parameter set of PyBaMM", links.text(query.get("set")), placeholder="Chen2020"),
        parts.select(id_of("model"), "Model", MODELS, links.text(query.get("model"))),
        number("first", "First record", "", 1),
        number("last", "Last record", "", 1),
        number("start", "SOC at the start", "%", "any"),
        number("nominal", "Scale to a cell of", "Ah", "any"),
    ]


def _number(query: Query, name: str, label: str, unit: str, step: float | str) -> Component:
    return parts.number_input(id_of(name), label, links.number(query.get(name)), unit=unit, step=step, least=0)


def _simulate(
    cell: str | None,
    test: str | None,
    parameter_set: str | None,
    model: str | None,
    first: float | None,
    last: float | None,
    start: float | None,
    nominal: float | None,
) -> Work | Component:
    from battery_analysis.analysis.simulation import simulate

    if find_spec("pybamm") is None:
        step = [
            "On the computer of this server: ",
            html.Code("pip install 'battery-analysis[pybamm]'"),
            ", then restart.",
        ]
        return parts.empty("Simulations need PyBaMM, which is not installed.", step)
    if not (parameter_set or "").strip():
        return parts.empty(
            "Type the name of a parameter set of PyBaMM that describes the cell.",
            "Chen2020 is of a 5 Ah cell of LG, Prada2013 of one of LFP; a wrong name lists all of them.",
        )
    chosen, own = subject(cell, test)
    options = {
        "model": links.choice(model, MODELS),
        "first_record": int(first or 0),
        "last_record": None if last is None else int(last),
        "initial_soc": None if start is None else start / 100,
        "nominal_capacity_ah": nominal,
    }
    task = (
        functools.partial(simulate, **cast("Any", options)),
        (subjects.records(chosen, own), str(parameter_set).strip()),
    )
    return Work(f"{options['model']} beside {chosen.name}", [task], _draw_simulation)


def _draw_simulation(results: list[Simulation]) -> Component:
    from battery_analysis.analysis.answers import simulated
    from dashboard.figures_models import beside_model, residuals_of_model

    (found,) = results
    answer, left = simulated(found), found.residuals
    numbers = [
        parts.stat("Records simulated", f"{found.table.height:,} of {found.asked:,}", f"ended by: {found.ended_by}")
    ]
    if left:
        numbers += [
            parts.stat("RMS difference", parts.quantity(left.rms_volt * 1e3, "mV", 4)),
            parts.stat("Mean difference", parts.quantity(left.mean_volt * 1e3, "mV", 4), "measured less simulated"),
            parts.stat("Largest difference", parts.quantity(left.largest_volt * 1e3, "mV", 4)),
        ]
    known = {
        "Model": found.model,
        "Parameter set": found.parameter_set,
        "Beginning": found.initial_state,
        "Current multiplied by": parts.quantity(found.scale),
        "Temperature": parts.quantity(found.temperature_celsius, "°C"),
        "Cut-offs": f"{found.cutoffs_volt[0]:g} to {found.cutoffs_volt[1]:g} V",
    }
    return parts.grid(
        html.Div(parts.stats(*numbers), className="wide page"),
        figures.figure_card(
            "simulated", "Measured and simulated voltage", beside_model(found.table), height=420, wide=True
        ),
        figures.figure_card("residuals", "Measured less simulated", residuals_of_model(found.table), height=300),
        parts.card("What was simulated", parts.facts(known), *answers.remarks(answer.said)),
        answers.table_card("simulated-records", "Records", answer.tables["records"]),
    )


OCV = View(
    "ocv",
    "Half cells and ageing modes",
    _ocv_controls,
    (*_ELECTRODES, "way", "slow", "aged", "later"),
    _ocv,
)
SIMULATE = View(
    "simulate", "Simulation", _simulate_controls, ("set", "model", "first", "last", "start", "nominal"), _simulate
)
