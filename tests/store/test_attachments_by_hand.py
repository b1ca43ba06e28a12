"""People attach photographs and documents to samples, and take them off again."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.models import Attachment
from battery_analysis.store import Store, attachments, garbage, removal, samples
from tests.builders import cycling_frame, read_result, save

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(PNG)
    return path


def test_what_is_attached_comes_back_as_it_was(store: Store, photograph: Path) -> None:
    sample = samples.set_fields(store, "AB12", {})
    attachments.add_by_hand(store, photograph, "opened.png", sample, "Ada")
    (found,) = attachments.of_owners([sample.id])
    assert (found.name, found.kind, found.created_by, found.size) == ("opened.png", "photograph", "Ada", len(PNG))
    assert b"".join(attachments.stream(store, found)) == PNG


def test_a_picture_with_a_script_is_a_document(store: Store, photograph: Path) -> None:
    photograph.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    sample = samples.set_fields(store, "AB12", {})
    assert attachments.add_by_hand(store, photograph, "opened.png", sample).kind == "document"


def test_the_same_bytes_are_kept_once_a_sample(store: Store, photograph: Path) -> None:
    one, other = samples.set_fields(store, "AB12", {}), samples.set_fields(store, "CD34", {})
    first = attachments.add_by_hand(store, photograph, "opened.png", one)
    assert attachments.add_by_hand(store, photograph, "again.png", one).id == first.id
    assert attachments.add_by_hand(store, photograph, "opened.png", other).id != first.id
    assert store.database["attached.files"].count_documents({}) == 2


def test_a_file_without_bytes_is_refused(store: Store, photograph: Path) -> None:
    photograph.write_bytes(b"")
    with pytest.raises(InvalidDocumentError, match=r"opened\.png: the file is empty"):
        attachments.add_by_hand(store, photograph, "opened.png", samples.set_fields(store, "AB12", {}))


def test_what_is_removed_leaves_nothing_and_frees_its_sample(store: Store, photograph: Path) -> None:
    attached = attachments.add_by_hand(store, photograph, "opened.png", samples.set_fields(store, "AB12", {}))
    with pytest.raises(InvalidDocumentError, match=r"has 'opened\.png' attached to it"):
        removal.delete_sample("AB12")
    attachments.remove_by_hand(store, str(attached.id))
    assert (Attachment.objects.count(), store.database["attached.files"].count_documents({})) == (0, 0)
    assert not any(garbage.find(store).values())
    removal.delete_sample("AB12")
    with pytest.raises(NotFoundError):
        attachments.remove_by_hand(store, str(attached.id))


def test_what_is_attached_to_a_test_goes_over_to_its_sample_with_the_test(
    store: Store, photograph: Path, tmp_path: Path
) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    attached = attachments.add_by_hand(store, photograph, "opened.png", test, "Ada")
    assert (attached.owner, attached.sample) == (test.id, test.sample.id)
    assert attachments.of_test(test.id) == []  # which is what an import found
    removal.delete_test(store, test.id)
    (kept,) = attachments.of_owners([test.sample.id])
    assert (kept.id, kept.created_by) == (attached.id, "Ada")
    assert b"".join(attachments.stream(store, kept)) == PNG
    assert not any(garbage.find(store).values())


def test_a_sample_that_has_the_same_file_keeps_one(store: Store, photograph: Path, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    attachments.add_by_hand(store, photograph, "of the test.png", test)
    attachments.add_by_hand(store, photograph, "of the sample.png", test.sample)
    removal.delete_test(store, test.id)
    assert [each.name for each in attachments.of_owners([test.sample.id])] == ["of the sample.png"]
    assert store.database["attached.files"].count_documents({}) == 1
