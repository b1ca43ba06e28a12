"""Analyses of cycle tables: fade and cycle life, efficiencies, anomalies; and what a cell is for its size."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import answers, figures, links, parts, units
from dashboard.background import Work
from dashboard.data import subjects
from dashboard.pages.advanced_view import Query, View, id_of, subject

if TYPE_CHECKING:
    import polars as pl

_SHARE, _CONFIDENCE = 80.0, 95.0
_MOST_FIGURES = 6


def _fade_controls(query: Query) -> list[Component]:
    from battery_analysis.analysis.fade import LAWS

    threshold = links.number(query.get("threshold"))
    confidence = links.number(query.get("confidence"))
    return [
        parts.number_input(id_of("threshold"), "End of life", _SHARE if threshold is None else threshold, unit="%"),
        parts.select(id_of("law"), "Predict by", LAWS, links.text(query.get("law")), every="The best law"),
        parts.number_input(
            id_of("confidence"), "Confidence", _CONFIDENCE if confidence is None else confidence, unit="%"
        ),
        _all_cycles(query),
    ]


def _all_cycles(query: Query) -> Component:
    return parts.switch(id_of("all"), "Formation and check-ups, too", on=links.text(query.get("all")) == "yes")


def _fade(
    cell: str | None,
    test: str | None,
    threshold: float | None,
    law: str | None,
    confidence: float | None,
    all_cycles: bool | None,
) -> Work:
    from battery_analysis.analysis import answers as analyses

    chosen = subject(cell, test)
    options = {
        "threshold": (_SHARE if threshold is None else threshold) / 100,
        "law": law or None,
        "confidence": (_CONFIDENCE if confidence is None else confidence) / 100,
        "all_cycles": bool(all_cycles),
    }
    task = functools.partial(analyses.fade, **cast("Any", options)), (subjects.cycles(chosen),)
    return Work(f"Fade of {chosen.name}", [task], _draw_fade)


def _draw_fade(results: list[Any]) -> Component:
    from dashboard.figures_analysis import fade

    (answer,) = results
    life = answer.facts
    interval = (
        f"{life['confidence']:.0%} between {answers.text(life['low_cycle'])} and {answers.text(life['high_cycle'])}"
    )
    beyond = life["extrapolated"]
    far = beyond is not None and beyond > 1
    numbers = parts.stats(
        parts.stat(
            "Cycle life, predicted", _cycle(life["predicted_cycle"]), interval, tone="warning" if far else "plain"
        ),
        parts.stat("Cycle life, measured", _cycle(life["measured_cycle"]), "two cycles in a row below the threshold"),
        parts.stat("End of life at", parts.quantity(life["threshold_ah"], "Ah"), f"{life['threshold_fraction']:.0%}"),
        parts.stat("Law", str(life["law"]), f"{life['replicates']:,} resampled fits"),
    )
    said = list(answer.said) + ([life["reason"]] if life["reason"] else [])
    if far:
        said.append(f"the prediction lies {beyond:.1f} times the observed cycles beyond them")
    return parts.grid(
        _wide(numbers),
        _wide(*answers.remarks(said)) if said else None,
        figures.figure_card("fade", "Capacity and laws of fade", fade(answer), height=420, wide=True),
        answers.table_card("laws", "Laws of fade", answer.tables["laws"]),
    )


def _cycle(number: float | None) -> str:
    return parts.UNKNOWN if number is None else f"{number:,.0f}"


def _wide(*children: Component) -> Component:
    return html.Div(list(children), className="wide page")


def _efficiency(cell: str | None, test: str | None) -> Work:
    from battery_analysis.analysis import answers as analyses

    chosen = subject(cell, test)
    task = functools.partial(analyses.efficiency, nominal_capacity_ah=chosen.nominal_capacity_ah)
    return Work(f"Efficiencies of {chosen.name}", [(task, (subjects.cycles(chosen),))], _draw_efficiency)


def _draw_efficiency(results: list[Any]) -> Component:
    from dashboard.figures_analysis import efficiencies

    (answer,) = results
    drawn = efficiencies(answer.beside["cycles"])
    return parts.grid(
        figures.figure_card("efficiencies", "Efficiencies of complete cycles", drawn, wide=True),
        answers.table_card("efficiency", "Efficiencies and their trend", answer.tables["efficiencies"]),
        parts.card("Throughput at the end", answers.facts(answer.facts)),
    )


def _roles(cell: str | None, test: str | None) -> Work:
    from battery_analysis.analysis import answers as analyses

    chosen = subject(cell, test)
    task = functools.partial(analyses.roles, nominal_capacity_ah=chosen.nominal_capacity_ah)
    return Work(f"Roles of the cycles of {chosen.name}", [(task, (subjects.cycles(chosen),))], _draw_roles)


def _draw_roles(results: list[Any]) -> Component:
    import polars as pl

    from battery_analysis.analysis.checkups import ROLES
    from dashboard.figures_analysis import ROLE_TITLES, roles

    (answer,) = results
    marked = answer.tables["cycles"]
    count = dict(marked.group_by("role").len().iter_rows())
    untold = count.get(None, 0)
    numbers = [parts.stat(ROLE_TITLES[role], f"{count.get(role, 0):,}") for role in ROLES]
    if untold:
        numbers.append(parts.stat("Cannot be told", f"{untold:,}", "the table says why", tone="warning"))
    named = marked.with_columns(pl.col("role").replace(ROLE_TITLES))
    columns = ("cycle_count", "discharge_current_ampere", "c_rate", "role", "reason")
    shown = tuple(name for name in columns if marked[name].null_count() < marked.height)
    return parts.grid(
        _wide(parts.stats(*numbers)),
        figures.figure_card("roles", "Roles of the cycles", roles(answer), height=380, wide=True),
        answers.table_card("roles", "Cycles and their roles", named, columns=shown),
    )


def _anomalies(cell: str | None, test: str | None, all_cycles: bool | None) -> Work:
    from battery_analysis.analysis import answers as analyses

    chosen = subject(cell, test)
    task = functools.partial(analyses.anomalies, all_cycles=bool(all_cycles))
    return Work(f"Anomalies of {chosen.name}", [(task, (subjects.cycles(chosen),))], _draw_anomalies)


def _draw_anomalies(results: list[Any]) -> Component:
    from battery_analysis.analysis.outliers import QUANTITIES
    from dashboard.figures_analysis import anomalies

    (answer,) = results
    found, cycles = answer.tables["anomalies"], answer.beside["cycles"]
    concerned = [name for name in found["quantity"].unique(maintain_order=True) if name in cycles.columns]
    shown = (concerned or [name for name in QUANTITIES if name in cycles.columns and cycles[name].count()][1:2])[
        :_MOST_FIGURES
    ]
    columns = ("kind", "quantity", "first_cycle", "last_cycle", "message")
    above = [] if found.height else [parts.note("Nothing stands out.", tone="good")]
    return parts.grid(
        answers.table_card("anomalies", "What stands out", _named(found, "quantity"), columns=columns)
        if found.height
        else parts.card("What stands out", *above, wide=True),
        *(
            figures.figure_card(f"anomalies-{name}", answers.heading(name), anomalies(cycles, found, name), height=320)
            for name in shown
        ),
        _wide(*answers.remarks(answer.said)) if answer.said else None,
    )


def _named(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """Write names of quantities for people."""
    named = {each: answers.heading(each).partition(" / ")[0] for each in table[column].unique() if each}
    return table.with_columns(table[column].replace(named))


def _normalised_controls(query: Query) -> list[Component]:
    wanted = links.whole(query.get("cycle"))
    return [parts.number_input(id_of("cycle"), "Cycle, else the first", wanted, step=1, least=1)]


def _normalised(cell: str | None, test: str | None, cycle: float | None) -> Component:
    found = subjects.normalise(cell or "", None if cycle is None else int(cycle))
    rows = [
        {
            "name": answers.heading(each.name).partition(" / ")[0],
            "value": parts.quantity(each.value),
            "unit": units.written(each.unit),
            "formula": each.formula,
            "missing": each.missing,
        }
        for each in found.quantities
    ]
    columns = {
        "name": "Quantity",
        "value": "Value →",
        "unit": "Unit",
        "formula": "Formula",
        "missing": "What is missing",
    }
    measured = {
        "Cycle": answers.text(found.cycle_count),
        "Discharge capacity": parts.quantity(found.measured.capacity_ah, "Ah"),
        "Discharge energy": parts.quantity(found.measured.energy_wh, "Wh"),
        "Internal resistance": parts.quantity(found.measured.internal_resistance_ohm, "Ω"),
        "Ohmic resistance": parts.quantity(found.measured.ohmic_resistance_ohm, "Ω"),
        "Impedance at the highest frequency": parts.quantity(found.measured.high_frequency_impedance_ohm, "Ω"),
        "Highest frequency": parts.quantity(found.highest_frequency_hertz, "Hz"),
    }
    sizes = {
        answers.heading(name): answers.text(value)
        for name, value in vars(found.properties).items()
        if name != "sources" and value is not None
    }
    lacks = ", ".join(answers.heading(name).partition(" / ")[0].lower() for name in found.lacks)
    missing = (
        parts.note(
            f"The sample lacks {lacks}. ",
            dcc.Link("Edit the sample", href=links.sample(found.sample)),
            tone="warning",
        )
        if found.lacks
        else None
    )
    beyond = [dcc.Link("Capacity per area over all cycles", href=links.href("/cycles", cell=cell, by="area"))]
    if found.spectrum_test_id:
        spectra = links.href("/eis", test=found.spectrum_test_id, area="yes")
        beyond.append(dcc.Link("Spectrum per area", href=spectra))
    return parts.grid(
        parts.card("Capacity, energy and resistance for its size", parts.table("Normalised", columns, rows), wide=True),
        parts.card("What was measured", parts.facts(measured), parts.toolbar(*beyond)),
        parts.card("The sample", parts.facts({"Sample": parts.sample_link(found.sample), **sizes}), missing),
    )


FADE = View("fade", "Fade and cycle life", _fade_controls, ("threshold", "law", "confidence", "all"), _fade)
NORMALISED = View("normalised", "Normalised", _normalised_controls, ("cycle",), _normalised)
EFFICIENCY = View("efficiency", "Efficiencies", lambda _: [], (), _efficiency)
ROLES = View("roles", "Roles of cycles", lambda _: [], (), _roles)
ANOMALIES = View("anomalies", "Anomalies", lambda query: [_all_cycles(query)], ("all",), _anomalies)
