"""Who tells people what happens: once at the end of an import, and from time to time while a watcher watches."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event as Signal
from threading import Lock, Thread
from typing import Any

from bson import ObjectId
from mongoengine.errors import MongoEngineException
from pymongo.errors import PyMongoError

from battery_analysis.errors import BatteryAnalysisError, SettingsError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import notices
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.news import LISTED, of_job
from battery_analysis.ingest.notify import send
from battery_analysis.models import ImportJob
from battery_analysis.settings.notify import Notify

logger = logging.getLogger(__name__)

GATHER_SECONDS = 10.0
"""After a failure more of them are waited for, so that a broken folder is one message."""

LOOK_SECONDS = 600.0
"""How often tests that stall and cells that age are looked for."""

REMEMBERED = 10_000
"""Failures kept while the database is away."""


def require_targets(notify: Notify) -> None:
    """Refuse to promise messages that nobody would get.

    Raises:
        SettingsError: The settings name no target.
    """
    if not notify.targets:
        raise SettingsError("the settings name nobody to notify; see notify in the documentation of the settings")


@contextmanager
def tells_at_the_end(notify: Notify, job: ImportJob) -> Iterator[None]:
    """Tell how a job ended, and which of its cells fell under the set retention."""
    try:
        yield
    except (BatteryAnalysisError, PyMongoError) as exc:
        _tell_the_end(notify, job, exc)
        raise
    else:
        _tell_the_end(notify, job, None)


def _tell_the_end(notify: Notify, job: ImportJob, error: Exception | None) -> None:
    failed = {"state": "failed", "reason": str(error) if error else None}
    files: list[tuple[str, str]] = []
    facts: dict[str, Any] = {**failed, "counts": {}}
    with _logged():
        job.reload()
        files = [(each.path, each.reason or "") for each in islice(jobs.failures(job), LISTED)]
        facts = {"state": job.state, "reason": job.reason, "counts": dict(job.counts)}
    if facts["state"] == "running":  # the database was away when it should have been closed
        facts |= failed
    if (told := of_job({"id": job.id, "root": job.root, **facts}, files)) is not None:
        send(notify, [told])
    with _logged():
        if notify.wanting("retention"):
            notices.note(notices.aged_cells(job.id, notify.retention))
            notices.send_noted(notify)


class Messenger:
    """Tells, in a thread of its own, what a watcher hears; a target that does not answer holds nobody up."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._failed: list[Outcome] = []
        self._lock = Lock()
        self._heard, self._ended = Signal(), Signal()

    def hear(self, outcomes: Iterable[Outcome]) -> None:
        """Take note of what became of files."""
        failed = [each for each in outcomes if each.outcome == "failed"]
        if failed and self._notify.wanting("failed"):
            with self._lock:
                self._failed = [*self._failed, *failed][-REMEMBERED:]
            self._heard.set()

    @contextmanager
    def at_work(self, job: ObjectId) -> Iterator[None]:
        """Tell things while the block runs, and what is left at its end."""
        if not self._notify.targets:
            yield
            return
        self._ended.clear()
        thread = Thread(target=self._run, args=(job,), name="messenger", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._heard.set()
            thread.join()

    def _run(self, job: ObjectId) -> None:
        while True:
            if self._heard.wait(LOOK_SECONDS):
                self._ended.wait(GATHER_SECONDS)
            self._heard.clear()
            last = self._ended.is_set()
            with _logged():
                self._tell(job)
            if last:
                return

    def _tell(self, job: ObjectId) -> None:
        with self._lock:
            failed = list(self._failed)
        notices.note(notices.failed_files(failed))
        with self._lock:
            self._failed = self._failed[len(failed) :]
        if self._notify.wanting("retention"):
            notices.note(notices.aged_cells(job, self._notify.retention))
        if self._notify.wanting("stalled"):
            notices.note(notices.stalled_tests(self._notify.stalled_hours))
        notices.send_noted(self._notify)


@contextmanager
def _logged() -> Iterator[None]:
    """Turn a database that is away into a line in the log; whoever stores files sees to it."""
    try:
        yield
    except (BatteryAnalysisError, PyMongoError, MongoEngineException) as exc:
        logger.warning("what is to be told waits: %s", exc)
