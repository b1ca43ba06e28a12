"""``battery-analysis sample``: make and edit samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError, one_line
from cli.common import MOST, Context, command, new_app, open_store, run, user_name
from cli.output import counted, print_facts, print_json, print_notes, print_table
from cli.sheet import read_sheet

if TYPE_CHECKING:
    from battery_analysis.models import Sample

app = new_app("Make and edit samples.")


@command(app, "set")
def set_sample(
    context: Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Sample; made if it does not exist.")],
    values: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE", help="Fields, such as area_cm2=1.54; an empty value clears one."),
    ],
) -> None:
    """Set fields of a sample; what its tests take from it follows.

    Keys are the fields that 'sample show --json' lists, and metadata.KEY for anything else.
    """
    from battery_analysis.store import samples

    with open_store(context) as store:
        sample = samples.set_fields(store, name, dict(_pair(text) for text in values), user_name())
        _show(context, sample)


@command(app, "show")
def show(context: Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Sample.")]) -> None:
    """Show everything about a sample."""
    from battery_analysis.store import samples

    with open_store(context):
        _show(context, samples.by_name(name))


@command(app, "list")
def list_samples(
    context: Context,
    chemistry: Annotated[str | None, typer.Option(metavar="NAME", help="Only this chemistry.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Only this project.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, metavar="N", help="At most so many samples.")] = None,
) -> None:
    """List samples by name."""
    from battery_analysis.models import Sample
    from battery_analysis.store.access import visible

    wanted = {"chemistry": chemistry, "project": project}
    with open_store(context):
        found = visible(Sample).filter(**{key: value for key, value in wanted.items() if value}).order_by("name")
        rows = [_facts(sample) for sample in (found.limit(limit) if limit else found)]
    if context.json:
        print_json(rows)
    elif rows:
        columns = ("name", "chemistry", "cell_type", "nominal_capacity_ah", "area_cm2", "project", "tests", "cycles")
        print_table(rows, columns)
    else:
        print("no sample fits" if any(wanted.values()) else "no sample yet")


@command(app, "import")
def import_sheet(
    context: Context,
    sheet: Annotated[Path, typer.Argument(metavar="FILE", help="A row for each sample: .csv, .xlsx or .json.")],
) -> None:
    """Set the samples of a sheet; empty cells leave a field as it is.

    Headings are field names or usual spellings of them, such as 'Sample', 'Area (cm2)', 'Nominal capacity (Ah)'.
    Exit status: 0 all done; 1 some rows failed.
    """
    from battery_analysis.store import samples

    rows = read_sheet(sheet)
    with open_store(context) as store:
        done, problems = samples.set_many(store, rows, user_name())
        if context.json:
            print_json({"samples": [_facts(sample) for sample in done], "problems": problems})
        else:
            print(one_line(f"{counted(len(done), 'sample')} set from {sheet}"))
    for problem in problems:
        print(one_line(f"{sheet}: {problem}"), file=sys.stderr)
    if problems:
        raise typer.Exit(1)


@command(app, "delete")
def delete(
    context: Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Sample.")],
) -> None:
    """Remove a sample that has no tests and is part of no other."""
    from battery_analysis.store import removal

    with open_store(context):
        sample = removal.delete_sample(name)
    if context.json:
        print_json({"id": sample.id, "name": sample.name, "deleted": True})
    else:
        print(one_line(f"deleted sample {name}"))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise IngestError(f"KEY=VALUE wanted, got {text!r}")
    return key.strip(), value.strip()


def _facts(sample: Sample) -> dict[str, Any]:
    from battery_analysis.models.sample import COMPONENTS
    from battery_analysis.store.samples import EDITABLE

    plain = [name for name in EDITABLE if name not in ("parent", *COMPONENTS)]
    facts: dict[str, Any] = {"id": sample.id, **{name: getattr(sample, name) for name in plain}}
    for role in ("parent", *COMPONENTS):
        other = getattr(sample, role)
        facts[role] = other.name if other else None
    aggregates = sample.aggregates.to_mongo().to_dict() if sample.aggregates else {}
    facts |= {"tests": aggregates.pop("test_count", 0), "cycles": aggregates.pop("cycle_count", 0)}
    aggregates.pop("revisions", None)
    facts["aggregates"] = aggregates
    facts["notes"] = [{"text": n.text, "author": n.author, "written_at": n.written_at} for n in sample.notes_log]
    return facts


def _show(context: Context, sample: Sample) -> None:
    facts = _facts(sample)
    if context.json:
        print_json(facts)
        return
    identity, aggregates, metadata, notes = (facts.pop(name) for name in ("id", "aggregates", "metadata", "notes"))
    further = {f"metadata.{key}": value for key, value in metadata.items()}
    print_facts({"sample": facts.pop("name"), **facts, **further, **aggregates, "id": identity})
    print_notes(notes)


def main() -> int:
    """Run these commands alone and return their exit status."""
    return run(app, name="sample")


if __name__ == "__main__":
    sys.exit(main())
