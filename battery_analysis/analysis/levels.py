"""Stretches over which a tester holds one current: pulses, rests, and the halves of a cycle.

A stretch ends where a step ends, and where the current jumps within one, by more than ``records.CLEAR_FRACTION`` of the
test's largest, from one level to another: over the two records before and the two after, it stays within a tenth of the
jump, so that neither a current that settles nor one that tapers off is taken for steps. When a stretch began is known
exactly from the tester's time within the step; else it is taken as the time of the last record before, as testers write
one at the end of each step, though it may have begun as late as its first record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from battery_analysis.analysis.records import (
    CLEAR_FRACTION,
    REST_FRACTION,
    FloatArray,
    IntArray,
    Records,
    has_values,
    numbers,
)
from battery_analysis.columns import STEP_TIME

PLATEAU_SECONDS = 30.0
"""A stretch's current is the median over this time from its beginning: later, a step may hold its voltage instead."""

SETTLED_FRACTION = 0.1


@dataclass(frozen=True)
class Level:
    """Records from ``first`` to before ``end``, the time of their beginning (s) and their current (A).

    ``latest_start_second`` is the last moment at which it may have begun: the same where the tester's clock tells.
    """

    first: int
    end: int
    start_second: float
    latest_start_second: float
    current: float
    direction: int
    """1 charges, -1 discharges, 0 rests."""

    @property
    def own(self) -> slice:
        """Its records."""
        return slice(self.first, self.end)


def levels(records: Records) -> list[Level]:
    """Part a test into stretches of one current.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 60.0, 60.1, 70.0], "step_count": [1, 1, 2, 2],
        ...     "current_ampere": [0.0, 0.0, -2.0, -2.0],
        ... })
        >>> [(level.first, level.end, level.start_second, level.current) for level in levels(Records.of(frame))]
        [(0, 2, 0.0, 0.0), (2, 4, 60.0, -2.0)]
    """
    firsts = _firsts(records)
    ends = np.append(firsts[1:], records.current.size)
    starts, latest = (each.tolist() for each in _start_seconds(records, firsts))
    found = []
    for first, end, start, late in zip(firsts.tolist(), ends.tolist(), starts, latest, strict=True):
        until = max(first + 1, int(np.searchsorted(records.time[first:end], start + PLATEAU_SECONDS, "right")) + first)
        current = float(np.median(records.current[first:until]))
        direction = 0 if abs(current) <= REST_FRACTION * records.largest else (1 if current > 0 else -1)
        found.append(Level(first, end, start, late, current, direction))
    return found


def _firsts(records: Records) -> IntArray:
    change = np.diff(records.current)
    size = np.abs(change)
    jumps = np.flatnonzero(size > CLEAR_FRACTION * records.largest)
    jumps = jumps[(jumps >= 1) & (jumps + 1 < size.size)]
    steady = np.maximum(size[jumps - 1], size[jumps + 1]) <= SETTLED_FRACTION * size[jumps]
    # At a new step it counts from there, whether or not its first record shows it.
    begun = records.new_step[jumps] | records.new_step[np.maximum(jumps - 1, 0)]
    return np.union1d(records.steps, jumps[steady & ~begun] + 1)


def _start_seconds(records: Records, firsts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Times between which each stretch began, at most from the last record before it to its own first."""
    before = records.time[np.maximum(firsts - 1, 0)]
    before[0] -= records.first_seconds
    first = records.time[firsts]
    if not has_values(records.frame, STEP_TIME.name):
        return before, first
    told = first - numbers(records.frame, STEP_TIME.name)[firsts]
    within = np.isfinite(told) & np.isin(firsts, records.steps)
    told = np.clip(told, before, first)
    return np.where(within, told, before), np.where(within, told, first)
