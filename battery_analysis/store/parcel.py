"""A read test on its way into the store: facts in memory, encoded records in a spool file.

A worker packs, the importing process unpacks one segment at a time, so that it never holds a
whole frame. The spool file is a row of BSON documents: segments, cycle blocks, the overview.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import bson
import polars as pl

from battery_analysis import columns
from battery_analysis.analysis.checks import Check
from battery_analysis.analysis.cycles import CycleMethod, EfficiencyConvention
from battery_analysis.analysis.summary import TestSummary, summarise_test
from battery_analysis.analysis.thinning import overview
from battery_analysis.readers.base import TestMetadata
from battery_analysis.reading import ReadResult
from battery_analysis.store import columnar
from battery_analysis.store.sketches import sketch

Kind = Literal["segment", "cycles", "overview"]

CYCLE_COLUMN: dict[CycleMethod | None, str] = {
    "tester": columns.CYCLE_COUNT.name,
    "derived": columns.DERIVED_CYCLE_COUNT.name,
    None: columns.CYCLE_COUNT.name,
}


@dataclass(frozen=True)
class ColumnRange:
    """Type and extremes of a frame column; no extremes for texts and for columns without values."""

    dtype: str
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True)
class Parcel:
    """What the importing process knows of a test without opening the spool file."""

    path: Path
    metadata: TestMetadata
    reader: str
    reader_version: str
    warnings: list[str]
    checks: list[Check]
    record_count: int
    cycle_method: CycleMethod | None
    efficiency_convention: EfficiencyConvention
    summary: TestSummary
    gap_cycles: int
    temperature_celsius: float | None
    columns: dict[str, ColumnRange]
    first_record: int = 0
    """Records before this one are stored already, in segments of the revision before."""
    lead_bytes: int | None = None
    """Length of header and first records, in a text of one line a record; None elsewhere."""

    def items(self, kind: Kind) -> Iterator[dict[str, Any]]:
        """Yield the encoded documents of one kind, in order, one in memory at a time."""
        with self.path.open("rb") as file:
            for document in bson.decode_file_iter(file):
                if document.pop("kind") == kind:
                    yield document


def pack(result: ReadResult, path: Path) -> Parcel:
    """Encode a result into a spool file and say what it holds."""
    frame = result.frame
    with path.open("wb") as file:
        for run in columnar.encode(frame):
            file.write(segment_item(run, frame.slice(run.first, run.rows), result.cycle_method))
        for run in columnar.encode(result.cycles, together=True):
            file.write(bson.encode({"kind": "cycles", **run.described()}))
        file.write(overview_item(overview(frame)))
    return Parcel(
        path=path,
        metadata=result.metadata,
        reader=result.reader,
        reader_version=result.reader_version,
        warnings=result.warnings,
        checks=result.checks,
        record_count=frame.height,
        cycle_method=result.cycle_method,
        efficiency_convention=result.efficiency_convention,
        summary=summarise_test(result.cycles, frame, nominal_capacity_ah=result.metadata.nominal_capacity_ah),
        gap_cycles=int(result.cycles["has_gap"].sum() or 0),
        temperature_celsius=mean_temperature(frame),
        columns=column_ranges(frame),
    )


def column_ranges(frame: pl.DataFrame) -> dict[str, ColumnRange]:
    """Return type and extremes of every column, in the frame's order."""
    numeric = [name for name, dtype in frame.schema.items() if dtype.is_numeric()]
    lows, highs = (frame.select(pl.col(numeric).min()).row(0), frame.select(pl.col(numeric).max()).row(0))
    extremes = dict(zip(numeric, zip(lows, highs, strict=True), strict=True))
    return {name: ColumnRange(str(dtype), *extremes.get(name, (None, None))) for name, dtype in frame.schema.items()}


def overview_item(thinned: pl.DataFrame) -> bytes:
    """Return an overview as it stands in the spool file; nothing where it is empty."""
    if not thinned.height:
        return b""
    return bson.encode({"kind": "overview", "columns": columnar.encode_columns(thinned, together=True)})


def segment_item(run: columnar.Encoded, rows: pl.DataFrame, method: CycleMethod | None, offset: int = 0) -> bytes:
    """Return a segment as it stands in the spool file; ``offset`` records of the test come before the frame."""
    described = run.described()
    described["first"] += offset
    described["sketches"] = sketch(rows)
    return bson.encode({"kind": "segment", **described, **_ranges(rows, CYCLE_COLUMN[method])})


def _ranges(rows: pl.DataFrame, cycle_column: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, label in ((cycle_column, "cycle"), (columns.TEST_TIME.name, "time_second")):
        if name in rows.columns:
            found[f"first_{label}"] = rows[name].min()
            found[f"last_{label}"] = rows[name].max()
    return found


def mean_temperature(frame: pl.DataFrame) -> float | None:
    """Return the mean temperature of the cell in °C, of the air where no other is known, or None."""
    for column in (columns.SURFACE_TEMPERATURE, columns.SENSOR_TEMPERATURES[0], columns.AMBIENT_TEMPERATURE):
        if column.name in frame.columns:
            known = frame[column.name].drop_nulls().to_numpy()  # one array: the sum depends on no chunks
            return float(known.mean()) if known.size else None
    return None
