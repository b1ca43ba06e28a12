"""The answer of an analysis as people and programs read it: facts and tables, JSON, or one table as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.common import Context
from cli.output import print_facts, print_json, print_table, to_plain

if TYPE_CHECKING:
    from battery_analysis.analysis.answers import Answer

CsvOption = Annotated[bool, typer.Option("--csv", help="Print the main table as CSV.")]

_SHOWN_ROWS = 200


def show(context: Context, answer: Answer, *, as_csv: bool = False) -> None:
    """Print an answer in the form that is asked for."""
    tables = {name: table.to_dicts() for name, table in answer.tables.items()}
    if context.json:
        print_json({**answer.facts, **tables, "remarks": list(answer.said)})
    elif as_csv:
        name, table = next(iter(answer.tables.items()))
        _print_csv(tables[name], table.columns)
    else:
        _print_all(answer, tables)


def _print_all(answer: Answer, tables: Mapping[str, list[dict[str, Any]]]) -> None:
    if answer.facts:
        print_facts(answer.facts)
    for name, rows in tables.items():
        print(f"\n{name.replace('_', ' ')}:" if rows else f"\n{name.replace('_', ' ')}: none")
        if rows:
            print_table(rows[:_SHOWN_ROWS], answer.tables[name].columns)
        if len(rows) > _SHOWN_ROWS:
            print(f"… and {len(rows) - _SHOWN_ROWS} more rows; --csv and --json print all")
    if answer.said:
        print("", *answer.said, sep="\n")


def _print_csv(rows: list[dict[str, Any]], columns: list[str]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(to_plain(row) for row in rows)
