"""Which way Landt's states charge a cell, and what follows for currents and counters without a sign."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from battery_analysis.columns import CURRENT, STEP_TYPE, Column

_DISCHARGES = re.compile(
    r"d|d_.*|dis.*|.*dchg.*|.*discharge.*|.*放.*|(?:rate|c[cvpr]|cccv|cc-cv|cvcc)_?d", re.IGNORECASE
)
_CHARGES = re.compile(r"c|c_.*|.*chg.*|.*charge.*|.*充.*|(?:rate|c[cvpr]|cccv|ccvc|cc-cv)_?c", re.IGNORECASE)


def direction(state: str | None) -> int:
    """Say whether a state charges (1), discharges (-1) or does neither (0).

    >>> [direction(state) for state in ("RateC", "RateD", "D_CC", "CCC", "charge CC", "discharge CC", "R", "恒流放电")]
    [1, -1, -1, 1, 1, -1, 0, -1]
    """
    bare = (state or "").strip()
    if _DISCHARGES.fullmatch(bare):
        return -1
    return 1 if _CHARGES.fullmatch(bare) else 0


def directions(frame: pl.DataFrame) -> pl.Series:
    """Direction of each record: by its state, or where no state tells one, by the sign of its current."""
    current = frame[CURRENT.name].sign().cast(pl.Int8)
    if STEP_TYPE.name not in frame.columns:
        return current
    states = frame[STEP_TYPE.name]
    known = {state: direction(state) for state in states.unique().drop_nulls().to_list()}
    if not any(known.values()):
        return current
    return states.replace_strict(known, default=0, return_dtype=pl.Int8)


def signed_current(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Give the current of discharging states its sign, where the whole file has none."""
    discharging = directions(frame) < 0
    current = pl.col(CURRENT.name)
    if bool((frame[CURRENT.name] < 0).any()) or not bool((frame[CURRENT.name].filter(discharging) > 0).any()):
        return frame, []
    signed = pl.when(discharging).then(-current).otherwise(current)
    return frame.with_columns(signed.alias(CURRENT.name)), ["the current has no sign; it is taken from the state"]


def counters(frame: pl.DataFrame, values: pl.Series, pair: Sequence[Column]) -> list[pl.Series]:
    """Part a counter of both directions into one for charge and one for discharge.

    A rest shows the value of the direction before it.

    >>> frame = pl.DataFrame({"step_type": ["RateD", "R", "RateC"], "current_ampere": [-1.0, 0.0, 1.0]})
    >>> from battery_analysis.columns import BY_NAME
    >>> pair = [BY_NAME[f"schedule_{way}_capacity_ah"] for way in ("charging", "discharging")]
    >>> [part.to_list() for part in counters(frame, pl.Series([2.0, 2.0, 1.0]), pair)]
    [[0.0, 0.0, 1.0], [2.0, 2.0, 0.0]]
    """
    way = directions(frame)
    latest = way.replace(0, None).fill_null(strategy="forward").fill_null(0)
    table = pl.DataFrame({"value": values, "way": latest})
    parts = [
        pl.when(pl.col("value").is_null() | (pl.col("way") == sign)).then("value").otherwise(0.0).alias(column.name)
        for sign, column in zip((1, -1), pair, strict=True)
    ]
    return table.select(parts).get_columns()
