"""PEC exports (``.csv``).

File structure:
    Lines ``key:,value`` about the test (30 to 50 of them, more in newer versions), a block between ``#RESULTS CHECK``
    and ``#END RESULTS CHECK``, one line of column names, and one row for each record; header and rows end with a comma.
    Units stand in parentheses and are the user's choice: V or mV, A or mA, and times as ``(Seconds)``, ``(Minutes)``,
    ``(Decimal Hours)`` or ``(Hours in hh:mm:ss.xxx)``. Current is positive on charge. Capacities and energies are zero
    at the start of every cycle; cycles count from 0. Dates follow the computer's locale; one of the year 1 is none.

Choices:
    Older versions call the energies capacities, too (``Charge Capacity (mWh)``): the unit decides. A file of several
    cells is refused, because its records are several tests.

Seen in:
    exports of 2019 and of 2026.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import Heading, unit_scale
from battery_analysis.readers.headings import heading as plain_heading
from battery_analysis.readers.preamble import find_table, read_table
from battery_analysis.readers.sniff import head_lines, head_text, load_text
from battery_analysis.readers.terms import SERIES, keep_words, to_frame, with_clock

TERMS: dict[str, Column] = {
    "totaltime": columns.TEST_TIME,
    "voltage": columns.VOLTAGE,
    "current": columns.CURRENT,
    "cycle": columns.CYCLE_COUNT,
    "step": columns.STEP_ID,
    "steptime": columns.STEP_TIME,
    "instructionname": columns.STEP_TYPE,
    "chargecapacity": BY_NAME["cycle_charging_capacity_ah"],
    "dischargecapacity": BY_NAME["cycle_discharging_capacity_ah"],
    "chargeenergy": BY_NAME["cycle_charging_energy_wh"],
    "dischargeenergy": BY_NAME["cycle_discharging_energy_wh"],
    "internalresistance1": columns.INTERNAL_RESISTANCE,
    "dcinternalresistance": columns.DC_INTERNAL_RESISTANCE,
    "acinternalresistance": columns.AC_INTERNAL_RESISTANCE,
    "ambienttemperature": columns.AMBIENT_TEMPERATURE,
    "cellsurfacetemperature": columns.SURFACE_TEMPERATURE,
    "temp": columns.SENSOR_TEMPERATURES[0],
}
"""PEC's names, without spaces and capitals."""

_COLUMN_LINE = re.compile(r'"?Test"?[,;\t]"?Cell"?[,;\t]"?Rack"?[,;\t]')
_BLOCK = re.compile(r"#(?!END )(.+)")
_DATE = re.compile(r"(\d{1,4})[/.-]\d{1,2}[/.-](\d{1,4})")
_NEVER = 31
"""A day is the most that stands in a date of the year 1."""
_PLACE = ("rack", "shelf", "position")


class PecCsv:
    """Reads PEC exports."""

    name = "pec_csv"
    version = "1"
    tester = "PEC"
    suffixes = frozenset({".csv"})
    description = "PEC exports; lines 'key:,value' and a line of column names that begins with Test, Cell, Rack"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether there is a line of PEC's column names."""
        return "Rack" in head_text(head) and any(_COLUMN_LINE.match(line) for line in head_lines(head))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There are no column names, no records, or records of several cells.
            SchemaError: Time, voltage or current is absent or has an unknown unit.
        """
        text, _, warnings = load_text(path, keep_returns=True)
        below = find_table(text, lambda line: _COLUMN_LINE.match(line) is not None)
        if below is None:
            raise CorruptFileError(path, "no line of column names that begins with Test, Cell, Rack", self.name)
        raw, headings, table_warnings = read_table(below, heading, TERMS, SERIES)
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        by_key = {each.key: each.name for each in headings}
        cells = raw[by_key["cell"]].drop_nulls().unique().sort() if "cell" in by_key else raw.to_series(0).head(0)
        if cells.len() > 1:
            shown = ", ".join(map(str, cells.head(10)))
            raise CorruptFileError(path, f"records of {cells.len()} cells ({shown}); export each by itself", self.name)

        metadata = TestMetadata(tester=self.tester, test_type="cycling", header=_header(below.lines))
        _describe(metadata, raw, by_key)
        stamps = raw.drop_in_place(by_key["realtime"]) if "realtime" in by_key else None
        headings = [each for each in headings if each.name in raw.columns]
        frame, metadata.sources, term_warnings = to_frame(raw, headings, TERMS)
        keep_words(raw, metadata, [by_key.get("instructionname", "")])
        warnings += table_warnings + term_warnings
        if stamps is not None:
            frame, clock_warnings = with_clock(frame, stamps, time_zone, metadata)
            warnings += clock_warnings
        metadata.finished = _has_ended(metadata.header.get("End Time"))
        return Reading(frame, metadata, warnings)


def heading(name: str) -> Heading:
    """Take a column name apart; what is counted in Wh is an energy, whatever it is called.

    >>> heading("Charge Capacity (mWh)").key, heading("Total Time (Hours in hh:mm:ss.xxx)").key
    ('chargeenergy', 'totaltime')
    """
    plain = plain_heading(name)
    if plain.unit.endswith("Wh") and plain.key in ("chargecapacity", "dischargecapacity"):
        return plain._replace(key=plain.key.replace("capacity", "energy"))
    return plain


def _header(lines: list[str]) -> dict[str, str]:
    header: dict[str, str] = {}
    block: str | None = None
    for line in lines:
        cells = [cell.strip(' "') for cell in re.split(r"[,;\t]", line)]
        if line.startswith("#"):
            opened = _BLOCK.match(cells[0])
            block = opened[1] if opened else None
        elif block:
            header[block] = "\n".join(part for part in (header.get(block), line.rstrip(",;\t ")) if part)
        elif cells[0]:
            header[cells[0].rstrip(": ")] = ", ".join(cells[1:]).rstrip(", ")
    names, values = (header.get(f"Parameter {what}", "").split(", ") for what in ("names", "values"))
    header.update({f"Parameter {name}": value for name, value in zip(names, values, strict=False) if name})
    return header


def _describe(metadata: TestMetadata, raw: pl.DataFrame, by_key: dict[str, str]) -> None:
    header = metadata.header
    place = [_only(raw[by_key[key]]) for key in _PLACE if key in by_key]
    metadata.device = place[0] if place else None
    metadata.channel = "-".join(part for part in place if part) or None
    metadata.barcode = _only(raw[by_key["cellid"]]) if "cellid" in by_key else None
    metadata.sample_name = metadata.barcode
    metadata.test_name = header.get("Test Description") or header.get("Test") or None
    metadata.protocol = header.get("TestRegime Name") or None
    metadata.operator = header.get("Requestor") or None
    metadata.comment = header.get("Operator Instructions") or None
    for key, value in header.items():
        parameter = plain_heading(key.removeprefix("Parameter "))
        if key.startswith("Parameter ") and parameter.key == "crate":
            scale = unit_scale(parameter.unit, BY_NAME["charging_capacity_ah"])
            metadata.nominal_capacity_ah = _number(value, scale)


def _only(values: pl.Series) -> str | None:
    """The one value of a column that has one."""
    different = values.drop_nulls().unique()
    if different.len() != 1:
        return None
    value = different[0]
    return f"{value:g}" if isinstance(value, float) else str(value).strip() or None


def _number(text: str, scale: float | None) -> float | None:
    try:
        value = float(text) * (scale or 0.0)
    except ValueError:
        return None
    return value if 0.0 < value < float("inf") else None


def _has_ended(text: str | None) -> bool | None:
    """A test that still runs ends in the year 1."""
    date = _DATE.match(text or "")
    return None if date is None else max(int(date[1]), int(date[2])) > _NEVER
