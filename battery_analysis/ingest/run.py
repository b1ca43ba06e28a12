"""One import from beginning to end, as a job that can be watched and resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, cast

from bson import ObjectId
from mongoengine import ValidationError
from pymongo.errors import PyMongoError

from battery_analysis.errors import BatteryAnalysisError, IngestError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest.discover import Candidate, Selection, stored_text
from battery_analysis.ingest.importer import ImportOptions, candidates_of, import_files
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.retrying import patiently
from battery_analysis.ingest.sample_rules import rules_from
from battery_analysis.ingest.sources import is_address, stored_root
from battery_analysis.models import ImportJob, RawDataFile, Sample
from battery_analysis.settings import Settings
from battery_analysis.store import Store, datasets, samples
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.retention import Policy

RECORDED_AT_ONCE = 1000
RECORDED_WITHIN_SECONDS = 0.5


@dataclass(frozen=True)
class ImportRequest:
    """What a user asks for, in plain values: what a job keeps, so that it can be resumed."""

    root: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    depth: int | None = None
    workers: int | None = None
    scheduler: str | None = None
    sample: str | None = None
    sample_map: str | None = None
    sample_lookup: bool = False
    archive: bool = True
    reset: bool = False
    checksum: bool = False
    retries: int | None = None
    tags: Sequence[str] = ()
    operator: str | None = None
    device: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def options(self, settings: Settings, job: ObjectId | None = None) -> ImportOptions:
        """Return the options with everything that settings and files add.

        Raises:
            IngestError: The sample map cannot be read, or a sample, tag or key could not be stored.
            ClusterError: The scheduler that it names cannot be used.
        """
        self._refuse_what_cannot_be_stored()
        return ImportOptions(
            root=self.root if is_address(self.root) else Path(self.root),
            rules=rules_from(
                settings,
                fixed=self.sample.strip() if self.sample else None,
                sample_map=Path(self.sample_map) if self.sample_map else None,
                header_only=self.sample_lookup,
            ),
            data_dir=settings.data_dir,
            selection=Selection(
                include=[*settings.include, *self.include],
                exclude=[*settings.exclude, *self.exclude],
                depth=self.depth if self.depth is not None else settings.depth,
            ),
            labels=Labels(self.tags, self.operator, self.device, self.metadata, import_job=job),
            import_rules=settings.rules,
            workers=self.workers or files_at_once(settings, self.scheduler),
            scheduler=self.scheduler,
            time_zone=settings.time_zone,
            mappings=settings.mappings,
            archive=self.archive,
            reset=self.reset,
            checksum=self.checksum,
            keep_versions=cast(Policy, settings.keep_versions),
            retries=settings.retries if self.retries is None else self.retries,
        )

    def _refuse_what_cannot_be_stored(self) -> None:
        for name, field_, value in (
            ("sample", Sample.name, None if self.sample is None else self.sample.strip()),
            ("tags", RawDataFile.tags, list(self.tags)),
            ("metadata", RawDataFile.metadata, dict(self.metadata)),
        ):
            try:
                if value is not None:
                    field_.validate(value)
            except ValidationError as exc:
                raise IngestError(f"{name}: {exc.message or exc}, got {value!r}") from exc
        if blank := [name for name in ("include", "exclude", "tags") if not all(getattr(self, name))]:
            raise IngestError(f"{blank[0]}: a text that is not empty is wanted")


@dataclass(frozen=True)
class JobRun:
    """An import under way: iterate over it for the outcomes."""

    store: Store
    job: ImportJob
    options: ImportOptions
    candidates: Sequence[Candidate]
    stopping: Event = field(default_factory=Event)

    command: ClassVar[str] = "import"

    @property
    def total(self) -> int:
        """How many files it looks at."""
        return len(self.candidates)

    def stop(self) -> None:
        """Finish the files in hand and begin no other; the job can be resumed."""
        self.stopping.set()

    def __iter__(self) -> Iterator[Outcome]:
        began = time.monotonic()
        ending: tuple[str, str | None] = ("interrupted", "the importing process ended")
        patient = patiently(self.options.retries)
        try:
            with jobs.beating(self.job, self.stopping), self._recording() as record:
                for outcome in self._outcomes():
                    record(outcome)
                    yield outcome
                patient(samples.refresh_left_behind)
                patient(datasets.refresh_left_behind, self.store)
            ending = patient(jobs.ending, self.job, stopped=self.stopping.is_set())
        except (BatteryAnalysisError, PyMongoError) as exc:
            ending = ("failed", str(exc))
            patient = patiently(0)  # what ended the import was waited for already
            raise
        finally:
            patient(jobs.finish, self.job, *ending, seconds=time.monotonic() - began)

    def _outcomes(self) -> Iterator[Outcome]:
        return import_files(self.store, self.options, self.candidates, self.stopping)

    @contextmanager
    def _recording(self) -> Iterator[Callable[[Outcome], None]]:
        """Record outcomes a few at a time; tests say themselves which job wrote them, should a crash come between."""
        waiting: list[Outcome] = []
        last = time.monotonic()

        def write() -> None:
            nonlocal last
            patiently(self.options.retries)(jobs.record, self.job, waiting)
            waiting.clear()
            last = time.monotonic()

        def record(outcome: Outcome) -> None:
            waiting.append(outcome)
            if len(waiting) >= RECORDED_AT_ONCE or time.monotonic() - last >= RECORDED_WITHIN_SECONDS:
                write()

        try:
            yield record
        except BaseException:  # what ends the import is said at once, even if the database is what ended it
            with suppress(PyMongoError):
                jobs.record(self.job, waiting)
            raise
        write()


def begin(store: Store, settings: Settings, request: ImportRequest) -> JobRun:
    """Open a job for what a user asks for.

    Raises:
        IngestError: The root does not exist, or the sample map cannot be read.
    """
    options = request.options(settings)
    candidates = candidates_of(options)
    kept = asdict(request) | {"root": _storable(request.root), "sample_map": _storable(request.sample_map)}
    job = jobs.start(stored_root(options.root), kept)
    patiently(options.retries)(jobs.set_total, job, len(candidates))
    return JobRun(store, job, request.options(settings, job.id), candidates)


def resume(store: Store, settings: Settings, job_id: str, root: Path | None = None) -> JobRun:
    """Go on with a job that was interrupted or has failures; failed files are tried again.

    Raises:
        NotFoundError: No such job.
        IngestError: It is still running, nothing is left to do, its root is gone, or it is not ``root``.
    """
    job = jobs.resumable(job_id)
    if root is not None and stored_root(root) != job.root:
        raise IngestError(f"job {job.id} imports {job.root}, not {stored_root(root)}")
    request = request_of(job)
    options = request.options(settings, job.id)
    settled = jobs.settled_paths(job)
    candidates = candidates_of(options, settled)
    jobs.reopen(job)
    jobs.set_total(job, len(candidates) + len(settled))
    return JobRun(store, job, options, candidates)


def request_of(job: ImportJob) -> ImportRequest:
    """Return what a user asked for when a job was opened, of a watcher what it does with each file."""
    known = {each.name: job.options[each.name] for each in fields(ImportRequest) if each.name in job.options}
    paths = {name: _path_text(known.get(name)) for name in ("root", "sample_map")}
    return ImportRequest(**{**known, **paths})


def files_at_once(settings: Settings, scheduler: str | None) -> int:
    """Return how many files are read at once where nobody says: what processors, or the workers of a cluster, can do.

    Raises:
        ClusterError: The cluster cannot be used.
    """
    if scheduler is None:
        return settings.workers
    from battery_analysis.ingest.dask_pool import capacity

    return capacity(scheduler)


def _storable(path: str | None) -> str | dict[str, str] | None:
    """Keep a path whose bytes are no text as its bytes, in hexadecimal digits."""
    return path if path is None or stored_text(path) == path else {"bytes": os.fsencode(path).hex()}


def _path_text(stored: str | Mapping[str, str] | None) -> str | None:
    return os.fsdecode(bytes.fromhex(stored["bytes"])) if isinstance(stored, Mapping) else stored


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a row of a report."""
    return {
        "path": outcome.path,
        "outcome": outcome.outcome,
        "test_id": outcome.test_id,
        "sample": outcome.sample,
        "reader": outcome.reader,
        "records": outcome.records,
        "cycles": outcome.cycles,
        "seconds": outcome.seconds,
        "reason": outcome.reason,
        "changes": [asdict(change) for change in getattr(outcome, "changes", ())],
        "warnings": list(outcome.warnings),
    }
