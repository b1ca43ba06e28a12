"""Signals over time: one strip for each signal on one axis of time, the tests of each on top of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dashboard import figures
from dashboard.figures import axis_title, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

STRIP_HEIGHT = 190
LEAST_HEIGHT = 420
_GAP_PIXELS = 22
_LABEL_PIXELS, _TILTED_PIXELS = 16, 52
_SHORT = 6
_FEW_POINTS = 150
_MARK = "#868f9c"


@dataclass(frozen=True)
class Strip:
    """One signal."""

    name: str
    title: str
    unit: str = ""
    curves: Sequence[tuple[str, Any, Any]] = ()
    """Name of the test, places and values of each."""
    counted: bool = False
    """Whether values stay until the next record, as numbers of cycles and steps do."""


@dataclass(frozen=True)
class View:
    """What is drawn beside the signals."""

    axis: str
    """Title of the axis of time."""
    window: Sequence[Any] | None = None
    """Its two ends; None: all there is."""
    marks: Sequence[tuple[Any, str]] = field(default_factory=list)
    """Places on the axis with what begins there."""
    is_date: bool = False


def height_of(strips: int) -> int:
    """Return the height of a figure of so many strips, in pixels."""
    return max(LEAST_HEIGHT, STRIP_HEIGHT * strips + 70)


def series_figure(strips: Sequence[Strip], view: View) -> go.Figure:
    """Draw signals over time.

    Args:
        strips: From top to bottom.
        view: Axis, window and marks.
    """
    height = height_of(len(strips))
    axes, traces = dict(_value_axes(strips, height)), list(_traces(strips))
    window = list(view.window) if view.window else None
    # A reader's own zoom of the values stays as long as the same signals are shown; the window is the server's word.
    time = {
        "anchor": _axis(len(strips) - 1),
        "domain": [0, 1],
        "uirevision": str(window),
        **({"range": window} if window else {"autorange": True}),
        **({"type": "date"} if view.is_date else {}),
    }
    first = strips[0]
    several = len({name for strip in strips for name, _, _ in strip.curves}) > 1
    tilted = any(len(text) > _SHORT for _, text in view.marks)
    above = (_TILTED_PIXELS if tilted else _LABEL_PIXELS) if view.marks else 0
    return figures.figure(
        traces,
        x=view.axis,
        y=plain(axis_title(first.title, first.unit)),
        height=height,
        **axes,
        xaxis=time,
        hovermode="x unified",
        hoversubplots="axis",
        dragmode="zoom",
        showlegend=several,
        legend={"y": 1 + (above + 4) / height},
        margin={"t": 12 + above + 28 * several},
        **_marks(view.marks, tilted=tilted),
    )


def _value_axes(strips: Sequence[Strip], height: int) -> Mapping[str, Any]:
    """Return the axes of values, one above the other, the first strip on top."""
    gap = _GAP_PIXELS / height
    tall = (1 - gap * (len(strips) - 1)) / len(strips)
    axes = {}
    for number, strip in enumerate(strips):
        top = 1 - number * (tall + gap)
        axes[_axis(number, long=True)] = {
            "domain": [max(top - tall, 0), top],
            "anchor": "x",
            "title": {"text": plain(axis_title(strip.title, strip.unit))},
            "uirevision": strip.name,
        }
    return axes


def _axis(number: int, *, long: bool = False) -> str:
    return f"{'yaxis' if long else 'y'}{number + 1 if number else ''}"


def _traces(strips: Sequence[Strip]) -> Any:
    tests = list(dict.fromkeys(name for strip in strips for name, _, _ in strip.curves))
    colours = figures.PALETTES[figures.theme()]
    named: set[str] = set()
    for number, strip in enumerate(strips):
        for name, places, values in strip.curves:
            # Of one test each signal has a colour of its own, of several each test.
            which = tests.index(name) if len(tests) > 1 else number
            yield {
                "type": "scatter",
                "mode": "lines+markers" if len(values) < _FEW_POINTS else "lines",
                "marker": {"size": 4},
                "line": {
                    "color": colours[which % len(colours)],
                    "dash": figures.DASHES[which // len(colours) % len(figures.DASHES)],
                    "width": 1.3,
                    "shape": "hv" if strip.counted else "linear",
                },
                "x": places,
                "y": figures.narrow(values),
                "xaxis": "x",
                "yaxis": _axis(number),
                "name": plain(name if len(tests) > 1 else strip.title),
                "legendgroup": name,
                "showlegend": name not in named,
                "hovertemplate": f"%{{y:.6~g}} {plain(strip.unit)}",
            }
            named.add(name)


def _marks(marks: Sequence[tuple[Any, str]], *, tilted: bool) -> Mapping[str, Any]:
    line = {"type": "line", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    look = {"line": {"width": 1, "dash": "dot", "color": _MARK}}
    label = {"xref": "x", "yref": "paper", "y": 1, "yanchor": "bottom", "xanchor": "left", "showarrow": False}
    small = {"font": {"size": 10}, "xshift": -4, "borderpad": 0, "textangle": -50 if tilted else 0}
    return {
        "shapes": [{**line, **look, "x0": place, "x1": place} for place, _ in marks],
        "annotations": [{**label, **small, "x": place, "text": plain(text)} for place, text in marks],
    }
