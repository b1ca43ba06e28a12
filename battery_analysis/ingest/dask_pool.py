"""Readers on the workers of a Dask cluster: bytes travel there, encoded parcels travel back.

Workers need no file system in common with the importing process, only the same version of this package. Everything
goes by way of the scheduler, so that this process need not reach the workers.
"""

from __future__ import annotations

import itertools
import logging
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from battery_analysis import __version__
from battery_analysis.errors import ClusterError, IngestError, ReaderLimitError, ReadError
from battery_analysis.ingest import dask_worker
from battery_analysis.ingest.dask_worker import Order, Reply, Sent, pieces_of
from battery_analysis.ingest.reader_pool import ReaderPool, Reading
from battery_analysis.store.parcel import Parcel

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 5.0
WORKER_SECONDS = 30.0
"""How long a cluster may take to have a worker, and how often a wait looks whether it still has one."""
READ_TRIES = 3
"""How often a file is sent that is lost with the worker that held it."""

_ADDRESS = re.compile(r"(tcp|tls)://(?P<host>\[[0-9A-Fa-f:]+\]|[^:/\s\[\]@]+):(?P<port>\d{1,5})")
_VERSION = "__import__('battery_analysis').__version__"


class DaskReaderPool:
    """The workers of a Dask cluster that read files; use it as ``ReaderPool``.

    Raises:
        ClusterError: No scheduler answers, it has no workers, or one has not this version of the package.
    """

    def __init__(self, scheduler: str, mappings: Path | None = None) -> None:
        self._scheduler = scheduler
        self._mappings = mappings
        self._turns = itertools.count()
        self._here: ReaderPool | None = None
        self._guard = Lock()
        self._client = _connect(scheduler)
        try:
            _check_workers(self._client, scheduler)
        except BaseException:
            _close(self._client)
            raise

    def __enter__(self) -> DaskReaderPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._here is not None:
            self._here.__exit__(kind, error, traceback)
        _close(self._client)

    def submit(self, path: Path, parcel: Path, source: str, time_zone: str) -> DaskReading:
        """Start reading ``path``, known to people as ``source``."""
        return self.submit_parts([path], parcel, source, time_zone)

    def submit_parts(self, paths: Sequence[Path], parcel: Path, source: str, time_zone: str) -> DaskReading:
        """Start reading the parts of one test, in their order, as one."""
        return DaskReading(self, paths, parcel, source, time_zone)

    def submit_on(self, path: Path, parcel: Path, before: Path, source: str, time_zone: str) -> Reading[Parcel | None]:
        """Start reading the end of a file whose beginning is stored; here, since sending it would cost more."""
        return self._local().submit_on(path, parcel, before, source, time_zone)

    def warm(self) -> None:
        """Start the process that reads ends."""
        self._local().warm()

    def _local(self) -> ReaderPool:
        with self._guard:
            if self._here is None:
                self._here = ReaderPool(1, self._mappings)
        return self._here

    def send(self, paths: Sequence[Path], source: str, time_zone: str) -> Future[Any]:
        """Send the bytes of a test to one worker and have them read; the parcel stays there.

        Raises:
            ClusterError: The cluster is lost.
            IngestError: The copies cannot be read.
        """
        layouts = sorted(self._mappings.glob("*.toml")) if self._mappings else ()
        mappings = {path.name: path.read_bytes() for path in layouts}
        files: list[Sent] = []
        sent: list[Any] = []
        with self.watched():
            workers = sorted(self._client.nthreads()) or self._newcomers()
            worker = workers[next(self._turns) % len(workers)]
            for number, path in enumerate(paths):
                # Beside a copy lie those of the files that its reader needs.
                for each in sorted(path.parent.iterdir()):
                    before = len(sent)
                    for piece in _read_pieces(each):
                        sent += self._client.scatter([piece], workers=[worker], hash=False)
                    files.append(Sent(f"{number}/{each.name}", len(sent) - before))
            parts = tuple(f"{number}/{path.name}" for number, path in enumerate(paths))
            order = Order(__version__, tuple(files), parts, source, time_zone, mappings)
            return self._client.submit(dask_worker.read_there, order, *sent, pure=False)

    def fetch(self, reading: Future[Any], target: Path) -> Reply:
        """Wait for a file that is being read, write its parcel to ``target`` and return what was said of it.

        Raises:
            ClusterError: The cluster is lost.
            IngestError: The spool cannot be written.
        """
        with self.watched():
            reply: Reply = self._wait(self._client.submit(dask_worker.begin_reply, reading, pure=False))
            with _kept_at(target) as keep:
                keep(reply.piece)
                for number in range(1, reply.pieces):
                    keep(self._wait(self._client.submit(dask_worker.later_piece, reading, number, pure=False)))
        return reply

    def _newcomers(self) -> list[str]:
        with suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=WORKER_SECONDS)
        if workers := sorted(self._client.nthreads()):
            return workers
        raise ClusterError(f"the Dask cluster of {self._scheduler} has lost all its workers")

    def _wait(self, future: Future[Any]) -> Any:
        while True:
            with suppress(TimeoutError):
                return future.result(timeout=WORKER_SECONDS)
            if not self._client.nthreads():
                raise ClusterError(f"the Dask cluster of {self._scheduler} has lost all its workers")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Make one line of whatever ends the cluster; what ends a worker leaves as it came."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError

        try:
            yield
        except (ClusterError, IngestError):
            raise
        except Exception as exc:
            if isinstance(exc, CommClosedError) or self._client.status != "running":
                raise ClusterError(f"the Dask scheduler {self._scheduler} was lost") from exc
            if isinstance(exc, (FutureCancelledError, KilledWorker)):
                raise
            raise ClusterError(f"the Dask cluster of {self._scheduler} fails: {type(exc).__name__}: {exc}") from exc


class DaskReading:
    """A file that a cluster reads."""

    def __init__(self, pool: DaskReaderPool, paths: Sequence[Path], parcel: Path, source: str, time_zone: str) -> None:
        self._pool = pool
        self._test = (paths, source, time_zone)
        self._parcel = parcel
        self._source = source
        self._future = pool.send(*self._test)

    def result(self) -> Parcel:
        """Wait for the parcel.

        Raises:
            ReadError: The file cannot be read, its reader hit a limit or died, or its workers died again and again.
            ClusterError: The cluster was lost.
            IngestError: The spool cannot be written.
        """
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        for tries_left in reversed(range(READ_TRIES)):
            try:
                reply = self._pool.fetch(self._future, self._parcel)
                break
            except KilledWorker as exc:
                raise ReaderLimitError(self._source, f"the workers that read it died ({exc.last_worker})") from exc
            except FutureCancelledError as exc:  # gone with the worker that held it
                if not tries_left:
                    raise ReaderLimitError(self._source, f"lost with its worker, {READ_TRIES} times over") from exc
                self._future = self._pool.send(*self._test)
        self._future.release()
        if isinstance(reply.error, ReadError):
            raise type(reply.error)(self._source, reply.error.reason, reply.error.reader)
        if reply.error is not None:
            raise reply.error
        assert reply.parcel is not None
        return replace(reply.parcel, path=self._parcel)


def capacity(scheduler: str) -> int:
    """Return how many files the workers of a cluster read at once.

    Raises:
        ClusterError: No scheduler answers, it has no workers, or one has not this version of the package.
    """
    client = _connect(scheduler)
    try:
        _check_workers(client, scheduler)
        return sum(client.nthreads().values())
    finally:
        _close(client)


def _connect(scheduler: str) -> Client:
    if not (found := _ADDRESS.fullmatch(scheduler)):
        raise ClusterError(f"--scheduler: tcp://host:port wanted, got {scheduler!r}")
    try:
        from distributed import Client
    except ImportError as exc:
        raise ClusterError("--scheduler needs the extra dask (pip install 'battery-analysis[dask]')") from exc
    # What is wrong with the cluster ends this command with one line; its own lines would come beside it.
    for name in ("distributed", "distributed.client", "distributed.comm", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # Dask would try for long to reach a port that is refused.
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), CONNECT_SECONDS).close()
        return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, OverflowError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise ClusterError(f"no Dask scheduler answers at {scheduler}: {why}") from exc


def _check_workers(client: Client, scheduler: str) -> None:
    """Refuse a cluster without workers, and one of whose workers would read files otherwise than this process."""
    try:
        # Some clusters have workers only once there is work; whether this one can be done tells the run below.
        client.submit(eval, "1", pure=False).result(timeout=WORKER_SECONDS)
    except TimeoutError as exc:
        raise ClusterError(f"the Dask scheduler {scheduler} had no worker within {WORKER_SECONDS:.0f} s") from exc
    for worker, said in sorted(client.run(eval, _VERSION, on_error="return").items()):
        if isinstance(said, ImportError):
            raise ClusterError(f"the Dask worker {worker} has no battery-analysis; install {__version__} there")
        if said != __version__:
            raise ClusterError(f"the Dask worker {worker} has battery-analysis {said}, this is {__version__}")


def _close(client: Client) -> None:
    with suppress(OSError, TimeoutError, RuntimeError):  # the last where its time-out meets that of a lost connection
        client.close(timeout=CONNECT_SECONDS)


@contextmanager
def _kept_at(target: Path) -> Iterator[Callable[[bytes], object]]:
    """Yield what adds bytes to a new file."""

    def keep(piece: bytes) -> None:
        try:
            with target.open("ab") as file:
                file.write(piece)
        except OSError as exc:
            raise IngestError(f"{target}: cannot keep what was read: {exc.strerror or exc}") from exc

    target.unlink(missing_ok=True)
    yield keep


def _read_pieces(path: Path) -> Iterator[bytes]:
    try:
        yield from pieces_of(path)
    except OSError as exc:
        raise IngestError(f"{path}: cannot be sent to be read: {exc.strerror or exc}") from exc
