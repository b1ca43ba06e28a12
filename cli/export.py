"""``battery-analysis export``: tests, a cell's dataset or a selection as files that others read."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from battery_analysis.errors import IngestError, NotFoundError, one_line
from cli.common import MOST, Context, command, new_app, open_store, run
from cli.output import counted, print_json
from cli.search_options import (
    Chemistry,
    DateRange,
    Limit,
    MaxCycles,
    MinCycles,
    Project,
    SampleName,
    Sort,
    Tag,
    Tester,
    Text,
    Type,
    query_of,
)

if TYPE_CHECKING:
    from bson import ObjectId

    from battery_analysis.store import Store

Kind = Literal["bdf-csv", "bdf-parquet", "batteryarchive", "hdf5", "excel", "json", "crate"]

_BY_ENDING: dict[str, Kind] = {
    "_timeseries.csv": "batteryarchive",
    "_cycle_data.csv": "batteryarchive",
    ".csv": "bdf-csv",
    ".parquet": "bdf-parquet",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".xlsx": "excel",
    ".json": "json",
    ".zip": "crate",
}

_OUTCOME = ("name", "files", "problem", "left_out")

app = new_app()


@command(app, "export")
def export(
    context: Context,
    tests: Annotated[
        list[str] | None, typer.Argument(metavar="[TEST_ID]...", help="Tests.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="File, or folder for several tests.", show_default=False)
    ] = None,
    format: Annotated[
        Kind | None,
        typer.Option(
            metavar="FORMAT",
            help="bdf-csv, bdf-parquet, batteryarchive, hdf5, excel, json or crate; without it, as --out ends.",
        ),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(metavar="CODE", help="Alone: the cell's dataset as one test; else a filter.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, max=MOST, metavar="N", help="Of the cell's dataset; without it, the newest.")
    ] = None,
    sample: SampleName = None,
    chemistry: Chemistry = None,
    date_range: DateRange = None,
    tester: Tester = None,
    type: Type = None,
    tag: Tag = None,
    project: Project = None,
    min_cycles: MinCycles = None,
    max_cycles: MaxCycles = None,
    text: Text = None,
    sort: Sort = "started",
    limit: Limit = None,
    everything: Annotated[bool, typer.Option("--all", help="All tests that there are.")] = False,
    license: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Of a crate: an address, or words; without, none is stated.")
    ] = None,
) -> None:
    """Write tests, the dataset of a cell, or what a search finds, as files that others read.

    A crate holds all of them in one RO-Crate (.zip): original files, records, cycles and where they come from.
    Exit status: 0 all written; 1 some tests could not be, or not all of them.
    """
    filters: dict[str, Any] = {
        "sample": sample,
        "chemistry": chemistry,
        "date_range": date_range,
        "tester": tester,
        "type": type,
        "tag": tag,
        "project": project,
        "min_cycles": min_cycles,
        "max_cycles": max_cycles,
        "text": text,
        "limit": limit,
    }
    is_filtered = any(value not in (None, []) for value in filters.values())
    is_dataset = cell is not None and not is_filtered and not tests and not everything
    _refuse_contradictions(tests, cell, version, everything=everything, filtered=is_filtered, dataset=is_dataset)
    if out is None:
        raise IngestError("--out: say where to write, a file or a folder")
    kind = _kind(out, format)
    if license is not None and kind != "crate":
        raise IngestError(f"--license goes with a crate, not with {kind}")
    with open_store(context) as store:
        if is_dataset and kind != "crate":
            assert cell is not None
            _write_dataset(context, store, cell, version, out, kind)
            return
        if is_dataset:
            from battery_analysis.store.crating import ids_of_dataset

            assert cell is not None
            ids = ids_of_dataset(cell, version)
        else:
            ids = _ids(tests or [], query_of(cell=cell, sort=sort, **filters))
        if kind == "crate":
            name = f"dataset {cell}" if is_dataset else out.stem
            _write_crate(context, store, ids, out, name, license, cell if is_dataset else None, version)
        else:
            _write_tests(context, store, ids, out, kind)


def _refuse_contradictions(
    tests: list[str] | None, cell: str | None, version: int | None, *, everything: bool, filtered: bool, dataset: bool
) -> None:
    chosen = [bool(tests), filtered or cell is not None, everything]
    if not any(chosen):
        raise IngestError("say which tests: their ids, --cell CODE, filters as in search, or --all")
    if sum(chosen) > 1:
        raise IngestError("ids of tests, filters and --all exclude one another")
    if version is not None and not dataset:
        raise IngestError("--version goes with --cell alone")


def _kind(out: Path, wanted: Kind | None) -> Kind:
    """Return the format that is wanted, or that the name of a file says; a name that says another is refused."""
    told = next((kind for ending, kind in _BY_ENDING.items() if out.name.lower().endswith(ending)), None)
    kind = wanted or told
    if kind is None:
        raise IngestError(f"--format: say which; {out.name!r} ends in none of {', '.join(_BY_ENDING)}")
    if told not in (None, kind) and not out.is_dir():
        endings = " or ".join(ending for ending, means in _BY_ENDING.items() if means == kind)
        raise IngestError(f"--out {out} ends as {told} does, --format says {kind}, whose files end in {endings}")
    return kind


def _ids(tests: list[str], query: Any) -> list[ObjectId]:
    from battery_analysis.models import TestResult
    from battery_analysis.store.access import by_id
    from battery_analysis.store.search import count_undated, ordered

    if tests:
        return [by_id(TestResult, identity).id for identity in dict.fromkeys(tests)]
    found = [row["_id"] for row in ordered(query).only("id").as_pymongo()]
    if not found:
        raise NotFoundError("no test fits")
    if undated := count_undated(query):
        print(f"{counted(undated, 'test')} without a date left out by the date range", file=sys.stderr)
    return found


def _write_tests(context: Context, store: Store, ids: list[ObjectId], out: Path, kind: Kind) -> None:
    """Write one test to a file, or each to a file of its own in a folder."""
    from battery_analysis.models import TestResult
    from battery_analysis.store.access import by_id
    from battery_analysis.store.exporting import Format, Written, content_of_test, write_all

    assert kind != "crate"
    form: Format = kind
    if _is_file(out, kind):
        if len(ids) > 1:
            raise IngestError(f"{out}: {len(ids)} tests go into a folder, or into one crate (.zip); this is a file")
        test = by_id(TestResult, ids[0])
        content = content_of_test(store, test)
        written: Iterable[Written] = [
            Written(test.id, test.name, content.write(out), left_out=content.left_out(out)),
        ]
    else:
        written = write_all(store, ids, out, form)
    rows, failed, in_part = [], 0, 0
    for each in written:
        failed += each.problem is not None
        in_part += each.left_out is not None
        rows.append({"id": each.test_id, **{name: getattr(each, name) for name in _OUTCOME}})
        if said := each.problem or each.left_out:
            print(one_line(f"{each.name}: {said}"), file=sys.stderr)
        if each.files and not context.json:
            print(one_line(", ".join(map(str, each.files))))
    if context.json:
        print_json(rows)
    elif len(rows) > 1:
        beside = [f"{count} {what}" for count, what in ((in_part, "of them in part"), (failed, "not")) if count]
        print(", ".join([f"{counted(len(rows) - failed, 'test')} written", *beside]))
    if failed or in_part:
        raise typer.Exit(1)


def _write_dataset(context: Context, store: Store, cell: str, version: int | None, out: Path, kind: Kind) -> None:
    from battery_analysis.store.exporting import content_of_dataset

    assert kind != "crate"
    content = content_of_dataset(store, cell, version)
    if _is_file(out, kind):
        target = out
    else:
        out.mkdir(parents=True, exist_ok=True)
        target = out / f"{content.name}{content.ending(kind)}"
    files, left_out = content.write(target), content.left_out(target)
    if left_out is not None:
        print(one_line(f"{cell}: {left_out}"), file=sys.stderr)
    if context.json:
        sizes = {"records": content.frame.height, "cycles": content.cycles.height}
        print_json({"cell_code": cell, **sizes, "files": files, "left_out": left_out})
    else:
        print(one_line(", ".join(map(str, files))))
    if left_out is not None:
        raise typer.Exit(1)


def _write_crate(
    context: Context,
    store: Store,
    ids: list[ObjectId],
    out: Path,
    name: str,
    license: str | None,
    cell: str | None,
    version: int | None,
) -> None:
    from battery_analysis.store.crating import write_crate

    if out.suffix.lower() != ".zip":
        raise IngestError(f"{out}: a crate is a file that ends in .zip")
    packed = write_crate(store, out, ids, name=name, license=license, cell=cell, version=version)
    for original in packed.without_bytes:
        print(one_line(f"{original}: imported without keeping its bytes; the crate holds its records"), file=sys.stderr)
    if context.json:
        facts = {"tests": packed.tests, "originals": packed.originals, "without_bytes": packed.without_bytes}
        print_json({"file": out, **facts})
    else:
        print(one_line(f"{out}: {counted(packed.tests, 'test')}, {counted(packed.originals, 'original file')}"))


def _is_file(out: Path, kind: Kind) -> bool:
    """Say whether a path is to be a file: it ends as the format does, and is no folder yet."""
    return not out.is_dir() and any(
        out.name.lower().endswith(ending) for ending, means in _BY_ENDING.items() if means == kind
    )


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="export")


if __name__ == "__main__":
    sys.exit(main())
