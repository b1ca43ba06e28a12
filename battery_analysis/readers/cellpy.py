"""cellpy files (``.cellpy``, ``.h5``).

File structure:
    HDF5 with the group ``CellpyData``. Its pandas table ``raw`` (``dfdata`` up to version 4) holds one row for each
    record in names such as ``test_time``, ``cycle_index``, ``current``, ``charge_capacity``; older versions write them
    like Arbin (``Test_Time``). ``info`` holds one row about the cell and the units of the table (``raw_unit_current``),
    ``steps`` and ``summary`` are made from ``raw``. Positive current charges.

Choices:
    cellpy keeps the counters of the tester as they were read, so that what sets them to zero depends on the tester:
    they count as set by the schedule. Without the units in ``info`` cellpy's own count (A, V, Ah, Wh, s, ohm).
    The mass in ``info`` is in mg, and 1 unless the user gave one, so 1.0 is no mass.

Seen in:
    Files of version 8, written by cellpy 1.0.3 from PEC exports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers import hdf5
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import unit_scale
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.typed import date_by_clock, plain

ROOT = "CellpyData"
TABLES = ("raw", "dfdata")

COLUMNS: tuple[tuple[str, Column, str], ...] = (
    ("test_time", columns.TEST_TIME, "time"),
    ("date_time", columns.UNIX_TIME, ""),
    ("datetime", columns.UNIX_TIME, ""),
    ("voltage", columns.VOLTAGE, "voltage"),
    ("current", columns.CURRENT, "current"),
    ("cycle_index", columns.CYCLE_COUNT, ""),
    ("step_index", columns.STEP_ID, ""),
    ("step_time", columns.STEP_TIME, "time"),
    ("data_point", columns.RECORD_INDEX, ""),
    ("charge_capacity", BY_NAME["schedule_charging_capacity_ah"], "charge"),
    ("discharge_capacity", BY_NAME["schedule_discharging_capacity_ah"], "charge"),
    ("charge_energy", BY_NAME["schedule_charging_energy_wh"], "energy"),
    ("discharge_energy", BY_NAME["schedule_discharging_energy_wh"], "energy"),
    ("power", columns.POWER, "power"),
    ("internal_resistance", columns.INTERNAL_RESISTANCE, "resistance"),
)
"""cellpy's name in lower case, what it is, and what ``raw_unit_…`` is about it."""

_UNITS = {"sec": "s", "ohms": "ohm"}
_DEFAULT_MASS_MG = 1.0


class CellpyH5:
    """Reads the files of cellpy."""

    name = "cellpy_h5"
    version = "1"
    tester = "cellpy"
    suffixes = frozenset({".cellpy", ".h5"})
    description = "cellpy files (.cellpy, .h5); an HDF5 group CellpyData; needs the package h5py"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether this is HDF5 with cellpy's group."""
        return hdf5.looks_like(head, path, ROOT)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the records; stamps have no zone and are taken in ``time_zone``."""
        with hdf5.opened(path, self.name) as file:
            root = hdf5.member(file, ROOT)
            found = next((name for name in TABLES if name in root), None)
            if found is None:
                raise CorruptFileError(path, f"no table {' or '.join(TABLES)} in {sorted(root)}", self.name)
            raw = hdf5.pandas_table(hdf5.member(root, found))
            info = hdf5.pandas_record(hdf5.member(root, "info")) if "info" in root else {}
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        metadata.header = {name: str(value) for name, value in info.items() if value not in (None, "")}
        raw, warnings = plain(raw, (), metadata, time_zone)
        raw, maps, unit_warnings = _maps(raw, metadata.header)
        frame, metadata.sources = to_canonical(raw, maps)
        warnings += unit_warnings
        if columns.UNIX_TIME.name in frame.columns:
            frame, clock_warnings = _with_clock(frame, metadata)
            warnings += clock_warnings
        _describe(metadata, info)
        return Reading(frame, metadata, warnings)


def _maps(raw: pl.DataFrame, header: dict[str, str]) -> tuple[pl.DataFrame, list[Map], list[str]]:
    names = {name.lower(): name for name in raw.columns}
    maps, warnings = [], []
    for called, column, quantity in COLUMNS:
        if called not in names:
            continue
        written = header.get(f"raw_unit_{quantity}", "") if quantity else ""
        unit = _UNITS.get(written.lower(), written) or column.unit
        scale = unit_scale(unit, column) if quantity else 1.0
        if scale is None:
            warnings.append(f"{names[called]} is in {written!r}, not in {column.unit}; kept as aux_")
            continue
        maps.append(Map(names[called], column, scale, unit if quantity else ""))
    return raw, maps, warnings


def _with_clock(frame: pl.DataFrame, metadata: TestMetadata) -> tuple[pl.DataFrame, list[str]]:
    """Keep the clock where it is one: stored dates, not numbers that the tester's file held."""
    source = metadata.sources[columns.UNIX_TIME.name]
    clock = frame[columns.UNIX_TIME.name]
    if metadata.time_zone is None or not clock.count():
        name = "aux_date_time"
        metadata.sources[name] = metadata.sources.pop(columns.UNIX_TIME.name)
        return frame.rename({columns.UNIX_TIME.name: name}), [f"{source.name} holds no dates and is kept as {name}"]
    date_by_clock(frame, metadata)
    return frame, []


def _describe(metadata: TestMetadata, info: dict[str, Any]) -> None:
    metadata.sample_name = info.get("cell_name") or None
    metadata.comment = info.get("comment") or None
    metadata.software = info.get("tester_server_software_version") or None
    metadata.device = info.get("tester_ID") or None
    mass = info.get("mass")  # cellpy's metadata are in its own units, whatever those of the table
    if isinstance(mass, float) and mass != _DEFAULT_MASS_MG:
        metadata.active_mass_gram = mass / 1000.0
