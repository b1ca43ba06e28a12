"""Rate tests of cells whose capacity is a known function of the current."""

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.halves import half_cycles
from battery_analysis.analysis.rate import RateCapability, levels_of, peukert, rate_capability
from battery_analysis.errors import AnalysisError
from tests.analysis.cells import Step, logged

RATES = (0.1, 0.2, 0.5, 1.0, 2.0)


def capacity_at(current: float, exponent: float = 1.1) -> float:
    """Capacity in Ah of a cell of 1 Ah at 1 A that follows Peukert's law."""
    return current ** (1 - exponent)


def halves(
    exponent: float = 1.1, noise: float = 0.0, repeats: int = 3, rates: tuple[float, ...] = RATES
) -> pl.DataFrame:
    random = np.random.default_rng(2)
    rows = []
    for rate in rates:
        for _ in range(repeats):
            capacity = capacity_at(rate, exponent) * (1 + noise * random.standard_normal())
            current = rate * (1 + noise * random.standard_normal())
            for direction in ("charge", "discharge"):
                rows.append(
                    {
                        "half_cycle": len(rows),
                        "cycle_count": len(rows) // 2 + 1,
                        "direction": direction,
                        "capacity_ah": capacity,
                        "current_ampere": current,
                        "min_voltage_volt": 3.0 + noise * random.standard_normal(),
                        "max_voltage_volt": 4.2,
                        "complete": True,
                    }
                )
    return pl.DataFrame(rows)


def test_levels_and_what_is_left_of_the_capacity() -> None:
    found = rate_capability(halves(noise=1e-4), nominal_capacity_ah=2.0)
    assert found.levels["current_ampere"].to_list() == pytest.approx(list(RATES), rel=1e-3)
    assert found.levels["c_rate"].to_list() == pytest.approx([rate / 2 for rate in RATES], rel=1e-3)
    assert found.levels["halves"].to_list() == [3] * 5
    assert found.levels.select("first_cycle", "last_cycle").row(1) == (4, 6)
    expected = [capacity_at(rate) / capacity_at(0.1) for rate in RATES]
    assert found.levels["relative_capacity"].to_list() == pytest.approx(expected, rel=1e-3)
    assert found.halves["relative_capacity"].to_list() == pytest.approx(np.repeat(expected, 3).tolist(), rel=1e-3)
    assert found.levels["capacity_deviation_ah"].max() < 1e-3  # type: ignore[operator]
    assert rate_capability(halves()).levels["c_rate"].null_count() == 5


@pytest.mark.parametrize("exponent", [1.0, 1.05, 1.3])
def test_the_exponent_is_recovered(exponent: float) -> None:
    exact = peukert(rate_capability(halves(exponent)))
    assert exact.exponent == pytest.approx(exponent, rel=1e-9)
    assert exact.constant == pytest.approx(1.0)
    noisy = peukert(rate_capability(halves(exponent, noise=1e-4)))
    assert noisy.low <= exponent <= noisy.high
    assert abs(noisy.exponent - exponent) < 4 * noisy.standard_error < 4e-4


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        table = halves(1.2, repeats=1).with_columns(
            pl.col("capacity_ah") * pl.Series(1 + 0.01 * random.standard_normal(10))
        )
        found = peukert(rate_capability(table), confidence=0.8)
        hits += found.low <= 1.2 <= found.high
    assert 140 <= hits <= 180


def test_from_records_to_the_exponent() -> None:
    steps = []
    for cycle, rate in enumerate(RATES, start=1):
        hours = capacity_at(rate) / rate
        steps += [
            Step(rate, hours * 3600, cycle, 4.2),
            Step(-rate, hours * 3600, cycle, 3.0),
            Step(0.0, 60, cycle, 3.5),
        ]
    found = peukert(rate_capability(half_cycles(logged(steps, 60.0)).table))
    assert found.exponent == pytest.approx(1.1, rel=1e-3)


def test_what_cannot_be_compared_has_a_reason() -> None:
    row = pl.int_range(pl.len())
    table = halves().with_columns(
        capacity_ah=pl.when(row == 1).then(None).otherwise(pl.col("capacity_ah")),
        complete=row != 29,
        min_voltage_volt=pl.when(row == 3).then(3.4).otherwise(pl.col("min_voltage_volt")),
        current_ampere=pl.when(row == 5).then(None).otherwise(pl.col("current_ampere")),
    )
    found = rate_capability(table)
    assert found.halves["reason"].to_list() == [
        "its capacity is unknown",
        "it ends at 3.400 V, most of the charge at 3.000 V",
        "it has no current before the voltage is held",
        *[None] * 11,
        "it is not over",
    ]
    assert found.halves["relative_capacity"].is_null().to_list() == found.halves["reason"].is_not_null().to_list()
    assert found.levels["halves"].to_list() == [3, 3, 3, 2]


def test_bad_questions_are_errors() -> None:
    with pytest.raises(AnalysisError, match="none of 0 half cycles of charge can be compared"):
        rate_capability(halves().filter(pl.col("direction") == "discharge"), direction="charge")
    with pytest.raises(AnalysisError, match="can be compared: it is not over"):
        rate_capability(halves().with_columns(complete=pl.lit(False)))
    with pytest.raises(AnalysisError, match="nominal_capacity_ah must be above 0, got 0"):
        rate_capability(halves(), nominal_capacity_ah=0.0)
    with pytest.raises(AnalysisError, match=r"columns \['complete'\] not found"):
        rate_capability(halves().drop("complete"))
    two: RateCapability = rate_capability(halves(rates=(0.1, 1.0)))
    with pytest.raises(AnalysisError, match="needs three rates, the discharges have 2"):
        peukert(two)
    with pytest.raises(AnalysisError, match="confidence must be between 0 and 1, got 95"):
        peukert(two, confidence=95.0)


def test_currents_of_one_level_may_differ_a_little() -> None:
    assert levels_of(np.array([1.0, 1.05, 0.99, 3.0, 0.1]), 0.1).tolist() == [2, 2, 2, 3, 1]
    assert levels_of(np.array([]), 0.1).tolist() == []
