"""Samples fill the cells of a plan by their properties or by assignment, as their tests arrive."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from battery_analysis.analysis.plans import Factor, full_factorial, latin_hypercube
from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.models import ExperimentPlan, TestResult
from battery_analysis.store import Store, plans, removal, samples
from tests.builders import STARTED_AT, cycling_frame, read_result, save

FACTORS = [Factor("loading_mg_cm2", (2.0, 4.0)), Factor("binder", ("PVDF", "CMC"))]


def test_of(store: Store, folder: Path, sample: str, number: int = 0, **metadata: object) -> TestResult:
    """A stored test of a sample; later numbers begin later."""
    started = STARTED_AT + timedelta(days=number)
    result = read_result(cycling_frame(2), started_at=started)
    stored = save(store, folder, result, name=f"{sample}_{number}.csv", sample=sample)
    if metadata:
        TestResult.objects(id=stored.id).update(set__metadata=metadata)
    return stored


test_of.__test__ = False  # type: ignore[attr-defined]


def filled(state: plans.PlanState) -> dict[int, list[str]]:
    return {cell.number: [link.sample_name for link in cell.links] for cell in state.cells if cell.links}


def test_a_sample_fills_its_cell_once_its_test_is_there(store: Store, tmp_path: Path) -> None:
    plan = plans.make("binders", full_factorial(FACTORS))
    assert [list(cell.levels) for cell in plan.matrix] == [[2.0, "PVDF"], [2.0, "CMC"], [4.0, "PVDF"], [4.0, "CMC"]]
    samples.set_fields(store, "AB12", {"loading_mg_cm2": "2.0000001", "metadata.binder": " cmc"})
    assert filled(plans.state("binders")) == {}
    test_of(store, tmp_path, "AB12")
    state = plans.state("binders")
    assert filled(state) == {2: ["AB12"]}
    assert [cell.number for cell in state.gaps] == [1, 3, 4]
    assert (state.cells[1].tests, state.cells[1].links[0].cycles, state.cells[1].links[0].how) == (1, 2, "properties")
    progress = plans.by_name("binders").progress
    assert (progress.cells, progress.cells_with_tests, progress.samples, progress.tests) == (4, 1, 1, 1)


def test_a_sample_that_fits_no_level_or_does_not_tell_all_fills_none(store: Store, tmp_path: Path) -> None:
    plans.make("binders", full_factorial(FACTORS))
    samples.set_fields(store, "AB12", {"loading_mg_cm2": "3", "metadata.binder": "CMC"})
    samples.set_fields(store, "CD34", {"loading_mg_cm2": "4"})
    for name in ("AB12", "CD34", "EF56"):
        test_of(store, tmp_path, name)
    state = plans.state("binders")
    assert filled(state) == {}
    assert state.unclear == {"CD34": ("binder",)}


def test_an_assignment_counts_more_than_properties_and_can_be_taken_back(store: Store, tmp_path: Path) -> None:
    plans.make("binders", full_factorial(FACTORS))
    samples.set_fields(store, "AB12", {"loading_mg_cm2": "2", "metadata.binder": "PVDF"})
    samples.set_fields(store, "CD34", {})
    test_of(store, tmp_path, "AB12")
    assert filled(plans.assign("binders", 4, "AB12")) == {4: ["AB12"]}
    state = plans.assign("binders", 3, "CD34")
    assert (filled(state), state.cells[2].state, state.cells[3].state) == (
        {3: ["CD34"], 4: ["AB12"]},
        "assigned",
        "done",
    )
    assert filled(plans.assign("binders", 2, "AB12")) == {2: ["AB12"], 3: ["CD34"]}
    assert filled(plans.unassign("binders", "AB12")) == {1: ["AB12"], 3: ["CD34"]}
    with pytest.raises(NotFoundError, match="sample 'AB12' is assigned to no cell"):
        plans.unassign("binders", "AB12")
    with pytest.raises(NotFoundError, match=r"cells 1 to 4, got 5"):
        plans.assign("binders", 5, "AB12")


def test_replicates_are_filled_in_order_of_the_first_tests(store: Store, tmp_path: Path) -> None:
    plans.make("twice", full_factorial([Factor("metadata.binder", ("PVDF", "CMC"))], replicates=2))
    for number, name in enumerate(("EF56", "AB12", "CD34")):
        samples.set_fields(store, name, {"metadata.binder": "PVDF"})
        test_of(store, tmp_path, name, number)
    assert filled(plans.state("twice")) == {1: ["EF56"], 3: ["AB12", "CD34"]}
    assert filled(plans.assign("twice", 1, "CD34")) == {1: ["CD34"], 3: ["AB12", "EF56"]}


def test_what_a_test_says_of_itself_counts_more_than_its_sample(store: Store, tmp_path: Path) -> None:
    plans.make("heat", full_factorial([Factor("temperature", (25.0, 45.0))]))
    samples.set_fields(store, "AB12", {"metadata.temperature": "25"})
    test_of(store, tmp_path, "AB12", 0)
    test_of(store, tmp_path, "AB12", 1, temperature="45.0")
    state = plans.state("heat")
    assert filled(state) == {1: ["AB12"], 2: ["AB12"]}
    assert [cell.tests for cell in state.cells] == [1, 1]


def test_only_samples_of_the_plan_s_project_count(store: Store, tmp_path: Path) -> None:
    plans.make("mine", full_factorial([Factor("metadata.binder", ("PVDF", "CMC"))]), project="zinc")
    for name, project in (("AB12", "zinc"), ("CD34", "iron")):
        samples.set_fields(store, name, {"metadata.binder": "CMC", "project": project})
        test_of(store, tmp_path, name)
    assert filled(plans.state("mine")) == {2: ["AB12"]}


def test_components_are_levels_by_their_names(store: Store, tmp_path: Path) -> None:
    plans.make("foils", full_factorial([Factor("anode", ("foil 1", "foil 2"))]))
    samples.set_fields(store, "foil 2", {})
    samples.set_fields(store, "AB12", {"anode": "foil 2"})
    test_of(store, tmp_path, "AB12")
    assert filled(plans.state("foils")) == {2: ["AB12"]}


def test_a_deleted_test_leaves_a_gap(store: Store, tmp_path: Path) -> None:
    plans.make("one", latin_hypercube([Factor("loading_mg_cm2", low=1.0, high=3.0)], 2, seed=1))
    level = plans.by_name("one").matrix[1].levels[0]
    samples.set_fields(store, "AB12", {"loading_mg_cm2": str(level)})
    stored = test_of(store, tmp_path, "AB12")
    assert plans.refresh() == 1
    assert plans.refresh() == 0
    [listed] = plans.all_plans()
    assert listed.progress.cells_with_tests == 1
    removal.delete_test(store, stored.id)
    assert plans.all_plans()[0].progress.cells_with_tests == 0


def test_names_are_unique_and_plans_can_be_deleted(store: Store) -> None:
    design = full_factorial(FACTORS)
    plans.make("binders", design, description="which one holds", project="zinc")
    with pytest.raises(InvalidDocumentError, match="ExperimentPlan 'binders': another plan is already named so"):
        plans.make("binders", design)
    with pytest.raises(InvalidDocumentError, match="name: String value is too short"):
        plans.make("", design)
    plans.delete("binders")
    assert ExperimentPlan.objects.count() == 0
    with pytest.raises(NotFoundError, match="no experiment plan is named 'binders'"):
        plans.state("binders")


def test_a_level_that_is_called_none_is_not_what_is_unknown(store: Store, tmp_path: Path) -> None:
    plans.make("additives", full_factorial([Factor("additive", ("None", "FEC"))]))
    samples.set_fields(store, "AB12", {"metadata.additive": "none"})
    for name in ("AB12", "CD34"):
        test_of(store, tmp_path, name)
    assert filled(plans.state("additives")) == {1: ["AB12"]}
