"""A cell's dataset as whoever analyses it sees it: cycles and records across its tests, loaded when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from battery_analysis.analysis.dataset import cell_cycles, moved_by_record
from battery_analysis.analysis.records import REPORTED_TIME
from battery_analysis.columns import CANONICAL, CYCLE_COUNT, DERIVED_CYCLE_COUNT, TEST_TIME, Counter
from battery_analysis.errors import ArchiveError, NotFoundError
from battery_analysis.models import CellDataset, DatasetTest, TestResult
from battery_analysis.store import dataset_build, datasets, frames
from battery_analysis.store.access import by_id
from battery_analysis.store.connection import Store, one_line_errors
from battery_analysis.store.frames import Form, Range
from battery_analysis.store.parcel import CYCLE_COLUMN

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    Table: TypeAlias = pd.DataFrame | pl.DataFrame | pa.Table

BESIDE = ("test_id", "cycle_count", "test_cycle_count", "running_time_second")
"""What every record of a dataset has, whichever columns are asked for."""

THROUGHPUT = "running_throughput_ah"

_COUNTED_BY = frozenset(
    {
        *(column.name for column in CANONICAL if isinstance(column, Counter)),
        *("test_time_second", "current_ampere", "voltage_volt", "cycle_count", "derived_cycle_count", "record_index"),
        *("step_count", "step_id", "step_type", "step_time_second", "unix_time_second", REPORTED_TIME),
    }
)
"""Columns from which it follows what flowed."""


def load_dataset(store: Store, code: str, version: int | None = None) -> Dataset:
    """Return the dataset of a cell, in the newest or another version.

    Raises:
        NotFoundError: No test has this cell code, or there is no such version.
    """
    try:
        return Dataset(store, datasets.version_of(code, version))
    except NotFoundError:
        if version is not None or code in datasets.codes_with_dataset():
            raise
        datasets.rebuild(store, code, by_hand=False)  # the database of a program that knew no datasets
        return Dataset(store, datasets.version_of(code))


class Dataset:
    """All tests of one cell as one; tables are loaded when they are asked for.

    Attributes:
        cell_code: The cell.
        version: Number of this version.
        digest: SHA-256 over its tests, their data and their numbering.
        remarks: What has to be said about it.
    """

    def __init__(self, store: Store, document: CellDataset) -> None:
        self._store = store
        self._document = document
        self._stored_as: Any = document.to_mongo()
        self.cell_code: str = document.cell_code
        self.version: int = document.version
        self.digest: str = document.digest

    def __repr__(self) -> str:
        found = self._document
        size = f"{found.test_count} tests, {found.cycle_count} cycles, {found.record_count} records"
        return f"<dataset {self.cell_code} version {self.version}: {size}>"

    @property
    def remarks(self) -> list[str]:
        """What has to be said about the order of its tests."""
        undated = [test for test in self._document.tests if test.placed_by == "name"]
        return [f"test {each.test} ({each.name}) has no date; it stands after the dated ones" for each in undated]

    def tests(self, form: Form = "pandas") -> Table:
        """Return its tests in order: where each stands, what says so, and which cycles of the cell are its own."""
        shown = ("name", "sample_name", "tester", "started_at", "placed_by", "continues", "revision", "records")
        names = (*shown, "cycles", "first_cycle", "last_cycle", "test_first_cycle", "test_last_cycle")
        rows = [
            {"test_id": str(test.test), **{name: getattr(test, name) for name in names}}
            for test in self._document.tests
        ]
        table = pl.DataFrame(rows, schema=None if rows else ["test_id", *names], infer_schema_length=None)
        return frames.in_form(table, form)

    def cycles(self, form: Form = "pandas") -> Table:
        """Return the cycle table of the cell, with the columns of ``analysis.dataset.DATASET_SCHEMA``.

        Raises:
            ArchiveError: A block that the dataset names is missing.
        """
        with one_line_errors(self._store.where):
            tables = dataset_build.cycle_tables(self._store, self._stored_as)
            seams = dataset_build.seam_table(self._store, self._stored_as)
            ids = [str(test.test) for test in self._document.tests]
            return frames.in_form(cell_cycles(tables, ids, self._placed, seams), form)

    def frame(self, columns: Sequence[str] | None = None, cycles: Range | None = None, form: Form = "pandas") -> Table:
        """Return the records of all tests in order.

        Beside the columns asked for stand ``test_id``, ``cycle_count`` within the cell, ``test_cycle_count``, the
        number within the test, and ``running_time_second``: the test time of all tests before, and of this one since
        its first record. ``running_throughput_ah``, everything charged and discharged so far, is worked out if it is
        asked for, or all columns are. What a test has not recorded is null.

        Args:
            columns: Canonical or ``aux_`` names, in the order wanted; all without.
            cycles: First and last number within the cell, both included; None leaves an end open.
            form: pandas by default; polars or Arrow on request.

        Raises:
            NotFoundError: No test has such a column, or a test is gone.
            ArchiveError: A test was read anew since, or a segment that it names is missing.
        """
        with one_line_errors(self._store.where):
            parts, known = [], set(BESIDE) | {THROUGHPUT}
            for place, test in enumerate(self._document.tests):
                numbers = self._numbers(place, cycles)
                if cycles is None or numbers.height:
                    stored = self._stored(test)
                    known |= set(stored.columns)
                    parts.append(self._part(place, test, stored, columns, numbers if cycles else None))
            if absent := [name for name in columns or () if name not in known]:
                raise NotFoundError(f"no test of cell {self.cell_code} has a column {', '.join(absent)}")
            return frames.in_form(self._together(parts, columns), form)

    @cached_property
    def _placed(self) -> pl.DataFrame:
        return dataset_build.placed_table(self._store, self._stored_as)

    def _numbers(self, place: int, wanted: Range | None) -> pl.DataFrame:
        """Return the cycles of a test that lie in a range, by both their numbers."""
        first, last = wanted or (None, None)
        bounds = [pl.col("test") == place]
        bounds += [pl.col("cycle_count") >= first] if first is not None else []
        bounds += [pl.col("cycle_count") <= last] if last is not None else []
        return self._placed.filter(bounds)

    def _stored(self, test: DatasetTest) -> TestResult:
        """Return a test, whose records must still be those that the dataset was built from, though more may follow.

        Raises:
            NotFoundError: It is gone.
            ArchiveError: It was read anew.
        """
        stored = by_id(TestResult, test.test)
        if dataset_build.digest_of(stored.segments) == test.records_digest:
            return stored
        read = {version for part in stored.raw_files for version in part.versions}
        grown = stored.record_count >= test.records and test.sha256 in read and test.sha256 != stored.sha256
        if not grown or test.reader != f"{stored.reader} {stored.reader_version}":
            raise ArchiveError(
                f"test {test.test} ({test.name}) was read anew since version {self.version} of cell {self.cell_code} "
                f"was built; build it again: battery-analysis dataset --cell {self.cell_code}"
            )
        return stored

    def _part(
        self,
        place: int,
        test: DatasetTest,
        stored: TestResult,
        columns: Sequence[str] | None,
        numbers: pl.DataFrame | None,
    ) -> pl.DataFrame:
        """Return the records of a test, all or those of some cycles."""
        own = CYCLE_COLUMN[stored.cycle_method]
        wants_throughput = columns is None or THROUGHPUT in columns
        wanted = [name for name in (columns or stored.columns) if name in stored.columns]
        needed = {own, TEST_TIME.name, *wanted, *(_COUNTED_BY if wants_throughput else ())}
        bounds = None
        if numbers is not None and stored.record_count == test.records:
            bounds = (numbers["test_cycle_count"].min(), numbers["test_cycle_count"].max())
        names = [name for name in stored.columns if name in needed]
        frame = frames.select(self._store, stored, names, bounds, None)  # type: ignore[arg-type]
        if bounds is None:
            frame = frame.head(test.records)  # what has grown since belongs to the next version
        frame = self._numbered(place, test, frame, own)
        if numbers is not None:
            frame = frame.filter(pl.col("cycle_count").is_in(numbers["cycle_count"].implode()))
        if wants_throughput:
            frame = frame.with_columns(self._throughput(place, frame))
        others = [name for name in wanted if name not in (CYCLE_COUNT.name, DERIVED_CYCLE_COUNT.name)]
        return frame.select(*BESIDE, *([THROUGHPUT] if wants_throughput else []), *others)

    def _numbered(self, place: int, test: DatasetTest, frame: pl.DataFrame, own: str) -> pl.DataFrame:
        """Add what stands beside every record."""
        ids = [str(each.test) for each in self._document.tests]
        passed = sum(_duration(each) for each in self._document.tests[:place])
        time = pl.lit(None, pl.Float64)
        if TEST_TIME.name in frame.columns and test.first_time_second is not None:
            time = pl.col(TEST_TIME.name) - test.first_time_second + passed
        number = pl.col(own).cast(pl.Int64) if own in frame.columns else pl.lit(None, pl.Int64)
        of_test = self._numbers(place, None)
        within = dict(zip(of_test["test_cycle_count"], of_test["cycle_count"], strict=True))
        return frame.with_columns(
            test_id=pl.lit(ids[place], pl.Enum(list(dict.fromkeys(ids)))),
            test_cycle_count=number,
            cycle_count=number.replace_strict(within, default=None, return_dtype=pl.Int64),
            running_time_second=time,
        )

    def _throughput(self, place: int, frame: pl.DataFrame) -> pl.Series:
        """Return everything that was charged and discharged up to each record, as the table says it of whole cycles."""
        nothing = pl.Series(THROUGHPUT, [None], dtype=pl.Float64)
        known = np.flatnonzero(frame["cycle_count"].is_not_null().to_numpy())
        if not known.size:
            return nothing.new_from_index(0, frame.height)
        # Counted from the end of a cycle, no matter what came before the first record that was loaded.
        number = frame["cycle_count"][int(known[0])]
        last = int(np.flatnonzero((frame["cycle_count"] == number).fill_null(False).to_numpy())[-1])
        at_end = self._placed.filter(test=place, cycle_count=number)[THROUGHPUT].item()
        if at_end is None:
            return nothing.new_from_index(0, frame.height)
        own = frame.drop("cycle_count").rename({"test_cycle_count": CYCLE_COUNT.name})
        moved = moved_by_record(own.drop(DERIVED_CYCLE_COUNT.name, strict=False))
        return pl.Series(THROUGHPUT, moved - moved[last] + at_end, nan_to_null=True)

    def _together(self, parts: Sequence[pl.DataFrame], columns: Sequence[str] | None) -> pl.DataFrame:
        mixed = _texts_and_numbers(parts)
        parts = [
            part.with_columns(pl.col(name).cast(pl.String) for name in mixed & set(part.columns)) for part in parts
        ]
        if not parts:
            return pl.DataFrame(schema=[*BESIDE, *(name for name in columns or () if name not in BESIDE)])
        whole = pl.concat(parts, how="diagonal_relaxed")
        asked = [name for name in (columns or whole.columns) if name not in (*BESIDE, DERIVED_CYCLE_COUNT.name)]
        return whole.select(*BESIDE, *(name for name in asked if name in whole.columns))


def _duration(test: DatasetTest) -> float:
    if test.first_time_second is None or test.last_time_second is None:
        return 0.0
    return float(test.last_time_second - test.first_time_second)


def _texts_and_numbers(parts: Sequence[pl.DataFrame]) -> set[str]:
    """Columns that hold texts in one test and numbers in another."""
    kinds: dict[str, set[bool]] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            kinds.setdefault(name, set()).add(dtype == pl.String)
    return {name for name, kind in kinds.items() if len(kind) > 1}
