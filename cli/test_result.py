"""``battery-analysis test``: one test."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError, one_line
from cli.common import Context, command, new_app, open_store, run, user_name
from cli.output import counted, duration_text, print_facts, print_json, print_notes, print_table
from cli.read import COLUMNS, CYCLES

if TYPE_CHECKING:
    from battery_analysis.models import Attachment, TestResult

# Names that a search gives to fields of the document, and what a person sees first.
_AS_FOUND = {
    "_id": "id",
    "sample": "sample_id",
    "sample_name": "sample",
    "test_type": "type",
    "record_count": "records",
    "cycle_count": "cycles",
}
_FIRST = ("id", "sample", "cell_code", "chemistry", "tester", "type", "started_at", "records", "cycles")
_SHOWN = (
    *("test", "file", "sample", "sample_from", "cell_code", "chemistry", "cell_type", "project", "tags"),
    *("tester", "device", "channel", "operator", "type", "technique", "protocol", "comment", "software"),
    *("started_at", "ended_at", "duration", "finished", "temperature_celsius", "voltage_limits_volt"),
    *("nominal_capacity_ah", "active_mass_gram", "c_rates", "records", "cycles", "cycle_method", "gap_cycles"),
    *("initial_capacity_ah", "final_capacity_ah", "capacity_retention", "cycle_life_80", "throughput_ah"),
    *("throughput_wh", "mean_coulombic_efficiency", "mean_energy_efficiency", "mean_voltage_efficiency"),
    *("efficiency_convention", "median_internal_resistance_ohm", "read_by", "revision", "sha256", "import_job"),
)

_ATTACHMENTS = {"id": "attachment", "name": "file", "kind": "kind", "size": "bytes", "sha256": "SHA-256"}
_SPELLED = {"c_rates": "C-rates", "sha256": "SHA-256"}

app = new_app("One test: facts, tags, its sample, removal.")


@command(app, "show")
def show(
    context: Context,
    test_id: Annotated[str, typer.Argument(metavar="TEST_ID", help="Test.")],
    cycles: Annotated[bool, typer.Option("--cycles", help="Show the cycle table as well.")] = False,
) -> None:
    """Show everything about a test."""
    from battery_analysis.models import TestResult
    from battery_analysis.store import attachments, frames
    from battery_analysis.store.access import by_id

    with open_store(context) as store:
        test = by_id(TestResult, test_id)
        facts = {**describe(test), "attachments": [_attachment(each) for each in attachments.of_test(test.id)]}
        table = frames.cycle_table(store, test).to_dicts() if cycles else None
    if context.json:
        print_json(facts if table is None else {**facts, "cycle_table": table})
    else:
        _print_test(facts, table)


def describe(test: TestResult) -> dict[str, Any]:
    """Return everything about a test, under the names that a search gives them; what is not known is null."""
    from battery_analysis.columns import BY_NAME

    stored = test.to_mongo().to_dict()
    known = {name: stored.get(name) for name in ("_id", *type(test)._fields_ordered) if name not in ("id", "words")}
    facts = {_AS_FOUND.get(name, name): value for name, value in known.items()}
    facts["columns"] = {
        name: {
            "min": column["minimum"],
            "max": column["maximum"],
            "unit": BY_NAME[name].unit if name in BY_NAME else column.get("unit", ""),
            "source": column.get("source"),
            "source_unit": column.get("unit"),
        }
        for name, column in stored["columns"].items()
    }
    facts["flags"] = [flag["name"] for flag in facts["quality_flags"] or ()]
    return {**{name: facts[name] for name in _FIRST}, **facts}


def _attachment(attachment: Attachment) -> dict[str, Any]:
    names = ("id", "name", "kind", "title", "size", "sha256")
    return {name: getattr(attachment, name) for name in names}


def _print_test(facts: dict[str, Any], cycles: list[dict[str, Any]] | None) -> None:
    shown = {
        **facts,
        "test": facts["id"],
        "file": facts["name"],
        "sample_from": facts["sample_rule"],
        "duration": duration_text(facts["duration_second"]),
        "gap_cycles": facts["gap_cycles"] or None,
        "read_by": f"{facts['reader']} {facts['reader_version']}",
    }
    print_facts({_SPELLED.get(name, name): shown[name] for name in _SHOWN})
    print()
    print_table([{"name": name, **column} for name, column in facts["columns"].items()], COLUMNS)
    print()
    for part in facts["raw_files"]:
        print(one_line(f"raw file {part['raw_file']}  {part['filename']}, {counted(len(part['versions']), 'version')}"))
    if facts["attachments"]:
        print()
        print_table(facts["attachments"], _ATTACHMENTS)
        print()
    for flag in facts["quality_flags"] or ():
        print(f"check {flag['name']} failed: {one_line(flag['message'])}{_where(flag.get('records', ()))}")
    for warning in facts["warnings"] or ():
        print(one_line(f"warning: {warning}"))
    for key, value in (facts["metadata"] or {}).items():
        print(one_line(f"metadata {key}: {value}"))
    print_notes(facts["notes_log"] or ())
    if cycles is not None:
        _print_cycles(facts, cycles)


def _where(ranges: Sequence[Sequence[int]]) -> str:
    """Write the ranges of records of a flag behind its message; nothing where it names none."""
    shown = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges)
    return f" (records {shown}, counted from 0)" if shown else ""


def _print_cycles(facts: dict[str, Any], cycles: list[dict[str, Any]]) -> None:
    print()
    if not cycles:
        print("no cycles")
        return
    print(f"cycles (numbers: {facts['cycle_method']}; efficiency: {facts['efficiency_convention']})")
    print_table(cycles, {name: heading for name, heading in CYCLES.items() if name in cycles[0]})


@command(app, "tag")
def tag(
    context: Context,
    test_id: Annotated[str, typer.Argument(metavar="TEST_ID", help="Test.")],
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to take away; repeatable.")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Also add a note.")] = None,
) -> None:
    """Add and remove tags of a test, and add a note to it."""
    from battery_analysis.store import test_edits

    if not (tags or remove or note):
        raise IngestError("a tag to add, --remove or --note is wanted")
    with open_store(context):
        test = test_edits.tag(test_id, add=tags or (), remove=remove or (), author=user_name())
        if note:
            test = test_edits.add_note(test_id, note)
        notes = [{"text": each.text, "author": each.author, "written_at": each.written_at} for each in test.notes_log]
    if context.json:
        print_json({"id": test.id, "tags": list(test.tags), "notes": notes})
    else:
        print_facts({"test": test.id, "tags": list(test.tags) or "none"})
        print_notes(notes)


@command(app, "move")
def move(
    context: Context,
    test_id: Annotated[str, typer.Argument(metavar="TEST_ID", help="Test.")],
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="Name of a sample that exists.")],
) -> None:
    """Give a test to another sample; it stays there when its file grows."""
    from battery_analysis.ingest.sample_rules import rules_from
    from battery_analysis.models import TestResult
    from battery_analysis.store import samples, tests
    from battery_analysis.store.access import by_id

    with open_store(context) as store:
        before, target = by_id(TestResult, test_id), samples.by_name(sample)
        codes = rules_from(context.settings).codes(target.name) or [target.name]
        moved = tests.move(store, test_id, target, codes[0], user_name())
        samples.refresh_aggregates({before.sample.id, target.id})
    facts = {"test": moved.id, "sample": moved.sample_name, "cell_code": moved.cell_code, "was": before.sample_name}
    if context.json:
        print_json(facts)
    else:
        print_facts(facts)


@command(app, "delete")
def delete(
    context: Context,
    test_id: Annotated[str, typer.Argument(metavar="TEST_ID", help="Test.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would go.")] = False,
) -> None:
    """Remove a test, its data and the raw files that belong to no other test.

    Its file is imported again wherever an import or a watcher still finds it.
    """
    from battery_analysis.models import TestResult
    from battery_analysis.store import removal
    from battery_analysis.store.access import by_id

    with open_store(context) as store:
        test = by_id(TestResult, test_id)
        names = [part.filename for part in test.raw_files]
        if yes:
            test, raws = removal.delete_test(store, test_id)
            names = [raw.filename for raw in raws]
    facts = {"id": test.id, "sample": test.sample_name, "records": test.record_count, "files": names, "deleted": yes}
    if context.json:
        print_json(facts)
        return
    what = f"test {test.id} of sample {test.sample_name}, {counted(test.record_count, 'record')}"
    files = f"; raw files: {', '.join(names) or 'none'}"
    print(one_line(f"deleted {what}{files}" if yes else f"would delete {what}{files}; to do it, add --yes"))


def main() -> int:
    """Run these commands alone and return their exit status."""
    return run(app, name="test")


if __name__ == "__main__":
    sys.exit(main())
