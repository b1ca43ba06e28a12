"""The dashboard as its readers wait for it: a server of its own, asked over loopback as a browser asks.

Times are from the request to the last byte of the answer, compressed as browsers get it; what the browser then takes
to draw is not in them. Windows to zoom into are spread evenly over all widths from a ten-thousandth of the test up, by
their logarithm, and over all places. People who click at once each wait up to a second between an answer and the next
click, open pages, sort and filter the table, and zoom.
"""

from __future__ import annotations

import math
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from battery_analysis.ingest import run as runs
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.importer import ImportOptions, open_importer
from battery_analysis.ingest.sample_rules import rules_from
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from battery_analysis.store.frames import load_frame
from benchmarks import search
from benchmarks.measuring import Row, apart, scratch_store
from benchmarks.reader import Answer, Reader
from examples import SYNTHETIC
from examples.arbin_csv import write_arbin_csv
from examples.bulk import many_records, write_large_ndax

RECORDS = 10_000_000
CELLS, CYCLES_SECONDS, CYCLE_RECORDS = 50, 740.0, 29
WINDOWS = 60
TIMES = 9
PEOPLE, CLICKS = 20, 15
SIGNALS = ("voltage_volt", "current_ampere")
MEGABYTES = 600


def run() -> Iterator[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, scratch_store() as (store, settings):
        test_id = _large_test(Path(name), store, settings)
        cells = _cells(Path(name), store, settings)
        search._fill(store)
        frame: Any = load_frame(store, test_id, ["test_time_second", *SIGNALS], form="polars")
        with Served(settings) as served:
            yield Row("start to first page", f"{served.seconds:.2f} s", "< 3 s", served.seconds < 3)
            reader = Reader(served.url)
            yield from _first_plot(reader, test_id)
            yield from _zoom(reader, test_id, frame)
            yield from _table(reader)
            yield from _compare(reader, cells)
            yield from _people(served, test_id, frame["test_time_second"][-1])


def _large_test(folder: Path, store: Store, settings: Settings) -> str:
    path = folder / "BM001.ndax"
    apart(_write_large, str(path))
    options = ImportOptions(folder, rules_from(settings), settings.data_dir)
    with open_importer(store, options) as importer:
        outcome = importer.take(Candidate(path, PurePosixPath(path.name)))
    assert outcome.outcome == "created", outcome.reason
    path.unlink()
    return str(outcome.test_id)


def _write_large(path: str) -> int:
    write_large_ndax(Path(path), RECORDS)
    return RECORDS


def _cells(folder: Path, store: Store, settings: Settings) -> list[str]:
    """Import cells of 1,000 cycles each and return their codes."""
    names = [f"CB{number:03d}" for number in range(CELLS)]
    below = folder / "cells"
    below.mkdir()
    for number, code in enumerate(names):
        records = many_records(1000 * CYCLE_RECORDS, seed=number, every_second=CYCLES_SECONDS)
        write_arbin_csv(below / f"{code}.csv", records, comment=SYNTHETIC)
    for outcome in runs.begin(store, settings, runs.ImportRequest(str(below), workers=2)):
        assert outcome.outcome == "created", outcome.reason
    return names


class Served:
    """``python -m dashboard`` as a process, for a ``with`` block."""

    def __init__(self, settings: Settings) -> None:
        words = ("-m", "dashboard", "--no-browser", "--port", str(free_port()), "--log-level", "error")
        self._command = [sys.executable, *words]
        self._data_dir = settings.data_dir

    def __enter__(self) -> Served:
        """Start it and wait for the first page with all that is drawn on it."""
        began = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, "BATTERY_DATA_DIR": str(self._data_dir)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.url = self._process.stdout.readline().split()[1].rstrip("/")
        Reader(self.url).open("/")
        self.seconds = time.perf_counter() - began
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it as a person would."""
        self._process.terminate()
        self._process.wait(20)

    def megabytes(self) -> tuple[float, float]:
        """Return how much memory it holds, and how much it held at most."""
        status = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        held = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status if line.startswith("Vm")}
        return held["VmRSS"], held["VmHWM"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def _median(answers: Sequence[Answer]) -> float:
    return 1e3 * statistics.median(each.seconds for each in answers)


def _late(answers: Sequence[Answer]) -> float:
    """Return what 95 of 100 answers stay below, in ms."""
    return 1e3 * sorted(each.seconds for each in answers)[math.ceil(0.95 * len(answers)) - 1]


def _plot(reader: Reader, test_id: str, window: tuple[float, float] | None = None) -> Answer:
    first, last = (repr(each) for each in window) if window else ("", "")
    chosen = {"test": [test_id], "signal": [], "axis": "s", "marks": "cycles", "from": first, "to": last}
    return reader.call("series", "figure", chosen)


def _first_plot(reader: Reader, test_id: str) -> Iterator[Row]:
    _plot(reader, test_id)
    pages = [reader.open(f"/series?test={test_id}") for _ in range(TIMES)]
    plots = [_plot(reader, test_id) for _ in range(TIMES)]
    both = 1e3 * statistics.median(page.seconds + plot.seconds for page, plot in zip(pages, plots, strict=True))
    said = f"{both:.0f} ms = page {_median(pages):.0f} ms + figure {_median(plots):.0f} ms (medians)"
    yield Row(f"first plot of {RECORDS:,} records", said, "< 150 ms", both < 150)
    size = (pages[-1].size + plots[-1].size) / 1e3
    yield Row("its payload, compressed", f"{size:.0f} kB", "< 200 kB", size < 200)


def _zoom(reader: Reader, test_id: str, frame: pl.DataFrame) -> Iterator[Row]:
    chance = random.Random(1)
    end = float(frame["test_time_second"][-1])
    answers, wrong = [], 0
    for _ in range(WINDOWS):
        width = end * math.exp(chance.uniform(math.log(1e-4), 0))
        first = chance.uniform(0, end - width)
        answer = _plot(reader, test_id, (first, first + width))
        answers.append(answer)
        inside = frame.filter(pl.col("test_time_second").is_between(first, first + width))
        for name, (least, most) in zip(SIGNALS, answer.extremes(), strict=True):
            wrong += (least, most) != (inside[name].min(), inside[name].max())
    middle, late = _median(answers), _late(answers)
    said = f"{middle:.0f} ms median, {late:.0f} ms p95, {max(each.size for each in answers) / 1e3:.0f} kB at most"
    yield Row("zoom to any window", said, "median < 200 ms, p95 < 500 ms", middle < 200 and late < 500)
    said = f"in {len(SIGNALS) * WINDOWS - wrong} of {len(SIGNALS) * WINDOWS} drawn windows"
    yield Row("its smallest and largest value are the data's", said, "all", wrong == 0)


def _table(reader: Reader) -> Iterator[Row]:
    no_filter: dict[str, Any] = {}
    wanted = {
        "first page": ([], no_filter),
        "sorted by retention": ([{"colId": "capacity_retention", "sort": "desc"}], no_filter),
        "filtered by tester": ([], {"tester": "Neware"}),
        "filtered by words": ([], {"text": "ce0042 form"}),
        "filtered by tag and cycles": ([], {"tags": ["ageing"], "min_cycles": 500}),
    }
    for name, (sort, chosen) in wanted.items():
        answers = [_rows(reader, sort, chosen) for _ in range(TIMES + 1)][1:]
        middle = _median(answers)
        said = f"{middle:.0f} ms, {answers[-1].size / 1e3:.0f} kB"
        yield Row(f"table of {search.TESTS:,} tests, {name}", said, "< 100 ms", middle < 100)
    middle = _median([reader.open("/tests") for _ in range(TIMES + 1)][1:])
    yield Row("its page, with the values of all its filters", f"{middle:.0f} ms", "< 100 ms", middle < 100)


def _rows(reader: Reader, sort: list[dict[str, str]], chosen: dict[str, Any], first: int = 0) -> Answer:
    request = {"startRow": first, "endRow": first + 100, "sortModel": sort, "filterModel": {}}
    return reader.call("tests", "getRowsResponse", {"getRowsRequest": request, **chosen})


def _compare(reader: Reader, cells: Sequence[str]) -> Iterator[Row]:
    if not reader.has("compare"):
        return
    reader.call("compare-lines", "figure", {"cell": list(cells)})
    answers = [reader.call("compare-lines", "figure", {"cell": list(cells)}) for _ in range(TIMES)]
    middle = _median(answers)
    said = f"{middle:.0f} ms, {answers[-1].size / 1e3:.0f} kB"
    yield Row(f"compare {len(cells)} cells of 1,000 cycles", said, "< 500 ms", middle < 500)


def _people(served: Served, test_id: str, end: float) -> Iterator[Row]:
    answers: list[Answer] = []
    errors: list[str] = []
    before, _ = served.megabytes()

    def click(number: int) -> None:
        chance = random.Random(number)
        reader = Reader(served.url)
        clicks: list[Callable[[], Answer]] = [
            lambda: reader.open(chance.choice(("/", "/tests", f"/series?test={test_id}"))),
            lambda: _rows(reader, [], {"tester": chance.choice(("Neware", "Arbin"))}, 100 * chance.randrange(50)),
            lambda: _rows(reader, [{"colId": "cycles", "sort": "asc"}], {}),
            lambda: _plot(reader, test_id, (first := chance.uniform(0, end / 2), first + chance.uniform(1, end / 2))),
        ]
        for _ in range(CLICKS):
            try:
                answers.append(chance.choice(clicks)())
            except (OSError, AssertionError) as exc:
                errors.append(str(exc))
            time.sleep(chance.random())

    threads = [threading.Thread(target=click, args=(number,)) for number in range(PEOPLE)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    late, (_, most) = _late(answers), served.megabytes()
    said = f"{len(answers)} answers, {_median(answers):.0f} ms median, {late:.0f} ms p95, {len(errors)} errors"
    yield Row(f"{PEOPLE} people clicking at once", said, "no error, p95 < 1 s", not errors and late < 1000)
    said = f"{before:.0f} MB before, {most:.0f} MB at most"
    yield Row("memory of the server", said, f"< {MEGABYTES} MB", most < MEGABYTES)
