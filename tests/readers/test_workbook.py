"""Workbooks come out cell by cell and column by column, and unsafe ones not at all."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import HEAD_BYTES
from battery_analysis.readers.workbook import HEAD_ROWS, Rows, continued, fault, peek, read_sheet, sheet_table
from battery_analysis.readers.workbook_columns import Cell
from tests.realdata import real, real_entries

xlsxwriter = pytest.importorskip("xlsxwriter")

NOON = datetime(2024, 5, 2, 12, 0, 0, 250_000)
MIDNIGHT = datetime(2024, 5, 3)


def write(path: Path, sheets: dict[str, list[list[Any]]], at: tuple[int, int] = (0, 0)) -> Path:
    with xlsxwriter.Workbook(path) as book:
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        span = book.add_format({"num_format": "[h]:mm:ss"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for down, row in enumerate(rows, at[0]):
                for across, cell in enumerate(row, at[1]):
                    if isinstance(cell, timedelta):
                        sheet.write_datetime(down, across, cell, span)
                    elif isinstance(cell, datetime):
                        sheet.write_datetime(down, across, cell, moment)
                    elif cell is not None:
                        sheet.write(down, across, cell)
    return path


def table(folder: Path, *rows: list[Any], header_row: int = 0) -> tuple[pl.DataFrame, list[str]]:
    return sheet_table(write(folder / "book.xlsx", {"data": list(rows)}), "data", header_row)


def column(folder: Path, *cells: Any) -> pl.Series:
    frame, _ = table(folder, ["number", "value"], *([float(at), cell] for at, cell in enumerate(cells)))
    return frame["value"]


def look(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return peek(file.read(HEAD_BYTES), path)


def test_sheets_come_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "book.xlsx", {"second": [[1.0]], "first": [["a"]], "none": []})
    assert list(look(path)) == ["second", "first", "none"]
    assert look(path) == {"second": [[1.0]], "first": [["a"]], "none": []}


def test_heads_end_after_some_rows_and_wholes_do_not(tmp_path: Path) -> None:
    path = write(tmp_path / "book.xlsx", {"long": [[float(row), "word"] for row in range(20_000)]})
    assert look(path)["long"] == [[float(row), "word"] for row in range(HEAD_ROWS)]
    assert len(read_sheet(path, "long")) == 20_000


def test_rows_are_counted_from_the_first_of_the_sheet(tmp_path: Path) -> None:
    path = write(tmp_path / "book.xlsx", {"data": [["name"], [1.5]]}, at=(2, 1))
    assert read_sheet(path, "data") == [["", ""], ["", ""], ["", "name"], ["", 1.5]]
    assert sheet_table(path, "data", 2)[0].to_dict(as_series=False) == {"name": [1.5]}


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "book.xlsx", {"old": [[1.0]]})
    assert list(look(path)) == ["old"]
    assert list(look(write(path, {"new and longer": [[1.0], [2.0]]}))) == ["new and longer"]


@pytest.mark.parametrize("rows", [3, 8192, 8193, 20_000])
def test_numbers_keep_every_digit(tmp_path: Path, rows: int) -> None:
    values = [float(f"{value:.15g}") for value in np.random.default_rng(1).normal(size=rows) * 1e-5]
    found = column(tmp_path, *values)
    assert found.dtype == pl.Float64
    assert found.to_list() == values


@pytest.mark.parametrize("mark", ["", "-", " -- ", None])
def test_marks_for_missing_values_are_null(tmp_path: Path, mark: str | None) -> None:
    assert column(tmp_path, 1.5, mark, 2.5).to_list() == [1.5, None, 2.5]


def test_midnight_is_a_time_like_any_other(tmp_path: Path) -> None:
    assert column(tmp_path, NOON, MIDNIGHT).to_list() == [NOON, MIDNIGHT]
    assert isinstance(read_sheet(tmp_path / "book.xlsx", "data")[2][1], date)


def test_durations_may_exceed_a_day(tmp_path: Path) -> None:
    spans = [timedelta(hours=1), timedelta(hours=36, seconds=1)]
    assert column(tmp_path, *spans).to_list() == spans
    assert not isinstance(read_sheet(tmp_path / "book.xlsx", "data")[1][1], time)


@pytest.mark.parametrize(("cells", "numbers"), [(["1.5", "2.5"], [1.5, 2.5]), (["1,5", "2,25"], [1.5, 2.25])])
def test_numbers_written_as_texts_are_numbers(tmp_path: Path, cells: list[str], numbers: list[float]) -> None:
    assert column(tmp_path, *cells).to_list() == numbers


def test_words_stay_words(tmp_path: Path) -> None:
    assert column(tmp_path, "rest", "charge", 3.0, "rest").to_list() == ["rest", "charge", "3", "rest"]


def test_cells_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    frame, warnings = table(tmp_path, ["a", "b"], [1.0, NOON], ["over", NOON], [3.0, "later"])
    assert frame["a"].to_list() == [1.0, None, 3.0]
    assert frame["b"].to_list() == [NOON, NOON, None]
    assert warnings == ["sheet data: 2 cells do not fit their column; kept as missing (a 1, b 1)"]


def test_names_are_made_different(tmp_path: Path) -> None:
    frame, warnings = table(tmp_path, ["a", "", "a", ""], [1.0, 2.0, 3.0, None], [1.0, 2.0, 3.0, None])
    assert frame.columns == ["a", "unnamed 2", "a duplicate 2"]
    assert warnings == ["sheet data: the column name 'a' appears twice; column 3 is kept as 'a duplicate 2'"]


def test_empty_rows_are_left_out(tmp_path: Path) -> None:
    frame, _ = table(tmp_path, ["a", "b"], [1.0, 2.0], [None, None], [None, 3.0])
    assert frame.rows() == [(1.0, 2.0), (None, 3.0)]


def test_a_sheet_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="has no sheet other"):
        read_sheet(write(tmp_path / "book.xlsx", {"data": [[1.0]]}), "other")


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = write(tmp_path / "book.xlsx", {"data": [["a"], [1.0]]}).rename(tmp_path / "book.xls")
    assert look(path) == {"data": [["a"], [1.0]]}
    assert sheet_table(path, "data", 0)[0].to_dict(as_series=False) == {"a": [1.0]}


def repacked(source: Path, target: Path, change: dict[str, bytes]) -> Path:
    """A copy of a workbook with other content in some members."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for member in archive.namelist():
            copy.writestr(member, change.get(member, archive.read(member)))
    return target


SHEET = "xl/worksheets/sheet1.xml"
FAR_CELLS = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'


@pytest.mark.parametrize("last", ["XFD1048576", "A99999999", "ZZ1048576"])
@pytest.mark.parametrize("padding", [0, 400_000])
def test_cells_far_apart_are_refused_before_they_take_the_memory(tmp_path: Path, last: str, padding: int) -> None:
    first = b'<row r="1"><c r="A1"><v>1</v></c></row>'
    row = "".join(filter(str.isdigit, last)).encode()
    end = b'<row r="%s"><c r="%s"><v>2</v></c></row>' % (row, last.encode())
    book = write(tmp_path / "book.xlsx", {"data": [[1.0]]})
    far = repacked(book, tmp_path / "far.xlsx", {SHEET: FAR_CELLS % (first + b" " * padding + end)})
    with pytest.raises(CorruptFileError, match="a sheet spans more than the limit"):
        sheet_table(far, "data", 0)


def test_an_archive_that_expands_too_far_is_refused(tmp_path: Path) -> None:
    book = write(tmp_path / "book.xlsx", {"data": [[1.0]]})
    bomb = repacked(book, tmp_path / "bomb.xlsx", {"xl/theme/theme1.xml": bytes(80 << 20)})
    assert look(bomb) == {}
    with pytest.raises(CorruptFileError, match="expands beyond the limit"):
        read_sheet(bomb, "data")


def test_a_cut_archive_is_named_incomplete(tmp_path: Path) -> None:
    whole = write(tmp_path / "book.xlsx", {"data": [[1.0]]}).read_bytes()
    cut = tmp_path / "cut.xlsx"
    cut.write_bytes(whole[: len(whole) // 2])
    assert look(cut) == {}
    assert fault(cut.read_bytes(), cut) == "the workbook is incomplete (no central directory)"


def test_an_archive_with_a_hole_is_named_damaged(tmp_path: Path) -> None:
    """The places in its directory then lie before its beginning."""
    whole = write(tmp_path / "book.xlsx", {"data": [[1.0]]}).read_bytes()
    holed = tmp_path / "holed.xlsx"
    holed.write_bytes(whole[:200] + whole[300:])
    with pytest.raises(CorruptFileError, match=r"holed\.xlsx: the workbook is damaged"):
        ba.read(holed)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "book.xlsx", {"data": [[float(row)] for row in range(5000)]})
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo(SHEET).header_offset + 2000
    data = bytearray(path.read_bytes())
    data[at : at + 8] = b"damaged!"
    path.write_bytes(data)
    with pytest.raises(CorruptFileError, match="the workbook is damaged"):
        read_sheet(path, "data")


@pytest.mark.parametrize("content", [b"", b"Test_Time(s),Voltage(V)\n", b"PK\x05\x06" + bytes(18)])
def test_other_files_are_no_workbooks(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.xlsx"
    path.write_bytes(content)
    assert look(path) == {}
    assert fault(content, path) is None


def test_a_zip_archive_of_something_else_is_no_workbook(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data.ndc", b"...")
    path = tmp_path / "file.ndax"
    path.write_bytes(packed.getvalue())
    assert look(path) == {}
    assert fault(packed.getvalue(), path) is None


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bytes_end_in_an_answer_or_a_clear_error(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = write(tmp_path / "book.xlsx", {"data": [["a", "b"], *([float(row), "x"] for row in range(50))]})
    if seed % 2:
        with zipfile.ZipFile(path) as archive:
            members = {each.filename: bytearray(archive.read(each)) for each in archive.infolist()}
        for text in members.values():
            for at in rng.integers(0, len(text), 3):
                text[at] = rng.integers(32, 127)
        path = repacked(path, tmp_path / "flipped.xlsx", {name: bytes(text) for name, text in members.items()})
    else:
        data = bytearray(path.read_bytes())
        for at in rng.integers(0, len(data), 20):
            data[at] = rng.integers(256)
        path.write_bytes(data)
    for name in look(path):
        try:
            assert sheet_table(path, name, 0)[0].height <= 1000
        except CorruptFileError as exc:
            assert "\n" not in str(exc)


@pytest.mark.parametrize(
    "entry", [each for each in real_entries() if each["path"].endswith(".xlsx")], ids=lambda each: each["path"]
)
def test_real_sheets_agree_with_an_independent_reader(entry: dict[str, Any]) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = real(entry["path"])
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    for name in look(path):
        theirs = book[name].iter_rows(values_only=True)
        for ours, their in zip(read_sheet(path, name)[:2000], theirs, strict=False):
            for cell, want in zip(ours, their, strict=True):
                if isinstance(cell, date) and not isinstance(cell, datetime):
                    cell = datetime(cell.year, cell.month, cell.day)
                if isinstance(cell, datetime) and isinstance(want, datetime):
                    assert abs(cell - want) <= timedelta(milliseconds=1)  # one rounds, the other cuts
                else:
                    assert cell == ("" if want is None else want)


GOING_ON = {
    "neware_workbook": (
        "record{}",
        ("DataPoint", "Cycle Index", "Step Type", "Total Time(s)", "Current(A)", "Voltage(V)"),
    ),
    "arbin_xlsx": (
        "Channel_1-008_{}",
        ("Data_Point", "Cycle_Index", "Mode", "Test_Time(s)", "Current(A)", "Voltage(V)"),
    ),
    "maccor_workbook": ("Sheet{}", ("Step", "Cyc#", "State", "Test Time (sec)", "Amps", "Volts")),
    "landt_xlsx": ("Record{}", ("Record", "Cycle-Index", "Step-State", "TestTime/Sec", "Current/A", "Voltage/V")),
}
"""How sheets are called, and their columns."""


@pytest.mark.parametrize("reader", GOING_ON)
def test_a_sheet_that_goes_on_without_names_belongs_to_the_one_before(tmp_path: Path, reader: str) -> None:
    called, names = GOING_ON[reader]
    rows = [[at, 1, "C", 60.0 * at, 1.0, 3.5] for at in range(1, 9)]
    totals = [["Cycle", "Capacity"], [1, 2.5]]
    sheets = {called.format(1): [names, *rows[:5]], called.format(2): rows[5:], "Summary": totals}
    result = ba.read(write(tmp_path / "cell.xlsx", sheets))
    assert result.reader == reader
    assert result.frame["test_time_second"].to_list() == [60.0 * at for at in range(1, 9)]
    assert not any(called.format(2) in warning for warning in result.warnings)


@pytest.mark.parametrize("other", [["Cycle", "Capacity", "", "", ""], [1.0, 2.5], ["a", 1.0, "b", 2.0, 3.0]])
def test_a_sheet_of_something_else_goes_on_with_nothing(other: list[Cell]) -> None:
    heads: dict[str, Rows] = {"Sheet1": [["Rec", "State", "Test", "Amps", "Volts"], [1.0, "C", 0.0, 1.0, 3.5]]}
    assert continued(heads | {"Sheet2": [[2.0, "C", 60.0, 1.0, ""]]}, {"Sheet1": 0}) == {"Sheet2": heads["Sheet1"][0]}
    assert continued(heads | {"Sheet2": [other]}, {"Sheet1": 0}) == {}
