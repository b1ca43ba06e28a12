"""Analyses of the records of one test: its protocol, rate capability, pulses, titrations."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from dash import html
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import answers, figures, links, parts
from dashboard.background import Task, Work
from dashboard.data import subjects
from dashboard.pages.advanced_view import Query, View, id_of, subject

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.analysis.answers import Answer
    from battery_analysis.analysis.protocol import Protocol

_GEOMETRY = {
    "thickness_um": ("Electrode thickness", "µm"),
    "particle_radius_um": ("Particle radius", "µm"),
    "mass_g": ("Active mass", "g"),
    "molar_mass_g_per_mol": ("Molar mass", "g/mol"),
    "molar_volume_cm3_per_mol": ("Molar volume", "cm³/mol"),
    "area_cm2": ("Electrode area", "cm²"),
}


def _rate_controls(query: Query) -> list[Component]:
    directions = {"discharge": "Discharge", "charge": "Charge"}
    return [
        parts.select(id_of("direction"), "Half cycles", directions, links.text(query.get("direction"))),
        parts.number_input(
            id_of("nominal"), "Capacity that counts as 1C", links.number(query.get("nominal")), unit="Ah", least=0
        ),
    ]


def _rate(cell: str | None, test: str | None, direction: str | None, nominal: float | None) -> Work:
    from battery_analysis.analysis import answers as analyses

    chosen = subject(cell, test)
    options = {
        "direction": links.choice(direction, ("discharge", "charge")),
        "nominal_capacity_ah": chosen.nominal_capacity_ah if nominal is None else nominal,
        "finished": chosen.finished,
        "continuation": chosen.continuation,
    }
    task = functools.partial(analyses.rate, **cast("Any", options)), (subjects.records(chosen),)
    return Work(f"Rate capability of {chosen.name}", [task], _draw_rate)


def _draw_rate(results: list[Answer]) -> Component:
    from dashboard.figures_analysis import rates

    (answer,) = results
    known = {name: value for name, value in answer.facts.items() if name != "peukert"}
    found = cast("dict[str, Any]", answer.facts.get("peukert") or {})
    peukert = {f"peukert {name}": value for name, value in found.items()}
    return parts.grid(
        figures.figure_card("rates", "Capacity against rate", rates(answer), height=380),
        parts.card("Peukert's law", answers.facts({**known, **peukert}), *answers.remarks(answer.said)),
        answers.table_card("levels", "Rates", answer.tables["levels"]),
        answers.table_card("half-cycles", "Half cycles", answer.tables["half_cycles"]),
    )


def _pulse_controls(query: Query) -> list[Component]:
    times = parts.text_input(
        id_of("times"), "Times after the beginning / s", links.text(query.get("times")), placeholder="0.1, 1, 10, 30"
    )
    return [
        times,
        parts.number_input(
            id_of("capacity"), "Capacity of a full cell", links.number(query.get("capacity")), unit="Ah", least=0
        ),
        parts.number_input(id_of("soc"), "SOC at the start", links.number(query.get("soc")), unit="%", least=0),
    ]


def _pulses(cell: str | None, test: str | None, times: str | None, capacity: float | None, soc: float | None) -> Work:
    from battery_analysis.analysis import answers as analyses

    chosen = subject(cell, test)
    options = {
        "times_second": _numbers(times),
        "capacity_ah": capacity,
        "initial_soc": None if soc is None else soc / 100,
    }
    task = functools.partial(analyses.pulses, **cast("Any", options)), (subjects.records(chosen),)
    return Work(f"Pulses of {chosen.name}", [task], _draw_pulses)


def _numbers(text: str | None) -> tuple[float, ...]:
    words = [word for word in (text or "").replace(";", ",").split(",") if word.strip()]
    try:
        return tuple(float(word) for word in words)
    except ValueError as exc:
        raise AnalysisError(f"times: numbers such as 0.1, 1, 10 wanted, got {text!r}") from exc


def _draw_pulses(results: list[Answer]) -> Component:
    from dashboard.figures_analysis import pulses

    table = results[0].tables["pulses"]
    title, drawn = "Resistances of pulses", pulses(table)
    none = parts.empty("No pulse has a resistance at these times.", "The table says why; ask for later times above.")
    return parts.grid(
        figures.figure_card("pulses", title, drawn, height=380, wide=True)
        if drawn.data
        else parts.card(title, none, wide=True),
        answers.table_card("pulse-table", "Pulses", table.drop("first_record", "last_record")),
    )


def _gitt_controls(query: Query) -> list[Component]:
    return [
        parts.number_input(id_of(name), title, links.number(query.get(name)), unit=unit, least=0)
        for name, (title, unit) in _GEOMETRY.items()
    ]


def _gitt(cell: str | None, test: str | None, *sizes: float | None) -> Work:
    from battery_analysis.analysis import answers as analyses
    from battery_analysis.analysis.gitt import Geometry

    chosen = subject(cell, test)
    geometry = Geometry(**dict(zip(_GEOMETRY, sizes, strict=True)))
    task = analyses.gitt, (subjects.records(chosen), geometry)
    return Work(f"Titrations of {chosen.name}", [task], _draw_gitt)


def _draw_gitt(results: list[Answer]) -> Component:
    from dashboard.figures_analysis import diffusion, rest_voltages

    (answer,) = results
    titrations, resting = answer.tables["titrations"], answer.tables["pseudo_ocv"]
    return parts.grid(
        html.Div(answers.remarks(answer.said), className="wide page") if answer.said else None,
        figures.figure_card("diffusion", "Diffusion", diffusion(titrations)),
        figures.figure_card("rest-voltages", "Voltage at rest", rest_voltages(resting)),
        answers.table_card("titrations", "Titrations", titrations.drop("first_record", "last_record")),
        answers.table_card("rests", "Voltages at rest", resting),
    )


_RUN = ("subject", "first_cycle", "last_cycle", "rates", "steps", "lower_limit_volt", "upper_limit_volt", "incomplete")


def _protocol_controls(query: Query) -> list[Component]:
    nominal = links.number(query.get("nominal"))
    return [parts.number_input(id_of("nominal"), "Capacity that counts as 1C", nominal, unit="Ah", least=0)]


def _protocol(cell: str | None, test: str | None, nominal: float | None) -> Work:
    from battery_analysis.analysis.protocol import protocol

    own = test if test in subjects.tests_of_cell(cell) else None
    tests = subjects.tests_with_records(cell, own)
    tasks: list[Task] = []
    for each, frame in tests:
        capacity = each.nominal_capacity_ah if nominal is None else nominal
        tasks.append((functools.partial(protocol, finished=each.finished), (frame, capacity)))
    names = [each.name for each, _ in tests]
    title = names[0] if len(names) == 1 else f"{len(names)} tests"
    return Work(f"Protocol of {title}", tasks, functools.partial(_draw_protocol, names), tolerant=True)


def _draw_protocol(names: list[str], results: list[Protocol | AnalysisError]) -> Component:
    from battery_analysis.analysis import answers as analyses

    together = list(zip(names, results, strict=True))
    said = [f"{name}: {each}" for name, each in together if isinstance(each, AnalysisError)]
    found = [(name, each) for name, each in together if not isinstance(each, AnalysisError)]
    if not found:
        raise AnalysisError("; ".join(said))
    tables = analyses.protocols(found, steps=True).tables
    alone = ["subject"] if len(found) == 1 else []
    return parts.grid(
        html.Div(answers.remarks(said), className="wide page") if said else None,
        answers.table_card(
            "protocols",
            "Protocols; tests of one group follow the same",
            tables["protocols"],
            whole=("summary",),
        ),
        answers.table_card(
            "cycle-groups",
            "Runs of like cycles",
            tables["cycle_groups"],
            columns=[name for name in _RUN if name not in alone],
            whole=("rates", "steps"),
        ),
        answers.table_card("executed", "Steps as they were executed", _readable(tables["steps"].drop(alone))),
    )


def _readable(steps: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    spoken = pl.col("kind").str.replace_all("_", " ")
    return steps.drop("first_record", "last_record").with_columns(spoken)


PROTOCOL = View("protocol", "Protocol", _protocol_controls, ("nominal",), _protocol)
RATE = View("rate", "Rate capability", _rate_controls, ("direction", "nominal"), _rate)
PULSES = View("pulses", "Pulses", _pulse_controls, ("times", "capacity", "soc"), _pulses)
GITT = View("gitt", "GITT", _gitt_controls, tuple(_GEOMETRY), _gitt)
