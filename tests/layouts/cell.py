"""A cell of which everything is known: what flowed, when, and what every tester would have counted of it.

Each of three cycles rests, charges at 1.5 A, then at 0.75 A, rests, discharges at 2 A what it was charged with (1.5,
1.2 and 0.9 Ah), and rests. The voltage rises or falls evenly, so that no two records of a step are alike.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

CAPACITIES_AH = (1.5, 1.2, 0.9)
START = datetime(2024, 3, 15, 12, 0, 0, tzinfo=UTC)
CHARGE, REST, DISCHARGE = "charge", "rest", "discharge"

Reset = Literal["step", "half", "cycle", "never"]
Numbering = Literal["from one", "from zero", "stays at one"]


class Counters(NamedTuple):
    """What flowed since a counter was set to zero, in Ah and Wh, both directions positive."""

    charge_ah: float = 0.0
    discharge_ah: float = 0.0
    charge_wh: float = 0.0
    discharge_wh: float = 0.0

    def plus(self, other: Counters) -> Counters:
        """Count on."""
        return Counters(*(mine + more for mine, more in zip(self, other, strict=True)))

    @property
    def net_ah(self) -> float:
        """Charged less discharged."""
        return self.charge_ah - self.discharge_ah

    @property
    def both_ah(self) -> float:
        """Charged and discharged."""
        return self.charge_ah + self.discharge_ah

    @property
    def both_wh(self) -> float:
        """Energy charged and discharged."""
        return self.charge_wh + self.discharge_wh


@dataclass(frozen=True)
class Record:
    """One record in s, A (charging positive) and V; ``cycle`` is the tester's number, ``nth`` the true one from 1."""

    number: int
    nth: int
    cycle: int
    step: int
    step_id: int
    kind: str
    time: float
    step_time: float
    current: float
    voltage: float
    since: dict[Reset, Counters]

    @property
    def stamp(self) -> datetime:
        """The clock."""
        return START + timedelta(seconds=self.time)

    @property
    def power(self) -> float:
        """In W, positive on charge."""
        return self.current * self.voltage


class _Stage(NamedTuple):
    kind: str
    current: float
    seconds: float
    start_volt: float
    end_volt: float

    def at(self, second: float) -> tuple[float, Counters]:
        """Voltage at a time of the step, and what has flowed since its start."""
        volt = self.start_volt + (self.end_volt - self.start_volt) * second / self.seconds
        charge = abs(self.current) * second / 3600
        energy = charge * (self.start_volt + volt) / 2
        way = self.current > 0
        return volt, Counters(charge * way, charge * (not way), energy * way, energy * (not way))


def _stages(capacity: float) -> tuple[_Stage, ...]:
    return (
        _Stage(REST, 0.0, 600.0, 3.2, 3.25),
        _Stage(CHARGE, 1.5, capacity * 1600, 3.5, 4.0),
        _Stage(CHARGE, 0.75, capacity * 1600, 4.0, 4.1),
        _Stage(REST, 0.0, 450.0, 4.0, 3.95),
        _Stage(DISCHARGE, -2.0, capacity * 1800, 3.8, 2.9),
        _Stage(REST, 0.0, 300.0, 3.1, 3.15),
    )


ENERGIES_WH = tuple((capacity * (2 * 3.75 + 4.05) / 3, capacity * 3.35) for capacity in CAPACITIES_AH)
"""Charged and discharged in each cycle, by the mean voltage of each step."""


@functools.lru_cache(maxsize=32)
def records(every: float, numbering: Numbering = "from one", *, step_starts: bool = False) -> tuple[Record, ...]:
    """Log the cell at the ends of intervals and of steps, with ``step_starts`` also at the start of each step.

    Counters that count by cycle follow the number that the tester gives, so one that stays at 1 never resets them.
    """
    found: list[Record] = []
    zero = Counters()
    begun: dict[Reset, Counters] = dict.fromkeys(("half", "cycle", "never"), zero)
    start, step, number_before, direction = 0.0, 0, -1, ""
    for nth, capacity in enumerate(CAPACITIES_AH, 1):
        cycle = {"from one": nth, "from zero": nth - 1, "stays at one": 1}[numbering]
        if cycle != number_before:
            begun["cycle"], number_before = zero, cycle
        for step_id, stage in enumerate(_stages(capacity), 1):
            step += 1
            if stage.kind not in (REST, direction):
                begun["half"], direction = zero, stage.kind
            for second in _seconds(stage.seconds, every, step_starts):
                voltage, moved = stage.at(second)
                since: dict[Reset, Counters] = {scope: before.plus(moved) for scope, before in begun.items()}
                since["step"] = moved
                place = (len(found) + 1, nth, cycle, step, step_id, stage.kind)
                found.append(Record(*place, start + second, second, stage.current, voltage, since))
            begun = {scope: before.plus(moved) for scope, before in begun.items()}
            start += stage.seconds
    return tuple(found)


def _seconds(duration: float, every: float, step_starts: bool) -> list[float]:
    times = [every * tick for tick in range(0 if step_starts else 1, int(duration // every) + 1)]
    return times if times and times[-1] == duration else [*times, duration]


def spread(found: Sequence[Record], parts: int) -> list[Sequence[Record]]:
    """Part records in the middle of steps, as testers spread them over sheets."""
    size = -(-len(found) // parts)
    return [found[at : at + size] for at in range(0, len(found), size)]


def renumbered(found: Sequence[Record]) -> list[Record]:
    """Number records from 0."""
    return [replace(record, number=record.number - 1) for record in found]
