"""Distribution of relaxation times (DRT): which time constants a spectrum holds, without a circuit.

The model is an ohmic resistance, an inductance and, for a spectrum that is not back on the real axis at its lowest
frequency, a capacitance, in series with relaxations of all times (γ in ohm, per unit of ln τ)::

    Z(ω) = R + jωL + 1/(jωC) + ∫ γ(τ) / (1 + jωτ) d ln τ

γ is found at ten points a decade, from half a decade below 1/ω_max to half a decade above 1/ω_min, and is not negative.
That is an ill-posed problem: noise turns into peaks. It is made well-posed by regularisation, which is an assumption
about the result, and therefore said with it.

``tikhonov``, the method of this module: non-negative least squares of Re and Im weighted by 1/abs(Z), with a penalty
λ² ∫ (d²γ/d(ln τ)²)² d ln τ on the bend of γ over the span of Re Z. γ ends in zero at both ends; only at the slow end of
a spectrum with a capacitance, where diffusion goes on beyond the measurement, it may end as high as it likes, and the
capacitance stands for what is slower still. (Forced to zero there, λ would have to be so small that noise makes peaks.)
Without a given λ, the two halves of the spectrum, every other frequency, predict each other: of 13 from 0.0001 to 1, it
is the largest whose error of prediction is within one standard error of the least. Peaks closer than about half a
decade merge, single relaxations appear about half a decade wide: area is what counts.

``tr-nnls`` and ``lm`` are methods of pyimpspec (extra ``drt``): zeroth-order Tikhonov of the real part (Kulikovsky,
J. Electrochem. Soc. 168, 044512, 2021) and Loewner matrices (Rüther et al., Batteries 9, 132, 2023), which give single
time constants instead of a distribution: there, γ is the resistance of each, negative for a loop of noise, and what is
faster than half a decade beyond the spectrum counts as ohmic. Both have a grid of their own, and neither inductance nor
capacitance in series.

Peaks are the maxima of γ with at least 1 % of all its area that stand out by three standard errors; a peak's resistance
is the area between the minima beside it, its characteristic frequency 1/(2πτ). γ swings beside a sharp peak, too:
neighbours with less than ``MAIN_SHARE`` of the area may be nothing but that. Uncertainty, of ``tikhonov`` only: the
standard deviation over 20 fits to the fitted impedance with its residuals, resampled with random sign (seeded: the same
input gives the same numbers), peaks found anew in each. It tells what noise does, not what λ does; where λ is so strong
that residuals hold more than noise, it is too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.extras import needs
from battery_analysis.analysis.impedance import ComplexArray, Spectrum
from battery_analysis.analysis.records import BoolArray, FloatArray, IntArray
from battery_analysis.errors import AnalysisError

FEWEST_POINTS = 10
PER_DECADE = 10
BEYOND_DECADES = 0.5
LAMBDAS = np.logspace(-4, 0, 13)
RESAMPLINGS = 20
SMALLEST_PEAK = 0.01
MAIN_SHARE = 0.05
ERRORS_OF_PROMINENCE = 3.0
CAPACITIVE_DEGREE = -10.0

Method = Literal["tikhonov", "tr-nnls", "lm"]


@dataclass(frozen=True)
class Relaxation:
    """A distribution of relaxation times, with the regularisation that it owes its shape to."""

    method: Method
    regularisation: str
    lambda_value: float | None
    distribution: pl.DataFrame
    """``tau_second``, ``gamma_ohm``, and ``gamma_error_ohm`` (one standard deviation; null where it is not known)."""
    peaks: pl.DataFrame
    """``tau_second``, ``frequency_hertz``, ``gamma_ohm``, ``resistance_ohm``, ``share`` (of the whole area),
    ``resistance_error_ohm``."""
    polarisation_ohm: float
    """Area of the whole distribution; where there is a capacitance, of what the frequencies and half a decade show."""
    ohmic_resistance_ohm: float | None
    inductance_henry: float | None
    capacitance_farad: float | None
    rms_residual: float
    """Root mean square of the residuals of both parts, as a share of the modulus."""


def relaxation_times(
    spectrum: Spectrum,
    *,
    method: Method = "tikhonov",
    lambda_value: float | None = None,
    capacitance: bool | None = None,
) -> Relaxation:
    """Compute the distribution of relaxation times of a spectrum.

    Args:
        spectrum: Ten different frequencies at least.
        method: See above.
        lambda_value: Strength of the regularisation, of ``tikhonov`` and ``tr-nnls``; without it, it is chosen.
        capacitance: Whether the model ends in a capacitance (``tikhonov`` only); without a word, it does where the
            phase at the lowest frequency is below -10°.

    Raises:
        AnalysisError: Too few frequencies, an argument that makes no sense, or a package is not installed.

    Example:
        Two arcs of 1 and 2 ohm with time constants of 1 ms and 0.1 s:

        >>> hertz = np.logspace(5, -1, 61)
        >>> arcs = [ohm / (1 + 2j * np.pi * hertz * tau) for ohm, tau in ((1.0, 1e-3), (2.0, 0.1))]
        >>> found = relaxation_times(Spectrum.of(hertz, 5 + sum(arcs)))
        >>> found.peaks.select(pl.col("tau_second").round_sig_figs(1), pl.col("resistance_ohm").round(1)).rows()
        [(0.001, 1.0), (0.1, 2.0)]
    """
    spectrum.require(FEWEST_POINTS, "relaxation")
    if lambda_value is not None and not (np.isfinite(lambda_value) and lambda_value > 0):
        raise AnalysisError(f"relaxation: lambda_value must be positive, got {lambda_value}")
    if method == "tikhonov":
        return _tikhonov(spectrum, lambda_value, capacitance)
    if method not in ("tr-nnls", "lm"):
        raise AnalysisError(f"relaxation: method must be tikhonov, tr-nnls or lm, got {method!r}")
    return _pyimpspec(spectrum, method, lambda_value)


class _Problem:
    """The linear problem of a spectrum: weighted model, data, and the penalty."""

    def __init__(self, spectrum: Spectrum, *, capacitance: bool) -> None:
        omega, ohm = spectrum.omega, spectrum.impedance
        self.span = max(float(np.ptp(ohm.real)), 1e-6 * float(np.abs(ohm).max()))
        beyond = 10**BEYOND_DECADES
        first, last = np.log10(1 / omega.max() / beyond), np.log10(beyond / omega.min())
        self.tau = np.logspace(first, last, int(np.ceil((last - first) * PER_DECADE)) + 1)
        self.width = float(np.log(self.tau[1] / self.tau[0]))
        # Each unknown is a voltage drop of the size of the spectrum, so that none outweighs another.
        self.lumped = 3 if capacitance else 2
        self.scales = np.array([self.span, self.span / omega.max(), self.span * omega.min()][: self.lumped])
        lumped = np.vstack((np.ones_like(omega), 1j * omega, -1j / omega)[: self.lumped]) * self.scales[:, None]
        kernel = self.span * self.width / (1 + 1j * np.outer(self.tau, omega))
        self.columns: ComplexArray = np.vstack((lumped, kernel)).T
        self.weight = 1 / np.abs(ohm)
        bend = np.diff(np.eye(self.tau.size + 4), 2, axis=0)[:, 2:-2] / self.width**2 * np.sqrt(self.width)
        if capacitance:
            bend = bend[:-2]
        self.penalty = np.hstack((np.zeros((bend.shape[0], self.lumped)), bend))

    def solve(self, ohm: ComplexArray, strength: float, used: BoolArray | None = None) -> FloatArray:
        """Unknowns of the best fit to some or all frequencies."""
        from scipy.optimize import nnls

        chosen = np.ones(ohm.size, dtype=np.bool_) if used is None else used
        model = self.columns[chosen] * self.weight[chosen, None]
        data = ohm[chosen] * self.weight[chosen]
        left = np.vstack((model.real, model.imag, strength * self.penalty))
        right = np.concatenate((data.real, data.imag, np.zeros(self.penalty.shape[0])))
        found: FloatArray = nnls(left, right, maxiter=30 * left.shape[1])[0]
        return found

    def off(self, unknowns: FloatArray, ohm: ComplexArray) -> ComplexArray:
        """Residuals as shares of the modulus."""
        residual: ComplexArray = (self.columns @ unknowns - ohm) * self.weight
        return residual


def _tikhonov(spectrum: Spectrum, strength: float | None, capacitance: bool | None) -> Relaxation:
    ohm = spectrum.impedance
    if capacitance is None:
        capacitance = bool(np.degrees(np.angle(ohm[-1])) < CAPACITIVE_DEGREE)
    problem = _Problem(spectrum, capacitance=capacitance)
    chosen = "given" if strength is not None else "chosen by prediction of every other frequency"
    if strength is None:
        strength = _best_strength(problem, ohm)
    unknowns = problem.solve(ohm, strength)
    off = problem.off(unknowns, ohm)
    lumped = unknowns[: problem.lumped] * problem.scales
    gamma = unknowns[problem.lumped :] * problem.span
    resampled = _resampled(problem, unknowns, ohm, strength)
    errors = resampled.std(axis=0, ddof=1)
    peaks = _peak_ranges(gamma, errors)
    areas = np.array([_areas_at(peaks[0], each, errors) for each in resampled]) * problem.width
    return Relaxation(
        method="tikhonov",
        regularisation=f"second derivative, non-negative, λ = {strength:.2g} ({chosen})",
        lambda_value=float(strength),
        distribution=pl.DataFrame({"tau_second": problem.tau, "gamma_ohm": gamma, "gamma_error_ohm": errors}),
        peaks=_peak_table(
            problem.tau[peaks[0]],
            gamma[peaks[0]],
            np.array([np.sum(gamma[first:end]) for first, end in peaks[1]]) * problem.width,
            areas.std(axis=0, ddof=1) if peaks[0].size else np.empty(0),
            float(gamma.sum() * problem.width),
        ),
        polarisation_ohm=float(gamma.sum() * problem.width),
        ohmic_resistance_ohm=float(lumped[0]),
        inductance_henry=float(lumped[1]),
        capacitance_farad=float(1 / lumped[2]) if capacitance and lumped[2] > 0 else None,
        rms_residual=float(np.sqrt(np.mean(np.abs(off) ** 2 / 2))),
    )


def _best_strength(problem: _Problem, ohm: ComplexArray) -> float:
    """Largest strength with which either half of the frequencies predicts the other about as well as with the best."""
    even = np.arange(ohm.size) % 2 == 0
    missed = []
    for strength in LAMBDAS:
        halves = [problem.off(problem.solve(ohm, strength, used), ohm)[~used] for used in (even, ~even)]
        missed.append(np.abs(np.concatenate(halves)) ** 2)
    means = np.array([each.mean() for each in missed])
    best = int(np.argmin(means))
    uncertainty = missed[best].std(ddof=1) / np.sqrt(ohm.size)
    return float(LAMBDAS[means <= means[best] + uncertainty].max())


def _resampled(problem: _Problem, unknowns: FloatArray, ohm: ComplexArray, strength: float) -> FloatArray:
    """Distributions in ohm that other residuals of the same size would have given."""
    rng = np.random.default_rng(0)
    model = problem.columns @ unknowns
    off = ohm - model
    gammas = []
    for _ in range(RESAMPLINGS):
        drawn = rng.integers(0, ohm.size, ohm.size)
        sign = rng.choice([-1.0, 1.0], ohm.size)
        noise = off[drawn] * sign * problem.weight[drawn] / problem.weight
        gammas.append(problem.solve(model + noise, strength)[problem.lumped :] * problem.span)
    return np.array(gammas)


def _peak_ranges(gamma: FloatArray, error: FloatArray | None = None) -> tuple[IntArray, list[tuple[int, int]]]:
    """Maxima that stand out and hold a share of the area, and the points between the minima beside each."""
    padded = np.concatenate(([0.0], gamma, [0.0]))
    tops = np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]))
    if error is not None:
        from scipy.signal import peak_prominences

        tops = tops[peak_prominences(padded, tops + 1)[0] > ERRORS_OF_PROMINENCE * error[tops]]
    edges = [0]
    for left, right in pairwise(tops):
        edges.append(int(left + np.argmin(gamma[left : right + 1])))
    edges.append(gamma.size)
    ranges = list(pairwise(edges)) if tops.size else []
    total = float(gamma.sum())
    kept = [n for n, (first, end) in enumerate(ranges) if np.sum(gamma[first:end]) >= SMALLEST_PEAK * total > 0]
    return tops[kept].astype(np.int64), [ranges[n] for n in kept]


def _areas_at(tops: IntArray, gamma: FloatArray, error: FloatArray) -> list[float]:
    """Sums of the peaks of a resampled distribution that lie at given tops, neighbours told apart anew; 0 for none."""
    _, ranges = _peak_ranges(gamma, error)
    return [next((float(np.sum(gamma[a:b])) for a, b in ranges if a <= top < b), 0.0) for top in tops]


def _peak_table(
    tau: FloatArray, gamma: FloatArray, resistance: FloatArray, error: FloatArray | None, total: float
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "tau_second": tau,
            "frequency_hertz": 1 / (2 * np.pi * tau),
            "gamma_ohm": gamma,
            "resistance_ohm": resistance,
            "share": resistance / total,
            "resistance_error_ohm": pl.Series([None] * tau.size if error is None else error, dtype=pl.Float64),
        }
    )


def _pyimpspec(spectrum: Spectrum, method: Method, strength: float | None) -> Relaxation:
    """Let pyimpspec compute the distribution, in this process."""
    with needs("drt", "relaxation"):
        import pyimpspec
    if np.unique(spectrum.frequency).size < spectrum.points:
        raise AnalysisError(f"relaxation: {method} takes each frequency once, the spectrum repeats some")
    data = pyimpspec.DataSet(spectrum.frequency, spectrum.impedance)
    try:
        if method == "tr-nnls":
            found = pyimpspec.calculate_drt(data, method, lambda_value=-1.0 if strength is None else strength)
            words = f"zeroth order, non-negative, λ = {found.lambda_value:.2g}"
        else:
            found = pyimpspec.calculate_drt(data, method, num_procs=1)
            words = "none but the rank of the Loewner matrices"
    except (pyimpspec.exceptions.DRTError, np.linalg.LinAlgError, ValueError, IndexError) as exc:
        raise AnalysisError(f"relaxation: {method} of pyimpspec found nothing: {exc}") from exc
    return _of_pyimpspec(found, method, words, 1 / (10**BEYOND_DECADES * float(spectrum.omega.max())))


def _of_pyimpspec(found: Any, method: Method, words: str, fastest: float) -> Relaxation:
    order = np.argsort(found.time_constants)
    tau, gamma = (np.asarray(each, dtype=np.float64)[order] for each in (found.time_constants, found.gammas))
    ohmic = None
    if method == "lm":
        beyond = tau < fastest
        ohmic = float(gamma[beyond].sum())
        tau, gamma = tau[~beyond], gamma[~beyond]
        total = float(gamma.sum())
        kept = gamma >= SMALLEST_PEAK * total
        peaks = _peak_table(tau[kept], gamma[kept], gamma[kept], None, total)
    else:
        area = gamma * np.gradient(np.log(tau))
        total = float(area.sum())
        tops, ranges = _peak_ranges(gamma)
        held = np.array([area[first:end].sum() for first, end in ranges])
        peaks = _peak_table(tau[tops], gamma[tops], held, None, total)
    off = np.asarray(found.residuals)
    return Relaxation(
        method=method,
        regularisation=words,
        lambda_value=float(found.lambda_value) if method == "tr-nnls" else None,
        distribution=pl.DataFrame(
            {"tau_second": tau, "gamma_ohm": gamma, "gamma_error_ohm": pl.Series([None] * tau.size, dtype=pl.Float64)}
        ),
        peaks=peaks,
        polarisation_ohm=total,
        ohmic_resistance_ohm=ohmic,
        inductance_henry=None,
        capacitance_farad=None,
        rms_residual=float(np.sqrt(np.mean(np.abs(off) ** 2 / 2))),
    )
