"""``battery-analysis dataset``: all tests of a cell as one, in versions."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError, StoreError, StoreUnavailableError, one_line
from cli.common import MOST, Context, command, new_app, open_store, run, type_next
from cli.output import counted, print_json, print_table, say_written

if TYPE_CHECKING:
    from battery_analysis.models import CellDataset
    from battery_analysis.store import Store

_TABLE = {
    "version": "version",
    "created_at": "made",
    "made_by": "by",
    "tests": "tests",
    "cycles": "cycles",
    "records": "records",
    "digest": "digest",
}

_NO_TESTS = "without tests"
"""What became of a cell whose tests are deleted or moved; its former versions stay."""

app = new_app()


@command(app, "dataset")
def dataset(
    context: Context,
    cell: Annotated[str | None, typer.Option(metavar="CODE", help="Build the dataset of this cell.")] = None,
    all_cells: Annotated[bool, typer.Option("--all", help="Build the datasets of all cells.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Only print the number of distinct cell codes.")] = False,
    list_versions: Annotated[
        str | None, typer.Option("--list", metavar="CODE", help="List the versions of a cell's dataset.")
    ] = None,
    rollback: Annotated[
        tuple[str, int] | None,
        typer.Option(metavar="CODE VERSION", help="Make a new version that equals an older one."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --cell, write its cycle table: .csv or .parquet; build nothing."),
    ] = None,
    records: Annotated[
        bool, typer.Option("--records", help="With --export, write the records in place of the cycles.")
    ] = False,
    version: Annotated[
        int | None, typer.Option(min=1, max=MOST, metavar="N", help="With --export, this version; else the newest.")
    ] = None,
) -> None:
    """Build, list, roll back or export cell datasets: all tests of a cell in order, their cycles numbered through.

    There is a new version only if the content has changed. Imports keep datasets up to date by themselves.
    Exit status: 0 all done; 1 some cells failed.
    """
    asked = {"--all": all_cells, "--count": count, "--list": list_versions, "--rollback": rollback, "--cell": cell}
    given = [name for name, value in asked.items() if value not in (None, False)]
    if len(given) != 1:
        what = f"got {' and '.join(given)}" if given else "none is given"
        raise IngestError(f"one of --cell, --all, --count, --list and --rollback is wanted; {what}")
    if export is not None and cell is None:
        raise IngestError(f"--export goes with --cell, not with {given[0]}")
    if (records or version is not None) and export is None:
        raise IngestError(f"{'--records' if records else '--version'} goes with --export")
    with open_store(context) as store:
        if count:
            _count(context)
        elif list_versions is not None:
            _list(context, list_versions)
        elif rollback is not None:
            _roll_back(context, store, *rollback)
        elif cell is not None and export is not None:
            _export(context, store, cell, version, export, records=records)
        else:
            _build(context, store, cell)


def describe(found: CellDataset) -> dict[str, Any]:
    """Return everything about a version of a dataset."""
    shown = ("test", "name", "sample_name", "started_at", "placed_by", "continues", "revision", "sha256", "records")
    cycles = ("cycles", "first_cycle", "last_cycle", "test_first_cycle", "test_last_cycle")
    return {
        "id": found.id,
        "cell_code": found.cell_code,
        "version": found.version,
        "previous": found.previous,
        "restores": found.restores,
        "made_by": _made_by(found),
        "created_at": found.created_at,
        "sample": found.sample_name,
        "digest": found.digest,
        "tests": found.test_count,
        "cycles": found.cycle_count,
        "records": found.record_count,
        "test_list": [{name: getattr(test, name) for name in (*shown, *cycles)} for test in found.tests],
    }


def _made_by(found: CellDataset) -> str:
    if found.restores:
        return f"rollback to {found.restores}"
    return "hand" if found.by_hand else "import"


def _count(context: Context) -> None:
    from battery_analysis.store import datasets

    codes = len(datasets.cell_codes())
    if context.json:
        print_json({"cell_codes": codes})
    else:
        print(codes)


def _list(context: Context, code: str) -> None:
    from battery_analysis.store import datasets

    datasets.version_of(code)
    rows = [describe(each) for each in datasets.versions(code)]
    if context.json:
        print_json(rows)
    else:
        shown = [{**row, "digest": row["digest"][:12], "tests": row["tests"] or "no tests"} for row in rows]
        print_table(shown, _TABLE)


def _roll_back(context: Context, store: Store, code: str, version: int) -> None:
    from battery_analysis.store import datasets

    _show(context, datasets.version_of(code, datasets.roll_back(store, code, version)), "new")


def _export(context: Context, store: Store, code: str, version: int | None, target: Path, *, records: bool) -> None:
    from battery_analysis.files import check_writable
    from battery_analysis.store.dataset_frames import load_dataset
    from battery_analysis.writing import write_table

    check_writable(target)
    found = load_dataset(store, code, version)
    table: Any = found.frame(form="polars") if records else found.cycles(form="polars")
    write_table(target, table)
    say_written(target)
    if context.json:
        what = {"cell_code": code, "version": found.version, "digest": found.digest}
        print_json({**what, "file": target, "rows": table.height})


def _build(context: Context, store: Store, code: str | None) -> None:
    """Build one dataset, or those of all cells: a cell that cannot be built does not stop the others."""
    from battery_analysis.store import datasets

    if code is not None:
        built = datasets.rebuild(store, code)
        found = datasets.version_of(code, built.version)
        _show(context, found, _outcome(found, is_new=built.is_new))
        return
    states: Counter[str] = Counter()
    rows = []
    for each in sorted({*datasets.cell_codes(), *datasets.codes_with_dataset()}):
        try:
            built = datasets.rebuild(store, each)
        except StoreError as exc:
            if isinstance(exc, StoreUnavailableError):  # every further cell would fail the same way
                raise
            states["failed"] += 1
            rows.append({"cell_code": each, "outcome": "failed", "reason": str(exc)})
            print(one_line(f"{each}: {exc}"), file=sys.stderr)
            continue
        found = datasets.version_of(each, built.version)
        outcome = _outcome(found, is_new=built.is_new)
        states[outcome] += 1
        rows.append({"outcome": outcome, **describe(found)})
        if built.is_new and not context.json:
            print(_line(found, outcome))
    if context.json:
        print_json(rows)
    else:
        told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        print(f"{counted(states.total(), 'cell')}: {told}" if states else _nothing_yet(context))
    if states["failed"]:
        raise typer.Exit(1)


def _outcome(found: CellDataset, *, is_new: bool) -> str:
    return _NO_TESTS if not found.test_count else "new" if is_new else "unchanged"


def _nothing_yet(context: Context) -> str:
    return f"there are no tests yet; import some: {type_next(context, 'import', 'FOLDER')}"


def _show(context: Context, found: CellDataset, outcome: str) -> None:
    if context.json:
        print_json({"outcome": outcome, **describe(found)})
        return
    print(_line(found, outcome))
    for test in found.tests:
        if test.placed_by == "name":
            print(one_line(f"test {test.test} ({test.name}) has no date; it stands after the dated ones"))


def _line(found: CellDataset, outcome: str) -> str:
    if outcome == _NO_TESTS:
        return one_line(f"{found.cell_code}: no tests any more since version {found.version}; former versions stay")
    size = f"{counted(found.test_count, 'test')}, {counted(found.cycle_count, 'cycle')}"
    state = "new" if outcome == "new" else "unchanged since"
    return one_line(f"{found.cell_code}: {state} version {found.version}, {size}, digest {found.digest[:12]}")


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="dataset")


if __name__ == "__main__":
    sys.exit(main())
