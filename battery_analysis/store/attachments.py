"""Settings and logs that lie beside data: kept once, and attached to the tests they belong to in any order of arrival.

Photographs and documents that people attach to a sample or a test are kept here, too.

Whoever stores a file writes it first and looks for its counterpart then: of settings and data that arrive at the same
time, at least one finds the other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, cast

from bson import ObjectId
from bson.errors import BSONError
from mongoengine import NotUniqueError
from pymongo.errors import DuplicateKeyError

from battery_analysis.errors import ConflictError, InvalidDocumentError, NotFoundError
from battery_analysis.models import Attachment, AttachmentSource, Extent, RawDataFile, Sample, TestResult, checked, now
from battery_analysis.readers.beside import BesideFormat, links_of_data
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store
from battery_analysis.store.raw_archive import RawArchive
from battery_analysis.store.raw_files import Arrival, Labels
from battery_analysis.store.words import words_of

if TYPE_CHECKING:
    from pymongo.collection import Collection

COLLECTION = "attached"
"""Their bytes, in GridFS."""

_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def sizes_at(source: str) -> set[int]:
    """Return lengths of what lay at a path: the beginnings whose digests tell whether it has grown."""
    return {each["size"] for each in _lying_at(source)}


def keep(
    store: Store, arrival: Arrival, format: BesideFormat | None, labels: Labels, *, archive: bool = True
) -> ObjectId:
    """Store a file once and note where it lies, and return its id; a log that has grown replaces its beginning.

    Raises:
        ConflictError: Another importer stored the same bytes meanwhile.
    """
    identity = _kept(store, arrival, archive)
    if identity is None and (format is None or format.kind == "log"):
        identity = _grown(store, arrival, archive)
    if identity is None:
        identity = _create(store, arrival, format, labels, archive)
    _note_source(identity, arrival, format.link(arrival.source) if format else None)
    return identity


def attach_to_tests(identity: ObjectId, format: BesideFormat, source: str) -> int:
    """Attach a file to the stored tests it belongs to, and return to how many it is attached by now."""
    fitting = list(_tests_beside(format, source))
    if fitting:
        _attach([identity], [test["_id"] for test in fitting], fitting[0]["sample"])
    return sum(len(each["test_results"]) for each in _found({"_id": identity}))


def attach_to_test(test: TestResult, source: str, also: Iterable[ObjectId] = ()) -> None:
    """Attach to a test what waits for the data at a path, and what was read along with them."""
    links = links_of_data(source, test.tester, test.protocol)
    waiting = [each["_id"] for each in _found({"sources.link": {"$in": links}}, "id")]
    if waiting or also:
        _attach([*waiting, *also], [test.id], test.sample.id)


def detach(test_id: ObjectId) -> None:
    """Take what is attached to a test off it; files without a test wait for data again."""
    _collection().update_many({"test_results": test_id}, {"$pull": {"test_results": test_id}})


def delete_waiting(store: Store, job: ObjectId) -> None:
    """Remove what a job found and no test came for."""
    for attachment in visible(Attachment).filter(import_job=job, test_results=[], owner=None):
        attachment.delete()
        _drop(store, attachment.extent)


def of_test(test_id: ObjectId) -> list[Attachment]:
    """Return what is attached to a test, by name."""
    return list(visible(Attachment).filter(test_results=test_id).order_by("name", "created_at"))


def add_by_hand(
    store: Store, path: Path, name: str, owner: Sample | TestResult, author: str | None = None
) -> Attachment:
    """Attach a file to a sample or a test and return it; bytes that are attached already stay under their first name.

    Args:
        store: Where it is kept.
        path: The bytes.
        name: What the file was called.
        owner: What it shows or describes.
        author: Who attached it.

    Raises:
        InvalidDocumentError: It has no bytes, or its name cannot be stored.
    """
    if not path.stat().st_size:
        raise InvalidDocumentError(f"{name}: the file is empty")
    extent = _archive(store).put(path)
    attachment = Attachment(
        name=name,
        kind="photograph" if image_type(path) else "document",
        sha256=extent.sha256,
        size=extent.length,
        extent=extent,
        sample=owner.sample.id if isinstance(owner, TestResult) else owner.id,
        owner=owner.id,
        created_by=author,
    )
    try:
        checked(attachment).save(force_insert=True, validate=False)
    except NotUniqueError:
        _drop(store, extent)
        return cast(Attachment, visible(Attachment).filter(sha256=extent.sha256, owner=owner.id).get())
    except (BSONError, UnicodeError, InvalidDocumentError) as exc:
        _drop(store, extent)
        raise InvalidDocumentError(f"{name!r}: cannot be stored: {exc}") from exc
    return attachment


def of_owners(owners: Iterable[ObjectId]) -> list[Attachment]:
    """Return what people attached to samples and tests, by name."""
    return list(visible(Attachment).filter(owner__in=list(owners)).order_by("name", "created_at"))


def hand_over(store: Store, test_id: ObjectId, sample: ObjectId) -> None:
    """Give what people attached to a test that is gone to its sample: nobody but people can make it again."""
    for attachment in of_owners([test_id]):
        try:
            attachment.modify(owner=sample, sample=sample, updated_at=now())
        except NotUniqueError:  # the sample has the same file
            attachment.delete()
            _drop(store, attachment.extent)


def remove_by_hand(store: Store, identity: str) -> Attachment:
    """Remove what a person attached and return it.

    Raises:
        NotFoundError: There is no such attachment.
        InvalidDocumentError: An import brought it.
    """
    attachment = by_id(Attachment, identity)
    if attachment.owner is None:
        raise InvalidDocumentError(f"{attachment.name}: came with an import and goes with its tests")
    attachment.delete()
    _drop(store, attachment.extent)
    return attachment


def image_type(path: Path) -> str | None:
    """Return the media type of an image that browsers show, by its first bytes; None for anything else."""
    with path.open("rb") as file:
        return image_type_of(file.read(16))


def image_type_of(head: bytes) -> str | None:
    """Return the media type of an image by its first bytes.

    >>> image_type_of(b"GIF89a..."), image_type_of(b"<svg onload=...>")
    ('image/gif', None)
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _IMAGES.items() if head.startswith(begin)), None)


def by_ids(identities: Iterable[ObjectId]) -> list[Attachment]:
    """Return the attachments with these ids."""
    return list(visible(Attachment).filter(id__in=list(identities)))


def stream(store: Store, attachment: Attachment) -> Iterator[bytes]:
    """Yield the bytes of an attachment.

    Raises:
        NotFoundError: It was imported without its bytes.
        ArchiveError: Bytes are missing, or are not those that were put away; at the latest after the last chunk.
    """
    if attachment.extent is None:
        raise NotFoundError(f"{attachment.name}: imported without keeping its bytes")
    yield from _archive(store).stream_extent(attachment.extent, attachment.name)


def _kept(store: Store, arrival: Arrival, archive: bool) -> ObjectId | None:
    """Return the attachment that holds these bytes already, now with them if an earlier import kept none."""
    found = next(_found({"sha256": arrival.sha256, "owner": None}), None)
    if found is None:
        return None
    if archive and not found.get("extent"):
        extent = _put(store, arrival)
        change = {"$set": {"extent": extent.to_mongo(), "updated_at": now()}}
        if not _collection().update_one({"_id": found["_id"], "extent": None}, change).modified_count:
            _drop(store, extent)
    return ObjectId(found["_id"])


def _grown(store: Store, arrival: Arrival, archive: bool) -> ObjectId | None:
    """Let a log that has grown take the place of its beginning."""
    lay_here, begins = _lying_at(arrival.source), arrival.prefix_digests
    before = next((each for each in lay_here if begins.get(each["size"]) == each["sha256"]), None)
    if before is None:
        return None
    extent = _put(store, arrival) if archive else None
    content = {"sha256": arrival.sha256, "size": arrival.size, "updated_at": now()}
    content["extent"] = extent.to_mongo() if extent else None
    try:
        changed = _collection().update_one({"_id": before["_id"], "sha256": before["sha256"]}, {"$set": content})
    except DuplicateKeyError:
        changed = None
    if changed is None or not changed.modified_count:
        _drop(store, extent)
        raise ConflictError(f"{arrival.source}: its bytes were stored by another process meanwhile")
    _drop(store, Extent(**before["extent"]) if before.get("extent") else None)
    return ObjectId(before["_id"])


def _create(store: Store, arrival: Arrival, format: BesideFormat | None, labels: Labels, archive: bool) -> ObjectId:
    attachment = Attachment(
        name=arrival.filename,
        kind=format.kind if format else "log",
        title=format.title if format else None,
        sha256=arrival.sha256,
        size=arrival.size,
        extent=_put(store, arrival) if archive else None,
        import_job=labels.import_job,
        operator=labels.operator,
        tags=list(labels.tags),
        metadata=dict(labels.metadata),
    )
    try:
        checked(attachment).save(force_insert=True, validate=False)
    except NotUniqueError as exc:
        _drop(store, attachment.extent)
        raise ConflictError(f"{arrival.source}: its bytes were stored by another process meanwhile") from exc
    return ObjectId(attachment.id)


def _note_source(identity: ObjectId, arrival: Arrival, link: str | None) -> None:
    """Remember that the file lies at this path, and that no other one does any longer."""
    place = AttachmentSource(path=arrival.source, link=link, modified_at=arrival.modified_at).to_mongo()
    here = {"_id": identity, "sources.path": arrival.source}
    if not _collection().update_one(here, {"$set": {"sources.$": place}}).matched_count:
        unseen = {"_id": identity, "sources.path": {"$ne": arrival.source}}
        _collection().update_one(unseen, {"$push": {"sources": place}})
    others = {"_id": {"$ne": identity}, "owner": None, "sources.path": arrival.source}
    _collection().update_many(others, {"$unset": {"sources.$.link": ""}})


def _tests_beside(format: BesideFormat, source: str) -> Iterator[Mapping[str, Any]]:
    """Yield id and sample of the stored tests that a file belongs to."""
    tests = visible(TestResult).filter(tester=format.tester).only("id", "sample", "protocol")
    raws = visible(RawDataFile).only("test_result", "sources")
    beginning = format.beginning_of_data(source)
    if beginning is None:
        said = list(tests.filter(words__all=words_of(PurePath(source).name)).as_pymongo())
        files = raws.filter(test_result__in=[test["_id"] for test in said]).as_pymongo()
    else:
        # A pattern of text, not a compiled one: only with that the server uses the index.
        wanted = {"sources.path": {"$regex": f"^{re.escape(beginning)}"}}
        files = list(raws.filter(__raw__=wanted).as_pymongo())
        said = list(tests.filter(id__in=[file["test_result"] for file in files]).as_pymongo())
    paths: dict[ObjectId, list[str]] = defaultdict(list)
    for file in files:
        paths[file["test_result"]] += [place["path"] for place in file["sources"]]
    link = format.link(source)
    for test in said:
        if any(link in links_of_data(path, format.tester, test.get("protocol")) for path in paths[test["_id"]]):
            yield test


def _lying_at(source: str) -> list[Mapping[str, Any]]:
    """Return what was the last to be seen at a path."""
    seen = _found({"owner": None, "sources.path": source})
    return [each for each in seen if any(at["path"] == source and at.get("link") for at in each["sources"])]


def _found(wanted: Mapping[str, Any], *only: str) -> Iterator[Mapping[str, Any]]:
    yield from visible(Attachment).filter(__raw__=wanted).only(*only).as_pymongo()


def _attach(attachments: list[ObjectId], tests: list[ObjectId], sample: ObjectId) -> None:
    these = {"_id": {"$in": attachments}}
    _collection().update_many(these, {"$addToSet": {"test_results": {"$each": tests}}})
    _collection().update_many({**these, "sample": None}, {"$set": {"sample": sample}})


def _collection() -> Collection[dict[str, Any]]:
    collection: Collection[dict[str, Any]] = Attachment._get_collection()
    return collection


def _archive(store: Store) -> RawArchive:
    return RawArchive(store.database, COLLECTION)


def _put(store: Store, arrival: Arrival) -> Extent:
    return _archive(store).put(arrival.spooled)


def _drop(store: Store, extent: Extent | None) -> None:
    if extent is not None:
        _archive(store).drop(extent)
