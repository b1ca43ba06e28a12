"""Backup and restore of a whole database in one file, on any MongoDB, while it is in use.

The file is a tar archive. ``collections/NAME/NNNNN.bson.zst`` hold the documents as BSON, compressed with zstd;
``manifest.json``, last, holds for each collection its options, indexes and parts with their SHA-256. After the end of
the archive stands the SHA-256 of everything before it.

What names others is copied before what it names: a test that was copied finds everything it names, since the store
writes a test last. What was written meanwhile and is named by nothing does no harm. Tests and
datasets deleted meanwhile are noted and left out by ``restore``.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import quote

import bson
import pyarrow
from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError

from battery_analysis.errors import StoreError

if TYPE_CHECKING:
    from pymongo.collection import Collection

FORMAT = "battery-analysis backup 1"
ORDER = (
    *("cell_datasets", "flags", "saved_views", "experiment_plans"),  # these name tests and samples
    "test_results",
    *("samples", "stages", "test_protocols", "raw_data_files", "attachments", "import_jobs", "imported_files"),
    *("frame_segments", "segment_sketches", "cycle_blocks", "dataset_blocks", "overviews"),
)
"""Collections in the order in which they are copied; every other one, GridFS with it, comes after them."""

WATCHED = ("cell_datasets", "test_results")
"""Documents that may be deleted meanwhile, with what they name, are left out of what is restored."""

PART_BYTES = 8 * 2**20
_MEMBER_LIMIT = 256 * 2**20
_RESTORING = "restoring."
_TRAILER = b"\nbattery-analysis backup, sha256 of the above: "
_TRAILER_BYTES = len(_TRAILER) + 64 + 1
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_DUPLICATE_KEY = 11000

logger = logging.getLogger(__name__)

Documents = dict[str, Any]


@dataclass(frozen=True)
class BackupSummary:
    """What a backup holds. ``left_out`` names views and the like, which hold no documents of their own."""

    path: Path
    database: str
    collections: int
    documents: int
    size_bytes: int
    sha256: str
    left_out: list[str]


@dataclass(frozen=True)
class RestoreSummary:
    """What was restored. ``left_out``: documents that changed or went while the backup was made."""

    path: Path
    database: str
    collections: int
    documents: int
    left_out: int


@dataclass(frozen=True)
class _Part:
    member: str
    documents: int
    bson_bytes: int
    sha256: str


@dataclass(frozen=True)
class _Copied:
    name: str
    options: dict[str, Any]
    indexes: list[dict[str, Any]]
    parts: list[_Part]


@dataclass(frozen=True)
class _Manifest:
    format: str
    database: str
    server_version: str
    created_at: str
    collections: list[_Copied]
    deleted_tests: list[Any]


def backup(database: Database[Documents], path: Path) -> BackupSummary:
    """Copy every collection into one file, which appears under its name only when it is complete.

    Raises:
        StoreError: The file cannot be written, or the database lives in memory only.
    """
    if not isinstance(database, Database):
        raise StoreError("the in-memory mongomock dies with its process and cannot be backed up")
    listed = sorted(database.list_collections(), key=lambda each: _order(each["name"]))
    ours = [each for each in listed if not each["name"].startswith(("system.", _RESTORING))]
    kept = [each for each in ours if each["type"] == "collection"]
    with _appears_when_complete(path) as file:
        writer = _Hashing(file)
        with tarfile.open(fileobj=writer, mode="w|", bufsize=2**20) as tar:  # type: ignore[call-overload]
            copied_ids: set[Any] = set()
            copied = [_copy(database[each["name"]], each["options"], tar, copied_ids) for each in kept]
            manifest = _Manifest(
                format=FORMAT,
                database=database.name,
                server_version=database.client.server_info()["version"],
                created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                collections=copied,
                deleted_tests=sorted(copied_ids - _present(database), key=str),
            )
            _add(tar, "manifest.json", json_util.dumps(asdict(manifest), indent=1).encode())
        digest = writer.sha256.hexdigest()
        file.write(_TRAILER + digest.encode() + b"\n")
    documents = sum(part.documents for each in copied for part in each.parts)
    left_out = [each["name"] for each in ours if each not in kept]
    return BackupSummary(path, database.name, len(copied), documents, path.stat().st_size, digest, left_out)


def restore(database: Database[Documents], path: Path, *, force: bool = False) -> RestoreSummary:
    """Fill a database from a backup file, whose digests are checked before anything is written.

    Documents and indexes are written beside what is there; only when all of them are, they take its place.

    Args:
        database: Where to; it must be empty.
        path: The backup.
        force: Replace whatever the database holds.

    Raises:
        StoreError: The file is no whole backup, or the database is not empty.
    """
    if not isinstance(database, Database):
        raise StoreError("a backup cannot be restored into the in-memory mongomock, which dies with its process")
    manifest = _verified(path)
    present = [name for name in database.list_collection_names() if not name.startswith("system.")]
    filled = [name for name in present if not name.startswith(_RESTORING) and database[name].find_one({}, {"_id": 1})]
    if filled and not force:
        raise StoreError(
            f"the database {database.name} is not empty ({', '.join(sorted(filled)[:3])} …); restore --into another "
            "name, or use --force to replace everything in it"
        )
    _drop(database, (name for name in present if name.startswith(_RESTORING)))
    lost = 0
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for each in manifest.collections:
                gone = set(manifest.deleted_tests) if each.name in WATCHED else set()
                lost += _fill(database, each, tar, gone)
        for each in reversed(manifest.collections):  # what is named comes before what names it
            database[_RESTORING + each.name].rename(each.name, dropTarget=True)
    finally:
        with suppress(PyMongoError):
            _drop(database, (_RESTORING + each.name for each in manifest.collections))
    restored = {each.name for each in manifest.collections}
    _drop(database, (name for name in filled if name not in restored))
    documents = sum(part.documents for each in manifest.collections for part in each.parts) - lost
    return RestoreSummary(path, database.name, len(restored), documents, lost)


def _order(name: str) -> tuple[int, str]:
    # The chunks of GridFS come after its files by name too: "raw.files" would follow "raw.chunks".
    listed = ORDER.index(name) if name in ORDER else len(ORDER) + name.endswith(".chunks")
    return listed, name


def _present(database: Database[Documents]) -> set[Any]:
    return {each["_id"] for name in WATCHED for each in database[name].find({}, {"_id": 1})}


def _copy(
    collection: Collection[Documents], options: dict[str, Any], tar: tarfile.TarFile, copied_ids: set[Any]
) -> _Copied:
    parts = []
    for number, (data, ids) in enumerate(_chunks(collection, keep_ids=collection.name in WATCHED)):
        packed = pyarrow.compress(data, codec="zstd", asbytes=True)
        member = f"collections/{quote(collection.name, safe='')}/{number:05d}.bson.zst"
        _add(tar, member, packed)
        parts.append(_Part(member, _count(data), len(data), hashlib.sha256(packed).hexdigest()))
        copied_ids.update(ids)
    logger.info("%s: %d documents copied", collection.name, sum(part.documents for part in parts))
    return _Copied(collection.name, options, [dict(each) for each in collection.list_indexes()], parts)


def _chunks(collection: Collection[Documents], *, keep_ids: bool) -> Iterator[tuple[bytes, list[Any]]]:
    """Yield the documents as the server sends them, undecoded, in pieces of bounded size."""
    gathered, ids = bytearray(), []
    for batch in cast("Iterator[bytes]", collection.find_raw_batches()):
        gathered += batch
        if keep_ids:
            ids += [each["_id"] for each in bson.decode_all(batch, _RAW)]
        if len(gathered) >= PART_BYTES:
            yield bytes(gathered), ids
            gathered, ids = bytearray(), []
    if gathered:
        yield bytes(gathered), ids


def _count(data: bytes) -> int:
    count = position = 0
    while position < len(data):
        position += int.from_bytes(data[position : position + 4], "little")
        count += 1
    return count


def _fill(database: Database[Documents], copied: _Copied, tar: tarfile.TarFile, gone: set[Any]) -> int:
    """Write one collection under its temporary name; return how many documents were left out."""
    name = _RESTORING + copied.name
    database.command({"create": name, **copied.options})
    specifications = [
        {key: value for key, value in each.items() if key != "ns"} for each in copied.indexes if each["name"] != "_id_"
    ]
    lost = 0
    # Unique indexes come first: a document that was replaced while the backup ran may be there twice under two ids,
    # and the one that the tests, copied before, could know is the earlier.
    _create_indexes(database, name, [each for each in specifications if each.get("unique")])
    for part in copied.parts:
        data = pyarrow.decompress(_member(tar, part), part.bson_bytes, codec="zstd", asbytes=True)
        documents = [each for each in bson.decode_all(data, _RAW) if not gone or each["_id"] not in gone]
        lost += part.documents - len(documents) + _insert(database[name], documents)
    _create_indexes(database, name, [each for each in specifications if not each.get("unique")])
    logger.info("%s: restored", copied.name)
    return lost


def _create_indexes(database: Database[Documents], name: str, specifications: list[dict[str, Any]]) -> None:
    if specifications:
        database.command({"createIndexes": name, "indexes": specifications})


def _insert(collection: Collection[Documents], documents: list[Any]) -> int:
    """Insert; return how many were refused because another has their unique key."""
    if not documents:
        return 0
    try:
        collection.insert_many(documents, ordered=False, bypass_document_validation=True)
    except BulkWriteError as exc:
        errors = (exc.details or {}).get("writeErrors", [])
        if not errors or any(each["code"] != _DUPLICATE_KEY for each in errors):
            raise
        return len(errors)
    return 0


def _drop(database: Database[Documents], names: Iterable[str]) -> None:
    for name in names:
        database.drop_collection(name)


def _verified(path: Path) -> _Manifest:
    """Read the whole file, check every digest, and return its manifest."""
    try:
        with path.open("rb") as file:
            return _verify(file, path)
    except OSError as exc:
        raise StoreError(f"{path}: {exc.strerror or exc}") from exc
    except (tarfile.TarError, ValueError, KeyError, TypeError) as exc:
        raise StoreError(f"{path}: a damaged backup: {exc}") from exc


def _verify(file: IO[bytes], path: Path) -> _Manifest:
    length = file.seek(0, os.SEEK_END) - _TRAILER_BYTES
    file.seek(max(length, 0))
    trailer = file.read()
    if length <= 0 or not trailer.startswith(_TRAILER):
        raise StoreError(f"{path}: no backup of battery-analysis, or one that was cut short")
    file.seek(0)
    reader = _Hashing(file, length)
    digests: dict[str, str] = {}
    written = b""
    with tarfile.open(fileobj=reader, mode="r|", bufsize=2**20) as tar:  # type: ignore[call-overload]
        for member in tar:
            content = tar.extractfile(member)
            if content is None or member.size > _MEMBER_LIMIT:
                raise StoreError(f"{path}: a damaged backup: {member.name} is no part of one")
            written = content.read()
            digests[member.name] = hashlib.sha256(written).hexdigest()
    while reader.read(2**20):
        pass
    if reader.sha256.hexdigest().encode() != trailer[len(_TRAILER) :].strip():
        raise StoreError(f"{path}: a damaged backup: its content differs from its SHA-256")
    manifest = _parse_manifest(written)
    parts = {part.member: part.sha256 for each in manifest.collections for part in each.parts}
    wrong = [name for name, digest in parts.items() if digests.get(name) != digest]
    if wrong:
        raise StoreError(f"{path}: a damaged backup: {wrong[0]} is missing or differs from its SHA-256")
    return manifest


def _parse_manifest(text: bytes) -> _Manifest:
    document = json_util.loads(text)
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']!r}, not {FORMAT!r}")
    document["collections"] = [
        _Copied(**(each | {"parts": [_Part(**part) for part in each["parts"]]})) for each in document["collections"]
    ]
    return _Manifest(**document)


def _member(tar: tarfile.TarFile, part: _Part) -> bytes:
    content = tar.extractfile(part.member)
    data = content.read() if content else b""
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise StoreError(f"{part.member} changed while the backup was being restored")
    return data


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
    tar.addfile(member, io.BytesIO(data))


class _Hashing:
    """A file whose content is digested on its way, up to ``length`` bytes of it."""

    def __init__(self, file: IO[bytes], length: int = 0) -> None:
        self.sha256 = hashlib.sha256()
        self._file = file
        self._left = length

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        self.sha256.update(data)
        return data


@contextmanager
def _appears_when_complete(path: Path) -> Iterator[IO[bytes]]:
    """Write beside the target and rename at the end, so that a failure leaves an older backup as it was."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise StoreError(f"{path}: cannot be written: {exc.strerror or exc}") from exc
