"""What samples lack is filled in, and nothing else is touched."""

from __future__ import annotations

import pytest

from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.models import Sample
from battery_analysis.store import Store, filling, history, samples
from battery_analysis.store.sample_search import SampleQuery


@pytest.fixture(autouse=True)
def three(store: Store) -> None:
    samples.set_fields(store, "A1", {"chemistry": "NMC"})
    samples.set_fields(store, "A2", {"chemistry": "NMC", "area_cm2": 3})
    samples.set_fields(store, "B1", {"chemistry": "LFP"})


def test_only_what_is_empty_is_filled_and_the_history_tells(store: Store) -> None:
    wanted = filling.lacking(SampleQuery(), "area_cm2")
    assert [name for _, name in wanted] == ["A1", "B1"]
    samples.set_fields(store, "B1", {"area_cm2": 9})  # meanwhile
    filled = filling.fill(store, [identity for identity, _ in wanted], "area_cm2", " 1.54 ", "Ada")
    assert (filled.done, filled.kept, filled.problems) == (["A1"], ["B1"], [])
    assert [samples.by_name(name).area_cm2 for name in ("A1", "A2", "B1")] == [1.54, 3, 9]
    assert history.of(samples.by_name("A1").id)[0].created_by == "Ada"


def test_filters_and_a_choice_narrow_what_is_filled(store: Store) -> None:
    first = samples.by_name("A1").id
    assert filling.lacking(SampleQuery(chemistry="LFP"), "area_cm2", [first]) == []
    assert filling.lacking(SampleQuery(), "metadata.rig", [first]) == [(first, "A1")]
    filling.fill(store, [first], "metadata.rig", "7")
    assert samples.by_name("A1").metadata == {"rig": "7"}


def test_a_value_is_checked_before_anything_is_stored(store: Store) -> None:
    sample = samples.by_name("A1").id
    for value, message in (("wide", "area_cm2: a number is wanted, got 'wide'"), (" ", "area_cm2: a value is wanted")):
        with pytest.raises(InvalidDocumentError, match=message):
            filling.check(sample, "area_cm2", value)
    with pytest.raises(NotFoundError, match="no sample is named 'foil'"):
        filling.check(sample, "anode", "foil")
    with pytest.raises(InvalidDocumentError, match="no field 'aggregates'"):
        filling.check(sample, "aggregates", "1")
    filling.check(sample, "area_cm2", "1.5")
    assert samples.by_name("A1").area_cm2 is None


def test_one_sample_that_cannot_take_it_does_not_stop_the_others(store: Store) -> None:
    ids = [samples.by_name(name).id for name in ("A1", "B1")]
    filled = filling.fill(store, ids, "parent", "A1")
    assert filled.done == ["B1"]
    assert "parent must be another sample, got 'A1' itself" in filled.problems[0]


def test_what_somebody_states_at_the_same_moment_stays_and_the_others_are_filled(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [samples.by_name(name).id for name in ("A1", "B1")]
    by_name = samples.by_name

    def by_name_once_another_has_stored(name: str) -> Sample:
        monkeypatch.setattr(samples, "by_name", by_name)
        samples.set_fields(store, name, {"project": "theirs"})
        return by_name(name)

    monkeypatch.setattr(samples, "by_name", by_name_once_another_has_stored)
    filled = filling.fill(store, ids, "project", "ours")
    assert filled.done == ["B1"]
    assert "project is 'theirs' by now" in filled.problems[0]
    assert [samples.by_name(name).project for name in ("A1", "B1")] == ["theirs", "ours"]
