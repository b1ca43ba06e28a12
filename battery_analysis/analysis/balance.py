"""The current against what the tester itself says: its states, and its counters.

The integral of current (of power) is compared with the counters per cycle and direction. It may differ by 2 %; by what
may have flowed unseen in the interval in which a step begins, and in gaps; by half of what the current changes between
records of a step, up to 10 %; and by the resolution of the counters. Only a tester that logged too rarely, lost
records, or took one unit for another differs by more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from battery_analysis.analysis.counters import SECONDS_PER_HOUR
from battery_analysis.analysis.findings import MOST_RANGES, Check, Fault, Ranges, concluded, not_applicable, ranges
from battery_analysis.analysis.integration import integrated, parts
from battery_analysis.analysis.records import (
    CLEAR_FRACTION,
    NOISE_FRACTION,
    BoolArray,
    FloatArray,
    IntArray,
    Records,
    changes,
    cycle_column,
    directions,
    has_values,
    held_numbers,
)
from battery_analysis.analysis.steps import step_direction
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import COUNTERS, STEP_TYPE, VOLTAGE, Counter, Quantity

BALANCE_FRACTION = 0.02
CHANGING_FRACTION = 0.1
"""More than this of a counter no change of the current between two records of a step excuses."""
MOST_UNSEEN = 0.75
"""Of the larger of integral and counter: that one is four times the other no logging interval explains."""
UNDERSAMPLED = 2.0
"""A current is undersampled if this times what it changes between records explains how far it is off."""
LARGER = 3.0
"""A counter that moved so many times more than the current explains says nothing about the current's sign."""
LITTLE_FRACTION = 0.01
"""Runs that flow the wrong way and together moved less than this of all are noise, unless one of them is long."""

_ROUNDING = 1e-9


def check_sign(records: Records | None) -> Check:
    """Check the current against the tester's charge, discharge and rest states and against its counters' direction."""
    if records is None or not records.largest:
        return not_applicable("sign", "no current was recorded" if records is None else "no current ever flowed")
    starts = np.append(0, np.flatnonzero(records.new_step | records.turns))
    lasts = np.append(starts[1:], records.signs.size) - 1
    sources = {
        "states": _against_states(records, starts, lasts),
        "counters": _against_counters(records, starts, lasts),
    }
    known = {name: wrong for name, wrong in sources.items() if wrong is not None}
    if not known:
        return not_applicable("sign", "the file has neither states nor counters that tell charge from discharge")
    faults = []
    for name, wrong in known.items():
        count = int((lasts - starts + 1)[wrong].sum())
        if count:
            message = f"the current of {counted(count, 'record')} flows otherwise than the tester's {name} say"
            faults.append(Fault(message, {f"records_against_{name}": count}, ranges(starts[wrong], lasts[wrong])))
    return concluded("sign", faults, f"the current flows as the tester's {' and '.join(known)} say", {})


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

    What the first record of a run holds may have flowed before it, so runs are judged from there on. Those of one
    record are no evidence, nor are those that together moved little.
    """
    moved = _counted_within(records.frame, starts, lasts)
    if moved is None:
        return None
    weight = np.abs(moved)
    against: BoolArray = moved * directions(records.signs[starts]) < 0
    against &= weight > NOISE_FRACTION * weight.max()
    if weight[against].sum() <= LITTLE_FRACTION * weight.sum():
        against &= weight > CLEAR_FRACTION * weight.max()
    if against.any():
        # Where far more moved than the current explains, it was sampled too rarely to have a sign.
        seconds = records.time[lasts] - records.time[starts]
        largest = np.maximum.reduceat(np.abs(records.current), starts)
        against &= weight < LARGER * largest * seconds / SECONDS_PER_HOUR
    return against


def _counted_within(frame: pl.DataFrame, starts: IntArray, lasts: IntArray) -> FloatArray | None:
    """Charge minus discharge (Ah) by the counters from first to last record of each run; 0 where they were reset."""
    names = {each.name for each in _present(frame, "capacity")}
    for scope in ("", "schedule_", "cycle_", "step_"):
        charging, discharging = f"{scope}charging_capacity_ah", f"{scope}discharging_capacity_ah"
        if {charging, discharging} <= names:
            values = held_numbers(frame, charging, before=0.0), held_numbers(frame, discharging, before=0.0)
            grown = [each[lasts] - each[starts] for each in values]
            if grown[0].any() or grown[1].any():
                return np.where((grown[0] >= 0) & (grown[1] >= 0), grown[0] - grown[1], 0.0)
    for scope in ("", "cycle_", "step_"):
        if f"{scope}net_capacity_ah" in names:
            net = held_numbers(frame, f"{scope}net_capacity_ah", before=0.0)
            moved: FloatArray = net[lasts] - net[starts]
            if moved.any():
                return moved
    return None


def check_balance(
    name: str, records: Records | None, cycles: pl.DataFrame, quantity: Quantity, gaps: IntArray
) -> Check:
    """Check the integral of current (of power) against the tester's counters; ``gaps`` end in these records."""
    unit = {"capacity": "ah", "energy": "wh"}[quantity]
    if records is None or not records.largest or not cycles.height:
        return not_applicable(name, "no current was recorded")
    if cycles[f"{quantity}_method"][0] != "counter":
        return not_applicable(name, f"the file has no counters of {quantity}")
    if quantity == "energy" and not has_values(records.frame, VOLTAGE.name):
        return not_applicable(name, "no voltage was recorded")
    blocks = _Blocks.of_cycles(records, cycles)
    flows = integrated(records, quantity, blocks.starts)
    summed = np.array([blocks.total(flows.charge), blocks.total(flows.discharge)])
    counted_up = np.array([cycles[f"{way}_{quantity}_{unit}"].to_numpy() for way in ("charge", "discharge")])
    beyond = np.abs(summed - counted_up) - BALANCE_FRACTION * counted_up - NOISE_FRACTION * np.nanmax(counted_up)
    if not records.continuation:  # what the counters of the first record hold flowed before it
        first = (abs(records.frame[each.name][0] or 0.0) for each in _present(records.frame, quantity))
        beyond[:, blocks.row[0]] -= max(first)
    edges, inside = _unseen(records, quantity, blocks, gaps)
    allowed = edges + np.minimum(inside, CHANGING_FRACTION * counted_up)
    larger = np.maximum(summed, counted_up)
    most = MOST_UNSEEN * larger + CLEAR_FRACTION * larger.sum(axis=0)
    allowed = np.where(blocks.holding(gaps), allowed, np.minimum(allowed, most))
    if (beyond > allowed).any():  # only then is it worth while to look at how finely the counters are written
        beyond -= _resolution(records.frame, quantity)
    known = ~blocks.holding(records.clock_breaks)
    wrong: BoolArray = (beyond > allowed).any(axis=0) & known
    found = {f"integral_{unit}": float(summed.sum()), f"counter_{unit}": float(counted_up.sum())}
    if not wrong.any():
        return Check(name, "passed", f"the integral agrees with the counters in {_cycles(cycles.height)}", found)
    undersampled = not (beyond > edges + UNDERSAMPLED * inside)[:, known].any()
    found |= {"cycles": float(cycles.height), "cycles_off": float(wrong.sum())}
    off, by_counters = float(summed[:, wrong].sum()), float(counted_up[:, wrong].sum())
    where = f"in {int(wrong.sum())} of {_cycles(cycles.height)}"
    if by_counters:
        found["integral_per_counter"] = ratio = off / by_counters
        message = (
            f"the integral is {ratio:.4g} times the counters {where}: {_meaning(ratio, undersampled=undersampled)}"
        )
    else:
        message = f"the integral is {off:.4g} {unit[0].upper()}h and the counters counted nothing {where}"
    return Check(name, "failed", message, found, blocks.ranges(wrong)[:MOST_RANGES])


def _cycles(count: int) -> str:
    return "1 cycle" if count == 1 else f"{count} cycles"


def _meaning(ratio: float, *, undersampled: bool) -> str:
    """What a ratio of integral to counter may come from."""
    for factor, cause in ((1000.0, "mA and A"), (SECONDS_PER_HOUR, "hours and seconds")):
        if any(abs(ratio / scale - 1) < 5 * BALANCE_FRACTION for scale in (factor, 1 / factor)):
            return f"{cause} may be mistaken for each other"
    if undersampled:
        return "the current changes faster than it is logged, so that the counters are to be believed"
    return "records are missing, or current, time or counters are wrong"


def _resolution(frame: pl.DataFrame, quantity: Quantity) -> float:
    """Smallest step in which a counter moves, at most 1 % of its largest value; of the counters, the coarsest."""
    coarsest = 0.0
    for counter in _present(frame, quantity):
        values = np.abs(held_numbers(frame, counter.name, before=0.0))
        moves = np.abs(np.diff(values))
        moves = moves[moves > _ROUNDING * values.max()]
        coarsest = max(coarsest, min(float(moves.min(initial=math.inf)), 0.01 * float(values.max())))
    return coarsest


def _unseen(records: Records, quantity: Quantity, blocks: _Blocks, gaps: IntArray) -> tuple[FloatArray, FloatArray]:
    """What may have flowed in each cycle (Ah or Wh) unseen.

    Returns:
        Where steps begin between two records and in gaps; and inside steps, by changes between two records.
    """
    voltage = held_numbers(records.frame, VOLTAGE.name, before=0.0) if quantity == "energy" else None

    def rate(at: IntArray | slice) -> FloatArray:
        return np.abs(records.current[at] if voltage is None else records.current[at] * voltage[at])

    ends = np.union1d(records.steps, gaps)
    hours = records.seconds[ends] / SECONDS_PER_HOUR
    flowed = np.maximum(rate(ends), rate(np.maximum(ends - 1, 0))) * hours
    edges = np.bincount(blocks.of(ends), flowed, blocks.starts.size).astype(np.float64, copy=False)
    inside = np.zeros(blocks.starts.size)
    for part in parts(records.time.size, blocks.starts):
        reached = rate(part.reach)
        change = np.zeros(part.size)
        np.abs(np.diff(reached), out=change[part.size - reached.size + 1 :])
        change *= records.seconds[part.own]
        change[records.new_step[part.own]] = 0.0
        inside[part.runs] += np.add.reduceat(change, part.starts)
    return blocks.total(edges), blocks.total(inside) / (2 * SECONDS_PER_HOUR)


def _present(frame: pl.DataFrame, quantity: Quantity) -> list[Counter]:
    return [each for each in COUNTERS if each.quantity == quantity and has_values(frame, each.name)]


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
        if column.null_count():
            column = column.fill_null(strategy="forward").fill_null(strategy="backward")
        starts = np.append(0, np.flatnonzero(changes(column)))
        firsts = cycles["first_record"].to_numpy()
        rows = {number: row for row, number in enumerate(column.gather(firsts).to_list())}
        row = np.array([rows[number] for number in column.gather(starts).to_list()], dtype=np.int64)
        return cls(starts, np.append(starts[1:], column.len()) - 1, row, cycles.height)

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
        return ranges(self.starts[blocks], self.lasts[blocks])
