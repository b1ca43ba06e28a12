"""Two columns and one cycle of a 10 M record test, beside local Parquet and one document per record."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.importer import ImportOptions, open_importer
from battery_analysis.ingest.sample_rules import rules_from
from battery_analysis.settings import Settings
from battery_analysis.store import open_store
from battery_analysis.store.frames import SEGMENTS, load_frame
from benchmarks.measuring import Row, apart, median_seconds, scratch_store, seconds
from examples.bulk import many_records, write_large_ndax

RECORDS = 10_000_000
ROW_DOCUMENTS = 500_000
TIMES = 5
TWO = ("test_time_second", "voltage_volt")
ROWS = "bench_rows"


def run() -> Iterator[Row]:
    """Measure; every reader in a process of its own, against the same server."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, scratch_store() as (store, settings):
        apart(_write, name)
        (test_id, taken), importing = apart(_import, name, settings.data_dir)
        size = store.database.command("collstats", SEGMENTS)["storageSize"]
        apart(_store_rows, name, settings.data_dir)
        parquet, parquet_peak = apart(_read_parquet, name)
        (two, cycle), load_peak = apart(_load, settings.data_dir, test_id)
        some, rows_peak = apart(_read_rows, settings.data_dir)
        rows = some * RECORDS / ROW_DOCUMENTS
    yield Row(f"import of {RECORDS:,} records", f"{taken:.1f} s, {size / 1e6:.0f} MB in segments")
    yield Row("peak memory: importing process", f"{importing:.0f} MB above start", "< 400 MB", importing < 400)
    yield Row("two columns from local Parquet (polars)", f"{parquet:.3f} s, peak {parquet_peak:.0f} MB")
    yield Row(
        "load_frame, two columns",
        f"{two:.3f} s = {two / parquet:.1f} x Parquet, peak {load_peak:.0f} MB",
        "<= 3 x",
        two <= 3 * parquet,
    )
    yield Row(
        f"one document per record ({ROW_DOCUMENTS:,} read, time scaled)",
        f"{rows:.1f} s = {rows / two:.0f} x load_frame, peak {rows_peak:.0f} MB for {ROW_DOCUMENTS:,}",
        ">= 50 x",
        rows >= 50 * two,
    )
    yield Row("load_frame, all columns of one cycle", f"{cycle * 1e3:.1f} ms median", "< 50 ms", cycle < 0.05)


def _write(folder: str) -> None:
    write_large_ndax(Path(folder) / "BM001.ndax", RECORDS)
    many_records(RECORDS).write_parquet(Path(folder) / "frame.parquet")


def _import(folder: str, data_dir: Path) -> tuple[str, float]:
    settings = _settings(data_dir)
    options = ImportOptions(Path(folder), rules_from(settings), data_dir)
    path = Path(folder) / "BM001.ndax"
    with open_store(settings) as store, open_importer(store, options) as importer:
        outcome = importer.take(Candidate(path, PurePosixPath(path.name)))
    assert outcome.outcome == "created", outcome.reason
    return str(outcome.test_id), outcome.seconds or 0.0


def _read_parquet(folder: str) -> float:
    return median_seconds(lambda: pl.read_parquet(Path(folder) / "frame.parquet", columns=list(TWO)), TIMES)


def _load(data_dir: Path, test_id: str) -> tuple[float, float]:
    with open_store(_settings(data_dir)) as store:
        two = median_seconds(lambda: load_frame(store, test_id, TWO, form="polars").height, TIMES)

        def one_cycle(number: int) -> pl.DataFrame:
            return load_frame(store, test_id, cycles=(number, number), form="polars")

        return two, statistics.median(seconds(lambda each=each: one_cycle(each)) for each in range(100, 5000, 100))


def _store_rows(folder: str, data_dir: Path) -> None:
    frame = pl.read_parquet(Path(folder) / "frame.parquet", n_rows=ROW_DOCUMENTS)
    with open_store(_settings(data_dir)) as store:
        for part in frame.iter_slices(10_000):
            store.database[ROWS].insert_many(part.to_dicts())


def _read_rows(data_dir: Path) -> float:
    wanted: dict[str, Any] = {"_id": False, **dict.fromkeys(TWO, True)}
    with open_store(_settings(data_dir)) as store:
        return median_seconds(
            lambda: pl.DataFrame(list(store.database[ROWS].find({}, wanted).sort("_id", 1))).height, 3
        )


def _settings(data_dir: Path) -> Settings:
    return Settings.load(environ={}, data_dir=data_dir)
