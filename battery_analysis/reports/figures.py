"""Figures of one cell or several: which curves, over which axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from battery_analysis.analysis.differential import dqdv
from battery_analysis.analysis.fade import FadeFits
from battery_analysis.analysis.halves import HalfCycles
from battery_analysis.errors import AnalysisError
from battery_analysis.reports.blocks import Curve, Figure, Look
from battery_analysis.reports.cells import Cell

CYCLE = "cycle of the cell"
_MOST_MARKS = 12
_MOST_SPECTRA = 8
_DIFFERENT = 3.0
_MILLI = 0.1
"""Capacities whose largest is smaller are drawn in mAh."""


def unit_of(largest_ah: float | None) -> tuple[float, str]:
    """Return the factor and the unit in which capacities are drawn.

    >>> unit_of(0.0033), unit_of(4.8)
    ((1000.0, 'mAh'), (1.0, 'Ah'))
    """
    return (1e3, "mAh") if largest_ah is not None and largest_ah < _MILLI else (1.0, "Ah")


def largest_capacity(cells: Sequence[Cell]) -> float | None:
    """Return the largest capacity of any cycle."""
    known = [
        float(value)  # type: ignore[arg-type]
        for cell in cells
        for name in ("charge_capacity_ah", "discharge_capacity_ah")
        if (value := cell.cycles[name].max()) is not None
    ]
    return max(known, default=None)


def capacity(cell: Cell) -> Figure:
    """Draw both capacities of each complete cycle."""
    factor, unit = unit_of(largest_capacity([cell]))
    looks: tuple[tuple[str, Look, int], ...] = (("charge", "halo", 4), ("discharge", "points", 0))
    whole = cell.cycles.filter("complete")
    numbers = _numbers(whole, "cycle_count")
    curves = [
        Curve.of(numbers, factor * _numbers(whole, f"{words}_capacity_ah"), words, look, colour)
        for words, look, colour in looks
    ]
    caption = f"Capacity of each complete cycle.{_test_words(cell)}"
    return Figure([each for each in curves if each.x.size], CYCLE, f"capacity / {unit}", caption, marks=_tests(cell))


def capacities(cells: Sequence[Cell], *, relative: bool) -> Figure:
    """Draw the discharge capacities of several cells, or their share of that of the first complete cycle."""
    factor, unit = unit_of(largest_capacity(cells))
    curves = []
    for place, cell in enumerate(cells):
        table = cell.complete
        values = _numbers(table, "discharge_capacity_ah")
        first = values[0] if values.size else np.nan
        scale = 100.0 / first if relative and first else factor
        curves.append(Curve.of(_numbers(table, "cycle_count"), scale * values, cell.code, "points", place))
    y = "discharge capacity / % of the first" if relative else f"discharge capacity / {unit}"
    what = "as a share of the first complete cycle's" if relative else "of each complete cycle"
    return Figure(curves, CYCLE, y, f"Discharge capacity {what}.")


def efficiencies(cells: Sequence[Cell], name: str = "coulombic_efficiency") -> Figure | None:
    """Draw efficiencies over cycles; None where no cycle has one."""
    curves = []
    if len(cells) == 1:
        for place, column in enumerate(("coulombic_efficiency", "energy_efficiency", "voltage_efficiency")):
            words = column.removesuffix("_efficiency")
            curves.append(_efficiency(cells[0], column, words, place))
    else:
        curves = [_efficiency(cell, name, cell.code, place) for place, cell in enumerate(cells)]
    curves = [curve for curve in curves if curve.x.size]
    if not curves:
        return None
    what = "Efficiencies" if len(cells) == 1 else f"{name.replace('_', ' ').capitalize()}"
    return Figure(curves, CYCLE, "efficiency / %", f"{what} of complete cycles.")


def _efficiency(cell: Cell, column: str, words: str, colour: int) -> Curve:
    table = cell.complete
    return Curve.of(_numbers(table, "cycle_count"), 100 * _numbers(table, column), words, "points", colour)


def voltages(cells: Sequence[Cell]) -> Figure | None:
    """Draw voltage over the charge moved in each half cycle, of several cycles or of several cells."""
    drawn, unit = _drawn(cells)
    curves = []
    for label, colour, factor, halves in drawn:
        named: str | None = label
        for row in _largest(halves):
            of_half = halves.half == row
            moved = np.cumsum(halves.moved[of_half])
            curves.append(Curve.of(factor * moved, halves.voltage[of_half], named, "line", colour))
            named = None
    if not curves:
        return None
    caption = "Voltage over the charge moved since the beginning of each half cycle."
    return Figure(curves, f"charge moved / {unit}", "voltage / V", caption)


def differential(cells: Sequence[Cell]) -> Figure | None:
    """Draw dQ/dV, that of discharges downwards."""
    drawn, unit = _drawn(cells)
    curves, said = [], ""
    for label, colour, factor, halves in drawn:
        try:
            found = dqdv(halves)
        except AnalysisError:
            continue
        named: str | None = label
        for row in _largest(halves):
            part = found.curves.filter(pl.col("half_cycle") == row)
            if part.height:
                sign = 1.0 if part["direction"][0] == "charge" else -1.0
                y = sign * factor * part[found.y].to_numpy()
                curves.append(Curve.of(part[found.x].to_numpy(), y, named, "line", colour))
                named = None
        points = found.smoother.points(found.step)
        said = f"Grid of {1e3 * found.step:g} mV, {found.smoother.kind} smoother over {points} points."
    if not curves:
        return None
    caption = f"Differential capacity; discharge downwards. {said}"
    return Figure(curves, "voltage / V", f"dQ/dV / ({unit} per V)", caption, zero_line=True)


def fade(cell: Cell, fits: FadeFits) -> Figure:
    """Draw the capacities that laws of fade were fitted to, and the law that they prefer."""
    factor, unit = unit_of(largest_capacity([cell]))
    data, best = fits.capacities, fits.best
    measured = Curve.of(data.cycle + data.first_cycle, factor * data.capacity_ah, "measured", "points", 0)
    along = np.linspace(0.0, float(data.cycle[-1]), 200) + data.first_cycle
    law = Curve.of(along, factor * best.capacity_ah(along), f"{best.law.replace('_', ' ')} law", "line", 1)
    caption = "Discharge capacity without formation, check-ups and other rates, and the law with the smallest AICc."
    return Figure([measured, law], CYCLE, f"discharge capacity / {unit}", caption)


def spectra(cells: Sequence[Cell]) -> Figure | None:
    """Draw impedance spectra, imaginary part upwards as is usual."""
    if not any(cell.spectra for cell in cells):
        return None
    measured = [(cell, *named) for cell in cells for named in cell.spectra]
    found = [measured[at] for at in np.unique(np.linspace(0, len(measured) - 1, _MOST_SPECTRA).round().astype(int))]
    curves = []
    for place, (cell, name, spectrum) in enumerate(found):
        label = name if len(cells) == 1 else f"{cell.code}: {name}"
        curves.append(Curve.of(spectrum.impedance.real, -spectrum.impedance.imag, label, "points", place))
    some = f"; {len(found)} of {len(measured)} that were measured" if len(found) < len(measured) else ""
    caption = f"Impedance spectra (Nyquist plot{some})."
    return Figure(curves, "Re Z / ohm", "−Im Z / ohm", caption, equal=True)


def _drawn(cells: Sequence[Cell]) -> tuple[list[tuple[str, float | int, float, HalfCycles]], str]:
    """The half cycles that are drawn, each with label, colour and factor, and the unit of charge.

    Of several cells it is the last cycle of each. Cells of very different size are drawn for their capacities.
    """
    known = [
        [(number, halves) for number, halves in cell.curves.items() if isinstance(halves, HalfCycles)] for cell in cells
    ]
    factor, unit = unit_of(largest_capacity(cells))
    if len(cells) == 1:
        last = max(len(known[0]) - 1, 1)
        return [(f"cycle {at}", place / last, factor, each) for place, (at, each) in enumerate(known[0])], unit
    firsts = [cell.complete["discharge_capacity_ah"].first() for cell in cells]
    sizes = [float(each) for each in firsts if each]  # type: ignore[arg-type]
    relative = len(sizes) == len(cells) and max(sizes) > _DIFFERENT * min(sizes)
    factors = [100.0 / size for size in sizes] if relative else [factor] * len(cells)
    drawn: list[tuple[str, float | int, float, HalfCycles]] = [
        (f"{cell.code}, cycle {number}", place, factors[place], halves)
        for place, (cell, found) in enumerate(zip(cells, known, strict=True))
        for number, halves in found[-1:]
    ]
    return drawn, "% of the first capacity" if relative else unit


def _largest(halves: HalfCycles) -> list[int]:
    """The half cycle of each direction that moves most: others of a cycle are pulses and top-ups."""
    moved = np.bincount(halves.half, halves.moved, minlength=halves.table.height)
    table = halves.table.select("half_cycle", "direction").with_columns(pl.Series("moved", moved))
    return (
        table.sort("moved", descending=True)
        .unique("direction", keep="first")
        .sort("half_cycle")["half_cycle"]
        .to_list()
    )


def _tests(cell: Cell) -> list[tuple[float, str]]:
    """Where each test but the first begins."""
    if not 1 < len(cell.tests) <= _MOST_MARKS:
        return []
    begins = [(test.first_cycle, place) for place, test in enumerate(cell.tests, start=1) if test.first_cycle]
    return [(first - 0.5, f"test {place}") for first, place in begins if place > 1]


def _test_words(cell: Cell) -> str:
    return " Dotted lines: a further test begins." if _tests(cell) else ""


def _numbers(table: pl.DataFrame, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return table[name].cast(pl.Float64).to_numpy()
