"""BaSyTec result exports (``.txt``, ``.dat``).

File structure:
    Lines ``~Key: value`` about the test, one line of column names that begins with ``~``, and one row for each record;
    fields are set apart by tabs, semicolons or spaces. Which columns there are is the user's choice; units stand in
    brackets (``Time[h]``, ``U[V]``, ``T1[°C]``), counters of charge and energy have none and are in Ah and Wh. Current
    is positive on charge. Dates are day first, with the time of day in one column (``DateTime``) or in two (``Date``,
    ``Time``). Text is in Windows-1252 or in UTF-8 with replacement characters.

    ``Ah`` and ``Ah-Step`` are signed nets since the start of the test and of the step, ``Ah-Charge`` and
    ``Ah-Discharge`` totals since the start, ``Ah-Cyc-…`` since the cycle began, ``Ah-Ch-Set`` and ``Ah-Dis-Set`` since
    the test plan set them; ``Wh`` likewise. ``Line`` is the line of the test plan.

Choices:
    Totals of the discharge are positive here, whatever their sign in the file. Counters whose sibling is per mass
    (``Ah[Ah/kg]``) are kept as ``aux_``, because no mass is given. ``Ah-Cyc-Charge-0`` and the like, whose reset
    nothing documents, are ``aux_``, too. A file whose records end before the test did (``End of Test``) gets a
    warning.

Seen in:
    exports of XCTS and CTS channels.
"""

from __future__ import annotations

import re
import statistics
from datetime import datetime
from itertools import islice
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, COUNTERS, Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.biologic_header import in_utc
from battery_analysis.readers.headings import Heading
from battery_analysis.readers.headings import heading as plain_heading
from battery_analysis.readers.preamble import Below, find_table, read_table
from battery_analysis.readers.sniff import head_lines, load_text, sample_lines
from battery_analysis.readers.terms import keep_words, to_frame, with_clock

_SCOPES = {
    "cyccharge": "cycle_charging",
    "cycdischarge": "cycle_discharging",
    "charge": "charging",
    "discharge": "discharging",
    "step": "step_net",
    "chset": "schedule_charging",
    "disset": "schedule_discharging",
    "chargeset": "schedule_charging",
    "dischargeset": "schedule_discharging",
}
_COUNTERS = {
    f"{key}{scope}": BY_NAME[f"{name}_{quantity}_{key}"]
    for key, quantity in (("ah", "capacity"), ("wh", "energy"))
    for scope, name in _SCOPES.items()
}

TERMS: dict[str, Column] = {
    "time": columns.TEST_TIME,
    "u": columns.VOLTAGE,
    "voltage": columns.VOLTAGE,
    "i": columns.CURRENT,
    "current": columns.CURRENT,
    "p": columns.POWER,
    "cyccount": columns.CYCLE_COUNT,
    "cyc": columns.CYCLE_COUNT,
    "line": columns.STEP_ID,
    "command": columns.STEP_TYPE,
    "tstep": columns.STEP_TIME,
    "dataset": columns.RECORD_INDEX,
    "ah": BY_NAME["net_capacity_ah"],
    "wh": BY_NAME["net_energy_wh"],
    **_COUNTERS,
    "rac": columns.AC_INTERNAL_RESISTANCE,
    "rdc": columns.DC_INTERNAL_RESISTANCE,
    **{f"t{number}": column for number, column in enumerate(columns.SENSOR_TEMPERATURES, 1)},
}
"""BaSyTec's names, without hyphens and capitals."""

_SERIES = (columns.TEST_TIME, columns.VOLTAGE)
_TITLE = "Basytec Battery Test System"
_COUNTED = {"ah": "Ah", "wh": "Wh"}
_MARKS = "~#"
_TITLE_LINES = 5
_HEADER_LINES = 200
_DELIMITERS = "\t;,"
_TIME_OF_DAY = "DateTime(time)"
_SPACES = re.compile(rb" +")
_OUTER_SPACES = re.compile(rb"(?m)^ +| +$")
_STAMP_FORMATS = ("%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
_DAY_FIRST = r"^(\d{1,2})[/-](\d{1,2})[/-](\d{2,4})"
_DEVICE = re.compile(r"\b[A-Z]*(?:CTS|HPS|GSM|MRS)\S*")
_TOLERANCE = 0.01
_TOLERANCE_SECONDS = 60.0


class BasytecText:
    """Reads BaSyTec result exports."""

    name = "basytec_txt"
    version = "1"
    tester = "BaSyTec"
    suffixes = frozenset({".txt", ".dat"})
    description = "BaSyTec result exports; a line of column names such as ~Time[h], U[V], I[A]"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether there is BaSyTec's title or mark, and a line of its column names."""
        lines = list(islice((line for line in head_lines(head) if line.strip()), _HEADER_LINES))
        titled = any(_TITLE.lower() in line.lower() for line in lines[:_TITLE_LINES])
        marked = [line for line in lines if titled or line.startswith(tuple(_MARKS))]
        return any(map(_is_column_line, marked))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There is no line of column names, or no record.
            SchemaError: Time or voltage is absent or has an unknown unit.
        """
        text, _, warnings = load_text(path)
        below = find_table(text, _is_column_line)
        if below is None:
            raise CorruptFileError(path, "no line of column names such as ~Time[h], U[V], I[A]", self.name)
        table, delimiter = _set_apart(_without_marks(below))
        raw, headings, table_warnings = read_table(table, heading, TERMS, _SERIES, delimiter)
        warnings += table_warnings
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)

        metadata = _metadata(below.lines, time_zone)
        stamps = _stamps(raw, headings)
        headings = [each for each in headings if each.name in raw.columns]
        headings, terms, term_warnings = _per_mass(headings)
        frame, metadata.sources, map_warnings = to_frame(raw, headings, terms, _SERIES)
        warnings += term_warnings + map_warnings
        keep_words(raw, metadata, [each.name for each in headings if each.key == "command"])
        ended = metadata.ended_at
        if stamps is not None:
            started = metadata.started_at
            frame, clock_warnings = with_clock(frame, _day_first(stamps), time_zone, metadata)
            warnings += clock_warnings
            metadata.started_at = started or metadata.started_at
        metadata.ended_at = ended or metadata.ended_at
        return Reading(_positive_totals(frame), metadata, [*warnings, *_note_end(frame, metadata, ended)])


def heading(name: str) -> Heading:
    """Take a column name apart; counters without a unit have that of their name.

    >>> heading("~T1[°C]"), heading("Ah-Cyc-Charge")[1:]
    (Heading(name='T1[°C]', key='t1', unit='°C'), ('ahcyccharge', 'Ah'))
    """
    plain = plain_heading(name.strip().lstrip(_MARKS))
    return plain if plain.unit else plain._replace(unit=_COUNTED.get(plain.key[:2], ""))


def _is_column_line(line: str) -> bool:
    headings = [heading(cell) for cell in re.split(r"[\t;, ]+", line.strip().replace('"', ""))]
    measured = {each.key for each in headings if each.unit}
    return {"u", "i"} <= measured and any(each.key == "time" for each in headings)


def _set_apart(below: Below) -> tuple[Below, str | None]:
    """Say what sets fields apart; where spaces do, date and time of a stamp are two fields."""
    if any(mark in below.header for mark in _DELIMITERS):
        return below, None
    rows = below.rows
    if b"  " in rows or b" \n" in rows or b"\n " in rows or rows[:1] == b" ":
        rows = _SPACES.sub(b" ", _OUTER_SPACES.sub(b"", rows))
    names = below.header.split()
    widths = [line.count(" ") + 1 for line in sample_lines(rows)]
    if "DateTime" in names and statistics.multimode(widths)[:1] == [len(names) + 1]:
        names.insert(names.index("DateTime") + 1, _TIME_OF_DAY)
    return below._replace(header=" ".join(names), text=rows, start=0), " "


def _without_marks(below: Below) -> Below:
    """Take the marks off the names, so that a repeated line of names is seen as such."""
    header = re.sub(rf'(^"?|[{_DELIMITERS}]"?)[{_MARKS}]', r"\1", below.header)
    below = below._replace(header=header)
    for mark in _MARKS.encode():
        if below.text.find(mark, below.start) >= 0:  # a single byte, for it is found many times faster than two
            below = below._replace(text=below.rows.replace(b"\n%c" % mark, b"\n"), start=0)
    return below


def _per_mass(headings: list[Heading]) -> tuple[list[Heading], dict[str, Column], list[str]]:
    """Give counters without a unit that of their sibling, and leave out the terms of those that are per mass."""
    units = {each.key: each.unit for each in headings if each.key in _COUNTED and "/" in each.unit}
    headings = [each._replace(unit=units.get(each.key[:2], each.unit)) for each in headings]
    terms = {key: column for key, column in TERMS.items() if key[:2] not in units}
    return (
        headings,
        terms,
        [f"counters are in {unit}, and no mass is given; kept as they are" for unit in units.values()],
    )


def _stamps(raw: pl.DataFrame, headings: list[Heading]) -> pl.Series | None:
    """Take the clock out of a table, where date and time of day may be columns of their own."""
    names = {each.key: each.name for each in reversed(headings) if each.key in ("datetime", "date")}
    stamps = next((raw.drop_in_place(names[key]) for key in ("datetime", "date") if key in names), None)
    times = [each.name for each in headings if each.key == "time" and not each.unit][-1:] if "date" in names else []
    time_of_day = _TIME_OF_DAY if _TIME_OF_DAY in raw.columns else "".join(times)
    if stamps is None or raw.schema.get(time_of_day) != pl.String:
        return stamps
    parts = pl.DataFrame([stamps.cast(pl.String), raw.drop_in_place(time_of_day)])
    return parts.select(pl.concat_str(pl.all(), separator=" ").alias(stamps.name)).to_series()


def _day_first(stamps: pl.Series) -> pl.Series:
    return stamps.str.replace(_DAY_FIRST, "$1.$2.$3") if stamps.dtype == pl.String else stamps


def _positive_totals(frame: pl.DataFrame) -> pl.DataFrame:
    totals = [each.name for each in COUNTERS if each.direction == "discharging" and each.name in frame.columns]
    return frame.with_columns(pl.col(totals).abs()) if totals else frame


def _metadata(lines: list[str], time_zone: str) -> TestMetadata:
    metadata = TestMetadata(tester=BasytecText.tester, test_type="cycling")
    for line in lines:
        key, colon, value = line.lstrip(_MARKS).partition(":")
        if colon:
            metadata.header[key.strip()] = value.strip()
    header = metadata.header
    metadata.test_name = header.get("Name of Test") or None
    metadata.sample_name = header.get("Battery") or None
    metadata.barcode = header.get("Battery serial") or None
    metadata.protocol = header.get("Testplan") or None
    metadata.channel = header.get("Testchannel") or None
    metadata.operator = header.get("Operator (Test)") or None
    metadata.comment = header.get("Comment") or None
    device = _DEVICE.search(metadata.channel or "")
    metadata.device = device[0] if device else None
    metadata.started_at = in_utc(_stamp(header.get("Start of Test")), time_zone)
    metadata.ended_at = in_utc(_stamp(header.get("End of Test")), time_zone)
    metadata.time_zone = time_zone if metadata.started_at or metadata.ended_at else None
    return metadata


def _stamp(text: str | None) -> datetime | None:
    for form in _STAMP_FORMATS:
        try:
            return datetime.strptime(text or "", form)
        except ValueError:
            continue
    return None


def _note_end(frame: pl.DataFrame, metadata: TestMetadata, ended: datetime | None) -> list[str]:
    """Compare the last record with the end that the header gives: only there has the test been finished."""
    last = frame[columns.TEST_TIME.name].drop_nulls().last()
    if ended is None or metadata.started_at is None or not isinstance(last, float):
        return []
    whole = (ended - metadata.started_at).total_seconds()
    if last >= whole - max(_TOLERANCE * whole, _TOLERANCE_SECONDS):
        metadata.finished = True
        return []
    return [f"the records end after {last:.0f} s, but the header says that the test lasted {whole:.0f} s"]
