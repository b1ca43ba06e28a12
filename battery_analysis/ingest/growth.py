"""A large text file that has grown costs what was appended: only its end is read and stored.

All of its bytes are still hashed, so that a change in the middle shows. Wherever the end does not continue what is
stored, in records, facts or sample, the file goes the way of every other one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from battery_analysis import columns as canonical
from battery_analysis.analysis.thinning import SIGNALS, overview
from battery_analysis.errors import IngestError, ReadError
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.import_rules import Said
from battery_analysis.ingest.parts import span_of
from battery_analysis.ingest.reader_pool import Readers
from battery_analysis.ingest.sample_rules import Decision, SampleRules
from battery_analysis.ingest.spool import Spool
from battery_analysis.ingest.tail import Before, records_path, save_before
from battery_analysis.ingest.text_lines import LEADING_RECORDS, SMALL_BYTES
from battery_analysis.models import RawPart, TestResult
from battery_analysis.readers.base import TestMetadata
from battery_analysis.store import Store, frames
from battery_analysis.store.access import visible
from battery_analysis.store.columnar import RECORDS_PER_SEGMENT
from battery_analysis.store.parcel import CYCLE_COLUMN, ColumnRange, Parcel, mean_temperature, overview_item
from battery_analysis.store.provenance import PartRead, Source
from battery_analysis.store.raw_files import Arrival, Holding, holding_at

MOST_READ_AGAIN = 4 * RECORDS_PER_SEGMENT
"""Records that are read again to find a whole cycle; a file with longer cycles is read from its beginning."""

_CHUNK_BYTES = 1 << 20
_END = ord("\n")

_FACTS = (
    "started_at",
    "tester",
    "device",
    "channel",
    "test_type",
    "technique",
    "protocol",
    "comment",
    "software",
    "time_zone",
)


@dataclass(frozen=True)
class Grown:
    """What is new of a file, read and ready to be stored."""

    arrival: Arrival
    holding: Holding
    source: Source
    parcel: Parcel
    decision: Decision


@dataclass(frozen=True)
class _Tail:
    """The end of a file under its header and first records: from the byte ``start`` of the file on."""

    path: Path
    start: int
    sha256: str
    size: int
    beginning_sha256: str


class Growth:
    """Finds what large text files have grown by."""

    def __init__(self, store: Store, spool: Spool, pool: Readers, rules: SampleRules) -> None:
        self._store = store
        self._spool = spool
        self._pool = pool
        self._rules = rules

    @contextmanager
    def of(self, candidate: Candidate, said: Said) -> Iterator[Grown | None]:
        """Read what a file has grown by, of which rules say what is ``said``; None where its end does not tell."""
        found = self._stored(candidate)
        if found:
            self._pool.warm()
        before = self._before(found[1]) if found else None
        if found is None or before is None:
            yield None
            return
        holding, test = found
        old_size = holding.sizes[holding.newest]
        with self._spool.place() as place:
            tail = _copy_tail(candidate.path, place / candidate.path.name, test.lead_bytes, before.first, old_size)
            if tail is None or tail.beginning_sha256 != holding.newest:
                yield None
                return
            parcel = self._read(tail, before, test, candidate, said.time_zone)
            decision = self._decided(candidate, test, parcel, said)
            if parcel is None or decision is None:
                yield None
                return
            arrival = Arrival(
                source=candidate.source,
                filename=candidate.filename,
                spooled=tail.path,
                sha256=tail.sha256,
                size=tail.size,
                modified_at=candidate.modified_at,
                prefix_digests={old_size: tail.beginning_sha256},
                left_out=tail.start - test.lead_bytes,
            )
            source = _source(test, tail.sha256, parcel)
            yield Grown(arrival, holding, source, parcel, decision)

    def _stored(self, candidate: Candidate) -> tuple[Holding, TestResult] | None:
        """Return file and test of a path that was smaller when it was read, if its end alone may do."""
        if candidate.size < SMALL_BYTES:
            return None
        holding = holding_at(candidate.source)
        if holding is None or holding.newest not in holding.kept or holding.sizes[holding.newest] >= candidate.size:
            return None
        test: TestResult | None = visible(TestResult).filter(id=holding.test_id, sha256=holding.newest).first()
        if test is None or not test.lead_bytes or len(test.raw_files) != 1 or test.quality_flags or test.companions:
            return None
        return holding, test

    def _before(self, test: TestResult) -> Before | None:
        """Return the last records that are stored: from where a segment begins that lies before three cycles."""
        cycles = frames.cycle_table(self._store, test)
        if (
            canonical.DERIVED_CYCLE_COUNT.name in test.columns
            or test.cycle_method == "derived"
            or 0 < cycles.height < 3
        ):
            return None  # numbers that are derived depend on all records
        context = int(cycles["first_record"][-3]) if cycles.height else test.record_count - 1
        first = context // RECORDS_PER_SEGMENT * RECORDS_PER_SEGMENT
        if test.record_count - first > MOST_READ_AGAIN or not any(s.first_record == first for s in test.segments):
            return None
        frame = frames.load_rows(self._store, test, first, test.record_count)
        known = {name: ColumnRange(c["dtype"], c["minimum"], c["maximum"]) for name, c in test.columns.items()}
        return Before(frame, cycles, first, context - first, known, list(test.warnings))

    def _read(
        self, tail: _Tail, before: Before, test: TestResult, candidate: Candidate, time_zone: str
    ) -> Parcel | None:
        """Read the end in a worker, and add what takes the whole: overview and mean temperature."""
        beside, packed = tail.path.with_suffix(".before"), tail.path.with_suffix(".parcel")
        save_before(before, beside)
        try:
            parcel = self._pool.submit_on(tail.path, packed, beside, candidate.source, time_zone).result()
        except ReadError:
            return None  # the whole says what is wrong, at the right line
        if parcel is None or not _says_the_same(parcel.metadata, test) or parcel.reader != test.reader:
            return None
        if parcel.reader_version != test.reader_version or parcel.cycle_method != test.cycle_method:
            return None
        signals = [canonical.TEST_TIME.name, *SIGNALS, CYCLE_COLUMN[parcel.cycle_method]]
        new = pl.read_ipc(records_path(packed))
        new = new.select(name for name in signals if name in new.columns)
        old = frames.load_rows(self._store, test, 0, before.first, new.columns)
        whole = pl.concat([old, new])
        with packed.open("ab") as file:
            file.write(overview_item(overview(whole)))
        return replace(
            parcel,
            # That its end was read alone says nothing of the beginning.
            metadata=replace(parcel.metadata, continuation=bool(test.continuation)),
            temperature_celsius=mean_temperature(whole),
            lead_bytes=test.lead_bytes,
        )

    def _decided(self, candidate: Candidate, test: TestResult, parcel: Parcel | None, said: Said) -> Decision | None:
        if parcel is None:
            return None
        try:
            decision = self._rules.decide(candidate, parcel.metadata, said.sample_patterns)
        except IngestError:
            return None
        return decision if decision.sample == test.ruled_sample else None


def _source(test: TestResult, sha256: str, parcel: Parcel) -> Source:
    part: RawPart = test.raw_files[0]
    span = part.span
    if span is not None:
        span = span_of(parcel)
        span.started_at = part.span.started_at
    own = PartRead(part.raw_file, part.filename, sha256, part.number, span)
    return Source(test.id, (own,), revision=test.revision)


def _says_the_same(metadata: TestMetadata, test: TestResult) -> bool:
    """Say whether the header under which the end was read gives the facts that are stored."""
    stored: dict[str, Any] = {line.key: line.value for line in test.header}
    by_label = metadata.device is None  # then whoever imported may have named it
    same = (getattr(metadata, name) == getattr(test, name) for name in _FACTS if not (by_label and name == "device"))
    return stored == metadata.header and all(same)


def _copy_tail(source: Path, target: Path, lead_bytes: int, first: int, old_size: int) -> _Tail | None:
    """Hash a file, and copy its lead and its lines from record ``first`` on; None where it ends before."""
    size, beginning = 0, None
    start: int | None = lead_bytes if first == 0 else None
    lines = LEADING_RECORDS
    try:
        with source.open("rb") as reading, target.open("wb") as writing, ThreadPoolExecutor(1) as thread:
            total = _Hash(thread)
            lead = reading.read(lead_bytes)
            writing.write(lead)
            total.update(lead)
            size = len(lead)
            while chunk := reading.read(min(_CHUNK_BYTES, old_size - size) if size < old_size else _CHUNK_BYTES):
                total.update(chunk)
                if start is not None:
                    writing.write(chunk)
                elif (count := np.count_nonzero(ends := np.frombuffer(chunk, np.uint8) == _END)) >= first - lines:
                    after = int(np.flatnonzero(ends)[first - lines - 1]) + 1
                    start = size + after
                    writing.write(chunk[after:])
                else:
                    lines += int(count)
                size += len(chunk)
                if size == old_size:
                    beginning = total.hexdigest()
            sha256 = total.hexdigest()
    except OSError:
        return None  # the usual way meets the same error, and reports it
    if start is None or beginning is None or size <= old_size or start > old_size:
        return None
    return _Tail(target, start, sha256, size, beginning)


class _Hash:
    """SHA-256 that is computed while its caller reads and counts on."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._total = hashlib.sha256()
        self._thread = thread
        self._last: Future[None] | None = None

    def update(self, chunk: bytes) -> None:
        self._wait()
        self._last = self._thread.submit(self._total.update, chunk)

    def hexdigest(self) -> str:
        self._wait()
        return self._total.hexdigest()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
