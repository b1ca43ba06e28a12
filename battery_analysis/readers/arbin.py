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
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import Heading, heading
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
from battery_analysis.readers.table import parse_table
from battery_analysis.readers.terms import SERIES, to_frame, with_clock, words

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
    **dict.fromkeys(("surfacetemperature", "surfacetemp"), columns.SURFACE_TEMPERATURE),
    **_SENSORS,
    "auxtemperature": columns.SENSOR_TEMPERATURES[0],
    "temperature": columns.SENSOR_TEMPERATURES[0],
}
"""Arbin's names, without underscores, spaces and capitals, in order of preference."""

_TYPICAL = {"cycleindex", "stepindex", "steptime", "datapoint", "datetime", "internalresistance", "acr", "dvdt"}
_OTHER_TESTERS = {"rec", "cyclec", "dpttime", "cyc"}  # Maccor, which also has a "Test Time (sec)"
_NOBODYS = {"cycle", "step"}  # Arbin counts a Cycle_Index and a Step_Index
_CHANNEL_COLUMNS = {"channel", "channelid", "channelindex", "channelnumber"}

_CHANNEL = re.compile(r"(?<![A-Za-z0-9])ch(?:annel)?[ _-]?(\d+)(?![A-Za-z0-9])", re.IGNORECASE)
_WORKBOOK = re.compile(r"_Wb_(\d+)(?!\d)", re.IGNORECASE)
_SEPARATOR_HINT = re.compile(r"sep=.", re.IGNORECASE)


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
        delimiter = sniff_delimiter(line, rows.split("\n", 20)[:20])
        if delimiter is None:
            return False
        return is_arbins({heading(cell).key for cell in split_cells(line, delimiter)})

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export; Arbin writes clock times without a zone, so they are taken in ``time_zone``.

        Raises:
            CorruptFileError: There is no table of records.
            SchemaError: Test time, voltage or current is absent, has an unknown unit or holds no numbers.
        """
        raw, warnings = self._table(path)
        headings = [heading(name) for name in raw.columns]
        if are_totals({each.key for each in headings}):
            raise CorruptFileError(path, "a table of cycle statistics, which holds no records", self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        describe(metadata, path, raw, headings)

        stamp_name = next((each.name for each in headings if each.key == "datetime"), None)
        stamps = raw.drop_in_place(stamp_name) if stamp_name else None
        frame, metadata.sources, map_warnings = to_frame(raw, headings, TERMS)
        warnings += map_warnings
        if stamps is not None:
            frame, stamp_warnings = with_clock(frame, stamps, time_zone, metadata)
            warnings += stamp_warnings
        return Reading(frame, metadata, warnings)

    def _table(self, path: Path) -> tuple[pl.DataFrame, list[str]]:
        text, _, warnings = load_text(path, keep_returns=True)
        found = _header_line(text[: 2 * MAX_LINE_BYTES].decode("utf-8", "ignore"))
        if found is None:
            raise CorruptFileError(path, "no table found: the file has no line with content", self.name)
        line, _ = found
        encoded = line.encode()
        header_at = text.index(encoded)
        first_line = text.count(b"\n", 0, header_at) + 2
        start = header_at + len(encoded) + 1
        line = line.removesuffix("\r")
        sample = sample_lines(text, start=start)
        delimiter = sniff_delimiter(line, sample)
        if delimiter is None or len(encoded) > MAX_LINE_BYTES or _holds_records(line, delimiter, sample):
            what = f"line {first_line - 1} is {len(encoded)} bytes long and is not a line of column names"
            raise CorruptFileError(path, f"no table found: {what}", self.name)

        names, name_warnings = column_names(line, delimiter, sample)
        headings = [heading(name) for name in names]
        frame, table_warnings = parse_table(
            text,
            names,
            delimiter=delimiter,
            decimal=sniff_decimal(sample, delimiter),
            first_line=first_line,
            required=[each.name for each in headings if TERMS.get(each.key) in SERIES],
            real={each.name for each in headings if _is_quantity(each)},
            start=start,
        )
        if not frame.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        return frame, [*warnings, *name_warnings, *table_warnings]


def is_arbins(keys: set[str]) -> bool:
    """Say whether column names, as ``heading`` gives them, are those of Arbin's records."""
    if keys & (_OTHER_TESTERS | _NOBODYS):
        return False
    if "testtime" in keys:
        return bool(keys & (_TYPICAL | _COUNTERS.keys())) or {"voltage", "current"} <= keys
    return {"steptime", "chargecapacity", "dischargecapacity"} <= keys


def are_totals(keys: set[str]) -> bool:
    """Say whether column names are those of Arbin's tables of cycles, which have a test time and counters, too."""
    return "vmaxoncycle" in keys or (keys >= {"chargetime", "dischargetime"} and "datapoint" not in keys)


def _header_line(text: str) -> tuple[str, str] | None:
    """The first line with content, and what follows it."""
    rest = text
    while rest:
        line, _, rest = rest.partition("\n")
        if line.strip(' \t\r,;|"') and not _SEPARATOR_HINT.fullmatch(line.strip()):
            return line, rest
    return None


def _holds_records(line: str, delimiter: str, sample: Sequence[str]) -> bool:
    """Say whether a file of one line has its records in there, too."""
    return not sample and any(re.fullmatch(r"[+-]?\d+\.?\d*", cell.strip()) for cell in split_cells(line, delimiter))


def _is_quantity(heading: Heading) -> bool:
    """Say whether values may have fractions: if all are whole so far, their type must not change as the file grows."""
    term = TERMS.get(heading.key)
    return term.dtype.is_float() if term else bool(heading.unit) or "/" in heading.name


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
            metadata.header[each.name] = words(values)
            if each.key in ("comment", "comments"):
                metadata.comment = metadata.header[each.name]
    in_name = _CHANNEL.search(path.stem)
    if metadata.channel is None and in_name:
        metadata.channel = in_name[1]
    workbook = _WORKBOOK.search(path.stem)
    metadata.continuation = bool(workbook and int(workbook[1]) > 1)
