"""``battery-analysis test``: one test."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from battery_analysis.errors import IngestError
from cli.common import Context, command, new_app, open_store, run
from cli.output import print_facts, print_json, print_table

_LISTS = ("segments", "cycle_blocks", "raw_files", "columns", "header", "words", "warnings", "notes_log", "metadata")

app = new_app("One test: facts and tags.")


@command(app, "show")
def show(
    context: Context,
    test_id: Annotated[str, typer.Argument(metavar="TEST_ID", help="Test.")],
    cycles: Annotated[bool, typer.Option("--cycles", help="Show the cycle table as well.")] = False,
) -> None:
    """Show everything about a test."""
    from battery_analysis.models import TestResult
    from battery_analysis.store import frames
    from battery_analysis.store.access import by_id

    with open_store(context) as store:
        test = by_id(TestResult, test_id)
        facts: dict[str, Any] = {**test.to_mongo().to_dict(), "sample": test.sample_name, "id": test.id}
        table = frames.cycle_table(store, test).to_dicts() if cycles else []
    facts.pop("_id")
    facts.pop("words", None)
    if context.json:
        print_json({**facts, "cycles": table} if cycles else facts)
        return
    print_facts({"id": facts.pop("id"), **{name: value for name, value in facts.items() if name not in _LISTS}})
    columns = facts.get("columns", {})
    print()
    print_table(
        [{"column": name, **column} for name, column in columns.items()],
        ("column", "minimum", "maximum", "source", "unit"),
    )
    for part in facts["raw_files"]:
        print(f"file {part['raw_file']} {part['filename']}, {len(part['versions'])} versions")
    for warning in facts.get("warnings", []):
        print(f"warning: {warning}")
    for key, value in facts.get("metadata", {}).items():
        print(f"metadata {key}: {value}")
    for note in facts.get("notes_log", []):
        print(f"note {note['written_at']:%Y-%m-%d}: {note['text']}")
    if table:
        print()
        print_table(table, list(table[0]))


@command(app, "tag")
def tag(
    context: Context,
    test_id: Annotated[str, typer.Argument(metavar="TEST_ID", help="Test.")],
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to take away; repeatable.")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Also add a note.")] = None,
) -> None:
    """Add and remove tags of a test, and add a note to it."""
    from battery_analysis.store import tests

    if not (tags or remove or note):
        raise IngestError("a tag to add, --remove or --note is wanted")
    with open_store(context):
        test = tests.tag(test_id, add=tags or (), remove=remove or ())
        if note:
            test = tests.add_note(test_id, note)
        shown = {"id": test.id, "tags": list(test.tags), "notes": [each.text for each in test.notes_log]}
    if context.json:
        print_json(shown)
    else:
        print_facts(shown)


def main() -> int:
    """Run these commands alone and return their exit status."""
    return run(app, name="test")


if __name__ == "__main__":
    sys.exit(main())
