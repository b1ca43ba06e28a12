"""Voltaiq Data Format (``.csv``, tab-separated).

File structure:
    Lines ``key: value``, among them ``Start Time`` (milliseconds since 1970, or ISO 8601; UTC) and ``Timezone``; a line
    ``[DATA START]``; a line of column names; a line of units spelled out (``second``, ``milliamp``, ``amp-hour``);
    then one row for each record, its cells separated by tabs. ``Test Time``, ``Current`` and ``Voltage`` (older:
    ``Potential``) are required; positive current charges.

Choices:
    The format does not say what sets capacities and energies to zero, so they count as set by the schedule.
    A column with a unit that is not known, or that does not fit it, is kept as ``aux_`` with its unit in the metadata.

Seen in:
    The published description and conversion scripts of the format.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.headings import unit_scale
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.sniff import column_names, head_text, load_text, sample_lines, sniff_decimal
from battery_analysis.readers.stamps import moment, unix_time
from battery_analysis.readers.table import parse_table
from battery_analysis.readers.terms import as_numbers, keep_words

DATA_START = "[DATA START]"

TERMS: dict[str, Column] = {
    "test time": columns.TEST_TIME,
    "voltage": columns.VOLTAGE,
    "potential": columns.VOLTAGE,
    "current": columns.CURRENT,
    "power": columns.POWER,
    "cycle number": columns.CYCLE_COUNT,
    "step number": columns.STEP_ID,
    "step index": columns.STEP_ID,
    "step time": columns.STEP_TIME,
    "step type": columns.STEP_TYPE,
    "charge capacity": BY_NAME["schedule_charging_capacity_ah"],
    "discharge capacity": BY_NAME["schedule_discharging_capacity_ah"],
    "charge energy": BY_NAME["schedule_charging_energy_wh"],
    "discharge energy": BY_NAME["schedule_discharging_energy_wh"],
    "internal resistance": columns.INTERNAL_RESISTANCE,
    "ambient temperature": columns.AMBIENT_TEMPERATURE,
    "temperature": columns.SENSOR_TEMPERATURES[0],
}
"""The format's names in lower case, in order of preference."""

STAMP = "timestamp"

_WORDS = {
    "volt": "V", "amp": "A", "watt": "W", "ohm": "ohm", "second": "s", "minute": "min", "hour": "h", "hour-dec": "h",
    "day": "d", "amp-hour": "Ah", "watt-hour": "Wh", "coulomb": "C", "joule": "J",
}  # fmt: skip
_PREFIXES = {"micro": "u", "milli": "m", "kilo": "k", "mega": "M"}
_UNIT = re.compile(f"(?P<prefix>{'|'.join(_PREFIXES)})?(?P<word>{'|'.join(_WORDS)})")
_TEMPERATURES = {"celsius": 0.0, "kelvin": -273.15}
_NO_UNIT = {"", "none"}
_REQUIRED = (columns.TEST_TIME, columns.CURRENT, columns.VOLTAGE)
_MILLISECONDS = re.compile(r"-?\d+(\.0*)?")


class VoltaiqCsv:
    """Reads the Voltaiq Data Format."""

    name = "voltaiq_csv"
    version = "1"
    tester = "Voltaiq"
    suffixes = frozenset({".csv"})
    description = (
        "Voltaiq Data Format (.csv); a line [DATA START] above names and units; not yet checked on a real file"
    )

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a line ``[DATA START]`` stands above a line that names the test time."""
        above, found, below = head_text(head).partition(f"\n{DATA_START}")
        names = below.partition("\n")[2].partition("\n")[0].lower()
        return bool(found) and "\0" not in above and "test time" in names

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one file; its start is in UTC, time stamps of records are in the zone that the header names."""
        text, _, warnings = load_text(path)
        above, found, below = text.partition(f"\n{DATA_START}".encode())
        lines = below.split(b"\n", 3)
        if not found or len(lines) < 4:
            raise CorruptFileError(path, f"no records below a line {DATA_START}", self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        warnings += _describe(metadata, above.decode("utf-8", "replace"))

        sample = sample_lines(lines[3])
        names, name_warnings = column_names(lines[1].decode("utf-8", "replace"), "\t", sample)
        units = [cell.strip(' "') for cell in lines[2].decode("utf-8", "replace").split("\t")]
        units += [""] * (len(names) - len(units))
        terms = {name: TERMS[name.lower()] for name in names if name.lower() in TERMS}
        raw, table_warnings = parse_table(
            lines[3],
            names,
            delimiter="\t",
            decimal=sniff_decimal(sample, "\t"),
            first_line=text.count(b"\n", 0, len(text) - len(lines[3])) + 1,
            required=[name for name, term in terms.items() if term in _REQUIRED],
            real={name for name, term in terms.items() if term.dtype.is_float()},
            words={name for name, term in terms.items() if term.dtype == pl.String},
        )
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        try:
            reading = self._map(raw, dict(zip(names, units, strict=False)), metadata, time_zone)
        except SchemaError as exc:
            raise CorruptFileError(path, str(exc), self.name) from exc
        reading.warnings[:0] = [*warnings, *name_warnings, *table_warnings]
        return reading

    def _map(self, raw: pl.DataFrame, units: dict[str, str], metadata: TestMetadata, time_zone: str) -> Reading:
        stamps = next((raw.drop_in_place(name) for name in raw.columns if name.lower() == STAMP), None)
        maps, warnings = [], []
        for wanted, column in TERMS.items():
            name = next((each for each in raw.columns if each.lower() == wanted), None)
            if name is None:
                continue
            if column.unit == "s" and raw.schema[name] == pl.String:  # the unit "hour" is written as a clock time
                raw = raw.with_columns(as_numbers(raw[name], "", column))
                maps.append(Map(name, column, unit=units[name]))
                continue
            scale, offset = _conversion(units[name], column)
            if scale is None and column in _REQUIRED:
                raise SchemaError(f"{name} has the unit {units[name]!r}, not one of {column.unit}")
            if scale is None:
                warnings.append(f"{name} has the unit {units[name]!r}, not one of {column.unit}; kept as aux_")
                continue
            raw = raw.with_columns(pl.col(name) + offset) if offset else raw
            maps.append(Map(name, column, scale, units[name]))
        keep_words(raw, metadata, [name for name in raw.columns if TERMS.get(name.lower()) == columns.STEP_TYPE])
        frame, metadata.sources = to_canonical(raw, maps, units)
        absent = [column.name for column in _REQUIRED if column.name not in frame.columns]
        if absent:
            raise SchemaError(f"columns {absent} not found; the file has {raw.columns}")
        if stamps is not None and stamps.count():
            clock = unix_time(stamps, frame[columns.TEST_TIME.name].cast(pl.Float64), metadata.time_zone or time_zone)
            frame = frame.with_columns(clock.unix_time.alias(columns.UNIX_TIME.name))
            metadata.sources[columns.UNIX_TIME.name] = ColumnSource(stamps.name)
            warnings += clock.warnings
        return Reading(frame, metadata, warnings)


def _conversion(unit: str, column: Column) -> tuple[float | None, float]:
    """Factor and offset from the format's unit to the column's; no factor where they do not fit.

    >>> _conversion("milliamp", columns.CURRENT), _conversion("kelvin", columns.AMBIENT_TEMPERATURE)
    ((0.001, 0.0), (1.0, -273.15))
    >>> _conversion("none", columns.VOLTAGE)
    (None, 0.0)
    """
    unit = unit.strip()
    if not column.unit:
        return 1.0, 0.0
    if column.unit == "degC":
        offset = _TEMPERATURES.get({"c": "celsius", "°c": "celsius", "k": "kelvin"}.get(unit.lower(), unit.lower()))
        return (None, 0.0) if offset is None else (1.0, offset)
    if unit.lower() in _NO_UNIT:
        return None, 0.0
    word = _UNIT.fullmatch(unit.lower())
    symbol = _PREFIXES.get(word["prefix"], "") + _WORDS[word["word"]] if word else unit
    if (column.unit, symbol) in (("Ah", "C"), ("Wh", "J")):
        return 1.0 / 3600.0, 0.0
    return unit_scale(symbol, column), 0.0


def _describe(metadata: TestMetadata, above: str) -> list[str]:
    """Take what the header says; returns warnings about a start that is no time."""
    for line in above.split("\n"):
        key, found, value = line.strip(' \t"').partition(":")
        if found:
            metadata.header[key.strip()] = value.strip()
    told = {key.lower(): value for key, value in metadata.header.items()}
    metadata.channel = told.get("channel number")
    metadata.device = told.get("tester id")
    metadata.sample_name = told.get("device name")
    metadata.test_name = told.get("test name")
    metadata.comment = told.get("comments") or told.get("comment")
    metadata.operator = told.get("operator")
    start = told.get("start time", "")
    if not start:
        return []
    if _MILLISECONDS.fullmatch(start):
        metadata.started_at = moment(float(start) / 1e3)
    else:
        try:
            stamp = datetime.fromisoformat(start)
        except ValueError:
            return [f"the start time {start!r} is no time"]
        metadata.started_at = stamp.replace(tzinfo=stamp.tzinfo or UTC).astimezone(UTC)
    return []
