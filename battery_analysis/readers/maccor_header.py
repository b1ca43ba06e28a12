r"""What stands above the records of a Maccor export: when, where and by which procedure.

The lines come in several shapes, and some put two or three entries into one line::

    Today's Date 03/07/2018  Date of Test:<TAB>11/02/2016<TAB> Filename:<TAB>C:\…\cell.041 Procedure: EIS.000…
    Today's Date:<TAB>14 December 2020<TAB>Date of Test:<TAB>11 December 2020, 12:22:12 PM
    Date of Test:,23-Nov-23 3:56:08 PM
    Channel:<TAB>81

The extension of the tester's own file is its channel. The name of the procedure (``.000``) is followed by its
description without anything between them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PureWindowsPath

import polars as pl

from battery_analysis.readers.base import TestMetadata
from battery_analysis.readers.stamps import certain_ends, moment, unix_time

_KEYS = (
    r"Today'{1,2}s Date|Date of Test|Start(?:ed| Date| Time)|File ?name|Name|Procedure|Description|Comment/Barcode"
    r"|Comments?|Barcode|Tester Channel|Channel|Tester|SCap|C Rate"
)
_ENTRY = re.compile(rf"(?:^|(?<=\s))(?P<key>{_KEYS})\s*:\s*", re.IGNORECASE)
_KEY = re.compile(rf"(?P<key>{_KEYS}):?", re.IGNORECASE)
_TODAY = re.compile(r"(?P<key>Today'{1,2}s Date)\s*:?\s*", re.IGNORECASE)
_PROCEDURE = re.compile(r"(?P<name>.*?\.\d{3})(?P<description>\D.*)", re.DOTALL)
_CHANNEL = re.compile(r"\.(\d{3})")
_TIME_OF_DAY = r"\d{1,2}:\d{2}:\d{2}( [AaPp][Mm])?"
_DAY = 86_400
_LATEST = 1e11
_CLOCK_SET = 7_200
"""Seconds by which a clock may be set back, as at the end of summer time, without a day having gone by."""


def read_header(lines: Sequence[Sequence[str]]) -> dict[str, str]:
    """Collect the entries of the lines above the column names.

    Args:
        lines: Cells of each line.

    >>> read_header([["Today's Date 03/07/2018  Date of Test:", "11/02/2016", "Filename:", "a.041 Procedure: EIS"]])
    {"Today's Date": '03/07/2018', 'Date of Test': '11/02/2016', 'Filename': 'a.041', 'Procedure': 'EIS'}
    """
    header: dict[str, str] = {}
    for line in lines:
        cells = [_clean(cell) for cell in line]
        filled = [cell for cell in cells if cell]
        if len(filled) == 2 and cells[:2] == filled and not _ENTRY.search(filled[1]):
            _add(header, filled[0].rstrip(": "), filled[1])
            continue
        _add_entries(header, cells)
    name, description = split_procedure(header.get("Procedure", ""))
    if description:
        header["Procedure"] = name
        header.setdefault("Description", description)
    return header


def split_procedure(called: str) -> tuple[str, str]:
    """Part the name of a procedure (``.000``) from its description, which follows without anything between them.

    >>> split_procedure("EIS 1.000FRA default")
    ('EIS 1.000', 'FRA default')
    """
    parts = _PROCEDURE.fullmatch(called)
    return (parts["name"], parts["description"].strip()) if parts else (called, "")


def describe(metadata: TestMetadata, header: Mapping[str, str], path: Path, time_zone: str) -> None:
    """Put what the header says where it belongs; what it does not say stays empty."""
    metadata.header = dict(header)
    said = {re.sub(r"[^a-z]", "", key.lower()): value for key, value in header.items() if value}
    own_file = PureWindowsPath(said.get("filename") or said.get("name") or "")
    metadata.test_name = own_file.stem or None
    metadata.channel = (
        said.get("testerchannel") or said.get("channel") or _channel(own_file.name) or _channel(path.name)
    )
    metadata.device = said.get("tester")
    metadata.protocol = said.get("procedure")
    metadata.comment = next((said[key] for key in ("commentbarcode", "comment", "comments") if key in said), None)
    metadata.comment = metadata.comment or said.get("description")
    metadata.barcode = said.get("barcode") or _barcode(said.get("commentbarcode", ""))
    metadata.voltage_limits_volt = _limits(said)
    start = said.get("started") or said.get("dateoftest") or ""
    if ":" in start:  # a date alone does not say when
        metadata.started_at = read_stamp(start, time_zone)
        metadata.time_zone = time_zone if metadata.started_at else None


def read_stamp(stamp: str, time_zone: str) -> datetime | None:
    """Read one stamp; None where it is none.

    >>> read_stamp("11 December 2020, 12:22:12 PM", "UTC").isoformat()
    '2020-12-11T12:22:12+00:00'
    """
    clock = unix_time(pl.Series("stamp", [stamp]), pl.Series([0.0]), time_zone).unix_time
    ends = certain_ends(clock, pl.Series([0.0]))
    return moment(ends[0][0]) if ends else None


def dated_stamps(stamps: pl.Series, day: str, test_time: pl.Series) -> pl.Series:
    """Put the date before stamps that are times of day only; leave all others.

    Args:
        stamps: The stamps of the records.
        day: When the test began, as the header writes it.
        test_time: Seconds since then, which tell how many days have gone by.

    >>> dated_stamps(pl.Series(["23:59:50", "00:00:10"]), "11/23/2023", pl.Series([0.0, 20.0])).to_list()
    ['2023-11-23 23:59:50', '2023-11-24 00:00:10']
    """
    first = stamps.drop_nulls().first()
    if not isinstance(first, str) or not re.fullmatch(_TIME_OF_DAY, first.strip()):
        return stamps
    began = read_stamp(day, "UTC")
    if began is None:
        return stamps
    texts = pl.lit(stamps.str.strip_chars())
    clock = pl.coalesce(texts.str.to_time("%I:%M:%S %p", strict=False), texts.str.to_time("%H:%M:%S", strict=False))
    table = pl.select(second=clock.cast(pl.Duration).dt.total_seconds(), time=pl.lit(test_time)).fill_null(
        strategy="forward"
    )
    second, time = pl.col("second"), pl.col("time")
    midnights = ((time.diff() - _CLOCK_SET - second.diff()) / _DAY).ceil().clip(0.0).fill_null(0.0).cum_sum()
    since_midnight = (second - time).drop_nulls().first() % _DAY  # of the day on which the test began
    first_day = ((since_midnight + time - second) / _DAY).round().drop_nulls().first()
    dated = began.timestamp() // _DAY * _DAY + (first_day + midnights) * _DAY + second
    sound = pl.when(dated.is_between(0.0, _LATEST)).then(dated)  # whatever damage has made of the test time
    shown = (sound * 1e6).cast(pl.Int64).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
    return table.select(pl.when(pl.lit(stamps).is_not_null()).then(shown).alias(stamps.name)).to_series()


def _clean(cell: str) -> str:
    return cell.replace("\0", "").strip().strip('"').strip()


def _add(header: dict[str, str], key: str, value: str) -> None:
    header.setdefault(key.replace("''", "'"), value.strip().rstrip(",;").strip())


def _add_entries(header: dict[str, str], cells: Sequence[str]) -> None:
    """Take apart a line with several entries: a key is a cell of its own, or ends with a colon."""
    key = ""
    values: list[str] = []
    for cell in cells:
        today = _TODAY.match(cell)
        if whole := _KEY.fullmatch(cell):
            key, values = _finish(header, key, values), []
            key = whole["key"]
            continue
        if today:
            key, cell = today["key"], cell[today.end() :]
        position = 0
        for entry in _ENTRY.finditer(cell):
            values.append(cell[position : entry.start()])
            _finish(header, key, values)
            key, values, position = entry["key"], [], entry.end()
        values.append(cell[position:])
    _finish(header, key, values)


def _finish(header: dict[str, str], key: str, values: Sequence[str]) -> str:
    if key:
        _add(header, key, " ".join(value for value in values if value))
    return ""


def _channel(name: str) -> str | None:
    numbers = _CHANNEL.fullmatch(Path(name).suffix)
    return str(int(numbers[1])) if numbers else None


def _barcode(entry: str) -> str | None:
    """The entry for comments or barcodes, where it is one word with a number in it."""
    return entry if re.fullmatch(r"\S*\d\S*", entry) else None


def _limits(said: Mapping[str, str]) -> tuple[float, float] | None:
    limits = []
    for key in ("dischminv", "chmaxv"):
        number = re.fullmatch(r"([+-]?\d+(?:[.,]\d+)?) ?V", said.get(key, ""))
        if not number:
            return None
        limits.append(float(number[1].replace(",", ".")))
    return (limits[0], limits[1]) if limits[0] < limits[1] else None
