"""Workbooks (``.xlsx``, ``.xlsm``, ``.xls``): sheets as rows of cells or as typed columns.

A workbook is a container that many testers export to, so its first bytes name no vendor. ``peek`` gives the first
rows of every sheet to whoever has to recognise it, at a cost that does not grow with the file; ``read_sheet`` and
``sheet_table`` read one sheet whole (columns: see ``workbook_columns``).

Before a sheet is parsed, a zip archive is checked: that it is complete, what it expands to, and that no sheet
spreads a few cells over an area that would not fit in memory (the parser allocates the whole rectangle).

Cells:
    Numbers are ``float``, dates ``datetime`` (1900 or 1904 system as the workbook says, milliseconds), times of day
    ``time``, durations ``timedelta``. Empty cells, and those that hold an error such as ``#DIV/0!``, are ``""``.
"""

from __future__ import annotations

import errno
import io
import re
import zipfile
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.inflate import inflate_errors
from battery_analysis.readers.workbook_columns import Cell, assembled, uniform

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

Rows = list[list[Cell]]

HEAD_ROWS = 30
"""How many rows of each sheet ``peek`` shows at most."""
MAX_EXPANDED_BYTES = 8 << 30
"""No workbook may promise more than this."""
MAX_RATIO = 200
"""Nor this many times its own size, once that is more than ``SMALL_BYTES``; real workbooks reach about 20."""
SMALL_BYTES = 64 << 20
MAX_MEMBERS = 10_000
MAX_CELLS = 1 << 26
"""Cells of the rectangle that one sheet spans, filled or not."""
MAX_ROWS = 1_048_576

ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_HEAD_BYTES = 1 << 18
_SCAN_BYTES = 1 << 24
_SCAN_OVERLAP = 64
_CHUNK_ROWS = 2048
_WORKSHEET = re.compile(r".*worksheets/[^/]+\.xml", re.IGNORECASE)
_NEEDED = re.compile(r"(\[Content_Types\]\.xml|_rels/\.rels|xl/(_rels/)?[^/]+\.(xml|rels))", re.IGNORECASE)
_NUMBERED = re.compile(r"[\W_]*\d*$")
_ROW_END = re.compile(rb"</(\w+:)?row>")
_WIDE = re.compile(rb"""r=["']([A-Z]{2,})\d""")
_ROW = re.compile(rb"""row [^>]*?r=["'](\d{1,18})["']""")
_FAR_DOWN = re.compile(rb"""r=["'][A-Z]{0,3}(\d{7,18})""")
_ONE_LETTER_COLUMNS = 26


class _Key(NamedTuple):
    """What a cached answer is about: a file that changes gets another one."""

    path: Path
    modified_ns: int
    size: int


def peek(head: bytes, path: Path) -> dict[str, Rows]:
    """First rows of every sheet by its name, in order; empty where the file is no workbook or cannot be opened.

    Args:
        head: The first bytes of the file.
        path: The file.
    """
    if not head.startswith((ZIP, OLE)):
        return {}
    try:
        return _heads(_key(path))
    except (CorruptFileError, OSError):
        return {}


def fault(head: bytes, path: Path) -> str | None:
    """Say what is wrong with a file that begins like a workbook; None where nothing is, or it is something else."""
    is_package = head.startswith(ZIP) and (b"[Content_Types].xml" in head or b"xl/" in head)
    if not is_package and not head.startswith(OLE):
        return None
    try:
        _heads(_key(path))
    except CorruptFileError as exc:
        return exc.reason
    return None


def read_sheet(path: Path, name: str) -> Rows:
    """Every cell of a sheet, from its first row and column on, all rows equally long.

    Raises:
        CorruptFileError: The workbook cannot be opened, or must not be.
    """
    _check(_key(path))
    with _opened(path, path) as book:
        return book.get_sheet_by_name(name).to_python(skip_empty_area=False)


def sheet_table(
    path: Path, name: str, header_row: int, texts: Container[str] = (), names: Sequence[str] = ()
) -> tuple[pl.DataFrame, list[str]]:
    """Read the rows below a row of column names into typed columns.

    A column is ``Float64``, ``Datetime`` (µs, without a zone), ``Duration``, ``Boolean`` or ``String``. Empty cells,
    ``-`` and ``--`` are null. Numbers written as texts count as numbers; where most of a column are numbers or dates,
    the other cells become null, with their count in a warning. Rows and columns without any cell are left out; names
    that repeat become ``<name> duplicate 2``, missing ones ``unnamed <position>``.

    Args:
        path: The workbook.
        name: The sheet.
        header_row: Position of the row with the names, counted from 0 as in ``read_sheet``.
        texts: Names of columns whose cells are texts whatever they look like.
        names: The names, where the sheet goes on with the rows of another one and has none; ``header_row`` is its
            first row then.

    Raises:
        CorruptFileError: The workbook cannot be opened, or must not be.
    """
    _check(_key(path))
    with _opened(path, path) as book:
        sheet = book.get_sheet_by_name(name)
        rows = islice(sheet.iter_rows(), header_row, None)
        empty = [""] * (sheet.start[1] if sheet.start else 0)
        header = [*names, *[""] * sheet.width][: len(empty) + sheet.width] if names else [*empty, *next(rows, [])]
        columns: list[list[pl.Series | list[Cell]]] = [[] for _ in header[len(empty) :]]
        while chunk := list(islice(rows, _CHUNK_ROWS)):
            for column, cells in zip(columns, zip(*chunk, strict=True), strict=True):
                column.append(uniform(cells))
    return assembled(name, header[len(empty) :], len(empty), columns, texts)


def continued(heads: Mapping[str, Rows], header_rows: Mapping[str, int]) -> dict[str, list[str]]:
    """Sheets that go on without names with the rows of one that is called alike, as where a sheet was full.

    Args:
        heads: The first rows of each sheet.
        header_rows: Position of the names in each sheet that has them.

    Returns:
        The names for each such sheet, whose first row has cells of the same kinds as that below the names.
    """
    found: dict[str, list[str]] = {}
    for first, at in header_rows.items():
        called, rows = _NUMBERED.sub("", first), heads[first]
        for name, others in heads.items():
            alike = name not in header_rows and name not in found and _NUMBERED.sub("", name) == called
            if alike and others and len(rows) > at + 1 and _same_kinds(rows[at + 1], others[0]):
                found[name] = [str(cell) for cell in rows[at]]
    return found


def _same_kinds(row: Sequence[Cell], other: Sequence[Cell]) -> bool:
    pairs = list(zip_longest(row, other, fillvalue=""))
    filled = [(one, two) for one, two in pairs if one != "" and two != ""]
    return 2 * len(filled) > len(pairs) and all(isinstance(one, float) == isinstance(two, float) for one, two in filled)


def _key(path: Path) -> _Key:
    facts = path.stat()
    return _Key(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=4)
def _heads(key: _Key) -> dict[str, Rows]:
    """Parse a copy of the workbook whose sheets end after their first rows."""
    with key.path.open("rb") as file:
        whole = file.read(len(OLE)) == OLE
    source: Path | io.BytesIO = key.path if whole else io.BytesIO(_shortened(key))
    with _opened(source, key.path) as book:
        from python_calamine import SheetTypeEnum

        names = [each.name for each in book.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
        return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=HEAD_ROWS) for name in names}


def _shortened(key: _Key) -> bytes:
    """The workbook's archive without drawings and the like, its sheets cut after their first rows."""
    short = io.BytesIO()
    with _archive(key) as archive, zipfile.ZipFile(short, "w") as copy:
        for member in archive.infolist():
            if _WORKSHEET.fullmatch(member.filename):
                with archive.open(member) as file:
                    copy.writestr(member.filename, _cut(key.path, file.read(_HEAD_BYTES), member.file_size))
            elif _NEEDED.fullmatch(member.filename):
                copy.writestr(member.filename, archive.read(member))
    return short.getvalue()


def _cut(path: Path, xml: bytes, size: int) -> bytes:
    _check_span(path, *_span(xml))
    if size <= len(xml):
        return xml
    ends = [found.end() for found in _ROW_END.finditer(xml)]
    if not ends:
        return b"<worksheet><sheetData/></worksheet>"
    prefix = _ROW_END.findall(xml)[0]
    at = ends[min(HEAD_ROWS, len(ends)) - 1]
    return xml[:at] + b"</%ssheetData></%sworksheet>" % (prefix, prefix)


@lru_cache(maxsize=4)
def _check(key: _Key) -> None:
    """Scan all sheets of an archive: its checksums, and how far apart the cells are."""
    with key.path.open("rb") as file:
        if file.read(len(OLE)) == OLE:
            return
    with _archive(key) as archive:
        for member in (each for each in archive.infolist() if _WORKSHEET.fullmatch(each.filename)):
            with archive.open(member) as file:
                tail, columns, rows = b"", 0, 0
                while block := file.read(_SCAN_BYTES):
                    right, down = _span(tail + block)
                    columns, rows = max(columns, right), max(rows, down)
                    tail = block[-_SCAN_OVERLAP:]
                _check_span(key.path, columns, rows)


def _span(xml: bytes) -> tuple[int, int]:
    """Last column and last row that a piece of a sheet names; up to Z columns are not told apart."""
    letters = set(_WIDE.findall(xml))
    rows = [int(found) for pattern in (_ROW, _FAR_DOWN) for found in pattern.findall(xml)]
    return max(map(_position, letters), default=_ONE_LETTER_COLUMNS), max(rows, default=0)


def _check_span(path: Path, columns: int, rows: int) -> None:
    if rows > MAX_ROWS or columns * rows > MAX_CELLS:
        what = f"{columns} columns and {rows} rows are more than {MAX_CELLS} cells"
        raise CorruptFileError(path, f"a sheet spans more than the limit: {what}")


def _position(letters: bytes) -> int:
    position = 0
    for letter in letters[:8]:
        position = position * 26 + letter - 64
    return position


@contextmanager
def _archive(key: _Key) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(key.path) as archive:
            _check_size(key, archive)
            yield archive
    except inflate_errors(EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as exc:
        if isinstance(exc, OSError) and exc.errno != errno.EINVAL:  # of a member that is said to lie before the file
            raise
        if zipfile.is_zipfile(key.path):
            raise CorruptFileError(key.path, f"the workbook is damaged ({exc})") from exc
        raise CorruptFileError(key.path, "the workbook is incomplete (no central directory)") from exc


def _check_size(key: _Key, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    expanded = sum(member.file_size for member in members)
    if expanded > MAX_EXPANDED_BYTES or (expanded > SMALL_BYTES and expanded > MAX_RATIO * key.size):
        what = f"{key.size} bytes to {expanded}; allowed are {MAX_RATIO}:1 and {MAX_EXPANDED_BYTES} bytes"
        raise CorruptFileError(key.path, f"the workbook expands beyond the limit: {what}")
    if len(members) > MAX_MEMBERS:
        raise CorruptFileError(key.path, f"the workbook has {len(members)} members; allowed are {MAX_MEMBERS}")


@contextmanager
def _opened(source: Path | io.BytesIO, path: Path) -> Iterator[CalamineWorkbook]:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, WorksheetNotFound

    book = None
    try:
        # By content: the parser goes by the suffix of a path, and that may be wrong.
        with source.open("rb") if isinstance(source, Path) else source as file:
            book = CalamineWorkbook.from_filelike(file)
            yield book
    except PasswordError as exc:
        raise CorruptFileError(path, "the workbook is protected by a password") from exc
    except WorksheetNotFound as exc:
        raise CorruptFileError(path, f"the workbook has no sheet {exc}") from exc
    except CalamineError as exc:
        raise CorruptFileError(path, f"the workbook cannot be read ({exc})") from exc
    except BaseException as exc:
        # The parser reports some damage as a panic, whose class it does not export.
        if type(exc).__name__ != "PanicException":
            raise
        raise CorruptFileError(path, f"the workbook cannot be read ({exc})") from exc
    finally:
        if book is not None:
            book.close()
