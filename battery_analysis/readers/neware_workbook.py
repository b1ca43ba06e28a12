"""Neware reports as workbooks (``.xlsx``, ``.xls``) of BTS 5 to 7 and BTSDA 8.

File structure:
    Records stand in sheets named ``record`` (BTSDA 8) or ``Detail_…`` (BTS 7), long tests in several, flat or nested
    as ``neware_layout`` describes them; sheets are told by their column names, not by their own. Auxiliary channels
    may stand in sheets beside them (``DetailTemp_…``, ``DetailVol_…``), with a record number or a clock stamp in each
    row. ``Info``, ``test`` and ``unit`` describe the test; ``cycle``, ``step`` and ``Statis_…`` hold totals.

Choices:
    Record sheets whose numbers go on belong to one test; one whose numbers begin again is another test's and is left
    out with a warning. Auxiliary rows join the record of their number, provided that the clock stamps agree, else that
    of their clock stamp. ``device`` with three values gives device, unit and channel.

Seen in:
    Not yet checked on a real file; built from public descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import Reading
from battery_analysis.readers.neware_headings import heading
from battery_analysis.readers.neware_layout import Names, find_names, is_table_of_totals, nested_table
from battery_analysis.readers.neware_report import to_reading
from battery_analysis.readers.neware_sheets import describe_test
from battery_analysis.readers.workbook import Rows, continued, fault, peek, read_sheet, sheet_table
from battery_analysis.readers.workbook_columns import Cell

_MARK = "|"  # unlike a tab it never pads cells
_HEAD_BYTES = 1024
_INFORMATION = ("info", "test", "unit")


class NewareWorkbook:
    """Reads record sheets of Neware reports."""

    name = "neware_workbook"
    version = "1"
    tester = "Neware"
    suffixes = frozenset({".xlsx", ".xls"})
    description = "Neware BTS and BTSDA reports by the column names of their sheets; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a sheet holds Neware's names of records, or of totals of cycles or steps."""
        sheets = [_lines(rows) for rows in peek(head, path).values()]
        return any(find_names(lines) or is_table_of_totals(lines) for lines in sheets)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one report; Neware writes clock times without a zone, so they are taken in ``time_zone``."""
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if damage := fault(head, path):
            raise CorruptFileError(path, damage, self.name)
        sheets = peek(head, path)
        named = {sheet: names for sheet, rows in sheets.items() if (names := find_names(_lines(rows)))}
        if not named:
            there = f"its sheets are {', '.join(sheets)}" if sheets else "it is no workbook"
            raise CorruptFileError(path, f"no sheet holds records; {there}; export the record layer, too", self.name)
        try:
            return self._read(path, sheets, named, time_zone)
        except (SchemaError, pl.exceptions.PolarsError) as exc:
            raise CorruptFileError(path, str(exc).split("\n")[0], self.name) from exc

    def _read(self, path: Path, sheets: dict[str, Rows], named: dict[str, Names], time_zone: str) -> Reading:
        parts: dict[str, pl.DataFrame] = {}
        warnings: list[str] = []
        going_on = continued(sheets, {sheet: len(names.before) for sheet, names in named.items() if not names.indents})
        for sheet in (sheet for sheet in sheets if sheet in named or sheet in going_on):
            if sheet in named:
                part, part_warnings = _records(path, sheet, named[sheet])
            else:
                part, part_warnings = sheet_table(path, sheet, 0, names=going_on[sheet])
            if part.height:
                parts[sheet] = part
            warnings += part_warnings
        if not parts:
            raise CorruptFileError(path, f"no data rows in the sheets {', '.join(named)}", self.name)
        table, other_tests = _one_test(parts)
        for sheet in [each for each in sheets if each not in named and each not in going_on]:
            table, more = _with_auxiliary(table, path, sheet, sheets[sheet])
            warnings += more
        information = [read_sheet(path, sheet) for sheet in sheets if sheet.lower() in _INFORMATION]
        metadata = describe_test(information, time_zone)
        return to_reading(table, metadata, [*warnings, *other_tests], time_zone)


def _records(path: Path, sheet: str, names: Names) -> tuple[pl.DataFrame, list[str]]:
    if not names.indents:
        return sheet_table(path, sheet, len(names.before))
    text = "\n".join([*_lines(read_sheet(path, sheet)), ""]).encode()
    table, warnings = nested_table(text, names)
    return table, [f"sheet {sheet}: {warning}" for warning in warnings]


def _lines(rows: Rows) -> list[str]:
    """Rows as lines of text."""
    return [_MARK.join(_spelled(cell) for cell in row) for row in rows]


def _spelled(cell: Cell) -> str:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, time):
        cell = timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second, microseconds=cell.microsecond)
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(cell.total_seconds(), 60)
        return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{seconds:09.6f}"
    return " ".join(str(cell).replace(_MARK, "/").split())


def _one_test(parts: dict[str, pl.DataFrame]) -> tuple[pl.DataFrame, list[str]]:
    """Join the sheets whose record numbers go on; also say which begin anew and so are left out."""
    tables: list[pl.DataFrame] = []
    others: list[str] = []
    last: float | None = None
    for sheet, part in parts.items():
        numbers = _numbers(part, columns.RECORD_INDEX)
        first = None if numbers is None else numbers.drop_nulls().first()
        if isinstance(first, int | float) and last is not None and first <= last:
            others.append(sheet)
            continue
        tables.append(part)
        if numbers is not None and isinstance(highest := numbers.max(), int | float):
            last = float(highest)
    table = pl.concat(tables, how="diagonal_relaxed") if len(tables) > 1 else tables[0]
    said = f"sheets {', '.join(others)} hold records of another test (their numbers begin again) and are left out"
    return table, [said] if others else []


def _with_auxiliary(table: pl.DataFrame, path: Path, sheet: str, rows: Rows) -> tuple[pl.DataFrame, list[str]]:
    """Join the channels of a sheet whose rows name a record by its number or its clock stamp."""
    at = next((place for place, row in enumerate(rows) if _is_auxiliary(row)), None)
    if at is None:
        return table, []
    channels, warnings = sheet_table(path, sheet, at)
    values = [name for name in channels.columns if channels.schema[name].is_numeric() and _is_channel(name)]
    for key, witness in ((columns.RECORD_INDEX, columns.UNIX_TIME), (columns.UNIX_TIME, None)):
        joined = _joined(table, channels.select(values), channels, key, witness)
        if joined is not None:
            return joined, warnings
    return table, [*warnings, f"sheet {sheet} ({', '.join(values)}) is left out: its rows match no records"]


def _is_auxiliary(row: Sequence[Cell]) -> bool:
    found = {heading(str(cell)).column for cell in row if cell != ""}
    return columns.RECORD_INDEX in found and any(_is_channel(str(cell)) for cell in row if cell != "")


def _is_channel(name: str) -> bool:
    each = heading(name)
    return each.column in columns.SENSOR_TEMPERATURES or (each.column is None and bool(each.unit))


def _joined(
    table: pl.DataFrame, values: pl.DataFrame, channels: pl.DataFrame, key: Column, witness: Column | None
) -> pl.DataFrame | None:
    """Join by a key; None where it is missing, not unique, names no records, or the witness contradicts it."""
    left, right = _numbers(table, key), _numbers(channels, key)
    if left is None or right is None or left.dtype != right.dtype or right.null_count() or not right.is_unique().all():
        return None
    seen = _numbers(table, witness) if witness else None
    told = _numbers(channels, witness) if witness else None
    both = pl.DataFrame({"key": right, "told": told if told is not None and seen is not None else None})
    known = table.with_columns(left.alias("key")).select("key").with_columns(seen=seen if told is not None else None)
    matched = both.join(known, on="key", how="inner")
    if matched.height < channels.height or (matched["told"] != matched["seen"]).any():
        return None
    names = {name: name if name not in table else f"{name} auxiliary" for name in values.columns}
    keyed = values.rename(names).with_columns(right.alias("auxiliary key"))
    return (
        table.with_columns(left.alias("auxiliary key"))
        .join(keyed, on="auxiliary key", how="left", maintain_order="left")
        .drop("auxiliary key")
    )


def _numbers(table: pl.DataFrame, column: Column) -> pl.Series | None:
    """The column of a table that holds ``column``."""
    return next(_holding(table, column), None)


def _holding(table: pl.DataFrame, column: Column) -> Iterator[pl.Series]:
    return (table[name] for name in table.columns if heading(name).column is column)
