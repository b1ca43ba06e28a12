"""What flowed, from the tester's own counters.

Preference, for capacity and energy alike:

1. a pair of counters, one for each direction: they need no current to tell the directions apart;
2. one counter of the throughput of both, split by the sign of the current;
3. one net counter, split by the sign of its increments: what flows both ways between two records cancels in it.

Among equals the one that is reset least (never, by the schedule, each cycle, each step): a reset loses what flowed
after the last record before it. A counter that never moved although a current flowed counted nothing, and is
passed over.

Increments. A counter is zero before the first record, except in a continuation, whose first record has no increment.
A change of step or cycle resets the counters that are declared so; the value after it then is its increment. A value
less than half of the last one is a reset of any counter for one direction or for throughput.

A net counter falls in every discharge, so a fall alone says nothing. One that is reset by step or cycle is taken as
reset at a fall below half of the last value (or past zero) where the charge that the record's current moved explains
the value better from zero than from the last value. One that is never reset is so examined only where the
test's clock was restarted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from battery_analysis.analysis.records import (
    FloatArray,
    IntArray,
    Records,
    SignArray,
    changes,
    has_values,
    held_numbers,
)
from battery_analysis.columns import COUNTERS, CYCLE_COUNT, VOLTAGE, Counter, Direction, Quantity, Reset

SECONDS_PER_HOUR = 3600.0

_LEAST_RESET_FIRST: tuple[Reset, ...] = ("never", "schedule", "cycle", "step")
_COUNTERS: dict[tuple[Quantity, Direction, Reset], Counter] = {
    (counter.quantity, counter.direction, counter.reset): counter for counter in COUNTERS
}


@dataclass(frozen=True)
class Flows:
    """Magnitudes of what was charged and discharged in each run, in Ah or Wh."""

    charge: FloatArray
    discharge: FloatArray


def counted(records: Records, quantity: Quantity, starts: IntArray) -> Flows | None:
    """Difference the best counters of a quantity over runs of records.

    Args:
        records: The test.
        quantity: Capacity (Ah) or energy (Wh).
        starts: First record of each run; within a run neither step nor sign of the current changes.

    Returns:
        What each run charged and discharged, None where no counter counted.

    Example:
        A counter of throughput that each step resets: 2 Ah in, then 1 Ah out.

        >>> import polars as pl
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [3600.0, 7200.0, 10800.0],
        ...     "current_ampere": [1.0, 1.0, -1.0],
        ...     "step_count": [1, 1, 2],
        ...     "step_cumulative_capacity_ah": [1.0, 2.0, 1.0],
        ... })
        >>> counted(Records.of(frame), "capacity", np.array([0, 2]))
        Flows(charge=array([2., 0.]), discharge=array([0., 1.]))
    """
    for flows in _candidates(records, quantity, starts):
        if not records.largest or flows.charge.any() or flows.discharge.any():
            return flows
    return None


def _candidates(records: Records, quantity: Quantity, starts: IntArray) -> Iterator[Flows]:
    for reset in _LEAST_RESET_FIRST:
        pair = _present(records, quantity, "charging", reset), _present(records, quantity, "discharging", reset)
        if pair[0] and pair[1]:
            yield Flows(_differences(records, pair[0], starts), _differences(records, pair[1], starts))
    for reset in _LEAST_RESET_FIRST:
        if throughput := _present(records, quantity, "cumulative", reset):
            yield _by_current(_differences(records, throughput, starts), records.signs[starts])
    for reset in _LEAST_RESET_FIRST:
        if net := _present(records, quantity, "net", reset):
            yield _by_increment(records, net, starts)


def _present(records: Records, quantity: Quantity, direction: Direction, reset: Reset) -> Counter | None:
    counter = _COUNTERS.get((quantity, direction, reset))
    return counter if counter and has_values(records.frame, counter.name) else None


def _declared_resets(records: Records, counter: Counter) -> IntArray:
    """Records at which the counter begins anew because its declaration says so."""
    if counter.reset == "step":
        return records.steps[1:]
    if counter.reset == "cycle" and has_values(records.frame, CYCLE_COUNT.name):
        return np.flatnonzero(changes(records.frame[CYCLE_COUNT.name]))
    return np.empty(0, dtype=np.int64)


def _differences(records: Records, counter: Counter, starts: IntArray) -> FloatArray:
    """Growth of a counter of one direction, or of throughput, over each run."""
    values = held_numbers(records.frame, counter.name, before=0.0)
    # An energy counter falls below zero where the voltage is negative: what counts is its magnitude.
    size = np.abs(values) if values.min() < 0 else values
    resets = np.union1d(_declared_resets(records, counter), np.flatnonzero(2 * size[1:] < size[:-1]) + 1)
    # Between resets increments add up to a difference; at each reset the value before it has to be added back, run by
    # run: a sum over all of them would carry its rounding into every later run.
    lasts = np.append(starts[1:], values.size) - 1
    before = values[0] if records.continuation else 0.0
    added_back = np.bincount(np.searchsorted(lasts, resets), values[resets - 1], lasts.size)
    growth: FloatArray = np.diff(values[lasts], prepend=before) + added_back
    return growth


def _by_current(moved: FloatArray, signs: SignArray) -> Flows:
    """Split throughput by the sign of the current; where there is none, it belongs to the direction before."""
    sign = np.sign(signs)
    flowing = np.flatnonzero(sign)
    if flowing.size:
        sign = sign[flowing[np.maximum(np.searchsorted(flowing, np.arange(sign.size), side="right") - 1, 0)]]
    return Flows(np.where(sign > 0, moved, 0.0), np.where(sign < 0, moved, 0.0))


def _by_increment(records: Records, counter: Counter, starts: IntArray) -> Flows:
    """Split a net counter by the sign of its increments."""
    values = held_numbers(records.frame, counter.name, before=0.0)
    moved = np.diff(values, prepend=values[0] if records.continuation else 0.0)
    resets = np.union1d(_declared_resets(records, counter), _unexpected_resets(records, counter, values))
    moved[resets] = values[resets]
    return Flows(np.add.reduceat(np.maximum(moved, 0.0), starts), np.add.reduceat(np.maximum(-moved, 0.0), starts))


def _unexpected_resets(records: Records, counter: Counter, values: FloatArray) -> IntArray:
    """Records at which a net counter, against its declaration, fell back to zero."""
    if counter.reset == "never":
        suspects = records.clock_breaks
    else:
        suspects = np.flatnonzero(np.abs(values[1:]) * 2 < np.abs(values[:-1])) + 1
        past_zero = np.flatnonzero(np.sign(values[1:]) * np.sign(values[:-1]) < 0) + 1
        suspects = np.union1d(suspects, past_zero)
    rate = records.current[suspects]
    if counter.quantity == "energy":
        rate = rate * np.abs(held_numbers(records.frame, VOLTAGE.name, before=0.0)[suspects])
    expected = rate * records.seconds[suspects] / SECONDS_PER_HOUR
    from_zero = np.abs(values[suspects] - expected)
    from_last = np.abs(values[suspects] - values[suspects - 1] - expected)
    return suspects[from_zero < from_last]
