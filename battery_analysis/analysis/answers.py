"""What analyses say of one test or of cells: facts, tables and remarks, the same in commands and in the dashboard.

The analyses themselves stand in the modules named here; these functions only gather what belongs together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Literal

import polars as pl

from battery_analysis.analysis import gitt as titration
from battery_analysis.analysis import ocv as half_cells
from battery_analysis.analysis import protocol as following
from battery_analysis.analysis import pulses as pulsing
from battery_analysis.analysis import similarity, simulation
from battery_analysis.analysis.checkups import ageing_cycles, mark_cycles
from battery_analysis.analysis.correlations import correlations
from battery_analysis.analysis.cycle_groups import CycleGroup, ProtocolStep
from battery_analysis.analysis.fade import LAWS, fit_fade
from battery_analysis.analysis.features import CELL, feature_table
from battery_analysis.analysis.halves import HalfCycles, half_cycles
from battery_analysis.analysis.life import cycle_life
from battery_analysis.analysis.outliers import LEAST, find_anomalies
from battery_analysis.analysis.rate import peukert, rate_capability
from battery_analysis.analysis.trends import EFFICIENCIES, efficiency_statistics, throughput
from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

_SHOWN = 10
_ROLES = {"formation": "formation", "checkup": "check-up", "other_rate": "other-rate"}


@dataclass(frozen=True)
class Answer:
    """What an analysis found; the first table is the main one. ``said`` are sentences for people."""

    facts: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    beside: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Tables that are drawn, not read: what the facts were found in."""


def used_cycles(cycles: pl.DataFrame, *, all_cycles: bool = False) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Leave out the cycles whose capacities are those of other rates: formation, check-ups, rate tests.

    Returns:
        The other cycles, and a sentence for each kind that was left out; or all, and what that means.

    Raises:
        AnalysisError: No rate is usual in this test.
    """
    if all_cycles:
        return cycles, ("all cycles are taken, whatever their rate: what a higher current lacks looks like ageing",)
    ageing = ageing_cycles(cycles)
    said = tuple(
        f"{counted(len(numbers), f'{_ROLES[role]} cycle')} left out: {_listed(numbers)}"
        for role, numbers in ageing.left_out.items()
    )
    return ageing.cycles, said


def fade(
    cycles: pl.DataFrame,
    *,
    threshold: float = 0.8,
    law: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    all_cycles: bool = False,
) -> Answer:
    """Fit laws of fade to the discharge capacity, compare them, and say how long the cell lasts.

    Args:
        cycles: A cycle table.
        threshold: Share of the initial capacity at which the life ends.
        law: By which to predict; by default the best.
        confidence: Of the interval of the cycle life.
        seed: Of the bootstrap.
        all_cycles: Whether formation, check-ups and other rates count, too.

    Returns:
        Facts of the cycle life, the table ``laws``, and beside it ``capacities`` and ``curves``.

    Raises:
        AnalysisError: There is no such law, no rate is usual, or there are too few cycles.
    """
    if law is not None and law not in LAWS:
        raise AnalysisError(f"law: one of {', '.join(LAWS)} is wanted, got {law!r}")
    used, said = used_cycles(cycles, all_cycles=all_cycles)
    fits = fit_fade(used)
    life = cycle_life(used, fits, threshold_fraction=threshold, law=law, confidence=confidence, seed=seed)
    rows = [
        {
            "law": fit.law,
            "parameters": ", ".join(f"{name} {each.value:.6g}" for name, each in fit.parameters.items()),
            "points": fit.points,
            "residual_ah": fit.residual_ah,
            "aicc": fit.aicc,
            "weight": fit.weight,
            "life_cycle": life.by_law.get(fit.law),
            "reason": fit.reason,
        }
        for fit in fits.fits
    ]
    data = fits.capacities
    number = data.first_cycle + data.cycle
    curves = {str(fit.law): fit.capacity_ah(number) for fit in fits.fits if fit.reason is None}
    columns: dict[str, Any] = {"cycle_count": number, **curves}
    return Answer(
        {name: value for name, value in asdict(life).items() if name != "by_law"},
        {"laws": pl.DataFrame(rows, infer_schema_length=None)},
        said,
        {
            "capacities": pl.DataFrame({"cycle_count": number, "discharge_capacity_ah": data.capacity_ah}),
            "curves": pl.DataFrame(columns),
        },
    )


def efficiency(cycles: pl.DataFrame, *, nominal_capacity_ah: float | None = None) -> Answer:
    """Describe the efficiencies over all cycles, with their trend, and what went through the cell."""
    rows = [asdict(efficiency_statistics(cycles, quantity)) for quantity in EFFICIENCIES]
    total = throughput(cycles, nominal_capacity_ah=nominal_capacity_ah).tail(1)
    facts = total.row(0, named=True) if total.height else {}
    shown = cycles.filter("complete") if "complete" in cycles.columns else cycles
    kept = shown.select("cycle_count", *(name for name in EFFICIENCIES if name in shown.columns))
    return Answer(facts, {"efficiencies": pl.DataFrame(rows, infer_schema_length=None)}, (), {"cycles": kept})


def anomalies(cycles: pl.DataFrame, *, all_cycles: bool = False) -> Answer:
    """List what stands out: wild cycles, jumps, sudden deaths, missing cycles.

    Returns:
        The table ``anomalies``, a remark on each quantity that could not be judged, and beside it the ``cycles``.
    """
    try:
        judged, said = used_cycles(cycles, all_cycles=all_cycles)
        others = cycles.filter(~pl.col("cycle_count").is_in(judged["cycle_count"].to_list()))
        found = find_anomalies(cycles, left_out=others["cycle_count"].to_list())
    except AnalysisError as exc:  # numbers of cycles tell all the same whether some are missing
        judged, found, said = cycles, find_anomalies(cycles, ()), (f"no values are judged: {exc}",)
    schema: dict[str, Any] = {
        **{"kind": pl.String, "quantity": pl.String, "first_cycle": pl.Int64, "last_cycle": pl.Int64},
        **{"first_record": pl.Int64, "last_record": pl.Int64, "message": pl.String},
    }
    rows = [
        (each.kind, each.quantity, *(each.cycles or (None, None)), *(each.records or (None, None)), each.message)
        for each in found.found
    ]
    said += (f"smaller differences count for none: {', '.join(map(_least, LEAST))}",)
    said += tuple(f"{quantity} is not judged: {why}" for quantity, why in found.unjudged.items())
    return Answer({}, {"anomalies": pl.DataFrame(rows, schema=schema, orient="row")}, said, {"cycles": judged})


def roles(cycles: pl.DataFrame, *, nominal_capacity_ah: float | None = None) -> Answer:
    """Say which cycles are formation, check-ups, cycling, or of another rate, and why.

    Returns:
        The table ``cycles``, and beside it the ``capacities`` of the same cycles, in the same order.
    """
    marked = mark_cycles(cycles, nominal_capacity_ah=nominal_capacity_ah)
    capacities = cycles.select("cycle_count", "discharge_capacity_ah").with_columns(marked["role"])
    return Answer({}, {"cycles": marked}, (), {"capacities": capacities})


def protocols(found: Sequence[tuple[str, following.Protocol]], *, steps: bool = False) -> Answer:
    """Tabulate the protocols that tests followed, those that are the same as one group.

    Args:
        found: Names of tests and their protocols.
        steps: Whether every step that was executed is told, too.

    Returns:
        The tables ``protocols``, one row per test, and ``cycle_groups``, one row per run of like cycles of a test.
    """
    groups = following.grouped([own for _, own in found])
    group_of = {place: number for number, group in enumerate(groups, 1) for place in group}
    rows = [
        {"subject": name, "group": group_of[place], "summary": own.summary} for place, (name, own) in enumerate(found)
    ]
    runs = [{"subject": name, **_run(group)} for name, own in found for group in own.groups]
    tables = {"protocols": pl.DataFrame(rows), "cycle_groups": pl.DataFrame(runs, infer_schema_length=None)}
    if steps:
        named = [own.executed.select(pl.lit(name).alias("subject"), pl.all()) for name, own in found]
        tables = {"steps": pl.concat(named, how="vertical_relaxed"), **tables}
    return Answer({}, tables)


def _run(group: CycleGroup) -> dict[str, object]:
    loops = [(steps[0].times, [step.text for step in steps]) for steps in _looped(group)]
    texts = [f"{times}x ({', '.join(own)})" if times > 1 else ", ".join(own) for times, own in loops]
    return {
        "first_cycle": group.first_cycle,
        "last_cycle": group.last_cycle,
        "cycles": group.cycles,
        "rates": group.label,
        "lower_limit_volt": group.lower_volt,
        "upper_limit_volt": group.upper_volt,
        "incomplete": group.incomplete,
        "steps": ", ".join(texts),
    }


def _looped(group: CycleGroup) -> list[list[ProtocolStep]]:
    return [list(own) for _, own in groupby(group.steps, key=lambda step: step.loop)]


def rate(
    frame: pl.DataFrame,
    *,
    direction: Literal["charge", "discharge"] = "discharge",
    nominal_capacity_ah: float | None = None,
    finished: bool = False,
    continuation: bool = False,
) -> Answer:
    """Compare capacities at different currents, and fit Peukert's exponent.

    Returns:
        The tables ``levels`` and ``half_cycles``; ``peukert`` among the facts, or a remark why there is none.
    """
    halves = half_cycles(frame, finished=finished, continuation=continuation).table
    found = rate_capability(halves, direction=direction, nominal_capacity_ah=nominal_capacity_ah)
    facts: dict[str, object] = {"nominal_capacity_ah": nominal_capacity_ah}
    said: tuple[str, ...] = ()
    try:
        facts["peukert"] = asdict(peukert(found))
    except AnalysisError as exc:
        said = (f"no Peukert exponent: {exc}",)
    return Answer(facts, {"levels": found.levels, "half_cycles": found.halves}, said)


def pulses(
    frame: pl.DataFrame,
    *,
    times_second: Sequence[float] = (),
    capacity_ah: float | None = None,
    initial_soc: float | None = None,
) -> Answer:
    """Tabulate DC resistances at steps of the current, against state of charge; the usual times without any."""
    times = times_second or pulsing.TIMES_SECOND
    found = pulsing.pulses(frame, times_second=times, capacity_ah=capacity_ah, initial_soc=initial_soc)
    return Answer({}, {"pulses": found})


def gitt(frame: pl.DataFrame, geometry: titration.Geometry | None = None) -> Answer:
    """Tabulate a titration: diffusion coefficients where the geometry gives a length, and the voltage at rest."""
    is_given = geometry is not None and any(value is not None for value in asdict(geometry).values())
    tables = {
        "titrations": titration.gitt(frame, geometry if is_given else None),
        "pseudo_ocv": titration.pseudo_ocv(frame),
    }
    lacking = "no diffusion coefficients: neither a thickness nor a radius nor mass and volume given"
    return Answer({}, tables, () if is_given else (lacking,))


def similar(
    cells: Mapping[str, pl.DataFrame],
    features: Sequence[str] | None = None,
    *,
    distance: similarity.Distance = "euclidean",
    scaling: similarity.Scaling = "standard",
    clusters: bool = False,
    components: bool = False,
) -> Answer:
    """Say how alike cells are, by features of their cycles.

    Args:
        cells: Cycle tables by name.
        features: Compare by these; by all without.
        distance: How differences are summed.
        scaling: How features are made comparable.
        clusters: Whether to part the cells into groups, too.
        components: Whether to find principal components, too.
    """
    table = feature_table(cells)
    found = similarity.distances(table, features, distance=distance, scaling=scaling)
    tables = {"distances": found.table, "features": table}
    facts: dict[str, object] = {"compared_by": list(found.scaled.features)}
    left_out = list(found.scaled.left_out)
    if clusters:
        groups = similarity.clusters(table, features, scaling=scaling)
        tables["clusters"] = groups.table
        facts |= {"groups": groups.count, "silhouette": groups.silhouette}
        left_out += groups.left_out
    if components:
        parts = similarity.components(table, features, count=min(2, len(found.scaled.features)), scaling=scaling)
        tables |= {"scores": parts.scores, "loadings": parts.loadings}
        facts["explained"] = list(parts.explained)
        left_out += parts.left_out
    said = tuple(dict.fromkeys(f"{each.what} {each.name} is left out: {each.reason}" for each in left_out))
    return Answer(facts, tables, said)


def correlate(
    cells: Mapping[str, pl.DataFrame],
    properties: pl.DataFrame,
    chosen: Sequence[str] | None = None,
    results: Sequence[str] | None = None,
) -> Answer:
    """Correlate properties of samples with what their cells did.

    Args:
        cells: Cycle tables by name.
        properties: One row per cell, in the same order; columns of no name of a feature.
        chosen: Columns of ``properties``; all without.
        results: Features of the cycles; those that any cell has without.

    Returns:
        The table ``correlations``, and beside it all that was correlated as ``cells``.
    """
    features = feature_table(cells)
    table = features.hstack(properties)
    wanted = results or [name for name in features.columns if name != CELL and features[name].count()]
    found = correlations(table, chosen or properties.columns, wanted)
    return Answer({"cells": table.height}, {"correlations": found}, (), {"cells": table})


def ocv(
    halves: Sequence[HalfCycles],
    positive: half_cells.HalfCell,
    negative: half_cells.HalfCell,
    *,
    direction: Literal["charge", "discharge"] = "discharge",
    cycle: int | None = None,
    aged_cycle: int | None = None,
) -> Answer:
    """Fit half-cell curves to a slow half cycle, and say which modes of degradation led from one test to the next.

    Args:
        halves: Of a test, and maybe of the same cell later.
        positive: The positive electrode against lithium.
        negative: The negative electrode against lithium.
        direction: Of the half cycle.
        cycle: Its number; the slowest without.
        aged_cycle: That of the cell later; the same without.

    Returns:
        Facts of the fit, those of the later one after ``aged``, the losses in between, and the table ``curve``; beside
        it the later one as ``aged``.
    """
    numbers = cycle, cycle if aged_cycle is None else aged_cycle
    curves = [
        half_cells.half_cycle_curve(each, direction=direction, cycle=number)
        for each, number in zip(halves, numbers, strict=False)
    ]
    fits = [half_cells.fit_half_cells(curve, positive, negative) for curve in curves]
    facts = _numbers_of(fits[0])
    if len(fits) == 1:
        return Answer(facts, {"curve": fits[0].curve})
    facts |= {f"aged {name}": value for name, value in _numbers_of(fits[1]).items()}
    facts |= asdict(half_cells.degradation_modes(*fits))
    return Answer(facts, {"curve": fits[0].curve}, (), {"aged": fits[1].curve})


def _numbers_of(fit: half_cells.OcvFit) -> dict[str, object]:
    return {name: value for name, value in vars(fit).items() if name != "curve"}


def simulated(found: simulation.Simulation) -> Answer:
    """Say how far a measured voltage is from that of a model: facts, and the table ``records``."""
    facts: dict[str, object] = {name: value for name, value in vars(found).items() if name not in ("table", "warnings")}
    facts["residuals"] = found.residuals._asdict() if found.residuals else None
    return Answer(facts, {"records": found.table}, found.warnings)


def _least(quantity: str) -> str:
    absolute, share = LEAST[quantity]
    return f"{quantity} {f'{absolute:g}' if absolute else f'{share:.1%}'}"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:_SHOWN])) + (", …" if len(numbers) > _SHOWN else "")


def merged(answer: Answer, **facts: Any) -> Answer:
    """Return an answer with more facts ahead of its own."""
    return Answer({**facts, **answer.facts}, answer.tables, answer.said, answer.beside)
