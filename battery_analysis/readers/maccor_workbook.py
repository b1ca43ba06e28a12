"""Maccor exports to workbooks (``.xls``, ``.xlsx``).

File structure:
    Each sheet has one row (or some) about the test, one row of column names, and the records. A test that is longer
    than a sheet continues on the next one (``Data``, ``Data 2`` …), with both rows again.

Seen in:
    MIMS Client exports of 2018, ``.xls`` and the same saved as ``.xlsx``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.maccor_columns import is_header
from battery_analysis.readers.maccor_header import describe, read_header
from battery_analysis.readers.maccor_mapping import UNITS_SUFFIX
from battery_analysis.readers.maccor_records import to_reading
from battery_analysis.readers.workbook import Rows, continued, peek, sheet_table
from battery_analysis.readers.workbook_columns import Cell

_UNITS = re.compile(r"Units( duplicate \d+)?", re.IGNORECASE)
_HEAD_BYTES = 4_096


class MaccorWorkbook:
    """Reads Maccor exports to workbooks."""

    name = "maccor_workbook"
    version = "1"
    tester = "Maccor"
    suffixes = frozenset({".xls", ".xlsx"})
    description = "Maccor exports to workbooks; a sheet with a row of Maccor's column names"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a sheet has a row of Maccor's column names."""
        return any(_header_row(rows) is not None for rows in peek(head, path).values())

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read all sheets with records, in their order.

        Raises:
            CorruptFileError: The workbook cannot be opened, or has no records.
            SchemaError: Test time or voltage is absent.
        """
        with path.open("rb") as file:
            heads = peek(file.read(_HEAD_BYTES), path)
        tables: list[pl.DataFrame] = []
        warnings: list[str] = []
        above: Rows = []
        header_rows = {sheet: at for sheet, rows in heads.items() if (at := _header_row(rows)) is not None}
        going_on = continued(heads, header_rows)
        for sheet, rows in heads.items():
            at = 0 if sheet in going_on else header_rows.get(sheet)
            if at is None:
                if any(cell != "" for row in rows for cell in row):
                    warnings.append(f"sheet {sheet} has no column names of Maccor's; left out")
                continue
            table, sheet_warnings = sheet_table(path, sheet, at, names=going_on.get(sheet, ()))
            tables.append(_with_named_units(table))
            warnings += [each for each in sheet_warnings if "the column name 'Units'" not in each]
            above = above or rows[:at]
        if not tables:
            raise CorruptFileError(path, "no sheet has a row of column names such as Step, TestTime, Volts", self.name)
        raw = pl.concat(tables, how="diagonal_relaxed")
        if not raw.height:
            raise CorruptFileError(path, "the file has no data rows", self.name)
        metadata = TestMetadata(tester=self.tester)
        describe(metadata, read_header([[_text(cell) for cell in row] for row in above]), path, time_zone)
        try:
            return to_reading(raw, metadata, warnings, time_zone)
        except (pl.exceptions.PolarsError, SchemaError) as exc:
            raise CorruptFileError(path, str(exc), self.name) from exc


def _header_row(rows: Sequence[Sequence[Cell]]) -> int | None:
    """Position of the row with the column names."""
    found = (at for at, row in enumerate(rows) if is_header([cell for cell in row if isinstance(cell, str)]))
    return next(found, None)


def _with_named_units(table: pl.DataFrame) -> pl.DataFrame:
    """Name each column of units after the column before it."""
    names = table.columns
    return table.rename(
        {name: names[at - 1] + UNITS_SUFFIX for at, name in enumerate(names) if at and _UNITS.fullmatch(name)}
    )


def _text(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return f"{cell:g}" if isinstance(cell, float) else str(cell)
