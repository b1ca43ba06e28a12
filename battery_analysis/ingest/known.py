"""Files that need no second look: same path, same size, same time of change as when they were imported.

A file system keeps times coarsely, and a writer may change a file twice within one tick. A file is therefore known
only if it had been quiet for a while when it was read; every other one is in doubt, and its bytes decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from bson import ObjectId

from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.retrying import patiently
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.readers import READERS
from battery_analysis.reading import companions_of
from battery_analysis.store.access import visible

BATCH = 1000
"""Files asked for at once."""

QUIET = timedelta(seconds=2)
"""The coarsest clock of the file systems that shares use (FAT)."""

_RAW_FACTS = ("sha256", "size", "test_result", "sample", "sources", "versions.sha256", "versions.extent")
_TEST_FACTS = ("sample_name", "reader", "record_count", "cycle_count", "raw_files.versions", "companions")


@dataclass(frozen=True, slots=True)
class Known:
    """The test that holds a file as it is."""

    test_id: ObjectId
    raw_id: ObjectId
    sha256: str
    sample: str
    reader: str
    records: int
    cycles: int
    archived: bool
    companions: bool


def looked_up(candidates: Iterable[Candidate], retries: int = 0) -> Iterator[tuple[Candidate, Known | None]]:
    """Yield files with what is known of them, asking for many at once; ``retries`` times where the server is away."""
    rest = iter(candidates)
    while batch := list(islice(rest, BATCH)):
        known = patiently(retries)(unchanged, batch)
        yield from ((candidate, known.get(candidate.source)) for candidate in batch)


def unchanged(candidates: Sequence[Candidate]) -> dict[str, Known]:
    """Return the files that are imported as they are, by their ``source``."""
    wanted = {each.source: each for each in candidates if each.problem is None and each.modified_at is not None}
    if not wanted:
        return {}
    raws = list(
        visible(RawDataFile).filter(__raw__={"sources.path": {"$in": list(wanted)}}).only(*_RAW_FACTS).as_pymongo()
    )
    identities = [raw["test_result"] for raw in raws]
    tests = {
        test["_id"]: test for test in visible(TestResult).filter(id__in=identities).only(*_TEST_FACTS).as_pymongo()
    }
    newest: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for raw in raws:
        for place in raw["sources"]:
            path = place["path"]
            if path in wanted and (path not in newest or newest[path][0]["seen_at"] < place["seen_at"]):
                newest[path] = (place, raw)
    return {
        path: _known(raw, tests[raw["test_result"]])
        for path, (place, raw) in newest.items()
        if _is_as_it_was(wanted[path], place, raw) and _is_read(raw, tests.get(raw["test_result"]))
    }


def has_all(candidate: Candidate, known: Known, *, archive: bool) -> bool:
    """Say whether nothing of a stored file is left to store: neither its bytes, nor what its reader needs beside it."""
    lacks = not known.companions and _has_companions(known.reader, candidate)
    return not lacks and (known.archived or not archive)


def _has_companions(reader: str, candidate: Candidate) -> bool:
    """Say whether files lie beside one that its reader takes facts from."""
    asked = (each for each in READERS if each.name == reader and hasattr(each, "companions"))
    if candidate.origin is not None:
        return candidate.origin.has_log_beside and any(asked)
    return any(companions_of(each, candidate.path) for each in asked)


def _is_as_it_was(candidate: Candidate, place: dict[str, Any], raw: dict[str, Any]) -> bool:
    modified, was = candidate.modified_at, place.get("modified_at")
    if modified is None or was is None or candidate.size != raw["size"]:
        return False
    return bool(_stored(modified) == was and place["seen_at"] - was > QUIET)


def _stored(moment: datetime) -> datetime:
    """Return a moment to the millisecond that BSON keeps."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _is_read(raw: dict[str, Any], test: dict[str, Any] | None) -> bool:
    is_settled = raw.get("sample") is not None
    return test is not None and is_settled and any(raw["sha256"] in part["versions"] for part in test["raw_files"])


def _known(raw: dict[str, Any], test: dict[str, Any]) -> Known:
    newest = next(version for version in raw["versions"] if version["sha256"] == raw["sha256"])
    return Known(
        test_id=test["_id"],
        raw_id=raw["_id"],
        sha256=raw["sha256"],
        sample=test["sample_name"],
        reader=test["reader"],
        records=test["record_count"],
        cycles=test["cycle_count"],
        archived=newest.get("extent") is not None,
        companions=bool(test.get("companions")),
    )
