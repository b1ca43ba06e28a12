"""HDF5 files of others: groups and arrays as they lie in the file, and tables that pandas stored.

pandas keeps a table in one of two layouts. ``fixed``: ``axis0`` names the columns, ``blockN_items`` those of
``blockN_values``. ``table``: one compound array, whose attributes name the columns of each of its blocks, as a
pickled list of texts. Pickles are never loaded: they are cut into their opcodes, and only the literals of one
list are taken. Links to other files are not followed, and no table may need more memory than ``MAX_BYTES``.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from battery_analysis.errors import CorruptFileError, MissingExtraError

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1 << 31
MAX_NAMES_BYTES = 1 << 20
"""No list of names, or of the words of a column, needs more."""

DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, OverflowError)
"""What h5py raises where a file is not what it says; a memory limit is the reader process's own."""

_MAX_PICKLE = 1 << 20
_BLOCK = re.compile(r"block(\d+)_values")
_FIELD = "values_block_"

Literal = str | int | float | bool | None


@contextmanager
def opened(path: Path, reader: str) -> Iterator[h5py.File]:
    """Open a file for reading; what is wrong inside it is a ``CorruptFileError``.

    Raises:
        MissingExtraError: h5py is not installed.
        CorruptFileError: The file is damaged.
    """
    try:
        import h5py
    except ImportError as exc:
        raise MissingExtraError(path, "needs the package h5py (pip install h5py)", reader) from exc
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DAMAGE as exc:
        raise CorruptFileError(path, f"the HDF5 content cannot be read: {exc}", reader) from exc


def looks_like(head: bytes, path: Path, *members: str) -> bool:
    """Say whether this is an HDF5 file with these groups or arrays; without h5py their names have to be in the head."""
    if not head.startswith(MAGIC):
        return False
    try:
        import h5py
    except ImportError:
        return all(member.rpartition("/")[2].encode() in head for member in members)
    try:
        with h5py.File(path, "r") as file:
            return all(member in file for member in members)
    except DAMAGE:
        return all(member.rpartition("/")[2].encode() in head for member in members)


def member(group: h5py.Group, name: str) -> Any:
    """Return a member of a group that lies in this file.

    Raises:
        ValueError: It is absent, or lies elsewhere.
    """
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is absent or a link")
    found = group[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise ValueError(f"{name} lies in other files")
    return found


def values_of(array: h5py.Dataset) -> np.ndarray[Any, Any]:
    """Read a whole array.

    Raises:
        ValueError: It needs more memory than any test does.
    """
    if array.size * array.dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{array.name} needs more than {MAX_BYTES} bytes")
    values: np.ndarray[Any, Any] = array[...]
    return values


def text_array(array: h5py.Dataset) -> list[str]:
    """Read an array of texts, such as the names of columns.

    Raises:
        ValueError: It holds something else, or more than any table has names.
    """
    if array.dtype.kind != "S" or array.size * array.dtype.itemsize > MAX_NAMES_BYTES:
        raise ValueError(f"{array.name} holds no names")
    return [text.decode("utf-8", "replace") for text in array[:]]


def text_of(value: object) -> str:
    """Return an attribute as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def pandas_table(group: h5py.Group) -> pl.DataFrame:
    """Read a table that pandas stored; columns of objects are left out, categories are their codes' words.

    Raises:
        ValueError: The group holds no such table.
    """
    if "table" in group:
        return _from_compound(group)
    columns: list[pl.Series] = []
    needed = 0
    for names, block in _fixed_blocks(group):
        needed += block.nbytes
        if needed > MAX_BYTES:
            raise ValueError(f"the table needs more than {MAX_BYTES} bytes")
        if columns and columns[0].len() != len(block):
            raise ValueError(f"columns have {columns[0].len()} and {len(block)} rows")
        columns += [pl.Series(name, np.ascontiguousarray(block[:, at])) for at, name in enumerate(names)]
    return pl.DataFrame(columns)


def pandas_record(group: h5py.Group) -> dict[str, Literal]:
    """Read the first row of a table in the fixed layout, its objects included, as far as they are literals."""
    found: dict[str, Literal] = {}
    for names, block in _fixed_blocks(group):
        if len(block):
            found |= {name: block[0, at].item() for at, name in enumerate(names)}
    for key in group:
        match = _BLOCK.fullmatch(key)
        if not match:
            continue
        array = member(group, key)
        if array.dtype.kind == "O" and array.size:
            names = text_array(member(group, f"block{match[1]}_items"))
            told = literals(bytes(bytearray(array[0])))
            if len(told) == len(names):
                found |= dict(zip(names, told, strict=True))
    return found


def literals(pickled: bytes) -> list[Literal]:
    r"""Take the literals of the last list in a pickle that holds nothing but literals, without loading the pickle.

    >>> literals(b"(lp0\nVvoltage\np1\naVcurrent\np2\na.")
    ['voltage', 'current']
    """
    if len(pickled) > _MAX_PICKLE:
        raise ValueError(f"a pickle of {len(pickled)} bytes is no list of names")
    items: list[Literal] = []
    memo: dict[int, Literal] = {}
    last: Literal = None
    for opcode, argument, _ in pickletools.genops(pickled):
        name = opcode.name
        if name in ("LIST", "EMPTY_LIST"):
            items = []
        elif name == "MEMOIZE":
            memo[len(memo)] = last
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(argument or 0)] = last
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            items.append(memo.get(int(argument or 0)))
        elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
            last = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name]
            items.append(last)
        elif isinstance(argument, str | int | float) and opcode.stack_after and opcode.name not in ("PROTO", "FRAME"):
            last = argument
            items.append(last)
        else:
            last = None
    return items


def _fixed_blocks(group: h5py.Group) -> Iterator[tuple[list[str], np.ndarray[Any, Any]]]:
    """Blocks of numbers of the fixed layout, times as times, with the names of their columns."""
    for key in sorted(group):
        match = _BLOCK.fullmatch(key)
        if not match:
            continue
        array = member(group, key)
        names = text_array(member(group, f"block{match[1]}_items"))
        if array.dtype.kind in "iufb":
            block = values_of(array)
            if block.ndim != 2 or block.shape[1] != len(names):
                raise ValueError(f"{key} is {block.shape}, but there are {len(names)} names")
            yield names, _as_times(block, text_of(array.attrs.get("value_type", "")))


def _from_compound(group: h5py.Group) -> pl.DataFrame:
    table = member(group, "table")
    records = values_of(table)
    columns: list[pl.Series] = []
    for field in records.dtype.names or ():
        if not field.startswith(_FIELD):
            if field != "index":
                columns.append(pl.Series(field, np.ascontiguousarray(records[field])))
            continue
        names = literals(bytes(table.attrs[f"{field}_kind"]))
        block = _as_times(records[field], text_of(table.attrs.get(f"{field}_dtype", "")))
        if block.ndim != 2 or block.shape[1] != len(names):
            raise ValueError(f"{field} is {block.shape}, but there are {len(names)} names")
        words = _categories(group, field)
        for at, name in enumerate(names):
            values = np.ascontiguousarray(block[:, at])
            if words is not None:
                columns.append(
                    pl.Series(str(name), [words[code] if 0 <= code < len(words) else None for code in values])
                )
            elif values.dtype.kind == "S":
                columns.append(pl.Series(str(name), [text.decode("utf-8", "replace") for text in values]))
            else:
                columns.append(pl.Series(str(name), values))
    return pl.DataFrame(columns)


def _categories(group: h5py.Group, field: str) -> list[str] | None:
    place = f"meta/{field}/meta/table"
    if place not in group:
        return None
    return [text_of(word) for word in values_of(group[place])["values"]]


def _as_times(block: np.ndarray[Any, Any], kind: str) -> np.ndarray[Any, Any]:
    """Stored integers as the times they are; whichever unit the store names."""
    return block.view(kind) if kind.startswith("datetime64[") and block.dtype.itemsize == 8 else block
