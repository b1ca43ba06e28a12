"""Files that arrive over the network: in pieces, into a folder of the data folder, until an import has taken them.

``incoming`` holds batches that are under way, ``uploaded`` what was confirmed for import. A file keeps its place in
``uploaded`` by its name: a later state of it that is uploaded under the same name is found to be the same test.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock

from battery_analysis.errors import ConflictError, IngestError, NotFoundError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest.sources import is_archive
from battery_analysis.ingest.spool import spool_errors
from battery_analysis.models import ImportedFile, ImportJob
from battery_analysis.store.access import visible

KEPT_SECONDS = 24 * 3600
"""What nobody imports, or failed, goes after a day."""
MAX_FILES = 500
MAX_BYTES = 64 << 30
"""Of one file."""
SPARE_BYTES = 1 << 30
"""Stays free on the disk of the data folder."""
MAX_LEVELS = 20
MAX_NAME_BYTES = 255

_ID = re.compile(r"[0-9a-f]{24}")
_LIST = "files.json"
_PLACE = "uploaded"
_UNKEPT = "the upload cannot be kept"
_UNFIT = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control signs, halves of signs, ends of lines."""


@dataclass(frozen=True)
class Announced:
    """A file that is to come: its path below what is uploaded, its size in bytes, its time of change in ms."""

    path: str
    size: int
    modified: int = 0


@dataclass(frozen=True)
class Batch:
    """Files that are uploaded together."""

    id: str
    folder: Path
    files: tuple[Announced, ...]

    @property
    def place(self) -> Path:
        """The folder that its files lie in."""
        return self.folder / _PLACE

    def received(self, number: int) -> int:
        """Return how many bytes of a file are here."""
        try:
            return (self.place / self.files[number].path).stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def received_bytes(self) -> int:
        """Of all its files."""
        return sum(self.received(number) for number in range(len(self.files)))

    @property
    def total_bytes(self) -> int:
        """Of all its files, once they are here."""
        return sum(each.size for each in self.files)

    @property
    def is_complete(self) -> bool:
        """Whether every byte is here."""
        there = all((self.place / each.path).is_file() for each in self.files)
        return there and all(self.received(number) == each.size for number, each in enumerate(self.files))

    @property
    def began_at(self) -> datetime:
        """When it was announced."""
        return datetime.fromtimestamp((self.folder / _LIST).stat().st_mtime, UTC)


class Piece:
    """A file of a batch while bytes are written to its end."""

    def __init__(self, path: Path, size: int, received: int) -> None:
        self._file = path.open("ab")
        self._path, self._size = path, size
        self.received = received

    def write(self, content: bytes) -> None:
        """Write the next bytes.

        Raises:
            IngestError: They are more than were announced.
        """
        if self.received + len(content) > self._size:
            raise IngestError(f"{self._path.name}: {self._size} bytes were announced, more arrive")
        self._file.write(content)
        self.received += len(content)

    def close(self) -> None:
        """Put what was written on the disk."""
        self._file.close()


class Uploads:
    """The uploads of a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "uploads"
        self.files = self.folder / _PLACE
        self.maps = self.folder / "maps"
        self._incoming = self.folder / "incoming"
        self._writing: set[tuple[str, int]] = set()
        self._lock = Lock()

    def begin(self, announced: Sequence[Announced]) -> Batch:
        """Open a batch, or find the one that was begun with the very same files, to go on with it.

        Raises:
            IngestError: A path is unsafe, there are too many or too large files, or no room for them.
        """
        _check(announced)
        batch = self._of(announced)
        with spool_errors(self.folder, _UNKEPT):
            batch.place.mkdir(parents=True, exist_ok=True)
            self._check_room(batch.total_bytes - batch.received_bytes)
            _list(batch)
            for each in batch.files:
                target = batch.place / each.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
        return batch

    def _of(self, announced: Sequence[Announced]) -> Batch:
        files = tuple(sorted(announced, key=lambda each: each.path))
        identity = hashlib.sha256(_listed(files).encode()).hexdigest()[:24]
        return Batch(identity, self._incoming / identity, files)

    def batch(self, identity: str) -> Batch:
        """Return a batch that is under way.

        Raises:
            NotFoundError: There is none, or it was imported or removed meanwhile.
        """
        folder = self._incoming / identity
        if not _ID.fullmatch(identity) or not (folder / _LIST).is_file():
            raise NotFoundError(f"no upload {identity[:40]!r}; it was imported, or removed after a day")
        listed = json.loads((folder / _LIST).read_text(encoding="utf-8"))
        return Batch(identity, folder, tuple(Announced(**each) for each in listed))

    def under_way(self) -> list[Batch]:
        """Return the batches that are not imported yet, the newest first."""
        found = []
        for folder in self._incoming.glob("*"):
            with suppress(NotFoundError, OSError):
                found.append(self.batch(folder.name))
        return sorted(found, key=lambda each: each.began_at, reverse=True)

    @contextmanager
    def writing(self, identity: str, number: int, offset: int) -> Iterator[Piece]:
        """Open a file of a batch to write from ``offset`` on, for a ``with`` block; one writer at a time.

        Raises:
            NotFoundError: No such batch or file.
            ConflictError: Somebody else writes it, or another number of bytes is here.
            IngestError: The disk is full or not writable.
        """
        batch = self.batch(identity)
        if not 0 <= number < len(batch.files):
            raise NotFoundError(f"upload {identity} has {len(batch.files)} files, no number {number}")
        key = (identity, number)
        with self._lock:
            if key in self._writing:
                raise ConflictError(f"{batch.files[number].path}: is being uploaded in another window")
            self._writing.add(key)
        try:
            announced = batch.files[number]
            received = batch.received(number)
            if received != offset:
                raise ConflictError(f"{announced.path}: {received} bytes are here, those from {offset} on arrive")
            with spool_errors(batch.folder, _UNKEPT):
                piece = Piece(batch.place / announced.path, announced.size, received)
                try:
                    yield piece
                finally:
                    piece.close()
        finally:
            with self._lock:
                self._writing.discard(key)

    def discard(self, identity: str) -> None:
        """Remove a batch with all that came of it.

        Raises:
            NotFoundError: There is none.
        """
        shutil.rmtree(self.batch(identity).folder)

    def take_in(self, identity: str, *, is_starting: bool = False) -> Taken:
        """Put the files of a batch where imports take them from.

        Args:
            identity: Of the batch.
            is_starting: Whether an import was started that the store may not know of yet.

        Raises:
            NotFoundError: There is none.
            IngestError: Not all of it is here, or an import is still reading a file of the same name.
        """
        batch = self.batch(identity)
        if not batch.is_complete:
            raise IngestError(
                f"the upload is not complete: {batch.received_bytes} of {batch.total_bytes} bytes are here"
            )
        paths = [each.path for each in batch.files]
        there = [path for path in paths if (self.files / path).exists()]
        if there and (is_starting or self.is_being_imported()):
            raise IngestError(f"{there[0]}: a file of this name is being imported; import this one afterwards")
        with spool_errors(self.folder, _UNKEPT):
            for path in paths:
                target = self.files / path
                target.parent.mkdir(parents=True, exist_ok=True)
                # An import of another file of this name, since this one came, was not about this one.
                os.utime(batch.place / path)
                (batch.place / path).replace(target)
            shutil.rmtree(batch.folder)
        return Taken(self.files, tuple(paths))

    def put_back(self, files: Sequence[Announced]) -> Batch:
        """Make files that were taken in, and that nothing imports, a batch that is under way again.

        Raises:
            IngestError: The disk is full or not writable.
        """
        batch = self._of(files)
        with spool_errors(self.folder, _UNKEPT):
            for each in files:
                target = batch.place / each.path
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.files / each.path).replace(target)
            _list(batch)
        return batch

    def is_being_imported(self) -> bool:
        """Say whether an import of uploaded files is under way."""
        running = visible(ImportJob).filter(state="running", root__startswith=str(self.files))
        return any(jobs.present_state(job) == "running" for job in running)

    def tidy(self) -> None:
        """Remove what was imported, and what is older than a day."""
        limit = time.time() - KEPT_SECONDS
        for folder in self._incoming.glob("*"):
            if _newest(folder) < limit:
                shutil.rmtree(folder, ignore_errors=True)
        if not self.files.exists() or self.is_being_imported():
            return
        files = [path for path in self.files.rglob("*") if path.is_file() and not path.is_symlink()]
        imported = _imported(files)
        for path in files:
            if str(path) in imported or path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
        for folder in sorted((each for each in self.files.rglob("*") if each.is_dir()), reverse=True):
            with suppress(OSError):  # not empty
                folder.rmdir()
        for path in self.maps.glob("*"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)

    def _check_room(self, wanted: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if wanted > free - SPARE_BYTES:
            raise IngestError(
                f"{wanted:,} bytes are to come, {free:,} are free where the data folder is, "
                f"{SPARE_BYTES:,} of which must stay free"
            )


@dataclass(frozen=True)
class Taken:
    """Files that are ready for import: below one folder, beside others that may wait there."""

    folder: Path
    paths: tuple[str, ...]

    @cached_property
    def archives(self) -> tuple[str, ...]:
        """Those that are archives with files in them: each is an import of its own."""
        return tuple(path for path in self.paths if is_archive(self.folder / path))

    @property
    def plain(self) -> tuple[str, ...]:
        """All others."""
        return tuple(path for path in self.paths if path not in self.archives)


def _listed(files: Sequence[Announced]) -> str:
    return json.dumps([asdict(each) for each in files], sort_keys=True)


def _list(batch: Batch) -> None:
    (batch.folder / _LIST).write_text(_listed(batch.files), encoding="utf-8")


def _check(announced: Sequence[Announced]) -> None:
    if not 0 < len(announced) <= MAX_FILES:
        raise IngestError(
            f"1 to {MAX_FILES} files at once wanted, got {len(announced)}; put them into a zip archive, "
            "or import a folder of the server"
        )
    seen: set[str] = set()
    for each in announced:
        check_path(each.path)
        if each.path.casefold() in seen:
            raise IngestError(f"{each.path!r}: named twice")
        seen.add(each.path.casefold())
        if not 0 <= each.size <= MAX_BYTES:
            raise IngestError(f"{each.path}: {each.size:,} bytes, {MAX_BYTES:,} are the most for one file")


def check_path(path: str) -> None:
    """Refuse a path that could lead elsewhere, or that no file system holds.

    Raises:
        IngestError: Says what is wrong with it.
    """
    parts = path.split("/")
    wrong = None
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        wrong = "leads out of its folder"
    elif any(char == "\\" or unicodedata.category(char) in _UNFIT for char in path):
        wrong = "holds signs that no file name should have"
    elif len(parts) > MAX_LEVELS or any(len(part.encode(errors="replace")) > MAX_NAME_BYTES for part in parts):
        wrong = "is too long or too deep"
    if wrong:
        raise IngestError(f"{path[:200]!r}: the name {wrong}")


def _imported(files: Iterable[Path]) -> set[str]:
    """Return the files that an import has dealt with since they came, and not failed."""
    times = {str(path): datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in files}
    done = set()
    settled = visible(ImportedFile).filter(path__in=list(times), outcome__ne="failed").only("path", "updated_at")
    for row in settled:
        if row.updated_at >= times[row.path]:
            done.add(row.path)
    for job in visible(ImportJob).filter(root__in=list(times), state="completed").only("root", "counts", "started_at"):
        if job.started_at >= times[job.root] and not job.counts.get("failed"):
            done.add(job.root)
    return done


def _newest(folder: Path) -> float:
    times = [folder.stat().st_mtime]
    for path in folder.rglob("*"):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)
