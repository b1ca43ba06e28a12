"""What every analysis asks of single records: numbers as arrays, where steps begin, which way the current flows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from battery_analysis.analysis.steps import Hold, step_hold
from battery_analysis.columns import (
    CURRENT,
    CYCLE_COUNT,
    DERIVED_CYCLE_COUNT,
    STEP_COUNT,
    STEP_ID,
    STEP_TIME,
    STEP_TYPE,
    TEST_TIME,
)

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
SignArray: TypeAlias = npt.NDArray[np.int8]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

REPORTED_TIME = "aux_reported_test_time_second"
"""Test time as the tester reported it, kept beside a repaired ``test_time_second``."""

TEST = "aux_test"
"""Which test of its cell a record is of, where those of several stand in one frame."""

REST_FRACTION = 1e-3
"""A current below this fraction of the test's largest one is the noise of a rest."""

CLEAR_FRACTION = 0.05
"""A current above this fraction of the test's largest one is no noise, however short it is."""

NOISE_FRACTION = 1e-3
"""A stretch of one direction without a clear current, that moves less than this fraction of the charge of the largest
stretch, is noise: instruments whose noise exceeds ``REST_FRACTION`` jitter around zero, but move no charge."""


def cycle_column(frame: pl.DataFrame) -> str | None:
    """Name of the column that numbers the cycles: the derived one where there is one, else the tester's."""
    return next((column.name for column in (DERIVED_CYCLE_COUNT, CYCLE_COUNT) if column.name in frame.columns), None)


def has_values(frame: pl.DataFrame, name: str) -> bool:
    """Whether the frame has this column and anything in it."""
    return name in frame.columns and frame[name].null_count() < frame.height


def numbers(frame: pl.DataFrame, name: str) -> FloatArray:
    """Values of a column as numbers, missing ones as NaN."""
    return frame[name].cast(pl.Float64).to_numpy()


def held_numbers(frame: pl.DataFrame, name: str, before: float | None = None) -> FloatArray:
    """Values of a column, a missing one as the value before it (``before`` ahead of the first; else the first)."""
    series = frame[name].cast(pl.Float64)
    if series.null_count():
        series = series.fill_null(strategy="forward")
        series = series.fill_null(strategy="backward") if before is None else series.fill_null(before)
    return series.to_numpy()


def changes(series: pl.Series) -> BoolArray:
    """Whether each record differs from the one before it; the first does not, and missing values never do."""
    if series.null_count():
        series = series.fill_null(strategy="forward").fill_null(strategy="backward")
    differs = np.zeros(series.len(), dtype=np.bool_)
    if series.dtype.is_numeric():
        values: npt.NDArray[Any] = series.to_numpy()
        np.not_equal(values[1:], values[:-1], out=differs[1:])
    else:
        differs[1:] = (series != series.shift(1)).fill_null(False).to_numpy()[1:]
    return differs


def flow_signs(current: FloatArray, largest: float) -> SignArray:
    """Sign of the current, and how sure it is.

    Args:
        current: Current in A, positive on charge; NaN counts as none.
        largest: Largest magnitude in the test, in A.

    Returns:
        3 and -3 where the current clearly charges and discharges, 2 and -2 where it is small but no noise of a rest,
        1 and -1 where it may be that, else 0.

    >>> flow_signs(np.array([1.0, 0.01, 1e-6, 0.0, -1e-6, -1.0]), 1.0).tolist()
    [3, 2, 1, 0, -1, -3]
    """
    signs = np.zeros(current.size, dtype=np.int8)
    for fraction in (0.0, REST_FRACTION, CLEAR_FRACTION):
        signs += current > fraction * largest
        signs -= (current < -fraction * largest).view(np.int8)
    return signs


def directions(signs: SignArray) -> SignArray:
    """1 where the signs of ``flow_signs`` say charge, -1 where discharge, 0 where rest."""
    way: SignArray = np.sign(signs) * (np.abs(signs) >= 2)
    return way


def step_changes(frame: pl.DataFrame, signs: SignArray) -> BoolArray:
    """Whether each record is the first of a new step (the very first record is not marked).

    Uses ``step_count``, else changes of ``step_id`` within a cycle and of ``step_type``, else of the direction.
    """
    if has_values(frame, STEP_COUNT.name):
        return changes(frame[STEP_COUNT.name])
    if has_values(frame, STEP_ID.name) or has_values(frame, STEP_TYPE.name):
        steps = np.zeros(frame.height, dtype=np.bool_)
        for name in (STEP_ID.name, STEP_TYPE.name, CYCLE_COUNT.name):
            if has_values(frame, name):
                steps |= changes(frame[name])
        return steps
    turns = np.zeros(frame.height, dtype=np.bool_)
    way = directions(signs)
    np.not_equal(way[1:], way[:-1], out=turns[1:])
    return turns


@dataclass(frozen=True)
class Records:
    """The records of a test that has a current, taken apart once for all that is asked of them.

    ``current`` is in A, a missing value as the one before it; ``largest`` its largest magnitude; ``signs`` as
    ``flow_signs`` gives them; ``new_step`` marks the first record of each step but the very first one.
    """

    frame: pl.DataFrame
    continuation: bool
    current: FloatArray
    largest: float
    signs: SignArray
    new_step: BoolArray

    @classmethod
    def of(cls, frame: pl.DataFrame, *, continuation: bool = False) -> Records:
        """Take apart a frame in canonical columns with ``test_time_second`` and ``current_ampere``."""
        current = held_numbers(frame, CURRENT.name, before=0.0)
        largest = float(max(current.max(), -current.min()))
        signs = flow_signs(current, largest)
        return cls(frame, continuation, current, largest, signs, step_changes(frame, signs))

    @cached_property
    def steps(self) -> IntArray:
        """First record of each step."""
        return np.append(0, np.flatnonzero(self.new_step))

    def step_of(self, positions: IntArray) -> IntArray:
        """Which of ``steps`` each position lies in."""
        return np.searchsorted(self.steps, positions, side="right") - 1

    def clear(self, starts: IntArray) -> BoolArray:
        """Whether the current of each run is clear."""
        clear: BoolArray = np.abs(self.signs[starts]) == 3
        return clear

    @cached_property
    def turns(self) -> BoolArray:
        """Whether the current of each record flows otherwise than that of the one before."""
        turns = np.zeros(self.signs.size, dtype=np.bool_)
        np.not_equal(self.signs[1:], self.signs[:-1], out=turns[1:])
        return turns

    @cached_property
    def holds(self) -> list[Hold] | None:
        """What each of ``steps`` holds, None where the tester does not tell."""
        if not has_values(self.frame, STEP_TYPE.name):
            return None
        words = self.frame[STEP_TYPE.name].gather(self.steps).cast(pl.String).to_list()
        meaning = {word: step_hold(word) for word in set(words)}
        return [meaning[word] for word in words]

    @cached_property
    def time(self) -> FloatArray:
        """Test time in s, a missing one as the one before it."""
        return held_numbers(self.frame, TEST_TIME.name)

    @cached_property
    def first_seconds(self) -> float:
        """Length of the interval that ends at the first record: its step time, not before zero; else none."""
        if self.continuation or not has_values(self.frame, STEP_TIME.name):
            return 0.0
        within_step = self.frame[STEP_TIME.name][0]
        return max(0.0, min(float(within_step or 0.0), float(self.time[0])))

    @cached_property
    def seconds(self) -> FloatArray:
        """Length of the interval that ends at each record, in s."""
        seconds = np.empty_like(self.time)
        seconds[0] = self.first_seconds
        np.subtract(self.time[1:], self.time[:-1], out=seconds[1:])
        return seconds

    @cached_property
    def clock_breaks(self) -> IntArray:
        """Records at which the repaired test time moved by something else than the tester reported."""
        if REPORTED_TIME not in self.frame.columns:
            return np.empty(0, dtype=np.int64)
        told = np.diff(numbers(self.frame, REPORTED_TIME))
        rounding = 1e-6 + 1e-9 * np.abs(self.time[1:])
        return np.flatnonzero(~(np.abs(told - np.diff(self.time)) <= rounding)) + 1


def directions_of_runs(records: Records, starts: IntArray) -> IntArray:
    """1, -1 or 0 for runs of charge, discharge or rest; what a tester calls a rest is one, whatever its noise."""
    direction = directions(records.signs[starts]).astype(np.int64)
    if records.holds is not None:
        resting = np.array([hold == "rest" for hold in records.holds])
        direction[resting[records.step_of(starts)]] = 0
    return direction


@dataclass(frozen=True)
class Phases:
    """Stretches of charge and of discharge that alternate, noise and rests left out.

    ``direction`` is 1 or -1; ``first`` and ``last`` are positions in the runs they were made of.
    """

    direction: IntArray
    first: IntArray
    last: IntArray


def phases(direction: IntArray, charge: FloatArray, clear: BoolArray) -> Phases:
    """Join runs of one direction into stretches, and drop those that are noise.

    Args:
        direction: 1, -1 or 0 (rest) of each run.
        charge: Magnitude of what each run moved, in any unit.
        clear: Whether the current of each run is clear, as ``flow_signs`` says.

    Example:
        A charge with a spell of noise in it, then a discharge:

        >>> direction = np.array([1, 0, -1, 1, 0, -1])
        >>> phases(direction, np.array([9.0, 0.0, 1e-6, 9.0, 0.0, 9.0]), np.zeros(6, dtype=bool)).direction.tolist()
        [1, -1]
    """
    flowing = np.flatnonzero(direction)
    if flowing.size:
        firsts = _turns(direction[flowing])
        moved = np.add.reduceat(charge[flowing], firsts)
        counts = (moved >= NOISE_FRACTION * moved.max()) | np.logical_or.reduceat(clear[flowing], firsts)
        flowing = flowing[np.repeat(counts, np.diff(np.append(firsts, flowing.size)))]
    firsts = _turns(direction[flowing])
    lasts = np.append(firsts[1:], flowing.size)[: firsts.size] - 1
    return Phases(direction[flowing][firsts], flowing[firsts], flowing[lasts])


def _turns(direction: IntArray) -> IntArray:
    """Positions at which a stretch of one direction begins."""
    return np.flatnonzero(np.concatenate(([True], direction[1:] != direction[:-1]))[: direction.size])
