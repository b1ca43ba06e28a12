"""Mapping files: what a person has said about one layout of delimited text.

One ``.toml`` file for each layout, in a folder of the user's choice. Every column of the layout stands in it by its
name, with what it holds; nothing about a column is guessed. A file that says something impossible is an error that
names file, line and key, before anything is read with it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, DERIVED, is_aux
from battery_analysis.errors import SettingsError
from battery_analysis.readers.headings import unit_scale
from battery_analysis.readers.sniff import DELIMITERS

AUX = "aux"
IGNORE = "ignore"
CLOCK = "clock"
"""Format of times written as ``02:03:04`` or ``1d 02:03:04``."""

SERIES = (columns.TEST_TIME, columns.VOLTAGE, columns.CURRENT)
SPECTRUM = (columns.FREQUENCY, columns.REAL_IMPEDANCE, columns.IMAGINARY_IMPEDANCE)

_ELAPSED = {columns.TEST_TIME.name, columns.STEP_TIME.name}
_STAMPED = {columns.TEST_TIME.name, columns.UNIX_TIME.name}
_TEMPERATURES = {"c": (1.0, 0.0), "k": (1.0, -273.15), "f": (1 / 1.8, -32 / 1.8)}
_KEYS = ("tester", "delimiter", "decimal", "header_row", "time_zone", "columns")
_COLUMN_KEYS = ("to", "unit", "factor", "offset", "sign", "format", "zone")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class MappedColumn:
    """One column of a layout: the frame holds sign * (value * factor + offset) as ``to``.

    ``to`` is a canonical name, a name that begins with ``aux_``, ``aux`` or ``ignore``; ``unit`` is what the file
    writes. ``format`` says how stamps are written, as ``strptime`` has it, or is ``clock``; ``zone`` is the IANA zone
    of stamps that carry none.
    """

    name: str
    to: str
    unit: str = ""
    factor: float = 1.0
    offset: float = 0.0
    sign: int = 1
    format: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class Layout:
    """One mapping file; ``digest`` is that of its content, ``header_row`` counts lines from 1."""

    name: str
    digest: str
    tester: str
    delimiter: str
    decimal: str
    header_row: int | None
    columns: tuple[MappedColumn, ...]


def load_layouts(folder: Path | None) -> tuple[Layout, ...]:
    """Load every mapping of a folder, by name; a folder that is not there holds none.

    Raises:
        SettingsError: A file cannot be read or says something impossible, or two are for the same column names.
    """
    if folder is None or not folder.is_dir():
        return ()
    layouts: dict[frozenset[str], Layout] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            layout = _parse(path, path.read_bytes())
        except OSError as exc:
            raise SettingsError(f"{path}: cannot be read: {exc.strerror}") from exc
        names = frozenset(each.name for each in layout.columns)
        if names in layouts:
            raise SettingsError(f"{path}: {layouts[names].name}.toml is for the same column names; keep one of them")
        layouts[names] = layout
    return tuple(layouts.values())


@lru_cache(maxsize=256)  # an import asks for every file it meets
def _parse(path: Path, content: bytes) -> Layout:
    import tomli

    if not _FILE_NAME.fullmatch(path.stem):
        raise SettingsError(f"{path}: the name of a mapping may hold letters, digits, and _ . - only")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise SettingsError(f"{path}:{line}: is not UTF-8 (byte 0x{content[exc.start]:02x})") from exc
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as exc:
        raise SettingsError(f"{path}:{exc.lineno}: {exc.msg}") from exc
    return _Checker(path, text).layout(document, hashlib.sha256(content).hexdigest()[:12])


class _Checker:
    """Checks one document; knows where its keys stand."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.split("\n")

    def layout(self, document: dict[str, Any], digest: str) -> Layout:
        self._refuse_unknown("", document, _KEYS)
        delimiter = document.get("delimiter")
        if delimiter not in DELIMITERS:
            self._fail("delimiter", f"must be one of {' '.join(map(repr, DELIMITERS))}, got {delimiter!r}")
        if document.get("decimal") not in (".", ","):
            self._fail("decimal", f"must be '.' or ',', got {document.get('decimal')!r}")
        row = document.get("header_row")
        if row is not None and (not isinstance(row, int) or isinstance(row, bool) or row < 1):
            self._fail("header_row", f"must be the number of a line, from 1, got {row!r}")
        tester = self._text("tester", document.get("tester", "delimited text"))
        zone = self._zone("time_zone", document.get("time_zone"))
        table = document.get("columns")
        if not isinstance(table, dict) or not table:
            self._fail("columns", f"must be a table of column names, got {table!r}")
        mapped = tuple(self._column(name, facts, zone) for name, facts in table.items())
        self._check_targets(mapped)
        return Layout(self._path.stem, digest, tester, delimiter, document["decimal"], row, mapped)

    def _column(self, name: str, facts: Any, zone: str | None) -> MappedColumn:
        if not isinstance(facts, dict):
            self._fail(name, f"must be a table such as {{ to = 'voltage_volt', unit = 'V' }}, got {facts!r}")
        self._refuse_unknown(name, facts, _COLUMN_KEYS)
        to = self._target(name, facts.get("to"))
        written = facts.get("format")
        if written is not None:
            return self._timed(name, to, self._text(name, written, "format"), facts, zone)
        if "zone" in facts:
            self._fail(name, "zone needs a format")
        factor, offset = self._scale(name, to, facts)
        sign = facts.get("sign", None if to == columns.CURRENT.name else 1)
        if sign not in (1, -1) or isinstance(sign, bool):
            meaning = " (positive values charge) or -1 (they discharge)" if to == columns.CURRENT.name else " or -1"
            self._fail(name, f"sign must be 1{meaning}, got {sign!r}")
        return MappedColumn(name, to, facts.get("unit", ""), factor, offset, int(sign))

    def _target(self, name: str, to: Any) -> str:
        text = to if isinstance(to, str) else ""
        if text in {column.name for column in DERIVED}:
            self._fail(name, f"to must not be {text}, which is derived from other columns")
        if text not in (AUX, IGNORE) and text not in BY_NAME and not is_aux(text):
            near = difflib.get_close_matches(text, BY_NAME, n=1)
            hint = f"; is {near[0]} meant?" if near else ""
            self._fail(name, f"to must be a canonical name, aux, aux_… or ignore, got {to!r}{hint}")
        return text

    def _timed(self, name: str, to: str, written: str, facts: dict[str, Any], zone: str | None) -> MappedColumn:
        wrong = [key for key in ("unit", "factor", "offset", "sign") if key in facts]
        if wrong:
            self._fail(name, f"{wrong[0]} and format exclude each other")
        allowed = _ELAPSED if written == CLOCK else _STAMPED
        if to not in allowed:
            self._fail(name, f"format {written!r} is for {' and '.join(sorted(allowed))}, not for {to}")
        if written != CLOCK and "%" not in written:
            self._fail(name, f"format must be {CLOCK!r} or one such as '%Y-%m-%d %H:%M:%S', got {written!r}")
        own = self._zone(name, facts.get("zone"), "zone")
        return MappedColumn(name, to, format=written, zone=own or zone)

    def _scale(self, name: str, to: str, facts: dict[str, Any]) -> tuple[float, float]:
        numbers = {key: facts[key] for key in ("factor", "offset") if key in facts}
        for key, value in numbers.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
                self._fail(name, f"{key} must be a number, got {value!r}")
        if numbers.get("factor") == 0:
            self._fail(name, "factor must not be 0")
        given = float(numbers.get("factor", 1.0)), float(numbers.get("offset", 0.0))
        unit = self._text(name, facts["unit"], "unit") if "unit" in facts else ""
        column = BY_NAME.get(to)
        if column is None:
            return given
        if not column.unit:
            if wrong := [key for key in ("unit", "factor", "offset", "sign") if key in facts]:
                self._fail(name, f"{to} has no unit and takes no {wrong[0]}")
            return given
        if "factor" in numbers:
            return given  # a unit beside it is only noted
        if not unit:
            self._fail(name, f"{to} ({column.unit}) needs a unit or a factor")
        scale = _unit(unit, column)
        if scale is None:
            self._fail(name, f"unit {unit!r} is not one of {to} ({column.unit})")
        return scale[0], scale[1] + given[1]

    def _check_targets(self, mapped: Iterable[MappedColumn]) -> None:
        by_target: dict[str, str] = {}
        for each in mapped:
            if each.to in by_target and each.to not in (AUX, IGNORE):
                self._fail(each.name, f"{by_target[each.to]!r} gives {each.to}, too")
            by_target[each.to] = each.name
        absent = [column.name for column in SERIES if column.name not in by_target]
        if absent and not all(column.name in by_target for column in SPECTRUM):
            self._fail("columns", f"no column gives {', '.join(absent)}")

    def _text(self, key: str, value: Any, what: str = "") -> str:
        if not isinstance(value, str) or not value.strip():
            self._fail(key, f"{what or 'value'} must be a text that is not empty, got {value!r}")
        return value

    def _zone(self, key: str, value: Any, what: str = "") -> str | None:
        if value is None:
            return None
        zone = self._text(key, value, what)
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._fail(key, f"must be an IANA time zone such as Europe/Berlin, got {zone!r}")
        return zone

    def _refuse_unknown(self, name: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in given:
            if key not in known:
                self._fail(name or key, f"unknown key {key!r}; there are {', '.join(known)}")

    def _fail(self, key: str, reason: str) -> NoReturn:
        """Raise with the first line that holds the key: the parser tells no lines."""
        pattern = re.compile(rf"^\s*(\[columns\.|\[|columns\.)?[\"']?{re.escape(key)}[\"']?\s*[\]=.]")
        line = next((number for number, line in enumerate(self._lines, 1) if pattern.match(line)), None)
        where = f"{self._path}:{line}" if line else str(self._path)
        raise SettingsError(f"{where}: {key}: {reason}")


def _unit(unit: str, column: columns.Column) -> tuple[float, float] | None:
    """Factor and offset from a unit to that of a column; None for one that is not known."""
    if column.unit == "degC":
        return _TEMPERATURES.get(re.sub(r"deg|[°. ]", "", unit.replace("℃", "C").replace("℉", "F").lower()))
    factor = unit_scale(unit.strip(), column)
    return None if factor is None else (factor, 0.0)
