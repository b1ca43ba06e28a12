"""The tester's cycles count, unless they say nothing."""

import polars as pl
import pytest

from battery_analysis.analysis.numbering import number_cycles
from battery_analysis.columns import conform
from tests.analysis.cells import Step, ideal_cycles, logged


def derived(frame: pl.DataFrame) -> list[int]:
    numbered, method = number_cycles(frame)
    assert method == "derived"
    assert conform(numbered).frame.columns == numbered.columns
    return numbered["derived_cycle_count"].to_list()


def cycle_of_steps(steps: list[Step]) -> list[int]:
    frame = conform(logged(steps, 60.0).drop("cycle_count", "step_type")).frame
    numbered = frame.with_columns(cycle=pl.Series(derived(frame)))
    assert numbered.group_by("step_count").agg(pl.col("cycle").n_unique())["cycle"].max() == 1
    return numbered.group_by("step_count", maintain_order=True).agg(pl.col("cycle").first())["cycle"].to_list()


def test_numbers_of_the_tester_are_left_alone() -> None:
    frame = logged(ideal_cycles(2), 60.0)
    numbered, method = number_cycles(frame)
    assert numbered is frame
    assert method == "tester"


def test_a_constant_number_counts_while_there_is_only_one_alternation() -> None:
    frame = logged([Step(1.0, 600), Step(-1.0, 600), Step(0.0, 60)], 60.0)
    numbered, method = number_cycles(frame)
    assert numbered is frame
    assert method == "tester"


def test_without_a_current_there_is_no_method() -> None:
    frame = logged([Step(0.0, 600)], 60.0).with_columns(current_ampere=pl.lit(None, pl.Float64))
    numbered, method = number_cycles(frame)
    assert numbered is frame
    assert method is None


def test_a_cycle_begins_with_charge_and_a_rest_belongs_to_the_step_before() -> None:
    ways = [0.0, 1.0, 0.0, -1.0, 0.0, 1.0, -1.0]
    assert cycle_of_steps([Step(way, 600) for way in ways]) == [1, 1, 1, 1, 1, 2, 2]


def test_a_test_that_starts_with_a_discharge_has_cycles_that_do() -> None:
    assert cycle_of_steps([Step(way, 600) for way in (-1.0, 1.0, -1.0, 0.0, 1.0)]) == [1, 1, 2, 2, 2]


def test_two_charges_in_a_row_are_one() -> None:
    assert cycle_of_steps([Step(way, 600) for way in (1.0, 0.0, 0.5, -1.0, -0.5, 1.0)]) == [1, 1, 1, 1, 1, 2]


def test_records_of_a_step_before_its_first_current_belong_to_it() -> None:
    frame = logged([Step(1.0, 600), Step(-1.0, 600), Step(1.0, 600)], 60.0).drop("cycle_count", "step_type")
    late = frame.with_columns(
        current_ampere=pl.when(pl.col("step_time_second") == 60.0).then(0.0).otherwise(pl.col("current_ampere"))
    )
    assert derived(conform(late).frame) == [1] * 20 + [2] * 10


@pytest.mark.parametrize("noise", [1e-5, 3e-3])
def test_noise_of_a_rest_is_no_alternation(noise: float) -> None:
    jitter = [Step(sign * noise, 1) for _ in range(20) for sign in (1, -1)]
    frame = logged([Step(1.0, 3600), *jitter, Step(1.0, 3600), *jitter, Step(-1.0, 3600)], 60.0)
    assert number_cycles(frame.drop("step_count", "step_type"))[1] == "tester"


def test_short_steps_at_a_clear_current_are_no_noise() -> None:
    pulses = [Step(sign * 0.5, 1) for _ in range(3) for sign in (1, -1)]
    assert cycle_of_steps([Step(1.0, 36000), Step(-1.0, 36000), *pulses]) == [1, 1, 2, 2, 3, 3, 4, 4]


def test_what_the_tester_calls_a_rest_is_one() -> None:
    steps = [
        step
        for _ in range(2)
        for step in (Step(1.0, 600, kind="CC_Chg"), Step(-0.2, 600, kind="Rest"), Step(1.0, 600, kind="CC_Chg"))
    ]
    assert number_cycles(logged(steps, 60.0))[1] == "tester"
