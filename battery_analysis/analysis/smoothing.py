"""Smoothing of many curves on one uniform grid, at once.

A smoother is stated, never implied: its kind, its width in the unit of the axis, and its order.

- ``savitzky_golay``: a polynomial of ``order`` fitted to the points within ``width`` around each point. Peaks
  keep their height and area up to that order; at the ends the fit to the outermost window is used.
- ``gaussian``: weighted mean with a Gaussian of ``width`` at half its height; at the ends the weights that lie
  outside are left out. A Gaussian peak of width *w* becomes √(w² + width²) wide and as much lower; its area stays.
- ``spline``: cubic smoothing spline that minimises ∑(y − f)² + λ∫f″², with λ such that its
  kernel is ``width`` wide at half its height.
- ``none``: the curve as it is.

All of them are linear, so that the noise which a smoothed value keeps follows from the response to a single point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from battery_analysis.analysis.records import BoolArray, FloatArray, IntArray
from battery_analysis.errors import AnalysisError

Kind = Literal["savitzky_golay", "gaussian", "spline", "none"]

_SIGMA_OF_WIDTH = 2.3548200450309493
_SPLINE_LENGTH_OF_WIDTH = 2.8668
"""Width at half height, in lengths (λh)^¼, of the kernel exp(-x/√2) sin(x/√2 + π/4) of a smoothing spline."""


@dataclass(frozen=True)
class Smoother:
    """How a curve is smoothed; ``width`` is in the unit of its axis.

    None stands for five steps of the grid, ten with Savitzky–Golay, whose window is as wide as it says and not so at
    half its height. The Gaussian is the default because it makes no side lobes beside a plateau, and nothing negative.

    Example:
        >>> Smoother().points(0.001), Smoother("gaussian", 0.01).points(0.001), Smoother("savitzky_golay").points(0.001)
        (5, 11, 11)
    """

    kind: Kind = "gaussian"
    width: float | None = None
    order: int = 3

    def __post_init__(self) -> None:
        """Refuse what smooths nothing.

        Raises:
            AnalysisError: An unknown kind, or a width or order that is none.
        """
        if self.kind not in ("savitzky_golay", "gaussian", "spline", "none"):
            raise AnalysisError(f"smoother {self.kind!r} is none of savitzky_golay, gaussian, spline, none")
        if self.width is not None and not self.width > 0:
            raise AnalysisError(f"width of the smoother must be above 0, got {self.width}")
        if self.order < 1:
            raise AnalysisError(f"order of the smoother must be 1 or more, got {self.order}")

    def width_on(self, step: float) -> float:
        """Width on a grid of this step, in the unit of the axis."""
        if self.width is not None:
            return self.width
        return step * (10 if self.kind == "savitzky_golay" else 5)

    def text(self, step: float, unit: str) -> str:
        """Say what it does on a grid of this step, in the unit of the axis.

        >>> Smoother().text(0.002, "V"), Smoother("savitzky_golay", 0.02).text(0.002, "V")
        ('gaussian, 0.01 V wide', 'savitzky_golay of order 3, 0.02 V wide')
        """
        if self.kind == "none":
            return "none"
        order = f" of order {self.order}" if self.kind == "savitzky_golay" else ""
        return f"{self.kind}{order}, {self.width_on(step):.3g} {unit} wide"

    def points(self, step: float) -> int:
        """Fewest points that a curve needs on a grid of this step; of Savitzky–Golay the window, an odd number."""
        if self.kind == "none":
            return 1
        wide = 2 * round(self.width_on(step) / step / 2) + 1
        return max(wide, self.order + 1 + self.order % 2 if self.kind == "savitzky_golay" else 5)

    def smooth(self, values: FloatArray, first: IntArray, end: IntArray, step: float) -> FloatArray:
        """Smooth each row of a block between its own ends.

        Args:
            values: One curve a row, on one grid.
            first: First column that belongs to each row's curve.
            end: Column after its last.
            step: Step of the grid, in the unit of the axis.

        Returns:
            The smoothed block; NaN outside of the curves, and in those with fewer than ``points``.

        Example:
            A straight line stays one, with its ends:

            >>> line = np.arange(12.0).reshape(1, 12)
            >>> bool(np.allclose(Smoother("savitzky_golay").smooth(line, np.array([0]), np.array([12]), 1.0), line))
            True
        """
        column = np.arange(values.shape[1])
        inside = (column >= first[:, None]) & (column < end[:, None])
        enough = (end - first) >= self.points(step)
        smoothed = np.full(values.shape, np.nan)
        rows = np.flatnonzero(enough)
        if rows.size:
            filled = np.where(inside[rows], values[rows], 0.0)
            smoothed[rows] = self._smooth(filled, inside[rows], first[rows], end[rows], step)
        smoothed[~inside] = np.nan
        return smoothed

    def _smooth(self, values: FloatArray, inside: BoolArray, first: IntArray, end: IntArray, step: float) -> FloatArray:
        if self.kind == "savitzky_golay":
            return _savitzky_golay(values, first, end, self.points(step), self.order)
        if self.kind == "gaussian":
            return _gaussian(values, inside, self.width_on(step) / step / _SIGMA_OF_WIDTH)
        if self.kind == "spline":
            return _spline(values, first, end, (self.width_on(step) / step / _SPLINE_LENGTH_OF_WIDTH) ** 4)
        return values

    def response(self, step: float) -> FloatArray:
        """Response to a single point of height 1 in the middle of a long curve; odd in length."""
        size = 8 * self.points(step) + 1
        impulse = np.zeros((1, size))
        impulse[0, size // 2] = 1.0
        response: FloatArray = self.smooth(impulse, np.array([0]), np.array([size]), step)[0]
        return response


def errors_of(raw: FloatArray, smoothed: FloatArray, smoother: Smoother, step: float) -> FloatArray:
    """Standard error that noise leaves in each smoothed value, from what the smoother took away around it.

    The noise of the raw values is the root mean square of raw − smoothed over three widths of the smoother, because
    noise differs along a curve; it is taken as independent from point to point. What the smoother
    takes from a narrow peak counts as noise, too, so that errors there are too large rather than too small.

    Returns:
        A block like the smoothed one; NaN for a smoother that takes nothing away.
    """
    from scipy.ndimage import uniform_filter1d

    response = smoother.response(step)
    gain = float(np.sum(response**2))
    taken = 1.0 - 2.0 * response[response.size // 2] + gain
    if taken < 1e-9 or not raw.size:
        return np.full_like(raw, np.nan)
    known = ~np.isnan(smoothed)
    squares = np.where(known, (raw - smoothed) ** 2, 0.0)
    size = min(3 * smoother.points(step), 2 * raw.shape[1] - 1)
    share = uniform_filter1d(known.astype(np.float64), size, axis=1, mode="constant")
    total = uniform_filter1d(squares, size, axis=1, mode="constant")
    variance = np.full(raw.shape, np.nan)
    np.divide(total, share, out=variance, where=known)
    # Running sums may leave a square of zero a hair below it.
    errors: FloatArray = np.sqrt(np.maximum(variance, 0.0) * gain / taken)
    return errors


def _savitzky_golay(values: FloatArray, first: IntArray, end: IntArray, window: int, order: int) -> FloatArray:
    from scipy.ndimage import correlate1d
    from scipy.signal import savgol_coeffs

    smoothed: FloatArray = correlate1d(values, savgol_coeffs(window, order, use="dot"), axis=1, mode="constant")
    # At the ends the window would reach beyond the curve: there the polynomial of the outermost window counts.
    edge, within = np.arange(window // 2), np.arange(window)
    ahead = np.array([savgol_coeffs(window, order, pos=int(place), use="dot") for place in edge]).reshape(-1, window)
    for starts, places, weights in (
        (first, edge, ahead),
        (end - window, window - 1 - edge, ahead[:, ::-1]),
    ):
        outermost = np.take_along_axis(values, starts[:, None] + within, axis=1)
        np.put_along_axis(smoothed, starts[:, None] + places, outermost @ weights.T, axis=1)
    return smoothed


def _gaussian(values: FloatArray, inside: BoolArray, sigma: float) -> FloatArray:
    from scipy.ndimage import gaussian_filter1d

    total: FloatArray = gaussian_filter1d(values, sigma, axis=1, mode="constant")
    weight = gaussian_filter1d(inside.astype(np.float64), sigma, axis=1, mode="constant")
    smoothed = np.zeros_like(total)
    np.divide(total, weight, out=smoothed, where=inside)
    return smoothed


def _spline(values: FloatArray, first: IntArray, end: IntArray, penalty: float) -> FloatArray:
    """Natural cubic smoothing spline on a grid of step 1: f = y − λQγ with (R + λQᵀQ)γ = Qᵀy (Reinsch 1967).

    Q takes second differences, R holds the integrals of the products of two hat functions.
    """
    from scipy.linalg import solveh_banded

    smoothed = np.zeros_like(values)
    counts = end - first
    for count in np.unique(counts):  # curves of equal length share one matrix
        rows = np.flatnonzero(counts == count)
        own = first[rows, None] + np.arange(count)
        curve = np.take_along_axis(values[rows], own, axis=1).T
        bands = np.repeat([[penalty], [1 / 6 - 4 * penalty], [2 / 3 + 6 * penalty]], count - 2, axis=1)
        bent = solveh_banded(bands, np.diff(curve, n=2, axis=0))
        back = np.diff(np.pad(bent, ((2, 2), (0, 0))), n=2, axis=0)
        smoothed[rows[:, None], own] = (curve - penalty * back).T
    return smoothed
