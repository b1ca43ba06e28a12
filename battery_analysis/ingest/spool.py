"""Copies of files, hashed while they are copied: what is archived and what is read are the same bytes."""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from battery_analysis.errors import ReadError, SpoolError
from battery_analysis.ingest.discover import Candidate

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Spooled:
    """A copy of a file under its own name, in a folder of its own with the files that its reader needs beside it."""

    path: Path
    sha256: str
    size: int
    companions: tuple[Spooled, ...] = ()

    def prefix_digests(self, lengths: Iterable[int]) -> dict[int, str]:
        """Return the digests of the first n bytes, for the lengths that are not longer than the copy."""
        total, done = hashlib.sha256(), 0
        digests = {}
        with self.path.open("rb") as file:
            for length in sorted({length for length in lengths if length <= self.size}):
                while done < length:
                    chunk = file.read(min(_CHUNK_BYTES, length - done))
                    total.update(chunk)
                    done += len(chunk)
                digests[length] = total.hexdigest()
        return digests

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
    def copy(self, source: Path, companions: Iterable[Path] = ()) -> Iterator[Spooled]:
        """Copy a file as it is at this moment, under its own name; the copy is removed at the end of the block.

        Args:
            source: The file.
            companions: Files beside it, which are copied beside the copy; one that is gone by now is left out.

        Raises:
            ReadError: The source cannot be read.
            IngestError: The spool cannot be written, for lack of space or of rights.
        """
        with self.write(source.name, _chunks(source)) as spooled:
            with spool_errors(self._folder):
                beside = tuple(_copies(companions, spooled.path.parent))
            yield replace(spooled, companions=beside)

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Make a folder that goes with everything in it at the end of the block.

        Raises:
            IngestError: The spool cannot be written, for lack of space or of rights.
        """
        folder = self._folder / str(next(self._numbers))
        try:
            with spool_errors(self._folder):
                folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def bring(self, candidate: Candidate) -> Iterator[Candidate]:
        """Yield a file as one of this computer: itself, or a copy under its own name until the end of the block.

        Raises:
            ReadError: Its source has not got it.
            IngestError: Its source is lost, or the spool cannot be written.
        """
        if candidate.origin is None:
            yield candidate
            return
        with self.place() as place:
            here = place / candidate.filename
            candidate.origin.bring(here)
            yield replace(candidate, path=here)

    @contextmanager
    def write(self, name: str, chunks: Iterable[bytes]) -> Iterator[Spooled]:
        """Write chunks to a file of this name; it is removed at the end of the block.

        Raises:
            IngestError: The spool cannot be written, for lack of space or of rights.
        """
        place = self._folder / str(next(self._numbers))
        try:
            with spool_errors(self._folder):
                place.mkdir()
                spooled = _copy(chunks, place / name)
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
    with spool_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        prefix = f"{socket.gethostname()}-{os.getpid()}-"
        folder = tempfile.TemporaryDirectory(dir=parent, prefix=prefix, ignore_cleanup_errors=True)
    with folder as name:
        yield Spool(Path(name))


def _sweep(parent: Path) -> None:
    """Remove what importers of this computer left behind that were killed."""
    import psutil

    for folder in parent.glob(f"{glob.escape(socket.gethostname())}-*-*"):
        pid = folder.name.removeprefix(f"{socket.gethostname()}-").partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as exc:
        raise ReadError(source, exc.strerror or str(exc)) from exc


def _copies(sources: Iterable[Path], place: Path) -> Iterator[Spooled]:
    for source in sources:
        target = place / source.name
        try:
            yield _copy(_chunks(source), target)
        except ReadError:  # EC-Lab removes a log when its technique ends
            target.unlink(missing_ok=True)


def _copy(chunks: Iterable[bytes], target: Path) -> Spooled:
    total, size = hashlib.sha256(), 0
    with target.open("wb") as writing:
        for chunk in chunks:
            writing.write(chunk)
            total.update(chunk)
            size += len(chunk)
    return Spooled(target, total.hexdigest(), size)


@contextmanager
def spool_errors(folder: Path, fault: str = "cannot keep a copy to read from") -> Iterator[None]:
    """Turn what the system says about a folder of copies into one line with what could not be done.

    Raises:
        IngestError: For lack of space or of rights.
    """
    try:
        yield
    except OSError as exc:
        raise SpoolError(f"{folder}: {fault}: {exc.strerror or exc}") from exc
