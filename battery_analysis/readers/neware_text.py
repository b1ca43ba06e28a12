"""Neware text exports (``.csv``, ``.txt``) of BTSDA and of the BTS programs before it.

File structure:
    Flat or nested rows, as ``neware_layout`` describes them, under names that ``neware_headings`` lists. Encoding is
    Latin-1, UTF-8 or that of Chinese Windows (GB 18030).

Seen in:
    BTSDA 8.0 flat, with and without fractions of seconds. Nested exports are built from public descriptions.
"""

from __future__ import annotations

from pathlib import Path

from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.neware_layout import (
    find_names,
    flat_table,
    is_table_of_totals,
    level_cells,
    nested_table,
)
from battery_analysis.readers.neware_report import to_reading
from battery_analysis.readers.pec import PecCsv
from battery_analysis.readers.sniff import head_lines, load_text

_HEAD_BYTES = 65_536
_NAME_LINES = 100


class NewareText:
    """Reads flat and nested text exports of BTSDA and BTS."""

    name = "neware_text"
    version = "1"
    tester = "Neware"
    suffixes = frozenset({".csv", ".txt"})
    description = "Neware BTSDA and BTS text exports by their column names; nested ones not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether one of the first lines holds Neware's names of records, or of totals of cycles or steps."""
        if PecCsv().recognises(head, path):  # some of whose names are Neware's
            return False
        lines = head_lines(head)[:_NAME_LINES]
        return find_names(lines) is not None or is_table_of_totals(lines)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export; Neware writes clock times without a zone, so they are taken in ``time_zone``."""
        text, _, warnings = load_text(path, keep_returns=True)
        lines = text[:_HEAD_BYTES].decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        names = find_names(lines)
        if names is None and is_table_of_totals(lines):
            raise CorruptFileError(
                path, "a table of totals, which holds no records; export the record layer", self.name
            )
        if names is None:
            raise CorruptFileError(path, "no table found: no line names voltage, current and time", self.name)
        metadata = TestMetadata(tester=self.tester)
        metadata.header = {f"line {number}": line for number, line in enumerate(names.before, 1) if line.strip()}
        for level, line in zip(("cycles", "steps"), names.levels[:-1], strict=False):
            metadata.header[f"columns of {level}"] = ", ".join(filter(None, level_cells(line, names)))
        try:
            table, table_warnings = (nested_table if names.indents else flat_table)(text, names)
            if not table.height:
                raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
            del text  # many megabytes of which nothing more is needed
            return to_reading(table, metadata, [*warnings, *table_warnings], time_zone)
        except SchemaError as exc:
            raise CorruptFileError(path, str(exc), self.name) from exc
