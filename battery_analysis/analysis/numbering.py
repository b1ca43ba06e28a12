"""Number the cycles of a test: by the tester where it did, else by the alternation of charge and discharge."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.records import IntArray, Records, directions_of_runs, has_values, phases
from battery_analysis.columns import CURRENT, CYCLE_COUNT, DERIVED_CYCLE_COUNT, FREQUENCY, TEST_TIME, insert

CycleMethod = Literal["tester", "derived"]


def number_cycles(frame: pl.DataFrame) -> tuple[pl.DataFrame, CycleMethod | None]:
    """Say whose cycle numbers count, and derive them where the tester's are absent or useless.

    The tester's ``cycle_count`` counts, unless there is none or it stays the same over the whole test while
    charge and discharge alternate more than once. Then ``derived_cycle_count`` is added beside it: from 1, a new cycle
    with each first charge after a discharge, or the other way round in a test that starts with a discharge.
    A rest belongs to the step before; the records of a step ahead of its first current belong to that step.

    Args:
        frame: Canonical time series in time order.

    Returns:
        The frame, and ``tester`` or ``derived``; None where no current was recorded, or where the tester gave no number
        and every record is a point of a spectrum.

    Example:
        >>> frame = pl.DataFrame({"test_time_second": [1.0, 2.0, 3.0, 4.0], "current_ampere": [1.0, -1.0, 0.0, 1.0]})
        >>> numbered, method = number_cycles(frame)
        >>> method, numbered["derived_cycle_count"].to_list()
        ('derived', [1, 1, 1, 2])
    """
    if not has_values(frame, CURRENT.name) or not has_values(frame, TEST_TIME.name):
        return frame, None
    if has_values(frame, DERIVED_CYCLE_COUNT.name):  # several files of one run, each of which counts for itself
        return frame, "derived"
    numbered = has_values(frame, CYCLE_COUNT.name)
    if numbered and frame[CYCLE_COUNT.name].min() != frame[CYCLE_COUNT.name].max():
        return frame, "tester"
    if not numbered and _holds_only_spectra(frame):
        return frame, None
    starts, turns = _derived_starts(Records.of(frame))
    if numbered and turns <= 1:
        return frame, "tester"
    number = np.zeros(frame.height, dtype=np.int64)
    number[starts] = 1
    derived = pl.Series(DERIVED_CYCLE_COUNT.name, np.cumsum(number) + 1)
    return insert(frame, derived), "derived"


def _holds_only_spectra(frame: pl.DataFrame) -> bool:
    """Whether each record has a frequency: the current that flowed beside the excitation makes no cycles."""
    return FREQUENCY.name in frame.columns and bool((frame[FREQUENCY.name].fill_null(0.0) > 0).all())


def _derived_starts(records: Records) -> tuple[IntArray, int]:
    """First record of each derived cycle but the first, and how often the direction changes."""
    starts = np.append(0, np.flatnonzero(records.new_step | records.turns))
    moved = np.add.reduceat(np.abs(records.current) * records.seconds, starts)
    if not records.first_seconds and records.time.size > 1:
        # A test may begin with a single record of a direction; weigh it by the interval after it.
        moved[0] += abs(records.current[0]) * records.seconds[1]
    stretches = phases(directions_of_runs(records, starts), moved, records.clear(starts))
    again = np.arange(2, stretches.direction.size, 2)
    first = starts[stretches.first[again]]
    step_first = records.steps[records.step_of(first)]
    opposite_last = np.append(starts[1:], records.time.size)[stretches.last[again - 1]] - 1
    return np.where(step_first > opposite_last, step_first, first), max(0, stretches.direction.size - 1)
