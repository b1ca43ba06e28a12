"""PyProBE tables (``.parquet``).

File structure:
    Parquet with the columns ``Time [s]``, ``Step``, ``Event``, ``Current [A]``, ``Voltage [V]``, ``Capacity [Ah]``, and
    ``Date``, ``Temperature [C]`` and, in older versions, ``Cycle`` where there is one. Positive current charges.
    ``Step`` is the step of the tester's programme, ``Event`` counts executed steps. ``Capacity`` is charge minus
    discharge since the start of the test, plus an offset that PyProBE chooses. ``Date`` has no zone.

Choices:
    The offset of ``Capacity`` is taken off, so that the counter begins at zero; the values as they are stay in
    ``aux_capacity_ah``.

Seen in:
    What PyProBE 2.6.1 makes of an Arbin export.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.typed import date_by_clock, parquet_names, plain, read_parquet

CAPACITY = Map("Capacity [Ah]", columns.BY_NAME["net_capacity_ah"], unit="Ah")

MAPS = (
    Map("Time [s]", columns.TEST_TIME, unit="s"),
    Map("Date", columns.UNIX_TIME),
    Map("Voltage [V]", columns.VOLTAGE, unit="V"),
    Map("Current [A]", columns.CURRENT, unit="A"),
    Map("Cycle", columns.CYCLE_COUNT),
    Map("Event", columns.STEP_COUNT),
    Map("Step", columns.STEP_ID),
    Map("Temperature [C]", columns.SENSOR_TEMPERATURES[0], unit="C"),
)

_TYPICAL = {"Time [s]", "Current [A]", "Voltage [V]", "Event"}


class PyProbeParquet:
    """Reads tables that PyProBE made of a tester's export."""

    name = "pyprobe_parquet"
    version = "1"
    tester = "PyProBE"
    suffixes = frozenset({".parquet"})
    description = "PyProBE tables (.parquet); columns such as Time [s], Event, Current [A]"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the columns are PyProBE's."""
        return set(parquet_names(head, path) or ()) >= _TYPICAL

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one table; ``Date`` has no zone and is taken in ``time_zone``."""
        table, _ = read_parquet(path, self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        elapsed = table["Time [s]"] if "Time [s]" in table.columns else None
        table, warnings = plain(table, (), metadata, time_zone, elapsed)
        frame, metadata.sources = to_canonical(table, MAPS, {CAPACITY.source: CAPACITY.unit})
        if CAPACITY.source in table.columns:
            capacity = table[CAPACITY.source]
            first = capacity.drop_nulls().first() or 0.0
            frame = frame.with_columns((capacity - pl.lit(first)).alias(CAPACITY.column.name))
            metadata.sources[CAPACITY.column.name] = ColumnSource(CAPACITY.source, CAPACITY.unit)
        date_by_clock(frame, metadata)
        return Reading(frame, metadata, warnings)
