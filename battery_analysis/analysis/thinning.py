"""A few thousand points of each signal that look like all: the smallest and largest value in each stretch of time."""

from __future__ import annotations

import numpy as np
import polars as pl

from battery_analysis.analysis.records import FloatArray, IntArray, cycle_column, has_values
from battery_analysis.columns import (
    AMBIENT_TEMPERATURE,
    CURRENT,
    SENSOR_TEMPERATURES,
    SURFACE_TEMPERATURE,
    TEST_TIME,
    VOLTAGE,
)

OVERVIEW_SCHEMA: dict[str, pl.DataType] = {
    "signal": pl.String(),
    "test_time_second": pl.Float64(),
    "value": pl.Float64(),
}

SIGNALS = tuple(
    column.name for column in (VOLTAGE, CURRENT, SURFACE_TEMPERATURE, *SENSOR_TEMPERATURES, AMBIENT_TEMPERATURE)
)
"""Columns that an overview shows beside the cycle number."""


def overview(frame: pl.DataFrame, points: int = 4000) -> pl.DataFrame:
    """Thin voltage, current, temperatures and cycle number to what a plot of the whole test needs.

    Args:
        frame: Canonical time series; test time must not run backwards.
        points: How many points to keep of each signal; a shorter signal is kept whole.

    Returns:
        ``signal`` (name of the column), ``test_time_second``, ``value``: signal after signal, each in time order,
        without missing values, with its first and last record and its true minimum and maximum. Empty where
        there is no test time, as in a spectrum.

    Example:
        >>> overview(pl.DataFrame({"test_time_second": [0.0, 1.0], "voltage_volt": [3.7, None]})).rows()
        [('voltage_volt', 0.0, 3.7)]
    """
    names = [*SIGNALS]
    if number := cycle_column(frame):
        names.append(number)
    parts = []
    if has_values(frame, TEST_TIME.name):
        for name in names:
            if has_values(frame, name):
                parts.append(_thinned(frame, name, points))
    return pl.concat(parts) if parts else pl.DataFrame(schema=OVERVIEW_SCHEMA)


def thin(places: FloatArray, values: FloatArray, points: int) -> tuple[FloatArray, FloatArray]:
    """Return at most about ``points`` of a signal: the smallest and largest value of each stretch, and both ends.

    Args:
        places: Where the values stand, ascending, such as test times.
        values: As many; none missing.
        points: How many to keep; a shorter signal is kept whole.

    Example:
        >>> places, values = thin(np.arange(1000.0), np.where(np.arange(1000) == 777, 5.0, 0.0), 10)
        >>> float(values.max()), float(places[values.argmax()]), places.size <= 12
        (5.0, 777.0, True)
    """
    if values.size <= points:
        return places, values
    kept = _extremes(places, values, points)
    return places[kept], values[kept]


def _thinned(frame: pl.DataFrame, name: str, points: int) -> pl.DataFrame:
    pairs = frame.select(TEST_TIME.name, pl.col(name).cast(pl.Float64))
    if any(count for count in pairs.null_count().row(0)):
        pairs = pairs.drop_nulls()
    time, value = thin(pairs[TEST_TIME.name].to_numpy(), pairs[name].to_numpy(), points)
    return pl.DataFrame({"test_time_second": time, "value": value}).select(pl.lit(name).alias("signal"), pl.all())


def _extremes(time: FloatArray, values: FloatArray, points: int) -> IntArray:
    """Positions of the smallest and largest value of each of ``points`` / 2 stretches, and of both ends."""
    from tsdownsample import MinMaxDownsampler

    downsampler = MinMaxDownsampler()  # type: ignore[no-untyped-call]
    even = points - points % 2
    if time[-1] > time[0]:
        kept = downsampler.downsample(time, values, n_out=even)
    else:
        kept = downsampler.downsample(values, n_out=even)
    ordered = np.concatenate(([0], kept.astype(np.int64), [time.size - 1]))
    return ordered[np.diff(ordered, prepend=-1) > 0]
