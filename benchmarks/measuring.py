"""Time and memory of one piece of work, and a database to work in."""

from __future__ import annotations

import multiprocessing
import platform
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from battery_analysis.settings import Settings
    from battery_analysis.store import Store

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One measured line: what, how much, and what it should reach (empty where it only stands beside others)."""

    what: str
    value: str
    reach: str = ""
    holds: bool | None = None


@contextmanager
def scratch_store() -> Iterator[tuple[Store, Settings]]:
    """Open a store on an embedded server of its own, gone at the end."""
    from battery_analysis.settings import Settings  # peers use the rest of this module, where these are absent
    from battery_analysis.store import open_store
    from battery_analysis.store.server import stop

    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    settings = Settings.load(environ={}, data_dir=folder)
    try:
        with open_store(settings) as store:
            yield store, settings
    finally:
        stop(folder)
        shutil.rmtree(folder)


def median_seconds(work: Callable[[], object], times: int = 5) -> float:
    """Return the median time of a piece of work, after one run to warm up."""
    work()
    return statistics.median(seconds(work) for _ in range(times))


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def apart(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Run in a process of its own; return the result and how many MB it added at its peak to what imports take."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_measured, args=(there, work, arguments))
    child.start()
    there.close()
    result, peak = here.recv()
    child.join()
    return result, peak


def growth(work: Callable[[], T]) -> tuple[T, float]:
    """Run; return the result and how many MB this process grew at its peak. Tells little the second time."""
    before = _peak_megabytes()
    result = work()
    return result, _peak_megabytes() - before


def forget_peak() -> None:
    """Let the peak of this process be what it holds now, where the system can (Linux)."""
    refs = Path("/proc/self/clear_refs")
    if refs.exists():
        refs.write_text("5")


def _measured(out: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    out.send(growth(lambda: work(*arguments)))


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss is no use on Linux: a child inherits the peak of its parent
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def machine() -> str:
    """Say what this was measured on."""
    import os

    return f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
