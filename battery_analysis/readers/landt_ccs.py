"""Landt (LAND, LANHE) binary files: ``.ccs``, and what to say of ``.cex``.

The layout of ``.ccs`` is not published by its maker. What is used here is what independent descriptions of it agree
on; where they contradict each other (codes of the modes, cycle numbers, step numbers of the programme) nothing is read.

File structure, little-endian:
    A header of up to 4 KiB with zero-terminated texts at fixed places, then blocks of 128 bytes, aligned to their size:

    ======  ======  ===================================================================
    offset  type    content
    ======  ======  ===================================================================
    0       u8      kind: 3 records, 2 a step of the programme, nothing else
    1       u8      how many records the block holds, 1 to 6
    4       u32     step that the records belong to; another value is another step
    8       record  one after the other: 6 of 20 bytes, or 5 of 24 bytes
    ======  ======  ===================================================================

    A record is ``dt`` (u32, ms since the record before), voltage (f32, V), current (f32, A, positive on charge), charge
    and energy since the record before (f32, Ah and Wh), and in 24 bytes a resistance (f32, ohm).

Choices:
    Counters are the running totals of the increments, by the sign of the current. Times count from the start of the
    test, so the first record is ``dt`` after it. A block that is none of these is left out with a warning. Records are
    taken to be the larger ones where most blocks hold 5 and none holds 6.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME
from battery_analysis.errors import CorruptFileError, UnknownFormatError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.stamps import moment

BLOCK_BYTES = 128
FIRST_BLOCK = 0xA80
LAST_START = 0x4000

_RECORDS, _STEP = 3, 2
_MOST_RECORDS = 6
_MOST_LARGE = 5
_SURE_BLOCKS = 6
_SMALL = np.dtype([("dt", "<u4"), ("voltage", "<f4"), ("current", "<f4"), ("charge", "<f4"), ("energy", "<f4")])
_LARGE = np.dtype([*_SMALL.descr, ("resistance", "<f4")])
_BLOCK_HEADER = 8
_TEXTS = {
    "test name": (0xB0, 0x40),
    "group": (0x10, 0x40),
    "computer": (0x58, 0x20),
    "software version": (0x2D0, 0x20),
    "serial number": (0x360, 0x20),
    "program": (0x734, 0x40),
}
_STARTED_AT = 0xA38
_SANE_MILLISECONDS = (946_684_800_000, 4_102_444_800_000)
_MAKER = b"LAND"
_NAMED_BLOCKS = 5
_TOTALS = {
    "charging_capacity_ah": ("charge", 1),
    "discharging_capacity_ah": ("charge", -1),
    "charging_energy_wh": ("energy", 1),
    "discharging_energy_wh": ("energy", -1),
}


class LandtCcs:
    """Reads Landt binary files."""

    name = "landt_ccs"
    version = "1"
    tester = "Landt"
    suffixes = frozenset({".ccs"})
    description = "Landt (LAND, LANHE) binary files; blocks of 128 bytes; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether there is a row of blocks, and the name of the maker or the suffix."""
        named = path.suffix.lower() in self.suffixes or _MAKER in head[:FIRST_BLOCK]
        return named and _first_block(head) is not None

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read a file; its start is stored in UTC.

        Raises:
            CorruptFileError: There are no blocks of records, or their values are none.
        """
        content = path.read_bytes()
        start = _first_block(content)
        if start is None:
            raise CorruptFileError(
                path, f"no blocks of records between {FIRST_BLOCK:#x} and {LAST_START:#x}", self.name
            )
        blocks = np.frombuffer(content, np.uint8, offset=start)
        blocks = blocks[: blocks.size // BLOCK_BYTES * BLOCK_BYTES].reshape(-1, BLOCK_BYTES)
        warnings = _note_rest(len(content) - start - blocks.size) + _note_strangers(blocks, start)
        records, steps = _records(blocks)
        usable = np.isfinite(records["voltage"]) & np.isfinite(records["current"])
        if not usable.any():
            raise CorruptFileError(path, "no record has a voltage and a current", self.name)
        if not usable.all():
            warnings.append(f"{int((~usable).sum())} records without a voltage or current left out")
            records, steps = records[usable], steps[usable]
        frame = _frame(records, steps)
        metadata = _metadata(content)
        metadata.sources = _sources(frame)
        return Reading(frame, metadata, warnings)


class LandtCex:
    """Says of ``.cex`` files which export to use instead."""

    name = "landt_cex"
    version = "1"
    tester = "Landt"
    suffixes = frozenset({".cex"})
    description = "LAND .cex files; their layout is not known: export them as a workbook or as text"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the file is called .cex and is no text."""
        return path.suffix.lower() in self.suffixes and b"\0" in head

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Refuse the file.

        Raises:
            UnknownFormatError: Always; it names the export to use.
        """
        instead = "open it in LANDdt and export the records as Excel (.xlsx) or as text (.csv, .txt)"
        raise UnknownFormatError(path, f"the layout of LAND .cex files is not known; {instead}", self.name)


def _first_block(content: bytes) -> int | None:
    """Where the first of several blocks in a row begins."""
    end = min(len(content), LAST_START + _SURE_BLOCKS * BLOCK_BYTES)
    whole = np.frombuffer(
        content[FIRST_BLOCK : FIRST_BLOCK + (end - FIRST_BLOCK) // BLOCK_BYTES * BLOCK_BYTES], np.uint8
    )
    if whole.size < BLOCK_BYTES:
        return None
    blocks = whole.reshape(-1, BLOCK_BYTES)
    known = _is_known(blocks)
    wanted = min(_SURE_BLOCKS, len(blocks))
    for at in range(len(blocks) - wanted + 1):
        if known[at : at + wanted].all() and (blocks[at : at + wanted, 0] == _RECORDS).any():
            return FIRST_BLOCK + at * BLOCK_BYTES
    return None


def _is_known(blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    kind, count = blocks[:, 0], blocks[:, 1]
    empty = (blocks[:, 2] == 0) & (blocks[:, 3] == 0)
    holds_records = (kind == _RECORDS) & (count >= 1) & (count <= _MOST_RECORDS)
    return np.asarray(empty & (holds_records | ((kind == _STEP) & (count == 0))), np.bool_)


def _records(blocks: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Every record in order, and the number of its step in order of execution."""
    blocks = blocks[_is_known(blocks) & (blocks[:, 0] == _RECORDS)]
    counts = blocks[:, 1].astype(np.int64)
    full_of_large = counts.max() == _MOST_LARGE and 2 * int((counts == _MOST_LARGE).sum()) > counts.size
    layout = _LARGE if full_of_large else _SMALL
    places = (BLOCK_BYTES - _BLOCK_HEADER) // layout.itemsize
    cells = np.ascontiguousarray(blocks[:, _BLOCK_HEADER : _BLOCK_HEADER + places * layout.itemsize]).view(layout)
    filled = np.arange(places) < counts[:, None]
    words = np.ascontiguousarray(blocks[:, 4:8]).view("<u4")[:, 0]
    steps = 1 + np.cumsum(np.diff(words, prepend=words[:1]) != 0)
    return cells[filled], np.repeat(steps, counts).astype(np.int64)


def _frame(records: npt.NDArray[Any], steps: npt.NDArray[np.int64]) -> pl.DataFrame:
    seconds = records["dt"].astype(np.float64) / 1e3
    elapsed = np.cumsum(seconds)
    starts = np.flatnonzero(np.diff(steps, prepend=0))
    before = np.repeat(elapsed[starts] - seconds[starts], np.diff(starts, append=steps.size))
    sign = np.sign(records["current"])
    data = {
        columns.TEST_TIME.name: elapsed,
        columns.VOLTAGE.name: records["voltage"].astype(np.float64),
        columns.CURRENT.name: records["current"].astype(np.float64),
        columns.STEP_COUNT.name: steps,
        columns.STEP_TIME.name: elapsed - before,
    }
    for name, (field, way) in _TOTALS.items():
        increments = np.nan_to_num(np.abs(records[field].astype(np.float64)), nan=0.0, posinf=0.0, neginf=0.0)
        data[BY_NAME[name].name] = np.cumsum(np.where(sign == way, increments, 0.0))
    if "resistance" in (records.dtype.names or ()):
        data[columns.INTERNAL_RESISTANCE.name] = records["resistance"].astype(np.float64)
    return pl.DataFrame(data)


def _sources(frame: pl.DataFrame) -> dict[str, ColumnSource]:
    named = {
        columns.TEST_TIME.name: ColumnSource("dt", "ms"),
        columns.STEP_TIME.name: ColumnSource("dt", "ms"),
        columns.VOLTAGE.name: ColumnSource("voltage", "V"),
        columns.CURRENT.name: ColumnSource("current", "A"),
        columns.STEP_COUNT.name: ColumnSource("step"),
        columns.INTERNAL_RESISTANCE.name: ColumnSource("resistance", "ohm"),
        **{name: ColumnSource(field, BY_NAME[name].unit) for name, (field, _) in _TOTALS.items()},
    }
    return {name: named[name] for name in frame.columns}


def _metadata(content: bytes) -> TestMetadata:
    metadata = TestMetadata(tester=LandtCcs.tester, test_type="cycling")
    for key, (offset, length) in _TEXTS.items():
        text = content[offset : offset + length].split(b"\0", 1)[0].decode("gb18030", "replace").strip()
        if text:
            metadata.header[key] = text
    metadata.test_name = metadata.header.get("test name")
    metadata.channel = metadata.header.get("group")
    metadata.device = metadata.header.get("serial number")
    metadata.software = metadata.header.get("software version")
    metadata.protocol = metadata.header.get("program")
    (milliseconds,) = struct.unpack_from("<Q", content, _STARTED_AT)
    if _SANE_MILLISECONDS[0] <= milliseconds <= _SANE_MILLISECONDS[1]:
        metadata.started_at = moment(milliseconds / 1e3)
    return metadata


def _note_rest(left: int) -> list[str]:
    return [f"the file ends {left} bytes into a block; these are left out"] if left else []


def _note_strangers(blocks: npt.NDArray[np.uint8], start: int) -> list[str]:
    strange = np.flatnonzero(~_is_known(blocks))
    if not strange.size:
        return []
    shown = ", ".join(f"{start + int(at) * BLOCK_BYTES:#x}" for at in strange[:_NAMED_BLOCKS])
    more = ", …" if strange.size > _NAMED_BLOCKS else ""
    return [f"{strange.size} blocks hold no records and no step; left out (offset {shown}{more})"]
