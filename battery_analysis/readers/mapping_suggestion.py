"""A first mapping file for a delimited text of unknown layout.

Everything that the text itself shows is written down: delimiter, decimal mark, the line of column names. What a column
holds is written only where its own name and unit say exactly that; the rest is left for a person to say.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.errors import UnknownFormatError
from battery_analysis.readers.headings import split_unit, unit_scale
from battery_analysis.readers.mapping_files import AUX, SERIES
from battery_analysis.readers.sniff import column_names, head_text, sniff_decimal, sniff_delimiter, split_cells

WORDS: dict[str, Column] = {
    "test time": columns.TEST_TIME,
    "total time": columns.TEST_TIME,
    "elapsed time": columns.TEST_TIME,
    "voltage": columns.VOLTAGE,
    "cell voltage": columns.VOLTAGE,
    "current": columns.CURRENT,
    "step time": columns.STEP_TIME,
    "power": columns.POWER,
    "frequency": columns.FREQUENCY,
}
"""Names that mean one thing only, once a unit stands beside them."""

_MOST_LINES = 500
_SAMPLE_LINES = 20
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


class _Header(NamedTuple):
    number: int
    delimiter: str
    decimal: str
    names: list[str]


def suggest_mapping(head: bytes, path: Path) -> str:
    """Write a first mapping for a file that begins with ``head``.

    Raises:
        UnknownFormatError: No line of column names stands above rows of numbers.
    """
    header = _find_header(head_text(head).split("\n")[:_MOST_LINES])
    if header is None:
        raise UnknownFormatError(path, "no line of column names stands above rows of numbers between delimiters")
    facts = {name: _facts(name) for name in header.names}
    given = {each["to"] for each in facts.values()}
    lines = [
        f"# The columns of {_quoted(path.name)}; docs/readers.md says what can stand here.",
        f"delimiter = {_quoted(header.delimiter)}",
        f"decimal = {_quoted(header.decimal)}",
        f"header_row = {header.number}  # leave out where the number of lines above it varies",
        "",
        *(
            f'# To be said: which column is {column.name}? Give it to = "{column.name}" and its unit or format.'
            for column in SERIES
            if column.name not in given
        ),
        "[columns]",
        *(f"{_quoted(name)} = {_table(each)}" for name, each in facts.items()),
    ]
    return "\n".join([*lines, ""])


def _find_header(lines: list[str]) -> _Header | None:
    """The first line of names with a row below it that is as wide and holds numbers."""
    for number, line in enumerate(lines[:-1], 1):
        rows = [row for row in lines[number : number + _SAMPLE_LINES] if row.strip()]
        delimiter = sniff_delimiter(line, rows) if line.strip() else None
        if delimiter is None or not rows:
            continue
        names = column_names(line, delimiter, rows)[0]
        cells = _bare(rows[0], delimiter)
        if len(names) < 2 or any(map(_NUMBER.fullmatch, _bare(line, delimiter))):
            continue
        if len(names) <= len(cells) <= len(names) + 1 and any(map(_NUMBER.fullmatch, cells)):
            return _Header(number, delimiter, sniff_decimal(rows, delimiter), names)
    return None


def _bare(line: str, delimiter: str) -> list[str]:
    return [cell.strip(' \t"') for cell in split_cells(line, delimiter)]


def _facts(name: str) -> dict[str, str | int]:
    """What a column name says beyond doubt."""
    if name in BY_NAME:
        column = BY_NAME[name]
        facts: dict[str, str | int] = {"to": name, **({"unit": column.unit} if column.unit else {})}
        return facts | ({"sign": 1} if column is columns.CURRENT else {})
    words, unit = split_unit(name, slash=True)
    if not unit:
        return {"to": AUX}
    known = WORDS.get(re.sub(r"[\s_]+", " ", words).strip().lower())
    if known is None or unit_scale(unit, known) is None:
        return {"to": AUX, "unit": unit}
    # A name does not tell which way the current flows.
    said: dict[str, str | int] = {"to": known.name, "unit": unit}
    return said | {"sign": "?"} if known is columns.CURRENT else said


def _table(facts: dict[str, str | int]) -> str:
    inside = ", ".join(f"{key} = {_quoted(value) if isinstance(value, str) else value}" for key, value in facts.items())
    note = "  # to be said: 1 if positive values charge, -1 if they discharge" if facts.get("sign") == "?" else ""
    return f"{{ {inside} }}{note}"


def _quoted(text: str) -> str:
    """Quote as TOML does, which is how JSON does, and one character more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
