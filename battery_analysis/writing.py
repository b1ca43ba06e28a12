"""Write what was read, in formats that others read.

The name of the file says the format:

- ``….bdf.parquet``, ``….bdf.csv``: Battery Data Format under its machine names;
- ``….parquet``, ``….csv``: the same columns, also for a spectrum, which that format has no table for;
- ``…_timeseries.csv`` or ``…_cycle_data.csv``: both files of the pair of batteryarchive.org.

Every file is whole or not there. What is written here reads back equal, except that CSV knows no types (a column of
nothing but missing values has none), and that the pair keeps only the columns which it has a place for.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from battery_analysis.errors import BatteryAnalysisError, SchemaError
from battery_analysis.files import replacing

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.analysis.counters import Flows
    from battery_analysis.columns import Quantity
    from battery_analysis.readers.base import TestMetadata

SUFFIXES = (".parquet", ".csv")
FORMATS = ".parquet, .csv or .bdf.csv"
"""What ``write`` writes, in words; what else it writes ends in one of these."""


def write(target: Path, frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata) -> list[Path]:
    """Write one test in the format that the name of ``target`` says.

    Args:
        target: The file; for the pair of batteryarchive.org either of its two.
        frame: Records in canonical columns.
        cycles: The cycle table of the frame; only the pair has a place for it.
        metadata: Kept in the footer of Parquet files.

    Returns:
        The files written.

    Raises:
        SchemaError: The format needs a column that the frame has not.
        BatteryAnalysisError: The name says no known format, or the file cannot be written; the old one is as it was.
    """
    import polars as pl

    name = target.name.lower()
    if not name.endswith(SUFFIXES):
        raise BatteryAnalysisError(f"{target}: ends in {target.suffix!r}, not in {FORMATS}")
    try:
        if name.endswith(("_timeseries.csv", "_cycle_data.csv")):
            return _write_pair(target, frame, cycles, continuation=metadata.continuation)
        if name.endswith((".bdf.csv", ".bdf.parquet")):
            _check_required(target, frame)
        with replacing(target) as file:
            if name.endswith(".parquet"):
                from battery_analysis.readers.notes import NOTE_KEY, to_note

                frame.write_parquet(file, metadata={NOTE_KEY: to_note(metadata)})
            else:
                _for_text(frame).write_csv(file)
    except pl.exceptions.PolarsError as exc:
        raise BatteryAnalysisError(f"{target}: cannot be written: {exc}") from exc
    return [target]


def write_table(target: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet or CSV, as the name of ``target`` says.

    Raises:
        BatteryAnalysisError: The name says neither, or the file cannot be written; the old one is as it was.
    """
    name = target.name.lower()
    if not name.endswith(SUFFIXES):
        raise BatteryAnalysisError(f"{target}: ends in {target.suffix!r}, not in {' or '.join(SUFFIXES)}")
    with replacing(target) as file:
        table.write_parquet(file) if name.endswith(".parquet") else _for_text(table).write_csv(file)


def _check_required(target: Path, frame: pl.DataFrame) -> None:
    from battery_analysis.columns import CURRENT, TEST_TIME, VOLTAGE

    absent = [column.name for column in (TEST_TIME, VOLTAGE, CURRENT) if column.name not in frame.columns]
    if absent:
        raise SchemaError(f"{target}: the Battery Data Format requires {absent}; write .csv or .parquet instead")


def _for_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Widen short floats, whose shortest decimal is another number, and keep each record in one line."""
    import polars as pl
    import polars.selectors as cs

    return frame.with_columns(
        cs.by_dtype(pl.Float32).cast(pl.Float64), cs.string().str.replace_all(r"[\r\n\u{0}]+", " ")
    )


def _write_pair(target: Path, frame: pl.DataFrame, cycles: pl.DataFrame, *, continuation: bool) -> list[Path]:
    """Write both files of batteryarchive.org: both drafts are whole before either takes its place."""
    from battery_analysis.columns import CURRENT, TEST_TIME, VOLTAGE
    from battery_analysis.readers.battery_archive import CYCLES_END, TIMESERIES_END

    absent = [column.name for column in (TEST_TIME, VOLTAGE, CURRENT) if column.name not in frame.columns]
    if absent:
        raise SchemaError(f"{target}: a time series of batteryarchive.org requires {absent}")
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


def _time_series(frame: pl.DataFrame, *, continuation: bool) -> pl.DataFrame:
    import polars as pl

    from battery_analysis.analysis.records import cycle_column
    from battery_analysis.columns import CYCLE_COUNT
    from battery_analysis.readers.battery_archive import MAPS, STAMP

    numbers = cycle_column(frame)
    if numbers is not None:
        frame = frame.with_columns(pl.col(numbers).alias(CYCLE_COUNT.name))
    frame = _with_cycle_counters(frame, continuation=continuation)
    nothing = pl.lit(None, pl.Float64)
    places = [
        (pl.col(entry.column.name) if entry.column.name in frame.columns else nothing).alias(entry.source)
        for entry in MAPS
    ]
    return frame.select(_stamp(frame, pl.int_range(pl.len())).alias(STAMP), *places)


def _with_cycle_counters(frame: pl.DataFrame, *, continuation: bool) -> pl.DataFrame:
    """Add what each cycle charged and discharged up to each record, by the rules of the cycle table."""
    import numpy as np
    import polars as pl

    from battery_analysis.analysis.counters import counted
    from battery_analysis.analysis.integration import gaps, integrated
    from battery_analysis.analysis.records import Records, has_values
    from battery_analysis.columns import CURRENT, CYCLE_COUNT, TEST_TIME

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
    import polars as pl

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
    import polars as pl

    from battery_analysis.columns import UNIX_TIME

    if UNIX_TIME.name not in frame.columns:
        return pl.lit(None, pl.String)
    clock = (frame[UNIX_TIME.name] * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
    stamps = clock.dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    return pl.lit(stamps).gather(records)
