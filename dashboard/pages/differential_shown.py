"""Differential curves as the controls ask for them: calculated, drawn, and told in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import parts
from dashboard.figures_differential import (
    HEIGHT,
    PROPERTIES,
    Property,
    Units,
    change_figure,
    curves_figure,
    tracks_figure,
    units_of,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from battery_analysis.analysis.differential import DifferentialCurves
    from battery_analysis.analysis.halves import HalfCycles

__all__ = ("HEIGHT", "PROPERTIES", "Asked", "Shown", "property_of")

MOST_ROWS = 300

_MILLI = 1e-3


@dataclass(frozen=True)
class Asked:
    """What the controls say; None stands for the usual."""

    kind: str
    half: str = ""
    """``charge``, ``discharge``, or empty for both."""
    smoother: str = "gaussian"
    step: float | None = None
    """In mV, for dV/dQ in mAh; so are ``width`` and ``shift``."""
    width: float | None = None
    order: int | None = None
    prominence: float | None = None
    """In %."""
    shift: float | None = None


class Shown:
    """The curves of some half cycles and all that is shown of them."""

    def __init__(self, halves: HalfCycles, asked: Asked) -> None:
        """Calculate the curves.

        Raises:
            AnalysisError: What is asked for cannot be calculated.
        """
        from battery_analysis.analysis.differential import STEP_VOLT, dqdv, dvdq
        from battery_analysis.analysis.smoothing import Smoother

        self._asked = asked
        width = None if asked.width is None else asked.width * _MILLI
        smoother = Smoother(cast("Any", asked.smoother), width, asked.order if asked.order is not None else 3)
        step = None if asked.step is None else asked.step * _MILLI
        if asked.kind == "dqdv":
            found = dqdv(halves, step_volt=STEP_VOLT if step is None else step, smoother=smoother)
        else:
            found = dvdq(halves, step_ah=step, smoother=smoother)
        self.curves = _of_direction(found, asked.half)

    @cached_property
    def peaks(self) -> pl.DataFrame:
        """Peaks with their tracks."""
        from battery_analysis.analysis.peaks import PROMINENCE_FRACTION, find_peaks

        asked = self._asked.prominence
        least = PROMINENCE_FRACTION if asked is None else asked / 100
        furthest = None if self._asked.shift is None else self._asked.shift * _MILLI
        return find_peaks(self.curves, min_prominence_fraction=least, max_shift=furthest)

    @property
    def about(self) -> str:
        """How the curves were made."""
        unit = "V" if self._asked.kind == "dqdv" else "Ah"
        smoother, step = self.curves.smoother, self.curves.step
        grid = f"Grid of {step / _MILLI:.4g} m{unit}"
        if smoother.kind == "none":
            return f"{grid}, not smoothed; peaks have no errors then."
        order = f" of order {smoother.order}" if smoother.kind == "savitzky_golay" else ""
        name = smoother.kind.replace("_", "–").title()
        return (
            f"{grid}; {name}{order}, {smoother.width_on(step) / _MILLI:.4g} m{unit} wide. Narrower peaks are lowered."
        )

    @property
    def reasons(self) -> list[str]:
        """Why half cycles have no curve."""
        left_out = self.curves.halves.filter(self.curves.halves["reason"].is_not_null())
        rows = left_out.select("cycle_count", "direction", "reason").unique(maintain_order=True).head(5).rows()
        said = [f"cycle {cycle}, {direction}: no curve, {reason}" for cycle, direction, reason in rows]
        return [*said, f"and {left_out.height - len(rows)} more"] if left_out.height > len(rows) else said

    def figures(self, colours: Mapping[int, str], reference: int, what: Property) -> tuple[go.Figure, ...]:
        """Return the figures of curves, of peaks over cycles, and of the difference to a cycle.

        Raises:
            AnalysisError: The prominence is none, or the reference cycle has no curve.
        """
        from battery_analysis.analysis.differential import change_from

        change = change_from(self.curves, reference)
        return (
            curves_figure(self.curves, self.peaks, colours),
            tracks_figure(self.peaks, units_of(self.curves), what),
            change_figure(change, self.curves, reference, colours),
        )

    def table(self) -> Component:
        """Return the peaks as a table."""
        units = units_of(self.curves)
        columns = {"cycle": "Cycle →", "direction": "Direction", "peak": "Peak →"} | {
            what: f"{title} / {units.of(what)} →" for what, title in PROPERTIES.items()
        }
        rows = [
            {
                "cycle": str(row["cycle_count"]),
                "direction": row["direction"],
                "peak": str(row["peak"]),
                **{what: _with_error(row, what, units) for what in PROPERTIES},
            }
            for row in self.peaks.head(MOST_ROWS).iter_rows(named=True)
        ]
        if not rows:
            return parts.card(
                "Peaks", parts.empty("No peak stands out.", "Try a smaller prominence or less smoothing.")
            )
        cut = self.peaks.height - len(rows)
        more = parts.note(f"and {cut:,} more, in the figure's data") if cut else None
        return parts.card("Peaks", parts.table("Peaks", columns, rows), more)


def _of_direction(curves: DifferentialCurves, half: str) -> DifferentialCurves:
    from dataclasses import replace

    if not half:
        return curves
    own = replace(
        curves,
        curves=curves.curves.filter(curves.curves["direction"] == half),
        halves=curves.halves.filter(curves.halves["direction"] == half),
    )
    if not own.halves.height:
        raise AnalysisError(f"none of these cycles has a {half}")
    return own


def _with_error(row: Mapping[str, Any], what: Property, units: Units) -> str:
    error, by = units.error_column(what), units.by(what)
    value, spread = row[units.column(what)], row[error] if error else None
    return parts.quantity(None if value is None else value * by) + (f" ± {spread * by:.2g}" if spread else "")


def property_of(given: str | None) -> Property:
    """Return a property of peaks by its word; the position otherwise."""
    return next((each for each in PROPERTIES if each == given), "position")
