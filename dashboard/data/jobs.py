"""Import jobs: how far they are, what became of each file, and what people can ask of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from battery_analysis.errors import IngestError
from battery_analysis.ingest import job as jobs
from battery_analysis.models import ImportedFile, ImportJob, TestResult
from battery_analysis.store.access import by_id, visible
from dashboard import links
from dashboard.data import asked, incoming, processes

Job = ImportJob
OUTCOMES = ("created", "updated", "unchanged", "duplicate", "skipped", "failed")
Wish = Literal["pause", "resume", "cancel", "rollback"]

SHOWN = 30

_NAMES = 3

_FIELDS = {"path": "path", "outcome": "outcome", "sample": "sample_name", "reader": "reader", "seconds": "seconds"}


@dataclass(frozen=True)
class Progress:
    """A job as the page shows it."""

    job: Job
    title: str
    """Where its files come from."""
    state: str
    done: int
    rate: float | None
    """Files per second."""
    remaining: float | None
    """Seconds."""
    wishes: tuple[Wish, ...]
    """What can be asked of it now."""
    is_undone: bool = False
    """Whether a rollback of it is under way."""
    is_watched: bool = False
    """Whether it is that of a watcher, which goes on until it is stopped."""
    problem: str | None = None
    """Why the command that was started last for it could not do its work."""
    soon: str | None = None
    """What it was asked and has not done yet, as a sentence."""


@asked
def recent(most: int = SHOWN) -> list[Progress]:
    """Return the newest jobs, newest first."""
    return [_progress(job) for job in jobs.recent(most)]


@asked
def one(job_id: str) -> Progress:
    """Return a job.

    Raises:
        NotFoundError: No such job.
    """
    return _progress(by_id(ImportJob, job_id))


def _progress(job: Job) -> Progress:
    state = jobs.present_state(job)
    rate, remaining = jobs.pace(job)
    last = next((each for each in processes.recent() if each.job == str(job.id)), None)
    is_undone = last is not None and last.kind == "rollback" and last.is_running
    wishes = () if last is not None and last.is_running and state != "running" else _wishes(job, state)
    problem = last.problem if last is not None else None
    done, is_watched = sum(job.counts.values()), bool(job.options.get("roots"))
    soon = _soon(job, state, last if last is not None and last.is_running else None, is_watched=is_watched)
    return Progress(job, _title(job), state, done, rate, remaining, wishes, is_undone, is_watched, problem, soon)


def _soon(job: Job, state: str, at_work: processes.Started | None, *, is_watched: bool) -> str | None:
    if at_work is not None and at_work.kind == "rollback":
        return "The import is being rolled back."
    if state == "running":
        who = "The watcher is asked to stop" if is_watched else f"The import is asked to {job.asked}"
        return f"{who}; it finishes the files in hand." if job.asked else None
    if at_work is None or (job.finished_at is not None and job.finished_at > at_work.at):  # it has run, and ends
        return None
    return "The import is being started again; failed files are tried once more."


def _title(job: Job) -> str:
    uploaded = str(incoming.spool().files)
    if job.root == uploaded:
        # Written by ``incoming.confirm``: globs that each mean one file.
        names = [each.removeprefix("/") for each in job.options.get("include", ())]
        shown = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
        return f"uploaded: {shown}"
    if job.root.startswith(f"{uploaded}/"):
        return f"uploaded: {job.root[len(uploaded) + 1 :]}"
    if job.options.get("roots"):
        return f"watched: {job.root}"
    return str(job.root) if job.kind == "import" else f"{job.kind}: {job.root}"


def _wishes(job: Job, state: str) -> tuple[Wish, ...]:
    roots = job.options.get("roots", ())
    again: tuple[Wish, ...] = ("resume",) if job.kind == "import" and len(roots) < 2 else ()
    match state:
        case "running" if job.asked:
            return ()
        case "running":
            return ("cancel",) if roots else ("pause", "cancel")
        case "paused" | "interrupted" | "failed":
            return (*again, "cancel", "rollback")
        case "completed" | "stopped":
            return (*(again if job.counts.get("failed") else ()), "rollback")
        case "cancelled":
            return ("rollback",)
    return ()


@asked
def ask(job_id: str, wish: Wish) -> None:
    """Ask something of a job; what happens now stands in its ``Progress``.

    Raises:
        NotFoundError: No such job.
        IngestError: It is not in a state that this can be asked of.
    """
    progress = _progress(by_id(ImportJob, job_id))
    if wish not in progress.wishes:
        raise IngestError(f"job {job_id} is {progress.state.replace('_', ' ')}; there is nothing to {wish}")
    about = progress.title
    match wish:
        case "resume":
            jobs.resumable(job_id)
            words = ["import", f"--resume={job_id}"]
            processes.start("import", words, about=about, job=job_id, then=incoming.tidy)
        case "rollback":
            words = ["import", f"--rollback={job_id}"]
            processes.start("rollback", words, about=about, job=job_id)
        case _:
            jobs.ask(job_id, wish)


@asked
def beginning() -> list[processes.Started]:
    """Return imports that were started here and have no job yet: those that still look for files, and that could not.

    The job of one is known by the number and the start of its process.
    """
    own = [each for each in processes.recent() if each.kind == "import" and each.job is None]
    first = min((each.at for each in own), default=None)
    if first is None:
        return []
    seen = set(visible(ImportJob).filter(started_at__gte=first, pid__in=[each.pid for each in own]).scalar("pid"))
    return [each for each in own if each.pid not in seen and (each.is_running or each.problem)]


@asked
def files(
    job_id: str, chosen: Mapping[str, Any], sort: str | None, first: int, last: int | None
) -> tuple[list[dict[str, Any]], int]:
    """Return what became of the files of a job, from number ``first`` to before ``last``, and how many fit in all.

    Args:
        job_id: The job.
        chosen: ``outcome``, and ``text``: a part of path or reason.
        sort: One of path, outcome, sample, reader, seconds, with ``-`` before it for downwards.
        first: Number of the first row.
        last: Number of the row after the last; None: all.
    """
    wanted: dict[str, Any] = {"job": by_id(ImportJob, job_id).id}
    if outcome := links.text(chosen.get("outcome")):
        wanted["outcome"] = outcome
    if text := links.text(chosen.get("text")):
        part = {"$regex": re.escape(text), "$options": "i"}
        wanted["$or"] = [{"path": part}, {"reason": part}]
    found = visible(ImportedFile).filter(__raw__=wanted)
    backwards, key = (sort or "path").startswith("-"), (sort or "path").removeprefix("-")
    ordered = found.order_by(f"{'-' if backwards else '+'}{_FIELDS[key]}").skip(first)
    cut = ordered if last is None else ordered.limit(last - first)
    rows = [_file_row(row) for row in cut.as_pymongo()]
    return rows, len(rows) if last is None else int(found.count())


def _file_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["_id"]),
        "path": row["path"],
        "name": row["path"].rsplit("/", 1)[-1],
        "outcome": row["outcome"],
        "reason": row.get("reason"),
        "sample": row.get("sample_name"),
        "reader": row.get("reader"),
        "records": row.get("record_count"),
        "cycles": row.get("cycle_count"),
        "seconds": row.get("seconds"),
        "size": row.get("size"),
        "sha256": row.get("sha256"),
        "test_id": str(row["test_result"]) if row.get("test_result") else None,
        "test": "open" if row.get("test_result") else None,
        "raw_id": str(row["raw_file"]) if row.get("raw_file") else None,
    }


@asked
def stored_tests(job_id: str) -> int:
    """Return how many tests a job has made."""
    return int(visible(TestResult).filter(created_in=by_id(ImportJob, job_id).id).count())
