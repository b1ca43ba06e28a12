"""Digatron text exports (``.csv``).

File structure, as published files have it:
    Lines ``key,value`` about the test, one line of labels, one of units in square brackets, then the records:
    ``Time Stamp``, ``Step``, ``Status``, ``Prog Time``, ``Step Time``, ``Cycle``, ``Cycle Level``, ``Procedure``,
    ``Voltage [V]``, ``Current [A]``, ``Temperature [C]``, ``Capacity [Ah]``, ``WhAccu [Wh]``, ``Cnt``. Times are
    ``hours:minutes:seconds``, with more than 24 hours; the stamps are local time. A delimiter ends every line.

Choices:
    Current is positive on charge (``CHA``) and negative on discharge (``DCH``), as in published files. Capacity
    and energy are net totals that the programme sets to zero at will, for which there is no canonical term: they are
    kept as ``aux_``.
    Exports with labels in other languages are not recognised.

Seen in:
    Layouts as published; not yet checked on a real file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import Heading
from battery_analysis.readers.sniff import (
    column_names,
    head_text,
    load_text,
    sample_lines,
    sniff_decimal,
    sniff_delimiter,
    split_cells,
)
from battery_analysis.readers.table import parse_table
from battery_analysis.readers.terms import to_frame, with_clock

TERMS = {
    "Prog Time": columns.TEST_TIME,
    "Voltage": columns.VOLTAGE,
    "Current": columns.CURRENT,
    "Cycle": columns.CYCLE_COUNT,
    "Step": columns.STEP_ID,
    "Status": columns.STEP_TYPE,
    "Step Time": columns.STEP_TIME,
    "Temperature": columns.SENSOR_TEMPERATURES[0],
}
_MARKS = ("Prog Time", "Step Time", "Cycle Level", "Procedure")
_REQUIRED = ("Prog Time", "Voltage", "Current")
_STAMP = "Time Stamp"
_MOST_HEADER_LINES = 1_000


class DigatronCsv:
    """Reads Digatron text exports."""

    name = "digatron_csv"
    version = "1"
    tester = "Digatron"
    suffixes = frozenset({".csv"})
    description = (
        "Digatron text exports; labels Prog Time, Step Time, Cycle Level, Procedure; not yet checked on a real file"
    )

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a line holds Digatron's labels."""
        text = head_text(head)
        return all(mark in text for mark in _MARKS) and _split(text.encode()) is not None

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There is no line of labels, or no records.
            SchemaError: Time, voltage or current is absent or holds no numbers.
        """
        text, _, warnings = load_text(path)
        found = _split(text)
        if found is None:
            raise CorruptFileError(path, f"no line of labels with {', '.join(_MARKS)}", self.name)
        sample = sample_lines(found.rows)
        delimiter = sniff_delimiter(found.lines[-1], sample) or ","
        names, name_warnings = column_names(found.lines[-1], delimiter, sample)
        cells = split_cells(found.units, delimiter) + [""] * len(names)
        units = {name: cell.strip('[]" ') for name, cell in zip(names, cells, strict=False)}
        raw, table_warnings = parse_table(
            found.rows,
            names,
            delimiter=delimiter,
            decimal=sniff_decimal(sample, delimiter),
            first_line=len(found.lines) + bool(found.units) + 1,
            required=_REQUIRED,
            real={name for name in names if units[name]},
        )
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling", header=_header(found.lines[:-1], delimiter))
        _describe(metadata, raw)
        headings = [Heading(name, name, units[name]) for name in names]
        frame, metadata.sources, term_warnings = to_frame(raw, headings, TERMS)
        warnings += [*name_warnings, *table_warnings, *term_warnings]
        if _STAMP in raw.columns:
            frame, clock_warnings = with_clock(frame, raw[_STAMP], time_zone, metadata)
            warnings += clock_warnings
        return Reading(frame, metadata, warnings)


class _Split(NamedTuple):
    lines: list[str]
    units: str
    rows: bytes


def _split(text: bytes) -> _Split | None:
    """Part the header, which ends with the line of labels, the line of units if there is one, and the records."""
    lines: list[str] = []
    position = 0
    while position < len(text) and len(lines) < _MOST_HEADER_LINES:
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        lines.append(text[position:end].decode("utf-8", "replace"))
        position = end + 1
        if all(mark in lines[-1] for mark in _MARKS):
            units, _, rows = text[position:].partition(b"\n")
            if re.search(rb"\[[^\]]*\]", units):
                return _Split(lines, units.decode("utf-8", "replace"), rows)
            return _Split(lines, "", text[position:])
    return None


def _header(lines: list[str], delimiter: str) -> dict[str, str]:
    header = {}
    for line in lines:
        key, *values = (cell.strip(' "') for cell in split_cells(line, delimiter))
        if key:
            header[key] = ", ".join(filter(None, values))
    return header


def _describe(metadata: TestMetadata, raw: pl.DataFrame) -> None:
    header = metadata.header
    metadata.sample_name = header.get("Battery Name") or None
    metadata.test_name = header.get("Test section") or None
    if "Procedure" in raw.columns and raw.schema["Procedure"] == pl.String:
        metadata.protocol = "; ".join(raw["Procedure"].drop_nulls().unique(maintain_order=True).head(10)) or None
