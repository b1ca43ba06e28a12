"""What a database says, without ids, times and revisions: two databases that were filled alike give equal pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import polars as pl
from bson import ObjectId

from battery_analysis.errors import ArchiveError
from battery_analysis.ingest.verify import damaged
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.store import Store, attachments, frames, garbage, raw_archive
from battery_analysis.store.access import visible

Picture = dict[str, Any]

SHOWN = 5
"""Differences that are named; the rest is counted."""

_OWN_TO_A_RUN = frozenset(
    {
        *("_id", "id", "file_id", "raw_file", "test_result", "test_results"),
        *("created_at", "updated_at", "seen_at", "revision", "revisions", "import_job", "created_in", "former"),
        # Whichever copy of a file came first gives the folder that a run is named after.
        *("run_claim", "runs"),
    }
)
_HISTORY = frozenset({"versions", "extent", "grown_from"})


def picture(store: Store, *, history: bool = True) -> Picture:
    """Return all that is stored; without ``history`` only the newest version of each file."""
    left_out = _OWN_TO_A_RUN if history else _OWN_TO_A_RUN | _HISTORY
    samples = {each["_id"]: each["name"] for each in store.database["samples"].find({}, {"name": 1})}
    beside = {each["_id"]: each["sha256"] for each in store.database["attachments"].find({}, {"sha256": 1})}
    names = samples | beside
    found: Picture = {}
    for test in visible(TestResult):
        facts = _plain(test.to_mongo().to_dict(), left_out, names)
        facts["overview"] = _digest(frames.load_overview(store, test.id))
        facts["frame"] = _digest(frames.load_frame(store, test.id, form="polars"))
        facts["cycles"] = _digest(frames.load_cycles(store, test.id, form="polars"))
        _add(found, f"test of {'+'.join(part.versions[-1][:8] for part in test.raw_files)}", facts)
    for raw in visible(RawDataFile):
        facts = _plain(raw.to_mongo().to_dict(), left_out, names)
        facts["bytes"] = {
            version.sha256: _bytes(store, raw, version.sha256)
            for version in raw.versions
            if version.extent and (history or version.sha256 == raw.sha256)
        }
        _add(found, f"raw file {raw.sha256[:8]}", facts)
    for collection in ("samples", "attachments"):
        for row in store.database[collection].find():
            facts = _plain(row, left_out, names)
            _add(found, f"{collection} {facts.get('name')} {str(facts.get('sha256', ''))[:8]}", facts)
    if history:
        found["stored"] = {
            "archived bytes": sum(each["length"] for each in store.database[f"{raw_archive.COLLECTION}.files"].find()),
            **{name: store.database[name].count_documents({}) for name in _COUNTED},
        }
    return found


_COUNTED = (
    *(frames.SEGMENTS, frames.CYCLE_BLOCKS, frames.OVERVIEWS),
    *(f"{name}.{kind}" for name in (raw_archive.COLLECTION, attachments.COLLECTION) for kind in ("files", "chunks")),
)


def repaired(store: Store) -> Iterator[str]:
    """Do what ``verify --repair --older-than 0`` does, and yield what is wrong before or still left over after."""
    yield from damaged(store)
    yield from garbage.missing(store)
    garbage.sweep(store, garbage.find(store, timedelta(0)))
    yield from (f"{len(ids)} orphans in {name}" for name, ids in garbage.find(store, timedelta(0)).items() if ids)
    for name in (raw_archive.COLLECTION, attachments.COLLECTION):
        whole = set(store.database[f"{name}.files"].distinct("_id"))
        torn = [each for each in store.database[f"{name}.chunks"].distinct("files_id") if each not in whole]
        if torn:
            yield f"chunks of {len(torn)} files in {name} that were never finished"


def shortened(lines: list[str]) -> list[str]:
    """Name the first few and count the others."""
    return lines[:SHOWN] + ([f"and {len(lines) - SHOWN} more differences"] if len(lines) > SHOWN else [])


def differences(expected: Mapping[str, Any], found: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yield a line for each thing that is not as expected."""
    for key in dict.fromkeys([*expected, *found]):
        place = f"{where}{key}"
        if key not in found:
            yield f"{place} is missing"
        elif key not in expected:
            yield f"{place} is too much"
        elif isinstance(expected[key], Mapping) and isinstance(found[key], Mapping):
            yield from differences(expected[key], found[key], f"{place}: ")
        elif expected[key] != found[key]:
            yield f"{place}: {_short(expected[key])} expected, found {_short(found[key])}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _add(found: Picture, key: str, facts: Picture) -> None:
    while key in found:
        key += " once more"
    found[key] = facts


def _plain(value: Any, left_out: frozenset[str], names: Mapping[ObjectId, str]) -> Any:
    match value:
        case Mapping():
            return {key: _plain(each, left_out, names) for key, each in value.items() if key not in left_out}
        case list():
            plain = [_plain(each, left_out, names) for each in value]
            placed = plain and isinstance(plain[0], dict) and "path" in plain[0]
            return sorted(plain, key=lambda each: each["path"]) if placed else plain
        case ObjectId():
            return names.get(value, "an id")
        case _:
            return value


def _digest(frame: pl.DataFrame) -> str:
    rows = frame.hash_rows().to_numpy().tobytes() if frame.width else b""
    return hashlib.sha256(repr(dict(frame.schema)).encode() + rows).hexdigest()


def _bytes(store: Store, raw: RawDataFile, sha256: str) -> str:
    total = hashlib.sha256()
    try:
        for chunk in store.archive.stream(raw, sha256):
            total.update(chunk)
    except ArchiveError as exc:
        return str(exc)
    return total.hexdigest()
