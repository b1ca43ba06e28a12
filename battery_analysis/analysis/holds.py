"""Constant-current and constant-voltage parts of charging, where the tester's step types tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from battery_analysis.analysis.records import BoolArray, FloatArray, IntArray, Records, held_numbers
from battery_analysis.columns import VOLTAGE

HOLD_VOLT = 1e-3
HOLD_FRACTION = 5e-4
CURRENT_FALL = 0.95


@dataclass(frozen=True)
class ChargeParts:
    """Which runs are the constant-current and which the constant-voltage part of a step."""

    constant_current: BoolArray
    constant_voltage: BoolArray


def hold_starts(records: Records) -> IntArray:
    """First record of the constant-voltage part of each step; the number of records where a step has none.

    A step of type CV is one from its first record. A step of type CCCV holds its voltage from the first record after
    which the voltage stays, while current flows, within 1 mV + 0.05 % of the step's largest, provided that the current
    falls by more than 5 % from there to the step's end. Where it does not, the step ended when it
    reached its limit (or goes on in another file), and all of it is constant current.
    """
    nowhere = records.signs.size
    starts = np.full(records.steps.size, nowhere, dtype=np.int64)
    holds = records.holds
    if holds is None or VOLTAGE.name not in records.frame.columns:
        return starts
    ends = np.append(records.steps[1:], nowhere)
    voltage = held_numbers(records.frame, VOLTAGE.name, before=0.0)
    for number, hold in enumerate(holds):
        if hold == "cv":
            starts[number] = records.steps[number]
        elif hold == "cccv":
            step = slice(records.steps[number], ends[number])
            charging = np.flatnonzero(records.signs[step] >= 2)
            held = held_from(voltage[step][charging], records.current[step][charging])
            if held is not None:
                starts[number] = records.steps[number] + charging[held]
    return starts


def held_from(voltage: FloatArray, current: FloatArray) -> int | None:
    """Position from which a charge holds its voltage, None if it does not; of a discharge give the negative voltage.

    Args:
        voltage: Voltage of each record of the charge, in V.
        current: Magnitude of its current, in A.

    >>> held_from(np.array([3.9, 4.1, 4.2, 4.2, 4.2]), np.array([1.0, 1.0, 1.0, 0.5, 0.1]))
    2
    """
    if not voltage.size:
        return None
    limit = float(voltage.max())
    below = np.flatnonzero(voltage < limit - HOLD_VOLT - HOLD_FRACTION * abs(limit))
    start = int(below[-1]) + 1 if below.size else 0
    if start >= voltage.size or current[-1] > CURRENT_FALL * current[start]:
        return None
    return start


def charge_parts(records: Records, starts: IntArray, direction: IntArray, holds: IntArray) -> ChargeParts | None:
    """Tell apart the constant-current and the constant-voltage runs of charge, None where no step type tells.

    Args:
        records: The test.
        starts: First record of each run; the ``holds`` are among them.
        direction: 1 for the runs that charge.
        holds: First record of each step's constant-voltage part.
    """
    if records.holds is None:
        return None
    step = records.step_of(starts)
    telling = np.isin(np.array(records.holds), ("cc", "cv", "cccv"))[step] & (direction > 0)
    held = starts >= holds[step]
    return ChargeParts(telling & ~held, telling & held)
