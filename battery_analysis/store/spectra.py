"""Tests with impedance spectra, and the spectra in them."""

from __future__ import annotations

from collections.abc import Sequence

from bson import ObjectId

from battery_analysis.analysis.impedance import COLUMNS, Spectrum, spectra
from battery_analysis.columns import FREQUENCY
from battery_analysis.models import TestResult
from battery_analysis.store import frames, search
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store

_SHOWN = ("id", "name", "sample", "sample_name", "cell_code", "started_at")


def with_spectra(text: str = "", most: int = 50) -> list[TestResult]:
    """Return tests that hold impedance spectra, newest first.

    Args:
        text: Words; each must begin a word of the test's names, tags, protocol or notes.
        most: How many at most.
    """
    found = search.matching(search.Query(text=text)).filter(**{f"columns__{FREQUENCY.name}__exists": True})
    return list(found.only(*_SHOWN).order_by("-started_at").limit(most))


def named(ids: Sequence[str]) -> list[TestResult]:
    """Return tests by their ids, in that order; those that are not there are left out."""
    known = {str(test.id): test for test in visible(TestResult).filter(id__in=_ids(ids)).only(*_SHOWN)}
    return [known[each] for each in ids if each in known]


def load_spectra(store: Store, test_id: str | ObjectId) -> list[Spectrum]:
    """Return the spectra of a test, in order of measurement; only the columns that it takes are moved.

    Raises:
        NotFoundError: No such test.
        AnalysisError: It holds no spectrum.
        ArchiveError: Records are missing.
    """
    test = by_id(TestResult, test_id)
    return spectra(frames.select(store, test, [name for name in COLUMNS if name in test.columns], None, None))


def _ids(texts: Sequence[str]) -> list[ObjectId]:
    return [ObjectId(each) for each in texts if ObjectId.is_valid(each)]
