"""A small slice of the fuzzing that ``make fuzz`` does at length."""

from __future__ import annotations

import pytest

from battery_analysis.ingest import reader_pool
from benchmarks.fuzz import fuzz


def test_damaged_files_end_in_records_or_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("READ_SECONDS", "MEMORY_BYTES"):  # the run sets limits of its own; they go with this test
        monkeypatch.setattr(reader_pool, name, getattr(reader_pool, name))
    tally = fuzz(150, seed=20)
    assert tally.broken == []
    assert sum(tally.outcomes.values()) == 150
