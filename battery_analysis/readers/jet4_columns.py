"""Rows of a Jet 4 table to columns of numbers; ``jet4`` says how a row is laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

BOOLEAN, MONEY, BINARY, TEXT, OLE, MEMO = 1, 5, 9, 10, 11, 12
FORMATS = {2: "u1", 3: "<i2", 4: "<i4", MONEY: "<i8", 6: "<f4", 7: "<f8", 8: "<f8"}
"""Numpy formats of the types that hold numbers; 8 is days since 1899-12-30."""

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

_CHUNK_ROWS = 1 << 16
_MAX_COLUMNS = 255


class Field(NamedTuple):
    """One column of a table, in the terms of its definition."""

    name: str
    kind: int
    number: int
    variable: int
    fixed: bool
    start: int
    length: int


@dataclass(frozen=True)
class Definition:
    """What a table's definition says."""

    name: str
    page: int
    rows: int
    usage_map: int
    fields: tuple[Field, ...]


@dataclass
class Numbers:
    """The number columns of a table, in the order in which the database holds the rows.

    ``valid`` has an entry for each column that has missing values. ``announced`` is the number of rows according to
    the definition, ``missing_pages`` counts pages beyond the end of the file or overwritten, ``damaged_rows`` rows
    that could not be.
    """

    columns: dict[str, npt.NDArray[Any]]
    valid: dict[str, npt.NDArray[np.bool_]]
    announced: int
    missing_pages: int
    damaged_rows: int


class Rows(NamedTuple):
    """Where rows begin and end in the file."""

    starts: Positions
    ends: Positions
    missing_pages: int
    damaged: int


def gather(data: Bytes, rows: Rows, fields: list[Field], definition: Definition) -> Numbers:
    """Cut the rows into columns.

    Rows written before a column was added to the table hold fewer columns; those of each number are read together.
    """
    total = len(rows.starts)
    written = data[rows.starts] + 256 * data[rows.starts + 1].astype(np.int64)
    columns = {each.name: np.zeros(total, FORMATS.get(each.kind, "?")) for each in fields}
    valid: dict[str, npt.NDArray[np.bool_]] = {}
    sound = np.zeros(total, np.bool_)
    for count in np.unique(written).tolist():
        mask = (count + 7) // 8
        present = [each for each in fields if each.number < count]
        fixed = [each for each in present if each.fixed and each.kind != BOOLEAN]
        width = max((2 + each.start + np.dtype(FORMATS[each.kind]).itemsize for each in fixed), default=2)
        here = np.flatnonzero((written == count) & (rows.ends - rows.starts >= width + mask))
        if count > _MAX_COLUMNS or not present or not len(here):
            continue
        sound[here] = True
        ends = rows.ends[here] - mask
        bits = data[ends[:, None] + np.arange(mask)]
        always = np.unpackbits(np.bitwise_and.reduce(bits, axis=0), bitorder="little")
        _copy_fixed(data, rows.starts, here, fixed, width, columns)
        for each in present:
            if each.fixed and each.kind != BOOLEAN and always[each.number]:
                continue
            there = (bits[:, each.number // 8] >> each.number % 8 & 1).view(np.bool_)
            if each.kind == BOOLEAN:
                columns[each.name][here] = there
                continue
            if not each.fixed:
                columns[each.name][here], there = _variable(data, rows.starts[here], ends, each, there)
            valid.setdefault(each.name, np.ones(total, np.bool_))[here] = there
        for each in (each for each in fields if each.number >= count):
            valid.setdefault(each.name, np.ones(total, np.bool_))[here] = False
    if not sound.all():
        columns = {name: values[sound] for name, values in columns.items()}
        valid = {name: values[sound] for name, values in valid.items()}
    columns |= {each.name: columns[each.name] / 10_000 for each in fields if each.kind == MONEY}
    incomplete = {name: values for name, values in valid.items() if not values.all()}
    damaged = rows.damaged + int(np.count_nonzero(~sound))
    return Numbers(columns, incomplete, definition.rows, rows.missing_pages, damaged)


def _variable(
    data: Bytes, starts: Positions, ends: Positions, field: Field, there: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Numbers that lie among a row's variable-length values, as few tables have them; and which of them there are."""
    size = np.dtype(FORMATS[field.kind]).itemsize
    at = ends - 4 - 2 * field.variable
    there = there & (at >= starts + 2)
    begins = starts + np.where(there, data[at] + 256 * data[at + 1].astype(np.int64), 0)
    there = there & (begins + size <= at)
    cells = data[np.where(there, begins, starts)[:, None] + np.arange(size)]
    return np.ascontiguousarray(cells).view(FORMATS[field.kind])[:, 0], there


def _copy_fixed(
    data: Bytes,
    starts: Positions,
    here: Positions,
    fields: list[Field],
    width: int,
    columns: dict[str, npt.NDArray[Any]],
) -> None:
    layout = np.dtype(
        {
            "names": [each.name for each in fields],
            "formats": [FORMATS[each.kind] for each in fields],
            "offsets": [2 + each.start for each in fields],
            "itemsize": width,
        }
    )
    windows = np.lib.stride_tricks.sliding_window_view(data, width)
    for first in range(0, len(here), _CHUNK_ROWS):
        part = here[first : first + _CHUNK_ROWS]
        records = windows[starts[part]].view(layout)[:, 0]
        for each in fields:
            columns[each.name][part] = records[each.name]
