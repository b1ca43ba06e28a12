"""Binary files of EC-Lab, and the log that lies beside one until its technique ends."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MAGIC = b"BIO-LOGIC MODULAR FILE\x1a".ljust(48) + bytes(4)
FLAGS_NS_TIME_EWE_DQ = (1, 2, 3, 21, 31, 65, 131, 4, 6, 7)
RECORD = struct.Struct("<BHdfd")
RECORDS = ((0x03, 0, 0.0, 3.5, 0.0), (0x25, 1, 10.0, 3.75, 0.5), (0x01, 1, 20.0, 3.5, -1.0))
FREQUENCY, VOLTAGE, UNKNOWN = 32, 6, 999


def module(name: str, content: bytes, version: int = 0, date: str = "03/04/24", long_header: bool = False) -> bytes:
    names = f"VMP {name}".ljust(10) + f"VMP {name}".ljust(25)
    sizes = struct.pack("<IIII", 0xFFFFFFFF, len(content), 0, version) if long_header else b""
    return b"MODULE" + names.encode() + (sizes or struct.pack("<II", len(content), version)) + date.encode() + content


def settings(technique: int = 0x04) -> bytes:
    content = bytearray(700)
    content[0] = technique
    content[7:18] = b"\x0athe comment"[:11]
    struct.pack_into("<f", content, 263, 12.5)  # mg
    struct.pack_into("<f", content, 529, 0.001)  # cm2, not filled in
    struct.pack_into("<fB", content, 604, 2.5, 1)  # mA.h
    return bytes(content)


def data(
    ids: Sequence[int] = FLAGS_NS_TIME_EWE_DQ,
    records: bytes = b"".join(RECORD.pack(*record) for record in RECORDS),
    count: int = len(RECORDS),
    version: int = 3,
) -> bytes:
    kind, start = {0: ("B", 100), 2: ("H", 405), 3: ("H", 406), 10: ("H", 1007), 11: ("H", 1007)}[version]
    columns = struct.pack("<H" if version >= 10 else "<B", len(ids)) + struct.pack(f"<{len(ids)}{kind}", *ids)
    return (struct.pack("<I", count) + columns).ljust(start, b"\0") + records


def log(days: float = 45355.5, offset: int = 585, channel: int = 2, path: bytes = b"C:\\data\\cell_7_C03.mpr") -> bytes:
    content = bytearray(1100)
    content[9] = channel
    struct.pack_into("<H", content, 171, 4711)
    struct.pack_into("<d", content, offset, days)
    for place, text in ((593, path), (951, b"11.50"), (975, b"0815"), (1001, b" NONE")):
        content[place : place + 1 + len(text)] = bytes([len(text)]) + text
    content[974] = 12
    return bytes(content)


def whole(**parts: bytes) -> bytes:
    modules = {"Set": settings(), "data": data(), "LOG": log()} | parts
    return MAGIC + b"".join(module(name, content, 3 * (name == "data")) for name, content in modules.items() if content)


def log_file(started: str = "03/04/2024 12:00:00.000", saved_as: str = "cell_7_C03.mpr") -> str:
    """A log as text, which says what ``log`` says in the file."""
    return "\r\n".join(
        (
            "EC-Lab LOG FILE",
            "",
            "Galvanostatic Cycling with Potential Limitation",
            "",
            "Run on channel : 3 (SN 4711)",
            "User : ",
            "Ewe ctrl range : min = -10.00 V, max = 10.00 V",
            "Safety Limits :",
            "\tDo not start on E overload",
            f"Acquisition started on : {started}",
            "Loaded Setting File : NONE",
            "Saved on :",
            f"\tFile : {saved_as}",
            "\tDirectory : C:\\data\\",
            "\tHost : 192.109.209.100",
            "Device : VMP-300 (SN 0815)",
            "EC-Lab for windows v11.50 (software)",
            "Acquisition started at : xo = 0.000",
            "Ns                  0                   1                   ",
            "",
        )
    )
