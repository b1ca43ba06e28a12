"""Cells made of known half-cell curves give back their capacities, their lithium and what was lost of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest

from battery_analysis import read
from battery_analysis.analysis.ocv import (
    DegradationModes,
    HalfCell,
    OcvFit,
    degradation_modes,
    fit_half_cells,
    half_cycle_curve,
    simulate_ocv,
)
from battery_analysis.errors import AnalysisError
from tests.analysis.cells import Step, logged
from tests.realdata import real

X = np.linspace(0.005, 0.995, 400)
NEGATIVE = HalfCell(
    X,
    0.08 + 1.2 * np.exp(-40 * X) - 0.028 * np.tanh((X - 0.19) / 0.03) - 0.028 * np.tanh((X - 0.53) / 0.03)
    - 0.05 * X + 0.03,
    "negative electrode",
)  # fmt: skip
POSITIVE = HalfCell(
    X,
    4.45 - 0.95 * X + 0.05 * np.tanh((X - 0.4) / 0.1) - 0.04 * np.tanh((X - 0.75) / 0.08) - 0.6 * np.exp(45 * (X - 1)),
    "positive electrode",
)
"""Shapes of graphite, with its two stages, and of a layered oxide."""

FRESH = (5.6, 5.4, 5.5, 0.02)
AGED = (5.6 * 0.9, 5.4 * 0.95, 5.5 * 0.88, 0.03)
"""Capacity of the positive and the negative electrode, lithium inventory (Ah); lithiation when discharged."""


def cell(state: tuple[float, float, float, float], *, noise_volt: float = 0.0, seed: int = 0) -> pl.DataFrame:
    positive, negative, lithium, empty = state
    most = min((0.9 - empty) * negative, lithium - empty * negative - 0.08 * positive)
    curve = simulate_ocv(np.linspace(0, most, 5000), POSITIVE, NEGATIVE, positive, negative, lithium, empty)
    noise = np.random.default_rng(seed).normal(0.0, 1.0, curve.height) * noise_volt
    return curve.with_columns(voltage_volt=pl.col("voltage_volt") + pl.Series(noise))


@cache
def fitted(state: tuple[float, float, float, float], noise_volt: float = 0.0, seed: int = 0) -> OcvFit:
    return fit_half_cells(cell(state, noise_volt=noise_volt, seed=seed), POSITIVE, NEGATIVE)


@pytest.mark.parametrize("state", [FRESH, AGED], ids=["fresh", "aged"])
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_capacities_and_lithium_are_recovered(state: tuple[float, float, float, float], noise: float) -> None:
    fit = fitted(state, noise)
    assert fit.reason is None
    for value, error, truth in (
        (fit.positive_capacity_ah, fit.positive_capacity_error_ah, state[0]),
        (fit.negative_capacity_ah, fit.negative_capacity_error_ah, state[1]),
        (fit.lithium_inventory_ah, fit.lithium_inventory_error_ah, state[2]),
    ):
        assert error is not None
        # Averaging over a bent voltage costs less than a part in two thousand.
        assert abs(value - truth) < 4 * error + 5e-4 * truth
        assert error < 2e-3 * truth
    assert fit.rmse_volt < 1e-4
    assert fit.negative_empty == pytest.approx(state[3], abs=2e-3)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_what_was_lost_is_told_apart(noise: float) -> None:
    modes = degradation_modes(fitted(FRESH, noise), fitted(AGED, noise, 1))
    assert modes.lithium_inventory_loss == pytest.approx(0.12, abs=2e-3)
    assert modes.positive_material_loss == pytest.approx(0.10, abs=2e-3)
    assert modes.negative_material_loss == pytest.approx(0.05, abs=2e-3)
    assert modes.lithium_inventory_loss_error is not None
    assert modes.lithium_inventory_loss_error < 2e-3


def test_stated_errors_are_those_of_repeated_measurements() -> None:
    fits = [fitted(FRESH, 2e-3, seed) for seed in range(12)]
    for value, error in (
        ("positive_capacity_ah", "positive_capacity_error_ah"),
        ("negative_capacity_ah", "negative_capacity_error_ah"),
        ("lithium_inventory_ah", "lithium_inventory_error_ah"),
    ):
        scatter = np.std([getattr(fit, value) for fit in fits], ddof=1)
        assert np.mean([getattr(fit, error) for fit in fits]) == pytest.approx(scatter, rel=0.6)


def test_a_systematic_misfit_makes_errors_larger() -> None:
    curve = cell(FRESH, noise_volt=1e-4)
    bent = curve.with_columns(voltage_volt=pl.col("voltage_volt") + 1e-3 * (3 * pl.col("charge_ah")).sin())
    fit, error = fit_half_cells(bent, POSITIVE, NEGATIVE), fitted(FRESH, 1e-4).negative_capacity_error_ah
    assert error is not None
    assert fit.negative_capacity_error_ah is not None
    assert fit.negative_capacity_error_ah > 30 * error
    assert abs(fit.negative_capacity_ah - FRESH[1]) < 4 * fit.negative_capacity_error_ah


def test_an_end_outside_of_the_half_cell_curve_has_no_error_but_a_reason() -> None:
    short = HalfCell(X[X > 0.1], NEGATIVE.voltage[X > 0.1], "negative electrode")
    fit = fit_half_cells(cell(FRESH), POSITIVE, short)
    assert fit.reason is not None
    assert fit.reason.startswith("negative_empty")
    assert fit.reason.endswith("at the edge of the half-cell curve")
    assert fit.negative_capacity_error_ah is None
    modes = degradation_modes(fitted(FRESH), fit)
    assert modes == DegradationModes(
        modes.lithium_inventory_loss, None, modes.positive_material_loss, None, modes.negative_material_loss, None
    )


def test_two_plateaus_determine_nothing() -> None:
    flat = [HalfCell(X, np.full(X.size, volt), name) for volt, name in ((3.4, "positive"), (0.1, "negative"))]
    curve = cell(FRESH)
    fit = fit_half_cells(curve, *flat)
    assert fit.reason is not None
    assert fit.lithium_inventory_error_ah is None


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (pl.DataFrame({"charge_ah": [0.0, 1.0, 2.0], "voltage_volt": [3.0, 3.5, 4.0]}), "3 points"),
        (pl.DataFrame({"charge_ah": [1.0] * 50, "voltage_volt": np.linspace(3, 4, 50)}), "1 point with different"),
        (pl.DataFrame({"charge_ah": np.linspace(0, 1, 50), "voltage_volt": [3.7] * 50}), "3.7 V throughout"),
        (pl.DataFrame({"voltage_volt": [3.7] * 50}), r"columns \['charge_ah'\] of the curve not found"),
        (pl.DataFrame({"charge_ah": [None] * 50, "voltage_volt": [3.7] * 50}), "0 points"),
    ],
)
def test_a_curve_that_answers_nothing_is_an_error(curve: pl.DataFrame, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        fit_half_cells(curve, POSITIVE, NEGATIVE)


def test_half_cells_are_checked() -> None:
    frame = pl.DataFrame({"lithiation": X[::-1], "voltage_volt": NEGATIVE.voltage[::-1]})
    assert HalfCell.of(frame).lithiation.tolist() == X.tolist()
    with pytest.raises(AnalysisError, match=r"must lie within 0 and 1, got 0\.5 to 99\.5"):
        HalfCell.of(frame.with_columns(pl.col("lithiation") * 100))
    with pytest.raises(AnalysisError, match="5 points of the anode"):
        HalfCell.of(frame[:5], "anode")
    with pytest.raises(AnalysisError, match="not found"):
        HalfCell.of(frame.drop("lithiation"))
    with pytest.raises(AnalysisError, match=r"would reach lithiations of 0\.000 to 2\.000, its curve knows"):
        simulate_ocv(np.linspace(0, 2, 9), POSITIVE, NEGATIVE, 3.0, 1.0, 2.0, 0.0)


def test_the_slowest_half_cycle_is_taken_unless_one_is_named() -> None:
    frame = logged([Step(1.0, 3600), Step(-1.0, 3600), Step(0.5, 7200, 2), Step(-0.25, 14400, 2)], 60.0)
    frame = frame.with_columns(voltage_volt=3.0 + pl.col("test_time_second") / 1e5)
    slow = half_cycle_curve(frame, direction="discharge")
    assert slow.height == 240
    assert (slow["charge_ah"].min(), slow["charge_ah"].max()) == (0.0, pytest.approx(1.0, abs=5e-3))
    assert half_cycle_curve(frame, direction="discharge", cycle=1).height == 60
    charge = half_cycle_curve(frame, direction="charge")
    assert charge["charge_ah"].is_sorted()
    assert charge["voltage_volt"].is_sorted()
    piece = pl.concat([frame, logged([Step(-0.01, 600, 3)], 60.0).with_columns(
        pl.col("test_time_second") + 28_800, pl.col("step_count") + 9, pl.col("record_index") + frame.height
    )], how="diagonal")  # fmt: skip
    assert half_cycle_curve(piece, direction="discharge").equals(slow)
    with pytest.raises(AnalysisError, match="no charge of cycle 9"):
        half_cycle_curve(frame, direction="charge", cycle=9)
    with pytest.raises(AnalysisError, match="direction must be"):
        half_cycle_curve(frame, direction="up")


def test_a_half_cycle_at_held_voltage_throughout_is_no_curve() -> None:
    frame = logged([Step(1.0, 3600, voltage=4.2), Step(-1.0, 3600)], 60.0)
    held = frame.with_columns(
        current_ampere=pl.when(pl.col("current_ampere") > 0)
        .then((-pl.col("step_time_second") / 900).exp())
        .otherwise(pl.col("current_ampere"))
    )
    with pytest.raises(AnalysisError, match="not all at held voltage"):
        half_cycle_curve(held, direction="charge")


def test_a_real_slow_discharge_is_a_curve() -> None:
    frame = read(real("biologic/250116_kigr_gen6_01_02_GCPL_CD8.mpr")).frame
    curve = half_cycle_curve(frame, direction="discharge")
    assert curve.height > 100
    assert curve["charge_ah"].is_sorted()
    assert curve["voltage_volt"][0] < curve["voltage_volt"][-1]
