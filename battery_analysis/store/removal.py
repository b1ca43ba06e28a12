"""Take tests, samples and raw files away: first what people find, then what it named.

A crash on the way leaves garbage that nobody finds, never a test without its data.
"""

from __future__ import annotations

from collections.abc import Iterable

from bson import ObjectId

from battery_analysis.errors import ConflictError, InvalidDocumentError
from battery_analysis.models import RawDataFile, Sample, TestResult
from battery_analysis.models.sample import COMPONENTS
from battery_analysis.store import attachments, datasets, flags, frames, samples
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store

SHOWN = 3


def delete_test(
    store: Store, test_id: str | ObjectId, brought_by: ObjectId | None = None, *, refresh: bool = True
) -> tuple[TestResult, list[RawDataFile]]:
    """Remove a test with its data and the raw files that belong to no other, and return all of them.

    Raw files that another job than ``brought_by`` kept, if one is given, stay; then they were read by no one yet.
    What people attached to it goes over to its sample.
    Its sample and the dataset of its cell no longer count it, unless whoever removes several will ``refresh`` them.

    Raises:
        NotFoundError: No such test.
        ConflictError: An importer changed the test meanwhile.
    """
    test = by_id(TestResult, test_id)
    gone = TestResult._get_collection().delete_one({"_id": test.id, "revision": test.revision})
    if not gone.deleted_count:
        raise ConflictError(f"test {test.id} was changed by another process meanwhile; try again")
    frames.drop(store.database, frames.SEGMENTS, [segment.id for segment in test.segments])
    frames.drop(store.database, frames.CYCLE_BLOCKS, [block.id for block in test.cycle_blocks])
    frames.drop(store.database, frames.OVERVIEWS, [test.overview] if test.overview else [])
    attachments.detach(test.id)
    attachments.hand_over(store, test.id, test.sample.id)
    flags.forget(test.id)
    raws = delete_raw_files(store, [part.raw_file for part in test.raw_files], brought_by)
    if refresh:
        samples.refresh_aggregates([test.sample.id])
        datasets.refresh(store, [test.cell_code])
    return test, raws


def delete_raw_files(
    store: Store, identities: Iterable[ObjectId], brought_by: ObjectId | None = None
) -> list[RawDataFile]:
    """Remove the raw files among these that no test was read from, with their bytes, and return them."""
    removed = []
    for identity in identities:
        raw: RawDataFile | None = visible(RawDataFile).filter(id=identity).first()
        if raw is None or visible(TestResult).filter(raw_files__raw_file=identity).first() is not None:
            continue
        if brought_by not in (None, raw.import_job):
            RawDataFile.objects(id=identity).update(unset__sample=True)
            continue
        RawDataFile._get_collection().delete_one({"_id": identity})
        for version in raw.versions:
            if version.extent:
                store.archive.drop(version.extent)
        removed.append(raw)
    return removed


def delete_sample(name: str) -> Sample:
    """Remove a sample that nothing belongs to.

    Raises:
        NotFoundError: No sample has this name.
        InvalidDocumentError: It has tests, or is part of other samples.
    """
    sample = samples.by_name(name)
    if reason := why_kept(sample):
        raise InvalidDocumentError(f"Sample {name!r} {reason}; it is not deleted")
    sample.delete()
    return sample


def why_kept(sample: Sample) -> str | None:
    """Say what belongs to a sample, if anything does."""
    tests = visible(TestResult).filter(sample=sample.id)
    if count := tests.count():
        shown = ", ".join(str(test.id) for test in tests.only("id").limit(SHOWN))
        return f"has {count} {'test' if count == 1 else 'tests'} ({shown}{', …' if count > SHOWN else ''})"
    if attached := attachments.of_owners([sample.id]):
        return f"has {attached[0].name!r} attached to it"
    for role in ("parent", *COMPONENTS):
        other: Sample | None = visible(Sample).filter(**{role: sample.id}).only("name").first()
        if other is not None:
            return f"is the {role} of {other.name!r}"
    return None
