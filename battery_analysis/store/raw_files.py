"""Raw files as documents: found by digest or by path, kept once however often they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bson import ObjectId
from mongoengine import NotUniqueError

from battery_analysis.models import Extent, RawDataFile, RawVersion, SourcePath, TestResult, checked, now
from battery_analysis.store.access import visible
from battery_analysis.store.connection import Store
from battery_analysis.store.raw_archive import prefix_version


@dataclass(frozen=True)
class Arrival:
    """A file as the importer found it: where, when, and what was copied of it.

    ``prefix_digests`` maps lengths to the digest of that many first bytes, for the lengths
    of versions that are stored already.
    """

    source: str
    filename: str
    spooled: Path
    sha256: str
    size: int
    modified_at: datetime | None
    prefix_digests: Mapping[int, str] = field(default_factory=dict)

    @property
    def file_type(self) -> str:
        """Suffix, lower case with dot."""
        return Path(self.filename).suffix.lower()


@dataclass(frozen=True)
class Labels:
    """What whoever imports says about the files."""

    tags: Sequence[str] = ()
    operator: str | None = None
    device: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    import_job: ObjectId | None = None


@dataclass(frozen=True)
class Past:
    """What the store knows of a file: the document that holds these bytes, and the one last imported from its path."""

    owner: RawDataFile | None
    predecessor: RawDataFile | None


def look_up(sha256: str, source: str) -> Past:
    """Ask for bytes and path at once."""
    known = list(visible(RawDataFile).filter(__raw__={"$or": [{"versions.sha256": sha256}, {"sources.path": source}]}))
    owner = next((raw for raw in known if raw.version(sha256)), None)
    seen_there = sorted(
        (raw for raw in known if any(place.path == source for place in raw.sources)),
        key=lambda raw: raw.updated_at,
        reverse=True,
    )
    # A file that failed at this path does not hide the test that was imported from it before.
    imported = next((raw for raw in seen_there if naming_test(raw, raw.sha256)), None) if len(seen_there) > 1 else None
    return Past(owner, imported or next(iter(seen_there), None))


def naming_test(raw: RawDataFile, sha256: str) -> TestResult | None:
    """Return the test that names this version; bytes without one do not count as imported."""
    found: TestResult | None = (
        visible(TestResult).filter(id=raw.test_result, raw_files__versions=sha256).exclude("segments", "words").first()
    )
    return found


def keep(store: Store, arrival: Arrival, labels: Labels, past: Past, *, archive: bool = True) -> RawDataFile:
    """Store the bytes of a file, unless they are stored, and note where it was seen.

    Bytes are put away first and named after, so that a crash leaves only garbage. Bytes that a
    dead run put away are adopted. With a predecessor they become a later version of it.
    """
    known = past.owner
    if known is None:
        version = _put(store, arrival, archive, past.predecessor)
        try:
            if past.predecessor is None:
                return _create(arrival, labels, version)
            known = _append(past.predecessor, version)
        except NotUniqueError:  # another importer was faster with the same bytes
            store.archive.drop(_own_extents(version, past.predecessor))
            known = look_up(arrival.sha256, arrival.source).owner
            assert known is not None, "a digest that is taken belongs to a document"
    if archive:
        _archive_late(store, arrival, known)
    note_source(known, arrival)
    return known


def note_source(raw: RawDataFile, arrival: Arrival) -> None:
    """Remember that the file was seen at this path, once per path."""
    collection = RawDataFile._get_collection()
    place = {"path": arrival.source, "modified_at": arrival.modified_at, "seen_at": now()}
    seen = collection.update_one({"_id": raw.id, "sources.path": arrival.source}, {"$set": {"sources.$": place}})
    if not seen.matched_count:
        collection.update_one({"_id": raw.id, "sources.path": {"$ne": arrival.source}}, {"$push": {"sources": place}})


def link_sample(raw: RawDataFile, sample: ObjectId) -> None:
    """Note the sample of a file, where none is noted yet."""
    RawDataFile._get_collection().update_one({"_id": raw.id, "sample": None}, {"$set": {"sample": sample}})


def _put(store: Store, arrival: Arrival, archive: bool, predecessor: RawDataFile | None) -> RawVersion:
    version = RawVersion(sha256=arrival.sha256, size=arrival.size, archived=archive)
    if archive:
        past = prefix_version(predecessor, arrival.prefix_digests) if predecessor else None
        shared = list(past.extents) if past is not None and past.archived else []
        offset = sum(extent.length for extent in shared)
        version.extents = [*shared, store.archive.put(arrival.spooled, offset=offset)]
    return version


def _own_extents(version: RawVersion, predecessor: RawDataFile | None) -> list[Extent]:
    shared = {extent.file_id for past in (predecessor.versions if predecessor else []) for extent in past.extents}
    return [extent for extent in version.extents if extent.file_id not in shared]


def _create(arrival: Arrival, labels: Labels, version: RawVersion) -> RawDataFile:
    raw = RawDataFile(
        filename=arrival.filename,
        sha256=arrival.sha256,
        size=arrival.size,
        file_type=arrival.file_type or None,
        versions=[version],
        sources=[SourcePath(path=arrival.source, modified_at=arrival.modified_at)],
        test_result=ObjectId(),
        import_job=labels.import_job,
        operator=labels.operator,
        acquisition_device=labels.device,
        tags=list(labels.tags),
        metadata=dict(labels.metadata),
    )
    checked(raw)
    raw.save(force_insert=True, validate=False)
    return raw


def _append(raw: RawDataFile, version: RawVersion) -> RawDataFile:
    RawDataFile._get_collection().update_one(
        {"_id": raw.id, "versions.sha256": {"$ne": version.sha256}},
        {
            "$push": {"versions": version.to_mongo()},
            "$set": {"sha256": version.sha256, "size": version.size, "updated_at": now()},
        },
    )
    raw.reload()
    return raw


def _archive_late(store: Store, arrival: Arrival, raw: RawDataFile) -> None:
    """Put away the bytes of a version that was imported without them."""
    version = raw.version(arrival.sha256)
    if version is None or version.archived:
        return
    extent = store.archive.put(arrival.spooled)
    changed = RawDataFile._get_collection().update_one(
        {"_id": raw.id, "versions": {"$elemMatch": {"sha256": arrival.sha256, "archived": False}}},
        {"$set": {"versions.$.archived": True, "versions.$.extents": [extent.to_mongo()]}},
    )
    if not changed.modified_count:
        store.archive.drop([extent])
    raw.reload()
