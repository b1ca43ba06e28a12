"""Statistics that a few wild values do not move: median, scaled deviation, running median, slope.

The scaled deviation is 1.4826 times the median of the distances from the median (MAD): for normal noise it is the
standard deviation. Where more than half of the values are equal it is zero; then 1.2533 times their mean distance from
the median takes its place (Iglewicz and Hoaglin 1993), which is zero only if all values are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from battery_analysis.analysis.records import FloatArray
from battery_analysis.errors import AnalysisError

MAD_TO_SIGMA = 1.4826022185056018
MEAN_DEVIATION_TO_SIGMA = 1.2533141373155003
MOST_POINTS = 1000


@dataclass(frozen=True)
class Slope:
    """Change of a quantity per unit of another, with the bounds of its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float


def deviation(values: FloatArray) -> float:
    """Scaled deviation of values from their median; 0 if all are equal, NaN of none.

    >>> round(deviation(np.array([1.0, 2.0, 3.0, 4.0, 100.0])), 4), deviation(np.array([5.0, 5.0]))
    (1.4826, 0.0)
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return float("nan")
    distance = np.abs(known - np.median(known))
    middle = float(np.median(distance))
    return MAD_TO_SIGMA * middle if middle > 0 else MEAN_DEVIATION_TO_SIGMA * float(distance.mean())


def z_scores(values: FloatArray) -> FloatArray:
    """Distance of each value from the median in scaled deviations; NaN where unknown, or where all are equal.

    >>> z_scores(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(1).tolist()
    [-1.3, -0.7, 0.0, 0.7, 65.4]
    """
    spread = deviation(values)
    if not spread > 0:
        return np.full(values.size, np.nan)
    scores: FloatArray = (values - np.median(values[np.isfinite(values)])) / spread
    return scores


def running_median(values: FloatArray, window: int) -> FloatArray:
    """Median of the known values within a window around each; at the ends of what there is of it.

    >>> running_median(np.array([1.0, 9.0, 3.0, 4.0]), 3).tolist()
    [5.0, 3.0, 4.0, 3.5]
    """
    import polars as pl

    series = pl.Series(values, dtype=pl.Float64, nan_to_null=True)
    return series.rolling_median(window, min_samples=1, center=True).cast(pl.Float64).to_numpy()


def slope(x: FloatArray, y: FloatArray, confidence: float = 0.95) -> Slope:
    """Slope by Theil and Sen: the median of those between all pairs of points, with an interval by rank.

    It stands up to 29 % of wild values. The interval is that of independent errors. More than ``MOST_POINTS``
    points are taken together as medians of neighbours.

    Raises:
        AnalysisError: Fewer than five points, or all at one place.

    >>> line = slope(np.arange(9.0), 2.0 * np.arange(9.0) + np.array([0, 0, 0, 0, 50, 0, 0, 0, 0]))
    >>> line.value
    2.0
    """
    from scipy.stats import theilslopes

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if x.size < 5 or np.ptp(x) == 0:
        raise AnalysisError(f"a slope needs five points at different places, got {x.size}")
    if x.size > MOST_POINTS:
        groups = np.array_split(np.argsort(x, kind="stable"), MOST_POINTS)
        x, y = (np.array([np.median(values[group]) for group in groups]) for values in (x, y))
    found = theilslopes(y, x, alpha=confidence)
    return Slope(float(found.slope), float(found.low_slope), float(found.high_slope), confidence)
