"""From a table under Neware's column names to a frame, shared by text exports and workbooks.

Times:
    ``Total Time`` is the test time; where a report has none, it is the sum of the steps so far and the time in this
    one (a pause is not in it), else what the clock has run since the first record. Times are texts such as
    ``144:02:18``, ``00:29:58.500`` or ``1-02:03:04`` (days first), durations of a workbook, or numbers where the
    heading gives a unit. Clock stamps are local time.

Choices:
    Where no current of the report is negative although something was discharged, currents carry no sign: that of
    the steps whose type says discharge is set. Words of text columns are kept in the metadata's header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import SchemaError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.headings import absent, clock_seconds
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.neware_columns import total_time
from battery_analysis.readers.neware_headings import TERMS, Heading, heading, is_clock, unit_scale
from battery_analysis.readers.neware_times import first_stamp, last_stamp
from battery_analysis.readers.stamps import unix_time
from battery_analysis.readers.terms import words

REQUIRED = (columns.VOLTAGE, columns.CURRENT)

_DISCHARGE = re.compile(r"D_?Ch|放电", re.IGNORECASE)
_REST = re.compile(r"rest|ocv|pause|搁置|静置|暂停|开路", re.IGNORECASE)
_STEP_MARKS = (columns.CYCLE_COUNT, columns.STEP_COUNT, columns.STEP_ID, columns.STEP_TYPE)


def to_reading(table: pl.DataFrame, metadata: TestMetadata, warnings: list[str], time_zone: str) -> Reading:
    """Turn a table under the vendor's names into canonical and ``aux_`` columns.

    Args:
        table: Records in order.
        metadata: What is known already; sources, technique, times and the words of text columns are filled in.
        warnings: What had to be said already.
        time_zone: Zone of the clock stamps.

    Raises:
        SchemaError: Voltage or current is absent, has no known unit or holds no numbers; or there is no time.
    """
    table = table.select(name for name in table.columns if not _is_filler(name, table[name]))
    headings = [heading(name) for name in table.columns]
    _keep_words(metadata, table, headings)
    stamps = _stamps(table, headings)
    if stamps is not None:
        table = table.drop(stamps.name)
    table, maps, map_warnings = _map_columns(table, [each for each in headings if each.name in table.columns])
    frame, metadata.sources = to_canonical(table, maps, {each.name: each.unit for each in headings})
    warnings = [*warnings, *map_warnings]
    frame = _signed(_counted_steps(frame, metadata))
    frame = _with_step_sums(frame, metadata)
    if stamps is not None:
        frame, stamp_warnings = _with_clock(frame, stamps, time_zone, metadata)
        warnings += stamp_warnings
    if columns.TEST_TIME.name not in frame:
        raise SchemaError("no column gives a time: neither Total Time nor Time nor Date can be read")
    metadata.started_at = first_stamp(frame) or metadata.started_at
    metadata.ended_at = last_stamp(frame) or metadata.ended_at
    _describe_steps(metadata, frame)
    return Reading(frame, metadata, warnings)


def seconds_of(values: pl.Series) -> pl.Series:
    """Seconds of durations, and of times written as hours, minutes and seconds; null where they are neither."""
    if values.dtype == pl.Duration:
        return values.dt.total_microseconds() / 1e6
    if values.dtype != pl.String:
        return pl.Series(values.name, [None] * values.len(), pl.Float64)
    return clock_seconds(values)


def _is_filler(name: str, values: pl.Series) -> bool:
    return name.startswith("unnamed ") and values.null_count() == values.len()


def _keep_words(metadata: TestMetadata, table: pl.DataFrame, headings: Sequence[Heading]) -> None:
    """Keep the words of text columns that become no column of the frame."""
    for each in headings:
        if table.schema[each.name] != pl.String or each.column is not None:
            continue
        if table[each.name].count():
            metadata.header[each.name] = words(table[each.name])


def _stamps(table: pl.DataFrame, headings: Sequence[Heading]) -> pl.Series | None:
    name = next((each.name for key in TERMS for each in headings if each.key == key and _is_stamp(each)), None)
    return table[name] if name is not None else None


def _is_stamp(each: Heading) -> bool:
    return each.column is columns.UNIX_TIME


def _map_columns(table: pl.DataFrame, headings: Sequence[Heading]) -> tuple[pl.DataFrame, list[Map], list[str]]:
    """Declare which column holds what, converting clock times and whole numbers that are kept as reals.

    Raises:
        SchemaError: Voltage or current is absent, has no known unit or holds no numbers.
    """
    order = {key: place for place, key in enumerate(TERMS)}
    converted: list[pl.Series] = []
    maps: dict[Column, Map] = {}
    warnings: list[str] = []
    for each in sorted(headings, key=lambda each: order.get(each.key, len(order))):
        column = each.column
        if column is None or column is columns.UNIX_TIME or column in maps:
            continue
        try:
            values = _as_column(table[each.name], each, column)
        except SchemaError as exc:
            if column in REQUIRED:
                raise
            warnings.append(f"{exc}; {'kept as it is' if table[each.name].dtype.is_numeric() else 'left out'}")
            continue
        if lost := values.null_count() - table[each.name].null_count():
            warnings.append(f"{lost} values of column {each.name!r} cannot be read and are kept as missing")
        converted.append(values)
        maps[column] = Map(each.name, column, unit_scale(each.unit, column) or 1.0, each.unit)
    for column in REQUIRED:
        if column not in maps:
            raise SchemaError(absent(column, [each.name for each in headings]))
    return table.with_columns(converted), list(maps.values()), warnings


def _as_column(values: pl.Series, source: Heading, column: Column) -> pl.Series:
    """Convert to the type of a column; its unit stays.

    Raises:
        SchemaError: The values are not what the column holds, or their unit is not known.
    """
    if column is columns.STEP_TYPE:
        kinds = values.cast(pl.String).unique()
        bare = kinds.str.strip_chars(' \t"')
        return values.cast(pl.String) if bare.equals(kinds) else values.cast(pl.String).str.strip_chars(' \t"')
    if column.unit == "s" and is_clock(source.unit):
        seconds = seconds_of(values)
        if 2 * seconds.null_count() > values.len() + values.null_count():
            shown = values.filter(seconds.is_null()).drop_nulls()
            such = f"but {shown[0]!r}" if shown.len() else "but nothing"
            raise SchemaError(f"column {source.name!r} holds no hours:minutes:seconds, {such}")
        return seconds
    if not values.dtype.is_numeric():
        there = values.drop_nulls()
        shown_text = f"texts such as {there[0]!r}" if there.len() else "nothing"
        raise SchemaError(f"column {source.name!r} holds no numbers, but {shown_text}")
    if unit_scale(source.unit, column) is None:
        problem = f"the unit {source.unit!r} of column {source.name!r} is not known"
        raise SchemaError(problem if source.unit else f"column {source.name!r} has no unit")
    if column.dtype == pl.Int64() and values.dtype.is_float():
        if not (values.round() == values).all():
            raise SchemaError(f"column {source.name!r} holds fractions")
        return values.cast(pl.Int64)
    # The throughput of both directions is a magnitude; some versions write discharge as a negative number.
    return values.abs() if "_cumulative_" in column.name else values


def _counted_steps(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Take step numbers that fall for those of the programme: executed steps are only counted up."""
    count, programme = columns.STEP_COUNT.name, columns.STEP_ID.name
    if count not in frame or not (frame[count].diff() < 0).any():
        return frame
    name = programme if programme not in frame else columns.aux_name(metadata.sources[count].name)
    metadata.sources[name] = metadata.sources.pop(count)
    return frame.rename({count: name})


def _signed(frame: pl.DataFrame) -> pl.DataFrame:
    """Give the currents of discharge steps their sign where the report has none."""
    current, kind = columns.CURRENT.name, columns.STEP_TYPE.name
    if kind not in frame or (frame[current] < 0).any():
        return frame
    discharges = [word for word in frame[kind].drop_nulls().unique() if _DISCHARGE.search(word)]
    if not discharges:
        return frame
    discharging = pl.col(kind).is_in(discharges).fill_null(False) & (pl.col(current) != 0)
    return frame.with_columns(pl.when(discharging).then(-pl.col(current)).otherwise(pl.col(current)).alias(current))


def _with_step_sums(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Add the test time as the sum of the times of the steps, where the report has only those."""
    test, step = columns.TEST_TIME.name, columns.STEP_TIME.name
    if test in frame or step not in frame or frame[step].null_count() == frame.height:
        return frame
    new_step = (pl.col(step).diff() < 0).fill_null(False)
    for mark in _STEP_MARKS:
        if mark.name in frame:
            new_step |= (pl.col(mark.name) != pl.col(mark.name).shift()).fill_null(False)
    steps = frame.select(new_step.cast(pl.Int64).cum_sum()).to_series()
    metadata.sources[test] = replace(
        metadata.sources[step], name=f"sum of {metadata.sources[step].name} over the steps"
    )
    return frame.with_columns(total_time(steps, frame[step]).alias(test))


def _with_clock(
    frame: pl.DataFrame, stamps: pl.Series, time_zone: str, metadata: TestMetadata
) -> tuple[pl.DataFrame, list[str]]:
    """Add the clock time, and where nothing else gives it, the test time."""
    test = columns.TEST_TIME.name
    known = frame[test] if test in frame else pl.Series(test, [0.0] * frame.height)
    clock, local, warnings = unix_time(stamps, known, time_zone)
    if clock.null_count() == clock.len():
        return frame, warnings
    metadata.time_zone = time_zone if local else None
    metadata.sources[columns.UNIX_TIME.name] = ColumnSource(stamps.name)
    frame = frame.with_columns(clock.alias(columns.UNIX_TIME.name))
    if test not in frame:
        metadata.sources[test] = ColumnSource(f"{stamps.name} since the first record")
        frame = frame.with_columns((clock - clock.drop_nulls()[0]).alias(test))
        warnings = [*warnings, f"test time is taken from the clock in column {stamps.name!r}, pauses included"]
    return frame, warnings


def _describe_steps(metadata: TestMetadata, frame: pl.DataFrame) -> None:
    """Say in the metadata which kinds of steps there are, in order of appearance, and what kind of test they make."""
    if columns.STEP_TYPE.name not in frame:
        return
    kinds = frame[columns.STEP_TYPE.name].drop_nulls().unique(maintain_order=True).to_list()
    if kinds:
        metadata.technique = ", ".join(kinds)
        metadata.test_type = "ocv" if all(_REST.search(kind) for kind in kinds) else "cycling"
