"""Neware files made of bytes: what each version lays down, as far as the readers go by it.

Records are given in the vendor's raw units (0.1 mV, current and charge in the unit of the current range, ms).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

RANGE_10_MA = 10
"""Current range whose unit is 1 µA, and 1 µA s for counters."""

NDA_8 = np.dtype(
    [
        ("identifier", "u1"), ("index", "<u4"), ("cycle", "<u4"), ("step", "u1"), ("kind", "u1"), ("time", "<u4"),
        ("volt", "<i4"), ("curr", "<i4"), ("pad", "V8"), ("cap", "<i8"), ("energy", "<i8"), ("unix", "<u8"),
        ("crc", "V4"),
    ]
)  # fmt: skip
_NDA_22_HEAD = [
    ("identifier", "u1"), ("aux", "u1"), ("index", "<u4"), ("cycle", "<u4"), ("step", "<u2"), ("kind", "u1"),
    ("jump", "u1"), ("time", "<u8"), ("volt", "<i4"), ("curr", "<i4"), ("pad", "V8"), ("chg", "<i8"),
    ("dchg", "<i8"), ("chg_e", "<i8"), ("dchg_e", "<i8"),
]  # fmt: skip
_CALENDAR = [("year", "<u2"), ("month", "u1"), ("day", "u1"), ("hour", "u1"), ("minute", "u1"), ("second", "u1")]
NDA_22 = np.dtype([*_NDA_22_HEAD, ("unix", "<u8"), ("range", "<i4"), ("crc", "V4")])
NDA_29 = np.dtype([*_NDA_22_HEAD, *_CALENDAR, ("pad2", "u1"), ("range", "<i4"), ("crc", "V4")])
NDA_AUX = np.dtype(
    [("identifier", "u1"), ("aux", "u1"), ("index", "<u4"), ("pad", "V16"), ("volt", "<i4"), ("pad2", "V8"),
     ("temp", "<i2"), ("pad3", "V50")]
)  # fmt: skip
BTS_9_1 = np.dtype(
    [
        ("identifier", "<u2"), ("step", "u1"), ("kind", "u1"), ("test", "V4"), ("index", "<u4"), ("time", "<u4"),
        ("time_ns", "<u4"), ("curr", "<f4"), ("volt", "<f4"), ("cap", "<f4"), ("energy", "<f4"), ("cycle", "<u4"),
        ("pad", "V4"), ("unix", "<u4"), ("unix_ns", "<u4"), ("temp", "<f4"),
    ]
)  # fmt: skip
NDC_5 = np.dtype(
    [
        ("pad", "V1"), ("index", "<u4"), ("cycle", "<u4"), ("step", "u1"), ("kind", "u1"), ("pad2", "V5"),
        ("time", "<u8"), ("volt", "<i4"), ("curr", "<i4"), ("pad3", "V4"), ("chg", "<i8"), ("dchg", "<i8"),
        ("chg_e", "<i8"), ("dchg_e", "<i8"), *_CALENDAR, ("range", "<i4"), ("pad4", "V8"),
    ]
)  # fmt: skip

_HEADER = 2048
_DEVICE = 42


def rows(dtype: np.dtype, **columns: object) -> np.ndarray:
    """Make records; a single value stands for every record."""
    length = max(np.size(np.asarray(values)) for values in columns.values())
    table = np.zeros(length, dtype)
    for name, values in columns.items():
        table[name] = values
    return table


def nda(version: int, records: np.ndarray, *, aux: np.ndarray | None = None, texts: Mapping[int, str] = {}) -> bytes:
    """Lay out a file of versions 1 to 29; ``texts`` go into the test information at their offsets."""
    info_size = {8: 211, 22: 383, 29: 503}[version]
    device = bytearray(_DEVICE)
    device[26:30] = RANGE_10_MA.to_bytes(4, "little")
    info = bytearray(info_size)
    for at, text in texts.items():
        raw = text.encode("gb2312")
        info[at : at + len(raw)] = raw
    blocks = {16: bytes(device), 24: bytes(info), 64: records.tobytes(), 72: aux.tobytes() if aux is not None else b""}
    header = bytearray(_HEADER)
    header[:14], header[14] = b"NEWARE20200325", version
    at = _HEADER
    for pointer, block in blocks.items():
        header[pointer : pointer + 8] = np.array([at, len(block)], "<u4").tobytes()
        at += len(block)
    return bytes(header) + b"".join(blocks.values())


def bts_9_1(records: np.ndarray) -> bytes:
    """Lay out a file of version 130 with records of version 19."""
    header = bytearray(1024)
    header[:14], header[14], header[16] = b"NEWARE20250527", 130, 19
    header[82:98] = np.array([1024, records.nbytes], "<u8").tobytes()
    return bytes(header) + records.tobytes()


def ndc(version: int, kind: int, records: np.ndarray) -> bytes:
    """Lay out one member of an archive: a header page and pages of records with a bit for each in use."""
    per_page = (4096 - 132 - 1) // records.dtype.itemsize
    head = bytearray(4096)
    head[0], head[2] = kind, version
    pages = [bytes(head)]
    for first in range(0, len(records), per_page):
        part = records[first : first + per_page]
        page = bytearray(4096)
        bits = np.packbits(np.arange(per_page) < len(part), bitorder="little").tobytes()
        page[4 : 4 + len(bits)] = bits
        page[132 : 132 + part.nbytes] = part.tobytes()
        pages.append(bytes(page))
    return b"".join(pages)


def archive(members: Mapping[str, bytes | str]) -> bytes:
    """Pack members; texts are encoded as the vendor does."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content.encode("gb18030") if isinstance(content, str) else content)
    return packed.getvalue()


def repacked(path: Path, changes: Mapping[str, bytes | str | None]) -> bytes:
    """Pack the members of another archive again with some changed, added, or left out (None)."""
    with zipfile.ZipFile(path) as source:
        members: dict[str, bytes | str | None] = {name: source.read(name) for name in source.namelist()}
    return archive({name: content for name, content in {**members, **changes}.items() if content is not None})
