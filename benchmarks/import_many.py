"""Import of many small files: whether the last are as fast as the first, at what memory, and a second look at them."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from battery_analysis.ingest import run as runs
from battery_analysis.ingest.job import OutcomeName
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from benchmarks.measuring import Row, apart, scratch_store
from examples.bulk import write_many_csv

FILES = 10_000
QUIET_SECONDS = 60.0
"""How long the files have been at rest: what has changed a moment ago is in doubt, and read again."""


def run(files: int = FILES) -> Iterator[Row]:
    """Measure."""
    part = files // 10
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        paths = write_many_csv(Path(name), files)
        quiet_since = time.time() - QUIET_SECONDS
        for path in paths:
            os.utime(path, (quiet_since, quiet_since))
        kilobytes = sum(path.stat().st_size for path in paths) / files / 1e3
        (done, second, memory), peak = apart(_imports, name)
    first, last, rate = part / (done[part] - done[0]), part / (done[-1] - done[-1 - part]), files / done[-1]
    yield Row(
        f"{files:,} CSV files of {kilobytes:.0f} kB, two workers", f"{rate:.0f} files/s", ">= 60 files/s", rate >= 60
    )
    yield Row(
        f"first and last {part:,}",
        f"{first:.0f} and {last:.0f} files/s",
        "last within 20 % of first",
        last >= 0.8 * first,
    )
    yield Row("peak memory: importing process", f"{peak:.0f} MB above start", "< 400 MB", peak < 400)
    early, late = memory[part], memory[-1]
    yield Row(
        f"memory after {part:,} files and at the end",
        f"{early:.0f} and {late:.0f} MB",
        "flat: at most 10 % more",
        late <= 1.1 * early,
    )
    again = files / second
    yield Row("second run, nothing has changed", f"{again:,.0f} files/s", ">= 2,000 files/s", again >= 2_000)


def _imports(folder: str) -> tuple[list[float], float, list[float]]:
    """Return when files were done, in s from the start of the job, how long a second run takes, and memory in MB."""
    process = psutil.Process()
    with scratch_store() as (store, settings):
        began = time.perf_counter()
        done, memory = [], []
        for _ in _outcomes(store, settings, folder, "created"):
            done.append(time.perf_counter() - began)
            memory.append(process.memory_info().rss / 1e6)
        began = time.perf_counter()
        for _ in _outcomes(store, settings, folder, "unchanged"):
            pass
        return done, time.perf_counter() - began, memory


def _outcomes(store: Store, settings: Settings, folder: str, expected: OutcomeName) -> Iterator[None]:
    for outcome in runs.begin(store, settings, runs.ImportRequest(folder, workers=2)):
        if outcome.outcome != expected:
            raise RuntimeError(f"{outcome.path}: {outcome.outcome} instead of {expected} ({outcome.reason})")
        yield
