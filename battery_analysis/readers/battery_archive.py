"""Time series of batteryarchive.org (``…_timeseries.csv``), and the table of cycles beside them.

File structure:
    ``…_timeseries.csv`` has one row for each record, ``…_cycle_data.csv`` one for each cycle of the same cell.
    Both begin with a line of column names in Arbin's spelling with fixed units. Positive current charges; capacity
    and energy count from zero in every cycle. ``Date_Time`` has no zone and is empty where the source had none.

Choices:
    ``Cell_Temperature`` is taken for the cell's surface. A table of cycles holds no records: it is refused with the
    name of the file to read. The cycle table is made from the records.

Seen in:
    Column lines of the archive's CALCE, HNEI, Michigan, Oxford, SNL and UL-Purdue cells.
"""

from __future__ import annotations

from pathlib import Path

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.sniff import head_text, load_text, split_cells
from battery_analysis.readers.stamps import unix_time
from battery_analysis.readers.table import parse_table
from battery_analysis.readers.terms import keep_words
from battery_analysis.readers.typed import date_by_clock

STAMP = "Date_Time"

MAPS = (
    Map("Test_Time (s)", columns.TEST_TIME, unit="s"),
    Map("Cycle_Index", columns.CYCLE_COUNT),
    Map("Current (A)", columns.CURRENT, unit="A"),
    Map("Voltage (V)", columns.VOLTAGE, unit="V"),
    Map("Charge_Capacity (Ah)", columns.BY_NAME["cycle_charging_capacity_ah"], unit="Ah"),
    Map("Discharge_Capacity (Ah)", columns.BY_NAME["cycle_discharging_capacity_ah"], unit="Ah"),
    Map("Charge_Energy (Wh)", columns.BY_NAME["cycle_charging_energy_wh"], unit="Wh"),
    Map("Discharge_Energy (Wh)", columns.BY_NAME["cycle_discharging_energy_wh"], unit="Wh"),
    Map("Environment_Temperature (C)", columns.AMBIENT_TEMPERATURE, unit="C"),
    Map("Cell_Temperature (C)", columns.SURFACE_TEMPERATURE, unit="C"),
)

TIMESERIES_END = "_timeseries.csv"
CYCLES_END = "_cycle_data.csv"

_TYPICAL = {STAMP, "Test_Time (s)", "Cycle_Index", "Current (A)", "Voltage (V)"}
_TEMPERATURES = {"Environment_Temperature (C)", "Cell_Temperature (C)"}
_ARBIN_ONLY = {"Data_Point", "Step_Index", "Step_Time (s)"}
_CYCLE_TABLE = {"Cycle_Index", "Min_Current (A)", "Max_Current (A)", "Min_Voltage (V)", "Max_Voltage (V)"}


class BatteryArchiveCsv:
    """Reads time series of batteryarchive.org."""

    name = "battery_archive_csv"
    version = "1"
    tester = "batteryarchive.org"
    suffixes = frozenset({".csv"})
    description = "batteryarchive.org time series (…_timeseries.csv); not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line is the archive's: Arbin's own exports also number steps and records."""
        names = set(_names(head_text(head)))
        series = names >= _TYPICAL and bool(names & _TEMPERATURES) and not names & _ARBIN_ONLY
        return series or names >= _CYCLE_TABLE

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one time series; its clock has no zone and is taken in ``time_zone``."""
        text, _, warnings = load_text(path)
        line, _, rows = text.partition(b"\n")
        names = _names(line.decode("utf-8", "replace"))
        if set(names) >= _CYCLE_TABLE:
            beside = path.name.replace("_cycle_data", "_timeseries")
            there = f"; read {beside}" if beside != path.name else ""
            raise CorruptFileError(path, f"a table of cycles, which holds no records{there}", self.name)
        real = {entry.source for entry in MAPS if entry.column.dtype.is_float()}
        raw, table_warnings = parse_table(
            rows, names, delimiter=",", decimal=".", first_line=2, required=sorted(_TYPICAL - {STAMP}), real=real
        )
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling", test_name=_test_name(path))
        stamps = raw.drop_in_place(STAMP) if STAMP in raw.columns else None
        keep_words(raw, metadata)
        frame, metadata.sources = to_canonical(raw, MAPS)
        if stamps is not None and stamps.null_count() < stamps.len() and columns.TEST_TIME.name in frame.columns:
            clock = unix_time(stamps, frame[columns.TEST_TIME.name], time_zone)
            frame = frame.with_columns(clock.unix_time.alias(columns.UNIX_TIME.name))
            metadata.sources[columns.UNIX_TIME.name] = ColumnSource(STAMP)
            metadata.time_zone = time_zone if clock.local else None
            warnings += clock.warnings
            date_by_clock(frame, metadata)
        return Reading(frame, metadata, [*warnings, *table_warnings])


def _names(text: str) -> list[str]:
    line = text.partition("\n")[0]
    return [cell.strip(' \t"') for cell in split_cells(line, ",")]


def _test_name(path: Path) -> str | None:
    return path.name.removesuffix(TIMESERIES_END) if path.name.endswith(TIMESERIES_END) else None
