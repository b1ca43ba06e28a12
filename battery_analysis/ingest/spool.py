"""Copies of files, hashed while they are copied: what is archived and what is read are the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from battery_analysis.errors import IngestError, ReadError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Spooled:
    """A copy of a file under its own name in a folder of its own, and the digests of its first n bytes."""

    path: Path
    sha256: str
    size: int
    prefix_digests: dict[int, str]

    @property
    def parcel(self) -> Path:
        """Where a worker puts what it read."""
        return self.path.parent.with_suffix(".parcel")


class Spool:
    """A folder for the copies of one import; it goes with everything in it when the import ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    @contextmanager
    def copy(self, source: Path, filename: str, prefixes: Collection[int] = ()) -> Iterator[Spooled]:
        """Copy a file as it is at this moment; the copy is removed at the end of the block.

        Args:
            source: The file.
            filename: Its name in the spool.
            prefixes: Lengths in bytes for which the digest of the beginning is wanted.

        Raises:
            ReadError: The source cannot be read.
            IngestError: The spool cannot be written, for lack of space or of rights.
        """
        place = self._folder / str(next(self._numbers))
        target = place / filename
        try:
            with _spool_errors(self._folder):
                place.mkdir()
                spooled = _copy(_chunks(source), target, sorted(set(prefixes)))
            yield spooled
        finally:
            shutil.rmtree(place, ignore_errors=True)
            place.with_suffix(".parcel").unlink(missing_ok=True)


@contextmanager
def open_spool(data_dir: Path) -> Iterator[Spool]:
    """Make a spool folder below the data folder, readable by this user only.

    Raises:
        IngestError: The folder cannot be made.
    """
    parent = data_dir / "spool"
    with _spool_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=parent, prefix=f"{os.getpid()}-", ignore_cleanup_errors=True)
    with folder as name:
        yield Spool(Path(name))


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as exc:
        raise ReadError(source, exc.strerror or str(exc)) from exc


def _copy(chunks: Iterable[bytes], target: Path, prefixes: list[int]) -> Spooled:
    total, size = hashlib.sha256(), 0
    prefix_digests: dict[int, str] = {}
    with target.open("wb") as writing:
        for chunk in chunks:
            writing.write(chunk)
            while prefixes and prefixes[0] <= size + len(chunk):
                cut = prefixes.pop(0) - size
                total.update(chunk[:cut])
                size, chunk = size + cut, chunk[cut:]
                prefix_digests[size] = total.hexdigest()
            total.update(chunk)
            size += len(chunk)
    return Spooled(target, total.hexdigest(), size, prefix_digests)


@contextmanager
def _spool_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise IngestError(f"{folder}: cannot keep a copy to read from: {exc.strerror or exc}") from exc
