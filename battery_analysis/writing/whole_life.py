"""The records of all tests of a cell as those of one test, in canonical columns.

Cycles, steps and time count through. What the counters of each test say of each of its cycles stands in counters that
begin from zero in every cycle, as only those mean the same in all tests; the tester's own are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from battery_analysis.analysis.records import REPORTED_TIME, TEST
from battery_analysis.columns import (
    COUNTERS,
    CYCLE_COUNT,
    RECORD_INDEX,
    STEP_COUNT,
    TEST_TIME,
    VOLTAGE,
    conform,
)
from battery_analysis.writing.pair import with_cycle_counters

KEPT_COUNTERS = tuple(
    f"cycle_{direction}_{quantity}"
    for quantity in ("capacity_ah", "energy_wh")
    for direction in ("charging", "discharging")
)

_KEPT_BESIDE = {
    "test": TEST,
    "test_cycle_count": "aux_test_cycle_count",
    "running_throughput_ah": "aux_running_throughput_ah",
    RECORD_INDEX.name: "aux_record_index",
}
_LEFT_OUT = frozenset(
    {"test_id", "running_time_second", REPORTED_TIME, *(counter.name for counter in COUNTERS)} - set(KEPT_COUNTERS)
)


def as_one_test(records: pl.DataFrame) -> pl.DataFrame:
    """Bring the records of a dataset to canonical columns.

    Args:
        records: What ``Dataset.frame`` gives, with ``test``, the place of each test, from 1.

    Returns:
        ``test_time_second`` is the running time, ``cycle_count`` the number within the cell, ``step_count`` counts
        through; beside them stand ``aux_test`` and ``aux_test_cycle_count``. Records without a time or a voltage, such
        as those of spectra, are left out.

    Raises:
        SchemaError: No test has times, voltages and currents.
    """
    parts = list(_counted(records.filter(pl.col("running_time_second").is_not_null() & _has_voltage(records))))
    whole = pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()
    return conform(whole).frame


def _has_voltage(records: pl.DataFrame) -> pl.Expr:
    return pl.col(VOLTAGE.name).is_not_null() if VOLTAGE.name in records.columns else pl.lit(False)


def _counted(records: pl.DataFrame) -> Iterator[pl.DataFrame]:
    steps, before = 0, pl.DataFrame()
    for part in records.partition_by("test", maintain_order=True):
        part = part.select(values for values in part if values.null_count() < part.height or not part.height)
        own = with_cycle_counters(part, continuation=False)  # by its own clock, which may say what came before
        own = own.with_columns(pl.col("running_time_second").alias(TEST_TIME.name))
        if STEP_COUNT.name in own.columns:
            number = pl.col(STEP_COUNT.name) - pl.col(STEP_COUNT.name).min() + 1 + steps
            own = own.with_columns(number)
            steps = int(own[STEP_COUNT.name].max() or steps)  # type: ignore[arg-type]
        own = _going_on(own, before)
        before = own
        yield own.drop(_LEFT_OUT, strict=False).rename(_KEPT_BESIDE, strict=False)


def _going_on(part: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Let the counters of a cycle that began in the test before go on from there."""
    if not before.height or CYCLE_COUNT.name not in part.columns or CYCLE_COUNT.name not in before.columns:
        return part
    number = part[CYCLE_COUNT.name].drop_nulls().first()
    shared = before.filter(pl.col(CYCLE_COUNT.name) == number)
    for name in KEPT_COUNTERS:
        if not shared.height or name not in part.columns or name not in before.columns:
            continue
        moved, starts_at = shared[name].max(), part[name].drop_nulls().first()
        if moved and starts_at is not None and starts_at < moved:  # type: ignore[operator]
            within = pl.col(CYCLE_COUNT.name) == number
            part = part.with_columns(pl.when(within).then(pl.col(name) + moved).otherwise(pl.col(name)).alias(name))
    return part
