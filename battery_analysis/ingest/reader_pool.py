"""Readers in processes of their own, with limits: a hostile or broken file fails alone."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from pebble import ProcessExpired, ProcessFuture

from battery_analysis.errors import BatteryAnalysisError, ReaderLimitError, ReadError, SpoolError
from battery_analysis.ingest.text_lines import lead_bytes
from battery_analysis.processes import Processes
from battery_analysis.store.parcel import Parcel, pack

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)

READ_SECONDS = 600
FILES_PER_PROCESS = 1000
LOOK_SECONDS = 5.0
TRIES = 3
"""How often a file is handed to new processes whose predecessors were killed before they took it."""
MEMORY_BYTES = 6 << 30

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


class Reading(Protocol[Made_co]):
    """A file that is being read."""

    def result(self) -> Made_co:
        """Wait for what is made of it.

        Raises:
            ReadError: The file cannot be read, or its reader hit a limit or died.
            ClusterError: The cluster that read it was lost.
        """


class Readers(Protocol):
    """What reads files and leaves encoded parcels in the spool: processes of this computer, or a cluster."""

    def __enter__(self) -> Readers: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def submit(self, path: Path, parcel: Path, source: str, time_zone: str) -> Reading[Parcel]:
        """Start reading ``path``, known to people as ``source``."""

    def submit_parts(self, paths: Sequence[Path], parcel: Path, source: str, time_zone: str) -> Reading[Parcel]:
        """Start reading the parts of one test, in their order, as one.

        Each part lies in a folder of its own, beside the files that its reader needs.
        """

    def submit_on(self, path: Path, parcel: Path, before: Path, source: str, time_zone: str) -> Reading[Parcel | None]:
        """Start reading the end of a file whose beginning is stored (see ``tail``); None says to read the whole."""

    def warm(self) -> None:
        """Start what ``submit_on`` will need, while the end of the file is still looked for."""


def open_readers(workers: int, mappings: Path | None, scheduler: str | None = None) -> Readers:
    """Start what reads files: processes here or, where a scheduler is named, the workers of its Dask cluster.

    Raises:
        ClusterError: The cluster does not answer, or its workers cannot read what this process can.
    """
    if scheduler is None:
        return ReaderPool(workers, mappings)
    from battery_analysis.ingest.dask_pool import DaskReaderPool

    return DaskReaderPool(scheduler, mappings)


class ReaderPool:
    """Processes of this computer that read files."""

    def __init__(self, workers: int, mappings: Path | None = None) -> None:
        self._mappings = mappings
        # Packages written in Rust print pages about a panic; what it was stands in the outcome of the file.
        self._processes = Processes(workers, MEMORY_BYTES, FILES_PER_PROCESS, silent=True)

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Whoever wanted a file has it by now; a process that is still starting would complain of a pool that closes.
        self._processes.close()

    def submit(self, path: Path, parcel: Path, source: str, time_zone: str) -> Reading[Parcel]:
        """Start reading ``path``, known to people as ``source``."""
        return self.submit_parts([path], parcel, source, time_zone)

    def submit_on(self, path: Path, parcel: Path, before: Path, source: str, time_zone: str) -> Reading[Parcel | None]:
        """Start reading the end of a file whose beginning is stored; see ``tail``."""
        task = (path, parcel, before, time_zone, self._mappings)
        return self._reading(read_tail, task, source)

    def warm(self) -> None:
        """Start the processes."""
        self._processes.schedule(_start_reading, (), READ_SECONDS)

    def submit_parts(
        self, paths: Sequence[Path], parcel: Path, source: str, time_zone: str, mappings: Path | None = None
    ) -> Reading[Parcel]:
        """Start reading the parts of one test as one; ``mappings`` may take the place of the pool's."""
        task = (paths, parcel, time_zone, mappings or self._mappings)
        return self._reading(read_parcel, task, source)

    def _reading(self, read: Callable[..., Made], task: tuple[Any, ...], source: str) -> Reading[Made]:
        processes = self._processes
        return _InProcess(lambda: processes.schedule(read, task, READ_SECONDS), lambda: processes.active, source)


class _InProcess(Generic[Made]):
    """A file that a process of this computer reads."""

    def __init__(self, schedule: Callable[[], ProcessFuture[Made]], is_alive: Callable[[], bool], source: str) -> None:
        self._schedule = schedule
        self._is_alive = is_alive
        self._future = schedule()
        self._source = source

    def result(self) -> Made:
        """Wait for the parcel.

        Raises:
            ReadError: The file cannot be read, or its reader hit a limit or died.
        """
        try:
            return self._read()
        except ReadError as exc:
            raise type(exc)(self._source, exc.reason, exc.reader) from exc
        except FutureTimeoutError as exc:
            raise ReaderLimitError(self._source, f"not read within {READ_SECONDS} s") from exc
        except ProcessExpired as exc:
            raise ReaderLimitError(self._source, f"the process that read it died (exit status {exc.exitcode})") from exc
        except MemoryError as exc:
            raise ReaderLimitError(self._source, f"reading it takes more than {MEMORY_BYTES >> 30} GiB") from exc
        except BrokenProcessPool as exc:
            raise ReaderLimitError(self._source, "processes died again and again before they read it") from exc

    def _read(self) -> Made:
        for _ in range(TRIES):
            with suppress(BrokenProcessPool):
                while True:
                    try:
                        return self._future.result(LOOK_SECONDS)
                    except FutureTimeoutError:
                        if self._future.done():
                            raise
                        if not self._is_alive():  # it broke between its last look at its tasks and this one
                            break
            self._future = self._schedule()
        raise BrokenProcessPool


def read_parcel(paths: Sequence[Path], parcel: Path, time_zone: str, mappings: Path | None = None) -> Parcel:
    """Read the files of one test and pack the result; runs in a worker process."""
    from battery_analysis.reading import read_parts

    with _as_fault_of_the_reader(paths[-1]):
        packed = pack(read_parts(paths, time_zone=time_zone, mappings=mappings), parcel)
        if len(paths) > 1:
            return packed
        return replace(packed, lead_bytes=lead_bytes(paths[0], packed.record_count, packed.warnings))


def _start_reading() -> None:
    """Import what reading takes; runs in a worker process."""
    import battery_analysis.ingest.tail  # noqa: F401


def read_tail(path: Path, parcel: Path, before: Path, time_zone: str, mappings: Path | None = None) -> Parcel | None:
    """Read the end of a file whose beginning is stored; runs in a worker process."""
    from battery_analysis.ingest.tail import read_on

    with _as_fault_of_the_reader(path):
        return read_on(path, parcel, before, time_zone, mappings)


@contextmanager
def _as_fault_of_the_reader(path: Path) -> Iterator[None]:
    """Make whatever a reader raises this file's outcome; packages written in Rust raise panics, no Exceptions."""
    try:
        yield
    except (BatteryAnalysisError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:
        if isinstance(exc, OSError) and exc.errno in _NO_ROOM:  # readers only read: it is the spool that is full
            raise SpoolError(f"{path.parent}: cannot keep what was read: {exc.strerror}") from exc
        raise ReadError(path, f"its reader failed with {type(exc).__name__}: {exc}") from exc
