"""Maccor text exports (``.txt``, ``.csv``, and ``.001`` to ``.999``, the number of the channel).

File structure:
    Up to some twenty lines about the test, one line of column names, one line for each record, separated by tabs or
    commas. Blank lines may stand between. A column name ``Units`` comes after each auxiliary input. Latin-1 as a
    rule; numbers with the decimal mark, some also with the thousands separators of the computer's locale.

Seen in:
    MacTest32 and MIMS Client exports, with tabs and with commas.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.maccor_columns import REQUIRED, heading, is_header
from battery_analysis.readers.maccor_header import describe, read_header
from battery_analysis.readers.maccor_mapping import UNITS_SUFFIX, name_units
from battery_analysis.readers.maccor_records import to_reading
from battery_analysis.readers.sniff import (
    column_names,
    line_start,
    lines_of,
    load_text,
    sample_lines,
    sniff_decimal,
    split_cells,
    voltage_lines,
)
from battery_analysis.readers.table import parse_table

NUMBERED_SUFFIXES = frozenset(f".{number:03}" for number in range(1, 1000))

_MOST_HEADER_LINES = 100
_DELIMITERS = ("\t", ",", ";")
_QUOTED_THOUSANDS = re.compile(rb'"([+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?)"')
_INNER_COMMA = re.compile(rb"(?<=\d),(?=\d{3}(?!\d))")
_INVENTED = re.compile(r"unnamed:? \d+", re.IGNORECASE)


class MaccorText:
    """Reads Maccor text exports."""

    name = "maccor_text"
    version = "1"
    tester = "Maccor"
    suffixes = frozenset({".txt", ".csv"}) | NUMBERED_SUFFIXES
    description = "Maccor text exports; a line of column names with Step, TestTime, Volts and Cyc#, Cycle C or DPt Time"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether one of the first lines holds Maccor's column names."""
        return any(_delimiter(line) for at, line in voltage_lines(head) if at < _MOST_HEADER_LINES)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export; Maccor writes clock times without a zone, so they are taken in ``time_zone``.

        Raises:
            CorruptFileError: There is no line of column names, or no records.
            SchemaError: Test time or voltage is absent.
        """
        text, _, warnings = load_text(path, keep_returns=True)
        found = _find_names(text)
        if found is None:
            raise CorruptFileError(path, "no line of column names such as Step, TestTime, Volts", self.name)
        try:
            raw, units, table_warnings = _table(text, found)
        except SchemaError as exc:
            raise CorruptFileError(path, str(exc), self.name) from exc
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        del text  # many megabytes of which nothing more is needed
        metadata = TestMetadata(tester=self.tester)
        header = read_header([line.split(found.delimiter) for line in found.lines[:-1]])
        describe(metadata, header, path, time_zone)
        return to_reading(raw, metadata, [*warnings, *table_warnings], time_zone, units)


class _Found(NamedTuple):
    """The lines up to that with the column names, and what separates its cells."""

    lines: list[str]
    delimiter: str


def _find_names(text: bytes) -> _Found | None:
    lines = [line for line, _ in islice(lines_of(text), _MOST_HEADER_LINES)]
    for at, line in enumerate(lines):
        if delimiter := _delimiter(line):
            return _Found(lines[: at + 1], delimiter)
    return None


def _delimiter(line: str) -> str | None:
    """What separates Maccor's column names in a line; None where it holds none."""
    for delimiter in _DELIMITERS:
        if line.count(delimiter) >= 3 and is_header(split_cells(line, delimiter)):
            return delimiter
    return None


def _table(text: bytes, found: _Found) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """Parse the records; lines above them are left out by their number, for they may come again below.

    Also says the units of columns whose column Units is the same all over and need not be read.
    """
    start, first_line = line_start(text, len(found.lines)), len(found.lines) + 1
    while text.startswith((b"\n", b"\r\n"), start):
        start, first_line = line_start(text, 1, start), first_line + 1
    sample = sample_lines(text, start=start)
    names, warnings = _names(found, sample)
    decimal = sniff_decimal(sample, found.delimiter)
    if decimal == "." and text.find(b'"' if found.delimiter == "," else b",", start) >= 0:
        text, start = _without_thousands(text[start:], found.delimiter), 0
    headings = [heading(name) for name in names]
    units = _units(names, sample, found.delimiter)
    frame, table_warnings = parse_table(
        text,
        names,
        delimiter=found.delimiter,
        decimal=decimal,
        first_line=first_line,
        required=[each.name for each in headings if each.column in REQUIRED],
        real={each.name for each in headings if not each.is_whole},
        repeated={name for name in names if name.endswith(UNITS_SUFFIX)},
        unread={name + UNITS_SUFFIX for name in units},
        start=start,
    )
    empty = [name for name in frame.columns if _INVENTED.fullmatch(name) and not frame[name].count()]
    return frame.drop(empty), units, [*warnings, *table_warnings]


def _units(names: list[str], sample: list[str], delimiter: str) -> dict[str, str]:
    """The unit of each column behind which some lines from all over the file hold one and the same."""
    rows = [cells for line in sample if len(cells := split_cells(line, delimiter)) == len(names)]
    words = [{cell.strip(' \t"') for cell in cells} for cells in zip(*rows, strict=True)]
    return {
        name.removesuffix(UNITS_SUFFIX): different.pop()
        for name, different in zip(names, words, strict=False)  # without rows there are no words
        if name.endswith(UNITS_SUFFIX) and len(different) == 1 and any(different)
    }


def _names(found: _Found, sample: list[str]) -> tuple[list[str], list[str]]:
    """Name the columns that the records have; names at the end of the line may have none below them."""
    cells = name_units(split_cells(found.lines[-1], found.delimiter))
    widths = Counter(len(split_cells(row, found.delimiter)) for row in sample if row.strip())
    width = widths.most_common(1)[0][0] if widths else len(cells)
    warnings = []
    surplus = [cell.strip() for cell in cells[width:]]
    if surplus and (all(_INVENTED.fullmatch(cell) for cell in surplus if cell) or width >= len(cells) - 1):
        missing = [cell for cell in surplus if cell and not _INVENTED.fullmatch(cell)]
        if missing:
            warnings.append(f"the columns {', '.join(missing)} are announced, but no record has them")
        cells = cells[:width]
    names, name_warnings = column_names(found.delimiter.join(cells), found.delimiter, sample)
    return names, [*warnings, *name_warnings]


def _without_thousands(rows: bytes, delimiter: str) -> bytes:
    """Write numbers like 5,577,644.47 without their commas."""
    if delimiter == ",":
        return _QUOTED_THOUSANDS.sub(lambda number: number[1].replace(b",", b""), rows)
    return _INNER_COMMA.sub(b"", rows)
