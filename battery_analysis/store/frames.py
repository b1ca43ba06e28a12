"""Segments, cycle blocks and overviews: written before the test that names them, immutable after."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import polars as pl
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.database import Database

from battery_analysis import columns as canonical
from battery_analysis.analysis.cycles import CYCLE_SCHEMA
from battery_analysis.analysis.thinning import OVERVIEW_SCHEMA
from battery_analysis.errors import ArchiveError, InvalidDocumentError, NotFoundError
from battery_analysis.models import BlockRef, SegmentRef, TestResult
from battery_analysis.store import columnar
from battery_analysis.store.access import by_id
from battery_analysis.store.ahead import in_order
from battery_analysis.store.connection import Store
from battery_analysis.store.parcel import CYCLE_COLUMN, Parcel
from battery_analysis.store.sketches import SKETCHES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SEGMENTS = "frame_segments"
CYCLE_BLOCKS = "cycle_blocks"
OVERVIEWS = "overviews"

Form = Literal["pandas", "polars", "arrow"]
Range = tuple[float | None, float | None]
"""Both ends included; None leaves an end open."""


@overload
def load_frame(
    store: Store,
    test_id: str | ObjectId,
    columns: Sequence[str] | None = ...,
    cycles: Range | None = ...,
    time: Range | None = ...,
    form: Literal["pandas"] = ...,
) -> pd.DataFrame: ...
@overload
def load_frame(
    store: Store,
    test_id: str | ObjectId,
    columns: Sequence[str] | None = ...,
    cycles: Range | None = ...,
    time: Range | None = ...,
    *,
    form: Literal["polars"],
) -> pl.DataFrame: ...
@overload
def load_frame(
    store: Store,
    test_id: str | ObjectId,
    columns: Sequence[str] | None = ...,
    cycles: Range | None = ...,
    time: Range | None = ...,
    *,
    form: Literal["arrow"],
) -> pa.Table: ...
def load_frame(
    store: Store,
    test_id: str | ObjectId,
    columns: Sequence[str] | None = None,
    cycles: Range | None = None,
    time: Range | None = None,
    form: Form = "pandas",
) -> pd.DataFrame | pl.DataFrame | pa.Table:
    """Return records of a test, touching only the segments and columns it takes.

    Args:
        store: An open store.
        test_id: The test.
        columns: Canonical or ``aux_`` names, in the order wanted; all without.
        cycles: First and last cycle number, both included, counted as the test's ``cycle_method`` says.
        time: First and last test time in s, both included.
        form: pandas by default; polars or Arrow on request.

    Raises:
        NotFoundError: No such test, no such column, or a range over a column the test does not have.
        ArchiveError: A segment that the test names is missing.
    """
    return in_form(select(store, by_id(TestResult, test_id), columns, cycles, time), form)


def load_cycles(store: Store, test_id: str | ObjectId, form: Form = "pandas") -> pd.DataFrame | pl.DataFrame | pa.Table:
    """Return the cycle table of a test, one row per cycle.

    Raises:
        NotFoundError: No such test.
        ArchiveError: A block that the test names is missing.
    """
    return in_form(cycle_table(store, by_id(TestResult, test_id)), form)


def load_overview(store: Store, test_id: str | ObjectId) -> pl.DataFrame:
    """Return the thinned frame of a test (see ``analysis.thinning``); empty where the test has no time series."""
    return overview_of(store, by_id(TestResult, test_id))


def overview_of(store: Store, test: TestResult) -> pl.DataFrame:
    """Return the thinned frame of a test; see ``load_overview``."""
    found = store.database[OVERVIEWS].find_one({"_id": test.overview}) if test.overview else None
    return columnar.decode(found["columns"]) if found else pl.DataFrame(schema=OVERVIEW_SCHEMA)


def cycle_table(store: Store, test: TestResult, names: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the cycle table of a test, with all columns or only these."""
    if not test.cycle_blocks:
        return pl.DataFrame(schema=CYCLE_SCHEMA if names is None else {name: CYCLE_SCHEMA[name] for name in names})
    blocks = [block.id for block in test.cycle_blocks]
    return gather(store.database[CYCLE_BLOCKS], blocks, None, partial(columnar.decode, names=names))


def load_rows(
    store: Store, test: TestResult, first: int, last: int, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return the records from number ``first`` to before ``last``; both lie where segments begin, or at the end.

    Raises:
        ArchiveError: A segment that the test names is missing.
    """
    names = list(test.columns) if columns is None else [name for name in columns if name in test.columns]
    segments = [segment for segment in test.segments if first <= segment.first_record < last]
    if not segments:
        return pl.DataFrame(schema={name: _dtype(test, name) for name in names})

    def decode(data: dict[str, bytes]) -> pl.DataFrame:
        return pl.DataFrame([columnar.decode_column(data[name]) for name in names])

    return gather(store.database[SEGMENTS], [segment.id for segment in segments], names, decode)


def segments_between(test: TestResult, cycles: Range | None, time: Range | None) -> list[SegmentRef]:
    """Return the segments that can hold records of these cycles and times, in order."""

    def overlaps(low: float | None, high: float | None, wanted: Range | None) -> bool:
        if wanted is None:
            return True
        if low is None or high is None:
            return False
        first, last = wanted
        return (first is None or high >= first) and (last is None or low <= last)

    return [
        segment
        for segment in test.segments
        if overlaps(segment.first_cycle, segment.last_cycle, cycles)
        and overlaps(segment.first_time_second, segment.last_time_second, time)
    ]


def write_segments(
    database: Database[dict[str, Any]], parcel: Parcel, kept: Iterable[SegmentRef]
) -> Iterator[SegmentRef]:
    """Store the segments of a parcel and yield them in order; those that ``kept`` holds are not written again."""
    kept = list(kept)
    known = {(segment.first_record, segment.digest): segment for segment in kept}
    yield from (segment for segment in kept if segment.first_record < parcel.first_record)

    def write(item: dict[str, Any]) -> SegmentRef:
        columns, first, rows = item.pop("columns"), item.pop("first"), item.pop("rows")
        sketches = item.pop("sketches")
        same = known.get((first, item["digest"]))
        if same:
            return same
        identity = _insert(database[SEGMENTS], columns)
        if sketches:
            database[SKETCHES].insert_one({"_id": identity, "columns": sketches})
        return SegmentRef(id=identity, first_record=first, records=rows, **item)

    # The server takes one segment while the next is read from the spool.
    yield from in_order(write, parcel.items("segment"))


def write_cycles(database: Database[dict[str, Any]], runs: Iterable[columnar.Encoded]) -> Iterator[BlockRef]:
    """Store a cycle table and yield its blocks in order."""
    for run in runs:
        yield BlockRef(id=_insert(database[CYCLE_BLOCKS], run.columns), digest=run.digest, cycles=run.rows)


def write_overview(database: Database[dict[str, Any]], parcel: Parcel) -> ObjectId | None:
    """Store the overview of a parcel, if it has one."""
    found = next(parcel.items("overview"), None)
    return _insert(database[OVERVIEWS], found["columns"]) if found else None


def drop(database: Database[dict[str, Any]], collection: str, ids: Sequence[ObjectId]) -> None:
    """Remove documents that no test names; with segments their sketches."""
    if ids:
        for each in (collection, SKETCHES) if collection == SEGMENTS else (collection,):
            database[each].delete_many({"_id": {"$in": list(ids)}})


def _insert(collection: Collection[dict[str, Any]], columns: dict[str, bytes]) -> ObjectId:
    identity = ObjectId()
    collection.insert_one({"_id": identity, "columns": columns})
    return identity


def select(
    store: Store, test: TestResult, names: Sequence[str] | None, cycles: Range | None, time: Range | None
) -> pl.DataFrame:
    """Return records of a test; see ``load_frame``."""
    cycle_column, time_column = CYCLE_COLUMN[test.cycle_method], canonical.TEST_TIME.name
    wanted = list(test.columns) if names is None else list(dict.fromkeys(names))
    filters = {name: bounds for name, bounds in ((cycle_column, cycles), (time_column, time)) if bounds is not None}
    absent = [name for name in (*wanted, *filters) if name not in test.columns]
    if absent:
        raise NotFoundError(f"test {test.id} has no column {', '.join(absent)}; it has {', '.join(test.columns)}")

    moved = list(dict.fromkeys([*wanted, *filters]))
    segments = segments_between(test, cycles, time)
    if not segments:
        return pl.DataFrame(schema={name: _dtype(test, name) for name in wanted})
    conditions = [within(name, bounds) for name, bounds in filters.items()]

    def decode(data: dict[str, bytes]) -> pl.DataFrame:
        frame = pl.DataFrame([columnar.decode_column(data[name]) for name in moved])
        return (frame.filter(*conditions) if conditions else frame).select(wanted)

    return gather(store.database[SEGMENTS], [segment.id for segment in segments], moved, decode)


def in_parts(store: Store, test: TestResult, names: Sequence[str], time: Range | None = None) -> Iterator[pl.DataFrame]:
    """Yield records of a test in order, a segment at a time, without ever holding all of them.

    Args:
        store: An open store.
        test: The test.
        names: Columns that it has, in the order wanted.
        time: First and last test time in s, both included; None yields all.

    Raises:
        ArchiveError: A segment that the test names is missing.
    """
    moved = list(dict.fromkeys([*names, *([canonical.TEST_TIME.name] if time else [])]))
    condition = within(canonical.TEST_TIME.name, time) if time else pl.lit(True)

    def load(segment: SegmentRef) -> pl.DataFrame:
        def decode(data: dict[str, bytes]) -> pl.DataFrame:
            return pl.DataFrame([columnar.decode_column(data[name]) for name in moved])

        return gather(store.database[SEGMENTS], [segment.id], moved, decode).filter(condition).select(names)

    yield from in_order(load, segments_between(test, None, time))


def schema(test: TestResult, names: Sequence[str]) -> dict[str, pl.DataType]:
    """Return the types of those columns that a test has."""
    return {name: _dtype(test, name) for name in names if name in test.columns}


def within(name: str, bounds: Range) -> pl.Expr:
    """Return the condition that a column lies in a range."""
    first, last = bounds
    above = pl.lit(True) if first is None else pl.col(name) >= first
    below = pl.lit(True) if last is None else pl.col(name) <= last
    return above & below


def _dtype(test: TestResult, name: str) -> pl.DataType:
    column = canonical.BY_NAME.get(name)
    return column.dtype if column else getattr(pl, test.columns[name]["dtype"])()


def gather(
    collection: Collection[dict[str, Any]],
    ids: Sequence[ObjectId],
    columns: Sequence[str] | None,
    decode: Callable[[dict[str, bytes]], pl.DataFrame],
) -> pl.DataFrame:
    """Fetch documents by id and join their rows in the order of the ids; they are decoded while others still come."""
    if not ids:
        return pl.DataFrame()
    projection = {f"columns.{name}": True for name in columns} if columns is not None else None
    found = collection.find({"_id": {"$in": list(ids)}}, projection)
    if len(ids) == 1:  # threads would take longer than they save
        decoded = {each["_id"]: decode(each["columns"]) for each in found}
    else:
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            coming = {each["_id"]: pool.submit(decode, each["columns"]) for each in found}
        decoded = {identity: each.result() for identity, each in coming.items()}
    missing = [identity for identity in ids if identity not in decoded]
    if missing:
        raise ArchiveError(f"{collection.name}: {len(missing)} of {len(ids)} documents are missing, first {missing[0]}")
    return decoded[ids[0]] if len(ids) == 1 else pl.concat([decoded[identity] for identity in ids], rechunk=False)


def in_form(frame: pl.DataFrame, form: Form) -> pd.DataFrame | pl.DataFrame | pa.Table:
    """Return a table as whoever asked wants it.

    Raises:
        InvalidDocumentError: There is no such form.
    """
    match form:
        case "pandas":
            return frame.to_pandas()
        case "polars":
            return frame
        case "arrow":
            return frame.to_arrow()
    raise InvalidDocumentError(f"form: {' or '.join(map(repr, get_args(Form)))} wanted, got {form!r}")
