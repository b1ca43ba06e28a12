"""Raw files as documents: found by digest or by path, kept once however often they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bson import ObjectId
from bson.errors import BSONError
from mongoengine import NotUniqueError
from pymongo import ReturnDocument

from battery_analysis.errors import ConflictError, InvalidDocumentError
from battery_analysis.models import Extent, RawDataFile, RawVersion, SourcePath, TestResult, checked, now
from battery_analysis.store.access import visible
from battery_analysis.store.connection import Store

_BULKY = ("segments", "words", "header", "columns")


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
    left_out: int = 0
    """How many bytes are missing in the copy, all of them before what is not stored yet."""

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
    project: str | None = None
    """Of samples that the import makes; those that are there keep theirs."""
    import_job: ObjectId | None = None

    @property
    def say_something(self) -> bool:
        """Whether there is more than the job."""
        return bool(self.tags or self.operator or self.device or self.metadata)


@dataclass(frozen=True)
class Holding:
    """A raw file as far as an import has to know it, however long its history.

    ``newest`` is the digest of its last version, ``sizes`` and ``kept`` are by digest.
    """

    id: ObjectId
    filename: str
    test_id: ObjectId
    newest: str
    sizes: Mapping[str, int]
    kept: frozenset[str]
    seen_at: Mapping[str, datetime]
    is_settled: bool
    """Whether the importer of its test lived to the end of it."""

    def grew_into(self, arrival: Arrival) -> bool:
        """Say whether the newest version is the beginning of these bytes."""
        return self._begins(arrival, self.newest)

    def longest_beginning(self, arrival: Arrival) -> str | None:
        """Return the digest of the longest archived version that these bytes begin with."""
        fitting = [each for each in self.kept if self._begins(arrival, each)]
        return max(fitting, key=lambda each: self.sizes[each], default=None)

    def _begins(self, arrival: Arrival, sha256: str) -> bool:
        return arrival.prefix_digests.get(self.sizes[sha256]) == sha256


@dataclass(frozen=True)
class Past:
    """What the store knows of a file: who holds these bytes, and what was seen at its path, newest first."""

    owner: Holding | None
    seen_here: tuple[Holding, ...]

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """All of them."""
        return (*self.seen_here, *([self.owner] if self.owner else []))

    @property
    def lengths(self) -> set[int]:
        """Lengths of the beginnings whose digests tell whether the file has grown."""
        return {size for holding in self.seen_here for size in holding.sizes.values()}


def look_up(sha256: str, source: str) -> Past:
    """Ask for bytes and path at once."""
    wanted = {"$or": [{"versions.sha256": sha256}, {"sources.path": source}]}
    known = [_holding(document) for document in visible(RawDataFile).filter(__raw__=wanted).as_pymongo()]
    owner = next((holding for holding in known if sha256 in holding.sizes), None)
    here = [holding for holding in known if source in holding.seen_at]
    return Past(owner, tuple(sorted(here, key=lambda holding: holding.seen_at[source], reverse=True)))


def holding_at(source: str) -> Holding | None:
    """Return the file that was last seen at a path."""
    known = [_holding(document) for document in visible(RawDataFile).filter(sources__path=source).as_pymongo()]
    return max(known, key=lambda holding: holding.seen_at[source], default=None)


def tests_of(holdings: Iterable[Holding]) -> dict[ObjectId, TestResult]:
    """Return the stored tests that belong to these files, by id; their data is not loaded."""
    identities = [holding.test_id for holding in holdings]
    found = visible(TestResult).filter(id__in=identities).exclude(*_BULKY)
    return {test.id: test for test in found}


def test_of(holding: Holding) -> TestResult | None:
    """Return the test that a file belongs to; an importer that died may not have noted which."""
    test = test_by_id(holding.test_id)
    if test is not None:
        return test
    naming: TestResult | None = visible(TestResult).filter(raw_files__raw_file=holding.id).first()
    if naming is not None:
        belongs_to(holding, naming.id, naming.sample.id)
    return naming


def test_by_id(identity: ObjectId) -> TestResult | None:
    """Return a stored test without its data."""
    found: TestResult | None = visible(TestResult).filter(id=identity).exclude(*_BULKY).first()
    return found


def names(test: TestResult | None, sha256: str) -> bool:
    """Say whether a test was read from these bytes; bytes that no test names do not count as imported."""
    return test is not None and any(sha256 in part.versions for part in test.raw_files)


def create(store: Store, arrival: Arrival, labels: Labels, *, archive: bool, past: Past | None = None) -> Holding:
    """Store the bytes of a file that is not known, put away first and named after.

    Raises:
        ConflictError: Another importer was faster with the same bytes, or with another state of a file of which only
            the ``past`` was known.
    """
    extent = store.archive.put(arrival.spooled) if archive else None
    raw = RawDataFile(
        filename=arrival.filename,
        sha256=arrival.sha256,
        size=arrival.size,
        file_type=arrival.file_type or None,
        versions=[RawVersion(sha256=arrival.sha256, size=arrival.size, extent=extent)],
        sources=[SourcePath(path=arrival.source, modified_at=arrival.modified_at)],
        test_result=ObjectId(),
        import_job=labels.import_job,
        operator=labels.operator,
        acquisition_device=labels.device,
        tags=list(labels.tags),
        metadata=dict(labels.metadata),
    )
    try:
        checked(raw)
        raw.save(force_insert=True, validate=False)
    except NotUniqueError as exc:
        _drop(store, extent)
        raise ConflictError(f"{arrival.source}: its bytes were stored by another process meanwhile") from exc
    except (BSONError, OverflowError, UnicodeError) as exc:
        _drop(store, extent)
        raise InvalidDocumentError(f"{arrival.source}: cannot be stored: {exc}") from exc
    if past is not None:
        _give_way(store, raw, arrival, {holding.id for holding in past.holdings})
    return _holding(raw.to_mongo().to_dict())


def _give_way(store: Store, raw: RawDataFile, arrival: Arrival, known: set[ObjectId]) -> None:
    """Take a new file back where another importer has stored another state of it since this one was looked up.

    Of two that meet, at least the later one sees the other; if both do, both try again.
    """
    here = set(visible(RawDataFile).filter(sources__path=arrival.source).scalar("id"))
    if not here - known - {raw.id}:
        return
    as_made = {"_id": raw.id, "sha256": arrival.sha256, "sources": {"$size": 1}}
    if RawDataFile._get_collection().delete_one(as_made).deleted_count:
        _drop(store, raw.versions[0].extent)
    raise ConflictError(f"{arrival.source}: another state of it was stored by another process meanwhile")


def append(store: Store, holding: Holding, arrival: Arrival, *, archive: bool) -> Holding:
    """Store bytes as the next version of a file; of a file that grew, only what was appended.

    Raises:
        ConflictError: Another importer added a version meanwhile.
    """
    beginning = holding.longest_beginning(arrival) if archive else None
    offset = holding.sizes[beginning] if beginning else 0
    extent = store.archive.put(arrival.spooled, offset=offset - arrival.left_out) if archive else None
    version = RawVersion(sha256=arrival.sha256, size=arrival.size, grown_from=beginning, extent=extent)
    try:
        changed = RawDataFile.objects(id=holding.id, sha256=holding.newest).modify(
            push__versions=version, sha256=arrival.sha256, size=arrival.size, updated_at=now(), new=True
        )
    except NotUniqueError:
        changed = None
    if changed is None:
        _drop(store, extent)
        raise ConflictError(f"{arrival.source}: another version was stored by another process meanwhile")
    note_source(holding, arrival)
    return _holding(changed.to_mongo().to_dict())


def absorb(holding: Holding, unread: Holding) -> Holding:
    """Make the versions of a file that nobody could read so far the next ones of the file they are later states of.

    A digest belongs to one file, so the unread one goes first; a crash between leaves a file that is still to come.

    Raises:
        ConflictError: Another importer added a version meanwhile.
    """
    collection = RawDataFile._get_collection()
    document = collection.find_one_and_delete({"_id": unread.id, "sha256": unread.newest})
    if document is None:
        raise ConflictError(f"{unread.filename}: another version was stored by another process meanwhile")
    places = [place for place in document["sources"] if place["path"] not in holding.seen_at]
    seen_again = {place["path"]: place for place in document["sources"] if place["path"] in holding.seen_at}
    added = {"versions": {"$each": document["versions"]}, "sources": {"$each": places}}
    newest = {"sha256": unread.newest, "size": document["size"], "updated_at": now()}
    changed = collection.find_one_and_update(
        {"_id": holding.id, "sha256": holding.newest},
        {"$push": added, "$set": newest},
        return_document=ReturnDocument.AFTER,
    )
    if changed is None:
        collection.insert_one(document)
        raise ConflictError(f"{holding.filename}: another version was stored by another process meanwhile")
    for path, place in seen_again.items():
        collection.update_one({"_id": holding.id, "sources.path": path}, {"$set": {"sources.$": place}})
    return _holding(changed)


def archive_late(store: Store, holding: Holding, arrival: Arrival) -> None:
    """Put away the bytes of a version that was imported without them."""
    if arrival.sha256 in holding.kept:
        return
    extent = store.archive.put(arrival.spooled)
    changed = RawDataFile._get_collection().update_one(
        {"_id": holding.id, "versions": {"$elemMatch": {"sha256": arrival.sha256, "extent": None}}},
        {"$set": {"versions.$.extent": extent.to_mongo()}},
    )
    if not changed.modified_count:
        _drop(store, extent)


def note_source(holding: Holding, arrival: Arrival) -> None:
    """Remember that the file was seen at this path, once per path."""
    collection = RawDataFile._get_collection()
    place = {"path": arrival.source, "modified_at": arrival.modified_at, "seen_at": now()}
    seen = collection.update_one({"_id": holding.id, "sources.path": arrival.source}, {"$set": {"sources.$": place}})
    if not seen.matched_count:
        unseen = {"_id": holding.id, "sources.path": {"$ne": arrival.source}}
        collection.update_one(unseen, {"$push": {"sources": place}})


def forget_later_versions(store: Store, raw: RawDataFile, sha256: str) -> set[str]:
    """Make a version the newest again; those that came after it go with their bytes. Returns their digests.

    Raises:
        ConflictError: Another importer added a version meanwhile.
    """
    place = next(index for index, version in enumerate(raw.versions) if version.sha256 == sha256)
    kept, later = raw.versions[: place + 1], raw.versions[place + 1 :]
    newest = {"sha256": sha256, "size": kept[-1].size, "versions": [each.to_mongo() for each in kept]}
    changed = RawDataFile._get_collection().update_one(
        {"_id": raw.id, "sha256": raw.sha256}, {"$set": {**newest, "updated_at": now()}}
    )
    if not changed.matched_count:
        raise ConflictError(f"{raw.filename}: another version was stored by another process meanwhile")
    for version in later:
        _drop(store, version.extent)
    return {version.sha256 for version in later}


def forget_source(raw_id: ObjectId, path: str) -> None:
    """Forget that a file was seen at this path."""
    RawDataFile._get_collection().update_one({"_id": raw_id}, {"$pull": {"sources": {"path": path}}})


def belongs_to(holding: Holding, test_id: ObjectId, sample: ObjectId) -> None:
    """Note to which test and sample a file belongs; a sample that is noted already stays.

    It is the last that is written of a file: what comes after a test is done again where its sample is not noted.
    """
    collection = RawDataFile._get_collection()
    if holding.test_id != test_id:
        collection.update_one({"_id": holding.id}, {"$set": {"test_result": test_id}})
    collection.update_one({"_id": holding.id, "sample": None}, {"$set": {"sample": sample}})


def _holding(document: Mapping[str, Any]) -> Holding:
    versions = document["versions"]
    return Holding(
        id=document["_id"],
        filename=document["filename"],
        test_id=document["test_result"],
        newest=document["sha256"],
        sizes={version["sha256"]: version["size"] for version in versions},
        kept=frozenset(version["sha256"] for version in versions if version.get("extent")),
        seen_at={place["path"]: place["seen_at"] for place in document["sources"]},
        is_settled=document.get("sample") is not None,
    )


def _drop(store: Store, extent: Extent | None) -> None:
    if extent is not None:
        store.archive.drop(extent)
