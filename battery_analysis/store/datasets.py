"""Cell datasets: all tests of a cell code as one, in versions.

A version is written like a test: first its blocks, then the document that names them, under a number that is unique.
A crash before leaves the version before; of two processes the second finds the number taken and looks again.

Building costs what has changed: of a test whose cycle table is that of the version before, nothing is read or written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from battery_analysis.errors import ArchiveError, ConflictError, InvalidDocumentError, NotFoundError
from battery_analysis.models import CellDataset, TestResult, now
from battery_analysis.store import frames
from battery_analysis.store.access import visible
from battery_analysis.store.ahead import in_order
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_build import BLOCKS, Build, Facts, Writing, block_ids
from battery_analysis.store.retention import RECENT

TRIES = 10
TOGETHER = 100
"""Cells that get their first dataset in the same requests."""

logger = logging.getLogger(__name__)


class Built(NamedTuple):
    """Which version a build gave, and whether there was need of a new one."""

    version: int
    is_new: bool


def version_of(code: str, version: int | None = None) -> CellDataset:
    """Return a version of a cell's dataset, without a number the newest.

    Raises:
        NotFoundError: There is none.
    """
    wanted = {"cell_code": code} if version is None else {"cell_code": code, "version": version}
    dataset: CellDataset | None = visible(CellDataset).filter(**wanted).order_by("-version").first()
    if dataset is None:
        raise NotFoundError(f"cell {code!r} has no dataset" + ("" if version is None else f" of version {version}"))
    return dataset


def versions(code: str) -> list[CellDataset]:
    """Return all versions of a cell's dataset that are kept, newest first."""
    return list(visible(CellDataset).filter(cell_code=code).order_by("-version"))


def cell_codes() -> list[str]:
    """Return the cell codes that tests have."""
    return sorted(visible(TestResult).distinct("cell_code"))


def codes_with_dataset() -> list[str]:
    """Return the cell codes that have a dataset."""
    return sorted(visible(CellDataset).distinct("cell_code"))


@retry(retry=retry_if_exception_type(ConflictError), stop=stop_after_attempt(TRIES), reraise=True)
def rebuild(store: Store, code: str, *, by_hand: bool = True) -> Built:
    """Build the dataset of a cell from its tests.

    There is a new version only if the content differs: from the newest version, or, unless built ``by_hand``, from what
    was last built, so that a version which a person went back to stays until a test changes.

    Raises:
        NotFoundError: The cell has no tests and never had.
        ArchiveError: A cycle table that a test names is missing.
        ConflictError: Other processes built it again and again meanwhile.
    """
    before = _newest(code)
    build = Build.of(store, code, before)
    if before is None and not build.found:
        raise NotFoundError(f"no test has the cell code {code!r}")
    digest, built_from = build.digest, build.facts["built_from"]
    last = None if before is None else before["digest"] if by_hand else before["built_from"]["digest"]
    if before is not None and digest == last and not build.is_damaged:
        if before["built_from"] != built_from:
            _collection().update_one({"_id": before["_id"]}, {"$set": {"built_from": built_from}})
        return Built(before["version"], is_new=False)
    with Writing(store) as writing:
        named = build.write(writing)
        writing.finish()
        version = _insert(_document(code, before, {**named, **build.facts, "by_hand": by_hand}))
    if not by_hand and version > RECENT:
        prune(store, code)
    return Built(version, is_new=True)


def refresh(store: Store, codes: Iterable[str]) -> int:
    """Build the datasets of these cells anew where a test has changed, and return how many new versions there are.

    A cell whose tests are damaged is named in the log, and keeps the dataset it has.
    """

    def build(code: str) -> bool:
        try:
            return rebuild(store, code, by_hand=False).is_new
        except NotFoundError:  # its tests are gone, and it never had a dataset
            return False
        except (ArchiveError, ConflictError, InvalidDocumentError) as exc:
            logger.warning("the dataset of cell %s is as it was: %s", code, exc)
            return False

    wanted = set(codes)
    fresh = sorted(wanted.difference(visible(CellDataset).filter(cell_code__in=list(wanted)).distinct("cell_code")))
    made: set[str] = set()
    for start in range(0, len(fresh), TOGETHER):
        made |= _make_together(store, fresh[start : start + TOGETHER])
    # Side by side: most of the time of a small one is waiting for the server.
    return len(made) + sum(in_order(build, sorted(wanted - made)))


def refresh_left_behind(store: Store) -> int:
    """Build those that do not count all their tests: whoever changed the tests had no time for it."""
    sums = {"_id": "$cell_code", "tests": {"$sum": 1}, "revisions": {"$sum": "$revision"}}
    stand = {row["_id"]: (row["tests"], row["revisions"]) for row in visible(TestResult).aggregate([{"$group": sums}])}
    shown = {"_id": 0, "cell_code": 1, "version": 1, "built_from.tests": 1, "built_from.revisions": 1}
    last = {"$first": "$built_from"}
    newest_first: list[dict[str, Any]] = [
        {"$project": shown},
        {"$sort": {"cell_code": 1, "version": -1}},
        {"$group": {"_id": "$cell_code", "built_from": last}},
    ]
    known = {
        row["_id"]: (row["built_from"]["tests"], row["built_from"]["revisions"])
        for row in visible(CellDataset).aggregate(newest_first)
    }
    behind = {code for code, found in stand.items() if known.get(code) != found}
    return refresh(store, behind | {code for code, found in known.items() if found[0] and code not in stand})


@retry(retry=retry_if_exception_type(ConflictError), stop=stop_after_attempt(TRIES), reraise=True)
def roll_back(store: Store, code: str, version: int) -> int:
    """Make a new version that equals an older one, and return its number; it stays until a test of the cell changes.

    Raises:
        NotFoundError: There is no such version, or it names a test that is gone or belongs to another cell today.
        InvalidDocumentError: It is the newest.
    """
    target, before = _stored(code, version), _stored(code)
    if target["version"] == before["version"]:
        raise InvalidDocumentError(f"CellDataset {code!r}: version {version} is the newest already")
    there = set(visible(TestResult).filter(cell_code=code).scalar("id"))
    if gone := [each for each in target["tests"] if each["test"] not in there]:
        raise NotFoundError(
            f"version {version} of cell {code!r} names test {gone[0]['test']} ({gone[0]['name']}), "
            "which is gone or belongs to another cell today"
        )
    with Writing(store) as writing:
        # Copies: the blocks of an older version may be given up at any time.
        named = {
            "tests": [{**each, "blocks": writing.copy(each["blocks"])} for each in target["tests"]],
            **{name: writing.copy(target[name]) for name in ("blocks", "seams")},
        }
        writing.finish()
        facts = {"digest": target["digest"], "built_from": before["built_from"], "by_hand": True, "restores": version}
        return _insert(_document(code, before, {**named, **facts}))


def prune(store: Store, code: str) -> int:
    """Remove superfluous versions and say how many: the last ten, the last of each day, and what people made stay."""
    kept = visible(CellDataset).filter(cell_code=code).order_by("-version").only("created_at", "by_hand", "version")
    days: set[Any] = set()
    gone = []
    for place, each in enumerate(kept):
        day = each.created_at.date()
        if place >= RECENT and not each.by_hand and day in days:
            gone.append(each.id)
        days.add(day)
    if not gone:
        return 0
    named = _blocks_of(CellDataset.objects(id__in=gone))
    CellDataset.objects(id__in=gone).delete()
    frames.drop(store.database, BLOCKS, list(named - _blocks_of(CellDataset.objects(cell_code=code))))
    return len(gone)


def forget_cells_without_tests(store: Store, codes: Iterable[str]) -> None:
    """Remove all versions of those of these cells that have no test left."""
    for code in codes:
        if visible(TestResult).filter(cell_code=code).first() is None:
            named = _blocks_of(CellDataset.objects(cell_code=code))
            CellDataset.objects(cell_code=code).delete()
            frames.drop(store.database, BLOCKS, list(named))


def _collection() -> Any:
    return CellDataset._get_collection()


def _newest(code: str) -> Facts | None:
    return visible(CellDataset).filter(cell_code=code).order_by("-version").as_pymongo().first()


def _stored(code: str, version: int | None = None) -> Facts:
    return visible(CellDataset).filter(id=version_of(code, version).id).as_pymongo().get()


def _blocks_of(gone: Any) -> set[ObjectId]:
    shown = gone.only("blocks.id", "seams.id", "tests.blocks.id").as_pymongo()
    return {identity for each in shown for identity in block_ids(each)}


def _make_together(store: Store, codes: list[str]) -> set[str]:
    """Store the first datasets of many cells in a few requests; those left out are for ``rebuild``."""
    try:
        builds = Build.first_of(store, codes)
        if not builds:  # their tests are gone
            return set()
        with Writing(store) as writing:
            documents = [
                _document(code, None, {**build.write(writing), **build.facts, "by_hand": False})
                for code, build in builds.items()
            ]
            writing.finish()
            refused: set[int] = set()
            try:
                _collection().insert_many(documents, ordered=False)
            except BulkWriteError as exc:  # another process has made some of them meanwhile
                refused = {error["index"] for error in exc.details["writeErrors"]}
    except (ArchiveError, InvalidDocumentError, DocumentTooLarge):  # whoever builds them one by one says which, and why
        return set()
    return {document["cell_code"] for place, document in enumerate(documents) if place not in refused}


def _document(code: str, before: Facts | None, facts: dict[str, Any]) -> Facts:
    """Return the next version as the database holds it."""
    tests, moment = facts["tests"], now()
    return {
        "created_at": moment,
        "updated_at": moment,
        "tags": [],
        "cell_code": code,
        "version": before["version"] + 1 if before else 1,
        **({"previous": before["version"]} if before else {}),
        **({name: tests[0][name] for name in ("sample", "sample_name")} if tests else {}),
        "test_count": len(tests),
        "cycle_count": max((test.get("last_cycle", 0) for test in tests), default=0),
        "record_count": sum(test["records"] for test in tests),
        **facts,
    }


def _insert(document: Facts) -> int:
    """Store the next version and return its number.

    Raises:
        ConflictError: Another process has stored it meanwhile.
        InvalidDocumentError: It names so many blocks that no database holds it.
    """
    code, tests = document["cell_code"], document["tests"]
    try:
        _collection().insert_one(document)
    except DuplicateKeyError as exc:
        raise ConflictError(f"version {document['version']} of cell {code} was made by another process") from exc
    except DocumentTooLarge as exc:
        raise InvalidDocumentError(f"CellDataset {code!r}: {len(tests)} tests are more than a document holds") from exc
    return int(document["version"])
