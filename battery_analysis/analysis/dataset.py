"""The life of one cell: its tests in order of time, their cycles numbered through.

Tests stand in the order of their starts. One without a start stands where its end and its duration say, one without
either after all others, by name. A test *continues* the one before it if the same tester's clock and cycle numbers go
on from there: then a cycle number that both have is one cycle. In any other test cycles begin anew; numbers that were
derived always do, as each test derives its own.

The number of a cycle within the cell counts from 1 and is ``cycle_count`` here; ``test_cycle_count`` is its number in
its own test. Running time and throughput are sums over the tests: what a cell did in between is not known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.checkups import ROLES as ROLES
from battery_analysis.analysis.checkups import mark_cycles
from battery_analysis.analysis.cycles import CYCLE_SCHEMA, CycleMethod, flows_of_runs, summarise_cycles
from battery_analysis.analysis.efficiency import EfficiencyConvention, with_efficiencies
from battery_analysis.analysis.integration import gaps
from battery_analysis.analysis.joining import join
from battery_analysis.analysis.records import FloatArray, Records, has_values
from battery_analysis.columns import CURRENT, TEST_TIME

Placing = Literal["start", "end", "name"]
"""What says where a test stands: its start, its end less its duration, or, after all others, its name."""

CLOCK_TOLERANCE = timedelta(seconds=10)
"""How far the starts of two files of one test may differ by their clocks: exports round to seconds or more."""

PROFILE: tuple[str, ...] = (
    "cycle_count",
    "end_time_second",
    "charge_capacity_ah",
    "discharge_capacity_ah",
    "discharge_time_second",
    "min_voltage_volt",
    "max_voltage_volt",
    "coulombic_efficiency",
)
"""Columns of a test's cycle table on which the numbers of the whole cell depend."""

PLACED_SCHEMA: dict[str, type[pl.DataType]] = {
    "test": pl.Int32,
    "cycle_count": pl.Int64,
    "test_cycle_count": pl.Int64,
    "running_time_second": pl.Float64,
    "running_throughput_ah": pl.Float64,
    "role": pl.String,
    "role_reason": pl.String,
}
"""``test`` is the place of the test, from 0; both running quantities are those at the end of the cycle. ``role`` is
one of ``checkups.ROLES``, null where it cannot be told, and why."""

DATASET_SCHEMA: dict[str, type[pl.DataType]] = {
    "cycle_count": pl.Int64,
    "test_id": pl.String,
    "test_cycle_count": pl.Int64,
    "running_time_second": pl.Float64,
    "running_throughput_ah": pl.Float64,
    "role": pl.String,
    "role_reason": pl.String,
    **{name: dtype for name, dtype in CYCLE_SCHEMA.items() if name != "cycle_count"},
}
"""Columns of the cycle table of a cell: those of a test's, with the cell's own before them."""


SEAM_SCHEMA: dict[str, type[pl.DataType]] = {"test_id": pl.String, "goes_on_in": pl.String, **CYCLE_SCHEMA}
"""Columns of ``seam``: of which test a cycle is, which test goes on where that one stopped, and the cycle."""


@dataclass(frozen=True)
class Span:
    """What decides where a test stands in the life of its cell; times of its own clock in s, its own cycle numbers."""

    name: str
    tester: str
    device: str | None = None
    channel: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    first_time_second: float | None = None
    last_time_second: float | None = None
    first_cycle: int | None = None
    last_cycle: int | None = None
    cycle_method: CycleMethod | None = None

    @property
    def duration_second(self) -> float:
        """Time from its first record to its last; 0 where it has no clock."""
        if self.first_time_second is None or self.last_time_second is None:
            return 0.0
        return self.last_time_second - self.first_time_second


def in_order(spans: Sequence[Span]) -> list[tuple[int, Placing]]:
    """Return the positions of the tests in order of time, each with what says so.

    Example:
        >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        >>> tests = [Span("c10", "Arbin"), Span("c2", "Arbin"), Span("b", "Arbin", started_at=noon),
        ...          Span("a", "Arbin", ended_at=noon, first_time_second=0.0, last_time_second=60.0)]
        >>> in_order(tests)
        [(3, 'end'), (2, 'start'), (1, 'name'), (0, 'name')]
    """

    def key(item: tuple[int, datetime | None, Placing]) -> tuple[bool, datetime, list[tuple[int, str]], int]:
        position, began, _ = item
        return began is None, began or datetime.max.replace(tzinfo=UTC), _natural(spans[position].name), position

    begun = [(position, *_beginning(span)) for position, span in enumerate(spans)]
    return [(position, placing) for position, _, placing in sorted(begun, key=key)]


def _beginning(span: Span) -> tuple[datetime | None, Placing]:
    if span.started_at is not None:
        return span.started_at, "start"
    if span.ended_at is not None:
        return span.ended_at - timedelta(seconds=span.duration_second), "end"
    return None, "name"


def _natural(name: str) -> list[tuple[int, str]]:
    """Compare numbers in names by what they count: ``run_2`` comes before ``run_10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"[0-9]+|[^0-9]+", name)]


def continues(earlier: Span, later: Span) -> bool:
    """Say whether a test goes on where another stopped: same channel, same clock, and the cycle numbers go on.

    Example:
        >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        >>> first = Span("a", "Maccor", None, "7", noon, None, 0.0, 7200.0, 1, 4)
        >>> [continues(first, Span("b", "Maccor", None, "7", at, None, start, 9000.0, cycle, 9))
        ...  for at, start, cycle in [(noon, 7210.0, 4), (noon, 7210.0, 7), (noon + timedelta(hours=5), 7210.0, 4)]]
        [True, False, False]
    """
    if (earlier.tester, earlier.cycle_method) != (later.tester, later.cycle_method):
        return False
    if later.cycle_method == "derived":
        return False
    if earlier.started_at is None or later.started_at is None:
        return False
    if _differ(earlier.device, later.device) or _differ(earlier.channel, later.channel):
        return False
    numbers = earlier.last_cycle, later.first_cycle
    clocks = earlier.first_time_second, earlier.last_time_second, later.first_time_second
    if None in numbers or None in clocks:
        return False
    (last, first), (began, ended, resumed) = numbers, clocks
    if first not in (last, last + 1) or resumed < ended:  # type: ignore[operator]
        return False
    apart = later.started_at - earlier.started_at  # of the starts, or of the first records
    return min(abs(apart), abs(apart - timedelta(seconds=resumed - began))) <= CLOCK_TOLERANCE  # type: ignore[operator]


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def dataset_table(profiles: Sequence[pl.DataFrame], spans: Sequence[Span]) -> pl.DataFrame:
    """Number the cycles of a cell through, with what only the whole cell tells of them.

    Args:
        profiles: Of each test, in order, the columns ``PROFILE`` of its cycle table.
        spans: Of each test, in the same order.

    Returns:
        One row per cycle of each test, in order, with the columns of ``PLACED_SCHEMA`` and ``PROFILE`` but its number.
        Throughput is null from the first cycle on of which capacity is not known.

    Example:
        >>> test = pl.DataFrame({"cycle_count": [0, 1], "end_time_second": [60.0, 120.0],
        ...                      "charge_capacity_ah": [1.0, 2.0], "discharge_capacity_ah": [1.0, None],
        ...                      **{name: [None, None] for name in PROFILE[4:]}})
        >>> span = Span("a", "Arbin", first_time_second=0.0, last_time_second=150.0)
        >>> table = dataset_table([test, test], [span, span])
        >>> table.select("cycle_count", "test_cycle_count", "running_time_second", "running_throughput_ah").rows()
        [(1, 0, 60.0, 2.0), (2, 1, 120.0, None), (3, 0, 210.0, None), (4, 1, 270.0, None)]
    """
    if not profiles:
        return pl.DataFrame(schema=placed_schema())
    rows = np.array([profile.height for profile in profiles])
    shared = np.array([False, *(_share_a_cycle(*pair) for pair in pairwise(spans))])
    before = np.cumsum(rows - shared) - rows
    passed = np.cumsum([0.0, *(span.duration_second for span in spans[:-1])])
    began = np.array([span.first_time_second or 0.0 for span in spans])
    test = np.repeat(np.arange(len(profiles)), rows)
    within = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows)
    typed = [pl.col(name).cast(CYCLE_SCHEMA[name]) for name in PROFILE]
    table = pl.concat(profiles).select(typed).rename({"cycle_count": "test_cycle_count"})
    moved = (table["charge_capacity_ah"] + table["discharge_capacity_ah"]).fill_null(float("nan")).to_numpy()
    table = table.with_columns(cycle_count=pl.Series((before + 1)[test] + within))
    return table.with_columns(
        *_roles(table),
        test=pl.Series(test, dtype=pl.Int32),
        running_time_second=pl.col("end_time_second") + pl.Series((passed - began)[test]),
        running_throughput_ah=pl.Series(np.cumsum(moved), nan_to_null=True),
    ).select(*placed_schema())


def _roles(table: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Say of each row whether its cycle is formation or a check-up within the life of the cell, and why."""
    whole = table
    if not table["cycle_count"].is_unique().all():
        low, high = pl.col("min_voltage_volt").min(), pl.col("max_voltage_volt").max()
        sums = pl.col("discharge_capacity_ah", "discharge_time_second").sum()
        whole = table.group_by("cycle_count", maintain_order=True).agg(
            sums, low, high, pl.col("coulombic_efficiency").drop_nulls().first()
        )
    marked = mark_cycles(whole)
    of_row = table["cycle_count"] - 1
    return marked["role"].gather(of_row), marked["reason"].gather(of_row).alias("role_reason")


def placed_schema() -> dict[str, type[pl.DataType]]:
    """Return the columns of ``dataset_table``."""
    return {**PLACED_SCHEMA, **{name: CYCLE_SCHEMA[name] for name in PROFILE if name != "cycle_count"}}


def _share_a_cycle(earlier: Span, later: Span) -> bool:
    return earlier.last_cycle == later.first_cycle and continues(earlier, later)


def seam(
    earlier: pl.DataFrame,
    later: pl.DataFrame,
    ids: tuple[str, str],
    own: tuple[pl.DataFrame, pl.DataFrame],
    convention: EfficiencyConvention = "same_cycle",
) -> pl.DataFrame:
    """Make the cycles between which a test stopped and another went on, from the records of both.

    Taken alone, each file knows but a part: the first interval and the counters of the later one began in the earlier.

    Args:
        earlier: Records of the last cycles of the test that stopped, at least two where it has so many.
        later: Records of the first cycles of the test that went on, at least two where it has so many.
        ids: Ids of both tests.
        own: The cycle tables of both.
        convention: Of the efficiencies.

    Returns:
        The last cycle of the one and the first of the other, or the one cycle that both share, with the columns of
        ``SEAM_SCHEMA``; a shared one belongs to the test in which it began.
    """
    before, after = own
    last, first = before["cycle_count"][-1], after["cycle_count"][0]
    begins = before["first_record"][-1] == 0 or before.height <= 2
    cycles = summarise_cycles(join([earlier, later]), continuation=not begins)
    places = {first: (ids[1], after["first_record"][0]), last: (ids[0], before["first_record"][-1])}
    wanted = with_efficiencies(cycles, convention).filter(pl.col("cycle_count").is_in([last, first]))
    number = pl.col("cycle_count")
    of_test, at = ({key: each[part] for key, each in places.items()} for part in (0, 1))
    return wanted.with_columns(
        test_id=number.replace_strict(of_test, return_dtype=pl.String),
        goes_on_in=pl.lit(ids[1]),
        first_record=number.replace_strict(at, return_dtype=pl.Int64),
    ).select(*SEAM_SCHEMA)


def mended(profile: pl.DataFrame, before: pl.DataFrame, seams: pl.DataFrame) -> pl.DataFrame:
    """Return the profile of a test that goes on where another stopped, with what its first cycle has of its own.

    Args:
        profile: Columns ``PROFILE`` of the test.
        before: Columns ``PROFILE`` of the test before.
        seams: What ``seam`` says of both.
    """
    first, names = profile["cycle_count"][0], ["charge_capacity_ah", "discharge_capacity_ah"]
    whole = seams.filter(cycle_count=first).row(0, named=True)
    shared = before["cycle_count"][-1] == first
    parts = {name: before[name][-1] if shared else 0.0 for name in names}
    own = {name: None if None in (whole[name], parts[name]) else whole[name] - parts[name] for name in names}
    is_first = pl.int_range(pl.len()) == 0
    return profile.with_columns(pl.when(is_first).then(pl.lit(own[n])).otherwise(pl.col(n)).alias(n) for n in names)


def cell_cycles(
    tables: Sequence[pl.DataFrame], test_ids: Sequence[str], placed: pl.DataFrame, seams: pl.DataFrame
) -> pl.DataFrame:
    """Put the cycle tables of a cell's tests into one, a row per cycle of the cell.

    A cycle that goes on in the next test has the id and number of the test in which it began.

    Args:
        tables: The cycle table of each test, in order.
        test_ids: The id of each test.
        placed: What ``dataset_table`` says of the same cycles.
        seams: What ``seam`` says of tests that go on where others stopped.

    Returns:
        A table with the columns of ``DATASET_SCHEMA``.
    """
    if not placed.height:
        return pl.DataFrame(schema=DATASET_SCHEMA)
    own = pl.concat([table.drop("cycle_count") for table in tables])
    ids = pl.Series("test_id", test_ids, dtype=pl.String).gather(placed["test"])
    table = own.with_columns(ids, *(placed[name] for name in PLACED_SCHEMA if name != "test")).select(*DATASET_SCHEMA)
    if not seams.height:
        return table
    running = pl.col("running_time_second", "running_throughput_ah").last().over("cycle_count")
    table = table.with_columns(running).unique("cycle_count", keep="first", maintain_order=True)
    told = seams.drop("goes_on_in").rename({"cycle_count": "test_cycle_count"})
    # Of several that touch one cycle, which a test of a single cycle has, the last was made from all before.
    told = told.unique(["test_id", "test_cycle_count"], keep="last", maintain_order=True)
    return table.update(told, on=["test_id", "test_cycle_count"], how="left", include_nulls=True).select(
        *DATASET_SCHEMA
    )


def moved_by_record(frame: pl.DataFrame) -> FloatArray:
    """Return what was charged and discharged up to each record of a frame, in Ah, by the rules of the cycle table.

    It counts from the first record. NaN where no current was recorded; where it is integrated, from the first gap on.

    Example:
        >>> frame = pl.DataFrame({"test_time_second": [0.0, 3600.0, 7200.0], "current_ampere": [1.0, 1.0, -1.0],
        ...                       "step_count": [1, 1, 2], "cycle_count": [1, 1, 1]})
        >>> moved_by_record(frame).tolist()
        [0.0, 1.0, 2.0]
    """
    if not (has_values(frame, CURRENT.name) and has_values(frame, TEST_TIME.name)):
        return np.full(frame.height, np.nan)
    records = Records.of(frame, continuation=True)
    flows, method = flows_of_runs(records, "capacity", np.arange(frame.height))
    moved: FloatArray = np.cumsum(flows.charge + flows.discharge)
    if method == "integrated" and (lost := gaps(records)).size:
        moved[lost.min() :] = np.nan
    return moved
