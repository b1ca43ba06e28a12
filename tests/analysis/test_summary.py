"""What a test amounts to."""

import polars as pl
import pytest

from battery_analysis.analysis.cycles import CYCLE_SCHEMA, summarise_cycles
from battery_analysis.analysis.summary import TestSummary, summarise_test
from tests.analysis.cells import Step, ideal_cycles, logged


def fading(capacities: list[float]) -> pl.DataFrame:
    steps = []
    for cycle, capacity in enumerate(capacities, start=1):
        steps += [Step(1.0, capacity * 3600, cycle, 4.0), Step(-1.0, capacity * 3600, cycle, 3.0)]
    return logged(steps, 60.0)


def test_quantities_of_a_fading_cell() -> None:
    frame = fading([1.0, 0.75, 0.9, 0.75, 0.7, 0.6])
    summary = summarise_test(summarise_cycles(frame, finished=True), frame, nominal_capacity_ah=2.0)
    assert summary == TestSummary(
        cycle_count=6,
        initial_capacity_ah=1.0,
        final_capacity_ah=pytest.approx(0.6),
        capacity_retention=pytest.approx(0.6),
        mean_coulombic_efficiency=pytest.approx(1.0),
        mean_energy_efficiency=pytest.approx(0.75),
        mean_voltage_efficiency=pytest.approx(0.75),
        median_internal_resistance_ohm=None,
        cycle_life_80=4,
        throughput_ah=pytest.approx(9.4),
        throughput_wh=pytest.approx(4.7 * 7),
        duration_second=pytest.approx(9.4 * 3600 - 60),
        c_rates=(0.5,),
    )


def test_an_incomplete_last_cycle_is_neither_final_nor_the_end_of_life() -> None:
    frame = fading([1.0, 0.7, 0.1])
    summary = summarise_test(summarise_cycles(frame.head(frame.height - 2)))
    assert summary.final_capacity_ah == pytest.approx(0.7)
    assert summary.cycle_life_80 is None


def test_what_is_not_known_stays_empty() -> None:
    assert summarise_test(pl.DataFrame(schema=CYCLE_SCHEMA)) == TestSummary(cycle_count=0)


def test_throughput_is_unknown_where_a_gap_is() -> None:
    frame = logged(ideal_cycles(2), 60.0).filter(pl.col("record_index") != 30)
    summary = summarise_test(summarise_cycles(frame))
    assert summary.throughput_ah is None
    assert summary.initial_capacity_ah == 1.0


def test_resistance_is_the_median_of_the_cycles() -> None:
    frame = logged(ideal_cycles(3), 60.0).with_columns(internal_resistance_ohm=pl.col("cycle_count") / 10)
    assert summarise_test(summarise_cycles(frame)).median_internal_resistance_ohm == pytest.approx(0.2)
