"""A test time that never runs backwards.

Testers restart their clock when a test is resumed, and exports hold single records out of order. What the other
clocks say decides:

- Records whose time falls while the clock of the step (within one step) or the wall clock goes on have a test clock
  that was restarted: they are joined to what came before by the interval which the other clock shows. They may be
  the rest of the file, or a part of it after which the first clock is back.
- Where the other clocks fall too, or a single record falls, records are out of order: their time is held at the last
  one that was right. The order of the records stays.
- Without any other clock a fall to less than half of the last time is a restart, joined without an interval.

The reported times stay beside the repaired ones. Wherever the two differ in their interval, the cycle table
sees a gap, so that nothing is integrated across it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from battery_analysis.analysis.records import (
    REPORTED_TIME,
    BoolArray,
    FloatArray,
    IntArray,
    changes,
    has_values,
    held_numbers,
    numbers,
)
from battery_analysis.columns import STEP_COUNT, STEP_ID, STEP_TIME, TEST_TIME, UNIX_TIME

RETURN_MEDIANS = 10.0
"""Without another clock, a jump by more than this many usual intervals leads back to the clock of before."""


def steady_time(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Make ``test_time_second`` never run backwards, and say what was done.

    A missing time is held at the one before it (ahead of the first: the first). Negative times in a file whose time
    never falls are kept; in one where it does, they are held at zero.

    Args:
        frame: Canonical columns; one without ``test_time_second`` (a spectrum) passes through.

    Returns:
        The frame, the same object where its time was right; else with the reported times kept in
        ``aux_reported_test_time_second``, and one line for each thing that was wrong.

    Example:
        >>> frame = pl.DataFrame({"test_time_second": [10.0, 20.0, 5.0, 30.0]})
        >>> steady, warnings = steady_time(frame)
        >>> steady["test_time_second"].to_list(), warnings
        ([10.0, 20.0, 20.0, 30.0], ['test time goes back once (record 3 of 4): the time of 1 record is held'])
    """
    if not has_values(frame, TEST_TIME.name):
        return frame, []
    reported = frame[TEST_TIME.name]
    missing = reported.null_count()
    time = held_numbers(frame, TEST_TIME.name)
    falls = np.flatnonzero(time[1:] < time[:-1]) + 1
    warnings = _negative(time) if time[0] < 0 or falls.size else []
    if missing:
        at = np.flatnonzero(reported.is_null().to_numpy())
        where = _range(at, time.size)
        warnings.append(f"{_times(at.size, 'record')} without a test time ({where}): the time before is kept")
    if falls.size:
        time, held, joined = _repaired(time, falls, _Clocks.of(frame))
        done = [f"the time of {_times(held, 'record')} is held"] if held else []
        done += [f"{_times(joined, 'part')} joined where the clock was restarted"] if joined else []
        often = "once" if falls.size == 1 else f"{falls.size} times"
        warnings.append(f"test time goes back {often} ({_range(falls, time.size)}): {', '.join(done)}")
    if not (falls.size or missing):
        return frame, warnings
    return frame.with_columns(pl.Series(TEST_TIME.name, time), reported.alias(REPORTED_TIME)), warnings


@dataclass(frozen=True)
class _Clocks:
    """What tells whether time went on while the test clock fell."""

    step: FloatArray | None
    wall: FloatArray | None
    new_step: BoolArray | None

    @classmethod
    def of(cls, frame: pl.DataFrame) -> _Clocks:
        step = numbers(frame, STEP_TIME.name) if has_values(frame, STEP_TIME.name) else None
        wall = numbers(frame, UNIX_TIME.name) if has_values(frame, UNIX_TIME.name) else None
        name = next((column.name for column in (STEP_COUNT, STEP_ID) if has_values(frame, column.name)), None)
        return cls(step, wall, changes(frame[name]) if name else None)

    def interval(self, record: int) -> float | None:
        """Seconds before a record by the clock of its step, else by the wall clock; None where neither tells."""
        if self.step is not None:
            shown = float(self.step[record] - self.step[record - 1])
            same_step = shown >= 0 if self.new_step is None else not self.new_step[record]
            if same_step and not np.isnan(shown):
                return shown
        if self.wall is not None:
            shown = float(self.wall[record] - self.wall[record - 1])
            return None if np.isnan(shown) else shown
        return None


def _repaired(time: FloatArray, falls: IntArray, clocks: _Clocks) -> tuple[FloatArray, int, int]:
    """Join what was restarted and hold what is out of order; also the numbers of records held and of parts joined."""
    repaired = time.copy()
    reached, offset, held, joined = max(0.0, float(time[0])), 0.0, 0, 0
    for start, end in pairwise([0, *falls.tolist(), time.size]):
        part = time[start:end] + offset
        back = int(np.searchsorted(part, reached))
        own = back if _returns(time[start:end], back, clocks, start) else part.size
        interval = _restart(time, start, own, clocks) if back else None
        if interval is not None:
            shift = reached + interval - part[0]
            part[:own] += shift
            # What returned to the clock of before may lie a little behind; so may, by rounding, what was joined.
            part = np.maximum.accumulate(np.maximum(part, reached))
            offset += shift if own == part.size else 0.0
            joined += 1
        else:
            part[:back] = reached
            held += back
        repaired[start:end] = part
        reached = float(part[-1])
    return repaired, held, joined


def _returns(part: FloatArray, back: int, clocks: _Clocks, start: int) -> bool:
    """Whether a part that fell jumps back to the clock of before at record ``back``, rather than growing so far."""
    if not 0 < back < part.size:
        return False
    jump = float(part[back] - part[back - 1])
    shown = clocks.interval(start + back)
    if shown is not None:
        return abs(jump - shown) > max(1.0, 0.5 * jump)
    return back < 2 or jump > RETURN_MEDIANS * float(np.median(np.diff(part[:back])))


def _restart(time: FloatArray, start: int, own: int, clocks: _Clocks) -> float | None:
    """Interval by which a part that fell goes on from what was before; None if it is out of order."""
    if start == 0 or own < 2:
        return None
    shown = clocks.interval(start)
    if shown is None:
        return 0.0 if 0 <= 2 * time[start] < time[start - 1] else None
    return shown if shown >= 0 else None


def _negative(time: FloatArray) -> list[str]:
    negative = np.flatnonzero(time < 0)
    if not negative.size:
        return []
    return [f"negative test time in {_times(negative.size, 'record')} ({_range(negative, time.size)})"]


def _times(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")


def _range(positions: IntArray, records: int) -> str:
    first, last = positions[0] + 1, positions[-1] + 1
    return f"record {first} of {records}" if first == last else f"records {first} to {last} of {records}"
