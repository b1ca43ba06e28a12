"""From which bytes a test was read: its parts, their versions, and what it was before.

What is decided here keeps importers that work at once from putting an older state over a newer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bson import ObjectId

from battery_analysis.errors import ConflictError
from battery_analysis.models import FormerState, PartSpan, RawDataFile, RawPart, TestResult

KEPT_FORMER_STATES = 100


@dataclass(frozen=True)
class PartRead:
    """The version of a raw file that was read, and its place in a run of several files."""

    raw_file: ObjectId
    filename: str
    sha256: str
    number: int | None = None
    span: PartSpan | None = None


@dataclass(frozen=True)
class Source:
    """Which bytes a test was read from, part by part in order, and the attachments that were read along with them.

    ``undone`` are versions that are true no longer.
    """

    test_id: ObjectId
    parts: tuple[PartRead, ...]
    companions: Sequence[ObjectId] = ()
    run: str | None = None
    """What the files of its run have in common."""
    run_claim: str | None = None
    undone: frozenset[str] = frozenset()
    revision: int | None = None
    """The revision that was read on from, which must be the present one."""

    @property
    def sha256(self) -> str:
        """Digest of the last part."""
        return self.parts[-1].sha256


def refuse_the_past(current: TestResult, source: Source, *, again: bool, back: bool) -> None:
    """Raise ConflictError where these bytes are read already, or are not the newest of all parts of the test."""
    numbers = {None, *(part.number for part in source.parts)}
    if not back and (missing := [part.filename for part in current.raw_files if part.number not in numbers]):
        raise ConflictError(f"test {current.id}: {', '.join(missing)} was added by another process meanwhile")
    read = {version for part in current.raw_files for version in part.versions}
    if not again and all(part.sha256 in read for part in source.parts):
        raise ConflictError(f"test {current.id} was read from these bytes by another process meanwhile")
    identities = [part.raw_file for part in source.parts]
    newest = dict(RawDataFile.objects(id__in=identities).scalar("id", "sha256"))
    if late := [part.filename for part in source.parts if newest.get(part.raw_file) != part.sha256]:
        raise ConflictError(f"test {current.id}: a later version of {', '.join(late)} was stored meanwhile")


def runs_after(current: TestResult | None, source: Source) -> list[str]:
    """Return the runs to which the files of a test belong once ``source`` is stored."""
    known = list(current.runs) if current else []
    return known if source.run is None or source.run in known else [*known, source.run]


def add_run(test: TestResult, run: str) -> None:
    """Remember that the files of a test lie in another folder as well, where further parts may come."""
    if run not in test.runs:
        TestResult.objects(id=test.id).update(add_to_set__runs=run)


def parts_after(current: TestResult | None, source: Source) -> list[RawPart]:
    """Return the parts of a test once ``source`` is stored, each with the versions it was read from."""
    read = {part.raw_file: part.versions for part in (current.raw_files if current else [])}
    return [
        RawPart(
            raw_file=part.raw_file,
            filename=part.filename,
            versions=[
                *(each for each in read.get(part.raw_file, ()) if each not in {part.sha256, *source.undone}),
                part.sha256,
            ],
            number=part.number,
            span=part.span,
        )
        for part in source.parts
    ]


def former_after(current: TestResult | None, job: ObjectId | None, back_to: FormerState | None) -> list[FormerState]:
    """Return what the test was before each job that changed it, this one included."""
    if current is None:
        return []
    if back_to is not None:
        return [state for state in current.former if state.revision < back_to.revision]
    if current.import_job == job:
        return list(current.former)
    digests = [part.versions[-1] for part in current.raw_files]
    before = FormerState(digests=digests, revision=current.revision, import_job=current.import_job)
    return [*current.former, before][-KEPT_FORMER_STATES:]
