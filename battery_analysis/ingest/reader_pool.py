"""Readers in processes of their own, with limits: a hostile or broken file fails alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from types import TracebackType

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from battery_analysis.errors import BatteryAnalysisError, ReaderLimitError, ReadError
from battery_analysis.store.parcel import Parcel, pack

READ_SECONDS = 600
MEMORY_BYTES = 6 << 30


class ReaderPool:
    """Processes that read files and leave encoded parcels in the spool."""

    def __init__(self, workers: int, mappings: Path | None = None) -> None:
        self._mappings = mappings
        # Spawned, not forked: the importing process runs threads, and a fork would copy their locks.
        self._pool = ProcessPool(
            max_workers=workers,
            context=multiprocessing.get_context("spawn"),
            initializer=_prepare,
            initargs=[MEMORY_BYTES],
        )

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()

    def submit(self, path: Path, parcel: Path, source: str, time_zone: str) -> Reading:
        """Start reading ``path``, known to people as ``source``."""
        return self.submit_parts([path], parcel, source, time_zone)

    def submit_parts(self, paths: Sequence[Path], parcel: Path, source: str, time_zone: str) -> Reading:
        """Start reading the parts of one test, in their order, as one."""
        task = (paths, parcel, time_zone, self._mappings)
        return Reading(self._pool.schedule(read_parcel, task, timeout=READ_SECONDS), source)


class Reading:
    """A file that is being read."""

    def __init__(self, future: ProcessFuture[Parcel], source: str) -> None:
        self._future = future
        self._source = source

    def result(self) -> Parcel:
        """Wait for the parcel.

        Raises:
            ReadError: The file cannot be read, or its reader hit a limit or died.
        """
        try:
            parcel: Parcel = self._future.result()
        except ReadError as exc:
            raise type(exc)(self._source, exc.reason, exc.reader) from exc
        except FutureTimeoutError as exc:
            raise ReaderLimitError(self._source, f"not read within {READ_SECONDS} s") from exc
        except ProcessExpired as exc:
            raise ReaderLimitError(self._source, f"the process that read it died (exit status {exc.exitcode})") from exc
        except MemoryError as exc:
            raise ReaderLimitError(self._source, f"reading it takes more than {MEMORY_BYTES >> 30} GiB") from exc
        return parcel


def read_parcel(paths: Sequence[Path], parcel: Path, time_zone: str, mappings: Path | None = None) -> Parcel:
    """Read the files of one test and pack the result; runs in a worker process."""
    from battery_analysis.reading import read_parts

    try:
        return pack(read_parts(paths, time_zone=time_zone, mappings=mappings), parcel)
    except (BatteryAnalysisError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:
        # Whatever else a reader raises is that reader's fault and this file's outcome; packages written in Rust
        # raise panics, which are no Exception.
        raise ReadError(paths[-1], f"its reader failed with {type(exc).__name__}: {exc}") from exc


def _prepare(memory_bytes: int) -> None:
    # Ctrl-C goes to the whole group; the importing process decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Packages written in Rust print pages about a panic; what it was stands in the outcome of the file.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
