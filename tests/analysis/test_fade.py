"""Cells that fade by a known law are recognised by it, and their life is foretold."""

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.fade import LAWS, MOST_POINTS, Law, fit_fade
from battery_analysis.analysis.life import CycleLife, cycle_life
from battery_analysis.analysis.records import FloatArray
from battery_analysis.errors import AnalysisError

TRUTH: dict[Law, dict[str, float]] = {
    "linear": {"initial_ah": 2.0, "rate_ah_per_cycle": 4e-4},
    "square_root": {"initial_ah": 2.0, "rate_ah_per_root_cycle": 0.01},
    "power": {"initial_ah": 2.0, "loss_ah": 2e-4, "exponent": 1.3},
    "exponential": {"initial_ah": 2.0, "rate_per_cycle": 1e-3},
    "knee": {
        "at_knee_ah": 1.9,
        "slope_ah_per_cycle": -1.1e-3,
        "change_ah_per_cycle": -9e-4,
        "knee_cycle": 301.0,
        "width_cycle": 30.0,
    },
}


def capacity(law: Law, n: FloatArray) -> FloatArray:
    """Capacity n cycles after the first, in Ah, written out once more."""
    p = list(TRUTH[law].values())
    if law == "linear":
        return p[0] - p[1] * n
    if law == "square_root":
        return p[0] - p[1] * np.sqrt(n)
    if law == "power":
        return p[0] - p[1] * n ** p[2]
    if law == "exponential":
        return p[0] * np.exp(-p[1] * n)
    away = n + 1 - p[3]
    return p[0] + p[1] * away + p[2] * away * np.tanh(away / p[4])


def cell(law: Law, count: int = 500, noise: float = 0.0, seed: int = 0) -> pl.DataFrame:
    """Cycle table of a cell; ``noise`` is a share of the capacity."""
    truth = capacity(law, np.arange(float(count)))
    spread = 1 + noise * np.random.default_rng(seed).standard_normal(count)
    return pl.DataFrame({"cycle_count": np.arange(1, count + 1), "discharge_capacity_ah": truth * spread})


@pytest.mark.parametrize("law", LAWS)
def test_an_exact_law_is_found(law: Law) -> None:
    fits = fit_fade(cell(law))
    assert fits.best.law == law
    for name, value in TRUTH[law].items():
        assert fits.best.parameters[name].value == pytest.approx(value, rel=1e-4)
    assert fits.best.residual_ah == pytest.approx(0.0, abs=1e-7)
    assert fits.best.capacity_ah([100.0])[0] == pytest.approx(capacity(law, np.array([99.0]))[0])


@pytest.mark.parametrize("noise", [1e-4, 2e-3])
@pytest.mark.parametrize("law", LAWS)
def test_a_noisy_law_is_found_within_the_stated_errors(law: Law, noise: float) -> None:
    fits = fit_fade(cell(law, noise=noise))
    assert fits.best.law == law
    for name, value in TRUTH[law].items():
        found = fits.best.parameters[name]
        assert found.standard_error is not None
        assert abs(found.value - value) < 4 * found.standard_error
    assert fits.best.residual_ah == pytest.approx(noise * 1.8, rel=0.2)
    assert sum(fit.weight or 0.0 for fit in fits.fits) == pytest.approx(1.0)


def test_standard_errors_are_the_scatter_of_what_is_fitted() -> None:
    linear = [fit_fade(cell("linear", 100, 1e-3, seed), ["linear"]).best.parameters for seed in range(200)]
    rates = [each["rate_ah_per_cycle"] for each in linear]
    assert np.std([rate.value for rate in rates]) == pytest.approx(
        np.mean([rate.standard_error for rate in rates]), rel=0.15
    )


def test_a_very_long_life_is_averaged_and_keeps_its_law() -> None:
    count = 3 * MOST_POINTS + 17
    cycles = pl.DataFrame({"cycle_count": np.arange(count)}).with_columns(
        discharge_capacity_ah=2.0 - 1e-4 * pl.col("cycle_count")
    )
    best = fit_fade(cycles, ["linear", "square_root"]).best
    assert (best.law, best.points) == ("linear", MOST_POINTS)
    assert best.parameters["rate_ah_per_cycle"].value == pytest.approx(1e-4)


def test_incomplete_and_unknown_cycles_do_not_count() -> None:
    cycles = cell("linear", 20).with_columns(
        complete=pl.col("cycle_count") < 20,
        discharge_capacity_ah=pl.when(pl.col("cycle_count") == 20)
        .then(0.1)
        .when(pl.col("cycle_count") == 5)
        .then(None)
        .otherwise(pl.col("discharge_capacity_ah")),
    )
    best = fit_fade(cycles, ["linear"]).best
    assert best.points == 18
    assert best.parameters["rate_ah_per_cycle"].value == pytest.approx(4e-4)


def test_what_cannot_be_fitted_has_a_reason_or_is_an_error() -> None:
    with pytest.raises(AnalysisError, match="3 complete cycles with a discharge capacity, of 3; a fit needs five"):
        fit_fade(cell("linear", 3))
    with pytest.raises(AnalysisError, match=r"columns \['discharge_capacity_ah'\] not found"):
        fit_fade(pl.DataFrame({"cycle_count": [1]}))
    with pytest.raises(AnalysisError, match="choose from linear"):
        fit_fade(cell("linear"), ["cubic"])  # type: ignore[list-item]
    few = fit_fade(cell("linear", 6))
    assert few.of("knee").reason == "6 cycles, the law needs 8"
    with pytest.raises(AnalysisError, match="was not fitted: 6 cycles"):
        few.of("knee").capacity_ah([1.0])
    constant = fit_fade(cell("linear", 50).with_columns(discharge_capacity_ah=pl.lit(1.0)))
    assert constant.of("power").reason == "the capacity is constant"
    assert constant.best.parameters["initial_ah"].value == pytest.approx(1.0)


def life(law: Law, count: int, threshold: float = 0.8, noise: float = 1e-4, **options: object) -> CycleLife:
    cycles = cell(law, count, noise)
    return cycle_life(cycles, fit_fade(cycles), threshold_fraction=threshold, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("law", LAWS)
def test_life_is_where_the_law_comes_down_to_the_threshold(law: Law) -> None:
    at = np.arange(20000.0)
    truth = 1 + float(np.flatnonzero(capacity(law, at) <= 0.8 * capacity(law, np.zeros(1))[0])[0])
    found = life(law, 400, replicates=40)
    assert found.law == law
    assert found.predicted_cycle is not None and found.low_cycle is not None and found.high_cycle is not None
    assert found.predicted_cycle == pytest.approx(truth, rel=0.02)
    assert found.low_cycle - 2 <= found.predicted_cycle <= found.high_cycle + 2
    assert (found.measured_cycle is None) == (truth > 399)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(60):
        cycles = cell("linear", 200, 2e-3, seed)
        found = cycle_life(
            cycles, fit_fade(cycles, ["linear"]), initial_capacity_ah=2.0, confidence=0.9, replicates=100, seed=seed
        )
        assert found.low_cycle is not None and found.high_cycle is not None
        hits += found.low_cycle <= 1001.0 <= found.high_cycle
    assert 45 <= hits <= 60


def test_the_interval_knows_that_the_law_was_chosen() -> None:
    cycles = cell("linear", 60, 2e-3)
    fits = fit_fade(cycles)
    free, bound = (cycle_life(cycles, fits, law=law, replicates=100) for law in (None, fits.best.law))
    assert set(free.chosen) == {fit.law for fit in fits.fits if fit.weight is not None and fit.weight >= 1e-3}
    assert sum(free.chosen.values()) == pytest.approx(1.0, abs=0.05)  # the rest could not be fitted again
    assert sum(share > 0 for share in free.chosen.values()) > 1
    assert set(bound.chosen) == {fits.best.law}
    assert free.low_cycle is not None and bound.low_cycle is not None and bound.high_cycle is not None
    high = free.high_cycle or np.inf
    assert high - free.low_cycle > 1.3 * (bound.high_cycle - bound.low_cycle)
    clear = life("knee", 400, replicates=20)
    assert clear.chosen == {"knee": 1.0}


def test_equal_seeds_give_equal_bounds() -> None:
    bounds = [life("linear", 100, noise=1e-3, seed=seed, replicates=30) for seed in (1, 1, 2)]
    assert bounds[0] == bounds[1]
    assert bounds[0].low_cycle != bounds[2].low_cycle


def test_measured_life_needs_two_cycles_below_any_threshold() -> None:
    cycles = pl.DataFrame(
        {
            "cycle_count": range(1, 9),
            "discharge_capacity_ah": [1.0, 0.95, 0.6, 0.92, 0.89, 0.88, 0.87, 0.86],
            "complete": [True] * 8,
        }
    )
    fits = fit_fade(cycles, ["linear"])
    measured = [
        cycle_life(cycles, fits, threshold_fraction=share, replicates=20).measured_cycle for share in (0.9, 0.88, 0.8)
    ]
    assert measured == [5, 7, None]


def test_a_cell_that_does_not_fade_has_no_life() -> None:
    cycles = cell("linear", 50).with_columns(discharge_capacity_ah=1.0 + 1e-3 * pl.col("cycle_count"))
    found = cycle_life(cycles, fit_fade(cycles, ["linear"]), replicates=20)
    assert (found.predicted_cycle, found.high_cycle, found.measured_cycle) == (None, None, None)
    assert found.reason == "the linear law does not come down to the threshold within 20 times the observed cycles"


def test_bad_questions_are_errors() -> None:
    cycles = cell("linear", 50)
    fits = fit_fade(cycles, ["linear"])
    for arguments, message in (
        ({"threshold_fraction": 1.2}, "threshold_fraction must be between 0 and 1, got 1.2"),
        ({"confidence": 0.0}, "confidence must be between 0 and 1"),
        ({"replicates": 1}, "replicates must be 20 or more, got 1"),
        ({"initial_capacity_ah": 0.0}, "initial_capacity_ah must be above 0"),
    ):
        with pytest.raises(AnalysisError, match=message):
            cycle_life(cycles, fits, **arguments)  # type: ignore[arg-type]
