"""``battery-analysis import ROOT``: import every supported file below a folder."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from battery_analysis.errors import IngestError, one_line
from cli import import_options
from cli.common import Context, command, new_app, open_store, run
from cli.import_jobs import ask_job, job_and_root, outcomes_text, roll_back, show_job, show_jobs
from cli.import_run import check_report, outcome_line, run_and_end
from cli.output import print_json, print_table
from cli.verify import verify_tree

if TYPE_CHECKING:
    from battery_analysis.ingest.importer import ImportOptions
    from battery_analysis.ingest.run import ImportRequest
    from battery_analysis.store import Store

app = new_app()


@command(app, "import")
def import_directory(
    context: Context,
    root: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ROOT]", help="Folder, file or archive; left out where a job is shown, resumed or stopped."
        ),
    ] = None,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="With --status, the job to show.")] = None,
    remote: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="In place of ROOT: sftp://USER@HOST/PATH or s3://BUCKET/PREFIX."),
    ] = None,
    include: import_options.Include = None,
    exclude: import_options.Exclude = None,
    depth: import_options.Depth = None,
    workers: import_options.Workers = None,
    scheduler: import_options.Scheduler = None,
    sample_lookup: import_options.SampleLookup = False,
    sample_map: import_options.SampleMap = None,
    sample: import_options.SampleName = None,
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
    no_archive: import_options.NoArchive = False,
    reset: Annotated[bool, typer.Option("--reset", help="Import again what was imported before.")] = False,
    checksum: Annotated[
        bool,
        typer.Option("--checksum", help="Read every file, also those of unchanged size and time."),
    ] = False,
    retries: import_options.Retries = None,
    tags: import_options.Tags = None,
    operator: import_options.Operator = None,
    device: import_options.Device = None,
    metadata: import_options.Metadata = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell the targets of the settings how it ended: e-mail, Slack, webhook.")
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="A line for each file: .csv or .json.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Import nothing; compare the files below ROOT with the archive.")
    ] = False,
    verify_report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --verify, a line for each file: .csv or .json.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show recent jobs, or the one named: --status JOB.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Show all jobs.")] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="JOB", help="Go on with a job; failed files are tried again.")
    ] = None,
    pause: Annotated[
        str | None, typer.Option(metavar="JOB", help="Let a running job finish the files in hand; --resume goes on.")
    ] = None,
    cancel: Annotated[str | None, typer.Option(metavar="JOB", help="End a job for good; what it stored stays.")] = None,
    rollback: Annotated[
        str | None, typer.Option(metavar="JOB", help="Restore what a job updated and remove what it created.")
    ] = None,
) -> None:
    """Import every supported file below ROOT, in the archive ROOT, or at the ADDRESS of another computer.

    Exit status: 0 all done; 1 some files failed; 2 could not start.
    """
    from battery_analysis.ingest import run as runs
    from battery_analysis.ingest.discover import Selection
    from battery_analysis.ingest.sources import is_archive

    files = {
        "--remote": remote is not None,
        "--include": include,
        "--exclude": exclude,
        "--depth": depth is not None,
        "--workers": workers,
        "--scheduler": scheduler,
        "--sample-lookup": sample_lookup,
        "--sample-map": sample_map,
        "--sample": sample is not None,
        "--no-archive": no_archive,
        "--reset": reset,
        "--checksum": checksum,
        "--retries": retries is not None,
        "--tags": tags,
        "--operator": operator,
        "--device": device,
        "--metadata": metadata,
    }
    modes = {
        "--status": status,
        "--history": history,
        "--resume": resume is not None,
        "--pause": pause is not None,
        "--cancel": cancel is not None,
        "--rollback": rollback is not None,
        "--preview-samples": preview_samples,
        "--dry-run": dry_run,
        "--verify": verify,
    }
    _refuse_mixed(modes, {**files, "--notify": notify, "--report": report, "--verify-report": verify_report}, confirm)
    if status or history:
        named, folder = job_and_root(str(root) if root else None, job)
        if named and history:
            raise IngestError(f"--history shows all jobs; --status {named} shows one")
        show_job(context, named) if named else show_jobs(context, folder, everything=history)
        return
    if (asked := pause or cancel or rollback) is not None:
        if root is not None:
            raise IngestError(f"a job has a root of its own; leave out {root}")
        if rollback:
            roll_back(context, asked)
        else:
            ask_job(context, asked, "pause" if pause else "cancel")
        return
    if job is not None:
        raise IngestError(f"one ROOT wanted, got {job!r} beside it")
    if verify_report is not None and not verify:
        raise IngestError("--verify-report goes with --verify")
    if report is not None:
        check_report(report)
    if resume is not None:
        run_and_end(context, lambda store: runs.resume(store, context.settings, resume, root), report, notify=notify)
        return
    place = _place(root, remote)
    if verify:
        if root is None or is_archive(root):
            raise IngestError(f"--verify compares files in folders of this computer, not those of {place}")
        verify_tree(context, root, Selection(include or (), exclude or (), depth), verify_report)
        return
    import_options.refuse_mixed_samples(sample, sample_map, sample_lookup)
    new_map = sample_map if preview_samples and sample_map and not sample_map.exists() else None
    request = runs.ImportRequest(
        root=place,
        include=include or (),
        exclude=exclude or (),
        depth=depth,
        workers=workers,
        scheduler=scheduler,
        sample=sample,
        sample_map=str(sample_map.absolute()) if sample_map and not new_map else None,
        sample_lookup=sample_lookup,
        archive=not no_archive,
        reset=reset,
        checksum=checksum,
        retries=retries,
        tags=tags or (),
        operator=operator,
        device=device,
        metadata=import_options.pairs(metadata or ()),
    )
    if preview_samples:
        _preview(context, request.options(context.settings), new_map, quiet=context.json and confirm)
        if not confirm:
            return
        if new_map:
            request = replace(request, sample_map=str(new_map.absolute()))
    if dry_run:
        with open_store(context) as store:
            _plan(context, store, request)
    else:
        run_and_end(context, lambda store: runs.begin(store, context.settings, request), report, notify=notify)


def _refuse_mixed(modes: Mapping[str, bool], others: Mapping[str, object], confirm: bool) -> None:
    """Refuse options that would be ignored in silence."""
    chosen = [name for name, given in modes.items() if given]
    if len(chosen) > 1:
        raise IngestError(f"{' and '.join(chosen)} exclude one another")
    if confirm and "--preview-samples" not in chosen:
        raise IngestError("--confirm goes with --preview-samples")
    ignored = {
        "--status": others.keys(),
        **dict.fromkeys(("--history", "--pause", "--cancel", "--rollback"), others.keys()),
        "--resume": others.keys() - {"--report", "--notify"},
        "--preview-samples": {"--verify-report"} if confirm else {"--report", "--verify-report", "--notify"},
        "--dry-run": {"--report", "--verify-report", "--notify"},
        "--verify": others.keys() - {"--include", "--exclude", "--depth", "--verify-report"},
    }
    for mode in chosen:
        if beside := [name for name, given in others.items() if given and name in ignored[mode]]:
            why = "goes on with the options of its job" if mode == "--resume" else "imports nothing"
            raise IngestError(f"{mode} {why}; leave out {', '.join(beside)}")


def _place(root: Path | None, remote: str | None) -> str:
    """Return where the files lie, as a job keeps it."""
    from battery_analysis.ingest.sources import stored_root

    if root is None:
        if remote is None:
            raise IngestError("a folder, file or archive to import is wanted, or --remote ADDRESS")
        stored_root(remote)  # whatever is wrong with it shows before a database is opened
        return remote
    if remote is not None:
        raise IngestError(f"--remote takes the place of ROOT; leave out {root}")
    if (address := re.match(r"(sftp|s3):/+(?=[^/])", str(root))) and not root.exists():
        raise IngestError(f"an address goes with --remote: import --remote {address[1]}://…")
    return str(root.absolute())


def _preview(context: Context, options: ImportOptions, new_map: Path | None, *, quiet: bool) -> None:
    from battery_analysis.ingest.importer import candidates_of
    from battery_analysis.ingest.preview import preview_files
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
    if quiet:
        return
    if context.json:
        print_json(rows)
        return
    print_table(rows, ("file", "sample", "cell_code", "why", "passed_over"))
    if new_map is not None:
        print(one_line(f"written to {new_map}; edit it, then import with --sample-map {new_map}"))


def _plan(context: Context, store: Store, request: ImportRequest) -> None:
    from battery_analysis.ingest.importer import candidates_of
    from battery_analysis.ingest.preview import plan_files

    options = request.options(context.settings)
    outcomes = list(plan_files(store, options, candidates_of(options)))
    if context.json:
        print_json([{"path": each.path, "outcome": each.outcome, "reason": each.reason} for each in outcomes])
        return
    for outcome in outcomes:
        print(outcome_line(outcome))
    counts = Counter[str](outcome.outcome for outcome in outcomes)
    print(one_line(f"would be: {outcomes_text(counts)}" if counts else f"no files found in {options.root}"))


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="import_directory")


if __name__ == "__main__":
    sys.exit(main())
