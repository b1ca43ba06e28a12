"""Search over 100,000 tests: time at the server for every filter, and whether an index serves it.

The server tries its indexes side by side when it meets a kind of search for the first time; later it knows the best.
What is to be reached counts for the first time.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from bson import ObjectId

from battery_analysis.models import Sample, TestResult
from battery_analysis.store import Store
from battery_analysis.store.search import Query, ordered
from benchmarks.measuring import Row, scratch_store

TESTS = 100_000
SAMPLES = 4_000
SHOWN = 100
REACH_MS = 50.0
_PROFILE = "system.profile"

QUERIES = {
    "no filter": Query(),
    "sample": Query(sample="CE0042"),
    "cell": Query(cell="CE0042"),
    "chemistry": Query(chemistry="LFP/graphite"),
    "date range": Query(first_day=date(2026, 1, 1), last_day=date(2026, 1, 31)),
    "tester": Query(tester="Neware"),
    "type": Query(test_type="eis"),
    "tag": Query(tags=["ageing"]),
    "two tags": Query(tags=["ageing", "rare"]),
    "project": Query(project="P07"),
    "cycles": Query(min_cycles=900, max_cycles=950),
    "text": Query(text="ce0042 form"),
    "five filters": Query(
        chemistry="LFP/graphite", tester="Neware", test_type="cycling", tags=["ageing"], min_cycles=500
    ),
    "five filters, none of them rare": Query(
        chemistry="NMC811/graphite",
        tester="Arbin",
        test_type="cycling",
        tags=["ageing"],
        first_day=date(2023, 6, 1),
        last_day=date(2026, 6, 1),
    ),
    "the same, sorted by retention": Query(
        chemistry="NMC811/graphite",
        tester="Arbin",
        test_type="cycling",
        tags=["ageing"],
        first_day=date(2023, 6, 1),
        last_day=date(2026, 6, 1),
        sort="retention",
    ),
    "five filters, few tests": Query(
        project="P07", chemistry="Zn/Zn", tester="Maccor", test_type="eis", tags=["ageing", "rare"]
    ),
    "five filters, with words": Query(
        text="rate", chemistry="LFP/graphite", tester="BioLogic", test_type="cycling", min_cycles=100, max_cycles=900
    ),
    "five filters, no test": Query(
        chemistry="Zn/Zn", tester="Maccor", test_type="gitt", tags=["ageing"], min_cycles=100, max_cycles=900
    ),
    "sorted by retention": Query(chemistry="LFP/graphite", sort="retention"),
}


def run() -> Iterator[Row]:
    """Measure."""
    with scratch_store() as (store, _):
        _fill(store)
        for name, query in QUERIES.items():
            first, scans = _at_server(query)
            yield Row(
                f"search, {name}",
                f"{first:.1f} ms at the server, {_later(store, query):.1f} ms later, {scans}",
                "< 50 ms, no collection scan",
                first < REACH_MS and "COLLSCAN" not in scans,
            )


def _at_server(query: Query) -> tuple[float, str]:
    found = ordered(query).limit(SHOWN)
    plans = [found.explain() for _ in range(5)]
    milliseconds = statistics.median(plan["executionStats"]["executionTimeMillis"] for plan in plans)
    return milliseconds, "+".join(sorted(_scans(plans[0]["queryPlanner"]["winningPlan"])))


def _later(store: Store, query: Query) -> float:
    """What the server itself notes of the search, run again and again."""
    store.database.command("profile", 2)
    for _ in range(7):
        list(ordered(query).limit(SHOWN).as_pymongo())
    store.database.command("profile", 0)
    noted = store.database[_PROFILE]
    searches = noted.find({"ns": TestResult._get_collection().full_name, "op": "query"}).sort("ts", 1)
    milliseconds = [each["millis"] for each in searches]
    noted.drop()
    return statistics.median(milliseconds[2:])  # a plan counts as known after its second use


def _scans(plan: dict) -> set[str]:  # type: ignore[type-arg]
    stages = {plan["stage"]} if plan["stage"].endswith("SCAN") else set()
    for child in [plan.get("inputStage"), *plan.get("inputStages", [])]:
        stages |= _scans(child) if child else set()
    return stages


def _fill(store) -> None:  # type: ignore[no-untyped-def]
    chance = random.Random(1)
    chemistries = ("NMC811/graphite", "LFP/graphite", "Zn/Zn", "NMC622/Si")
    samples = [
        {
            "_id": ObjectId(),
            "name": f"CE{number:04d}",
            "chemistry": chance.choice(chemistries),
            "project": f"P{number % 20:02d}",
        }
        for number in range(SAMPLES)
    ]
    Sample._get_collection().insert_many(samples)
    tests = []
    for number in range(TESTS):
        sample = chance.choice(samples)
        name = f"{sample['name']}_{chance.choice(('formation', 'ageing', 'rate'))}_{number}.ndax"
        tests.append(
            {
                "_id": ObjectId(),
                "sample": sample["_id"],
                "sample_name": sample["name"],
                "cell_code": sample["name"],
                "chemistry": sample["chemistry"],
                "project": sample["project"],
                "name": name,
                "tester": chance.choice(("Neware", "Arbin", "BioLogic", "Maccor")),
                "test_type": chance.choice(("cycling", "cycling", "cycling", "eis", "ocv")),
                "started_at": datetime(2023, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(2_000_000)),
                "record_count": 10_000,
                "cycle_count": chance.randrange(1000),
                "initial_capacity_ah": chance.uniform(1, 5),
                "final_capacity_ah": chance.uniform(1, 5),
                "capacity_retention": chance.uniform(0.5, 1),
                "tags": [tag for tag, share in (("ageing", 0.5), ("rare", 0.01)) if chance.random() < share],
                "words": name.lower().replace(".", "_").split("_"),
                "sha256": f"{number:064x}",
                "revision": 1,
            }
        )
    TestResult._get_collection().insert_many(tests)
