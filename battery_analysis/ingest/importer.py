"""From files to stored tests: copy and hash, archive, read, decide the sample, store.

One file is one unit: it ends in exactly one outcome, and a crash at any point leaves either the
old test or the new one. A bad file is an outcome; a lost database ends the import.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TypeVar

from bson import ObjectId

from battery_analysis.errors import (
    ConflictError,
    CorruptFileError,
    IngestError,
    InvalidDocumentError,
    ReadError,
    UnknownFormatError,
)
from battery_analysis.ingest.discover import Candidate, Selection, discover
from battery_analysis.ingest.job import Outcome, OutcomeName
from battery_analysis.ingest.reader_pool import ReaderPool
from battery_analysis.ingest.sample_rules import Decision, SampleRules
from battery_analysis.ingest.spool import Spool, Spooled, open_spool
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.reading import find_reader, read_head
from battery_analysis.store import Store, raw_files, samples
from battery_analysis.store.parcel import Parcel
from battery_analysis.store.raw_archive import prefix_version
from battery_analysis.store.raw_files import Arrival, Labels, Past
from battery_analysis.store.tests import Belonging, save_test

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

CONFLICT_TRIES = 3
REFRESH_EVERY = 500
"""After so many files the aggregates of the samples seen so far are brought up to date."""


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and how."""

    root: Path
    rules: SampleRules
    data_dir: Path
    selection: Selection = field(default_factory=Selection)
    labels: Labels = field(default_factory=Labels)
    workers: int = 1
    time_zone: str = "UTC"
    archive: bool = True
    reset: bool = False


@dataclass(frozen=True)
class Preview:
    """What an import would take a file for."""

    path: str
    relative: str
    decision: Decision | None
    reader: str | None
    problem: str | None = None


def import_files(
    store: Store, options: ImportOptions, candidates: Iterable[Candidate], stop: Event | None = None
) -> Iterator[Outcome]:
    """Import files and yield what became of each, in the order they are done.

    Args:
        store: An open store.
        options: What to import, and how.
        candidates: The files.
        stop: Once set, files in hand are finished and no further one is begun.

    Raises:
        StoreError: The database is lost; files in hand are as they were before.
        IngestError: The spool cannot be written.
    """
    with open_importer(store, options) as importer:
        for number, outcome in enumerate(_in_threads(importer.take, candidates, options.workers, stop), start=1):
            yield outcome
            if number % REFRESH_EVERY == 0:
                importer.refresh_samples()


@contextmanager
def open_importer(store: Store, options: ImportOptions) -> Iterator[Importer]:
    """Start spool and reading processes for as long as files come; sample aggregates are up to date at the end."""
    with open_spool(options.data_dir) as spool, ReaderPool(options.workers) as pool:
        importer = Importer(store, options, spool, pool)
        try:
            yield importer
        finally:
            importer.refresh_samples()


def preview_files(options: ImportOptions, candidates: Iterable[Candidate]) -> Iterator[Preview]:
    """Read files and yield to which sample each would go and why; nothing is stored."""
    with open_spool(options.data_dir) as spool, ReaderPool(options.workers) as pool:

        def preview(candidate: Candidate) -> Preview:
            seen = Preview(candidate.source, str(candidate.relative), None, None)
            try:
                _check(candidate)
                with spool.copy(candidate.path) as spooled:
                    parcel = pool.submit(spooled.path, spooled.parcel, candidate.source, options.time_zone).result()
                return replace(seen, decision=options.rules.decide(candidate, parcel.metadata), reader=parcel.reader)
            except (ReadError, IngestError) as exc:
                return replace(seen, problem=getattr(exc, "reason", str(exc)))

        yield from _in_threads(preview, candidates, options.workers, None)


def plan_files(store: Store, options: ImportOptions, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
    """Yield what an import would do with each file, from its bytes alone; nothing is read or stored."""
    with open_spool(options.data_dir) as spool:
        for candidate in candidates:
            try:
                _check(candidate)
                with spool.copy(candidate.path) as spooled:
                    yield _planned(candidate, spooled, options)
            except UnknownFormatError as exc:
                yield Outcome(candidate.source, "skipped", exc.reason)
            except ReadError as exc:
                yield Outcome(candidate.source, "failed", exc.reason)


def candidates_of(options: ImportOptions, done: set[str] | None = None) -> list[Candidate]:
    """Return the files of an import, without those that are done already.

    Raises:
        IngestError: The root does not exist or cannot be entered.
    """
    found = discover(options.root, options.selection)
    return [candidate for candidate in found if not done or candidate.source not in done]


class Importer:
    """Takes one file at a time, in any number of threads."""

    def __init__(self, store: Store, options: ImportOptions, spool: Spool, pool: ReaderPool) -> None:
        self._store = store
        self._options = options
        self._spool = spool
        self._pool = pool
        self._touched: set[ObjectId] = set()

    def take(self, candidate: Candidate) -> Outcome:
        """Import one file."""
        began = time.perf_counter()
        try:
            outcome = self._tried(candidate)
        except UnknownFormatError as exc:
            outcome = Outcome(candidate.source, "skipped", exc.reason)
        except ReadError as exc:
            outcome = Outcome(candidate.source, "failed", exc.reason, reader=exc.reader)
        except InvalidDocumentError as exc:  # what the file says of itself cannot be stored
            outcome = Outcome(candidate.source, "failed", str(exc))
        seconds = time.perf_counter() - began
        logger.info("%s: %s %s", outcome.path, outcome.outcome, outcome.reason or "")
        return replace(outcome, size=candidate.size, modified_at=candidate.modified_at, seconds=seconds)

    def refresh_samples(self) -> None:
        """Bring the aggregates of all samples touched since the last time up to date."""
        touched, self._touched = self._touched, set()
        samples.refresh_aggregates(touched)

    def _tried(self, candidate: Candidate) -> Outcome:
        try:
            _check(candidate)
        except CorruptFileError as exc:
            return self._damaged(candidate, exc)
        with self._spool.copy(candidate.path) as spooled:
            for number in range(CONFLICT_TRIES - 1):
                with suppress(ConflictError):
                    return self._once(candidate, spooled, raced=number > 0)
            return self._once(candidate, spooled, raced=True)

    def _damaged(self, candidate: Candidate, error: CorruptFileError) -> Outcome:
        """Keep the bytes of a file whose beginning shows that it cannot be read; an empty one has none."""
        if not candidate.size:
            raise error
        with self._spool.copy(candidate.path) as spooled:
            past = raw_files.look_up(spooled.sha256, candidate.source)
            raw = self._keep(_arrival(candidate, spooled), Past(past.owner, None))
        return _failed(candidate, error, spooled, raw)

    def _once(self, candidate: Candidate, spooled: Spooled, *, raced: bool) -> Outcome:
        past = raw_files.look_up(spooled.sha256, candidate.source)
        test = raw_files.naming_test(past.owner, spooled.sha256) if past.owner else None
        if past.owner is None or test is None:
            return self._new(candidate, spooled, past)
        same_path = any(place.path == candidate.source for place in past.owner.sources)
        if self._options.reset and same_path:
            return self._new(candidate, spooled, past)
        self._keep(_arrival(candidate, spooled), past)
        # A race for the same bytes puts this path beside the winner's before it is lost.
        if same_path and not (raced and len(past.owner.sources) > 1):
            return _outcome(candidate, "unchanged", test, past.owner, spooled, None)
        reason = self._about_duplicate(candidate, past.owner, test)
        return _outcome(candidate, "duplicate", test, past.owner, spooled, reason)

    def _new(self, candidate: Candidate, spooled: Spooled, past: Past) -> Outcome:
        """Read bytes and store them as a new test or a new revision."""
        arrival = _arrival(candidate, spooled, past)
        reading = self._pool.submit(spooled.path, spooled.parcel, candidate.source, self._options.time_zone)
        # A first version is put away while a worker reads it; whether later bytes are the same test shows when read.
        raw = None if past.predecessor and not past.owner else self._keep(arrival, past)
        try:
            parcel = reading.result()
            decision = self._options.rules.decide(candidate, parcel.metadata)
        except (ReadError, IngestError) as exc:
            # Bytes that cannot be read today may be readable tomorrow: a failed file keeps its bytes.
            raw = raw or self._keep(arrival, Past(None, None))
            return _failed(candidate, exc, spooled, raw)
        if raw is None:
            same = past.predecessor is not None and _is_same_test(past.predecessor, arrival, parcel, decision)
            raw = self._keep(arrival, past if same else Past(None, None))
        options = self._options
        sample = samples.get_or_create(decision.sample, options.labels)
        belonging = Belonging(sample, decision.cell_code, decision.rule, decision.sample)
        test, written = save_test(
            self._store, parcel, raw, spooled.sha256, belonging, options.labels, again=options.reset
        )
        raw_files.link_sample(raw, test.sample.id)
        self._touched.add(test.sample.id)
        outcome = _outcome(candidate, written, test, raw, spooled, _about_codes(decision))
        return replace(outcome, warnings=tuple(parcel.warnings))

    def _keep(self, arrival: Arrival, past: Past) -> RawDataFile:
        return raw_files.keep(self._store, arrival, self._options.labels, past, archive=self._options.archive)

    def _about_duplicate(self, candidate: Candidate, raw: RawDataFile, test: TestResult) -> str:
        others = (place.path for place in raw.sources if place.path != candidate.source)
        reason = f"same bytes as {next(others)}"
        try:
            decision = self._options.rules.decide(candidate, None)
        except IngestError:
            return reason
        if test.sample_rule != "header" and decision.sample != test.ruled_sample:
            reason += f"; here the sample would be {decision.sample}, it stays {test.sample_name}"
        return reason


def _check(candidate: Candidate) -> None:
    """Refuse what shows from outside that it cannot be imported, before its bytes are copied."""
    if candidate.problem:
        raise UnknownFormatError(candidate.source, candidate.problem)
    try:
        find_reader(candidate.path, read_head(candidate.path))
    except ReadError as exc:
        raise type(exc)(candidate.source, exc.reason, exc.reader) from exc


def _arrival(candidate: Candidate, spooled: Spooled, past: Past | None = None) -> Arrival:
    versions = past.predecessor.versions if past and past.predecessor else ()
    return Arrival(
        source=candidate.source,
        filename=candidate.filename,
        spooled=spooled.path,
        sha256=spooled.sha256,
        size=spooled.size,
        modified_at=candidate.modified_at,
        prefix_digests=spooled.prefix_digests(version.size for version in versions),
    )


def _is_same_test(predecessor: RawDataFile, arrival: Arrival, parcel: Parcel, decision: Decision) -> bool:
    """Say whether later bytes under the same path are a later state of the same test."""
    test: TestResult | None = raw_files.naming_test(predecessor, predecessor.sha256)
    if test is None:
        return prefix_version(predecessor, arrival.prefix_digests) is not None
    if test.ruled_sample != decision.sample:
        return False
    if prefix_version(predecessor, arrival.prefix_digests) is not None:
        return True
    new = parcel.metadata
    return (
        new.started_at is not None
        and test.started_at is not None
        and abs((new.started_at - test.started_at).total_seconds()) < 0.001
        and (new.device or test.device, new.channel) == (test.device, test.channel)
    )


def _planned(candidate: Candidate, spooled: Spooled, options: ImportOptions) -> Outcome:
    past = raw_files.look_up(spooled.sha256, candidate.source)
    outcome: OutcomeName = "created"
    if past.owner is not None and raw_files.naming_test(past.owner, spooled.sha256):
        same_path = any(place.path == candidate.source for place in past.owner.sources)
        outcome = "updated" if options.reset and same_path else "unchanged" if same_path else "duplicate"
    elif past.predecessor is not None and raw_files.naming_test(past.predecessor, past.predecessor.sha256):
        outcome = "updated"
    return Outcome(candidate.source, outcome, sha256=spooled.sha256, size=spooled.size)


def _failed(candidate: Candidate, error: ReadError | IngestError, spooled: Spooled, raw: RawDataFile) -> Outcome:
    reason, reader = getattr(error, "reason", str(error)), getattr(error, "reader", None)
    return Outcome(candidate.source, "failed", reason, reader=reader, sha256=spooled.sha256, raw_id=raw.id)


def _outcome(
    candidate: Candidate,
    outcome: OutcomeName,
    test: TestResult,
    raw: RawDataFile,
    spooled: Spooled,
    reason: str | None,
) -> Outcome:
    return Outcome(
        candidate.source,
        outcome,
        reason,
        sha256=spooled.sha256,
        test_id=test.id,
        raw_id=raw.id,
        sample=test.sample_name,
        reader=test.reader,
        records=test.record_count,
        cycles=test.cycle_count,
    )


def _about_codes(decision: Decision) -> str | None:
    if not decision.passed_over:
        return None
    return f"cell code {decision.cell_code} taken, {', '.join(decision.passed_over)} in the same name passed over"


def _in_threads(
    work: Callable[[Candidate], Result], candidates: Iterable[Candidate], workers: int, stop: Event | None
) -> Iterator[Result]:
    """Work on a bounded number of files at once and yield results as they come.

    After an error no further file is begun; it is raised once the files in hand are done and yielded.
    """
    # One thread a worker keeps it busy; one more stores what another has read.
    width = workers + 1
    rest = iter(candidates)
    with ThreadPoolExecutor(width, thread_name_prefix="import") as threads, ExitStack() as on_error:
        running: set[Future[Result]] = set()
        on_error.callback(lambda: [future.cancel() for future in running])
        error: BaseException | None = None
        while True:
            if error is not None:
                running = {future for future in running if not future.cancel()}
            elif stop is None or not stop.is_set():
                running |= {threads.submit(work, candidate) for candidate in islice(rest, 2 * width - len(running))}
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                problem = future.exception()
                if problem is None:
                    yield future.result()
                error = error or problem
        if error is not None:
            raise error
