"""Landt (LAND, LANHE) exports: text (``.csv``, ``.txt``) and workbooks (``.xlsx``, ``.xls``).

File structure:
    One line of column names, in some exports below lines ``key: value``, then one row for each record. Rows of text
    exports have one field more than the line of names. Missing values are ``-``. Workbooks hold the records on a
    sheet of their own (``Record-Tab``) beside tables of cycles and steps. Four ways of naming columns are in use:

    - ``TestTime/Sec``, ``Voltage/V``, ``Current/mA``, ``Capacity/mAh``, ``Cycle-Index``, ``Step-State``, or the same
      in Chinese, from LANDdt and LANHE's programs;
    - ``test_time_s``, ``voltage_V``, ``current_A``, ``charge_capacity_Ah``, ``step_name``;
    - ``Rec#``, ``Cyc#``, ``Step``, ``Test(Sec)``, ``Amp-hr``, ``Amps``, ``Volts``, ``State``, ``DPt-Time``;
    - ``Test_Time(s)``, ``Voltage(V)``, ``Current(mA)``.

    Units are those in the names. Times may be clock times with days (``0-00:01:00``). Current is positive on charge.

Choices:
    ``Capacity/…`` and ``Energy/…`` count both directions without a sign, from zero at every change of direction. They
    are told apart by the state (without one, by the current) into ``schedule_charging_…`` and
    ``schedule_discharging_…``, each of which is zero while the other one counts. ``charge_capacity_…`` starts with
    each step, as does ``Amp-hr``, which counts both directions. If no current of a file is negative although cells
    were discharged, the sign comes from the state.

    ``channel_index`` counts records. The last way of naming is that of Arbin, too, whose columns however are in A:
    such a file is Landt's if its current is in mA or less, and nothing in it is Arbin's alone.

Seen in:
    LANDdt exports of 2021 to workbooks; CSV exports of 2024 as published.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.headings import Heading, unit_scale
from battery_analysis.readers.headings import heading as plain_heading
from battery_analysis.readers.landt_terms import counters, signed_current
from battery_analysis.readers.preamble import find_table, read_table
from battery_analysis.readers.sniff import load_text, split_cells, voltage_lines
from battery_analysis.readers.terms import SERIES, keep_words, to_frame, with_clock
from battery_analysis.readers.workbook import continued, peek, read_sheet, sheet_table
from battery_analysis.readers.workbook_columns import Cell

TERMS: dict[str, Column] = {
    **dict.fromkeys(("testtime", "测试时间", "总时间"), columns.TEST_TIME),
    **dict.fromkeys(("voltage", "电压", "volts"), columns.VOLTAGE),
    **dict.fromkeys(("current", "电流", "amps"), columns.CURRENT),
    **dict.fromkeys(("cycle-index", "cyc#", "cycleindex", "cycleno", "cycle", "循环序号"), columns.CYCLE_COUNT),
    **dict.fromkeys(("step-index", "stepno", "step", "步骤序号"), columns.STEP_COUNT),
    "stepindex": columns.STEP_ID,
    **dict.fromkeys(
        ("step-state", "stepstatus", "stepname", "workmode", "state", "工作模式", "状态"), columns.STEP_TYPE
    ),
    **dict.fromkeys(("steptime", "步骤时间", "步时间"), columns.STEP_TIME),
    **dict.fromkeys(("record", "rec#", "index", "channelindex", "记录序号"), columns.RECORD_INDEX),
    **{
        f"{direction}{quantity}": BY_NAME[f"step_{name}_{quantity}_{unit}"]
        for direction, name in (("charge", "charging"), ("discharge", "discharging"))
        for quantity, unit in (("capacity", "ah"), ("energy", "wh"))
    },
    "amp-hr": BY_NAME["step_cumulative_capacity_ah"],
    "watt-hr": BY_NAME["step_cumulative_energy_wh"],
    **dict.fromkeys(("power", "功率"), columns.POWER),
    **{f"temperature{number}": column for number, column in enumerate(columns.SENSOR_TEMPERATURES, 1)},
    **dict.fromkeys(("auxtemp", "temperature", "温度"), columns.SENSOR_TEMPERATURES[0]),
}
"""Landt's names, without spaces, underscores and capitals, in order of preference."""

_BOTH_DIRECTIONS = {"capacity": "capacity", "容量": "capacity", "energy": "energy", "能量": "energy"}
_IN_SECONDS = {"test": "testtime", "step": "steptime"}
_STAMPS = {"systime", "dpt-time", "datetimeisostring", "系统时间", "绝对时间"}
_STATES = {key for key, column in TERMS.items() if column is columns.STEP_TYPE}
_ARBINS_ALONE = {"datapoint", "datetime", "internalresistance", "acr", "dvdt", "chargecapacity", "dischargecapacity"}
_SERIES_KEYS = tuple({key for key, column in TERMS.items() if column is term} for term in SERIES)
_SNAKE = re.compile(r"(.+)_(s|min|h|V|mV|A|mA|uA|Ah|mAh|Wh|mWh|W|C|K|Psi)", re.IGNORECASE)
_SMALL_CURRENT = re.compile(r"[mµμun]A")


class LandtText:
    """Reads Landt text exports."""

    name = "landt_csv"
    version = "1"
    tester = "Landt"
    suffixes = frozenset({".csv", ".txt"})
    description = "Landt (LAND, LANHE) text exports; columns such as TestTime/Sec, test_time_s or Current(mA)"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether one of the first lines holds Landt's column names."""
        return any(_is_column_line(line) for _, line in voltage_lines(head))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export; stamps carry no zone and are taken in ``time_zone``.

        Raises:
            CorruptFileError: There is no line of column names, or no record.
            SchemaError: Time, voltage or current is absent or has an unknown unit.
        """
        text, _, warnings = load_text(path)
        below = find_table(text, _is_column_line)
        if below is None:
            raise CorruptFileError(path, "no line of column names such as TestTime/Sec, Voltage/V", self.name)
        delimiter = _delimiter(below.header)
        below = below._replace(text=_without_hyphens(below.rows, delimiter), start=0)
        raw, headings, table_warnings = read_table(below, heading, TERMS, SERIES, delimiter)
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling", header=_header(below.lines, delimiter))
        _describe(metadata)
        if "rec#" in {each.key for each in headings}:
            headings = [each._replace(key="stepindex") if each.key == "step" else each for each in headings]
        elif "(" in below.header and not _STATES & {each.key for each in headings}:
            warnings.append("the columns do not name the tester; taken for Landt's because the current is not in A")
        return _reading(raw, headings, metadata, [*warnings, *table_warnings], time_zone)


class LandtWorkbook:
    """Reads Landt workbooks."""

    name = "landt_xlsx"
    version = "1"
    tester = "Landt"
    suffixes = frozenset({".xlsx", ".xls"})
    description = "Landt (LAND, LANHE) workbooks; a sheet with columns such as TestTime/Sec, Voltage/V, Current/mA"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a sheet has Landt's column names."""
        return bool(_record_sheets(peek(head, path)))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the records of all sheets that hold some.

        Raises:
            CorruptFileError: The workbook is damaged, or no sheet holds records.
            SchemaError: Time, voltage or current is absent or has an unknown unit.
        """
        with path.open("rb") as file:
            heads = peek(file.read(8), path)
        sheets = _record_sheets(heads)
        if not sheets:
            raise CorruptFileError(path, "no sheet with columns such as TestTime/Sec, Voltage/V", self.name)
        tables = [sheet_table(path, name, row) for name, row in sheets.items()]
        going_on = continued(heads, sheets)
        tables += [sheet_table(path, name, 0, names=names) for name, names in going_on.items()]
        warnings = [warning for _, found in tables for warning in found]
        raw = pl.concat([table for table, _ in tables], how="diagonal_relaxed")
        raw, row_warnings = _records_only(raw)
        if not raw.height:
            raise CorruptFileError(path, f"sheet {', '.join(sheets)} has no data rows", self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        if "Test information" in heads:
            metadata.header = _information(read_sheet(path, "Test information"))
        _describe(metadata)
        headings = [heading(name) for name in raw.columns]
        return _reading(raw, headings, metadata, [*warnings, *row_warnings], time_zone)


@lru_cache(maxsize=1024)
def heading(name: str) -> Heading:
    """Take a column name apart, whichever way it is written.

    >>> [heading(name)[1:] for name in ("TestTime/Sec.", "SpeCap/mAh/g", "current_A", "Cycle-Index", "Voltage(V)")]
    [('testtime', 'Sec.'), ('specap', 'mAh/g'), ('current', 'A'), ('cycle-index', ''), ('voltage', 'V')]
    """
    bare = name.strip().strip('"').strip()
    if "(" in bare:
        plain = plain_heading(bare)
        return plain._replace(key=_IN_SECONDS.get(plain.key, plain.key))
    quantity, slash, unit = bare.partition("/")
    if not slash and (snake := _SNAKE.fullmatch(bare)):
        quantity, unit = snake[1], snake[2]
    return Heading(bare, re.sub(r"[\s_.]", "", quantity.lower()), unit.strip())


def _is_column_line(line: str) -> bool:
    delimiter = _delimiter(line)
    return delimiter in line and _are_landts([cell.strip(' "') for cell in split_cells(line, delimiter)])


def _delimiter(line: str) -> str:
    return max("\t,;", key=line.count)


def _are_landts(names: Sequence[str]) -> bool:
    """Say whether these are Landt's column names, and not those of a tester that writes similar ones."""
    if len(names) > 200 or sum(len(name) for name in names) > 10_000:
        return False
    headings = [heading(name) for name in names]
    keys = {each.key for each in headings}
    if not all(keys & series for series in _SERIES_KEYS):
        return False
    voltage, current = (next(each for each in headings if each.key in series) for series in _SERIES_KEYS[1:])
    if "/" in voltage.name and "/" in current.name:
        return True
    if "test_time_s" in names or "test_time_h" in names:
        return bool(keys & {"channelindex", "datetimeisostring"})
    if "rec#" in keys:
        return "dpt-time" in keys and not any(" " in each.name for each in headings if each.unit)
    spelled = any(name.startswith("Test_Time(") for name in names)
    return spelled and bool(_SMALL_CURRENT.fullmatch(current.unit)) and not keys & _ARBINS_ALONE


def _record_sheets(heads: dict[str, list[list[Cell]]]) -> dict[str, int]:
    """Sheets that hold records, each with the position of its row of column names."""
    found = {}
    for name, rows in heads.items():
        for position, row in enumerate(rows):
            if _are_landts([cell for cell in row if isinstance(cell, str)]):
                found[name] = position
                break
    return found


def _without_hyphens(rows: bytes, delimiter: str) -> bytes:
    """Empty the cells that hold a hyphen only: a value that is missing."""
    mark = delimiter.encode()
    for before, after in ((mark, mark), (mark, mark), (mark, b"\n"), (b"\n", mark)):  # neighbours share a delimiter
        rows = rows.replace(before + b"-" + after, before + after)
    return rows[1:] if rows.startswith(b"-" + mark) else rows


def _records_only(raw: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Leave out rows without a time, a voltage and a current: names and rows of cycles and steps among the records."""
    time, voltage, current = ([name for name in raw.columns if heading(name).key in keys] for keys in _SERIES_KEYS)
    kept = raw.drop_nulls(time).filter(pl.any_horizontal(pl.col(*voltage, *current).is_not_null()))
    lost = raw.height - kept.height
    return kept, [f"rows without test time, voltage and current are no records; left out: {lost}"] if lost else []


def _reading(
    raw: pl.DataFrame, headings: list[Heading], metadata: TestMetadata, warnings: list[str], time_zone: str
) -> Reading:
    stamps = next((raw.drop_in_place(each.name) for each in headings if each.key in _STAMPS), None)
    both = {each.name: each for each in headings if each.key in _BOTH_DIRECTIONS and each.name in raw.columns}
    both = {name: each for name, each in both.items() if raw.schema[name].is_numeric()}
    headings = [each for each in headings if each.name in raw.columns and each.name not in both]
    frame, metadata.sources, term_warnings = to_frame(raw.drop(both), headings, TERMS)
    frame, sign_warnings = signed_current(frame)
    for each in both.values():
        quantity = _BOTH_DIRECTIONS[each.key]
        pair = [BY_NAME[f"schedule_{way}_{quantity}_{'ah' if quantity == 'capacity' else 'wh'}"] for way in _WAYS]
        scale = unit_scale(each.unit, pair[0])
        if scale is None:
            term_warnings.append(f"the unit {each.unit!r} of column {each.name!r} is not known; kept as it is")
            frame = frame.with_columns(raw[each.name].alias(columns.aux_name(each.name)))
            metadata.sources[columns.aux_name(each.name)] = ColumnSource(each.name, each.unit)
            continue
        frame = frame.with_columns(counters(frame, raw[each.name].cast(pl.Float64) * scale, pair))
        metadata.sources.update({column.name: ColumnSource(each.name, each.unit) for column in pair})
    keep_words(raw, metadata, [each.name for each in headings if each.key in _STATES])
    if stamps is not None:
        frame, clock_warnings = with_clock(frame, stamps, time_zone, metadata)
        warnings += clock_warnings
    return Reading(frame, metadata, [*warnings, *term_warnings, *sign_warnings])


_WAYS = ("charging", "discharging")


def _header(lines: Sequence[str], delimiter: str) -> dict[str, str]:
    """Keys and values above the table; a value stands behind the colon, in the next fields, or in both."""
    header: dict[str, str] = {}
    for line in lines:
        first, *others = (cell.strip(' "') for cell in split_cells(line, delimiter))
        key, _, value = first.partition(":")
        if key.strip():
            header[key.strip()] = " ".join(part for part in (value.strip(), *others) if part)
    return header


def _information(rows: list[list[Cell]]) -> dict[str, str]:
    """A row of keys above a row of values."""
    if len(rows) < 2:
        return {}
    return {str(key).strip(): str(value).strip() for key, value in zip(rows[0], rows[1], strict=True) if key != ""}


def _describe(metadata: TestMetadata) -> None:
    header = metadata.header
    metadata.sample_name = header.get("cell id") or None
    metadata.test_name = header.get("test") or header.get("Test name") or None
    metadata.protocol = header.get("Process") or None
    metadata.channel = header.get("Channel") or None
    metadata.device = header.get("Serial number") or None
    metadata.operator = header.get("Operator") or None
    metadata.comment = header.get("checkpoint") or header.get("Active material") or None
    for key, value in header.items():
        unit, _, number = value.partition(" ")
        if key.lower().startswith("nominal capacity") and unit in ("Ah", "mAh"):
            metadata.nominal_capacity_ah = _number(number, {"Ah": 1.0, "mAh": 1e-3}[unit])


def _number(text: str, scale: float) -> float | None:
    try:
        value = float(text.replace(",", ".")) * scale
    except ValueError:
        return None
    return value if 0.0 < value < float("inf") else None
