"""The end of a text file that has grown, read alone and joined to what is stored of its test.

A file of one line a record is read again from a stored record on, under its own header and first records. What is
read must repeat the stored records, columns, cycles and warnings; where it does not, the whole is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bson
import polars as pl

from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.analysis.efficiency import with_efficiencies
from battery_analysis.analysis.summary import summarise_test
from battery_analysis.columns import TEST_TIME
from battery_analysis.ingest.text_lines import LEADING_RECORDS
from battery_analysis.readers.table import LAST_LINE
from battery_analysis.reading import ReadResult, read_from
from battery_analysis.store import columnar
from battery_analysis.store.parcel import ColumnRange, Parcel, column_ranges, segment_item

_SAME = 1e-9
"""Relative difference of sums over the same records in other order."""


@dataclass(frozen=True)
class Before:
    """What is stored of a test, for whoever reads on.

    ``frame`` holds its records from number ``first`` on, which is where a segment begins; ``context`` counts the rows
    before the cycle from which cycles are summarised again.
    """

    frame: pl.DataFrame
    cycles: pl.DataFrame
    first: int
    context: int
    columns: Mapping[str, ColumnRange]
    warnings: list[str]


def read_on(path: Path, parcel: Path, before: Path, time_zone: str, mappings: Path | None) -> Parcel | None:
    """Read the end of a file and pack what is new; None where it does not repeat what is stored. Runs in a worker."""
    stored = load_before(before)
    leading = LEADING_RECORDS if stored.first else 0
    result = read_from(path, leading, time_zone=time_zone, mappings=mappings)
    frame = _repeating(result, stored)
    if frame is None:
        return None
    cycles = _joined_cycles(frame, stored, result)
    if cycles is None:
        return None
    with parcel.open("wb") as file:
        for run in columnar.encode(frame):
            file.write(segment_item(run, frame.slice(run.first, run.rows), result.cycle_method, stored.first))
        for run in columnar.encode(cycles, together=True):
            file.write(bson.encode({"kind": "cycles", **run.described()}))
    frame.write_ipc(records_path(parcel))
    columns = _joined_ranges(stored.columns, column_ranges(frame))
    summary = summarise_test(cycles, frame, nominal_capacity_ah=result.metadata.nominal_capacity_ah)
    return Parcel(
        path=parcel,
        metadata=result.metadata,
        reader=result.reader,
        reader_version=result.reader_version,
        warnings=result.warnings,
        checks=result.checks,
        record_count=stored.first + frame.height,
        cycle_method=result.cycle_method,
        efficiency_convention=result.efficiency_convention,
        summary=replace(summary, duration_second=_duration(columns)),
        gap_cycles=int(cycles["has_gap"].sum() or 0),
        temperature_celsius=None,
        columns=columns,
        first_record=stored.first,
    )


def records_path(parcel: Path) -> Path:
    """Return where a worker leaves the records that it read."""
    return parcel.with_suffix(".tail")


def save_before(before: Before, path: Path) -> None:
    """Write what is stored of a test to a file, for a worker."""
    frame, cycles = path.with_suffix(".records"), path.with_suffix(".cycles")
    before.frame.write_ipc(frame)
    before.cycles.write_ipc(cycles)
    facts: dict[str, Any] = {
        "first": before.first,
        "context": before.context,
        "warnings": before.warnings,
        "columns": [[name, span.dtype, span.minimum, span.maximum] for name, span in before.columns.items()],
    }
    path.write_bytes(bson.encode(facts))


def load_before(path: Path) -> Before:
    """Read what ``save_before`` wrote."""
    facts = bson.decode(path.read_bytes())
    columns = {name: ColumnRange(dtype, low, high) for name, dtype, low, high in facts.pop("columns")}
    frame, cycles = (pl.read_ipc(path.with_suffix(suffix)) for suffix in (".records", ".cycles"))
    return Before(frame, cycles, columns=columns, **facts)


def _repeating(result: ReadResult, stored: Before) -> pl.DataFrame | None:
    """Return the records in the types that are stored, if they begin with the stored ones.

    The last stored record may differ: its line may have been under way.
    """
    frame, before = result.frame, stored.frame
    known = before.height - 1
    lasting = [warning for warning in stored.warnings if not warning.startswith(LAST_LINE)]
    if frame.columns != before.columns or frame.height <= known or result.warnings != lasting:
        return None
    if any(check.status == "failed" for check in result.checks):
        return None
    for name, dtype in before.schema.items():
        if frame.schema[name] != dtype:
            if not (dtype.is_float() and frame.schema[name].is_integer()):
                return None
            frame = frame.with_columns(pl.col(name).cast(dtype))
    return frame if frame.head(known).equals(before.head(known)) else None


def _joined_cycles(frame: pl.DataFrame, stored: Before, result: ReadResult) -> pl.DataFrame | None:
    """Return the cycle table of the whole, if the first complete cycle that was summarised again is as it was."""
    if not stored.cycles.height:
        return stored.cycles if not result.cycles.height else None
    finished = bool(result.metadata.finished)
    fresh = summarise_cycles(frame.slice(stored.context), finished=finished, continuation=True)
    if fresh.height < 2:
        return None
    fresh = fresh.with_columns(pl.col("first_record") + stored.first + stored.context)[1:]
    same = stored.cycles.filter(pl.col("cycle_count") == fresh["cycle_count"][0])
    if same.height != 1 or not _is_same(same, fresh.head(1)):
        return None
    place = int(stored.cycles["cycle_count"].index_of(same["cycle_count"][0]) or 0)
    joined = pl.concat([stored.cycles.head(place + 1), fresh[1:]], rechunk=True)  # sums depend on chunks
    return with_efficiencies(joined, "same_cycle") if joined["cycle_count"].is_unique().all() else None


def _is_same(stored: pl.DataFrame, fresh: pl.DataFrame) -> bool:
    for name in stored.columns:
        if "efficiency" in name:  # depends on what the sample is
            continue
        one, other = stored[name][0], fresh[name][0]
        if isinstance(one, float) and isinstance(other, float):
            if abs(one - other) > _SAME * max(abs(one), abs(other)):
                return False
        elif one != other:
            return False
    return True


def _duration(columns: Mapping[str, ColumnRange]) -> float | None:
    time = columns.get(TEST_TIME.name)
    if time is None or time.minimum is None or time.maximum is None:
        return None
    return time.maximum - time.minimum


def _joined_ranges(before: Mapping[str, ColumnRange], after: Mapping[str, ColumnRange]) -> dict[str, ColumnRange]:
    joined = {}
    for name, new in after.items():
        old = before[name]
        lows = [value for value in (old.minimum, new.minimum) if value is not None]
        highs = [value for value in (old.maximum, new.maximum) if value is not None]
        joined[name] = ColumnRange(new.dtype, min(lows, default=None), max(highs, default=None))
    return joined
