"""Ideal cells: what flows is known, so that every number of a cycle table is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Step:
    """A step at one current (A) and voltage (V) for some seconds, in a cycle."""

    current: float
    seconds: float
    cycle: int = 1
    voltage: float = 3.7
    kind: str | None = None


def ideal_cycles(count: int, *, hours: float = 1.0, current: float = 1.0) -> list[Step]:
    """Charge, rest, discharge, rest, as often as asked."""
    return [
        Step(direction * current, (hours if direction else 0.5) * 3600, cycle, voltage, kind)
        for cycle in range(1, count + 1)
        for direction, voltage, kind in ((1, 4.0, "CC Chg"), (0, 3.8, "Rest"), (-1, 3.0, "CC DChg"), (0, 3.5, "Rest"))
    ]


def logged(steps: Sequence[Step], every: float) -> pl.DataFrame:
    """Records at the ends of intervals of ``every`` seconds, and at the end of each step."""
    rows: list[dict[str, float | str | None]] = []
    begun = 0.0
    for number, step in enumerate(steps, start=1):
        ends = [every * tick for tick in range(1, int(step.seconds // every) + 1)]
        if not ends or ends[-1] < step.seconds:
            ends.append(step.seconds)
        for within in ends:
            rows.append(
                {
                    "test_time_second": begun + within,
                    "voltage_volt": step.voltage,
                    "current_ampere": step.current,
                    "cycle_count": step.cycle,
                    "step_count": number,
                    "step_type": step.kind,
                    "step_time_second": within,
                    "record_index": len(rows) + 1,
                }
            )
        begun += step.seconds
    return pl.DataFrame(rows)


def with_counters(frame: pl.DataFrame, direction: str, reset: str, *, earlier: float = 0.0) -> pl.DataFrame:
    """Add the counters that a tester would have kept of records of ``logged``; ``earlier`` is what they held before."""
    previous = pl.col("test_time_second").shift(1, fill_value=0.0)
    frame = frame.with_columns(moved=pl.col("current_ampere") * (pl.col("test_time_second") - previous) / 3600)
    moved = pl.col("moved")
    parts = {
        "pair": {"charging": moved.clip(lower_bound=0.0), "discharging": (-moved).clip(lower_bound=0.0)},
        "cumulative": {"cumulative": moved.abs()},
        "net": {"net": moved},
    }[direction]
    scope = "" if reset == "never" else f"{reset}_"
    over = {"step": "step_count", "cycle": "cycle_count"}.get(reset)
    return frame.with_columns(
        (earlier + (amount.cum_sum().over(over) if over else amount.cum_sum())).alias(f"{scope}{name}_capacity_ah")
        for name, amount in parts.items()
    ).drop("moved")
