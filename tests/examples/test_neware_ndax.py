"""Independent readers find in an encoded file what was put into it."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import fastnda
import NewareNDA
import numpy as np
import polars as pl
import pytest
from fastnda._ndc import read_ndc
from pytest import approx

from examples.bulk import many_records
from examples.neware_ndax import CHANGE, RUN_INFO_EVERY, StepSetting, write_ndax

STARTED_AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
CAPACITIES = ("step_charging_capacity_ah", "step_discharging_capacity_ah")
ENERGIES = ("step_charging_energy_wh", "step_discharging_energy_wh")


def write(path: Path, records: pl.DataFrame, **changes: object) -> Path:
    values: dict[str, object] = {"barcode": "LG012", "remark": "synthetic", "started_at": STARTED_AT} | changes
    write_ndax(path, records, **values)  # type: ignore[arg-type]
    return path


def single(records: pl.DataFrame, name: str, scale: float = 1.0) -> np.ndarray:
    """Values as the format holds them: single precision."""
    return np.float32(records[name].to_numpy()) * np.float32(scale)


def run_info(path: Path) -> np.ndarray:
    """Places, from 0, of the records with run information."""
    table = read_ndc(zipfile.ZipFile(path).read("data_runInfo.ndc"))
    return np.sort(table["index"].to_numpy()).astype(int) - 1


# Pages hold 495 rows of voltage, 72 of times, 990 of temperature; 3,000 records cross the borders of each.
@pytest.mark.parametrize("count", [1, 72, 73, 495, 496, 990, 3000])
def test_fastnda_reads_back_every_value(tmp_path: Path, count: int) -> None:
    records = many_records(count)
    path = write(tmp_path / "test.ndax", records)
    read = fastnda.read(path, cycle_mode="raw")
    assert read.height == count
    assert read["index"].to_list() == list(range(1, count + 1))
    np.testing.assert_array_equal(read["voltage_V"], single(records, "voltage_volt"))
    np.testing.assert_allclose(read["current_mA"], single(records, "current_ampere", 1000), rtol=2e-7)
    np.testing.assert_allclose(read["unix_time_s"], records["unix_time_second"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(read["step_time_s"], records["step_time_second"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(read["total_time_s"], records["test_time_second"], rtol=0, atol=1e-5)
    for name, ours in (("cycle_count", "cycle_count"), ("step_count", "step_count"), ("step_index", "step_id")):
        assert read[name].to_list() == records[ours].to_list()
    assert read["step_type"].cast(pl.String).to_list() == records["step_type"].to_list()
    np.testing.assert_allclose(read["aux1_temperature_degC"], single(records, "temperature_t1_celsius"))
    counters = {
        name: 1000 * (records[charging] - records[discharging]).to_numpy()
        for name, (charging, discharging) in (("capacity_mAh", CAPACITIES), ("energy_mWh", ENERGIES))
    }
    np.testing.assert_allclose(read["capacity_mAh"], counters["capacity_mAh"], rtol=3e-7)
    # Between rows of run information fastnda takes the voltage at the end of an interval for all of it.
    np.testing.assert_allclose(read["energy_mWh"], counters["energy_mWh"], rtol=CHANGE / 2)
    at = run_info(path)
    np.testing.assert_allclose(read["energy_mWh"].to_numpy()[at], counters["energy_mWh"][at], rtol=3e-7)


def test_newarenda_reads_back_every_value(tmp_path: Path) -> None:
    records = many_records(1200)
    path = write(tmp_path / "test.ndax", records)
    read = NewareNDA.read(str(path), software_cycle_number=False)
    assert len(read) == 1200
    np.testing.assert_array_equal(read["Voltage"], single(records, "voltage_volt"))
    np.testing.assert_allclose(read["Current(mA)"], single(records, "current_ampere", 1000), rtol=2e-7)
    np.testing.assert_allclose(read["Time"], records["step_time_second"], rtol=1e-7)
    assert read["Cycle"].tolist() == records["cycle_count"].to_list()
    assert read["Step"].tolist() == records["step_count"].to_list()
    assert read["Step_Index"].tolist() == records["step_id"].to_list()
    assert read["Status"].tolist() == records["step_type"].to_list()
    assert read["T1"].to_numpy() == approx(records["temperature_t1_celsius"].to_numpy(), rel=1e-6)
    at = run_info(path)
    for name, capacity, energy in zip(("Charge", "Discharge"), CAPACITIES, ENERGIES, strict=True):
        np.testing.assert_allclose(read[f"{name}_Capacity(mAh)"], single(records, capacity, 1000), rtol=3e-7)
        read_energy, true_energy = read[f"{name}_Energy(mWh)"].to_numpy(), single(records, energy, 1000)
        np.testing.assert_allclose(read_energy, true_energy, rtol=CHANGE / 2)
        np.testing.assert_allclose(read_energy[at], true_energy[at], rtol=3e-7)
    stamps = read["Timestamp"].map(lambda stamp: stamp.timestamp())
    np.testing.assert_allclose(stamps, records["unix_time_second"], rtol=0, atol=1e-3)


def test_run_information_is_as_sparse_as_testers_write_it(tmp_path: Path) -> None:
    records = many_records(20_000)
    at = run_info(write(tmp_path / "test.ndax", records))
    assert 0.07 < at.size / records.height < 0.26
    assert np.diff(at).max() == RUN_INFO_EVERY
    begins = np.flatnonzero(records["step_count"].diff().fill_null(1))
    wanted = np.concatenate((begins, begins + 1, begins[1:] - 1, [records.height - 1]))
    assert set(wanted.tolist()) <= set(at.tolist())


def test_irregular_times_come_back_to_the_millisecond(tmp_path: Path) -> None:
    # An interval is 15.001 s now and then; the computer's clock is set back and then runs on unsteadily.
    place = np.arange(2000)
    clock = np.where(place < 250, 0.0, -100.5) + np.where(place < 1500, 0, place % 7) / 1000
    records = many_records(2000).with_columns(
        (pl.col("step_time_second") * 1.00001).round(3), pl.col("unix_time_second") + pl.Series(clock)
    )
    read = fastnda.read(write(tmp_path / "test.ndax", records), cycle_mode="raw")
    np.testing.assert_allclose(read["step_time_s"], records["step_time_second"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(read["unix_time_s"], records["unix_time_second"], rtol=0, atol=1e-6)


def test_a_current_that_turns_within_a_step_is_counted_both_ways(tmp_path: Path) -> None:
    turn = np.tile(np.repeat([1.0, -1.0], 30), 5)  # A, for 10 s before each record
    charge = np.concatenate(([0.0], np.cumsum(turn[1:] * 10 / 3600)))
    moved = np.abs(np.diff(charge, prepend=0.0))
    both = {"charging": np.cumsum(moved * (turn > 0)), "discharging": np.cumsum(moved * (turn < 0))}
    time = np.arange(turn.size) * 10.0
    records = pl.DataFrame(
        {
            "voltage_volt": np.full(turn.size, 4.0),
            "current_ampere": turn,
            "cycle_count": 1,
            "step_count": 1,
            "step_id": 1,
            "step_type": "SIM",
            "step_time_second": time,
            "unix_time_second": time + STARTED_AT.timestamp(),
        }
        | {f"step_{way}_capacity_ah": amount for way, amount in both.items()}
        | {f"step_{way}_energy_wh": amount * 4.0 for way, amount in both.items()}
    )
    path = write(tmp_path / "test.ndax", records)
    assert run_info(path).size < 0.2 * records.height
    read = NewareNDA.read(str(path))
    for name, way in (("Charge", "charging"), ("Discharge", "discharging")):
        np.testing.assert_allclose(read[f"{name}_Capacity(mAh)"], 1000 * both[way], rtol=3e-7, atol=1e-6)
        np.testing.assert_allclose(read[f"{name}_Energy(mWh)"], 4000 * both[way], rtol=3e-7, atol=1e-6)


def test_files_larger_than_one_portion_of_pages_stay_in_order(tmp_path: Path) -> None:
    records = many_records(300_000)
    read = fastnda.read(write(tmp_path / "test.ndax", records, compress_level=1), cycle_mode="raw")
    assert read.height == 300_000
    np.testing.assert_array_equal(read["voltage_V"], single(records, "voltage_volt"))
    np.testing.assert_allclose(read["unix_time_s"], records["unix_time_second"], rtol=0, atol=1e-6)


def test_the_header_names_cell_comment_and_times(tmp_path: Path) -> None:
    records = many_records(600)
    written = write(tmp_path / "test.ndax", records, remark='5 < 6 & "quoted"', device=24, channel=3, test=8)
    info = fastnda.read_metadata(written)["TestInfo"]["TestInfo"]
    assert info["Barcode"] == "LG012"
    assert info["Remark"] == '5 < 6 & "quoted"'
    assert (info["DevID"], info["ChlID"], info["TestID"]) == ("24", "3", "8")
    assert info["StartTime"] == "2026-03-02 08:00:00"
    seconds = int(records["unix_time_second"][-1] - records["unix_time_second"][0])
    assert (datetime.fromisoformat(info["EndTime"]) - datetime(2026, 3, 2, 8)).total_seconds() == seconds


def test_letters_outside_the_header_s_encoding_are_kept(tmp_path: Path) -> None:
    written = write(tmp_path / "test.ndax", many_records(2), barcode="电池 Ω ø")
    text = zipfile.ZipFile(written).read("TestInfo.xml").decode("gb2312")
    assert 'Barcode="电池 Ω &#248;"' in text


def test_a_running_test_has_no_end_time(tmp_path: Path) -> None:
    written = write(tmp_path / "test.ndax", many_records(10), finished=False)
    assert "EndTime" not in fastnda.read_metadata(written)["TestInfo"]["TestInfo"]


def test_without_a_sensor_there_is_no_sensor_table(tmp_path: Path) -> None:
    written = write(tmp_path / "test.ndax", many_records(100).drop("temperature_t1_celsius"))
    assert not [name for name in zipfile.ZipFile(written).namelist() if "AUX" in name]
    assert not [name for name in fastnda.read(written).columns if name.startswith("aux")]


def test_the_programme_stands_in_the_step_file_in_the_vendor_s_units(tmp_path: Path) -> None:
    steps = [
        StepSetting(1, "CC_Chg", current_ampere=2.4, stop_volt=4.2),
        StepSetting(2, "Cycle", back_to=1, passes=50),
    ]
    written = write(tmp_path / "test.ndax", many_records(2), steps=steps)
    info = fastnda.read_metadata(written)["Step"]["Step_Info"]
    assert info["Num"] == "3"
    assert info["Step1"]["Step_Type"] == "1"
    assert info["Step1"]["Limit"]["Main"] == {"Curr": {"Value": "2400"}, "Stop_Volt": {"Value": "42000"}}
    assert info["Step2"]["Limit"]["Other"] == {"Start_Step": {"Value": "1"}, "Cycle_Count": {"Value": "50"}}
    assert info["Step3"]["Step_Type"] == "6"


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    records = many_records(1000)
    first = write(tmp_path / "first.ndax", records).read_bytes()
    assert write(tmp_path / "second.ndax", records).read_bytes() == first


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (many_records(10).clear(), "no records to write"),
        (many_records(10).with_columns(pl.col("step_count") + 1), r"must be 1, 2, 3, … in order, got \[2\]"),
        (many_records(10).with_columns(pl.lit("Boil").alias("step_type")), r"step_type \['Boil'\] has no Neware code"),
    ],
)
def test_records_that_cannot_be_written_are_refused(tmp_path: Path, records: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "test.ndax", records)
    assert not (tmp_path / "test.ndax").exists()
