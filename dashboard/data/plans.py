"""Experiment plans: made, shown, exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from battery_analysis.analysis import plans as designs
from battery_analysis.models import ExperimentPlan
from battery_analysis.store import plan_sheets
from battery_analysis.store import plans as stored
from battery_analysis.writing.plan_sheet import WRITERS
from dashboard.data import asked

Plan = ExperimentPlan
State = stored.PlanState
Cell = stored.CellState
Kind = designs.DesignKind

FORMS = tuple(WRITERS)


@asked
def all_plans() -> list[Plan]:
    """Return all plans by name, each counted anew."""
    return stored.all_plans()


@asked
def state(name: str) -> State:
    """Return a plan as it stands now.

    Raises:
        NotFoundError: There is none of this name.
    """
    return stored.state(name)


@asked
def make(
    name: str, kind: Kind, factors: Sequence[str], of_design: dict[str, Any], facts: dict[str, str | None]
) -> Plan:
    """Store a new plan.

    Args:
        name: What it shall be called.
        kind: Of its design.
        factors: Each as ``name=level,level`` or ``name=low..high``.
        of_design: ``replicates`` and what the kind takes: ``generators``, ``resolution``, ``runs``, ``seed``.
        facts: ``description``, ``project`` and ``chemistry``.

    Raises:
        AnalysisError: The factors make no such design.
        InvalidDocumentError: A plan has that name, or a field does not hold what it should.
    """
    design = designs.design([designs.parse_factor(each) for each in factors], kind, **of_design)
    return stored.make(name, design, **facts)


@asked
def assign(name: str, cell: int | None, sample: str) -> State:
    """Put a sample into a cell of a plan; without a cell, take that back.

    Raises:
        NotFoundError: No such plan, cell or sample, or the sample is assigned to no cell of it.
    """
    return stored.unassign(name, sample) if cell is None else stored.assign(name, cell, sample)


@asked
def delete(name: str) -> None:
    """Remove a plan; samples and tests stay."""
    stored.delete(name)


@asked
def exported(name: str, form: str) -> bytes:
    """Return a plan as it stands as a file of one of ``FORMS``."""
    return WRITERS[form](plan_sheets.sheet(stored.state(name)))
