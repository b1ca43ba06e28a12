"""Read archived bytes again with the present readers: what a reader has learned reaches tests that are stored.

A test keeps its id, its sample and all that people set, and gets its next revision. It stays a test of the job that
brought its bytes: reading them again brings nothing that an import could be rolled back to, or past.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from threading import Lock

from bson import ObjectId

from battery_analysis.errors import (
    ArchiveError,
    ConflictError,
    IngestError,
    InvalidDocumentError,
    NotFoundError,
    ReadError,
    SettingsError,
)
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.import_rules import ImportRules
from battery_analysis.ingest.importer import CONFLICT_TRIES, Importer, ImportOptions
from battery_analysis.ingest.job import Outcome, OutcomeName
from battery_analysis.ingest.kept import kept_file, kept_raw
from battery_analysis.ingest.preview import preview_file
from battery_analysis.ingest.reader_pool import Readers, open_readers
from battery_analysis.ingest.rereading import Change, Rereading, compare
from battery_analysis.ingest.retrying import patiently
from battery_analysis.ingest.run import ImportRequest, JobRun, request_of
from battery_analysis.ingest.spool import Spool, open_spool
from battery_analysis.ingest.threads import in_threads
from battery_analysis.models import ImportedFile, ImportJob, RawDataFile, RawVersion, TestResult
from battery_analysis.readers.delimited import delimited_readers
from battery_analysis.settings import Settings
from battery_analysis.store import Store, datasets, samples
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.raw_files import Labels

ROOT = "the archive"
BATCH = 1000
"""Raw files asked for at once."""

_RAW_FILE = "raw_files.raw_file"

Item = ObjectId | Candidate
"""A test to read again, or a kept file that no test was read from."""


@dataclass(frozen=True)
class ReprocessRequest:
    """What a user asks for, in plain values: what a job keeps, so that it can be resumed.

    Without ``everything`` only stale tests are read, and those that are named; ``failed`` adds files that could not be
    read when they were imported.
    """

    everything: bool = False
    tests: Sequence[str] = ()
    samples: Sequence[str] = ()
    testers: Sequence[str] = ()
    failed: bool = False
    workers: int | None = None
    scheduler: str | None = None
    retries: int | None = None


@dataclass(frozen=True)
class Reread(Outcome):
    """What became of a test, and what has changed in it."""

    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReprocessRun(JobRun):
    """Reading again, under way: iterate over it for the outcomes."""

    command = "reprocess"

    settings: Settings
    request: ReprocessRequest
    items: Sequence[Item]

    @property
    def total(self) -> int:
        """How many tests and files it looks at."""
        return len(self.items)

    def _outcomes(self) -> Iterator[Outcome]:
        with _opened(self.store, self.settings, self.request, self.options) as work:
            yield from in_threads(work.take, self.items, self.options.workers, self.stopping)
            work.refresh()


def begin(store: Store, settings: Settings, request: ReprocessRequest) -> ReprocessRun:
    """Open a job for what a user asks for.

    Raises:
        NotFoundError: No such test or sample.
        IngestError: No test is of such a tester.
        ClusterError: The scheduler that is named cannot be used.
    """
    options = _options(settings, request)
    items = _selected(store, request)
    job = jobs.start(ROOT, asdict(request), "reprocess")
    jobs.set_total(job, len(items))
    labels = Labels(import_job=job.id)
    return ReprocessRun(
        store, job, replace(options, labels=labels), (), settings=settings, request=request, items=items
    )


def resume(store: Store, settings: Settings, job_id: str) -> ReprocessRun:
    """Go on with a job that was interrupted or has failures; what failed is tried again.

    Raises:
        NotFoundError: No such job.
        IngestError: It is no job of this kind, is still running, or nothing is left to do.
    """
    job = jobs.resumable(job_id, "reprocess")
    request = ReprocessRequest(**job.options)
    options = replace(_options(settings, request), labels=Labels(import_job=job.id))
    settled = visible(ImportedFile).filter(job=job.id, outcome__ne="failed")
    tests, paths = set(settled.filter(test_result__ne=None).scalar("test_result")), set(settled.scalar("path"))
    items = [
        item
        for item in _selected(store, request)
        if (item.source not in paths if isinstance(item, Candidate) else item not in tests)
    ]
    jobs.reopen(job)
    jobs.set_total(job, len(items) + len(paths))
    return ReprocessRun(store, job, options, (), settings=settings, request=request, items=items)


def plan(store: Store, settings: Settings, request: ReprocessRequest) -> Iterator[Outcome]:
    """Read as a job would and yield what would become of each test and file; nothing is stored.

    Raises:
        BatteryAnalysisError: As ``begin``.
    """
    options = _options(settings, request)
    items = _selected(store, request)
    with _opened(store, settings, request, options, stores=False) as work:
        yield from in_threads(work.take, items, options.workers)


@contextmanager
def _opened(
    store: Store, settings: Settings, request: ReprocessRequest, options: ImportOptions, *, stores: bool = True
) -> Iterator[_Reprocessing]:
    delimited_readers(options.mappings)  # whatever is wrong with them shows before the first test is read
    readers = open_readers(options.workers, options.mappings, options.scheduler)
    with readers as pool, open_spool(options.data_dir) as spool:
        yield _Reprocessing(store, settings, request, options, spool, pool, stores=stores)


class _Reprocessing:
    """Takes one test or file at a time, in any number of threads."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        request: ReprocessRequest,
        options: ImportOptions,
        spool: Spool,
        pool: Readers,
        *,
        stores: bool,
    ) -> None:
        self._store = store
        self._settings = settings
        self._request = request
        self._options = options
        self._spool = spool
        self._pool = pool
        self._stores = stores
        self._rereading = Rereading(store, spool, pool, options.mappings, options.time_zone)
        self._importers: dict[ObjectId | None, Importer] = {}
        self._guard = Lock()
        self._touched: set[ObjectId] = set()
        self._cells: set[str] = set()

    def take(self, item: Item) -> Outcome:
        """Read one test or file again."""
        began = time.perf_counter()
        if isinstance(item, Candidate):
            return self._import(item)
        for attempt in patiently(self._options.retries):
            with attempt:
                outcome = self._tried(item)
        return replace(outcome, seconds=time.perf_counter() - began)

    def refresh(self) -> None:
        """Bring all samples and cell datasets whose tests were read up to date."""
        samples.refresh_aggregates(self._touched)
        datasets.refresh(self._store, self._cells)
        for importer in self._importers.values():
            importer.refresh()

    def _tried(self, identity: ObjectId) -> Outcome:
        for _ in range(CONFLICT_TRIES):
            test = visible(TestResult).filter(id=identity).first()
            if test is None:
                return Outcome(f"test {identity}", "skipped", "deleted meanwhile")
            try:
                return self._reread(test)
            except ConflictError:
                continue
            except ReadError as exc:
                return _outcome(test, "failed", exc.reason)
            except (ArchiveError, NotFoundError, InvalidDocumentError) as exc:
                return _outcome(test, "failed", str(exc))
        return _outcome(test, "failed", f"other processes changed it meanwhile, {CONFLICT_TRIES} times over")

    def _reread(self, test: TestResult) -> Outcome:
        if not self._is_wanted(test):
            return _outcome(test, "unchanged", "read by the present reader")
        with self._rereading.read(test) as (parcel, source):
            changes = compare(test, parcel)
            if self._stores:
                test = self._rereading.save(test, parcel, source)
                self._touched.add(test.sample.id)
                self._cells.add(test.cell_code)
            reason = "; ".join(map(str, changes)) or "no difference"
            return replace(
                _outcome(test, "updated", reason),
                reader=parcel.reader,
                records=parcel.record_count,
                cycles=parcel.summary.cycle_count,
                warnings=tuple(parcel.warnings),
                changes=changes,
            )

    def _is_wanted(self, test: TestResult) -> bool:
        request = self._request
        if request.everything or str(test.id) in request.tests or self._rereading.is_stale(test):
            return True
        return request.failed and bool(_unread(test))

    def _import(self, candidate: Candidate) -> Outcome:
        """Import a kept file under the sample rules and labels of the job that kept it."""
        raw = kept_raw(candidate)
        try:
            if not self._stores:
                options = self._options_of(raw.import_job)
                rules = ImportRules(options.import_rules, options.labels, options.time_zone)
                seen = preview_file(options, rules, candidate, self._spool, self._pool)
                return Outcome(
                    candidate.source,
                    "failed" if seen.problem else "created",
                    seen.problem,
                    sample=seen.decision.sample if seen.decision else None,
                    reader=seen.reader,
                )
            with self._guard:
                if raw.import_job not in self._importers:
                    options = self._options_of(raw.import_job)
                    self._importers[raw.import_job] = Importer(self._store, options, self._spool, self._pool)
            return self._importers[raw.import_job].take(candidate)
        except (IngestError, SettingsError) as exc:  # its sample map is gone
            return Outcome(candidate.source, "failed", str(exc), sha256=raw.sha256, raw_id=raw.id)

    def _options_of(self, job_id: ObjectId | None) -> ImportOptions:
        """Return the options under which a job kept a file, for this one."""
        job: ImportJob | None = visible(ImportJob).filter(id=job_id, kind="import").first() if job_id else None
        request = request_of(job) if job else ImportRequest(root=ROOT)
        again = replace(request, scheduler=None, workers=1, archive=True, reset=False)
        options = again.options(self._settings, self._options.labels.import_job)
        return replace(options, workers=self._options.workers, retries=self._options.retries)


def _options(settings: Settings, request: ReprocessRequest) -> ImportOptions:
    files = ImportRequest(ROOT, workers=request.workers, scheduler=request.scheduler, retries=request.retries)
    return files.options(settings)


def _selected(store: Store, request: ReprocessRequest) -> list[Item]:
    """Return the tests to look at, and the kept files to try again."""
    found = visible(TestResult)
    if request.tests:
        found = found.filter(id__in=[by_id(TestResult, each).id for each in request.tests])
    if request.samples:
        found = found.filter(sample__in=[samples.by_name(name).id for name in request.samples])
    if request.testers:
        known = {name.casefold(): name for name in sorted(visible(TestResult).distinct("tester"))}
        if strange := [name for name in request.testers if name.casefold() not in known]:
            there = ", ".join(known.values()) or "no test"
            raise IngestError(f"--tester: no test is of {', '.join(strange)}; there is {there}")
        found = found.filter(tester__in=[known[name.casefold()] for name in request.testers])
    items: list[Item] = list(found.order_by("id").scalar("id"))
    return [*items, *_never_read(store)] if request.failed else items


def _never_read(store: Store) -> Iterator[Candidate]:
    """Yield the files whose bytes are kept and that no test was read from."""
    roots: dict[ObjectId, str] = dict(visible(ImportJob).filter(kind="import").scalar("id", "root"))
    rest = iter(visible(RawDataFile).order_by("id"))
    while batch := list(islice(rest, BATCH)):
        named = set(visible(TestResult).filter(raw_files__raw_file__in=[raw.id for raw in batch]).distinct(_RAW_FILE))
        for raw in batch:
            if raw.id not in named and raw.sources and any(_is_newest(raw, version) for version in raw.versions):
                yield kept_file(store, raw, roots.get(raw.import_job))


def _is_newest(raw: RawDataFile, version: RawVersion) -> bool:
    return version.sha256 == raw.sha256 and version.extent is not None


def _unread(test: TestResult) -> list[str]:
    """Return the files of a test whose newest version it was not read from."""
    read = {part.raw_file: part.versions[-1] for part in test.raw_files}
    newest = visible(RawDataFile).filter(id__in=list(read)).scalar("id", "filename", "sha256")
    return [name for identity, name, sha256 in newest if read[identity] != sha256]


def _outcome(test: TestResult, outcome: OutcomeName, reason: str) -> Reread:
    return Reread(
        f"{test.name} ({test.id})",
        outcome,
        reason,
        sha256=test.sha256,
        test_id=test.id,
        sample=test.sample_name,
        reader=test.reader,
        records=test.record_count,
        cycles=test.cycle_count,
    )
