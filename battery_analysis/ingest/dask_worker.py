"""What runs on the workers of a Dask cluster: files come as pieces, parcels go back as pieces.

The worker itself reads nothing. A child process with limits does, as everywhere: a hostile file fails alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import current_process
from multiprocessing.util import Finalize
from pathlib import Path
from threading import Lock, Timer
from typing import Any

from battery_analysis import __version__
from battery_analysis.errors import BatteryAnalysisError, ClusterError
from battery_analysis.ingest.reader_pool import ReaderPool
from battery_analysis.store.parcel import Parcel

PIECE_BYTES = 4 << 20
"""More at once would fill scheduler and importing process, where it passes through."""

REST_SECONDS = 60.0
"""Reading processes that had nothing to do for this long are ended."""


@dataclass(frozen=True)
class Sent:
    """A file that was sent in pieces, and where it belongs below the folder of its test."""

    place: str
    pieces: int


@dataclass(frozen=True)
class Order:
    """A test to read: its files in the order of the pieces, the parts in their order, and by which words."""

    version: str
    files: tuple[Sent, ...]
    parts: tuple[str, ...]
    source: str
    time_zone: str
    mappings: Mapping[str, bytes]


@dataclass(frozen=True)
class Done:
    """What became of a test: an error, or its parcel and the pieces of its file."""

    error: BatteryAnalysisError | None = None
    parcel: Parcel | None = None
    pieces: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What became of a test, the first piece of its parcel, and how many there are."""

    error: BatteryAnalysisError | None
    parcel: Parcel | None
    piece: bytes
    pieces: int


def read_there(order: Order, *pieces: bytes) -> Done:
    """Read a test in a child process of this worker."""
    from distributed import get_worker

    worker = get_worker()
    if order.version != __version__:
        here = f"the Dask worker {worker.address} has battery-analysis {__version__}"
        return Done(ClusterError(f"{here}, the importing process {order.version}"))
    with tempfile.TemporaryDirectory(prefix="battery-analysis-", dir=worker.local_directory) as name:
        folder = Path(name)
        _write(order, pieces, folder)
        target = folder / "parcel"
        with _CHILDREN.reading(worker.state.nthreads) as pool:
            parts = [folder / "files" / part for part in order.parts]
            reading = pool.submit_parts(parts, target, order.source, order.time_zone, folder / "mappings")
            try:
                parcel = reading.result()
            except BatteryAnalysisError as exc:
                return Done(exc)
        return Done(None, parcel, tuple(pieces_of(target)))


def begin_reply(done: Done) -> Reply:
    """Return everything but the later pieces."""
    return Reply(done.error, done.parcel, done.pieces[0] if done.pieces else b"", len(done.pieces))


def later_piece(done: Done, number: int) -> bytes:
    """Return a piece of the parcel, counted from 0."""
    return done.pieces[number]


def pieces_of(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _write(order: Order, pieces: tuple[bytes, ...], folder: Path) -> None:
    rest = iter(pieces)
    for each in order.files:
        path = folder / "files" / each.place
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for _ in range(each.pieces):
                file.write(next(rest))
    (folder / "mappings").mkdir()
    for name, content in order.mappings.items():
        (folder / "mappings" / name).write_bytes(content)


class _Children:
    """The reading processes of this worker, shared by its threads; they rest when nothing comes."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._pool: ReaderPool | None = None
        self._readings = 0
        self._rest: Timer | None = None
        self._last: Finalize[Any] | None = None

    @contextmanager
    def reading(self, count: int) -> Iterator[ReaderPool]:
        """Lend the processes for one test."""
        with self._guard:
            if self._rest is not None:
                self._rest.cancel()
            if self._pool is None:
                # Dask starts its workers as daemons, which may have no children; these end with it all the same.
                current_process().daemon = False
                self._pool = ReaderPool(count)
                # atexit is not run where Dask's nanny started the worker, and multiprocessing ends children one by one,
                # which the pool would replace.
                self._last = Finalize(None, self._pool.__exit__, (SystemExit, None, None), exitpriority=1)
            pool = self._pool
            self._readings += 1
        try:
            yield pool
        finally:
            with self._guard:
                self._readings -= 1
                if not self._readings:
                    self._rest = Timer(REST_SECONDS, self._end)
                    self._rest.daemon = True
                    self._rest.start()

    def _end(self) -> None:
        with self._guard:
            if self._readings or self._pool is None:
                return
            pool, self._pool = self._pool, None
            if self._last is not None:
                self._last.cancel()
        pool.__exit__(None, None, None)


_CHILDREN = _Children()
