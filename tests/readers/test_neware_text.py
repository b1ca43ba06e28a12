"""Neware text exports come out the same whatever their layout, language, units and damage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import HEAD_BYTES
from battery_analysis.readers.headings import clock_seconds
from battery_analysis.readers.neware_headings import heading, unit_scale
from battery_analysis.readers.neware_text import NewareText
from battery_analysis.reading import ReadResult
from tests.readers import neware_reports as reports
from tests.realdata import DATA, real, real_entries

LAYOUTS: dict[str, tuple[Callable[[int], str], str]] = {
    "flat": (reports.flat, "utf-8"),
    "small units": (reports.small, "latin-1"),
    "chinese": (reports.chinese, "gb18030"),
    "nested": (reports.nested, "cp1252"),
    "nested with tabs": (reports.nested_tabs, "utf-8"),
    "nested, first steps beside their cycles": (reports.nested_joined, "utf-8"),
}


def write(folder: Path, text: str, encoding: str = "utf-8", name: str = "cell.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(folder: Path, text: str, encoding: str = "utf-8", **options: str) -> ReadResult:
    result = ba.read(write(folder, text, encoding), **options)
    assert result.reader == "neware_text"
    return result


@pytest.mark.parametrize("interval", [10, 60, 300])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_ideal_cell_comes_out_ideal(tmp_path: Path, layout: str, interval: int) -> None:
    make, encoding = LAYOUTS[layout]
    result = read(tmp_path, make(interval), encoding)
    assert result.warnings == []
    assert result.frame["record_index"].to_list() == [each.number for each in reports.records(interval)]
    assert result.frame["test_time_second"].to_list() == [each.total_time for each in reports.records(interval)]
    assert result.frame["step_id"].to_list() == [each.step for each in reports.records(interval)]
    assert result.frame["voltage_volt"].to_list() == pytest.approx([e.voltage for e in reports.records(interval)])
    assert result.frame["current_ampere"].to_list() == pytest.approx([e.current for e in reports.records(interval)])
    assert result.cycles["cycle_count"].to_list() == [1, 2]
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], abs=1e-9)
    assert result.cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0, 1.0], abs=1e-9)
    assert result.metadata.started_at == reports.START.replace(tzinfo=UTC)
    assert result.metadata.test_type == "cycling"


@pytest.mark.parametrize("make", [reports.nested, reports.nested_joined])
def test_records_of_a_nested_export_carry_their_step_and_cycle(tmp_path: Path, make: Callable[[], str]) -> None:
    result = read(tmp_path, make(), "cp1252")
    each = list(reports.records())
    assert result.frame["cycle_count"].to_list() == [record.cycle for record in each]
    assert result.frame["step_count"].to_list() == [record.executed for record in each]
    assert result.frame["step_type"].to_list() == [record.kind.replace(" ", "_") for record in each]
    resistances = [None if record.kind == "Rest" else 0.025 for record in each]
    assert result.frame["dc_internal_resistance_ohm"].to_list() == resistances
    assert result.frame["temperature_t1_celsius"].unique().to_list() == [25.5]
    assert result.metadata.header["columns of cycles"].startswith("Cycle ID, Cap_Chg(mAh)")
    assert result.metadata.sources["step_id"].name == "Raw Step ID"
    assert result.metadata.sources["test_time_second"].name == "sum of Time(h:min:s.ms) over the steps"


def test_every_column_keeps_its_name_and_unit(tmp_path: Path) -> None:
    result = read(tmp_path, reports.small(), "latin-1")
    source = result.metadata.sources["step_charging_capacity_ah"]
    assert (source.name, source.unit) == ("Chg. Cap.(mAs)", "mAs")
    assert result.metadata.sources["current_ampere"].unit == "µA"
    assert result.frame["aux_dq_dv_mah_v"].unique().to_list() == [0.0]
    assert result.metadata.header == {"Module start-stop switch": "Close"}


def test_stamps_are_taken_in_the_given_zone(tmp_path: Path) -> None:
    metadata = read(tmp_path, reports.flat(), time_zone="Asia/Shanghai").metadata
    assert metadata.started_at == datetime(2024, 3, 15, 4, 0, tzinfo=UTC)
    assert metadata.ended_at is not None
    assert (metadata.ended_at - metadata.started_at).total_seconds() == reports.SECONDS
    assert metadata.time_zone == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00:10", 10.0),
        ("144:02:18", 518_538.0),
        ("00:00:10.500", 10.5),
        ("00:00:10,500", 10.5),
        ("1-02:03:04", 93_784.0),
        ("1d 02:03:04", 93_784.0),
        ("1.02:03:04.500", 93_784.5),
        ("29:58.5", None),
        ("", None),
    ],
)
def test_clock_times(text: str, seconds: float | None) -> None:
    assert clock_seconds(pl.Series([text])).to_list() == [seconds]


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("Current(µA)", 1e-6),
        ("Current(μA)", 1e-6),
        ("Current(\ufffdA)", 1e-6),
        ("Cur(mA)", 1e-3),
        ("Voltage(mV)", 1e-3),
        ("CapaCity(mAh)", 1e-3),
        ("Chg. Cap.(As)", 1 / 3600),
        ("Engy_DChg(mWh)", 1e-3),
        ("DCIR(mΩ)", 1e-3),
        ("DCIR(O)", 1.0),
        ("Total Time(min)", 60.0),
        ("Current", None),
        ("Voltage(dB)", None),
    ],
)
def test_units_come_from_the_heading(name: str, scale: float | None) -> None:
    each = heading(name)
    assert each.column is not None
    assert unit_scale(each.unit, each.column) == (None if scale is None else pytest.approx(scale))


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Aux.CH TU1 T(°C)", "temperature_t1_celsius"),
        ("Auxiliary channel TU2 T(°C)", "temperature_t2_celsius"),
        ("辅助通道TU3 温度(℃)", "temperature_t3_celsius"),
        ("T4(℃)", "temperature_t4_celsius"),
        ("temp1_5", "temperature_t5_celsius"),
    ],
)
def test_sensors_are_numbered_as_their_channels(name: str, canonical: str) -> None:
    column = heading(name).column
    assert column is not None
    assert column.name == canonical


@pytest.mark.parametrize("name", ["DataPoint", "Data serial number", "Record ID", "Record", "数据序号"])
def test_records_are_numbered_under_every_name(name: str) -> None:
    column = heading(name).column
    assert column is not None
    assert column.name == "record_index"


def test_an_auxiliary_voltage_is_no_temperature() -> None:
    assert heading("Auxiliary channel TU1 U(V)").column is None
    assert heading("temp2_1").column is None  # of the second auxiliary unit


def test_without_total_time_steps_are_added_up(tmp_path: Path) -> None:
    text = reports.flat().replace("Total Time", "Remark")
    result = read(tmp_path, text)
    assert result.frame["test_time_second"].to_list() == [each.total_time for each in reports.records()]


def test_without_step_time_the_clock_counts(tmp_path: Path) -> None:
    text = reports.flat().replace(",Time,Total Time,", ",Note,Remark,")
    result = read(tmp_path, text)
    assert result.frame["test_time_second"].to_list() == [each.total_time for each in reports.records()]
    assert result.warnings == ["test time is taken from the clock in column 'Date', pauses included"]


def test_currents_without_sign_get_that_of_their_step(tmp_path: Path) -> None:
    result = read(tmp_path, reports.flat().replace(",-", ","))
    assert result.frame["current_ampere"].to_list() == [each.current for each in reports.records()]


def test_throughput_is_a_magnitude(tmp_path: Path) -> None:
    signed = [[*row[:8], f"-{row[8]}" if row[3] == "CC DChg" else row[8], *row[11:]] for row in reports.flat_rows()]
    names = reports.FLAT_NAMES.replace("Chg. Cap.(Ah),DChg. Cap.(Ah),", "")
    result = read(tmp_path, "\n".join([names, *(",".join(row) for row in signed)]) + "\n")
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])


def test_step_numbers_that_fall_are_those_of_the_programme(tmp_path: Path) -> None:
    result = read(tmp_path, reports.flat().replace("Step Index", "Step ID"))
    assert "step_count" not in result.frame
    assert result.frame["step_id"].to_list() == [each.step for each in reports.records()]


def test_a_reordered_selection_of_columns_suffices(tmp_path: Path) -> None:
    rows = [[row[7], row[6], row[5], row[3], row[1]] for row in reports.flat_rows()]
    names = "Voltage(V);Current(A);Total Time;Step Type;Cycle Index"
    result = read(tmp_path, "\n".join([names, *(";".join(row) for row in rows)]) + "\n")
    assert result.cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0, 1.0])


def test_an_empty_cell_between_tabs_is_none_where_a_name_ends_with_a_space(tmp_path: Path) -> None:
    """BTSDA writes some names so; only several tabs between names line columns up."""
    flat = [line.split(",") for line in reports.flat().splitlines()]
    mark = flat[0].index("Power(W)")
    rows = [[*cells[:mark], "" if at else "Step start and end ", *cells[mark:]] for at, cells in enumerate(flat)]
    result = read(tmp_path, "\n".join("\t".join(cells) for cells in rows) + "\n")
    plain = read(tmp_path, reports.flat())
    assert_frame_equal(result.frame.drop("aux_step_start_and_end"), plain.frame)
    assert result.warnings == plain.warnings


def test_decimal_commas(tmp_path: Path) -> None:
    text = reports.flat().replace(",", ";")
    names, _, rows = text.partition("\n")
    result = read(tmp_path, names + "\n" + rows.replace(".", ","))
    expected = read(tmp_path, reports.flat())
    assert_frame_equal(result.frame, expected.frame)


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_line_ends_do_not_matter(tmp_path: Path, layout: str, line_end: str) -> None:
    make, encoding = LAYOUTS[layout]
    expected = read(tmp_path, make(300), encoding)
    assert_frame_equal(read(tmp_path, make(300).replace("\n", line_end), encoding).frame, expected.frame)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_cut_anywhere_holds_the_first_records_of_the_whole(tmp_path: Path, layout: str) -> None:
    make, encoding = LAYOUTS[layout]
    raw = make(300).encode(encoding)
    whole = read(tmp_path, make(300), encoding).frame
    path = tmp_path / "cell.csv"
    for cut in range(len(raw) // 3, len(raw), 97):
        path.write_bytes(raw[:cut])
        part = ba.read(path).frame
        same = [name for name in whole.columns if name in part.columns]
        whole_lines = part.height - (not raw[:cut].endswith(b"\n"))
        assert whole_lines > 0
        assert_frame_equal(
            part.select(same).head(whole_lines), whole.select(same).head(whole_lines), check_dtypes=False
        )


def test_damaged_lines_are_named_by_their_number_in_the_file(tmp_path: Path) -> None:
    lines = reports.nested().split("\n")
    record = next(at for at, line in enumerate(lines) if at > 20 and line.startswith(",,"))
    lines[record] = ',,"\t7","\t0:00'
    result = read(tmp_path, "\n".join(lines), "cp1252")
    assert any(f"line {record + 1} " in warning for warning in result.warnings), result.warnings
    assert result.frame.height == sum(1 for _ in reports.records()) - 1


def test_repeated_names_of_a_nested_export_are_no_rows(tmp_path: Path) -> None:
    lines = reports.nested().split("\n")
    again = [*lines[:-1], *lines[:3], ""]
    result = read(tmp_path, "\n".join(again), "cp1252")
    assert result.frame.height == sum(1 for _ in reports.records())


@pytest.mark.parametrize("missing", ["Current(A)", "Voltage(V)"])
def test_a_required_column_without_unit_is_an_error(tmp_path: Path, missing: str) -> None:
    bare = missing.partition("(")[0]
    with pytest.raises(CorruptFileError, match=f"column '{bare}' has no unit"):
        ba.read(write(tmp_path, reports.flat().replace(missing, bare)))


def test_totals_alone_are_no_test(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="a table of totals, which holds no records; export the record layer"):
        ba.read(write(tmp_path, "Cycle Index,Chg. Cap.(Ah),DChg. Cap.(Ah)\n1,1.0,1.0\n"))


@pytest.mark.parametrize("make", [reports.flat, reports.nested])
def test_names_alone_are_no_test(tmp_path: Path, make: Callable[[], str]) -> None:
    count = 3 if make is reports.nested else 1
    with pytest.raises(CorruptFileError, match="no data rows"):
        ba.read(write(tmp_path, "\n".join(make().split("\n")[:count]) + "\n"))


@pytest.mark.parametrize("entry", real_entries(), ids=lambda entry: str(entry["path"]))
def test_recognises_its_own_files_only(entry: dict[str, str]) -> None:
    path = real(entry["path"])
    own = entry["vendor"] == "neware" and path.suffix == ".csv"
    assert NewareText().recognises(path.read_bytes()[:HEAD_BYTES], path) is own


@pytest.mark.skipif(not real_entries(), reason=f"no real cycler files at {DATA}")
def test_an_export_agrees_with_the_archive_it_was_made_from() -> None:
    """The export is rounded to 0.1 mV; the zone of the computer that made it was an hour east of UTC."""
    export = ba.read(real("neware/interp-test.csv"), time_zone="Europe/London").frame
    archive = ba.read(real("neware/interp-test.ndax")).frame
    for name in ("record_index", "cycle_count", "step_type"):
        assert export[name].to_list() == archive[name].to_list()
    for name, tolerance in (("test_time_second", 1e-3), ("unix_time_second", 2e-3), ("voltage_volt", 5.1e-5)):
        assert (export[name] - archive[name]).abs().max() <= tolerance, name  # type: ignore[operator]


@pytest.mark.skipif(not real_entries(), reason=f"no real cycler files at {DATA}")
def test_real_cycles_agree_with_an_independent_reader() -> None:
    reference = next(each for each in real_entries("neware") if each["path"] == "neware/neware_uio.csv")["reference"]
    result = ba.read(real("neware/neware_uio.csv"))
    assert result.warnings == []
    assert result.frame.height == reference["rows"]
    assert result.frame["test_time_second"].max() == reference["test_time_s"]["max"]
    per_cycle = reference["capacity"]["per_cycle"]
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([each["charge_Ah"] for each in per_cycle])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx(
        [each["discharge_Ah"] for each in per_cycle]
    )


def test_a_pec_file_is_not_neware_s() -> None:
    neware = b"Cycle Index,Step Index,DataPoint,Time,Total Time,Voltage(V),Current(A),Step Type\n"
    assert NewareText().recognises(neware, Path("x.csv"))
    assert not NewareText().recognises(b"Test,Cell,Rack,Shelf,Position," + neware, Path("x.csv"))
