"""Half cycles: the stretches of charge and of discharge that make up a test, with the charge of each record.

A half cycle is a stretch of one direction as the cycle table sees it (``records.phases``: rests and noise left out),
cut where the cycle number changes. So the half cycles of a cycle and direction add up to what the cycle table says,
save what is noise, what counters add during rests, and, of a profile that was logged too rarely, what flowed against
the current of the record at its end. A piece that a cut leaves with less than ``NOISE_FRACTION`` of its stretch is
left out, too: testers advance the number a record too early or too late.

The charge of a record is what flowed in the interval that ends at it: from the tester's counters where there are
any (``counters``), else integrated (``integration``), record by record, so that sums agree with the cycle table.

Where the voltage is held at the end of a half cycle (``holds.held_from``) its current is none that was asked for:
``current_ampere`` is the mean before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from battery_analysis.analysis.counters import SECONDS_PER_HOUR
from battery_analysis.analysis.cycles import flows_of_runs
from battery_analysis.analysis.holds import held_from
from battery_analysis.analysis.integration import gaps
from battery_analysis.analysis.numbering import number_cycles
from battery_analysis.analysis.records import (
    NOISE_FRACTION,
    BoolArray,
    FloatArray,
    IntArray,
    Records,
    changes,
    cycle_column,
    directions_of_runs,
    has_values,
    held_numbers,
    phases,
)
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import CURRENT, TEST_TIME, VOLTAGE
from battery_analysis.errors import AnalysisError

WORDS = {1: "charge", -1: "discharge"}


@dataclass(frozen=True)
class HalfCycles:
    """The half cycles of a test, and which records they are made of.

    ``table`` has one row per half cycle, in order of time:

    - ``half_cycle``: its row, from 0; ``cycle_count``; ``direction``: ``charge`` or ``discharge``
    - ``first_record``, ``last_record``: positions in the frame, both included; ``records`` in which current flowed
    - ``start_time_second``, ``end_time_second``; ``duration_second``: time in which current flowed
    - ``capacity_ah``: positive; null where it was integrated and a gap lies within or beside the half cycle
    - ``current_ampere``: mean magnitude before the voltage was held; null where it was held from the start
    - ``min_voltage_volt``, ``max_voltage_volt``, ``has_gap``, ``capacity_method``
    - ``complete``: a later record has left it, or the test has finished

    ``record`` are the positions of the records of all half cycles, in order, and for each of them ``half`` is
    its row, ``moved`` its charge in Ah (magnitude), ``voltage`` in V (NaN where none was recorded), ``first`` whether
    its interval began outside the step, and ``held`` whether it lies in the part in which the voltage was held.
    """

    table: pl.DataFrame
    record: IntArray
    half: IntArray
    moved: FloatArray
    voltage: FloatArray
    first: BoolArray
    held: BoolArray

    def of_cycle(self, cycle: int) -> HalfCycles:
        """Return those of one cycle, rows counted from 0 again; records keep their positions.

        Raises:
            AnalysisError: The cycle has none.
        """
        table = self.table.filter(cycle_count=cycle)
        rows = table["half_cycle"].to_numpy()
        if not rows.size:
            raise AnalysisError(f"no half cycle: nothing but rests and noise in cycle {cycle}")
        own = np.isin(self.half, rows)
        kept = {name: getattr(self, name)[own] for name in ("record", "moved", "voltage", "first", "held")}
        table = table.with_columns(pl.Series("half_cycle", np.arange(rows.size)))
        return replace(self, table=table, half=np.searchsorted(rows, self.half[own]), **kept)


def half_cycles(frame: pl.DataFrame, *, finished: bool = False, continuation: bool = False) -> HalfCycles:
    """Take a test apart into its half cycles.

    Args:
        frame: Canonical time series in time order; cycles are numbered as for ``summarise_cycles``.
        finished: The file says that the test has ended, so that its last half cycle is complete.
        continuation: The counters of the first record go on from another file.

    Raises:
        AnalysisError: No current was recorded, or nothing but rests and noise.

    Example:
        One hour at 2 A, a rest, then one hour at -1 A:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 3600.0, 3700.0, 7300.0],
        ...     "voltage_volt": [4.0, 4.1, 4.0, 3.0],
        ...     "current_ampere": [2.0, 2.0, 0.0, -1.0],
        ...     "cycle_count": [1, 1, 1, 1],
        ... })
        >>> half_cycles(frame).table.select("direction", "capacity_ah", "current_ampere").rows()
        [('charge', 2.0, 2.0), ('discharge', 1.0, 1.0)]
    """
    for column in (TEST_TIME, CURRENT):
        if not has_values(frame, column.name):
            raise AnalysisError(f"{column.name}: no values; half cycles need them, the frame has {frame.columns}")
    if cycle_column(frame) is None:
        frame, _ = number_cycles(frame)
    records = Records.of(frame, continuation=continuation)
    cycle = _cycle_numbers(frame)
    flows, method = flows_of_runs(records, "capacity", np.arange(frame.height))
    starts = np.append(0, np.flatnonzero(records.new_step | records.turns | changes(cycle)))
    moved = flows.charge + flows.discharge
    half_of_run, direction = _assign(records, starts, np.add.reduceat(moved, starts), cycle.gather(starts).to_numpy())
    if not direction.size:
        raise AnalysisError(f"no half cycle: nothing but rests and noise in {counted(frame.height, 'record')}")

    lengths = np.diff(np.append(starts, frame.height))
    half = np.repeat(half_of_run, lengths)
    record = np.flatnonzero(half >= 0)
    half = half[record]
    first = np.zeros(frame.height, dtype=np.bool_)
    first[starts] = True
    way = direction[half]
    moved = np.where(way > 0, flows.charge[record], flows.discharge[record])
    known = has_values(frame, VOLTAGE.name)
    voltage = held_numbers(frame, VOLTAGE.name)[record] if known else np.full(record.size, np.nan)
    begins = np.flatnonzero(np.diff(half, prepend=-1))
    held = (
        _held(begins, voltage * way, np.abs(records.current[record])) if known else np.zeros_like(way, dtype=np.bool_)
    )
    table = _table(records, cycle, direction, record, begins, moved, voltage, held, method)
    table = table.with_columns(complete=(pl.col("last_record") < frame.height - 1) | pl.lit(finished))
    return HalfCycles(table, record, half, moved, voltage, first[record], held)


def joined(parts: Sequence[HalfCycles]) -> HalfCycles:
    """Join half cycles of one cell that were taken apart in several frames, such as chosen cycles.

    Rows are counted through; positions of records tell order and neighbours, but no longer a place in any frame.

    Args:
        parts: In order of time; one at least.
    """
    tables, arrays = [], []
    rows = records = 0
    for part in parts:
        tables.append(
            part.table.with_columns(pl.col("half_cycle") + rows, pl.col("first_record", "last_record") + records)
        )
        arrays.append((part.record + records, part.half + rows, part.moved, part.voltage, part.first, part.held))
        rows += part.table.height
        records += int(part.record[-1]) + 2  # no record follows one of the part before
    return HalfCycles(pl.concat(tables), *(np.concatenate(each) for each in zip(*arrays, strict=True)))


def _cycle_numbers(frame: pl.DataFrame) -> pl.Series:
    """Cycle number of each record; 1 throughout where a spectrum has none."""
    name = cycle_column(frame)
    if name is None:
        return pl.repeat(1, frame.height, dtype=pl.Int64, eager=True)
    return frame[name].cast(pl.Int64).fill_null(strategy="forward").fill_null(strategy="backward").fill_null(1)


def _assign(records: Records, starts: IntArray, moved: FloatArray, cycle: IntArray) -> tuple[IntArray, IntArray]:
    """Row of the half cycle of each run, -1 for none; and the direction of each half cycle."""
    direction = directions_of_runs(records, starts)
    stretches = phases(direction, moved, records.clear(starts))
    run = np.arange(starts.size)
    stretch = np.searchsorted(stretches.first, run, side="right") - 1
    within = (stretch >= 0) & (run <= np.append(stretches.last, -1)[stretch])
    flowing = np.flatnonzero(within & (direction == np.append(stretches.direction, 0)[stretch]))
    assigned = np.full(starts.size, -1, dtype=np.int64)
    if not flowing.size:
        return assigned, np.empty(0, dtype=np.int64)
    of, number = stretch[flowing], cycle[flowing]
    piece = np.cumsum(np.append(True, (of[1:] != of[:-1]) | (number[1:] != number[:-1]))) - 1
    firsts = np.flatnonzero(np.diff(piece, prepend=-1))
    piece_moved, stretch_moved = np.add.reduceat(moved[flowing], firsts), np.bincount(of, moved[flowing])[of[firsts]]
    kept = ~(piece_moved < NOISE_FRACTION * stretch_moved)
    rows = np.where(kept, np.cumsum(kept) - 1, -1)
    assigned[flowing] = rows[piece]
    return assigned, direction[flowing[firsts[kept]]].astype(np.int64)


def _held(begins: IntArray, voltage: FloatArray, current: FloatArray) -> BoolArray:
    """Whether each record lies in the part of its half cycle in which the voltage is held."""
    held = np.zeros(voltage.size, dtype=np.bool_)
    for start, end in zip(begins, np.append(begins[1:], voltage.size), strict=True):
        position = held_from(voltage[start:end], current[start:end])
        if position is not None:
            held[start + position : end] = True
    return held


def _table(
    records: Records,
    cycle: pl.Series,
    direction: IntArray,
    record: IntArray,
    begins: IntArray,
    moved: FloatArray,
    voltage: FloatArray,
    held: BoolArray,
    method: str | None,
) -> pl.DataFrame:
    firsts, lasts = record[begins], record[np.append(begins[1:], record.size) - 1]
    seconds = records.seconds[record]
    free = ~held
    free_seconds = np.add.reduceat(seconds * free, begins)
    current = np.full(begins.size, np.nan)
    np.divide(
        np.add.reduceat(moved * free, begins) * SECONDS_PER_HOUR, free_seconds, out=current, where=free_seconds > 0
    )
    ends = gaps(records)
    gap = np.searchsorted(ends, lasts + 1, side="right") > np.searchsorted(ends, firsts)
    capacity = np.add.reduceat(moved, begins)
    if method == "integrated":
        capacity[gap] = np.nan
        current[gap] = np.nan
    columns = {
        "half_cycle": np.arange(begins.size),
        "cycle_count": cycle.gather(firsts).to_numpy(),
        "direction": [WORDS[way] for way in direction.tolist()],
        "first_record": firsts,
        "last_record": lasts,
        "records": np.diff(np.append(begins, record.size)),
        "start_time_second": records.time[firsts] - records.seconds[firsts],
        "end_time_second": records.time[lasts],
        "duration_second": np.add.reduceat(seconds, begins),
        "capacity_ah": capacity,
        "current_ampere": current,
        "min_voltage_volt": np.minimum.reduceat(voltage, begins),
        "max_voltage_volt": np.maximum.reduceat(voltage, begins),
        "has_gap": gap,
    }
    return pl.DataFrame(columns, nan_to_null=True).with_columns(capacity_method=pl.lit(method))
