"""An RO-Crate as a zip archive: files, and beside them a description of each in JSON-LD.

Follows RO-Crate 1.1 (https://w3id.org/ro/crate/1.1). Every file is named with its size and SHA-256; a file made from
others says so by ``isBasedOn``, from which an import knows what it need not read.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

from battery_analysis.files import replacing

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/crate/1.1"
CONTEXT = (f"{PROFILE}/context", {"sha256": "https://schema.org/sha256"})

_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
_LATEST = datetime(2038, 1, 1, tzinfo=UTC)
_EXTENDED_TIME = 0x5455
_PACKED = frozenset({".parquet", ".zip", ".ndax", ".xlsx", ".gz"})
_HEAD_BYTES = 4096
_TYPES = MimeTypes()
_TYPES.add_type("application/vnd.apache.parquet", ".parquet")

Entity = dict[str, Any]
Reference = dict[str, str]


def reference(identity: str) -> Reference:
    """Point to an entity."""
    return {"@id": identity}


def fragment(*words: object) -> str:
    """Make the id of something that is no file, such as a cell or an instrument.

    >>> fragment("sample", "AB 12/a")
    '#sample-AB%2012%2Fa'
    """
    return "#" + "-".join(quote(str(word), safe="") for word in words)


def stamp(moment: datetime | None) -> str | None:
    """Write a moment as JSON-LD wants it; without a zone it is UTC, as everywhere in the project."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def media_type(path: str, head: bytes) -> str:
    r"""Return the media type that a file's name says, else what its first bytes show: text, a zip archive, or bytes.

    >>> media_type("a.csv", b""), media_type("a.mpt", b"EC-Lab ASCII FILE"), media_type("a.mpr", b"BIO\x00")
    ('text/csv', 'text/plain', 'application/octet-stream')
    """
    known, packed_as = _TYPES.guess_type(path)
    if known and not packed_as:
        return known
    if head.startswith(b"PK\x03\x04"):
        return "application/zip"
    return "application/octet-stream" if b"\0" in head else "text/plain"


class Crate:
    """A crate under way; entities that come twice are one."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entities: dict[str, Entity] = {}

    def add(self, identity: str, kind: str | list[str], name: str, **properties: Any) -> Reference:
        """Describe something; what is not known stays out."""
        known = {key: value for key, value in properties.items() if value not in (None, "", [])}
        self._entities[identity] = {"@id": identity, "@type": kind, "name": name, **known}
        return reference(identity)

    def facts(self, of: str, values: Mapping[str, Any], units: Mapping[str, str]) -> list[Reference]:
        """Describe facts of the entity with an id, each with its unit; what is not known stays out."""
        return [
            self.add(f"{of}-{quote(name, safe='')}", "PropertyValue", name, value=value, unitText=units.get(name))
            for name, value in values.items()
            if value not in (None, "", [])
        ]

    def file(
        self,
        path: str,
        chunks: Iterable[bytes | memoryview],
        description: str,
        at: datetime | None = None,
        **properties: Any,
    ) -> Reference:
        """Put a file into the crate.

        Args:
            path: Where, parts separated by ``/``.
            chunks: Its bytes.
            description: What it is.
            at: When it was last changed.
            properties: What else is known of it.
        """
        moment = min(max(at.replace(tzinfo=at.tzinfo or UTC) if at else _EARLIEST, _EARLIEST), _LATEST)
        member = zipfile.ZipInfo(path, moment.astimezone(UTC).timetuple()[:6])
        member.extra = struct.pack("<HHBI", _EXTENDED_TIME, 5, 1, int(moment.timestamp()))  # zip's own time has no zone
        packed = Path(path).suffix.lower() in _PACKED
        member.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        total, size, head = hashlib.sha256(), 0, b""
        with self._archive.open(member, "w", force_zip64=True) as file:
            for chunk in chunks:
                total.update(chunk)
                head = head or bytes(chunk[:_HEAD_BYTES])
                size += file.write(chunk)
        return self.add(
            quote(path),
            "File",
            path.rpartition("/")[2],
            description=description,
            contentSize=str(size),
            sha256=total.hexdigest(),
            encodingFormat=media_type(path, head),
            dateModified=stamp(at),
            **properties,
        )

    def license(self, said: str | None) -> Reference:
        """Describe the license of the whole: an address, words, or that nobody stated one."""
        if not said:
            why = "Nobody stated a license when this crate was made; ask its authors before you use it."
            return self.add("#license", "CreativeWork", "no license stated", description=why)
        identity = said if "://" in said else "#license"
        return self.add(identity, "CreativeWork", said, description="License as stated when this crate was made.")

    def close(
        self, name: str, description: str, parts: list[Reference], published: datetime, license: str | None = None
    ) -> None:
        """Describe the whole and write the description of everything."""
        described = {"@id": METADATA, "@type": "CreativeWork"}
        about = {"conformsTo": reference(PROFILE), "about": reference("./")}
        self.add(
            "./",
            "Dataset",
            name,
            description=description,
            datePublished=stamp(published),
            hasPart=parts,
            license=self.license(license),
        )
        graph = [{**described, **about}, self._entities.pop("./"), *self._entities.values()]
        text = json.dumps({"@context": list(CONTEXT), "@graph": graph}, indent=1, ensure_ascii=False)
        member = zipfile.ZipInfo(METADATA, published.timetuple()[:6])
        member.compress_type = zipfile.ZIP_DEFLATED
        self._archive.writestr(member, text)


@contextmanager
def new_crate(target: Path) -> Iterator[Crate]:
    """Write a crate, which replaces ``target`` once it is whole.

    Raises:
        BatteryAnalysisError: It cannot be written; the old file is as it was.
    """
    with replacing(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        yield Crate(archive)
