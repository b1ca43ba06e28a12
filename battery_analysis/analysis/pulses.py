"""DC resistance of a cell from steps of its current, at chosen times and against state of charge.

A pulse is any change of the current between two stretches of constant current (``levels``) by more than
``records.CLEAR_FRACTION`` of the test's largest current: the pulses and interruptions of an HPPC test, and likewise
the beginning of every charge and discharge after a rest. Its resistance at time *t* after its beginning is::

    R(t) = (V(t) - V(before)) / (I(t) - I(before))          ohm

*Before* is the last record of the stretch before. Assumed is that this record shows the state at the beginning of the
pulse, and that temperature and open-circuit voltage stay; R(t) of seconds holds ohmic, charge-transfer and beginning
diffusion overpotentials, of which no time parts one from the other.

Time. V(t) and I(t) are those of the record nearest to *t* within 5 % of it; else they are interpolated, linearly in
the square root of time, between two records of the pulse at most *t* / 2 apart. Where neither exists, the resistance
is null and the reason says which record was there instead. Nothing is extrapolated. It is null, too, where the current
at *t* is off the pulse's by more than 5 % of the step (a limit was reached), where records are missing before the
pulse, or where the voltage before it drifted so that the age of the last record matters by more than 5 %.

State of charge is the charge since the test's beginning (``charge``) over a capacity: with ``initial_soc``, counted on
from there; else the largest charge of the test is taken as full. Without ``capacity_ah``, the capacity is measured:
the span of the charge over the test; it counts only if it is ten times that of the smallest pulse or more.

Uncertainty. ``r_error_ohm`` is one standard error from the noise of the voltage alone: √2 · s / ΔI, with s from the
second differences of the last records before the pulse. Errors of the calibration of voltage and current come on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from battery_analysis.analysis.charge import Charge, cycling_records, known, net_charge
from battery_analysis.analysis.integration import gaps
from battery_analysis.analysis.levels import Level, levels
from battery_analysis.analysis.noise import voltage_noise
from battery_analysis.analysis.records import CLEAR_FRACTION, FloatArray, Records, cycle_column, has_values, numbers
from battery_analysis.columns import STEP_COUNT, VOLTAGE
from battery_analysis.errors import AnalysisError

TIMES_SECOND = (0.1, 1.0, 10.0, 30.0)
NEAREST_FRACTION = 0.05
BRACKET_FRACTION = 0.5
STEADY_FRACTION = 0.05
DRIFT_FRACTION = 0.05
SPAN_PULSES = 10.0
NOISE_RECORDS = 30

_DIRECTIONS = {1: "charge", -1: "discharge", 0: "rest"}


def resistance_name(seconds: float) -> str:
    """Name of the column of the resistance at a time.

    >>> resistance_name(0.1), resistance_name(10.0)
    ('r_0_1s_ohm', 'r_10s_ohm')
    """
    return f"r_{seconds:g}s_ohm".replace(".", "_")


def pulses(
    frame: pl.DataFrame,
    *,
    times_second: Sequence[float] = TIMES_SECOND,
    capacity_ah: float | None = None,
    initial_soc: float | None = None,
) -> pl.DataFrame:
    """Tabulate the pulses of a test and their resistances.

    Args:
        frame: Canonical time series in time order.
        times_second: Times after the beginning of the pulse at which the resistance is asked for.
        capacity_ah: Capacity that counts as a state of charge of 1; without it, the measured one.
        initial_soc: State of charge at the test's beginning, from 0 to 1.

    Returns:
        One row per pulse: ``pulse`` (from 1), ``first_record`` and ``last_record`` (positions from 0), ``cycle_count``,
        ``step_count``, ``start_time_second``, ``duration_second``, ``direction`` (``charge``, ``discharge``, or
        ``rest`` where the current was interrupted), ``from_rest``, ``current_before_ampere``,
        ``current_after_ampere``, ``voltage_before_volt``, ``charge_ah`` and ``soc`` at its beginning, one resistance
        for each time (``resistance_name``), ``r_error_ohm``, and ``reason`` for whatever is null.

    Raises:
        AnalysisError: Time, voltage or current is missing, the current never steps, or an argument makes no sense.

    Example:
        A rest at 3.7 V, then 2 A that lift the voltage by 0.1 V within a second:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 60.0, 61.0, 70.0], "step_count": [1, 1, 2, 2],
        ...     "voltage_volt": [3.7, 3.7, 3.8, 3.9], "current_ampere": [0.0, 0.0, 2.0, 2.0],
        ... })
        >>> table = pulses(frame, times_second=[1.0, 10.0])
        >>> table.select(pl.col("r_1s_ohm", "r_10s_ohm").round(6)).row(0)
        (0.05, 0.1)
    """
    _check(times_second, capacity_ah, initial_soc)
    records = cycling_records(frame, "pulses")
    stretches = levels(records)
    steps = [pair for pair in pairwise(stretches) if _is_step(records, *pair)]
    if not steps:
        raise AnalysisError(
            f"pulses: the current never steps by more than {CLEAR_FRACTION:.0%} of {records.largest:g} A"
        )
    charge = net_charge(records)
    measure = _Measure(records, np.asarray(times_second, dtype=np.float64))
    rows = [measure.row(number, *step) for number, step in enumerate(steps, start=1)]
    return _with_soc(pl.DataFrame(rows, infer_schema_length=None), charge, steps, capacity_ah, initial_soc)


def _check(times_second: Sequence[float], capacity_ah: float | None, initial_soc: float | None) -> None:
    if not times_second or not all(np.isfinite(seconds) and seconds > 0 for seconds in times_second):
        raise AnalysisError(f"pulses: times_second must be positive, got {list(times_second)}")
    if capacity_ah is not None and not (np.isfinite(capacity_ah) and capacity_ah > 0):
        raise AnalysisError(f"pulses: capacity_ah must be positive, got {capacity_ah}")
    if initial_soc is not None and not 0 <= initial_soc <= 1:
        raise AnalysisError(f"pulses: initial_soc must lie between 0 and 1, got {initial_soc}")


def _is_step(records: Records, before: Level, after: Level) -> bool:
    change = abs(after.current - float(records.current[before.end - 1]))
    return change > CLEAR_FRACTION * records.largest


class _Measure:
    """Reads the pulses of one test."""

    def __init__(self, records: Records, times: FloatArray) -> None:
        self.records = records
        self.times = times
        self.voltage = numbers(records.frame, VOLTAGE.name)
        self.gaps = set(gaps(records).tolist())
        self.cycle = cycle_column(records.frame)

    def row(self, number: int, before: Level, after: Level) -> dict[str, Any]:
        """Read one pulse."""
        records, last = self.records, before.end - 1
        frame, change = records.frame, after.current - float(records.current[last])
        resistances, reasons = self._resistances(before, after)
        noise = voltage_noise(self.voltage[before.own][-NOISE_RECORDS:])
        return {
            "pulse": number,
            "first_record": after.first,
            "last_record": after.end - 1,
            "cycle_count": frame[self.cycle][after.first] if self.cycle else None,
            "step_count": frame[STEP_COUNT.name][after.first] if has_values(frame, STEP_COUNT.name) else None,
            "start_time_second": after.start_second,
            "duration_second": float(records.time[after.end - 1]) - after.start_second,
            "direction": _DIRECTIONS[after.direction],
            "from_rest": before.direction == 0,
            "current_before_ampere": float(records.current[last]),
            "current_after_ampere": after.current,
            "voltage_before_volt": known(self.voltage[last]),
            **{resistance_name(time): value for time, value in zip(self.times.tolist(), resistances, strict=True)},
            "r_error_ohm": None if noise is None else float(np.sqrt(2) * noise / abs(change)),
            "reason": "; ".join(reasons) or None,
        }

    def _resistances(self, before: Level, after: Level) -> tuple[list[float | None], list[str]]:
        last = before.end - 1
        start = float(self.voltage[last])
        if not np.isfinite(start):
            return [None] * self.times.size, ["no voltage before the pulse"]
        if after.first in self.gaps:
            return [None] * self.times.size, ["records are missing before the pulse"]
        found: list[float | None] = []
        reasons = []
        for seconds in self.times.tolist():
            value = self._resistance(before, after, seconds)
            found.append(None if isinstance(value, str) else value)
            if isinstance(value, str):
                reasons.append(f"{seconds:g} s: {value}")
        return found, reasons

    def _resistance(self, before: Level, after: Level, seconds: float) -> float | str:
        """Resistance at a time in ohm, or why it is not known."""
        last = before.end - 1
        point = self._at(after, seconds)
        if isinstance(point, str):
            return point
        volt, ampere = point[0] - float(self.voltage[last]), point[1] - float(self.records.current[last])
        if abs(point[1] - after.current) > STEADY_FRACTION * abs(after.current - float(self.records.current[last])):
            return f"the current is {point[1]:g} A instead of {after.current:g} A"
        if (drift := self._drift(before, after)) > DRIFT_FRACTION * abs(volt):
            return f"the voltage before drifted by {drift:.2g} V since its last record"
        return volt / ampere

    def _drift(self, before: Level, after: Level) -> float:
        """How far the voltage went on, in V, between the last record before the pulse and the pulse."""
        age = after.start_second - float(self.records.time[before.end - 1])
        if age <= 0 or before.end - before.first < 2:
            return 0.0
        pair = slice(before.end - 2, before.end)
        seconds = float(np.diff(self.records.time[pair])[0])
        change = float(np.abs(np.diff(self.voltage[pair])[0]))
        return change / seconds * age if seconds > 0 and np.isfinite(change) else 0.0

    def _at(self, pulse: Level, seconds: float) -> tuple[float, float] | str:
        """Voltage and current some seconds after a pulse began, or why they are not known."""
        voltage, current = self.voltage[pulse.own], self.records.current[pulse.own]
        since = self.records.time[pulse.own] - pulse.start_second
        usable = np.isfinite(voltage) & (since > 0)
        since, voltage, current = since[usable], voltage[usable], current[usable]
        if not since.size:
            return "the pulse has no record after its beginning"
        nearest = int(np.argmin(np.abs(since - seconds)))
        if abs(since[nearest] - seconds) <= NEAREST_FRACTION * seconds:
            return float(voltage[nearest]), float(current[nearest])
        after = int(np.searchsorted(since, seconds))
        if after == since.size:
            return f"the pulse ends after {since[-1]:g} s"
        if after == 0:
            return f"the first record of the pulse is at {since[0]:g} s"
        low, high = float(since[after - 1]), float(since[after])
        if high - low > BRACKET_FRACTION * seconds:
            return f"no record between {low:g} s and {high:g} s"
        share = (np.sqrt(seconds) - np.sqrt(low)) / (np.sqrt(high) - np.sqrt(low))
        between = [float(each[after - 1] + share * (each[after] - each[after - 1])) for each in (voltage, current)]
        return between[0], between[1]


def _with_soc(
    table: pl.DataFrame,
    charge: Charge,
    steps: Sequence[tuple[Level, Level]],
    capacity_ah: float | None,
    initial_soc: float | None,
) -> pl.DataFrame:
    """Add charge and state of charge at the beginning of each pulse, and why the latter is not known."""
    at_start = charge.ah[[before.end - 1 for before, _ in steps]]
    finite = charge.ah[np.isfinite(charge.ah)]
    reason = None
    if capacity_ah is None:
        capacity_ah = float(finite.max() - finite.min())
        moved = [float(np.ptp(charge.ah[before.end - 1 : after.end])) for before, after in steps if after.direction]
        if not capacity_ah >= SPAN_PULSES * np.nanmin([*moved, np.inf]) > 0:
            reason = f"soc: no capacity given, and the test moved less charge than {SPAN_PULSES:g} pulses"
    if reason is None:
        soc = (
            initial_soc + at_start / capacity_ah
            if initial_soc is not None
            else 1 - (finite.max() - at_start) / capacity_ah
        )
    else:
        soc = np.full(at_start.size, np.nan)
    lost = pl.when(pl.col("charge_ah").is_null()).then(pl.lit("soc: records are missing earlier in the test"))
    table = table.with_columns(
        pl.Series("charge_ah", at_start).fill_nan(None),
        pl.Series("soc", soc).fill_nan(None),
        *(pl.col(name).cast(pl.Float64) for name in table.columns if name.endswith("_ohm")),
        pl.col("cycle_count", "step_count").cast(pl.Int64),
    ).with_columns(
        reason=pl.concat_str(
            [pl.col("reason").cast(pl.String), lost.otherwise(pl.lit(reason, pl.String))],
            separator="; ",
            ignore_nulls=True,
        )
    )
    order = [*table.columns[: table.columns.index("voltage_before_volt") + 1], "charge_ah", "soc"]
    rest = [name for name in table.columns if name not in order]
    return table.select(*order, *rest).with_columns(
        pl.when(pl.col("reason") != "").then(pl.col("reason")).alias("reason")
    )
