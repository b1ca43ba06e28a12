"""What a report is made of, whichever format it gets: sections of texts, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]
Look = Literal["points", "halo", "line"]
MOST_POINTS = 2000
"""Of one curve: more than a page shows."""


@dataclass(frozen=True)
class Table:
    """Rows of texts below headings; columns of numbers stand to the right."""

    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Curve:
    """Points of one colour: ``colour`` is a place on the scale from the first to the last curve, or a cell's number."""

    x: Values
    y: Values
    label: str | None = None
    look: Look = "line"
    colour: float | int | None = None

    @classmethod
    def of(
        cls,
        x: Sequence[float] | Values,
        y: Sequence[float] | Values,
        label: str | None = None,
        look: Look = "line",
        colour: float | int | None = None,
    ) -> Curve:
        """Make a curve of what can be drawn, thinned to what a page shows."""
        across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        known = np.isfinite(across) & (np.isfinite(up) if look != "line" else True)
        across, up = across[known], up[known]
        every = max(1, -(-across.size // MOST_POINTS))
        kept = np.unique(np.append(np.arange(0, across.size, every), across.size - 1)) if across.size else slice(0)
        return cls(across[kept], up[kept], label, look, colour)


@dataclass(frozen=True)
class Figure:
    """Curves over axes with units; ``marks`` are places on the x axis with words."""

    curves: Sequence[Curve]
    x_label: str
    y_label: str
    caption: str
    marks: Sequence[tuple[float, str]] = ()
    equal: bool = False
    """One ohm is as long in both directions."""
    zero_line: bool = False


Block: TypeAlias = str | Table | Figure


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    blocks: Sequence[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """A whole report; ``made`` says when and by what."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    made: str


def number(value: float | int | None, digits: int = 4) -> str:
    """Spell a number for people, an unknown one as a dash.

    >>> number(0.00325871), number(153), number(None), number(1234567.8)
    ('0.003259', '153', '–', '1.235e+06')
    """
    if value is None or not isfinite(value):
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.{digits}g}"


def percent(fraction: float | None) -> str:
    """Spell a fraction as a percentage.

    >>> percent(0.90381), percent(None)
    ('90.38 %', '–')
    """
    return "–" if fraction is None or not isfinite(fraction) else f"{100 * fraction:.2f} %"
