"""What is stored, as files that others read: a test, all tests of a cell as one, or many tests in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl
from bson import ObjectId

from battery_analysis.analysis.numbering import number_cycles
from battery_analysis.columns import CURRENT, CYCLE_COUNT, DERIVED_CYCLE_COUNT, TEST_TIME, VOLTAGE
from battery_analysis.errors import ArchiveError, BatteryAnalysisError, NotFoundError, SchemaError
from battery_analysis.files import safe_name, unused
from battery_analysis.models import TestResult
from battery_analysis.readers.base import ColumnSource, TestMetadata
from battery_analysis.store import frames
from battery_analysis.store.access import by_id
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_frames import load_dataset
from battery_analysis.writing import left_out, write

Format = Literal["bdf-csv", "bdf-parquet", "batteryarchive", "hdf5", "excel", "json"]

ENDINGS: dict[Format, str] = {
    "bdf-csv": ".bdf.csv",
    "bdf-parquet": ".bdf.parquet",
    "batteryarchive": "_timeseries.csv",
    "hdf5": ".h5",
    "excel": ".xlsx",
    "json": ".json",
}
"""How files of each format end."""

REPORTED_CYCLE = "aux_reported_cycle_count"
"""The tester's cycle number, where another one counts."""

_SERIES = frozenset({TEST_TIME.name, VOLTAGE.name, CURRENT.name})


@dataclass(frozen=True)
class Content:
    """What is written of a test, or of a cell's dataset as one test."""

    name: str
    frame: pl.DataFrame
    cycles: pl.DataFrame
    metadata: TestMetadata
    without_series: int = 0
    """Records of a dataset that no time series holds: they have no time or no voltage, as those of spectra."""

    def ending(self, format: Format) -> str:
        """Return how its file ends; a spectrum alone is no table of the Battery Data Format, only in its columns."""
        ending = ENDINGS[format]
        return ending if set(self.frame.columns) >= _SERIES else ending.removeprefix(".bdf")

    def write(self, target: Path) -> list[Path]:
        """Write it in the format that the name of ``target`` says; see ``writing.write``."""
        return write(target, self.frame, self.cycles, self.metadata)

    def left_out(self, target: Path) -> str | None:
        """Say what does not come into a file, None where everything does."""
        said = [left_out(target, self.frame)]
        if count := self.without_series:
            records = "1 record" if count == 1 else f"{count} records"
            said.append(f"{records} without a time or a voltage, as of a spectrum, left out")
        return "; ".join(filter(None, said)) or None


@dataclass(frozen=True)
class Written:
    """What became of one test of an export."""

    test_id: ObjectId
    name: str
    files: list[Path] = field(default_factory=list)
    problem: str | None = None
    left_out: str | None = None


def content_of_test(store: Store, test: TestResult) -> Content:
    """Load all there is of a test.

    Raises:
        ArchiveError: A segment or block that it names is missing.
    """
    cycles = frames.cycle_table(store, test)
    frame = _as_counted(frames.select(store, test, None, None, None), test)
    return Content(stem_of(test), frame, cycles, metadata_of(test))


def content_of_dataset(store: Store, code: str, version: int | None = None) -> Content:
    """Load the dataset of a cell as one test: time, cycles and steps count through (see ``writing.whole_life``).

    Raises:
        NotFoundError: The cell has no dataset, or not this version, or it has no tests.
        ArchiveError: What it names is missing, or was read anew since.
        SchemaError: None of its tests is a time series.
    """
    from battery_analysis.writing.whole_life import as_one_test

    dataset = load_dataset(store, code, version)
    records, tests = dataset.frame(form="polars"), dataset.tests("polars")
    assert isinstance(records, pl.DataFrame)
    assert isinstance(tests, pl.DataFrame)
    if not tests.height:
        raise NotFoundError(f"version {dataset.version} of the dataset of cell {code!r} has no tests")
    places = {identity: place for place, identity in enumerate(tests["test_id"], start=1)}
    place = pl.col("test_id").cast(pl.String).replace_strict(places, return_dtype=pl.Int64)
    frame = as_one_test(records.with_columns(place.alias("test")))
    metadata = TestMetadata(
        tester=", ".join(dict.fromkeys(tests["tester"])),
        test_type="cycling",
        test_name=f"dataset {code}, version {dataset.version}",
        sample_name=next(iter(tests["sample_name"].to_list()), None),
        started_at=tests["started_at"].drop_nulls().min(),  # type: ignore[arg-type]
        header={"cell code": code, "version": str(dataset.version), "digest": dataset.digest}
        | {f"test {place}": f"{row['name']} ({row['test_id']})" for place, row in enumerate(tests.to_dicts(), start=1)},
    )
    cycles: Any = dataset.cycles(form="polars")
    return Content(safe_name(code), frame, _placed_in(frame, cycles), metadata, records.height - frame.height)


def write_all(store: Store, ids: Iterable[ObjectId], folder: Path, format: Format) -> Iterator[Written]:
    """Write tests into a folder, each as a file of its own, and yield what became of each.

    A test that cannot be written does not stop the others.

    Raises:
        StoreUnavailableError: The database is lost.
        BatteryAnalysisError: The folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise BatteryAnalysisError(f"{folder}: cannot be made: {exc.strerror or exc}") from exc
    taken: set[str] = set()
    for identity in ids:
        name = str(identity)
        try:
            test = by_id(TestResult, identity)
            name = test.name
            content = content_of_test(store, test)
            target = folder / f"{unused(content.name, taken)}{content.ending(format)}"
            yield Written(identity, name, content.write(target), left_out=content.left_out(target))
        except (ArchiveError, NotFoundError, SchemaError) as exc:
            yield Written(identity, name, problem=str(exc))


def metadata_of(test: TestResult) -> TestMetadata:
    """Return what is said of a stored test, as a reader would; its sample is the one it belongs to today."""
    limits = test.voltage_limits_volt
    return TestMetadata(
        tester=test.tester,
        device=test.device,
        channel=test.channel,
        technique=test.technique,
        test_type=test.test_type,
        test_name=test.name,
        sample_name=test.sample_name,
        protocol=test.protocol,
        operator=test.operator,
        comment=test.comment,
        software=test.software,
        started_at=test.started_at,
        ended_at=test.ended_at,
        time_zone=test.time_zone,
        active_mass_gram=test.active_mass_gram,
        nominal_capacity_ah=test.nominal_capacity_ah,
        voltage_limits_volt=(limits[0], limits[1]) if len(limits) == 2 else None,
        finished=test.finished,
        continuation=bool(test.continuation),
        sources={
            name: ColumnSource(facts["source"], facts.get("unit", ""))
            for name, facts in test.columns.items()
            if "source" in facts
        },
        header={line.key: line.value or "" for line in test.header},
    )


def stem_of(test: TestResult) -> str:
    """Return the name of a test as that of a file, without suffix."""
    return safe_name(Path(test.name).stem or test.name)


def _as_counted(frame: pl.DataFrame, test: TestResult) -> pl.DataFrame:
    """Let ``cycle_count`` be what counts, where a reader of the exported records would count otherwise.

    Numbers that count on over several files of a run cannot be derived again from the records alone.
    """
    if test.cycle_method != "derived" or DERIVED_CYCLE_COUNT.name not in frame.columns:
        return frame
    counted = frame[DERIVED_CYCLE_COUNT.name]
    again, method = number_cycles(frame.drop(DERIVED_CYCLE_COUNT.name))
    if method == "derived" and again[DERIVED_CYCLE_COUNT.name].equals(counted):
        return frame
    frame = frame.rename({CYCLE_COUNT.name: REPORTED_CYCLE}, strict=False)
    return frame.rename({DERIVED_CYCLE_COUNT.name: CYCLE_COUNT.name})


def _placed_in(frame: pl.DataFrame, cycles: pl.DataFrame) -> pl.DataFrame:
    """Let the cycles of a dataset say where their records stand among those of all tests."""
    within = (
        frame.with_row_index("first_record")
        .group_by(pl.col(CYCLE_COUNT.name), maintain_order=True)
        .agg(pl.col("first_record").first().cast(pl.Int64), pl.len().cast(pl.Int64).alias("records"))
    )
    order = cycles.columns
    return cycles.drop("first_record", "records").join(within, on="cycle_count", how="left").select(order)
