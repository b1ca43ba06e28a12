"""Figures of a report, drawn by matplotlib without a window or any state of its own."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from battery_analysis.analysis.extras import needs
from battery_analysis.reports.blocks import Curve, Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELLS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
"""Colours that are told apart by whoever does not see all of them (Okabe and Ito)."""

WIDTH_INCH, HEIGHT_INCH = 7.2, 2.85
DPI = 200
_MOST_LABELS = 12

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": "#222222",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "battery-analysis",
    "svg.fonttype": "path",
}


def draw(figure: Figure, format: Literal["svg", "png"]) -> bytes:
    """Draw a figure.

    Raises:
        AnalysisError: matplotlib is not installed (the extra is named).
    """
    with needs("report", "report"):
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(WIDTH_INCH, HEIGHT_INCH), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.add_subplot()
        for curve in figure.curves:
            _draw_curve(axes, curve)
        _finish(axes, figure)
        image = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else None
        canvas.savefig(image, format=format, dpi=DPI, metadata=metadata)
    return image.getvalue()


def _draw_curve(axes: Axes, curve: Curve) -> None:
    colour = _colour(curve.colour)
    match curve.look:
        case "points":
            look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3, "markeredgewidth": 0}
        case "halo":  # seen around points that lie on it
            look = {"linestyle": "none", "marker": "o", "markersize": 5.5, "markeredgewidth": 0, "alpha": 0.6}
        case _:
            look = {"linewidth": 1.1}
    axes.plot(curve.x, curve.y, color=colour, label=curve.label or "_nolegend_", **look)


def _colour(place: float | int | None) -> Any:
    if place is None:
        return "#333333"
    if isinstance(place, int):
        return CELLS[place % len(CELLS)]
    from matplotlib import colormaps

    return colormaps["viridis"](0.92 * place)


def _finish(axes: Axes, figure: Figure) -> None:
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    if figure.zero_line:
        axes.axhline(0.0, color="#999999", linewidth=0.8, zorder=1)
    for place, words in figure.marks:
        axes.axvline(place, color="#999999", linewidth=0.8, linestyle=":", zorder=1)
        text = axes.annotate(
            words, (place, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -2), textcoords="offset points"
        )
        text.set(fontsize=7, color="#666666", verticalalignment="top", parse_math=False)
    if figure.equal:
        axes.set_aspect("equal", adjustable="datalim")
    _, labels = axes.get_legend_handles_labels()
    if 0 < len(labels) <= _MOST_LABELS:
        legend = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.4)
        for label in legend.get_texts():
            label.set_parse_math(False)  # names of samples may hold what looks like formulas
