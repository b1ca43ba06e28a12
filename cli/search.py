"""``battery-analysis search``: find tests."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict, fields
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.common import MOST, Context, command, new_app, open_store, run, type_next
from cli.output import counted, print_json, print_table, to_plain

if TYPE_CHECKING:
    from battery_analysis.store.search import Query

TestType = Literal["cycling", "eis", "cv", "gitt", "hppc", "ocv", "other"]

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


def _days(text: str | None) -> tuple[date | None, date | None]:
    if text is None:
        return None, None
    first, colon, last = text.partition(":")
    if not colon:
        raise _bad_range(f"FIRST:LAST wanted, either may be empty, got {text!r}")
    try:
        days = tuple(date.fromisoformat(day) if day else None for day in (first, last))
    except ValueError as exc:
        raise _bad_range(f"days are written YYYY-MM-DD, got {text!r}") from exc
    if days[0] and days[1] and days[0] > days[1]:
        raise _bad_range(f"the first day is after the last in {text!r}")
    return days[0], days[1]


def _bad_range(reason: str) -> typer.BadParameter:
    return typer.BadParameter(reason, param_hint="--date-range")


@command(app, "search")
def search(
    context: Context,
    sample: Annotated[str | None, typer.Option(metavar="NAME", help="Sample.")] = None,
    cell: Annotated[str | None, typer.Option(metavar="CODE", help="Cell code.")] = None,
    chemistry: Annotated[str | None, typer.Option(metavar="NAME", help="Chemistry of the sample.")] = None,
    date_range: Annotated[
        str | None,
        typer.Option(metavar="FIRST:LAST", help="Days YYYY-MM-DD, both included; either may be empty."),
    ] = None,
    tester: Annotated[str | None, typer.Option(metavar="VENDOR", help="Such as Arbin, BioLogic, Neware.")] = None,
    type: Annotated[
        TestType | None, typer.Option(metavar="TYPE", help="cycling, eis, cv, gitt, hppc, ocv, other.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="T", help="Tag; repeatable, all must be there.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Project of the sample.")] = None,
    min_cycles: Annotated[int | None, typer.Option(min=0, max=MOST, metavar="N", help="At least so many.")] = None,
    max_cycles: Annotated[int | None, typer.Option(min=0, max=MOST, metavar="N", help="At most so many.")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Beginnings of words in names, tags, protocol and notes.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="started, sample, cell, chemistry, tester, type, cycles, initial, final, retention; -KEY backwards.",
        ),
    ] = "-started",
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, metavar="N", help="At most so many tests.")] = None,
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


def query_of(
    *,
    date_range: str | None,
    tester: str | None,
    type: TestType | None,
    tag: list[str] | None,
    min_cycles: int | None,
    max_cycles: int | None,
    **others: Any,
) -> Query:
    """Return what the options of a search ask for; those that are not named here are the query's own.

    Raises:
        BadParameter: A range is malformed, or its ends are the wrong way round.
    """
    first_day, last_day = _days(date_range)
    from battery_analysis.store.search import Query

    if min_cycles is not None and max_cycles is not None and min_cycles > max_cycles:
        raise typer.BadParameter(f"{min_cycles} is more than --max-cycles {max_cycles}", param_hint="--min-cycles")
    return Query(
        first_day=first_day,
        last_day=last_day,
        tester=_as_written(tester),
        test_type=type,
        tags=tag or (),
        min_cycles=min_cycles,
        max_cycles=max_cycles,
        **others,
    )


def _as_written(tester: str | None) -> str | None:
    """Return a vendor's name as the readers write it, however it was typed."""
    from battery_analysis.readers import READERS

    known = {reader.tester.casefold(): reader.tester for reader in READERS}
    return known.get(tester.casefold(), tester) if tester else tester


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
