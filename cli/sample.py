"""``battery-analysis sample``: make and edit samples."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import IngestError
from cli.common import Context, command, new_app, open_store, run
from cli.output import print_facts, print_json, print_table

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
        sample = samples.set_fields(store, name, dict(_pair(text) for text in values))
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
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many samples.")] = None,
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
    else:
        columns = ("name", "chemistry", "cell_type", "nominal_capacity_ah", "area_cm2", "project", "tests", "cycles")
        print_table(rows, columns)


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
        done, problems = samples.set_many(store, rows)
        if context.json:
            print_json({"samples": [_facts(sample) for sample in done], "problems": problems})
        else:
            print(f"{len(done)} samples set from {sheet}")
    for problem in problems:
        print(f"{sheet}: {problem}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)


def read_sheet(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a CSV, XLSX (first sheet) or JSON (list of objects) file.

    Raises:
        IngestError: The file cannot be read or has another shape.
    """
    readers = {".csv": _csv_rows, ".json": _json_rows, ".xlsx": _workbook_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise IngestError(f"{path}: .csv, .xlsx or .json wanted")
    try:
        return reader(path)
    except OSError as exc:
        raise IngestError(f"{path}: {exc.strerror or exc}") from exc
    except (UnicodeDecodeError, ValueError) as exc:
        raise IngestError(f"{path}: {exc}") from exc


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=";" if first.count(";") > first.count(",") else ",")
        return [{key: value for key, value in row.items() if key is not None} for row in reader]


def _json_rows(path: Path) -> list[dict[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise IngestError(f"{path}: a list of objects wanted")
    return rows


def _workbook_rows(path: Path) -> list[dict[str, Any]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        header, *rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python() or [[]]
    except CalamineError as exc:
        raise IngestError(f"{path}: {exc}") from exc
    return [dict(zip(map(str, header), row, strict=False)) for row in rows]


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
    facts["aggregates"] = aggregates
    facts["notes"] = [{"text": n.text, "author": n.author, "written_at": n.written_at} for n in sample.notes_log]
    return facts


def _show(context: Context, sample: Sample) -> None:
    facts = _facts(sample)
    if context.json:
        print_json(facts)
        return
    aggregates, metadata = facts.pop("aggregates"), facts.pop("metadata")
    notes = facts.pop("notes")
    print_facts({**facts, **{f"metadata.{key}": value for key, value in metadata.items()}, **aggregates})
    for note in notes:
        print(f"note {note['written_at']:%Y-%m-%d}: {note['text']}")


def main() -> int:
    """Run these commands alone and return their exit status."""
    return run(app, name="sample")


if __name__ == "__main__":
    sys.exit(main())
