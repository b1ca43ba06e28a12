"""Original bytes in GridFS, by digest.

A version of a file is an ordered list of extents. A file that grew by appending gets one more
extent, so the archive grows by what was appended. Bytes are streamed both ways, and every digest
is checked on the way out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import gridfs
from gridfs.errors import NoFile
from pymongo.database import Database

from battery_analysis.errors import ArchiveError, NotFoundError
from battery_analysis.models import Extent, RawDataFile, RawVersion

COLLECTION = "raw"
CHUNK_BYTES = 1 << 20


class RawArchive:
    """Puts bytes away and gets them back."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        # GridFS rather than GridFSBucket: the in-memory server knows only the former.
        self._files = gridfs.GridFS(database, collection=COLLECTION)

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

    def drop(self, extents: list[Extent]) -> None:
        """Remove extents that no document names."""
        for extent in extents:
            self._files.delete(extent.file_id)

    def stream(self, raw: RawDataFile, sha256: str | None = None) -> Iterator[bytes]:
        """Yield the bytes of a version, the newest unless its digest is given.

        Raises:
            NotFoundError: There is no such version, or it was imported without its bytes.
            ArchiveError: Bytes are missing, or are not those that were put away. Raised at the
                latest after the last chunk, so write to a temporary file and rename it.
        """
        version = raw.version(sha256 or raw.sha256)
        if version is None:
            raise NotFoundError(f"{raw.filename}: no version with SHA-256 {sha256}")
        if not version.archived:
            raise NotFoundError(f"{raw.filename}: imported without keeping its bytes")
        total = hashlib.sha256()
        for extent in version.extents:
            for chunk in self._chunks(raw, extent):
                total.update(chunk)
                yield chunk
        if total.hexdigest() != version.sha256:
            raise ArchiveError(
                f"{raw.filename}: archived bytes have SHA-256 {total.hexdigest()} instead of {version.sha256}"
            )

    def copy(self, raw: RawDataFile, target: IO[bytes], sha256: str | None = None) -> int:
        """Write the bytes of a version to ``target`` and return how many."""
        return sum(target.write(chunk) for chunk in self.stream(raw, sha256))

    def verify(self, raw: RawDataFile) -> None:
        """Read every archived version of a file and compare it with its digest.

        Raises:
            ArchiveError: Bytes are missing, or are not those that were put away.
        """
        for version in raw.versions:
            if version.archived:
                for _ in self.stream(raw, version.sha256):
                    pass

    def _chunks(self, raw: RawDataFile, extent: Extent) -> Iterator[bytes]:
        try:
            with self._files.get(extent.file_id) as source:
                while chunk := source.read(CHUNK_BYTES):
                    yield chunk
        except (NoFile, gridfs.errors.CorruptGridFile) as exc:
            raise ArchiveError(f"{raw.filename}: archived bytes are missing or damaged ({exc})") from exc


def prefix_version(raw: RawDataFile, digests_of_prefixes: Mapping[int, str]) -> RawVersion | None:
    """Return the longest version that is a prefix of a file, given the digests of its first n bytes."""
    fitting = [each for each in raw.versions if digests_of_prefixes.get(each.size) == each.sha256]
    return max(fitting, key=lambda each: each.size, default=None)
