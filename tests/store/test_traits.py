"""Conditions on any property find samples and tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.store import Store, sample_search, samples, search, test_edits, traits
from battery_analysis.store.sample_search import SampleQuery
from battery_analysis.store.traits import Condition
from tests.builders import cycling_frame, read_result, save


@pytest.fixture(autouse=True)
def lab(store: Store, tmp_path: Path) -> None:
    samples.set_fields(store, "batch", {})
    samples.set_fields(store, "A1", {"chemistry": "NMC", "area_cm2": 1.5, "parent": "batch", "metadata.rig": "7"})
    samples.set_fields(store, "A2", {"chemistry": "NMC", "area_cm2": 3.0, "metadata.rig": 12})
    samples.set_fields(store, "B1", {"chemistry": "LFP", "tags": "old"})
    first = save(store, tmp_path, read_result(cycling_frame()), name="a1.csv", sample="A1")
    test_edits.tag(first.id, add=["rate"])
    save(store, tmp_path, read_result(cycling_frame(5), tester="Neware"), name="b1.csv", sample="B1")


def found_samples(*texts: str, every: bool = True) -> list[str]:
    where = traits.matching("sample", [Condition.read(text) for text in texts], every=every)
    return [row["name"] for row in sample_search.rows(SampleQuery(where=where))]


def found_tests(*texts: str, every: bool = True) -> list[str]:
    where = traits.matching("test", [Condition.read(text) for text in texts], every=every)
    return sorted(each.name for each in search.search(search.Query(where=where)))


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("sample.chemistry|is|NMC", ["A1", "A2"]),
        ("sample.chemistry|not|NMC", ["B1", "batch"]),
        ("sample.chemistry|has|fp", ["B1"]),
        ("sample.name|begins|a", ["A1", "A2"]),
        ("sample.area_cm2|gt|1.5", ["A2"]),
        ("sample.area_cm2|le|1.5", ["A1"]),
        ("sample.area_cm2|empty|", ["B1", "batch"]),
        ("sample.tags|known|", ["B1"]),
        ("sample.parent|is|batch", ["A1"]),
        ("sample.metadata.rig|is|7", ["A1"]),
        ("sample.metadata.rig|ge|7", ["A1", "A2"]),
        ("sample.metadata.rig|lt|12", ["A1"]),
        ("test.tester|is|Neware", ["B1"]),
        ("test.cycle_count|ge|3", ["A1", "B1"]),
        ("test.started_at|is|2026-03-02", ["A1", "B1"]),
        ("test.started_at|gt|2026-03-02", []),
        ("test.tags|is|rate", ["A1"]),
    ],
)
def test_a_condition_finds_samples(store: Store, condition: str, names: list[str]) -> None:
    assert found_samples(condition) == names


def test_conditions_of_both_kinds_join(store: Store) -> None:
    both = ("sample.chemistry|is|NMC", "test.cycle_count|ge|5")
    assert found_samples(*both) == []
    assert found_samples(*both, every=False) == ["A1", "A2", "B1"]
    assert found_tests(*both) == []
    assert found_tests(*both, every=False) == ["a1.csv", "b1.csv"]
    assert found_tests("sample.chemistry|is|LFP", "test.capacity_retention|ge|80 %") == ["b1.csv"]
    assert found_tests() == ["a1.csv", "b1.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample.area_cm2|gt|wide", "area_cm2: a number is wanted, got 'wide'"),
        ("sample.area_cm2|has|1", "area_cm2: one of lt, le, gt, ge, is, known, empty wanted, got 'has'"),
        ("sample.colour|is|red", "no property 'colour' of a sample"),
        ("test.started_at|is|May", "a day is wanted, YYYY-MM-DD, got 'May'"),
        ("test.tester|is| ", "tester is: a value is wanted"),
        ("cell.name|is|a", "sample or test wanted, got 'cell'"),
        ("sample.$where|is|1", "no property '\\$where'"),
        ("sample.metadata.$x|is|1", "no property"),
        ("sample.metadata.rig|gt|big", "a number is wanted, got 'big'"),
    ],
)
def test_what_is_no_condition_is_refused(store: Store, text: str, message: str) -> None:
    with pytest.raises(InvalidDocumentError, match=message):
        Condition.read(text)


def test_values_that_there_are_can_be_chosen_from(store: Store) -> None:
    assert traits.values("sample", "chemistry") == ["NMC", "LFP"]
    assert traits.values("sample", "parent") == ["batch"]
    assert traits.values("test", "tags") == ["rate"]
    assert traits.values("sample", "metadata.rig") == ["12", "7"]
    assert traits.values("sample", "area_cm2") == []
