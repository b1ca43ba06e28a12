"""Any window of a test's records, thinned to what a plot of it needs, however long the test.

The whole of a test comes from its overview. Windows of few segments are read from the records. Of wider ones
only the segments at their ends are; those that lie inside are represented by their sketches (``store.sketches``),
which are written with the segments, and made from them at first sight where they are missing, as with tests of
older programs. Whichever way, smallest and largest value of a window are those of its records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from bson import ObjectId
from pymongo import UpdateOne

from battery_analysis.analysis.records import FloatArray
from battery_analysis.analysis.thinning import thin
from battery_analysis.columns import TEST_TIME
from battery_analysis.errors import NotFoundError
from battery_analysis.models import SegmentRef, TestResult
from battery_analysis.store import columnar, frames
from battery_analysis.store.connection import Store
from battery_analysis.store.sketches import SKETCHES, known, points_of, sketch_of

READ_WHOLE = 4
"""So many segments, of at most 131,072 records each, are read as they are."""

POINTS = 3000

Curve = tuple[FloatArray, FloatArray]
"""Places, in s of test time or as numbers of records, and the values there."""


def has_time(test: TestResult) -> bool:
    """Say whether the records of a test have a test time; spectra may have none."""
    facts = test.columns.get(TEST_TIME.name)
    return bool(facts) and facts.get("minimum") is not None


def load_window(
    store: Store,
    test: TestResult,
    names: Sequence[str],
    time: frames.Range = (None, None),
    points: int = POINTS,
) -> dict[str, Curve]:
    """Return columns of a test between two test times, both included, thinned to about ``points`` each.

    Of a test without test time places are numbers of records, from 0, and the window does not count.

    Raises:
        NotFoundError: The test has no such column of numbers.
        ArchiveError: A segment that the test names is missing.
    """
    absent = [name for name in names if not is_number(test, name)]
    if absent:
        raise NotFoundError(f"test {test.id} has no column of numbers {', '.join(absent)}")
    if not has_time(test):
        frame = frames.select(store, test, names, None, None).with_row_index("record")
        return {name: thin(*known(frame["record"], frame[name]), points) for name in names}
    found = _from_overview(store, test, names, points) if time == (None, None) else {}
    missing = [name for name in names if name not in found]
    return found | (_from_segments(store, test, missing, time, points) if missing else {})


def is_number(test: TestResult, name: str) -> bool:
    """Say whether a test has this column and numbers in it."""
    facts = test.columns.get(name)
    return bool(facts) and facts.get("minimum") is not None


def _from_overview(store: Store, test: TestResult, names: Sequence[str], points: int) -> dict[str, Curve]:
    overview = frames.overview_of(store, test)
    found: dict[str, Curve] = {}
    for name in names:
        signal = overview.filter(overview["signal"] == name)
        if signal.height:
            found[name] = thin(signal[TEST_TIME.name].to_numpy(), signal["value"].to_numpy(), points)
    return found


def _from_segments(
    store: Store, test: TestResult, names: Sequence[str], time: frames.Range, points: int
) -> dict[str, Curve]:
    segments = frames.segments_between(test, None, time)
    inside = [segment for segment in segments if _lies_in(segment, time)] if len(segments) > READ_WHOLE else []
    first = segments.index(inside[0]) if inside else len(segments)
    # Test time never runs backwards: what lies inside is one run.
    parts = [
        _records(store, segments[:first], names, time),
        _sketched(store, inside, names),
        _records(store, segments[first + len(inside) :], names, time),
    ]
    return {name: thin(*_joined([part[name] for part in parts if name in part]), points) for name in names}


def _lies_in(segment: SegmentRef, time: frames.Range) -> bool:
    first, last = time
    return (first is None or segment.first_time_second >= first) and (last is None or segment.last_time_second <= last)


def _joined(curves: Sequence[Curve]) -> Curve:
    if not curves:
        return np.empty(0), np.empty(0)
    return np.concatenate([places for places, _ in curves]), np.concatenate([values for _, values in curves])


def _records(
    store: Store, segments: Sequence[SegmentRef], names: Sequence[str], time: frames.Range
) -> dict[str, Curve]:
    if not segments:
        return {}
    moved = [TEST_TIME.name, *names]
    within = frames.within(TEST_TIME.name, time)

    def decode(data: dict[str, bytes]) -> pl.DataFrame:
        return pl.DataFrame([columnar.decode_column(data[name]) for name in moved]).filter(within)

    frame = frames.gather(store.database[frames.SEGMENTS], [segment.id for segment in segments], moved, decode)
    return {name: known(frame[TEST_TIME.name], frame[name]) for name in names}


def _sketched(store: Store, segments: Sequence[SegmentRef], names: Sequence[str]) -> dict[str, Curve]:
    ids = [segment.id for segment in segments]
    if not ids:
        return {}
    projection = {f"columns.{name}": True for name in names}
    found = {row["_id"]: row["columns"] for row in store.database[SKETCHES].find({"_id": {"$in": ids}}, projection)}
    lacking = [identity for identity in ids if not set(names) <= set(found.get(identity, ()))]
    for identity, drawn in _make(store, lacking, names).items():
        found[identity] = drawn
    return {name: _joined([points_of(found[identity][name]) for identity in ids]) for name in names}


def _make(store: Store, ids: Sequence[ObjectId], names: Sequence[str]) -> dict[ObjectId, Mapping[str, bytes]]:
    """Make sketches of these columns from segments, and keep them; whoever does so too makes the same."""
    if not ids:
        return {}
    moved = [TEST_TIME.name, *names]
    made: dict[ObjectId, Mapping[str, bytes]] = {}

    def decode(data: dict[str, bytes]) -> pl.DataFrame:
        time = columnar.decode_column(data[TEST_TIME.name])
        drawn = {name: sketch_of(time, columnar.decode_column(data[name])) for name in names}
        return pl.DataFrame([pl.Series(name, [value], dtype=pl.Binary) for name, value in drawn.items()])

    rows = frames.gather(store.database[frames.SEGMENTS], ids, moved, decode)
    for identity, row in zip(ids, rows.iter_rows(named=True), strict=True):
        made[identity] = row
    store.database[SKETCHES].bulk_write(
        [
            UpdateOne({"_id": identity}, {"$set": {f"columns.{name}": data for name, data in row.items()}}, upsert=True)
            for identity, row in made.items()
        ],
        ordered=False,
    )
    return made
