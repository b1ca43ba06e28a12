"""Maccor text exports come out the same whatever their layout, units, signs, counters and damage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import HEAD_BYTES
from battery_analysis.readers.maccor import MaccorImpedance, MaccorText, MaccorWorkbook
from tests.readers.maccor_files import CHARGED_AH, DISCHARGED_AH, LAYOUTS, START, Layout, amps, milli, minutes, write
from tests.realdata import hostile, real, real_entries

READERS = (MaccorText(), MaccorWorkbook(), MaccorImpedance())
HEADER = ["Rec#", "Cyc#", "Step", "Test (Sec)", "Amps", "Volts", "State"]


def table(folder: Path, header: list[str], *rows: str) -> Path:
    path = folder / "cell.txt"
    lines = ["\t".join(header), *("\t".join(row.split()) for row in rows), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("interval", [60, 300])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_an_ideal_cell_is_ideal_in_every_layout(tmp_path: Path, layout: Layout, interval: int) -> None:
    result = ba.read(write(tmp_path, layout, interval=interval), time_zone="UTC")
    assert result.reader == "maccor_text"
    cycles = result.cycles
    assert cycles["cycle_count"].to_list() == [1, 2]
    assert cycles["charge_capacity_ah"].to_list() == pytest.approx([CHARGED_AH] * 2)
    assert cycles["discharge_capacity_ah"].to_list() == pytest.approx([DISCHARGED_AH] * 2)
    assert cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0, 1.0])
    assert cycles["charge_energy_wh"].to_list() == pytest.approx([3.8 * CHARGED_AH] * 2, rel=1e-5)
    assert cycles["mean_discharge_voltage_volt"].to_list() == pytest.approx([3.5, 3.5], rel=1e-5)
    assert cycles["capacity_method"].to_list() == ["counter", "counter"]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_times_signs_and_units_are_right_in_every_layout(tmp_path: Path, layout: Layout) -> None:
    result = ba.read(write(tmp_path, layout))
    frame = result.frame
    assert frame["test_time_second"][0] == pytest.approx(300.0)
    assert frame["test_time_second"][-1] == pytest.approx(25_200.0)
    assert frame["current_ampere"].min() == pytest.approx(-1.5)
    assert frame["current_ampere"].max() == pytest.approx(1.0)
    assert frame["voltage_volt"].max() == pytest.approx(3.8)
    assert frame["step_count"].max() == 12
    assert frame["step_id"].max() == 6
    assert result.metadata.started_at == START.replace(tzinfo=UTC)
    assert frame["unix_time_second"][0] == START.replace(tzinfo=UTC).timestamp() + 300


@pytest.mark.parametrize("day", ["11/23/2023", "23 November 2023, 9:30:00 AM", "23-Nov-23"])
@pytest.mark.parametrize("form", ["%H:%M:%S", "%I:%M:%S %p"])
def test_stamps_without_a_date_get_that_of_the_test_and_go_on_over_midnight(
    tmp_path: Path, day: str, form: str
) -> None:
    times = [60.0 * minute for minute in (0, 30, 60, 600, 900, 1440, 1500, 4400)]
    clocks = [START + timedelta(seconds=time + (1200 if time > 3600 else 0)) for time in times]  # a pause
    rows = [
        f"{at}\t1\t1\t{time:.0f}\t0.5\t3.7\tC\t{clock:{form}}"
        for at, (time, clock) in enumerate(zip(times, clocks, strict=True), 1)
    ]
    path = tmp_path / "cell.001"
    path.write_text("\n".join([f"Date of Test:\t{day}", "\t".join([*HEADER, "DPt Time"]), *rows, ""]))
    result = ba.read(path)
    assert result.frame["unix_time_second"].to_list() == [clock.replace(tzinfo=UTC).timestamp() for clock in clocks]
    assert result.metadata.started_at == START.replace(tzinfo=UTC)


def test_times_that_damage_has_made_impossible_get_no_date(tmp_path: Path) -> None:
    path = tmp_path / "cell.001"
    rows = ["1\t1\t1\t0\t0.5\t3.7\tC\t09:30:00", "2\t1\t1\t1e300\t0.5\t3.7\tC\t09:30:10"]
    path.write_text("\n".join(["Date of Test:\t11/23/2023", "\t".join([*HEADER, "DPt Time"]), *rows, ""]))
    clock = ba.read(path).frame["unix_time_second"]
    assert clock.to_list() == [START.replace(tzinfo=UTC).timestamp(), None]


def test_the_header_says_channel_procedure_and_comment(tmp_path: Path) -> None:
    metadata = ba.read(write(tmp_path, amps)).metadata
    assert (metadata.channel, metadata.test_name, metadata.protocol, metadata.comment) == (
        "7",
        "cell_01",
        "cycling.000",
        "ideal",
    )
    metadata = ba.read(write(tmp_path, minutes)).metadata
    assert (metadata.channel, metadata.device, metadata.test_name) == ("81", "Maccor #4", "KIT-013")
    assert metadata.voltage_limits_volt == (0.0, 6.0)


def test_a_column_of_units_names_the_unit_of_the_column_before(tmp_path: Path) -> None:
    result = ba.read(write(tmp_path, amps))
    assert result.frame["temperature_t1_celsius"].unique().to_list() == [25.0]
    assert result.frame["aux_aux_2"].unique().to_list() == [1.5]
    assert result.metadata.sources["aux_aux_2"].unit == "bar"
    assert result.warnings == []


def test_a_resistance_that_was_not_measured_stays_empty(tmp_path: Path) -> None:
    frame = ba.read(write(tmp_path, amps)).frame
    measured = frame.filter(pl.col("dc_internal_resistance_ohm").is_not_null())
    assert measured["step_id"].unique().to_list() == [5]
    assert measured["dc_internal_resistance_ohm"].unique().to_list() == [0.05]


def test_a_voltage_in_millivolts_is_found_out_and_said(tmp_path: Path) -> None:
    result = ba.read(write(tmp_path, milli))
    assert result.warnings == [
        "column 'Volts': the voltage column holds mV: energy divided by capacity is a thousandth of it"
    ]
    assert result.metadata.sources["voltage_volt"].unit == "mV"
    assert result.metadata.sources["current_ampere"].unit == "mA"


def test_counters_that_go_on_over_steps_of_one_direction_are_told_apart(tmp_path: Path) -> None:
    assert "step_cumulative_capacity_ah" in ba.read(write(tmp_path, amps)).frame.columns
    assert "schedule_charging_capacity_ah" in ba.read(write(tmp_path, milli)).frame.columns


def test_a_suspended_test_follows_its_step(tmp_path: Path) -> None:
    rows = ["1 1 1 10 0.5 3.5 D", "2 1 1 20 0.4 3.5 S", "3 1 1 30 0.5 3.4 D", "4 1 2 40 0 3.5 O"]
    result = ba.read(table(tmp_path, HEADER, *rows))
    assert result.frame["current_ampere"].to_list() == [-0.5, -0.4, -0.5, 0.0]
    assert result.frame["step_count"].to_list() == [1, 1, 1, 2]
    assert result.metadata.finished is True
    assert result.warnings == []


def test_a_direction_that_no_state_tells_is_said(tmp_path: Path) -> None:
    result = ba.read(table(tmp_path, HEADER, "1 1 1 10 0.5 3.5 C", "2 1 2 20 0.4 3.5 W"))
    assert result.warnings == ["the direction of the current is not told in 1 record of state W; kept as written"]


def test_a_current_positive_on_discharge_is_turned_by_its_states(tmp_path: Path) -> None:
    result = ba.read(table(tmp_path, HEADER, "1 1 1 10 -0.5 3.5 C", "2 1 2 20 0.4 3.5 D"))
    assert result.frame["current_ampere"].to_list() == [0.5, -0.4]
    assert len(result.warnings) == 1


def test_currents_without_sign_and_state_are_said(tmp_path: Path) -> None:
    result = ba.read(table(tmp_path, HEADER[:-1], "1 1 1 10 0.5 3.5", "2 1 2 20 0.4 3.5"))
    assert result.warnings == [
        "no column tells charge from discharge, and no current is negative; currents are kept as written"
    ]


def test_a_time_without_a_unit_is_told_by_the_charge(tmp_path: Path) -> None:
    header = ["Cyc#", "Step", "TestTime", "Amp-hr", "Amps", "Volts"]
    in_minutes = table(tmp_path, header, "0 1 0 0 1 3.5", "0 1 30 0.5 1 3.5", "0 1 60 1 -1 3.5")
    assert ba.read(in_minutes).frame["test_time_second"][-1] == 3600.0
    in_hours = table(tmp_path, header, "0 1 0 0 1 3.5", "0 1 0.5 0.5 1 3.5", "0 1 1 1 -1 3.5")
    assert ba.read(in_hours).frame["test_time_second"][-1] == 3600.0
    nothing = ba.read(table(tmp_path, header, "0 1 0 0 0 3.5", "0 1 60 0 0 3.5"))
    assert nothing.frame["test_time_second"][-1] == 3600.0
    assert "taken as minutes" in nothing.warnings[0]


def test_the_extension_is_the_channel_and_a_late_first_record_a_continuation(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER, "501 1 1 10 0.5 3.5 C")
    path = path.rename(tmp_path / "cell.041")
    metadata = ba.read(path).metadata
    assert metadata.channel == "41"
    assert metadata.continuation is True


def test_a_missing_or_unknown_column_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, ["Rec#", "Cyc#", "Step", "Test (Sec)", "Amps [furlong]", "Volts"], "1 1 1 10 0.5 3.5")
    with pytest.raises(CorruptFileError, match=r"unit 'furlong' of column 'Amps \[furlong\]' is not known"):
        ba.read(path)
    with pytest.raises(CorruptFileError, match="no line of column names"):
        MaccorText().read(table(tmp_path, ["Rec#", "Cyc#", "Step", "Amps"], "1 1 1 0.5"))
    with pytest.raises(CorruptFileError, match="no data rows"):
        ba.read(table(tmp_path, HEADER))


@pytest.mark.parametrize("layout", [amps, minutes], ids=["amps", "minutes"])
def test_a_file_cut_anywhere_gives_the_records_before_the_cut(tmp_path: Path, layout: Layout) -> None:
    path = write(tmp_path, layout)
    content, whole = path.read_bytes(), MaccorText().read(path).frame
    for length in range(900, len(content), 131):
        path.write_bytes(content[:length])
        reading = MaccorText().read(path)
        rows = content[:length].count(b"\n") - (len(content.splitlines()) - whole.height)
        assert reading.frame.height in (rows, rows + 1)  # a line may be cut in its last cell
        assert reading.frame["test_time_second"].head(rows).equals(whole["test_time_second"].head(rows))
        assert reading.frame.height == rows + 1 or content[:length].endswith(b"\n") or reading.warnings


def maccor_entries() -> list[dict[str, Any]]:
    return real_entries("maccor")


@pytest.mark.parametrize("entry", maccor_entries(), ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict[str, Any]) -> None:
    result, reference = ba.read(real(entry["path"])), entry["reference"]
    cut = reference.get("incomplete_rows", 0)
    assert result.frame.height == reference["rows"] - cut
    for name, key in (("voltage_volt", "voltage_V"), ("current_ampere", "current_A")):
        if key in reference:
            assert result.frame[name].min() == pytest.approx(reference[key]["min"], rel=2e-5)
            assert result.frame[name].max() == pytest.approx(reference[key]["max"], rel=2e-5)
    time = result.frame["test_time_second"]
    assert time[0] == pytest.approx(reference["test_time_s"]["first"])
    assert cut or time[-1] == pytest.approx(reference["test_time_s"]["last"])
    capacities = reference.get("capacity", {}).get("per_cycle", [])
    for end, column in (("charge_Ah", "charge_capacity_ah"), ("discharge_Ah", "discharge_capacity_ah")):
        expected = sum(cycle[end] for cycle in capacities)
        # Only some cycles of long files are in the reference, and all of one that never left its cycle.
        numbers = [cycle["cycle"] for cycle in capacities]
        known = result.cycles if len(numbers) == 1 else result.cycles.filter(pl.col("cycle_count").is_in(numbers))
        assert known[column].sum() == pytest.approx(expected, rel=2e-3, abs=1e-9)
    if "states" in reference:
        words = result.frame["step_type"].value_counts()
        counted = dict(words.iter_rows())
        assert {state: counted[state] for state in reference["states"] if state != "nan"} == {
            state: count for state, count in reference["states"].items() if state != "nan"
        }


def test_the_spectrum_has_its_physical_sign() -> None:
    result = ba.read(real("maccor/maccor_test_file_4267-66-6519.EDA0001.041"))
    reference = {each["path"]: each for each in maccor_entries()}["maccor/maccor_test_file_4267-66-6519.EDA0001.041"][
        "reference"
    ]["eis"]
    assert result.reader == "maccor_impedance"
    for at, point in ((0, reference["first_point"]), (-1, reference["last_point"])):
        assert result.frame["frequency_hertz"][at] == pytest.approx(point["freq_Hz"])
        assert result.frame["real_impedance_ohm"][at] == pytest.approx(point["Re_Ohm"])
        assert result.frame["imaginary_impedance_ohm"][at] == pytest.approx(point["Im_Ohm"])
    assert result.metadata.started_at == datetime(2016, 11, 2, 15, 58, tzinfo=UTC)
    assert (result.metadata.channel, result.metadata.test_type) == ("41", "eis")


def test_a_test_and_its_spectrum_name_the_same_procedure() -> None:
    test, spectrum = (
        ba.read(real(f"maccor/maccor_test_file_4267-66-6519{ending}")).metadata for ending in (".041", ".EDA0001.041")
    )
    assert (test.protocol, test.comment) == (spectrum.protocol, spectrum.comment) == ("EIS 1.000", "FRA default")


@pytest.mark.parametrize(
    "entry", [each for each in real_entries() if each["vendor"] != "maccor"], ids=lambda entry: entry["path"]
)
def test_real_files_of_other_testers_are_not_claimed(entry: dict[str, Any]) -> None:
    path = real(entry["path"])
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    assert not any(reader.recognises(head, path) for reader in READERS)


def test_files_in_the_names_of_landt_are_not_claimed() -> None:
    head = b"Rec#\tCyc#\tStep\tTest(Sec)\tAmps\tVolts\tState\tDPt-Time\n1\t1\t1\t0\t0\t3.5\tR\t11/23/2023 09:30:00\n"
    assert not MaccorText().recognises(head, Path("x.txt"))
    assert MaccorText().recognises(head.replace(b"DPt-Time", b"DPt Time"), Path("x.txt"))


def test_a_line_cut_in_the_middle_is_left_out_with_a_warning() -> None:
    result = ba.read(hostile("truncated_midrow.078"))
    assert result.frame.height == 1939
    assert any("the last line is incomplete" in warning for warning in result.warnings)
