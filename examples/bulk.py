"""Large and many files from the cell model, for measuring what reading and storing cost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from examples import SYNTHETIC
from examples.arbin_csv import write_arbin_csv
from examples.cell_model import NMC_GRAPHITE, Cell, Design
from examples.counters import CHARGING_CAPACITY, CHARGING_ENERGY, DISCHARGING_CAPACITY, DISCHARGING_ENERGY
from examples.neware_ndax import write_ndax
from examples.protocol import Block, Charge, Discharge, Hold, Rest, run

STARTED_AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
_NOMINAL_AH = 4.8
_MOVED = ("current_ampere", CHARGING_CAPACITY, DISCHARGING_CAPACITY, CHARGING_ENERGY, DISCHARGING_ENERGY)


def many_records(count: int, *, seed: int = 1, every_second: float = 15.0) -> pl.DataFrame:
    """Make a cycling test of exactly ``count`` records in the columns of ``examples.protocol.run``.

    One cycle, of about 1,000 records at 15 s, is computed and repeated with fresh noise; current and counters shrink
    evenly to 80 % over the test, so that every cycle has its own capacity. The last cycle may be cut short.
    """
    rng = np.random.default_rng(seed)
    cycle = _one_cycle(rng, every_second)
    length, steps = cycle.height, int(cycle["step_count"][-1])
    passes = -(-count // length)
    place = np.tile(np.arange(length), passes)[:count]
    turn = np.repeat(np.arange(passes), length)[:count]
    share = 1.0 - 0.2 * turn / passes
    test_time = np.round(cycle["test_time_second"].to_numpy()[place] + turn * float(cycle["test_time_second"][-1]), 3)
    noise = rng.normal(0.0, 0.0001, count)
    return cycle[place].with_columns(
        pl.Series("test_time_second", test_time),
        pl.Series("unix_time_second", np.round(test_time + STARTED_AT.timestamp(), 3)),
        pl.Series("voltage_volt", cycle["voltage_volt"].to_numpy()[place] + noise),
        pl.Series("cycle_count", turn + 1),
        pl.Series("step_count", cycle["step_count"].to_numpy()[place] + turn * steps),
        *(pl.Series(name, cycle[name].to_numpy()[place] * share) for name in _MOVED),
    )


def write_large_ndax(path: Path, count: int = 700_000, *, seed: int = 1) -> None:
    """Write a Neware file of ``count`` records of the cell ``BM001``."""
    records = many_records(count, seed=seed)
    write_ndax(path, records, barcode="BM001", remark=SYNTHETIC, started_at=STARTED_AT, compress_level=1)


def write_many_csv(folder: Path, count: int = 2000, *, seed: int = 1) -> list[Path]:
    """Write ``count`` Arbin CSV files of one cycle and about 15 kB each below ``folder``, all different.

    They stand 100 to a folder and belong to the cells ``BM0000``, ``BM0001``, ….
    """
    rng = np.random.default_rng(seed)
    cycle = _one_cycle(rng, every_second=145.0)
    paths = []
    for number in range(count):
        path = folder / f"batch {number // 100:02d}" / f"BM{number:04d}_Channel_1_Wb_1.CSV"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = pl.Series(rng.normal(0.0, 0.0001, cycle.height))
        varied = cycle.with_columns(pl.col("voltage_volt") + noise, pl.col(*_MOVED) * rng.normal(1.0, 0.02))
        write_arbin_csv(path, varied, comment=SYNTHETIC)
        paths.append(path)
    return paths


def _one_cycle(rng: np.random.Generator, every_second: float) -> pl.DataFrame:
    cell = Cell(Design(NMC_GRAPHITE, 4.85, 0.016, 0.011), rng)
    steps = (Charge(0.5, every_second), Hold(0.05, every_second), Rest(600.0, every_second))
    steps_down = (Discharge(0.5, every_second), Rest(600.0, every_second))
    second = Block((*steps, *steps_down))
    # The second cycle is taken: the first starts from a cell that was never discharged.
    records = run(cell, [second, second], _NOMINAL_AH, STARTED_AT).records.filter(pl.col("cycle_count") == 2)
    begin = float(records["test_time_second"][0])
    return records.with_columns(
        pl.col("test_time_second") - begin,
        pl.col("unix_time_second") - begin,
        pl.col("cycle_count") - 1,
        pl.col("step_count") - len(second.steps),
        pl.col("step_id") - len(second.steps),
    )
