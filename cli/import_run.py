"""An import under way, as people see it: progress, a line for each file, the report, the last line."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from battery_analysis.errors import ClusterError, IngestError, StoreError, one_line
from battery_analysis.files import check_writable, replacing
from cli.common import INTERRUPTED, Context, open_store, type_next
from cli.import_jobs import job_row, outcomes_text
from cli.output import counted, print_json, to_plain
from cli.stopping import finishes_first

if TYPE_CHECKING:
    from rich.progress import Progress

    from battery_analysis.ingest.job import Outcome
    from battery_analysis.ingest.run import JobRun
    from battery_analysis.models import ImportJob
    from battery_analysis.store import Store

SHOWN_FAILURES = 20
SHOWN_SUFFIXES = 6
SHOWN_SAMPLES = 3

STEADY_SECONDS = 1.0
"""A rate means nothing before."""


def run_and_end(
    context: Context, open_job: Callable[[Store], JobRun], report: Path | None, *, notify: bool = False
) -> None:
    """Open a job in the store, run it, tell how it ended if asked to, and end with the status it deserves."""
    from battery_analysis.ingest.messenger import require_targets, tells_at_the_end

    again = None
    if notify:
        require_targets(context.settings.notify)
    try:
        with open_store(context) as store:
            job_run = open_job(store)
            again = type_next(context, job_run.command, "--resume", str(job_run.job.id))
            with tells_at_the_end(context.settings.notify, job_run.job) if notify else nullcontext():
                counts = run_and_show(context, job_run, report)
    except (ClusterError, IngestError, StoreError) as exc:
        if again is None:
            raise
        raise IngestError(f"{exc}; once that is mended, go on with: {again}") from exc
    except KeyboardInterrupt as exc:
        if again is None:
            raise
        print(f"interrupted; go on with: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from exc
    if job_run.stopping.is_set():
        state = job_run.job.state
        print(state if state == "cancelled" else f"{state}; go on with: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(1)


def run_and_show(context: Context, job_run: JobRun, report: Path | None = None) -> Counter[str]:
    """Run a job, show how it goes, and return how many files had which outcome."""
    from battery_analysis.ingest.run import outcome_row

    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    began = time.monotonic()
    try:
        with finishes_first(job_run.stop, (signal.SIGINT,)), _progress(job_run.command, job_run.total) as progress:
            for outcome in job_run:
                counts[outcome.outcome] += 1
                if report is not None or context.json:
                    rows.append(outcome_row(outcome))
                if outcome.outcome == "skipped":
                    skipped[Path(outcome.path).suffix.lower() or "without suffix"] += 1
                is_one_too_many = outcome.outcome == "failed" and counts["failed"] > SHOWN_FAILURES
                if not (context.json or _is_as_expected(job_run, outcome) or (progress and is_one_too_many)):
                    _show(outcome, progress)
                if progress is not None:
                    _advance(progress)
    finally:  # an import that ends early reports the files it took
        if report is not None:
            write_report(report, rows)
    if context.json:
        print_json({**job_row(job_run.job), "files": rows})
    else:
        _summarise(context, job_run, counts, skipped, time.monotonic() - began)
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
    as_text = ({**row, "warnings": "; ".join(row["warnings"])} for row in rows)
    write_rows(path, columns, rows if path.suffix.lower() == ".json" else as_text)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV or JSON by the suffix of ``path``.

    Raises:
        BatteryAnalysisError: It cannot be written; an older file is as it was.
    """
    plain = [to_plain({name: row[name] for name in columns}) for row in rows]
    text = io.StringIO(newline="")
    if path.suffix.lower() == ".json":
        json.dump(plain, text, indent=2)
    else:
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(plain)
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
def _progress(command: str, total: int) -> Iterator[Progress | None]:
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
        TextColumn("reading again" if command == "reprocess" else "importing"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        progress.add_task(command, total=total, rate="")
        yield progress


def _show(outcome: Outcome, progress: Progress | None) -> None:
    """Print a file as a line; beside a bar only what a person should see."""
    if progress is None:
        print(outcome_line(outcome), flush=True)
        return
    remarkable = outcome.warnings or (outcome.reason and outcome.outcome in ("created", "updated", "duplicate"))
    if remarkable or outcome.outcome == "failed":
        from rich.text import Text

        line = Text(outcome_line(outcome), style="red" if outcome.outcome == "failed" else "yellow")
        progress.console.print(line, soft_wrap=True)


def _is_as_expected(job_run: JobRun, outcome: Outcome) -> bool:
    """Say whether a test was looked at only to find that nothing is to be done."""
    return job_run.command == "reprocess" and outcome.outcome == "unchanged"


def _advance(progress: Progress) -> None:
    task = progress.tasks[0]
    speed = f"{task.speed:.0f} files/s" if task.speed and (task.elapsed or 0.0) >= STEADY_SECONDS else ""
    progress.update(task.id, advance=1, rate=speed)


def _summarise(context: Context, job_run: JobRun, counts: Counter[str], skipped: Counter[str], seconds: float) -> None:
    job = job_run.job
    if sys.stderr.isatty():  # elsewhere each file has its line
        reasons = type_next(context, "import", "--status", str(job.id))
        if counts["failed"] > SHOWN_FAILURES:
            print(f"{counts['failed'] - SHOWN_FAILURES} more failed; why: {reasons}")
        if skipped:
            known = type_next(context, "formats")
            print(one_line(f"skipped: {_by_suffix(skipped)}; what can be read: {known}"))
            print(f"why each was skipped: {reasons} (or import with --report FILE)")
    if named := _named_by_folder(job):
        print(one_line(named))
    nothing = f"no files found in {job.root}" if job.kind == "import" else "no tests to look at"
    found = outcomes_text(counts) or nothing
    print(one_line(f"job {job.id}: {found} in {seconds:.1f} s" if counts else f"job {job.id}: {found}"))


def _by_suffix(skipped: Counter[str]) -> str:
    most = skipped.most_common(SHOWN_SUFFIXES)
    others = skipped.total() - sum(count for _, count in most)
    return ", ".join([*(f"{count} {suffix}" for suffix, count in most), *([f"{others} others"] if others else [])])


def _named_by_folder(job: ImportJob) -> str | None:
    """Say where files of a job became one sample only because they lie in one folder."""
    from battery_analysis.models import TestResult
    from battery_analysis.store.access import visible

    found = visible(TestResult).filter(import_job=job.id, sample_rule="folder")
    if (count := found.count()) < 2:
        return None
    samples = sorted(found.distinct("sample_name"))
    shown = ", ".join(samples[:SHOWN_SAMPLES]) + (", …" if len(samples) > SHOWN_SAMPLES else "")
    return (
        f"{count} files got their sample from the folder's name alone ({shown}); "
        "if they are different cells, see --preview-samples and --sample-map"
    )
