"""Put the files of one run together: find the test they belong to, and read all of them as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from weakref import WeakValueDictionary

from bson import ObjectId

from battery_analysis.errors import ConflictError, IngestError, NotFoundError
from battery_analysis.ingest.parts import Part, joins
from battery_analysis.ingest.reader_pool import Readers
from battery_analysis.ingest.spool import Spool, Spooled
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.readers.base import TestMetadata
from battery_analysis.store import Store, raw_files
from battery_analysis.store.access import visible
from battery_analysis.store.parcel import Parcel
from battery_analysis.store.provenance import PartRead


@dataclass(frozen=True)
class Place:
    """The test that a part joins, if there is one yet, and the name under which one may be made."""

    test: TestResult | None
    claim: str


class _Held:
    def __init__(self) -> None:
        self.lock = Lock()


class Runs:
    """The runs whose parts this importer takes, one part of a run at a time."""

    def __init__(self, store: Store, spool: Spool, pool: Readers) -> None:
        self._store = store
        self._spool = spool
        self._pool = pool
        self._held: WeakValueDictionary[str, _Held] = WeakValueDictionary()
        self._guard = Lock()

    @contextmanager
    def held(self, part: Part | None) -> Iterator[None]:
        """Keep other threads from taking another part of the same run meanwhile; they would only lose a race."""
        if part is None:
            yield
            return
        with self._guard:
            held = self._held.setdefault(part.run, _Held())
        with held.lock:
            yield

    def place(self, part: Part, own: PartRead, metadata: TestMetadata, ruled_sample: str) -> Place:
        """Return the test of a run that a part belongs to.

        Raises:
            ConflictError: Another process has put these bytes into one since they were looked up.
        """
        found = list(visible(TestResult).filter(runs=part.run).exclude("segments", "words", "header", "columns"))
        for test in found:
            if raw_files.names(test, own.sha256):
                raise ConflictError(f"test {test.id} was read from these bytes by another process meanwhile")
        fitting = (
            test
            for test in found
            if test.ruled_sample == ruled_sample and joins(part, metadata, test) and self._is_archived(test)
        )
        taken = {test.run_claim for test in found}
        free = (claim for number in range(len(found) + 1) if (claim := f"{part.run}#{number}") not in taken)
        return Place(next(fitting, None), next(free))

    def read_together(
        self, parts: Sequence[PartRead], own: ObjectId, spooled: Spooled, source: str, time_zone: str
    ) -> Parcel:
        """Read the parts of a test, of which the copy of one is at hand and the others are archived.

        Raises:
            ReadError: They cannot be read as one.
            IngestError: The bytes of one are not kept.
        """
        raws = {raw.id: raw for raw in visible(RawDataFile).filter(id__in=[part.raw_file for part in parts])}
        with ExitStack() as copies:
            paths = []
            for part in parts:
                if part.raw_file == own:
                    paths.append(spooled.path)
                    continue
                try:
                    chunks = self._store.archive.stream(raws[part.raw_file], part.sha256)
                    paths.append(copies.enter_context(self._spool.write(part.filename, chunks)).path)
                except (KeyError, NotFoundError) as exc:
                    raise IngestError(f"{part.filename}, a part of the same run, is not archived") from exc
            return self._pool.submit_parts(paths, spooled.parcel, source, time_zone).result()

    @staticmethod
    def _is_archived(test: TestResult) -> bool:
        wanted = {part.versions[-1] for part in test.raw_files}
        kept = visible(RawDataFile).filter(id__in=[part.raw_file for part in test.raw_files]).only("versions")
        return wanted <= {version.sha256 for raw in kept for version in raw.versions if version.extent}


def in_order(test: TestResult | None, own: PartRead) -> tuple[PartRead, ...]:
    """Return the parts of a test with one of them, new or in a new version, in its place."""
    others = [
        PartRead(part.raw_file, part.filename, part.versions[-1], part.number, part.span)
        for part in (test.raw_files if test else ())
        if part.number not in (None, own.number)
    ]
    return tuple(sorted([*others, own], key=lambda part: part.number or 0))
