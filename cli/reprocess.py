"""``battery-analysis reprocess``: read archived files again with the present readers."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError, one_line
from cli import import_options
from cli.common import Context, command, new_app, open_store, run
from cli.import_jobs import outcomes_text
from cli.import_run import check_report, outcome_line, run_and_end, write_report
from cli.output import print_json

if TYPE_CHECKING:
    from battery_analysis.ingest.reprocess import ReprocessRequest

app = new_app()


@command(app, "reprocess")
def reprocess(
    context: Context,
    everything: Annotated[bool, typer.Option("--all", help="Also tests that the present readers have read.")] = False,
    test: Annotated[list[str] | None, typer.Option(metavar="ID", help="This test, stale or not; repeatable.")] = None,
    sample: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Tests of this sample; repeatable.")] = None,
    tester: Annotated[
        list[str] | None, typer.Option(metavar="VENDOR", help="Tests of this tester; repeatable.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Also files that could not be read when they were imported.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare, and store nothing.")] = False,
    workers: import_options.Workers = None,
    scheduler: import_options.Scheduler = None,
    retries: import_options.Retries = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A line for each test looked at: .csv or .json.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="JOB", help="Go on with a job; what failed is tried again.")
    ] = None,
) -> None:
    """Read archived files again with the present readers: stale tests, unless options say which.

    A test is stale if its reader has another version today, is gone, or is not the one its content asks for.
    Exit status: 0 all done; 1 some could not be read and stay as they are; 2 could not start.
    """
    from battery_analysis.ingest import reprocess as again

    which = {"--all": everything, "--test": test, "--sample": sample, "--tester": tester, "--failed": failed}
    how = {"--dry-run": dry_run, "--workers": workers, "--scheduler": scheduler, "--retries": retries is not None}
    if resume is not None and (given := [name for name, value in {**which, **how}.items() if value]):
        raise IngestError(f"--resume goes on with the options of its job; leave out {', '.join(given)}")
    if failed and (given := [name for name in ("--test", "--sample", "--tester") if which[name]]):
        raise IngestError(f"--failed tries files that belong to no test; leave out {', '.join(given)}")
    if report is not None:
        check_report(report)
    if resume is not None:
        run_and_end(context, lambda store: again.resume(store, context.settings, resume), report)
        return
    request = again.ReprocessRequest(
        everything=everything,
        tests=test or (),
        samples=sample or (),
        testers=tester or (),
        failed=failed,
        workers=workers,
        scheduler=scheduler,
        retries=retries,
    )
    if dry_run:
        _plan(context, request, report)
    else:
        run_and_end(context, lambda store: again.begin(store, context.settings, request), report)


def _plan(context: Context, request: ReprocessRequest, report: Path | None) -> None:
    from battery_analysis.ingest.reprocess import plan
    from battery_analysis.ingest.run import outcome_row

    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    with open_store(context) as store:
        for outcome in plan(store, context.settings, request):
            counts[outcome.outcome] += 1
            rows.append(outcome_row(outcome))
            if not context.json and outcome.outcome != "unchanged":
                print(outcome_line(outcome), flush=True)
    if report is not None:
        write_report(report, rows)
    if context.json:
        print_json({"counts": dict(sorted(counts.items())), "files": rows})
    else:
        print(one_line(f"would be: {outcomes_text(counts)}" if counts else "no tests to look at"))
    if counts["failed"]:
        raise typer.Exit(1)


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="reprocess")


if __name__ == "__main__":
    sys.exit(main())
