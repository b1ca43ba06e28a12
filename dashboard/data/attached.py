"""Photographs and documents that people attach to samples and tests, and the settings and logs that imports find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from bson import ObjectId

from battery_analysis.models import Attachment as StoredAttachment
from battery_analysis.models import Sample, TestResult
from battery_analysis.store import attachments, samples
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.attachments import image_type_of
from dashboard.data import asked, store

__all__ = ["Attachment", "Kind", "image_type_of"]

Attachment = StoredAttachment
Kind = Literal["sample", "test"]
"""What files are attached to: a sample, known by its name, or a test, known by its id."""


def _owner(kind: Kind, key: str) -> Sample | TestResult:
    return samples.by_name(key) if kind == "sample" else by_id(TestResult, key)


@asked
def of(kind: Kind, key: str) -> list[Attachment]:
    """Return what people attached to a sample or a test, by name.

    Raises:
        NotFoundError: There is no such sample or test.
    """
    return attachments.of_owners([_owner(kind, key).id])


@asked
def of_tests(test_ids: Iterable[str]) -> list[Attachment]:
    """Return what people attached to tests, by name."""
    return attachments.of_owners([ObjectId(each) for each in test_ids])


@asked
def of_tests_of(sample: str) -> tuple[list[Attachment], dict[str, str]]:
    """Return what people attached to any of the tests of a sample, by name, and the names of these tests by id.

    Raises:
        NotFoundError: There is no such sample.
    """
    tests = visible(TestResult).filter(sample=samples.by_name(sample).id)
    found = attachments.of_owners(list(tests.scalar("id")))
    named = visible(TestResult).filter(id__in=list({each.owner for each in found})).scalar("id", "name")
    return found, {str(identity): name for identity, name in named}


@asked
def brought(test_ids: Iterable[object]) -> list[Attachment]:
    """Return the settings and logs that imports found beside tests, by name."""
    found = visible(StoredAttachment).filter(test_results__in=[ObjectId(str(each)) for each in test_ids], owner=None)
    return list(found.order_by("name", "created_at"))


@asked
def add(kind: Kind, key: str, path: Path, filename: str, author: str | None) -> Attachment:
    """Attach a file to a sample or a test.

    Raises:
        NotFoundError: There is no such sample or test.
        InvalidDocumentError: The file is empty, or its name cannot be stored.
    """
    return attachments.add_by_hand(store(), path, filename, _owner(kind, key), author or None)


@asked
def remove(attachment_id: str) -> Attachment:
    """Remove a file that a person attached."""
    return attachments.remove_by_hand(store(), attachment_id)


@asked
def opened(attachment_id: str) -> tuple[Attachment, Iterator[bytes]]:
    """Return an attachment with its bytes."""
    found = by_id(StoredAttachment, attachment_id)
    return found, attachments.stream(store(), found)
