"""Imports by the clock: which are due, and one process that runs them until it is stopped.

What was served is kept in the database: times that were missed while nobody ran are made up for once, and two
schedulers do no harm. An import that still runs when its next time comes is left to run; that time is passed over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Thread
from zoneinfo import ZoneInfo

from pymongo.errors import DuplicateKeyError, PyMongoError

from battery_analysis.errors import BatteryAnalysisError, IngestError, NotFoundError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.messenger import require_targets, tells_at_the_end
from battery_analysis.ingest.news import News
from battery_analysis.ingest.notify import send
from battery_analysis.ingest.run import ImportRequest, JobRun
from battery_analysis.models import ImportJob, ScheduledImport, now
from battery_analysis.settings import Settings
from battery_analysis.settings.schedules import Schedule
from battery_analysis.store import Store, open_store
from battery_analysis.store.access import visible
from battery_analysis.store.connection import one_line_errors

logger = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""How often the clock is looked at: a computer may sleep, and its clock be set."""

LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Standing:
    """One scheduled import, when it is next due, and how it went last."""

    schedule: Schedule
    next_at: datetime
    started_at: datetime | None
    job: ImportJob | None
    problem: str | None

    @property
    def state(self) -> str | None:
        """State of its last job; ``failed`` where it could not even start."""
        if self.problem:
            return "failed"
        return jobs.present_state(self.job) if self.job else None


def next_time(schedule: Schedule, after: datetime, zone: str) -> datetime:
    """Return the first time of a schedule after a moment, in UTC; its hours are those of a time zone.

    >>> night = Schedule("30 2 * * *", "/lab", "night")
    >>> next_time(night, datetime(2026, 3, 1, 12, tzinfo=UTC), "Europe/Berlin").isoformat()
    '2026-03-02T01:30:00+00:00'
    """
    from cronsim import CronSim

    return next(CronSim(schedule.cron, after.astimezone(ZoneInfo(zone)))).astimezone(UTC)


def standings(settings: Settings) -> list[Standing]:
    """Return all scheduled imports with what is known of them; the database must be open."""
    found = []
    for schedule in settings.schedule:
        known = _known(schedule)
        job = visible(ImportJob).filter(id=known.import_job).first() if known and known.import_job else None
        due = next_time(schedule, known.served_until if known else now(), settings.time_zone)
        started, problem = (known.started_at, known.problem) if known else (None, None)
        found.append(Standing(schedule, due, started, job, problem))
    return found


def named(settings: Settings, name: str) -> Schedule:
    """Return the scheduled import with this name.

    Raises:
        NotFoundError: There is none.
    """
    found = next((each for each in settings.schedule if each.name == name), None)
    if found is None:
        there = ", ".join(each.name for each in settings.schedule) or "none"
        raise NotFoundError(f"no scheduled import is called {name!r}; there are: {there}")
    return found


def begin(store: Store, settings: Settings, schedule: Schedule) -> JobRun:
    """Open the job of a scheduled import.

    Raises:
        IngestError: It still runs, or its root does not exist.
        SettingsError: It is to notify, and the settings name nobody.
    """
    if (running := _running(schedule)) is not None:
        raise IngestError(f"{schedule.name} still runs, as job {running.id}")
    if schedule.notify:
        require_targets(settings.notify)
    started = {"started_at": now(), "updated_at": now()}
    try:
        run = runs.begin(store, settings, _request(schedule))
    except BatteryAnalysisError as exc:
        _remember(schedule, {**started, "problem": str(exc)})
        raise
    _remember(schedule, {**started, "problem": None, "import_job": run.job.id})
    return run


def claim(schedule: Schedule, settings: Settings, moment: datetime) -> bool:
    """Say whether an import is due; its times up to this moment then count as served, by the one who asked first."""
    known = _known(schedule)
    if known is None:
        _remember(schedule, {})
        return False
    if next_time(schedule, known.served_until, settings.time_zone) > moment:
        return False
    served = {"served_until": moment, "updated_at": now()}
    seen = {"_id": known.id, "served_until": known.served_until}
    return bool(ScheduledImport._get_collection().update_one(seen, {"$set": served}).modified_count)


def _known(schedule: Schedule) -> ScheduledImport | None:
    found: ScheduledImport | None = visible(ScheduledImport).filter(name=schedule.name).first()
    return found


def _remember(schedule: Schedule, facts: dict[str, object]) -> None:
    at = now()
    new = {"served_until": at, "created_at": at, "tags": [], **({} if "updated_at" in facts else {"updated_at": at})}
    update = {"$setOnInsert": new, **({"$set": facts} if facts else {})}
    with suppress(DuplicateKeyError):  # made by another scheduler just now
        ScheduledImport._get_collection().update_one({"name": schedule.name}, update, upsert=True)


def _running(schedule: Schedule) -> ImportJob | None:
    known = _known(schedule)
    if known is None or known.import_job is None:
        return None
    job: ImportJob | None = visible(ImportJob).filter(id=known.import_job).first()
    return job if job is not None and jobs.present_state(job) == "running" else None


def _request(schedule: Schedule) -> ImportRequest:
    return ImportRequest(
        root=str(schedule.root),
        include=schedule.include,
        exclude=schedule.exclude,
        depth=schedule.depth,
        workers=schedule.workers,
        sample=schedule.sample,
        sample_map=str(schedule.sample_map) if schedule.sample_map else None,
        sample_lookup=schedule.sample_lookup,
        archive=schedule.archive,
        checksum=schedule.checksum,
        retries=schedule.retries,
        tags=schedule.tags,
        operator=schedule.operator,
        device=schedule.device,
        metadata=schedule.metadata,
    )


class Scheduler:
    """Runs what is due, each import in a thread of its own, until ``stop`` is called.

    Args:
        settings: The schedules, and where the database is.
        tell: Called with a line for each import that begins or ends; from other threads.
        clock: Tells the time, in UTC.
    """

    def __init__(self, settings: Settings, tell: Callable[[str], None], clock: Callable[[], datetime] = now) -> None:
        self._settings = settings
        self._tell = tell
        self._clock = clock
        # A simple queue: whoever handles a signal interrupts the loop anywhere, and may still call its ``put``.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._stopping = False
        self._is_at_work = False
        self._threads: dict[str, Thread] = {}
        self._runs: dict[str, JobRun] = {}
        self.failed = 0

    def stop(self) -> None:
        """Finish the files in hand and begin nothing else; may be called by whoever handles a signal."""
        self._stopping = True
        self._bell.put(None)

    def run(self, *, once: bool = False) -> None:
        """Run imports as they become due, or ``once`` those that are.

        Raises:
            BatteryAnalysisError: It could not start. Once at work it waits until the database is back.
        """
        tries = 0
        while not self._stopping:
            try:
                with open_store(self._settings) as store, self._ends_its_runs(wait=once):
                    tries = 0
                    self._work(store, once=once)
                    return
            except BatteryAnalysisError as exc:
                if not self._is_at_work or once:
                    raise
                tries += 1
                logger.warning("%s; tried again later", exc)
            self._wait(min(2.0**tries, LONGEST_PAUSE_SECONDS))

    def _work(self, store: Store, *, once: bool) -> None:
        while not self._stopping:
            for schedule in self._settings.schedule:
                if claim(schedule, self._settings, self._clock()):
                    self._start(store, schedule)
            self._is_at_work = True
            if once:
                return
            due = min(standing.next_at for standing in standings(self._settings))
            self._wait(min(max((due - self._clock()).total_seconds(), 0.0), LOOK_SECONDS))

    def _start(self, store: Store, schedule: Schedule) -> None:
        running = self._threads.get(schedule.name)
        if (running is not None and running.is_alive()) or _running(schedule) is not None:
            self._tell(f"{schedule.name}: still runs; this time is passed over")
            return
        thread = Thread(target=self._run, args=(store, schedule), name=schedule.name)
        self._threads[schedule.name] = thread
        thread.start()

    def _run(self, store: Store, schedule: Schedule) -> None:
        """Run one import to its end; whatever goes wrong with it ends this one alone."""
        notify = self._settings.notify
        try:
            with one_line_errors(store.where):
                run = begin(store, self._settings, schedule)
                self._runs[schedule.name] = run
                self._tell(f"{schedule.name}: job {run.job.id} imports {run.job.root}")
                if self._stopping:
                    run.stop()
                with tells_at_the_end(notify, run.job) if schedule.notify else nullcontext():
                    for _ in run:
                        pass
                counts = ", ".join(f"{count} {name}" for name, count in sorted(run.job.counts.items()) if count)
                self.failed += bool(run.job.counts.get("failed"))
                self._tell(f"{schedule.name}: job {run.job.id} is {run.job.state}: {counts or 'no files found'}")
        except (BatteryAnalysisError, PyMongoError, OSError) as exc:
            self.failed += 1
            logger.warning("%s: %s", schedule.name, exc)
            if schedule.notify and schedule.name not in self._runs:
                send(notify, [News("failed", f"scheduled import {schedule.name} could not start: {exc}")])
        finally:
            self._runs.pop(schedule.name, None)

    @contextmanager
    def _ends_its_runs(self, *, wait: bool) -> Iterator[None]:
        """Let imports finish at the end of the block: all of it where they are waited for, else the files in hand."""
        try:
            yield
        finally:
            for thread in self._threads.values():
                while thread.is_alive():
                    if not wait or self._stopping:
                        for run in list(self._runs.values()):
                            run.stop()
                    thread.join(0.2)
            self._threads.clear()

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            with suppress(Empty):
                self._bell.get(timeout=left)
