"""From what is stored of cells to the sections of a report. What is not known is said, never filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import polars as pl

from battery_analysis.analysis.checkups import ageing_cycles
from battery_analysis.analysis.fade import FadeFits, Parameter, fit_fade
from battery_analysis.analysis.life import cycle_life
from battery_analysis.analysis.normalise import Normalised
from battery_analysis.errors import AnalysisError
from battery_analysis.reports import figures
from battery_analysis.reports.blocks import Block, Figure, Report, Section, Table, number, percent
from battery_analysis.reports.cells import Cell, TestFacts

_OF_WHICH = "Capacities and efficiencies are those of complete cycles, without formation, check-ups and other rates."

THRESHOLD = 0.8
"""Share of the initial capacity at which a cell's life is taken to end."""

_MOST_SPANS = 3
_PARAMETER_UNITS = {
    "_ah_per_root_cycle": "Ah per root of a cycle",
    "_ah_per_cycle": "Ah per cycle",
    "_per_cycle": "per cycle",
    "_ah": "Ah",
    "_cycle": "cycles",
}
"""Endings of parameters' names, longest first."""


def report_of(cells: Sequence[Cell], made: str) -> Report:
    """Compose the report of one cell, or the comparison of several.

    Args:
        cells: In the order in which they are told.
        made: When and by what.
    """
    return _of_one(cells[0], made) if len(cells) == 1 else _of_several(cells, made)


def _of_one(cell: Cell, made: str) -> Report:
    fits = _fits(cell)
    sections = [
        Section("At a glance", [_key_figures([cell]), _OF_WHICH]),
        Section("Sample", _sample(cell)),
        Section("Tests", [_tests(cell)]),
        Section("Capacity", _figure_or(lambda: figures.capacity(cell), cell, "no cycle was recorded")),
        Section("Efficiency", _figure_or(lambda: figures.efficiencies([cell]), cell, "no cycle has an efficiency")),
        Section("Voltage of some cycles", _curves([cell], figures.voltages)),
        Section("Differential capacity", _curves([cell], figures.differential)),
        Section("Fade", _fade(cell, fits)),
        *_impedance([cell]),
        Section("Capacity, energy and resistance by size", _normalised(cell)),
        Section("Quality", _quality([cell])),
        Section("What is missing", _missing(cell, fits)),
    ]
    size = f"{_counted(len(cell.tests), 'test')}, {_counted(cell.cycles.height, 'cycle')}, "
    size += f"{_counted(sum(test.records for test in cell.tests), 'record')}"
    return Report(f"Cell {cell.code}", f"Sample {cell.sample}: {size}; dataset version {cell.version}.", sections, made)


def _of_several(cells: Sequence[Cell], made: str) -> Report:
    drawn = any(cell.complete.height for cell in cells)
    nothing: list[Block] = ["None of these cells has a complete cycle."]
    sections = [
        Section("At a glance", [_key_figures(cells), _OF_WHICH]),
        Section("Samples", [_samples(cells)]),
        Section("Capacity", [figures.capacities(cells, relative=False)] if drawn else nothing),
        Section("Capacity retention", [figures.capacities(cells, relative=True)] if drawn else nothing),
        Section("Coulombic efficiency", [figures.efficiencies(cells) or "No cycle has an efficiency."]),
        Section("Voltage of the last cycles", _curves(cells, figures.voltages)),
        Section("Differential capacity of the last cycles", _curves(cells, figures.differential)),
        Section("Fade", [_fades(cells)]),
        *_impedance(cells),
        Section("Quality", _quality(cells)),
        Section("What is missing", [f"{cell.code}: {line}" for cell in cells for line in _missing(cell, _fits(cell))]),
    ]
    codes = ", ".join(cell.code for cell in cells)
    return Report(f"Comparison of {len(cells)} cells", f"{codes}.", sections, made)


def _key_figures(cells: Sequence[Cell]) -> Table:
    """One row for each quantity, one column for each cell; of the first and last complete cycle that is cycling."""
    factor, unit = figures.unit_of(figures.largest_capacity(cells))
    rows: list[tuple[str, Callable[[Cell], str]]] = [
        ("cycles", lambda cell: number(cell.cycles.height)),
        (f"initial discharge capacity / {unit}", lambda cell: number(_times(factor, _at(cell, 0)))),
        (f"final discharge capacity / {unit}", lambda cell: number(_times(factor, _at(cell, -1)))),
        ("capacity retention without formation", lambda cell: percent(_share(_at(cell, -1), _at(cell, 0)))),
        ("mean coulombic efficiency", lambda cell: percent(_mean(cell, "coulombic_efficiency"))),
        ("mean energy efficiency", lambda cell: percent(_mean(cell, "energy_efficiency"))),
        ("capacity throughput / Ah", lambda cell: number(_last(cell, "running_throughput_ah"))),
        ("time under test / d", lambda cell: number(_times(1 / 86400, _last(cell, "running_time_second")))),
        ("checks failed on import", lambda cell: number(sum(len(test.flags) for test in cell.tests))),
    ]
    headings = ("", *(cell.code for cell in cells))
    return Table(
        headings,
        [[name, *(tell(cell) for cell in cells)] for name, tell in rows],
        frozenset(range(1, len(headings))),
    )


def _sample(cell: Cell) -> list[Block]:
    if not cell.facts:
        return [f"Nothing is stated of sample {cell.sample}."]
    return [Table(("property", "value"), [list(fact) for fact in cell.facts])]


def _samples(cells: Sequence[Cell]) -> Table | str:
    names = list(dict.fromkeys(name for cell in cells for name, _ in cell.facts))
    if not names:
        return "Nothing is stated of these samples."
    known = [dict(cell.facts) for cell in cells]
    rows = [["sample", *(cell.sample for cell in cells)]]
    rows += [[name, *(facts.get(name, "not stated") for facts in known)] for name in names]
    return Table(("", *(cell.code for cell in cells)), rows)


def _tests(cell: Cell) -> Table:
    headings = ("", "test", "tester", "type", "started / UTC", "records", "cycles of the cell", "read by")
    rows = [
        [
            str(place),
            test.name,
            _tester(test),
            test.type or "not stated",
            f"{test.started_at:%Y-%m-%d %H:%M}" if test.started_at else "not stated",
            str(test.records),
            "none" if test.first_cycle is None else _spans([(test.first_cycle, test.last_cycle or test.first_cycle)]),
            test.reader,
        ]
        for place, test in enumerate(cell.tests, start=1)
    ]
    return Table(headings, rows, frozenset({5}))


def _tester(test: TestFacts) -> str:
    channel = f"channel {test.channel}" if test.channel else None
    return ", ".join(each for each in (test.tester, test.device, channel) if each)


def _figure_or(draw: Callable[[], Figure | None], cell: Cell, otherwise: str) -> list[Block]:
    figure = draw() if cell.cycles.height else None
    return [figure] if figure is not None and figure.curves else [f"Nothing to draw: {otherwise}."]


def _curves(cells: Sequence[Cell], draw: Callable[[Sequence[Cell]], Figure | None]) -> list[Block]:
    figure = draw(cells)
    if figure is not None:
        return [figure]
    reasons = sorted({str(reason) for cell in cells for reason in cell.curves.values() if isinstance(reason, str)})
    return [f"Nothing to draw: {'; '.join(reasons) or 'there is no complete cycle'}."]


def _fits(cell: Cell) -> FadeFits | str:
    """Fit laws of fade, or say why that cannot be."""
    try:
        return fit_fade(ageing_cycles(cell.complete).cycles)
    except AnalysisError as exc:
        return str(exc)


def _fade(cell: Cell, fits: FadeFits | str) -> list[Block]:
    if isinstance(fits, str):
        return [f"No law was fitted: {fits}."]
    rows = []
    for fit in fits.fits:
        if fit.reason is not None:
            rows.append([fit.law.replace("_", " "), "–", "–", f"not fitted: {fit.reason}"])
            continue
        values = (_parameter(name, each) for name, each in fit.parameters.items())
        residual = number(None if fit.residual_ah is None else 1e3 * fit.residual_ah)
        rows.append([fit.law.replace("_", " "), percent(fit.weight), residual, "; ".join(values)])
    table = Table(("law", "weight", "residual / mAh", "parameters ± standard error"), rows, frozenset({1, 2}))
    words = (
        "The weight compares these laws by AICc; it does not say that any of them is right. Standard errors take the "
        "capacities of successive cycles to err independently."
    )
    return [figures.fade(cell, fits), table, words, _life(cell, fits)]


def _parameter(name: str, fitted: Parameter) -> str:
    """Spell a fitted parameter with its unit.

    >>> _parameter("rate_ah_per_cycle", Parameter(0.00123, 0.00004))
    'rate 0.00123 ± 4e-05 Ah per cycle'
    """
    ending = next((each for each in _PARAMETER_UNITS if name.endswith(each)), "")
    words = name.removesuffix(ending).replace("_", " ")
    error = f" ± {number(fitted.standard_error, 2)}" if fitted.standard_error is not None else ""
    return f"{words} {number(fitted.value)}{error} {_PARAMETER_UNITS.get(ending, '')}".rstrip()


def _life(cell: Cell, fits: FadeFits) -> str:
    """Say how many cycles the cell lasts, by measurement or by the preferred law."""
    try:
        life = cycle_life(cell.ageing, fits, threshold_fraction=THRESHOLD)
    except AnalysisError as exc:
        return f"Cycle life is not known: {exc}."
    to = f"{100 * THRESHOLD:g} % of the first capacity that was fitted"
    if life.measured_cycle is not None:
        return f"The capacity fell below {to} in cycle {life.measured_cycle} (the first of two in succession)."
    told = f"The capacity has not fallen below {to}."
    if life.predicted_cycle is None:
        return f"{told} No cycle life is predicted: {life.reason or 'the law does not get there'}."
    interval = (
        f", {100 * life.confidence:g} % interval {life.low_cycle:.0f} to {life.high_cycle:.0f}"
        if life.low_cycle is not None and life.high_cycle is not None
        else f" ({life.reason})"
        if life.reason
        else ""
    )
    others = ", ".join(
        f"{law.replace('_', ' ')} {cycle:.0f}"
        for law, cycle in life.by_law.items()
        if cycle is not None and law != life.law
    )
    told += f" If the {life.law.replace('_', ' ')} law goes on, it will in cycle {life.predicted_cycle:.0f}{interval}."
    return f"{told} Other laws say: {others}." if others else told


def _fades(cells: Sequence[Cell]) -> Table:
    rows = []
    for cell in cells:
        fits = _fits(cell)
        if isinstance(fits, str):
            rows.append([cell.code, "–", "–", f"no law was fitted: {fits}"])
        else:
            best = fits.best
            rows.append([cell.code, best.law.replace("_", " "), percent(best.weight), _life(cell, fits)])
    return Table(("cell", "law", "weight", "cycle life"), rows, frozenset({2}))


def _impedance(cells: Sequence[Cell]) -> list[Section]:
    figure = figures.spectra(cells)
    return [] if figure is None else [Section("Impedance", [figure])]


def _normalised(cell: Cell) -> list[Block]:
    rows = [
        [_quantity(each), number(each.value), each.unit, f"not known: {each.missing}" if each.missing else each.formula]
        for each in cell.normalised
    ]
    table = Table(("quantity", "value", "unit", "formula, or what is missing"), rows, frozenset({1}))
    if cell.normalised_cycle is None:
        return [table]
    return [table, f"Capacity and energy are those of cycle {cell.normalised_cycle}."]


def _quantity(found: Normalised) -> str:
    unit = found.unit.lower().replace("/", "_").replace(" ", "_")
    return found.name.removesuffix(f"_{unit}").replace("_", " ")


def _quality(cells: Sequence[Cell]) -> list[Block]:
    flags = [(cell, test, flag) for cell in cells for test in cell.tests for flag in test.flags]
    warnings = [(test, warning) for cell in cells for test in cell.tests for warning in test.warnings]
    told: list[Block] = []
    if flags:
        rows = [[cell.code, test.name, flag.check, flag.message, _spans(flag.records)] for cell, test, flag in flags]
        told.append(Table(("cell", "test", "check", "what failed", "records"), rows))
    else:
        told.append("No check failed when these tests were imported.")
    if warnings:
        rows = [[test.name, warning] for test, warning in warnings]
        told.append(Table(("test", "warning of its reader"), rows))
    return told


def _spans(records: Sequence[tuple[int, int]]) -> str:
    shown = [f"{first}–{last}" if first != last else str(first) for first, last in records[:_MOST_SPANS]]
    more = len(records) - _MOST_SPANS
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "") if shown else "all"


def _missing(cell: Cell, fits: FadeFits | str) -> list[Block]:
    """Say what this report cannot tell, and why."""
    lines = list(cell.remarks)
    if cell.unknown:
        lines.append(f"of sample {cell.sample} nobody has stated {', '.join(cell.unknown)}")
    if incomplete := cell.cycles.filter(~pl.col("complete"))["cycle_count"].to_list():
        lines.append(f"not complete, and without efficiencies: {_listed('cycle', incomplete)}")
    if with_gap := cell.cycles.filter(pl.col("has_gap"))["cycle_count"].to_list():
        lines.append(f"records are missing within {_listed('cycle', with_gap)}")
    lines += _unrecorded(cell)
    lines += [f"curves of cycle {at}: {reason}" for at, reason in cell.curves.items() if isinstance(reason, str)]
    if isinstance(fits, str):
        lines.append(f"fade: {fits}")
    return [f"{line[0].upper()}{line[1:]}." for line in lines] or ["Nothing that this report asks for."]


def _unrecorded(cell: Cell) -> Iterable[str]:
    if undated := [test.name for test in cell.tests if test.started_at is None]:
        yield f"the start is not known of {', '.join(undated)}"
    if not any(test.has_temperature for test in cell.tests):
        yield "no temperature was recorded"
    if not cell.spectra:
        yield "no impedance spectrum was measured"
    if cell.cycles.height and cell.cycles["internal_resistance_ohm"].null_count() == cell.cycles.height:
        yield "the testers report no internal resistance"


def _listed(noun: str, numbers: Sequence[int], most: int = 8) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"{noun if len(numbers) == 1 else noun + 's'} {shown}{more}"


def _at(cell: Cell, place: int) -> float | None:
    """Discharge capacity of a complete cycle that ages the cell, in Ah."""
    values = cell.ageing["discharge_capacity_ah"]
    return float(values[place]) if values.len() else None


def _mean(cell: Cell, column: str) -> float | None:
    mean = cell.ageing[column].mean()
    return mean if isinstance(mean, float) else None


def _last(cell: Cell, column: str) -> float | None:
    values = cell.cycles[column].drop_nulls()
    return float(values[-1]) if values.len() else None


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def made_at(moment: datetime, version: str) -> str:
    """Say when and by what a report was made.

    >>> made_at(datetime(2026, 3, 2, 8, 30, tzinfo=UTC), "0.1.0")
    'made 2026-03-02 08:30 UTC with battery-analysis 0.1.0 from stored data'
    """
    return f"made {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC with battery-analysis {version} from stored data"
