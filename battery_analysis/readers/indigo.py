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

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME
from battery_analysis.errors import CorruptFileError, MissingExtraError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.hdf5 import looks_like, member, opened, pandas_table, text_array, values_of
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.terms import date_test

if TYPE_CHECKING:
    import h5py

TABLE = "time_series_data"
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


class IndigoH5:
    """Reads Indigo results."""

    name = "indigo_h5"
    version = "1"
    tester = "Indigo"
    suffixes = frozenset({".h5"})
    description = "Indigo results in pandas' fixed store; an HDF5 table time_series_data with cell_… columns"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether this is HDF5 with Indigo's table; without h5py its name in the first bytes has to do."""
        if not looks_like(head, path, TABLE):
            return False
        try:
            with opened(path, self.name) as file:
                return set(_names(member(file, TABLE))) >= _OWN
        except MissingExtraError:
            return True
        except CorruptFileError:
            return b"cell_coulomb_count_c" in head

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the table; its clock is in UTC, so ``time_zone`` is not used.

        Raises:
            CorruptFileError: The file is damaged, or holds no records or those of several cells.
            MissingExtraError: h5py is not installed.
        """
        with opened(path, self.name) as file:
            raw, warnings = _table(member(file, TABLE))
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


def _names(group: h5py.Group) -> list[str]:
    return text_array(member(group, "axis0"))


def _table(group: h5py.Group) -> tuple[pl.DataFrame, list[str]]:
    """The numbers of a fixed store with its columns in their order, and the number of each row."""
    table, index = pandas_table(group), values_of(member(group, "axis1"))
    if table.width and table.height != index.size:
        raise ValueError(f"there are {table.height} rows, but {index.size} numbers of rows")
    names = _names(group)
    stored = [name for key in group if key.endswith("_items") for name in text_array(member(group, key))]
    lost = [name for name in stored if name not in table.columns]
    warnings = [f"columns {', '.join(lost)} are no numbers; left out"] if lost else []
    table = table.select(name for name in names if name in table.columns)
    if table.width and index.dtype.kind in "iu" and "index" not in table.columns:
        table = table.with_columns(pl.Series("index", index))
    return table.with_columns(pl.col(pl.Float32).cast(pl.Float64)), warnings


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
    if columns.UNIX_TIME.name in frame.columns:
        date_test(metadata, frame[columns.UNIX_TIME.name], frame[columns.TEST_TIME.name])
