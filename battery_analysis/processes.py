"""Processes that do what they are given, each within a limit of memory, and that are replaced when they are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pebble import ProcessFuture, ProcessPool

Made = TypeVar("Made")


class Processes:
    """A few processes of this computer; none is started before there is something to do."""

    def __init__(self, most: int, memory_bytes: int, tasks_each: int, *, silent: bool = False) -> None:
        """Say what they are.

        Args:
            most: How many there are at most.
            memory_bytes: What each may take, where the system can limit it (Linux).
            tasks_each: After how many tasks one is replaced, and what has leaked goes with it.
            silent: Whether what they print goes nowhere, such as the pages that packages written in Rust print.
        """
        self._most = most
        self._tasks_each = tasks_each
        self._prepared = (memory_bytes, silent)
        self._lock = Lock()
        self._pool: ProcessPool | None = None

    def schedule(
        self, function: Callable[..., Made], arguments: tuple[Any, ...], seconds: float
    ) -> ProcessFuture[Made]:
        """Let one of them call a function of a module, and stop it after some seconds."""
        with self._lock:
            pool = self._pool = self._pool or self._started()
            try:
                return pool.schedule(function, arguments, timeout=seconds)
            except RuntimeError:  # a process was killed while none had a task: the pool gives up then
                self._stop()
                self._pool = self._started()
                return self._pool.schedule(function, arguments, timeout=seconds)

    @property
    def active(self) -> bool:
        """Whether what was scheduled will be done."""
        return self._pool is None or self._pool.active

    def close(self) -> None:
        """Stop them, whatever they do."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def _started(self) -> ProcessPool:
        from pebble import ProcessPool

        return ProcessPool(
            max_workers=self._most,
            # Spawned, not forked: this process runs threads, and a fork would copy their locks.
            context=multiprocessing.get_context("spawn"),
            max_tasks=self._tasks_each,
            initializer=_prepare,
            initargs=self._prepared,
        )


def _prepare(memory_bytes: int, silent: bool) -> None:
    # Ctrl-C goes to the whole group; the process that gives the tasks decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if silent:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stderr.fileno())
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
