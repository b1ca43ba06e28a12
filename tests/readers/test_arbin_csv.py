"""Arbin text exports come out the same whatever their columns' order, locale and damage."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from battery_analysis.columns import conform
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.arbin import ArbinCsv
from battery_analysis.readers.base import HEAD_BYTES, Reading
from battery_analysis.readers.headings import heading
from tests.realdata import hostile, hostile_entries, real, real_entries

READER = ArbinCsv()
HEADER = ["Date_Time", "Test_Time(s)", "Step_Index", "Cycle_Index", "Voltage(V)", "Current(A)", "Charge_Capacity(Ah)"]
ROWS = [
    ["07/21/2023 10:00:30.500", "30.5", "1", "1", "3.60125", "0.5", "0.00125"],
    ["07/21/2023 10:01:00.500", "60.5", "1", "1", "3.61", "0.5", "0.0025"],
    ["07/21/2023 10:01:30.500", "90.5", "2", "2", "-3.62", "-0.25", "0.0025"],
]


def write(folder: Path, header: list[str], rows: list[list[str]], delimiter: str = ",", name: str = "cell.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(delimiter.join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
    return path


def read(path: Path, **options: str) -> Reading:
    assert READER.recognises(path.read_bytes()[:HEAD_BYTES], path)
    reading = READER.read(path, **options)
    frame, warnings = conform(reading.frame)
    return Reading(frame, reading.metadata, [*reading.warnings, *warnings])


def column(folder: Path, name: str, *cells: str) -> pl.Series:
    """Write one column more than necessary, and read it back as the last one."""
    rows = [["1.5", "3.6", "0.1", cell] for cell in cells]
    return read(write(folder, ["Test_Time(s)", "Voltage(V)", "Current(A)", name], rows)).frame.to_series(-1)


def test_columns_get_their_canonical_names_and_keep_the_vendors(tmp_path: Path) -> None:
    reading = read(write(tmp_path, HEADER, ROWS))
    assert reading.warnings == []
    assert reading.frame.row(0, named=True) == {
        "test_time_second": 30.5,
        "unix_time_second": datetime(2023, 7, 21, 10, 0, 30, 500_000, UTC).timestamp(),
        "voltage_volt": 3.60125,
        "current_ampere": 0.5,
        "cycle_count": 1,
        "step_id": 1,
        "schedule_charging_capacity_ah": 0.00125,
    }
    source = reading.metadata.sources["schedule_charging_capacity_ah"]
    assert (source.name, source.unit) == ("Charge_Capacity(Ah)", "Ah")
    assert reading.metadata.started_at == datetime(2023, 7, 21, 10, 0, 0, tzinfo=UTC)
    assert reading.metadata.ended_at == datetime(2023, 7, 21, 10, 1, 30, 500_000, UTC)


def test_stamps_are_taken_in_the_given_zone(tmp_path: Path) -> None:
    metadata = read(write(tmp_path, HEADER, ROWS), time_zone="America/New_York").metadata
    assert metadata.started_at == datetime(2023, 7, 21, 14, 0, 0, tzinfo=UTC)
    assert metadata.time_zone == "America/New_York"


def test_a_start_that_no_calendar_has_stays_empty(tmp_path: Path) -> None:
    metadata = read(write(tmp_path, HEADER, [[*ROWS[0][:1], "1e20", *ROWS[0][2:]], *ROWS[1:]])).metadata
    assert metadata.started_at is None
    assert metadata.ended_at == datetime(2023, 7, 21, 10, 1, 30, 500_000, UTC)


def test_an_empty_column_stays_empty_beside_a_repeated_column_line(tmp_path: Path) -> None:
    rows = [[*row, ""] for row in ROWS]
    header = [*HEADER, "Aux_Temperature_1(C)"]
    frame = read(write(tmp_path, header, [header, *rows])).frame
    assert frame["temperature_t1_celsius"].to_list() == [None] * 3


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_time_voltage_and_current_suffice_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    header, row = ["Test Time (s)", "Voltage (V)", "Current (A)"], ["1.5", "3.6", "0.1"]
    path = write(tmp_path, [header[at] for at in order], [[row[at] for at in order]])
    assert read(path).frame.rows() == [(1.5, 3.6, 0.1)]


@pytest.mark.parametrize(
    ("name", "cell", "canonical", "value"),
    [
        ("Step_Time(min)", "1.5", "step_time_second", 90.0),
        ("Step_Time(s)", "1d 00:00:01.5", "step_time_second", 86_401.5),
        ("Data_Point", "7.0", "record_index", 7),
        ("Discharge_Energy(mWh)", "1500", "schedule_discharging_energy_wh", 1.5),
        ("Power (W)", "1.5", "power_watt", 1.5),
        ("Internal_Resistance(mOhm)", "250", "internal_resistance_ohm", 0.25),
        ("Internal Resistance(Ω)", "0.25", "internal_resistance_ohm", 0.25),
        ("ACR (Ohm)", "0.25", "ac_internal_resistance_ohm", 0.25),
        ("Temperature (C)", "25.5", "temperature_t1_celsius", 25.5),
        ("Aux_Temperature(¡æ)_2", "25.5", "temperature_t2_celsius", 25.5),
        ("Aux_Temperature_3 (K)", "273.15", "temperature_t3_celsius", 0.0),
        ("Aux_Temperature_9 (C)", "25.5", "aux_aux_temperature_9_c", 25.5),
        ("Surface_Temp(degC)", "25.5", "surface_temperature_celsius", 25.5),
        ("TC_Counter1", "3", "aux_tc_counter1", 3),
        ("mAh/g", "0", "aux_mah_g", 0.0),
        ("dV/dt(V/s)", "1.98217E-05", "aux_dv_dt_v_s", 1.98217e-5),
        ("ACR (Ohm)", "", "ac_internal_resistance_ohm", None),
    ],
)
def test_every_number_is_kept(tmp_path: Path, name: str, cell: str, canonical: str, value: float | None) -> None:
    values = column(tmp_path, name, cell)
    assert values.name == canonical
    assert values.to_list() == ([None] if value is None else [pytest.approx(value)])
    assert values.dtype.is_integer() is isinstance(value, int)


def test_other_units_are_scaled(tmp_path: Path) -> None:
    path = write(tmp_path, ["Test_Time(h)", "Voltage(mV)", "Current(uA)"], [["0.5", "3600", "250"]])
    assert read(path).frame.rows() == [(1800.0, 3.6, pytest.approx(2.5e-4))]


def test_an_unknown_unit_of_a_required_column_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, ["Test_Time(s)", "Voltage(dB)", "Current(A)"], [["0.5", "3600", "250"]])
    with pytest.raises(SchemaError, match=r"unit 'dB' of column 'Voltage\(dB\)' is not known"):
        read(path)


def test_a_step_number_with_a_fraction_is_not_cut(tmp_path: Path) -> None:
    rows = [["1.5", "3.6", "0.1", "1.5"]]
    reading = read(write(tmp_path, ["Test_Time(s)", "Voltage(V)", "Current(A)", "Step_Index"], rows))
    assert reading.frame["aux_step_index"].to_list() == [1.5]
    assert reading.warnings == ["column 'Step_Index' holds fractions; kept as it is"]


@pytest.mark.parametrize("absent", ["Test_Time(s)", "Voltage(V)", "Current(A)"])
def test_an_absent_required_column_is_named(tmp_path: Path, absent: str) -> None:
    at = HEADER.index(absent)
    extra = ["Step_Time(s)", "Discharge_Capacity(Ah)"]
    header = [name for name in HEADER if name != absent] + extra
    path = write(tmp_path, header, [row[:at] + row[at + 1 :] + ["0", "0"] for row in ROWS])
    what = absent.partition("(")[0].replace("_", " ").lower()
    with pytest.raises(SchemaError, match=f"the {what} column is missing; the file has Date_Time"):
        read(path)


def test_words_of_text_columns_are_kept_in_the_header(tmp_path: Path) -> None:
    rows = [["1.5", "3.6", "0.1", '"<b>hot, loud</b>"'], ["2.5", "3.6", "0.1", "=1+1"]]
    reading = read(write(tmp_path, ["Test_Time(s)", "Voltage(V)", "Current(A)", "Comment"], rows))
    assert reading.frame.width == 3
    assert reading.metadata.comment == "<b>hot, loud</b>; =1+1"


@pytest.mark.parametrize(
    ("name", "channel", "continuation"),
    [
        ("BL_Channel_53_Wb_1.CSV", "53", False),
        ("BL_Channel_53_Wb_2.CSV", "53", True),
        ("FastCharge_CH8.csv", "8", False),
        ("torch12.csv", None, False),
    ],
)
def test_the_file_name_tells_channel_and_workbook(
    tmp_path: Path, name: str, channel: str | None, continuation: bool
) -> None:
    metadata = read(write(tmp_path, HEADER, ROWS, name=name)).metadata
    assert (metadata.channel, metadata.continuation) == (channel, continuation)


def test_a_column_tells_the_channel_before_the_name_does(tmp_path: Path) -> None:
    path = write(tmp_path, [*HEADER, "Channel_ID"], [[*row, "4"] for row in ROWS], name="x_CH8.csv")
    assert read(path).metadata.channel == "4"


def test_a_table_of_cycle_statistics_holds_no_records(tmp_path: Path) -> None:
    header = [*HEADER, "Vmax_On_Cycle(V)", "Coulombic Efficiency (%)"]
    with pytest.raises(CorruptFileError, match="cycle statistics"):
        read(write(tmp_path, header, [[*row, "4", "99"] for row in ROWS]))


def test_a_separator_hint_for_spreadsheets_is_no_column_line(tmp_path: Path) -> None:
    path = tmp_path / "cell.csv"
    path.write_text("sep=;\n\n" + ";".join(HEADER) + "\n" + ";".join(ROWS[0]) + "\n1;2\n", encoding="utf-8")
    reading = read(path)
    assert reading.frame.height == 1
    assert reading.warnings == ["line 5 has 2 fields instead of 7; left out"]


def test_a_file_without_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="no data rows"):
        read(write(tmp_path, HEADER, []))


def test_a_file_of_a_single_line_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="no table found"):
        read(write(tmp_path, HEADER + ROWS[0] + ROWS[1], []))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"PK\x03\x04",
        b"Rec,Cycle C,Step,Test Time (sec),Step Time (sec),Capacity,Energy,Current,Voltage,DPT Time\n",
        b"DataPoint,Cycle Index,Step Index,Step Type,Time,Total Time,Current(A),Voltage(V)\n",
        b"test_time_second,voltage_volt,current_ampere\n0,3.6,0\n",
        b"Test Time / s,Voltage / V,Current / A\n0,3.6,0\n",
        b"time,voltage,current\n",
        b"index;test_time;step_time;current;voltage;charge_capacity;cycle;step\n",
    ],
)
def test_other_testers_files_are_not_claimed(head: bytes) -> None:
    assert not READER.recognises(head, Path("x.csv"))


def test_a_name_is_recognised_in_every_spelling() -> None:
    spellings = ["Test_Time(s)", "Test Time (s)", "Test_Time", '"Test Time(s)"', "test_time (min)"]
    assert {heading(name).key for name in spellings} == {"testtime"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    delimiter=st.sampled_from(",;\t|"),
    decimal=st.sampled_from(".,"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    order=st.permutations(range(len(HEADER))),
    ended=st.booleans(),
)
def test_locale_and_order_of_columns_change_nothing(
    tmp_path: Path, delimiter: str, decimal: str, encoding: str, line_end: str, order: list[int], ended: bool
) -> None:
    expected = read(write(tmp_path, HEADER, ROWS))

    def line(cells: list[str], mark: str = ".") -> str:
        written = [cells[at].replace(".", mark) for at in order]
        return delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in written)

    lines = [line(HEADER), *(line(row, decimal) for row in ROWS)]
    path = tmp_path / "other.csv"
    path.write_bytes((line_end.join(lines) + line_end * ended).encode(encoding))
    reading = read(path)
    assert reading.frame.equals(expected.frame)
    assert reading.metadata.started_at == expected.metadata.started_at
    assert reading.warnings == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_cut_anywhere_gives_the_records_before_the_cut(tmp_path: Path, encoding: str) -> None:
    content = write(tmp_path, HEADER, ROWS).read_text(encoding="utf-8").encode(encoding)
    whole = READER.read(tmp_path / "cell.csv").frame
    path = tmp_path / "cut.csv"
    heights = set()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            frame = READER.read(path).frame
        except CorruptFileError:
            assert not heights  # only a file without a whole record is refused
            continue
        heights.add(frame.height)
        # Nothing shows whether the very last cell of a file without a last line end is whole.
        assert frame.head(-1).equals(whole.head(frame.height - 1))
        last, expected = frame.tail(1), whole[frame.height - 1 : frame.height]
        assert last.drop("schedule_charging_capacity_ah").equals(expected.drop("schedule_charging_capacity_ah"))
    assert heights == {1, 2, 3}


def arbin_texts() -> list[dict[str, Any]]:
    return [entry for entry in real_entries("arbin") if entry["path"].lower().endswith(".csv")]


@pytest.mark.parametrize("entry", arbin_texts(), ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict[str, Any]) -> None:
    reading, reference = read(real(entry["path"])), entry["reference"]
    assert reading.warnings == []
    assert reading.frame.height == reference["rows"]
    for name, key in (
        ("voltage_volt", "voltage_V"),
        ("current_ampere", "current_A"),
        ("test_time_second", "test_time_s"),
    ):
        assert reading.frame[name].min() == pytest.approx(reference[key]["min"])
        assert reading.frame[name].max() == pytest.approx(reference[key]["max"])


@pytest.mark.parametrize(
    "entry",
    [entry for entry in real_entries() if entry["vendor"] != "arbin"],
    ids=lambda entry: entry["path"],
)
def test_real_files_of_other_testers_are_not_claimed(entry: dict[str, Any]) -> None:
    with real(entry["path"]).open("rb") as file:
        assert not READER.recognises(file.read(HEAD_BYTES), real(entry["path"]))


@pytest.mark.parametrize(
    "entry",
    [entry for entry in hostile_entries() if entry["path"].endswith(".csv") and entry.get("size_bytes")],
    ids=lambda entry: ascii(entry["path"]),
)
def test_damaged_files_lose_no_whole_record_and_nothing_in_silence(entry: dict[str, Any]) -> None:
    expect = entry["expect"]
    try:
        reading = read(hostile(entry["path"]))
    except (CorruptFileError, SchemaError) as exc:
        assert "error" in expect["outcome"]
        assert "\n" not in str(exc)
        return
    low, high = expect["rows"] if isinstance(expect["rows"], list) else [expect["rows"]] * 2
    assert low <= reading.frame.height <= high
    finite = reading.frame.select(pl.col(pl.Float64).drop_nulls().is_finite().all()).row(0)
    assert all(finite)
    if entry["path"] != "time_goes_back.csv":  # said by whoever steadies the clock
        said = " ".join(reading.warnings)
        assert all(words in said for words in expect.get("warning_names", []))
        assert bool(reading.warnings) or "warning" not in expect["outcome"]
