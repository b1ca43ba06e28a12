"""``battery-analysis normalize``: capacity, energy and resistance of cells for their size."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import ArchiveError, NotFoundError, one_line
from cli.common import MOST, Context, command, new_app, open_store, run
from cli.output import heading, print_json, print_table, to_plain

if TYPE_CHECKING:
    from battery_analysis.store.normalised import NormalisedCell

app = new_app()


@command(app, "normalize")
def normalize(
    context: Context,
    codes: Annotated[list[str], typer.Argument(metavar="CODE...", help="Cell codes.")],
    cycle: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST, metavar="N", help="Number within the cell; else the first complete one after formation."
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Relate capacity, energy and resistance of cells to area, mass, volume and thickness of their samples.

    What is known of none of them is left out; --json gives the formula and unit of every number, and the reason of
    every gap.
    Exit status: 0 all done; 1 some cells failed.
    """
    from battery_analysis.store.normalised import normalise_cell

    done, problems = [], []
    with open_store(context) as store:
        for code in dict.fromkeys(codes):
            try:
                done.append(normalise_cell(store, code, cycle))
            except (NotFoundError, ArchiveError) as exc:
                problems.append(f"{code}: {exc}")
    if context.json:
        print_json([_facts(cell) for cell in done])
    elif as_csv:
        _print_csv([_row(cell) for cell in done])
    elif done:
        _print_known([_row(cell) for cell in done])
    for problem in problems:
        print(one_line(problem), file=sys.stderr)
    if problems:
        raise typer.Exit(1)


def _facts(cell: NormalisedCell) -> dict[str, Any]:
    return {**asdict(cell), "lacks": cell.lacks}


def _row(cell: NormalisedCell) -> dict[str, Any]:
    measured = {name: value for name, value in asdict(cell.measured).items() if name != "reasons"}
    numbers = {each.name: each.value for each in cell.quantities}
    head = {"cell_code": cell.cell_code, "sample": cell.sample, "cycle_count": cell.cycle_count}
    return {**head, **measured, **numbers, "lacks": ", ".join(cell.lacks)}


def _print_known(rows: list[dict[str, Any]]) -> None:
    """Print a table of the numbers that are known of any cell."""
    from battery_analysis.analysis.normalise import FORMULAS

    known = [each.name for each in FORMULAS if any(row[each.name] is not None for row in rows)]
    columns = {
        "cell_code": "cell",
        "sample": "sample",
        "cycle_count": "cycle",
        **{name: heading(name) for name in known},
    }
    print_table(rows, {**columns, "lacks": "the sample lacks"})


def _print_csv(rows: list[dict[str, Any]]) -> None:
    if rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(to_plain(row) for row in rows)


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="normalize")


if __name__ == "__main__":
    sys.exit(main())
