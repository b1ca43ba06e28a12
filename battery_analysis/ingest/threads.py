"""Work on several files at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import islice
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, stop: Event | None = None
) -> Iterator[Result]:
    """Work on a bounded number of files at once and yield results as they come.

    After an error no further file is begun; it is raised once the files in hand are done and yielded.
    """
    # One thread a worker keeps it busy; one more stores what another has read.
    width = workers + 1
    rest = iter(items)
    with ThreadPoolExecutor(width, thread_name_prefix="import") as threads, ExitStack() as on_error:
        running: set[Future[Result]] = set()
        on_error.callback(lambda: [future.cancel() for future in running])
        error: BaseException | None = None
        while True:
            if error is not None:
                running = {future for future in running if not future.cancel()}
            elif stop is None or not stop.is_set():
                running |= {threads.submit(work, item) for item in islice(rest, 2 * width - len(running))}
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                problem = future.exception()
                if problem is None:
                    yield future.result()
                error = error or problem
        if error is not None:
            raise error
