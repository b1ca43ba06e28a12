"""Read tables of Jet 4 databases (Access 2000 to 2003, and the same layout in later ones), as far as testers use them.

Numbers are read column by column with numpy, whole tables at once; rows with texts one after the other, for small
tables. Nothing is written, no index is used, and pages that are missing or make no sense are counted, not guessed.

Layout (numbers are little-endian; the file is a sequence of pages of 4096 bytes, counted from 0):
    Page 0
        ``00 01 00 00``, ``Standard Jet DB`` or ``Standard ACE DB``, a zero byte; at 20 the version: 0 is Jet 3,
        whose pages are smaller, 1 is Jet 4, later ones are ACE. The rest is masked.
    Data page
        0: 01; 4: u32 page of the table's definition; 12: u16 number of rows; 14: u16 start of each row in the page,
        with the flags 0x8000 (deleted) and 0x4000 (moved: the row holds a pointer). Rows lie from the end of the page
        on downwards: a row ends where the one before it starts.
    Pointer
        u32: the lowest byte is the row, the others the page.
    Row
        u16 number of columns when it was written; fixed-length values; variable-length values; u16 end of the
        variable part; u16 start of each variable value in the row, the last one first; u16 number of variable
        columns; a bit for each column, set where there is a value (a Boolean is that bit).
    Definition page
        0: 02; 4: u32 next page of a long definition, which goes on after its first 8 bytes; 16: u32 number of rows;
        41: u16 number of columns ever, 45: u16 number of columns; 51: u32 number of indexes, 12 bytes each from 63
        on; 55: pointer to the usage map. After the indexes 25 bytes for each column: 0: type; 5: u16 number;
        7: u16 position among the variable columns; 15: flags (1: fixed length); 21: u16 start after the row's first two
        bytes; 23: u16 length. Then the names: u16 length in bytes, UTF-16.
    Usage map
        In a row: 00, u32 first page, a bit for each page; or 01 and u32 pages that hold such bits from byte 4 on.
    Texts
        UTF-16, or after ``FF FE`` one byte for each character, with zero bytes to switch between both.
        A memo is 12 bytes: u32 length with the flags 0x80000000 (the text follows) and 0x40000000 (the pointer leads
        to it; without that flag to a first part, whose first four bytes point to the next), u32 pointer.
    Table ``MSysObjects``
        Its definition is page 2. Rows with ``Type`` 1 are tables; the lower three bytes of ``Id`` are the page.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from battery_analysis.readers.jet4_columns import (
    BOOLEAN,
    FORMATS,
    MEMO,
    MONEY,
    TEXT,
    Bytes,
    Definition,
    Field,
    Numbers,
    Positions,
    Rows,
    gather,
)

PAGE_BYTES = 4096
MAGICS = (b"\x00\x01\x00\x00Standard Jet DB\x00", b"\x00\x01\x00\x00Standard ACE DB\x00")
MAX_BYTES = 1 << 31
"""No database of this kind grows beyond this."""

_VERSION_AT = 20
_CATALOG, _CATALOG_PAGE = "MSysObjects", 2
_MAX_DEFINITION_PAGES = 64
_MAX_TEXT_BYTES = 1 << 20
_ROWS_AT = 14
_DELETED, _MOVED, _START_MASK = 0x8000, 0x4000, 0x1FFF
_INLINE_MEMO, _SHORT_MEMO, _MEMO_LENGTH = 0x80000000, 0x40000000, 0x3FFFFFFF


class JetError(ValueError):
    """The bytes are no database of this kind, or a page that everything depends on is missing or damaged."""


class Database:
    """A database in memory.

    Args:
        data: The whole file, or what there is of it.

    Raises:
        JetError: It is no Jet 4 database, it is encrypted, or its catalog is missing.
    """

    def __init__(self, data: bytes) -> None:
        if not data.startswith(MAGICS) or len(data) <= _VERSION_AT:
            raise JetError("no Jet database")
        if data[_VERSION_AT] == 0:
            raise JetError("a Jet 3 database (Access 97); save it in the format of Access 2000 or later")
        self.pages = len(data) // PAGE_BYTES
        self.cut_bytes = len(data) % PAGE_BYTES
        self._data = data
        self._bytes: Bytes = np.frombuffer(data, np.uint8, self.pages * PAGE_BYTES)
        if self.pages > _CATALOG_PAGE and data[_CATALOG_PAGE * PAGE_BYTES] != 2:
            raise JetError("the database is encrypted or damaged: page 2 is no table definition")

    @cached_property
    def tables(self) -> dict[str, int]:
        """Pages of the tables' definitions by the tables' names.

        Raises:
            JetError: The catalog cannot be read.
        """
        catalog = self.rows(_CATALOG)
        return {
            str(row["Name"]): int(row["Id"]) & 0xFFFFFF
            for row in catalog
            if row.get("Type") == 1 and row.get("Name") and row.get("Id") is not None
        }

    def definition(self, table: str) -> Definition:
        """Return what a table consists of.

        Raises:
            JetError: There is no such table, or its definition is missing or damaged.
        """
        page = _CATALOG_PAGE if table == _CATALOG else self.tables.get(table)
        if page is None and self._row_bounds(self.definition(_CATALOG)).missing_pages:
            raise JetError(f"there is no table {table}, but a part of the catalog is missing")
        if page is None:
            raise JetError(f"there is no table {table}")
        text = self._definition_bytes(table, page)
        try:
            (rows,) = struct.unpack_from("<I", text, 16)
            (usage_map,) = struct.unpack_from("<I", text, 55)
            fields = tuple(_fields(text))
        except (struct.error, UnicodeDecodeError) as exc:
            raise JetError(f"the definition of table {table} on page {page} is damaged") from exc
        if len({each.name for each in fields}) < len(fields):
            raise JetError(f"the definition of table {table} on page {page} is damaged: two columns of one name")
        return Definition(table, page, rows, usage_map, fields)

    def numbers(self, table: str) -> Numbers:
        """Read every number column of a table.

        Raises:
            JetError: There is no such table, or its definition is missing or damaged.
        """
        definition = self.definition(table)
        rows = self._row_bounds(definition)
        fields = [each for each in definition.fields if each.kind == BOOLEAN or each.kind in FORMATS]
        return gather(self._bytes, rows, fields, definition)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Read a small table row by row: numbers, truth values and texts; other columns are left out.

        Raises:
            JetError: There is no such table, or its definition is missing or damaged.
        """
        definition = self.definition(table)
        bounds = self._row_bounds(definition)
        found = []
        for start, end in zip(bounds.starts.tolist(), bounds.ends.tolist(), strict=True):
            try:
                found.append({each.name: self._value(each, self._data[start:end]) for each in definition.fields})
            except (struct.error, ValueError, IndexError):
                continue
        return found

    def _page(self, number: int) -> bytes:
        return self._data[number * PAGE_BYTES : (number + 1) * PAGE_BYTES] if number < self.pages else b""

    def _definition_bytes(self, table: str, page: int) -> bytes:
        text = b""
        following = page
        for _ in range(_MAX_DEFINITION_PAGES):
            part = self._page(following)
            if part[:1] != b"\x02":
                what = "missing" if following >= self.pages else "damaged"
                raise JetError(f"the definition of table {table} on page {following} is {what}")
            text += part[8:] if text else part
            (following,) = struct.unpack_from("<I", part, 4)
            if not following:
                break
        return text

    def _row_bounds(self, definition: Definition) -> Rows:
        """Find the rows of a table in the pages that belong to it."""
        owner = self._bytes[: self.pages * PAGE_BYTES].view("<u4")[1 :: PAGE_BYTES // 4]
        owned = (self._bytes[::PAGE_BYTES] == 1) & (owner == definition.page)
        used = self._used_pages(definition.usage_map)
        if used is None:
            pages, missing = np.flatnonzero(owned), 1
        else:
            there = used[used < self.pages]
            pages = there[owned[there]]
            missing = len(used) - len(pages)
        return self._bounds_in(pages.astype(np.int64), missing)

    def _bounds_in(self, pages: Positions, missing: int) -> Rows:
        words = self._bytes.view("<u2")
        counts = words[pages * (PAGE_BYTES // 2) + 6].astype(np.int64)
        possible = _ROWS_AT + 2 * counts <= PAGE_BYTES
        damaged = int(np.count_nonzero(~possible))
        pages, counts = pages[possible], counts[possible]
        bases = np.repeat(pages * PAGE_BYTES, counts)
        order = np.arange(len(bases)) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = words[bases // 2 + _ROWS_AT // 2 + order]
        starts = (entries & _START_MASK).astype(np.int64)
        ends = np.where(order == 0, PAGE_BYTES, np.roll(starts, 1))
        alive = (entries & _DELETED) == 0
        sound = (starts >= _ROWS_AT + 2 * np.repeat(counts, counts)) & (starts + 2 <= ends) & (ends <= PAGE_BYTES)
        damaged += int(np.count_nonzero(alive & ~sound))
        moved = (alive & sound & ((entries & _MOVED) != 0)).nonzero()[0]
        starts, ends, keep = bases + starts, bases + ends, alive & sound
        for at in moved:
            target = self._row_at(int.from_bytes(self._data[starts[at] : starts[at] + 4], "little"))
            if target is None:
                keep[at] = False
                damaged += 1
            else:
                keep &= starts != target[0]  # the place it was moved to is no row of its own
                starts[at], ends[at], keep[at] = *target, True
        return Rows(starts[keep], ends[keep], missing, damaged)

    def _row_at(self, pointer: int) -> tuple[int, int] | None:
        """Begin and end in the file of the row that a pointer leads to."""
        page, row = pointer >> 8, pointer & 0xFF
        base = page * PAGE_BYTES
        text = self._page(page)
        if not text or _ROWS_AT + 2 * row + 2 > PAGE_BYTES or row >= struct.unpack_from("<H", text, 12)[0]:
            return None
        start = struct.unpack_from("<H", text, _ROWS_AT + 2 * row)[0] & _START_MASK
        end = struct.unpack_from("<H", text, _ROWS_AT + 2 * row - 2)[0] & _START_MASK if row else PAGE_BYTES
        return (base + start, base + end) if _ROWS_AT <= start < end <= PAGE_BYTES else None

    def _used_pages(self, pointer: int) -> Positions | None:
        """Numbers of the pages that a usage map lists; None where the map itself is missing."""
        bounds = self._row_at(pointer)
        if bounds is None:
            return None
        text = self._data[bounds[0] : bounds[1]]
        if text[0] == 0 and len(text) > 5:
            return int.from_bytes(text[1:5], "little") + _set_bits(text[5:])
        if text[0] != 1:
            return None
        found: list[Positions] = []
        for index, page in enumerate(np.frombuffer(text[1 : 1 + (len(text) - 1) // 4 * 4], "<u4").tolist()):
            if page and not self._page(page):
                return None
            if page:
                found.append(index * (PAGE_BYTES - 4) * 8 + _set_bits(self._page(page)[4:]))
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _value(self, field: Field, row: bytes) -> Any:
        (columns,) = struct.unpack_from("<H", row)
        mask_at = len(row) - (columns + 7) // 8
        if field.number >= columns:
            return None
        there = bool(row[mask_at + field.number // 8] >> field.number % 8 & 1)
        if field.kind == BOOLEAN:
            return there
        if not there:
            return None
        start, end = 2 + field.start, mask_at
        if not field.fixed:
            (variables,) = struct.unpack_from("<H", row, mask_at - 2)
            if field.variable >= variables:
                return None
            end, start = struct.unpack_from("<HH", row, mask_at - 6 - 2 * field.variable)
        if field.kind in FORMATS:
            value = np.frombuffer(row[:end], FORMATS[field.kind], 1, start)[0].item()
            return value / 10_000 if field.kind == MONEY else value
        if field.kind not in (TEXT, MEMO):
            return None
        return _decode(self._memo(row[start:end]) if field.kind == MEMO else row[start:end])

    def _memo(self, text: bytes) -> bytes:
        length, pointer = struct.unpack_from("<II", text)
        if length & _INLINE_MEMO:
            return text[12:]
        parts: list[bytes] = []
        wanted = min(length & _MEMO_LENGTH, _MAX_TEXT_BYTES)
        while pointer and sum(map(len, parts)) < wanted:
            bounds = self._row_at(pointer)
            if bounds is None:
                break
            part = self._data[bounds[0] : bounds[1]]
            if length & _SHORT_MEMO:
                return part[:wanted]
            (pointer,) = struct.unpack_from("<I", part)
            parts.append(part[4:])
            if len(part) <= 4:
                break
        return b"".join(parts)[:wanted]


def _fields(text: bytes) -> Iterator[Field]:
    (count,) = struct.unpack_from("<H", text, 45)
    (indexes,) = struct.unpack_from("<I", text, 51)
    at = 63 + 12 * indexes
    name_at = at + 25 * count
    for each in range(count):
        kind, number, variable, flags, start, length = struct.unpack_from("<B4xHH6xB5xHH", text, at + 25 * each)
        (size,) = struct.unpack_from("<H", text, name_at)
        name = text[name_at + 2 : name_at + 2 + size].decode("utf-16-le")
        name_at += 2 + size
        yield Field(name, kind, number, variable, bool(flags & 1), start, length)


def _set_bits(bitmap: bytes) -> Positions:
    return np.flatnonzero(np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little"))


def _decode(text: bytes) -> str:
    if not text.startswith(b"\xff\xfe"):
        return text.decode("utf-16-le")
    found, at, short = "", 2, True
    while at < len(text):
        if text[at] == 0:
            short = not short
            at += 1
        elif short:
            end = text.find(0, at)
            end = len(text) if end < 0 else end
            found += text[at:end].decode("latin-1")
            at = end
        else:
            found += text[at : at + 2].decode("utf-16-le")
            at += 2
    return found
