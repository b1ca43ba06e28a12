"""Undo an import: what the job updated is as before, what it created is gone, nothing else is touched.

A test says itself which job made it and what it was before each job that changed it, so a job that was
killed in the middle, and a rollback that was, can be rolled back as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bson import ObjectId

from battery_analysis.errors import (
    ArchiveError,
    ConflictError,
    IngestError,
    ReaderLimitError,
    ReadError,
    SpoolError,
)
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest.kept import spooled_parts
from battery_analysis.ingest.reader_pool import ReaderPool
from battery_analysis.ingest.spool import Spool, open_spool
from battery_analysis.models import FormerState, ImportedFile, ImportJob, RawDataFile, Sample, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, attachments, datasets, labels, raw_files, removal, samples
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.provenance import PartRead, Source
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.tests import Belonging, save_test

_READ_AGAIN = "what former readers made of them is not kept, and what people set is as it was"


@dataclass(frozen=True)
class Undone:
    """What a rollback did with one test."""

    test_id: ObjectId
    name: str
    sample: str
    what: Literal["removed", "restored", "kept"]
    reason: str | None = None


def roll_back(store: Store, settings: Settings, job_id: str) -> Iterator[Undone]:
    """Undo a job and yield what became of each test it had created or updated.

    A test whose former bytes are no longer kept, or can no longer be read, stays as it is and is named.

    Raises:
        NotFoundError: No such job.
        IngestError: The job is running or rolled back, or others have built on what it did, and nothing is changed; or
            another import changed tests meanwhile, and all others are as before the job.
    """
    job = by_id(ImportJob, job_id)
    state = jobs.present_state(job)
    if state == "running":
        raise IngestError(f"job {job.id} is running on {job.host} (process {job.pid}); cancel it first")
    if state == "rolled_back":
        raise IngestError(f"job {job.id} is rolled back already")
    _refuse_if_built_on(job)
    if job.kind == "reprocess" and visible(TestResult).filter(created_in=job.id).first() is None:
        raise IngestError(f"job {job.id} only read archived bytes again; {_READ_AGAIN}")
    rollback = _Rollback(store, settings, job)
    stays: list[str | None] = []
    for undone in rollback.run():
        if undone.what == "kept":
            stays.append(undone.reason)
        yield undone
    if rollback.overtaken:
        names = ", ".join(rollback.overtaken)
        raise IngestError(f"job {job.id}: another import changed {names} meanwhile; roll back again once it has ended")
    reason = f"{len(stays)} updated tests stay: {stays[0]}" if stays else "rolled back by a user"
    jobs.finish(job, "rolled_back", reason, seconds=0.0)


def _refuse_if_built_on(job: ImportJob) -> None:
    later = visible(TestResult).filter(__raw__={"former.import_job": job.id}).first()
    if later is not None:
        by = f"job {later.import_job}" if later.import_job else "an import without a job"
        raise IngestError(
            f"job {job.id}: {by} has updated test {later.id} ({later.name}) since; roll that one back first"
        )
    labelled = visible(TestResult).filter(created_in=job.id, labelled__import_job__ne=job.id, labelled__0__exists=True)
    if (first := labelled.first()) is not None:
        raise IngestError(
            f"job {job.id}: job {first.labelled[-1].import_job} has added labels to test {first.id} ({first.name}) "
            "since; roll that one back first"
        )
    edited = visible(TestResult).filter(created_in=job.id, edited_at__ne=None).first()
    if edited is not None:
        raise IngestError(
            f"job {job.id}: a person has changed test {edited.id} ({edited.name}) since it was imported; "
            "delete that test first if it is to go, or leave the job as it is"
        )


class _Rollback:
    def __init__(self, store: Store, settings: Settings, job: ImportJob) -> None:
        self._store = store
        self._settings = settings
        self._job = job
        self.overtaken: list[str] = []
        """Names of tests that another process changed while they were restored."""

    def run(self) -> Iterator[Undone]:
        touched: set[ObjectId] = set()
        cells: set[str] = set()
        identities = list(visible(TestResult).filter(import_job=self._job.id).scalar("id"))
        with open_spool(self._settings.data_dir) as spool, ReaderPool(1, self._settings.mappings) as pool:
            for identity in identities:
                test = by_id(TestResult, identity)
                touched.add(test.sample.id)
                cells.add(test.cell_code)
                try:
                    yield self._undo(test, spool, pool)
                except ConflictError:
                    self.overtaken.append(test.name)
        yield from self._read_again()
        labels.take_back(self._job.id)
        self._remove_what_is_left()
        samples.refresh_aggregates(touched)
        datasets.refresh(self._store, cells)
        datasets.forget_cells_without_tests(self._store, cells)
        self._remove_samples()

    def _read_again(self) -> Iterator[Undone]:
        """Name the tests that the job only read again: they stay, as tests of the jobs that brought their bytes."""
        if self._job.kind != "reprocess":
            return
        read = visible(ImportedFile).filter(job=self._job.id, outcome="updated").scalar("test_result")
        for test in visible(TestResult).filter(id__in=list(read)).only("id", "name", "sample_name"):
            yield Undone(test.id, test.name, test.sample_name, "kept", _READ_AGAIN)

    def _undo(self, test: TestResult, spool: Spool, pool: ReaderPool) -> Undone:
        if test.created_in == self._job.id:
            removal.delete_test(self._store, test.id, self._job.id, refresh=False)
            return Undone(test.id, test.name, test.sample_name, "removed")
        if not test.former:
            reason = "what it was before is no longer known"
            return Undone(test.id, test.name, test.sample_name, "kept", reason)
        try:
            self._restore(test, test.former[-1], spool, pool)
        except (SpoolError, ReaderLimitError):  # says nothing about what is kept
            raise
        except (ArchiveError, IngestError, ReadError) as exc:
            return Undone(test.id, test.name, test.sample_name, "kept", str(exc))
        return Undone(test.id, test.name, test.sample_name, "restored")

    def _restore(self, test: TestResult, state: FormerState, spool: Spool, pool: ReaderPool) -> None:
        """Read the bytes of a former state again and store that as the next revision."""
        raws = [by_id(RawDataFile, part.raw_file) for part in test.raw_files]
        wanted = [(raw, sha256) for sha256 in state.digests for raw in raws if _has(raw, sha256)]
        if len(wanted) < len(state.digests):
            raise IngestError(f"{test.name}: its former bytes are not kept")
        with spooled_parts(self._store, spool, test, wanted) as spooled:
            paths = [each.path for each in spooled]
            reading = pool.submit_parts(paths, spooled[0].parcel, test.name, test.time_zone or "UTC")
            parcel = reading.result()
            undone: set[str] = set()
            for raw, sha256 in wanted:
                undone |= raw_files.forget_later_versions(self._store, raw, sha256)
            known = {part.raw_file: part for part in test.raw_files}
            parts = tuple(
                PartRead(raw.id, raw.filename, sha256, known[raw.id].number, known[raw.id].span)
                for raw, sha256 in wanted
            )
            source = Source(test.id, parts, test.companions, undone=frozenset(undone))
            belonging = Belonging(test.sample, test.cell_code, test.sample_rule, test.ruled_sample)
            save_test(self._store, parcel, source, belonging, Labels(), back_to=state)
        removal.delete_raw_files(self._store, [raw.id for raw in raws if raw.import_job == self._job.id])

    def _remove_what_is_left(self) -> None:
        """Remove files that the job kept but could not read, and paths at which only it saw a file."""
        made = list(visible(RawDataFile).filter(import_job=self._job.id).scalar("id"))
        removal.delete_raw_files(self._store, made)
        attachments.delete_waiting(self._store, self._job.id)
        for seen in visible(ImportedFile).filter(job=self._job.id, outcome="duplicate"):
            others = visible(ImportedFile).filter(job__ne=self._job.id, path=seen.path, raw_file=seen.raw_file)
            if others.first() is None:
                raw_files.forget_source(seen.raw_file, seen.path)

    def _remove_samples(self) -> None:
        """Remove samples that the job made, where nobody has added anything since."""
        for sample in visible(Sample).filter(created_in=self._job.id):
            if sample.updated_at == sample.created_at and removal.why_kept(sample) is None:
                sample.delete()


def _has(raw: RawDataFile, sha256: str) -> bool:
    return any(version.sha256 == sha256 and version.extent for version in raw.versions)
