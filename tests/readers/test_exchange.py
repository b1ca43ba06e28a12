"""batteryarchive.org, PyProBE, aurora and Voltaiq: an ideal cell in each layout, recognition, damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from pytest import approx

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.aurora import AuroraParquet
from battery_analysis.readers.battery_archive import BatteryArchiveCsv
from battery_analysis.readers.pyprobe import PyProbeParquet
from battery_analysis.readers.voltaiq import VoltaiqCsv
from battery_analysis.reading import read, read_head
from tests.analysis.cells import ideal_cycles, logged, with_counters
from tests.realdata import real, real_entries

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def cell(every: float = 60) -> pl.DataFrame:
    """Two ideal cycles of 1 Ah, with a clock."""
    frame = logged(ideal_cycles(2), every)
    return frame.with_columns(unix=pl.col("test_time_second") + START.timestamp())


def stamps(column: str) -> pl.Expr:
    return pl.from_epoch((pl.col(column) * 1e6).cast(pl.Int64), "us")


def battery_archive(folder: Path, frame: pl.DataFrame) -> Path:
    counted = with_counters(frame, "pair", "cycle")
    path = folder / "cell_timeseries.csv"
    counted.select(
        stamps("unix").dt.strftime("%Y-%m-%d %H:%M:%S%.3f").alias("Date_Time"),
        pl.col("test_time_second").alias("Test_Time (s)"),
        pl.col("cycle_count").cast(pl.Float64).alias("Cycle_Index"),
        pl.col("current_ampere").alias("Current (A)"),
        pl.col("voltage_volt").alias("Voltage (V)"),
        pl.col("cycle_charging_capacity_ah").alias("Charge_Capacity (Ah)"),
        pl.col("cycle_discharging_capacity_ah").alias("Discharge_Capacity (Ah)"),
        pl.lit(25.0).alias("Environment_Temperature (C)"),
        pl.lit(None, pl.Float64).alias("Cell_Temperature (C)"),
    ).write_csv(path)
    return path


def pyprobe(folder: Path, frame: pl.DataFrame) -> Path:
    counted = with_counters(frame, "net", "never")
    path = folder / "cell.parquet"
    counted.select(
        stamps("unix").alias("Date"),
        pl.col("step_count").cast(pl.UInt64).alias("Step"),
        pl.col("test_time_second").alias("Time [s]"),
        pl.col("current_ampere").alias("Current [A]"),
        pl.col("voltage_volt").alias("Voltage [V]"),
        (pl.col("net_capacity_ah") + 7.0).alias("Capacity [Ah]"),
        pl.lit(25.0).alias("Temperature [C]"),
        (pl.col("step_count") - 1).cast(pl.UInt64).alias("Event"),
    ).write_parquet(path)
    return path


def aurora(folder: Path, frame: pl.DataFrame) -> Path:
    path = folder / "full.250101_run_01.parquet"
    note = {"sample_data": {"Sample ID": "250101_run_01", "Cathode active material mass (mg)": 12.5}, "job_data": []}
    frame.select(
        pl.col("unix").alias("uts"),
        pl.col("voltage_volt").cast(pl.Float32).alias("V (V)"),
        pl.col("current_ampere").cast(pl.Float32).alias("I (A)"),
        pl.col("step_count").cast(pl.Int32).alias("Step"),
        pl.col("cycle_count").cast(pl.Int32).alias("Cycle"),
        pl.lit(0.0, pl.Float32).alias("dQ (mAh)"),
    ).write_parquet(path, metadata={"AURORA:metadata": json.dumps(note)})
    return path


def voltaiq(folder: Path, frame: pl.DataFrame) -> Path:
    counted = with_counters(frame, "pair", "schedule")
    table = counted.select(
        pl.col("test_time_second").alias("Test Time") / 3600,
        pl.col("current_ampere").alias("Current") * 1e3,
        pl.col("voltage_volt").alias("Potential"),
        pl.col("cycle_count").alias("Cycle Number"),
        pl.col("schedule_charging_capacity_ah").alias("Charge Capacity") * 1e3,
        pl.col("schedule_discharging_capacity_ah").alias("Discharge Capacity") * 3600,
        pl.lit(298.15).alias("Temperature"),
        pl.lit(1.5).alias("Strain"),
    )
    units = ["hour-dec", "milliamp", "volt", "none", "milliamp-hour", "coulomb", "kelvin", "percent"]
    names, rows = table.write_csv(separator="\t").split("\n", 1)
    head = [f"Start Time: {int(START.timestamp() * 1000)}", "Timezone: America/New_York", "Channel Number: 7"]
    path = folder / "2026-03-02_7.csv"
    path.write_text("\n".join([*head, "[DATA START]", names, "\t".join(units), rows]))
    return path


LAYOUTS = {
    "battery_archive_csv": battery_archive,
    "pyprobe_parquet": pyprobe,
    "aurora_parquet": aurora,
    "voltaiq_csv": voltaiq,
}
Layout = Callable[[Path, pl.DataFrame], Path]


@pytest.mark.parametrize("every", [10, 60, 300])
@pytest.mark.parametrize(("reader", "layout"), LAYOUTS.items(), ids=list(LAYOUTS))
def test_an_ideal_cell_has_a_coulombic_efficiency_of_one(
    reader: str, layout: Layout, every: int, tmp_path: Path
) -> None:
    frame = cell(every)
    result = read(layout(tmp_path, frame))
    assert result.reader == reader
    assert result.warnings == []
    since_start = frame["test_time_second"] - (frame["test_time_second"][0] if reader == "aurora_parquet" else 0.0)
    assert result.frame["test_time_second"].to_list() == approx(since_start.to_list(), abs=1e-5)
    assert result.frame["current_ampere"].to_list() == approx(frame["current_ampere"].to_list())
    assert result.frame["voltage_volt"].to_list() == approx(frame["voltage_volt"].to_list(), rel=1e-7)
    # Without a counter what flowed before the first record is unknown, and PyProBE's counter begins there.
    known = slice(1, 2) if reader in ("aurora_parquet", "pyprobe_parquet") else slice(0, 2)
    assert result.cycles["coulombic_efficiency"].to_list()[known] == approx([1.0] * len(range(2)[known]), abs=1e-9)
    assert result.cycles["discharge_capacity_ah"].to_list() == approx([1.0, 1.0], abs=1e-6)


@pytest.mark.parametrize(("reader", "layout"), LAYOUTS.items(), ids=list(LAYOUTS))
def test_the_clock_says_when_it_began(reader: str, layout: Layout, tmp_path: Path) -> None:
    result = read(layout(tmp_path, cell()))
    began = result.metadata.started_at
    assert began is not None
    first = 60.0 if reader == "aurora_parquet" else 0.0
    assert began.timestamp() == approx(START.timestamp() + first, abs=1e-3)


def test_battery_archive_counts_per_cycle_and_keeps_both_temperatures(tmp_path: Path) -> None:
    result = read(battery_archive(tmp_path, cell()))
    assert result.frame["cycle_charging_capacity_ah"].max() == approx(1.0)
    assert result.frame["ambient_temperature_celsius"].unique().to_list() == [25.0]
    assert result.frame["surface_temperature_celsius"].null_count() == result.frame.height
    assert result.frame["cycle_count"].dtype == pl.Int64
    assert result.metadata.test_name == "cell"


def test_battery_archive_stamps_are_taken_in_the_given_zone(tmp_path: Path) -> None:
    path = battery_archive(tmp_path, cell())
    assert read(path, time_zone="America/New_York").frame["unix_time_second"][0] == approx(
        START.timestamp() + 60 + 5 * 3600
    )


def test_a_table_of_cycles_names_the_file_to_read(tmp_path: Path) -> None:
    path = tmp_path / "cell_cycle_data.csv"
    path.write_text(
        "Cycle_Index,Test_Time (s),Min_Current (A),Max_Current (A),Min_Voltage (V),Max_Voltage (V),"
        "Charge_Capacity (Ah),Discharge_Capacity (Ah),Charge_Energy (Wh),Discharge_Energy (Wh)\n1,2,3,4,5,6,7,8,9,10\n"
    )
    with pytest.raises(CorruptFileError, match=r"table of cycles.*read cell_timeseries\.csv"):
        read(path)


def test_pyprobe_s_capacity_begins_at_zero_and_stays_beside(tmp_path: Path) -> None:
    frame = read(pyprobe(tmp_path, cell())).frame
    assert frame["net_capacity_ah"][0] == 0.0
    assert frame["aux_capacity_ah"][0] == approx(7.0 + 1 / 60)
    assert frame["step_count"].to_list()[-1] == 7


def test_aurora_keeps_sample_and_mass(tmp_path: Path) -> None:
    metadata = read(aurora(tmp_path, cell())).metadata
    assert metadata.sample_name == "250101_run_01"
    assert metadata.active_mass_gram == approx(0.0125)


def test_aurora_spectra_keep_their_physical_sign(tmp_path: Path) -> None:
    path = tmp_path / "eis.cell.parquet"
    pl.DataFrame(
        {"uts": [1.7e9, 1.7e9 + 2], "V (V)": [3.7, 3.7], "I (A)": [0.0, 0.0], "f (Hz)": [1e3, 1.0],
         "Re(Z) (ohm)": [1.0, 2.0], "Im(Z) (ohm)": [-0.5, -1.0], "Cycle": [1, 1]}
    ).write_parquet(path)  # fmt: skip
    result = read(path)
    assert result.metadata.test_type == "eis"
    assert result.frame["imaginary_impedance_ohm"].to_list() == [-0.5, -1.0]


def test_voltaiq_units_stand_below_the_names(tmp_path: Path) -> None:
    result = read(voltaiq(tmp_path, cell()))
    assert result.frame["current_ampere"].max() == 1.0
    assert result.frame["temperature_t1_celsius"][0] == approx(25.0)
    assert result.frame["aux_strain"][0] == 1.5
    assert result.metadata.sources["aux_strain"].unit == "percent"
    assert result.metadata.channel == "7"
    assert result.metadata.header["Timezone"] == "America/New_York"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("milliamp\t", "furlong\t", "Current has the unit 'furlong'"),
        ("Potential", "Strangeness", r"columns \['voltage_volt'\] not found"),
    ],
)
def test_voltaiq_does_not_guess(old: str, new: str, reason: str, tmp_path: Path) -> None:
    path = voltaiq(tmp_path, cell())
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(CorruptFileError, match=reason):
        read(path)


def test_voltaiq_hours_may_be_a_clock_time(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    head = "Start Time: 2026-03-02T08:00:00Z\n[DATA START]\nTest Time\tCurrent\tVoltage\nhour\tamp\tvolt\n"
    path.write_text(head + "00:00:10\t1\t3.7\n01:00:00\t1\t3.8\n")
    result = read(path)
    assert result.frame["test_time_second"].to_list() == [10.0, 3600.0]
    assert result.metadata.started_at == START


@pytest.mark.parametrize(("reader", "layout"), LAYOUTS.items(), ids=list(LAYOUTS))
def test_a_file_cut_short_gives_its_records_or_one_line(reader: str, layout: Layout, tmp_path: Path) -> None:
    path = layout(tmp_path, cell(300))
    content = path.read_bytes()
    for share in (0.3, 0.6, 0.95):
        path.write_bytes(content[: int(len(content) * share)])
        if path.suffix == ".parquet":
            with pytest.raises(CorruptFileError, match="Parquet data cannot be read"):
                read(path)
        else:
            assert read(path).frame.height < cell(300).height


@pytest.mark.parametrize("entry", real_entries(), ids=lambda entry: str(entry["path"]))
def test_no_file_of_a_tester_is_claimed(entry: dict[str, str]) -> None:
    path = real(entry["path"])
    head = read_head(path)
    readers = (BatteryArchiveCsv(), PyProbeParquet(), AuroraParquet(), VoltaiqCsv())
    assert [reader.name for reader in readers if reader.recognises(head, path)] == []
