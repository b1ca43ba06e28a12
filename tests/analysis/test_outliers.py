"""What was put into a healthy life is found, where it was put, and nothing else is."""

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.outliers import Anomaly, cycle_z_scores, find_anomalies, find_gaps
from battery_analysis.errors import AnalysisError
from tests.analysis.cells import ideal_cycles, logged

CAPACITY = ["discharge_capacity_ah"]
LIVES = {
    "constant": lambda n: 2.0 + 0.0 * n,
    "linear": lambda n: 2.0 - 5e-4 * n,
    "square_root": lambda n: 2.0 - 0.02 * np.sqrt(n),
    "knee": lambda n: 2.0 - 2e-4 * n - 2e-3 * np.maximum(n - 150, 0),
}


def cell(life: str, noise: float = 0.0, changed: dict[int, float] | None = None, seed: int = 0) -> pl.DataFrame:
    """Table of 200 cycles; ``noise`` is a share, ``changed`` gives the capacity of some cycles."""
    number = np.arange(1, 201)
    values = LIVES[life](number - 1.0) * (1 + noise * np.random.default_rng(seed).standard_normal(200))
    for cycle, value in (changed or {}).items():
        values[cycle - 1] = value
    return pl.DataFrame({"cycle_count": number, "discharge_capacity_ah": values, "complete": np.full(200, True)})


def found(cycles: pl.DataFrame) -> list[tuple[str, tuple[int, int] | None]]:
    return [(each.kind, each.cycles) for each in find_anomalies(cycles, CAPACITY).found]


@pytest.mark.parametrize("life", LIVES)
def test_a_smooth_life_has_no_anomalies(life: str) -> None:
    assert found(cell(life)) == []


@pytest.mark.parametrize("life", LIVES)
def test_noise_is_rarely_an_anomaly(life: str) -> None:
    marks = [found(cell(life, 1e-4, seed=seed)) for seed in range(20)]
    assert sum(len(each) for each in marks) <= 8  # of 4,000 cycles
    assert not any(kind != "outlier" for each in marks for kind, _ in each)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("cycle", [1, 2, 57, 155, 200])
def test_a_wild_cycle_is_found(life: str, noise: float, cycle: int) -> None:
    anomalies = find_anomalies(cell(life, noise, {cycle: 1.2}), CAPACITY).found
    wild = [each for each in anomalies if each.cycles == (cycle, cycle)]
    assert [each.kind for each in wild] == ["outlier"]
    assert wild[0].numbers["discharge_capacity_ah"] == 1.2
    assert abs(wild[0].numbers["robust_z"]) > 3.5
    assert wild[0].numbers["expected_discharge_capacity_ah"] == pytest.approx(LIVES[life](cycle - 1.0), rel=0.02)
    assert len(anomalies) <= 1 + 2 * (noise > 0)


@pytest.mark.parametrize("life", ["constant", "linear"])
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_jump_is_found_where_it_is(life: str, noise: float) -> None:
    cycles = cell(life, noise).with_columns(
        pl.col("discharge_capacity_ah") - pl.when(pl.col("cycle_count") > 120).then(0.1).otherwise(0.0)
    )
    jumps = find_anomalies(cycles, CAPACITY).of("jump")
    assert [each.cycles for each in jumps] == [(120, 121)]
    numbers = jumps[0].numbers
    lost = numbers["before_discharge_capacity_ah"] - numbers["after_discharge_capacity_ah"]
    assert lost == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_sudden_death_is_one_and_ends_the_search(noise: float) -> None:
    dying = {cycle: 0.3 - 1e-3 * (cycle - 190) for cycle in range(190, 201)}
    anomalies = find_anomalies(cell("linear", noise, {189: 1.4, **dying}), CAPACITY).found
    deaths = [each for each in anomalies if each.kind == "sudden_death"]
    assert [each.cycles for each in deaths] == [(190, 200)]
    assert deaths[0].message == (
        "discharge capacity falls from 1.907 Ah to 0.3 Ah between cycles 188 and 190, and stays below half"
    )
    assert not any(each.cycles and each.cycles[0] > 190 for each in anomalies if each.kind != "sudden_death")


def test_a_cell_that_comes_back_or_fades_away_has_not_died() -> None:
    back = dict.fromkeys(range(100, 104), 0.3)
    assert not find_anomalies(cell("linear", 0.0, back), CAPACITY).of("sudden_death")
    away = {cycle: 2.0 * 0.8 ** (cycle - 180) for cycle in range(180, 201)}
    assert not find_anomalies(cell("constant", 0.0, away), CAPACITY).of("sudden_death")


def test_a_difference_that_matters_to_nobody_is_none() -> None:
    number = np.arange(1, 61)
    steady = {
        "discharge_capacity_ah": (2.0 - 1e-4 * number, 0.004, 0.03),
        "coulombic_efficiency": (0.999 + 1e-7 * number, 5e-4, 2e-3),
        "mean_discharge_voltage_volt": (3.7 - 1e-5 * number, 2e-3, 8e-3),
        "max_temperature_celsius": (25.0 + 0.001 * number, 0.3, 2.0),
    }
    for quantity, (values, small, large) in steady.items():
        for size, wild in ((small, []), (large, [(30, 30)])):
            changed = values + size * (number == 30)
            cycles = pl.DataFrame({"cycle_count": number, quantity: changed})
            assert [each.cycles for each in find_anomalies(cycles, [quantity]).found] == wild, quantity


def test_a_cycle_that_is_not_judged_is_not_missing() -> None:
    cycles = cell("linear", changed={50: 2.5})
    assert found(cycles) == [("outlier", (50, 50))]
    assert find_anomalies(cycles, CAPACITY, left_out=[50]).found == ()


def test_missing_cycles_are_named() -> None:
    cycles = cell("linear").filter(~pl.col("cycle_count").is_in([50, 51, 90]))
    assert found(cycles) == [("missing_cycles", (50, 51)), ("missing_cycles", (90, 90))]


def test_what_cannot_be_judged_has_a_reason() -> None:
    cycles = cell("linear").with_columns(
        coulombic_efficiency=pl.lit(None, pl.Float64), complete=pl.col("cycle_count") <= 5
    )
    unjudged = find_anomalies(cycles, ["discharge_capacity_ah", "coulombic_efficiency", "charge_capacity_ah"]).unjudged
    assert unjudged == {
        "discharge_capacity_ah": "5 complete cycles with a value, fewer than 8",
        "coulombic_efficiency": "0 complete cycles with a value, fewer than 8",
        "charge_capacity_ah": "the cycle table has no such column",
    }
    assert find_anomalies(cycles.head(0)).found == ()


def test_bad_questions_are_errors() -> None:
    cycles = cell("linear")
    with pytest.raises(AnalysisError, match="column 'cycle_count' not found"):
        find_anomalies(cycles.drop("cycle_count"))
    with pytest.raises(AnalysisError, match="threshold must be above 0, got -1"):
        find_anomalies(cycles, threshold=-1.0)
    with pytest.raises(AnalysisError, match="window must be an odd number of cycles above 2, got 10"):
        find_anomalies(cycles, window=10)
    with pytest.raises(AnalysisError, match=r"columns \['energy_efficiency'\] not found"):
        cycle_z_scores(cycles, "energy_efficiency")
    with pytest.raises(AnalysisError, match="current_ampere: no values"):
        find_gaps(pl.DataFrame({"test_time_second": [1.0], "current_ampere": [None]}))


def test_scores_of_all_cycles() -> None:
    cycles = cell("linear", 1e-4, {77: 1.5}).with_columns(
        discharge_capacity_ah=pl.when(pl.col("cycle_count") == 9).then(None).otherwise(pl.col("discharge_capacity_ah"))
    )
    scores = cycle_z_scores(cycles, "discharge_capacity_ah")
    assert scores["robust_z"].abs().arg_max() == 76
    assert scores["robust_z"].is_null().arg_true().to_list() == [8]
    ordinary = scores.filter(~pl.col("cycle_count").is_in([9, 77]))["robust_z"].to_numpy()
    assert ordinary.std() == pytest.approx(1.0, abs=0.25)
    constant = cycle_z_scores(cell("constant"), "discharge_capacity_ah")
    assert constant["robust_z"].null_count() == 200


def test_gaps_are_listed_with_records_and_cycles() -> None:
    frame = logged(ideal_cycles(3), 60.0).filter(~pl.col("record_index").is_between(200, 229))
    gaps = find_gaps(frame)
    assert gaps == (
        Anomaly(
            "gap",
            "record numbers are left out, over 1860 s of test time",
            None,
            (2, 2),
            (198, 199),
            {"seconds": 1860.0, "current_change_ampere": 0.0, "missing_records": 30.0},
        ),
    )
    assert find_gaps(logged(ideal_cycles(3), 60.0)) == ()
