"""A table under Maccor's names to canonical columns: numbers, names and units.

- Times are numbers or clock times (``1d 10:10:05``); what their numbers and those of an unscaled voltage count is
  settled by ``maccor_evidence``.
- ``ACImp`` and ``DCIR`` are 0 where nothing was measured, and are left empty there.
- Thermocouples that are not connected read below absolute zero: such columns stay ``aux_``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import SchemaError
from battery_analysis.readers.base import ColumnSource
from battery_analysis.readers.headings import absent, clock_seconds
from battery_analysis.readers.maccor_columns import (
    CAPACITY,
    ENERGY,
    REQUIRED,
    STAMP_KEYS,
    TERMS,
    Heading,
    heading,
    is_time,
    scale_of,
)
from battery_analysis.readers.maccor_evidence import MINUTE, TIME_SCALES, time_scale, voltage_scale
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.stamps import unix_time
from battery_analysis.readers.terms import fault

UNITS_SUFFIX = " Units"
"""Ends the name under which a column called ``Units`` is passed on; it begins with the name of the column before."""

_ABSOLUTE_ZERO = -273.15
_RESISTANCES = (columns.AC_INTERNAL_RESISTANCE, columns.DC_INTERNAL_RESISTANCE)
_AUX_SENSOR = re.compile(r"(?:aux|temp(?:erature)?)\D*(\d+)", re.IGNORECASE)


class Mapped(NamedTuple):
    """A frame, where its columns come from, the column of clock stamps if there is one, and what had to be said."""

    frame: pl.DataFrame
    sources: dict[str, ColumnSource]
    stamps: pl.Series | None
    warnings: list[str]


def name_units(cells: Sequence[str]) -> list[str]:
    """Give each column ``Units`` a name of its own.

    >>> name_units(["Aux #1", " Units", "VAR1"])
    ['Aux #1', 'Aux #1 Units', 'VAR1']
    """
    bare = [cell.strip(' "') for cell in cells]
    return [
        bare[at - 1] + UNITS_SUFFIX if at and name.lower() == "units" else cells[at] for at, name in enumerate(bare)
    ]


def map_table(raw: pl.DataFrame, units: Mapping[str, str]) -> Mapped:
    """Name and scale the columns of a table.

    Args:
        raw: Numbers and texts as the file holds them, under Maccor's names.
        units: For columns without a column Units behind them, what stood in it.

    Raises:
        SchemaError: Test time or voltage is absent, or one of them or the current has an unknown unit or no numbers.
    """
    raw, read_units = _without_units(raw)
    units = {**units, **read_units}
    stamp_name = next((name for key in STAMP_KEYS for name in raw.columns if heading(name).key == key), None)
    stamps = raw.drop_in_place(stamp_name) if stamp_name else None
    raw, clock_times = _as_numbers(raw)
    headings = [each._replace(unit="s") if each.name in clock_times else each for each in map(heading, raw.columns)]
    milli = {each.name for each in headings if each.in_milli}
    maps, warnings = _declare(raw, headings)
    warnings += _settle_times(raw, maps, stamps)
    warnings += _settle_voltage(raw, maps, bool(milli))
    warnings += _add_sensors(raw, maps, units)
    plain = [
        entry if entry.unit else replace(entry, unit=("m" if entry.source in milli else "") + entry.column.unit)
        for entry in maps.values()
    ]
    frame, sources = to_canonical(raw, plain, {each.name: each.unit for each in headings} | units)
    measured = [
        pl.when(pl.col(column.name) != 0).then(pl.col(column.name)).alias(column.name)
        for column in _RESISTANCES
        if column.name in frame.columns
    ]
    return Mapped(frame.with_columns(measured), sources, stamps, warnings)


def _without_units(raw: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Take the columns called Units away, and the unit that each gives the column before it."""
    units = {}
    for name in [name for name in raw.columns if name.endswith(UNITS_SUFFIX)]:
        first = raw[name].first()
        if not str(first or "").strip():
            words = raw[name].unique(maintain_order=True).cast(pl.String).str.strip_chars()
            first = words.filter(words != "").first()
        units[name.removesuffix(UNITS_SUFFIX)] = str(first or "").strip()
    return raw.drop(name + UNITS_SUFFIX for name in units), units


def _as_numbers(raw: pl.DataFrame) -> tuple[pl.DataFrame, set[str]]:
    """Turn clock times, and numbers with ``N/A`` between them, into numbers; also name the columns of clock times."""
    converted = []
    clock_times = set()
    for name in raw.columns:
        values, column = raw[name], heading(name).column
        if values.dtype == pl.Duration:
            converted.append(values.dt.total_microseconds() / 1e6)
            clock_times.add(name)
            continue
        if values.dtype != pl.String or column is columns.STEP_TYPE:
            continue
        numbers = _seconds(values) if column is not None and is_time(column) else None
        if numbers is not None:
            clock_times.add(name)
        else:
            alike = not values.null_count() and (values == values[0]).all()
            if not _numbers(values.head(1) if alike else values.unique()).count():
                continue  # a column of N/A alone, of which Maccor writes several
            numbers = _numbers(values)
        if numbers.count():
            converted.append(numbers.alias(name))
    return raw.with_columns(converted), clock_times


def _numbers(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars().cast(pl.Float64, strict=False)


def _seconds(values: pl.Series) -> pl.Series | None:
    total = clock_seconds(values, colon_after_days=True)
    return total if 2 * total.count() > values.count() else None


def _declare(raw: pl.DataFrame, headings: Sequence[Heading]) -> tuple[dict[Column, Map], list[str]]:
    """Declare which column holds what, with the scale that its own name tells."""
    maps: dict[Column, Map] = {}
    warnings = []
    for each in (each for key in TERMS for each in headings if each.key == key):
        column, values = TERMS[each.key], raw[each.name]
        if column in maps:
            continue
        scale = scale_of(each, column)
        problem = fault(values, each, column, scale)
        if problem is None and scale is not None:
            maps[column] = Map(each.name, column, scale, each.unit)
        elif column in REQUIRED:
            raise SchemaError(str(problem))
        elif values.dtype.is_numeric():
            warnings.append(f"{problem}; kept as it is")
    for column in (columns.TEST_TIME, columns.VOLTAGE):
        if column not in maps:
            raise SchemaError(absent(column, [each.name for each in headings]))
    return maps, warnings


def _scaled(raw: pl.DataFrame, maps: dict[Column, Map], column: Column) -> pl.Series | None:
    return raw[maps[column].source] * maps[column].scale if column in maps else None


def _settle_times(raw: pl.DataFrame, maps: dict[Column, Map], stamps: pl.Series | None) -> list[str]:
    """Find out what times without a unit count."""
    unclear = [column for column in maps if is_time(column) and not maps[column].unit]
    if not unclear:
        return []
    time = raw[maps[unclear[0]].source]
    capacity = _scaled(raw, maps, CAPACITY)
    current = _scaled(raw, maps, columns.CURRENT)
    clock = unix_time(stamps, time * MINUTE, "UTC").unix_time if stamps is not None else None
    scale = time_scale(time, clock, current, capacity)
    for column in unclear:
        known = scale or MINUTE
        maps[column] = Map(maps[column].source, column, known, TIME_SCALES[known])
    if scale:
        return []
    return [f"the column {maps[unclear[0]].source!r} has no unit, and nothing in the file tells it; taken as minutes"]


def _settle_voltage(raw: pl.DataFrame, maps: dict[Column, Map], milli: bool) -> list[str]:
    entry = maps[columns.VOLTAGE]
    if entry.unit or entry.scale != 1.0:
        return []
    capacity, energy = _scaled(raw, maps, CAPACITY), _scaled(raw, maps, ENERGY)
    scale, warning = voltage_scale(raw[entry.source], capacity, energy, milli)
    maps[columns.VOLTAGE] = Map(entry.source, columns.VOLTAGE, scale, "mV" if warning else "V")
    return [f"column {entry.source!r}: {warning}"] if warning else []


def _add_sensors(raw: pl.DataFrame, maps: dict[Column, Map], units: Mapping[str, str]) -> list[str]:
    """Take auxiliary inputs in degrees Celsius for temperatures, and those that cannot be any for none."""
    for name, unit in units.items():
        number = _AUX_SENSOR.fullmatch(name)
        if number and unit.strip("°").upper() == "C" and 1 <= int(number[1]) <= len(columns.SENSOR_TEMPERATURES):
            column = columns.SENSOR_TEMPERATURES[int(number[1]) - 1]
            if raw.schema[name].is_numeric():
                maps.setdefault(column, Map(name, column, 1.0, unit))
    cold = [column for column in maps if column.unit == "degC" and _is_below_zero(raw[maps[column].source])]
    names = [maps.pop(column).source for column in cold]
    if not names:
        return []
    return [f"temperatures below absolute zero, as without a sensor, in {', '.join(names)}; kept as aux_ columns"]


def _is_below_zero(values: pl.Series) -> bool:
    lowest = values.min()
    return isinstance(lowest, int | float) and lowest < _ABSOLUTE_ZERO
