"""Cell datasets: all tests of a cell code as one, in versions.

A version is written like a test: first its blocks, then the document that names them, under a number that is unique.
A crash before leaves the version before; of two processes the second finds the number taken and looks again.

Building costs what has changed: of a test whose cycle table is that of the version before, nothing is read or written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from mongoengine import NotUniqueError
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from battery_analysis.errors import ArchiveError, ConflictError, InvalidDocumentError, NotFoundError
from battery_analysis.models import BuiltFrom, CellDataset, DatasetTest, TestResult, checked
from battery_analysis.store import frames
from battery_analysis.store.access import visible
from battery_analysis.store.ahead import in_order
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_build import BLOCKS, Build, Writing, blocks_of
from battery_analysis.store.retention import RECENT

TRIES = 10

logger = logging.getLogger(__name__)


def newest(code: str) -> CellDataset | None:
    """Return the newest version of a cell's dataset, if there is any."""
    found: CellDataset | None = visible(CellDataset).filter(cell_code=code).order_by("-version").first()
    return found


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
def rebuild(store: Store, code: str, *, by_hand: bool = True) -> tuple[CellDataset, bool]:
    """Build the dataset of a cell from its tests, and say whether that is a new version.

    There is a new version only if the content differs: from the newest version, or, unless built ``by_hand``, from what
    was last built, so that a version which a person went back to stays until a test changes.

    Raises:
        NotFoundError: The cell has no tests and never had.
        ArchiveError: A cycle table that a test names is missing.
        ConflictError: Other processes built it again and again meanwhile.
    """
    before = newest(code)
    build = Build.of(store, code, before)
    if before is None and not build.found:
        raise NotFoundError(f"no test has the cell code {code!r}")
    digest, revisions = build.digest, sum(row["revision"] for row in build.found)
    built_from = BuiltFrom(tests=len(build.found), revisions=revisions, digest=digest)
    is_same = before is not None and digest == (before.digest if by_hand else before.built_from.digest)
    if before is not None and is_same and not build.is_damaged:
        if before.built_from.to_mongo() != built_from.to_mongo():
            CellDataset.objects(id=before.id).update(set__built_from=built_from)
        return before, False
    with Writing(store) as writing:
        tests, blocks, seams = build.write(writing)
        dataset = _version(code, before, tests, digest, built_from)
        dataset.blocks, dataset.seams, dataset.by_hand = blocks, seams, by_hand
        _insert(dataset)
    if not by_hand:
        prune(store, code)
    return dataset, True


def refresh(store: Store, codes: Iterable[str]) -> int:
    """Build the datasets of these cells anew where a test has changed, and return how many new versions there are.

    A cell whose tests are damaged is named in the log, and keeps the dataset it has.
    """

    def build(code: str) -> bool:
        try:
            return rebuild(store, code, by_hand=False)[1]
        except NotFoundError:  # its tests are gone, and it never had a dataset
            return False
        except (ArchiveError, ConflictError, InvalidDocumentError) as exc:
            logger.warning("the dataset of cell %s is as it was: %s", code, exc)
            return False

    # Side by side: most of the time of a small one is waiting for the server.
    return sum(in_order(build, sorted(set(codes))))


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
def roll_back(store: Store, code: str, version: int) -> CellDataset:
    """Make a new version that equals an older one; it stays until a test of the cell changes.

    Raises:
        NotFoundError: There is no such version, or it names a test that is gone or belongs to another cell today.
        InvalidDocumentError: It is the newest.
    """
    target, before = version_of(code, version), version_of(code)
    if target.version == before.version:
        raise InvalidDocumentError(f"CellDataset {code!r}: version {version} is the newest already")
    there = set(visible(TestResult).filter(cell_code=code, id__in=[each.test for each in target.tests]).scalar("id"))
    if gone := [each for each in target.tests if each.test not in there]:
        raise NotFoundError(
            f"version {version} of cell {code!r} names test {gone[0].test} ({gone[0].name}), "
            "which is gone or belongs to another cell today"
        )
    with Writing(store) as writing:
        # Copies: the blocks of an older version may be given up at any time.
        for each in target.tests:
            each.blocks = writing.copy(each.blocks)
        dataset = _version(code, before, list(target.tests), target.digest, before.built_from)
        dataset.blocks, dataset.seams = writing.copy(target.blocks), writing.copy(target.seams)
        dataset.by_hand, dataset.restores = True, version
        _insert(dataset)
    return dataset


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
            gone = CellDataset.objects(cell_code=code)
            named = _blocks_of(gone)
            gone.delete()
            frames.drop(store.database, BLOCKS, list(named))


def _blocks_of(found: Iterable[CellDataset]) -> set[ObjectId]:
    return {block.id for each in found for block in blocks_of(each)}


def _version(
    code: str,
    before: CellDataset | None,
    tests: list[DatasetTest],
    digest: str,
    built_from: BuiltFrom,
) -> CellDataset:
    first = tests[0] if tests else None
    return CellDataset(
        cell_code=code,
        version=before.version + 1 if before else 1,
        previous=before.version if before else None,
        sample=first.sample if first else None,
        sample_name=first.sample_name if first else None,
        digest=digest,
        tests=tests,
        test_count=len(tests),
        cycle_count=max((test.last_cycle or 0 for test in tests), default=0),
        record_count=sum(test.records for test in tests),
        built_from=built_from,
    )


def _insert(dataset: CellDataset) -> None:
    checked(dataset)
    try:
        dataset.save(force_insert=True, validate=False)
    except NotUniqueError as exc:
        raise ConflictError(
            f"version {dataset.version} of cell {dataset.cell_code} was made by another process"
        ) from exc
