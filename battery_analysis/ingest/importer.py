"""From files to stored tests: copy and hash, archive, read, decide the sample, store.

One file is one unit: it ends in exactly one outcome, and a crash at any point leaves either the
old test or the new one. A bad file is an outcome; a lost database ends the import.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from bson import ObjectId

from battery_analysis.errors import (
    ConflictError,
    CorruptFileError,
    IngestError,
    InvalidDocumentError,
    ReadError,
    SpoolError,
    UnknownFormatError,
)
from battery_analysis.ingest.discover import Candidate, Selection
from battery_analysis.ingest.growth import Growth
from battery_analysis.ingest.import_rules import ImportRules, Said
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.keeping import Keeping, arrival_of
from battery_analysis.ingest.known import Known, has_all, looked_up
from battery_analysis.ingest.outcomes import as_known, failed, stored
from battery_analysis.ingest.parts import Part, named_run, part_of
from battery_analysis.ingest.reader_pool import Readers, open_readers
from battery_analysis.ingest.recognise import Recognised, recognise
from battery_analysis.ingest.retrying import patiently
from battery_analysis.ingest.runs import Runs, in_order
from battery_analysis.ingest.sample_rules import Decision, SampleRules
from battery_analysis.ingest.sources import Root, search, skipped_before
from battery_analysis.ingest.spool import Spool, Spooled, open_spool
from battery_analysis.ingest.threads import in_threads
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.readers.beside import BESIDE_SUFFIXES, BesideFormat
from battery_analysis.readers.delimited import delimited_readers
from battery_analysis.settings.rules import ImportRule
from battery_analysis.store import Store, attachments, datasets, labels, raw_files, retention, samples
from battery_analysis.store.access import by_id
from battery_analysis.store.parcel import Parcel
from battery_analysis.store.provenance import PartRead, Source, add_run
from battery_analysis.store.raw_files import Arrival, Holding, Labels, Past
from battery_analysis.store.tests import Belonging, Written, save_test

logger = logging.getLogger(__name__)

CONFLICT_TRIES = 10


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and how."""

    root: Root
    rules: SampleRules
    data_dir: Path
    selection: Selection = field(default_factory=Selection)
    labels: Labels = field(default_factory=Labels)
    import_rules: tuple[ImportRule, ...] = ()
    """Those of the settings; what they say adds to the labels."""
    workers: int = 1
    scheduler: str | None = None
    """Of the Dask cluster that reads, in place of processes of this computer."""
    time_zone: str = "UTC"
    mappings: Path | None = None
    archive: bool = True
    reset: bool = False
    checksum: bool = False
    """Read every file, also those whose path, size and time of change are stored."""
    keep_versions: retention.Policy = "recent"
    """Which older versions of a file keep their bytes."""
    retries: int = 0
    """How often a trouble that passes by itself is waited out."""


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
        known = looked_up(candidates, options.retries)
        yield from in_threads(lambda each: importer.take(*each), known, options.workers, stop)


@contextmanager
def open_importer(store: Store, options: ImportOptions) -> Iterator[Importer]:
    """Start spool and reading processes for as long as files come; samples and cell datasets are up to date after.

    Raises:
        SettingsError: A mapping file is malformed.
        ClusterError: The cluster that is to read cannot be used.
        IngestError: The spool cannot be written.
    """
    delimited_readers(options.mappings)  # whatever is wrong with them shows before the first file is taken
    readers = open_readers(options.workers, options.mappings, options.scheduler)
    with readers as pool, open_spool(options.data_dir) as spool:
        importer = Importer(store, options, spool, pool)
        yield importer
        importer.refresh()


def candidates_of(options: ImportOptions, done: set[str] | None = None) -> list[Candidate]:
    """Return the files of an import, without those that are done already; what lies beside data comes after them.

    Raises:
        IngestError: The root does not exist or cannot be entered, or the sample map gives one name to several files.
    """
    found = search(
        options.root,
        options.selection,
        data_dir=options.data_dir,
        time_zone=options.time_zone,
        retries=options.retries,
    )
    wanted = (candidate for candidate in found if not done or candidate.source not in done)
    candidates = sorted(wanted, key=_is_beside)
    options.rules.refuse_ambiguous(candidates)
    return candidates


class Importer:
    """Takes one file at a time, in any number of threads."""

    def __init__(self, store: Store, options: ImportOptions, spool: Spool, pool: Readers) -> None:
        self._store = store
        self._options = options
        self._spool = spool
        self._pool = pool
        self._import_rules = ImportRules(options.import_rules, options.labels, options.time_zone)
        self._touched: set[ObjectId] = set()
        self._cells: set[str] = set()
        self._reset: set[str] = set()
        self._runs = Runs(store, spool, pool)
        self._keeping = Keeping(store, archive=options.archive)
        self._growth = Growth(store, spool, pool, options.rules)

    def take(self, candidate: Candidate, known: Known | None = None) -> Outcome:
        """Import one file, of which ``known`` says what is stored."""
        began = time.perf_counter()
        try:
            if known is not None and self._needs_no_look(candidate, known):
                outcome = as_known(candidate, known)
            elif known is None and not self._reads_all and (before := skipped_before(candidate)):
                outcome = before
            else:
                with self._spool.bring(candidate) as here:
                    for attempt in patiently(self._options.retries):
                        with attempt:
                            outcome = self._tried(here, again=attempt.retry_state.attempt_number > 1)
        except UnknownFormatError as exc:
            outcome = Outcome(candidate.source, "skipped", exc.reason)
        except ReadError as exc:
            outcome = Outcome(candidate.source, "failed", exc.reason, reader=exc.reader)
        except InvalidDocumentError as exc:  # what the file says of itself cannot be stored
            outcome = Outcome(candidate.source, "failed", str(exc))
        seconds = time.perf_counter() - began
        logger.info("%s: %s %s", outcome.path, outcome.outcome, outcome.reason or "")
        size = candidate.size if outcome.size is None else outcome.size
        return replace(outcome, size=size, modified_at=candidate.modified_at, seconds=seconds)

    def refresh(self) -> None:
        """Bring all samples and cell datasets whose tests were stored since the last time up to date."""
        touched, self._touched = self._touched, set()
        patient = patiently(self._options.retries)
        patient(samples.refresh_aggregates, touched)
        cells, self._cells = self._cells, set()
        patient(datasets.refresh, self._store, cells)

    @property
    def _reads_all(self) -> bool:
        return self._options.reset or self._options.checksum

    def _needs_no_look(self, candidate: Candidate, known: Known) -> bool:
        """Say whether there is nothing to do with a file that is stored as it is, and no reason for doubt."""
        if self._reads_all or self._options.labels.say_something:
            return False
        return has_all(candidate, known, archive=self._options.archive)

    def _tried(self, candidate: Candidate, *, again: bool) -> Outcome:
        found = recognise(candidate, self._options.mappings)
        for number in range(CONFLICT_TRIES):
            with suppress(ConflictError):
                if (outcome := self._grown(candidate, found)) is not None:
                    return outcome
            # Copied anew each time: what another process stored meanwhile may be a later state of this file.
            with self._spool.copy(candidate.path, found.companions) as spooled, suppress(ConflictError):
                if found.beside is not None:
                    return self._beside(candidate, spooled, found.beside)
                return self._once(candidate, spooled, found, raced=again or number > 0)
        reason = f"other processes stored it meanwhile, {CONFLICT_TRIES} times over; import it again"
        return Outcome(candidate.source, "failed", reason)

    def _grown(self, candidate: Candidate, found: Recognised) -> Outcome | None:
        """Store what a large text file has grown by, if its end alone tells."""
        if self._options.reset or not self._options.archive or found.reader is None:
            return None
        try:
            said = self._import_rules.of(candidate, found.reader.tester)
        except IngestError:
            return None  # whoever takes the whole says what is wrong
        with self._growth.of(candidate, said) as grown:
            if grown is None:
                return None
            holding = self._keeping.append(grown.holding, grown.arrival)
            test, written = self._save(grown.source, grown.parcel, grown.decision, said.labels, again=False)
            labels.add(holding.id, test.id, said.labels)
            retention.prune(self._store, by_id(RawDataFile, holding.id), self._options.keep_versions)
            raw_files.belongs_to(holding, test.id, test.sample.id)
            return stored(grown.arrival, written, test, holding, _about_codes(grown.decision))

    def _once(self, candidate: Candidate, spooled: Spooled, found: Recognised, *, raced: bool) -> Outcome:
        past = raw_files.look_up(spooled.sha256, candidate.source)
        arrival = arrival_of(candidate, spooled, past.lengths)
        try:
            if found.damage is not None:
                raise found.damage
            said = self._import_rules.of(candidate, found.reader.tester if found.reader else None)
        except (CorruptFileError, IngestError) as exc:
            return failed(arrival, exc, self._keeping.unread(arrival, past, self._options.labels))
        owner, again = past.owner, False
        if owner is not None:
            test = raw_files.test_of(owner)
            is_newest = owner.newest == spooled.sha256
            is_read = raw_files.names(test, spooled.sha256) or not is_newest
            if test is not None and is_read:
                lacked = spooled.companions and not test.companions
                again = is_newest and bool(lacked or self._is_reset(candidate, owner))
                if not again:
                    return self._known(candidate, arrival, owner, test, said, raced=raced)
        return self._new(candidate, spooled, arrival, past, said, again=again)

    def _is_reset(self, candidate: Candidate, owner: Holding) -> bool:
        """Say whether a reset asks for these bytes; copies of one file ask once."""
        if not self._options.reset or candidate.source not in owner.seen_at:
            return False
        first = owner.newest not in self._reset
        self._reset.add(owner.newest)
        return first

    def _known(
        self, candidate: Candidate, arrival: Arrival, owner: Holding, test: TestResult, said: Said, *, raced: bool
    ) -> Outcome:
        """Note bytes that are imported already."""
        self._keeping.note(owner, arrival)
        labels.add(owner.id, test.id, said.labels)
        job = self._options.labels.import_job
        first_seen_at = next(iter(owner.seen_at))
        if not owner.is_settled:
            attachments.attach_to_test(test, first_seen_at, test.companions)
            raw_files.belongs_to(owner, test.id, test.sample.id)
        if raced and job is not None and test.import_job == job and first_seen_at == candidate.source:
            # This very import had stored it when the answer of the server was lost.
            return stored(arrival, "created" if test.created_in == job else "updated", test, owner)
        # A race for the same bytes may put this path beside the winner's before it is lost.
        if candidate.source in owner.seen_at and not (raced and len(owner.seen_at) > 1):
            return stored(arrival, "unchanged", test, owner)
        attachments.attach_to_test(test, candidate.source)
        if test.runs and (named := named_run(candidate.source, test.tester)):
            add_run(test, named[0])
        return stored(arrival, "duplicate", test, owner, self._about_duplicate(candidate, owner, test, said))

    def _new(
        self, candidate: Candidate, spooled: Spooled, arrival: Arrival, past: Past, said: Said, *, again: bool
    ) -> Outcome:
        """Read bytes and store them as a new test or a new revision, ``again`` where a test was read from them."""
        reading = self._pool.submit(spooled.path, spooled.parcel, candidate.source, said.time_zone)
        # A file never seen is put away while a worker reads it; to which test others belong shows when read.
        holding = None if past.owner or past.seen_here else self._keeping.create(arrival, past, said.labels)
        try:
            parcel = reading.result()
            decision = self._options.rules.decide(candidate, parcel.metadata, said.sample_patterns)
        except SpoolError:  # every later file would fail the same way
            raise
        except (ReadError, IngestError) as exc:
            # Bytes that cannot be read today may be readable tomorrow: a failed file keeps its bytes.
            return failed(arrival, exc, holding or self._keeping.unread(arrival, past, said.labels))
        part = part_of(candidate.source, parcel)
        with self._runs.held(part):
            if holding is None:
                holding, test_id = self._keeping.place(arrival, past, parcel, decision, said.labels)
            else:
                test_id = holding.test_id
            number, span = (part.number, part.span) if part else (None, None)
            own = PartRead(holding.id, holding.filename, arrival.sha256, number, span)
            try:
                companions = self._keeping.companions(candidate, spooled, self._options.labels)
                source = self._source(test_id, own, part, parcel, decision)
                if len(source.parts) > 1:
                    parcel = self._runs.read_together(
                        source.parts, holding.id, spooled, candidate.source, said.time_zone
                    )
                source = replace(source, companions=companions)
                test, written = self._save(source, parcel, decision, said.labels, again=again)
            except SpoolError:
                raise
            except (InvalidDocumentError, ReadError, IngestError) as exc:
                return failed(arrival, exc, holding)
        if written == "updated":
            labels.add(holding.id, test.id, said.labels)
            retention.prune(self._store, by_id(RawDataFile, holding.id), self._options.keep_versions)
        attachments.attach_to_test(test, candidate.source, companions)
        raw_files.belongs_to(holding, test.id, test.sample.id)
        outcome = stored(arrival, written, test, holding, _about_codes(decision))
        return replace(outcome, warnings=tuple(parcel.warnings))

    def _source(
        self, test_id: ObjectId, own: PartRead, part: Part | None, parcel: Parcel, decision: Decision
    ) -> Source:
        """Say of which test, new or stored, the bytes are a part, and which others it has."""
        if part is None:
            return Source(test_id, (own,))
        present = raw_files.test_by_id(test_id)
        if present is not None:
            return Source(test_id, in_order(present, own), run=part.run)
        place = self._runs.place(part, own, parcel.metadata, decision.sample)
        joined = place.test.id if place.test else test_id
        return Source(joined, in_order(place.test, own), run=part.run, run_claim=place.claim)

    def _save(
        self, source: Source, parcel: Parcel, decision: Decision, labels: Labels, *, again: bool
    ) -> tuple[TestResult, Written]:
        sample = samples.get_or_create(decision.sample, labels)
        belonging = Belonging(sample, decision.cell_code, decision.rule, decision.sample)
        again = again or self._options.reset
        test, written = save_test(self._store, parcel, source, belonging, labels, again=again)
        self._touched.add(test.sample.id)
        self._cells.add(test.cell_code)
        return test, written

    def _beside(self, candidate: Candidate, spooled: Spooled, format: BesideFormat) -> Outcome:
        """Keep settings or a log, and attach them to the tests they belong to."""
        identity = self._keeping.beside(candidate, spooled, format, self._options.labels)
        count = attachments.attach_to_tests(identity, format, candidate.source)
        waits = f"{'kept' if self._options.archive else 'noted'} until its data come"
        state = f"attached to {count} test{'' if count == 1 else 's'}" if count else waits
        reason = f"{format.title}, {state}"
        return Outcome(candidate.source, "skipped", reason, sha256=spooled.sha256, size=spooled.size)

    def _about_duplicate(self, candidate: Candidate, owner: Holding, test: TestResult, said: Said) -> str:
        other = next((path for path in owner.seen_at if path != candidate.source), test.name)
        reason = f"same bytes as {other}"
        try:
            decision = self._options.rules.decide(candidate, None, said.sample_patterns)
        except IngestError:
            return reason
        if test.sample_rule != "header" and decision.sample != test.ruled_sample:
            reason += f"; here the sample would be {decision.sample}, it stays {test.sample_name}"
        return reason


def _is_beside(candidate: Candidate) -> bool:
    """Say whether a name is that of settings or a log; only the content decides, but the tests are there then."""
    return candidate.path.suffix.lower() in BESIDE_SUFFIXES


def _about_codes(decision: Decision) -> str | None:
    if not decision.passed_over:
        return None
    return f"cell code {decision.cell_code} taken, {', '.join(decision.passed_over)} in the same name passed over"
