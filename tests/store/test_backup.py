"""Backup and restore on a real MongoDB: everything comes back, and a damaged file changes nothing."""

from __future__ import annotations

import io
import tarfile
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import gridfs
import mongomock
import pymongo
import pytest
from pymongo.database import Database

from battery_analysis.errors import StoreError
from battery_analysis.store import backup as module
from battery_analysis.store.backup import backup, restore


@pytest.fixture
def client(server_uri: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    with pymongo.MongoClient(server_uri, serverSelectionTimeoutMS=5000) as client:
        yield client


@pytest.fixture
def source(client: pymongo.MongoClient[dict[str, Any]], database_name: str) -> Database[dict[str, Any]]:
    """A small database with every kind of value, GridFS, and indexes with options."""
    database = client[database_name]
    sample = bson.ObjectId()
    database.samples.insert_one({"_id": sample, "name": "AB12", "area_cm2": 1.131, "made_at": datetime(2026, 3, 1)})
    database.samples.create_index("name", unique=True)
    database.test_results.insert_many(
        [{"_id": bson.ObjectId(), "sample": sample, "cycles": number, "tags": ["a"]} for number in range(300)]
    )
    database.test_results.create_index([("sample", 1), ("cycles", -1)])
    database.test_results.create_index([("name", "text"), ("notes", "text")], weights={"name": 5})
    database.flags.create_index("until", expireAfterSeconds=3600, partialFilterExpression={"level": {"$gt": 2}})
    database.frame_segments.insert_many([{"n": number, "column": bytes([number]) * 200_000} for number in range(20)])
    gridfs.GridFS(database, "raw").put(bytes(range(256)) * 4000, filename="cell.mpr")
    return database


@pytest.fixture
def target(client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    name = f"restored_{uuid.uuid4().hex[:12]}"
    yield client[name]
    client.drop_database(name)


def content(database: Database[dict[str, Any]]) -> dict[str, Any]:
    """Documents, indexes and options of every collection."""
    return {
        each["name"]: (
            each["options"],
            sorted((dict(index) for index in database[each["name"]].list_indexes()), key=lambda index: index["name"]),
            list(database[each["name"]].find().sort("_id")),
        )
        for each in database.list_collections()
    }


def refused(database: Database[dict[str, Any]], path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        restore(database, path)
    assert "\n" not in str(caught.value)
    assert database.list_collection_names() == []
    return str(caught.value)


def test_what_was_backed_up_comes_back_indexes_and_archive_too(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 500_000)  # several parts
    path = tmp_path / "lab.backup"
    summary = backup(source, path)
    assert (summary.collections, summary.documents) == (6, 1 + 300 + 20 + 1 + 4)
    assert summary.size_bytes == path.stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == ["lab.backup"]
    result = restore(target, path)
    assert (result.documents, result.left_out) == (summary.documents, 0)
    assert content(target) == content(source)
    assert gridfs.GridFS(target, "raw").find_one({"filename": "cell.mpr"}).read() == bytes(range(256)) * 4000


def test_tests_are_copied_before_what_they_name_and_archived_bytes_last(
    source: Database[dict[str, Any]], tmp_path: Path
) -> None:
    source.cell_datasets.insert_one({})
    source.unheard_of.insert_one({})
    backup(source, tmp_path / "b")
    with tarfile.open(tmp_path / "b", "r:") as tar:
        folders = list(dict.fromkeys(name.split("/")[1] for name in tar.getnames() if "/" in name))
    assert folders == [
        *("cell_datasets", "test_results", "samples", "frame_segments"),
        *("raw.files", "unheard_of", "raw.chunks"),
    ]


def test_a_damaged_file_is_refused_and_changes_nothing(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "lab.backup"
    backup(source, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(target, path) == f"{path}: no backup of battery-analysis, or one that was cut short"
    for position in (600, len(whole) // 2, len(whole) - 20_000):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert refused(target, path).startswith(f"{path}: a damaged backup: ")
    path.write_bytes(b"")
    assert "no backup" in refused(target, path)
    assert refused(target, tmp_path / "absent") == f"{tmp_path / 'absent'}: No such file or directory"


def test_each_part_is_checked_by_its_own_digest_too(target: Database[dict[str, Any]], tmp_path: Path) -> None:
    manifest = module._Manifest(module.FORMAT, "x", "6", "", [], [])
    manifest.collections.append(module._Copied("c", {}, [], [module._Part("p", 1, 5, "0" * 64)]))
    path = tmp_path / "forged"
    with path.open("wb") as file:
        writer = module._Hashing(file)
        with tarfile.open(fileobj=writer, mode="w|") as tar:  # type: ignore[call-overload]
            module._add(tar, "p", b"other")
            module._add(tar, "manifest.json", bson.json_util.dumps(module.asdict(manifest)).encode())
        file.write(module._TRAILER + writer.sha256.hexdigest().encode() + b"\n")
    assert refused(target, path) == f"{path}: a damaged backup: p is missing or differs from its SHA-256"


def test_a_filled_database_is_replaced_only_by_force(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path
) -> None:
    backup(source, tmp_path / "b")
    target.samples.insert_one({"name": "mine"})
    target.extra.insert_one({})
    target.create_collection("restoring.samples")  # left by a restore that was killed
    with pytest.raises(StoreError, match=r"is not empty \(extra, samples …\); restore --into another name, or use"):
        restore(target, tmp_path / "b")
    assert target.samples.count_documents({"name": "mine"}) == 1
    restore(target, tmp_path / "b", force=True)
    assert content(target) == content(source)


def test_empty_collections_with_indexes_do_not_count_as_filled(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path
) -> None:
    backup(source, tmp_path / "b")
    target.samples.create_index("name")
    restore(target, tmp_path / "b")
    assert content(target) == content(source)


def test_a_restore_that_fails_halfway_leaves_nothing(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(source, tmp_path / "b")
    monkeypatch.setattr(module, "_insert", lambda collection, _: collection.database.command("nonsense"))
    with pytest.raises(pymongo.errors.OperationFailure):
        restore(target, tmp_path / "b")
    assert target.list_collection_names() == []


def test_a_backup_made_while_others_write_holds_all_that_its_tests_name(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path
) -> None:
    stop = threading.Event()

    def write_tests() -> None:  # as the store does: segments first, then the test that names them
        while not stop.is_set():
            segments = source.frame_segments.insert_many([{"column": b"x" * 50_000} for _ in range(3)]).inserted_ids
            source.test_results.insert_one({"segments": segments})

    writer = threading.Thread(target=write_tests)
    writer.start()
    try:
        while source.test_results.count_documents({"segments": {"$exists": True}}) < 20:
            pass
        backup(source, tmp_path / "b")
    finally:
        stop.set()
        writer.join()
    restore(target, tmp_path / "b")
    there = {each["_id"] for each in target.frame_segments.find({}, {"_id": 1})}
    named = [each["segments"] for each in target.test_results.find({"segments": {"$exists": True}})]
    assert len(named) >= 20
    assert all(set(segments) <= there for segments in named)


def test_tests_deleted_and_raw_files_replaced_meanwhile_do_not_spoil_a_restore(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.raw_data_files.create_index("sha256", unique=True)
    source.raw_data_files.insert_one({"_id": 1, "sha256": "ab"})
    source.raw_data_files.insert_one({"_id": 2, "sha256": "cd"})
    doomed = source.test_results.find_one()
    assert doomed is not None
    copy = module._copy

    def copy_then_delete(collection: Any, *rest: Any) -> Any:
        copied = copy(collection, *rest)
        if collection.name == "test_results":
            source.test_results.delete_one({"_id": doomed["_id"]})
        return copied

    monkeypatch.setattr(module, "_copy", copy_then_delete)
    monkeypatch.setattr(module, "_chunks", with_duplicate(module._chunks))
    backup(source, tmp_path / "b")
    result = restore(target, tmp_path / "b")
    assert result.left_out == 2
    assert target.test_results.count_documents({}) == 299
    assert target.test_results.find_one({"_id": doomed["_id"]}) is None
    assert [each["_id"] for each in target.raw_data_files.find().sort("_id")] == [1, 2]


def with_duplicate(chunks: Any) -> Any:
    """What a scan sees when a raw file was deleted behind it and archived again before it."""

    def chunks_with_duplicate(collection: Any, **options: Any) -> Any:
        yield from chunks(collection, **options)
        if collection.name == "raw_data_files":
            yield bson.encode({"_id": 3, "sha256": "ab"}), []

    return chunks_with_duplicate


def test_a_backup_that_cannot_be_written_leaves_the_older_one(
    source: Database[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.backup"
    path.write_bytes(b"older")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_add", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        backup(source, path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StoreError, match="cannot be written: No such file or directory"):
        backup(source, tmp_path / "absent" / "b")


def test_a_mock_cannot_be_backed_up(tmp_path: Path) -> None:
    database = mongomock.MongoClient().db
    with pytest.raises(StoreError, match="dies with its process"):
        backup(database, tmp_path / "b")
    with pytest.raises(StoreError, match="dies with its process"):
        restore(database, tmp_path / "b")


def test_the_hashing_reader_stops_before_the_trailer() -> None:
    reader = module._Hashing(io.BytesIO(b"abcdef"), length=4)
    assert (reader.read(3), reader.read(3), reader.read(3)) == (b"abc", b"d", b"")


def test_stored_times_keep_their_value(
    source: Database[dict[str, Any]], target: Database[dict[str, Any]], tmp_path: Path
) -> None:
    moment = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
    source.samples.insert_one({"name": "CD34", "at": moment})
    backup(source, tmp_path / "b")
    restore(target, tmp_path / "b")
    found = target.samples.find_one({"name": "CD34"})
    assert found is not None
    assert found["at"].replace(tzinfo=UTC) == moment
