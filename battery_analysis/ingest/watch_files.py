"""What a watcher knows of the files it watches: which are dealt with as they are, which wait, which failed."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

from battery_analysis.errors import StoreError, StoreUnavailableError
from battery_analysis.ingest.discover import Candidate, Selection, look_at, stored_text
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.known import has_all, unchanged
from battery_analysis.ingest.watch_hands import Hands
from battery_analysis.ingest.watch_queue import Look, WatchQueue, look_of
from battery_analysis.ingest.watch_record import Failure, settled_before
from battery_analysis.ingest.watch_roots import Found, Roots, Searched
from battery_analysis.models import now
from battery_analysis.readers import READERS
from battery_analysis.settings.rules import RULE_FILE

logger = logging.getLogger(__name__)

MOST_WAITING = 5_000
"""Searches wait while this many files do: a first look at a large tree must not fill the memory."""

GONE_SECONDS = 5.0
STUCK_SECONDS = 300.0
"""After which a file is tried again that the database keeps refusing."""

DOUBT_SECONDS = 30.0
"""A server that dies, or a primary that is replaced, may lose what it confirmed last."""


@dataclass
class WatchedFiles:
    """The files below some roots, from being noticed until there is an outcome.

    Args:
        selection: Which files are wanted.
        queue: Where they wait.
        archive: Whether their bytes are to be kept.
        retry_failed: Whether what failed before this start is tried again.
    """

    selection: Selection
    queue: WatchQueue
    archive: bool = True
    retry_failed: bool = False
    seen: dict[str, Look] = field(default_factory=dict)
    """How files looked that need nothing further as long as they look like that."""
    failures: dict[str, Failure] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    """What became of files since somebody last fetched it."""
    refused: str | None = None
    """What the database says of files that it does not take."""
    failures_changed: bool = True
    _settled: deque[tuple[float, Candidate]] = field(default_factory=deque)

    def knows(self, candidate: Candidate) -> bool:
        """Say whether a file needs no attention as it is."""
        return self.seen.get(str(candidate.path)) == look_of(candidate)

    def hear(self, roots: Roots) -> None:
        """Take note of what changed."""
        touched, gone = roots.events_so_far()
        for path in map(Path, gone):
            self._forget(path)
        for path in map(Path, touched):
            with suppress(OSError):  # gone again; or a search finds it once it can be looked at
                if (candidate := self._look(path, roots)) is not None:
                    self._notice([candidate])
        while len(self.queue) < MOST_WAITING:
            try:
                message = roots.found.get_nowait()
            except Empty:
                return
            match message:
                case Found(candidates):
                    self._notice(self._without_settled(candidates))
                case Searched(root, paths):
                    below = f"{str(root).rstrip(os.sep)}{os.sep}"
                    for missing in [each for each in self.seen if each.startswith(below) and each not in paths]:
                        self._forget(Path(missing))

    def hand_out(self, roots: Roots, hands: Hands) -> None:
        """Look again at files whose time has come, and take those that have been quiet."""
        while not hands.are_full and (before := self.queue.ripe()) is not None:
            path = before.path
            try:
                candidate = self._look(path, roots)
            except (FileNotFoundError, NotADirectoryError):
                self._miss(path, roots)
                continue
            except OSError as exc:
                if not self.queue.again(path):
                    reason = exc.strerror or str(exc)
                    failed = Outcome(before.source, "failed", reason, modified_at=before.modified_at, size=before.size)
                    self._settle(failed, before, roots, is_read=False)
                continue
            if candidate is None:
                self._forget(path)
            elif look_of(candidate) != look_of(before):
                self.queue.notice(candidate)
            elif self.knows(candidate):
                self.queue.forget(path)
            else:
                self.queue.take(path)
                hands.take(candidate)

    def collect(self, roots: Roots, hands: Hands) -> None:
        """See what became of the files in hand.

        Raises:
            BatteryAnalysisError: The database is lost, or copies cannot be made.
        """
        lost: BaseException | None = None
        for candidate, future in hands.done():
            match future.exception():
                case None:
                    self._see_to(candidate, future, roots)
                case StoreError() as exc if not isinstance(exc, StoreUnavailableError):
                    self._refuse(candidate, exc)
                case problem:
                    lost = problem
        if lost is not None:
            raise lost

    def doubt(self) -> None:
        """Let files wait again that were settled shortly before the database was lost, and those in hand."""
        self.queue.release()
        self._trust_older()
        for _, candidate in self._settled:
            self.seen.pop(str(candidate.path), None)
            self.queue.notice(candidate)
        self._settled.clear()

    def _trust_older(self) -> None:
        while self._settled and self._settled[0][0] < self.queue.clock() - DOUBT_SECONDS:
            self._settled.popleft()

    def _look(self, path: Path, roots: Roots) -> Candidate | None:
        """Return a file as it is now; None if it is not wanted."""
        root = roots.root_of(path)
        return None if root is None else look_at(root, path, self.selection)

    def _notice(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            if not self.knows(candidate):
                self.queue.notice(candidate)

    def _without_settled(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Leave out the files that are stored as they are, and those that failed as they are before this start."""
        fresh = [each for each in candidates if not self.knows(each)]
        known = unchanged(fresh)
        here = ((each, known.get(each.source)) for each in fresh)
        stored = {each.source for each, as_it_is in here if as_it_is and has_all(each, as_it_is, archive=self.archive)}
        settled = {} if self.retry_failed else settled_before(fresh)
        left: list[Candidate] = []
        for each in fresh:
            if each.source not in stored and each.source not in settled:
                left.append(each)
                continue
            self.seen[str(each.path)] = look_of(each)
            self._note(each.source, None if each.source in stored else settled[each.source])
        return left

    def _miss(self, path: Path, roots: Roots) -> None:
        """See to a file that is not there any more, or whose whole root is not there at present."""
        root = roots.root_of(path)
        if root is not None and roots.is_lost(root):
            self.queue.postpone(path, GONE_SECONDS)
        else:
            self._forget(path)

    def _see_to(self, candidate: Candidate, future: Future[Outcome], roots: Roots) -> None:
        outcome, path = future.result(), candidate.path
        self.refused = None
        after: Candidate | None = candidate
        try:
            after = self._look(path, roots)
        except (FileNotFoundError, NotADirectoryError):
            after = None
        except OSError as exc:
            logger.info("%s: %s", path, exc)
        failed = outcome.outcome == "failed"
        if after is None or look_of(after) != look_of(candidate):  # it may have been copied while it was written
            self.queue.forget(path)
            if after is not None:
                self.queue.notice(after)
            if after is None or not failed:
                self.outcomes.append(outcome)
            return
        was_read = not failed or outcome.sha256 is not None
        if was_read or not self.queue.again(path):
            self._settle(outcome, candidate, roots, is_read=was_read or _opens(path))

    def _refuse(self, candidate: Candidate, error: StoreError) -> None:
        """Let a file wait that the database does not take for a reason of its own, such as a full disk."""
        if self.refused != str(error):
            logger.warning("%s: %s; tried again later", candidate.path, error)
        self.refused = str(error)
        if not self.queue.again(candidate.path):
            self.queue.postpone(candidate.path, STUCK_SECONDS)

    def _settle(self, outcome: Outcome, candidate: Candidate, roots: Roots, *, is_read: bool) -> None:
        """Note what became of a file; until it changes it needs nothing further, unless it could not be opened."""
        self.queue.forget(candidate.path)
        self.outcomes.append(outcome)
        self._settled.append((self.queue.clock(), candidate))
        self._trust_older()
        if is_read:
            self.seen[str(candidate.path)] = look_of(candidate)
        failure = Failure(outcome.reason or "", now()) if outcome.outcome == "failed" else None
        self._note(candidate.source, failure)
        if outcome.outcome == "skipped" and outcome.sha256:  # kept, as something that belongs to data
            self._notice_those_that_need(candidate, roots)
        if candidate.path.name == RULE_FILE:
            self._notice_failed_below(candidate.path.parent, roots)

    def _notice_those_that_need(self, companion: Candidate, roots: Roots) -> None:
        """Let data be read again that were there before what their reader needs beside them."""
        for suffix in {suffix for reader in READERS if hasattr(reader, "companions") for suffix in reader.suffixes}:
            path = companion.path.with_suffix(suffix)
            with suppress(OSError):
                if self.seen.pop(str(path), None) and (candidate := self._look(path, roots)) is not None:
                    self._notice([candidate])

    def _notice_failed_below(self, folder: Path, roots: Roots) -> None:
        """Let files be tried again whose rules have changed."""
        for path in [Path(each) for each in self.failures if Path(each).is_relative_to(folder)]:
            with suppress(OSError):
                if self.seen.pop(str(path), None) and (candidate := self._look(path, roots)) is not None:
                    self._notice([candidate])

    def _note(self, source: str, failure: Failure | None) -> None:
        before = self.failures.pop(source, None)
        if failure is not None:
            self.failures[source] = failure
        self.failures_changed = self.failures_changed or before is not None or failure is not None

    def _forget(self, path: Path) -> None:
        """Forget a file that is gone; nothing is removed from the store."""
        self.queue.forget(path)
        if self.seen.pop(str(path), None) is not None:
            logger.info("%s is gone; what was imported of it stays", path)
        self._note(stored_text(str(path)), None)


def _opens(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False
