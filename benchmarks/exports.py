"""Large tests for measuring, from the cell model's records: exports in layouts as testers write them, and frames."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from examples import SYNTHETIC
from examples.arbin_csv import write_arbin_csv
from examples.biologic_mpt import Acquisition, write_gcpl
from examples.bulk import STARTED_AT, many_records, write_large_ndax
from examples.counters import CHARGING_CAPACITY, CHARGING_ENERGY, DISCHARGING_CAPACITY, DISCHARGING_ENERGY, since_cycle

_STATES = {"CC_Chg": "C", "CV_Chg": "C", "CC_DChg": "D", "Rest": "R"}
_NEWARE_STEPS = {"CC_Chg": "CC Chg", "CV_Chg": "CV Chg", "CC_DChg": "CC DChg", "Rest": "Rest"}
_MACCOR_HEAD = (
    "Today's Date 03/20/2026  Date of Test:\t03/02/2026\t Filename:\tC:\\Maccor\\BM001.078 Procedure: cycling.000\t"
    f"Comment/Barcode: {SYNTHETIC}"
)


def large_ndax(path: Path) -> None:
    """Write a Neware archive of 700,000 records."""
    write_large_ndax(path, 700_000)


def large_arbin_csv(path: Path, records: int = 120_000) -> None:
    """Write an Arbin CSV of about 16 MB."""
    write_arbin_csv(path, many_records(records), comment=SYNTHETIC)


def large_mpt(path: Path, records: int = 45_000) -> None:
    """Write an EC-Lab text export of about 11 MB; the slowest peer takes 10 s for it."""
    acquisition = Acquisition(1, STARTED_AT, STARTED_AT, SYNTHETIC)
    limits = {"current_ampere": 2.4, "limits_volt": (2.5, 4.2), "passes": records // 1000}
    write_gcpl(path, many_records(records), acquisition, **limits)  # type: ignore[arg-type]


def large_maccor(path: Path, records: int = 80_000, every_second: float = 15.0) -> None:
    """Write a Maccor text export of about 20 MB: current without sign, seconds, fifteen unused variables."""
    table = _numbered(records, every_second).select(
        pl.col("number").alias("Rec#"),
        pl.col("cycle_count").alias("Cyc#"),
        pl.col("step_id").alias("Step"),
        _rounded("test_time_second", 4).alias("Test (Sec)"),
        _rounded("step_time_second", 4).alias("Step (Sec)"),
        _rounded(pl.col("step_charging_capacity_ah") + pl.col("step_discharging_capacity_ah"), 10).alias("Amp-hr"),
        _rounded(pl.col("step_charging_energy_wh") + pl.col("step_discharging_energy_wh"), 10).alias("Watt-hr"),
        _rounded(pl.col("current_ampere").abs(), 10).alias("Amps"),
        _rounded("voltage_volt", 8).alias("Volts"),
        pl.col("step_type").replace_strict(_STATES).alias("State"),
        pl.when(pl.col("step_count") < pl.col("step_count").shift(-1)).then(129).otherwise(1).alias("ES"),
        _clock("%m/%d/%Y %H:%M:%S").alias("DPt Time"),
        *(pl.lit(0).alias(f"Loop{loop}") for loop in range(1, 5)),
        *(pl.lit("0.00000").alias(name) for name in ("ACImp/Ohms", "DCIR/Ohms")),
        *(pl.lit("N/A").alias(f"WF {name}") for name in ("Chg Cap", "Dis Cap", "Chg E", "Dis E")),
        pl.lit(1).alias("Range"),
        *(pl.lit("0.00000").alias(f"VAR{number}") for number in range(1, 16)),
    )
    with path.open("wb") as file:
        file.write(_MACCOR_HEAD.encode("ascii") + b"\r\n")
        table.write_csv(file, separator="\t", line_terminator="\r\n")


def counted_by_cycle(path: Path, records: int) -> None:
    """Write canonical columns of a tester that resolves 1 mV and counts from cycle to cycle, about 1,000 a cycle."""
    frame = many_records(records)
    counters = (CHARGING_CAPACITY, DISCHARGING_CAPACITY, CHARGING_ENERGY, DISCHARGING_ENERGY)
    since = {name.replace("step_", "cycle_"): since_cycle(frame, name) for name in counters}
    frame.drop(counters).with_columns(_rounded("voltage_volt", 3), **since).write_parquet(path)


def large_bdf_csv(path: Path, records: int = 120_000) -> None:
    """Write a CSV of the Battery Data Format, of about 16 MB."""
    many_records(records).write_csv(path, float_precision=8)


def large_neware_csv(path: Path, records: int = 100_000) -> None:
    """Write a flat Neware CSV, as BTSDA 8 exports it, of about 15 MB."""
    _neware_table(records).write_csv(path)


def large_neware_workbook(path: Path, records: int = 20_000) -> None:
    """Write the same as a workbook with a sheet ``record``."""
    numbers = pl.exclude("Step Type", "Time", "Total Time", "Date", "Module start-stop switch")
    table = _neware_table(records).with_columns(numbers.cast(pl.Float64))
    table.write_excel(path, worksheet="record", autofit=False)


def _neware_table(records: int) -> pl.DataFrame:
    charged, discharged = pl.col("step_charging_capacity_ah"), pl.col("step_discharging_capacity_ah")
    energy_in, energy_out = pl.col("step_charging_energy_wh"), pl.col("step_discharging_energy_wh")
    return _numbered(records).select(
        pl.col("number").alias("DataPoint"),
        pl.col("cycle_count").alias("Cycle Index"),
        pl.col("step_count").alias("Step Index"),
        pl.col("step_type").replace_strict(_NEWARE_STEPS).alias("Step Type"),
        _hours("step_time_second").alias("Time"),
        _hours("test_time_second").alias("Total Time"),
        _rounded("current_ampere", 8).alias("Current(A)"),
        _rounded("voltage_volt", 4).alias("Voltage(V)"),
        _rounded(charged + discharged, 8).alias("Capacity(Ah)"),
        _rounded(charged, 8).alias("Chg. Cap.(Ah)"),
        _rounded(discharged, 8).alias("DChg. Cap.(Ah)"),
        _rounded(energy_in + energy_out, 8).alias("Energy(Wh)"),
        _rounded(energy_in, 8).alias("Chg. Energy(Wh)"),
        _rounded(energy_out, 8).alias("DChg. Energy(Wh)"),
        _clock("%Y-%m-%d %H:%M:%S").alias("Date"),
        _rounded(pl.col("current_ampere") * pl.col("voltage_volt"), 8).alias("Power(W)"),
        _rounded("internal_resistance_ohm", 4).alias("Contact resistance(O)"),
        pl.lit("Close").alias("Module start-stop switch"),
    )


def _numbered(records: int, every_second: float = 15.0) -> pl.DataFrame:
    return many_records(records, every_second=every_second).with_row_index("number", offset=1)


def _rounded(values: str | pl.Expr, decimals: int) -> pl.Expr:
    """To the decimals that the tester prints, without its closing zeros."""
    return (pl.col(values) if isinstance(values, str) else values).round(decimals)


def _clock(form: str) -> pl.Expr:
    return pl.from_epoch(pl.col("unix_time_second").cast(pl.Int64)).dt.strftime(form)


def _hours(column: str) -> pl.Expr:
    """Hours, minutes and seconds; hours go on beyond a day."""
    seconds = pl.col(column).cast(pl.Int64)
    parts = [seconds // 3600, seconds // 60 % 60, seconds % 60]
    return pl.format("{}:{}:{}", *(part.cast(pl.String).str.zfill(2) for part in parts))
