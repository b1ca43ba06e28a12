"""The protocol that is found is the one that the cell was put through."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from battery_analysis.analysis.cycle_groups import rate_text
from battery_analysis.analysis.protocol import grouped, protocol, same_protocol
from battery_analysis.errors import AnalysisError
from battery_analysis.reading import read
from tests.analysis.cells import Step, logged
from tests.analysis.programmed import CAPACITY_AH, ProgrammedCell, cycled
from tests.realdata import real

FORMED = cycled([(3, 0.1), (12, 0.5)])


@pytest.mark.parametrize("noise", [0.0, 1e-4, 2e-3])
@pytest.mark.parametrize("steps", [True, False])
@pytest.mark.parametrize("cycles", [True, False])
def test_formation_and_cycling_are_counted_whatever_the_noise_and_the_columns(
    noise: float, steps: bool, cycles: bool
) -> None:
    found = protocol(FORMED.frame(noise=noise, steps=steps, cycles=cycles), CAPACITY_AH)
    assert found.summary == "3x C/10, 12x C/2"
    assert [(group.first_cycle, group.last_cycle) for group in found.groups] == [(1, 3), (4, 15)]
    assert [round(group.upper_volt, 2) for group in found.groups] == [4.2, 4.2]
    assert [round(group.lower_volt, 2) for group in found.groups] == [3.0, 3.0]


def test_steps_say_limits_holds_cutoffs_and_rests() -> None:
    formation, cycling = protocol(FORMED.frame(), CAPACITY_AH).groups
    assert [step.kind for step in cycling.steps] == [
        *("constant_current", "constant_voltage", "rest", "constant_current", "rest"),
    ]
    charge, hold, rest, discharge, _ = cycling.steps
    assert charge.c_rate == pytest.approx(0.5)
    assert (charge.ended_by, discharge.ended_by, hold.ended_by, rest.ended_by) == (
        "voltage",
        "voltage",
        "current",
        "time",
    )
    assert (charge.voltage_volt, hold.voltage_volt, discharge.voltage_volt) == pytest.approx((4.2, 4.2, 3.0))
    assert hold.cutoff_c_rate == pytest.approx(0.02, rel=0.25)  # the last record before it falls below
    assert rest.seconds == pytest.approx(600)
    assert formation.steps[0].c_rate == pytest.approx(0.1)
    assert charge.text == "charge C/2 to 4.2 V"


def test_executed_steps_hold_all_records_once_and_all_charge() -> None:
    frame = FORMED.frame()
    executed = protocol(frame, CAPACITY_AH).executed
    spans = executed.select(pl.col("last_record") - pl.col("first_record") + 1).to_series()
    assert spans.sum() == frame.height
    assert executed["first_record"][0] == 0
    halves = executed.group_by("direction").agg(pl.col("charge_ah").sum())
    moved = dict(halves.iter_rows())
    assert moved["charge"] == pytest.approx(15 * CAPACITY_AH, rel=0.02)
    assert moved["discharge"] == pytest.approx(15 * CAPACITY_AH, rel=0.05)


def test_a_record_between_two_steps_is_no_step_and_shows_no_limit() -> None:
    frame = cycled([(3, 0.5)]).frame()
    frame = frame.with_columns(step_count=2 * pl.col("step_count"))
    passing = frame.group_by("step_count", maintain_order=True).last().select(frame.columns)
    passing = passing.with_columns(
        *(
            pl.col(name) + more
            for name, more in (("test_time_second", 0.05), ("voltage_volt", 0.06), ("step_count", 1))
        ),
        current_ampere=pl.lit(0.3),
    )
    frame = pl.concat([frame, passing], how="vertical_relaxed").sort("test_time_second")
    [group] = protocol(frame, CAPACITY_AH).groups
    assert [step.text for step in group.steps if step.kind == "constant_current"] == [
        "charge C/2 to 4.2 V",
        "discharge C/2 to 3 V",
    ]


def test_without_a_capacity_rates_are_currents() -> None:
    found = protocol(FORMED.frame())
    assert found.summary == "3x 0.2 A, 12x 1 A"
    assert {step.c_rate for group in found.groups for step in group.steps} == {None}


@pytest.mark.parametrize("kept", [0.96, 0.975, 0.99])
def test_a_last_cycle_that_is_not_complete_is_not_counted(kept: float) -> None:
    frame = cycled([(3, 0.1), (9, 0.5)]).frame()
    last = frame.filter(pl.col("cycle_count") == 12)
    frame = pl.concat([frame.filter(pl.col("cycle_count") < 12), last.head(int(last.height * (kept - 0.95) * 20))])
    assert protocol(frame, CAPACITY_AH).summary == "3x C/10, 8x C/2"


def test_a_last_cycle_that_does_something_else_is_called_incomplete() -> None:
    cell = cycled([(4, 0.5)]).charge(0.2).rest(600)
    assert protocol(cell.frame(), CAPACITY_AH).summary == "4x C/2, 1x C/5 charge (incomplete)"


def test_the_end_of_the_last_discharge_is_a_whole_cycle() -> None:
    cell = cycled([(2, 0.5)]).charge(0.5).hold(4.2, 0.02).rest(600).discharge(0.5)
    assert protocol(cell.frame(), CAPACITY_AH).summary == "3x C/2"


def test_directions_with_different_rates_and_two_step_charges_are_named() -> None:
    cell = ProgrammedCell()
    for depth in (3.0, 3.1, 3.2):
        cell.charge(2.0, 3.9).charge(1.0).rest(600).discharge(0.5, depth).next_cycle()
    found = protocol(cell.frame(), CAPACITY_AH)
    assert found.summary == "3x 2C+1C charge C/2 discharge"
    assert [step.voltage_volt for step in found.groups[0].steps if step.direction == "charge"] == pytest.approx(
        [3.9, 4.2]
    )


def test_pulses_of_a_titration_are_a_loop_that_ends_by_time() -> None:
    cell = ProgrammedCell().rest(60)
    for _ in range(20):
        cell.pulse(0.1, 1200).rest(3600)
    [group] = protocol(cell.frame(), CAPACITY_AH).groups
    assert [(step.text, step.times) for step in group.steps][1:] == [("charge C/10 1200 s", 20), ("rest 3600 s", 20)]
    assert group.steps[1].ended_by == "time"


def test_one_step_alone_does_not_tell_what_ended_it() -> None:
    [group] = protocol(ProgrammedCell().charge(0.5).frame(), CAPACITY_AH).groups
    assert (group.steps[0].ended_by, group.steps[0].voltage_volt, group.upper_volt) == (None, None, None)


def test_constant_power_is_no_constant_current() -> None:
    volt = np.linspace(4.2, 3.0, 200)
    frame = pl.DataFrame(
        {"test_time_second": 30.0 * np.arange(1, 201), "voltage_volt": volt, "current_ampere": -5.0 / volt}
    )
    [step] = protocol(frame, CAPACITY_AH).groups[0].steps
    assert (step.kind, step.direction, step.c_rate) == ("constant_power", "discharge", pytest.approx(0.7, rel=0.1))
    assert step.power_watt == pytest.approx(5.0)


def test_many_currents_in_one_step_are_a_profile() -> None:
    cell = [Step(current, 60.0, voltage=3.7) for current in (1.0, -2.0, 0.5, -0.7) * 6]
    frame = logged(cell, 10.0).with_columns(step_count=1)
    found = protocol(frame, CAPACITY_AH)
    assert [step.kind for step in found.groups[0].steps] == ["profile"]


def test_the_same_protocol_is_found_in_cells_of_other_size_and_life() -> None:
    ours = protocol(FORMED.frame(noise=1e-4), CAPACITY_AH)
    scaled = cycled([(3, 0.1), (5, 0.5)]).frame(noise=1e-4, seed=2).with_columns(pl.col("current_ampere") * 3)
    longer, slower = protocol(scaled, 3 * CAPACITY_AH), protocol(cycled([(3, 0.1), (5, 0.2)]).frame(), CAPACITY_AH)
    lower = ProgrammedCell()
    for _ in range(3):
        lower.charge(0.1).hold(4.2, 0.02).rest(600).discharge(0.1).rest(600).next_cycle()
    for _ in range(5):
        lower.charge(0.5, 4.1).hold(4.1, 0.02).rest(600).discharge(0.5).rest(600).next_cycle()
    other = protocol(lower.frame(), CAPACITY_AH)
    assert same_protocol(ours, longer)
    assert ours.signature == longer.signature
    assert grouped([ours, slower, longer, other]) == [[0, 2], [1], [3]]


@pytest.mark.parametrize(
    ("current", "capacity", "text"),
    [(0.1, 1.0, "C/10"), (0.103, 1.0, "C/10"), (0.106, 1.0, "0.11C"), (3.0, 1.0, "3C"), (0.7, 1.0, "0.7C")],
)
def test_a_rate_is_called_round_within_three_per_cent(current: float, capacity: float, text: str) -> None:
    assert rate_text(current, capacity) == text


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"voltage_volt": [3.7], "current_ampere": [1.0]}, "column test_time_second not found"),
        (
            {"test_time_second": [0.0], "voltage_volt": [3.7], "current_ampere": [0.0]},
            "current_ampere is zero in 1",
        ),
        (
            {"test_time_second": [1.0], "voltage_volt": [3.7], "current_ampere": [1.0], "frequency_hertz": [10.0]},
            "all 1 records are points of a spectrum",
        ),
    ],
)
def test_data_without_a_protocol_say_why(columns: dict[str, list[float]], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        protocol(pl.DataFrame(columns))


def test_a_capacity_that_cannot_be_is_refused() -> None:
    with pytest.raises(AnalysisError, match=r"nominal_capacity_ah must be positive, got 0\.0"):
        protocol(FORMED.frame(), 0.0)


def test_a_real_file_follows_what_its_name_says() -> None:
    result = read(real("biologic/jdb11-1_c3_gcpl_5cycles_2V-3p8V_C-24_data_C09.mpr"))
    found = protocol(result.frame)
    last = found.groups[-1]
    assert last.label == "88.8 µA"
    assert (last.lower_volt, last.upper_volt) == pytest.approx((2.0, 3.8), abs=0.02)


def test_a_real_diagnosis_holds_its_voltage_to_a_cut_off() -> None:
    result = read(real("maccor/xTESLADIAG_000038con.078"))
    found = protocol(result.frame)
    assert found.summary == "8x 4.7 A"
    hold = next(step for step in found.groups[0].steps if step.kind == "constant_voltage")
    assert (hold.voltage_volt, hold.ended_by) == (pytest.approx(4.3, abs=0.005), "current")


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e4),
            st.none() | st.floats(-5, 5),
            st.none() | st.floats(-2, 2) | st.sampled_from([0.0, 1.0, -1.0]),
            st.none() | st.integers(0, 3),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([None, 1.0]),
    st.booleans(),
)
@example([(0.0, None, -1.0, None), (0.0, 2.2e-309, -0.75, None), (0.0, 1.0, None, None)], None, False)
def test_any_records_give_a_protocol_or_a_reason(
    rows: list[tuple[float, float | None, float | None, int | None]], nominal: float | None, steps: bool
) -> None:
    schema = {"test_time_second": pl.Float64, "voltage_volt": pl.Float64, "current_ampere": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema | {"step_count": pl.Int64}, orient="row").sort("test_time_second")
    try:
        found = protocol(frame if steps else frame.drop("step_count"), nominal)
    except AnalysisError as exc:
        assert str(exc).startswith("protocol: ")
    else:
        spans = found.executed.select(pl.col("last_record") - pl.col("first_record") + 1).to_series()
        assert spans.sum() == frame.height
        assert sum(group.cycles for group in found.groups) <= found.executed["cycle_count"].n_unique()
