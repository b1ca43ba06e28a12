"""Groups of cycles that do the same, from the steps of a test: see ``protocol``, which says by which rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.executed import SAME_CURRENT, SAME_VOLT, Executed, Kind
from battery_analysis.analysis.records import FloatArray

EndedBy = Literal["voltage", "time", "current"]

ROUND_RATE = 0.03
SAME_SECONDS = 0.002
SAME_CUTOFF = 0.2
MOST_AGREE = 0.6
MAIN_SHARE = 0.2
LONGEST_LOOP = 4

_ROUND = (
    *((f"C/{part}", 1 / part) for part in (100, 50, 40, 30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2)),
    *((f"{whole:g}C", float(whole)) for whole in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30)),
)
_WORDS = {1: "charge", -1: "discharge", 0: ""}


@dataclass(frozen=True)
class ProtocolStep:
    """A step as it was meant: medians over the steps that follow it. Currents and powers are magnitudes.

    ``voltage_volt`` is what is held, or what ends a current; None where nothing tells. Steps of one ``loop`` follow
    one another ``times`` times.
    """

    kind: Kind
    direction: Literal["charge", "discharge", ""]
    current_ampere: float | None
    c_rate: float | None
    power_watt: float | None
    voltage_volt: float | None
    cutoff_current_ampere: float | None
    cutoff_c_rate: float | None
    seconds: float
    ended_by: EndedBy | None
    text: str
    loop: int | None = None
    times: int = 1


@dataclass(frozen=True)
class CycleGroup:
    """Successive cycles that do the same; ``steps`` are those of the first of them that is whole."""

    label: str
    cycles: int
    first_cycle: int
    last_cycle: int
    incomplete: bool
    lower_volt: float | None
    upper_volt: float | None
    steps: tuple[ProtocolStep, ...]
    rates: tuple[tuple[float, ...], tuple[float, ...]]
    """Main currents of charge and of discharge in A."""


def rate_text(current_ampere: float, nominal_capacity_ah: float | None = None) -> str:
    """Name a current: as a multiple of the nominal capacity, or as itself.

    >>> rate_text(0.51, 5.0), rate_text(1.85, 5.0), rate_text(10.0, 5.0), rate_text(0.0512)
    ('C/10', '0.37C', '2C', '51.2 mA')
    """
    if nominal_capacity_ah is None:
        for unit, scale in (("A", 1.0), ("mA", 1e-3), ("µA", 1e-6)):
            if current_ampere >= 0.1 * scale or unit == "µA":
                return f"{float(f'{current_ampere / scale:.3g}'):g} {unit}"
    rate = current_ampere / (nominal_capacity_ah or 1.0)
    name, value = min(_ROUND, key=lambda each: abs(np.log(each[1] / rate)) if rate else each[1])
    return name if abs(rate / value - 1) <= ROUND_RATE else f"{float(f'{rate:.2g}'):g}C"


def same_limit(one: float | None, other: float | None) -> bool:
    """Whether two voltage limits in V are one; one that is not known is like another such one.

    >>> same_limit(4.2, 4.19), same_limit(None, None), same_limit(4.2, None)
    (True, True, False)
    """
    return one is other if one is None or other is None else abs(one - other) <= SAME_VOLT


@dataclass(frozen=True)
class _Pattern:
    """What a cycle does: its main rates by name and in A, and its limits."""

    labels: tuple[tuple[str, ...], tuple[str, ...]]
    rates: tuple[tuple[float, ...], tuple[float, ...]]
    lower: float | None
    upper: float | None

    def is_like(self, other: _Pattern) -> bool:
        return (
            self.labels == other.labels and same_limit(self.lower, other.lower) and same_limit(self.upper, other.upper)
        )

    def begins(self, other: _Pattern) -> bool:
        """Whether the other cycle may have begun like this one."""
        sides = zip(self.labels, other.labels, strict=True)
        return all(mine[: len(its)] == its or its[: len(mine)] == mine for mine, its in sides) and all(
            mine is None or its is None or same_limit(mine, its)
            for mine, its in ((self.lower, other.lower), (self.upper, other.upper))
        )

    @property
    def label(self) -> str:
        charge, discharge = ("+".join(side) for side in self.labels)
        if charge == discharge:
            return charge
        return " ".join(f"{side} {word}" for side, word in ((charge, "charge"), (discharge, "discharge")) if side)


class StepsInCycles:
    """The steps of a test, with what the whole test says of each."""

    def __init__(self, steps: list[Executed], nominal_capacity_ah: float | None) -> None:
        self.steps, self.nominal = steps, nominal_capacity_ah
        self.current = _clustered(np.array([step.current_ampere for step in steps]), relative=SAME_CURRENT)
        self.ended_by: list[EndedBy | None] = [None] * len(steps)
        self.limit: list[float | None] = [step.voltage_volt for step in steps]
        self._find_ends()

    def groups(self, *, finished: bool) -> Iterator[CycleGroup]:
        """Group the cycles in which a current flowed."""
        cycles = [(number, list(own)) for number, own in groupby(range(len(self.steps)), lambda i: self.steps[i].cycle)]
        cycles = [(number, own) for number, own in cycles if any(self.steps[i].direction for i in own)]
        found: list[tuple[_Pattern, list[tuple[int, list[int]]], bool]] = []
        for place, (number, own) in enumerate(cycles):
            pattern = self._pattern(own)
            is_open = place == len(cycles) - 1 and not finished and not self._is_complete(own)
            if found and found[-1][0].is_like(pattern):
                found[-1][1].append((number, own))
            elif not (found and is_open and found[-1][0].begins(pattern)):
                found.append((pattern, [(number, own)], is_open))
        for pattern, members, incomplete in found:
            yield CycleGroup(
                label=pattern.label,
                cycles=len(members),
                first_cycle=members[0][0],
                last_cycle=members[-1][0],
                incomplete=incomplete and len(members) == 1,
                lower_volt=pattern.lower,
                upper_volt=pattern.upper,
                steps=tuple(self._meant([own for _, own in members])),
                rates=pattern.rates,
            )

    def table(self) -> pl.DataFrame:
        """One row per executed step."""
        rows = [
            {
                "step": number + 1,
                "cycle_count": step.cycle,
                "first_record": step.first,
                "last_record": step.end - 1,
                "kind": step.kind,
                "direction": _WORDS[step.direction],
                "current_ampere": step.current_ampere,
                "c_rate": self._rate(step.current_ampere),
                "power_watt": step.power_watt,
                "voltage_volt": self.limit[number],
                "end_voltage_volt": step.end_voltage_volt,
                "end_current_ampere": step.end_current_ampere,
                "start_time_second": step.start_second,
                "duration_second": step.seconds,
                "charge_ah": step.charge_ah,
                "ended_by": self.ended_by[number],
            }
            for number, step in enumerate(self.steps)
        ]
        numbers = ("c_rate", "voltage_volt", "charge_ah")
        return pl.DataFrame(rows, schema_overrides={**dict.fromkeys(numbers, pl.Float64), "ended_by": pl.String})

    def _rate(self, current: float) -> float | None:
        return current / self.nominal if self.nominal else None

    def _find_ends(self) -> None:
        """Find what ended each step, from those that are alike."""
        steps = self.steps
        for i, (step, after) in enumerate(pairwise(steps)):
            if step.direction == after.direction and after.kind == "constant_voltage" and step.kind != after.kind:
                held = after.voltage_volt
                if held is not None and abs(step.end_voltage_volt - held) <= SAME_VOLT:
                    self.ended_by[i], self.limit[i] = "voltage", held
        alike: dict[tuple[str, int, float], list[int]] = {}
        for i, step in enumerate(steps[:-1] if steps[-1].direction else steps):
            level = 0.0 if step.kind in ("rest", "constant_voltage") else float(self.current[i])
            alike.setdefault((step.kind, step.direction, level), []).append(i)
        for (kind, direction, _), own in alike.items():
            if kind in ("rest", "profile"):
                self._end(own, self._in_time(own), "time")
            elif kind == "constant_voltage":
                cutoffs = np.array([steps[i].end_current_ampere for i in own])
                near = _near_median(cutoffs, SAME_CUTOFF * float(np.median(cutoffs)))
                self._end(own, near, "current")
                if not _repeats(near):
                    self._end(own, self._in_time(own), "time")
            else:
                self._end_current(own, direction)
        last = len(steps) - 1  # it may not have ended; but if it is where others ended, it has
        for i in range(last):
            same = steps[i].kind == steps[last].kind and self.current[i] == self.current[last]
            if same and steps[i].direction == steps[last].direction and self.ended_by[i] == "voltage":
                limit = self.limit[i]
                if limit is not None and abs(limit - steps[last].end_voltage_volt) <= SAME_VOLT:
                    self.ended_by[last], self.limit[last] = "voltage", limit

    def _end_current(self, own: list[int], direction: int) -> None:
        volts = np.array([self.steps[i].end_voltage_volt for i in own])
        together = _together(volts)
        in_time = self._in_time(own)
        outermost = self._outermost(direction)
        if _repeats(np.isfinite(together)) and not (
            _repeats(in_time) and not np.nanmin(np.abs(together - outermost)) <= SAME_VOLT
        ):
            for i, limit in zip(own, together.tolist(), strict=True):
                if self.ended_by[i] is None and np.isfinite(limit):
                    self.ended_by[i], self.limit[i] = "voltage", limit
        else:
            self._end(own, in_time, "time")

    def _outermost(self, direction: int) -> float:
        ends = [step.end_voltage_volt for step in self.steps if step.direction == direction]
        return max(ends) if direction > 0 else min(ends)

    def _in_time(self, own: list[int]) -> FloatArray:
        seconds = np.array([self.steps[i].seconds for i in own])
        return _near_median(seconds, max(1.0, SAME_SECONDS * float(np.median(seconds))))

    def _end(self, own: list[int], near: FloatArray, reason: EndedBy) -> None:
        if _repeats(near):
            for i, agrees in zip(own, near.tolist(), strict=True):
                if agrees and self.ended_by[i] is None:
                    self.ended_by[i] = reason

    def _pattern(self, own: list[int]) -> _Pattern:
        main = {direction: self._main(own, direction) for direction in (1, -1)}
        labels = [tuple(self._name(i) for i in main[direction]) for direction in (1, -1)]
        rates = [tuple(float(self.current[i]) for i in main[direction]) for direction in (1, -1)]
        upper = [limit for i in own if self.steps[i].direction > 0 and (limit := self.limit[i]) is not None]
        lower = [limit for i in own if self.steps[i].direction < 0 and (limit := self.limit[i]) is not None]
        return _Pattern(
            (labels[0], labels[1]), (rates[0], rates[1]), min(lower, default=None), max(upper, default=None)
        )

    def _main(self, own: list[int], direction: int) -> list[int]:
        """The steps of one direction whose currents move most of the charge, each current once."""
        mine = [i for i in own if self.steps[i].direction == direction]
        moved: dict[str, float] = {}
        first: dict[str, int] = {}
        for i in mine:
            step = self.steps[i]
            if step.kind != "constant_voltage":
                name = self._name(i)
                charge = step.charge_ah if step.charge_ah is not None else step.current_ampere * step.seconds / 3600
                moved[name] = moved.get(name, 0.0) + charge
                first.setdefault(name, i)
        least = MAIN_SHARE * sum(moved.values())
        return [first[name] for name, charge in moved.items() if charge >= least] or mine[:1]

    def _name(self, i: int) -> str:
        step = self.steps[i]
        match step.kind:
            case "constant_voltage":
                return f"CV {step.voltage_volt:.2f} V"
            case "constant_power":
                return f"{float(f'{step.power_watt:.2g}'):g} W"
            case "profile":
                return "profile"
            case _:
                return rate_text(float(self.current[i]), self.nominal)

    def _is_complete(self, own: list[int]) -> bool:
        """Whether the cycle went both ways and then left the second."""
        ways = [step.direction for i in own if (step := self.steps[i]).direction]
        turned = len([way for way, _ in groupby(ways)])
        return turned > 2 or (turned == 2 and self.steps[own[-1]].direction == 0)

    def _meant(self, members: list[list[int]]) -> list[ProtocolStep]:
        """The steps of the first whole cycle, each with the medians over the cycles of the same steps."""
        shapes = [tuple((self.steps[i].kind, self.steps[i].direction) for i in own) for own in members]
        shape = max(dict.fromkeys(shapes), key=shapes.count)
        same = [own for own, its in zip(members, shapes, strict=True) if its == shape]
        return _looped([self._step([own[place] for own in same]) for place in range(len(shape))])

    def _step(self, own: list[int]) -> ProtocolStep:
        step = self.steps[own[0]]
        reasons = [self.ended_by[i] for i in own]
        ended_by = max(dict.fromkeys(reasons), key=reasons.count)
        limits = [limit for i in own if (limit := self.limit[i]) is not None]
        flows, holds = step.kind != "rest", step.kind == "constant_voltage"
        current = float(np.median([self.current[i] for i in own])) if flows and not holds else None
        cutoff = float(np.median([self.steps[i].end_current_ampere for i in own])) if holds else None
        meant = ProtocolStep(
            kind=step.kind,
            direction=_WORDS[step.direction],  # type: ignore[arg-type]
            current_ampere=current,
            c_rate=None if current is None else self._rate(current),
            power_watt=float(np.median([self.steps[i].power_watt for i in own]))
            if step.kind == "constant_power"
            else None,
            voltage_volt=float(np.median(limits)) if limits and (holds or ended_by == "voltage") else None,
            cutoff_current_ampere=cutoff,
            cutoff_c_rate=None if cutoff is None else self._rate(cutoff),
            seconds=float(np.median([self.steps[i].seconds for i in own])),
            ended_by=ended_by,
            text="",
        )
        return replace(meant, text=self._text(meant, self._name(own[0])))

    def _text(self, step: ProtocolStep, name: str) -> str:
        lasts = f"{float(f'{step.seconds:.3g}'):g} s"
        if step.kind == "rest":
            return f"rest {lasts}"
        if step.kind == "constant_voltage":
            end = f"to {rate_text(step.cutoff_current_ampere or 0.0, self.nominal)}"
            return f"hold {step.voltage_volt:.2f} V {end if step.ended_by != 'time' else lasts}"
        end = f"to {float(f'{step.voltage_volt:.2f}'):g} V" if step.voltage_volt is not None else lasts
        return f"{step.direction} {name} {end}"


def _clustered(values: FloatArray, *, relative: float) -> FloatArray:
    """Each value as the median of those it is one with: neighbours in order of size that differ by less."""
    order = np.argsort(values)
    ordered = values[order]
    cluster = np.cumsum(np.append(False, np.diff(ordered) > relative * ordered[1:])[: values.size])
    medians = np.array([np.median(ordered[cluster == number]) for number in np.unique(cluster)])
    found = np.empty_like(values)
    found[order] = medians[cluster]
    return found


def _together(volts: FloatArray) -> FloatArray:
    """Median of those that lie together with each, within ``SAME_VOLT`` of one another; NaN for one alone."""
    order = np.argsort(volts)
    cluster = np.cumsum(np.append(False, np.diff(volts[order]) > SAME_VOLT / 2)[: volts.size])
    found = np.full(volts.size, np.nan)
    for number in np.unique(cluster):
        own = order[cluster == number]
        if own.size > 1 and np.ptp(volts[own]) <= SAME_VOLT:
            found[own] = np.median(volts[own])
    return found


def _near_median(values: FloatArray, tolerance: float) -> FloatArray:
    """1 where a value is near the median of all."""
    return (np.abs(values - np.median(values)) <= tolerance).astype(np.float64)


def _repeats(near: FloatArray) -> bool:
    """Whether two at least, and most, agree."""
    return bool(near.size >= 2 and np.sum(near) >= 2 and np.mean(near) >= MOST_AGREE)


def _looped(steps: list[ProtocolStep]) -> list[ProtocolStep]:
    """Write what follows itself again and again once."""
    found: list[ProtocolStep] = []
    place, loop = 0, 0
    while place < len(steps):
        length, times = max(
            ((length, _times(steps, place, length)) for length in range(1, LONGEST_LOOP + 1)),
            key=lambda each: (each[1] > 1) * each[0] * each[1],
        )
        if times > 1:
            loop += 1
            found += [replace(step, loop=loop, times=times) for step in steps[place : place + length]]
            place += length * times
        else:
            found.append(steps[place])
            place += 1
    return found


def _times(steps: list[ProtocolStep], place: int, length: int) -> int:
    """How often as many steps follow one another from a place."""
    texts = [step.text for step in steps[place : place + length]]
    times = 1
    while [step.text for step in steps[place + times * length : place + (times + 1) * length]] == texts:
        times += 1
    return times
