"""``battery-analysis search``: find tests."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict, fields
from typing import Annotated, Any

import typer

from cli.common import Context, command, new_app, open_store, run, type_next
from cli.output import counted, print_json, print_table, to_plain
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

_TABLE = {
    "id": "id",
    "sample": "sample",
    "chemistry": "chemistry",
    "type": "type",
    "started_at": "date",
    "cycles": "cycles",
    "initial_capacity_ah": "initial / Ah",
    "final_capacity_ah": "final / Ah",
    "capacity_retention": "retention",
}

app = new_app()


@command(app, "search")
def search(
    context: Context,
    sample: SampleName = None,
    cell: Annotated[str | None, typer.Option(metavar="CODE", help="Cell code.")] = None,
    chemistry: Chemistry = None,
    date_range: DateRange = None,
    tester: Tester = None,
    type: Type = None,
    tag: Tag = None,
    project: Project = None,
    min_cycles: MinCycles = None,
    max_cycles: MaxCycles = None,
    text: Text = None,
    sort: Sort = "-started",
    limit: Limit = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Find tests; every filter that is given must fit."""
    from battery_analysis.store import search as searching

    query = query_of(
        sample=sample,
        cell=cell,
        chemistry=chemistry,
        date_range=date_range,
        tester=tester,
        type=type,
        tag=tag,
        project=project,
        min_cycles=min_cycles,
        max_cycles=max_cycles,
        text=text,
        sort=sort,
        limit=limit,
    )
    with open_store(context):
        rows = [asdict(found) for found in searching.search(query)]
        undated = searching.count_undated(query)
        is_empty = not rows and searching.ordered(searching.Query(limit=1)).first() is None
    if context.json:
        print_json(rows)
    elif as_csv:
        _print_csv(rows, [each.name for each in fields(searching.Found)])
    elif rows:
        print_table(rows, _TABLE | ({"flags": "failed checks"} if any(row["flags"] for row in rows) else {}))
    else:
        none_yet = f"there are no tests yet; import some: {type_next(context, 'import', 'FOLDER')}"
        print(none_yet if is_empty else "no test fits")
    if undated:
        print(f"{counted(undated, 'test')} without a date left out by the date range", file=sys.stderr)


def _print_csv(rows: list[dict[str, Any]], columns: list[str]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        plain = to_plain(row)
        writer.writerow({**plain, **{name: ", ".join(plain[name]) for name in ("tags", "flags")}})


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="search")


if __name__ == "__main__":
    sys.exit(main())
