"""Text exports whose table stands below lines about the test.

What the lines before the table say is the reader's business; here is how the table is found, cut into columns and
typed, with everything that ``table`` knows about damage.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import polars as pl

from battery_analysis.columns import Column
from battery_analysis.readers.headings import Heading
from battery_analysis.readers.sniff import (
    column_names,
    lines_of,
    sample_lines,
    sniff_decimal,
    sniff_delimiter,
    split_cells,
)
from battery_analysis.readers.table import parse_table

_MOST_LINES = 50_000
_UNNAMED = "unnamed "
_CONTENT = re.compile(rb"\S")


class Below(NamedTuple):
    """A table and the lines above it.

    Its rows are those of ``text`` from ``start`` on; ``first_line`` is the number in the file of the first of them.
    """

    lines: list[str]
    header: str
    text: bytes
    first_line: int
    start: int = 0

    @property
    def rows(self) -> bytes:
        """The rows, copied."""
        return self.text[self.start :]

    def holds_rows(self) -> bool:
        """Say whether anything stands below the header."""
        return _CONTENT.search(self.text, self.start) is not None


class Table(NamedTuple):
    """Typed columns under the vendor's names, what these names say, and what had to be left out."""

    frame: pl.DataFrame
    headings: list[Heading]
    warnings: list[str]


def find_table(text: bytes, is_header: Callable[[str], bool], first_line: int = 1) -> Below | None:
    r"""Part a text, as ``load_text`` gives it, at its first line of column names; None where there is none.

    >>> below = find_table(b"Cell: A1\nt,U\n0,3.6\n", lambda line: line.startswith("t,"))
    >>> below.lines, below.header, below.rows, below.first_line
    (['Cell: A1'], 't,U', b'0,3.6\n', 3)
    """
    lines: list[str] = []
    for line, position in islice(lines_of(text), _MOST_LINES):
        if is_header(line):
            return Below(lines, line, text, first_line + len(lines) + 1, position)
        lines.append(line)
    return None


def read_table(
    below: Below,
    heading: Callable[[str], Heading],
    terms: Mapping[str, Column],
    required: Sequence[Column],
    delimiter: str | None = None,
) -> Table:
    """Cut and type a table.

    A delimiter that ends all rows but not the header is no column, and a column without name and content is left
    out.

    Args:
        below: The table.
        heading: Takes a column name apart.
        terms: What the vendor's quantities are; those measured in a unit are real numbers even if all are whole.
        required: Columns in which an empty cell counts as a missing value.
        delimiter: Between fields; found out where it is not given.

    Raises:
        SchemaError: The rows cannot be parsed at all.
    """
    sample = sample_lines(below.text, start=below.start)
    delimiter = delimiter or sniff_delimiter(below.header, sample) or ","
    names, name_warnings = column_names(_as_wide_as_rows(below.header, delimiter, sample), delimiter, sample)
    headings = [heading(name) for name in names]
    frame, table_warnings = parse_table(
        below.text,
        names,
        delimiter=delimiter,
        decimal=sniff_decimal(sample, delimiter),
        first_line=below.first_line,
        required=[each.name for each in headings if terms.get(each.key) in required],
        real={each.name for each in headings if _is_real(each, terms)},
        start=below.start,
    )
    empty = {name for name in names if name.startswith(_UNNAMED) and frame[name].null_count() == frame.height}
    return Table(
        frame.drop(empty), [each for each in headings if each.name not in empty], [*name_warnings, *table_warnings]
    )


def _as_wide_as_rows(header: str, delimiter: str, sample: Sequence[str]) -> str:
    """Add to the header the nameless column that rows with one field more have."""
    widths = Counter(len(split_cells(row, delimiter)) for row in sample if row.strip())
    usual = widths.most_common(1)[0][0] if widths else 0
    return header + delimiter if usual == len(split_cells(header, delimiter)) + 1 else header


def _is_real(heading: Heading, terms: Mapping[str, Column]) -> bool:
    term = terms.get(heading.key)
    return term.dtype.is_float() if term else bool(heading.unit)
