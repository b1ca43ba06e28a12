"""Tests: written last, in one atomic step, after everything they name.

A crash before that step leaves the old test, or none; what it had written is garbage. An
update is a compare-and-swap on the revision, and never touches what people set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bson import ObjectId
from bson.errors import BSONError
from mongoengine import NotUniqueError
from pymongo.database import Database
from pymongo.errors import DocumentTooLarge
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from battery_analysis.errors import ConflictError, InvalidDocumentError
from battery_analysis.models import (
    BlockRef,
    FormerState,
    HeaderLine,
    RawDataFile,
    Sample,
    SegmentRef,
    TestResult,
    checked,
    now,
)
from battery_analysis.store import columnar, datasets, flags, frames, history
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store
from battery_analysis.store.parcel import Parcel
from battery_analysis.store.provenance import Source, former_after, parts_after, refuse_the_past, runs_after
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.seen import cycles_of, own_flags, seen_by, tells
from battery_analysis.store.words import refresh_words, search_words

Written = Literal["created", "updated"]

# What people set, and what ties the test to its past: an update leaves it as it is.
_KEPT_ON_UPDATE = frozenset(
    {
        "_id",
        "created_at",
        "created_by",
        "tags",
        "notes_log",
        "metadata",
        "labelled",
        "sample",
        "sample_name",
        "sample_rule",
        "ruled_sample",
        "cell_code",
        "chemistry",
        "project",
        "cell_type",
        "created_in",
        "edited_at",
    }
)


@dataclass(frozen=True)
class Belonging:
    """To which sample and cell a test belongs, and which rule said so."""

    sample: Sample
    cell_code: str
    rule: str
    ruled_sample: str


def save_test(
    store: Store,
    parcel: Parcel,
    source: Source,
    belonging: Belonging,
    labels: Labels,
    *,
    again: bool = False,
    back_to: FormerState | None = None,
) -> tuple[TestResult, Written]:
    """Store a read test, new or as the next revision.

    Bytes that the test was read from already are stored once more only if ``again`` says so, or as
    the state ``back_to`` which the test returns to.

    Raises:
        ConflictError: Another process stored or changed this test meanwhile; nothing was changed here.
        InvalidDocumentError: The facts do not fit the document.
    """
    current: TestResult | None = visible(TestResult).filter(id=source.test_id).first()
    if source.revision is not None and (current is None or current.revision != source.revision):
        raise ConflictError(f"test {source.test_id} was changed by another process meanwhile")
    if current is not None:
        refuse_the_past(current, source, again=again or back_to is not None, back=back_to is not None)
    sample = current.sample if current else belonging.sample
    with _dropped_if_refused(store.database, current) as written:
        facts = _facts(store.database, parcel, current, sample, written)
        test = TestResult(
            id=source.test_id,
            sample=sample,
            sample_name=sample.name,
            sample_rule=belonging.rule,
            ruled_sample=belonging.ruled_sample,
            chemistry=sample.chemistry,
            project=sample.project,
            cell_type=sample.cell_type,
            cell_code=belonging.cell_code,
            name=source.parts[0].filename,
            tags=list(labels.tags),
            metadata=dict(labels.metadata),
            sha256=source.sha256,
            revision=current.revision + 1 if current else 1,
            raw_files=parts_after(current, source),
            runs=runs_after(current, source),
            run_claim=current.run_claim if current else source.run_claim,
            companions=list(source.companions),
            import_job=back_to.import_job if back_to else labels.import_job,
            created_in=labels.import_job,
            former=former_after(current, labels.import_job, back_to),
            **facts,
        )
        test.operator = labels.operator or test.operator or (current.operator if current else None)
        test.device = test.device or labels.device or (current.device if current else None)
        # Until the new ones are known, an update keeps all former words: those of tags, notes and cell code stay.
        test.words = sorted({*search_words(test), *(current.words if current else ())})
        checked(test)
        if current is None:
            _insert(test)
        else:
            _replace(test, current)
    if test.quality_flags or (current is not None and current.quality_flags):
        flags.follow(test)
    if current is None:
        _follow_if_edited(store, sample, test)
    else:
        refresh_words(test.id)
    return test, "updated" if current else "created"


def _follow_if_edited(store: Store, sample: Sample, test: TestResult) -> None:
    """Catch up where a person edited the sample between reading it and storing its test."""
    now_stored = visible(Sample).filter(id=sample.id).first()
    if now_stored is not None and now_stored.updated_at != sample.updated_at:
        _follow(store, now_stored, test.id)


@dataclass
class _Written:
    """Ids of what was written for a test so far."""

    segments: list[SegmentRef]
    blocks: list[BlockRef]
    overview: ObjectId | None = None


@contextmanager
def _dropped_if_refused(database: Database[dict[str, Any]], current: TestResult | None) -> Iterator[_Written]:
    """Remove what was written if it is certain that no test names it, except what the current revision shares.

    After any other error, such as a connection that broke before the reply came, the test may be stored:
    then what was written stays, and is garbage at worst.
    """
    written = _Written([], [])
    try:
        try:
            yield written
        except (BSONError, DocumentTooLarge, OverflowError, UnicodeError) as exc:
            raise InvalidDocumentError(f"what the file says cannot be stored: {exc}") from exc
    except (ConflictError, InvalidDocumentError):
        shared = {segment.id for segment in (current.segments if current else [])}
        frames.drop(database, frames.SEGMENTS, [each.id for each in written.segments if each.id not in shared])
        frames.drop(database, frames.CYCLE_BLOCKS, [block.id for block in written.blocks])
        frames.drop(database, frames.OVERVIEWS, [written.overview] if written.overview else [])
        raise


def _facts(
    database: Database[dict[str, Any]],
    parcel: Parcel,
    current: TestResult | None,
    sample: Sample,
    written: _Written,
) -> dict[str, Any]:
    """Write what the test will name and return its fields that come from the file."""
    for segment in frames.write_segments(database, parcel, current.segments if current else ()):
        written.segments.append(segment)
    summary: dict[str, Any] = {**asdict(parcel.summary), "efficiency_convention": parcel.efficiency_convention}
    summary["quality_flags"] = own_flags(parcel)
    runs: Iterable[columnar.Encoded] = (columnar.Encoded(**item) for item in parcel.items("cycles"))
    if tells(sample):
        cycles, by_sample = seen_by(sample, cycles_of(parcel), summary["quality_flags"], parcel.metadata)
        summary |= by_sample
        runs = columnar.encode(cycles, together=True)
    for block in frames.write_cycles(database, runs):
        written.blocks.append(block)
    written.overview = frames.write_overview(database, parcel)

    metadata = parcel.metadata
    return {
        **summary,
        "tester": metadata.tester,
        "device": metadata.device,
        "channel": metadata.channel,
        "test_type": metadata.test_type,
        "technique": metadata.technique,
        "protocol": metadata.protocol,
        "operator": metadata.operator,
        "comment": metadata.comment,
        "software": metadata.software,
        "started_at": metadata.started_at,
        "ended_at": metadata.ended_at,
        "time_zone": metadata.time_zone,
        "finished": metadata.finished,
        "continuation": metadata.continuation,
        "voltage_limits_volt": list(metadata.voltage_limits_volt or ()),
        "nominal_capacity_ah": metadata.nominal_capacity_ah,
        "active_mass_gram": metadata.active_mass_gram,
        "temperature_celsius": parcel.temperature_celsius,
        "record_count": parcel.record_count,
        "cycle_method": parcel.cycle_method,
        "gap_cycles": parcel.gap_cycles,
        "warnings": parcel.warnings,
        "columns": _column_facts(parcel),
        "header": [HeaderLine(key=key, value=value) for key, value in metadata.header.items()],
        "lead_bytes": parcel.lead_bytes,
        "reader": parcel.reader,
        "reader_version": parcel.reader_version,
        "segments": written.segments,
        "cycle_blocks": written.blocks,
        "overview": written.overview,
    }


def _column_facts(parcel: Parcel) -> dict[str, dict[str, Any]]:
    sources = parcel.metadata.sources
    facts = {}
    for name, span in parcel.columns.items():
        facts[name] = {"dtype": span.dtype, "minimum": span.minimum, "maximum": span.maximum}
        if name in sources:
            facts[name] |= {"source": sources[name].name, "unit": sources[name].unit}
    return facts


def _insert(test: TestResult) -> None:
    try:
        test.save(force_insert=True, validate=False)
    except NotUniqueError as exc:
        raise ConflictError(f"test {test.id} was stored by another process meanwhile") from exc


def _replace(test: TestResult, current: TestResult) -> None:
    test.updated_at = now()
    fields = {name: value for name, value in test.to_mongo().items() if name not in _KEPT_ON_UPDATE}
    # What the new bytes do not say is empty again, not what older bytes said.
    gone = [name for name in TestResult._fields if name not in fields and name not in {*_KEPT_ON_UPDATE, "id"}]
    _swap(current, fields, gone)


def _swap(current: TestResult, fields: dict[str, Any], gone: Sequence[str] = ()) -> None:
    """Set fields of a test, and empty others, if it is still at the revision that was read."""
    update: dict[str, Any] = {"$set": {**fields, "revision": current.revision + 1}}
    if gone:
        update["$unset"] = dict.fromkeys(gone, "")
    changed = TestResult._get_collection().update_one({"_id": current.id, "revision": current.revision}, update)
    if not changed.matched_count:
        raise ConflictError(f"test {current.id} was changed by another process at revision {current.revision}")


def follow_sample(store: Store, sample: Sample) -> int:
    """Bring what the tests of a sample copy from it up to date and return how many tests there are.

    The sample's ``cell_type`` decides which efficiency is shown, its nominal capacity the C-rates:
    where they change, the test gets its next revision.

    Raises:
        ConflictError: An importer changed a test again and again meanwhile.
    """
    rows = list(visible(TestResult).filter(sample=sample.id).scalar("id", "cell_code"))
    for identity, _ in rows:
        _follow(store, sample, identity)
    datasets.refresh(store, {code for _, code in rows})
    return len(rows)


def move(
    store: Store,
    test_id: str | ObjectId,
    sample: Sample,
    cell_code: str,
    author: str | None = None,
    *,
    seen: str | None = None,
) -> TestResult:
    """Give a test to another sample; importers leave it there and still find it when its file grows.

    The datasets of both cells follow. If whoever moves it says which sample was ``seen``, a test that somebody else
    has given to a third one since stays there.

    Raises:
        NotFoundError: No such test.
        ConflictError: Its sample is not the one ``seen``, or an importer changed the test again and again meanwhile.
    """
    by_hand = {"sample": sample.id, "cell_code": cell_code, "sample_rule": "by hand", "edited_at": now()}
    before = _follow(store, sample, by_id(TestResult, test_id).id, by_hand, seen)
    RawDataFile.objects(test_result=ObjectId(test_id)).update(set__sample=sample.id)
    history.record(ObjectId(test_id), before, {"sample": sample.name, "cell_code": cell_code}, author)
    datasets.refresh(store, {before["cell_code"], cell_code})
    return by_id(TestResult, test_id)


@retry(retry=retry_if_exception_type(ConflictError), stop=stop_after_attempt(5), reraise=True)
def _follow(
    store: Store,
    sample: Sample,
    test_id: ObjectId,
    by_hand: Mapping[str, Any] | None = None,
    seen: str | None = None,
) -> dict[str, str]:
    """Write what a test copies from its sample, and return the names of sample and cell that it had."""
    test = by_id(TestResult, test_id)
    before = {"sample": test.sample_name, "cell_code": test.cell_code}
    if seen is not None:  # in every attempt: the last one may have failed because somebody moved the test
        held, wanted = {"sample": test.sample_name}, {"sample": sample.name}
        history.refuse_changed(f"test {test.name}", held, wanted, {"sample": seen})
    test.sample_name = sample.name
    test.cell_code = by_hand["cell_code"] if by_hand else test.cell_code
    copied = {name: getattr(sample, name) for name in ("chemistry", "project", "cell_type")}
    words = {"sample_name": sample.name, "words": search_words(test), "updated_at": now()}
    fields = {**copied, **words, **(by_hand or {})}
    if test.cycle_blocks:
        cycles, by_sample = seen_by(sample, frames.cycle_table(store, test), test.quality_flags, test)
        fields |= by_sample
        if by_sample["efficiency_convention"] != test.efficiency_convention:
            blocks = frames.write_cycles(store.database, columnar.encode(cycles, together=True))
            fields["cycle_blocks"] = [block.to_mongo() for block in blocks]
    _swap(test, fields)
    refresh_words(test_id)
    return before
