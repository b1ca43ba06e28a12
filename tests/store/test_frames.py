"""Frames come back as they were stored, and a query touches only what it needs."""

from __future__ import annotations

from pathlib import Path

import mongoengine
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pymongo import monitoring

from battery_analysis.errors import ArchiveError, NotFoundError
from battery_analysis.models import TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, columnar, frames, open_store
from tests.builders import cycling_frame, read_result, save


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(columnar, "RECORDS_PER_SEGMENT", 25)
    return 25


def test_a_frame_comes_back_whole_over_many_segments(store: Store, tmp_path: Path, small_segments: int) -> None:
    result = read_result(cycling_frame(cycles=5))
    test = save(store, tmp_path, result)
    assert [segment.records for segment in test.segments] == [25, 25, 25, 25]
    assert_frame_equal(frames.load_frame(store, test.id, form="polars"), result.frame)
    assert_frame_equal(pl.from_pandas(frames.load_cycles(store, test.id)), result.cycles, check_dtypes=False)


def test_columns_come_in_the_order_asked_for(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    assert list(frames.load_frame(store, test.id, ["voltage_volt", "test_time_second"]).columns) == [
        "voltage_volt",
        "test_time_second",
    ]


def test_pandas_by_default_polars_and_arrow_on_request(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    kinds = [type(frames.load_frame(store, test.id)).__module__]
    kinds += [type(frames.load_frame(store, test.id, form=form)).__module__ for form in ("polars", "arrow")]  # type: ignore[call-overload]
    assert [kind.split(".")[0] for kind in kinds] == ["pandas", "polars", "pyarrow"]


def test_ranges_include_both_ends_and_may_be_open(store: Store, tmp_path: Path, small_segments: int) -> None:
    test = save(store, tmp_path, read_result(cycling_frame(cycles=5)))

    def cycles(**ranges: object) -> list[int]:
        frame = frames.load_frame(store, test.id, ["cycle_count"], form="polars", **ranges)  # type: ignore[call-overload]
        return frame["cycle_count"].unique().sort().to_list()

    assert cycles(cycles=(2, 3)) == [2, 3]
    assert cycles(cycles=(None, 2)) == [1, 2]
    assert cycles(cycles=(4, None)) == [4, 5]
    assert cycles(time=(60.0 * 21, 60.0 * 40)) == [2]
    assert cycles(cycles=(9, 10)) == []


class FoundDocuments(monitoring.CommandListener):
    """Counts the documents that finds in one collection return."""

    def __init__(self) -> None:
        self.segments: list[dict[str, object]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        cursor = event.reply.get("cursor", {})
        if str(cursor.get("ns", "")).endswith(f".{frames.SEGMENTS}"):
            self.segments += cursor.get("firstBatch", cursor.get("nextBatch", []))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


def test_one_cycle_reads_only_its_segments_and_columns(
    settings: Settings, tmp_path: Path, small_segments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = FoundDocuments()
    connect = mongoengine.connect
    monkeypatch.setattr(
        mongoengine, "connect", lambda *names, **options: connect(*names, **options, event_listeners=[listener])
    )
    with open_store(settings) as store:
        test = save(store, tmp_path, read_result(cycling_frame(cycles=10)))
        listener.segments.clear()
        frame = frames.load_frame(store, test.id, ["voltage_volt"], cycles=(4, 4), form="polars")
    assert frame.height == 20
    assert len(test.segments) == 8
    assert len(listener.segments) == 2  # records 60 to 79 lie in the third and fourth run of 25
    assert set(listener.segments[0]["columns"]) == {"voltage_volt", "cycle_count"}  # type: ignore[call-overload]


@given(height=st.integers(0, 120), per_segment=st.integers(1, 50), size=st.integers(300, 5000))
def test_any_cut_joins_to_the_frame_and_keeps_the_limits(height: int, per_segment: int, size: int) -> None:
    frame = pl.DataFrame({"a": range(height), "b": [f"step {number % 7}" for number in range(height)]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columnar, "RECORDS_PER_SEGMENT", per_segment)
        patch.setattr(columnar, "BYTES_PER_SEGMENT", size)
        runs = list(columnar.encode(frame))
    assert [run.first for run in runs] == [sum(run.rows for run in runs[:number]) for number in range(len(runs))]
    assert all(run.rows == 1 or sum(map(len, run.columns.values())) <= size for run in runs)
    joined = pl.concat([columnar.decode(run.columns) for run in runs]) if runs else frame.clear()
    assert_frame_equal(joined, frame)


@given(height=st.integers(1, 100), grown=st.integers(0, 100))
def test_a_frame_that_grew_keeps_its_full_segments(height: int, grown: int) -> None:
    frame = pl.DataFrame({"a": range(height + grown)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columnar, "RECORDS_PER_SEGMENT", 10)
        before = [run.digest for run in columnar.encode(frame.head(height))]
        after = [run.digest for run in columnar.encode(frame)]
    full = height // 10
    assert after[:full] == before[:full]


def test_an_unknown_column_is_named_with_those_there_are(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()))
    with pytest.raises(NotFoundError, match=r"no column power_watt; it has test_time_second, voltage_volt"):
        frames.load_frame(store, test.id, ["power_watt"])


def test_an_unknown_test_is_named(store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"no test result has the id 0{24}"):
        frames.load_frame(store, "0" * 24)
    with pytest.raises(NotFoundError, match="no test result has the id 'x'"):
        frames.load_frame(store, "x")


def test_a_missing_segment_is_an_error_and_never_a_shorter_frame(
    store: Store, tmp_path: Path, small_segments: int
) -> None:
    test = save(store, tmp_path, read_result(cycling_frame(cycles=5)))
    store.database[frames.SEGMENTS].delete_one({"_id": test.segments[2].id})
    with pytest.raises(ArchiveError, match="1 of 4 documents are missing"):
        frames.load_frame(store, test.id)


def test_the_overview_is_small_and_keeps_the_extremes(store: Store, tmp_path: Path) -> None:
    frame = cycling_frame(cycles=1000, records=40).with_columns(
        voltage_volt=pl.when(pl.int_range(pl.len()) == 12_345).then(9.9).otherwise(pl.col("voltage_volt"))
    )
    test = save(store, tmp_path, read_result(frame))
    overview = frames.load_overview(store, test.id)
    assert overview.filter(pl.col("signal") == "voltage_volt")["value"].max() == 9.9
    assert overview.filter(pl.col("signal") == "voltage_volt").height <= 4_100


def test_a_range_without_records_gives_the_columns_and_no_rows(store: Store, tmp_path: Path) -> None:
    result = read_result(cycling_frame())
    test = save(store, tmp_path, result)
    nothing = frames.load_frame(store, test.id, time=(1e9, None), form="polars")
    assert (nothing.height, nothing.schema) == (0, result.frame.schema)


def test_a_test_without_cycles_has_an_empty_table_with_its_columns(store: Store, tmp_path: Path) -> None:
    result = read_result(cycling_frame().drop("current_ampere"))
    test = save(store, tmp_path, result)
    assert_frame_equal(frames.load_cycles(store, test.id, form="polars"), result.cycles)


def test_some_columns_of_a_cycle_table_are_those_of_all(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["cycle_count", "start_time_second"]
    monkeypatch.setattr(columnar, "RECORDS_PER_SEGMENT", 5)
    several = save(store, tmp_path, read_result(cycling_frame(cycles=12)))
    assert len(several.cycle_blocks) == 3
    assert frames.cycle_table(store, several, names).equals(frames.cycle_table(store, several).select(names))
    apart = columnar.encode_columns(frames.cycle_table(store, several))
    assert columnar.decode(apart, names).equals(frames.cycle_table(store, several).select(names))
    none = TestResult(cycle_blocks=[])
    assert frames.cycle_table(store, none, names).schema == frames.cycle_table(store, none).select(names).schema
