"""``battery-analysis watch ROOT…``: import what appears, changes or is moved there, until stopped."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError, one_line
from cli import import_options
from cli.common import MOST, Context, command, new_app, open_store, run, type_next
from cli.import_jobs import outcomes_text
from cli.import_run import outcome_line
from cli.output import counted, duration_text, print_facts, print_json, print_table
from cli.stopping import finishes_first

if TYPE_CHECKING:
    from battery_analysis.ingest.job import Outcome
    from battery_analysis.ingest.watcher import Watcher
    from battery_analysis.models import WatchedFolder

SHOWN_FAILURES = 20

app = new_app()


@command(app, "watch")
def watch(
    context: Context,
    roots: Annotated[
        list[Path] | None, typer.Argument(metavar="ROOT…", help="Folders to watch; none within another.")
    ] = None,
    include: import_options.Include = None,
    exclude: import_options.Exclude = None,
    depth: import_options.Depth = None,
    workers: import_options.Workers = None,
    scheduler: import_options.Scheduler = None,
    debounce: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long a file must have been quiet before it is read.")
    ] = None,
    poll: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Look for changes at this interval, for shares that tell of none."),
    ] = None,
    rescan: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How often to look for what events missed (300 if left out)."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look through everything once, then end.")] = False,
    retries: Annotated[
        int | None, typer.Option(min=0, max=MOST, metavar="N", help="How often a file that is locked is tried again.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed or was skipped before, though unchanged.")
    ] = False,
    sample_lookup: import_options.SampleLookup = False,
    sample_map: import_options.SampleMap = None,
    sample: import_options.SampleName = None,
    no_archive: import_options.NoArchive = False,
    tags: import_options.Tags = None,
    operator: import_options.Operator = None,
    device: import_options.Device = None,
    metadata: import_options.Metadata = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show watchers and the files they could not import; imports nothing.")
    ] = False,
) -> None:
    """Import what appears, changes or is moved below ROOT, until stopped by Ctrl-C or SIGTERM.

    Exit status: 0 stopped, or all done; 1 with --once, some files failed; 2 could not start.
    """
    if status:
        others = {"include": include, "exclude": exclude, "debounce": debounce, "poll": poll, "rescan": rescan}
        given = [f"--{name}" for name, value in {**others, "once": once}.items() if value]
        if given:
            raise IngestError(f"--status imports nothing; leave out {', '.join(given)}")
        _show_watchers(context, roots or [])
        return

    from battery_analysis.ingest.run import ImportRequest
    from battery_analysis.ingest.watcher import RESCAN_SECONDS, Watcher, WatchRequest, checked_roots

    if not roots:
        raise IngestError("a folder to watch is wanted")
    import_options.refuse_mixed_samples(sample, sample_map, sample_lookup)
    _refuse_mixed_times(poll, rescan, once=once)
    settings = context.load_settings(debounce=debounce, retries=retries)
    folders = checked_roots(roots)
    files = ImportRequest(
        root=str(folders[0]),
        include=include or (),
        exclude=exclude or (),
        depth=depth,
        workers=workers,
        scheduler=scheduler,
        sample=sample,
        sample_map=str(sample_map.absolute()) if sample_map else None,
        sample_lookup=sample_lookup,
        archive=not no_archive,
        tags=tags or (),
        operator=operator,
        device=device,
        metadata=import_options.pairs(metadata or ()),
    )
    request = WatchRequest(folders, files, rescan or RESCAN_SECONDS, poll, retry_failed=retry_failed, once=once)
    watcher = Watcher(settings, request, lambda outcome: _tell(context, outcome))
    with finishes_first(watcher.stop):
        counts = watcher.run()
    _summarise(context, watcher, counts)
    if once and watcher.failures:
        raise typer.Exit(1)


def _refuse_mixed_times(poll: float | None, rescan: float | None, *, once: bool) -> None:
    for name, value in (("--poll", poll), ("--rescan", rescan)):
        if value is not None and (not isfinite(value) or value < 0.1):
            raise IngestError(f"{name}: at least 0.1 seconds wanted, got {value:g}")
        if value is not None and once:
            raise IngestError(f"--once looks a single time; leave out {name}")
    if poll is not None and rescan is not None:
        raise IngestError("--poll looks through everything each time; leave out --rescan")


def _tell(context: Context, outcome: Outcome) -> None:
    if not context.json:
        print(outcome_line(outcome), flush=True)


def _summarise(context: Context, watcher: Watcher, counts: Counter[str]) -> None:
    failures = [{"path": path, "reason": reason} for path, reason in watcher.failures.items()]
    if context.json:
        print_json({"job": str(watcher.job_id), "counts": dict(counts), "failures": failures})
        return
    print(one_line(f"job {watcher.job_id}: {outcomes_text(counts) or 'nothing to import'}"))
    if failures:
        print(f"{counted(len(failures), 'file')} failed; why: {type_next(context, 'watch', '--status')}")


def _show_watchers(context: Context, roots: list[Path]) -> None:
    from battery_analysis.ingest.discover import normal_path, stored_text
    from battery_analysis.ingest.watch_record import everyone

    wanted = {stored_text(normal_path(root)) for root in roots}
    with open_store(context):
        rows = [watcher_row(each) for each in everyone() if not wanted or wanted & set(each.roots)]
    if context.json:
        print_json(rows)
        return
    if not rows:
        print("no watcher yet" if not roots else f"no watcher of {', '.join(map(str, roots))}")
    for number, row in enumerate(rows):
        if number:
            print()
        _show(row)


def watcher_row(watch: WatchedFolder) -> dict[str, Any]:
    """Return what ``--json`` says of a watcher."""
    from battery_analysis.ingest.watch_record import state_of

    return {
        "id": str(watch.id),
        "state": state_of(watch),
        "roots": list(watch.roots),
        "host": watch.host,
        "pid": watch.pid,
        "since": watch.started_at,
        "stopped_at": watch.stopped_at,
        "heartbeat_at": watch.heartbeat_at,
        "job": watch.import_job,
        "files": watch.files,
        "waiting": watch.waiting,
        "waiting_since": watch.waiting_since,
        "last_import_at": watch.last_import_at,
        "scanned_at": watch.scanned_at,
        "counts": {name: count for name, count in sorted(watch.counts.items()) if count},
        "troubles": list(watch.troubles),
        "failed": watch.quarantined,
        "failures": [{"path": each.path, "reason": each.reason, "since": each.since} for each in watch.quarantine],
        "options": dict(watch.options),
    }


def _show(row: Mapping[str, Any]) -> None:
    waited = row["heartbeat_at"] - row["waiting_since"] if row["waiting_since"] else None
    longest = f", for up to {duration_text(waited.total_seconds())}" if waited else ""
    print_facts(
        {
            "watcher": row["id"],
            "roots": row["roots"],
            "state": row["state"],
            "process": f"{row['pid']} on {row['host']}",
            "since": row["since"],
            "stopped_at": row["stopped_at"],
            "heartbeat_at": row["heartbeat_at"],
            "job": str(row["job"]),
            "files": row["files"],
            "waiting": f"{row['waiting']}{longest}",
            "outcomes": outcomes_text(row["counts"]),
            "last_import_at": row["last_import_at"],
            "scanned_at": row["scanned_at"],
            "troubles": row["troubles"],
            "failed": row["failed"],
        }
    )
    if row["failures"]:
        print()
        print_table(row["failures"][:SHOWN_FAILURES], {"path": "failed", "reason": "reason", "since": "since (UTC)"})
    if (more := row["failed"] - SHOWN_FAILURES) > 0:
        print(f"and {more} more failed; the first thousand: --json")


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="watch")


if __name__ == "__main__":
    sys.exit(main())
