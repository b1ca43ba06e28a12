"""Neware workbooks come out like the text exports, whatever their version, layout and number of sheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import HEAD_BYTES
from battery_analysis.readers.neware_workbook import NewareWorkbook
from battery_analysis.reading import ReadResult
from tests.readers import neware_reports as reports
from tests.realdata import real, real_entries

xlsxwriter = pytest.importorskip("xlsxwriter")

Table = Sequence[Sequence[object]]
Sheets = Mapping[str, Table]

INFO: Table = [
    ["Test report"],
    [],
    ["device", "Unit", "Channel", "P/N", "Step file", "Starting time", "End time", "Class", "Remarks"],
    [27, 3, 5, "PN-1", "ageing.xml", "2024-03-15 12:00:00", "2024-03-15 17:00:00", "-", "second cell"],
]
TEST: Table = [
    ["Test information"],
    ["Start step ID", None, 1, "Volt. upper", None, "4.2V", "P/N", None, "PN-1"],
    ["Cycle count", None, 3, "Volt. lower", None, "2.5V", "Builder", None, "Ada"],
    ["Current range", None, "0-5mA", "Start time", None, "2024-03-15 11:59:30", "Barcode", None, "BAR-1"],
    ["Active material", None, "10mg", "Nominal capacity", None, "1000mAh", "Remarks", None, None],
    ["Step plan"],
    ["Step Index", "Step Name", "Step Time(min)", "Voltage(V)"],
    [1, "Rest", 10, None],
    [2, "CC Chg", 60, 4.2],
]
UNIT: Table = [["cell.xlsx"], ["device", 27, 3, 5], ["Start time", None, "2024-03-15 11:59:30"], ["List of unit plans"]]
TEXTS = (3, 4, 5, 14, 17)


def typed(row: Sequence[str]) -> list[object]:
    """Cells of a flat row as a workbook has them: numbers are numbers."""
    return [cell if at in TEXTS else float(cell) for at, cell in enumerate(row)]


def record_sheet(rows: Table | None = None) -> Table:
    return [reports.FLAT_NAMES.split(","), *(rows or [typed(row) for row in reports.flat_rows()])]


def detail_sheet(rows: Table | None = None) -> Table:
    return [reports.DETAIL_NAMES, *(rows or reports.detail_rows())]


def nested_sheet() -> Table:
    return [[*[None] * level, *cells] for level, cells in reports.nested_lines()]


def temperatures(shift: int = 0) -> Table:
    names = ["Record number", "State", "Relative Time(h:min:s.ms)", "Date(h:min:s.ms)", "Aux.CH TU1 T(°C)"]
    rows = [
        [
            each.number + shift,
            each.kind,
            reports.clock(each.step_time),
            f"{each.date:%Y-%m-%d %H:%M:%S}",
            20.0 + each.step,
        ]
        for each in reports.records()
        if each.step_time
    ]
    return [names, *rows]


def write(folder: Path, sheets: Sheets, name: str = "cell.xlsx") -> Path:
    path = folder / name
    with xlsxwriter.Workbook(path) as book:
        stamp = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        span = book.add_format({"num_format": "[h]:mm:ss"})
        for title, rows in sheets.items():
            sheet = book.add_worksheet(title)
            for at, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if isinstance(cell, datetime):
                        sheet.write_datetime(at, column, cell, stamp)
                    elif isinstance(cell, timedelta):
                        sheet.write_datetime(at, column, cell, span)
                    else:
                        sheet.write(at, column, cell)
    return path


def read(folder: Path, sheets: Sheets, **options: str) -> ReadResult:
    result = ba.read(write(folder, sheets), **options)
    assert result.reader == "neware_workbook"
    return result


def assert_ideal(result: ReadResult) -> None:
    each = list(reports.records())
    assert result.warnings == []
    assert result.frame["record_index"].to_list() == [record.number for record in each]
    assert result.frame["test_time_second"].to_list() == pytest.approx([record.total_time for record in each])
    assert result.frame["current_ampere"].to_list() == pytest.approx([record.current for record in each])
    assert result.frame["voltage_volt"].to_list() == pytest.approx([record.voltage for record in each])
    assert result.frame["cycle_count"].to_list() == [record.cycle for record in each]
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], abs=1e-9)
    assert result.cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0, 1.0], abs=1e-9)
    assert result.metadata.started_at == reports.START.replace(tzinfo=UTC)


@pytest.mark.parametrize("sheet", [record_sheet, detail_sheet, nested_sheet])
def test_an_ideal_cell_comes_out_ideal(tmp_path: Path, sheet: Callable[[], Table]) -> None:
    assert_ideal(read(tmp_path, {"cycle": [["Cycle Index"], [1]], "some sheet": sheet(), "log": [["event"]]}))


def test_times_may_be_durations_and_stamps_dates(tmp_path: Path) -> None:
    rows = [typed(row) for row in reports.flat_rows()]
    for row, each in zip(rows, reports.records(), strict=True):
        row[4], row[5], row[14] = timedelta(seconds=each.step_time), timedelta(seconds=each.total_time), each.date
    assert_ideal(read(tmp_path, {"record": record_sheet(rows)}))


def test_times_may_be_minutes(tmp_path: Path) -> None:
    rows = [typed(row) for row in reports.flat_rows()]
    for row, each in zip(rows, reports.records(), strict=True):
        row[4], row[5] = each.step_time / 60, each.total_time / 60
    names = reports.FLAT_NAMES.replace("Time,Total Time", "Time(min),Total Time(min)").split(",")
    assert_ideal(read(tmp_path, {"record": [names, *rows]}))


def test_a_test_in_several_sheets_is_one(tmp_path: Path) -> None:
    rows = reports.detail_rows()
    sheets = {"Detail_1_1_1": detail_sheet(rows[:20]), "Detail_1_1_2": detail_sheet(rows[20:])}
    assert_ideal(read(tmp_path, {"Info": INFO, **sheets, "Statis_1_1": [["Channel", "Step"], ["1-1", 1]]}))


def test_records_of_another_test_are_left_out_with_a_warning(tmp_path: Path) -> None:
    result = read(tmp_path, {"Detail_1_1": detail_sheet(), "Detail_1_2": detail_sheet()})
    assert result.frame.height == len(reports.detail_rows())
    assert result.warnings == [
        "sheets Detail_1_2 hold records of another test (their numbers begin again) and are left out"
    ]


@pytest.mark.parametrize("shift", [0, 1000])
def test_auxiliary_channels_join_by_number_or_by_clock(tmp_path: Path, shift: int) -> None:
    """Rows of step time 0 share their stamp with the record before, so they are not unique: none stand in the sheet."""
    result = read(tmp_path, {"Detail_1_1": detail_sheet(), "DetailTemp_1_1": temperatures(shift)})
    joined = result.frame.filter(result.frame["step_time_second"] > 0)
    assert joined["temperature_t1_celsius"].to_list() == [
        20.0 + each.step for each in reports.records() if each.step_time
    ]
    assert result.frame.height == len(reports.detail_rows())


def test_auxiliary_rows_without_a_record_are_left_out_with_a_warning(tmp_path: Path) -> None:
    names, *rows = temperatures(1000)
    later = [[*row[:3], "2025-01-01 00:00:00", row[4]] for row in rows[:3]]
    result = read(tmp_path, {"Detail_1_1": detail_sheet(), "DetailTemp_1_1": [names, *later]})
    assert "temperature_t1_celsius" not in result.frame
    assert result.warnings == ["sheet DetailTemp_1_1 (Aux.CH TU1 T(°C)) is left out: its rows match no records"]


def test_the_information_of_bts_7_is_kept(tmp_path: Path) -> None:
    metadata = read(tmp_path, {"Info": INFO, "Detail_1_1": detail_sheet()}).metadata
    assert (metadata.device, metadata.channel, metadata.protocol) == ("27", "3-5", "ageing.xml")
    assert metadata.comment == "second cell"
    assert metadata.header["P/N"] == "PN-1"


def test_the_information_of_btsda_8_is_kept(tmp_path: Path) -> None:
    metadata = read(tmp_path, {"unit": UNIT, "test": TEST, "record": record_sheet()}).metadata
    assert (metadata.device, metadata.channel) == ("27", "3-5")
    assert (metadata.barcode, metadata.sample_name, metadata.operator) == ("BAR-1", "BAR-1", "Ada")
    assert metadata.active_mass_gram == pytest.approx(0.01)
    assert metadata.nominal_capacity_ah == pytest.approx(1.0)
    assert metadata.voltage_limits_volt == (2.5, 4.2)
    assert metadata.comment is None
    assert metadata.header["step plan 2"] == "2 | CC Chg | 60 | 4.2"


def test_a_start_that_only_the_information_gives_is_taken(tmp_path: Path) -> None:
    rows = [[*typed(row)[:14], *typed(row)[15:]] for row in reports.flat_rows()]
    names = reports.FLAT_NAMES.replace("Date,", "").split(",")
    metadata = read(tmp_path, {"test": TEST, "record": [names, *rows]}, time_zone="Asia/Shanghai").metadata
    assert metadata.started_at == datetime(2024, 3, 15, 3, 59, 30, tzinfo=UTC)
    assert metadata.time_zone == "Asia/Shanghai"


def test_totals_alone_are_no_test(tmp_path: Path) -> None:
    path = write(tmp_path, {"cycle": [["Cycle Index", "Chg. Cap.(Ah)", "DChg. Cap.(Ah)"], [1, 1.0, 1.0]]})
    with pytest.raises(CorruptFileError, match="no sheet holds records; its sheets are cycle; export the record layer"):
        ba.read(path)


def test_names_alone_are_no_test(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="no data rows in the sheets record"):
        ba.read(write(tmp_path, {"record": record_sheet()[:1]}))


def test_half_a_workbook_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path, {"record": record_sheet()})
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(CorruptFileError, match="workbook is incomplete"):
        ba.read(path, reader="neware_workbook")


@pytest.mark.parametrize(
    "entry",
    [each for each in real_entries() if Path(each["path"]).suffix in (".xlsx", ".xls", ".ndax", ".csv")],
    ids=lambda entry: str(entry["path"]),
)
def test_claims_no_other_file(entry: dict[str, str]) -> None:
    path = real(entry["path"])
    assert not NewareWorkbook().recognises(path.read_bytes()[:HEAD_BYTES], path)
