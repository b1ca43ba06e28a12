"""Open a Neware ``.ndax`` archive with care: what its directory promises, its XML members, its version.

Nothing is extracted to disk. ``zipfile`` never hands out more of a member than the directory
says, so a limit on the directory's sizes bounds what decoding can take.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.neware_decoding import failures

MAX_EXPANDED_BYTES = 8 << 30
"""No archive may promise more than this."""
MAX_RATIO = 200
"""Nor this many times its own size, once that is more than ``SMALL_BYTES``; real archives reach about 15."""
SMALL_BYTES = 64 << 20
MAX_XML_BYTES = 16 << 20

DATA = "data.ndc"
RUN_INFO = "data_runInfo.ndc"
_AUX_MEMBER = re.compile(r"data_AUX_\d+_\d+_\d+\.ndc|.*_\d+\.ndc")
_LOCAL_HEADER = b"PK\x03\x04"
_NAME_AT = 30
# From this version of the members on, data.ndc holds only voltage and current.
_SPLIT_VERSIONS = frozenset({8, 9, 11, 12, 13, 14, 16, 17})
_SMALL_PAGES = frozenset({1, 2, 3, 4})


class Archive(NamedTuple):
    """What an archive holds beside its records. ``documents`` are its XML members by name, without suffix."""

    documents: dict[str, Element]
    ndc_version: int
    aux_members: list[str]
    described_aux: int
    warnings: list[str]


def member_names(head: bytes) -> list[str]:
    """Names of the members that begin in the first bytes of a zip archive."""
    names = []
    at = head.find(_LOCAL_HEADER)
    while at >= 0:
        length = int.from_bytes(head[at + 26 : at + 28], "little")
        names.append(head[at + _NAME_AT : at + _NAME_AT + length].decode("utf-8", "replace"))
        at = head.find(_LOCAL_HEADER, at + 4)
    return names


def open_archive(path: Path, reader: str) -> Archive:
    """Check an archive and read everything but its records.

    Raises:
        CorruptFileError: It is incomplete, promises too much, is encrypted, or its records are missing.
    """
    try:
        archive = zipfile.ZipFile(path)
    except failures() as exc:
        if zipfile.is_zipfile(path):
            raise CorruptFileError(path, f"the zip archive is damaged ({exc})", reader) from exc
        raise CorruptFileError(path, "the zip archive is incomplete (no central directory)", reader) from exc
    with archive:
        _check_size(archive, path, reader)
        warnings = _unsafe_names(archive)
        version = _ndc_version(archive, path, reader)
        if version in _SPLIT_VERSIONS and RUN_INFO not in archive.namelist():
            raise CorruptFileError(path, f"{RUN_INFO} is missing, so the records have no time", reader)
        warnings += _cut_members(archive, 512 if version in _SMALL_PAGES else 4096)
        documents: dict[str, Element] = {}
        for member in archive.infolist():
            if member.filename.endswith(".xml") and "/" not in member.filename:
                _read_document(archive, member, documents, warnings)
        aux_members = [name for name in archive.namelist() if _AUX_MEMBER.fullmatch(name)]
        described = _described_aux(archive, documents) if aux_members else 0
    return Archive(documents, version, aux_members, described, warnings)


def _check_size(archive: zipfile.ZipFile, path: Path, reader: str) -> None:
    expanded = sum(member.file_size for member in archive.infolist())
    packed = max(path.stat().st_size, 1)
    if expanded > MAX_EXPANDED_BYTES or (expanded > SMALL_BYTES and expanded > MAX_RATIO * packed):
        raise CorruptFileError(
            path,
            f"the archive expands beyond the limit: {packed} bytes to {expanded} (about {expanded // packed}:1; "
            f"allowed are {MAX_RATIO}:1 and {MAX_EXPANDED_BYTES} bytes)",
            reader,
        )


def _unsafe_names(archive: zipfile.ZipFile) -> list[str]:
    unsafe = [name for name in archive.namelist() if _leaves_folder(name)]
    return [f"unsafe member names, which are not read: {', '.join(map(repr, unsafe[:5]))}"] if unsafe else []


def _leaves_folder(name: str) -> bool:
    return any(kind(name).anchor or ".." in kind(name).parts for kind in (PurePosixPath, PureWindowsPath))


def _cut_members(archive: zipfile.ZipFile, page: int) -> list[str]:
    """Members are whole pages; one that is not was cut while it was written."""
    return [
        f"{member.filename} ends early: {member.file_size} bytes are no whole pages of {page}"
        for member in archive.infolist()
        if member.filename.endswith(".ndc") and member.file_size % page
    ]


def _ndc_version(archive: zipfile.ZipFile, path: Path, reader: str) -> int:
    if DATA not in archive.namelist():
        raise CorruptFileError(path, f"{DATA} is missing", reader)
    if archive.getinfo(DATA).flag_bits & 1:
        raise CorruptFileError(path, f"{DATA} is encrypted", reader)
    try:
        with archive.open(DATA) as member:
            return member.read(3)[2]
    except failures() as exc:
        raise CorruptFileError(path, f"{DATA} cannot be decompressed ({exc})", reader) from exc


def _read_document(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, documents: dict[str, Element], warnings: list[str]
) -> None:
    from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

    if member.file_size > MAX_XML_BYTES:
        warnings.append(f"{member.filename} is left out: {member.file_size} bytes are more than {MAX_XML_BYTES}")
        return
    try:
        raw = archive.read(member)
    except failures() as exc:
        warnings.append(f"checksum error in member {member.filename}: it is left out ({exc})")
        return
    try:
        root = fromstring(_decode(raw)).find("config")
    except (ParseError, ValueError) as exc:
        warnings.append(f"{member.filename} is left out: it is no well-formed XML ({exc})")
        return
    if root is not None:
        documents[member.filename.removesuffix(".xml")] = root


def _decode(raw: bytes) -> str:
    # They all declare GB2312; newer software writes characters beyond it, or UTF-8.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")


def _described_aux(archive: zipfile.ZipFile, documents: dict[str, Element]) -> int:
    """Count the aux channels that TestInfo.xml describes, as far as fastnda, which wants clean GB2312, can see them."""
    info = documents["TestInfo"].find("TestInfo") if "TestInfo" in documents else None
    if info is None:
        return 0
    try:
        archive.read("TestInfo.xml").decode("gb2312")
    except UnicodeDecodeError:
        return 0
    return sum("aux" in child.tag.lower() for child in info)
