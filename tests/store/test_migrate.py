"""Databases that older versions filled are brought up to date, as often as one likes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pymongo
import pytest
from bson import ObjectId

from battery_analysis.errors import StoreError
from battery_analysis.models import RawDataFile, Sample, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, open_store
from battery_analysis.store.migrate import STEPS, VERSION, migrate
from tests.builders import cycling_frame, read_result, save

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def changes(store: Store) -> dict[str, int]:
    return {done.name: done.changed for done in migrate(store)}


NOTHING = {step.name: 0 for step in STEPS}


def identity(second: int = 5) -> ObjectId:
    """An id made at a known moment, and different each time."""
    return ObjectId(ObjectId.from_datetime(MADE.replace(second=second)).binary[:4] + ObjectId().binary[4:])


def test_a_database_of_this_version_needs_nothing_and_bears_its_version(store: Store, tmp_path: Path) -> None:
    save(store, tmp_path, read_result(cycling_frame()))
    before = list(store.database.test_results.find())
    links = changes(store)
    assert links == {**NOTHING, "raw_files": 1}  # the test's builder does not note the sample on the file
    assert changes(store) == NOTHING
    assert store.database["schema"].find_one()["version"] == VERSION
    assert list(store.database.test_results.find()) == before


def test_a_newer_database_is_left_alone(store: Store) -> None:
    store.database["schema"].insert_one({"_id": "schema", "version": VERSION + 1})
    with pytest.raises(StoreError, match=f"has schema version {VERSION + 1}, this program knows {VERSION}"):
        changes(store)


def test_times_that_are_missing_come_from_the_id_and_those_that_are_there_stay(store: Store) -> None:
    samples, later = store.database.samples, MADE.replace(year=2027)
    samples.insert_many(
        [
            {"_id": identity(7), "name": "neither"},
            {"_id": identity(), "name": "one", "created_at": None, "updated_at": later},
            {"_id": identity(), "name": "other", "created_at": later},
            {"_id": "by hand", "name": "id without a time"},
        ]
    )
    assert changes(store) == {**NOTHING, "times": 3, "sample_words": 4}
    assert samples.find_one({"words": "neither"})["name"] == "neither"
    found = {each["name"]: (each.get("created_at"), each.get("updated_at")) for each in samples.find()}
    seventh = MADE.replace(second=7)
    assert found == {
        "neither": (seventh, seventh),
        "one": (MADE, later),
        "other": (later, later),
        "id without a time": (None, None),
    }
    assert changes(store) == NOTHING


def test_what_older_versions_stored_of_files_and_tests_is_readable_again(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    raw = RawDataFile.objects.get()
    job, other_job = ObjectId(), ObjectId()
    (version,) = store.database.raw_data_files.find_one()["versions"]
    extent, sha = version.pop("extent"), "b" * 64
    longer = {"file_id": ObjectId(), "length": 3, "sha256": "c" * 64}
    store.database.raw_data_files.update_one(
        {"_id": raw.id},
        {
            "$set": {
                "versions": [
                    {**version, "archived": True, "extents": [extent]},
                    {**version, "sha256": sha, "archived": True, "extents": [extent, longer]},
                    {**version, "sha256": "d" * 64, "archived": False},
                ],
                "test_result": ObjectId(),
            }
        },
    )
    gone = ("sample_name", "ruled_sample", "words", "created_in", "cell_code")
    store.database.test_results.update_one(
        {"_id": test.id},
        {
            "$set": {"c_rates": {"charge": 0.5}, "import_job": other_job, "revision": 2},
            "$unset": dict.fromkeys(gone, 1),
        },
    )
    store.database.imported_files.insert_one(
        {"job": job, "path": "x", "outcome": "created", "test_result": test.id, "created_at": MADE, "updated_at": MADE}
    )
    assert changes(store) == {
        **NOTHING,
        **dict.fromkeys(("extents", "c_rates", "sample_names", "raw_files", "created_in", "words"), 1),
    }
    found = TestResult.objects.get()
    assert (found.sample_name, found.ruled_sample, found.cell_code, found.created_in) == ("AB12", "AB12", "AB12", job)
    assert (list(found.c_rates), found.words) == ([], test.words)
    kept = RawDataFile.objects.get()
    assert (kept.test_result, kept.sample) == (test.id, test.sample.id)
    assert [each.grown_from for each in kept.versions] == [None, version["sha256"], None]
    assert [each.extent and each.extent.file_id for each in kept.versions] == [
        extent["file_id"],
        longer["file_id"],
        None,
    ]
    assert b"".join(store.archive.stream(kept, version["sha256"])) == b"AB12.csv"
    assert changes(store) == NOTHING


def test_what_nobody_can_know_stays_empty(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    changes(store)
    store.database.test_results.update_one(
        {"_id": test.id},
        {
            "$set": {"sample_rule": "by hand", "import_job": ObjectId(), "revision": 3},
            "$unset": {"ruled_sample": 1, "created_in": 1},
        },
    )
    assert changes(store) == NOTHING
    assert TestResult.objects.get().ruled_sample is None


def test_a_test_in_its_first_revision_was_made_by_the_job_that_wrote_it(store: Store, tmp_path: Path) -> None:
    test, job = save(store, tmp_path, read_result(cycling_frame())), ObjectId()
    changes(store)
    store.database.test_results.update_one({"_id": test.id}, {"$set": {"import_job": job}})
    assert changes(store) == {**NOTHING, "created_in": 1}
    assert TestResult.objects.get().created_in == job


def test_missing_indexes_are_made_and_a_database_that_they_do_not_allow_is_opened(
    settings: Settings, server_uri: str, database_name: str
) -> None:
    with pymongo.MongoClient(server_uri) as client:
        data = client[database_name]
        data.samples.insert_one({"_id": identity(), "name": "AB12"})
        with open_store(settings, as_it_is=True) as store:
            assert set(data.samples.index_information()) == {"_id_"}
            done = changes(store)
        assert done["indexes"] > 20
        assert data.samples.index_information()["name_1"]["unique"]
    with open_store(settings) as store:
        assert changes(store) == NOTHING
        assert Sample.objects.get().created_at == MADE


def test_the_database_in_memory_is_brought_up_to_date_as_well(settings: Settings, tmp_path: Path) -> None:
    mock = replace(settings, use_mock=True)
    with open_store(mock) as store:
        test = save(store, tmp_path, read_result(cycling_frame()))
        store.database.test_results.update_one({"_id": test.id}, {"$unset": {"words": 1, "created_at": 1}})
        done = changes(store)
        assert (done["times"], done["words"], done["raw_files"]) == (1, 1, 1)
        assert changes(store) == NOTHING
        assert TestResult.objects.get().words == test.words
