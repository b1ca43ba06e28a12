"""The steps that a test actually went through, whatever its tester calls them or tells of them.

A test is parted into stretches of one current (``levels``). Of each is found out what was held:

- ``rest``: no current, or noise: one that is not clear (``records``) and moves less than a thousandth of the charge of
  the largest stretch
- ``constant_voltage``: from where the voltage stays within 1 mV + 0.05 % of the stretch's extreme while the current
  falls by more than 5 % (``holds.held_from``), or all of it where the tester says so
- ``constant_power``: the current spreads by more than 10 % (its 10th to 90th percentile over the median), the power by
  less than 5 %
- ``profile``: neither stays, or one step of the tester holds more than eight currents
- ``constant_current``: everything else

Neighbours that hold the same (currents within 2 %, voltages within 20 mV) are one step: testers part them for reasons
of their own. One record that takes less than 1 s belongs to the step before: it shows the change from one to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.charge import cycling_records
from battery_analysis.analysis.cycles import flows_of_runs
from battery_analysis.analysis.holds import held_from
from battery_analysis.analysis.integration import gaps
from battery_analysis.analysis.levels import Level, levels
from battery_analysis.analysis.numbering import number_cycles
from battery_analysis.analysis.records import (
    CLEAR_FRACTION,
    NOISE_FRACTION,
    FloatArray,
    Records,
    cycle_column,
    has_values,
    held_numbers,
)
from battery_analysis.columns import CYCLE_COUNT, STEP_COUNT, STEP_ID, STEP_TYPE, VOLTAGE
from battery_analysis.errors import AnalysisError

Kind = Literal["rest", "constant_current", "constant_voltage", "constant_power", "profile"]

SAME_CURRENT = 0.02
SAME_VOLT = 0.02
CURRENT_SPREAD = 0.1
POWER_SPREAD = 0.05
MOST_LEVELS = 8
PASSING_SECONDS = 1.0


@dataclass(frozen=True)
class Executed:
    """One step: records from ``first`` to before ``end``; currents and powers are magnitudes.

    ``current_ampere`` and ``power_watt`` are medians, ``voltage_volt`` the median of the voltage where it was held.
    ``charge_ah`` is what flowed, None where that is unknown.
    """

    first: int
    end: int
    kind: Kind
    direction: int
    start_second: float
    end_second: float
    current_ampere: float
    end_current_ampere: float
    power_watt: float
    voltage_volt: float | None
    end_voltage_volt: float
    charge_ah: float | None = None
    cycle: int = 0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end_second - self.start_second


def executed_steps(frame: pl.DataFrame) -> list[Executed]:
    """List the steps that a test went through.

    Raises:
        AnalysisError: Time, voltage or current is missing, no current ever flowed, or only spectra were recorded.

    Example:
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 1800.0, 3600.0, 3610.0, 7200.0],
        ...     "voltage_volt": [3.8, 4.0, 4.2, 4.1, 4.1],
        ...     "current_ampere": [1.0, 1.0, 1.0, 0.0, 0.0],
        ... })
        >>> [(step.kind, step.direction, step.charge_ah) for step in executed_steps(frame)]
        [('constant_current', 1, 1.0), ('rest', 0, 0.0)]
    """
    frame, method = number_cycles(frame)
    records = cycling_records(frame, "protocol")
    if method is None and cycle_column(frame) is None:
        raise AnalysisError(f"protocol: all {frame.height} records are points of a spectrum")
    voltage = held_numbers(frame, VOLTAGE.name)
    parts = [part for level in _quiet(records, _joined_profiles(records)) for part in _parts(records, voltage, level)]
    merged: list[Executed] = []
    for part in parts:
        if merged and _is_passing(part):
            merged[-1] = replace(merged[-1], end=part.end, end_second=part.end_second)
        elif merged and _alike(merged[-1], part):
            merged[-1] = _together(merged[-1], part)
        else:
            merged.append(part)
    return _with_charge(records, merged)


def _joined_profiles(records: Records) -> list[Level]:
    """The stretches of one current; as one those of a tester's step that holds many."""
    stretches = levels(records)
    if not any(has_values(records.frame, column.name) for column in (STEP_COUNT, STEP_ID, STEP_TYPE)):
        return stretches
    step = records.step_of(np.array([level.first for level in stretches]))
    firsts = np.append(np.flatnonzero(np.diff(step, prepend=-1)), step.size)
    joined: list[Level] = []
    for first, end in pairwise(firsts.tolist()):
        own = stretches[first:end]
        if len(own) > MOST_LEVELS:
            own = [replace(own[0], end=own[-1].end, direction=2)]
        joined += own
    return joined


def _quiet(records: Records, stretches: list[Level]) -> list[Level]:
    """The stretches, with those that are noise as rests."""
    seconds = [records.time[level.end - 1] - level.start_second for level in stretches]
    moved = np.array([abs(level.current) * length for level, length in zip(stretches, seconds, strict=True)])
    noise = (moved < NOISE_FRACTION * moved.max()) & np.array(
        [abs(level.current) < CLEAR_FRACTION * records.largest and level.direction != 2 for level in stretches]
    )
    return [replace(level, direction=0) if quiet else level for level, quiet in zip(stretches, noise, strict=True)]


def _parts(records: Records, voltage: FloatArray, level: Level) -> list[Executed]:
    """What was held over a stretch: one thing, or a current and then a voltage."""
    if level.direction in (0, 2):
        return [_part(records, voltage, level, "rest" if level.direction == 0 else "profile")]
    current = records.current[level.own]
    held = held_from(voltage[level.own] * level.direction, np.abs(current))
    if _said_to_hold_voltage(records, level):
        held = 0
    if held is None:
        return [_part(records, voltage, level, _kind(voltage[level.own], current))]
    if held <= 1:
        return [_part(records, voltage, level, "constant_voltage")]
    middle = level.first + held
    before = replace(level, end=middle)
    after = replace(level, first=middle, start_second=float(records.time[middle - 1]))
    kind = _kind(voltage[before.own], records.current[before.own])
    return [_part(records, voltage, before, kind), _part(records, voltage, after, "constant_voltage")]


def _said_to_hold_voltage(records: Records, level: Level) -> bool:
    return records.holds is not None and records.holds[int(records.step_of(np.array([level.first]))[0])] == "cv"


def _kind(voltage: FloatArray, current: FloatArray) -> Kind:
    if _spread(current) <= CURRENT_SPREAD:
        return "constant_current"
    return "constant_power" if _spread(voltage * current) <= POWER_SPREAD else "profile"


def _spread(values: FloatArray) -> float:
    low, middle, high = np.percentile(np.abs(values), (10, 50, 90))
    with np.errstate(over="ignore"):  # beside next to nothing any spread is infinite
        return float((high - low) / middle) if middle else np.inf


def _part(records: Records, voltage: FloatArray, level: Level, kind: Kind) -> Executed:
    current, volt = np.abs(records.current[level.own]), voltage[level.own]
    return Executed(
        first=level.first,
        end=level.end,
        kind=kind,
        direction=_direction(records, level),
        start_second=level.start_second,
        end_second=float(records.time[level.end - 1]),
        current_ampere=float(np.median(current)) if kind != "rest" else 0.0,
        end_current_ampere=float(current[-1]) if kind != "rest" else 0.0,
        power_watt=float(np.median(current * np.abs(volt))) if kind != "rest" else 0.0,
        voltage_volt=float(np.median(volt)) if kind == "constant_voltage" else None,
        end_voltage_volt=float(volt[-1]),
    )


def _direction(records: Records, level: Level) -> int:
    """Which way a stretch goes; of a profile, by its mean current."""
    return level.direction if level.direction != 2 else int(np.sign(np.mean(records.current[level.own])))


def _alike(one: Executed, other: Executed) -> bool:
    if (one.kind, one.direction) != (other.kind, other.direction):
        return False
    match one.kind:
        case "rest":
            return True
        case "constant_current":
            return abs(one.current_ampere - other.current_ampere) <= SAME_CURRENT * one.current_ampere
        case "constant_voltage":
            return abs((one.voltage_volt or 0.0) - (other.voltage_volt or 0.0)) <= SAME_VOLT
        case _:
            return False


def _is_passing(part: Executed) -> bool:
    """Whether it is one record between two steps."""
    return part.end - part.first == 1 and part.seconds < PASSING_SECONDS


def _together(one: Executed, other: Executed) -> Executed:
    longer = max(one, other, key=lambda step: step.seconds)
    return replace(
        longer,
        first=one.first,
        start_second=one.start_second,
        end=other.end,
        end_second=other.end_second,
        end_current_ampere=other.end_current_ampere,
        end_voltage_volt=other.end_voltage_volt,
    )


def _with_charge(records: Records, steps: list[Executed]) -> list[Executed]:
    """The steps with what flowed in each, and the cycle that most of each lies in."""
    starts = np.array([step.first for step in steps])
    flows, method = flows_of_runs(records, "capacity", np.arange(records.current.size))
    moved = np.add.reduceat(flows.charge + flows.discharge, starts)
    if method == "integrated" and (lost := gaps(records)).size:
        moved[np.searchsorted(starts, lost, side="right") - 1] = np.nan
    name = cycle_column(records.frame) or CYCLE_COUNT.name
    middles = [(step.first + step.end - 1) // 2 for step in steps]
    held = records.frame[name].fill_null(strategy="forward").fill_null(strategy="backward")
    cycles = held.gather(middles).to_list()
    return [
        replace(step, charge_ah=float(ah) if np.isfinite(ah) else None, cycle=int(cycle or 0))
        for step, ah, cycle in zip(steps, moved.tolist(), cycles, strict=True)
    ]
