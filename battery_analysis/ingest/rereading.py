"""A stored test, read again from its archived bytes: is it stale, what is new, and what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from bson import ObjectId

from battery_analysis.errors import NotFoundError, ReadError
from battery_analysis.ingest.kept import spooled_parts
from battery_analysis.ingest.parts import span_of
from battery_analysis.ingest.reader_pool import Readers
from battery_analysis.ingest.spool import Spool
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.readers import READERS, plug_ins
from battery_analysis.readers.base import HEAD_BYTES
from battery_analysis.readers.delimited import delimited_readers
from battery_analysis.reading import find_reader, read_head
from battery_analysis.store import Store
from battery_analysis.store.access import visible
from battery_analysis.store.parcel import Parcel
from battery_analysis.store.provenance import PartRead, Source
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.seen import flags_of
from battery_analysis.store.tests import Belonging, save_test


@dataclass(frozen=True)
class Change:
    """What differs between a test and what is read of it today; of lists, what is gone and what is new."""

    what: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if isinstance(self.before, list):
            return " ".join([self.what, *(f"-{each}" for each in self.before), *(f"+{each}" for each in self.after)])
        return f"{self.what} {_shown(self.before)} -> {_shown(self.after)}"


class Rereading:
    """Reads stored tests again, in any number of threads.

    Args:
        store: An open store.
        spool: Where copies go.
        pool: What reads.
        mappings: Folder of mapping files.
        time_zone: Zone of stamps without one, where a test does not say under which it was read.
    """

    def __init__(self, store: Store, spool: Spool, pool: Readers, mappings: Path | None, time_zone: str) -> None:
        self._store = store
        self._spool = spool
        self._pool = pool
        self._mappings = mappings
        self._time_zone = time_zone

    def is_stale(self, test: TestResult) -> bool:
        """Say whether a present reader, or another one, would read a test today.

        Raises:
            ReadError: The content shows to no reader what it is.
            ArchiveError: Archived bytes are missing or damaged.
        """
        if self._versions.get(test.reader) != test.reader_version:
            return True
        raw, sha256 = _newest(test)[0]
        try:
            return bool(self._chosen(raw, sha256) != test.reader)
        except NotFoundError:
            return False  # imported without its bytes: nothing can be made of it

    @contextmanager
    def read(self, test: TestResult) -> Iterator[tuple[Parcel, Source]]:
        """Read the newest bytes of a test, which is at this revision; the parcel goes at the end of the block.

        Raises:
            ReadError: They cannot be read.
            StoreError: They are not kept, missing or damaged.
            IngestError: The spool cannot be written.
        """
        wanted = _newest(test)
        with spooled_parts(self._store, self._spool, test, wanted) as spooled:
            zone = test.time_zone or self._time_zone
            reading = self._pool.submit_parts([each.path for each in spooled], spooled[0].parcel, test.name, zone)
            parcel = reading.result()
            parts = tuple(
                PartRead(raw.id, part.filename, sha256, part.number, part.span)
                for (raw, sha256), part in zip(wanted, test.raw_files, strict=True)
            )
            if len(parts) == 1 and parts[0].span is not None:
                parts = (PartRead(parts[0].raw_file, test.name, parts[0].sha256, parts[0].number, span_of(parcel)),)
            yield parcel, Source(test.id, parts, test.companions, revision=test.revision)

    def save(self, test: TestResult, parcel: Parcel, source: Source) -> TestResult:
        """Store what was read as the next revision. The job that brought the bytes stays the test's job.

        Raises:
            ConflictError: The test, or a file of it, was changed meanwhile.
        """
        belonging = Belonging(test.sample, test.cell_code, test.sample_rule, test.ruled_sample)
        saved, _ = save_test(self._store, parcel, source, belonging, Labels(import_job=test.import_job), again=True)
        return saved

    @cached_property
    def _versions(self) -> dict[str, str]:
        return {
            each.name: each.version for each in chain(READERS, plug_ins().readers, delimited_readers(self._mappings))
        }

    def _chosen(self, raw: RawDataFile, sha256: str) -> str:
        """Return the name of the reader that the content asks for; of a text, its beginning is enough."""
        stream = self._store.archive.stream(raw, sha256)
        head = b""
        for chunk in stream:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        rest = stream if b"\0" in head or head.startswith(b"PK") else iter(())
        with self._spool.write(raw.filename, chain([head], rest)) as copy:
            try:
                return find_reader(copy.path, read_head(copy.path), self._mappings).name
            except ReadError as exc:
                raise type(exc)(raw.filename, exc.reason, exc.reader) from exc


def _newest(test: TestResult) -> list[tuple[RawDataFile, str]]:
    """Return the files of a test in its order, each with the digest of its newest version.

    Raises:
        NotFoundError: A file of it is gone.
    """
    identities: list[ObjectId] = [part.raw_file for part in test.raw_files]
    raws = {raw.id: raw for raw in visible(RawDataFile).filter(id__in=identities)}
    if missing := [part.filename for part in test.raw_files if part.raw_file not in raws]:
        raise NotFoundError(f"{', '.join(missing)}: its raw file is gone")
    return [(raws[identity], raws[identity].sha256) for identity in identities]


def compare(test: TestResult, parcel: Parcel) -> tuple[Change, ...]:
    """Return what differs between a stored test and what was read of it today."""
    summary, metadata = parcel.summary, parcel.metadata
    scalars = (
        ("reader", f"{test.reader} {test.reader_version}", f"{parcel.reader} {parcel.reader_version}"),
        ("records", test.record_count, parcel.record_count),
        ("cycles", test.cycle_count, summary.cycle_count),
        ("initial capacity Ah", test.initial_capacity_ah, summary.initial_capacity_ah),
        ("final capacity Ah", test.final_capacity_ah, summary.final_capacity_ah),
        ("duration s", test.duration_second, summary.duration_second),
        ("type", test.test_type, metadata.test_type),
        ("start", _to_millisecond(test.started_at), _to_millisecond(metadata.started_at)),
    )
    failed = [flag["name"] for flag in flags_of(parcel, test.sample)]
    lists = (
        ("columns", list(test.columns), list(parcel.columns)),
        ("warnings", list(test.warnings), parcel.warnings),
        ("failed checks", [flag["name"] for flag in test.quality_flags], failed),
    )
    changes = [Change(what, before, after) for what, before, after in scalars if before != after]
    changes += _changed_values(test, parcel)
    changes += [
        Change(what, [each for each in before if each not in after], [each for each in after if each not in before])
        for what, before, after in lists
        if set(before) != set(after)
    ]
    return tuple(changes)


def _changed_values(test: TestResult, parcel: Parcel) -> list[Change]:
    """Return the columns whose smallest or largest value differs, and whether any other value does."""
    found = []
    for name, span in parcel.columns.items():
        before = test.columns.get(name)
        if before is not None and (before["minimum"], before["maximum"]) != (span.minimum, span.maximum):
            old, new = (f"{_shown(low)}…{_shown(high)}" for low, high in _spans(before, span))
            found.append(Change(name, old, new))
    if found or set(test.columns) != set(parcel.columns) or test.record_count != parcel.record_count:
        return found
    digests = ([segment.digest for segment in test.segments], [item["digest"] for item in parcel.items("segment")])
    return [] if digests[0] == digests[1] else [Change("values", "others", "between the same limits")]


def _spans(before: dict[str, Any], span: Any) -> Sequence[tuple[float | None, float | None]]:
    return (before["minimum"], before["maximum"]), (span.minimum, span.maximum)


def _to_millisecond(moment: Any) -> Any:
    return moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
