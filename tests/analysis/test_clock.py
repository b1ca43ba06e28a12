"""Test time never runs backwards, and what was done about it is said."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import battery_analysis
from battery_analysis.analysis.clock import steady_time
from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.analysis.records import REPORTED_TIME
from tests.realdata import hostile


def frame(time: list[float | None], **columns: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"test_time_second": time, **columns}, strict=False)


def steadied(time: list[float | None], **columns: list[float]) -> tuple[list[float], list[str]]:
    steady, warnings = steady_time(frame(time, **columns))
    return steady["test_time_second"].to_list(), warnings


def test_a_right_clock_costs_nothing() -> None:
    right = frame([43213.0, 43213.0, 43214.0])
    steady, warnings = steady_time(right)
    assert steady is right
    assert warnings == []


def test_a_spectrum_passes_through() -> None:
    spectrum = pl.DataFrame({"frequency_hertz": [1.0]})
    assert steady_time(spectrum)[0] is spectrum


def test_a_restarted_clock_is_joined_by_the_clock_of_the_step() -> None:
    time, warnings = steadied([100.0, 110.0, 4.0, 14.0, 24.0], step_time_second=[50.0, 60.0, 70.0, 80.0, 90.0])
    assert time == [100.0, 110.0, 120.0, 130.0, 140.0]
    assert warnings == [
        "test time goes back once (record 3 of 5): 1 part joined where the clock was restarted",
    ]


def test_a_restarted_clock_is_joined_by_the_wall_clock_where_a_new_step_began() -> None:
    time, _ = steadied(
        [100.0, 110.0, 0.0, 10.0],
        step_time_second=[50.0, 60.0, 0.0, 10.0],
        step_count=[1, 1, 2, 2],
        unix_time_second=[1e9, 1e9 + 10, 1e9 + 25, 1e9 + 35],
    )
    assert time == [100.0, 110.0, 125.0, 135.0]


def test_after_a_second_restart_the_first_one_still_counts() -> None:
    time, warnings = steadied([0.0, 10.0, 0.0, 10.0, 0.0, 10.0], unix_time_second=[0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
    assert time == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert "2 parts joined" in warnings[0]


def test_a_part_that_returns_to_the_first_clock_does_not_shift_what_follows() -> None:
    truth = [90.0, 100.0, 110.0, 120.0, 130.0, 140.0]
    assert steadied([90.0, 100.0, 0.0, 10.0, 130.0, 140.0], unix_time_second=truth)[0] == truth


def test_records_out_of_order_are_held() -> None:
    time, warnings = steadied([10.0, 40.0, 30.0, 20.0, 50.0], unix_time_second=[10.0, 40.0, 30.0, 20.0, 50.0])
    assert time == [10.0, 40.0, 40.0, 40.0, 50.0]
    assert warnings == ["test time goes back 2 times (records 3 to 4 of 5): the time of 2 records is held"]


def test_without_another_clock_a_fall_below_half_is_a_restart() -> None:
    assert steadied([100.0, 110.0, 0.0, 10.0])[0] == [100.0, 110.0, 110.0, 120.0]
    assert steadied([100.0, 110.0, 90.0, 95.0, 120.0])[0] == [100.0, 110.0, 110.0, 110.0, 120.0]


def test_negative_times_are_named_and_held_at_zero() -> None:
    time, warnings = steadied([-30.0, -60.0, 90.0])
    assert time == [0.0, 0.0, 90.0]
    assert warnings[0] == "negative test time in 2 records (records 1 to 2 of 3)"
    assert steadied([-1.0, 0.0, 1.0]) == ([-1.0, 0.0, 1.0], ["negative test time in 1 record (record 1 of 3)"])


def test_missing_times_are_held() -> None:
    time, warnings = steadied([None, 1.0, None, 3.0])
    assert time == [1.0, 1.0, 1.0, 3.0]
    assert warnings == ["2 records without a test time (records 1 to 3 of 4): the time before is kept"]


def test_nothing_is_integrated_across_a_repaired_place() -> None:
    broken = frame(
        [3600.0, 7200.0, 0.0, 3600.0], current_ampere=[1.0] * 4, voltage_volt=[3.7] * 4, cycle_count=[1, 1, 2, 2]
    )
    steady, _ = steady_time(broken)
    cycles = summarise_cycles(steady)
    assert cycles["has_gap"].to_list() == [True, True]
    assert cycles["charge_capacity_ah"].to_list() == [None, None]


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), min_size=1, max_size=40), st.booleans())
def test_any_clock_comes_out_steady_and_keeps_what_was_reported(time: list[float | None], walled: bool) -> None:
    wall = {"unix_time_second": [float(number) for number in range(len(time))]} if walled else {}
    given_frame = frame(time, **wall).cast(pl.Float64)
    steady, warnings = steady_time(given_frame)
    known = steady["test_time_second"].drop_nulls()
    assert known.is_sorted()
    if steady is not given_frame:
        assert steady[REPORTED_TIME].to_list() == time
        assert warnings
        assert all("\n" not in warning for warning in warnings)


def test_a_hostile_export_comes_out_as_it_was_before_it_was_spoilt() -> None:
    result = battery_analysis.read(hostile("time_goes_back.csv"))
    time = result.frame["test_time_second"]
    assert time.is_sorted()
    assert time[-1] == pytest.approx(3704.208)
    assert time[200] == pytest.approx(3693.197 + 1.014)
    said = "; ".join(result.warnings)
    assert "negative test time" in said
    assert "test time goes back" in said
    assert result.cycles["has_gap"].any()
