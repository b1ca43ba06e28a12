"""Half cycles add up to what the cycle table says, record by record."""

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.analysis.differential import dqdv
from battery_analysis.analysis.halves import half_cycles
from battery_analysis.errors import AnalysisError
from tests.analysis.cells import Step, ideal_cycles, logged, with_counters


@pytest.mark.parametrize("direction", [None, "pair", "cumulative", "net"])
@pytest.mark.parametrize("reset", ["step", "cycle", "never"])
def test_half_cycles_add_up_to_the_cycle_table(direction: str | None, reset: str) -> None:
    frame = logged(ideal_cycles(3, hours=0.7, current=1.3), 60.0)
    frame = with_counters(frame, direction, reset) if direction else frame
    halves, cycles = half_cycles(frame), summarise_cycles(frame)
    assert halves.table["direction"].to_list() == ["charge", "discharge"] * 3
    assert halves.table["capacity_method"].to_list() == ["counter" if direction else "integrated"] * 6
    for way in ("charge", "discharge"):
        capacity = halves.table.filter(pl.col("direction") == way)["capacity_ah"].to_list()
        assert capacity == pytest.approx(cycles[f"{way}_capacity_ah"].to_list(), rel=1e-12)
    assert np.bincount(halves.half, halves.moved).tolist() == pytest.approx(halves.table["capacity_ah"].to_list())
    assert halves.table["current_ampere"].to_list() == pytest.approx([1.3] * 6)


def test_a_stretch_is_cut_where_the_cycle_number_changes() -> None:
    frame = logged([Step(1.0, 3600, 1), Step(-1.0, 1800, 1), Step(-1.0, 1800, 2), Step(1.0, 3600, 2)], 60.0)
    table = half_cycles(frame).table
    assert table["cycle_count"].to_list() == [1, 1, 2, 2]
    assert table["capacity_ah"].to_list() == [1.0, 0.5, 0.5, 1.0]


def test_a_cycle_number_that_advances_a_record_early_makes_no_half_cycle() -> None:
    frame = logged([Step(1.0, 3600, 1), Step(-1.0, 3600, 1), Step(-1.0, 1, 2), Step(1.0, 3600, 2)], 60.0)
    table = half_cycles(frame).table
    assert table.select("cycle_count", "direction").rows() == [(1, "charge"), (1, "discharge"), (2, "charge")]


def test_a_rest_within_a_discharge_does_not_end_it() -> None:
    frame = logged([Step(1.0, 3600), Step(-1.0, 1800), Step(0.0, 600), Step(-1.0, 1800)], 60.0)
    half = half_cycles(frame).table.row(1, named=True)
    assert (half["capacity_ah"], half["duration_second"], half["records"]) == (1.0, 3600.0, 60)
    assert half["end_time_second"] - half["start_time_second"] == 4200.0


def test_the_current_is_that_before_the_voltage_was_held() -> None:
    ramp = [Step(1.0, 60, 1, 3.0 + 0.02 * tick) for tick in range(60)]
    hold = [Step(1.0 * 0.9**tick, 60, 1, 4.18) for tick in range(1, 30)]
    frame = logged([*ramp, *hold, Step(-2.0, 1800, 1, 3.0)], 60.0).with_columns(step_count=pl.lit(1), step_type=None)
    halves = half_cycles(frame.with_columns(step_count=1 + (pl.col("current_ampere") < 0).cast(pl.Int64)))
    charge, discharge = halves.table.rows(named=True)
    assert charge["current_ampere"] == pytest.approx(1.0, rel=1e-3)
    assert discharge["current_ampere"] == 2.0
    assert halves.held[:60].sum() <= 1
    assert halves.held[60:89].all()
    assert not halves.held[89:].any()


def test_a_gap_makes_an_integrated_half_cycle_unknown_and_the_others_not() -> None:
    frame = logged(ideal_cycles(2), 60.0)
    lost = frame.filter(~pl.col("record_index").is_between(20, 30))
    table = half_cycles(lost).table
    assert table["has_gap"].to_list() == [True, False, False, False]
    assert table["capacity_ah"].to_list() == [None, 1.0, 1.0, 1.0]
    counted = half_cycles(with_counters(frame, "pair", "step").filter(~pl.col("record_index").is_between(20, 30))).table
    assert counted["capacity_ah"].to_list() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("current", [[None, None], [0.0, 0.0]])
def test_without_a_current_there_are_no_half_cycles(current: list[float | None]) -> None:
    frame = pl.DataFrame(
        {"test_time_second": [0.0, 1.0], "voltage_volt": [3.0, 3.0], "current_ampere": current},
        schema_overrides={"current_ampere": pl.Float64},
    )
    with pytest.raises(AnalysisError, match=r"half cycle"):
        half_cycles(frame)


@pytest.mark.parametrize("finished", [False, True])
def test_the_last_half_cycle_is_complete_once_it_is_over(finished: bool) -> None:
    frame = logged([Step(1.0, 3600), Step(-1.0, 3600)], 60.0)
    assert half_cycles(frame, finished=finished).table["complete"].to_list() == [True, finished]
    rested = logged([Step(1.0, 3600), Step(-1.0, 3600), Step(0.0, 60)], 60.0)
    assert half_cycles(rested).table["complete"].to_list() == [True, True]


def test_the_half_cycles_of_one_cycle_are_those_of_the_whole() -> None:
    frame = logged(ideal_cycles(3, hours=0.7, current=1.3), 60.0)
    halves = half_cycles(with_counters(frame, "pair", "never"))
    own = halves.of_cycle(2)
    assert own.table["half_cycle"].to_list() == [0, 1]
    assert own.table.drop("half_cycle").equals(halves.table[2:4].drop("half_cycle"))
    assert np.bincount(own.half, own.moved).tolist() == pytest.approx(own.table["capacity_ah"].to_list())
    assert dqdv(own).curves.drop("half_cycle").equals(dqdv(halves, cycles=[2]).curves.drop("half_cycle"))
    with pytest.raises(AnalysisError, match="in cycle 9"):
        halves.of_cycle(9)


@pytest.mark.parametrize("counters", [{}, {"charging_capacity_ah": [0.0], "discharging_capacity_ah": [0.0]}])
def test_a_single_record_is_a_half_cycle_of_nothing(counters: dict[str, list[float]]) -> None:
    record = {"test_time_second": [0.0], "voltage_volt": [3.0], "current_ampere": [1.0]}
    table = half_cycles(pl.DataFrame(record | counters)).table
    assert table.select("direction", "capacity_ah", "current_ampere", "complete").rows() == [
        ("charge", 0.0, None, False)
    ]
