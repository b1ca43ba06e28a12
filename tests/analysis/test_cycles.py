"""The cycle table says what is known of ideal cells."""

import itertools

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battery_analysis.analysis.cycles import CYCLE_SCHEMA, number_cycles, summarise_cycles
from tests.analysis.cells import Step, ideal_cycles, logged, with_counters

NO_STEPS = ["step_count", "step_type", "step_time_second"]


@pytest.mark.parametrize("every", [10.0, 60.0, 300.0])
@pytest.mark.parametrize("dropped", [[], NO_STEPS[:2], ["step_count", "step_time_second"]])
def test_an_ideal_cell_has_a_coulombic_efficiency_of_exactly_one(every: float, dropped: list[str]) -> None:
    cycles = summarise_cycles(logged(ideal_cycles(3), every).drop(dropped))
    assert cycles["capacity_method"].to_list() == ["integrated"] * 3
    unknown = every if "step_time_second" in dropped else 0.0  # the interval of the very first record
    assert cycles["charge_capacity_ah"][0] == (3600 - unknown) / 3600
    assert cycles["coulombic_efficiency"].to_list()[bool(unknown) :] == [1.0] * (2 if unknown else 3)
    assert cycles["discharge_capacity_ah"].to_list() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("every", [10.0, 60.0, 300.0])
@pytest.mark.parametrize(
    ("direction", "reset"),
    [("pair", "schedule"), *itertools.product(["pair", "cumulative", "net"], ["step", "cycle", "never"])],
)
def test_counters_agree_however_they_are_reset(every: float, direction: str, reset: str) -> None:
    cycles = summarise_cycles(with_counters(logged(ideal_cycles(3), every), direction, reset))
    assert cycles["capacity_method"].to_list() == ["counter"] * 3
    assert cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0, 1.0], rel=1e-12)
    assert cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0, 1.0, 1.0], rel=1e-12)


def test_every_column_is_there_and_right() -> None:
    steps = [
        Step(2.0, 1800, 7, 4.1, "CC_Chg"),
        Step(1.0, 1800, 7, 4.2, "CV_Chg"),
        Step(0.0, 600, 7, 4.0, "Rest"),
        Step(-1.0, 3600, 7, 3.0, "CC_DChg"),
        Step(0.0, 600, 7, 3.3, "Rest"),
    ]
    frame = logged(steps, 60.0).with_columns(
        internal_resistance_ohm=pl.when(pl.col("step_count") == 3).then(0.05).otherwise(0.0),
        ambient_temperature_celsius=pl.lit(20.0),
        temperature_t1_celsius=25.0 + pl.col("step_count"),
    )
    cycle = summarise_cycles(frame).row(0, named=True)
    assert cycle == {
        "cycle_count": 7,
        "first_record": 0,
        "records": 140,
        "start_time_second": 60.0,
        "end_time_second": 8400.0,
        "charge_capacity_ah": 1.5,
        "discharge_capacity_ah": 1.0,
        "charge_energy_wh": pytest.approx(6.2),
        "discharge_energy_wh": pytest.approx(3.0),
        "coulombic_efficiency": 1.0 / 1.5,
        "energy_efficiency": pytest.approx(3.0 / 6.2),
        "voltage_efficiency": pytest.approx(3.0 / (6.2 / 1.5)),
        "mean_charge_voltage_volt": pytest.approx(6.2 / 1.5),
        "mean_discharge_voltage_volt": pytest.approx(3.0),
        "min_voltage_volt": 3.0,
        "max_voltage_volt": 4.2,
        "min_current_ampere": -1.0,
        "max_current_ampere": 2.0,
        "min_temperature_celsius": 26.0,
        "max_temperature_celsius": 30.0,
        "charge_time_second": 3600.0,
        "discharge_time_second": 3600.0,
        "rest_time_second": 1200.0,
        "cc_charge_capacity_ah": 1.0,
        "cc_charge_time_second": 1800.0,
        "cv_charge_capacity_ah": 0.5,
        "cv_charge_time_second": 1800.0,
        "internal_resistance_ohm": 0.05,
        "first_direction": "charge",
        "complete": True,
        "has_gap": False,
        "capacity_method": "integrated",
        "energy_method": "integrated",
    }


def test_a_test_without_current_has_an_empty_table_of_the_same_shape() -> None:
    ocv = logged([Step(0.0, 600)], 60.0).with_columns(current_ampere=pl.lit(None, pl.Float64))
    for frame in (ocv, ocv.drop("current_ampere"), pl.DataFrame({"frequency_hertz": [1.0]})):
        assert summarise_cycles(frame).schema == pl.Schema(CYCLE_SCHEMA)
        assert summarise_cycles(frame).height == 0


def test_a_resting_test_has_a_cycle_in_which_nothing_flowed() -> None:
    cycle = summarise_cycles(logged([Step(0.0, 600)], 60.0)).row(0, named=True)
    assert (cycle["charge_capacity_ah"], cycle["rest_time_second"], cycle["first_direction"]) == (0.0, 600.0, None)


def test_a_cycle_number_that_comes_back_is_one_cycle() -> None:
    steps = [Step(1.0, 3600, 2), Step(1.0, 3600, 1), Step(-1.0, 3600, 2), Step(0.0, 60, 2)]
    cycles = summarise_cycles(logged(steps, 60.0))
    assert cycles["cycle_count"].to_list() == [2, 1]
    assert cycles["charge_capacity_ah"].to_list() == [1.0, 1.0]
    assert cycles["first_record"].to_list() == [0, 60]
    assert cycles["records"].to_list() == [121, 60]
    assert cycles["end_time_second"].to_list() == [10860.0, 7200.0]


@pytest.mark.parametrize(
    ("steps", "finished", "complete"),
    [
        ([Step(1.0, 3600), Step(-1.0, 3600)], False, False),
        ([Step(1.0, 3600), Step(-1.0, 3600)], True, True),
        ([Step(1.0, 3600), Step(-1.0, 3600), Step(0.0, 60)], False, True),
        ([Step(1.0, 3600), Step(0.0, 60)], True, False),
        ([Step(-1.0, 3600), Step(1.0, 3600), Step(-1.0, 60)], False, True),
    ],
)
def test_a_cycle_is_complete_once_its_second_direction_was_left(
    steps: list[Step], finished: bool, complete: bool
) -> None:
    cycle = summarise_cycles(logged(steps, 60.0), finished=finished).row(0, named=True)
    assert cycle["complete"] is complete
    assert (cycle["coulombic_efficiency"] is not None) is complete


def test_an_incomplete_last_cycle_is_kept() -> None:
    frame = logged(ideal_cycles(2), 60.0)
    cycles = summarise_cycles(frame.head(frame.height - 40))
    assert cycles["complete"].to_list() == [True, False]
    assert cycles["coulombic_efficiency"].to_list() == [1.0, None]


def test_a_cccv_step_splits_where_the_voltage_is_held() -> None:
    steps = [Step(1.0, 1800, 1, 4.0), Step(1.0, 60, 1, 4.2), Step(0.5, 1800, 1, 4.2), Step(-1.0, 3600, 1, 3.0)]
    frame = logged(steps, 60.0).with_columns(
        step_count=pl.when(pl.col("step_count") < 4).then(1).otherwise(2),
        step_type=pl.when(pl.col("step_count") < 4).then(pl.lit("CCCV_Chg")).otherwise(pl.lit("CC_DChg")),
    )
    cycle = summarise_cycles(frame).row(0, named=True)
    assert cycle["cc_charge_time_second"] == 1800.0
    assert cycle["cv_charge_time_second"] == 1860.0
    assert cycle["cc_charge_capacity_ah"] + cycle["cv_charge_capacity_ah"] == pytest.approx(cycle["charge_capacity_ah"])


def test_a_cccv_step_that_never_held_is_constant_current() -> None:
    frame = logged([Step(1.0, 1800, 1, 4.0, "CCCV_Chg")], 60.0)
    cycle = summarise_cycles(frame).row(0, named=True)
    assert (cycle["cc_charge_time_second"], cycle["cv_charge_time_second"]) == (1800.0, 0.0)


def test_parts_of_charging_are_unknown_where_no_step_tells() -> None:
    cycle = summarise_cycles(logged(ideal_cycles(1), 60.0).drop("step_type")).row(0, named=True)
    assert cycle["cc_charge_capacity_ah"] is None
    assert cycle["cv_charge_time_second"] is None


def test_energy_stays_positive_where_the_voltage_is_negative() -> None:
    cycle = summarise_cycles(logged([Step(1.0, 3600, 1, 0.1), Step(-1.0, 3600, 1, -0.1)], 60.0)).row(0, named=True)
    assert cycle["charge_energy_wh"] == pytest.approx(0.1)
    assert cycle["discharge_energy_wh"] == pytest.approx(0.1)


def test_energy_is_integrated_beside_counters_of_capacity() -> None:
    cycle = summarise_cycles(with_counters(logged(ideal_cycles(1), 60.0), "pair", "never")).row(0, named=True)
    assert (cycle["capacity_method"], cycle["energy_method"]) == ("counter", "integrated")
    assert cycle["charge_energy_wh"] == pytest.approx(4.0)


currents = st.floats(0.01, 10.0).map(lambda size: round(size, 3))
steps = st.lists(
    st.builds(Step, current=currents | currents.map(lambda size: -size) | st.just(0.0), seconds=st.integers(60, 7200)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps, st.sampled_from([10.0, 60.0, 300.0]), st.sampled_from(["pair", "cumulative", "net"]))
def test_integrals_and_counters_both_give_what_flowed(steps: list[Step], every: float, direction: str) -> None:
    into = sum(step.current * step.seconds for step in steps if step.current > 0) / 3600
    out_of = -sum(step.current * step.seconds for step in steps if step.current < 0) / 3600
    frame = logged(steps, every)
    for each in (frame, *(with_counters(frame, direction, reset) for reset in ("step", "never"))):
        cycle = summarise_cycles(each).row(0, named=True)
        assert cycle["has_gap"] is False
        assert cycle["charge_capacity_ah"] == pytest.approx(into, rel=1e-9, abs=1e-12)
        assert cycle["discharge_capacity_ah"] == pytest.approx(out_of, rel=1e-9, abs=1e-12)
        assert cycle["records"] == frame.height
        seconds = sum(cycle[f"{way}_time_second"] for way in ("charge", "discharge", "rest"))
        assert seconds == pytest.approx(frame["test_time_second"][-1])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.floats(1e-6, 10.0), st.sampled_from([10.0, 300.0]))
def test_derived_cycles_do_not_depend_on_the_size_of_the_current(count: int, current: float, every: float) -> None:
    frame = logged(ideal_cycles(count, current=current), every).with_columns(cycle_count=pl.lit(1))
    numbered, method = number_cycles(frame)
    assert method == ("tester" if count == 1 else "derived")
    assert summarise_cycles(numbered).height == count


def test_a_charge_that_is_hardly_a_number_has_no_mean_voltage() -> None:
    frame = pl.DataFrame(
        {
            "test_time_second": [0.0, 3600.0, 7200.0],
            "current_ampere": [0.0, 1.0, -1.0],
            "cycle_count": [1, 1, 1],
            "charging_capacity_ah": [0.0, 5e-324, 5e-324],
            "discharging_capacity_ah": [0.0, 0.0, 1.0],
            "charging_energy_wh": [0.0, 3.7, 3.7],
            "discharging_energy_wh": [0.0, 0.0, 3.5],
        }
    )
    cycle = summarise_cycles(frame).row(0, named=True)
    assert (cycle["mean_charge_voltage_volt"], cycle["mean_discharge_voltage_volt"]) == (None, 3.5)


def test_a_spectrum_has_no_cycles_whatever_current_flowed_beside_it() -> None:
    spectrum = pl.DataFrame(
        {
            "test_time_second": [0.0, 1.0, 2.0, 3.0, 4.0],
            "current_ampere": [1e-3, -1e-3, 1e-3, -1e-3, 1e-3],
            "frequency_hertz": [1e4, 1e3, 1e2, 10.0, 1.0],
        }
    )
    assert number_cycles(spectrum) == (spectrum, None)
    assert summarise_cycles(spectrum).height == 0
    with_pulses = spectrum.with_columns(frequency_hertz=pl.Series([1e4, None, None, None, 1e4]))
    assert summarise_cycles(with_pulses).height == 3
