"""Bring a database that an older version of this package filled up to date, in small steps.

Each step finds what is still as it was and changes only that, so all may run again at any time: after a crash in the
middle, or after an older version has written beside this one. What cannot be known stays empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from battery_analysis.errors import StoreError
from battery_analysis.models import DOCUMENTS, ImportedFile, RawDataFile, Sample, TestResult, now
from battery_analysis.store.connection import Store
from battery_analysis.store.words import search_words, words_of_sample

VERSION = 1
"""Counts up whenever a step is added that older databases need."""

BATCH = 1000

Data = Database[dict[str, Any]]
Change = tuple[Any, Mapping[str, Any]]
"""The id of a document, and what to update."""


@dataclass(frozen=True)
class Step:
    """One thing that older databases lack; ``run`` returns how many documents it changed."""

    name: str
    description: str
    run: Callable[[Data], int]


@dataclass(frozen=True)
class Done:
    """What a step did."""

    name: str
    description: str
    changed: int


def migrate(store: Store) -> Iterator[Done]:
    """Run all steps, and yield what each did.

    Raises:
        StoreError: A newer version of this package has been at work here.
    """
    schema = store.database["schema"]
    found = schema.find_one({"_id": "schema"}) or {}
    if found.get("version", 0) > VERSION:
        raise StoreError(
            f"the database has schema version {found['version']}, this program knows {VERSION}; use a newer one"
        )
    for step in STEPS:
        yield Done(step.name, step.description, step.run(store.database))
    if found.get("version") != VERSION:
        schema.update_one({"_id": "schema"}, {"$set": {"version": VERSION, "migrated_at": now()}}, upsert=True)


def _times(data: Data) -> int:
    def changes(name: str) -> Iterator[Change]:
        wanted = {"$or": [{"created_at": None}, {"updated_at": None}]}
        for each in data[name].find(wanted, {"created_at": 1, "updated_at": 1}):
            made = each["_id"].generation_time if isinstance(each["_id"], ObjectId) else None
            created = each.get("created_at") or made or each.get("updated_at")
            times = {"created_at": created, "updated_at": each.get("updated_at") or created}
            if known := {key: at for key, at in times.items() if at is not None and each.get(key) is None}:
                yield each["_id"], {"$set": known}

    return sum(_apply(data, document, changes(_collection(document))) for document in DOCUMENTS)


def _extents(data: Data) -> int:
    """Versions used to list all extents of their bytes; now they name the version they have grown from, and one."""

    def changes() -> Iterator[Change]:
        wanted = {"$or": [{"versions.extents": {"$exists": True}}, {"versions.archived": {"$exists": True}}]}
        for raw in data[_collection(RawDataFile)].find(wanted, {"versions": 1}):
            by_extents = {_ids(each): each["sha256"] for each in raw["versions"] if each.get("extents")}
            versions = [_one_extent(each, by_extents) for each in raw["versions"]]
            yield raw["_id"], {"$set": {"versions": versions}}

    return _apply(data, RawDataFile, changes())


def _one_extent(version: Mapping[str, Any], by_extents: Mapping[tuple[Any, ...], str]) -> dict[str, Any]:
    kept = {key: value for key, value in version.items() if key not in ("extents", "archived")}
    extents = version.get("extents") or []
    if not extents or kept.get("extent"):
        return kept
    beginning = by_extents.get(_ids(version)[:-1])
    if len(extents) > 1 and beginning is None:
        raise StoreError(f"version {version['sha256']}: no version holds the bytes before its last extent")
    return {**kept, "extent": extents[-1], **({"grown_from": beginning} if beginning else {})}


def _ids(version: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(each["file_id"] for each in version["extents"])


def _c_rates(data: Data) -> int:
    """C-rates used to be one for charge and one for discharge; the new ones take the cycle table."""
    collection = data[_collection(TestResult)]
    return int(collection.update_many({"c_rates": {"$type": "object"}}, {"$set": {"c_rates": []}}).modified_count)


def _sample_names(data: Data) -> int:
    names = {each["_id"]: each for each in data[_collection(Sample)].find({}, {"name": 1})}

    def changes() -> Iterator[Change]:
        wanted = {"$or": [{"sample_name": None}, {"ruled_sample": None}, {"cell_code": None}]}
        fields = ("sample", "sample_name", "sample_rule", "ruled_sample", "cell_code")
        for test in data[_collection(TestResult)].find(wanted, dict.fromkeys(fields, 1)):
            sample = names.get(test.get("sample"), {})
            name = test.get("sample_name") or sample.get("name")
            by_rule = None if test.get("sample_rule") == "by hand" else name  # what the rules had said is not known
            found = {"sample_name": name, "ruled_sample": by_rule, "cell_code": name}
            if known := {key: value for key, value in found.items() if value and not test.get(key)}:
                yield test["_id"], {"$set": known}

    return _apply(data, TestResult, changes())


def _raw_files(data: Data) -> int:
    def changes() -> Iterator[Change]:
        tests = data[_collection(TestResult)].find({}, {"sample": 1, "raw_files.raw_file": 1})
        while batch := list(islice(tests, BATCH)):
            owner = {part["raw_file"]: test for test in batch for part in test.get("raw_files", ())}
            raws = data[_collection(RawDataFile)].find({"_id": {"$in": list(owner)}}, {"test_result": 1, "sample": 1})
            for raw in raws:
                test = owner[raw["_id"]]
                found = {"test_result": test["_id"]} if raw.get("test_result") != test["_id"] else {}
                if raw.get("sample") is None and test.get("sample") is not None:
                    found["sample"] = test["sample"]
                if found:
                    yield raw["_id"], {"$set": found}

    return _apply(data, RawDataFile, changes())


def _created_in(data: Data) -> int:
    def changes() -> Iterator[Change]:
        wanted = {"created_in": None}
        tests = data[_collection(TestResult)].find(wanted, {"import_job": 1, "revision": 1})
        while batch := list(islice(tests, BATCH)):
            created = {"test_result": {"$in": [test["_id"] for test in batch]}, "outcome": "created"}
            rows = data[_collection(ImportedFile)].find(created, {"test_result": 1, "job": 1})
            jobs = {row["test_result"]: row["job"] for row in rows}
            for test in batch:
                first = test.get("import_job") if test.get("revision") == 1 else None
                if job := jobs.get(test["_id"]) or first:
                    yield test["_id"], {"$set": {"created_in": job}}

    return _apply(data, TestResult, changes())


def _words(data: Data) -> int:
    wanted = [each["_id"] for each in data[_collection(TestResult)].find({"words": {"$exists": False}}, {"_id": 1})]
    bulky = ("segments", "header", "columns")

    def changes() -> Iterator[Change]:
        for identity in wanted:
            test = TestResult.objects(id=identity).exclude(*bulky).first()
            if test is not None:
                yield identity, {"$set": {"words": search_words(test)}}

    return _apply(data, TestResult, changes())


def _sample_words(data: Data) -> int:
    def changes() -> Iterator[Change]:
        for sample in data[_collection(Sample)].find({"words": {"$exists": False}}, {"aggregates": 0}):
            yield sample["_id"], {"$set": {"words": words_of_sample(Sample._from_son(sample))}}

    return _apply(data, Sample, changes())


def _indexes(data: Data) -> int:
    """Make the indexes that are missing and return how many those were."""

    def count() -> int:
        present = set(data.list_collection_names())
        return sum(len(data[name].index_information()) for name in map(_collection, DOCUMENTS) if name in present)

    before = count()
    for document in DOCUMENTS:
        if not _has_all_indexes(data, document):
            document.ensure_indexes()
    return max(count() - before, 0)


def _has_all_indexes(data: Data, document: Any) -> bool:
    """Say so where nothing is to be made: mongomock refuses to make an index that is there once more."""
    if _collection(document) not in data.list_collection_names():
        return False
    there = [each["key"] for each in data[_collection(document)].index_information().values()]
    return all(list(spec["fields"]) in [list(key) for key in there] for spec in document._meta["index_specs"])


STEPS: tuple[Step, ...] = (
    Step("times", "documents without a time of creation or change", _times),
    Step("extents", "raw files that list all extents for each version", _extents),
    Step("c_rates", "tests with one C-rate for charge and one for discharge", _c_rates),
    Step("sample_names", "tests without name or code of their sample", _sample_names),
    Step("raw_files", "raw files without link to their test or sample", _raw_files),
    Step("created_in", "tests without the job that made them", _created_in),
    Step("words", "tests without words to search for", _words),
    Step("sample_words", "samples without words to search for", _sample_words),
    Step("indexes", "indexes that were missing", _indexes),
)
"""In this order: later steps read what earlier ones have filled."""


def _collection(document: Any) -> str:
    return str(document._meta["collection"])


def _apply(data: Data, document: Any, changes: Iterable[Change]) -> int:
    collection = data[_collection(document)]  # one by one: mongomock cannot do many at once
    return sum(
        collection.update_one({"_id": identity}, dict(update)).modified_count for identity, update in list(changes)
    )
