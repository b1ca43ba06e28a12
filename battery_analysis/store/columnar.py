"""Frames as documents of compressed columns, and back.

Each column is its own Arrow IPC stream (zstd), so that a projection moves only the columns
that were asked for. Knows neither database nor document: workers encode, readers decode.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from battery_analysis.store.ahead import in_order

RECORDS_PER_SEGMENT = 131_072
BYTES_PER_SEGMENT = 8 << 20
_TOGETHER = "all"


@dataclass(frozen=True)
class Encoded:
    """A run of rows as compressed columns. Equal rows in equal columns have an equal digest."""

    first: int
    rows: int
    columns: dict[str, bytes]
    digest: str

    def described(self) -> dict[str, Any]:
        """Return it as a document."""
        return {"first": self.first, "rows": self.rows, "digest": self.digest, "columns": self.columns}


def encode(frame: pl.DataFrame, *, together: bool = False) -> Iterator[Encoded]:
    """Cut a frame into runs of at most ``RECORDS_PER_SEGMENT`` rows and ``BYTES_PER_SEGMENT`` bytes, in order.

    Cuts depend on the rows before them alone: a frame that grew gives the same first runs. Columns
    that are always read together need no stream each: of a short table the streams would be the most.
    """
    starts = range(0, frame.height, RECORDS_PER_SEGMENT)

    def encode_run(first: int) -> list[Encoded]:
        return _encode_run(frame.slice(first, RECORDS_PER_SEGMENT), first, together)

    # Compression leaves the interpreter alone, so runs are compressed side by side.
    for runs in in_order(encode_run, starts) if len(starts) > 1 else map(encode_run, starts):
        yield from runs


def decode(columns: dict[str, bytes], names: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the rows that ``encode`` made these columns from, with all columns or only these."""
    if names is not None:
        if _TOGETHER in columns:
            return pl.read_ipc_stream(columns[_TOGETHER], columns=list(names))
        return pl.DataFrame([decode_column(columns[name]) for name in names])
    return pl.DataFrame([column for data in columns.values() for column in pl.read_ipc_stream(data).get_columns()])


def decode_column(data: bytes) -> pl.Series:
    """Return one column of a run."""
    return pl.read_ipc_stream(data).to_series()


def encode_columns(frame: pl.DataFrame, *, together: bool = False) -> dict[str, bytes]:
    """Compress every column of a frame, or all of them in one stream."""
    if together:
        return {_TOGETHER: _encode_columns(frame)}
    return {name: _encode_columns(frame.select(name)) for name in frame.columns}


def digest(columns: dict[str, bytes]) -> str:
    """Return the SHA-256 over names and bytes of compressed columns."""
    total = hashlib.sha256()
    for name, data in columns.items():
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()


def _encode_run(rows: pl.DataFrame, first: int, together: bool) -> list[Encoded]:
    columns = encode_columns(rows, together=together)
    if sum(map(len, columns.values())) > BYTES_PER_SEGMENT and rows.height > 1:
        half = rows.height // 2
        return [
            *_encode_run(rows.head(half), first, together),
            *_encode_run(rows.slice(half), first + half, together),
        ]
    return [Encoded(first, rows.height, columns, digest(columns))]


def _encode_columns(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_ipc_stream(stream, compression="zstd")
    return stream.getvalue()
