"""What an import would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from battery_analysis.errors import IngestError, ReadError, UnknownFormatError
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.import_rules import ImportRules
from battery_analysis.ingest.importer import ImportOptions
from battery_analysis.ingest.job import Outcome, OutcomeName
from battery_analysis.ingest.reader_pool import Readers, open_readers
from battery_analysis.ingest.recognise import Recognised, recognise
from battery_analysis.ingest.sample_rules import Decision
from battery_analysis.ingest.spool import Spool, Spooled, open_spool
from battery_analysis.ingest.threads import in_threads
from battery_analysis.store import Store, columnar, raw_files
from battery_analysis.store.parcel import Parcel

FIRST_CYCLES = 3


@dataclass(frozen=True)
class Preview:
    """What an import would take a file for, and what its reader found in it."""

    path: str
    relative: str
    decision: Decision | None
    reader: str | None
    problem: str | None = None
    tester: str | None = None
    started_at: datetime | None = None
    records: int | None = None
    cycles: int | None = None
    first_cycles: Sequence[Mapping[str, Any]] = ()
    """Rows of the cycle table, at most ``FIRST_CYCLES``."""
    warnings: Sequence[str] = ()


def preview_files(options: ImportOptions, candidates: Iterable[Candidate]) -> Iterator[Preview]:
    """Read files and yield to which sample each would go and why; nothing is stored."""
    rules = ImportRules(options.import_rules, options.labels, options.time_zone)
    readers = open_readers(options.workers, options.mappings, options.scheduler)
    with readers as pool, open_spool(options.data_dir) as spool:
        yield from in_threads(
            lambda candidate: preview_file(options, rules, candidate, spool, pool), candidates, options.workers
        )


def preview_file(
    options: ImportOptions, rules: ImportRules, candidate: Candidate, spool: Spool, pool: Readers
) -> Preview:
    """Read one file and say to which sample it would go and why."""
    seen = Preview(candidate.source, str(candidate.relative), None, None)
    try:
        with _copied(candidate, spool, options) as (spooled, found):
            said = rules.of(candidate, found.reader.tester if found.reader else None)
            parcel = pool.submit(spooled.path, spooled.parcel, candidate.source, said.time_zone).result()
            seen = replace(seen, **_found_by(parcel))
        decision = options.rules.decide(candidate, parcel.metadata, said.sample_patterns)
        return replace(seen, decision=decision)
    except (ReadError, IngestError) as exc:
        return replace(seen, problem=getattr(exc, "reason", str(exc)))


def _found_by(parcel: Parcel) -> dict[str, Any]:
    block = next(parcel.items("cycles"), None)
    first = columnar.decode(block["columns"]).head(FIRST_CYCLES).to_dicts() if block else []
    return {
        "reader": parcel.reader,
        "tester": parcel.metadata.tester,
        "started_at": parcel.metadata.started_at,
        "records": parcel.record_count,
        "cycles": parcel.summary.cycle_count,
        "first_cycles": first,
        "warnings": parcel.warnings,
    }


def plan_files(store: Store, options: ImportOptions, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
    """Yield what an import would do with each file, from its bytes alone; nothing is read or stored."""
    with open_spool(options.data_dir) as spool:
        for candidate in candidates:
            try:
                with _copied(candidate, spool, options) as (spooled, _):
                    yield _planned(candidate, spooled, options)
            except UnknownFormatError as exc:
                yield Outcome(candidate.source, "skipped", exc.reason)
            except ReadError as exc:
                yield Outcome(candidate.source, "failed", exc.reason)


@contextmanager
def _copied(candidate: Candidate, spool: Spool, options: ImportOptions) -> Iterator[tuple[Spooled, Recognised]]:
    """Yield the copy of a file with records, and what it is."""
    with spool.bring(candidate) as here:
        found = recognise(here, options.mappings)
        if found.damage is not None:
            raise found.damage
        if found.beside is not None:
            raise UnknownFormatError(here.source, f"{found.beside.title}, to be attached to the tests it belongs to")
        with spool.copy(here.path, found.companions) as spooled:
            yield spooled, found


def _planned(candidate: Candidate, spooled: Spooled, options: ImportOptions) -> Outcome:
    past = raw_files.look_up(spooled.sha256, candidate.source)
    stored = raw_files.tests_of(past.holdings)
    outcome: OutcomeName = "created"
    test = stored.get(past.owner.test_id) if past.owner else None
    if past.owner is not None and test is not None and raw_files.names(test, spooled.sha256):
        same_path = candidate.source in past.owner.seen_at
        is_read_again = (options.reset and same_path) or (spooled.companions and not test.companions)
        outcome = "updated" if is_read_again else "unchanged" if same_path else "duplicate"
    elif any(holding.test_id in stored for holding in past.seen_here):
        outcome = "updated"
    return Outcome(candidate.source, outcome, sha256=spooled.sha256, size=spooled.size)
