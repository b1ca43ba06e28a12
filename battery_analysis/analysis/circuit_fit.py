"""Equivalent circuits fitted to spectra, with errors, residuals, and a comparison of circuits.

Fit. Weighted least squares of Re and Im: each residual over abs(Z) (``modulus``, as suits an instrument whose error is
a share of what it measures), or as it is (``unit``). Parameters are fitted as logarithms, exponents of constant-phase
elements between 0.05 and 1. The fit begins several times, from values that are read off the spectrum, with the time
constants of the arcs spread over its frequencies in different ways; the best end counts. Arcs of one
shape are exchangeable: they are put in order of their time constants, the fastest first.

Uncertainty. Standard errors of the parameters follow from the Jacobian at the optimum and the residuals, taken
as independent and of equal size by weight; they say how well the data determine a parameter of this circuit, not
whether the circuit is right. A parameter that the data do not determine has none.

Comparison. The corrected Akaike criterion (``criteria.aicc``) of the weighted residuals; ``weight`` is the share of
evidence for a circuit among those compared. It says which circuit describes the spectrum without waste, nothing about
what the elements mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.circuit_start import start_values
from battery_analysis.analysis.circuits import Circuit, parse_circuit, shape, time_constant
from battery_analysis.analysis.criteria import aicc
from battery_analysis.analysis.impedance import ComplexArray, Spectrum
from battery_analysis.analysis.records import BoolArray, FloatArray
from battery_analysis.errors import AnalysisError

FEWEST_POINTS = 5
LEAST_EXPONENT = 0.05
LOG_BOUND = 80.0
START_EVALUATIONS = 100
MOST_EVALUATIONS = 400
WORST_CONDITION = 1e8
EDGE = 1e-6

Weighting = Literal["modulus", "unit"]


@dataclass(frozen=True)
class CircuitFit:
    """A circuit fitted to a spectrum."""

    circuit: str
    parameters: pl.DataFrame
    """``parameter``, ``value``, ``error`` (one standard error), ``unit`` and ``reason`` where there is no error."""
    time_constants: pl.DataFrame
    """Of arcs and diffusion: ``part``, ``seconds``, ``frequency_hertz`` = 1/(2π·seconds), ``relative_error``."""
    residuals: pl.DataFrame
    """Per frequency: measured, fitted, and residuals as shares of the modulus."""
    rms_residual: float
    """Root mean square of the residuals of both parts, as a share of the modulus."""
    squares: float
    """Sum of the squared weighted residuals."""
    aicc: float
    weighting: Weighting

    @property
    def values(self) -> dict[str, float]:
        """Value of each parameter by name."""
        return dict(zip(self.parameters["parameter"], self.parameters["value"], strict=True))


def fit_circuit(
    spectrum: Spectrum, circuit: str, *, weighting: Weighting = "modulus", start: dict[str, float] | None = None
) -> CircuitFit:
    """Fit a circuit to a spectrum.

    Args:
        spectrum: As many different frequencies as the circuit has parameters, and five, at least.
        circuit: A name of ``circuits.NAMED``, or a circuit such as ``R0-p(R1,CPE1)-W1``.
        weighting: What a residual is divided by.
        start: Values to begin with, for some or all parameters; the others are found.

    Raises:
        AnalysisError: Too few frequencies, no circuit, an unknown start value, or impedance.py is not installed.

    Example:
        >>> hertz = np.logspace(3, -2, 40)
        >>> spectrum = Spectrum.of(hertz, 1 + 2 / (1 + 2j * np.pi * hertz * 2 * 0.5))
        >>> {name: round(value, 6) for name, value in fit_circuit(spectrum, "R0-p(R1,C1)").values.items()}
        {'R0': 1.0, 'R1': 2.0, 'C1': 0.5}
    """
    from scipy.optimize import least_squares

    model = _Model(parse_circuit(circuit), spectrum, weighting)
    spectrum.require(max(FEWEST_POINTS, len(model.circuit.parameters)), f"circuit {circuit!r}")
    low, high = model.bounds()
    ends = [
        least_squares(
            model.residuals, np.clip(first, low, high), bounds=(low, high), x_scale="jac", max_nfev=START_EVALUATIONS
        )
        for first in (model.inward(values) for values in _starts(model.circuit, spectrum, start))
    ]
    best = min(ends, key=lambda end: float(end.cost))
    # Once more from the end in order, with a finer Jacobian for the errors.
    last = least_squares(
        model.residuals,
        np.clip(model.in_order(best.x), low, high),
        bounds=(low, high),
        x_scale="jac",
        jac="3-point",
        max_nfev=MOST_EVALUATIONS,
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    return _result(model, model.in_order(last.x), (low, high))


def compare_circuits(spectrum: Spectrum, circuits: Sequence[str], *, weighting: Weighting = "modulus") -> pl.DataFrame:
    """Fit several circuits and rank them.

    Returns:
        Best first: ``circuit``, ``parameters``, ``rms_residual``, ``aicc``, ``delta_aicc``, ``weight``,
        ``undetermined`` (number of parameters without an error) and ``reason``, where a circuit could not be fitted.

    Raises:
        AnalysisError: No circuit is given, or none can be fitted; the message gives the first reason.

    Example:
        >>> hertz = np.logspace(3, -2, 40)
        >>> spectrum = Spectrum.of(hertz, 1 + 2 / (1 + 2j * np.pi * hertz))
        >>> compare_circuits(spectrum, ["R0", "R0-p(R1,C1)"])["circuit"].to_list()
        ['R0-p(R1,C1)', 'R0']
    """
    fits: dict[str, CircuitFit | AnalysisError] = {}
    for circuit in circuits:
        try:
            fits[circuit] = fit_circuit(spectrum, circuit, weighting=weighting)
        except AnalysisError as exc:
            fits[circuit] = exc
    return rank_fits(fits)


def rank_fits(fits: Mapping[str, CircuitFit | AnalysisError]) -> pl.DataFrame:
    """Rank fits of circuits to one spectrum, each under its circuit; see ``compare_circuits``.

    Raises:
        AnalysisError: No circuit is given, or none was fitted; the message gives the first reason.
    """
    rows: list[tuple[str, int | None, float | None, float | None, int | None, str | None]] = []
    for circuit, fit in fits.items():
        if isinstance(fit, AnalysisError):
            rows.append((circuit, None, None, None, None, str(fit)))
            continue
        unknown = fit.parameters["error"].null_count()
        rows.append((circuit, fit.parameters.height, fit.rms_residual, fit.aicc, unknown, None))
    schema = {
        "circuit": pl.String,
        "parameters": pl.Int64,
        "rms_residual": pl.Float64,
        "aicc": pl.Float64,
        "undetermined": pl.Int64,
        "reason": pl.String,
    }
    table = pl.DataFrame(rows, schema=schema, orient="row")
    if table["aicc"].null_count() == table.height:
        raise AnalysisError((rows and rows[0][5]) or "circuits: none given to compare")
    table = table.with_columns(delta_aicc=pl.col("aicc") - pl.col("aicc").min())
    evidence = (-0.5 * pl.col("delta_aicc")).exp()
    table = table.with_columns(weight=evidence / evidence.sum()).sort("aicc", nulls_last=True, maintain_order=True)
    return table.select(
        "circuit", "parameters", "rms_residual", "aicc", "delta_aicc", "weight", "undetermined", "reason"
    )


class _Model:
    """A circuit as a function of unbounded numbers: logarithms of what is positive, exponents as they are."""

    def __init__(self, circuit: Circuit, spectrum: Spectrum, weighting: Weighting) -> None:
        if weighting not in ("modulus", "unit"):
            raise AnalysisError(f"circuits: weighting must be modulus or unit, got {weighting!r}")
        self.circuit, self.spectrum, self.weighting = circuit, spectrum, weighting
        self.exponent = np.array([each.exponent for each in circuit.parameters])
        modulus = np.abs(spectrum.impedance)
        self.divisor = modulus if weighting == "modulus" else np.ones_like(modulus)

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        return np.where(self.exponent, LEAST_EXPONENT, -LOG_BOUND), np.where(self.exponent, 1.0, LOG_BOUND)

    def inward(self, values: FloatArray) -> FloatArray:
        return np.where(self.exponent, values, np.log(np.where(self.exponent, 1.0, values)))

    def outward(self, numbers: FloatArray) -> FloatArray:
        return np.where(self.exponent, numbers, np.exp(np.where(self.exponent, 0.0, numbers)))

    def impedance(self, numbers: FloatArray) -> ComplexArray:
        return self.circuit.impedance(self.outward(numbers), self.spectrum.frequency)

    def residuals(self, numbers: FloatArray) -> FloatArray:
        off = (self.impedance(numbers) - self.spectrum.impedance) / self.divisor
        stacked = np.concatenate((off.real, off.imag))
        return np.where(np.isfinite(stacked), np.clip(stacked, -1e100, 1e100), 1e100)

    def in_order(self, numbers: FloatArray) -> FloatArray:
        """Exchange arcs of one shape so that the fastest comes first."""
        values, ordered = self.outward(numbers), numbers.copy()
        groups: dict[str, list[tuple[float, slice]]] = {}
        for part in self.circuit.root.parts:
            with np.errstate(over="ignore"):
                seconds = time_constant(part, values)
            if seconds is not None:
                groups.setdefault(shape(part), []).append((seconds, self.circuit.own(part)))
        for members in groups.values():
            for (_, to), (_, source) in zip(members, sorted(members, key=lambda member: member[0]), strict=True):
                ordered[to] = numbers[source]
        return ordered


def _starts(circuit: Circuit, spectrum: Spectrum, start: dict[str, float] | None) -> list[FloatArray]:
    names = [each.name for each in circuit.parameters]
    given = start or {}
    for name, value in given.items():
        if name not in names:
            raise AnalysisError(f"circuit {circuit.text!r}: no parameter {name} to start with; it has {names}")
        if not (np.isfinite(value) and value > 0):
            raise AnalysisError(f"circuit {circuit.text!r}: start value of {name} must be positive, got {value}")
    found = start_values(circuit, spectrum)
    for values in found:
        for name, value in given.items():
            values[names.index(name)] = value
    return found[:1] if len(given) == len(names) else found


def _result(model: _Model, numbers: FloatArray, bounds: tuple[FloatArray, FloatArray]) -> CircuitFit:
    spectrum, circuit = model.spectrum, model.circuit
    residual = model.residuals(numbers)
    squares = float(np.sum(residual**2))
    at_edge = model.exponent & (np.minimum(numbers - bounds[0], bounds[1] - numbers) < EDGE)
    covariance, known = _covariance(_jacobian(model, numbers, bounds), squares, at_edge)
    values = model.outward(numbers)
    errors = np.sqrt(np.diag(covariance)) * np.where(model.exponent, 1.0, values)
    reasons = [
        None if sure else ("at the edge of 0.05 to 1" if edge else "the data do not determine it")
        for sure, edge in zip(known, at_edge, strict=True)
    ]
    off = (model.impedance(numbers) - spectrum.impedance) / np.abs(spectrum.impedance)
    fitted = model.impedance(numbers)
    return CircuitFit(
        circuit=circuit.text,
        parameters=pl.DataFrame(
            {
                "parameter": [each.name for each in circuit.parameters],
                "value": values,
                "error": pl.Series(
                    [float(e) if sure else None for e, sure in zip(errors, known, strict=True)], dtype=pl.Float64
                ),
                "unit": [each.unit for each in circuit.parameters],
                "reason": pl.Series(reasons, dtype=pl.String),
            }
        ),
        time_constants=_time_constants(model, numbers, covariance, known),
        residuals=pl.DataFrame(
            {
                "frequency_hertz": spectrum.frequency,
                "real_impedance_ohm": spectrum.impedance.real,
                "imaginary_impedance_ohm": spectrum.impedance.imag,
                "fitted_real_ohm": fitted.real,
                "fitted_imaginary_ohm": fitted.imag,
                "real_residual": -off.real,
                "imaginary_residual": -off.imag,
            }
        ),
        rms_residual=float(np.sqrt(np.mean(np.abs(off) ** 2 / 2))),
        squares=squares,
        aicc=aicc(squares, residual.size, numbers.size),
        weighting=model.weighting,
    )


def _jacobian(model: _Model, numbers: FloatArray, bounds: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Derivatives of the residuals by central differences, one-sided where a bound is near."""
    columns = []
    for place in range(numbers.size):
        up, down = numbers.copy(), numbers.copy()
        up[place] = min(numbers[place] + 1e-5, bounds[1][place])
        down[place] = max(numbers[place] - 1e-5, bounds[0][place])
        columns.append((model.residuals(up) - model.residuals(down)) / (up[place] - down[place]))
    return np.array(columns).T


def _covariance(jacobian: FloatArray, squares: float, at_edge: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Covariance of the numbers, and which of them the data determine.

    What lies at a bound is taken as fixed there. What takes part in a direction along which the residuals hardly
    change is not determined.
    """
    size = jacobian.shape[1]
    covariance, known = np.zeros((size, size)), ~at_edge
    norms = np.linalg.norm(jacobian, axis=0)
    known &= norms > norms.max(initial=0.0) / WORST_CONDITION
    used = np.flatnonzero(known)
    if not used.size:
        return covariance, known
    _, singular, directions = np.linalg.svd(jacobian[:, used] / norms[used], full_matrices=False)
    sure = singular > singular[0] / WORST_CONDITION
    known[used] &= ~np.any(np.abs(directions[~sure]) > 0.1, axis=0)
    variance = squares / max(jacobian.shape[0] - used.size, 1)
    inverse = (directions[sure].T / singular[sure] ** 2) @ directions[sure]
    covariance[np.ix_(used, used)] = variance * inverse / np.outer(norms[used], norms[used])
    return covariance, known


def _time_constants(model: _Model, numbers: FloatArray, covariance: FloatArray, known: BoolArray) -> pl.DataFrame:
    """Time constants, with the error that those of their parameters give them."""
    rows = []
    values = model.outward(numbers)
    for part in model.circuit.root.parts:
        with np.errstate(over="ignore"):
            seconds = time_constant(part, values)
        if seconds is None or not (np.isfinite(seconds) and seconds > 0):
            continue
        gradient = np.zeros(numbers.size)
        own = model.circuit.own(part)
        for place in range(own.start, own.stop):
            moved = numbers.copy()
            moved[place] -= 1e-6
            with np.errstate(over="ignore"):
                gradient[place] = (
                    np.log(seconds) - np.log(time_constant(part, model.outward(moved)) or seconds)
                ) / 1e-6
        sure = known[own][gradient[own] != 0].all()
        error = float(np.sqrt(gradient @ covariance @ gradient)) if sure else None
        rows.append((model.circuit.name(part), seconds, 1 / (2 * np.pi * seconds), error))
    schema = {"part": pl.String, "seconds": pl.Float64, "frequency_hertz": pl.Float64, "relative_error": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
