"""What no document names: left by importers that died, and by former revisions. Counted here, and swept.

Whoever stores data writes it before the document that names it, so what is young may be named in a moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bson import ObjectId

from battery_analysis.models import Attachment, CellDataset, RawDataFile, TestResult, now
from battery_analysis.store import attachments, dataset_build, frames, raw_archive, sketches
from battery_analysis.store.access import visible
from battery_analysis.store.connection import Store

OLD_ENOUGH = timedelta(days=1)

_BYTES = (raw_archive.COLLECTION, attachments.COLLECTION)

_AT_ONCE = 1000


def find(store: Store, older_than: timedelta = OLD_ENOUGH) -> dict[str, list[ObjectId]]:
    """Return the ids of what no document names and is older than ``older_than``, by collection.

    What is there is listed before what is named: a test that grows meanwhile names only what is younger or known.
    """
    stored = {name: list(_older(store, name, older_than)) for name in _named_by(store)}
    for name in _BYTES:
        stored[f"{name}.files"] += _unfinished(store, name, older_than)
    named = {name: set(ids) for name, ids in _named_by(store).items()}
    return {name: [identity for identity in ids if identity not in named[name]] for name, ids in stored.items()}


def sweep(store: Store, garbage: dict[str, list[ObjectId]]) -> int:
    """Remove what was found and return how many documents and files that were."""
    for name, ids in garbage.items():
        files, _, kind = name.rpartition(".")
        for start in range(0, len(ids), _AT_ONCE):
            some = {"$in": ids[start : start + _AT_ONCE]}
            if kind == "files":
                store.database[f"{files}.chunks"].delete_many({"files_id": some})
            store.database[name].delete_many({"_id": some})
    return sum(map(len, garbage.values()))


def missing(store: Store) -> Iterator[str]:
    """Yield a line for each test that names data which is not there."""
    for name, label in ((frames.SEGMENTS, "segments"), (frames.CYCLE_BLOCKS, "cycle_blocks")):
        present = {row["_id"] for row in store.database[name].find({}, {"_id": 1})}
        for test in visible(TestResult).only("id", "name", label):
            gone = [each.id for each in test[label] if each.id not in present]
            if gone:
                yield f"test {test.id} ({test.name}): {len(gone)} of {len(test[label])} {label} are missing"
    present = {row["_id"] for row in store.database[frames.OVERVIEWS].find({}, {"_id": 1})}
    for test in visible(TestResult).filter(overview__ne=None).only("id", "name", "overview"):
        if test.overview not in present:
            yield f"test {test.id} ({test.name}): its overview is missing"
    yield from _missing_of_datasets(store)


def _missing_of_datasets(store: Store) -> Iterator[str]:
    """Yield a line for each version that names blocks which are not there, and each newest that names a lost test."""
    present = {row["_id"] for row in store.database[dataset_build.BLOCKS].find({}, {"_id": 1})}
    there = dict(visible(TestResult).scalar("id", "cell_code"))
    seen: set[str] = set()
    for dataset in visible(CellDataset).order_by("cell_code", "-version").as_pymongo():
        code, blocks = dataset["cell_code"], dataset_build.block_ids(dataset)
        name = f"dataset {code} version {dataset['version']}"
        if gone := blocks - present:
            yield f"{name}: {len(gone)} of {len(blocks)} blocks are missing"
        if code not in seen:
            seen.add(code)
            lost = [test["name"] for test in dataset["tests"] if there.get(test["test"]) != code]
            if lost:
                yield f"{name}: names {', '.join(lost)}, gone or of another cell; build it again with dataset --cell"


def _named_by(store: Store) -> dict[str, Iterator[ObjectId]]:
    tests = store.database[TestResult._get_collection_name()]
    raws = store.database[RawDataFile._get_collection_name()]
    beside = store.database[Attachment._get_collection_name()]
    return {
        frames.SEGMENTS: _ids(tests.find({}, {"segments.id": 1}), "segments", "id"),
        sketches.SKETCHES: _ids(tests.find({}, {"segments.id": 1}), "segments", "id"),
        frames.CYCLE_BLOCKS: _ids(tests.find({}, {"cycle_blocks.id": 1}), "cycle_blocks", "id"),
        frames.OVERVIEWS: (row["overview"] for row in tests.find({"overview": {"$ne": None}}, {"overview": 1})),
        dataset_build.BLOCKS: _dataset_blocks(store),
        f"{raw_archive.COLLECTION}.files": _ids(_extents(raws), "versions", "file_id"),
        f"{attachments.COLLECTION}.files": (
            row["extent"]["file_id"] for row in beside.find({"extent": {"$ne": None}}, {"extent.file_id": 1})
        ),
    }


def _dataset_blocks(store: Store) -> Iterator[ObjectId]:
    shown = {"blocks.id": 1, "seams.id": 1, "tests.blocks.id": 1}
    for row in store.database[CellDataset._get_collection_name()].find({}, shown):
        yield from dataset_build.block_ids(row)


def _extents(raws: Any) -> Iterator[dict[str, Any]]:
    for row in raws.find({}, {"versions.extent.file_id": 1}):
        yield {"versions": [version["extent"] for version in row["versions"] if version.get("extent")]}


def _ids(rows: Iterator[dict[str, Any]], field: str, key: str) -> Iterator[ObjectId]:
    for row in rows:
        yield from (each[key] for each in row.get(field, ()))


def _unfinished(store: Store, name: str, older_than: timedelta) -> Iterator[ObjectId]:
    """Yield the files of which only chunks were written: whoever put them away died before the end."""
    begun = {row["_id"] for row in store.database[f"{name}.chunks"].aggregate([{"$group": {"_id": "$files_id"}}])}
    finished = {row["_id"] for row in store.database[f"{name}.files"].find({}, {"_id": 1})}
    limit = now() - older_than
    yield from (identity for identity in begun - finished if identity.generation_time <= limit)


def _older(store: Store, name: str, older_than: timedelta) -> Iterator[ObjectId]:
    limit = now() - older_than
    for row in store.database[name].find({}, {"_id": 1}):
        if row["_id"].generation_time <= limit:
            yield row["_id"]
