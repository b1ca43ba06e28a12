"""A cell's first plot, beside the app of aurora-cycler-manager, on the same cells in one run.

Both take the same raw files with their own importers: Neware files of one cell each from the cell model, and, where
``BATTERY_TEST_DATA`` has it, a BioLogic file of aurora's own sample data (neither its wheel nor its source archive on
PyPI holds any; the file is from its repository). Both servers run at the same time on loopback, each as its makers
start it, and take turns at every cell. The plot is voltage over time of the whole test: aurora's with ``Use compressed
files``, as it is set at first, this project's with the current below it, as its page is at first.

At the server: the requests that the pages send when a cell is chosen, one after the other as far as the plot waits for
them, each from the request to the last byte. Aurora's page sends two more at the same time, for its other plots, which
are counted nowhere here. ``First time`` means that the server has not shown the cell since it was started; files lie in
the system's cache for both. Payload is what was sent; aurora's server does not compress, so it stands there compressed,
too. In the browser: the page is opened anew for each cell, without what was chosen before; from the first request that
the choice causes until plotly says that it has drawn. Chromium has no graphics card here, and aurora's plots are WebGL:
a card draws them faster. Nothing is asked of other hosts.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from battery_analysis.ingest import run as runs
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from benchmarks import choosing
from benchmarks.aurora_project import USER_CONFIG
from benchmarks.contenders import AURORA
from benchmarks.dashboard import Served, free_port
from benchmarks.measuring import Row, scratch_store
from benchmarks.one_reader import Peers
from benchmarks.peers import peer_python
from benchmarks.read_formats import DATA
from benchmarks.reader import Answer, Reader
from examples import SYNTHETIC
from examples.bulk import STARTED_AT, many_records
from examples.neware_ndax import write_ndax

CELLS, RECORDS = 12, 200_000
AGAIN = 3
TWICE = 2.0
SAMPLE = "biologic/250116_kigr_gen6_01_02_GCPL_CD8.mpr"
_ROOT = Path(__file__).parents[1]
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Plot:
    """What it took to get a plot: the requests that it waits for, one after the other."""

    answers: Sequence[Answer]

    @property
    def seconds(self) -> float:
        """All of them together."""
        return sum(each.seconds for each in self.answers)

    @property
    def size(self) -> int:
        """Bytes as they were sent."""
        return sum(each.size for each in self.answers)

    @property
    def compressed(self) -> int:
        """Bytes as they would be sent compressed."""
        return sum(len(gzip.compress(each.body, 5)) for each in self.answers)


def run(cells: int = CELLS, records: int = RECORDS, peers: Peers = peer_python) -> Iterator[Row]:
    """Measure."""
    python = peers(AURORA)
    if python is None:
        yield Row("aurora-cycler-manager", "not installed")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        store, settings = stack.enter_context(scratch_store())
        made, sample = _made(folder / "raw", cells, records), DATA / SAMPLE
        files = [*made, sample] if sample.is_file() else made
        tests = _imported(store, settings, files)
        theirs = stack.enter_context(_Aurora(python, folder / "aurora", files))
        served = stack.enter_context(Served(settings))
        own = _Own(served.url, tests)
        yield from _at_the_servers(f"{cells} cells of {records:,} records", own, theirs, [path.stem for path in made])
        if sample.is_file():
            yield from _at_the_servers("aurora's own sample", own, theirs, [sample.stem])
        yield from _in_the_browser(served.url, theirs.url, [path.stem for path in made])


def _made(folder: Path, cells: int, records: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"BM{number:03d}.ndax" for number in range(1, cells + 1)]
    for seed, path in enumerate(paths):
        cycling = many_records(records, seed=seed)
        write_ndax(path, cycling, barcode=path.stem, remark=SYNTHETIC, started_at=STARTED_AT, compress_level=1)
    return paths


def _imported(store: Store, settings: Settings, files: Sequence[Path]) -> dict[str, str]:
    """Import, and return the id of the test of each file by its name."""
    tests = {}
    for path in files:
        request = runs.ImportRequest(str(path.parent), include=[path.name], workers=1)
        for outcome in runs.begin(store, settings, request):
            assert outcome.outcome == "created", outcome.reason
            tests[path.stem] = str(outcome.test_id)
    return tests


class _Own:
    """This project's dashboard."""

    def __init__(self, url: str, tests: dict[str, str]) -> None:
        self._reader, self._tests = Reader(url), tests

    def plot(self, cell: str, *signals: str) -> Plot:
        """Ask for what choosing a test on the page Time series asks for; without signals, as the page is at first."""
        test, names = [self._tests[cell]], list(signals)
        chosen = {"test": test, "signal": names, "axis": "h", "marks": "cycles", "from": "", "to": ""}
        return Plot([self._reader.call("series", "figure", chosen)])


class _Aurora:
    """``aurora-app`` as a process, on a project with the files, for a ``with`` block."""

    def __init__(self, python: Path, folder: Path, files: Sequence[Path]) -> None:
        folder.mkdir()
        self._there = {"cwd": folder, "env": os.environ | {"HOME": str(folder), "PYTHONPATH": str(_ROOT)}}
        command = [python, "-m", "benchmarks.aurora_project", folder, *(path.resolve() for path in files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._there)
        assert done.returncode == 0, f"aurora-cycler-manager fails: {done.stderr[-400:]}"
        port = free_port()
        self.url = f"http://localhost:{port}"
        app = python.with_name("aurora-app")
        self._command = [app, "--user-config", folder / USER_CONFIG, "--port", str(port), "--no-browser"]

    def __enter__(self) -> _Aurora:
        """Start it and wait until it answers."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._command, **quiet, **self._there)
        began = time.monotonic()
        while True:
            try:
                self._reader = Reader(self.url)
                break
            except ConnectionRefusedError:
                assert self._process.poll() is None, "aurora-app ended"
                assert time.monotonic() - began < _START_SECONDS, "aurora-app does not answer"
                time.sleep(0.2)
        self._empty = _found(json.loads(self._reader.get("/_dash-layout").body), "time-graph")["figure"]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(20)

    def plot(self, cell: str) -> Plot:
        """Ask for what choosing a sample on the page Sample Plotting asks for."""
        chosen = {"samples-dropdown": [cell], "compressed-files": True}
        data = self._reader.call("samples-data-store", "data", chosen)
        (told,) = (each["data"] for name, each in _outputs(data).items() if name == "samples-data-store")
        axes = {"samples-time-x": "From start", "samples-time-units": "Hours", "samples-time-y": "V (V)"}
        figure = self._reader.call(
            "time-graph", "figure", {"samples-data-store": told, "time-graph": self._empty, **axes}
        )
        assert _outputs(figure)["time-graph"]["figure"]["data"], f"aurora draws nothing of {cell}"
        return Plot([data, figure])


def _outputs(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body)["response"])


def _found(layout: Any, identity: str) -> dict[str, Any]:
    """Return the properties of a component in a layout; empty where it is not."""
    if isinstance(layout, list):
        return next((found for each in layout if (found := _found(each, identity))), {})
    if not isinstance(layout, dict):
        return {}
    if layout.get("props", {}).get("id") == identity:
        return dict(layout["props"])
    return next((found for each in layout.values() if (found := _found(each, identity))), {})


def _at_the_servers(what: str, own: _Own, theirs: _Aurora, cells: Sequence[str]) -> Iterator[Row]:
    first = [(own.plot(cell), theirs.plot(cell)) for cell in cells]
    again = [(own.plot(cell), theirs.plot(cell)) for _ in range(AGAIN * CELLS // len(cells)) for cell in cells]
    if len(cells) > 1:
        yield _ratio(f"{what}, first time: server time to the plot", *_seconds(first), to_reach=TWICE)
    yield _ratio(f"{what}, again: server time to the plot", *_seconds(again))
    with_current, theirs_size, zipped = (
        statistics.median(sizes) / 1e3
        for sizes in zip(*((ours.size, plot.size, plot.compressed) for ours, plot in first), strict=True)
    )
    voltage = statistics.median(own.plot(cell, "voltage_volt").size for cell in cells) / 1e3
    aurora = f"aurora {theirs_size:.0f} kB, {zipped:.0f} kB if it were compressed"
    yield Row(f"{what}: payload, voltage alone", f"{voltage:.0f} kB; {aurora}", "smaller", voltage < theirs_size)
    yield Row(f"{what}: payload, with the current", f"{with_current:.0f} kB")


def _seconds(pairs: Sequence[tuple[Plot, Plot]]) -> tuple[list[float], list[float]]:
    return [own.seconds for own, _ in pairs], [other.seconds for _, other in pairs]


def _ratio(what: str, own: Sequence[float], other: Sequence[float], to_reach: float | None = None) -> Row:
    ours, theirs = 1e3 * statistics.median(own), 1e3 * statistics.median(other)
    said = f"{ours:.0f} ms; aurora {theirs:.0f} ms = {theirs / ours:.1f} x (medians of {len(own)})"
    return Row(what, said) if to_reach is None else Row(what, said, f">= {to_reach:.0f} x", theirs >= to_reach * ours)


def _in_the_browser(own_url: str, other_url: str, cells: Sequence[str]) -> Iterator[Row]:
    try:
        visits = list(choosing.visits(own_url, other_url, cells))
    except ModuleNotFoundError as exc:
        yield Row("in the browser", f"not measured ({exc})")
        return
    steps: dict[str, Callable[[choosing.Visit], float]] = {
        "choice of a cell to its plot drawn": lambda visit: visit.drawn,
        "empty browser to the plot drawn, with the page itself": lambda visit: visit.ready + visit.drawn,
    }
    for what, taken in steps.items():
        own, other = [taken(visit) for visit, _ in visits], [taken(visit) for _, visit in visits]
        yield _ratio(f"in the browser: {what}", own, other, to_reach=TWICE)
    own_size, other_size = (statistics.median(pair[which].size for pair in visits) / 1e3 for which in (0, 1))
    said = f"{own_size:.0f} kB; aurora {other_size:.0f} kB, with its two other plots"
    yield Row("in the browser: payload of the choice", said, "smaller", own_size < other_size)
