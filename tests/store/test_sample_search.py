"""Samples are found by words and properties, counted by group, and by what they lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.store import Store, history, sample_search, samples
from battery_analysis.store.sample_search import SampleQuery
from tests.builders import cycling_frame, read_result, save


@pytest.fixture(autouse=True)
def five(store: Store, tmp_path: Path) -> None:
    samples.set_fields(store, "batch 1", {"description": "NMC sheet"})
    samples.set_fields(store, "A1", {"chemistry": "NMC", "project": "x", "parent": "batch 1", "area_cm2": 1.5})
    samples.set_fields(store, "A2", {"chemistry": "NMC", "project": "y", "cathode": "batch 1", "metadata.rig": "7"})
    samples.set_fields(store, "B1", {"chemistry": "LFP", "project": "x", "tags": "old, dry"})
    save(store, tmp_path, read_result(cycling_frame()), sample="A1")
    samples.refresh_left_behind()
    samples.add_note("B1", "swollen after a week", "Ada")


def names(**query: object) -> list[str]:
    return [row["name"] for row in sample_search.rows(SampleQuery(**query))]  # type: ignore[arg-type]


def test_words_are_found_by_their_beginnings_and_taken_literally(store: Store) -> None:
    assert names(text="nmc") == ["A1", "A2", "batch 1"]
    assert names(text="SWOLLEN week") == ["B1"]
    assert names(text="wel") == []
    assert names(text="a.") == names(text="a") == ["A1", "A2", "B1"]


def test_properties_relatives_and_gaps_filter(store: Store) -> None:
    assert names(chemistry="NMC", project="x") == ["A1"]
    assert names(parent="batch 1") == ["A1"]
    assert names(part="batch 1") == ["A2"]
    assert names(part="nobody") == []
    assert names(tags=["old"]) == ["B1"]
    assert names(lacks="area_cm2") == ["A2", "B1", "batch 1"]
    assert names(lacks="metadata.rig", chemistry="NMC") == ["A1"]
    with pytest.raises(InvalidDocumentError, match="no field 'colour' of samples"):
        names(lacks="colour")


def test_rows_tell_relatives_by_name_and_what_tests_say(store: Store) -> None:
    first = next(sample_search.rows(SampleQuery(sort="-test_count")))
    assert (first["name"], first["parent"], first["test_count"], first["cycle_count"]) == ("A1", "batch 1", 1, 3)
    assert names(sort="-name", skip=1, limit=2) == ["B1", "A2"]
    with pytest.raises(InvalidDocumentError, match="sort: one of name"):
        names(sort="colour")


def test_groups_count_samples_and_their_tests(store: Store) -> None:
    found = {each.value: (each.samples, each.tests) for each in sample_search.groups(SampleQuery(), "project")}
    assert found == {"x": (2, 1), "y": (1, 0), None: (1, 0)}
    assert sample_search.groups(SampleQuery(chemistry="NMC"), "parent")[0].value in ("batch 1", None)
    with pytest.raises(InvalidDocumentError, match="group: one of project"):
        sample_search.groups(SampleQuery(), "name")


def test_what_samples_lack_is_counted(store: Store) -> None:
    counts, total = sample_search.lacking(SampleQuery(), ["chemistry", "metadata.rig", "tags"])
    assert (counts, total) == ({"chemistry": 1, "metadata.rig": 3, "tags": 3}, 4)
    assert sample_search.metadata_keys() == ["rig"]


def test_history_tells_who_changed_what(store: Store) -> None:
    sample = samples.set_fields(
        store, "A1", {"area_cm2": 2.5, "project": "x", "parent": "B1", "metadata.rig": 3}, "Ada"
    )
    told = {each.field: (each.before, each.after, each.created_by) for each in history.of(sample.id)[:3]}
    assert told == {
        "area_cm2": (1.5, 2.5, "Ada"),
        "parent": ("batch 1", "B1", "Ada"),
        "metadata.rig": (None, 3, "Ada"),
    }
    with pytest.raises(InvalidDocumentError):
        samples.set_fields(store, "A1", {"area_cm2": "wide"}, "Bob")
    assert "Bob" not in {each.created_by for each in history.of(sample.id)}


def test_an_empty_note_is_refused(store: Store) -> None:
    with pytest.raises(InvalidDocumentError, match="text"):
        samples.add_note("A1", "  ")
