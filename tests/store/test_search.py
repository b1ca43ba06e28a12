"""Every filter finds what it should, and an index serves it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.models import TestResult
from battery_analysis.store import Store
from battery_analysis.store.search import SORTS, Query, count, count_undated, groups, ordered, search
from battery_analysis.store.words import search_words

FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)


def stored(name: str, **facts: Any) -> ObjectId:
    """Store a bare test document, as a search sees it."""
    fields = {
        "sample_name": "AB12",
        "cell_code": "AB12",
        "tester": "Arbin",
        "record_count": 0,
        "cycle_count": 10,
        "sha256": "0" * 64,
        "reader": "by_hand",
        "reader_version": "1",
        "revision": 1,
        **facts,
    }
    test = TestResult(id=ObjectId(), name=name, **fields)
    test.words = search_words(test)
    TestResult._get_collection().insert_one(test.to_mongo())
    return test.id


@pytest.fixture
def tests(store: Store) -> dict[str, ObjectId]:
    return {
        "plain": stored("AB12_formation.csv", started_at=FIRST, chemistry="LFP/graphite", project="P1"),
        "long": stored(
            "CD34_ageing.ndax",
            started_at=FIRST + timedelta(days=2),
            sample_name="coin CD34",
            cell_code="CD34",
            tester="Neware",
            test_type="cycling",
            cycle_count=500,
            capacity_retention=0.8,
            tags=["ageing", "march"],
        ),
        "spectrum": stored("AB12_peis.mpt", started_at=FIRST + timedelta(days=4), tester="BioLogic", test_type="eis"),
        "undated": stored("AB12_old.csv", tags=["ageing"]),
    }


FILTERS = [
    (Query(sample="coin CD34"), {"long"}),
    (Query(cell="AB12"), {"plain", "spectrum", "undated"}),
    (Query(chemistry="LFP/graphite"), {"plain"}),
    (Query(project="P1"), {"plain"}),
    (Query(tester="Neware"), {"long"}),
    (Query(test_type="eis"), {"spectrum"}),
    (Query(tags=["ageing"]), {"long", "undated"}),
    (Query(tags=["ageing", "march"]), {"long"}),
    (Query(min_cycles=11), {"long"}),
    (Query(max_cycles=10), {"plain", "spectrum", "undated"}),
    (Query(first_day=date(2026, 3, 1), last_day=date(2026, 3, 3)), {"plain", "long"}),
    (Query(first_day=date(2026, 3, 4)), {"spectrum"}),
    (Query(last_day=date(2026, 3, 1)), {"plain"}),
    (Query(text="form"), {"plain"}),
    (Query(text="AB12 Old"), {"undated"}),
    (Query(text="b12"), set()),
    (Query(tester="Arbin", tags=["ageing"], cell="AB12", max_cycles=20, text="old"), {"undated"}),
]


@pytest.mark.parametrize(("query", "names"), FILTERS, ids=[f"filter {number}" for number in range(len(FILTERS))])
def test_a_filter_finds_its_tests(tests: dict[str, ObjectId], query: Query, names: set[str]) -> None:
    assert {found.id for found in search(query)} == {tests[name] for name in names}


@pytest.mark.parametrize(("query", "names"), FILTERS, ids=[f"filter {number}" for number in range(len(FILTERS))])
def test_an_index_serves_every_filter(tests: dict[str, ObjectId], query: Query, names: set[str]) -> None:
    assert "COLLSCAN" not in str(ordered(query).explain()["queryPlanner"]["winningPlan"])


def test_the_newest_test_comes_first_and_the_undated_last(tests: dict[str, ObjectId]) -> None:
    order = ["spectrum", "long", "plain", "undated"]
    assert [found.id for found in search(Query())] == [tests[name] for name in order]


@pytest.mark.parametrize("key", SORTS)
def test_every_sort_key_works_both_ways(tests: dict[str, ObjectId], key: str) -> None:
    assert len(list(search(Query(sort=key)))) == len(list(search(Query(sort=f"-{key}")))) == 4


def test_a_sort_key_that_is_none_is_named(store: Store) -> None:
    with pytest.raises(InvalidDocumentError, match=r"sort: one of started, .* wanted, got 'colour'"):
        list(search(Query(sort="colour")))


def test_a_date_range_says_how_many_undated_tests_it_leaves_out(tests: dict[str, ObjectId]) -> None:
    assert count_undated(Query(first_day=date(2020, 1, 1))) == 1
    assert count_undated(Query(first_day=date(2020, 1, 1), tester="Neware")) == 0
    assert count_undated(Query(tester="Arbin")) == 0


def test_the_limit_counts_after_the_order(tests: dict[str, ObjectId]) -> None:
    assert [found.id for found in search(Query(limit=1, sort="-cycles"))] == [tests["long"]]


def test_tests_that_fit_are_counted_no_further_than_asked(store: Store) -> None:
    for number in range(4):
        stored(f"AB{number:02d}.csv", tester="Arbin")
    assert count(Query(tester="Arbin"), most=3) == (3, True)
    assert count(Query(tester="Arbin"), most=4) == (4, False)
    assert count(Query(tester="Maccor"), most=3) == (0, False)
    assert count(Query(), most=3) == (4, False)  # without a filter the number is known


def test_tests_are_counted_by_what_they_have_in_common(tests: dict[str, ObjectId]) -> None:
    found = {group.value: (group.tests, group.cycles) for group in groups(Query(), "tester")}
    listed = list(search(Query()))
    for tester in {each.tester for each in listed}:
        own = [each for each in listed if each.tester == tester]
        assert found[tester] == (len(own), sum(each.cycles for each in own))
    cycled = Query(min_cycles=1)
    assert sum(group.tests for group in groups(cycled, "chemistry")) == len(list(search(cycled)))
    with pytest.raises(InvalidDocumentError, match=r"group: one of project, .* wanted, got 'colour'"):
        groups(Query(), "colour")
