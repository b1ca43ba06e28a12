"""Two columns and one cycle of a 10 M record test, beside local Parquet and one document per record."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.importer import ImportOptions, open_importer
from battery_analysis.ingest.sample_rules import rules_from
from battery_analysis.store.frames import load_frame
from benchmarks.measuring import Row, apart, median_seconds, scratch_store, seconds
from examples.bulk import many_records, write_large_ndax

RECORDS = 10_000_000
ROW_DOCUMENTS = 200_000
TIMES = 5
TWO = ("test_time_second", "voltage_volt")


def run() -> Iterator[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        apart(_write, name)
        times, peak = apart(_measure, name)
    two, parquet, rows, cycle, size, stored = times
    yield Row(f"import of {RECORDS:,} records", f"{stored:.1f} s, {size / 1e6:.0f} MB in segments")
    yield Row("two columns from local Parquet (polars)", f"{parquet:.3f} s")
    yield Row("load_frame, two columns", f"{two:.3f} s = {two / parquet:.1f} x Parquet", "<= 3 x", two <= 3 * parquet)
    yield Row(
        f"one document per record ({ROW_DOCUMENTS:,} read, scaled)",
        f"{rows:.1f} s = {rows / two:.0f} x load_frame",
        ">= 50 x",
        rows >= 50 * two,
    )
    yield Row("load_frame, all columns of one cycle", f"{cycle * 1e3:.1f} ms median", "< 50 ms", cycle < 0.05)
    yield Row("peak memory: loading two columns", f"{peak:.0f} MB above start")


def _write(folder: str) -> None:
    write_large_ndax(Path(folder) / "BM001.ndax", RECORDS)
    many_records(RECORDS).write_parquet(Path(folder) / "frame.parquet")


def _measure(folder: str) -> tuple[float, float, float, float, int, float]:
    with scratch_store() as (store, settings):
        options = ImportOptions(Path(folder), rules_from(settings), settings.data_dir, workers=1)
        path = Path(folder) / "BM001.ndax"
        with open_importer(store, options) as importer:
            outcome = importer.take(next(_only(path)))
        assert outcome.test_id is not None, outcome.reason
        test = outcome.test_id
        two = median_seconds(lambda: load_frame(store, test, TWO, form="polars").height, TIMES)
        parquet = median_seconds(lambda: pl.read_parquet(Path(folder) / "frame.parquet", columns=list(TWO)), TIMES)
        cycle = statistics.median(
            seconds(lambda number=number: load_frame(store, test, cycles=(number, number), form="polars"))
            for number in range(100, 5000, 100)
        )
        rows = _row_documents(store.database, load_frame(store, test, time=(0, 400_000_000), form="polars"))
        size = store.database.command("collstats", "frame_segments")["storageSize"]
        return two, parquet, rows, cycle, size, outcome.seconds or 0.0


def _only(path: Path) -> Iterator[Candidate]:
    from pathlib import PurePosixPath

    yield Candidate(path, PurePosixPath(path.name), path.stat().st_size)


def _row_documents(database, frame: pl.DataFrame) -> float:  # type: ignore[no-untyped-def]
    """Store some records as documents of their own and return how long reading two columns of all would take."""
    collection = database["bench_rows"]
    some = frame.head(ROW_DOCUMENTS).to_dicts()
    for first in range(0, len(some), 10_000):
        collection.insert_many(some[first : first + 10_000])
    began = time.perf_counter()
    found = pl.DataFrame(list(collection.find({}, {"_id": False, **dict.fromkeys(TWO, True)}).sort("_id", 1)))
    assert found.height == ROW_DOCUMENTS
    return (time.perf_counter() - began) * RECORDS / ROW_DOCUMENTS
