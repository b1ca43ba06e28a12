"""How many cycles a cell lasts, measured where it has got there, else by a law of fade, with a confidence interval.

The threshold is a share of the initial capacity: that of the first complete cycle, unless another is given (nominal).
Measured is the first of two successive complete cycles below the threshold. Predicted is where the fitted law comes
down to it: cycle numbers are whole, the law's crossing is not rounded.

Confidence: a residual bootstrap. The law's residuals are drawn anew in blocks of successive cycles (the cube root of
their number long, unless given), so that errors which last some cycles keep doing so. Each time all laws with a weight
of ``LEAST_WEIGHT`` at least are fitted again, the best of them is chosen by AICc as the first time, and its crossing
noted; where a law is given, only that. ``chosen`` says how often each was. The interval holds the middle share of the
crossings. It assumes that one of these laws is right and goes on: ``by_law`` says what all of them predict, and their
differences may be larger than the interval. A crossing more than ``FURTHEST`` times the observed cycles away is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from battery_analysis.analysis.criteria import aicc
from battery_analysis.analysis.fade import Capacities, FadeFit, FadeFits, Law, fitted
from battery_analysis.analysis.records import FloatArray
from battery_analysis.analysis.summary import cycle_life_below
from battery_analysis.errors import AnalysisError

FURTHEST = 20.0
"""Observed lengths of a test beyond which no law is believed."""

LEAST_WEIGHT = 1e-3
REPLICATES = 300
_STEPS = 4000


@dataclass(frozen=True)
class CycleLife:
    """Cycles until the capacity has come down to a threshold; numbers of the cycle table.

    ``measured_cycle`` is None where the capacity is not yet below. ``predicted_cycle`` is the crossing of the law, with
    the bounds of its confidence interval; None, each, where the law or too many of its replicates never get
    there, and ``reason`` says so. ``extrapolated`` is how far the prediction lies beyond the observed cycles, in their
    number (0 within). ``chosen`` is the share of the replicates in which each law was the best.
    """

    threshold_fraction: float
    threshold_ah: float
    measured_cycle: int | None
    law: Law
    predicted_cycle: float | None
    low_cycle: float | None
    high_cycle: float | None
    confidence: float
    replicates: int
    extrapolated: float | None
    by_law: dict[Law, float | None]
    chosen: dict[Law, float]
    reason: str | None


def cycle_life(
    cycles: pl.DataFrame,
    fits: FadeFits,
    *,
    threshold_fraction: float = 0.8,
    initial_capacity_ah: float | None = None,
    law: Law | None = None,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    block: int | None = None,
    seed: int = 0,
) -> CycleLife:
    """Say when a cell comes down to a share of its initial capacity.

    Args:
        cycles: The cycle table that was fitted.
        fits: Of ``fade.fit_fade``.
        threshold_fraction: Share of the initial capacity, between 0 and 1.
        initial_capacity_ah: What counts as all; by default the capacity of the first cycle that was fitted.
        law: By which to predict; by default the best.
        confidence: Share of the replicates between the bounds.
        replicates: How often residuals are drawn.
        block: Cycles whose residuals are drawn together; by default the cube root of their number.
        seed: Of the random numbers: equal seeds give equal bounds.

    Raises:
        AnalysisError: An argument is out of range, or the law was not fitted.

    Example:
        A cell that loses a thousandth of its capacity with each cycle has lost a fifth after 200:

        >>> from battery_analysis.analysis.fade import fit_fade
        >>> cycles = pl.DataFrame({"cycle_count": range(1, 101)}).with_columns(
        ...     discharge_capacity_ah=2.0 - 0.002 * (pl.col("cycle_count") - 1))
        >>> life = cycle_life(cycles, fit_fade(cycles, ["linear"]), replicates=20)
        >>> life.measured_cycle, round(life.predicted_cycle, 3), round(life.extrapolated, 2)
        (None, 201.0, 1.02)
    """
    for name, value in (("threshold_fraction", threshold_fraction), ("confidence", confidence)):
        if not 0 < value < 1:
            raise AnalysisError(f"{name} must be between 0 and 1, got {value}")
    if replicates < 20:
        raise AnalysisError(f"replicates must be 20 or more, got {replicates}")
    data = fits.capacities
    fit = fits.best if law is None else fits.of(law)
    if fit.reason is not None:
        raise AnalysisError(f"the {fit.law} law was not fitted: {fit.reason}")
    initial = float(data.capacity_ah[0]) if initial_capacity_ah is None else initial_capacity_ah
    if not initial > 0:
        raise AnalysisError(f"initial_capacity_ah must be above 0, got {initial}")
    threshold = threshold_fraction * initial
    by_law = {each.law: crossing(each, data, threshold) for each in fits.fits if each.reason is None}
    rivals = [each for each in fits.fits if (each.weight or 0.0) >= LEAST_WEIGHT] if law is None else [fit]
    replicas = _replicates(fit, rivals, data, threshold, (replicates, block), np.random.default_rng(seed))
    crossings, chosen = replicas
    low, high = _bounds(crossings, confidence)
    predicted = by_law[fit.law]
    return CycleLife(
        threshold_fraction=threshold_fraction,
        threshold_ah=threshold,
        measured_cycle=cycle_life_below(_complete(cycles), threshold),
        law=fit.law,
        predicted_cycle=predicted,
        low_cycle=low,
        high_cycle=high,
        confidence=confidence,
        replicates=replicates,
        extrapolated=_extrapolated(predicted, data),
        by_law=by_law,
        chosen=chosen,
        reason=_reason(fit.law, predicted, low, high, crossings),
    )


def _complete(cycles: pl.DataFrame) -> pl.DataFrame:
    return cycles.filter(pl.col("complete")) if "complete" in cycles.columns else cycles


def crossing(fit: FadeFit, data: Capacities, threshold_ah: float) -> float | None:
    """Cycle number at which a law first comes down to a capacity, None where it does not within ``FURTHEST``."""
    at = _crossing(fit, fit.vector, float(data.cycle[-1]), threshold_ah)
    return None if np.isinf(at) else at + data.first_cycle


def _crossing(fit: FadeFit, vector: FloatArray, span: float, threshold_ah: float) -> float:
    """Cycles since the first, infinite where the law stays above."""
    # Dense where cycles were seen, then growing steps: laws bend slowly out there.
    grid = np.append(np.linspace(0.0, span, _STEPS), span * np.geomspace(1.0, FURTHEST, _STEPS)[1:])
    below = np.flatnonzero(fit.curve(grid, vector) <= threshold_ah)
    if not below.size:
        return np.inf
    if below[0] == 0:
        return 0.0
    from scipy.optimize import brentq

    left, right = grid[below[0] - 1], grid[below[0]]
    return float(brentq(lambda n: float(fit.curve(np.array([n]), vector)[0]) - threshold_ah, left, right))


def _replicates(
    fit: FadeFit,
    rivals: Sequence[FadeFit],
    data: Capacities,
    threshold_ah: float,
    drawing: tuple[int, int | None],
    random: np.random.Generator,
) -> tuple[FloatArray, dict[Law, float]]:
    """Crossings of the best of some laws fitted to capacities with residuals drawn anew, and how often each was best.

    Infinite where that law never gets there, NaN where none could be fitted again. ``drawing`` is how often residuals
    are drawn, and how many of successive cycles together.
    """
    count, block = drawing
    size, parameters = data.cycle.size, fit.vector.size
    smooth = fit.curve(data.cycle, fit.vector)
    # Residuals are smaller than errors by the parameters that were fitted.
    residual = (data.capacity_ah - smooth) * np.sqrt(size / max(size - parameters, 1))
    residual -= residual.mean()
    length = min(max(1, round(size ** (1 / 3)) if block is None else block), size)
    crossings = np.full(count, np.nan)
    times = dict.fromkeys((each.law for each in rivals), 0)
    for replicate in range(count):
        starts = random.integers(0, size - length + 1, size=-(-size // length))
        drawn = (starts[:, None] + np.arange(length)).ravel()[:size]
        best = _best(rivals, data.cycle, smooth + residual[drawn])
        if best is not None:
            times[best[0].law] += 1
            crossings[replicate] = _crossing(*best, float(data.cycle[-1]), threshold_ah)
    return crossings + data.first_cycle, {law: often / count for law, often in times.items()}


def _best(rivals: Sequence[FadeFit], n: FloatArray, q: FloatArray) -> tuple[FadeFit, FloatArray] | None:
    """The law with the smallest AICc on other capacities, and its parameters; None where none can be fitted."""
    found = [(each, vector) for each in rivals if (vector := fitted(each.law, n, q, start=each.vector)) is not None]
    if len(found) < 2:
        return found[0] if found else None
    scores = [aicc(float(np.sum((q - law.curve(n, vector)) ** 2)), n.size, vector.size) for law, vector in found]
    return found[int(np.argmin(scores))]


def _bounds(crossings: FloatArray, confidence: float) -> tuple[float | None, float | None]:
    known = crossings[~np.isnan(crossings)]
    if known.size < 0.9 * crossings.size:
        return None, None
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2], method="nearest")
    return (None if np.isinf(low) else float(low)), (None if np.isinf(high) else float(high))


def _extrapolated(predicted: float | None, data: Capacities) -> float | None:
    if predicted is None:
        return None
    last = data.first_cycle + float(data.cycle[-1])
    return max(0.0, (predicted - last) / float(data.cycle[-1]))


def _reason(
    law: Law, predicted: float | None, low: float | None, high: float | None, crossings: FloatArray
) -> str | None:
    if predicted is None:
        return f"the {law} law does not come down to the threshold within {FURTHEST:g} times the observed cycles"
    lost = int(np.isnan(crossings).sum())
    if low is None and lost:
        return f"no law could be fitted again in {lost} of {crossings.size} replicates"
    if high is None:
        never = int(np.isinf(crossings).sum())
        return f"no upper bound: in {never} of {crossings.size} replicates the capacity does not come down so far"
    return None
