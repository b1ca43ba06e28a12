"""Say of each cycle of a test what flowed, how long it took, and whether it can be trusted.

A direction is what the current does: charge, discharge, or rest. Rest is a step that the tester calls so, and a
current below ``records.REST_FRACTION`` of the largest of the test. A stretch of one direction in which no current
exceeds ``records.CLEAR_FRACTION`` of the largest, and that moves less than ``records.NOISE_FRACTION`` of what the
largest such stretch moves, is noise, and counts neither as an alternation nor as a half of a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from battery_analysis.analysis.counters import Flows, counted
from battery_analysis.analysis.efficiency import EfficiencyConvention, with_efficiencies
from battery_analysis.analysis.holds import charge_parts, hold_starts
from battery_analysis.analysis.integration import gaps, integrated
from battery_analysis.analysis.numbering import CycleMethod, number_cycles
from battery_analysis.analysis.records import (
    BoolArray,
    FloatArray,
    IntArray,
    Phases,
    Records,
    changes,
    cycle_column,
    directions_of_runs,
    has_values,
    numbers,
    phases,
)
from battery_analysis.columns import (
    AMBIENT_TEMPERATURE,
    CURRENT,
    DC_INTERNAL_RESISTANCE,
    INTERNAL_RESISTANCE,
    SENSOR_TEMPERATURES,
    SURFACE_TEMPERATURE,
    TEST_TIME,
    VOLTAGE,
    Quantity,
)

__all__ = ["CYCLE_SCHEMA", "CycleMethod", "EfficiencyConvention", "number_cycles", "summarise_cycles"]

_RESISTANCES = (INTERNAL_RESISTANCE, DC_INTERNAL_RESISTANCE)

Method = Literal["counter", "integrated"]

CYCLE_SCHEMA: dict[str, type[pl.DataType]] = {
    "cycle_count": pl.Int64,
    "first_record": pl.Int64,
    "records": pl.Int64,
    "start_time_second": pl.Float64,
    "end_time_second": pl.Float64,
    "charge_capacity_ah": pl.Float64,
    "discharge_capacity_ah": pl.Float64,
    "charge_energy_wh": pl.Float64,
    "discharge_energy_wh": pl.Float64,
    "coulombic_efficiency": pl.Float64,
    "energy_efficiency": pl.Float64,
    "voltage_efficiency": pl.Float64,
    "mean_charge_voltage_volt": pl.Float64,
    "mean_discharge_voltage_volt": pl.Float64,
    "min_voltage_volt": pl.Float64,
    "max_voltage_volt": pl.Float64,
    "min_current_ampere": pl.Float64,
    "max_current_ampere": pl.Float64,
    "min_temperature_celsius": pl.Float64,
    "max_temperature_celsius": pl.Float64,
    "charge_time_second": pl.Float64,
    "discharge_time_second": pl.Float64,
    "rest_time_second": pl.Float64,
    "cc_charge_capacity_ah": pl.Float64,
    "cc_charge_time_second": pl.Float64,
    "cv_charge_capacity_ah": pl.Float64,
    "cv_charge_time_second": pl.Float64,
    "internal_resistance_ohm": pl.Float64,
    "first_direction": pl.String,
    "complete": pl.Boolean,
    "has_gap": pl.Boolean,
    "capacity_method": pl.String,
    "energy_method": pl.String,
}
"""Columns of the cycle table.

``first_record`` is a position in the frame, from 0. ``first_direction`` is ``charge`` or ``discharge``, whichever
came first in the cycle. ``energy_method`` is to energy what ``capacity_method`` is to capacity: files with counters
for the one need not have them for the other.
"""

_TEMPERATURES = (SURFACE_TEMPERATURE, *SENSOR_TEMPERATURES, AMBIENT_TEMPERATURE)


def summarise_cycles(frame: pl.DataFrame, *, finished: bool = False, continuation: bool = False) -> pl.DataFrame:
    """Make the cycle table: one row per cycle number, in order of first appearance.

    Capacities and energies are differences of the tester's counters (``counters``) where there are any, else integrals
    (``integration``); an integrated one is null in a cycle with a gap. Energies are magnitudes also where the
    voltage is negative. Efficiencies are discharge / charge of the same cycle; ``with_efficiencies`` recomputes them.

    Args:
        frame: Canonical time series in time order; cycles are numbered by ``derived_cycle_count``, else by
            ``cycle_count``, else as ``number_cycles`` derives them.
        finished: The file says that the test has ended, so that its last cycle may be complete.
        continuation: The counters of the first record go on from another file.

    Returns:
        A table with the columns of ``CYCLE_SCHEMA``; empty where no current was recorded, or only spectra were.

    Example:
        One hour at 2 A, then one hour at -1 A, then a rest:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 3600.0, 7200.0, 7260.0],
        ...     "voltage_volt": [4.0, 4.0, 3.0, 3.5],
        ...     "current_ampere": [2.0, 2.0, -1.0, 0.0],
        ...     "step_count": [1, 1, 2, 3],
        ...     "cycle_count": [1, 1, 1, 1],
        ... })
        >>> cycle = summarise_cycles(frame).row(0, named=True)
        >>> cycle["charge_capacity_ah"], cycle["discharge_capacity_ah"], cycle["coulombic_efficiency"]
        (2.0, 1.0, 0.5)
    """
    if not (has_values(frame, CURRENT.name) and has_values(frame, TEST_TIME.name)):
        return pl.DataFrame(schema=CYCLE_SCHEMA)
    if cycle_column(frame) is None:
        frame, method = number_cycles(frame)
        if method is None:
            return pl.DataFrame(schema=CYCLE_SCHEMA)
    records = Records.of(frame, continuation=continuation)
    cycles = _Cycles.of(frame)
    holds = hold_starts(records)
    starts = _run_starts(records, cycles, holds)
    runs = _Runs(starts, cycles.row_of(starts), directions_of_runs(records, starts), _run_seconds(records, starts))

    capacity, capacity_method = flows_of_runs(records, "capacity", starts)
    moved = capacity.charge + capacity.discharge
    energy, energy_method = flows_of_runs(records, "energy", starts)
    gap = _cycles_with_gap(records, cycles)
    if capacity_method == "integrated":
        capacity = _unknown_in(gap[runs.row], capacity)
    if energy_method == "integrated":
        energy = _unknown_in(gap[runs.row], energy)
    capacities = [cycles.total(runs, values) for values in (capacity.charge, capacity.discharge)]
    energies = [cycles.total(runs, values) for values in (energy.charge, energy.discharge)]
    columns = {
        "cycle_count": cycles.number,
        "first_record": cycles.first,
        "records": cycles.records,
        "start_time_second": records.time[cycles.first],
        "end_time_second": records.time[cycles.last],
        "charge_capacity_ah": capacities[0],
        "discharge_capacity_ah": capacities[1],
        "charge_energy_wh": energies[0],
        "discharge_energy_wh": energies[1],
        "mean_charge_voltage_volt": _quotient(energies[0], capacities[0]),
        "mean_discharge_voltage_volt": _quotient(energies[1], capacities[1]),
        "charge_time_second": cycles.total(runs, runs.seconds, runs.direction > 0),
        "discharge_time_second": cycles.total(runs, runs.seconds, runs.direction < 0),
        "rest_time_second": cycles.total(runs, runs.seconds, runs.direction == 0),
        **_charge_part_columns(records, cycles, runs, holds, capacity.charge),
        **_extreme_columns(frame, cycles),
        "internal_resistance_ohm": _last_resistance(frame, cycles),
        **_half_columns(cycles, runs, phases(runs.direction, moved, records.clear(starts)), finished=finished),
        "has_gap": gap,
        "capacity_method": np.full(cycles.count, capacity_method),
        "energy_method": np.full(cycles.count, energy_method),
    }
    return _table(columns, cycles.count)


@dataclass(frozen=True)
class _Runs:
    """Runs of records of one step, one cycle and one sign of the current."""

    starts: IntArray
    row: IntArray
    direction: IntArray
    seconds: FloatArray


@dataclass(frozen=True)
class _Cycles:
    """Cycles by number in order of first appearance, each made of one or (where a number comes back) more blocks."""

    number: IntArray
    block_starts: IntArray
    block_lasts: IntArray
    block_row: IntArray

    @classmethod
    def of(cls, frame: pl.DataFrame) -> _Cycles:
        name = cycle_column(frame)
        assert name is not None
        column = frame[name].cast(pl.Int64)
        if column.null_count():
            column = column.fill_null(strategy="forward").fill_null(strategy="backward").fill_null(1)
        starts = np.append(0, np.flatnonzero(changes(column)))
        numbers_of_blocks = column.gather(starts).to_numpy()
        distinct, seen_at, which = np.unique(numbers_of_blocks, return_index=True, return_inverse=True)
        order = np.argsort(seen_at)
        lasts = np.append(starts[1:], frame.height) - 1
        return cls(distinct[order], starts, lasts, np.argsort(order)[which])

    @property
    def count(self) -> int:
        return self.number.size

    @property
    def first(self) -> IntArray:
        """First record of each cycle."""
        return self.block_starts[np.unique(self.block_row, return_index=True)[1]]

    @property
    def last(self) -> IntArray:
        """Last record of each cycle."""
        last = np.zeros(self.count, dtype=np.int64)
        np.maximum.at(last, self.block_row, self.block_lasts)
        return last

    @property
    def records(self) -> IntArray:
        """Number of records of each cycle."""
        return np.bincount(self.block_row, self.block_lasts - self.block_starts + 1).astype(np.int64)

    def row_of(self, positions: IntArray) -> IntArray:
        """Row of the cycle table to which each record belongs."""
        return self.block_row[np.searchsorted(self.block_starts, positions, side="right") - 1]

    def total(self, runs: _Runs, values: FloatArray, of: BoolArray | None = None) -> FloatArray:
        """Sum of a quantity over the runs of each cycle, all or some."""
        values = values if of is None else np.where(of, values, 0.0)
        return np.bincount(runs.row, values, self.count).astype(np.float64, copy=False)


def _run_starts(records: Records, cycles: _Cycles, holds: IntArray) -> IntArray:
    turns = np.flatnonzero(records.new_step | records.turns)
    return np.unique(np.concatenate((cycles.block_starts, turns, holds[holds < records.signs.size])))


def _run_seconds(records: Records, starts: IntArray) -> FloatArray:
    """Time that ended in each run: its intervals belong to the record at their end."""
    lasts = np.append(starts[1:], records.time.size) - 1
    return np.diff(records.time[lasts], prepend=records.time[0] - records.first_seconds)


def flows_of_runs(records: Records, quantity: Quantity, starts: IntArray) -> tuple[Flows, Method | None]:
    """What flowed in each run, and how that is known."""
    flows = counted(records, quantity, starts)
    if flows is not None:
        return flows, "counter"
    if quantity == "energy" and not has_values(records.frame, VOLTAGE.name):
        nothing = np.full(starts.size, np.nan)
        return Flows(nothing, nothing), None
    return integrated(records, quantity, starts), "integrated"


def _cycles_with_gap(records: Records, cycles: _Cycles) -> BoolArray:
    """Cycles that have a gap: the one in which it ends, and the one whose end may be lost in it."""
    ends = gaps(records)
    with_gap = np.zeros(cycles.count, dtype=np.bool_)
    with_gap[cycles.row_of(ends)] = True
    with_gap[cycles.row_of(ends - 1)] = True
    return with_gap


def _unknown_in(unknown: BoolArray, flows: Flows) -> Flows:
    return Flows(np.where(unknown, np.nan, flows.charge), np.where(unknown, np.nan, flows.discharge))


def _charge_part_columns(
    records: Records, cycles: _Cycles, runs: _Runs, holds: IntArray, charge: FloatArray
) -> dict[str, FloatArray]:
    parts = charge_parts(records, runs.starts, runs.direction, holds)
    if parts is None:
        return {}
    columns = {}
    untold = cycles.total(runs, (parts.constant_current | parts.constant_voltage).astype(np.float64)) == 0
    for name, part in (("cc", parts.constant_current), ("cv", parts.constant_voltage)):
        columns[f"{name}_charge_capacity_ah"] = np.where(untold, np.nan, cycles.total(runs, charge, part))
        columns[f"{name}_charge_time_second"] = np.where(untold, np.nan, cycles.total(runs, runs.seconds, part))
    return columns


def _extreme_columns(frame: pl.DataFrame, cycles: _Cycles) -> dict[str, FloatArray]:
    columns = {}
    temperature = next((column.name for column in _TEMPERATURES if has_values(frame, column.name)), None)
    for name, label in (
        (VOLTAGE.name, "voltage_volt"),
        (CURRENT.name, "current_ampere"),
        (temperature, "temperature_celsius"),
    ):
        if name and name in frame.columns:
            values = numbers(frame, name)
            low = np.full(cycles.count, np.nan)
            high = np.full(cycles.count, np.nan)
            np.fmin.at(low, cycles.block_row, np.fmin.reduceat(values, cycles.block_starts))
            np.fmax.at(high, cycles.block_row, np.fmax.reduceat(values, cycles.block_starts))
            columns[f"min_{label}"], columns[f"max_{label}"] = low, high
    return columns


def _last_resistance(frame: pl.DataFrame, cycles: _Cycles) -> FloatArray:
    """Last resistance that the tester reported in each cycle, in ohm; testers write 0 until they have measured one."""
    found = np.full(cycles.count, np.nan)
    name = next((each.name for each in _RESISTANCES if has_values(frame, each.name)), None)
    if name is None:
        return found
    values = numbers(frame, name)
    measured = np.flatnonzero((values != 0) & ~np.isnan(values))
    last = np.append(-1, measured)[np.searchsorted(measured, cycles.block_lasts, side="right")]
    known = last >= cycles.block_starts
    found[cycles.block_row[known]] = values[last[known]]
    return found


def _half_columns(cycles: _Cycles, runs: _Runs, halves: Phases, *, finished: bool) -> dict[str, npt.NDArray[Any]]:
    """With what each cycle begins, and whether both its halves are over.

    The second half is over once a later record has left its direction, or the test has finished.
    """
    run = np.arange(runs.starts.size)
    half = np.searchsorted(halves.first, run, side="right") - 1
    within = (half >= 0) & (run <= np.append(halves.last, -1)[half])
    flowing = np.where(within & (runs.direction == np.append(halves.direction, 0)[half]), runs.direction, 0)
    first_run, last_run = {}, {}
    for direction in (1, -1):
        of = np.flatnonzero(flowing == direction)
        first_run[direction] = np.full(cycles.count, runs.starts.size)
        last_run[direction] = np.full(cycles.count, -1)
        np.minimum.at(first_run[direction], runs.row[of], of)
        np.maximum.at(last_run[direction], runs.row[of], of)
    begins = np.sign(first_run[-1] - first_run[1])
    both = (last_run[1] >= 0) & (last_run[-1] >= 0)
    left = {way: np.max(np.flatnonzero(flowing != way), initial=-1) for way in (1, -1)}
    over = np.where(begins > 0, left[-1] > last_run[-1], left[1] > last_run[1])
    words = np.array(["discharge", None, "charge"], dtype=object)
    return {"first_direction": words[begins + 1], "complete": both & (over | finished)}


def _table(columns: dict[str, npt.NDArray[Any]], count: int) -> pl.DataFrame:
    """Put the columns in the order of the schema, with null for what is not known."""
    unknown = np.full(count, np.nan)
    series = []
    for name, dtype in CYCLE_SCHEMA.items():
        values = columns.get(name, unknown)
        if dtype is pl.Float64:
            series.append(pl.Series(name, values, dtype=dtype, nan_to_null=True))
        else:
            series.append(pl.Series(name, values.tolist(), dtype=dtype))
    return with_efficiencies(pl.DataFrame(series), "same_cycle")


def _quotient(dividend: FloatArray, divisor: FloatArray) -> FloatArray:
    quotient = np.full(divisor.size, np.nan)
    with np.errstate(over="ignore"):  # a divisor may be so small that it is hardly a number
        np.divide(dividend, divisor, out=quotient, where=divisor > 0)
    return np.where(np.isinf(quotient), np.nan, quotient)
