"""What people add to a test is theirs to change, and its history tells who did."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.store import Store, history, samples, tests
from tests.builders import cycling_frame, read_result, save


def test_what_people_added_is_set_and_removed_and_told(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    tests.set_metadata(test.id, {"rig": "7", "room": "B"}, "Ada")
    changed = tests.set_metadata(test.id, {"rig": "8", "room": ""}, "Bob")
    assert changed.metadata == {"rig": "8"}
    assert changed.edited_at is not None
    told = [(each.field, each.before, each.after, each.created_by) for each in history.of(test.id)]
    assert sorted(told[:2]) == [("metadata.rig", "7", "8", "Bob"), ("metadata.room", "B", None, "Bob")]
    assert sorted(told[2:]) == [("metadata.rig", None, "7", "Ada"), ("metadata.room", None, "B", "Ada")]


@pytest.mark.parametrize("key", ["", "$where", "a.b", "a\0b"])
def test_a_name_that_no_entry_can_have_is_refused(store: Store, tmp_path: Path, key: str) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    with pytest.raises(InvalidDocumentError, match="metadata: no entry can be named"):
        tests.set_metadata(test.id, {key: "1"})


def test_tags_and_moves_are_told(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    tests.tag(test.id, add=["rate"], author="Ada")
    tests.tag(test.id, add=["rate"], author="Bob")  # changes nothing
    tests.move(store, test.id, samples.get_or_create("CD34"), "CD34", "Ada")
    told = {each.field: (each.before, each.after, each.created_by) for each in history.of(test.id)}
    assert told == {
        "tags": (None, ["rate"], "Ada"),
        "sample": ("AB12", "CD34", "Ada"),
        "cell_code": ("AB12", "CD34", "Ada"),
    }
