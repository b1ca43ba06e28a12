"""An import under way, as people see it: progress, a line for each file, the report, the last line."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from battery_analysis.errors import IngestError, one_line
from battery_analysis.files import check_writable, replacing
from cli.common import INTERRUPTED, Context, type_next
from cli.import_jobs import job_row, outcomes_text
from cli.output import counted, print_json, to_plain

if TYPE_CHECKING:
    from rich.progress import Progress

    from battery_analysis.ingest.job import Outcome
    from battery_analysis.ingest.run import JobRun

SHOWN_FAILURES = 20


def run_and_end(context: Context, job_run: JobRun, report: Path | None) -> None:
    """Run a job and end with the status it deserves."""
    again = type_next(context, "import", "--resume", str(job_run.job.id))
    try:
        counts = run_and_show(context, job_run, report)
    except IngestError as exc:
        raise IngestError(f"{exc}; once that is mended, go on with: {again}") from exc
    if job_run.stopping.is_set():
        print(f"interrupted; go on with: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(1)


def run_and_show(context: Context, job_run: JobRun, report: Path | None = None) -> Counter[str]:
    """Run a job, show how it goes, and return how many files had which outcome."""
    from battery_analysis.ingest.run import outcome_row

    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    began = time.monotonic()
    try:
        with _finishes_on_interrupt(job_run), _progress(len(job_run.candidates)) as progress:
            for outcome in job_run:
                counts[outcome.outcome] += 1
                if report is not None or context.json or outcome.outcome == "failed":
                    rows.append(outcome_row(outcome))
                _show(outcome, progress, quiet=context.json)
    finally:  # an import that ends early reports the files it took
        if report is not None:
            write_report(report, rows)
    job_run.job.reload()
    if context.json:
        print_json({**job_row(job_run.job), "files": rows})
    else:
        _summarise(context, job_run, counts, time.monotonic() - began, rows)
    return counts


def check_report(path: Path) -> None:
    """Refuse a report that could not be written, before the work begins.

    Raises:
        BatteryAnalysisError: Its suffix is unknown, or its folder is missing or read-only.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise IngestError(f"--report: {path} must end in .csv or .json")
    check_writable(path)


def write_report(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a line for each file, as CSV or JSON by the suffix of ``path``.

    Raises:
        BatteryAnalysisError: It cannot be written; an older report is as it was.
    """
    columns = ("path", "outcome", "test_id", "reader", "sample", "records", "cycles", "seconds", "reason", "warnings")
    plain = [to_plain({name: row[name] for name in columns}) for row in rows]
    text = io.StringIO(newline="")
    if path.suffix.lower() == ".json":
        json.dump(plain, text, indent=2)
    else:
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows({**row, "warnings": "; ".join(row["warnings"])} for row in plain)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def outcome_line(outcome: Outcome) -> str:
    """Say on one line what became of a file."""
    parts = [f"{outcome.outcome:<9} {outcome.path}"]
    if outcome.records is not None:
        amount = f"{counted(outcome.records, 'record')}, {counted(outcome.cycles or 0, 'cycle')}"
        parts.append(f"sample {outcome.sample}, {amount}")
    if outcome.reason:
        parts.append(outcome.reason)
    parts += [f"warning: {warning}" for warning in outcome.warnings]
    return one_line(" | ".join(parts))


@contextmanager
def _finishes_on_interrupt(job_run: JobRun) -> Iterator[None]:
    """Let the first Ctrl-C finish the files in hand; a second one ends at once."""

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        print("finishing the files in hand; Ctrl-C again ends at once", file=sys.stderr)
        job_run.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(total: int) -> Iterator[Progress | None]:
    """Show a bar with rate and remaining time on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("importing"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        progress.add_task("importing", total=total, rate="")
        yield progress


def _show(outcome: Outcome, progress: Progress | None, *, quiet: bool) -> None:
    """Print a file as a line; with a bar, count it there and print only what a person should see."""
    if progress is None:
        if not quiet:
            print(outcome_line(outcome), flush=True)
        return
    task = progress.tasks[0]
    speed = f"{task.speed:.0f} files/s" if task.speed else ""
    progress.update(task.id, advance=1, rate=speed)
    remarkable = outcome.warnings or (outcome.reason and outcome.outcome in ("created", "updated", "duplicate"))
    if not quiet and (remarkable or outcome.outcome == "failed"):
        from rich.text import Text

        progress.console.print(Text(outcome_line(outcome), style="red" if outcome.outcome == "failed" else "yellow"))


def _summarise(
    context: Context, job_run: JobRun, counts: Counter[str], seconds: float, rows: Iterable[dict[str, Any]]
) -> None:
    job = job_run.job
    failed = [row for row in rows if row["outcome"] == "failed"]
    if sys.stderr.isatty() and failed:
        print(f"{len(failed)} failed:")
        for row in failed[:SHOWN_FAILURES]:
            print(one_line(f"  {row['path']}: {row['reason']}"))
        if len(failed) > SHOWN_FAILURES:
            again = type_next(context, "import", "--status", str(job.id))
            print(f"  and {len(failed) - SHOWN_FAILURES} more: {again}")
    print(f"job {job.id}: {outcomes_text(counts) or 'no files found'} in {seconds:.1f} s")
