"""An experiment plan as it stands as a table to hand round."""

from __future__ import annotations

from typing import Any

from battery_analysis.models import ExperimentPlan
from battery_analysis.store.plans import CellState, PlanState
from battery_analysis.writing.plan_sheet import PlanSheet

OF_CELL = ("cell", "state", "samples", "tests", "cycles")


def columns(plan: ExperimentPlan) -> dict[str, str]:
    """Keys of ``row`` and what they are called; a factor may be called like anything."""
    levels = {f"level_{place}": factor.name for place, factor in enumerate(plan.factors)}
    return {"cell": "cell", **levels, **{name: name for name in OF_CELL[1:]}}


def row(cell: CellState) -> dict[str, Any]:
    """Return a cell of the matrix as a row of a table."""
    return {
        **{f"level_{place}": level for place, level in enumerate(cell.levels)},
        "cell": cell.number,
        "state": cell.state,
        "samples": ", ".join(link.sample_name for link in cell.links),
        "tests": cell.tests,
        "cycles": sum(link.cycles for link in cell.links),
    }


def sheet(state: PlanState) -> PlanSheet:
    """Return a plan with its facts and a row for each cell, for the writers of ``writing.plan_sheet``."""
    plan = state.plan
    done, count = len(state.cells) - len(state.gaps), len(state.cells)
    facts = {
        "description": plan.description,
        "design": plan.design.replace("_", " "),
        "generators": ", ".join(plan.generators),
        "resolution": plan.resolution,
        "defining relation": ", ".join(plan.words),
        "seed": plan.seed,
        "project": plan.project,
        "chemistry": plan.chemistry,
        "progress": f"{done} of {count} cell{'s' * (count != 1)} with tests",
        "counted at": f"{plan.progress.counted_at:%Y-%m-%d %H:%M}",
    }
    known = {name: str(value) for name, value in facts.items() if value not in (None, "")}
    return PlanSheet(plan.name, known, columns(plan), [row(cell) for cell in state.cells])
