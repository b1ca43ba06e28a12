"""The state of the lab: what runs, what stands still, what failed, how the store is."""

from __future__ import annotations

import functools
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from bson import ObjectId

from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import watch_record
from battery_analysis.models import ImportedFile, ImportJob, TestResult
from battery_analysis.store.access import visible
from dashboard.data import asked, settings, store

Job = ImportJob
File = ImportedFile

RUNNING = timedelta(hours=24)
"""A test without an end whose last record is not older counts as running."""

STALLED = timedelta(days=30)
"""A test that says it is not finished, older than ``RUNNING``, counts as stalled so long."""

ROLLED_BACK = "rolled back"
"""What became of the files of an import that was undone."""

_SHOWN = ("id", "name", "sample_name", "cell_code", "tester", "channel", "cycle_count", "ended_at", "finished")


@asked
def running(now: datetime) -> list[TestResult]:
    """Return the tests that had a record within ``RUNNING`` and have not ended, the quietest last."""
    # What has a new record was written as recently: the index on updated_at keeps this fast.
    recent = visible(TestResult).filter(updated_at__gte=now - RUNNING, ended_at__gte=now - RUNNING, finished__ne=True)
    return list(recent.only(*_SHOWN).order_by("-ended_at"))


@asked
def stalled(now: datetime) -> list[TestResult]:
    """Return the tests that say they are not finished, but had no record for longer than ``RUNNING``."""
    silent = visible(TestResult).filter(updated_at__gte=now - STALLED, finished=False)
    return list(
        silent.filter(ended_at__lt=now - RUNNING, ended_at__gte=now - STALLED).only(*_SHOWN).order_by("-ended_at")
    )


@asked
def finished_today(now: datetime) -> list[TestResult]:
    """Return the tests that ended on this day, UTC, as their files say."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ended = visible(TestResult).filter(updated_at__gte=midnight, ended_at__gte=midnight, finished=True)
    return list(ended.only(*_SHOWN).order_by("-ended_at"))


@asked
def failed_files(now: datetime, days: int = 7, most: int = 20) -> tuple[list[ImportedFile], int]:
    """Return the files that failed in the last days, newest first, and how many there are."""
    since = now - timedelta(days=days)
    alive = visible(ImportJob).filter(heartbeat_at__gte=since).scalar("id")  # a watcher's job began weeks ago
    failed = visible(ImportedFile).filter(job__in=list(alive), outcome="failed", updated_at__gte=since)
    return list(failed.order_by("-updated_at").limit(most)), int(failed.count())


@asked
def imports_by_day(now: datetime, days: int = 30) -> pl.DataFrame:
    """Return what became of files, a row for each ``day`` on which it was recorded and ``outcome`` with its ``files``.

    As in the counts of a job, a file counts once in each: on the day of its newest outcome there. The files of an
    import that was rolled back since have the outcome ``ROLLED_BACK``, whatever they had before.
    """
    since = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    undone = visible(ImportJob).filter(state="rolled_back", finished_at__gte=since).order_by("id").scalar("id")
    newest = visible(ImportedFile).filter(updated_at__gte=since).order_by("-updated_at").scalar("updated_at").first()
    asked_of = (store().where, store().database.name)
    return _counted(since, tuple(undone), (asked_of, newest, now.replace(second=0, microsecond=0)))


@functools.lru_cache(maxsize=1)  # 300,000 files take half a second, and all who look at the overview ask all the time
def _counted(since: datetime, undone: tuple[ObjectId, ...], _: object) -> pl.DataFrame:
    day = {"$dateToString": {"format": "%Y-%m-%d", "date": "$updated_at"}}
    count = [{"$group": {"_id": {"day": day, "outcome": "$outcome"}, "files": {"$sum": 1}}}]
    files: Counter[tuple[str, str]] = Counter()
    for row in visible(ImportedFile).filter(updated_at__gte=since).aggregate(count):
        files[row["_id"]["day"], row["_id"]["outcome"]] += row["files"]
    taken_back = visible(ImportedFile).filter(job__in=undone, updated_at__gte=since)
    for row in taken_back.aggregate(count) if undone else ():
        files[row["_id"]["day"], row["_id"]["outcome"]] -= row["files"]
        files[row["_id"]["day"], ROLLED_BACK] += row["files"]
    rows = [(date.fromisoformat(on), outcome, count) for (on, outcome), count in sorted(files.items()) if count > 0]
    return pl.DataFrame(rows, {"day": pl.Date, "outcome": pl.String, "files": pl.Int64}, orient="row")


@asked
def active_jobs() -> list[tuple[ImportJob, str]]:
    """Return imports that are under way, with their state."""
    under_way = visible(ImportJob).filter(state__in=("running", "paused")).order_by("-started_at")
    return [(job, jobs.present_state(job)) for job in under_way]


@dataclass(frozen=True)
class Watcher:
    """A watcher as the overview shows it."""

    roots: list[str]
    state: str
    waiting: int
    quarantined: int
    last_import_at: datetime | None
    heartbeat_at: datetime | None
    troubles: list[str]


@asked
def watchers() -> list[Watcher]:
    """Return all watchers, the one started last first."""
    return [
        Watcher(
            list(each.roots),
            watch_record.state_of(each),
            each.waiting,
            each.quarantined,
            each.last_import_at,
            each.heartbeat_at,
            list(each.troubles),
        )
        for each in watch_record.everyone()
    ]


@dataclass(frozen=True)
class Health:
    """How the store is."""

    where: str
    version: str
    tests: int
    data_bytes: int
    """What the database holds, uncompressed."""
    disk_bytes: int
    """What it takes on its disk."""
    free_bytes: int | None
    """Free where the data folder is; None: there is no data folder yet."""
    total_bytes: int | None


@asked
def health() -> Health:
    """Return how the store is."""
    database = store().database
    sizes: dict[str, Any] = database.command("dbStats")
    folder = settings().data_dir
    disk = shutil.disk_usage(folder) if folder.exists() else None
    return Health(
        where=store().where,
        version=database.client.server_info()["version"],
        tests=visible(TestResult).count(),
        data_bytes=int(sizes.get("dataSize", 0)),
        disk_bytes=int(sizes.get("totalSize", sizes.get("storageSize", 0))),
        free_bytes=disk.free if disk else None,
        total_bytes=disk.total if disk else None,
    )
