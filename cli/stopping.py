"""What Ctrl-C does to work that goes on file by file."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

SERVICE_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def finishes_first(stop: Callable[[], None], signals: Sequence[signal.Signals] = SERVICE_SIGNALS) -> Iterator[None]:
    """Let the first of these signals finish the files in hand, by calling ``stop``; a second one ends at once."""

    def hear(number: int, frame: object) -> None:
        restore()
        print("finishing the files in hand; once more ends at once", file=sys.stderr)
        stop()

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.getsignal(each) for each in signals}
    for each in before:
        signal.signal(each, hear)
    try:
        yield
    finally:
        restore()
