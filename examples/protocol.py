"""What a tester does to a cell, and the records that come of it in canonical columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from battery_analysis import columns
from examples.cell_model import Cell, Segment


@dataclass(frozen=True)
class Charge:
    """Constant current to the upper limit; ``rate`` in nominal capacities per hour."""

    rate: float
    every_second: float


@dataclass(frozen=True)
class Hold:
    """Constant voltage at the upper limit until the current has fallen to ``until_rate``."""

    until_rate: float
    every_second: float


@dataclass(frozen=True)
class Discharge:
    """Constant current to the lower limit."""

    rate: float
    every_second: float


@dataclass(frozen=True)
class Rest:
    """No current."""

    seconds: float
    every_second: float


Step = Charge | Hold | Discharge | Rest


@dataclass(frozen=True)
class Block:
    """Steps run in order, again and again; one pass that moves charge is one cycle.

    ``stop_below`` ends the block after a cycle whose discharge capacity is under this share of the nominal one.
    """

    steps: tuple[Step, ...]
    passes: int = 1
    stop_below: float = 0.0

    @property
    def moves_charge(self) -> bool:
        """Whether a pass is a cycle; a lone rest belongs to the cycle that follows it."""
        return any(not isinstance(step, Rest) for step in self.steps)


@dataclass(frozen=True)
class Run:
    """One test as it happened: ``records`` in canonical columns, and the ``cycles`` they must be read back as."""

    records: pl.DataFrame
    cycles: pl.DataFrame


@dataclass(frozen=True)
class _Done:
    cycle_count: int
    step_id: int
    segment: Segment


CYCLE_SCHEMA = {
    "cycle_count": pl.Int64,
    "charge_capacity_ah": pl.Float64,
    "discharge_capacity_ah": pl.Float64,
    "charge_energy_wh": pl.Float64,
    "discharge_energy_wh": pl.Float64,
}


def run(cell: Cell, blocks: Sequence[Block], nominal_capacity_ah: float, started_at: datetime) -> Run:
    """Run the blocks on the cell, which ages and keeps its state; cycles count from 1."""
    done: list[_Done] = []
    cycle_count = 1
    first_step_id = 1
    for block in blocks:
        for _ in range(block.passes):
            moved = [_act(cell, step, nominal_capacity_ah) for step in block.steps]
            done += [_Done(cycle_count, first_step_id + place, segment) for place, segment in enumerate(moved)]
            if block.moves_charge:
                cycle_count += 1
                cell.cycles += 1
                if -min(segment.charge_ah[-1] for segment in moved) < block.stop_below * nominal_capacity_ah:
                    break
        # Testers count their jump back as a step of the programme.
        first_step_id += len(block.steps) + (1 if block.passes > 1 else 0)
    return Run(_records(done, started_at), _cycles(done))


def _act(cell: Cell, step: Step, nominal_capacity_ah: float) -> Segment:
    match step:
        case Charge(rate, every):
            return cell.constant_current(rate * nominal_capacity_ah, every)
        case Discharge(rate, every):
            return cell.constant_current(-rate * nominal_capacity_ah, every)
        case Hold(until_rate, every):
            return cell.constant_voltage(until_rate * nominal_capacity_ah, every)
        case Rest(seconds, every):
            return cell.rest(seconds, every)


def _records(done: Sequence[_Done], started_at: datetime) -> pl.DataFrame:
    segments = [each.segment for each in done]
    lengths = [segment.time_second.size for segment in segments]
    begins = np.cumsum([0.0, *(segment.time_second[-1] for segment in segments[:-1])])

    def repeated(values: Sequence[object]) -> pl.Series:
        return pl.Series(np.repeat(np.asarray(values), lengths))

    step_time = np.concatenate([segment.time_second for segment in segments])
    test_time = np.round(step_time + np.repeat(begins, lengths), 3)
    charge = np.concatenate([segment.charge_ah for segment in segments])
    energy = np.concatenate([segment.energy_wh for segment in segments])
    return pl.DataFrame(
        {
            columns.TEST_TIME.name: test_time,
            columns.UNIX_TIME.name: np.round(test_time + started_at.timestamp(), 3),
            columns.VOLTAGE.name: np.concatenate([segment.voltage_volt for segment in segments]),
            columns.CURRENT.name: np.concatenate([segment.current_ampere for segment in segments]),
            columns.CYCLE_COUNT.name: repeated([each.cycle_count for each in done]),
            columns.STEP_COUNT.name: repeated(range(1, len(done) + 1)),
            columns.STEP_ID.name: repeated([each.step_id for each in done]),
            columns.STEP_TYPE.name: repeated([segment.step_type for segment in segments]),
            columns.STEP_TIME.name: step_time,
            "step_charging_capacity_ah": np.maximum(charge, 0.0),
            "step_discharging_capacity_ah": np.maximum(-charge, 0.0),
            "step_charging_energy_wh": np.maximum(energy, 0.0),
            "step_discharging_energy_wh": np.maximum(-energy, 0.0),
            columns.INTERNAL_RESISTANCE.name: repeated([segment.internal_resistance_ohm for segment in segments]),
            columns.SENSOR_TEMPERATURES[0].name: np.concatenate([segment.temperature_celsius for segment in segments]),
        }
    )


def _cycles(done: Sequence[_Done]) -> pl.DataFrame:
    rows = [(each.cycle_count, each.segment.charge_ah[-1], each.segment.energy_wh[-1]) for each in done]
    moved = pl.DataFrame(rows, schema=["cycle_count", "charge", "energy"], orient="row")
    return (
        moved.group_by("cycle_count", maintain_order=True)
        .agg(
            charge_capacity_ah=pl.col("charge").clip(lower_bound=0.0).sum(),
            discharge_capacity_ah=-pl.col("charge").clip(upper_bound=0.0).sum(),
            charge_energy_wh=pl.col("energy").clip(lower_bound=0.0).sum(),
            discharge_energy_wh=-pl.col("energy").clip(upper_bound=0.0).sum(),
        )
        .cast(CYCLE_SCHEMA)  # type: ignore[arg-type]
    )
