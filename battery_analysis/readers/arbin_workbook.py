"""Arbin workbooks (``.xlsx``, ``.xls``), as MITS Pro and Data Watcher export them.

File structure:
    Sheet ``Global_Info`` (or ``Info``): a title with name, date and serial number in merged cells, then a row of
    headings and a row for each channel (schedule, creator, comments, software, masses, …). Sheets ``Channel_11_1``,
    ``Channel_11_2`` or ``Channel_1-008_1``: a row of column names, then one row for each record; where a sheet is full
    the next one goes on. Further sheets hold cycle statistics and charts. Columns, units and counters are those of
    Arbin's text exports.

Choices:
    Sheets are told by their column names; ``Channel_…`` in their name gives the channel and the order. Of several
    channels the first is read and the others are named in a warning, since each is a test of its own. A workbook from
    the second on (``…_Wb_2.xlsx``) is a continuation. The start is that of the records: ``Global_Info`` was seen to
    give a later one.

Seen in:
    MITS Pro 7.0 (schedule version 7.00.13).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.arbin import TERMS, are_totals, describe, is_arbins
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import heading
from battery_analysis.readers.stamps import local_to_unix, moment
from battery_analysis.readers.terms import to_frame, with_clock
from battery_analysis.readers.workbook import Rows, continued, fault, peek, read_sheet, sheet_table
from battery_analysis.readers.workbook_columns import Cell

_CHANNEL_SHEET = re.compile(r"channel[ _]?(?P<channel>\d+(?:-\d+)*)(?:_(?P<part>\d+))?", re.IGNORECASE)
_INFO_SHEET = re.compile(r"(global)?[ _]?info(rmation)?", re.IGNORECASE)
_ALONE = {"datapoint", "datetime", "internalresistance", "acr", "dvdt", "chargecapacity", "dischargecapacity"}
"""Columns that another tester with the same names for time, voltage and current does not have."""
_STAMP = "datetime"
_TITLE = "test report"
_INFO_HEADINGS = {"channel", "startdatetime", "schedulefilename", "creator", "comments", "softwareversion"}
_UNITS = {
    "mass": {"": 1.0, "g": 1.0, "mg": 1e-3, "kg": 1e3},
    "specificcapacity": {"": 1.0, "ah/g": 1.0, "mah/g": 1e-3},
    "capacity": {"": 1.0, "ah": 1.0, "mah": 1e-3},
}
_LABELS = ("Test Name", "Serial Number", "Export Time", "Operator")
_HEAD_BYTES = 1024


class _Sheet(NamedTuple):
    """A sheet of records: where its column names stand, and what its own name says."""

    name: str
    header_row: int
    channel: str
    part: int
    names: Sequence[str] = ()
    """The names of a sheet that goes on with the rows of another one and has none of its own."""


class ArbinXlsx:
    """Reads Arbin workbooks."""

    name = "arbin_xlsx"
    version = "1"
    tester = "Arbin"
    suffixes = frozenset({".xlsx", ".xls"})
    description = "Arbin MITS Pro workbooks (.xlsx, .xls); sheets with Test_Time and other Arbin names"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a sheet has the column names of Arbin's records, and its own name or others confirm it."""
        heads = peek(head, path)
        named = any(_INFO_SHEET.fullmatch(name) or _CHANNEL_SHEET.match(name) for name in heads)
        keys = (_keys(rows[header]) for rows in heads.values() if (header := _header_row(rows)) is not None)
        return any(named or each & _ALONE for each in keys)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one workbook; Arbin writes clock times without a zone, so they are taken in ``time_zone``.

        Raises:
            CorruptFileError: The workbook is damaged, or no sheet holds records.
            SchemaError: Test time, voltage or current is absent or has an unknown unit.
        """
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if damage := fault(head, path):
            raise CorruptFileError(path, damage, self.name)
        heads = peek(head, path)
        sheets, warnings = _record_sheets(heads)
        if not sheets:
            there = f"its sheets are {', '.join(heads)}" if heads else "it is no workbook"
            raise CorruptFileError(path, f"no sheet holds records; {there}", self.name)
        parts = []
        for sheet in sheets:
            part, said = sheet_table(path, sheet.name, sheet.header_row, names=sheet.names)
            parts.append(part)
            warnings += said
        raw = _joined(parts)
        if not raw.height:
            raise CorruptFileError(path, f"no data rows in {', '.join(each.name for each in sheets)}", self.name)

        headings = [heading(name) for name in raw.columns]
        metadata = TestMetadata(tester=self.tester, test_type="cycling", channel=sheets[0].channel or None)
        describe(metadata, path, raw, headings)
        info = next((name for name in heads if _INFO_SHEET.fullmatch(name)), None)
        start = _take_info(metadata, read_sheet(path, info), sheets[0].channel) if info else None
        stamp = next((each.name for each in headings if each.key == _STAMP), None)
        stamps = raw.drop_in_place(stamp) if stamp else None
        frame, metadata.sources, said = to_frame(raw, headings, TERMS)
        warnings += said
        if stamps is not None:
            frame, said = with_clock(frame, stamps, time_zone, metadata)
            warnings += said
        if metadata.started_at is None and start is not None:
            metadata.started_at = moment(local_to_unix(pl.Series([start]), pl.Series([0.0]), time_zone)[0])
            metadata.time_zone = time_zone
        return Reading(frame, metadata, warnings)


def _record_sheets(heads: dict[str, Rows]) -> tuple[list[_Sheet], list[str]]:
    """Sheets of one channel's records in order, and what is said about the others."""
    found: dict[str, list[_Sheet]] = {}
    others = []
    header_rows = {name: row for name, rows in heads.items() if (row := _header_row(rows)) is not None}
    going_on = continued(heads, header_rows)
    for name, rows in heads.items():
        header = 0 if name in going_on else header_rows.get(name)
        if header is None:
            if rows and not _INFO_SHEET.fullmatch(name):
                others.append(name)
            continue
        spelled = _CHANNEL_SHEET.match(name)
        channel, part = (spelled["channel"], int(spelled["part"] or 0)) if spelled else ("", 0)
        found.setdefault(channel, []).append(_Sheet(name, header, channel, part, going_on.get(name, ())))
    if len(found) > 1:  # a sheet that is not named as a channel holds something else, where others are
        others += [each.name for each in found.pop("", [])]
    said = [f"sheets without records are left out: {', '.join(others)}"] if others and found else []
    if not found:
        return [], said
    first, *further = sorted(found, key=lambda channel: [int(each) for each in re.findall(r"\d+", channel)])
    if further:
        names = ", ".join(each.name for channel in further for each in found[channel])
        said.append(f"the workbook holds {len(found)} channels; read is {first}, not {names}")
    return sorted(found[first], key=lambda sheet: sheet.part), said


def _header_row(rows: Rows) -> int | None:
    """Position of the first row that holds the column names of records."""
    for position, row in enumerate(rows):
        keys = _keys(row)
        if is_arbins(keys):
            return None if are_totals(keys) else position
    return None


def _keys(row: list[Cell]) -> set[str]:
    return {heading(cell).key for cell in row if isinstance(cell, str) and cell.strip()}


def _joined(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts, how="diagonal_relaxed") if len(parts) > 1 else parts[0]


def _take_info(metadata: TestMetadata, rows: Rows, channel: str) -> datetime | None:
    """Fill in what the sheet of information says about a channel; returns when it says that the test started."""
    at = next((place for place, row in enumerate(rows) if len(_keys(row) & _INFO_HEADINGS) > 1), None)
    metadata.header |= dict(_title_facts(rows[:at]))
    facts: dict[str, Cell] = {}
    if at is not None:
        names = [str(cell).strip() for cell in rows[at]]
        below = [dict(zip(names, row, strict=True)) for row in rows[at + 1 :] if any(cell != "" for cell in row)]
        row = next((each for each in below if _spelled(each.get("Channel", "")) == channel), None)
        row = below[0] if row is None and len(below) == 1 else row or {}
        facts = {heading(name).key: cell for name, cell in row.items() if name and cell != ""}
        metadata.header |= {name: _spelled(cell) for name, cell in row.items() if name and cell != ""}
    text = {key: _spelled(cell) for key, cell in facts.items()}
    metadata.channel = metadata.channel or text.get("channel")
    metadata.device = metadata.header.get("Serial Number")
    metadata.test_name = metadata.header.get("Test Name") or text.get("testname")
    metadata.barcode = text.get("barcode") or text.get("itemid")
    metadata.sample_name = metadata.barcode
    metadata.protocol = text.get("schedulefilename")
    metadata.operator = text.get("creator") or metadata.header.get("Operator")
    metadata.comment = text.get("comments") or metadata.comment
    metadata.software = text.get("softwareversion")
    mass, specific, capacity = (_quantity(metadata.header, facts, key) for key in _UNITS)
    metadata.active_mass_gram = mass
    metadata.nominal_capacity_ah = capacity or (mass * specific if mass and specific else None)
    start = facts.get("startdatetime")
    return start if isinstance(start, datetime) else None


def _title_facts(rows: Rows) -> Iterator[tuple[str, str]]:
    """What stands above the table: values beside or below their labels, the test's name below the title."""
    for place, row in enumerate(rows):
        for position, cell in enumerate(row):
            label = str(cell).strip().rstrip(":").strip()
            below = rows[place + 1][position] if place + 1 < len(rows) else ""
            if label.lower() == _TITLE and below != "":
                yield "Test Name", _spelled(below)
            known = next((each for each in _LABELS if each.lower() == label.lower()), None)
            beside = row[position + 1] if position + 1 < len(row) else ""
            if known and (beside if beside != "" else below) != "":
                yield known, _spelled(beside if beside != "" else below)


def _spelled(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell).strip()


def _quantity(names: Iterable[str], facts: dict[str, Cell], key: str) -> float | None:
    """A positive number in g, Ah/g or Ah; None where there is none, or in a unit that is not known."""
    unit = next((found.unit for name in names if (found := heading(name)).key == key), "")
    scale, cell = _UNITS[key].get(unit.lower()), facts.get(key)
    return cell * scale if scale and isinstance(cell, float) and 0 < cell < float("inf") else None
