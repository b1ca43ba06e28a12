"""What flowed, from the current itself, where the tester kept no counters; and where that cannot be known.

The interval that ends at a record belongs to that record's step. It is integrated with the trapezoid inside a step,
with the record's own current at a step's first record, so that nothing crosses a step. The interval of a file's first
record began ``step_time_second`` earlier, not before zero; without that column, or in a continuation, it has none.

A gap is an interval in which records or time are missing:

- the record number jumps (by more than usual, in a file that kept every n-th record);
- the wall clock advances by more than ten minutes over the test time: the test was paused. An hour within two seconds
  is the change to summer time, as stamps without a zone have it, and no gap;
- the test time was held or joined because the tester's clock ran backwards;
- it is longer than ten times the median of its step and than ten minutes, and the current changes over it by more
  than 5 % (noise of a rest is no change, nor is the step of the current where the step's own clock covers
  the whole interval).

Between two tests of one cell, whose records stand in one frame, nothing of either is missing: where a test begins with
a cycle of its own, there is no gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from battery_analysis.analysis.counters import SECONDS_PER_HOUR, Flows
from battery_analysis.analysis.records import (
    REST_FRACTION,
    TEST,
    BoolArray,
    FloatArray,
    IntArray,
    Records,
    changes,
    cycle_column,
    has_values,
    held_numbers,
    numbers,
)
from battery_analysis.columns import RECORD_INDEX, STEP_TIME, UNIX_TIME, VOLTAGE, Quantity

GAP_SECONDS = 600.0
GAP_MEDIANS = 10.0
GAP_CURRENT_CHANGE = 0.05

_SUMMER_TIME_SECONDS = 3600.0
_STAMP_SECONDS = 2.0
_STRIDE = 1024
_PART_RECORDS = 1 << 15


def integrated(records: Records, quantity: Quantity, starts: IntArray) -> Flows:
    """Integrate current (Ah) or power (Wh) over runs of records.

    Energy is the integral of the magnitude of voltage times current, as testers count it: it stays
    positive where the voltage is negative.

    Example:
        One hour at 2 A, then one hour at -1 A, each with one record at its end:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [3600.0, 7200.0],
        ...     "step_time_second": [3600.0, 3600.0],
        ...     "current_ampere": [2.0, -1.0],
        ...     "step_count": [1, 2],
        ... })
        >>> integrated(Records.of(frame), "capacity", np.array([0, 1]))
        Flows(charge=array([2., 0.]), discharge=array([0., 1.]))
    """
    charge, discharge = np.zeros(starts.size), np.zeros(starts.size)
    voltage = held_numbers(records.frame, VOLTAGE.name, before=0.0) if quantity == "energy" else None
    for part in parts(records.time.size, starts):
        moved = _integrals(records, part, records.current[part.reach])
        positive, negative = np.maximum(moved, 0.0), np.maximum(-moved, 0.0)
        if voltage is not None:
            worked = _integrals(records, part, np.abs(records.current[part.reach] * voltage[part.reach]))
            positive, negative = np.where(moved > 0, worked, 0.0), np.where(moved < 0, worked, 0.0)
        charge[part.runs] += np.add.reduceat(positive, part.starts)
        discharge[part.runs] += np.add.reduceat(negative, part.starts)
    # Seconds become hours last, so that whole ampere-seconds add up exactly.
    return Flows(charge / SECONDS_PER_HOUR, discharge / SECONDS_PER_HOUR)


def _integrals(records: Records, part: Part, rate: FloatArray) -> FloatArray:
    """Integral of a rate over the interval that ends at each record of a part."""
    own = rate[rate.size - part.size :]
    mean = own.copy()
    mean[mean.size - rate.size + 1 :] += rate[:-1]
    mean *= 0.5
    begins = np.flatnonzero(records.new_step[part.own])
    mean[begins] = own[begins]
    if part.first == 0:
        mean[0] = own[0]
    mean *= records.seconds[part.own]
    return mean


@dataclass(frozen=True)
class Part:
    """Records from ``first`` to before ``end``, and which runs (at ``starts`` within them) they belong to."""

    first: int
    end: int
    runs: slice
    starts: IntArray

    @property
    def size(self) -> int:
        """Number of records."""
        return self.end - self.first

    @property
    def own(self) -> slice:
        """The records."""
        return slice(self.first, self.end)

    @property
    def reach(self) -> slice:
        """The records and the one before them."""
        return slice(max(0, self.first - 1), self.end)


def parts(size: int, starts: IntArray) -> Iterator[Part]:
    """Take a test apart, so that what is computed of a part stays in the processor's cache."""
    for first in range(0, size, _PART_RECORDS):
        end = min(first + _PART_RECORDS, size)
        run, after = int(np.searchsorted(starts, first, side="right")) - 1, int(np.searchsorted(starts, end))
        yield Part(first, end, slice(run, after), np.maximum(starts[run:after] - first, 0))


def gaps(records: Records) -> IntArray:
    """Records whose interval is a gap."""
    found = [records.clock_breaks, record_jumps(records), pauses(records), _silences(records)]
    return np.setdiff1d(np.concatenate(found), _begun_tests(records.frame))


def _begun_tests(frame: pl.DataFrame) -> IntArray:
    """First records of further tests that begin with a cycle of their own."""
    cycle = cycle_column(frame)
    if cycle is None or not has_values(frame, TEST):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(changes(frame[TEST]) & changes(frame[cycle]))


def record_jumps(records: Records) -> IntArray:
    """Records whose number follows the one before by more than usual."""
    if not has_values(records.frame, RECORD_INDEX.name) or records.frame[RECORD_INDEX.name].null_count():
        return np.empty(0, dtype=np.int64)
    index = records.frame[RECORD_INDEX.name].to_numpy()
    jumps = np.flatnonzero(index[1:] > index[:-1] + 1) + 1
    if 2 * jumps.size > index.size:
        steps = np.diff(index)
        jumps = np.flatnonzero(steps > np.median(steps)) + 1
    return jumps


def pauses(records: Records) -> IntArray:
    """Records before which the wall clock ran on without the test time."""
    if not has_values(records.frame, UNIX_TIME.name):
        return np.empty(0, dtype=np.int64)
    wall = numbers(records.frame, UNIX_TIME.name)
    # Looked for from stretch to stretch first: over one without a pause both clocks advance alike.
    posts = np.append(np.arange(0, wall.size - 1, _STRIDE), wall.size - 1)
    ahead = np.diff(wall[posts] - records.time[posts])
    found = []
    for stretch in np.flatnonzero(~(np.abs(ahead) < GAP_SECONDS)):
        first, last = posts[stretch], posts[stretch + 1] + 1
        found.append(np.flatnonzero(_is_pause(np.diff(wall[first:last] - records.time[first:last]))) + first + 1)
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _is_pause(ahead: FloatArray) -> BoolArray:
    return (ahead > GAP_SECONDS) & (np.abs(ahead - _SUMMER_TIME_SECONDS) > _STAMP_SECONDS)


def _silences(records: Records) -> IntArray:
    """Records after an unusually long interval over which the current changed."""
    long = np.flatnonzero(records.seconds > GAP_SECONDS)
    long = long[long > 0]
    if not long.size:
        return long
    now, before = records.current[long], records.current[long - 1]
    enough = np.maximum(GAP_CURRENT_CHANGE * np.maximum(np.abs(now), np.abs(before)), REST_FRACTION * records.largest)
    long = long[np.abs(now - before) > enough]
    if has_values(records.frame, STEP_TIME.name):
        within_step = records.frame[STEP_TIME.name].gather(long).cast(pl.Float64).to_numpy()
        own_step = records.new_step[long] & (within_step >= 0.9 * records.seconds[long])
        long = long[~own_step]
    if not long.size:
        return long
    step = records.step_of(long)
    return long[records.seconds[long] > GAP_MEDIANS * _step_medians(records, np.unique(step))[step]]


def _step_medians(records: Records, wanted: IntArray) -> FloatArray:
    """Median interval of the wanted steps, in s; NaN for the others."""
    lengths = np.diff(np.append(records.steps, records.time.size))
    chosen = np.zeros(records.steps.size, dtype=np.bool_)
    chosen[wanted] = True
    inside = np.repeat(chosen, lengths)
    per_step = (
        pl.DataFrame({"step": np.repeat(wanted, lengths[wanted]), "seconds": records.seconds[inside]})
        .group_by("step")
        .median()
    )
    medians = np.full(records.steps.size, np.nan)
    medians[per_step["step"].to_numpy()] = per_step["seconds"].to_numpy()
    return medians
