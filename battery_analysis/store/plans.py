"""Plans of experiments: which samples fill which cell of a matrix, and where there are gaps.

A sample belongs to the cell that a person assigned it to. Any other sample with tests belongs to the cell whose levels
equal what is known of it: for each factor the metadata of its tests, else the sample's property of that name, else
its own metadata. Numbers are equal within a millionth, texts whatever their case. A sample of which a factor is not
known belongs to no cell. Of cells with the same levels (replicates) the samples fill one after the other, in order
of their first test; what is more goes to the last.

All that is found from samples and tests, and is found anew whenever it is asked for: an import need not know of plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isclose
from typing import Any

from bson import ObjectId
from mongoengine import NotUniqueError

from battery_analysis.analysis.plans import Design, Level
from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.models import (
    ExperimentPlan,
    PlanCell,
    PlanFactor,
    PlanLink,
    PlanProgress,
    Sample,
    TestResult,
    checked,
    now,
)
from battery_analysis.models.sample import COMPONENTS
from battery_analysis.store import samples
from battery_analysis.store.access import visible

EQUAL = 1e-6


@dataclass(frozen=True)
class CellState:
    """One cell of the matrix and the samples in it; a cell without tests is a gap."""

    number: int
    levels: tuple[Level, ...]
    links: tuple[PlanLink, ...]

    @property
    def tests(self) -> int:
        """How many tests its samples have."""
        return sum(link.tests for link in self.links)

    @property
    def state(self) -> str:
        """``done`` with tests, ``assigned`` with samples that have none yet, else ``open``."""
        return "done" if self.tests else "assigned" if self.links else "open"


@dataclass(frozen=True)
class PlanState:
    """A plan as it stands: its cells, and samples that fit but for a factor of which they do not tell."""

    plan: ExperimentPlan
    cells: tuple[CellState, ...]
    unclear: Mapping[str, tuple[str, ...]]

    @property
    def gaps(self) -> tuple[CellState, ...]:
        """Cells without tests."""
        return tuple(cell for cell in self.cells if not cell.tests)


def make(
    name: str,
    design: Design,
    *,
    description: str | None = None,
    project: str | None = None,
    chemistry: str | None = None,
) -> ExperimentPlan:
    """Store a new plan, with the samples that fit it already.

    Raises:
        InvalidDocumentError: A plan has that name, or a field does not hold what it should.
    """
    plan = ExperimentPlan(
        name=name,
        description=description,
        project=project,
        chemistry=chemistry,
        design=design.kind,
        factors=[
            PlanFactor(name=factor.name, levels=list(factor.levels), low=factor.low, high=factor.high)
            for factor in design.factors
        ],
        matrix=[PlanCell(levels=list(levels)) for levels in design.cells],
        replicates=design.replicates,
        generators=list(design.generators),
        resolution=design.resolution,
        words=list(design.words),
        seed=design.seed,
    )
    checked(plan)
    try:
        plan.save(force_insert=True, validate=False)
    except NotUniqueError as exc:
        raise InvalidDocumentError(f"ExperimentPlan {name!r}: another plan is already named so") from exc
    refresh([plan])
    return by_name(name)


def by_name(name: str) -> ExperimentPlan:
    """Return the plan with this name.

    Raises:
        NotFoundError: There is none.
    """
    found: ExperimentPlan | None = visible(ExperimentPlan).filter(name=name).first()
    if found is None:
        raise NotFoundError(f"no experiment plan is named {name!r}")
    return found


def all_plans() -> list[ExperimentPlan]:
    """Return all plans by name, each counted anew."""
    refresh()
    return list(visible(ExperimentPlan).order_by("name"))


def delete(name: str) -> ExperimentPlan:
    """Remove a plan; samples and tests stay.

    Raises:
        NotFoundError: There is none.
    """
    plan = by_name(name)
    plan.delete()
    return plan


def assign(name: str, number: int, sample_name: str) -> PlanState:
    """Put a sample into a cell, whatever its properties; it leaves any other cell.

    Raises:
        NotFoundError: No such plan, cell or sample.
    """
    plan, sample = by_name(name), samples.by_name(sample_name)
    if not 1 <= number <= len(plan.matrix):
        raise NotFoundError(f"experiment plan {name!r} has cells 1 to {len(plan.matrix)}, got {number}")
    _unassign(plan, sample.id)
    added = {"$addToSet": {f"matrix.{number - 1}.assigned": sample.id}, "$set": {"updated_at": now()}}
    ExperimentPlan._get_collection().update_one({"_id": plan.id}, added)
    return state(name)


def unassign(name: str, sample_name: str) -> PlanState:
    """Take back the assignment of a sample; it belongs where its properties put it.

    Raises:
        NotFoundError: No such plan or sample, or the sample is assigned to no cell of it.
    """
    plan, sample = by_name(name), samples.by_name(sample_name)
    if not any(sample.id in cell.assigned for cell in plan.matrix):
        raise NotFoundError(f"sample {sample_name!r} is assigned to no cell of experiment plan {name!r}")
    _unassign(plan, sample.id)
    return state(name)


def state(name: str) -> PlanState:
    """Return a plan as it stands now.

    Raises:
        NotFoundError: There is none.
    """
    return _count(by_name(name))[0]


def refresh(plans: Iterable[ExperimentPlan] | None = None) -> int:
    """Count plans anew, all of them unless some are named, and return how many have changed."""
    return sum(_count(plan)[1] for plan in (visible(ExperimentPlan) if plans is None else plans))


def _unassign(plan: ExperimentPlan, sample: ObjectId) -> None:
    for place, cell in enumerate(plan.matrix):
        if sample in cell.assigned:
            taken = {"$pull": {f"matrix.{place}.assigned": sample}, "$set": {"updated_at": now()}}
            ExperimentPlan._get_collection().update_one({"_id": plan.id}, taken)


def _count(plan: ExperimentPlan) -> tuple[PlanState, bool]:
    """Find what fills the cells, store it, and say whether it has changed."""
    filling = _Filling(plan)
    links = filling.links()
    of_cell: dict[int, list[PlanLink]] = {}
    for link in links:
        of_cell.setdefault(link.cell, []).append(link)
    cells = tuple(
        CellState(number, tuple(cell.levels), tuple(of_cell.get(number, ())))
        for number, cell in enumerate(plan.matrix, start=1)
    )
    progress = PlanProgress(
        cells=len(cells),
        cells_with_tests=sum(cell.tests > 0 for cell in cells),
        samples=len({link.sample for link in links}),
        tests=sum(link.tests for link in links),
    )
    changed = _plain(plan.links) != _plain(links) or plan.progress is None
    if changed:
        fields = {"links": _plain(links), "progress": progress.to_mongo()}
        ExperimentPlan._get_collection().update_one({"_id": plan.id}, {"$set": fields})
        plan.links, plan.progress = links, progress
    return PlanState(plan, cells, filling.unclear), changed


def _plain(links: Iterable[PlanLink]) -> list[dict[str, Any]]:
    return [link.to_mongo().to_dict() for link in links]


class _Filling:
    """The samples that fill the cells of a plan."""

    def __init__(self, plan: ExperimentPlan) -> None:
        self.factors = list(plan.factors)
        self.assigned = {sample: number for number, cell in enumerate(plan.matrix, start=1) for sample in cell.assigned}
        self.unclear: dict[str, tuple[str, ...]] = {}
        self._taken = set(self.assigned.values())
        self._levels: list[list[Level]] = [
            list(dict.fromkeys(cell.levels[place] for cell in plan.matrix)) for place in range(len(self.factors))
        ]
        self._places: list[dict[Any, int | None]] = [{} for _ in self.factors]
        self._cells: dict[tuple[int | None, ...], list[int]] = {}
        for number, cell in enumerate(plan.matrix, start=1):
            self._cells.setdefault(tuple(map(self._place, range(len(self.factors)), cell.levels)), []).append(number)
        self._tests = _tests_of(plan, list(self.assigned))
        known = visible(Sample).filter(id__in=[*self._tests, *self.assigned])
        self._samples: dict[ObjectId, Sample] = {sample.id: sample for sample in known}

    def links(self) -> list[PlanLink]:
        """Which samples belong to which cells, in order of cells and names."""
        links = []
        fitting: dict[tuple[int | None, ...], list[tuple[Sample, list[dict[str, Any]]]]] = {}
        for identity, sample in self._samples.items():
            rows = self._tests.get(identity, [])
            if identity in self.assigned:
                links.append(_link(self.assigned[identity], sample, "assigned", rows))
            else:
                for key, own in self._by_levels(sample, rows).items():
                    fitting.setdefault(key, []).append((sample, own))
        for key, found in fitting.items():
            cells = self._cells[key]
            free = [number for number in cells if number not in self._taken] or cells
            found.sort(key=lambda each: min(map(_began, each[1])))
            links += [
                _link(free[min(place, len(free) - 1)], sample, "properties", own)
                for place, (sample, own) in enumerate(found)
            ]
        return sorted(links, key=lambda link: (link.cell, link.sample_name))

    def _by_levels(
        self, sample: Sample, rows: list[dict[str, Any]]
    ) -> dict[tuple[int | None, ...], list[dict[str, Any]]]:
        """The tests of a sample that fit a cell, by their levels."""
        fitting: dict[tuple[int | None, ...], list[dict[str, Any]]] = {}
        for row in rows:
            values = [_value_of(sample, row.get("metadata") or {}, factor.name) for factor in self.factors]
            key = tuple(map(self._place, range(len(values)), values))
            if key in self._cells:
                fitting.setdefault(key, []).append(row)
                continue
            lacking = [factor.name for factor, value in zip(self.factors, values, strict=True) if value is None]
            fits = all(value is None or place is not None for value, place in zip(values, key, strict=True))
            if fits and len(lacking) < len(values):
                self.unclear[sample.name] = tuple(lacking)
        return fitting

    def _place(self, factor: int, value: Any) -> int | None:
        """Which of a factor's levels a value is; None for none."""
        if value is None:  # a level may be called None
            return None
        known = self._places[factor]
        word = str(value)
        if word not in known:
            levels = self._levels[factor]
            known[word] = next((place for place, level in enumerate(levels) if _equals(level, value)), None)
        return known[word]


def _tests_of(plan: ExperimentPlan, assigned: list[ObjectId]) -> dict[ObjectId, list[dict[str, Any]]]:
    """Tests by sample: those within project and chemistry of the plan, and those of samples that were assigned."""
    wanted = {name: value for name in ("project", "chemistry") if (value := getattr(plan, name))}
    either = [wanted, {"sample": {"$in": assigned}}] if assigned and wanted else [wanted]
    shown = ("sample", "cycle_count", "metadata", "started_at", "created_at")
    found: dict[ObjectId, list[dict[str, Any]]] = {}
    for row in visible(TestResult).filter(__raw__={"$or": either}).only(*shown).as_pymongo():
        found.setdefault(row["sample"], []).append(row)
    return found


def _link(number: int, sample: Sample, how: str, rows: list[dict[str, Any]]) -> PlanLink:
    cycles = sum(row["cycle_count"] for row in rows)
    return PlanLink(cell=number, sample=sample.id, sample_name=sample.name, how=how, tests=len(rows), cycles=cycles)


def _began(row: Mapping[str, Any]) -> tuple[bool, datetime]:
    """When a test began; those that do not say come last, in the order of their import."""
    started = row.get("started_at")
    return started is None, started or row["created_at"]


def _value_of(sample: Sample, metadata: Mapping[str, Any], factor: str) -> Any:
    """What is known of a test and its sample for a factor; None if nothing is."""
    key = factor.removeprefix("metadata.")
    if metadata.get(key) is not None:
        return metadata[key]
    field = samples.field_name(factor)
    if field in samples.EDITABLE and field not in ("tags", "metadata"):
        value = getattr(sample, field)
        if value is not None:
            return value.name if field in ("parent", *COMPONENTS) else value
    return sample.metadata.get(key)


def _equals(level: Level, value: Any) -> bool:
    """Whether a value is a level: numbers within a millionth, texts whatever their case."""
    if value is None:
        return False
    if isinstance(level, int | float):
        try:
            return isclose(level, float(value), rel_tol=EQUAL, abs_tol=1e-12)
        except (TypeError, ValueError):
            return False
    return str(value).strip().casefold() == level.strip().casefold()
