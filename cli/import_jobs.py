"""What ``battery-analysis import --status`` and ``--history`` show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from battery_analysis.errors import IngestError, one_line
from cli.common import Context, open_store, type_next
from cli.output import duration_text, print_facts, print_json, print_table

if TYPE_CHECKING:
    from battery_analysis.models import ImportJob

RECENT = 10

SHOWN_FILES = 20

_TABLE = {
    "id": "job",
    "state": "state",
    "started_at": "started (UTC)",
    "root": "root",
    "done": "done",
    "total": "total",
    "rate": "files/s",
    "remaining": "remaining",
    "counts": "outcomes",
}


def show_jobs(context: Context, root: str | None, *, everything: bool) -> None:
    """List jobs, newest first: the recent ones or all, those of one root if it is given."""
    from battery_analysis.ingest import job as jobs
    from battery_analysis.ingest.discover import normal_path, stored_text

    with open_store(context):
        found = jobs.recent(None if everything or root else RECENT)
        if root:
            wanted = stored_text(normal_path(Path(root)))
            found = [job for job in found if job.root == wanted][: None if everything else RECENT]
        rows = [job_row(job) for job in found]
    if context.json:
        print_json(rows)
    elif rows:
        print_table([_as_shown(row) for row in rows], _TABLE)
    else:
        print(f"no import of {root}" if root else "no import yet")


def show_job(context: Context, job_id: str) -> None:
    """Show one job, the files that failed in it, and those it skipped."""
    from battery_analysis.models import ImportJob
    from battery_analysis.store.access import by_id

    with open_store(context):
        job = by_id(ImportJob, job_id)
        row = job_row(job)
        failed, skipped = _files(job, "failed"), _files(job, "skipped")
    if context.json:
        print_json({**row, "failures": failed, "skipped": skipped})
        return
    facts = {**_as_shown(row), "job": row["id"], "outcomes": outcomes_text(row["counts"])}
    shown = ("job", "state", "reason", "root", "started_at", "finished_at", "done", "total", "outcomes", "remaining")
    print_facts({name: facts[name] for name in shown})
    again = ("import", "--status", row["id"])
    for name, files in (("failed", failed), ("skipped", skipped)):
        if files:
            print()
            print_table(files[:SHOWN_FILES], {"path": name, "reason": "reason"})
        if len(files) > SHOWN_FILES:
            print(f"and {len(files) - SHOWN_FILES} more {name}; all of them: {type_next(context, *again, '--json')}")


def ask_job(context: Context, job_id: str, wish: Literal["pause", "cancel"]) -> None:
    """Pause or cancel a job, wherever it runs."""
    from battery_analysis.ingest import job as jobs

    with open_store(context):
        job = jobs.ask(job_id, wish)
        row = job_row(job)
    if context.json:
        print_json(row)
    elif row["state"] == "running":
        print(f"job {job.id} on {job.host} is asked to {wish}; it finishes the files in hand")
    else:
        print(f"job {job.id} is {row['state']}")
    if wish == "pause" and not context.json:
        print(f"go on with: {type_next(context, job.kind, '--resume', str(job.id))}")


def roll_back(context: Context, job_id: str) -> None:
    """Undo a job and say what became of each test; exit status 1 where some had to stay."""
    from battery_analysis.ingest import rollback
    from battery_analysis.models import ImportJob
    from battery_analysis.store.access import by_id

    undone: list[dict[str, Any]] = []
    with open_store(context) as store:
        for each in rollback.roll_back(store, context.settings, job_id):
            undone.append(asdict(each))
            if not context.json:
                reason = f": {each.reason}" if each.reason else ""
                print(one_line(f"{each.what:<8} {each.test_id}  {each.name}, sample {each.sample}{reason}"), flush=True)
        row = job_row(by_id(ImportJob, job_id))
    counts = Counter[str](each["what"] for each in undone)
    if context.json:
        print_json({**row, "tests": [{"id": each.pop("test_id"), **each} for each in undone]})
    else:
        print(f"job {row['id']} is rolled back: {outcomes_text(counts) or 'it had stored no test'}")
    if counts["kept"]:
        raise typer.Exit(1)


def _files(job: ImportJob, outcome: str) -> list[dict[str, str]]:
    from battery_analysis.models import ImportedFile
    from battery_analysis.store.access import visible

    found = visible(ImportedFile).filter(job=job.id, outcome=outcome).order_by("path")
    return [{"path": path, "reason": reason} for path, reason in found.scalar("path", "reason")]


def job_row(job: ImportJob) -> dict[str, Any]:
    """Return what ``--json`` says of a job."""
    from battery_analysis.ingest.job import pace, present_state

    rate, remaining = pace(job)
    return {
        "id": str(job.id),
        "state": present_state(job),
        "reason": job.reason,
        "root": job.root,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "done": sum(job.counts.values()),
        "total": job.total,
        "counts": {name: count for name, count in sorted(job.counts.items()) if count},
        "files_per_second": rate,
        "remaining_second": remaining,
    }


def outcomes_text(counts: Mapping[str, int]) -> str:
    """Spell how many files had which outcome.

    >>> outcomes_text({"skipped": 1, "created": 15})
    '15 created, 1 skipped'
    """
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)


def job_and_root(first: str | None, second: str | None) -> tuple[str | None, str | None]:
    """Tell the job from the root in ``[ROOT] [JOB]``, where either may be left out.

    Raises:
        IngestError: Neither a job nor an existing path.
    """
    if second is not None or first is None:
        return second, first
    if Path(first).exists():
        return None, first
    if Path(first).is_absolute() or "/" in first:
        raise IngestError(f"{first}: No such file or directory")
    return first, None


def _as_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    rate = row["files_per_second"]
    return {
        **row,
        "rate": f"{rate:.3g}" if rate else None,
        "remaining": duration_text(row["remaining_second"]),
        "counts": outcomes_text(row["counts"]),
    }
