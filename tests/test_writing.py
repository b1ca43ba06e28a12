"""What is written reads back equal, in every format."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from python_calamine import CalamineWorkbook

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, CANONICAL
from battery_analysis.errors import BatteryAnalysisError, SchemaError
from battery_analysis.readers.base import ColumnSource, TestMetadata
from battery_analysis.reading import ReadResult, read
from battery_analysis.writing import left_out
from tests.builders import cycling_frame, read_result

NAMES = [".csv", ".bdf.csv", ".parquet", ".bdf.parquet", ".h5", ".xlsx", ".json"]
UNTYPED = (".csv", ".xlsx", ".json")
"""What knows no type of a column without values, or one kind of number."""
OPTIONAL = [
    column.name
    for column in CANONICAL
    if column not in (columns.TEST_TIME, columns.VOLTAGE, columns.CURRENT, *columns.DERIVED)
]
NUMBERS = st.floats(-(2.0**40), 2.0**40, width=32) | st.none()
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.none()
CURRENTS = st.integers(-(10**7), 10**7).map(lambda microamperes: microamperes / 1e6)
TIMES = st.integers(0, 10**12).map(lambda milliseconds: milliseconds / 1e3)
COUNTS = st.integers(0, 2**53) | st.none()
WORDS = st.none() | st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" "), min_size=1
)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Records with any canonical and some ``aux_`` columns, in time order."""
    height = draw(st.integers(1, 30))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=height, max_size=height))

    times = sorted(column(TIMES))
    series = [
        pl.Series("test_time_second", times, pl.Float64),
        pl.Series("voltage_volt", column(NUMBERS), pl.Float64),
        pl.Series("current_ampere", column(CURRENTS), pl.Float64),
    ]
    for name in draw(st.lists(st.sampled_from(OPTIONAL), unique=True, max_size=6)):
        kind = {pl.Float64(): NUMBERS, pl.Int64(): COUNTS, pl.String(): WORDS}[BY_NAME[name].dtype]
        series.append(pl.Series(name, column(kind), BY_NAME[name].dtype))
    series.append(pl.Series("aux_humidity", column(DOUBLES), pl.Float64))
    series.append(pl.Series("aux_flag", column(st.booleans() | st.none()), pl.Boolean))
    series.append(pl.Series("aux_count", column(COUNTS), pl.Int64))
    return pl.DataFrame(series)


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=set(Phase) - {Phase.shrink},  # a failing frame is small enough, and each is read from disk
)
@given(frame=frames())
def test_what_is_written_reads_back_equal(name: str, frame: pl.DataFrame, tmp_path: Path) -> None:
    written = read_result(frame)
    assert written.write(tmp_path / f"test{name}") == [tmp_path / f"test{name}"]
    again = read(tmp_path / f"test{name}")
    typed = not name.endswith(UNTYPED)
    assert_frame_equal(again.frame, written.frame, check_dtypes=typed, check_exact=True)
    assert again.cycle_method == written.cycle_method
    wanted = (
        written.cycles.columns if typed else ["cycle_count", "charge_capacity_ah", "discharge_capacity_ah", "has_gap"]
    )
    assert_frame_equal(again.cycles.select(wanted), written.cycles.select(wanted))


@pytest.mark.parametrize("name", NAMES)
def test_cycles_read_back_equal(name: str, tmp_path: Path) -> None:
    written = read_result(cycling_frame())
    written.write(tmp_path / f"test{name}")
    again = read(tmp_path / f"test{name}")
    assert_frame_equal(again.cycles, written.cycles)
    assert again.warnings == []


@pytest.mark.parametrize("name", ["test.parquet", "test.h5", "test.xlsx", "test.json"])
def test_what_the_file_said_about_its_test_goes_along(name: str, tmp_path: Path) -> None:
    facts = TestMetadata(
        tester="Arbin",
        channel="8",
        test_type="cycling",
        sample_name="AB12 µ",
        started_at=datetime(2026, 3, 2, 8, tzinfo=UTC),
        voltage_limits_volt=(2.5, 4.2),
        finished=True,
        sources={"test_time_second": ColumnSource("Test_Time(s)", "s")},
        header={"Comment": "first\nsecond"},
    )
    frame = columns.conform(cycling_frame().select("test_time_second", "voltage_volt")).frame
    ReadResult(frame, pl.DataFrame(), facts, "by_hand", "1").write(tmp_path / name)
    again = read(tmp_path / name).metadata
    assert again.sources.pop("voltage_volt") == ColumnSource("voltage_volt", "V")
    assert again.sources.pop("current_ampere") == ColumnSource("current_ampere", "A")
    assert again == facts


@pytest.mark.parametrize("facts", [{"finished": False}, {"announced_records": 0}, {"channel": "8"}])
def test_parquet_adds_nothing_to_what_the_file_said(facts: dict[str, Any], tmp_path: Path) -> None:
    written = read_result(cycling_frame().with_columns(unix_time_second=pl.col("test_time_second") + 1.7e9))
    written.metadata = replace(written.metadata, started_at=datetime.fromtimestamp(1.7e9, UTC), **facts)
    written.write(tmp_path / "test.parquet")
    again = read(tmp_path / "test.parquet").metadata
    assert replace(again, sources={}) == replace(written.metadata, sources={})


def test_short_floats_and_line_ends_survive_text(tmp_path: Path) -> None:
    frame = cycling_frame(1, 4).with_columns(
        pl.Series("aux_short", [0.1, 0.2, 1e-30, 3.7], pl.Float32),
        pl.Series("step_type", ["CC\nChg", '"x"', "01", " "]),
    )
    written = read_result(frame)
    written.write(tmp_path / "test.csv")
    again = read(tmp_path / "test.csv").frame
    assert again["aux_short"].to_list() == written.frame["aux_short"].to_list()
    assert again["step_type"].to_list() == ["CC Chg", '"x"', "01", " "]


def test_the_format_s_own_validator_finds_nothing_missing(tmp_path: Path) -> None:
    pytest.importorskip("bdf")
    result = read_result(cycling_frame().with_columns(temperature_t1_celsius=25.0))
    files = [*result.write(tmp_path / "test.bdf.csv"), *result.write(tmp_path / "test.bdf.parquet")]
    # In a process of its own, whose plotting and metadata packages are none of this one's.
    code = "import bdf, sys; sys.exit(not all(bdf.validate(each, raise_on_error=True)['ok'] for each in sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def with_clock(cycles: int = 3) -> pl.DataFrame:
    """Cycles with a clock, a tester's counters that are never reset, and two temperatures."""
    frame = cycling_frame(cycles).with_columns(
        unix_time_second=pl.col("test_time_second") + 1.7e9 + 0.125,
        ambient_temperature_celsius=25.0,
        surface_temperature_celsius=pl.col("voltage_volt") + 20,
    )
    moved = pl.col("current_ampere") / 60
    return frame.with_columns(
        charging_capacity_ah=pl.when(moved > 0).then(moved).otherwise(0.0).cum_sum(),
        discharging_capacity_ah=pl.when(moved < 0).then(-moved).otherwise(0.0).cum_sum(),
    )


def test_the_pair_reads_back_what_it_has_a_place_for(tmp_path: Path) -> None:
    written = read_result(with_clock())
    files = written.write(tmp_path / "cell7_timeseries.csv")
    assert [file.name for file in files] == ["cell7_timeseries.csv", "cell7_cycle_data.csv"]
    again = read(files[0])
    assert again.reader == "battery_archive_csv"
    assert again.warnings == []
    kept = [name for name in written.frame.columns if name in again.frame.columns]
    assert set(written.frame.columns) - set(kept) == {
        "step_count", "step_time_second", "aux_humidity", "charging_capacity_ah", "discharging_capacity_ah",
    }  # fmt: skip
    assert_frame_equal(again.frame.select(kept), written.frame.select(kept))
    capacities = ["cycle_count", "charge_capacity_ah", "discharge_capacity_ah", "coulombic_efficiency"]
    assert_frame_equal(again.cycles.select(capacities), written.cycles.select(capacities))
    assert again.metadata.started_at == datetime.fromtimestamp(1.7e9 + 0.125, UTC)


def test_the_cycle_table_of_the_pair_is_the_cycle_table(tmp_path: Path) -> None:
    written = read_result(with_clock())
    _, cycle_file = written.write(tmp_path / "cell7_cycle_data.csv")
    table = pl.read_csv(cycle_file)
    assert table.columns == [
        "Cycle_Index", "Start_Time", "End_Time", "Test_Time (s)", "Min_Current (A)", "Max_Current (A)",
        "Min_Voltage (V)", "Max_Voltage (V)", "Charge_Capacity (Ah)", "Discharge_Capacity (Ah)",
        "Charge_Energy (Wh)", "Discharge_Energy (Wh)",
    ]  # fmt: skip
    assert table["Cycle_Index"].to_list() == [1, 2, 3]
    assert table["Discharge_Capacity (Ah)"].to_list() == written.cycles["discharge_capacity_ah"].to_list()
    assert table["Start_Time"][0] == "2023-11-14 22:14:20.125000"
    assert table["Test_Time (s)"].to_list() == written.cycles["end_time_second"].to_list()


@pytest.mark.parametrize("name", ["test.bdf.csv", "test.bdf.parquet", "test_timeseries.csv"])
def test_a_spectrum_is_no_table_of_these_formats(name: str, tmp_path: Path) -> None:
    spectrum = pl.DataFrame({"frequency_hertz": [1.0], "real_impedance_ohm": [2.0], "imaginary_impedance_ohm": [-3.0]})
    result = read_result(spectrum, test_type="eis")
    with pytest.raises(SchemaError, match="requires \\['test_time_second', 'voltage_volt', 'current_ampere'\\]"):
        result.write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def with_spectrum() -> pl.DataFrame:
    """A cycle, then a spectrum of two points, of which only the first has a voltage."""
    points = pl.DataFrame(
        {
            "test_time_second": [1300.0, 1310.0],
            "voltage_volt": [3.5, None],
            "cycle_count": [1, 1],
            "frequency_hertz": [1000.0, 1.0],
            "real_impedance_ohm": [0.01, 0.02],
            "imaginary_impedance_ohm": [0.0, -0.01],
        }
    )
    return pl.concat([cycling_frame(1).drop("step_count", "step_time_second"), points], how="diagonal")


def test_the_pair_keeps_the_series_of_a_test_with_a_spectrum_and_says_what_is_left_out(tmp_path: Path) -> None:
    written = read_result(with_spectrum())
    series, _ = written.write(tmp_path / "cell7_timeseries.csv")
    assert left_out(series, written.frame) == (
        "the impedance of 2 records is left out: batteryarchive.org has no place for it"
    )
    assert left_out(tmp_path / "cell7.csv", written.frame) is None
    assert left_out(series, cycling_frame()) is None
    again = read(series)
    assert again.frame["voltage_volt"].to_list() == written.frame["voltage_volt"].drop_nulls().to_list()
    assert again.cycles["charge_capacity_ah"].to_list() == written.cycles["charge_capacity_ah"].to_list()


def test_a_spectrum_that_was_measured_in_time_is_none_of_the_pair_either(tmp_path: Path) -> None:
    spectrum = with_spectrum().filter(pl.col("frequency_hertz").is_not_null()).with_columns(current_ampere=0.0)
    with pytest.raises(SchemaError, match="all 2 records are of spectra, for which batteryarchive"):
        read_result(spectrum, test_type="eis").write(tmp_path / "test_timeseries.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["test.csv", "test.parquet", "test.h5", "test.xlsx", "test.json"])
def test_a_spectrum_is_written_under_the_same_names(name: str, tmp_path: Path) -> None:
    spectrum = pl.DataFrame({"frequency_hertz": [1.0], "real_impedance_ohm": [2.0], "imaginary_impedance_ohm": [-3.0]})
    result = read_result(spectrum, test_type="eis")
    result.write(tmp_path / name)
    assert_frame_equal(read(tmp_path / name).frame, result.frame)


def test_more_rows_than_a_sheet_has_go_to_further_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("battery_analysis.writing.workbook.MAX_ROWS", 26)
    written = read_result(cycling_frame())
    written.write(tmp_path / "test.xlsx")
    with CalamineWorkbook.from_path(tmp_path / "test.xlsx") as book:
        assert book.sheet_names == ["About", "Cycles", "Records", "Records 2", "Records 3"]
    again = read(tmp_path / "test.xlsx")
    assert_frame_equal(again.frame, written.frame, check_dtypes=False)
    assert_frame_equal(again.cycles, written.cycles)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pl.Series("step_type", ["x" * 32_768]), "column step_type holds a text of 32768 characters"),
        (pl.Series("record_index", [2**53 + 1]), "column record_index holds the whole number 9007199254740993"),
    ],
)
def test_what_no_cell_takes_is_refused_by_name(column: pl.Series, reason: str, tmp_path: Path) -> None:
    written = read_result(cycling_frame(1, 2).head(1).with_columns(column))
    with pytest.raises(SchemaError, match=reason):
        written.write(tmp_path / "test.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_document_that_nothing_would_read_again_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("battery_analysis.writing.document.MAX_JSON_BYTES", 3000)
    with pytest.raises(BatteryAnalysisError, match="60 records make more than the 3000 bytes of JSON"):
        read_result(cycling_frame()).write(tmp_path / "test.json")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("old")
    frame = read_result(cycling_frame()).frame.with_columns(aux_list=pl.lit([1, 2]))
    with pytest.raises(BatteryAnalysisError, match=r"test\.csv: cannot be written"):
        ReadResult(frame, pl.DataFrame(), TestMetadata("Arbin"), "by_hand", "1").write(tmp_path / "test.csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_an_unknown_name_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(BatteryAnalysisError, match=r"ends in '\.mat', not in \.parquet, \.csv, \.bdf\.csv, "):
        read_result(cycling_frame()).write(tmp_path / "test.mat")
