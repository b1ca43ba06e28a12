"""How capacity fades over cycles: laws fitted to it, which of them the data prefer, and how long the cell lasts.

Laws, with n the number of cycles since the first that is fitted and q the discharge capacity in Ah:

- ``linear``: q = q₀ − k·n
- ``square_root``: q = q₀ − k·√n, growth of a layer that hinders its own growth
- ``power``: q = q₀ − k·n^p
- ``exponential``: q = q₀·exp(−k·n)
- ``knee`` (Bacon and Watts 1971): q = q₁ + a·(n − n₁) + b·(n − n₁)·tanh((n − n₁)/w); slope a − b before the knee at n₁,
  a + b after it, and w the width of the change between them

Fitted by least squares over complete cycles of known capacity, all of equal weight. Standard errors of parameters come
from the Jacobian, as for independent errors of equal size. Capacities of successive cycles often err together; then
they are too small, and the bootstrap of ``life`` is the better guide.

Choice: the corrected Akaike criterion, AICc = N·ln(RSS/N) + 2k + 2k(k + 1)/(N − k − 1), with N points and k parameters
and the variance among them; the smallest wins. ``weight`` is the share exp(−Δ/2) of each law. A criterion compares
laws, it does not say that any of them is right: look at ``residual_ah``.

More than ``MOST_POINTS`` cycles are averaged in groups of neighbours; the laws do not bend within one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import polars as pl

from battery_analysis.analysis.criteria import aicc
from battery_analysis.analysis.records import FloatArray
from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

Law = Literal["linear", "square_root", "power", "exponential", "knee"]
LAWS: tuple[Law, ...] = get_args(Law)

MOST_POINTS = 2000
_SMALLEST_RESIDUAL = 1e-9
"""Of the largest capacity: what is smaller is rounding, and no law may win by it."""

_Curve = Callable[[FloatArray, FloatArray], FloatArray]

_FORMS: dict[Law, tuple[_Curve, dict[str, str]]] = {
    "linear": (lambda n, p: p[0] - p[1] * n, {"initial": "ah", "rate": "ah_per_cycle"}),
    "square_root": (lambda n, p: p[0] - p[1] * np.sqrt(n), {"initial": "ah", "rate": "ah_per_root_cycle"}),
    "power": (lambda n, p: p[0] - p[1] * n ** p[2], {"initial": "ah", "loss": "ah", "exponent": ""}),
    "exponential": (lambda n, p: p[0] * np.exp(-p[1] * n), {"initial": "ah", "rate": "per_cycle"}),
    "knee": (
        lambda n, p: p[0] + (n - p[3]) * (p[1] + p[2] * np.tanh((n - p[3]) / p[4])),
        {"at_knee": "ah", "slope": "ah_per_cycle", "change": "ah_per_cycle", "knee": "cycle", "width": "cycle"},
    ),
}


@dataclass(frozen=True)
class Parameter:
    """A fitted number and its standard error, None where the data do not determine it."""

    value: float
    standard_error: float | None


@dataclass(frozen=True)
class Capacities:
    """What is fitted: cycles since ``first_cycle`` and their capacities in Ah."""

    first_cycle: int
    cycle: FloatArray
    capacity_ah: FloatArray


@dataclass(frozen=True)
class FadeFit:
    """One law fitted to the capacities of a cell.

    ``parameters`` are named with their units; ``knee_cycle`` is a number of the cycle table. ``residual_ah`` is the
    root mean square of the residuals, per degree of freedom. Where ``reason`` is set the law was not fitted.
    """

    law: Law
    parameters: dict[str, Parameter]
    residual_ah: float | None
    points: int
    aicc: float | None
    weight: float | None
    reason: str | None
    first_cycle: int

    def capacity_ah(self, cycle: FloatArray | Sequence[float]) -> FloatArray:
        """Capacity by this law at numbers of the cycle table, from its first fitted cycle on."""
        if self.reason is not None:
            raise AnalysisError(f"the {self.law} law was not fitted: {self.reason}")
        return self.curve(np.maximum(np.asarray(cycle, dtype=float) - self.first_cycle, 0.0), self.vector)

    def curve(self, n: FloatArray, vector: FloatArray) -> FloatArray:
        """Capacity by this law n cycles after the first, with any parameters."""
        return _FORMS[self.law][0](n, vector)

    @property
    def vector(self) -> FloatArray:
        """Values of the parameters in the order of the law, cycles counted from the first that was fitted."""
        values = {name: parameter.value for name, parameter in self.parameters.items()}
        if "knee_cycle" in values:
            values["knee_cycle"] -= self.first_cycle
        return np.array(list(values.values()))


@dataclass(frozen=True)
class FadeFits:
    """All laws that were tried, best first; those that could not be fitted last, with their reasons."""

    fits: tuple[FadeFit, ...]
    capacities: Capacities

    @property
    def best(self) -> FadeFit:
        """The law with the smallest AICc."""
        return self.fits[0]

    def of(self, law: Law) -> FadeFit:
        """Return the fit of a law."""
        return next(fit for fit in self.fits if fit.law == law)


def fit_fade(cycles: pl.DataFrame, laws: Sequence[Law] = LAWS) -> FadeFits:
    """Fit laws of fade to the discharge capacities of a cycle table.

    Args:
        cycles: ``cycle_count``, ``discharge_capacity_ah`` and, where there is one, ``complete``. Take those
            that age the cell (``checkups.ageing_cycles``): formation, check-ups and other rates follow another law.
        laws: Which to try.

    Raises:
        AnalysisError: Fewer than five complete cycles of known capacity, or no law could be fitted.

    Example:
        A cell that loses 1 mAh with each cycle:

        >>> cycles = pl.DataFrame({"cycle_count": range(1, 101)}).with_columns(
        ...     discharge_capacity_ah=2.0 - 0.001 * (pl.col("cycle_count") - 1))
        >>> best = fit_fade(cycles).best
        >>> best.law, round(best.parameters["rate_ah_per_cycle"].value, 6)
        ('linear', 0.001)
    """
    unknown = set(laws) - set(LAWS)
    if unknown or not laws:
        raise AnalysisError(f"laws {sorted(unknown) or 'missing'}: choose from {', '.join(LAWS)}")
    data = capacities_of(cycles)
    fits = [_fit(law, data) for law in dict.fromkeys(laws)]
    fitted = sorted((fit for fit in fits if fit.aicc is not None), key=lambda fit: fit.aicc or 0.0)
    failed = [fit for fit in fits if fit.aicc is None]
    if not fitted:
        raise AnalysisError(
            "no law of fade could be fitted: " + "; ".join(f"{fit.law}: {fit.reason}" for fit in failed)
        )
    shares = np.exp(-0.5 * (np.array([fit.aicc for fit in fitted]) - (fitted[0].aicc or 0.0)))
    weighed = [replace(fit, weight=float(share)) for fit, share in zip(fitted, shares / shares.sum(), strict=True)]
    return FadeFits((*weighed, *failed), data)


def capacities_of(cycles: pl.DataFrame) -> Capacities:
    """Take the discharge capacities of complete cycles, by ascending number, averaged where there are very many.

    Raises:
        AnalysisError: A column is missing, or fewer than five cycles can be used.
    """
    missing = [name for name in ("cycle_count", "discharge_capacity_ah") if name not in cycles.columns]
    if missing:
        raise AnalysisError(f"columns {missing} not found; the cycle table has {cycles.columns}")
    usable = cycles.filter(pl.col("complete")) if "complete" in cycles.columns else cycles
    usable = usable.filter(pl.col("discharge_capacity_ah").is_finite()).sort("cycle_count", maintain_order=True)
    if usable["cycle_count"].n_unique() < 5:
        found = counted(usable.height, "complete cycle")
        raise AnalysisError(f"{found} with a discharge capacity, of {cycles.height}; a fit needs five")
    number = usable["cycle_count"].cast(pl.Float64).to_numpy()
    capacity = usable["discharge_capacity_ah"].cast(pl.Float64).to_numpy()
    first = int(number[0])
    if number.size > MOST_POINTS:
        starts = np.linspace(0, number.size, MOST_POINTS, endpoint=False).astype(np.int64)
        counts = np.diff(np.append(starts, number.size))
        number, capacity = (np.add.reduceat(values, starts) / counts for values in (number, capacity))
    return Capacities(first, number - first, capacity)


def _fit(law: Law, data: Capacities) -> FadeFit:
    curve, units = _FORMS[law]
    n, q = data.cycle, data.capacity_ah
    count, points = len(units), int(n.size)
    nothing = FadeFit(law, {}, None, points, None, None, None, data.first_cycle)
    if points - (count + 1) - 1 < 1:
        return replace(nothing, reason=f"{points} cycles, the law needs {count + 3}")
    if law == "exponential" and not (q > 0).all():
        return replace(nothing, reason="a capacity is not above zero")
    if law in ("power", "knee") and np.ptp(q) <= _SMALLEST_RESIDUAL * np.abs(q).max():
        return replace(nothing, reason="the capacity is constant")
    vector = fitted(law, n, q)
    if vector is None:
        return replace(nothing, reason="least squares did not converge")
    residual = q - curve(n, vector)
    smallest = points * (_SMALLEST_RESIDUAL * float(np.abs(q).max())) ** 2
    total = max(float(residual @ residual), smallest)
    errors = _standard_errors(law, n, vector, total / (points - count))
    named = {"_".join(filter(None, pair)): place for place, pair in enumerate(units.items())}
    parameters = {name: Parameter(float(vector[place]), errors[place]) for name, place in named.items()}
    if law == "knee":
        knee = parameters["knee_cycle"]
        parameters["knee_cycle"] = replace(knee, value=knee.value + data.first_cycle)
    rms = float(np.sqrt(residual @ residual / (points - count)))
    return replace(nothing, parameters=parameters, residual_ah=rms, aicc=aicc(total, points, count))


def fitted(law: Law, n: FloatArray, q: FloatArray, start: FloatArray | None = None) -> FloatArray | None:
    """Fit one law; its parameters in order, None where least squares did not converge.

    Args:
        law: Which.
        n: Cycles since the first.
        q: Capacity in Ah.
        start: Parameters to start from; found from the data by default.
    """
    if law in ("linear", "square_root"):
        slope, intercept = np.polyfit(n if law == "linear" else np.sqrt(n), q, 1)
        return np.array([intercept, -slope])
    from scipy.optimize import least_squares

    curve = _FORMS[law][0]
    span, largest = float(n[-1]), float(np.abs(q).max())
    start = _start(law, n, q) if start is None else start
    low, high = _bounds(law, span)
    scale = np.maximum(np.abs(start), _scales(law, span, largest))
    found = least_squares(
        lambda vector: (curve(n, vector) - q) / largest,
        np.clip(start, low + 1e-9 * scale, high - 1e-9 * scale),
        jac=lambda vector: jacobian(law, n, vector) / largest,
        bounds=(low, high),
        x_scale=scale,
        max_nfev=200,
    )
    return np.asarray(found.x) if found.success else None


def _bounds(law: Law, span: float) -> tuple[FloatArray, FloatArray]:
    free = np.inf
    if law == "power":
        return np.array([-free, -free, 0.05]), np.array([free, free, 20.0])
    if law == "knee":
        return np.array([-free, -free, -free, 0.02 * span, 0.005 * span]), np.array(
            [free, free, free, 0.98 * span, span]
        )
    return np.array([-free, -free]), np.array([free, free])


def _scales(law: Law, span: float, largest: float) -> FloatArray:
    slope = largest / span
    return np.array(
        {
            "power": [largest, 1e-3 * slope, 1.0],
            "exponential": [largest, 1 / span],
            "knee": [largest, slope, slope, span, span],
        }[law]
    )


def _start(law: Law, n: FloatArray, q: FloatArray) -> FloatArray:
    """Starting values: the best of a coarse grid over what is not linear, with the linear parameters solved for."""
    span = float(n[-1])
    if law == "exponential":
        slope, intercept = np.polyfit(n, np.log(q), 1)
        return np.array([np.exp(intercept), -slope])
    if law == "power":
        grid = [[exponent] for exponent in (0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)]
        matrices = [np.column_stack((np.ones_like(n), -(n**exponent))) for [exponent] in grid]
    else:
        grid = [
            [float(knee), width] for knee in span * np.linspace(0.08, 0.92, 22) for width in (0.02 * span, 0.1 * span)
        ]
        matrices = [
            np.column_stack((np.ones_like(n), n - knee, (n - knee) * np.tanh((n - knee) / width)))
            for [knee, width] in grid
        ]
    solutions = [np.linalg.lstsq(matrix, q, rcond=None)[0] for matrix in matrices]
    rest = [float(np.sum((q - matrix @ solution) ** 2)) for matrix, solution in zip(matrices, solutions, strict=True)]
    best = int(np.argmin(rest))
    return np.array([*solutions[best], *grid[best]])


def jacobian(law: Law, n: FloatArray, vector: FloatArray) -> FloatArray:
    """Derivative of a law's capacity by its parameters, one column each."""
    one = np.ones_like(n)
    if law == "linear":
        columns = [one, -n]
    elif law == "square_root":
        columns = [one, -np.sqrt(n)]
    elif law == "power":
        power = n ** vector[2]
        log = np.log(np.where(n > 0, n, 1.0))
        columns = [one, -power, -vector[1] * power * log]
    elif law == "exponential":
        decay = np.exp(-vector[1] * n)
        columns = [decay, -vector[0] * n * decay]
    else:
        away = n - vector[3]
        bend = np.tanh(away / vector[4])
        steep = 1 - bend**2
        by_knee = -vector[1] - vector[2] * (bend + away / vector[4] * steep)
        columns = [one, away, away * bend, by_knee, -vector[2] * (away / vector[4]) ** 2 * steep]
    return np.column_stack(columns)


def _standard_errors(law: Law, n: FloatArray, vector: FloatArray, variance: float) -> list[float | None]:
    matrix = jacobian(law, n, vector)
    scale = np.linalg.norm(matrix, axis=0)
    if not (scale > 0).all() or np.linalg.cond(matrix / scale) > 1e8:
        return [None] * vector.size
    scaled = matrix / scale
    covariance = np.linalg.inv(scaled.T @ scaled) * variance / np.outer(scale, scale)
    return [float(error) for error in np.sqrt(np.diag(covariance))]
