"""Frames as documents of compressed columns, and back.

Each column is its own Arrow IPC stream (zstd), so that a projection moves only the columns
that were asked for. Knows neither database nor document: workers encode, readers decode.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

RECORDS_PER_SEGMENT = 131_072
BYTES_PER_SEGMENT = 8 << 20
_WORTH_THREADS = 20_000
_TOGETHER = "all"


@dataclass(frozen=True)
class Encoded:
    """A run of rows as compressed columns. Equal rows in equal columns have an equal digest."""

    first: int
    rows: int
    columns: dict[str, bytes]
    digest: str


def encode(frame: pl.DataFrame, *, together: bool = False) -> Iterator[Encoded]:
    """Cut a frame into runs of at most ``RECORDS_PER_SEGMENT`` rows and ``BYTES_PER_SEGMENT`` bytes, in order.

    Cuts depend on the rows before them alone: a frame that grew gives the same first runs. Columns
    that are always read together need no stream each: of a short table the streams would be the most.
    """
    for first in range(0, frame.height, RECORDS_PER_SEGMENT):
        yield from _encode_run(frame.slice(first, RECORDS_PER_SEGMENT), first, together)


def decode(columns: dict[str, bytes]) -> pl.DataFrame:
    """Return the rows that ``encode`` made these columns from."""
    return pl.DataFrame([column for data in columns.values() for column in pl.read_ipc_stream(data).get_columns()])


def decode_column(data: bytes) -> pl.Series:
    """Return one column of a run."""
    return pl.read_ipc_stream(data).to_series()


def encode_columns(frame: pl.DataFrame, *, together: bool = False) -> dict[str, bytes]:
    """Compress every column of a frame, or all of them in one stream."""
    if together:
        return {_TOGETHER: _encode_columns(frame)}
    columns = (frame.select(name) for name in frame.columns)
    if frame.height < _WORTH_THREADS:
        return dict(zip(frame.columns, map(_encode_columns, columns), strict=True))
    # Compression leaves the interpreter alone, so columns are compressed side by side.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(frame.columns, pool.map(_encode_columns, columns), strict=True))


def digest(columns: dict[str, bytes]) -> str:
    """Return the SHA-256 over names and bytes of compressed columns."""
    total = hashlib.sha256()
    for name, data in columns.items():
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()


def _encode_run(rows: pl.DataFrame, first: int, together: bool) -> Iterator[Encoded]:
    columns = encode_columns(rows, together=together)
    if sum(map(len, columns.values())) > BYTES_PER_SEGMENT and rows.height > 1:
        half = rows.height // 2
        yield from _encode_run(rows.head(half), first, together)
        yield from _encode_run(rows.slice(half), first + half, together)
        return
    yield Encoded(first, rows.height, columns, digest(columns))


def _encode_columns(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_ipc_stream(stream, compression="zstd")
    return stream.getvalue()
