"""A directory for a zip archive that was cut off before its own: made of the headers that stand before members."""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENTRY = struct.Struct("<4s6H3I5H2I")
_ENTRY_MAGIC = b"PK\x01\x02"
_END = struct.Struct("<4s4H2IH")
_END_MAGIC = b"PK\x05\x06"
_SIZES_FOLLOW = 8
_LARGE = 0xFFFF_FFFF
_MOST = 0xFFFF


class Rescued(NamedTuple):
    """The ``members`` whose bytes end at ``end``, the ``directory`` that names them, and what stands behind them."""

    members: int
    end: int
    directory: bytes
    damage: str


def rescue(file: BinaryIO) -> Rescued:
    """Find the members that are whole, from the beginning of an archive on to the first that is not.

    An archive of more than 4 GiB, or of more than 65,535 members, is rescued up to there.
    """
    whole = file.seek(0, 2)
    entries: list[bytes] = []
    at = 0
    while True:
        file.seek(at)
        header = file.read(_LOCAL.size)
        if len(header) < _LOCAL.size:
            damage = "the archive is cut off"
            break
        magic, version, flags, method, time, date, checksum, packed, size, name_length, extra_length = _LOCAL.unpack(
            header
        )
        if magic != _LOCAL_MAGIC:
            damage = "the directory of the archive is damaged or cut off"
            break
        if flags & _SIZES_FOLLOW:
            damage = "the archive is cut off, and its members do not say where they end"
            break
        name, extra = file.read(name_length), file.read(extra_length)
        end = at + _LOCAL.size + name_length + extra_length + packed
        if _LARGE in (packed, size) or end > min(whole, _LARGE) or len(entries) == _MOST:
            damage = f"the archive is cut off within {name.decode('utf-8', 'backslashreplace')}"
            break
        facts = (0, version, flags, method, time, date, checksum, packed, size, name_length, len(extra), 0, 0, 0, 0, at)
        entries.append(_ENTRY.pack(_ENTRY_MAGIC, *facts) + name + extra)
        at = end
    directory = b"".join(entries)
    closing = _END.pack(_END_MAGIC, 0, 0, len(entries), len(entries), len(directory), at, 0)
    return Rescued(len(entries), at, directory + closing, damage)
