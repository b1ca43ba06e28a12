"""What a watcher writes down of itself: for whoever asks how it is, and for the watcher that goes on after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from battery_analysis.ingest import job as jobs
from battery_analysis.ingest.discover import Candidate
from battery_analysis.models import ImportedFile, ImportJob, WatchedFolder, checked, now
from battery_analysis.store.access import visible

LISTED = 1000
"""Failed files that a watcher's document lists; beyond that it counts them."""


@dataclass(frozen=True)
class Pulse:
    """How a watcher is at this moment."""

    files: int
    waiting: int
    oldest_seconds: float | None
    counts: Mapping[str, int]
    last_import_at: datetime | None
    searched_at: float | None
    troubles: Sequence[str]


@dataclass(frozen=True)
class Failure:
    """Why a file was not imported, and since when."""

    reason: str
    since: datetime


def begin(roots: Sequence[str], options: Mapping[str, Any], job: ImportJob) -> WatchedFolder:
    """Go on with the document of an earlier watcher of these roots that has ended, or make one."""
    here = {
        "state": "running",
        "host": job.host,
        "pid": job.pid,
        "process_started": job.process_started,
        "started_at": now(),
        "heartbeat_at": now(),
        "stopped_at": None,
        "import_job": job.id,
        "options": dict(options),
        "counts": {},
        "troubles": [],
        "waiting": 0,
        "waiting_since": None,
    }
    for watch in visible(WatchedFolder).filter(roots=list(roots)).order_by("-started_at"):
        seen = {"pid": watch.pid, "process_started": watch.process_started, "host": watch.host, "state": watch.state}
        if state_of(watch) != "running" and watch.modify(seen, **here):
            return cast(WatchedFolder, watch)
    watch = WatchedFolder(roots=list(roots), **here)
    checked(watch)
    watch.save(force_insert=True, validate=False)
    return watch


def state_of(watch: WatchedFolder) -> str:
    """Return ``running``, ``stopped``, or ``interrupted`` for a watcher whose process gave no sign of life."""
    return jobs.present_state(cast(ImportJob, watch))


def asked(job: ImportJob) -> str | None:
    """Return what a user asks of the job: ``pause``, ``cancel`` or nothing.

    A job that was removed under its watcher counts as cancelled.
    """
    return _wish_of(ImportJob._get_collection().find_one({"_id": job.id}, {"asked": 1}))


def _wish_of(job: Mapping[str, Any] | None) -> str | None:
    return "cancel" if job is None else job.get("asked")


def beat(watch: WatchedFolder, job: ImportJob, pulse: Pulse) -> str | None:
    """Give a sign of life; return what a user asks of the job, as ``asked`` does."""
    at = now()
    seen = ImportJob._get_collection().find_one_and_update(
        {"_id": job.id}, {"$set": {"heartbeat_at": at}}, {"asked": 1}
    )
    oldest = None if pulse.oldest_seconds is None else at - timedelta(seconds=pulse.oldest_seconds)
    searched = None if pulse.searched_at is None else datetime.fromtimestamp(pulse.searched_at, UTC)
    state = {
        "heartbeat_at": at,
        "files": pulse.files,
        "waiting": pulse.waiting,
        "waiting_since": oldest,
        "counts": dict(pulse.counts),
        "troubles": list(pulse.troubles),
        **({"last_import_at": pulse.last_import_at} if pulse.last_import_at else {}),
        **({"scanned_at": searched} if searched else {}),
    }
    WatchedFolder._get_collection().update_one({"_id": watch.id}, {"$set": state})
    return _wish_of(seen)


def write_quarantine(watch: WatchedFolder, failures: Mapping[str, Failure]) -> None:
    """Keep which files failed and why."""
    first = sorted(failures)[:LISTED]
    listed = [{"path": path, "reason": failures[path].reason, "since": failures[path].since} for path in first]
    changes = {"quarantine": listed, "quarantined": len(failures), "updated_at": now()}
    WatchedFolder._get_collection().update_one({"_id": watch.id}, {"$set": changes})


def stop(watch: WatchedFolder) -> None:
    """Say that the watcher has ended as it should."""
    WatchedFolder._get_collection().update_one(
        {"_id": watch.id}, {"$set": {"state": "stopped", "stopped_at": now(), "heartbeat_at": now()}}
    )


def everyone() -> list[WatchedFolder]:
    """Return all watchers, the one started last first."""
    return list(visible(WatchedFolder).order_by("-started_at"))


def settled_before(candidates: Iterable[Candidate]) -> dict[str, Failure | None]:
    """Return the files that need no further try as they are, by ``source``: with why they failed, None if skipped.

    What could not even be copied is not among them; it may be readable today.
    """
    wanted = {each.source: each for each in candidates}
    fields = ("path", "outcome", "reason", "size", "modified_at", "sha256", "updated_at")
    newest: dict[str, dict[str, Any]] = {}
    for row in visible(ImportedFile).filter(path__in=list(wanted)).order_by("updated_at").only(*fields).as_pymongo():
        newest[row["path"]] = row
    return {
        path: Failure(row.get("reason") or "", row["updated_at"]) if row["outcome"] == "failed" else None
        for path, row in newest.items()
        if (row["outcome"] == "skipped" or (row["outcome"] == "failed" and row.get("sha256")))
        and (row.get("size"), row.get("modified_at")) == (wanted[path].size, _stored(wanted[path].modified_at))
    }


def _stored(moment: datetime | None) -> datetime | None:
    """Return a moment to the millisecond that BSON keeps."""
    return moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)
