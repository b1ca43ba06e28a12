"""``battery-analysis demo``: from nothing to real tests in a real database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import Context, command, fail, new_app, open_store, run
from cli.import_run import run_and_show
from cli.output import print_table
from cli.sample import read_sheet

if TYPE_CHECKING:
    from battery_analysis.store.search import Found

SHOWN_TESTS = 15

app = new_app()


@command(app, "demo")
def demo(
    context: Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Your own files; without it, a small synthetic lab is made."),
    ] = None,
) -> None:
    """Make the example data set, import it, and say what to type next.

    Files that fail are shown and do not change the exit status: the example has some on purpose.
    """
    from battery_analysis.ingest import run as runs
    from battery_analysis.store import samples, search

    settings = context.settings
    root = folder or _example_lab(settings.data_dir / "example-lab")
    with open_store(context) as store:
        print(f"database: {store.where}")
        if folder is None:
            done, problems = samples.set_many(store, read_sheet(root / "samples.csv"))
            print(f"samples:  {len(done)} described in {root / 'samples.csv'}", *problems, sep="\n")
        tags = [] if folder else ["example"]
        run_and_show(context, runs.begin(store, settings, runs.ImportRequest(root=str(root.absolute()), tags=tags)))
        tests = list(search.search(search.Query(limit=SHOWN_TESTS)))
    print()
    _print_tests(tests)
    _print_next(tests, root)


def _example_lab(folder: Path) -> Path:
    """Write the example lab with the maker that stands beside this package in a clone."""
    project = Path(__file__).resolve().parents[1]
    if not (project / "examples" / "lab.py").is_file():
        fail(
            "the example lab comes with a clone of the project; give a folder of your own: battery-analysis demo FOLDER"
        )
    print(f"example:  a synthetic lab is written to {folder}", flush=True)
    # A process of its own, started there: installed packages bring a folder named examples too.
    subprocess.run([sys.executable, "-m", "examples", str(folder)], cwd=project, check=True, stdout=subprocess.DEVNULL)
    return folder


def _print_tests(tests: list[Found]) -> None:
    columns = {
        "id": "test",
        "sample": "sample",
        "tester": "tester",
        "type": "type",
        "started_at": "date",
        "cycles": "cycles",
        "initial_capacity_ah": "initial / Ah",
        "capacity_retention": "retention",
    }
    print_table([vars(test) for test in tests], columns)


def _print_next(tests: list[Found], root: Path) -> None:
    program = _as_typed_here(Path(sys.prefix) / "bin" / "battery-analysis")
    lines = ["", "Type next:"]
    if tests:
        lines += [
            f"  {program} search --min-cycles 50",
            f"  {program} test show {tests[0].id}",
            f"  {program} raw by-test {tests[0].id} --out original.bin",
        ]
    lines += [f"  {program} import {root}   (again: nothing is doubled)", f"  {program} --help"]
    print("\n".join(lines))


def _as_typed_here(program: Path) -> str:
    """Return how a person in this folder types the program."""
    if not program.is_file():
        return "battery-analysis"
    here = Path.cwd()
    return str(program.relative_to(here)) if program.is_relative_to(here) else str(program)


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="demo")


if __name__ == "__main__":
    sys.exit(main())
