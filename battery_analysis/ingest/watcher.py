"""Import what appears, changes or is moved below some folders, until stopped.

One loop owns all that is known of files (``watch_files``); it hears of changes from ``watch_roots``, lets them settle
in ``watch_queue``, hands them to ``watch_hands`` and writes down how it is (``watch_record``). It outlives its
database: what waits goes on waiting.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from bson import ObjectId

from battery_analysis.errors import BatteryAnalysisError, IngestError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import watch_record
from battery_analysis.ingest.discover import normal_path, stored_text
from battery_analysis.ingest.importer import ImportOptions
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.messenger import Messenger
from battery_analysis.ingest.run import ImportRequest
from battery_analysis.ingest.watch_files import WatchedFiles
from battery_analysis.ingest.watch_hands import Hands
from battery_analysis.ingest.watch_queue import WatchQueue
from battery_analysis.ingest.watch_record import Pulse
from battery_analysis.ingest.watch_roots import Roots
from battery_analysis.models import ImportJob, WatchedFolder, now
from battery_analysis.settings import Settings
from battery_analysis.store import Store, datasets, open_store, samples

logger = logging.getLogger(__name__)

RESCAN_SECONDS = 300.0
BEAT_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A database that was there for this long was there; trouble after that is new trouble."""

PATIENCE_SECONDS = 60.0
"""How long ``once`` waits for files that keep changing, beyond the debounce time."""

_ASKED_STATES = {"pause": "paused", "cancel": "stopped"}


@dataclass(frozen=True)
class WatchRequest:
    """What a user asks to be watched, and how. Seconds; ``poll`` means that no events are listened to."""

    roots: Sequence[Path]
    files: ImportRequest
    rescan: float = RESCAN_SECONDS
    poll: float | None = None
    retry_failed: bool = False
    once: bool = False

    def options(self, settings: Settings, job: ObjectId | None = None) -> ImportOptions:
        """Return how files are imported; what passes by itself is waited out here and not by the importer."""
        return replace(self.files, retries=0).options(settings, job)

    def kept(self) -> dict[str, Any]:
        """Return the options as the job keeps them, in the form of an import's, with all its folders."""
        sample_map = self.files.sample_map and stored_text(self.files.sample_map)
        return asdict(self.files) | {"root": ", ".join(self.names), "roots": self.names, "sample_map": sample_map}

    @property
    def names(self) -> list[str]:
        """The folders as they are stored."""
        return [stored_text(str(root)) for root in self.roots]


def checked_roots(roots: Sequence[Path]) -> list[Path]:
    """Return the folders to watch, absolute.

    Raises:
        IngestError: One is no folder, cannot be entered, or lies in another.
    """
    absolute = [Path(normal_path(root)) for root in roots]
    for root in absolute:
        try:
            os.scandir(root).close()
        except OSError as exc:
            raise IngestError(f"{root}: {exc.strerror}") from exc
    real = [root.resolve() for root in absolute]
    for place, inner in enumerate(real):
        for other, outer in enumerate(real):
            if place != other and inner.is_relative_to(outer):
                raise IngestError(f"{absolute[place]} lies in {absolute[other]}, which is watched too; leave one out")
    return absolute


class Watcher:
    """Watches until ``stop`` is called, or, if asked for ``once``, until everything has been looked at.

    Args:
        settings: Where the database is, and the debounce time and retries.
        request: What to watch.
        tell: Called with each outcome once it is recorded.
    """

    def __init__(self, settings: Settings, request: WatchRequest, tell: Callable[[Outcome], None]) -> None:
        self._settings = settings
        self._request = request
        self._tell = tell
        # A simple queue: whoever handles a signal interrupts the loop anywhere, and may still call its ``put``.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._stopping = False
        options = request.options(settings)
        self._files = WatchedFiles(
            options.selection,
            WatchQueue(settings.debounce, settings.retries),
            archive=options.archive,
            retry_failed=request.retry_failed,
        )
        self._roots = Roots(
            request.roots,
            options.selection,
            every=request.poll or request.rescan,
            events=request.poll is None,
            once=request.once,
            is_known=self._files.knows,
            wake=self._ring,
        )
        self._messenger = Messenger(settings.notify)
        self._job: ImportJob | None = None
        self._watch: WatchedFolder | None = None
        self._is_at_work = False
        self._lost: str | None = None
        self._asked: str | None = None
        self._counts: Counter[str] = Counter()
        self._last_import: datetime | None = None
        self._began = self._last_outcome = time.monotonic()
        self._next_beat = self._next_hearing = 0.0

    @property
    def job_id(self) -> ObjectId | None:
        """The job under which it imports, once it has one."""
        return None if self._job is None else self._job.id

    @property
    def failures(self) -> dict[str, str]:
        """Files that could not be imported as they are, and why."""
        return {path: failure.reason for path, failure in sorted(self._files.failures.items())}

    def stop(self) -> None:
        """Finish the files in hand and begin no other; may be called by whoever handles a signal."""
        self._stopping = True
        self._ring()

    def run(self) -> Counter[str]:
        """Watch, and return how many files had which outcome.

        Raises:
            BatteryAnalysisError: It could not start. Once at work it waits until what is wrong is mended.
        """
        tries = 0
        try:
            while True:
                opened = time.monotonic()
                try:
                    with open_store(self._settings) as store:
                        self._work(store)
                        return self._counts
                except (BatteryAnalysisError, OSError) as exc:
                    if not self._is_at_work:
                        raise
                    self._lose(str(exc))
                tries = 0 if time.monotonic() - opened > STEADY_SECONDS else tries + 1
                self._files.doubt()
                self._pause(min(2.0**tries, LONGEST_PAUSE_SECONDS))
                if self._stopping:
                    return self._counts
        finally:
            self._roots.leave()

    def _work(self, store: Store) -> None:
        """Watch for as long as the database answers."""
        job, watch = self._open_job(store)
        try:
            options = self._request.options(self._settings, job.id)
            with self._messenger.at_work(job.id), Hands(store, options, self._ring) as hands:
                self._is_at_work = True
                self._roots.start()
                try:
                    while not (self._stopping or self._is_over(hands)):
                        self._take_turn(job, watch, hands)
                finally:  # what is done is done, also when the database is lost meanwhile
                    hands.finish()
                    self._files.collect(self._roots, hands)
                self._record(job)
            self._beat(job, watch)
        except BatteryAnalysisError as exc:
            if not self._is_at_work:
                self._close_job(job, watch, "failed", str(exc))
            raise
        state = _ASKED_STATES.get(self._asked or "", "stopped" if self._stopping else "completed")
        self._close_job(job, watch, state, f"{state} by a user" if self._stopping else None)

    def _take_turn(self, job: ImportJob, watch: WatchedFolder, hands: Hands) -> None:
        files = self._files
        self._roots.check()
        files.hear(self._roots)
        files.hand_out(self._roots, hands)
        files.collect(self._roots, hands)
        self._record(job)
        if time.monotonic() >= self._next_hearing:
            self._hear(job, watch)
            self._stopping = self._stopping or self._asked in _ASKED_STATES
        hands.rest()
        pause = None if hands.are_full else files.queue.idle_seconds()
        self._wait(self._next_hearing if pause is None else min(self._next_hearing, time.monotonic() + pause))

    def _is_over(self, hands: Hands) -> bool:
        """Say whether all was looked at once; files that do not come to rest are left."""
        if not (self._request.once and self._roots.are_done() and hands.are_empty):
            return False
        left = self._files.queue.waiting()
        if left and time.monotonic() - self._last_outcome < PATIENCE_SECONDS + self._settings.debounce:
            return False
        for path in left:
            logger.warning("%s: still being written; left for the next time", path)
        return True

    def _open_job(self, store: Store) -> tuple[ImportJob, WatchedFolder]:
        """Open job and document of this watcher, or go on with them after the database was away."""
        if self._job is not None and ImportJob.objects(id=self._job.id).first() is None:  # not the database it was
            self._job = None
            self._files.seen.clear()
        if self._job is None or self._watch is None:
            request, kept = self._request, self._request.kept()
            times = {"debounce": self._settings.debounce, "rescan": request.rescan, "poll": request.poll}
            how = {**times, "once": request.once, "retry_failed": request.retry_failed}
            self._job = jobs.start(kept["root"], kept)
            self._watch = watch_record.begin(request.names, {**kept, **how}, self._job)
            self._files.failures_changed = True
        samples.refresh_left_behind()
        datasets.refresh_left_behind(store)
        return self._job, self._watch

    def _close_job(self, job: ImportJob, watch: WatchedFolder, state: str, reason: str | None) -> None:
        jobs.finish(job, state, reason, seconds=time.monotonic() - self._began)
        watch_record.stop(watch)

    def _record(self, job: ImportJob) -> None:
        """Keep what became of files, and say it; what cannot be kept now is kept later."""
        outcomes = self._files.outcomes
        if not outcomes:
            return
        jobs.record(job, outcomes)
        self._files.outcomes = []
        self._messenger.hear(outcomes)
        self._last_outcome = time.monotonic()
        self._find_again()
        for outcome in outcomes:
            self._counts[outcome.outcome] += 1
            self._last_import = now() if outcome.outcome in ("created", "updated") else self._last_import
            self._tell(outcome)

    def _hear(self, job: ImportJob, watch: WatchedFolder) -> None:
        """Hear what is asked, with a sign of life when it is time for one."""
        if time.monotonic() >= self._next_beat:
            self._beat(job, watch)
        else:
            self._asked = watch_record.asked(job)
        self._next_hearing = time.monotonic() + jobs.LISTEN_SECONDS

    def _beat(self, job: ImportJob, watch: WatchedFolder) -> None:
        """Give a sign of life, and hear what is asked."""
        files, queue = self._files, self._files.queue
        troubles = [*self._roots.troubles.values(), *([files.refused] if files.refused else [])]
        pulse = Pulse(
            files=len(files.seen),
            waiting=len(queue),
            oldest_seconds=queue.oldest_seconds(),
            counts=self._counts,
            last_import_at=self._last_import,
            searched_at=self._roots.searched_at,
            troubles=troubles,
        )
        self._asked = watch_record.beat(watch, job, pulse)
        if files.failures_changed:
            watch_record.write_quarantine(watch, files.failures)
            files.failures_changed = False
        self._next_beat = time.monotonic() + BEAT_SECONDS
        if queue.idle_seconds() is None:
            self._find_again()

    def _lose(self, reason: str) -> None:
        if self._lost is None:
            logger.warning("%s; %d files wait until it is mended", reason, len(self._files.queue))
            self._lost = reason

    def _find_again(self) -> None:
        if self._lost is not None:
            logger.warning("at work again; before: %s", self._lost)
            self._lost = None

    def _ring(self) -> None:
        self._bell.put(None)

    def _wait(self, moment: float) -> None:
        """Wait until then, or until something happens."""
        left = moment - time.monotonic()
        if self._stopping or left <= 0:
            return
        with suppress(Empty):
            self._bell.get(timeout=left)
            while True:
                self._bell.get_nowait()

    def _pause(self, seconds: float) -> None:
        """Wait, whatever happens but a stop."""
        end = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < end:
            self._wait(end)
