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
with the same rates, voltage limits (20 mV) and kinds of ends are a group; the summary counts them: ``3x C/10,
100x C/2``, or ``5x C/2 charge 1C discharge`` where the directions differ, ``C/2+C/5`` where one current follows another.
A last cycle that is not complete is left out where it does what the one before did, as far as it went; else it is
called incomplete.

Same protocol. ``signature`` names each kind of group once, in order of first appearance, without counts: tests that
ended early or late follow the same protocol. It is made of rounded numbers (20 mV, rates as above); who groups
tests should use ``same_protocol``, which knows no edges of rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.executed import SAME_CURRENT, SAME_VOLT, Executed, Kind, executed_steps
from battery_analysis.analysis.records import FloatArray
from battery_analysis.errors import AnalysisError

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


@dataclass(frozen=True)
class Protocol:
    """What a test did; ``nominal_capacity_ah`` is the capacity that its rates are multiples of, if any."""

    summary: str
    signature: str
    groups: tuple[CycleGroup, ...]
    executed: pl.DataFrame
    nominal_capacity_ah: float | None


def protocol(
    frame: pl.DataFrame, nominal_capacity_ah: float | None = None, *, finished: bool = False
) -> Protocol:
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
    found = _Found(steps, nominal_capacity_ah)
    groups = tuple(found.groups(finished=finished))
    summary = ", ".join(
        f"{group.cycles}x {group.label}" + (" (incomplete)" if group.incomplete else "") for group in groups
    )
    signature = " | ".join(dict.fromkeys(_signed(group) for group in groups))
    return Protocol(summary, signature, groups, found.table(), nominal_capacity_ah)


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
        and all(map(_same_limit, one.limits, other.limits))
    )


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(abs(a - b) <= ROUND_RATE * max(a, b) for a, b in zip(one, other, strict=True))


def _same_limit(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= SAME_VOLT


def _signed(group: CycleGroup) -> str:
    limits = [f"{SAME_VOLT * round(limit / SAME_VOLT):.2f}" for limit in (group.lower_volt, group.upper_volt) if limit]
    holds = "CV" if any(step.kind == "constant_voltage" for step in group.steps) else ""
    return " ".join(filter(None, (group.label, holds, "-".join(limits) + (" V" if limits else ""))))


@dataclass(frozen=True)
class _Pattern:
    """What a cycle does: its main rates by name and in A, and its limits."""

    labels: tuple[tuple[str, ...], tuple[str, ...]]
    rates: tuple[tuple[float, ...], tuple[float, ...]]
    lower: float | None
    upper: float | None

    def is_like(self, other: _Pattern) -> bool:
        return (
            self.labels == other.labels
            and _same_limit(self.lower, other.lower)
            and _same_limit(self.upper, other.upper)
        )

    def begins(self, other: _Pattern) -> bool:
        """Whether the other cycle may have begun like this one."""
        sides = zip(self.labels, other.labels, strict=True)
        return all(mine[: len(its)] == its or its[: len(mine)] == mine for mine, its in sides) and all(
            mine is None or its is None or _same_limit(mine, its)
            for mine, its in ((self.lower, other.lower), (self.upper, other.upper))
        )

    @property
    def label(self) -> str:
        charge, discharge = ("+".join(side) for side in self.labels)
        if charge == discharge:
            return charge
        return " ".join(f"{side} {word}" for side, word in ((charge, "charge"), (discharge, "discharge")) if side)


class _Found:
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
        for i, (step, after) in enumerate(zip(steps, steps[1:], strict=False)):
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
