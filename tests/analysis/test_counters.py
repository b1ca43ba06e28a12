"""Counters are differenced rightly whatever resets them."""

import polars as pl
import pytest

from battery_analysis.analysis.cycles import summarise_cycles
from tests.analysis.cells import Step, ideal_cycles, logged, with_counters


def capacities(frame: pl.DataFrame, *, continuation: bool = False) -> tuple[list[float], list[float]]:
    cycles = summarise_cycles(frame, continuation=continuation)
    assert set(cycles["capacity_method"]) == {"counter"}
    return cycles["charge_capacity_ah"].to_list(), cycles["discharge_capacity_ah"].to_list()


def counter(current: list[float], **columns: list[float]) -> pl.DataFrame:
    count = len(current)
    base = {"test_time_second": [60.0 * tick for tick in range(count)], "current_ampere": current}
    return pl.DataFrame({"cycle_count": [1] * count, "step_count": [1] * count, **base, **columns})


def test_the_first_record_counts_from_zero_except_in_a_continuation() -> None:
    frame = with_counters(logged(ideal_cycles(1), 60.0), "pair", "never", earlier=5.0)
    assert capacities(frame, continuation=True)[1] == pytest.approx([1.0])
    assert capacities(frame)[1] == pytest.approx([6.0])


def test_a_fall_below_half_resets_any_counter() -> None:
    frame = counter(
        [1.0] * 5,
        schedule_charging_capacity_ah=[1.0, 2.0, 0.5, 0.9, 0.8],
        schedule_discharging_capacity_ah=[0.0] * 5,
    )
    assert capacities(frame) == ([pytest.approx(2.0 + 0.5 + 0.4 - 0.1)], [0.0])


def test_a_change_of_step_resets_a_counter_that_has_grown_again_already() -> None:
    frame = counter([1.0] * 3, step_cumulative_capacity_ah=[0.1, 0.2, 0.3]).with_columns(
        step_count=pl.Series([1, 2, 3])
    )
    assert capacities(frame)[0] == [pytest.approx(0.6)]


def test_a_change_of_cycle_resets_only_counters_of_cycles() -> None:
    numbered = pl.Series([1, 2])
    of_cycles = counter([1.0, 1.0], cycle_charging_capacity_ah=[1.0, 1.5], cycle_discharging_capacity_ah=[0.0, 0.0])
    of_tests = counter([1.0, 1.0], charging_capacity_ah=[1.0, 1.5], discharging_capacity_ah=[0.0, 0.0])
    assert capacities(of_cycles.with_columns(cycle_count=numbered))[0] == [1.0, 1.5]
    assert capacities(of_tests.with_columns(cycle_count=numbered))[0] == [1.0, 0.5]


def test_throughput_is_split_by_the_sign_of_the_current_also_within_a_step() -> None:
    frame = counter([1.0, 1.0, -1.0, 0.0, 1.0], cumulative_capacity_ah=[1.0, 2.0, 4.0, 4.5, 5.0])
    assert capacities(frame) == ([2.5], [2.5])


def test_a_net_counter_falls_in_a_discharge_without_being_reset() -> None:
    frame = counter([1.0, -1.0, -1.0, -1.0], net_capacity_ah=[1.0, 0.4, 0.1, -0.5])
    assert capacities(frame) == ([1.0], [pytest.approx(1.5)])


def test_a_net_counter_of_half_cycles_is_reset_where_the_current_says_so() -> None:
    frame = counter([60.0] * 2 + [-60.0] * 2 + [60.0], cycle_net_capacity_ah=[1.0, 2.0, -1.0, -2.0, 1.0])
    assert capacities(frame) == ([3.0], [2.0])


def test_a_net_counter_begins_anew_where_the_clock_was_restarted() -> None:
    frame = counter([60.0] * 4, net_capacity_ah=[1.0, 2.0, 1.0, 2.0])
    reported = pl.Series("aux_reported_test_time_second", [0.0, 60.0, 0.0, 60.0])
    assert capacities(frame.with_columns(reported)) == ([4.0], [0.0])


def test_pairs_come_before_throughput_and_throughput_before_net() -> None:
    frame = counter(
        [1.0],
        charging_capacity_ah=[1.0],
        discharging_capacity_ah=[0.0],
        step_charging_capacity_ah=[2.0],
        step_discharging_capacity_ah=[0.0],
        cumulative_capacity_ah=[3.0],
        net_capacity_ah=[4.0],
    )
    preference = [1.0, 2.0, 3.0, 4.0]
    counters = [["charging_capacity_ah"], ["step_charging_capacity_ah"], ["cumulative_capacity_ah"]]
    for place, expected in enumerate(preference):
        gone = [name for names in counters[:place] for name in names]
        assert capacities(frame.drop(gone))[0] == [expected]


def test_a_counter_that_never_moved_is_passed_over() -> None:
    frame = logged([Step(1.0, 3600)], 60.0).with_columns(
        charging_capacity_ah=pl.lit(0.0), discharging_capacity_ah=pl.lit(0.0)
    )
    cycle = summarise_cycles(frame).row(0, named=True)
    assert (cycle["capacity_method"], cycle["charge_capacity_ah"]) == ("integrated", 1.0)


def test_missing_values_of_a_counter_are_bridged() -> None:
    frame = counter([1.0] * 4, charging_capacity_ah=[None, 1.0, None, 3.0], discharging_capacity_ah=[0.0] * 4)
    assert capacities(frame)[0] == [3.0]
