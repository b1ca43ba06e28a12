"""``battery-analysis demo``: from nothing to real tests in a real database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import Context, command, fail, new_app, open_store, run, type_next
from cli.dashboard import open_in_background
from cli.import_run import run_and_show
from cli.output import counted, print_table
from cli.sheet import read_sheet

if TYPE_CHECKING:
    from battery_analysis.store import Store
    from battery_analysis.store.search import Found

SHOWN_TESTS = 15

_TABLE = {
    "id": "test",
    "sample": "sample",
    "tester": "tester",
    "cycles": "cycles",
    "initial_capacity_ah": "initial / Ah",
    "capacity_retention": "retention",
}

app = new_app()


@command(app, "demo")
def demo(
    context: Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Your own files; without it, a small synthetic lab is made."),
    ] = None,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Do not open the dashboard.")] = False,
) -> None:
    """Make the example data set, import it, open the dashboard, and say what to type next.

    The dashboard is a process of its own, which ``battery-analysis dashboard --stop`` ends.

    Files that fail are shown and do not change the exit status: the example has some on purpose.
    """
    from battery_analysis.ingest import job as jobs
    from battery_analysis.ingest import run as runs
    from battery_analysis.store import search

    settings = context.settings
    root = folder or _example_lab(settings.data_dir / "example-lab", quiet=context.json)
    request = runs.ImportRequest(root=str(root.absolute()), tags=[] if folder else ["example"])
    with open_store(context) as store:
        if not context.json:
            print(f"database: {store.where}")
        if folder is None:
            _describe_samples(store, root / "samples.csv", quiet=context.json)
        job_run = runs.begin(store, settings, request)
        run_and_show(context, job_run)
        tests = list(search.search(search.Query(ids=jobs.tests_of(job_run.job))))
    if not context.json:
        _print_tests(tests)
    if not no_dashboard and settings.mode != "mock":
        url = open_in_background(context)
        if not context.json:
            print(f"\ndashboard: {url}")
    if not context.json:
        _print_next(context, tests, root, with_dashboard=not no_dashboard)


def _example_lab(folder: Path, *, quiet: bool) -> Path:
    """Write the example lab with the maker that stands beside this package in a clone."""
    project = Path(__file__).resolve().parents[1]
    if not (project / "examples" / "lab.py").is_file():
        fail(
            "the example lab comes with a clone of the project; give a folder of your own: battery-analysis demo FOLDER"
        )
    if not quiet:
        print(f"example:  a synthetic lab is written to {folder}; one of its files is broken on purpose", flush=True)
    # A process of its own, started there: installed packages bring a folder named examples too.
    maker = [sys.executable, "-m", "examples", str(folder.absolute())]
    done = subprocess.run(maker, cwd=project, check=False, capture_output=True, text=True)
    if done.returncode:
        fail(f"the example lab cannot be written to {folder}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return folder


def _describe_samples(store: Store, sheet: Path, *, quiet: bool) -> None:
    from battery_analysis.store import samples

    done, problems = samples.set_many(store, read_sheet(sheet))
    if not quiet:
        print(f"samples:  {len(done)} described in {sheet}")
    for problem in problems:
        print(f"{sheet}: {problem}", file=sys.stderr)


def _print_tests(tests: list[Found]) -> None:
    print()
    if not tests:
        print("no tests")
        return
    print_table([vars(test) for test in tests[:SHOWN_TESTS]], _TABLE)
    if len(tests) > SHOWN_TESTS:
        print(f"and {counted(len(tests) - SHOWN_TESTS, 'more test')}")


def _print_next(context: Context, tests: list[Found], root: Path, *, with_dashboard: bool) -> None:
    if context.settings.mode == "mock":
        print("\nThe database was in memory and ends here; without USE_MONGO_MOCK=1 it stays.")
        return
    lines = []
    if tests:
        longest = max(tests, key=lambda test: test.cycles)
        lines += [
            type_next(context, "search", "--sample", longest.sample),
            type_next(context, "test", "show", str(longest.id)),
            type_next(context, "raw", "by-test", str(longest.id), "--out", _free_name(longest.name)),
        ]
    lines += [type_next(context, "import", str(root)) + "  # again: nothing is doubled", type_next(context, "--help")]
    if with_dashboard:
        lines.append(type_next(context, "dashboard", "--stop"))
    print("\nType next:", *lines, sep="\n  ")


def _free_name(name: str) -> str:
    """Return a file's own name, changed where this folder holds one already."""
    return name if not Path(name).exists() else f"archived {name}"


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="demo")


if __name__ == "__main__":
    sys.exit(main())
