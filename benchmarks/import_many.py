"""Import of many small files: files per second, and whether the last are as fast as the first."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from battery_analysis.ingest import run as runs
from benchmarks.measuring import Row, apart, scratch_store
from examples.bulk import write_many_csv

FILES = 2_000
PART = 500


def run() -> Iterator[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        paths = write_many_csv(Path(name), FILES)
        kilobytes = sum(path.stat().st_size for path in paths) / FILES / 1e3
        done, peak = apart(_import, name)
    first, last, rate = PART / (done[PART] - done[0]), PART / (done[-1] - done[-1 - PART]), FILES / done[-1]
    yield Row(
        f"{FILES:,} CSV files of {kilobytes:.0f} kB, two workers", f"{rate:.0f} files/s", ">= 60 files/s", rate >= 60
    )
    yield Row(
        f"first and last {PART}",
        f"{first:.0f} and {last:.0f} files/s",
        "last within 20 % of first",
        last >= 0.8 * first,
    )
    yield Row("peak memory: importing process", f"{peak:.0f} MB above start", "< 400 MB", peak < 400)


def _import(folder: str) -> list[float]:
    """Return the moments at which files were done, in s from the start of the job."""
    with scratch_store() as (store, settings):
        job = runs.begin(store, settings, runs.ImportRequest(folder, workers=2))
        began = time.perf_counter()
        outcomes = [(outcome.outcome, time.perf_counter() - began) for outcome in job]
    assert {outcome for outcome, _ in outcomes} == {"created"}, "every file of the benchmark is good and new"
    return [moment for _, moment in outcomes]
