"""May these numbers be believed? What a file says twice is compared; what is wrong is said and never changed.

- ``sign``: the current against the tester's own charge, discharge and rest states, and against the direction of its
  counters.
- ``charge_balance``, ``energy_balance``: the integral of current (of power) against the counters, per cycle and
  direction. The tolerance is 2 %, and what may have flowed unseen where a step begins between two records.
- ``clock``: test time against the wall clock over spans, and against the clock of each step; restarts, pauses, gaps.
- ``plausibility``: voltage against the limits in the header, efficiency above 1.02, capacity above 1.5 times nominal.
- ``completeness``: records against what the file announces, numbers of records and steps that are left out, the last
  record against the end of the test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.counters import SECONDS_PER_HOUR, counted
from battery_analysis.analysis.integration import gaps, integrated, pauses, record_jumps
from battery_analysis.analysis.records import (
    CLEAR_FRACTION,
    NOISE_FRACTION,
    REPORTED_TIME,
    BoolArray,
    FloatArray,
    IntArray,
    Records,
    changes,
    cycle_column,
    directions,
    has_values,
    held_numbers,
    step_direction,
)
from battery_analysis.columns import (
    COUNTERS,
    CURRENT,
    RECORD_INDEX,
    STEP_COUNT,
    STEP_TIME,
    STEP_TYPE,
    TEST_TIME,
    UNIX_TIME,
    VOLTAGE,
    Quantity,
)
from battery_analysis.readers.base import TestMetadata

Status = Literal["passed", "failed", "not_applicable"]
Ranges = list[tuple[int, int]]

LITTLE_FRACTION = 0.01
BALANCE_FRACTION = 0.02
CHANGING_FRACTION = 0.1
"""More than this of a counter no change of the current between two records of a step excuses."""
UNDERSAMPLED_FRACTION = 0.5
CLOCK_FRACTION = 0.02
CLOCK_SECONDS = 60.0
MOST_EFFICIENCY = 1.02
MOST_NOMINAL_CAPACITIES = 1.5
VOLTAGE_MARGIN = 0.01
MOST_RANGES = 50
"""Further ranges of records are counted, but not listed."""

_SPAN_RECORDS = 1024
_STAMP_SECONDS = 2.0


@dataclass(frozen=True)
class Check:
    """How one check of a test ended.

    ``records`` are first and last record of each stretch that failed, positions in the frame from 0, both included.
    """

    name: str
    status: Status
    message: str
    numbers: dict[str, float] = field(default_factory=dict)
    records: Ranges = field(default_factory=list)


def run_checks(frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata) -> list[Check]:
    """Check a test against itself.

    Args:
        frame: Canonical time series, as ``steady_time`` and ``number_cycles`` leave it; or a spectrum.
        cycles: Its cycle table.
        metadata: What the file says of the test.

    Example:
        An hour at 1 A by the current, of which the tester's counter knows 1 mAh:

        >>> from battery_analysis.analysis.cycles import summarise_cycles
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
    timed = CURRENT.name in frame.columns and has_values(frame, TEST_TIME.name)
    records = Records.of(frame, continuation=metadata.continuation) if timed else None
    return [
        _sign(records),
        _balance("charge_balance", records, cycles, "capacity"),
        _balance("energy_balance", records, cycles, "energy"),
        _clock(records),
        _plausibility(frame, cycles, metadata),
        _completeness(frame, records, metadata),
    ]


def _not_applicable(name: str, reason: str) -> Check:
    return Check(name, "not_applicable", reason)


@dataclass(frozen=True)
class _Fault:
    """One thing that is wrong, and where."""

    message: str
    numbers: dict[str, float]
    records: Ranges = field(default_factory=list)


def _concluded(name: str, faults: Sequence[_Fault], good: str, found: dict[str, float]) -> Check:
    if not faults:
        return Check(name, "passed", good, found)
    told = dict(found)
    for fault in faults:
        told |= fault.numbers
    ranges = sorted({span for fault in faults for span in fault.records})
    return Check(name, "failed", "; ".join(fault.message for fault in faults), told, ranges[:MOST_RANGES])


def _ranges(starts: IntArray, lasts: IntArray) -> Ranges:
    """Pair first and last records, neighbours joined."""
    if not starts.size:
        return []
    apart = np.flatnonzero(starts[1:] > lasts[:-1] + 1)
    firsts = starts[np.append(0, apart + 1)]
    ends = lasts[np.append(apart, lasts.size - 1)]
    return [(int(first), int(last)) for first, last in zip(firsts, ends, strict=True)]


def _at(positions: IntArray) -> Ranges:
    return _ranges(positions, positions)


def _intervals(ends: IntArray) -> Ranges:
    """The two records of each interval that ends at one of these."""
    return [(int(end) - 1, int(end)) for end in ends]


def _sign(records: Records | None) -> Check:
    if records is None or not records.largest:
        return _not_applicable("sign", "no current was recorded" if records is None else "no current ever flowed")
    starts = np.append(0, np.flatnonzero(records.new_step | records.turns))
    lasts = np.append(starts[1:], records.signs.size) - 1
    sources = {
        "states": _against_states(records, starts, lasts),
        "counters": _against_counters(records, starts, lasts),
    }
    known = {name: wrong for name, wrong in sources.items() if wrong is not None}
    if not known:
        return _not_applicable("sign", "the file has neither states nor counters that tell charge from discharge")
    faults = []
    for name, wrong in known.items():
        count = int((lasts - starts + 1)[wrong].sum())
        if count:
            message = f"the current of {count} records flows otherwise than the tester's {name} say"
            faults.append(_Fault(message, {f"records_against_{name}": count}, _ranges(starts[wrong], lasts[wrong])))
    return _concluded("sign", faults, f"the current flows as the tester's {' and '.join(known)} say", {})


def _against_states(records: Records, starts: IntArray, lasts: IntArray) -> BoolArray | None:
    """Runs that flow otherwise than the state of their step says, None where no state tells a direction.

    Records at the edge of a step may still hold the current of the step beside it: a step is wrong if more than half
    of its records are.
    """
    if not has_values(records.frame, STEP_TYPE.name):
        return None
    words = records.frame[STEP_TYPE.name].gather(records.steps).cast(pl.String).to_list()
    meaning = {word: step_direction(word) for word in set(words)}
    if all(direction is None for direction in meaning.values()):
        return None
    step = records.step_of(starts)
    told = np.array([np.nan if (way := meaning[word]) is None else way for word in words])[step]
    flows = directions(records.signs[starts])
    wrong: BoolArray = ((told != 0) & (flows == -told)) & (flows != 0) | (told == 0) & records.clear(starts)
    length = lasts - starts + 1
    share = np.bincount(step, length * wrong) / np.bincount(step, length)
    wrong &= (share[step] > 0.5) & ((lasts > starts) | (told != 0))
    return wrong


def _against_counters(records: Records, starts: IntArray, lasts: IntArray) -> BoolArray | None:
    """Runs in which the counters moved the other way, None where no counter tells the directions apart.

    A record may hold what flowed before it: a run of one is no evidence, nor are runs that together moved little.
    """
    if not _tells_direction(records.frame):
        return None
    flows = counted(records, "capacity", starts)
    if flows is None:
        return None
    moved = flows.charge - flows.discharge
    against = np.sign(moved) == -directions(records.signs[starts])
    weight = np.abs(moved)
    wrong: BoolArray = against & (weight > NOISE_FRACTION * weight.max()) & (lasts > starts)
    if weight[wrong].sum() <= LITTLE_FRACTION * weight.sum():
        wrong &= weight > CLEAR_FRACTION * weight.max()
    return wrong


def _tells_direction(frame: pl.DataFrame) -> bool:
    """Whether a counter of one direction, or of both with their sign, ever moved."""
    names = [each.name for each in COUNTERS if each.quantity == "capacity" and each.direction != "cumulative"]
    return any(has_values(frame, name) and frame[name].min() != frame[name].max() for name in names)


def _balance(name: str, records: Records | None, cycles: pl.DataFrame, quantity: Quantity) -> Check:
    unit = {"capacity": "ah", "energy": "wh"}[quantity]
    if records is None or not records.largest or not cycles.height:
        return _not_applicable(name, "no current was recorded")
    if cycles[f"{quantity}_method"][0] != "counter":
        return _not_applicable(name, f"the file has no counters of {quantity}")
    if quantity == "energy" and not has_values(records.frame, VOLTAGE.name):
        return _not_applicable(name, "no voltage was recorded")
    blocks = _Blocks.of_cycles(records, cycles)
    integrals = integrated(records, quantity, blocks.starts)
    edges, inside = _unseen(records, quantity, blocks)
    counters = [cycles[f"{way}_{quantity}_{unit}"].to_numpy() for way in ("charge", "discharge")]
    floor = NOISE_FRACTION * max(float(np.nanmax(values)) for values in counters)
    off = np.zeros(cycles.height, dtype=np.bool_)
    for counter, of_blocks in zip(counters, (integrals.charge, integrals.discharge), strict=True):
        difference = np.abs(blocks.total(of_blocks) - counter)
        off |= difference > BALANCE_FRACTION * counter + np.minimum(inside, CHANGING_FRACTION * counter) + edges + floor
    off &= ~blocks.holding(records.clock_breaks)
    summed = blocks.total(integrals.charge + integrals.discharge)
    throughput = counters[0] + counters[1]
    found = {f"integral_{unit}": float(summed.sum()), f"counter_{unit}": float(throughput.sum())}
    if not off.any():
        return Check(name, "passed", f"the integral agrees with the counters in {cycles.height} cycles", found)
    found |= {"cycles": float(cycles.height), "cycles_off": float(off.sum())}
    by_counter = float(throughput[off].sum())
    ratio = float(summed[off].sum()) / by_counter if by_counter else math.inf
    found["integral_per_counter"] = ratio
    meaning = _meaning(ratio, undersampled=_is_undersampled(records))
    message = f"the integral is {ratio:.4g} times the counters in {int(off.sum())} of {cycles.height} cycles: {meaning}"
    return Check(name, "failed", message, found, blocks.ranges(off)[:MOST_RANGES])


def _meaning(ratio: float, *, undersampled: bool) -> str:
    """What a ratio of integral to counter may come from."""
    for factor, cause in ((1000.0, "mA and A"), (SECONDS_PER_HOUR, "hours and seconds")):
        if any(abs(ratio / scale - 1) < BALANCE_FRACTION * 5 for scale in (factor, 1 / factor)):
            return f"{cause} may be mistaken for each other"
    if undersampled:
        return "the current changes faster than it is logged, so that the counters are to be believed"
    return "records are missing, or current, time or counters are wrong"


def _is_undersampled(records: Records) -> bool:
    """Whether the current changes from record to record, within steps, by as much as it flows."""
    changed = np.abs(np.diff(records.current, prepend=records.current[0]))
    return bool(changed[~records.new_step].sum() > UNDERSAMPLED_FRACTION * np.abs(records.current).sum())


def _unseen(records: Records, quantity: Quantity, blocks: _Blocks) -> tuple[FloatArray, FloatArray]:
    """What may have flowed in each cycle (Ah or Wh) unseen.

    Returns:
        Where steps begin between two records and in gaps; and inside steps, by changes between two records.
    """
    rate = np.abs(records.current)
    if quantity == "energy":
        rate *= np.abs(held_numbers(records.frame, VOLTAGE.name, before=0.0))
    ends = np.union1d(records.steps, gaps(records))
    hours = records.seconds[ends] / SECONDS_PER_HOUR
    edges = np.bincount(blocks.of(ends), np.maximum(rate[ends], rate[np.maximum(ends - 1, 0)]) * hours, blocks.count)
    change = np.zeros_like(rate)
    np.subtract(rate[1:], rate[:-1], out=change[1:])
    np.abs(change, out=change)
    change *= records.seconds
    change[records.steps] = 0.0
    inside = np.add.reduceat(change, blocks.starts) / (2 * SECONDS_PER_HOUR)
    return blocks.total(edges), blocks.total(inside)


@dataclass(frozen=True)
class _Blocks:
    """Stretches of records of one cycle; a cycle has several where its number comes back."""

    starts: IntArray
    lasts: IntArray
    row: IntArray
    cycles: int

    @classmethod
    def of_cycles(cls, records: Records, cycles: pl.DataFrame) -> _Blocks:
        name = cycle_column(records.frame)
        if name is None or cycles.height == 1:
            starts = np.zeros(1, dtype=np.int64)
            return cls(starts, starts + records.time.size - 1, starts, cycles.height)
        column = records.frame[name]
        starts = np.append(0, np.flatnonzero(changes(column)))
        firsts = cycles["first_record"].to_numpy()
        rows = {number: row for row, number in enumerate(column.gather(firsts).to_list())}
        row = np.array([rows[number] for number in column.gather(starts).to_list()], dtype=np.int64)
        return cls(starts, np.append(starts[1:], column.len()) - 1, row, cycles.height)

    @property
    def count(self) -> int:
        return self.starts.size

    def of(self, positions: IntArray) -> IntArray:
        """Block to which each record belongs."""
        blocks: IntArray = np.searchsorted(self.starts, positions, side="right") - 1
        return blocks

    def total(self, of_blocks: FloatArray) -> FloatArray:
        """Sum over the blocks of each cycle."""
        return np.bincount(self.row, of_blocks, self.cycles).astype(np.float64, copy=False)

    def holding(self, positions: IntArray) -> BoolArray:
        """Cycles in which any of these records lies."""
        held = np.zeros(self.cycles, dtype=np.bool_)
        held[self.row[self.of(positions)]] = True
        return held

    def ranges(self, chosen: BoolArray) -> Ranges:
        """Records of the chosen cycles."""
        blocks = chosen[self.row]
        return _ranges(self.starts[blocks], self.lasts[blocks])


def _clock(records: Records | None) -> Check:
    if records is None:
        return _not_applicable("clock", "no test time was recorded")
    breaks, stopped, jumps = records.clock_breaks, pauses(records), record_jumps(records)
    silent = np.setdiff1d(gaps(records), np.concatenate((breaks, stopped, jumps)))
    faults = []
    for ends, what, label in (
        (breaks, "the test time ran backwards or was missing, and was repaired,", "repairs"),
        (stopped, "the wall clock ran on without the test time", "pauses"),
        (silent, "the current changed unseen during a long silence", "silences"),
    ):
        if ends.size:
            told = {label: float(ends.size), f"{label}_second": float(records.seconds[ends].sum())}
            faults.append(_Fault(f"{what} {_times(ends.size)}", told, _intervals(ends)))
    others = [fault for fault in (_against_wall(records, stopped), _against_steps(records)) if fault]
    second = [column for column in (UNIX_TIME, STEP_TIME) if has_values(records.frame, column.name)]
    if not (second or faults or REPORTED_TIME in records.frame.columns):
        return _not_applicable("clock", "the file has only one clock")
    found = {"duration_second": float(records.time[-1] - records.time[0])}
    return _concluded("clock", [*faults, *others], "the clocks of the file agree", found)


def _against_wall(records: Records, stopped: IntArray) -> _Fault | None:
    """Spans over which the wall clock does not advance as the test time does, pauses left out."""
    if not has_values(records.frame, UNIX_TIME.name) or records.time.size < 2:
        return None
    wall = held_numbers(records.frame, UNIX_TIME.name)
    posts = np.unique(np.append(np.arange(0, wall.size, _SPAN_RECORDS), wall.size - 1))
    ahead = np.diff(wall[posts] - records.time[posts])
    for pause in stopped:
        span = np.searchsorted(posts, pause) - 1
        ahead[span] -= (wall[pause] - wall[pause - 1]) - (records.time[pause] - records.time[pause - 1])
    return _drift("the wall clock", np.diff(records.time[posts]), ahead, posts[:-1], posts[1:])


def _against_steps(records: Records) -> _Fault | None:
    """Steps whose own clock does not advance as the test time does."""
    if not has_values(records.frame, STEP_TIME.name):
        return None
    within = held_numbers(records.frame, STEP_TIME.name)
    firsts, lasts = records.steps, np.append(records.steps[1:], records.time.size) - 1
    told, passed = within[lasts] - within[firsts], records.time[lasts] - records.time[firsts]
    usable = told >= 0  # a step's number that comes back at once hides where its clock began again
    return _drift("the step's clock", passed[usable], (told - passed)[usable], firsts[usable], lasts[usable])


def _drift(clock: str, passed: FloatArray, ahead: FloatArray, firsts: IntArray, lasts: IntArray) -> _Fault | None:
    off = np.abs(ahead) > CLOCK_SECONDS + CLOCK_FRACTION * np.maximum(passed, passed + ahead)
    total, length = float(ahead.sum()), float(passed.sum())
    all_off = abs(total) > CLOCK_SECONDS + CLOCK_FRACTION * max(length, length + total)
    if not (off.any() or all_off):
        return None
    chosen = off if off.any() else np.ones_like(off)
    label = clock.split()[-1] if clock.startswith("the wall") else "step"
    gone, shown = float(passed[chosen].sum()), float((passed + ahead)[chosen].sum())
    hour = np.abs(np.abs(ahead[chosen]) - SECONDS_PER_HOUR) <= _STAMP_SECONDS
    why = ", as at a change of daylight-saving time: give the tester's time zone" if hour.all() else ""
    message = f"{clock} advances by {shown:.6g} s while the test time advances by {gone:.6g} s{why}"
    told = {f"{label}_second": shown, f"{label}_test_second": gone}
    return _Fault(message, told, _ranges(firsts[chosen], lasts[chosen]))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _plausibility(frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata) -> Check:
    faults = []
    limits, nominal = metadata.voltage_limits_volt, metadata.nominal_capacity_ah
    if limits and has_values(frame, VOLTAGE.name) and (fault := _beyond(frame[VOLTAGE.name], limits)):
        faults.append(fault)
    # How full a cell was when its test began is unknown, and so is what its first cycle's efficiency should be.
    complete = cycles[1:].filter(pl.col("complete") & ~pl.col("has_gap"))
    efficient = complete.filter(pl.col("coulombic_efficiency") > MOST_EFFICIENCY)
    if efficient.height:
        most = float(efficient["coulombic_efficiency"].max())  # type: ignore[arg-type]
        message = (
            f"coulombic efficiency above {MOST_EFFICIENCY} in {efficient.height} of {complete.height} complete cycles "
            f"(up to {most:.4g}, as discharge / charge of the same cycle)"
        )
        told = {"efficient_cycles": float(efficient.height), "max_coulombic_efficiency": most}
        faults.append(_Fault(message, told, _of_cycles(efficient)))
    if nominal and cycles.height:
        capacity = pl.max_horizontal("charge_capacity_ah", "discharge_capacity_ah")
        large = cycles.filter(capacity > MOST_NOMINAL_CAPACITIES * nominal)
        if large.height:
            most = float(large.select(capacity.max()).item())
            message = f"capacity up to {most:.4g} Ah in {large.height} cycles, nominal is {nominal:.4g} Ah"
            told = {"large_cycles": float(large.height), "max_capacity_ah": most, "nominal_capacity_ah": nominal}
            faults.append(_Fault(message, told, _of_cycles(large)))
    if not (limits or nominal or complete.height):
        return _not_applicable("plausibility", "no limits, no nominal capacity, no second complete cycle to judge by")
    return _concluded("plausibility", faults, "voltage, capacity and efficiency are within what they can be", {})


def _beyond(voltage: pl.Series, limits: tuple[float, float]) -> _Fault | None:
    low, high = limits
    margin = VOLTAGE_MARGIN * (high - low)
    least, most = float(voltage.min()), float(voltage.max())  # type: ignore[arg-type]
    if low - margin <= least and most <= high + margin:
        return None
    outside = ((voltage < low - margin) | (voltage > high + margin)).arg_true().to_numpy().astype(np.int64)
    told = {"min_voltage_volt": least, "max_voltage_volt": most, "records_beyond_limits": float(outside.size)}
    message = f"voltage from {least:.4g} to {most:.4g} V, the limits are {low:g} and {high:g} V"
    return _Fault(message, told, _at(outside))


def _of_cycles(cycles: pl.DataFrame) -> Ranges:
    firsts = cycles["first_record"].to_numpy()
    return _ranges(firsts, firsts + cycles["records"].to_numpy() - 1)


def _completeness(frame: pl.DataFrame, records: Records | None, metadata: TestMetadata) -> Check:
    found = {"records": float(frame.height)}
    faults, announced = [], metadata.announced_records
    if announced is not None:
        found["announced_records"] = float(announced)
        if announced != frame.height:
            faults.append(_Fault(f"{frame.height} records, the file announces {announced}", {}))
    if records is not None:
        jumps = record_jumps(records)
        if jumps.size:
            message = f"record numbers are left out {_times(jumps.size)}"
            faults.append(_Fault(message, {"jumps": float(jumps.size)}, _intervals(jumps)))
        faults += _skipped_steps(frame)
    if metadata.finished is False:
        faults.append(_Fault("the test was still running when the file was written", {}))
    told = announced is not None or has_values(frame, RECORD_INDEX.name) or has_values(frame, STEP_COUNT.name)
    early = _early_end(frame, metadata)
    if early is not None:
        told = True
        if early > CLOCK_SECONDS:
            message = f"the records end {early:.6g} s before the end of the test that the file gives"
            faults.append(_Fault(message, {"missing_second": early}))
    if not (told or metadata.finished is not None):
        return _not_applicable("completeness", "the file numbers and announces no records")
    good = "nothing that the file announces or numbers is missing"
    return _concluded("completeness", faults, good, found)


def _skipped_steps(frame: pl.DataFrame) -> list[_Fault]:
    """Steps whose numbers are left out between two records."""
    if not has_values(frame, STEP_COUNT.name) or frame[STEP_COUNT.name].null_count():
        return []
    number = frame[STEP_COUNT.name].to_numpy()
    skips = np.flatnonzero(number[1:] > number[:-1] + 1) + 1
    message = f"steps are left out {_times(skips.size)}"
    return [_Fault(message, {"skipped": float(skips.size)}, _intervals(skips))] if skips.size else []


def _early_end(frame: pl.DataFrame, metadata: TestMetadata) -> float | None:
    """Seconds from the last record to the end that the file gives, None where it gives none."""
    if metadata.ended_at is None or not frame.height:
        return None
    if has_values(frame, UNIX_TIME.name):
        last = frame[UNIX_TIME.name].drop_nulls()[-1]
        return metadata.ended_at.timestamp() - float(last)
    if metadata.started_at is None or not has_values(frame, TEST_TIME.name):
        return None
    return (metadata.ended_at - metadata.started_at).total_seconds() - float(frame[TEST_TIME.name].drop_nulls()[-1])
