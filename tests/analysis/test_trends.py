"""Efficiencies and throughput of lives that are known, and statistics that wild values do not move."""

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.robust import deviation, running_median, slope, z_scores
from battery_analysis.analysis.trends import efficiency_statistics, throughput
from battery_analysis.errors import AnalysisError


def cell(trend: float = 0.0, noise: float = 1e-4, count: int = 300) -> pl.DataFrame:
    cycle = np.arange(1, count + 1)
    efficiency = 0.995 + trend * cycle + noise * np.random.default_rng(5).standard_normal(count)
    return pl.DataFrame({"cycle_count": cycle, "coulombic_efficiency": efficiency, "complete": np.full(count, True)})


@pytest.mark.parametrize(("trend", "told"), [(1e-6, "rising"), (-1e-6, "falling"), (0.0, "none")])
def test_a_trend_is_found_within_its_bounds_also_among_wild_cycles(trend: float, told: str) -> None:
    wild = pl.when(pl.col("cycle_count") % 20 == 3).then(0.5).otherwise(pl.col("coulombic_efficiency"))
    for cycles in (cell(trend), cell(trend).with_columns(coulombic_efficiency=wild)):
        found = efficiency_statistics(cycles)
        assert found.trend == told
        assert found.trend_low is not None and found.trend_high is not None
        assert found.trend_low <= trend <= found.trend_high
        assert found.median == pytest.approx(0.995 + 150 * trend, abs=3e-5)
        if not trend:
            assert found.robust_deviation == pytest.approx(1e-4, rel=0.15)


def test_statistics_are_those_of_the_complete_cycles() -> None:
    cycles = pl.DataFrame(
        {
            "cycle_count": [1, 2, 3, 4],
            "energy_efficiency": [0.9, 0.92, None, 0.5],
            "complete": [True, True, True, False],
        }
    )
    found = efficiency_statistics(cycles, "energy_efficiency")
    assert (found.cycles, found.first_cycle, found.last_cycle) == (2, 1, 2)
    assert found.mean == pytest.approx(0.91)
    assert found.standard_deviation == pytest.approx(0.01 * np.sqrt(2))
    assert found.standard_error == pytest.approx(0.01)
    assert (found.trend, found.capacity_retained_by_efficiency) == (None, None)
    assert found.reason == "no trend: a slope needs five points at different places, got 2"


def test_what_efficiency_lacks_adds_up() -> None:
    cycles = pl.DataFrame({"cycle_count": range(100), "coulombic_efficiency": [0.999] * 100})
    found = efficiency_statistics(cycles)
    assert found.capacity_retained_by_efficiency == pytest.approx(0.999**100)
    assert (found.trend, found.robust_deviation) == ("none", 0.0)


def test_no_efficiency_is_said_and_no_column_an_error() -> None:
    nothing = cell().with_columns(coulombic_efficiency=pl.lit(None, pl.Float64))
    found = efficiency_statistics(nothing)
    assert (found.cycles, found.mean) == (0, None)
    assert found.reason == "no complete cycle of 300 has a coulombic_efficiency"
    with pytest.raises(AnalysisError, match=r"columns \['voltage_efficiency'\] not found"):
        efficiency_statistics(cell(), "voltage_efficiency")
    with pytest.raises(AnalysisError, match="confidence must be between 0 and 1"):
        efficiency_statistics(cell(), confidence=95.0)


def test_throughput_is_unknown_after_an_unknown_cycle() -> None:
    cycles = pl.DataFrame(
        {
            "cycle_count": [0, 1, 2, 3],
            "charge_capacity_ah": [2.0, 1.0, None, 1.0],
            "discharge_capacity_ah": [1.0, 1.0, 1.0, 1.0],
            "charge_energy_wh": [8.0, 4.0, 4.0, 4.0],
            "discharge_energy_wh": [3.0, 3.0, 3.0, 3.0],
        }
    )
    found = throughput(cycles, nominal_capacity_ah=1.0)
    assert found["throughput_ah"].to_list() == [3.0, 5.0, None, None]
    assert found["throughput_wh"].to_list() == [11.0, 18.0, 25.0, 32.0]
    assert found["equivalent_full_cycles"].to_list() == [1.5, 2.5, None, None]
    assert found["reason"].to_list() == [None, None, *["what flowed in cycle 2 is unknown"] * 2]
    without = throughput(cycles.drop("charge_energy_wh"))
    assert without["throughput_wh"].null_count() == without["equivalent_full_cycles"].null_count() == 4
    with pytest.raises(AnalysisError, match="nominal_capacity_ah must be above 0"):
        throughput(cycles, nominal_capacity_ah=-1.0)
    with pytest.raises(AnalysisError, match="not found"):
        throughput(cycles.drop("charge_capacity_ah"))


def test_robust_statistics() -> None:
    random = np.random.default_rng(0)
    values = random.normal(3.0, 0.2, 2001)
    values[:200] = 1e3
    assert deviation(values) == pytest.approx(0.2, rel=0.2)
    assert np.abs(z_scores(values)[:200]).min() > 1000
    assert np.isnan(z_scores(np.full(5, 2.0))).all()
    assert z_scores(np.array([1.0] * 9 + [2.0]))[-1] > 3.5
    assert np.isnan(deviation(np.array([np.nan])))
    assert running_median(np.array([1.0, np.nan, 3.0, 100.0, 5.0]), 3).tolist() == [1.0, 2.0, 51.5, 5.0, 52.5]
    x = np.arange(5000.0)
    found = slope(x, 3.0 * x + random.normal(0, 10, 5000))
    assert found.low < 3.0 < found.high
    assert found.high - found.low < 1e-3
    with pytest.raises(AnalysisError, match="a slope needs five points at different places, got 6"):
        slope(np.ones(6), np.arange(6.0))
