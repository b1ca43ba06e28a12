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
_ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {
    **{name: at for at, name in enumerate(_ENGLISH, 1)},
    **{"mai": 5, "okt": 10, "dez": 12, "mrz": 3, "mär": 3},
}
_NAMED_MONTH = r"^(?:[A-Za-z]+, *)?(\d{1,2})[- ]([A-Za-zä]{3})[A-Za-z]*[- ](\d{2,4}),?( .*)?$"
_MONTH_FIRST = r"^(?:[A-Za-z]+, *)?([A-Za-zä]{3})[A-Za-z]* +(\d{1,2}), *(\d{4}),?( .*)?$"


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
    _split_procedure(header)
    return header


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
    clock = unix_time(plain_stamps(pl.Series("stamp", [stamp])), pl.Series([0.0]), time_zone).unix_time
    ends = certain_ends(clock, pl.Series([0.0]))
    return moment(ends[0][0]) if ends else None


def plain_stamps(stamps: pl.Series) -> pl.Series:
    """Write stamps with the name of a month (``23-Nov-23 3:56:11 PM``) year first; leave all others.

    >>> plain_stamps(pl.Series(["23-Nov-23 3:56:11 PM"]))[0]
    '2023-11-23 3:56:11 PM'
    """
    first = stamps.drop_nulls().first()
    if stamps.dtype != pl.String or not isinstance(first, str) or not re.search(r"[A-Za-zä]{3}", first.strip()):
        return stamps
    day_first = re.match(_NAMED_MONTH, first.strip()) is not None
    parts = stamps.str.strip_chars().str.extract_groups(_NAMED_MONTH if day_first else _MONTH_FIRST).struct.unnest()
    one, two, year, time = parts.iter_columns()
    day, month = (one, two) if day_first else (two, one)
    number = month.str.to_lowercase().replace_strict(_MONTHS, default=None, return_dtype=pl.Int64)
    table = pl.DataFrame({"year": year, "month": number, "day": day, "time": time.fill_null("")})
    century = pl.when(pl.col("year").str.len_chars() == 2).then(pl.lit("20")).otherwise(pl.lit(""))
    two_digits = (pl.col(name).cast(pl.String).str.zfill(2) for name in ("month", "day"))
    return table.select(
        (pl.concat_str(pl.concat_str(century, pl.col("year")), *two_digits, separator="-") + pl.col("time")).alias(
            stamps.name
        )
    ).to_series()


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


def _split_procedure(header: dict[str, str]) -> None:
    parts = _PROCEDURE.fullmatch(header.get("Procedure", ""))
    if parts:
        header["Procedure"] = parts["name"]
        header.setdefault("Description", parts["description"].strip())


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
