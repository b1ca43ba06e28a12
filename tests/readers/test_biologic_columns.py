"""Columns of EC-Lab and BT-Lab, as canonical columns."""

from __future__ import annotations

import polars as pl
import pytest

from battery_analysis.columns import conform
from battery_analysis.readers.biologic_columns import split_label, to_frame


def frame_of(raw: dict[str, list[float]], technique: str = "Modulo Bat", **known: object) -> pl.DataFrame:
    frame, sources = to_frame(pl.DataFrame(raw), technique, **known)  # type: ignore[arg-type]
    assert set(sources) == set(frame.columns)
    return frame


@pytest.mark.parametrize(
    ("label", "value", "name", "expected"),
    [
        ("I/mA", 1500.0, "current_ampere", 1.5),
        ("<I>/mA", 1500.0, "current_ampere", 1.5),
        ("I/A", 1.5, "current_ampere", 1.5),
        ("I/µA", 1500.0, "current_ampere", 1.5e-3),
        ("Ewe/V", 3.7, "voltage_volt", 3.7),
        ("<Ewe>/V", 3.7, "voltage_volt", 3.7),
        ("Ewe/mV", 3700.0, "voltage_volt", 3.7),
        ("Ecell/V", 3.7, "voltage_volt", 3.7),
        ("Ewe-Ece/V", 3.7, "voltage_volt", 3.7),
        ("time/h", 0.5, "test_time_second", 1800.0),
        ("P/mW", 250.0, "power_watt", 0.25),
        ("Energy charge/mW.h", 250.0, "cycle_charging_energy_wh", 0.25),
        ("(Q-Qo)/C", 3600.0, "net_capacity_ah", 1.0),
        ("(Q-Qo)/mA.h", 1000.0, "net_capacity_ah", 1.0),
        ("-Im(Z)/Ohm", 2.0, "imaginary_impedance_ohm", -2.0),
        ("Phase(Z)/deg", -45.0, "phase_degree", -45.0),
        ("Temperature/°C", 25.0, "ambient_temperature_celsius", 25.0),
        ("Temperature/\ufffdC", 25.0, "ambient_temperature_celsius", 25.0),
        ("Temperature/ï¿½C", 25.0, "ambient_temperature_celsius", 25.0),
        ("Rdc/Ohm", 0.1, "dc_internal_resistance_ohm", 0.1),
        ("R/Ohm", 37.0, "aux_r_ohm", 37.0),
        ("Q charge/discharge/mA.h", 2.0, "aux_q_charge_discharge_ma_h", 2.0),
        ("control/V/mA", 4.2, "aux_control_v_ma", 4.2),
    ],
)
def test_a_label_says_quantity_and_unit(label: str, value: float, name: str, expected: float) -> None:
    assert frame_of({label: [value]})[name][0] == pytest.approx(expected)


def test_a_slash_without_a_unit_belongs_to_the_name() -> None:
    assert split_label("Acir/Dcir Control") == ("Acir/Dcir Control", "")
    assert split_label("control/V/mA") == ("control", "V/mA")


def test_the_voltage_is_ewe_and_the_others_are_kept_beside_it() -> None:
    frame = frame_of({"Ece/V": [0.1], "Ewe-Ece/V": [3.6], "Ewe/V": [3.7]})
    assert frame.to_dicts() == [{"voltage_volt": 3.7, "aux_ece_v": 0.1, "aux_ewe_ece_v": 3.6}]


def test_without_a_current_the_charge_of_each_interval_gives_it() -> None:
    frame = frame_of({"time/s": [10.0, 20.0, 20.0, 30.0], "dq/mA.h": [5.0, 1.0, 1.0, -2.0]})
    current = frame["current_ampere"]
    assert current[0] is None, "the first interval is unknown"
    assert current[1] == pytest.approx(0.36)
    assert current[2] is None, "no charge flows in no time"
    assert current[3] == pytest.approx(-0.72)


def test_a_recorded_current_is_never_replaced() -> None:
    frame = frame_of({"time/s": [0.0, 10.0], "dq/mA.h": [0.0, 1.0], "I/mA": [7.0, 8.0]})
    assert frame["current_ampere"].to_list() == pytest.approx([7e-3, 8e-3])


def test_net_capacity_is_the_sum_of_the_intervals_whatever_the_offset_of_the_counter() -> None:
    frame = frame_of({"dq/mA.h": [0.0, 1.0, -3.0], "(Q-Qo)/mA.h": [500.0, 501.0, 498.0]})
    assert frame["net_capacity_ah"].to_list() == pytest.approx([0.0, 1e-3, -2e-3])
    assert frame["aux_q_qo_ma_h"].to_list() == [500.0, 501.0, 498.0]


def test_without_intervals_a_counter_started_again_by_a_loop_goes_on() -> None:
    frame = frame_of({"(Q-Qo)/mA.h": [1.0, 4.0, 0.1, 2.0]}, loop_starts=[0, 2, 4])
    assert frame["net_capacity_ah"].to_list() == pytest.approx([1e-3, 4e-3, 4.1e-3, 6e-3])


def test_a_discharge_is_no_restart() -> None:
    frame = frame_of({"(Q-Qo)/mA.h": [1.0, 4.0, 0.1, 2.0]})
    assert frame["net_capacity_ah"].to_list() == pytest.approx([1e-3, 4e-3, 1e-4, 2e-3])


def test_a_half_cycle_counter_alone_gives_the_net_capacity_too() -> None:
    raw = {"Q charge/discharge/mA.h": [1.0, 3.0, -1.0, -2.0, 1.0], "half cycle": [0, 0, 1, 1, 2]}
    frame = frame_of(raw)
    assert frame["net_capacity_ah"].to_list() == pytest.approx([1e-3, 3e-3, 2e-3, 1e-3, 2e-3])
    assert frame["cycle_count"].to_list() == [0, 0, 0, 0, 1]


def test_the_programs_own_cycle_number_comes_before_half_cycles() -> None:
    frame = frame_of({"half cycle": [4, 5], "cycle number": [7.0, 7.0]})
    assert frame["cycle_count"].to_list() == [7.0, 7.0]
    assert frame["aux_half_cycle"].to_list() == [4, 5]


def test_a_step_changes_with_sequence_mode_and_loop() -> None:
    raw = {"mode": [1, 2, 3, 1, 1], "Ns": [0, 0, 0, 1, 1]}
    frame = frame_of(raw, "Galvanostatic Cycling with Potential Limitation", loop_starts=[4])
    assert frame["step_count"].to_list() == [1, 2, 3, 4, 5]
    assert frame["step_type"].to_list() == ["CC", "CV", "Rest", "CC", "CC"]


def test_the_header_knows_the_kind_of_a_sequence_better_than_the_mode() -> None:
    frame = frame_of({"mode": [3, 1], "Ns": [0, 1]}, sequence_types={0: "Rest", 1: "CP"})
    assert frame["step_type"].to_list() == ["Rest", "CP"]


def test_a_sweep_is_no_constant_voltage() -> None:
    assert frame_of({"mode": [2]}, "Cyclic Voltammetry")["step_type"].to_list() == ["potentiostatic"]


def test_discharged_energy_is_positive_in_every_version() -> None:
    frame = frame_of({"Energy discharge/W.h": [0.0, -0.5]})
    assert frame["cycle_discharging_energy_wh"].to_list() == [0.0, 0.5]


def test_records_between_impedance_points_have_no_impedance() -> None:
    raw = {"time/s": [0.0, 1.0], "Ewe/V": [3.7, 3.7], "freq/Hz": [0.0, 10.0], "Re(Z)/Ohm": [0.0, 1.0]}
    frame = frame_of({**raw, "-Im(Z)/Ohm": [0.0, 2.0], "|Z|/Ohm": [0.0, 2.2], "Phase(Z)/deg": [0.0, -63.0]})
    assert frame["frequency_hertz"].to_list() == [None, 10.0]
    assert frame["imaginary_impedance_ohm"].to_list() == [None, -2.0]
    assert frame["phase_degree"].to_list() == [None, -63.0]


def test_single_precision_is_widened_before_it_is_scaled() -> None:
    raw = pl.DataFrame({"time/s": [0.0], "Ewe/V": [3.7], "I/mA": [0.1]}, schema_overrides={"I/mA": pl.Float32})
    frame, _ = to_frame(raw, None)
    assert conform(frame).frame["current_ampere"][0] == float(raw["I/mA"].cast(pl.Float64)[0]) * 1e-3
