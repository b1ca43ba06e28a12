"""What a column name says: the quantity, and the unit in which it is written.

Vendors write one thing in many ways: ``Test_Time(s)``, ``Current [mA]``, ``Phase/deg``, ``充电容量（mAh）``. This is
the one place that takes such names apart, and that knows units. What a quantity is called is each reader's own table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from battery_analysis.columns import Column
from battery_analysis.readers.digits import digits_of

_BRACKETS = re.compile(r"(?P<words>.*?[^\s(\[（])\s*[(\[（](?P<unit>[^()\[\]（）]*)[)\]）](?P<more>[^()\[\]（）]*)")
_SLASH = re.compile(r"(?P<words>.*[^\s/])\s*/\s*(?P<unit>[^\W\d_][^/]*|[°%][^/]*)")

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    "ms": 1e-3,
}
_PREFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6}
_SPELLINGS: dict[str, dict[str, float]] = {
    "V": dict.fromkeys(("v", "volt", "volts"), 1.0),
    "A": dict.fromkeys(("a", "amp", "amps"), 1.0),
    "W": dict.fromkeys(("w", "watt", "watts"), 1.0),
    "Ah": {**dict.fromkeys(("ah", "ahr", "amp-hr"), 1.0), **dict.fromkeys(("as", "c"), 1 / 3600)},
    "Wh": {**dict.fromkeys(("wh", "whr", "watt-hr"), 1.0), **dict.fromkeys(("ws", "j"), 1 / 3600)},
    "ohm": dict.fromkeys(("ohm", "ohms", "ω", "o"), 1.0),
}
"""Of units that are written in other ways than the canonical one, all ways in lower case, and what one of them is."""

_CLOCK_TIME = r"^(?:(\d+)\s*(?:(?:d|D|days?|天)[\s.,-]*|[\s.,-]+))?(\d+):(\d+):(\d+(?:[.,]\d+)?)$"
_CLOCK_TIME_AFTER_COLON = r"^(?::?(\d+)(?:d\s*|:|\s+))?(\d+):(\d+):(\d+(?:[.,]\d+)?)$"
_DAYS = re.compile(" *d *")
_PLAIN_TIME = re.compile(rb"(?P<days> *[dD] *|[ .,-])?::(?P<decimals>[.,])?")
_SHOWN_NAMES = 12


class Heading(NamedTuple):
    """A column name of the file, what it is called without spelling, and its unit as written."""

    name: str
    key: str
    unit: str


@lru_cache(maxsize=1024)
def heading(name: str) -> Heading:
    """Take a column name apart whose unit, if there is one, stands in brackets.

    >>> heading("Aux_Temperature(℃)_1")
    Heading(name='Aux_Temperature(℃)_1', key='auxtemperature1', unit='℃')
    """
    name = name.strip().strip('"').strip()
    words, unit = split_unit(name)
    return Heading(name, re.sub(r"[^a-z0-9]", "", words.lower()), unit)


def split_unit(name: str, *, slash: bool = False) -> tuple[str, str]:
    """Cut a column name into words and unit; no unit where none is set apart.

    Args:
        name: The column name.
        slash: Whether a unit may also stand behind a slash, which other vendors use for derivatives.

    >>> split_unit("WE(1).Current (A)"), split_unit("Phase/deg", slash=True), split_unit("dV/dt [V/s]")
    (('WE(1).Current', 'A'), ('Phase', 'deg'), ('dV/dt', 'V/s'))
    """
    name = name.strip()
    parts = _BRACKETS.fullmatch(name)
    if parts:
        return parts["words"] + parts["more"], parts["unit"].strip()
    parts = _SLASH.fullmatch(name) if slash else None
    return (parts["words"], parts["unit"].strip()) if parts else (name, "")


def unit_scale(unit: str, column: Column) -> float | None:
    """By what values in ``unit`` are multiplied to become those of ``column``; None for an unknown unit.

    No unit is the canonical one, and so is any unit of a temperature: the degree sign rarely survives, and what is in
    kelvin or Fahrenheit needs more than a factor.

    >>> from battery_analysis import columns
    >>> unit_scale("mA", columns.CURRENT), unit_scale("h", columns.TEST_TIME), unit_scale("furlong", columns.VOLTAGE)
    (0.001, 3600.0, None)
    """
    if not unit or column.unit in ("", "degC"):
        return 1.0
    if column.unit == "s":
        return _SECONDS.get(unit.lower())
    bare = re.sub(r"[ .·]", "", unit).replace("Ω", "ω")  # the sign for ohm is not the Greek letter
    spellings = _SPELLINGS.get(column.unit, {column.unit.lower(): 1.0})
    for spelling in sorted(spellings, key=len, reverse=True):
        prefix = bare[: len(bare) - len(spelling)]
        if bare.lower().endswith(spelling) and prefix in _PREFIXES:
            return _PREFIXES[prefix] * spellings[spelling]
    return None


def clock_seconds(texts: pl.Series, *, colon_after_days: bool = False) -> pl.Series:
    """Seconds of times written as hours, minutes and seconds, with or without days; null where they are not.

    Args:
        texts: The times as written.
        colon_after_days: Whether ``1:02:03:04`` begins with days.

    >>> clock_seconds(pl.Series(["144:02:18.5", "1-02:03:04", "1d 02:03:04,5", "29:58"])).to_list()
    [518538.5, 93784.0, 93784.5, None]
    """
    if (plain := _plain_seconds(texts)) is not None:
        return plain
    first = texts.drop_nulls().first()
    if isinstance(first, str) and first != first.strip():
        texts = texts.str.strip_chars()
    if isinstance(first, str) and (mark := _DAYS.search(first)):
        days, times = texts.str.splitn(mark[0], 2).struct.unnest()
        total = _seconds(times, days.cast(pl.UInt32, strict=False))
    else:
        total = _seconds(texts)
    if total.null_count() > texts.null_count():
        pattern = _CLOCK_TIME_AFTER_COLON if colon_after_days else _CLOCK_TIME
        groups = texts.str.strip_chars().str.extract_groups(pattern).struct.unnest()
        days, hours, minutes, seconds = (
            group.str.replace(",", ".", literal=True).cast(pl.Float64) for group in groups.iter_columns()
        )
        total = ((days.fill_null(0.0) * 24 + hours) * 60 + minutes) * 60 + seconds
    return total.alias(texts.name)


def _plain_seconds(texts: pl.Series) -> pl.Series | None:
    """Seconds of texts that all are hours, minutes and seconds, most with days before or decimals behind; else None."""
    found = digits_of(texts)
    if found is None or (form := _PLAIN_TIME.fullmatch(found.marks)) is None:
        return None
    days, decimals = bool(form["days"]), bool(form["decimals"])
    if len(found.numbers) != days + 3 + decimals:
        return None
    seconds = found.decimal(days + 2) if decimals else found.numbers[days + 2]
    hours = found.numbers[days] + (24.0 * found.numbers[0] if days else 0.0)
    return pl.Series(texts.name, (hours * 60 + found.numbers[days + 1]) * 60 + seconds)


def _seconds(times: pl.Series, days: pl.Series | float = 0.0) -> pl.Series:
    """Cut plain times at their colons, which is faster than a pattern."""
    parts = times.str.splitn(":", 3).struct.unnest()
    hours, minutes, seconds = (
        part.cast(dtype, strict=False)
        for part, dtype in zip(parts.iter_columns(), (pl.UInt32, pl.UInt32, pl.Float64), strict=True)
    )
    return ((days * 24.0 + hours) * 60 + minutes) * 60 + seconds


def absent(column: Column, headings: Sequence[str]) -> str:
    """Say that a column is missing, and which ones the file has instead."""
    more = f" and {len(headings) - _SHOWN_NAMES} more" if len(headings) > _SHOWN_NAMES else ""
    what = column.name.rpartition("_")[0].replace("_", " ")
    return f"the {what} column is missing; the file has {', '.join(headings[:_SHOWN_NAMES])}{more}"
