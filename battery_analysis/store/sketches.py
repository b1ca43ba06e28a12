"""What a segment looks like from afar: for each column of numbers a few hundred extremes with their times.

A sketch is a document beside its segment, with the same id. Of each column it holds as many times and then as many
values, as doubles: thousands of sketches are read at once, and need no decoder.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from battery_analysis.analysis.records import FloatArray
from battery_analysis.analysis.thinning import thin
from battery_analysis.columns import TEST_TIME

SKETCHES = "segment_sketches"

POINTS = 256
"""The smallest and largest value of each of 128 stretches of a segment."""


def sketch(rows: pl.DataFrame) -> dict[str, bytes]:
    """Return the sketches of the numeric columns of a segment; none where there is no test time."""
    if TEST_TIME.name not in rows.columns:
        return {}
    return {
        name: sketch_of(rows[TEST_TIME.name], rows[name])
        for name, dtype in rows.schema.items()
        if dtype.is_numeric() and name != TEST_TIME.name
    }


def sketch_of(time: pl.Series, values: pl.Series) -> bytes:
    """Return the sketch of one column; empty where it has no values."""
    places, kept = thin(*known(time, values), POINTS)
    return np.concatenate((places, kept)).tobytes()


def points_of(drawn: bytes) -> tuple[FloatArray, FloatArray]:
    """Return times and values of a sketch.

    Example:
        >>> points_of(sketch_of(pl.Series([0.0, 1.0]), pl.Series([3.7, None])))
        (array([0.]), array([3.7]))
    """
    both = np.frombuffer(drawn).reshape(2, -1)
    return both[0], both[1]


def known(time: pl.Series, values: pl.Series) -> tuple[FloatArray, FloatArray]:
    """Return times and values without records that lack either, as plain arrays."""
    pairs = pl.DataFrame({"time": time.cast(pl.Float64), "value": values.cast(pl.Float64)}).fill_nan(None).drop_nulls()
    return pairs["time"].to_numpy(), pairs["value"].to_numpy()
