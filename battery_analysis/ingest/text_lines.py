"""Where records stand in a text of one line a record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from battery_analysis.readers.table import LAST_LINE

_CHUNK_BYTES = 1 << 20
MOST_HEADER_LINES = 1000
LEADING_RECORDS = 64
"""Records that stay with the header: testers put facts into columns of the first ones."""

SMALL_BYTES = 4 << 20
"""Smaller files are read whole in a moment."""


def lead_bytes(path: Path, records: int, warnings: Sequence[str] = ()) -> int | None:
    """Return the length of header and first records, if every later line is one record.

    A last line that has not ended is one, too, unless a warning says that it was left out. Whether all that is so is
    judged by the number of lines alone: whoever relies on it checks what it gives.
    """
    if records < LEADING_RECORDS or path.stat().st_size < SMALL_BYTES:
        return None
    lines, last = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if not lines and b"\0" in chunk:
                return None
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    if last != b"\n" and not any(warning.startswith(LAST_LINE) for warning in warnings):
        lines += 1
    header_lines = lines - records
    if not 0 < header_lines <= MOST_HEADER_LINES:
        return None
    with path.open("rb") as file:
        return sum(len(file.readline()) for _ in range(header_lines + LEADING_RECORDS))
