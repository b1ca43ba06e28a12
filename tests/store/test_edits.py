"""What people add to a test is theirs to change, and its history tells who did."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from battery_analysis.errors import ConflictError, InvalidDocumentError
from battery_analysis.models import TestResult
from battery_analysis.store import Store, history, samples, test_edits, tests
from tests.builders import cycling_frame, meanwhile, read_result, save


def test_what_people_added_is_set_and_removed_and_told(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    test_edits.set_metadata(test.id, {"rig": "7", "room": "B"}, "Ada")
    changed = test_edits.set_metadata(test.id, {"rig": "8", "room": ""}, "Bob")
    assert changed.metadata == {"rig": "8"}
    assert changed.edited_at is not None
    told = [(each.field, each.before, each.after, each.created_by) for each in history.of(test.id)]
    assert sorted(told[:2]) == [("metadata.rig", "7", "8", "Bob"), ("metadata.room", "B", None, "Bob")]
    assert sorted(told[2:]) == [("metadata.rig", None, "7", "Ada"), ("metadata.room", None, "B", "Ada")]


@pytest.mark.parametrize("key", ["", "$where", "a.b", "a\0b"])
def test_a_name_that_no_entry_can_have_is_refused(store: Store, tmp_path: Path, key: str) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    with pytest.raises(InvalidDocumentError, match="metadata: no entry can be named"):
        test_edits.set_metadata(test.id, {key: "1"})


def test_tags_and_moves_are_told(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    test_edits.tag(test.id, add=["rate"], author="Ada")
    test_edits.tag(test.id, add=["rate"], author="Bob")  # changes nothing
    tests.move(store, test.id, samples.get_or_create("CD34"), "CD34", "Ada")
    told = {each.field: (each.before, each.after, each.created_by) for each in history.of(test.id)}
    assert told == {
        "tags": (None, ["rate"], "Ada"),
        "sample": ("AB12", "CD34", "Ada"),
        "cell_code": ("AB12", "CD34", "Ada"),
    }


def test_who_tags_while_somebody_else_does_is_told_of_as_who_set_that_tag(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    meanwhile(monkeypatch, test_edits, "checked", partial(test_edits.tag, test.id, add=["theirs"], author="Bob"))
    assert test_edits.tag(test.id, add=["mine"], author="Ada").tags == ["theirs", "mine"]
    told = {each.created_by: (each.before, each.after) for each in history.of(test.id)}
    assert told == {"Bob": (None, ["theirs"]), "Ada": (["theirs"], ["theirs", "mine"])}


def test_who_sets_what_somebody_else_is_just_setting_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    for before, mine, theirs in (("", "7", "8"), ("8", "", "9"), ("9", "10", "")):
        edit = partial(test_edits.set_metadata, test.id, {"rig": theirs}, "Bob")
        meanwhile(monkeypatch, history, "refuse_changed", edit)
        with pytest.raises(ConflictError, match="somebody else changed it just now; nothing of yours is stored"):
            test_edits.set_metadata(test.id, {"rig": mine, "room": "B"}, "Ada", seen={"rig": before})
        changed = tests.by_id(TestResult, test.id)
        assert changed.metadata == ({"rig": theirs} if theirs else {})
    meanwhile(monkeypatch, history, "refuse_changed", partial(test_edits.set_metadata, test.id, {"shelf": "3"}, "Bob"))
    assert test_edits.set_metadata(test.id, {"rig": "7"}, "Ada", seen={}).metadata == {"rig": "7", "shelf": "3"}
    assert {each.created_by for each in history.of(test.id) if each.after == "B"} == set()


def test_a_test_that_somebody_else_is_just_moving_stays_where_they_move_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    mine, theirs = samples.get_or_create("CD34"), samples.get_or_create("EF56")
    move = partial(tests.move, store, test.id, theirs, "EF56", "Bob", seen="AB12")
    meanwhile(monkeypatch, tests, "search_words", move)
    with pytest.raises(ConflictError, match="sample is 'EF56' by now, no longer 'AB12'"):
        tests.move(store, test.id, mine, "CD34", "Ada", seen="AB12")
    assert tests.by_id(TestResult, test.id).sample_name == "EF56"
    assert [each.after for each in history.of(test.id) if each.field == "sample"] == ["EF56"]


def test_a_move_goes_on_where_a_test_only_grew_meanwhile(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    grow = partial(TestResult.objects(id=test.id).update_one, inc__revision=1)
    meanwhile(monkeypatch, tests, "search_words", grow)
    moved = tests.move(store, test.id, samples.get_or_create("CD34"), "CD34", "Ada", seen="AB12")
    assert moved.sample_name == "CD34"
