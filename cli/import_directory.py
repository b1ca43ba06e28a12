"""``battery-analysis import ROOT``: import every supported file below a folder."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError, one_line
from cli.common import INTERRUPTED, Context, command, new_app, open_store, run
from cli.output import print_facts, print_json, print_table, replacing, to_plain

if TYPE_CHECKING:
    from rich.progress import Progress

    from battery_analysis.ingest.importer import ImportOptions
    from battery_analysis.ingest.job import Outcome
    from battery_analysis.ingest.run import ImportRequest, JobRun
    from battery_analysis.models import ImportJob

SHOWN_FAILURES = 20

app = new_app()


@command(app, "import")
def import_directory(
    context: Context,
    root: Annotated[
        Path | None,
        typer.Argument(metavar="ROOT", help="Folder or file; with --status a job, or nothing for the recent ones."),
    ] = None,
    include: Annotated[list[str] | None, typer.Option(metavar="PAT", help="Glob of files to take; repeatable.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PAT", help="Glob of files and folders to leave out; repeatable.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Folder levels below ROOT; 0 takes files in ROOT alone.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Reading processes.")] = None,
    sample_lookup: Annotated[
        bool, typer.Option("--sample-lookup", help="Take the sample from the file's header alone, or fail the file.")
    ] = False,
    sample_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV (file_path,sample) or TOML ([samples]) of files and samples."),
    ] = None,
    sample: Annotated[str | None, typer.Option(metavar="NAME", help="One sample for all files.")] = None,
    preview_samples: Annotated[
        bool,
        typer.Option(
            "--preview-samples", help="Show file, sample and why; writes a --sample-map that does not exist yet."
        ),
    ] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="After --preview-samples, import.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be imported, updated or skipped.")
    ] = False,
    no_archive: Annotated[bool, typer.Option("--no-archive", help="Do not keep the original bytes.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Import again what was imported before.")] = False,
    tags: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Tag of files, tests and new samples; repeatable.")
    ] = None,
    operator: Annotated[str | None, typer.Option(metavar="NAME", help="Who ran the tests.")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="On which tester they ran.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Kept on files and tests; repeatable.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="A line for each file: .csv or .json.")] = None,
    status: Annotated[bool, typer.Option("--status", help="Show recent jobs, or the one named: --status JOB.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Show all jobs.")] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="JOB", help="Go on with a job; failed files are tried again.")
    ] = None,
) -> None:
    """Import every supported file below ROOT.

    Exit status: 0 all done; 1 some files failed; 2 could not start.
    """
    from battery_analysis.ingest import run as runs

    if status or history:
        _show_jobs(context, str(root) if root else None, everything=history)
        return
    if report is not None and report.suffix.lower() not in (".csv", ".json"):
        raise IngestError(f"--report: {report} must end in .csv or .json")
    if resume is not None:
        if root is not None:
            raise IngestError(f"--resume goes on with the root of its job; leave out {root}")
        with open_store(context) as store:
            _run_and_end(context, runs.resume(store, context.settings, resume), report)
        return
    if root is None:
        raise IngestError("a folder or file to import is wanted")
    if sum((sample_lookup, sample_map is not None, sample is not None)) > 1:
        raise IngestError("--sample, --sample-map and --sample-lookup exclude one another")
    new_map = sample_map if preview_samples and sample_map and not sample_map.exists() else None
    request = runs.ImportRequest(
        root=str(root.absolute()),
        include=include or (),
        exclude=exclude or (),
        depth=depth,
        workers=workers,
        sample=sample,
        sample_map=str(sample_map.absolute()) if sample_map and not new_map else None,
        sample_lookup=sample_lookup,
        archive=not no_archive,
        reset=reset,
        tags=tags or (),
        operator=operator,
        device=device,
        metadata=_pairs(metadata or ()),
    )
    if preview_samples:
        _preview(context, request.options(context.settings), new_map)
        if not confirm:
            return
        if new_map:
            request = replace(request, sample_map=str(new_map.absolute()))
    with open_store(context) as store:
        if dry_run:
            _plan(context, store, request)
        else:
            _run_and_end(context, runs.begin(store, context.settings, request), report)


def _run_and_end(context: Context, job_run: JobRun, report: Path | None) -> None:
    """Run a job and end with the status it deserves."""
    counts = run_and_show(context, job_run, report)
    if job_run.stopping.is_set():
        print(f"interrupted; go on with: battery-analysis import --resume {job_run.job.id}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if counts["failed"]:
        raise typer.Exit(1)


def run_and_show(context: Context, job_run: JobRun, report: Path | None = None) -> Counter[str]:
    """Run a job, show how it goes, and return how many files had which outcome."""
    from battery_analysis.ingest.run import outcome_row

    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    with _finishes_on_interrupt(job_run), _progress(len(job_run.candidates)) as progress:
        for outcome in job_run:
            counts[outcome.outcome] += 1
            if report is not None or context.json or outcome.outcome == "failed":
                rows.append(outcome_row(outcome))
            _show(outcome, progress, quiet=context.json)
    if report is not None:
        _write_report(report, rows)
    job_run.job.reload()
    if context.json:
        print_json({"job": _job_row(job_run.job), "files": rows})
    else:
        _summarise(job_run, counts, [row for row in rows if row["outcome"] == "failed"])
    return counts


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
    """Count a file on the bar; without a bar, print it as a line."""
    if progress is None:
        if not quiet:
            print(_line(outcome), flush=True)
        return
    task = progress.tasks[0]
    speed = f"{task.speed:.0f} files/s" if task.speed else ""
    progress.update(task.id, advance=1, rate=speed)
    if outcome.outcome == "failed" and not quiet:
        from rich.text import Text

        progress.console.print(Text(_line(outcome), style="red"))


def _line(outcome: Outcome) -> str:
    parts = [f"{outcome.outcome:<9} {outcome.path}"]
    if outcome.records is not None:
        parts.append(f"sample {outcome.sample}, {outcome.records} records, {outcome.cycles} cycles")
    if outcome.reason:
        parts.append(outcome.reason)
    parts += [f"warning: {warning}" for warning in outcome.warnings]
    return one_line(" | ".join(parts))


def _summarise(job_run: JobRun, counts: Counter[str], failed: list[dict[str, Any]]) -> None:
    job = job_run.job
    if sys.stderr.isatty() and failed:
        print(f"{len(failed)} failed:")
        for row in failed[:SHOWN_FAILURES]:
            print(one_line(f"  {row['path']}: {row['reason']}"))
        if len(failed) > SHOWN_FAILURES:
            print(f"  and {len(failed) - SHOWN_FAILURES} more: battery-analysis import --status {job.id}")
    print(f"job {job.id}: {_counted(counts) or 'no files found'} in {job.seconds:.1f} s")


def _preview(context: Context, options: ImportOptions, new_map: Path | None) -> None:
    from battery_analysis.ingest.importer import candidates_of, preview_files
    from battery_analysis.ingest.sample_rules import write_sample_map

    rows, chosen = [], {}
    for each in sorted(preview_files(options, candidates_of(options)), key=lambda each: each.relative):
        decision = each.decision
        if decision is not None:
            chosen[each.relative] = decision.sample
        rows.append(
            {
                "file": each.relative,
                "sample": decision.sample if decision else None,
                "cell_code": decision.cell_code if decision else None,
                "why": decision.rule if decision else each.problem,
                "passed_over": list(decision.passed_over) if decision else [],
            }
        )
    if new_map is not None:
        write_sample_map(new_map, chosen)
    if context.json:
        print_json(rows)
        return
    print_table(rows, ("file", "sample", "cell_code", "why", "passed_over"))
    if new_map is not None:
        print(f"written to {new_map}; edit it, then import with --sample-map {new_map}")


def _plan(context: Context, store: Any, request: ImportRequest) -> None:
    from battery_analysis.ingest.importer import candidates_of, plan_files

    options = request.options(context.settings)
    outcomes = list(plan_files(store, options, candidates_of(options)))
    if context.json:
        print_json([{"path": each.path, "outcome": each.outcome, "reason": each.reason} for each in outcomes])
        return
    for outcome in outcomes:
        print(_line(outcome))
    counts: Counter[str] = Counter(outcome.outcome for outcome in outcomes)
    print(f"would be: {_counted(counts) or 'no files found'}")


def _show_jobs(context: Context, job_id: str | None, *, everything: bool) -> None:
    from battery_analysis.ingest import job as jobs
    from battery_analysis.models import ImportJob
    from battery_analysis.store.access import by_id

    with open_store(context):
        if job_id is None:
            rows = [_job_row(job) for job in (jobs.recent(None) if everything else jobs.recent())]
            if context.json:
                print_json(rows)
            else:
                columns = ("id", "state", "started_at", "root", "done", "total", "files_per_second", "counts")
                print_table([{**row, "counts": _counted(row["counts"])} for row in rows], columns)
            return
        job = by_id(ImportJob, job_id)
        failed = [{"path": each.path, "reason": each.reason} for each in jobs.failures(job)]
        if context.json:
            print_json({**_job_row(job), "failures": failed})
            return
        row = _job_row(job)
        print_facts({**row, "counts": _counted(row["counts"])})
        if failed:
            print_table(failed, ("path", "reason"))


def _job_row(job: ImportJob) -> dict[str, Any]:
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


def _write_report(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    columns = ("path", "outcome", "test_id", "reader", "sample", "records", "cycles", "seconds", "reason")
    text = io.StringIO(newline="")
    if path.suffix.lower() == ".json":
        json.dump(to_plain([{name: row[name] for name in columns} for row in rows]), text, indent=2)
    else:
        writer = csv.DictWriter(text, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise IngestError(f"--metadata: KEY=VALUE wanted, got {text!r}")
        pairs[key.strip()] = value.strip()
    return pairs


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="import_directory")


if __name__ == "__main__":
    sys.exit(main())
