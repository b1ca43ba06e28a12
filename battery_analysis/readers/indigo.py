"""Indigo results (``.h5``).

File structure:
    An HDF5 file with the table ``time_series_data`` in pandas' fixed store: ``axis0`` names the columns, ``axis1`` the
    rows, ``blockN_items`` the columns of ``blockN_values``. Columns are ``system_time_us`` (µs since 1970, UTC),
    ``time_s``, ``cell_voltage_v``, ``cell_current_a`` (positive on charge), ``cell_power_w``, ``cell_temperature_c``,
    ``cell_coulomb_count_c`` and ``cell_energy_j`` (signed, from zero in every half cycle), ``cycle_count``,
    ``half_cycle_count``, ``cell_id``, ``experiment_count``, ``experiment_type``.

Choices:
    The half cycle is the step that the counters belong to (``step_count``). The row number is ``aux_index``: rows of
    other cells may lie between. Rows that are not in the order of the clock are brought into it, with a warning. Only
    arrays of numbers are read; what pandas keeps pickled is never opened, and links to other files are not followed.

Seen in:
    a drive-cycle test of 2019.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME
from battery_analysis.errors import CorruptFileError, MissingExtraError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.stamps import certain_ends
from battery_analysis.readers.terms import moment

if TYPE_CHECKING:
    import h5py

TABLE = "time_series_data"
MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1 << 31
"""No table may need more than this, whatever it is compressed to."""

MAX_NAME_BYTES = 1 << 20

_PER_HOUR = 1.0 / 3600.0
MAPS = (
    Map("time_s", columns.TEST_TIME, unit="s"),
    Map("system_time_us", columns.UNIX_TIME, 1e-6, "µs"),
    Map("cell_voltage_v", columns.VOLTAGE, unit="V"),
    Map("cell_current_a", columns.CURRENT, unit="A"),
    Map("cell_power_w", columns.POWER, unit="W"),
    Map("cell_temperature_c", columns.SURFACE_TEMPERATURE, unit="°C"),
    Map("cell_coulomb_count_c", BY_NAME["step_net_capacity_ah"], _PER_HOUR, "C"),
    Map("cell_energy_j", BY_NAME["step_net_energy_wh"], _PER_HOUR, "J"),
    Map("cycle_count", columns.CYCLE_COUNT),
    Map("half_cycle_count", columns.STEP_COUNT),
)

_REQUIRED = ("cell_voltage_v", "cell_current_a")
_OWN = {*_REQUIRED, "cell_coulomb_count_c"}
_BLOCK = re.compile(r"block(\d+)_values")
_KINDS = "iufb"
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, UnicodeError)


class IndigoH5:
    """Reads Indigo results."""

    name = "indigo_h5"
    version = "1"
    tester = "Indigo"
    suffixes = frozenset({".h5"})
    description = "Indigo results in pandas' fixed store; an HDF5 table time_series_data with cell_… columns"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether this is HDF5 with Indigo's table; without h5py its name in the first bytes has to do."""
        if not head.startswith(MAGIC):
            return False
        try:
            import h5py
        except ImportError:
            return TABLE.encode() in head
        try:
            with h5py.File(path, "r") as file:
                return TABLE in file and set(_names(_inside(file, TABLE), "axis0")) >= _OWN
        except _DAMAGE:
            return TABLE.encode() in head and b"cell_coulomb_count_c" in head

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the table; its clock is in UTC, so ``time_zone`` is not used.

        Raises:
            CorruptFileError: The file is damaged, or holds no records or those of several cells.
            MissingExtraError: h5py is not installed.
        """
        try:
            import h5py
        except ImportError as exc:
            raise MissingExtraError(path, "needs the package h5py (pip install h5py)", self.name) from exc
        try:
            with h5py.File(path, "r") as file:
                raw, warnings = _table(_inside(file, TABLE))
        except _DAMAGE as exc:
            raise CorruptFileError(path, f"the HDF5 table cannot be read ({exc})", self.name) from exc
        absent = [name for name in _REQUIRED if name not in raw.columns]
        if absent or not {"time_s", "system_time_us"} & set(raw.columns):
            what = ", ".join(absent) or "time_s"
            raise CorruptFileError(
                path, f"the column {what} is missing; the table has {', '.join(raw.columns)}", self.name
            )
        if not raw.height:
            raise CorruptFileError(path, "the table has no data rows", self.name)
        cells = raw["cell_id"].drop_nulls().unique().sort().to_list() if "cell_id" in raw.columns else []
        if len(cells) > 1:
            raise CorruptFileError(
                path, f"records of {len(cells)} cells ({cells[:10]}); export each by itself", self.name
            )

        raw, order_warnings = _in_time(raw)
        frame, sources = to_canonical(raw, MAPS)
        if columns.TEST_TIME.name not in frame.columns:
            clock = pl.col(columns.UNIX_TIME.name)
            frame = frame.with_columns((clock - clock.first()).alias(columns.TEST_TIME.name))
            sources[columns.TEST_TIME.name] = sources[columns.UNIX_TIME.name]
        metadata = TestMetadata(tester=self.tester, test_type="cycling", sources=sources)
        _describe(metadata, frame, cells)
        return Reading(frame, metadata, [*warnings, *order_warnings])


def _inside(group: h5py.Group, name: str) -> Any:
    """A member of a group that lies in this file."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is absent or a link")
    member = group[name]
    if isinstance(member, h5py.Dataset) and (member.external or member.is_virtual):
        raise ValueError(f"{name} lies in other files")
    return member


def _names(group: h5py.Group, name: str) -> list[str]:
    items = _inside(group, name)
    if items.dtype.kind != "S" or items.size * items.dtype.itemsize > MAX_NAME_BYTES:
        raise ValueError(f"{name} holds no names")
    return [item.decode("utf-8", "replace") for item in items[:]]


def _table(group: h5py.Group) -> tuple[pl.DataFrame, list[str]]:
    """Put the blocks of a fixed store together, its columns in their order."""
    wanted = _names(group, "axis0")
    index = _inside(group, "axis1")
    rows = index.shape[0]
    warnings = []
    data: dict[str, np.ndarray[Any, Any]] = {}
    numbers = sorted(int(match[1]) for key in group if (match := _BLOCK.fullmatch(key)))
    needed = index.size * index.dtype.itemsize
    for number in numbers:
        names, values = _names(group, f"block{number}_items"), _inside(group, f"block{number}_values")
        if values.dtype.kind not in _KINDS:
            warnings.append(f"columns {', '.join(names)} are no numbers; left out")
            continue
        if values.shape != (rows, len(names)):
            raise ValueError(f"block{number} is {values.shape}, but there are {rows} rows and {len(names)} columns")
        needed += values.size * values.dtype.itemsize
        if needed > MAX_BYTES:
            raise ValueError(f"the table needs more than {MAX_BYTES} bytes")
        block = values[:]
        data.update({name: np.ascontiguousarray(block[:, at]) for at, name in enumerate(names)})
    table = {name: data[name] for name in wanted if name in data}
    if table and index.dtype.kind in "iu" and "index" not in table:
        table["index"] = index[:]
    return pl.DataFrame(table).with_columns(pl.col(pl.Float32).cast(pl.Float64)), warnings


def _in_time(raw: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    clock = "system_time_us" if "system_time_us" in raw.columns else "time_s"
    if raw[clock].is_sorted():
        return raw, []
    return raw.sort(clock, maintain_order=True), [f"the rows were not in the order of {clock}; they are now"]


def _describe(metadata: TestMetadata, frame: pl.DataFrame, cells: list[Any]) -> None:
    metadata.header = {"table": TABLE}
    if cells:
        metadata.sample_name = str(cells[0])
        metadata.header["cell_id"] = str(cells[0])
    if columns.UNIX_TIME.name not in frame.columns:
        return
    ends = certain_ends(frame[columns.UNIX_TIME.name], frame[columns.TEST_TIME.name])
    if ends:
        (first, since_start), (last, _) = ends
        metadata.started_at = moment(first - max(0.0, since_start))
        metadata.ended_at = moment(last)
