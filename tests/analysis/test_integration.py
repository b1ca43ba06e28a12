"""What cannot be known is a gap, and an integral over it is null."""

import polars as pl
import pytest

from battery_analysis.analysis.cycles import summarise_cycles
from tests.analysis.cells import Step, ideal_cycles, logged, with_counters


def gaps_and_charges(frame: pl.DataFrame) -> tuple[list[bool], list[float | None]]:
    cycles = summarise_cycles(frame)
    return cycles["has_gap"].to_list(), cycles["charge_capacity_ah"].to_list()


def test_lost_records_are_a_gap() -> None:
    frame = logged(ideal_cycles(3), 60.0)
    holed = frame.filter(~pl.col("record_index").is_between(200, 210))
    assert gaps_and_charges(holed) == ([False, True, False], [1.0, None, 1.0])
    counted = with_counters(frame, "pair", "never").filter(~pl.col("record_index").is_between(200, 210))
    assert gaps_and_charges(counted) == ([False, True, False], pytest.approx([1.0, 1.0, 1.0]))


def test_records_lost_where_a_cycle_ended_are_a_gap_of_both() -> None:
    frame = logged(ideal_cycles(3), 60.0)
    edge = frame["cycle_count"].index_of(2)
    assert edge is not None
    holed = frame.filter(~pl.col("record_index").is_between(edge - 2, edge + 3))
    assert gaps_and_charges(holed)[0] == [True, True, False]


def test_a_file_of_every_tenth_record_has_no_gap() -> None:
    assert gaps_and_charges(logged(ideal_cycles(2), 60.0)[9::10])[0] == [False, False]


def test_a_pause_that_only_the_wall_clock_shows_is_a_gap() -> None:
    frame = logged(ideal_cycles(2), 60.0)
    wall = pl.col("test_time_second") + 1.7e9
    for seconds, expected in ((7200.0, True), (3600.0, False), (300.0, False), (-3600.0, False)):
        later = wall + pl.when(pl.col("record_index") > 20).then(seconds).otherwise(0.0)
        assert gaps_and_charges(frame.with_columns(unix_time_second=later))[0] == [expected, False]


def test_a_long_silence_is_a_gap_only_if_the_current_changed() -> None:
    steady = [Step(1.0, 3600), Step(-1.0, 3600), Step(0.0, 60)]
    frame = logged(steady, 10.0).drop("record_index")
    silent = frame.filter(~pl.col("test_time_second").is_between(1000, 2000))
    assert gaps_and_charges(silent) == ([False], [1.0])
    changed = silent.with_columns(
        current_ampere=pl.when(pl.col("test_time_second") < 1000).then(0.5).otherwise(pl.col("current_ampere"))
    )
    assert gaps_and_charges(changed) == ([True], [None])


def test_slow_logging_is_no_gap() -> None:
    assert gaps_and_charges(logged(ideal_cycles(2), 1800.0).drop("record_index")) == ([False, False], [1.0, 1.0])


def test_a_step_whose_first_record_comes_late_is_no_gap() -> None:
    frame = logged([Step(0.0, 600), Step(1.0, 3600), Step(-1.0, 3600), Step(0.0, 60)], 10.0).drop("record_index")
    late = frame.filter((pl.col("step_count") != 2) | (pl.col("step_time_second") > 2000))
    assert gaps_and_charges(late) == ([False], [1.0])


def test_the_first_interval_began_with_its_step_but_not_before_zero() -> None:
    hour = logged([Step(1.0, 3600)], 600.0)
    assert summarise_cycles(hour)["charge_capacity_ah"].item() == 1.0
    assert summarise_cycles(hour, continuation=True)["charge_capacity_ah"].item() == pytest.approx(5 / 6)
    longer = hour.with_columns(step_time_second=pl.col("step_time_second") + 1000)
    assert summarise_cycles(longer)["charge_capacity_ah"].item() == 1.0


def test_the_trapezoid_does_not_cross_a_step() -> None:
    frame = logged([Step(1.0, 3600), Step(3.0, 3600)], 1800.0)
    assert summarise_cycles(frame)["charge_capacity_ah"].item() == 4.0
    one_step = frame.with_columns(step_count=pl.lit(1))
    assert summarise_cycles(one_step)["charge_capacity_ah"].item() == 3.5


def test_a_missing_current_counts_as_the_one_before() -> None:
    frame = logged([Step(1.0, 3600), Step(-1.0, 3600)], 60.0)
    holed = frame.with_columns(
        current_ampere=pl.when(pl.col("record_index") == 30).then(None).otherwise(pl.col("current_ampere"))
    )
    assert gaps_and_charges(holed) == ([False], [1.0])
