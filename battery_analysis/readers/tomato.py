"""Results of tomato (``.json`` of version 0.2, NetCDF ``.nc`` since version 1).

File structure:
    Version 0.2 writes one JSON object: ``steps``, each with ``data``, a list of records with ``uts`` (seconds since
    1970, UTC) and ``raw``, where a quantity is ``{"n": value, "s": uncertainty, "u": unit}`` and a count a number.
    Version 1 and later write NetCDF (HDF5): one group for each component, named by its role, with the array ``uts`` and
    one array for each variable, whose attribute ``units`` says its unit; ``tomato_version`` stands at the root.

Choices:
    ``Ewe`` is the voltage, ``I`` the current (positive on charge, as EC-Lab counts). ``index`` is the step of the
    payload, ``technique`` its kind; ``cycle number`` counts within a technique, ``loop number`` is kept as ``aux_``.
    The test time counts from the first record. Of several NetCDF groups the one that holds a voltage is read; the
    others have clocks of their own and are named in a warning.

Seen in:
    The structure that tomato 0.2 and 2.2 and aurora-cycler-manager document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers import hdf5
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.headings import unit_scale
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.terms import keep_words
from battery_analysis.readers.typed import date_by_clock

if TYPE_CHECKING:
    import h5py

CLOCK = "uts"

TERMS: dict[str, Column] = {
    "Ewe": columns.VOLTAGE,
    "E": columns.VOLTAGE,
    "voltage": columns.VOLTAGE,
    "potential": columns.VOLTAGE,
    "I": columns.CURRENT,
    "current": columns.CURRENT,
    "cycle number": columns.CYCLE_COUNT,
    "index": columns.STEP_ID,
    "technique": columns.STEP_TYPE,
    "temperature": columns.SENSOR_TEMPERATURES[0],
}
"""tomato's names, in order of preference."""

_VOLTAGES = [name for name, column in TERMS.items() if column is columns.VOLTAGE]
_VERSION = "tomato_version"


class TomatoJson:
    """Reads JSON results of tomato 0.2."""

    name = "tomato_json"
    version = "1"
    tester = "tomato"
    suffixes = frozenset({".json"})
    description = "tomato 0.2 results (.json); records with uts and raw; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether this is a JSON object with steps of records as tomato writes them."""
        return head.lstrip()[:1] == b"{" and all(key in head for key in (b'"steps"', b'"uts"', b'"raw"', b'"n"'))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read all steps; the clock is in UTC."""
        try:
            document = json.loads(path.read_bytes())
            rows = [record for step in document["steps"] for record in step["data"]]
            table, units = _columns_of(rows)
        except (ValueError, RecursionError) as exc:
            raise CorruptFileError(path, f"the JSON text cannot be read: {exc}", self.name) from exc
        except (KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as exc:
            raise CorruptFileError(path, f"no steps with data of uts and raw: {exc!r}", self.name) from exc
        if not table.height:
            raise CorruptFileError(path, "the file has no data rows", self.name)
        metadata = TestMetadata(tester=self.tester)
        provenance = document.get("metadata")
        if isinstance(provenance, dict):
            metadata.header = {key: json.dumps(value, ensure_ascii=False) for key, value in provenance.items()}
        return _to_reading(path, self.name, table, units, metadata)


class TomatoNetCdf:
    """Reads NetCDF results of tomato 1 and later."""

    name = "tomato_netcdf"
    version = "1"
    tester = "tomato"
    suffixes = frozenset({".nc"})
    description = "tomato 1 results (.nc); NetCDF with tomato_version; needs h5py; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether this is HDF5 whose root names tomato's version."""
        if not head.startswith(hdf5.MAGIC):
            return False
        try:
            import h5py
        except ImportError:
            return _VERSION.encode() in head
        try:
            with h5py.File(path, "r") as file:
                return _VERSION in file.attrs
        except hdf5.DAMAGE:
            return _VERSION.encode() in head

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the component that measures a voltage; the clock is in UTC."""
        metadata = TestMetadata(tester=self.tester)
        with hdf5.opened(path, self.name) as file:
            metadata.software = f"tomato {hdf5.text_of(file.attrs.get(_VERSION, ''))}".strip()
            metadata.header = {
                key: hdf5.text_of(value) for key, value in file.attrs.items() if key.startswith("tomato")
            }
            groups = {name: hdf5.member(file, name) for name in file}
            clocked = {name: group for name, group in groups.items() if hasattr(group, "keys") and CLOCK in group}
            measured = [name for name, group in clocked.items() if set(_VOLTAGES) & set(group.keys())]
            if not measured:
                raise CorruptFileError(path, f"no component with a voltage among {sorted(groups)}", self.name)
            table, units = _arrays_of(clocked[measured[0]])
        if not table.height:
            raise CorruptFileError(path, "the file has no data rows", self.name)
        metadata.header["component"] = measured[0]
        reading = _to_reading(path, self.name, table, units, metadata)
        others = sorted(set(clocked) - {measured[0]})
        if others:
            reading.warnings.append(f"components with a clock of their own are left out: {', '.join(others)}")
        return reading


def _columns_of(rows: list[Mapping[str, Any]]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Make columns of records, and say in which unit each is; a name that a record has not is missing there."""
    names = dict.fromkeys(name for row in rows for name in row["raw"])
    units: dict[str, str] = {}
    cells: dict[str, list[Any]] = {CLOCK: [row[CLOCK] for row in rows]}
    for name in names:
        found = [row["raw"].get(name) for row in rows]
        quantities = [cell for cell in found if isinstance(cell, dict)]
        if quantities:
            written = {str(cell.get("u", "")) for cell in quantities}
            if len(written) > 1:
                raise ValueError(f"{name} comes in several units: {sorted(written)}")
            units[name] = written.pop()
        values = [cell.get("n") if isinstance(cell, dict) else cell for cell in found]
        if not any(isinstance(value, list | dict) for value in values):
            cells[name] = values
    return pl.DataFrame(cells, strict=False), units


def _arrays_of(group: h5py.Group) -> tuple[pl.DataFrame, dict[str, str]]:
    """Arrays of one component that have a value for each time."""
    rows = hdf5.member(group, CLOCK).shape
    table: list[pl.Series] = []
    units: dict[str, str] = {}
    for name in group:
        array = hdf5.member(group, name)
        if getattr(array, "shape", None) != rows:
            continue
        values = hdf5.values_of(array)
        if values.dtype.kind in "iufb":
            table.append(pl.Series(name, np.ascontiguousarray(values)))
        elif values.dtype.kind in "OS":
            table.append(pl.Series(name, [hdf5.text_of(value) for value in values]))
        units[name] = hdf5.text_of(array.attrs.get("units", ""))
    return pl.DataFrame(table), units


def _to_reading(path: Path, reader: str, table: pl.DataFrame, units: dict[str, str], metadata: TestMetadata) -> Reading:
    if not table[CLOCK].dtype.is_numeric() or not table[CLOCK].count():
        raise CorruptFileError(path, f"no times in {CLOCK}", reader)
    maps, warnings = [Map(CLOCK, columns.UNIX_TIME, unit="s")], []
    for name, column in TERMS.items():
        if name not in table.columns:
            continue
        unit = units.get(name, "")
        scale = unit_scale(unit, column)
        if scale is None or (column.unit and not unit):
            warnings.append(f"{name} is in {unit or 'no unit'!r}, not in {column.unit}; kept as aux_")
        else:
            maps.append(Map(name, column, scale, unit))
    keep_words(table, metadata, ["technique"])
    frame, metadata.sources = to_canonical(table, maps, units)
    start = frame[columns.UNIX_TIME.name].drop_nulls().first()
    frame = frame.with_columns((pl.col(columns.UNIX_TIME.name) - start).alias(columns.TEST_TIME.name))
    metadata.sources[columns.TEST_TIME.name] = ColumnSource(CLOCK, "s")
    current = columns.CURRENT.name
    metadata.test_type = "cycling" if current in frame.columns and frame[current].count() else "ocv"
    date_by_clock(frame, metadata)
    return Reading(frame, metadata, warnings)
