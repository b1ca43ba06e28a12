"""Compare a tree of files with the archive, and what the store holds with itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from battery_analysis.errors import ArchiveError, ReadError
from battery_analysis.ingest.discover import Candidate, Selection, discover, normal_path, stored_text
from battery_analysis.ingest.recognise import recognise
from battery_analysis.ingest.source_archive import is_inside_archive
from battery_analysis.models import Attachment, RawDataFile
from battery_analysis.store import Store, attachments
from battery_analysis.store.access import visible

_CHUNK_BYTES = 1 << 20

State = Literal["same", "older", "missing", "changed", "unknown", "unsupported"]

FAULTS: frozenset[State] = frozenset({"missing", "changed", "unknown"})
"""States of files that the archive does not hold as they are, or holds alone."""


@dataclass(frozen=True)
class Compared:
    """How a file stands to the archive.

    ``same``: its bytes are archived. ``older``: they are those of an earlier version. ``changed``: the path is
    archived with other bytes. ``unknown``: neither path nor bytes are. ``missing``: archived from here, and gone.
    ``unsupported``: no format that is imported.
    """

    path: str
    state: State
    sha256: str | None = None
    reason: str | None = None


def compare_tree(store: Store, root: Path, selection: Selection, mappings: Path | None = None) -> Iterator[Compared]:
    """Yield how every file below a root, and every archived file from there, stands to the other side.

    All bytes are read. Files that are not imported are named, and are no fault.

    Raises:
        IngestError: The root does not exist or cannot be entered.
    """
    seen: set[str] = set()
    for candidate in discover(root, selection):
        seen.add(candidate.source)
        yield _compared(candidate, mappings)
    inside = stored_text(normal_path(root))
    for path in sorted(_archived_below(inside) - seen):
        place = PurePosixPath(path)
        if selection.takes(place.relative_to(inside) if path != inside else PurePosixPath(place.name)):
            yield Compared(path, "missing", reason="archived, and no longer in the tree")


def damaged(store: Store) -> Iterator[str]:
    """Yield a line for each archived file whose bytes are missing or differ from their digest; all bytes are read."""
    for raw in visible(RawDataFile).order_by("filename"):
        try:
            store.archive.verify(raw)
        except ArchiveError as exc:
            yield f"raw file {raw.id}: {exc}"
    for attachment in visible(Attachment).filter(extent__ne=None).order_by("name"):
        try:
            for _ in attachments.stream(store, attachment):
                pass
        except ArchiveError as exc:
            yield f"attachment {attachment.id}: {exc}"


def _compared(candidate: Candidate, mappings: Path | None) -> Compared:
    try:
        recognise(candidate, mappings)
        sha256 = _digest(candidate.path)
    except ReadError as exc:
        return Compared(candidate.source, "unsupported", reason=exc.reason)
    except OSError as exc:
        return Compared(candidate.source, "unknown", reason=exc.strerror)
    if not candidate.size:
        return Compared(candidate.source, "unsupported", sha256, "the file is empty")
    raw = visible(RawDataFile).filter(versions__sha256=sha256).only("sha256", "versions").first()
    if raw is not None:
        if not any(version.sha256 == sha256 and version.extent for version in raw.versions):
            return Compared(candidate.source, "changed", sha256, "imported without keeping its bytes")
        return Compared(candidate.source, "same" if raw.sha256 == sha256 else "older", sha256)
    wanted: dict[str, Any] = {"sources.path": candidate.source}
    if visible(Attachment).filter(sha256=sha256).first() is not None:
        return Compared(candidate.source, "same", sha256)
    known = visible(RawDataFile).filter(__raw__=wanted).first() or visible(Attachment).filter(__raw__=wanted).first()
    if known is not None:
        return Compared(candidate.source, "changed", sha256, "archived with other bytes")
    return Compared(candidate.source, "unknown", sha256, "not imported")


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()


def _archived_below(folder: str) -> set[str]:
    """Return the archived paths at or below a folder."""
    below = {"sources.path": {"$regex": f"^{re.escape(folder)}(/|$)"}}
    return {
        place["path"]
        for document in (RawDataFile, Attachment)
        for row in visible(document).filter(__raw__=below).only("sources").as_pymongo()
        for place in row["sources"]
        if place["path"] == folder or place["path"].startswith(f"{folder}/")
        if not is_inside_archive(place["path"])
    }
