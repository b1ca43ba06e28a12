"""May these numbers be believed? What a file says twice is compared; what is wrong is said and never changed.

- ``sign``: the current against the tester's own charge, discharge and rest states, and against the direction of its
  counters.
- ``charge_balance``, ``energy_balance``: the integral of current (of power) against the counters, per cycle and
  direction, with a tolerance by logging interval (``balance``).
- ``clock``: test time against the wall clock over spans, and against the clock of each step; restarts, pauses, gaps.
- ``plausibility``: voltage against the limits in the header, efficiency above 1.02, capacity above 1.5 times nominal.
- ``completeness``: records against what the file announces, numbers of records and steps that are left out, the last
  record against the end of the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
import polars as pl

from battery_analysis.analysis.balance import check_balance, check_sign
from battery_analysis.analysis.counters import SECONDS_PER_HOUR
from battery_analysis.analysis.efficiency import EfficiencyConvention
from battery_analysis.analysis.findings import (
    Check,
    Fault,
    Ranges,
    concluded,
    intervals,
    not_applicable,
    ranges,
    ranges_of,
)
from battery_analysis.analysis.integration import gaps, pauses, record_jumps
from battery_analysis.analysis.numbering import number_cycles
from battery_analysis.analysis.records import (
    REPORTED_TIME,
    FloatArray,
    IntArray,
    Records,
    cycle_column,
    has_values,
    held_numbers,
)
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import (
    CURRENT,
    RECORD_INDEX,
    STEP_COUNT,
    STEP_TIME,
    TEST_TIME,
    UNIX_TIME,
    VOLTAGE,
)

__all__ = ["Check", "Fault", "check_cycles_again", "run_checks"]

CLOCK_FRACTION = 0.02
CLOCK_SECONDS = 60.0
MOST_EFFICIENCY = 1.02
MOST_NOMINAL_CAPACITIES = 1.5
VOLTAGE_MARGIN = 0.01
"""Of the span between the limits: what a tester overshoots, or rounds."""

_PLAUSIBLE = "voltage, capacity and efficiency are within what they can be"
_OF_CYCLES = frozenset({"efficient_cycles", "large_cycles"})
_CONVENTIONS: dict[EfficiencyConvention, str] = {
    "same_cycle": "discharge / charge of the same cycle",
    "previous_charge": "discharge / charge of the cycle before",
    "charge_per_discharge": "charge / discharge of the same cycle",
}
_SPAN_RECORDS = 1024
_STAMP_SECONDS = 2.0


class FileFacts(Protocol):
    """What a file says of its test beside the records, as far as the checks compare it; ``TestMetadata`` has it."""

    @property
    def continuation(self) -> bool:
        """Whether the counters of the first record go on from another file."""
        ...

    @property
    def nominal_capacity_ah(self) -> float | None:
        """Nominal capacity."""
        ...

    @property
    def voltage_limits_volt(self) -> tuple[float, float] | None:
        """Lower and upper limit."""
        ...

    @property
    def announced_records(self) -> int | None:
        """Number of records that the file announces."""
        ...

    @property
    def finished(self) -> bool | None:
        """Whether the test has ended; None where the file does not say."""
        ...

    @property
    def started_at(self) -> datetime | None:
        """Start, UTC."""
        ...

    @property
    def ended_at(self) -> datetime | None:
        """End, UTC."""
        ...


def run_checks(frame: pl.DataFrame, cycles: pl.DataFrame, metadata: FileFacts) -> list[Check]:
    """Check a test against itself.

    Args:
        frame: Canonical time series, as ``steady_time`` and ``number_cycles`` leave it; or a spectrum.
        cycles: Its cycle table.
        metadata: What the file says of the test.

    Example:
        An hour at 1 A by the current, of which the tester's counter knows 1 mAh:

        >>> from battery_analysis.analysis.cycles import summarise_cycles
        >>> from battery_analysis.readers.base import TestMetadata
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 1800.0, 3600.0],
        ...     "current_ampere": [1.0, 1.0, 1.0],
        ...     "cycle_count": [1, 1, 1],
        ...     "charging_capacity_ah": [0.0, 0.0005, 0.001],
        ...     "discharging_capacity_ah": [0.0, 0.0, 0.0],
        ... })
        >>> checks = run_checks(frame, summarise_cycles(frame), TestMetadata("Maker"))
        >>> [check.name for check in checks if check.status == "failed"]
        ['charge_balance']
    """
    if cycles.height and cycle_column(frame) is None:
        frame, _ = number_cycles(frame)
    timed = CURRENT.name in frame.columns and has_values(frame, TEST_TIME.name)
    records = Records.of(frame, continuation=metadata.continuation) if timed else None
    in_gaps = gaps(records) if records is not None else np.empty(0, dtype=np.int64)
    return [
        check_sign(records),
        check_balance("charge_balance", records, cycles, "capacity", in_gaps),
        check_balance("energy_balance", records, cycles, "energy", in_gaps),
        _clock(records, in_gaps),
        _plausibility(frame, cycles, metadata),
        _completeness(frame, records, metadata),
    ]


def _clock(records: Records | None, in_gaps: IntArray) -> Check:
    if records is None:
        return not_applicable("clock", "no test time was recorded")
    breaks, stopped, jumps = records.clock_breaks, pauses(records), record_jumps(records)
    silent = np.setdiff1d(in_gaps, np.concatenate((breaks, stopped, jumps)))
    faults = []
    by_time = records.seconds
    for ends, what, label, seconds in (
        (breaks, "the test time ran backwards or was missing, and was repaired,", "repairs", by_time[breaks]),
        (stopped, "the wall clock ran on without the test time", "pauses", _paused(records, stopped)),
        (silent, "the current changed unseen during a long silence", "silences", by_time[silent]),
    ):
        if ends.size:
            told = {label: float(ends.size), f"{label}_second": float(seconds.sum())}
            faults.append(Fault(f"{what} {_times(ends.size)}", told, intervals(ends)))
    others = [fault for fault in (_against_wall(records, stopped), _against_steps(records)) if fault]
    second = [column for column in (UNIX_TIME, STEP_TIME) if has_values(records.frame, column.name)]
    if not (second or faults or REPORTED_TIME in records.frame.columns):
        return not_applicable("clock", "the file has only one clock")
    found = {"duration_second": float(records.time[-1] - records.time[0])}
    return concluded("clock", [*faults, *others], "the clocks of the file agree", found)


def _paused(records: Records, stopped: IntArray) -> FloatArray:
    """Seconds by which the wall clock ran on without the test time before each of these records."""
    if not stopped.size:
        return np.empty(0)
    ahead = held_numbers(records.frame, UNIX_TIME.name) - records.time
    return ahead[stopped] - ahead[stopped - 1]


def _against_wall(records: Records, stopped: IntArray) -> Fault | None:
    """Spans over which the wall clock does not advance as the test time does, pauses left out."""
    if not has_values(records.frame, UNIX_TIME.name) or records.time.size < 2:
        return None
    wall = held_numbers(records.frame, UNIX_TIME.name)
    posts = np.unique(np.append(np.arange(0, wall.size, _SPAN_RECORDS), wall.size - 1))
    ahead = np.diff(wall[posts] - records.time[posts])
    np.subtract.at(ahead, np.searchsorted(posts, stopped) - 1, _paused(records, stopped))
    return _drift("wall", np.diff(records.time[posts]), ahead, posts[:-1], posts[1:])


def _against_steps(records: Records) -> Fault | None:
    """Steps whose own clock does not advance as the test time does."""
    if not has_values(records.frame, STEP_TIME.name):
        return None
    within = held_numbers(records.frame, STEP_TIME.name)
    firsts, lasts = records.steps, np.append(records.steps[1:], records.time.size) - 1
    told, passed = within[lasts] - within[firsts], records.time[lasts] - records.time[firsts]
    usable = told >= 0  # a step's number that comes back at once hides where its clock began again
    return _drift("step", passed[usable], (told - passed)[usable], firsts[usable], lasts[usable])


def _drift(label: str, passed: FloatArray, ahead: FloatArray, firsts: IntArray, lasts: IntArray) -> Fault | None:
    off = np.abs(ahead) > CLOCK_SECONDS + CLOCK_FRACTION * np.maximum(passed, passed + ahead)
    total, length = float(ahead.sum()), float(passed.sum())
    all_off = abs(total) > CLOCK_SECONDS + CLOCK_FRACTION * max(length, length + total)
    if not (off.any() or all_off):
        return None
    chosen = off if off.any() else np.ones_like(off)
    gone, shown = float(passed[chosen].sum()), float((passed + ahead)[chosen].sum())
    hour = np.abs(np.abs(ahead[chosen]) - SECONDS_PER_HOUR) <= _STAMP_SECONDS
    why = ", as at a change of daylight-saving time: give the tester's time zone" if hour.all() else ""
    message = f"the {label} clock advances by {shown:.6g} s while the test time advances by {gone:.6g} s{why}"
    told = {f"{label}_second": shown, f"{label}_test_second": gone}
    return Fault(message, told, ranges(firsts[chosen], lasts[chosen]))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _plausibility(frame: pl.DataFrame, cycles: pl.DataFrame, metadata: FileFacts) -> Check:
    faults = []
    limits, nominal = metadata.voltage_limits_volt, metadata.nominal_capacity_ah
    if limits and has_values(frame, VOLTAGE.name) and (fault := _beyond(frame[VOLTAGE.name], limits)):
        faults.append(fault)
    faults += _faults_of_cycles(cycles, nominal, "same_cycle")
    if not (limits or nominal or _judged(cycles).height):
        return not_applicable("plausibility", "no limits, no nominal capacity, no second complete cycle to judge by")
    return concluded("plausibility", faults, _PLAUSIBLE, {})


def check_cycles_again(
    faults: Sequence[Fault],
    cycles: pl.DataFrame,
    nominal_capacity_ah: float | None,
    convention: EfficiencyConvention,
) -> Check:
    """Conclude ``plausibility`` with what is known of the cell: what its cycles are judged by.

    Args:
        faults: Those of the check as it ended on reading; what they say of records stays.
        cycles: Cycle table with the efficiencies of the convention.
        nominal_capacity_ah: Capacity that counts as 1C; None where nobody stated one.
        convention: Which half is divided by which.

    Example:
        >>> cycles = pl.DataFrame({
        ...     "first_record": [0, 9], "records": [9, 9], "complete": True, "has_gap": False,
        ...     "charge_capacity_ah": 1.0, "discharge_capacity_ah": 1.05, "coulombic_efficiency": 1.05,
        ... })
        >>> said = check_cycles_again([], cycles, None, "same_cycle").faults
        >>> known = cycles.with_columns(coulombic_efficiency=1 / 1.05)
        >>> check_cycles_again(said, known, 1.0, "charge_per_discharge").status
        'passed'
    """
    of_records = [fault for fault in faults if not _OF_CYCLES & fault.numbers.keys()]
    of_cycles = _faults_of_cycles(cycles, nominal_capacity_ah, convention)
    return concluded("plausibility", [*of_records, *of_cycles], _PLAUSIBLE, {})


def _judged(cycles: pl.DataFrame) -> pl.DataFrame:
    # How full a cell was when its test began is unknown, and so is what its first cycle's efficiency should be.
    return cycles[1:].filter(pl.col("complete") & ~pl.col("has_gap"))


def _faults_of_cycles(cycles: pl.DataFrame, nominal: float | None, convention: EfficiencyConvention) -> list[Fault]:
    faults = []
    complete = _judged(cycles)
    efficient = complete.filter(pl.col("coulombic_efficiency") > MOST_EFFICIENCY)
    if efficient.height:
        most = float(efficient["coulombic_efficiency"].max())  # type: ignore[arg-type]
        message = (
            f"coulombic efficiency above {MOST_EFFICIENCY} in {efficient.height} of "
            f"{counted(complete.height, 'complete cycle')} "
            f"(up to {most:.4g}, as {_CONVENTIONS[convention]})"
        )
        told = {"efficient_cycles": float(efficient.height), "max_coulombic_efficiency": most}
        faults.append(Fault(message, told, _of_cycles(efficient)))
    if nominal and cycles.height:
        capacity = pl.max_horizontal("charge_capacity_ah", "discharge_capacity_ah")
        large = cycles.filter(capacity > MOST_NOMINAL_CAPACITIES * nominal)
        if large.height:
            most = float(large.select(capacity.max()).item())
            message = f"capacity up to {most:.4g} Ah in {counted(large.height, 'cycle')}, nominal is {nominal:.4g} Ah"
            told = {"large_cycles": float(large.height), "max_capacity_ah": most, "nominal_capacity_ah": nominal}
            faults.append(Fault(message, told, _of_cycles(large)))
    return faults


def _beyond(voltage: pl.Series, limits: tuple[float, float]) -> Fault | None:
    low, high = limits
    margin = VOLTAGE_MARGIN * (high - low)
    least, most = float(voltage.min()), float(voltage.max())  # type: ignore[arg-type]
    if low - margin <= least and most <= high + margin:
        return None
    outside = ((voltage < low - margin) | (voltage > high + margin)).arg_true().to_numpy().astype(np.int64)
    told = {"min_voltage_volt": least, "max_voltage_volt": most, "records_beyond_limits": float(outside.size)}
    message = f"voltage from {least:.4g} to {most:.4g} V, the limits are {low:g} and {high:g} V"
    return Fault(message, told, ranges_of(outside))


def _of_cycles(cycles: pl.DataFrame) -> Ranges:
    firsts = cycles["first_record"].to_numpy()
    return ranges(firsts, firsts + cycles["records"].to_numpy() - 1)


def _completeness(frame: pl.DataFrame, records: Records | None, metadata: FileFacts) -> Check:
    found = {"records": float(frame.height)}
    faults, announced = [], metadata.announced_records
    if announced is not None:
        found["announced_records"] = float(announced)
        if announced != frame.height:
            faults.append(Fault(f"{counted(frame.height, 'record')}, the file announces {announced}", {}))
    if records is not None:
        jumps = record_jumps(records)
        if jumps.size:
            message = f"record numbers are left out {_times(jumps.size)}"
            faults.append(Fault(message, {"jumps": float(jumps.size)}, intervals(jumps)))
        faults += _skipped_steps(frame)
    if metadata.finished is False:
        faults.append(Fault("the test was still running when the file was written", {}))
    told = announced is not None or has_values(frame, RECORD_INDEX.name) or has_values(frame, STEP_COUNT.name)
    early = _early_end(frame, metadata)
    if early is not None:
        told = True
        if early > CLOCK_SECONDS:
            message = f"the records end {early:.6g} s before the end of the test that the file gives"
            faults.append(Fault(message, {"missing_second": early}))
    if not (told or metadata.finished is not None):
        return not_applicable("completeness", "the file numbers and announces no records")
    good = "nothing that the file announces or numbers is missing"
    return concluded("completeness", faults, good, found)


def _skipped_steps(frame: pl.DataFrame) -> list[Fault]:
    """Steps whose numbers are left out between two records."""
    if not has_values(frame, STEP_COUNT.name) or frame[STEP_COUNT.name].null_count():
        return []
    number = frame[STEP_COUNT.name].to_numpy()
    skips = np.flatnonzero(number[1:] > number[:-1] + 1) + 1
    message = f"steps are left out {_times(skips.size)}"
    return [Fault(message, {"skipped": float(skips.size)}, intervals(skips))] if skips.size else []


def _early_end(frame: pl.DataFrame, metadata: FileFacts) -> float | None:
    """Seconds from the last record to the end that the file gives, None where it gives none."""
    if metadata.ended_at is None or not frame.height:
        return None
    if has_values(frame, UNIX_TIME.name):
        last = frame[UNIX_TIME.name].drop_nulls()[-1]
        return metadata.ended_at.timestamp() - float(last)
    if metadata.started_at is None or not has_values(frame, TEST_TIME.name):
        return None
    return (metadata.ended_at - metadata.started_at).total_seconds() - float(frame[TEST_TIME.name].drop_nulls()[-1])
