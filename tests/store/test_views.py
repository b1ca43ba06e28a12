"""Views are kept by page and name, and found again."""

from __future__ import annotations

import pytest

from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.settings import Settings
from battery_analysis.store import Store, open_store, views


def test_a_view_is_found_again_after_the_store_was_closed(settings: Settings) -> None:
    with open_store(settings):
        views.save("/traits", " faded ", {"where": ["test.retention < 0.8"], "of": "tests", "text": ""}, "Ada")
    with open_store(settings):
        (found,) = views.of_page("/traits")
        assert (found.name, found.query) == ("faded", {"where": ["test.retention < 0.8"], "of": "tests"})
        assert found.created_by == "Ada"
        assert views.of_page("/compare") == []


def test_a_name_is_overwritten_only_on_request(store: Store) -> None:
    views.save("/traits", "faded", {"of": "tests"})
    views.save("/compare", "faded", {"cells": ["A", "B"]})
    with pytest.raises(InvalidDocumentError, match="'faded': /traits has a view of this name already"):
        views.save("/traits", "faded", {"of": "samples"})
    views.save("/traits", "faded", {"of": "samples"}, replace=True)
    assert [each.query for each in views.of_page("/traits")] == [{"of": "samples"}]


def test_a_view_needs_a_name(store: Store) -> None:
    with pytest.raises(InvalidDocumentError, match="name: "):
        views.save("/traits", "  ", {})


def test_a_forgotten_view_is_gone(store: Store) -> None:
    views.save("/traits", "faded", {})
    views.delete("/traits", "faded")
    assert views.of_page("/traits") == []
    with pytest.raises(NotFoundError, match="no saved view named 'faded'"):
        views.delete("/traits", "faded")
