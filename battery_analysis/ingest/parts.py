"""Which files are parts of one run: workbooks that a tester splits, techniques of one sequence, continued exports.

A name or a header only suggests that files belong together. They are joined where nothing speaks against it: a later
part must not begin before an earlier one ends, by record number, by the tester's clock or by the wall clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from battery_analysis import columns
from battery_analysis.models import PartSpan, TestResult
from battery_analysis.readers.base import TestMetadata
from battery_analysis.store.parcel import Parcel

_WORKBOOK = re.compile(r"(?P<run>.+)_Wb_(?P<number>\d+)(?P<suffix>\.\w+(\.gz)?)", re.IGNORECASE)
"""How Arbin names the workbooks of one test."""

_TECHNIQUE = re.compile(r"(?P<run>.+)_(?P<number>\d{2})_[A-Za-z0-9]+(?P<suffix>_C[A-Z]?\d+\.\w+)")
"""How EC-Lab names the files of one sequence: place in it, technique, channel."""

_NAMED = {"Arbin": _WORKBOOK, "BioLogic": _TECHNIQUE}


@dataclass(frozen=True)
class Part:
    """A place in a run: parts of one run share ``run`` and are in the order of ``number``."""

    run: str
    number: int
    span: PartSpan


def part_of(source: str, parcel: Parcel) -> Part | None:
    """Return which part of which run a file is, or None where its name and header do not say.

    Args:
        source: Where the file lies; runs never reach over folders.
        parcel: What was read of it.
    """
    metadata, span = parcel.metadata, span_of(parcel)
    if metadata.tester == "Maccor":
        # An export that goes on begins with the record after the last of the one before, under any name.
        if span.first_record is None or metadata.started_at is None or metadata.test_name is None:
            return None
        place = PurePath(source)
        facts = (metadata.test_name, metadata.protocol, metadata.channel, metadata.started_at.isoformat(), place.suffix)
        return Part(f"{place.parent}|{'|'.join(fact or '' for fact in facts)}", int(span.first_record), span)
    named = named_run(source, metadata.tester)
    return Part(*named, span) if named else None


def named_run(source: str, tester: str) -> tuple[str, int] | None:
    """Return the run that the name of a file speaks of, and its place in it.

    >>> named_run("/lab/AB12_02_GCPL_C01.mpr", "BioLogic")
    ('/lab/AB12_c01.mpr', 2)
    """
    place, pattern = PurePath(source), _NAMED.get(tester)
    found = pattern.fullmatch(place.name) if pattern else None
    if found is None:
        return None
    return str(place.with_name(f"{found['run']}{found['suffix'].lower()}")), int(found["number"])


def span_of(parcel: Parcel) -> PartSpan:
    """Return the first and last record, time and moment of a part, as far as its columns and its header say."""

    def ends(column: columns.Column) -> tuple[float | None, float | None]:
        found = parcel.columns.get(column.name)
        return (found.minimum, found.maximum) if found else (None, None)

    record, clock, unix = (ends(each) for each in (columns.RECORD_INDEX, columns.TEST_TIME, columns.UNIX_TIME))
    if unix == (None, None) and (started := parcel.metadata.started_at):
        unix = (started.timestamp(), started.timestamp())
    return PartSpan(
        first_record=record[0],
        last_record=record[1],
        first_time_second=clock[0],
        last_time_second=clock[1],
        first_unix_second=unix[0],
        last_unix_second=unix[1],
        started_at=parcel.metadata.started_at,
    )


def joins(part: Part, metadata: TestMetadata, test: TestResult) -> bool:
    """Say whether nothing speaks against a part belonging to the run of a test."""
    for said, stored in ((metadata.channel, test.channel), (metadata.device, test.device)):
        if said and stored and said != stored:
            return False
    known = [(each.number, each.span) for each in test.raw_files if each.span is not None]
    if part.number in (number for number, _ in known):
        return False
    ordered = [span for _, span in sorted([*known, (part.number, part.span)], key=lambda each: each[0])]
    return all(_follows(earlier, later) for earlier, later in pairwise(ordered))


def _follows(earlier: PartSpan, later: PartSpan) -> bool:
    """Say whether a part may come after another: never by the wall clock before it, and by some count after it."""
    moments = (earlier.last_unix_second, later.first_unix_second)
    if None not in moments and moments[1] < moments[0]:
        return False
    own = [
        start > end if strictly else start >= end
        for end, start, strictly in (
            (earlier.last_record, later.first_record, True),
            (earlier.last_time_second, later.first_time_second, False),
        )
        if end is not None and start is not None
    ]
    # A technique whose clock and records begin anew has only the wall clock to say so.
    return not own or any(own) or (None not in moments and moments[1] > moments[0])
