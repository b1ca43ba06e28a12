"""The linear Kramers-Kronig test: may a spectrum be that of a linear, causal and steady system at all?

A chain of resistors and capacitors obeys the Kramers-Kronig relations by itself. Where no such chain fits, the cell
changed while it was measured, was driven too hard, or the instrument erred (Boukamp, J. Electrochem. Soc. 142, 1885,
1995). The model is linear in its unknowns::

    Z = R + jωL + 1 / (jωC) + Σ R_k / (1 + jωτ_k),       k = 1 … M

with τ_k evenly spread on a logarithmic scale from 1/ω_max to 1/ω_min, and R_k of either sign; inductance and
capacitance stand for what lies beyond the frequencies. It is fitted by least squares of Re and Im, weighted by
1/abs(Z). M is the number, from 3 to that of the frequencies but at most 50, with the lowest corrected Akaike criterion
(AICc): more elements do not turn an invalid spectrum into a valid one, too few make a valid one fail. Schönleber's
measure of following noise, μ = 1 - Σ abs(R_k < 0) / Σ abs(R_k >= 0) (Electrochim. Acta 131, 20, 2014), is reported;
as a rule for M it stops too early where inductive or diffusive ends need negative elements.

Residuals are shares of abs(Z). For a valid spectrum they are its noise, without trend; the test passes where none
exceeds a limit, by default 1 %. Frequencies at which one does are listed. A spectrum whose noise exceeds the limit
fails like one that is not valid: look whether the residuals have a trend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from battery_analysis.analysis.criteria import aicc
from battery_analysis.analysis.impedance import ComplexArray, Spectrum
from battery_analysis.analysis.records import FloatArray
from battery_analysis.errors import AnalysisError

FEWEST_POINTS = 10
MOST_ELEMENTS = 50
LIMIT = 0.01


@dataclass(frozen=True)
class KramersKronig:
    """Outcome of the test; residuals are shares of the modulus."""

    passed: bool
    limit: float
    largest_residual: float
    rms_residual: float
    elements: int
    """Number M of resistor-capacitor elements."""
    mu: float
    residuals: pl.DataFrame
    """``frequency_hertz``, ``real_residual``, ``imaginary_residual`` and ``exceeds`` (the limit)."""


def kramers_kronig(
    spectrum: Spectrum, *, limit: float = LIMIT, elements: int | None = None, capacitance: bool = True
) -> KramersKronig:
    """Test a spectrum.

    Args:
        spectrum: Ten different frequencies at least.
        limit: Largest residual of a valid spectrum, as a share of the modulus.
        elements: Number of elements; without it, it is chosen by AICc.
        capacitance: Whether the model has a capacitance in series, for spectra that do not end on the real axis.

    Raises:
        AnalysisError: Too few frequencies, or an argument that makes no sense.

    Example:
        A resistor and a capacitor side by side are valid, and no longer so if the resistance drifts:

        >>> hertz = np.logspace(4, -2, 60)
        >>> arc = lambda ohm: 1 + ohm / (1 + 2j * np.pi * hertz * 0.1)
        >>> kramers_kronig(Spectrum.of(hertz, arc(2.0))).passed
        True
        >>> kramers_kronig(Spectrum.of(hertz, arc(np.linspace(2.0, 2.6, 60)))).passed
        False
    """
    spectrum.require(FEWEST_POINTS, "kramers_kronig")
    if not limit > 0:
        raise AnalysisError(f"kramers_kronig: limit must be positive, got {limit}")
    if elements is not None and not 1 <= elements <= spectrum.points:
        raise AnalysisError(f"kramers_kronig: elements must lie between 1 and {spectrum.points}, got {elements}")
    most = min(MOST_ELEMENTS, spectrum.points)
    counts = range(3, most + 1) if elements is None else range(elements, elements + 1)
    fits = [_fit(spectrum, count, capacitance=capacitance) for count in counts]
    unknowns = 3 if capacitance else 2
    scores = [
        aicc(float(np.sum(np.abs(fit[0]) ** 2)), 2 * spectrum.points, count + unknowns)
        for fit, count in zip(fits, counts, strict=True)
    ]
    best = int(np.argmin(scores))
    (residual, mu), count = fits[best], counts[best]
    size = np.maximum(np.abs(residual.real), np.abs(residual.imag))
    return KramersKronig(
        passed=bool(size.max() <= limit),
        limit=limit,
        largest_residual=float(size.max()),
        rms_residual=float(np.sqrt(np.mean(np.abs(residual) ** 2 / 2))),
        elements=count,
        mu=mu,
        residuals=pl.DataFrame(
            {
                "frequency_hertz": spectrum.frequency,
                "real_residual": residual.real,
                "imaginary_residual": residual.imag,
                "exceeds": size > limit,
            }
        ),
    )


def _fit(spectrum: Spectrum, elements: int, *, capacitance: bool) -> tuple[ComplexArray, float]:
    """Residuals of the model with some elements as shares of the modulus, and μ."""
    omega, modulus = spectrum.omega, np.abs(spectrum.impedance)
    times = np.geomspace(1 / omega.max(), 1 / omega.min(), elements)
    beyond = [np.ones_like(omega), 1j * omega, -1j / omega][: 3 if capacitance else 2]
    model = np.vstack((*beyond, 1 / (1 + 1j * np.outer(times, omega)))).T / modulus[:, None]
    real = np.vstack((model.real, model.imag))
    target = spectrum.impedance / modulus
    scale = np.linalg.norm(real, axis=0)
    found, *_ = np.linalg.lstsq(real / scale, np.concatenate((target.real, target.imag)), rcond=None)
    return target - (model / scale) @ found, _mu((found / scale)[-elements:])


def _mu(resistances: FloatArray) -> float:
    """One less the share of negative resistance: 1 for a fit that follows no noise.

    >>> _mu(np.array([3.0, 1.0, -1.0]))
    0.75
    """
    positive = float(resistances[resistances >= 0].sum())
    negative = float(-resistances[resistances < 0].sum())
    return 1 - negative / positive if positive else 0.0
