"""The hands of a watcher: a bounded number of files are imported at once, by processes that rest when nothing comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from types import TracebackType

from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.importer import Importer, ImportOptions, open_importer
from battery_analysis.ingest.job import Outcome
from battery_analysis.store import Store
from battery_analysis.store.connection import one_line_errors

REFRESH_SECONDS = 10.0
"""How often at most samples and cell datasets are brought up to date with their tests while files keep coming."""

REST_SECONDS = 60.0
"""Reading processes that had nothing to do for this long are ended; starting them again takes about a second."""


class Hands:
    """Imports files in threads, for as long as files come."""

    def __init__(self, store: Store, options: ImportOptions, wake: Callable[[], None]) -> None:
        self._store = store
        self._options = options
        self._wake = wake
        # One thread a worker keeps it busy; one more stores what another has read.
        self._width = options.workers + 1
        self._running: dict[Future[Outcome], Candidate] = {}
        self._open = ExitStack()
        self._importer: Importer | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._last_used = self._refreshed = time.monotonic()

    def __enter__(self) -> Hands:
        self._start()  # whatever is wrong with mappings or spool shows at once
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        wait(self._running)
        self._importer = self._threads = None
        self._open.__exit__(kind, error, traceback)

    @property
    def are_full(self) -> bool:
        """Whether no further file can be taken."""
        return len(self._running) >= self._width

    @property
    def are_empty(self) -> bool:
        """Whether no file is in hand and none waits to be fetched."""
        return not self._running

    def take(self, candidate: Candidate) -> None:
        """Begin to import a file.

        Raises:
            BatteryAnalysisError: The spool or a mapping cannot be used.
        """
        importer, threads = self._start()

        def work() -> Outcome:
            with one_line_errors(self._store.where):
                return importer.take(candidate)

        future = threads.submit(work)
        self._running[future] = candidate
        self._last_used = time.monotonic()
        future.add_done_callback(lambda _: self._wake())

    def done(self) -> Iterator[tuple[Candidate, Future[Outcome]]]:
        """Yield the files that are done; whoever fetches one has to see to it."""
        for future in [each for each in self._running if each.done()]:
            yield self._running.pop(future), future

    def finish(self) -> None:
        """Wait for the files in hand."""
        wait(self._running)

    def rest(self) -> None:
        """Between files, bring samples and datasets up to date; end the reading processes if they idled for long."""
        if self._running or self._importer is None:
            return
        now = time.monotonic()
        if self._last_used > self._refreshed and now - self._refreshed > REFRESH_SECONDS:
            self._importer.refresh()
            self._refreshed = now
        if now - self._last_used > REST_SECONDS:
            self._importer = self._threads = None
            self._open.close()

    def _start(self) -> tuple[Importer, ThreadPoolExecutor]:
        if self._importer is None or self._threads is None:
            with ExitStack() as opening:
                self._importer = opening.enter_context(open_importer(self._store, self._options))
                self._threads = opening.enter_context(ThreadPoolExecutor(self._width, thread_name_prefix="import"))
                self._open = opening.pop_all()
        return self._importer, self._threads
