"""Tables whose columns arrive with types: Parquet, HDF5, JSON.

Clocks and durations become seconds, texts that no column of a frame holds go to the metadata's header, and what can
be neither is named in a warning.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import TestMetadata
from battery_analysis.readers.stamps import local_to_unix
from battery_analysis.readers.terms import date_test, words

if TYPE_CHECKING:
    import pyarrow.parquet as pq

PARQUET_MAGIC = b"PAR1"

_ROW_LABELS = "__index_level_"


class Stored(NamedTuple):
    """A table of a Parquet file, and the texts that its footer holds."""

    table: pl.DataFrame
    notes: dict[str, str]


def parquet_names(head: bytes, path: Path) -> list[str] | None:
    """Return the column names of a Parquet file; None where it is none, or its footer cannot be read."""
    if not head.startswith(PARQUET_MAGIC):
        return None
    import pyarrow as pa

    try:
        with _open(path) as file:
            return list(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError):
        return None


def read_parquet(path: Path, reader: str) -> Stored:
    """Read a whole Parquet file; pandas' row labels are no data and stay out.

    Raises:
        CorruptFileError: The footer or a column cannot be read.
    """
    import pyarrow as pa

    try:
        with _open(path) as file:
            names = [name for name in file.schema_arrow.names if not name.startswith(_ROW_LABELS)]
            if len(set(names)) < len(names):
                raise CorruptFileError(path, f"column names are not all different: {names}", reader)
            notes = file.metadata.metadata or {}
            # Arrow's own types, since those that pandas noted beside them may be unknown here.
            table = pl.DataFrame(file.read(columns=names).replace_schema_metadata(None))
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as exc:
        raise CorruptFileError(path, f"the Parquet data cannot be read: {exc}", reader) from exc
    return Stored(
        table, {key.decode("utf-8", "replace"): text.decode("utf-8", "replace") for key, text in notes.items()}
    )


def _open(path: Path) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, memory_map=False)


def plain(
    table: pl.DataFrame, texts: Container[str], metadata: TestMetadata, time_zone: str, elapsed: pl.Series | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Bring typed columns to numbers and texts.

    Args:
        table: Columns of any type.
        texts: Names of the text columns that a frame keeps.
        metadata: Gets the distinct words of the other texts in its ``header``, and the ``time_zone`` in which stamps
            without one are taken.
        time_zone: IANA zone of stamps that carry none.
        elapsed: Seconds since the start of the test, which tell stamps apart in an hour that the clock repeats.

    Returns:
        Numbers, truth values and kept texts, clocks as seconds since 1970 and durations as seconds; and warnings
        about columns of lists and other things that are neither.
    """
    kept: list[pl.Series] = []
    lost: list[str] = []
    for values in table.iter_columns():
        dtype = values.dtype
        if isinstance(dtype, pl.Datetime | pl.Date):
            kept.append(clock_seconds(values, metadata, time_zone, elapsed))
        elif isinstance(dtype, pl.Duration | pl.Time):
            kept.append(values.cast(pl.Duration("ns")).dt.total_nanoseconds().cast(pl.Float64) / 1e9)
        elif isinstance(dtype, pl.Decimal):
            kept.append(values.cast(pl.Float64))
        elif dtype.is_numeric() or isinstance(dtype, pl.Boolean):
            kept.append(values)
        elif isinstance(dtype, pl.Null):
            kept.append(values.cast(pl.Float64))
        elif isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
            if values.name in texts:
                kept.append(values.cast(pl.String))
            elif values.count():
                metadata.header[values.name] = words(values.cast(pl.String))
        else:
            lost.append(f"{values.name} ({dtype})")
    warnings = [f"columns that hold neither numbers nor texts are left out: {', '.join(lost)}"] if lost else []
    return pl.DataFrame(kept), warnings


def clock_seconds(
    stamps: pl.Series, metadata: TestMetadata, time_zone: str, elapsed: pl.Series | None = None
) -> pl.Series:
    """Convert dates with times to seconds since 1970; those without a zone are taken in ``time_zone``."""
    zone = getattr(stamps.dtype, "time_zone", None)
    stamps = stamps.cast(pl.Datetime("us", zone))
    if zone:
        return stamps.dt.epoch("us") / 1e6
    metadata.time_zone = time_zone
    if elapsed is None:  # the clock itself then says how time went on
        elapsed = (stamps.dt.epoch("us") / 1e6).fill_null(strategy="forward").fill_null(0.0)
    return local_to_unix(stamps, elapsed, time_zone).alias(stamps.name)


def date_by_clock(frame: pl.DataFrame, metadata: TestMetadata) -> None:
    """Take start and end of the test from its clock, where the frame has one."""
    if {"unix_time_second", "test_time_second"} <= set(frame.columns):
        clock, test_time = (frame[name].cast(pl.Float64) for name in ("unix_time_second", "test_time_second"))
        date_test(metadata, clock, test_time)
