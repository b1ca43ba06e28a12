"""Tables in the terms of the Battery Data Format within HDF5, Excel workbooks and JSON, as ``writing`` makes them.

File structure:
    HDF5: the group ``records`` with one array for each column; ``words/<column>`` beside it holds the texts into which
    a column of codes points, ``missing/<column>`` says which whole numbers are none; ``metadata`` is a JSON text.
    Workbooks: sheets whose first row holds the names; those with the same names follow one another. A sheet ``About``
    may begin with the same JSON text, cut to what a cell takes.
    JSON: one object with ``columns``, ``metadata`` and ``records``, a list of values for each column.
    All hold the cycle table as well, which is made anew from the records.

Choices:
    Columns are taken as in ``bdf``. Nothing pickled is opened, and links to other files are not followed. No array of
    an HDF5 file, nor all of them, may need more than ``hdf5.MAX_BYTES``, and no JSON text may be longer than
    ``MAX_JSON_BYTES``.

Seen in:
    Exports of this project.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers import hdf5
from battery_analysis.readers.base import Reading
from battery_analysis.readers.bdf import holds_terms, with_note
from battery_analysis.readers.bdf_terms import term_of
from battery_analysis.readers.notes import NOTE_KEY
from battery_analysis.readers.workbook import peek, sheet_table

if TYPE_CHECKING:
    import h5py

HDF5_FORMAT = JSON_FORMAT = "battery_analysis test 1"
"""What files of this project say they are: a test in the first layout."""
METADATA = "metadata"
WORDS = "words"
MISSING = "missing"
ABOUT = "About"
RECORDS = "Records"

MAX_JSON_BYTES = 1 << 28
"""A text needs about five times its length in memory until its numbers are columns."""

_ROOT = "records"
_SERIES = ("test_time_second", "voltage_volt")
_SPECTRUM = ("frequency_hertz", "real_impedance_ohm")
_JSON_SIGN = f'"format": "{JSON_FORMAT}"'.encode()


class BdfHdf5:
    """Reads HDF5 files of this project."""

    name = "bdf_hdf5"
    version = "1"
    tester = "BDF"
    suffixes = frozenset({".h5", ".hdf5"})
    description = "Battery Data Format columns in HDF5 (.h5); the group records with arrays of its terms; needs h5py"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a group of records holds time and voltage, or a spectrum, under machine names."""
        return any(
            hdf5.looks_like(head, path, *(f"{_ROOT}/{name}" for name in names)) for names in (_SERIES, _SPECTRUM)
        )

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the records; facts are those that stand beside them."""
        with hdf5.opened(path, self.name) as file:
            table = _table(hdf5.member(file, _ROOT))
            note = _text(hdf5.member(file, METADATA)) if METADATA in file else ""
        return _reading(path, self.name, table, note, time_zone)


class BdfWorkbook:
    """Reads workbooks whose sheets are tables in terms of the format."""

    name = "bdf_xlsx"
    version = "1"
    tester = "BDF"
    suffixes = frozenset({".xlsx"})
    description = "Battery Data Format columns in workbooks (.xlsx); sheets whose first row holds terms of its ontology"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a sheet begins with names of time and voltage, or of a spectrum."""
        return bool(_sheets(head, path)[0])

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read all sheets with the names of the first, in order."""
        with path.open("rb") as file:
            head = file.read(len(b"PK\x03\x04"))
        sheets, note = _sheets(head, path)
        if not sheets:
            raise CorruptFileError(path, "no sheet begins with the names of time and voltage", self.name)
        texts = {name for name in sheets[0][1] if (term := term_of(name)) and term.column.dtype == pl.String}
        tables, warnings = [], []
        for sheet, _ in sheets:
            table, said = sheet_table(path, sheet, 0, texts)
            tables.append(table)
            warnings += said
        try:
            whole = pl.concat([table for table in tables if table.height] or tables[:1], how="diagonal_relaxed")
        except pl.exceptions.PolarsError as exc:
            raise CorruptFileError(path, f"sheets do not continue one another: {exc}", self.name) from exc
        reading = _reading(path, self.name, whole, note, time_zone)
        reading.warnings[:0] = warnings
        return reading


class BdfJson:
    """Reads JSON documents of this project."""

    name = "bdf_json"
    version = "1"
    tester = "BDF"
    suffixes = frozenset({".json"})
    description = f"Battery Data Format columns in JSON (.json); an object that begins with the format {JSON_FORMAT}"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether this is an object that names the format first."""
        return head.lstrip()[:1] == b"{" and _JSON_SIGN in head[:200]

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the lists of all columns."""
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise CorruptFileError(path, f"{size} bytes of JSON, more than the limit of {MAX_JSON_BYTES}", self.name)
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as exc:
            raise CorruptFileError(path, f"the JSON text cannot be read: {exc}", self.name) from exc
        records = document.get(_ROOT)
        if not isinstance(records, dict) or not all(isinstance(values, list) for values in records.values()):
            raise CorruptFileError(path, "no records, or something else than a list in one of them", self.name)
        try:
            table = pl.DataFrame([_column(name, records.pop(name)) for name in list(records)])
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as exc:
            raise CorruptFileError(path, f"the records are no table: {exc}", self.name) from exc
        return _reading(path, self.name, table, json.dumps(document.get(METADATA)), time_zone)


def _reading(path: Path, reader: str, table: pl.DataFrame, note: str, time_zone: str) -> Reading:
    if not holds_terms(table.columns):
        raise CorruptFileError(path, f"no time and voltage among the columns {table.columns}", reader)
    if not table.height:
        raise CorruptFileError(path, "the file has no data rows", reader)
    return with_note(table, note, time_zone)


def _column(name: str, values: list[Any]) -> pl.Series:
    """Make a column of numbers, truth values or texts; of whole and other numbers together all are ``Float64``."""
    kinds = {type(value) for value in values} - {type(None)}
    match kinds:
        case _ if not kinds:
            return pl.Series(name, values, pl.Float64)
        case _ if kinds == {int}:
            return pl.Series(name, values, pl.Int64)
        case _ if kinds <= {int, float}:
            return pl.Series(name, values, pl.Float64, strict=False)
        case _ if kinds == {bool} or kinds == {str}:
            return pl.Series(name, values)
    raise ValueError(f"{name} holds values of several kinds: {', '.join(sorted(kind.__name__ for kind in kinds))}")


def _sheets(head: bytes, path: Path) -> tuple[list[tuple[str, list[str]]], str]:
    """Return the sheets that continue the first one with terms, each with its names, and what stands in the note."""
    found: list[tuple[str, list[str]]] = []
    note = ""
    for sheet, rows in peek(head, path).items():
        names = [str(cell).strip() for cell in rows[0]] if rows else []
        if sheet == ABOUT and names[:1] == [NOTE_KEY]:
            note = "".join(str(cell) for cell in rows[0][1:])
        elif found[0][1] == names if found else holds_terms(names):
            found.append((sheet, names))
    return found, note


def _table(group: h5py.Group) -> pl.DataFrame:
    names = [name for name in group if name not in (WORDS, MISSING)]
    arrays = {name: hdf5.member(group, name) for name in names}
    needed = 0
    columns = []
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind not in "iufb":
            raise ValueError(f"{name} is no column of numbers")
        needed += array.size * array.dtype.itemsize
        if needed > hdf5.MAX_BYTES:
            raise ValueError(f"the records need more than {hdf5.MAX_BYTES} bytes")
        stored = hdf5.values_of(array)
        values = pl.Series(name, stored.astype(stored.dtype.newbyteorder("="), copy=False))
        if (mask := _beside(group, MISSING, name)) is not None:
            values = _masked(values, hdf5.values_of(mask))
        if (words := _beside(group, WORDS, name)) is not None:
            values = _worded(values, hdf5.text_array(words))
        columns.append(values.fill_nan(None) if values.dtype.is_float() else values)
    if len({values.len() for values in columns}) > 1:
        raise ValueError(f"columns have {min(map(len, columns))} to {max(map(len, columns))} rows")
    return pl.DataFrame(columns)


def _beside(group: h5py.Group, place: str, name: str) -> Any:
    """Return what stands beside a column in a group of its own, None where nothing does."""
    if place not in group:
        return None
    inner = hdf5.member(group, place)
    return hdf5.member(inner, name) if isinstance(inner, Mapping) and name in inner else None


def _masked(values: pl.Series, mask: np.ndarray[Any, Any]) -> pl.Series:
    if mask.dtype.kind != "b" or mask.shape != (values.len(),):
        raise ValueError(f"{MISSING}/{values.name} does not fit its column")
    kept = pl.select(pl.when(~pl.Series(mask)).then(values)).to_series()
    return kept.alias(values.name)


def _worded(codes: pl.Series, words: list[str]) -> pl.Series:
    if not codes.dtype.is_integer():
        raise ValueError(f"{codes.name} holds no codes of words")
    known = pl.Series(words, dtype=pl.String)
    places = codes.cast(pl.Int64)
    valid = pl.when((places >= 0) & (places < len(words))).then(places)
    return known.gather(pl.select(valid).to_series()).alias(codes.name)


def _text(array: h5py.Dataset) -> str:
    if array.shape != () or array.dtype.kind != "S":
        raise ValueError(f"{METADATA} is no text")
    return hdf5.text_of(bytes(hdf5.values_of(array).item()))
