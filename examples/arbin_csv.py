"""Writes CSV exports as Arbin's MITS Pro lays them out.

One header row with units in parentheses, Windows line ends, a byte order mark; times in s, charging current positive,
counters in Ah and Wh that the schedule sets to zero at every new cycle; no record at the very start of a step. Such
exports have no comment field, so a text column ``Comment`` carries it in the first row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from examples.counters import (
    CHARGING_CAPACITY,
    CHARGING_ENERGY,
    DISCHARGING_CAPACITY,
    DISCHARGING_ENERGY,
    since_cycle,
)

CAPACITY_DECIMALS = 8
"""Printed decimals of Ah and Wh."""


def write_arbin_csv(path: Path, records: pl.DataFrame, *, comment: str) -> None:
    """Write one test; the same arguments give the same bytes.

    Args:
        path: File to write.
        records: Canonical columns as ``examples.protocol.run`` makes them, with ``internal_resistance_ohm`` and
            ``temperature_t1_celsius``. Records at a step time of zero are left out, as the tester does.
        comment: Text of the first row's ``Comment``.
    """
    table = records.select(
        pl.from_epoch((pl.col("unix_time_second") * 1000).round().cast(pl.Int64), "ms")
        .dt.strftime("%m/%d/%Y %H:%M:%S%.3f")
        .alias("Date_Time"),
        pl.col("test_time_second").round(4).alias("Test_Time(s)"),
        pl.col("step_time_second").round(4).alias("Step_Time(s)"),
        pl.col("cycle_count").alias("Cycle_Index"),
        pl.col("step_id").alias("Step_Index"),
        pl.col("current_ampere").round(7).alias("Current(A)"),
        pl.col("voltage_volt").round(6).alias("Voltage(V)"),
        _counted(records, CHARGING_CAPACITY, "Charge_Capacity(Ah)"),
        _counted(records, DISCHARGING_CAPACITY, "Discharge_Capacity(Ah)"),
        _counted(records, CHARGING_ENERGY, "Charge_Energy(Wh)"),
        _counted(records, DISCHARGING_ENERGY, "Discharge_Energy(Wh)"),
        pl.col("internal_resistance_ohm").round(6).alias("Internal_Resistance(Ohm)"),
        _slope(records).alias("dV/dt(V/s)"),
        pl.col("temperature_t1_celsius").round(3).alias("Aux_Temperature_1(C)"),
    )
    table = table.filter(pl.col("Step_Time(s)") > 0).with_row_index("Data_Point", offset=1)
    first_row = pl.when(pl.col("Data_Point") == 1).then(pl.lit(comment))
    table.with_columns(first_row.alias("Comment")).write_csv(path, include_bom=True, line_terminator="\r\n")


def _counted(records: pl.DataFrame, counter: str, name: str) -> pl.Series:
    return pl.Series(name, since_cycle(records, counter).round(CAPACITY_DECIMALS))


def _slope(records: pl.DataFrame) -> pl.Series:
    voltage, time = records["voltage_volt"].to_numpy(), records["test_time_second"].to_numpy()
    lapse = np.diff(time, prepend=time[0])
    rise = np.diff(voltage, prepend=voltage[0])
    return pl.Series(np.divide(rise, lapse, out=np.zeros_like(rise), where=lapse > 0).round(8))
