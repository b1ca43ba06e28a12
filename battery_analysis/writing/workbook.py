"""A test as an Excel workbook: a sheet of facts, one of cycles, and as many of records as they need.

Sheet structure:
    ``About`` holds what was said of the test, for people and, in a hidden first row, for programs. ``Cycles`` and
    ``Records``, ``Records 2``, … begin with a row of machine names of the Battery Data Format.

Excel's own limits hold: 1,048,576 rows and 16,384 columns a sheet, 32,767 characters a cell, whole numbers to 2^53.
More rows go to further sheets; what else does not fit is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from battery_analysis.errors import BatteryAnalysisError, SchemaError
from battery_analysis.readers.base import TestMetadata
from battery_analysis.readers.bdf_containers import ABOUT, RECORDS
from battery_analysis.readers.notes import NOTE_KEY, to_note
from battery_analysis.readers.workbook import MAX_CELLS, MAX_ROWS
from battery_analysis.writing import for_text

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

MAX_COLUMNS = 16_384
MAX_CHARACTERS = 32_767
LARGEST_WHOLE = 2**53
_CHUNK_CHARACTERS = 32_000
_CHUNK_ROWS = 65_536
_NAME_WIDTH = 26


class _Exact(float):
    """A number that is written with all its digits: the library formats numbers to 16, which not all survive."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return repr(float(self))


def write_workbook(
    target: Path, file: BinaryIO, frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata
) -> None:
    """Write records, cycle table and facts of one test.

    Raises:
        SchemaError: There are more columns than a sheet has, or a value that no cell holds.
    """
    import xlsxwriter

    tables = {"Cycles": for_text(cycles), RECORDS: for_text(frame)}
    for table in tables.values():
        _check(target, table)
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    try:
        with xlsxwriter.Workbook(file, options) as book:
            _write_about(book, metadata)
            for name, table in tables.items():
                for number, rows in enumerate(_by_sheet(table), start=1):
                    _write_rows(book, name if number == 1 else f"{name} {number}", rows)
    except xlsxwriter.exceptions.XlsxWriterException as exc:
        raise BatteryAnalysisError(f"{target}: cannot be written: {exc}") from exc


def _check(target: Path, table: pl.DataFrame) -> None:
    if table.width > MAX_COLUMNS:
        raise SchemaError(f"{target}: {table.width} columns, but a sheet of Excel has {MAX_COLUMNS}; write .parquet")
    for values in table.iter_columns():
        if values.dtype == pl.String:
            longest = values.str.len_chars().max()
            if isinstance(longest, int) and longest > MAX_CHARACTERS:
                what = f"column {values.name} holds a text of {longest} characters"
                raise SchemaError(f"{target}: {what}, but a cell of Excel takes {MAX_CHARACTERS}; write .parquet")
        elif values.dtype.is_integer():
            largest = values.cast(pl.Int128).abs().max() or 0
            if isinstance(largest, int) and largest > LARGEST_WHOLE:
                what = f"column {values.name} holds the whole number {largest}"
                raise SchemaError(f"{target}: {what}, which Excel would round; write .parquet")
        elif not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
            raise SchemaError(f"{target}: column {values.name} holds {values.dtype}, which no cell of Excel takes")


def _by_sheet(table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut a table into what a sheet takes, and what is read again of a sheet."""
    most = min(MAX_ROWS, MAX_CELLS // max(table.width, 1)) - 1
    yield from (table.slice(first, most) for first in range(0, max(table.height, 1), most))


def _write_rows(book: Workbook, name: str, rows: pl.DataFrame) -> None:
    sheet = _new_sheet(book, name, rows.columns)
    numbers = {at for at, dtype in enumerate(rows.dtypes) if dtype.is_numeric()}
    texts = {at for at, dtype in enumerate(rows.dtypes) if dtype == pl.String}
    row = 0
    for first in range(0, rows.height, _CHUNK_ROWS):
        for cells in rows.slice(first, _CHUNK_ROWS).iter_rows():
            row += 1
            for at, cell in enumerate(cells):
                if cell is None:
                    continue
                if at in numbers:
                    sheet.write_number(row, at, _Exact(cell))
                elif at in texts:
                    sheet.write_string(row, at, cell)
                else:
                    sheet.write_boolean(row, at, cell)


def _new_sheet(book: Workbook, name: str, headings: list[str]) -> Worksheet:
    sheet = book.add_worksheet(name)
    bold = book.add_format({"bold": True, "bottom": 1})
    sheet.freeze_panes(1, 0)
    if headings:
        sheet.set_column(0, len(headings) - 1, _NAME_WIDTH)
    for at, heading in enumerate(headings):
        sheet.write_string(0, at, heading, bold)
    return sheet


def _write_about(book: Workbook, metadata: TestMetadata) -> None:
    sheet = book.add_worksheet(ABOUT)
    sheet.set_column(0, 1, 2 * _NAME_WIDTH)
    sheet.set_row(0, None, None, {"hidden": True})
    for at, text in enumerate([NOTE_KEY, *_pieces(to_note(metadata))]):
        sheet.write_string(0, at, text)
    bold = book.add_format({"bold": True})
    for row, (name, value) in enumerate(_facts(metadata), start=1):
        sheet.write_string(row, 0, name, bold)
        for at, text in enumerate(_pieces(value), start=1):
            sheet.write_string(row, at, text)


def _facts(metadata: TestMetadata) -> Iterator[tuple[str, str]]:
    """What was said of the test, in words; the lines of the file's own header last."""
    facts: dict[str, Any] = asdict(metadata)
    header = facts.pop("header")
    del facts["sources"]
    for name, value in facts.items():
        if value not in (None, "", False):
            yield name, value.isoformat(" ") if isinstance(value, datetime) else str(value)
    yield from header.items()


def _pieces(text: str) -> list[str]:
    """Cut a text into what a cell takes."""
    return [text[at : at + _CHUNK_CHARACTERS] for at in range(0, max(len(text), 1), _CHUNK_CHARACTERS)]
