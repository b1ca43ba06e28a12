"""Small Jet 4 databases, written page by page as ``battery_analysis.readers.jet4`` describes them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

PAGE = 4096
BOOLEAN, BYTE, SHORT, LONG, MONEY, SINGLE, DOUBLE, TEXT, MEMO = 1, 2, 3, 4, 5, 6, 7, 10, 12
_PACK = {BYTE: "<B", SHORT: "<h", LONG: "<i", MONEY: "<q", SINGLE: "<f", DOUBLE: "<d"}
_DELETED, _MOVED = 0x8000, 0x4000


class Column(NamedTuple):
    """A column; numbers are fixed unless told otherwise, texts never are."""

    name: str
    kind: int
    fixed: bool = True


@dataclass
class Table:
    """A table to write. ``deleted`` and ``moved`` are positions of rows; ``map_pages`` writes the longer usage map.

    ``announced`` is the number of rows in the definition if it is not that of the rows.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    deleted: frozenset[int] = frozenset()
    moved: frozenset[int] = frozenset()
    map_pages: bool = False
    announced: int | None = None


def database(tables: dict[str, Table], *, version: int = 1) -> bytes:
    """A whole database with a catalog and these tables."""
    pages: list[bytes] = [b"", bytes(PAGE), b""]
    pages[0] = _filled(b"\x00\x01\x00\x00Standard Jet DB\x00" + bytes([version]))
    ids = {name: _append(pages, table) for name, table in tables.items()}
    catalog = Table(
        [Column("Id", LONG), Column("Name", TEXT), Column("Type", SHORT)],
        [(page - (1 << 31) if name.startswith("MSys") else page, name, 1) for name, page in ids.items()]
        + [(1, "a query", 5)],
    )
    _append(pages, catalog, at=2)
    return b"".join(pages)


def _append(pages: list[bytes], table: Table, at: int | None = None) -> int:
    """Write a table behind the pages there are; returns the page of its definition."""
    if at is None:
        at = len(pages)
        pages.append(b"")
    map_at = len(pages)
    pages.append(b"")
    own: list[int] = []
    moved: list[bytes] = []
    entries: list[tuple[bytes, int]] = []
    for position, row in enumerate(table.rows):
        text = encode_row(table.columns, row)
        if position in table.moved:
            moved.append(text)
            entries.append((b"", _MOVED))
        else:
            entries.append((text, _DELETED if position in table.deleted else 0))
    targets = {}
    for text in moved:
        targets[len(targets)] = len(pages)
        own.append(len(pages))
        pages.append(_data_page(at, [(text, 0)]))
    number = iter(range(len(moved)))
    entries = [
        (struct.pack("<I", targets[next(number)] << 8), flags) if flags == _MOVED else (text, flags)
        for text, flags in entries
    ]
    while entries:
        here, size = [], 14
        while entries and size + len(entries[0][0]) + 2 <= PAGE:
            size += len(entries[0][0]) + 2
            here.append(entries.pop(0))
        own.append(len(pages))
        pages.append(_data_page(at, here))
    pages[map_at] = _data_page(0, [(_usage_map(pages, own, table.map_pages), 0)])
    announced = len(table.rows) - len(table.deleted) if table.announced is None else table.announced
    pages[at] = _definition(table.columns, announced, map_at << 8)
    return at


def encode_row(columns: Sequence[Column], row: Sequence[Any]) -> bytes:
    """A row; None is a missing value."""
    fixed, variable, mask = b"", [], 0
    for number, (column, value) in enumerate(zip(columns, row, strict=True)):
        if column.kind == BOOLEAN:
            mask |= bool(value) << number
            continue
        mask |= (value is not None) << number
        if _is_fixed(column):
            fixed += struct.pack(_PACK[column.kind], value or 0)
        else:
            variable.append(b"" if value is None else _encode(column, value))
    text = struct.pack("<H", len(columns)) + fixed
    offsets = []
    for value in variable:
        offsets.append(len(text))
        text += value
    text += struct.pack("<H", len(text)) + b"".join(struct.pack("<H", each) for each in reversed(offsets))
    return text + struct.pack("<H", len(variable)) + mask.to_bytes((len(columns) + 7) // 8, "little")


def _encode(column: Column, value: Any) -> bytes:
    if column.kind in _PACK:
        return struct.pack(_PACK[column.kind], value)
    text = b"\xff\xfe" + value.encode("latin-1") if value.isascii() else value.encode("utf-16-le")
    return struct.pack("<IIxxxx", 0x80000000 | len(text), 0) + text if column.kind == MEMO else text


def _is_fixed(column: Column) -> bool:
    return column.fixed and column.kind in _PACK


def _data_page(owner: int, rows: Sequence[tuple[bytes, int]]) -> bytes:
    page = bytearray(PAGE)
    page[:2] = b"\x01\x01"
    struct.pack_into("<I", page, 4, owner)
    struct.pack_into("<H", page, 12, len(rows))
    end = PAGE
    for number, (text, flags) in enumerate(rows):
        end -= len(text)
        page[end : end + len(text)] = text
        struct.pack_into("<H", page, 14 + 2 * number, end | flags)
    return bytes(page)


def _usage_map(pages: list[bytes], own: Sequence[int], in_pages: bool) -> bytes:
    first = 0 if in_pages or not own else min(own)
    bits = bytearray(PAGE - 4 if in_pages else 128)
    for page in own:
        bits[(page - first) // 8] |= 1 << (page - first) % 8
    if not in_pages:
        return b"\x00" + struct.pack("<I", first) + bytes(bits)
    pages.append(b"\x05\x01\x00\x00" + bytes(bits))
    return b"\x01" + struct.pack("<II", len(pages) - 1, 0)


def _definition(columns: Sequence[Column], rows: int, usage_map: int) -> bytes:
    text = bytearray(63)
    text[:2] = b"\x02\x01"
    struct.pack_into("<I", text, 16, rows)
    struct.pack_into("<HHH", text, 41, len(columns), 0, len(columns))
    struct.pack_into("<I", text, 55, usage_map)
    start = variable = 0
    for number, column in enumerate(columns):
        size = struct.calcsize(_PACK[column.kind]) if column.kind in _PACK else 0
        fixed = _is_fixed(column) or column.kind == BOOLEAN
        text += struct.pack("<B4xHH6xB5xHH", column.kind, number, variable, int(fixed), start, size)
        start += size if _is_fixed(column) else 0
        variable += not fixed
    for column in columns:
        name = column.name.encode("utf-16-le")
        text += struct.pack("<H", len(name)) + name
    return _filled(bytes(text))


def _filled(text: bytes) -> bytes:
    assert len(text) <= PAGE, "one page is all that this writes"
    return text + bytes(PAGE - len(text))
