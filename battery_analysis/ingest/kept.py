"""Archived bytes, put where readers find them: copies in the spool, or files like those of any other source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from battery_analysis.errors import ArchiveError, NotFoundError, ReadError
from battery_analysis.ingest.discover import Candidate, Selection
from battery_analysis.ingest.origin import Listed, Origin
from battery_analysis.ingest.source_archive import folder_name
from battery_analysis.ingest.spool import Spool, Spooled, spool_errors
from battery_analysis.models import Attachment, RawDataFile, TestResult
from battery_analysis.store import Store, attachments
from battery_analysis.store.access import visible


@contextmanager
def spooled_parts(
    store: Store, spool: Spool, test: TestResult, wanted: Iterable[tuple[RawDataFile, str]]
) -> Iterator[list[Spooled]]:
    """Copy versions of the files of a test into the spool, each with what was read along with the test beside it.

    Raises:
        NotFoundError: The bytes of one are not kept.
        ArchiveError: Archived bytes are missing or damaged.
        IngestError: The spool cannot be written.
    """
    along = {each.name: b"".join(attachments.stream(store, each)) for each in attachments.by_ids(test.companions)}
    with ExitStack() as copies:
        spooled = []
        for raw, sha256 in wanted:
            each = copies.enter_context(spool.write(raw.filename, store.archive.stream(raw, sha256)))
            with spool_errors(each.path.parent):
                for name, content in along.items():
                    (each.path.parent / name).write_bytes(content)
            spooled.append(each)
        yield spooled


@dataclass
class KeptFile:
    """A raw file as a source of its own: it is fetched from the archive and called by the path it was seen at."""

    store: Store
    raw: RawDataFile
    prefix: str
    root: str

    def listing(self, selection: Selection) -> Iterable[Listed]:
        """Yield the one file."""
        yield Listed(self.raw.sources[0].path.removeprefix(self.prefix), self.raw.size)

    def fetch(self, name: str, target: Path) -> None:
        """Write the newest bytes of the file, or what was attached from beside it, to a path."""
        path = f"{self.prefix}{name}"
        try:
            with spool_errors(target.parent), target.open("wb") as file:
                for chunk in self._chunks(path):
                    file.write(chunk)
        except (ArchiveError, NotFoundError) as exc:
            raise ReadError(path, str(exc)) from exc

    def _chunks(self, path: str) -> Iterator[bytes]:
        if path == self.raw.sources[0].path:
            return self.store.archive.stream(self.raw)
        beside = visible(Attachment).filter(sources__path=path).order_by("-updated_at").first()
        if beside is None:
            raise NotFoundError(f"{path} is not kept")
        return attachments.stream(self.store, beside)


def kept_file(store: Store, raw: RawDataFile, root: str | None) -> Candidate:
    """Return a raw file as a file to import, with the path below ``root`` that it was seen at first.

    It has no time of change: what lies at its path today is another question.
    """
    path = raw.sources[0].path
    prefix = _prefix(path, root)
    folder, _, name = path.removeprefix(prefix).rpartition("/")
    folder = f"{folder}/" if folder else ""
    above = prefix.rstrip("/").rpartition("/")[2]
    source = KeptFile(store, raw, prefix, folder_name(above.removesuffix("!")) if above.endswith("!") else above)
    origin = Origin(source, folder, name, beside=_beside(path))
    return Candidate(Path(name), PurePosixPath(folder, name), raw.size, origin=origin)


def kept_raw(candidate: Candidate) -> RawDataFile:
    """Return the raw file that a candidate of ``kept_file`` stands for."""
    if candidate.origin is None or not isinstance(candidate.origin.source, KeptFile):
        raise TypeError(f"{candidate.source} is not a kept file")
    return candidate.origin.source.raw


def _prefix(path: str, root: str | None) -> str:
    """Return what comes before the name of a file below a root, which may be an archive; its folder where it is not.

    >>> _prefix("s3://lab/2026/AB12/one.csv", "s3://lab/2026"), _prefix("/x/lab.zip!/AB12/one.csv", "/x/lab.zip")
    ('s3://lab/2026/', '/x/lab.zip!/')
    """
    starts = [f"{root.rstrip('/')}{end}" for end in ("/", "!/")] if root is not None else []
    return next((start for start in starts if path.startswith(start)), path[: path.rfind("/") + 1])


def _beside(path: str) -> tuple[str, ...]:
    """Return the names of kept files that lay beside a path and have its stem."""
    folder, separator, name = path.rpartition("/")
    stem = f"{folder}{separator}{PurePosixPath(name).stem}."
    beginning = {"sources.path": {"$regex": f"^{re.escape(stem)}[^./]+$"}}
    places: Sequence[str] = visible(Attachment).filter(__raw__=beginning).distinct("sources.path")
    return tuple(sorted(place[len(folder + separator) :] for place in places if place.startswith(stem)))
