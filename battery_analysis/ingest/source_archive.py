"""Files in an archive: ``.zip``, ``.tar``, and ``.tar`` compressed by gzip, bzip2 or xz.

Nothing is unpacked under a name that the archive chooses. Each member is looked at by itself: those with unsafe names,
links, devices, encrypted ones and those beyond the limits are refused by name, the others are taken.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import stat
import struct
import tarfile
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import IO, Any, BinaryIO, cast
from zoneinfo import ZoneInfo

from battery_analysis.errors import CorruptFileError, IngestError
from battery_analysis.ingest.discover import Selection, normal_path, stored_text
from battery_analysis.ingest.origin import Listed, Source, Transfer
from battery_analysis.ingest.spool import spool_errors
from battery_analysis.ingest.zip_directory import rescue
from battery_analysis.readers.inflate import inflate_errors

_NAMED = re.compile(r"(?P<stem>.+)\.(zip|tar|tar\.gz|tgz|tar\.bz2|tbz2?|tar\.xz|txz)", re.IGNORECASE)
_INSIDE = re.compile(rf"{_NAMED.pattern}!/", re.IGNORECASE)

_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 512
_COMPRESSED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_SHOWN = 3
_ENCRYPTED = 1
_EXTENDED_TIME = 0x5455
_WINDOWS = 0


@dataclass(frozen=True)
class Limits:
    """What an archive may make of itself.

    ``ratio`` is how many times its compressed size anything may have, beyond ``small_bytes``; text of testers reaches
    about 30.
    """

    members: int = 1_000_000
    member_bytes: int = 64 << 30
    total_bytes: int = 1 << 40
    ratio: int = 200
    small_bytes: int = 64 << 20

    def expanded(self, packed: int) -> int:
        """Return how many bytes may come out of so many."""
        return min(self.total_bytes, max(self.small_bytes, self.ratio * packed))


def is_called_archive(name: str) -> bool:
    """Say whether a file is named like an archive."""
    return _NAMED.fullmatch(name) is not None


def folder_name(name: str) -> str:
    """Return what the folder would be called that holds the files of an archive: its name without suffixes."""
    found = _NAMED.fullmatch(name)
    return found["stem"] if found else name


def is_inside_archive(address: str) -> bool:
    """Say whether a file, as it is stored, lies in an archive."""
    return _INSIDE.match(address) is not None


def open_archive(path: Path, data_dir: Path, time_zone: str = "UTC", limits: Limits | None = None) -> Source:
    """Open an archive of this computer.

    Args:
        path: The archive.
        data_dir: Where one that is compressed as a whole is unpacked to, in a file without a name.
        time_zone: IANA zone of the times in a zip archive, which name none.
        limits: What it may make of itself.

    Raises:
        IngestError: It cannot be opened, is no archive or has no directory any more, or there is no space to unpack it.
    """
    limits = limits or Limits()
    try:
        with path.open("rb") as file:
            head = file.read(_BLOCK_BYTES)
        if path.suffix.lower() == ".zip" or head.startswith(b"PK"):
            return _Zip(path, data_dir, ZoneInfo(time_zone), limits)
        return _Tar(path, data_dir, limits)
    except OSError as exc:
        raise IngestError(f"{path}: {exc.strerror or exc}") from exc


class _Archive:
    """What zip and tar have in common: a name, a budget, and members by name."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.prefix = f"{stored_text(normal_path(path))}!/"
        self.root = folder_name(path.name)
        self.limits = limits
        self._expanded = 0
        self._allowed = limits.expanded(path.stat().st_size)
        self._damage: str | None = None

    def _beyond(self, size: int, packed: int | None = None) -> str | None:
        """Say which limit a member breaks, or return None and count it."""
        limits = self.limits
        if size > limits.member_bytes:
            return f"{size} bytes, beyond the limit of {limits.member_bytes} for one file"
        if packed is not None and size > limits.expanded(packed):
            return f"it expands from {packed} to {size} bytes, beyond the limit of {limits.ratio}:1"
        if self._expanded + size > self._allowed:
            return f"with it the archive expands to more than {self._allowed} bytes, its limit"
        self._expanded += size
        return None

    def _rest(self, seen: int) -> Listed:
        """Return the line that stands for what lies behind damage."""
        spelled = f"{seen} member{'' if seen == 1 else 's'}"
        return Listed(self.path.name, damage=f"{self._damage}; of the archive {spelled} could be seen")

    def _too_many(self) -> Listed:
        return Listed(self.path.name, damage=f"more than {self.limits.members} members; the rest is left out")


class _Zip(_Archive):
    def __init__(self, path: Path, data_dir: Path, zone: ZoneInfo, limits: Limits) -> None:
        super().__init__(path, limits)
        self._zone = zone
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, struct.error, UnicodeDecodeError) as exc:
            self._zip = self._rescued(data_dir, exc)
        weakref.finalize(self, self._zip.close)
        self._members: dict[str, zipfile.ZipInfo] = {}

    def listing(self, selection: Selection) -> Iterator[Listed]:
        """Yield the members; of several with one name the last, and a line that says so."""
        again: set[str] = set()
        for number, member in enumerate(self._zip.infolist()):
            if number >= self.limits.members:
                yield self._too_many()
                break
            if not member.is_dir():
                name = _name_in_zip(member)
                if name in self._members:
                    again.add(name)
                self._members[name] = member
        if again:
            shown = ", ".join(sorted(again)[:_SHOWN]) + (", …" if len(again) > _SHOWN else "")
            yield Listed(self.path.name, problem=f"several members of the name {shown}; the last of each is taken")
        for name, member in self._members.items():
            mode = member.external_attr >> 16
            moment, problem, damage = self._modified(member), None, None
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                problem = "a link; links are not followed" if stat.S_ISLNK(mode) else "not a regular file"
            elif member.flag_bits & _ENCRYPTED:
                damage = "it is encrypted; unpack the archive and import the folder"
            else:
                damage = self._beyond(member.file_size, member.compress_size)
            yield Listed(name, member.file_size, moment, problem, damage)
        if self._damage:
            yield self._rest(len(self._members))

    def _rescued(self, data_dir: Path, error: Exception) -> zipfile.ZipFile:
        """Open a copy of what is whole of an archive without a directory, under a new one."""
        with self.path.open("rb") as file:
            rescued = rescue(file)
            if not rescued.members:
                raise IngestError(f"{self.path}: no zip archive with a whole file in it ({error})") from error
            self._damage = rescued.damage
            copy = _nameless(data_dir)
            file.seek(0)
            for chunk in chain(_chunks(file, rescued.end), [rescued.directory]):
                with spool_errors(data_dir):
                    copy.write(chunk)
        opened = zipfile.ZipFile(copy)
        weakref.finalize(self, copy.close)
        return opened

    def fetch(self, name: str, target: Path) -> None:
        """Unpack a member; its checksum is compared."""
        member = self._members[name]
        try:
            with self._zip.open(member) as packed:
                Transfer(target).go_on(None, _chunks(packed, member.file_size))
        except inflate_errors(EOFError, lzma.LZMAError, NotImplementedError, RuntimeError, OSError) as exc:
            raise CorruptFileError(f"{self.prefix}{name}", f"it cannot be unpacked: {_reason(exc)}") from exc

    def _modified(self, member: zipfile.ZipInfo) -> datetime | None:
        if (seconds := _extended_time(member.extra)) is not None:
            return datetime.fromtimestamp(seconds, UTC)
        try:
            return datetime(*member.date_time, tzinfo=self._zone).astimezone(UTC)
        except (ValueError, OverflowError):  # a month 0, as some programs write
            return None


class _Tar(_Archive):
    def __init__(self, path: Path, data_dir: Path, limits: Limits) -> None:
        super().__init__(path, limits)
        self._file = self._plain(data_dir)
        weakref.finalize(self, self._file.close)
        self._lock = Lock()
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            self._tar = tarfile.open(fileobj=self._file, mode="r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        except tarfile.TarError as exc:
            raise IngestError(f"{path}: no tar archive ({self._damage or exc})") from exc

    def listing(self, selection: Selection) -> Iterator[Listed]:
        """Yield the members, of several with one name the last; and a line for what lies behind damage."""
        listed: dict[str, Listed] = {}
        wrong = self._walk(listed)
        self._damage = self._damage or wrong
        yield from listed.values()
        if self._damage:
            yield self._rest(len(listed))

    def _walk(self, listed: dict[str, Listed]) -> str | None:
        """Look at every member; return what is wrong where they end too early."""
        whole = self._file.seek(0, 2)
        try:
            for number, member in enumerate(iter(self._tar.next, None)):
                if number >= self.limits.members:
                    return f"more than {self.limits.members} members; the rest is left out"
                if member.isreg() and member.offset_data + member.size > whole:
                    return f"the archive ends within {stored_text(member.name)}"
                if not member.isdir():
                    name = re.sub(r"^(\./+)+", "", member.name)
                    self._members[name] = member
                    listed[name] = self._listed(name, member)
        except (tarfile.TarError, ValueError, EOFError) as exc:
            return f"the archive is damaged: {_reason(exc)}"
        self._file.seek(self._tar.offset)
        mark = self._file.read(_BLOCK_BYTES)
        if len(mark) < _BLOCK_BYTES:
            return "the archive is cut off: its end mark is missing"
        return "the archive is damaged: what should be the next member is none" if any(mark) else None

    def _listed(self, name: str, member: tarfile.TarInfo) -> Listed:
        problem = damage = None
        if member.issym() or member.islnk():
            problem = "a link; links are not followed"
        elif not member.isreg():
            problem = "not a regular file"
        elif member.issparse():
            damage = "a file with holes; unpack the archive and import the folder"
        else:
            damage = self._beyond(member.size)
        try:
            moment = datetime.fromtimestamp(member.mtime, UTC)
        except (ValueError, OverflowError, OSError):
            moment = None
        return Listed(name, member.size, moment, problem, damage)

    def fetch(self, name: str, target: Path) -> None:
        """Copy a member."""
        Transfer(target).go_on(None, self._bytes_of(self._members[name]))

    def _bytes_of(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        at, end = member.offset_data, member.offset_data + member.size
        while at < end:
            with self._lock:
                self._file.seek(at)
                chunk = self._file.read(min(_CHUNK_BYTES, end - at))
            if not chunk:
                raise CorruptFileError(f"{self.prefix}{member.name}", "the archive was changed meanwhile")
            at += len(chunk)
            yield chunk

    def _plain(self, data_dir: Path) -> BinaryIO:
        """Open the archive, or a copy of it without compression: only there a member can be gone to."""
        file = self.path.open("rb")
        head = file.read(_BLOCK_BYTES)
        unpack = next((unpack for magic, unpack in _COMPRESSED.items() if head.startswith(magic)), None)
        if unpack is None:
            file.seek(0)
            return file
        file.close()
        plain = _nameless(data_dir)
        with closing(unpack(self.path)) as packed:
            for chunk in self._unpacked(packed):
                with spool_errors(data_dir):
                    plain.write(chunk)
        with spool_errors(data_dir):
            plain.seek(0)  # what is left in the buffer is written here
        return plain

    def _unpacked(self, packed: Any) -> Iterator[bytes]:
        # Headers and the filling up of blocks come on top of what is in the members.
        left = self._allowed + self.limits.small_bytes
        try:
            while chunk := packed.read1(_CHUNK_BYTES):  # ``read`` would drop what it had when it meets damage
                yield chunk
                left -= len(chunk)
                if left < 0:
                    self._damage = f"the archive expands to more than {self._allowed} bytes, its limit"
                    return
        except inflate_errors(EOFError, lzma.LZMAError, OSError) as exc:
            self._damage = f"the archive is damaged: {_reason(exc)}"


def _nameless(data_dir: Path) -> BinaryIO:
    """Open a file in the spool that nobody else sees, and that goes when it is closed."""
    spool = data_dir / "spool"
    with spool_errors(spool):
        spool.mkdir(parents=True, exist_ok=True)
        return cast(BinaryIO, tempfile.TemporaryFile(dir=spool))


def _name_in_zip(member: zipfile.ZipInfo) -> str:
    # ``zipfile`` cuts a name at a NUL; programs on Windows may separate folders by backslashes.
    name = member.orig_filename
    return name.replace("\\", "/") if member.create_system == _WINDOWS else name


def _extended_time(extra: bytes) -> int | None:
    """Return the time of change, s since 1970, where the member carries it beside the one without a zone."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        content, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _EXTENDED_TIME and len(content) >= 5 and content[0] & 1:
            return int(struct.unpack("<i", content[1:5])[0])
    return None


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(_CHUNK_BYTES, size))):
        size -= len(chunk)
        yield chunk
    file.read(1)  # at the end of a member its checksum is compared


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
