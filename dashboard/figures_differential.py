"""Figures of differential curves: dQ/dV or dV/dQ of chosen cycles, their peaks over life, and what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from battery_analysis.analysis.differential import DQDV, DifferentialCurves
from dashboard import figures
from dashboard.figures import axis_title
from dashboard.quantities import readable

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

Property = Literal["position", "height", "width", "area"]
PROPERTIES: dict[Property, str] = {
    "position": "Position",
    "height": "Height",
    "width": "Width at half prominence",
    "area": "Area above its base",
}

HEIGHT = 420
MOST_NAMED = 8

_ARROWS = {"charge": "triangle-up", "discharge": "triangle-down"}


@dataclass(frozen=True)
class Units:
    """What stands on the axes of dQ/dV or dV/dQ; of small cells charge is in mAh, ``per_ah`` to an Ah."""

    x_title: str
    x: str
    y_title: str
    y: str
    area: str
    x_column: str
    y_column: str
    per_ah: float = 1.0

    @property
    def x_by(self) -> float:
        """Return what values along the axis, in V or Ah, are multiplied by."""
        return 1.0 if self.x == "V" else self.per_ah

    @property
    def y_by(self) -> float:
        """Return what values upwards, in Ah/V or V/Ah, are multiplied by."""
        return self.per_ah if self.x == "V" else 1 / self.per_ah

    def by(self, what: Property) -> float:
        """Return what a property of peaks is multiplied by."""
        area = self.per_ah if self.x == "V" else 1.0
        return {"position": self.x_by, "width": self.x_by, "height": self.y_by, "area": area}[what]

    def of(self, what: Property) -> str:
        """Return the unit of a property of peaks."""
        return {"position": self.x, "width": self.x, "height": self.y, "area": self.area}[what]

    def column(self, what: Property) -> str:
        """Return the name of its column in the table of peaks."""
        volt, ah = ("volt", "ah") if self.x == "V" else ("ah", "volt")
        unit = {"position": volt, "width": volt, "height": f"{ah}_per_{volt}", "area": ah}[what]
        return f"{what}_{unit}"

    def error_column(self, what: Property) -> str | None:
        """Return the name of the column of its standard error, which positions and heights have."""
        if what not in ("position", "height"):
            return None
        return self.column(what).replace(f"{what}_", f"{what}_error_", 1)


def units_of(curves: DifferentialCurves) -> Units:
    """Return what stands on the axes of these curves."""
    by, ah = readable("Ah", _largest_charge(curves))
    if curves.y == DQDV:
        return Units("Voltage", "V", "dQ/dV", f"{ah}/V", ah, curves.x, curves.y, by)
    return Units("Charge moved", ah, "dV/dQ", f"V/{ah}", "V", curves.x, curves.y, by)


def _largest_charge(curves: DifferentialCurves) -> float:
    """Return the most that a half cycle moved, in Ah: the area below its dQ/dV, or where its dV/dQ ends."""
    import polars as pl

    if curves.y == DQDV:
        moved = curves.curves.group_by("half_cycle").agg(pl.col(curves.y).sum())
        return max((abs(each) * curves.step for each in moved[curves.y]), default=0.0)
    furthest: Any = curves.curves[curves.x].max()
    return float(furthest or 0.0)


def curves_figure(curves: DifferentialCurves, peaks: pl.DataFrame, colours: Mapping[int, str]) -> go.Figure:
    """Draw the curves with their peaks, those of discharges downwards.

    Args:
        curves: What is drawn.
        peaks: As ``find_peaks`` returns them.
        colours: Of each cycle.
    """
    units = units_of(curves)
    traces = _lines(curves.curves, units, curves.y, colours)
    height, position = units.column("height"), units.column("position")
    for (cycle, direction), own in _apart(peaks):
        sign = _sign(direction)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"peaks of cycle {cycle}",
                "legendgroup": str(cycle),
                "showlegend": False,
                "x": units.x_by * own[position].to_numpy(),
                "y": sign * units.y_by * own[height].to_numpy(),
                "marker": {"symbol": _ARROWS[direction], "size": 8, "color": colours[cycle]},
                "customdata": own["peak"].to_list(),
                "hovertemplate": f"cycle {cycle}, {direction}, peak %{{customdata}}<br>%{{x:.5g}} {units.x}, "
                f"%{{y:.4g}} {units.y}<extra></extra>",
            }
        )
    both = curves.curves["direction"].n_unique() > 1
    y = axis_title(f"{units.y_title}, discharge downwards" if both else units.y_title, units.y)
    return _named(figures.figure(traces, x=axis_title(units.x_title, units.x), y=y, height=HEIGHT))


def change_figure(
    change: pl.DataFrame, curves: DifferentialCurves, reference: int, colours: Mapping[int, str]
) -> go.Figure:
    """Draw by how much curves differ from those of a reference cycle, as ``change_from`` returns it."""
    units = units_of(curves)
    others = change.filter(change["cycle_count"] != reference)
    traces = _lines(others, units, f"change_{curves.y}", colours)
    y = axis_title(f"{units.y_title} less that of cycle {reference}", units.y)
    return _named(figures.figure(traces, x=axis_title(units.x_title, units.x), y=y, height=HEIGHT))


def tracks_figure(peaks: pl.DataFrame, units: Units, what: Property) -> go.Figure:
    """Draw a property of each tracked peak over the cycles, with standard errors where there are any."""
    palette = figures.PALETTES[figures.theme()]
    traces = []
    error = units.error_column(what)
    for number, ((direction, peak), own) in enumerate(
        _apart(peaks.sort("direction", "peak", "cycle_count"), "direction", "peak")
    ):
        trace = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"{direction} {peak}",
            "x": own["cycle_count"].to_list(),
            "y": units.by(what) * own[units.column(what)].to_numpy(),
            "marker": {"symbol": _ARROWS[direction], "size": 8, "color": palette[number % len(palette)]},
            "line": {"color": palette[number % len(palette)], "dash": "solid" if direction == "charge" else "dash"},
            "hovertemplate": f"cycle %{{x}}: %{{y:.5g}} {units.of(what)}",
        }
        if error:
            trace["error_y"] = {
                "type": "data",
                "array": units.by(what) * own[error].fill_null(0.0).to_numpy(),
                "thickness": 1,
            }
        traces.append(trace)
    y = axis_title(f"{PROPERTIES[what]} of the peak", units.of(what))
    drawn = figures.figure(traces, x=axis_title("Cycle"), y=y, height=HEIGHT)
    return drawn if traces else _without("No peak stands out of these curves.", drawn)


def _without(why: str, drawn: go.Figure) -> go.Figure:
    """Say in a figure why it is empty, without the numbers that plotly makes up for its axes."""
    said = {"text": why, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
    return drawn.update_layout(annotations=[said], xaxis_showticklabels=False, yaxis_showticklabels=False)


def _lines(table: pl.DataFrame, units: Units, values: str, colours: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"cycle {cycle}",
            "legendgroup": str(cycle),
            "x": units.x_by * own[units.x_column].to_numpy(),
            "y": _sign(direction) * units.y_by * own[values].to_numpy(),
            "line": {"color": colours[cycle], "width": 1.5},
            "hovertemplate": f"cycle {cycle}, {direction}<br>%{{x:.5g}} {units.x}, %{{y:.4g}} {units.y}<extra></extra>",
        }
        for (cycle, direction, _), own in _apart(table, "cycle_count", "direction", "half_cycle")
    ]


def _apart(table: pl.DataFrame, *by: str) -> Sequence[tuple[tuple[Any, ...], pl.DataFrame]]:
    return list(table.partition_by(by or ("cycle_count", "direction"), as_dict=True, maintain_order=True).items())


def _sign(direction: str) -> float:
    return 1.0 if direction == "charge" else -1.0


def _named(drawn: go.Figure) -> go.Figure:
    """Give charge and discharge of a cycle one place in the legend; of many cycles their colours tell the order."""
    named: set[str] = set()
    for trace in drawn.data:
        if trace.mode == "lines":
            trace.showlegend = trace.name not in named
            named.add(trace.name)
    return drawn.update_layout(showlegend=1 < len(named) <= MOST_NAMED)
