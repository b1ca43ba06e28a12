"""Original bytes in GridFS, by digest.

A version of a file is the version it has grown from, if any, and an extent of its own: the archive
grows by what was appended. Bytes are streamed both ways, and every digest is checked on the way out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import gridfs
from gridfs.errors import NoFile
from pymongo.database import Database

from battery_analysis.errors import ArchiveError, NotFoundError
from battery_analysis.models import Extent, RawDataFile

COLLECTION = "raw"
CHUNK_BYTES = 1 << 20


class RawArchive:
    """Puts bytes away and gets them back, those of raw files unless another collection is named."""

    def __init__(self, database: Database[dict[str, Any]], collection: str = COLLECTION) -> None:
        # GridFS rather than GridFSBucket: the in-memory server knows only the former.
        self._files = gridfs.GridFS(database, collection=collection)

    def put(self, path: Path, *, offset: int = 0) -> Extent:
        """Store the bytes of ``path`` from ``offset`` to its end; nothing names them yet."""
        total = hashlib.sha256()
        length = 0
        with path.open("rb") as source, self._files.new_file(chunk_size=CHUNK_BYTES) as target:
            source.seek(offset)
            while chunk := source.read(CHUNK_BYTES):
                total.update(chunk)
                length += len(chunk)
                target.write(chunk)
            file_id = target._id
        return Extent(file_id=file_id, length=length, sha256=total.hexdigest())

    def drop(self, extent: Extent) -> None:
        """Remove an extent that no document names."""
        self._files.delete(extent.file_id)

    def stream(self, raw: RawDataFile, sha256: str | None = None) -> Iterator[bytes]:
        """Yield the bytes of a version, the newest unless its digest is given.

        Raises:
            NotFoundError: There is no such version, or it was imported without its bytes.
            ArchiveError: Bytes are missing, or are not those that were put away. Raised at the
                latest after the last chunk, so write to a temporary file and rename it.
        """
        wanted = sha256 or raw.sha256
        total = hashlib.sha256()
        for extent in _extents(raw, wanted):
            for chunk in self._chunks(raw.filename, extent):
                total.update(chunk)
                yield chunk
        if total.hexdigest() != wanted:
            raise ArchiveError(f"{raw.filename}: archived bytes have SHA-256 {total.hexdigest()} instead of {wanted}")

    def stream_extent(self, extent: Extent, filename: str) -> Iterator[bytes]:
        """Yield the bytes of an extent that is a file of its own.

        Raises:
            ArchiveError: Bytes are missing, or are not those that were put away; at the latest after the last chunk.
        """
        total = hashlib.sha256()
        for chunk in self._chunks(filename, extent):
            total.update(chunk)
            yield chunk
        if (digest := total.hexdigest()) != extent.sha256:
            raise ArchiveError(f"{filename}: archived bytes have SHA-256 {digest} instead of {extent.sha256}")

    def copy(self, raw: RawDataFile, target: IO[bytes], sha256: str | None = None) -> int:
        """Write the bytes of a version to ``target`` and return how many."""
        return sum(target.write(chunk) for chunk in self.stream(raw, sha256))

    def verify(self, raw: RawDataFile) -> None:
        """Read every archived version of a file and compare it with its digest.

        Raises:
            ArchiveError: Bytes are missing, or are not those that were put away.
        """
        for version in raw.versions:
            if version.extent:
                for _ in self.stream(raw, version.sha256):
                    pass

    def _chunks(self, filename: str, extent: Extent) -> Iterator[bytes]:
        try:
            with self._files.get(extent.file_id) as source:
                while chunk := source.read(CHUNK_BYTES):
                    yield chunk
        except (NoFile, gridfs.errors.CorruptGridFile) as exc:
            raise ArchiveError(f"{filename}: archived bytes are missing or damaged ({exc})") from exc


def _extents(raw: RawDataFile, sha256: str) -> list[Extent]:
    """Return the extents of a version in the order of its bytes."""
    versions = {version.sha256: version for version in raw.versions}
    if sha256 not in versions:
        raise NotFoundError(f"{raw.filename}: no version with SHA-256 {sha256}")
    extents = []
    beginning: str | None = sha256
    while beginning:
        version = versions.get(beginning)
        if version is None:
            raise ArchiveError(f"{raw.filename}: the version that {sha256} begins with is missing")
        if version.extent is None:
            raise NotFoundError(f"{raw.filename}: imported without keeping its bytes")
        extents.append(version.extent)
        beginning = version.grown_from
    return extents[::-1]
