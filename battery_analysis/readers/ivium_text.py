"""IviumSoft text exports (``.txt``, ``.csv``): records over time.

File structure, as public readers describe it:
    One line of labels such as ``time /s``, ``I /mA``, ``E /V`` (a quantity, a space, a slash and its unit), then one
    row for each record; tabs, commas or semicolons between the fields.

Choices:
    Current is taken as the file has it: positive oxidises the working electrode, which charges a cell whose positive
    electrode that is. Only tables with a time and a potential are read. There is no clock and no header.

Seen in:
    Not yet checked on a real file.
"""

from __future__ import annotations

import re
from pathlib import Path

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import Heading
from battery_analysis.readers.preamble import find_table, read_table
from battery_analysis.readers.sniff import head_lines, load_text
from battery_analysis.readers.terms import keep_words, to_frame

TERMS: dict[str, Column] = {
    "time": columns.TEST_TIME,
    "e": columns.VOLTAGE,
    "i": columns.CURRENT,
}
"""Ivium's quantities in small letters."""

_REQUIRED = (columns.TEST_TIME, columns.VOLTAGE)
_LABEL = re.compile(r"(?P<quantity>[^/]*\S) /(?P<unit>\S+)")
_MOST_LINES = 200


class IviumText:
    """Reads text exports of IviumSoft."""

    name = "ivium_txt"
    version = "1"
    tester = "Ivium"
    suffixes = frozenset({".txt", ".csv"})
    description = "IviumSoft text exports; labels such as time /s, I /mA, E /V; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a line holds Ivium's labels of a time and a potential."""
        return any(map(_is_label_line, head_lines(head)[:_MOST_LINES]))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There is no line of labels, or no record.
            SchemaError: Time or potential has an unknown unit or holds no numbers.
        """
        text, _, warnings = load_text(path, keep_returns=True)
        below = find_table(text, _is_label_line)
        if below is None:
            raise CorruptFileError(path, "no line of labels such as time /s, I /mA, E /V", self.name)
        raw, headings, table_warnings = read_table(below, heading, TERMS, _REQUIRED)
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        metadata = TestMetadata(tester=self.tester)
        frame, metadata.sources, term_warnings = to_frame(raw, headings, TERMS, _REQUIRED)
        keep_words(raw, metadata)
        return Reading(frame, metadata, [*warnings, *table_warnings, *term_warnings])


def heading(name: str) -> Heading:
    """Take a label apart.

    >>> heading("I /mA")[1:], heading("Voltage / V")[1:]
    (('i', 'mA'), ('voltage / v', ''))
    """
    bare = name.strip(' "\r')
    label = _LABEL.fullmatch(bare)
    return Heading(name, label["quantity"].lower(), label["unit"]) if label else Heading(name, bare.lower(), "")


def _is_label_line(line: str) -> bool:
    if " /" not in line:
        return False
    headings = [heading(cell) for cell in re.split(r"[\t,;]", line)]
    return {"time", "e"} <= {each.key for each in headings if each.unit}
