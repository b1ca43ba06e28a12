"""``battery-analysis plan``: plans of experiments, and how far they have come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from battery_analysis.errors import IngestError, one_line
from cli.common import MOST, Context, command, new_app, open_store, run
from cli.output import heading, print_facts, print_json, print_table, say_written

if TYPE_CHECKING:
    from battery_analysis.analysis.plans import Design, DesignKind
    from battery_analysis.models import ExperimentPlan
    from battery_analysis.store.plans import CellState, PlanState

DesignName = Literal["full", "fractional", "latin-hypercube"]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Plan.")]

app = new_app("Plan experiments: factors and levels, and which samples fill them.")


@command(app, "make")
def make(
    context: Context,
    name: Name,
    factor: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=LEVELS",
            help="A property of samples and its levels, 'a,b,c', or its range, 'low..high'; repeatable.",
        ),
    ],
    design: Annotated[DesignName, typer.Option(help="How levels are combined.")] = "full",
    generator: Annotated[
        list[str] | None,
        typer.Option(metavar="D=ABC", help="Of a fractional design, factors by their letters; repeatable."),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(min=3, max=MOST, metavar="N", help="Of the smallest fraction to be found.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=2, max=MOST, metavar="N", help="Of a Latin hypercube: how many cells.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=MOST, help="Of a Latin hypercube. [0]")] = None,
    replicates: Annotated[int, typer.Option(min=1, max=MOST, help="How often the matrix is repeated.")] = 1,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Only samples of this project count.")] = None,
    chemistry: Annotated[str | None, typer.Option(metavar="NAME", help="Only samples of this chemistry count.")] = None,
) -> None:
    """Make a plan: a matrix of the levels of its factors."""
    from battery_analysis.store import plans

    of_design = {"generator": generator, "resolution": resolution, "runs": runs, "seed": seed}
    matrix = _design(
        design, factor, {key: value for key, value in of_design.items() if value not in (None, [])}, replicates
    )
    with open_store(context):
        plans.make(name, matrix, description=description, project=project, chemistry=chemistry)
        _show(context, plans.state(name), only_gaps=False)


@command(app, "show")
def show(
    context: Context,
    name: Name,
    gaps: Annotated[bool, typer.Option("--gaps", help="Only cells without tests.")] = False,
) -> None:
    """Show the cells of a plan and the samples that fill them."""
    from battery_analysis.store import plans

    with open_store(context):
        _show(context, plans.state(name), only_gaps=gaps)


@command(app, "assign")
def assign(
    context: Context,
    name: Name,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="Sample, whatever its properties.")],
    cell: Annotated[int | None, typer.Argument(metavar="[CELL]", min=1, max=MOST, help="Number of the cell.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the assignment back.")] = False,
) -> None:
    """Put a sample into a cell of a plan, or take that back."""
    from battery_analysis.store import plans

    if (cell is None) != remove:
        raise IngestError("plan assign: a CELL is wanted, or --remove without one")
    with open_store(context):
        found = plans.unassign(name, sample) if cell is None else plans.assign(name, cell, sample)
        _show(context, found, only_gaps=False)


@command(app, "list")
def list_plans(context: Context) -> None:
    """List all plans and how far they have come."""
    from battery_analysis.store import plans

    with open_store(context):
        rows = [_summary(plan) for plan in plans.all_plans()]
    if context.json:
        print_json(rows)
    elif rows:
        print_table(rows, ("name", "design", "factors", "cells", "cells_with_tests", "samples", "tests", "project"))
    else:
        print("no experiment plan yet")


@command(app, "delete")
def delete(context: Context, name: Name) -> None:
    """Remove a plan; samples and tests stay."""
    from battery_analysis.store import plans

    with open_store(context):
        plan = plans.delete(name)
    if context.json:
        print_json({"id": plan.id, "name": plan.name, "deleted": True})
    else:
        print(one_line(f"deleted experiment plan {name}"))


@command(app, "export")
def export(
    context: Context,
    name: Name,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to: .csv, .html or .pdf (needs the extra 'report').")
    ],
) -> None:
    """Write a plan as it stands to a file."""
    from battery_analysis.files import replacing
    from battery_analysis.store import plan_sheets, plans
    from battery_analysis.writing import plan_sheet

    writer = plan_sheet.WRITERS.get(out.suffix.lower().removeprefix("."))
    if writer is None:
        raise IngestError(f"{out}: .csv, .html or .pdf wanted")
    with open_store(context):
        sheet = plan_sheets.sheet(plans.state(name))
    written = writer(sheet)
    with replacing(out) as file:
        file.write(written)
    if context.json:
        print_json({"name": name, "file": out, "cells": len(sheet.rows)})
    else:
        say_written(out)


def _design(design: DesignName, factors: list[str], options: dict[str, Any], replicates: int) -> Design:
    """Make the matrix; an option of another design is an error."""
    from battery_analysis.analysis import plans

    allowed = {"full": set(), "fractional": {"generator", "resolution"}, "latin-hypercube": {"runs", "seed"}}[design]
    if stray := sorted(options.keys() - allowed):
        raise IngestError(f"plan make: --{stray[0]} is no option of a {design} design")
    if design == "latin-hypercube" and "runs" not in options:
        raise IngestError("plan make: --runs is wanted for a latin-hypercube design")
    kind = cast("DesignKind", design.replace("-", "_"))
    generators = options.pop("generator", [])
    return plans.design(
        [plans.parse_factor(text) for text in factors], kind, generators=generators, replicates=replicates, **options
    )


def _summary(plan: ExperimentPlan) -> dict[str, Any]:
    progress = plan.progress
    return {
        "id": plan.id,
        "name": plan.name,
        "description": plan.description,
        "design": plan.design,
        "factors": [factor.name for factor in plan.factors],
        "project": plan.project,
        "chemistry": plan.chemistry,
        "replicates": plan.replicates,
        "generators": list(plan.generators),
        "resolution": plan.resolution,
        "defining_relation": list(plan.words),
        "seed": plan.seed,
        "cells": progress.cells,
        "cells_with_tests": progress.cells_with_tests,
        "samples": progress.samples,
        "tests": progress.tests,
        "created_at": plan.created_at,
        "counted_at": progress.counted_at,
    }


def _show(context: Context, state: PlanState, *, only_gaps: bool) -> None:
    from battery_analysis.store import plan_sheets

    cells = state.gaps if only_gaps else state.cells
    summary = _summary(state.plan)
    if context.json:
        print_json(
            {
                **summary,
                "matrix": [_cell_facts(state.plan, cell) for cell in cells],
                "unclear": {name: list(lacking) for name, lacking in state.unclear.items()},
            }
        )
        return
    shown = {key: value for key, value in summary.items() if value not in ([], None) and key != "replicates"}
    identity = shown.pop("id")
    print_facts({"plan": shown.pop("name"), **shown, "id": identity})
    print()
    if cells:
        named = plan_sheets.columns(state.plan).items()
        columns = {key: name if name in plan_sheets.OF_CELL else heading(name) for key, name in named}
        print_table([plan_sheets.row(cell) for cell in cells], columns)
    else:
        print("no gaps: every cell has tests")
    for name, lacking in sorted(state.unclear.items()):
        print(one_line(f"sample {name} may belong here: {', '.join(lacking)} not known"))


def _cell_facts(plan: ExperimentPlan, cell: CellState) -> dict[str, Any]:
    names = [factor.name for factor in plan.factors]
    samples = [
        {"id": link.sample, "name": link.sample_name, "how": link.how, "tests": link.tests, "cycles": link.cycles}
        for link in cell.links
    ]
    levels = dict(zip(names, cell.levels, strict=True))
    return {"cell": cell.number, "levels": levels, "state": cell.state, "tests": cell.tests, "samples": samples}


def main() -> int:
    """Run these commands alone and return their exit status."""
    return run(app, name="plan")


if __name__ == "__main__":
    sys.exit(main())
