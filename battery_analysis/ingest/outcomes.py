"""What became of a file, in the words of its job."""

from __future__ import annotations

from battery_analysis.errors import BatteryAnalysisError
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.job import Outcome, OutcomeName
from battery_analysis.ingest.known import Known
from battery_analysis.models import TestResult
from battery_analysis.store.raw_files import Arrival, Holding


def failed(arrival: Arrival, error: BatteryAnalysisError, holding: Holding | None) -> Outcome:
    """Return the outcome of a file that could not be imported, with what was kept of it."""
    reason, reader = getattr(error, "reason", str(error)), getattr(error, "reader", None)
    raw_id = holding.id if holding else None
    return Outcome(
        arrival.source, "failed", reason, sha256=arrival.sha256, size=arrival.size, reader=reader, raw_id=raw_id
    )


def stored(
    arrival: Arrival, outcome: OutcomeName, test: TestResult, holding: Holding, reason: str | None = None
) -> Outcome:
    """Return the outcome of a file that belongs to a test now."""
    return Outcome(
        arrival.source,
        outcome,
        reason,
        sha256=arrival.sha256,
        size=arrival.size,
        test_id=test.id,
        raw_id=holding.id,
        sample=test.sample_name,
        reader=test.reader,
        records=test.record_count,
        cycles=test.cycle_count,
    )


def as_known(candidate: Candidate, known: Known) -> Outcome:
    """Return the outcome of a file that was not looked at, because it is stored as it is."""
    return Outcome(
        candidate.source,
        "unchanged",
        sha256=known.sha256,
        size=candidate.size,
        test_id=known.test_id,
        raw_id=known.raw_id,
        sample=known.sample,
        reader=known.reader,
        records=known.records,
        cycles=known.cycles,
    )
