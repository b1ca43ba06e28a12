"""Both files of a pair of batteryarchive.org: records with counters since the start of each cycle, and cycles.

The format has no place for impedances: of a spectrum, those records stay that have a voltage, as records of the series.
Where the records are those of several tests of a cell, a column ``Test`` beside the format's own says of which.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from battery_analysis.analysis.counters import counted
from battery_analysis.analysis.integration import gaps, integrated
from battery_analysis.analysis.records import TEST, Records, cycle_column, has_values
from battery_analysis.columns import CURRENT, CYCLE_COUNT, FREQUENCY, TEST_TIME, UNIX_TIME, VOLTAGE
from battery_analysis.errors import SchemaError
from battery_analysis.files import replacing
from battery_analysis.readers.battery_archive import CYCLES_END, MAPS, STAMP, TIMESERIES_END

if TYPE_CHECKING:
    from battery_analysis.analysis.counters import Flows
    from battery_analysis.columns import Quantity

_AT_A_FREQUENCY = (pl.col(FREQUENCY.name) > 0).fill_null(False)


def write_pair(target: Path, frame: pl.DataFrame, cycles: pl.DataFrame, *, continuation: bool) -> list[Path]:
    """Write both files of batteryarchive.org: both drafts are whole before either takes its place.

    Raises:
        SchemaError: There is no time series, or nothing but spectra.
    """
    absent = [column.name for column in (TEST_TIME, VOLTAGE, CURRENT) if column.name not in frame.columns]
    if absent:
        raise SchemaError(f"{target}: a time series of batteryarchive.org requires {absent}")
    if records_of_spectra(frame) == frame.height > 0:
        raise SchemaError(
            f"{target}: all {frame.height} records are of spectra, for which batteryarchive.org has no place"
        )
    lowered = target.name.lower()
    stem = target.name[: -len(TIMESERIES_END if lowered.endswith(TIMESERIES_END) else CYCLES_END)]
    tables = {
        target.with_name(stem + TIMESERIES_END): _time_series(frame, continuation=continuation),
        target.with_name(stem + CYCLES_END): _cycle_data(frame, cycles),
    }
    with ExitStack() as files:
        for place, table in tables.items():
            table.write_csv(files.enter_context(replacing(place)))
    return list(tables)


def records_of_spectra(frame: pl.DataFrame) -> int:
    """Count the records that hold an impedance at a frequency."""
    return frame.filter(_AT_A_FREQUENCY).height if FREQUENCY.name in frame.columns else 0


def _time_series(frame: pl.DataFrame, *, continuation: bool) -> pl.DataFrame:
    numbers = cycle_column(frame)
    if numbers is not None:
        frame = frame.with_columns(pl.col(numbers).alias(CYCLE_COUNT.name))
    frame = with_cycle_counters(frame, continuation=continuation)
    nothing = pl.lit(None, pl.Float64)
    places = [
        (pl.col(entry.column.name) if entry.column.name in frame.columns else nothing).alias(entry.source)
        for entry in MAPS
    ]
    if TEST in frame.columns and frame[TEST].n_unique() > 1:
        places.append(pl.col(TEST).alias("Test"))
    if FREQUENCY.name in frame.columns:
        frame = frame.filter(pl.col(VOLTAGE.name).is_not_null() | ~_AT_A_FREQUENCY)
    return frame.select(_stamp(frame, pl.int_range(pl.len())).alias(STAMP), *places)


def with_cycle_counters(frame: pl.DataFrame, *, continuation: bool) -> pl.DataFrame:
    """Add what each cycle charged and discharged up to each record, by the rules of the cycle table."""
    if not all(has_values(frame, column.name) for column in (CURRENT, CYCLE_COUNT, TEST_TIME)):
        return frame
    records = Records.of(frame, continuation=continuation)
    every = np.arange(frame.height)
    sums: list[pl.Series] = []
    quantities: tuple[tuple[Quantity, str], ...] = (("capacity", "ah"), ("energy", "wh"))
    for quantity, unit in quantities:
        flows: Flows | None = counted(records, quantity, every)
        in_gap = np.zeros(frame.height, dtype=np.bool_)
        if flows is None:  # what flowed in a gap is unknowable, and so is all that follows in its cycle
            flows = integrated(records, quantity, every)
            in_gap[gaps(records)] = True
        for direction, moved in (("charging", flows.charge), ("discharging", flows.discharge)):
            name = f"cycle_{direction}_{quantity}_{unit}"
            if name not in frame.columns:
                table = pl.DataFrame([frame[CYCLE_COUNT.name], pl.Series("moved", moved), pl.Series("lost", in_gap)])
                since = pl.col("moved").cum_sum(), pl.col("lost").cum_max()
                table = table.with_columns(each.over(CYCLE_COUNT.name) for each in since)
                sums.append(table.select(pl.when(~pl.col("lost")).then("moved").alias(name)).to_series())
    return frame.with_columns(sums)


def _cycle_data(frame: pl.DataFrame, cycles: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("first_record")
    return cycles.select(
        pl.col("cycle_count").alias("Cycle_Index"),
        _stamp(frame, first).alias("Start_Time"),
        _stamp(frame, first + pl.col("records") - 1).alias("End_Time"),
        pl.col("end_time_second").alias("Test_Time (s)"),
        pl.col("min_current_ampere").alias("Min_Current (A)"),
        pl.col("max_current_ampere").alias("Max_Current (A)"),
        pl.col("min_voltage_volt").alias("Min_Voltage (V)"),
        pl.col("max_voltage_volt").alias("Max_Voltage (V)"),
        pl.col("charge_capacity_ah").alias("Charge_Capacity (Ah)"),
        pl.col("discharge_capacity_ah").alias("Discharge_Capacity (Ah)"),
        pl.col("charge_energy_wh").alias("Charge_Energy (Wh)"),
        pl.col("discharge_energy_wh").alias("Discharge_Energy (Wh)"),
    )


def _stamp(frame: pl.DataFrame, records: pl.Expr) -> pl.Expr:
    """Clock of the given records as UTC without a zone, to the microsecond; empty where the test has no clock."""
    if UNIX_TIME.name not in frame.columns:
        return pl.lit(None, pl.String)
    clock = (frame[UNIX_TIME.name] * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
    stamps = clock.dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    return pl.lit(stamps).gather(records)
