"""Rows of text whose names, types and marks are known, parsed strictly and in windows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from battery_analysis.readers.sniff import MAX_LINE_BYTES

_BLOCK_BYTES = 2 * MAX_LINE_BYTES
_WINDOW_BYTES = 8 * _BLOCK_BYTES
"""Parsed at a time: what the parser needs beside the columns is used again for the next window."""


class UnfitError(Exception):
    """Rows or cells that are not what the parser was told."""


class Layout(NamedTuple):
    """What rows hold, and how they are written."""

    names: tuple[str, ...]
    delimiter: str
    decimal: str
    types: tuple[pl.DataType, ...]
    grouped: bool
    """Whether points may set thousands apart, which the parser would take for decimal points."""
    unread: Collection[str] = ()

    @property
    def mark(self) -> bytes:
        """The delimiter as it stands in the text."""
        return self.delimiter.encode()


def read_rows(text: bytes, start: int, layout: Layout) -> pl.DataFrame:
    """Parse rows of which each has all its fields; a line without any character is none.

    Args:
        text: The rows, from ``start`` on.
        start: Where the first of them begins.
        layout: Columns of ``Int64``, ``Float64``, ``String`` or ``Categorical``.

    Raises:
        UnfitError: A row has too few or too many fields, or a cell is not of its column's type.
    """
    import pyarrow as pa  # 30 MB that a process which only waits for files can do without
    from pyarrow import csv

    arrow_types = {
        pl.Int64: pa.int64(),
        pl.Float64: pa.float64(),
        pl.String: pa.string(),
        pl.Categorical: pa.dictionary(pa.int32(), pa.string()),
    }
    types = dict(zip(layout.names, layout.types, strict=True))
    read = [name for name in layout.names if name not in layout.unread]
    if start >= len(text):
        return pl.DataFrame(schema={name: types[name] for name in read})
    converting = csv.ConvertOptions(
        column_types={name: arrow_types[type(dtype)] for name, dtype in types.items()},
        include_columns=read,
        null_values=[""],
        strings_can_be_null=True,
        decimal_point=layout.decimal,
    )
    rows, cutting = pa.py_buffer(text), csv.ParseOptions(delimiter=layout.delimiter)
    reading = csv.ReadOptions(column_names=layout.names, block_size=_BLOCK_BYTES)
    windows = list(pairwise(_bounds(text, start)))
    whole = len(windows) == 1  # columns in one piece are faster, but for a moment there are two of them
    try:
        tables = (csv.read_csv(rows.slice(begin, end - begin), reading, cutting, converting) for begin, end in windows)
        return pl.concat([pl.DataFrame(pl.from_arrow(table, rechunk=whole)) for table in tables], rechunk=False)
    except pa.ArrowInvalid as exc:
        raise UnfitError(str(exc)) from exc


def _bounds(text: bytes, start: int) -> Iterator[int]:
    """Where windows of whole rows begin, and where the last one ends."""
    while start < len(text):
        yield start
        least = start + _WINDOW_BYTES
        start = _row_end(text, start, least) if least < len(text) else len(text)
    yield len(text)


def _row_end(text: bytes, start: int, least: int) -> int:
    """Where the first row ends that ends at ``least`` or later; a line end inside quotes ends none."""
    end, quotes = least, 0
    while True:
        end = text.find(b"\n", end - 1) + 1 or len(text)
        if text.find(b'"', start, end) >= 0:  # much faster than counting
            quotes += text.count(b'"', start, end)
        if quotes % 2 == 0:
            return end
        start, closing = end, text.find(b'"', end)
        if closing < 0:
            return len(text)
        end = closing + 1
