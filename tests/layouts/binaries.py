"""Binary files of testers, and exchange formats that are no text."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import polars as pl

from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.readers.base import TestMetadata
from battery_analysis.writing import write
from examples.neware_ndax import write_ndax
from tests.layouts.cell import CHARGE, DISCHARGE, REST, START, Record
from tests.layouts.table import Layout

_NDAX_TYPES = {CHARGE: "CC_Chg", DISCHARGE: "CC_DChg", REST: "Rest"}


def frame(records: Sequence[Record]) -> pl.DataFrame:
    """The records in canonical columns, with the counters of each step."""
    return pl.DataFrame(
        {
            "test_time_second": [r.time for r in records],
            "unix_time_second": [START.timestamp() + r.time for r in records],
            "voltage_volt": [r.voltage for r in records],
            "current_ampere": [r.current for r in records],
            "cycle_count": [r.cycle for r in records],
            "step_count": [r.step for r in records],
            "step_id": [r.step_id for r in records],
            "step_type": [_NDAX_TYPES[r.kind] for r in records],
            "step_time_second": [r.step_time for r in records],
            "step_charging_capacity_ah": [r.since["step"].charge_ah for r in records],
            "step_discharging_capacity_ah": [r.since["step"].discharge_ah for r in records],
            "step_charging_energy_wh": [r.since["step"].charge_wh for r in records],
            "step_discharging_energy_wh": [r.since["step"].discharge_wh for r in records],
        }
    )


def ndax(path: Path, records: Sequence[Record]) -> None:
    """Neware's archive."""
    write_ndax(path, frame(records), barcode="AB12", remark="", started_at=START)


def bdf(path: Path, records: Sequence[Record]) -> None:
    """Machine names."""
    frame(records).write_parquet(path)


def contained(path: Path, records: Sequence[Record]) -> None:
    """The project's own containers, as its exports are."""
    table = frame(records)
    write(path, table, summarise_cycles(table), TestMetadata("Neware"))


def pyprobe(path: Path, records: Sequence[Record]) -> None:
    """A capacity with an offset."""
    net = [7.0 + r.since["never"].net_ah for r in records]
    frame(records).select(
        pl.from_epoch((pl.col("unix_time_second") * 1e6).cast(pl.Int64), "us").alias("Date"),
        pl.col("step_id").cast(pl.UInt64).alias("Step"),
        pl.col("test_time_second").alias("Time [s]"),
        pl.col("current_ampere").alias("Current [A]"),
        pl.col("voltage_volt").alias("Voltage [V]"),
        pl.Series("Capacity [Ah]", net),
        (pl.col("step_count") - 1).cast(pl.UInt64).alias("Event"),
    ).write_parquet(path)


def aurora(path: Path, records: Sequence[Record]) -> None:
    """Single precision; a clock for the test time."""
    note = {"sample_data": {"Sample ID": "AB12"}, "job_data": []}
    frame(records).select(
        pl.col("unix_time_second").alias("uts"),
        pl.col("voltage_volt").cast(pl.Float32).alias("V (V)"),
        pl.col("current_ampere").cast(pl.Float32).alias("I (A)"),
        pl.col("step_count").cast(pl.Int32).alias("Step"),
        pl.col("cycle_count").cast(pl.Int32).alias("Cycle"),
    ).write_parquet(path, metadata={"AURORA:metadata": json.dumps(note)})


def tomato(path: Path, records: Sequence[Record]) -> None:
    """Quantities with uncertainty and unit, one step of the payload for each step."""
    steps = []
    for step, part in groupby(records, lambda r: r.step):
        data = [
            {
                "uts": START.timestamp() + r.time,
                "raw": {
                    "Ewe": {"n": r.voltage, "s": 1e-4, "u": "V"},
                    "I": {"n": r.current * 1e3, "s": 1e-3, "u": "mA"},
                    "cycle number": r.cycle,
                    "index": step,
                    "technique": "OCV" if r.kind == REST else "CPLIMIT",
                },
            }
            for r in part
        ]
        steps.append({"metadata": {"index": step}, "data": data})
    path.write_text(json.dumps({"steps": steps, "metadata": {"provenance": "tomato"}}))


def landt_ccs(path: Path, records: Sequence[Record]) -> None:
    """Blocks of 128 bytes: one that opens each step, then six records in each."""
    header = bytearray(0xA80)
    header[0x494:0x49E] = b"WuHan LAND"
    struct.pack_into("<Q", header, 0xA38, int(START.timestamp() * 1000))
    blocks = []
    for step, part in groupby(records, lambda r: r.step):
        blocks.append(struct.pack("<II", 2, step).ljust(128, b"\0"))
        cells = []
        before = (0.0, 0.0, 0.0)
        for r in part:
            seconds, charge, energy = now = (r.step_time, r.since["step"].both_ah, r.since["step"].both_wh)
            moved = [abs(new - old) for new, old in zip(now, before, strict=True)]
            way = -1 if r.current < 0 else 1
            cells.append(
                struct.pack("<Iffff", round(1e3 * moved[0]), r.voltage, r.current, way * moved[1], way * moved[2])
            )
            before = (seconds, charge, energy)
        for at in range(0, len(cells), 6):
            inside = cells[at : at + 6]
            blocks.append((struct.pack("<BBHI", 3, len(inside), 0, step) + b"".join(inside)).ljust(128, b"\0"))
    path.write_bytes(bytes(header) + b"".join(blocks))


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "ndax",
        "neware_ndax",
        "cell.ndax",
        ndax,
        6,
        energy=True,
        step_starts=True,
        numberings=("from one", "stays at one"),
    ),
    Layout("bdf parquet", "bdf_parquet", "cell.bdf.parquet", bdf, 9, energy=True),
    *(
        Layout(f"bdf {kind}", f"bdf_{kind}", f"cell.{suffix}", contained, 9, energy=True)
        for kind, suffix in (("hdf5", "h5"), ("xlsx", "xlsx"), ("json", "json"))
    ),
    Layout("pyprobe", "pyprobe_parquet", "cell.parquet", pyprobe, 9, step_starts=True, numberings=()),
    Layout("aurora", "aurora_parquet", "cell.parquet", aurora, 6, counted=False, step_starts=True),
    Layout("tomato", "tomato_json", "cell.json", tomato, 9, counted=False, step_starts=True),
    Layout("landt ccs", "landt_ccs", "cell.ccs", landt_ccs, 5, energy=True, numberings=()),
)
