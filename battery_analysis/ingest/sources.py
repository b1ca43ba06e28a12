"""Where an import takes files from: a folder, a file, an archive, an SFTP server, an S3 bucket."""

from __future__ import annotations

import importlib
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from battery_analysis.errors import IngestError, ReadError, UnknownFormatError
from battery_analysis.ingest.discover import Candidate, Selection, discover, normal_path, stored_text
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.origin import Source, candidates
from battery_analysis.ingest.source_archive import is_called_archive, open_archive
from battery_analysis.ingest.watch_record import settled_before
from battery_analysis.readers import READERS
from battery_analysis.reading import find_reader, read_head

Root = Path | str
"""A folder, file or archive of this computer, or the address of another place: ``sftp://…``, ``s3://…``."""

_EXTRAS = {"sftp": "paramiko", "s3": "boto3"}
_ZIP = b"PK\x03\x04"
_PACKED = frozenset({".xlsx", ".ndax"})
"""Formats that are zip archives themselves."""


def search(
    root: Root, selection: Selection, *, data_dir: Path, time_zone: str = "UTC", retries: int = 0
) -> Iterator[Candidate]:
    """Yield the wanted files of a place.

    Args:
        root: Where they lie.
        selection: Which of them are wanted.
        data_dir: Where an archive that is compressed as a whole is unpacked, until nobody needs its files any more.
        time_zone: IANA zone of the times in a zip archive, which name none.
        retries: How often a broken connection is taken up again.

    Raises:
        IngestError: The place is not there, cannot be entered, or is lost.
    """
    if isinstance(root, str):
        yield from candidates(_remote(root, retries), selection)
    elif is_archive(root):
        yield from candidates(open_archive(root, data_dir, time_zone), selection)
    else:
        yield from discover(root, selection)


def is_address(root: Root) -> bool:
    """Say whether a root is the address of another computer's place."""
    return isinstance(root, str) and re.match(rf"({'|'.join(_EXTRAS)})://", root) is not None


def is_archive(path: Path) -> bool:
    """Say whether a path is an archive with files in it, and no format of its own that is packed like one."""
    if not (is_called_archive(path.name) and path.is_file()):
        return False
    try:
        head = read_head(path)
        if head.startswith(_ZIP):
            # Text that lies in a zip archive as it is looks like a text to its reader.
            return _holds_packed(path) or _PACKED.isdisjoint(find_reader(path, head).suffixes)
    except UnknownFormatError:
        return True
    except ReadError:  # damaged, as whatever it is
        return True
    return True


def _holds_packed(path: Path) -> bool:
    """Say whether a zip archive holds files that are archives themselves; what those begin with shows in both."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(tuple(_PACKED)) for name in archive.namelist())
    except (zipfile.BadZipFile, struct.error, UnicodeDecodeError, OSError):
        return False


def stored_root(root: Root) -> str:
    """Return a root as it is kept with a job; an address without what is no part of the place.

    Raises:
        IngestError: An address is malformed.
    """
    if not isinstance(root, str):
        return stored_text(normal_path(root))
    scheme = _checked_scheme(root)
    if scheme == "sftp":
        from battery_analysis.ingest.source_sftp import SftpAddress

        return str(SftpAddress.parse(root))
    from battery_analysis.ingest.source_s3 import S3Address

    return str(S3Address.parse(root))


def skipped_before(candidate: Candidate) -> Outcome | None:
    """Return what became of a file that an earlier import brought here for nothing, if it is still the same.

    That holds for suffixes which no reader expects, such as those of photographs.
    """
    suffix = Path(candidate.filename).suffix.lower()
    if candidate.origin is None or any(suffix in reader.suffixes for reader in READERS):
        return None
    if settled_before([candidate]).get(candidate.source, candidate) is not None:
        return None
    return Outcome(candidate.source, "skipped", f"no reader for {suffix or 'a file without suffix'}; as it was before")


def _remote(address: str, retries: int) -> Source:
    if _checked_scheme(address) == "sftp":
        from battery_analysis.ingest.source_sftp import open_sftp

        return open_sftp(address, retries)
    from battery_analysis.ingest.source_s3 import open_s3

    return open_s3(address, retries)


def _checked_scheme(address: str) -> str:
    """Return the scheme of an address; the address itself is not repeated, it may hold a password."""
    scheme, _, rest = address.partition("://")
    if scheme not in _EXTRAS:
        raise IngestError(f"--remote: an address sftp://… or s3://… wanted, got one that begins with {scheme[:20]!r}")
    if "@" in (place := rest.split("/")[0]) and ":" in place.rpartition("@")[0]:
        where = "a key into ~/.ssh or ssh-agent" if scheme == "sftp" else "the keys into ~/.aws/credentials"
        raise IngestError(f"--remote: an address is stored and shown, so it may hold no password; put {where}")
    package = _EXTRAS[scheme]
    try:
        importlib.import_module(package)
    except ImportError as exc:
        raise IngestError(f"{scheme}:// needs the package {package}; install battery-analysis[{scheme}]") from exc
    return scheme
