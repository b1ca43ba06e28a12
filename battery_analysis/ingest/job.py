"""Import jobs: who runs, how far, and what became of each file."""

from __future__ import annotations

import logging
import shlex
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, Literal

from bson import ObjectId
from pymongo.errors import PyMongoError

from battery_analysis.errors import IngestError
from battery_analysis.models import ImportedFile, ImportJob, checked, now
from battery_analysis.store.access import by_id, visible

logger = logging.getLogger(__name__)

Wish = Literal["pause", "cancel"]
Kind = Literal["import", "reprocess"]
OutcomeName = Literal["created", "updated", "unchanged", "duplicate", "failed", "skipped"]

BEAT_SECONDS = 15.0
LISTEN_SECONDS = 1.0
"""How long it takes a running job to hear that it is asked to stop."""
SILENT_AFTER = timedelta(seconds=60)
"""A running job without a sign of life for this long has died."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    path: str
    outcome: OutcomeName
    reason: str | None = None
    sha256: str | None = None
    size: int | None = None
    modified_at: datetime | None = None
    test_id: ObjectId | None = None
    raw_id: ObjectId | None = None
    sample: str | None = None
    reader: str | None = None
    records: int | None = None
    cycles: int | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()


def start(root: str, options: Mapping[str, Any], kind: Kind = "import") -> ImportJob:
    """Open a new job."""
    job = ImportJob(kind=kind, root=root, options=dict(options), **_this_process())
    checked(job)
    job.save(force_insert=True, validate=False)
    return job


def resumable(job_id: str, kind: Kind = "import") -> ImportJob:
    """Return a job of a kind that was interrupted or paused, or has failures.

    Raises:
        NotFoundError: No such job.
        IngestError: It is of another kind, a watcher's of several folders, still running, was cancelled or rolled back,
            or nothing is left to do.
    """
    job = by_id(ImportJob, job_id)
    if job.kind != kind:
        raise IngestError(f"job {job.id} is of the command {job.kind}; go on with: {job.kind} --resume {job.id}")
    if len(roots := job.options.get("roots", ())) > 1:
        raise IngestError(f"job {job.id} is a watcher's of several folders; go on with: watch {shlex.join(roots)}")
    state = present_state(job)
    if state == "running":
        raise IngestError(f"job {job.id} is running on {job.host} (process {job.pid})")
    if state in ("cancelled", "rolled_back"):
        instead = f"import {job.root} again" if kind == "import" else f"{kind} again"
        raise IngestError(f"job {job.id} is {_spelled(state)}; {instead} instead")
    if state in ("completed", "stopped") and not job.counts.get("failed"):
        raise IngestError(f"job {job.id} is {state} without failures; nothing is left to do")
    return job


def reopen(job: ImportJob) -> None:
    """Say that this process goes on with a job.

    Raises:
        IngestError: Another process was faster.
    """
    seen = {"state": job.state, "pid": job.pid, "process_started": job.process_started, "host": job.host}
    here = {"state": "running", "reason": None, "finished_at": None, "asked": None, "heartbeat_at": now()}
    if not job.modify(seen, **here, **_this_process()):
        raise IngestError(f"job {job.id} was taken up by another process meanwhile")


def ask(job_id: str, wish: Wish) -> ImportJob:
    """Ask the process that runs a job to pause or to cancel it; a job that nobody runs is cancelled at once.

    Raises:
        NotFoundError: No such job.
        IngestError: It is not in a state that this can be asked of.
    """
    job = by_id(ImportJob, job_id)
    state = present_state(job)
    if state == "running":
        if not job.modify({"state": "running"}, asked=wish):
            raise IngestError(f"job {job.id} ended meanwhile; see import --status {job.id}")
        return job
    if wish == "cancel" and state in ("paused", "interrupted", "failed"):
        changes = {"state": "cancelled", "reason": "cancelled by a user", "finished_at": now(), "updated_at": now()}
        if job.modify({"state": job.state, "heartbeat_at": job.heartbeat_at}, **changes):
            return job
        raise IngestError(f"job {job.id} was taken up by another process meanwhile; ask again")
    raise IngestError(f"job {job.id} is {_spelled(state)}, not running; there is nothing to {wish}")


def record(job: ImportJob, outcomes: Sequence[Outcome]) -> None:
    """Keep the outcomes of files, one record per file and job, and count them."""
    if not outcomes:
        return
    files = ImportedFile._get_collection()
    newest = {outcome.path: outcome for outcome in outcomes}
    wanted = {"job": job.id, "path": {"$in": list(newest)}}
    before = {each["path"]: each for each in files.find(wanted, {"path": 1, "outcome": 1})}
    steps: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    for path, outcome in newest.items():
        steps[outcome.outcome] += 1
        if path in before:  # tried again
            steps[before[path]["outcome"]] -= 1
            files.update_one({"job": job.id, "path": path}, {"$set": _fields(outcome)})
        else:
            first.append({"job": job.id, "path": path, "created_at": now(), **_fields(outcome)})
    if first:
        files.insert_many(first, ordered=False)
    change: dict[str, Any] = {"$set": {"heartbeat_at": now()}}
    if moved := {f"counts.{name}": step for name, step in steps.items() if step}:
        change["$inc"] = moved
    ImportJob._get_collection().update_one({"_id": job.id}, change)


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "sha256": outcome.sha256,
        "size": outcome.size,
        "modified_at": outcome.modified_at,
        "test_result": outcome.test_id,
        "raw_file": outcome.raw_id,
        "sample_name": outcome.sample,
        "reader": outcome.reader,
        "record_count": outcome.records,
        "cycle_count": outcome.cycles,
        "seconds": outcome.seconds,
        "updated_at": now(),
    }


def finish(job: ImportJob, state: str, reason: str | None, *, seconds: float) -> None:
    """Close a job in a state."""
    job.reload()
    total = (job.seconds or 0.0) + seconds
    # Whoever died between a record and its count left the count behind.
    by_outcome = [{"$match": {"job": job.id}}, {"$group": {"_id": "$outcome", "files": {"$sum": 1}}}]
    counts = {row["_id"]: row["files"] for row in visible(ImportedFile).aggregate(by_outcome)}
    closing = {"state": state, "reason": reason, "finished_at": now(), "seconds": total, "counts": counts}
    job.modify(asked=None, updated_at=now(), **closing)


def ending(job: ImportJob, *, stopped: bool) -> tuple[str, str | None]:
    """Return the state in which a job ends that met no error, and why."""
    job.reload("asked")
    if not stopped:
        return "completed", None
    match job.asked:
        case "pause":
            return "paused", "paused by a user"
        case "cancel":
            return "cancelled", "cancelled by a user"
        case _:
            return "interrupted", "stopped by a user"


def set_total(job: ImportJob, total: int) -> None:
    """Keep how many files the job has to look at."""
    job.modify(total=total, heartbeat_at=now())


def present_state(job: ImportJob) -> str:
    """Return the state; a running job whose process gave no sign of life is interrupted."""
    if job.state == "running" and _has_died(job):
        return "interrupted"
    return str(job.state)


def recent(limit: int | None = 10) -> list[ImportJob]:
    """Return the newest jobs, newest first; all of them without a limit."""
    newest_first = visible(ImportJob).order_by("-started_at")
    return list(newest_first if limit is None else newest_first.limit(limit))


def pace(job: ImportJob) -> tuple[float | None, float | None]:
    """Return files per second and, while the job is running, the seconds that remain."""
    done = sum(job.counts.values())
    running = present_state(job) == "running"
    seconds = (job.seconds or 0.0) + ((now() - job.started_at).total_seconds() if running else 0.0)
    if not done or not seconds:
        return None, None
    rate = done / seconds
    return rate, (job.total - done) / rate if running and job.total else None


def failures(job: ImportJob) -> Iterator[ImportedFile]:
    """Yield the files of a job that failed."""
    yield from visible(ImportedFile).filter(job=job.id, outcome="failed").order_by("path")


def tests_of(job: ImportJob) -> list[ObjectId]:
    """Return the tests that the files of a job belong to."""
    return list(visible(ImportedFile).filter(job=job.id, test_result__ne=None).distinct("test_result"))


def settled_paths(job: ImportJob) -> set[str]:
    """Return the paths a resumed job does not look at again."""
    return set(visible(ImportedFile).filter(job=job.id, outcome__ne="failed").scalar("path"))


@contextmanager
def beating(job: ImportJob, stopping: Event) -> Iterator[None]:
    """Give signs of life while the block runs, also while one file takes long; ``stopping`` is set once asked."""
    ended = Event()

    def beat() -> None:
        jobs, last = ImportJob._get_collection(), 0.0
        while not ended.wait(LISTEN_SECONDS):
            try:
                if time.monotonic() - last >= BEAT_SECONDS:
                    jobs.update_one({"_id": job.id}, {"$set": {"heartbeat_at": now()}})
                    last = time.monotonic()
                if jobs.find_one({"_id": job.id, "asked": {"$in": ["pause", "cancel"]}}, {"_id": 1}):
                    stopping.set()
            except PyMongoError as exc:  # whoever stores files meets the same error, and says so
                logger.info("no sign of life of job %s could be stored: %s", job.id, exc)

    thread = Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _spelled(state: str) -> str:
    return state.replace("_", " ")


def _this_process() -> dict[str, Any]:
    import psutil

    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": process.pid, "process_started": process.create_time()}


def _has_died(job: ImportJob) -> bool:
    if job.host == socket.gethostname() and job.pid is not None:
        import psutil

        try:
            # Numbers of processes come again, after a reboot or in the next container.
            return bool(psutil.Process(job.pid).create_time() != job.process_started)
        except psutil.NoSuchProcess:
            return True
    return bool(now() - job.heartbeat_at > SILENT_AFTER)
