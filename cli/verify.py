"""``battery-analysis verify``: a tree against the archive, and what is stored against itself."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError, one_line
from cli.common import MOST, Context, command, new_app, open_store, run, type_next
from cli.import_run import check_report, write_rows
from cli.output import counted, print_json

if TYPE_CHECKING:
    from battery_analysis.ingest.discover import Selection
    from battery_analysis.store import Store

app = new_app()


@command(app, "verify")
def verify(
    context: Context,
    root: Annotated[
        Path | None, typer.Argument(metavar="[ROOT]", help="Tree to compare; without it, the store with itself.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With ROOT, a line for each file: .csv or .json.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Sweep what nothing names.")] = False,
    older_than: Annotated[
        int, typer.Option(min=0, max=MOST, metavar="SECONDS", help="With --repair, how old it must be.")
    ] = 86_400,
) -> None:
    """Compare a tree of files with the archive, or all that is stored with itself.

    With ROOT: files that are missing from the tree, changed, or unknown to the archive. Without: archived bytes that
    differ from their digests, tests whose data is missing, and garbage that a crash or a former revision left.
    Exit status: 0 all is well, garbage included; 1 something is missing, changed, unknown or damaged.
    """
    if root is not None:
        if repair:
            raise IngestError("--repair sweeps the store; leave out ROOT")
        from battery_analysis.ingest.discover import Selection

        settings = context.settings
        verify_tree(context, root, Selection(settings.include, settings.exclude, settings.depth), report)
        return
    if report is not None:
        raise IngestError("--report goes with a ROOT")
    with open_store(context) as store:
        found = _verify_store(store, timedelta(seconds=older_than), repair=repair)
    if context.json:
        print_json(found)
    else:
        for line in (*found["damaged"], *found["missing"]):
            print(one_line(line))
        print(_summary(context, found, repair=repair))
    if found["damaged"] or found["missing"]:
        raise typer.Exit(1)


def verify_tree(context: Context, root: Path, selection: Selection, report: Path | None) -> None:
    """Compare the files below a root with the archive, say what differs, and end with the status it deserves."""
    from battery_analysis.ingest.sources import is_archive
    from battery_analysis.ingest.verify import FAULTS, compare_tree

    if is_archive(root):
        raise IngestError(f"{root}: an archive; folders are compared, and an import of it tells what is new")
    if report is not None:
        check_report(report)
    with open_store(context) as store:
        compared = list(compare_tree(store, root, selection, context.settings.mappings))
    rows = [asdict(each) for each in compared]
    if report is not None:
        write_rows(report, ("path", "state", "sha256", "reason"), rows)
    counts = Counter[str](each.state for each in compared)
    if context.json:
        print_json({"root": str(root), "counts": dict(sorted(counts.items())), "files": rows})
    else:
        for each in compared:
            if each.state in FAULTS:
                print(one_line(f"{each.state:<8} {each.path}" + (f": {each.reason}" if each.reason else "")))
        named = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        print(one_line(f"{counted(len(compared), 'file')}: {named}" if compared else f"no files found in {root}"))
    if any(each.state in FAULTS for each in compared):
        raise typer.Exit(1)


def _verify_store(store: Store, older_than: timedelta, *, repair: bool) -> dict[str, Any]:
    from battery_analysis.ingest.verify import damaged
    from battery_analysis.models import RawDataFile, TestResult
    from battery_analysis.store import datasets, garbage
    from battery_analysis.store.access import visible

    if repair:
        datasets.refresh_left_behind(store)
    everything = garbage.find(store, timedelta(0))
    old = garbage.find(store, older_than) if repair else {}
    return {
        "tests": visible(TestResult).count(),
        "raw_files": visible(RawDataFile).count(),
        "damaged": list(damaged(store)),
        "missing": list(garbage.missing(store)),
        "garbage": {name: len(ids) for name, ids in everything.items() if ids},
        "swept": garbage.sweep(store, old) if repair else 0,
    }


def _summary(context: Context, found: dict[str, Any], *, repair: bool) -> str:
    bad = len(found["damaged"]) + len(found["missing"])
    text = f"{counted(found['tests'], 'test')} and {counted(found['raw_files'], 'raw file')}: "
    text += f"{counted(bad, 'fault')}" if bad else "all as they were stored"
    left = sum(found["garbage"].values())
    if repair:
        return f"{text}; {found['swept']} of {left} documents that nothing names swept"
    if left:
        sweep = type_next(context, "verify", "--repair")
        return f"{text}; {left} documents that nothing names take up space: {sweep}"
    return text


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="verify")


if __name__ == "__main__":
    sys.exit(main())
