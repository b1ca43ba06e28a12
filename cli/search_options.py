"""Options that say which tests are meant, shared by all commands that search."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.common import MOST

if TYPE_CHECKING:
    from battery_analysis.store.search import Query

TestType = Literal["cycling", "eis", "cv", "gitt", "hppc", "ocv", "other"]

SampleName = Annotated[str | None, typer.Option("--sample", metavar="NAME", help="Sample.")]
Chemistry = Annotated[str | None, typer.Option(metavar="NAME", help="Chemistry of the sample.")]
DateRange = Annotated[
    str | None, typer.Option(metavar="FIRST:LAST", help="Days YYYY-MM-DD, both included; either may be empty.")
]
Tester = Annotated[str | None, typer.Option(metavar="VENDOR", help="Such as Arbin, BioLogic, Neware.")]
Type = Annotated[TestType | None, typer.Option(metavar="TYPE", help="cycling, eis, cv, gitt, hppc, ocv, other.")]
Tag = Annotated[list[str] | None, typer.Option(metavar="T", help="Tag; repeatable, all must be there.")]
Project = Annotated[str | None, typer.Option(metavar="NAME", help="Project of the sample.")]
MinCycles = Annotated[int | None, typer.Option(min=0, max=MOST, metavar="N", help="At least so many.")]
MaxCycles = Annotated[int | None, typer.Option(min=0, max=MOST, metavar="N", help="At most so many.")]
Text = Annotated[
    str | None, typer.Option(metavar="WORDS", help="Beginnings of words in names, tags, protocol and notes.")
]
Sort = Annotated[
    str,
    typer.Option(
        metavar="KEY",
        help="started, sample, cell, chemistry, tester, type, cycles, initial, final, retention; -KEY backwards.",
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, max=MOST, metavar="N", help="At most so many tests.")]


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


def _as_written(tester: str | None) -> str | None:
    """Return a vendor's name as the readers write it, however it was typed."""
    from battery_analysis.readers import READERS

    known = {reader.tester.casefold(): reader.tester for reader in READERS}
    return known.get(tester.casefold(), tester) if tester else tester
