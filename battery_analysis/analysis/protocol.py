"""The protocol that a test actually followed: its steps, rates, voltage limits, holds and rests.

What a schedule said is not asked; what the records show is (``executed_steps``). Assumed is that steps which repeat
were meant alike, so all that is said of limits needs at least two steps that agree:

- ``ended_by`` of a current: ``voltage`` where a hold of that voltage (within 20 mV) follows, or where the end voltages
  of like steps lie together within 20 mV; ``time`` where their durations agree within 0.2 % or 1 s and the voltages do
  not, or where both do and the voltage is not the outermost of the test. Of a hold: ``current`` where the end currents
  agree within 20 %, ``time`` where only the durations do. Else None: one step alone does not tell what ended it.
- currents are one where they lie within 2 % of their neighbours in order of size.

Rates. With a nominal capacity, a current is its multiple in 1/h: ``C/10``, ``2C``; within 3 % of such a round
rate it is called by it, else by two digits (``0.37C``). Without one it is called by itself (``50 mA``).

Cycles. A cycle's rates are the currents that move at least a fifth of its charge, in each direction. Successive cycles
with the same rates and voltage limits (20 mV) are a group. The summary counts cycles by their rates: ``3x C/10, 100x
C/2``, or ``5x C/2 charge 1C discharge`` where the directions differ, ``C/2+C/5`` where one current follows another. A
last cycle that is not complete is left out where it does what the one before did, as far as it went; else it is called
incomplete.

Same protocol. ``signature`` names each kind of group once, in order of first appearance, without counts: tests that
ended early or late follow the same protocol. It is made of rounded numbers (20 mV, rates as above); who groups
tests should use ``same_protocol``, which knows no edges of rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import polars as pl

from battery_analysis.analysis.cycle_groups import ROUND_RATE, CycleGroup, StepsInCycles, same_limit
from battery_analysis.analysis.executed import SAME_VOLT, executed_steps
from battery_analysis.errors import AnalysisError


@dataclass(frozen=True)
class Protocol:
    """What a test did; ``nominal_capacity_ah`` is the capacity that its rates are multiples of, if any."""

    summary: str
    signature: str
    groups: tuple[CycleGroup, ...]
    executed: pl.DataFrame
    nominal_capacity_ah: float | None


def protocol(frame: pl.DataFrame, nominal_capacity_ah: float | None = None, *, finished: bool = False) -> Protocol:
    """Find the protocol that a test followed.

    Args:
        frame: Canonical time series in time order.
        nominal_capacity_ah: Capacity that counts as 1C; without it, rates are currents.
        finished: The file says that the test has ended, so that its last cycle may be complete.

    Returns:
        The summary, the groups of cycles with their steps, and ``executed``, one row per step of the test: ``step``,
        ``cycle_count``, ``first_record``, ``last_record``, ``kind``, ``direction``, ``current_ampere``, ``c_rate``,
        ``power_watt``, ``voltage_volt`` (held, or the limit that ended it), ``end_voltage_volt``,
        ``end_current_ampere``, ``start_time_second``, ``duration_second``, ``charge_ah``, ``ended_by``.

    Raises:
        AnalysisError: Time, voltage or current is missing, no current ever flowed, or the capacity is not positive.

    Example:
        Three cycles between 3 and 4 V at 0.5 A, one record every half hour:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [1800.0 * record for record in range(1, 13)],
        ...     "voltage_volt": [3.5, 4.0, 3.5, 3.0] * 3,
        ...     "current_ampere": [0.5, 0.5, -0.5, -0.5] * 3,
        ...     "cycle_count": [1] * 4 + [2] * 4 + [3] * 4,
        ... })
        >>> found = protocol(frame, nominal_capacity_ah=5.0)
        >>> found.summary, [step.text for step in found.groups[0].steps]
        ('3x C/10', ['charge C/10 to 4 V', 'discharge C/10 to 3 V'])
    """
    if nominal_capacity_ah is not None and not (np.isfinite(nominal_capacity_ah) and nominal_capacity_ah > 0):
        raise AnalysisError(f"protocol: nominal_capacity_ah must be positive, got {nominal_capacity_ah}")
    steps = executed_steps(frame)
    found = StepsInCycles(steps, nominal_capacity_ah)
    groups = tuple(found.groups(finished=finished))
    runs = groupby(groups, key=lambda group: (group.label, group.incomplete))
    summary = ", ".join(
        f"{sum(group.cycles for group in run)}x {label}" + (" (incomplete)" if incomplete else "")
        for (label, incomplete), run in runs
    )
    signature = " | ".join(dict.fromkeys(_signed(group) for group in groups))
    return Protocol(summary, signature, groups, found.table(), nominal_capacity_ah)


def same_protocol(one: Protocol, other: Protocol) -> bool:
    """Whether two tests followed the same protocol, whatever the number of their cycles.

    Their kinds of groups are compared in order of first appearance: rates within 3 % (as multiples of the nominal
    capacity where both have one, else in A), voltage limits within 20 mV, and the kinds and directions of their steps
    without rests.
    """
    rates = one.nominal_capacity_ah is not None and other.nominal_capacity_ah is not None
    ours, theirs = _kinds(one, rates=rates), _kinds(other, rates=rates)
    return len(ours) == len(theirs) and all(map(_equal, ours, theirs))


def grouped(protocols: Sequence[Protocol]) -> list[list[int]]:
    """Group tests with the same protocol: positions in ``protocols``, each in the first group whose first it equals."""
    groups: list[list[int]] = []
    for place, each in enumerate(protocols):
        home = next((group for group in groups if same_protocol(protocols[group[0]], each)), None)
        if home is None:
            groups.append([place])
        else:
            home.append(place)
    return groups


@dataclass(frozen=True)
class _GroupKind:
    charge: tuple[float, ...]
    discharge: tuple[float, ...]
    limits: tuple[float | None, float | None]
    kinds: tuple[tuple[str, str], ...]


def _kinds(found: Protocol, *, rates: bool) -> list[_GroupKind]:
    unit = found.nominal_capacity_ah if rates and found.nominal_capacity_ah else 1.0
    kinds: list[_GroupKind] = []
    for group in found.groups:
        charge, discharge = (tuple(current / unit for current in side) for side in group.rates)
        seen = dict.fromkeys((step.kind, step.direction) for step in group.steps if step.kind != "rest")
        kind = _GroupKind(charge, discharge, (group.lower_volt, group.upper_volt), tuple(seen))
        if not group.incomplete and not any(_equal(kind, other) for other in kinds):
            kinds.append(kind)
    return kinds


def _equal(one: _GroupKind, other: _GroupKind) -> bool:
    return (
        one.kinds == other.kinds
        and _close(one.charge, other.charge)
        and _close(one.discharge, other.discharge)
        and all(map(same_limit, one.limits, other.limits))
    )


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(abs(a - b) <= ROUND_RATE * max(a, b) for a, b in zip(one, other, strict=True))


def _signed(group: CycleGroup) -> str:
    limits = [f"{SAME_VOLT * round(limit / SAME_VOLT):.2f}" for limit in (group.lower_volt, group.upper_volt) if limit]
    holds = "CV" if any(step.kind == "constant_voltage" for step in group.steps) else ""
    return " ".join(filter(None, (group.label, holds, "-".join(limits) + (" V" if limits else ""))))
