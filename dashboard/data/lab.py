"""The state of the lab: what runs, what stands still, what failed, how the store is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

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
    """Return how many files imports took on, a row for each day (``day``) and ``outcome`` with its ``files``."""
    recent = visible(ImportJob).filter(started_at__gte=now - timedelta(days=days)).only("started_at", "counts")
    rows = [
        {"day": job.started_at.date(), "outcome": outcome, "files": files}
        for job in recent
        for outcome, files in job.counts.items()
        if files
    ]
    schema = {"day": pl.Date, "outcome": pl.String, "files": pl.Int64}
    return (
        pl.DataFrame(rows, schema=schema).group_by("day", "outcome").agg(pl.col("files").sum()).sort("day", "outcome")
    )


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
