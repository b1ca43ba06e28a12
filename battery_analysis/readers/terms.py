"""Vendor tables to canonical columns by what their headings mean, in whatever unit they are written.

A reader says what its vendor's quantities are; the unit comes from the heading, and without one it is the canonical
unit. Times may be written as clock times, temperatures in kelvin or Fahrenheit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import SchemaError
from battery_analysis.readers.base import ColumnSource, TestMetadata
from battery_analysis.readers.headings import Heading, absent, clock_seconds, unit_scale
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.stamps import certain_ends, local_to_unix, moment, unix_time

SERIES = (columns.TEST_TIME, columns.VOLTAGE, columns.CURRENT)
"""What every cycler writes for each record."""

_KELVIN = 273.15
_SHOWN_WORDS = 50
_DURATION = r"^\s*(?:\d+d\s+)?\d+:\d{2}:\d{2}(?:[.,]\d+)?\s*$"


def to_frame(
    raw: pl.DataFrame,
    headings: Sequence[Heading],
    terms: Mapping[str, Column],
    required: Sequence[Column] = SERIES,
) -> tuple[pl.DataFrame, dict[str, ColumnSource], list[str]]:
    """Bring a vendor's table to canonical and ``aux_`` columns.

    Args:
        raw: The table under the vendor's names.
        headings: What the names say, for each column of ``raw``.
        terms: Canonical column of each vendor quantity, in order of preference.
        required: Columns without which there is nothing to read.

    Returns:
        The frame, where its columns come from, and warnings about columns that are kept as they are.

    Raises:
        SchemaError: A required column is absent, has an unknown unit or holds no numbers.
    """
    maps: list[Map] = []
    converted: list[pl.Series] = []
    warnings: list[str] = []
    for each, column in ((each, column) for key, column in terms.items() for each in headings if each.key == key):
        values = as_numbers(raw[each.name], each.unit, column)
        scale = _scale(each.unit, column, raw.schema[each.name])
        problem = fault(values, each, column, scale)
        if problem is None and scale is not None:
            converted.append(values)
            maps.append(Map(each.name, column, scale, each.unit))
        elif column in required:
            raise SchemaError(str(problem))
        elif values.null_count() < values.len():
            warnings.append(f"{problem}; kept as it is")
    for column in required:
        if not any(entry.column is column for entry in maps):
            raise SchemaError(absent(column, [each.name for each in headings]))
    durations = {name: seconds for name in _texts(raw, maps) if (seconds := _duration(raw[name])) is not None}
    units = {each.name: "s" if each.name in durations else each.unit for each in headings}
    frame, sources = to_canonical(raw.with_columns(*converted, *durations.values()), maps, units)
    return frame, sources, warnings


def _texts(raw: pl.DataFrame, maps: Sequence[Map]) -> list[str]:
    mapped = {entry.source for entry in maps}
    return [name for name, dtype in raw.schema.items() if dtype == pl.String and name not in mapped]


def _duration(values: pl.Series) -> pl.Series | None:
    """Seconds of a column of which every cell is a clock time, with hours; None where one is anything else."""
    if not values.count() or not values.drop_nulls().str.contains(_DURATION).all():
        return None
    return clock_seconds(values)


def as_numbers(values: pl.Series, unit: str, column: Column) -> pl.Series:
    """Convert clock times to seconds, kelvin and Fahrenheit to degrees Celsius, codes to texts; leave the rest.

    >>> as_numbers(pl.Series("Time", ["0-00:00:01.5", "1d 00:00:00"]), "", columns.TEST_TIME).to_list()
    [1.5, 86400.0]
    """
    if column.dtype == pl.String():
        return values.cast(pl.String)  # codes, or a column without any cell
    if column.unit == "s" and values.dtype == pl.String:
        seconds = clock_seconds(values)
        return seconds if seconds.null_count() == values.null_count() else values
    if column.unit == "s" and values.dtype == pl.Duration:
        return values.dt.total_microseconds() / 1e6
    if column.unit == "degC" and values.dtype.is_numeric():
        bare = unit.strip("°. ").lower()
        if bare == "k":
            return values - _KELVIN
        if bare in ("f", "degf"):
            return (values - 32.0) / 1.8
    return values


def with_clock(
    frame: pl.DataFrame, stamps: pl.Series, time_zone: str, metadata: TestMetadata
) -> tuple[pl.DataFrame, list[str]]:
    """Add the clock time, and to the metadata its source, its zone and when the test started and ended."""
    test_time = frame[columns.TEST_TIME.name]
    warnings: list[str] = []
    if stamps.dtype == pl.Datetime:
        clock, local = local_to_unix(stamps, test_time, time_zone), True
    else:
        clock, local, warnings = unix_time(stamps, test_time, time_zone)
    if not date_test(metadata, clock, test_time):
        return frame, warnings
    metadata.time_zone = time_zone if local else None
    metadata.sources[columns.UNIX_TIME.name] = ColumnSource(stamps.name)
    return frame.with_columns(clock.alias(columns.UNIX_TIME.name)), warnings


def date_test(metadata: TestMetadata, clock: pl.Series, test_time: pl.Series) -> bool:
    """Say in the metadata when the test started and ended, by the clock of its records; whether any has one."""
    ends = certain_ends(clock, test_time)
    if ends is None:
        return False
    (first, since_start), (last, _) = ends
    metadata.started_at = moment(first - max(0.0, since_start)) or metadata.started_at
    metadata.ended_at = moment(last)
    return True


def words(values: pl.Series) -> str:
    """The different words of a text column, as the metadata keep them."""
    different = values.drop_nulls().unique(maintain_order=True)
    more = f"; and {different.len() - _SHOWN_WORDS} more" if different.len() > _SHOWN_WORDS else ""
    return "; ".join(map(str, different.head(_SHOWN_WORDS))) + more


def keep_words(raw: pl.DataFrame, metadata: TestMetadata, mapped: Sequence[str] = ()) -> None:
    """Keep what text columns say in the header; those in ``mapped``, and sources of columns, are kept elsewhere."""
    kept = {*mapped, *(source.name for source in metadata.sources.values())}
    for name, dtype in raw.schema.items():
        if dtype == pl.String and name not in kept and raw[name].null_count() < raw.height:
            metadata.header[name] = words(raw[name])


def _scale(unit: str, column: Column, written: pl.DataType) -> float | None:
    if column.unit != "s":
        return unit_scale(unit, column)
    if written in (pl.String, pl.Duration):
        return 1.0  # a clock time, whatever the heading calls its notation
    return unit_scale(unit.strip().rstrip(".").lower().removeprefix("decimal "), column)


def fault(values: pl.Series, heading: Heading, column: Column, scale: float | None) -> str | None:
    """Say why values under a heading cannot be those of a column; None where they can.

    Args:
        values: What the file holds, clock times already converted.
        heading: What the vendor's name says.
        column: What it is to be.
        scale: What its unit is multiplied by; None where the unit is not known.
    """
    if scale is None:
        return f"the unit {heading.unit!r} of column {heading.name!r} is not known"
    if column.dtype == pl.String():
        return None
    if not values.dtype.is_numeric():
        example = values.drop_nulls().first()
        return f"column {heading.name!r} holds no numbers, but texts such as {example!r}"
    if column.dtype == pl.Int64() and values.dtype.is_float() and not (values.round() == values).all():
        return f"column {heading.name!r} holds fractions"
    return None
