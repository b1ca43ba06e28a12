"""Arbin text exports (``.csv``, ``.CSV``, ``.txt``).

File structure:
    One line of column names, then one row for each record. Which columns there are, their order, and whether words
    are joined by underscores or spaces depends on the MITS Pro version and on what the user ticked; units stand in
    parentheses (``Test_Time(s)``, ``Voltage (V)``, ``Aux_Temperature(℃)_1``) or are absent and then Arbin's own
    (s, V, A, Ah, Wh, W, ohm, degrees Celsius). Current is positive on charge. Delimiter, decimal mark, encoding and
    the order of day and month follow the computer that exported. Capacity and energy counters are set to zero only
    where the schedule says so.

Choices:
    ``Temperature`` without a place is sensor 1 (``temperature_t1_celsius``), as ``Aux_Temperature_1`` is; a file that
    has both keeps the former as ``aux_``. A sensor's unit counts as degrees Celsius unless it is K or F, because the
    degree sign is lost in most exports. The channel is taken from the file name (``…_Channel_53_Wb_1.CSV``,
    ``…_CH8.csv``) where no column gives it; a workbook from the second on (``_Wb_2``) is a continuation. Words in
    text columns are kept in the metadata's header.

Seen in:
    MITS Pro exports with and without underscores, with and without units; time series published in Arbin's layout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.sniff import (
    MAX_LINE_BYTES,
    column_names,
    head_text,
    load_text,
    sample_lines,
    sniff_decimal,
    sniff_delimiter,
    split_cells,
)
from battery_analysis.readers.stamps import certain_ends, unix_time
from battery_analysis.readers.table import parse_table

_COUNTERS = {
    f"{arbin}{quantity}": columns.BY_NAME[f"schedule_{direction}_{quantity}_{unit}"]
    for arbin, direction in (("charge", "charging"), ("discharge", "discharging"))
    for quantity, unit in (("capacity", "ah"), ("energy", "wh"))
}
_SENSORS = {f"auxtemperature{number}": column for number, column in enumerate(columns.SENSOR_TEMPERATURES, 1)}

TERMS: dict[str, Column] = {
    "testtime": columns.TEST_TIME,
    "voltage": columns.VOLTAGE,
    "current": columns.CURRENT,
    "cycleindex": columns.CYCLE_COUNT,
    "cycleid": columns.CYCLE_COUNT,
    "stepindex": columns.STEP_ID,
    "stepid": columns.STEP_ID,
    "steptime": columns.STEP_TIME,
    "datapoint": columns.RECORD_INDEX,
    **_COUNTERS,
    "power": columns.POWER,
    "internalresistance": columns.INTERNAL_RESISTANCE,
    "acr": columns.AC_INTERNAL_RESISTANCE,
    "acimpedance": columns.AC_INTERNAL_RESISTANCE,
    "environmenttemperature": columns.AMBIENT_TEMPERATURE,
    "ambienttemperature": columns.AMBIENT_TEMPERATURE,
    "celltemperature": columns.SURFACE_TEMPERATURE,
    "surfacetemperature": columns.SURFACE_TEMPERATURE,
    **_SENSORS,
    "auxtemperature": columns.SENSOR_TEMPERATURES[0],
    "temperature": columns.SENSOR_TEMPERATURES[0],
}
"""Arbin's names, without underscores, spaces and capitals, in order of preference."""

REQUIRED = (columns.TEST_TIME, columns.VOLTAGE, columns.CURRENT)

_TYPICAL = {"cycleindex", "stepindex", "steptime", "datapoint", "datetime", "internalresistance", "acr", "dvdt"}
STATISTICS = {"vmaxoncycle", "coulombicefficiency"}
"""Columns of Arbin's tables of cycles, which have a test time, too."""
_OTHER_TESTERS = {"rec", "cyclec", "dpttime", "cyc"}  # Maccor, which also has a "Test Time (sec)"
_CHANNEL_COLUMNS = {"channel", "channelid", "channelindex", "channelnumber"}

_HEADING = re.compile(r"(?P<name>[^(\[]+)[(\[](?P<unit>[^)\]]*)[)\]](?P<number>_?\d*)")
_CHANNEL = re.compile(r"(?<![A-Za-z0-9])ch(?:annel)?[ _-]?(\d+)(?![A-Za-z0-9])", re.IGNORECASE)
_WORKBOOK = re.compile(r"_Wb_(\d+)(?!\d)", re.IGNORECASE)
_SEPARATOR_HINT = re.compile(r"sep=.", re.IGNORECASE)
_CLOCK_TIME = r"^(?:(\d+)[d. ]+)?(\d+):(\d+):(\d+(?:[.,]\d+)?)$"

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    "ms": 1e-3,
}
_PREFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6}
_SHOWN_NAMES = 12
_KEPT_WORDS = 50


class Heading(NamedTuple):
    """A column name of the file, what it is called without spelling, and its unit as written."""

    name: str
    key: str
    unit: str


class ArbinCsv:
    """Reads Arbin text exports."""

    name = "arbin_csv"
    version = "1"
    tester = "Arbin"
    suffixes = frozenset({".csv", ".txt"})
    description = "Arbin MITS Pro text exports; a column line with Test_Time and other Arbin names"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line with content holds Arbin's column names."""
        found = _header_line(head_text(head))
        if found is None:
            return False
        line, rows = found
        delimiter = sniff_delimiter(line, rows.splitlines()[:20])
        if delimiter is None:
            return False
        return is_arbins({heading(cell).key for cell in split_cells(line, delimiter)})

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export; Arbin writes clock times without a zone, so they are taken in ``time_zone``."""
        raw, warnings = self._table(path)
        headings = [heading(name) for name in raw.columns]
        if {each.key for each in headings} >= STATISTICS:
            raise CorruptFileError(path, "a table of cycle statistics, which holds no records", self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        describe(metadata, path, raw, headings)

        stamp_name = next((each.name for each in headings if each.key == "datetime"), None)
        stamps = raw.drop_in_place(stamp_name) if stamp_name else None
        try:
            raw, maps, map_warnings = _map_columns(raw, headings)
        except SchemaError as exc:
            raise CorruptFileError(path, str(exc), self.name) from exc
        frame, metadata.sources = to_canonical(raw, maps, {each.name: each.unit for each in headings})
        warnings += map_warnings
        if stamps is not None:
            frame, stamp_warnings = _with_clock(frame, stamps, time_zone, metadata)
            warnings += stamp_warnings
        return Reading(frame, metadata, warnings)

    def _table(self, path: Path) -> tuple[pl.DataFrame, list[str]]:
        text, _, warnings = load_text(path)
        start = text[: 2 * MAX_LINE_BYTES].decode("utf-8", "ignore")
        found = _header_line(start)
        if found is None:
            raise CorruptFileError(path, "no table found: the file has no line with content", self.name)
        line, _ = found
        encoded = line.encode()
        header_at = text.index(encoded)
        first_line = text.count(b"\n", 0, header_at) + 2
        rows = text[header_at + len(encoded) + 1 :]
        sample = sample_lines(rows)
        delimiter = sniff_delimiter(line, sample)
        if delimiter is None or len(encoded) > MAX_LINE_BYTES or _holds_records(line, delimiter, sample):
            what = f"line {first_line - 1} is {len(encoded)} bytes long and is not a line of column names"
            raise CorruptFileError(path, f"no table found: {what}", self.name)

        names, name_warnings = column_names(line, delimiter, sample)
        headings = [heading(name) for name in names]
        frame, table_warnings = parse_table(
            rows,
            names,
            delimiter=delimiter,
            decimal=sniff_decimal(sample, delimiter),
            first_line=first_line,
            required=[each.name for each in headings if TERMS.get(each.key) in REQUIRED],
            real={each.name for each in headings if _is_quantity(each)},
        )
        if not frame.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        return frame, [*warnings, *name_warnings, *table_warnings]


def is_arbins(keys: set[str]) -> bool:
    """Say whether column names, as ``heading`` gives them, are those of Arbin's records."""
    if keys & _OTHER_TESTERS:
        return False
    if "testtime" in keys:
        return bool(keys & (_TYPICAL | _COUNTERS.keys())) or {"voltage", "current"} <= keys
    return {"steptime", "chargecapacity", "dischargecapacity"} <= keys


@lru_cache(maxsize=1024)
def heading(name: str) -> Heading:
    """Take a column name apart.

    >>> heading("Aux_Temperature(℃)_1")
    Heading(name='Aux_Temperature(℃)_1', key='auxtemperature1', unit='℃')
    """
    name = name.strip().strip('"').strip()
    parts = _HEADING.fullmatch(name)
    words, unit = (parts["name"] + parts["number"], parts["unit"].strip()) if parts else (name, "")
    return Heading(name, re.sub(r"[^a-z0-9]", "", words.lower()), unit)


def unit_scale(unit: str, column: Column) -> float | None:
    """By what values in ``unit`` are multiplied to become those of ``column``; None for an unknown unit.

    >>> unit_scale("mA", columns.CURRENT), unit_scale("h", columns.TEST_TIME), unit_scale("furlong", columns.VOLTAGE)
    (0.001, 3600.0, None)
    """
    if not unit or column.unit in ("", "degC"):
        return 1.0
    if column.unit == "s":
        return _SECONDS.get(unit.lower())
    spelled = re.sub(r"[Ωω]|ohms?$", "ohm", unit.replace(".", ""), flags=re.IGNORECASE)
    prefix = spelled[: len(spelled) - len(column.unit)]
    return _PREFIXES.get(prefix) if spelled.lower().endswith(column.unit.lower()) else None


def _header_line(text: str) -> tuple[str, str] | None:
    """The first line with content, and what follows it."""
    rest = text
    while rest:
        line, _, rest = rest.partition("\n")
        if line.strip(' \t,;|"') and not _SEPARATOR_HINT.fullmatch(line.strip()):
            return line, rest
    return None


def _holds_records(line: str, delimiter: str, sample: Sequence[str]) -> bool:
    """Say whether a file of one line has its records in there, too."""
    return not sample and any(re.fullmatch(r"[+-]?\d+\.?\d*", cell.strip()) for cell in split_cells(line, delimiter))


def _is_quantity(heading: Heading) -> bool:
    """Say whether values may have fractions: if all are whole so far, their type must not change as the file grows."""
    term = TERMS.get(heading.key)
    return term.dtype.is_float() if term else bool(heading.unit) or "/" in heading.name


def _map_columns(raw: pl.DataFrame, headings: Sequence[Heading]) -> tuple[pl.DataFrame, list[Map], list[str]]:
    """Declare which column holds what, converting those whose values are not numbers of a scalable unit.

    Raises:
        SchemaError: Test time, voltage or current is absent, has an unknown unit or holds no numbers.
    """
    maps: list[Map] = []
    converted: list[pl.Series] = []
    warnings = []
    for each in (each for key in TERMS for each in headings if each.key == key):
        column = TERMS[each.key]
        written = raw[each.name]
        values = _as_numbers(written, each, column)
        scale = unit_scale(each.unit, column)
        fault = None
        if scale is None:
            fault = f"the unit {each.unit!r} of column {each.name!r} is not known"
        elif not values.dtype.is_numeric():
            fault = f"column {each.name!r} holds no numbers, but texts such as {values.drop_nulls()[0]!r}"
        elif column.dtype == pl.Int64() and not _is_whole(values):
            fault = f"column {each.name!r} holds fractions"
        if fault is None and scale is not None:
            if values is not written:
                converted.append(values)
            maps.append(Map(each.name, column, scale, each.unit))
        elif column in REQUIRED:
            raise SchemaError(str(fault))
        else:
            warnings.append(f"{fault}; kept as it is")
    for column in REQUIRED:
        if not any(entry.column is column for entry in maps):
            names = [each.name for each in headings]
            more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
            what = column.name.rpartition("_")[0].replace("_", " ")
            raise SchemaError(f"the {what} column is missing; the file has {', '.join(names[:_SHOWN_NAMES])}{more}")
    return raw.with_columns(converted) if converted else raw, maps, warnings


def _as_numbers(values: pl.Series, source: Heading, column: Column) -> pl.Series:
    """Convert clock times (``1d 02:03:04``) to seconds, and kelvin and Fahrenheit to degrees Celsius."""
    if column.unit == "s" and values.dtype == pl.String:
        parts = values.str.strip_chars().str.extract_groups(_CLOCK_TIME).struct.unnest()
        days, hours, minutes, seconds = (part.str.replace(",", ".").cast(pl.Float64) for part in parts.iter_columns())
        total = ((days.fill_null(0.0) * 24 + hours) * 60 + minutes) * 60 + seconds
        return total.alias(source.name) if total.null_count() == values.null_count() else values
    if column.unit == "degC" and values.dtype.is_numeric():
        if source.unit.strip("°").lower() == "k":
            return values - 273.15
        if source.unit.strip("°").lower() in ("f", "degf"):
            return (values - 32.0) / 1.8
    return values


def _is_whole(values: pl.Series) -> bool:
    return values.dtype.is_integer() or bool((values.round() == values).all())


def _with_clock(
    frame: pl.DataFrame, stamps: pl.Series, time_zone: str, metadata: TestMetadata
) -> tuple[pl.DataFrame, list[str]]:
    """Add the clock time, and to the metadata when the test started and ended."""
    test_time = frame[columns.TEST_TIME.name]
    clock, local, warnings = unix_time(stamps, test_time, time_zone)
    ends = certain_ends(clock, test_time)
    if ends is None:
        return frame, warnings
    (first, since_start), (last, _) = ends
    metadata.started_at = _moment(first - max(0.0, since_start))
    metadata.ended_at = _moment(last)
    metadata.time_zone = time_zone if local else None
    metadata.sources[columns.UNIX_TIME.name] = ColumnSource(stamps.name)
    return frame.hstack([clock.alias(columns.UNIX_TIME.name)]), warnings


def _moment(unix_time: float) -> datetime | None:
    """The time in UTC; None where damage has made it one that no calendar has."""
    try:
        return datetime.fromtimestamp(unix_time, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def describe(metadata: TestMetadata, path: Path, raw: pl.DataFrame, headings: Sequence[Heading]) -> None:
    """Take channel and comments from where the file says them: constant columns, text columns, its name."""
    for each in headings:
        values = raw[each.name]
        if each.key not in _CHANNEL_COLUMNS and (values.dtype != pl.String or each.key == "datetime"):
            continue
        values = values.drop_nulls()
        if each.key in _CHANNEL_COLUMNS and values.n_unique() == 1:
            value = values[0]
            metadata.channel = f"{value:g}" if isinstance(value, float) else str(value).strip()
        elif values.dtype == pl.String and each.key != "datetime" and values.len():
            words = values.unique(maintain_order=True)
            more = f"; and {words.len() - _KEPT_WORDS} more" if words.len() > _KEPT_WORDS else ""
            metadata.header[each.name] = "; ".join(words.head(_KEPT_WORDS)) + more
            if each.key in ("comment", "comments"):
                metadata.comment = metadata.header[each.name]
    in_name = _CHANNEL.search(path.stem)
    if metadata.channel is None and in_name:
        metadata.channel = in_name[1]
    workbook = _WORKBOOK.search(path.stem)
    metadata.continuation = bool(workbook and int(workbook[1]) > 1)
