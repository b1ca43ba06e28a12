"""Files that were seen to change, until they have been quiet for a while and somebody reads them.

Pure bookkeeping: it touches no file, and the clock comes in as an argument.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from battery_analysis.ingest.discover import Candidate

FIRST_PAUSE_SECONDS = 1.0
PAUSE_GROWS = 4.0
"""Pauses of 1, 4, 16 s … before a file that could not be read is tried again."""

Look = int | tuple[int, datetime | None, str | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def look_of(candidate: Candidate) -> Look:
    """Return by what a change of a file shows: size, time of change, and what is wrong with it from outside.

    Nearly always one number, size and µs since 1970: a watcher keeps a look for every file of a tree.
    """
    if candidate.modified_at is None or candidate.problem is not None:
        return candidate.size, candidate.modified_at, candidate.problem
    return (candidate.size << 64) + (candidate.modified_at - _EPOCH) // timedelta(microseconds=1)


@dataclass
class _Waiting:
    candidate: Candidate
    since: float
    due: float
    tries: int = 0
    in_hand: bool = False


@dataclass
class WatchQueue:
    """Files on their way: noticed, then looked at again once ``debounce`` seconds have passed, then in hand, then done.

    A file that differs at the second look waits anew. ``retries`` is how often a file comes back that could not be
    read for a reason that may pass.
    """

    debounce: float
    retries: int
    clock: Callable[[], float] = time.monotonic
    _files: dict[Path, _Waiting] = field(default_factory=dict)
    _dues: list[tuple[float, int, Path]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self._files)

    def notice(self, candidate: Candidate) -> None:
        """Take note of a file as it is now; one that has changed since the last look starts waiting anew."""
        known = self._files.get(candidate.path)
        if known is None:
            known = self._files[candidate.path] = _Waiting(candidate, self.clock(), 0.0)
        elif known.in_hand or look_of(known.candidate) == look_of(candidate):
            return  # whoever has it in hand looks at it again afterwards
        known.candidate, known.tries = candidate, 0
        self._wait(known, self.debounce)

    def ripe(self) -> Candidate | None:
        """Return the file that has been due for longest, as it was at the last look; None where none is due yet.

        It is no longer due then. What is done with it has to be said: ``take``, ``notice``, ``postpone``, ``again``
        or ``forget``.
        """
        if self.idle_seconds() != 0.0:
            return None
        _, _, path = heapq.heappop(self._dues)
        return self._files[path].candidate

    def take(self, path: Path) -> None:
        """Say that a file is in hand."""
        self._files[path].in_hand = True

    def release(self) -> None:
        """Say that nobody has any file in hand any more: those that somebody had are due at once."""
        self._dues = []
        for waiting in self._files.values():
            pause = 0.0 if waiting.in_hand else waiting.due - self.clock()
            waiting.in_hand = False
            self._wait(waiting, max(pause, 0.0))

    def postpone(self, path: Path, seconds: float) -> None:
        """Leave a file alone for a while, whoever had it in hand."""
        if (waiting := self._files.get(path)) is not None:
            waiting.in_hand = False
            self._wait(waiting, seconds)

    def again(self, path: Path) -> bool:
        """Let a file that could not be read come back after a pause; False once that was done ``retries`` times."""
        waiting = self._files.get(path)
        if waiting is None or waiting.tries >= self.retries:
            return False
        waiting.in_hand = False
        pause = FIRST_PAUSE_SECONDS * PAUSE_GROWS**waiting.tries
        waiting.tries += 1
        self._wait(waiting, pause)
        return True

    def forget(self, path: Path) -> None:
        """Drop a file: it is done, or it is gone."""
        self._files.pop(path, None)

    def idle_seconds(self) -> float | None:
        """Return how long there is nothing to do; None where nothing waits."""
        while self._dues:
            due, _, path = self._dues[0]
            waiting = self._files.get(path)
            if waiting is not None and not waiting.in_hand and waiting.due == due:
                return max(due - self.clock(), 0.0)
            heapq.heappop(self._dues)
        return None

    def oldest_seconds(self) -> float | None:
        """Return how long the file has been waiting that was noticed first; None where nothing waits."""
        first = next(iter(self._files.values()), None)
        return None if first is None else self.clock() - first.since

    def waiting(self) -> list[Path]:
        """Return the files that are not in hand, first noticed first."""
        return [path for path, each in self._files.items() if not each.in_hand]

    def _wait(self, waiting: _Waiting, seconds: float) -> None:
        waiting.due = self.clock() + seconds
        heapq.heappush(self._dues, (waiting.due, next(self._numbers), waiting.candidate.path))
