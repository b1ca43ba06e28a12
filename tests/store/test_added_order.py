"""Samples and tests are ordered by what the lab has added to them."""

from __future__ import annotations

import pytest

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.models import Sample
from battery_analysis.store import Store
from battery_analysis.store.sample_search import SampleQuery, rows
from battery_analysis.store.search import Query, search
from tests.store.test_search import FIRST, stored

RIGS = {"a": "10", "b": "7", "c": None, "d": "left", "e": 8.5, "f": "", "g": "Bench", "h": "-3"}
UPWARDS = ["h", "b", "e", "a", "g", "d", "c", "f"]
"""Numbers, then texts, then those that have none."""
DOWNWARDS = ["d", "g", "a", "e", "b", "h", "c", "f"]


@pytest.mark.parametrize(("sort", "wanted"), [("metadata.rig", UPWARDS), ("-metadata.rig", DOWNWARDS)])
def test_numbers_that_people_typed_are_in_order_and_what_lacks_the_entry_comes_last(
    store: Store, sort: str, wanted: list[str]
) -> None:
    for place, (name, rig) in enumerate(RIGS.items()):
        metadata = {} if rig is None else {"rig": rig}
        Sample(name=name, metadata=metadata).save()
        stored(name, metadata=metadata, started_at=FIRST.replace(hour=23 - place))
    assert [row["name"] for row in rows(SampleQuery(sort=sort))] == wanted
    assert [found.name for found in search(Query(sort=sort))] == wanted
    pages = [(first, 3) for first in (0, 3, 6)]
    assert [
        row["name"] for skip, limit in pages for row in rows(SampleQuery(sort=sort, skip=skip, limit=limit))
    ] == wanted
    assert [each.name for skip, limit in pages for each in search(Query(sort=sort, skip=skip, limit=limit))] == wanted
    assert [each.name for each in search(Query(sort=sort, where=[{"name": {"$in": ["a", "b", "c"]}}]))] == (
        ["b", "a", "c"] if sort == "metadata.rig" else ["a", "b", "c"]
    )


@pytest.mark.parametrize("key", ["", "$where", "a.b", "a\0b"])
def test_an_entry_that_there_cannot_be_is_no_order(store: Store, key: str) -> None:
    with pytest.raises(InvalidDocumentError, match="no entry of the metadata can be named"):
        list(search(Query(sort=f"metadata.{key}")))
    with pytest.raises(InvalidDocumentError, match="no entry of the metadata can be named"):
        list(rows(SampleQuery(sort=f"-metadata.{key}")))
