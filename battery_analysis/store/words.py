"""The words by which a text search finds a test or a sample."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bson import ObjectId

from battery_analysis.models import Sample, TestResult
from battery_analysis.store.access import visible

TRIES = 20

_NAMED = ("name", "sample_name", "cell_code", "tester", "device", "technique", "protocol", "operator", "comment")
_NAMED_OF_SAMPLE = ("name", "description", "chemistry", "manufacturer", "form_factor", "cell_type", "project")
_ADDED = ("revision", "tags", "notes_log")


def search_words(test: TestResult) -> list[str]:
    """Return the lower-case words by which a text search finds a test."""
    texts: Iterable[str | None] = (
        *(getattr(test, name) for name in _NAMED),
        *test.tags,
        *(note.text for note in test.notes_log),
    )
    return sorted({word for text in texts if text for word in words_of(text)})


def words_of_sample(sample: Sample) -> list[str]:
    """Return the lower-case words by which a text search finds a sample."""
    texts: Iterable[str | None] = (
        *(getattr(sample, name) for name in _NAMED_OF_SAMPLE),
        *sample.tags,
        *(note.text for note in sample.notes_log),
        *(str(value) for value in sample.metadata.values()),
    )
    return sorted({word for text in texts if text for word in words_of(text)})


def refresh_words(test_id: ObjectId) -> None:
    """Store the words of a test as it is now; whoever changes it at the same time stores them after this."""
    for _ in range(TRIES):
        row = visible(TestResult).filter(id=test_id).only(*_NAMED, *_ADDED).as_pymongo().first()
        if row is None:
            return
        as_read = {"_id": test_id, **{name: row.get(name) for name in _ADDED}}
        words = {"$set": {"words": search_words(TestResult._from_son(row))}}
        if TestResult._get_collection().update_one(as_read, words).matched_count:
            return


def words_of(text: str) -> list[str]:
    """Split a text into the words that are searched for.

    >>> words_of("LG012_Formation, 25 °C.ndax")
    ['lg012', 'formation', '25', 'c', 'ndax']
    """
    return re.findall(r"[^\W_]+", text.lower())
