"""Degradation modes of a full cell, from fitting half-cell curves to its open-circuit voltage.

The voltage of a full cell at rest is that of its positive less that of its negative electrode, each at its own degree
of lithiation, and charge moves lithium from one to the other::

    V(q) = U_pos(y0 - q / C_pos) - U_neg(x0 + q / C_neg)          V, with the charge q in Ah

C_pos and C_neg are the capacities of the electrodes over a whole degree of lithiation, x0 and y0 their lithiation at
q = 0 (the discharged end). The lithium that cycles is Q_Li = x0 C_neg + y0 C_pos, the same at every q. Of two states
of a cell (Birkl et al., J. Power Sources 341, 373, 2017)::

    LLI = 1 - Q_Li,aged / Q_Li,fresh          loss of lithium inventory
    LAM = 1 - C_aged / C_fresh                loss of active material, of each electrode

Assumed is that the half-cell curves keep their shape, that both electrodes are homogeneous, and that the curve is near
rest: slow (C/20 or less) or relaxed. A resistance in the curve shows as a shift that the fit takes for lithiation; the
mean of charge and discharge at equal charge removes most of it. Lithium lost within lost material is not told apart.

Fit. The unknowns are the lithiations at both ends, bounded by the range of the half-cell curves: outside of it nothing
is extrapolated. Half-cell curves are interpolated by monotonic cubics (PCHIP), the cell's is averaged over 400 equal
parts of its charge. Least squares of the voltage, from the best of a grid of starts.

Uncertainty. Standard errors follow from the Jacobian at the optimum and the residuals, of which as many count as are
independent: n (1 - r) / (1 + r), with r the correlation of neighbours. So a systematic misfit makes them larger. They
hold for the model; they are null, with the reason, where an end lies at the edge of a half-cell curve, or the curve
does not determine the unknowns (a plateau). Errors of the differences take both fits as independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from battery_analysis.analysis.halves import HalfCycles, half_cycles
from battery_analysis.analysis.records import FloatArray
from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS = 400
FEWEST_POINTS = 20
STARTS = 8
WHOLE_SHARE = 0.5
EDGE = 1e-4
"""An end closer than this to the edge of a half-cell curve lies at it."""
WORST_CONDITION = 1e7


@dataclass(frozen=True)
class HalfCell:
    """Voltage against lithium of one electrode, in V, by its degree of lithiation (ascending)."""

    lithiation: FloatArray
    voltage: FloatArray
    name: str = "half cell"

    @classmethod
    def of(cls, frame: pl.DataFrame, name: str = "half cell") -> HalfCell:
        """Take the columns ``lithiation`` (from 0, empty, to 1, full) and ``voltage_volt`` of a frame.

        Raises:
            AnalysisError: A column is absent, there are too few points, or the lithiation leaves 0 to 1.
        """
        absent = [column for column in ("lithiation", "voltage_volt") if column not in frame.columns]
        if absent:
            raise AnalysisError(f"ocv: columns {absent} of the {name} not found; it has {frame.columns}")
        points = frame.select(pl.col("lithiation", "voltage_volt").cast(pl.Float64)).drop_nulls().drop_nans()
        points = points.group_by("lithiation").mean().sort("lithiation")
        if points.height < FEWEST_POINTS:
            raise AnalysisError(
                f"ocv: {counted(points.height, 'point')} of the {name}, at least {FEWEST_POINTS} needed"
            )
        lithiation, voltage = (points[column].to_numpy() for column in points.columns)
        if lithiation[0] < 0 or lithiation[-1] > 1:
            raise AnalysisError(
                f"ocv: lithiation of the {name} must lie within 0 and 1, got {lithiation[0]:g} to {lithiation[-1]:g}"
            )
        return cls(lithiation, voltage, name)

    @classmethod
    def of_csv(cls, content: bytes, name: str = "half cell") -> HalfCell:
        """Take the same columns of a text with commas and a header line.

        Raises:
            AnalysisError: It is no such text, or as for ``of``.
        """
        try:
            return cls.of(pl.read_csv(content), name)
        except pl.exceptions.PolarsError as exc:
            said = str(exc).splitlines()[0]
            raise AnalysisError(f"ocv: {name}: no CSV of lithiation and voltage_volt: {said}") from exc


@dataclass(frozen=True)
class OcvFit:
    """What a fit found. Capacities in Ah, lithiations from 0 to 1, errors are standard errors, None where unknown.

    ``negative_empty`` and ``positive_full`` are the lithiations of the electrodes at the discharged end of the curve,
    ``negative_full`` and ``positive_empty`` at its charged end.
    """

    capacity_ah: float
    positive_capacity_ah: float
    positive_capacity_error_ah: float | None
    negative_capacity_ah: float
    negative_capacity_error_ah: float | None
    lithium_inventory_ah: float
    lithium_inventory_error_ah: float | None
    negative_empty: float
    negative_full: float
    positive_full: float
    positive_empty: float
    rmse_volt: float
    reason: str | None
    curve: pl.DataFrame
    """``charge_ah``, ``voltage_volt``, ``fitted_volt``, ``positive_volt`` and ``negative_volt``."""


@dataclass(frozen=True)
class DegradationModes:
    """Losses between two states of a cell as shares of the first, each with its standard error (None if unknown)."""

    lithium_inventory_loss: float
    lithium_inventory_loss_error: float | None
    positive_material_loss: float
    positive_material_loss_error: float | None
    negative_material_loss: float
    negative_material_loss_error: float | None


def half_cycle_curve(data: pl.DataFrame | HalfCycles, *, direction: str, cycle: int | None = None) -> pl.DataFrame:
    """Take voltage against charge from a slow charge or discharge of a test.

    Args:
        data: Canonical time series in time order, or its half cycles.
        direction: ``charge`` or ``discharge``.
        cycle: Cycle number; without it, the half cycle of that direction with the lowest mean current among those
            with at least half the charge of the largest.

    Returns:
        ``charge_ah``, from 0 at the discharged end, and ``voltage_volt``; a part at held voltage is left out.

    Raises:
        AnalysisError: There is no such half cycle, or its charge is not known.

    Example:
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 3600.0, 7200.0, 10800.0], "voltage_volt": [4.0, 3.6, 3.0, 3.5],
        ...     "current_ampere": [-1.0, -1.0, -1.0, 1.0], "cycle_count": [1, 1, 1, 1],
        ... })
        >>> half_cycle_curve(frame, direction="discharge").rows()
        [(0.0, 3.0), (1.0, 3.6), (2.0, 4.0)]
    """
    if direction not in ("charge", "discharge"):
        raise AnalysisError(f"ocv: direction must be charge or discharge, got {direction!r}")
    halves = data if isinstance(data, HalfCycles) else half_cycles(data)
    known = pl.col("capacity_ah").is_not_null() & pl.col("current_ampere").is_not_null()
    wanted = halves.table.filter((pl.col("direction") == direction) & known)
    if cycle is not None:
        wanted = wanted.filter(pl.col("cycle_count") == cycle)
    if not wanted.height:
        of = "" if cycle is None else f" of cycle {cycle}"
        raise AnalysisError(f"ocv: no {direction}{of} whose charge is known, and not all at held voltage")
    wanted = wanted.filter(pl.col("capacity_ah") >= WHOLE_SHARE * pl.col("capacity_ah").max())
    row = wanted.sort("current_ampere", nulls_last=True, maintain_order=True)["half_cycle"][0]
    own = (halves.half == row) & ~halves.held
    charge = np.cumsum(halves.moved[own])
    charge = charge - charge[0] if direction == "charge" else charge[-1] - charge
    return pl.DataFrame({"charge_ah": charge, "voltage_volt": halves.voltage[own]}, nan_to_null=True).sort("charge_ah")


def fit_half_cells(curve: pl.DataFrame, positive: HalfCell, negative: HalfCell) -> OcvFit:
    """Fit two half-cell curves to the open-circuit voltage of a full cell.

    Args:
        curve: ``charge_ah`` (any zero, rising with charge) and ``voltage_volt``, as ``half_cycle_curve`` or
            ``gitt.pseudo_ocv`` give them.
        positive: The positive electrode against lithium.
        negative: The negative electrode against lithium.

    Raises:
        AnalysisError: Too few points, a constant charge or voltage.

    Example:
        Electrodes of 3 Ah and 2.5 Ah with 2.7 Ah of lithium between them, over 2 Ah (see ``simulate_ocv``):

        >>> x = np.linspace(0, 1, 200)
        >>> positive = HalfCell(x, 4.3 - 0.8 * x - 0.2 * x**4)
        >>> negative = HalfCell(x, 0.1 + 0.6 * np.exp(-15 * x) - 0.05 * np.tanh(12 * (x - 0.5)))
        >>> curve = simulate_ocv(np.linspace(0, 2, 300), positive, negative, 3.0, 2.5, 2.7, 0.04)
        >>> fit = fit_half_cells(curve, positive, negative)
        >>> round(fit.positive_capacity_ah, 2), round(fit.negative_capacity_ah, 2), round(fit.lithium_inventory_ah, 2)
        (3.0, 2.5, 2.7)
    """
    from scipy.optimize import least_squares

    charge, voltage, span = _even_points(curve)
    share = charge / span
    u_pos, u_neg = _interpolator(positive), _interpolator(negative)

    def residuals(ends: FloatArray) -> FloatArray:
        x, y = ends[0] + (ends[1] - ends[0]) * share, ends[2] + (ends[3] - ends[2]) * share
        return np.asarray(u_pos(y) - u_neg(x) - voltage, dtype=np.float64)

    low = np.array([negative.lithiation[0]] * 2 + [positive.lithiation[0]] * 2)
    high = np.array([negative.lithiation[-1]] * 2 + [positive.lithiation[-1]] * 2)
    found = [
        least_squares(residuals, start, bounds=(low, high), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        for start in _starts(residuals, low, high)
    ]
    best = min((each for each in found if _in_order(each.x)), key=lambda each: each.cost, default=None)
    if best is None:
        raise AnalysisError("ocv: no fit in which charging fills the negative and empties the positive electrode")
    reason = _undetermined(best.x, best.jac, low, high)
    covariance = None if reason else _covariance(best.jac, best.fun)
    return _result(
        best.x, covariance, reason, pl.DataFrame({"charge_ah": charge, "voltage_volt": voltage}), span, (u_pos, u_neg)
    )


def simulate_ocv(
    charge_ah: FloatArray,
    positive: HalfCell,
    negative: HalfCell,
    positive_capacity_ah: float,
    negative_capacity_ah: float,
    lithium_inventory_ah: float,
    negative_empty: float,
) -> pl.DataFrame:
    """Compute the voltage of a full cell from its electrodes: the model that ``fit_half_cells`` fits.

    Args:
        charge_ah: Charge from the discharged end.
        positive: The positive electrode.
        negative: The negative electrode.
        positive_capacity_ah: Its capacity over a whole degree of lithiation.
        negative_capacity_ah: The same of the negative electrode.
        lithium_inventory_ah: Lithium in both.
        negative_empty: Lithiation of the negative electrode at the discharged end.

    Raises:
        AnalysisError: An electrode leaves the range of its curve.
    """
    x = negative_empty + charge_ah / negative_capacity_ah
    y = (lithium_inventory_ah - x * negative_capacity_ah) / positive_capacity_ah
    for electrode, lithiation in ((negative, x), (positive, y)):
        known = (float(electrode.lithiation[0]), float(electrode.lithiation[-1]))
        if lithiation.min() < known[0] - 1e-9 or lithiation.max() > known[1] + 1e-9:
            raise AnalysisError(
                f"ocv: the {electrode.name} would reach lithiations of {lithiation.min():.3f} to "
                f"{lithiation.max():.3f}, its curve knows {known[0]:g} to {known[1]:g}"
            )
    volt = _interpolator(positive)(y) - _interpolator(negative)(x)
    return pl.DataFrame({"charge_ah": charge_ah, "voltage_volt": volt})


def degradation_modes(fresh: OcvFit, aged: OcvFit) -> DegradationModes:
    """Compare two fits, made with the same half-cell curves: what was lost from the first to the second."""
    inventory = _loss(
        (fresh.lithium_inventory_ah, fresh.lithium_inventory_error_ah),
        (aged.lithium_inventory_ah, aged.lithium_inventory_error_ah),
    )
    positive = _loss(
        (fresh.positive_capacity_ah, fresh.positive_capacity_error_ah),
        (aged.positive_capacity_ah, aged.positive_capacity_error_ah),
    )
    negative = _loss(
        (fresh.negative_capacity_ah, fresh.negative_capacity_error_ah),
        (aged.negative_capacity_ah, aged.negative_capacity_error_ah),
    )
    return DegradationModes(*inventory, *positive, *negative)


def _loss(fresh: tuple[float, float | None], aged: tuple[float, float | None]) -> tuple[float, float | None]:
    """Share that was lost, and its standard error.

    >>> _loss((2.0, 0.0), (1.5, 0.02))
    (0.25, 0.01)
    """
    ratio = aged[0] / fresh[0]
    if fresh[1] is None or aged[1] is None:
        return 1 - ratio, None
    return 1 - ratio, float(ratio * np.hypot(fresh[1] / fresh[0], aged[1] / aged[0]))


def _even_points(curve: pl.DataFrame) -> tuple[FloatArray, FloatArray, float]:
    """Charge from 0 and voltage of a curve at points evenly spread over its charge, and how much that is."""
    absent = [name for name in ("charge_ah", "voltage_volt") if name not in curve.columns]
    if absent:
        raise AnalysisError(f"ocv: columns {absent} of the curve not found; it has {curve.columns}")
    points = curve.select(pl.col("charge_ah", "voltage_volt").cast(pl.Float64)).drop_nulls().drop_nans()
    points = points.group_by("charge_ah").mean().sort("charge_ah")
    if points.height < FEWEST_POINTS:
        raise AnalysisError(
            f"ocv: {counted(points.height, 'point')} with different charge, at least {FEWEST_POINTS} needed"
        )
    charge, voltage = points["charge_ah"].to_numpy(), points["voltage_volt"].to_numpy()
    if not np.ptp(voltage):
        raise AnalysisError(f"ocv: voltage_volt is {voltage[0]:g} V throughout")
    charge = charge - charge[0]
    edges = np.linspace(0.0, charge[-1], POINTS + 1)
    bins = np.clip(np.searchsorted(edges, charge, side="right") - 1, 0, POINTS - 1)
    counts = np.bincount(bins, minlength=POINTS)
    if counts.min() < 2:  # too few points to average: they stay as they are, interpolated
        even = np.linspace(0.0, charge[-1], min(POINTS, charge.size))
        return even, np.interp(even, charge, voltage), float(charge[-1])
    return np.bincount(bins, charge) / counts, np.bincount(bins, voltage) / counts, float(charge[-1])


def _interpolator(electrode: HalfCell) -> Callable[[FloatArray], FloatArray]:
    from scipy.interpolate import PchipInterpolator

    curve: Callable[[FloatArray], FloatArray] = PchipInterpolator(electrode.lithiation, electrode.voltage)
    return curve


def _starts(residuals: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> list[FloatArray]:
    """The best of a grid of lithiations at both ends, with the negative filling and the positive emptying."""
    shares = ((0.02, 0.1, 0.25), (0.6, 0.75, 0.95), (0.75, 0.9, 0.98), (0.05, 0.2, 0.4))
    grid = [low + (high - low) * np.array(each) for each in product(*shares)]
    costs = [float(np.sum(residuals(ends) ** 2)) for ends in grid]
    return [grid[which] for which in np.argsort(costs)[:STARTS]]


def _in_order(ends: FloatArray) -> bool:
    return bool(ends[1] > ends[0] + EDGE and ends[2] > ends[3] + EDGE)


def _undetermined(ends: FloatArray, jacobian: FloatArray, low: FloatArray, high: FloatArray) -> str | None:
    """Why the errors of a fit are unknown, None if they are known."""
    names = ("negative_empty", "negative_full", "positive_full", "positive_empty")
    at_edge = [name for name, a, b, c in zip(names, ends, low, high, strict=True) if min(a - b, c - a) < EDGE]
    if at_edge:
        return f"{', '.join(at_edge)} at the edge of the half-cell curve"
    singular = np.linalg.svd(jacobian, compute_uv=False)
    if singular[-1] * WORST_CONDITION <= singular[0]:
        return "the curve does not determine all lithiations"
    return None


def _covariance(jacobian: FloatArray, residual: FloatArray) -> FloatArray:
    """Covariance of the unknowns, counting as many residuals as are independent."""
    size, unknowns = residual.size, jacobian.shape[1]
    total = float(np.sum(residual**2))
    neighbours = float(np.sum(residual[1:] * residual[:-1])) / total if total else 0.0
    correlation = min(max(neighbours, 0.0), 0.99)
    independent = max(size * (1 - correlation) / (1 + correlation), unknowns + 1.0)
    variance = total / size * independent / (independent - unknowns)
    covariance: FloatArray = np.linalg.inv(jacobian.T @ jacobian) * variance * size / independent
    return covariance


def _result(
    ends: FloatArray,
    covariance: FloatArray | None,
    reason: str | None,
    points: pl.DataFrame,
    span: float,
    curves: tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]],
) -> OcvFit:
    x0, x1, y0, y1 = (float(each) for each in ends)
    negative, positive = span / (x1 - x0), span / (y0 - y1)
    # How capacities and inventory change with the four lithiations.
    by_negative = np.array([1, -1, 0, 0]) * negative**2 / span
    by_positive = np.array([0, 0, -1, 1]) * positive**2 / span
    by_inventory = x0 * by_negative + y0 * by_positive + np.array([negative, 0, positive, 0])

    def error(gradient: FloatArray) -> float | None:
        return None if covariance is None else float(np.sqrt(gradient @ covariance @ gradient))

    share = points["charge_ah"].to_numpy() / span
    positive_volt, negative_volt = curves[0](y0 + (y1 - y0) * share), curves[1](x0 + (x1 - x0) * share)
    fitted = positive_volt - negative_volt
    return OcvFit(
        capacity_ah=span,
        positive_capacity_ah=positive,
        positive_capacity_error_ah=error(by_positive),
        negative_capacity_ah=negative,
        negative_capacity_error_ah=error(by_negative),
        lithium_inventory_ah=x0 * negative + y0 * positive,
        lithium_inventory_error_ah=error(by_inventory),
        negative_empty=x0,
        negative_full=x1,
        positive_full=y0,
        positive_empty=y1,
        rmse_volt=float(np.sqrt(np.mean((fitted - points["voltage_volt"].to_numpy()) ** 2))),
        reason=reason,
        curve=points.with_columns(
            fitted_volt=pl.Series(fitted),
            positive_volt=pl.Series(positive_volt),
            negative_volt=pl.Series(negative_volt),
        ),
    )
