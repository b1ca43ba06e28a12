"""Records of tests: what can be drawn of them, windows, marks of cycles and steps, and all records of a window."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from battery_analysis import columns as canonical
from battery_analysis.analysis.records import FloatArray
from battery_analysis.errors import BatteryAnalysisError, NotFoundError
from battery_analysis.models import TestResult
from battery_analysis.store import frames, search, windows
from battery_analysis.store.access import object_id, visible
from battery_analysis.store.parcel import CYCLE_COLUMN
from battery_analysis.writing import for_text
from dashboard.data import asked, store

Test = TestResult
Curve = windows.Curve
Span = tuple[float | None, float | None]
"""First and last test time in s; None leaves an end open."""

POINTS = windows.POINTS

MOST_STEPS = 24
MOST_STEP_RECORDS = 600_000
"""Steps are looked for in windows of so many records at most."""

_CYCLE_STARTS = ("cycle_count", "start_time_second")
_SHOWN = (
    *("id", "name", "cell_code", "sample_name", "test_type", "columns", "segments", "overview", "cycle_blocks"),
    *("cycle_method", "record_count", "started_at", "revision"),
)
_UNITS = {"degC": "°C", "ohm": "Ω", "deg": "°"}
_UNIT_WORDS = frozenset(
    {"second", "volt", "ampere", "ah", "wh", "ohm", "watt", "celsius", "pa", "hertz", "degree", "farad"}
)


@dataclass(frozen=True)
class Signal:
    """A column that can be drawn."""

    name: str
    title: str
    unit: str


@dataclass(frozen=True)
class Mark:
    """A place on the axis of time, in s, with what begins there."""

    second: float
    label: str


@asked
def some(test_ids: Sequence[str]) -> list[Test]:
    """Return tests with what it takes to draw them, in this order.

    Raises:
        NotFoundError: One of them does not exist.
    """
    ids = [object_id(TestResult, each) for each in test_ids]
    found = {each.id: each for each in visible(TestResult).filter(id__in=ids).only(*_SHOWN)}
    missing = [str(each) for each in ids if each not in found]
    if missing:
        raise NotFoundError(f"no test has the id {', '.join(missing)}")
    return [found[each] for each in ids]


@asked
def of_cell(code: str, most: int) -> list[str]:
    """Return the ids of the first tests of a cell, in order of time."""
    return [str(each.id) for each in search.search(search.Query(cell=code, sort="started", limit=most))]


def signals(tests: Sequence[Test]) -> dict[str, Signal]:
    """Return the columns of numbers that any of these tests has, by name."""
    found: dict[str, Signal] = {}
    for test in tests:
        for name, facts in test.columns.items():
            if name not in found and windows.is_number(test, name) and name != canonical.TEST_TIME.name:
                found[name] = Signal(name, title_of(name, facts.get("source")), unit_of(name, facts.get("unit", "")))
    return found


def title_of(name: str, source: str | None = None) -> str:
    """Return how a column is called on an axis, without its unit.

    Example:
        >>> title_of("step_charging_capacity_ah"), title_of("aux_t1_degc", "T1(℃)")
        ('Step charging capacity', 'T1(℃)')
    """
    if name not in canonical.BY_NAME and source:
        return source
    words = name.removeprefix(canonical.AUX_PREFIX).split("_")
    if len(words) > 1 and words[-1] in _UNIT_WORDS:
        words = words[:-1]
    return " ".join(words).capitalize()


def unit_of(name: str, in_file: str = "") -> str:
    """Return the unit of a column as it stands on an axis; of a column that only the file names, the file's."""
    column = canonical.BY_NAME.get(name)
    return _UNITS.get(column.unit, column.unit) if column else in_file or ""


def usual(tests: Sequence[Test]) -> list[str]:
    """Return the columns that a reader wants to see first."""
    known = signals(tests)
    impedance = [canonical.REAL_IMPEDANCE.name, canonical.IMAGINARY_IMPEDANCE.name]
    cycling = [canonical.VOLTAGE.name, canonical.CURRENT.name]
    first = [*impedance, *cycling] if all(test.test_type == "eis" for test in tests) else [*cycling, *impedance]
    return ([name for name in first if name in known] or list(known))[:2]


def starts_at(test: Test) -> float | None:
    """Return the moment of test time 0 in s since 1970, where the records or the file say it."""
    time, clock = (test.columns.get(each.name, {}) for each in (canonical.TEST_TIME, canonical.UNIX_TIME))
    first = time.get("minimum")
    if first is None:
        return None
    if clock.get("minimum") is not None:
        return float(clock["minimum"] - first)
    return float(test.started_at.replace(tzinfo=UTC).timestamp() - first) if test.started_at else None


def has_time(test: Test) -> bool:
    """Say whether a test has a test time; otherwise its records are counted."""
    return windows.has_time(test)


@asked
def curves(test: Test, names: Sequence[str], span: Span, points: int = POINTS) -> dict[str, Curve]:
    """Return those columns that the test has, between two test times, thinned; see ``store.windows``."""
    present = [name for name in names if windows.is_number(test, name)]
    return windows.load_window(store(), test, present, span, points) if present else {}


@asked
def cycle_marks(test: Test, span: Span, most: int = 14) -> list[Mark]:
    """Return where cycles begin within a span: all of them, or of many every second, fifth, tenth and so on."""
    table = frames.cycle_table(store(), test, _CYCLE_STARTS)
    cycles, starts = (table[name].to_numpy() for name in _CYCLE_STARTS)
    first, last = (infinite if end is None else end for end, infinite in zip(span, (-np.inf, np.inf), strict=True))
    within = (starts >= first) & (starts <= last)  # not where it is unknown when a cycle starts
    shown = within & (cycles % _round_step(within.sum() / most) == 0)
    return [Mark(second, str(cycle)) for cycle, second in zip(cycles[shown], starts[shown].tolist(), strict=True)]


def _round_step(least: float) -> int:
    """Return the smallest of 1, 2, 5, 10, 20 … that is not below.

    >>> [_round_step(each) for each in (0.3, 1.2, 5, 372)]
    [1, 2, 5, 500]
    """
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= least:
                return digit * power
        power *= 10


@asked
def step_marks(test: Test, span: Span) -> tuple[list[Mark], str | None]:
    """Return where steps begin within a span, or why they are not shown."""
    number = next((each for each in _STEP_NUMBERS if windows.is_number(test, each)), None)
    if number is None:
        return [], f"{test.name} has no steps"
    segments = frames.segments_between(test, None, span)
    if sum(segment.records for segment in segments) > MOST_STEP_RECORDS:
        return [], "steps are shown once the window is narrower"
    kind = next((each for each in _STEP_KINDS if each in test.columns), None)
    time = canonical.TEST_TIME.name
    frame = frames.select(store(), test, [time, number, *([kind] if kind else [])], None, span)
    begins = frame.filter((pl.col(number) != pl.col(number).shift(1)).fill_null(True) & pl.col(number).is_not_null())
    if begins.height > MOST_STEPS:
        return [], f"{begins.height:,} steps in this window: they are shown once it is narrower"
    words = begins[kind].to_list() if kind else [None] * begins.height
    return [
        Mark(second, f"{step} {word or ''}".rstrip())
        for second, step, word in zip(begins[time].to_list(), begins[number].to_list(), words, strict=True)
    ], None


_STEP_NUMBERS = (canonical.STEP_COUNT.name, canonical.STEP_ID.name)
_STEP_KINDS = (canonical.STEP_KIND.name, canonical.STEP_TYPE.name)


# All records of a window, for files


def exported_columns(tests: Sequence[Test], names: Sequence[str]) -> list[str]:
    """Return what a file of records holds: time, clock, cycle and step beside the chosen columns."""
    cycle = {CYCLE_COLUMN[test.cycle_method] for test in tests}
    known = {name for test in tests for name in test.columns}
    beside = [canonical.TEST_TIME.name, canonical.UNIX_TIME.name, *sorted(cycle), *_STEP_NUMBERS[:1], *_STEP_KINDS[:1]]
    absent = [name for name in names if name not in known]
    if absent:
        raise NotFoundError(f"none of these tests has a column {', '.join(absent)}")
    return [name for name in dict.fromkeys([*beside, *names]) if name in known]


def records(tests: Sequence[Test], names: Sequence[str], spans: Sequence[Span]) -> Iterator[pl.DataFrame]:
    """Yield all records of tests within their spans, some at a time; ``test`` and ``test_id`` before the columns."""
    types = {name: dtype for test in reversed(tests) for name, dtype in frames.schema(test, names).items()}
    for test, span in zip(tests, spans, strict=True):
        about = [pl.lit(test.name).alias("test"), pl.lit(str(test.id)).alias("test_id")]
        there = [name for name in names if name in test.columns]
        for part in frames.in_parts(store(), test, there, span if has_time(test) else None):
            row = [
                pl.col(name).cast(types[name]) if name in there else pl.lit(None, types[name]).alias(name)
                for name in names
            ]
            yield part.select(*about, *row)


def units(tests: Sequence[Test], names: Sequence[str]) -> dict[str, str]:
    """Return the units of those columns that have one."""
    known = {name: facts.get("unit", "") for test in reversed(tests) for name, facts in test.columns.items()}
    return {name: unit for name in names if (unit := unit_of(name, known.get(name, "")))}


def as_csv(parts: Iterator[pl.DataFrame], head: bytes = b"") -> Iterator[bytes]:
    """Write records as CSV below a head, some at a time; nothing where there are none."""
    for number, part in enumerate(parts):
        yield (b"" if number else head) + for_text(part).write_csv(include_header=number == 0).encode()


def as_parquet(parts: Iterator[pl.DataFrame], about: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """Write records as Parquet into a file without a name, and hand out its bytes; nothing where there are none.

    Args:
        parts: The records.
        about: What the metadata of the file's schema say of them.
    """
    import pyarrow.parquet

    with tempfile.TemporaryFile() as file:
        writer = None
        for part in parts:
            table = part.to_arrow(compat_level=pl.CompatLevel.oldest()).replace_schema_metadata(dict(about or {}))
            writer = writer or pyarrow.parquet.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is None:
            return
        writer.close()
        file.seek(0)
        while piece := file.read(1 << 20):
            yield piece


def moment(text: str) -> float:
    """Return a moment written like 2026-03-02 08:30 in s since 1970, taken as UTC.

    Raises:
        BatteryAnalysisError: The text is no moment.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise BatteryAnalysisError(f"a moment is written like 2026-03-02 08:30, not {text[:40]!r}") from exc
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()


def moments(seconds: FloatArray, start: float) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Return test times as moments in UTC, to the millisecond."""
    return np.round((seconds + start) * 1000).astype("datetime64[ms]")
