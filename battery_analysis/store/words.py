"""The words by which a text search finds a test."""

from __future__ import annotations

import re
from collections.abc import Iterable

from battery_analysis.models import TestResult


def search_words(test: TestResult) -> list[str]:
    """Return the lower-case words by which a text search finds a test."""
    texts: Iterable[str | None] = (
        test.name,
        test.sample_name,
        test.cell_code,
        test.tester,
        test.device,
        test.technique,
        test.protocol,
        test.operator,
        test.comment,
        *test.tags,
        *(note.text for note in test.notes_log),
    )
    return sorted({word for text in texts if text for word in words_of(text)})


def words_of(text: str) -> list[str]:
    """Split a text into the words that are searched for.

    >>> words_of("LG012_Formation, 25 °C.ndax")
    ['lg012', 'formation', '25', 'c', 'ndax']
    """
    return re.findall(r"[^\W_]+", text.lower())
