"""All tests of a cell as one: in order, numbered through, in versions, at the cost of what has changed."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from battery_analysis.analysis.dataset import DATASET_SCHEMA
from battery_analysis.columns import TEST_TIME
from battery_analysis.errors import ArchiveError, InvalidDocumentError, NotFoundError
from battery_analysis.models import CellDataset, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, dataset_build, datasets, frames, garbage, removal, samples, tests
from battery_analysis.store.dataset_frames import Dataset, load_dataset
from tests.builders import STARTED_AT, cycling_frame, read_result, save

NOW = timedelta(0)


def add(store: Store, folder: Path, day: int | None, cycles: int = 3, **options: object) -> TestResult:
    """Store a test of cell AB12 that began on a day."""
    frame = options.pop("frame", cycling_frame(cycles))
    name = str(options.pop("name", f"AB12_{day}.csv"))
    facts = {"started_at": None if day is None else STARTED_AT + timedelta(days=day), **options}
    return save(store, folder, read_result(frame, **facts), name=name)  # type: ignore[arg-type]


def cycles_of(store: Store, version: int | None = None) -> pl.DataFrame:
    return load_dataset(store, "AB12", version).cycles(form="polars")  # type: ignore[return-value]


def records(store: Store, columns: list[str] | None = None, **options: object) -> pl.DataFrame:
    return load_dataset(store, "AB12").frame(columns, form="polars", **options)  # type: ignore[return-value, arg-type]


def built(store: Store) -> CellDataset:
    return datasets.version_of("AB12", datasets.rebuild(store, "AB12").version)


def test_cycles_are_numbered_through_in_order_of_time(store: Store, tmp_path: Path) -> None:
    second, first = add(store, tmp_path, 5, 2), add(store, tmp_path, 1, 3)
    built(store)
    table = cycles_of(store)
    assert table.columns == list(DATASET_SCHEMA)
    assert table["cycle_count"].to_list() == [1, 2, 3, 4, 5]
    assert table["test_cycle_count"].to_list() == [1, 2, 3, 1, 2]
    assert table["test_id"].to_list() == [str(first.id)] * 3 + [str(second.id)] * 2
    # Twenty records a minute apart in a cycle; a test begins with its first record.
    assert table["running_time_second"].to_list() == [1140.0, 2340.0, 3540.0, 4680.0, 5880.0]
    assert table["running_throughput_ah"].to_list() == pytest.approx([20 / 60 * n for n in range(1, 6)])


def test_a_test_without_a_date_stands_last_and_that_is_said(store: Store, tmp_path: Path) -> None:
    undated = add(store, tmp_path, None, name="AB12_a.csv")
    add(store, tmp_path, 1)
    built(store)
    dataset = load_dataset(store, "AB12")
    assert dataset.remarks == [f"test {undated.id} (AB12_a.csv) has no date; it stands after the dated ones"]
    assert dataset.tests()["placed_by"].tolist() == ["start", "name"]


def with_counter(frame: pl.DataFrame) -> pl.DataFrame:
    """Add counters of both directions that each cycle resets, and that go on over the cut."""
    minute = pl.col("current_ampere").abs() / 60
    in_cycle = {
        f"cycle_{way}_capacity_ah": pl.when(pl.col("current_ampere") * sign > 0).then(minute).otherwise(0.0)
        for way, sign in (("charging", 1), ("discharging", -1))
    }
    return frame.with_columns(each.cum_sum().over("cycle_count").alias(name) for name, each in in_cycle.items())


@pytest.mark.parametrize("cut", [40, 45, 58], ids="cut at {}".format)
@pytest.mark.parametrize("counter", [False, True], ids=["integrated", "counted"])
def test_a_test_that_goes_on_where_another_stopped_is_one_with_it(
    store: Store, tmp_path: Path, cut: int, counter: bool
) -> None:
    whole = with_counter(cycling_frame(4)) if counter else cycling_frame(4)
    facts = {"channel": "7", "started_at": STARTED_AT}
    add(store, tmp_path, 0, frame=whole.head(cut), name="AB12_a.csv", **facts)
    later = add(store, tmp_path, 0, frame=whole.slice(cut), name="AB12_b.csv", **facts)
    built(store)
    alone = read_result(whole).cycles
    table = cycles_of(store)
    told = [name for name in alone.columns if name != "first_record"]
    assert_frame_equal(table.select(told), alone.select(told))
    assert table["running_throughput_ah"].to_list() == pytest.approx([20 / 60 * n for n in range(1, 5)])
    assert load_dataset(store, "AB12").tests()["continues"].tolist() == [False, True]
    third = records(store, ["voltage_volt"], cycles=(3, 3))
    assert (third.height, third["test_id"].unique().len()) == (20, 1 if cut == 40 else 2)
    assert str(later.id) in third["test_id"].cast(pl.String).to_list()

    add(store, tmp_path, 9)  # the seam is known and not worked out again
    samples.set_fields(store, "AB12", {"cell_type": "half_negative"})
    assert cycles_of(store)["coulombic_efficiency"].to_list()[1:3] == pytest.approx([1.0, 1.0])
    removal.delete_test(store, load_dataset(store, "AB12").tests()["test_id"][0])
    left = cycles_of(store)
    assert left["cycle_count"].to_list() == list(range(1, left.height + 1))
    assert left["test_id"][0] == str(later.id)


def test_a_new_version_only_for_new_content(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1)
    assert datasets.rebuild(store, "AB12") == (1, True)
    first = built(store)
    tests.tag(first.tests[0].test, add=["good"])
    samples.set_fields(store, "AB12", {"description": "the best"})
    assert datasets.rebuild(store, "AB12") == (1, False)
    add(store, tmp_path, 2)
    assert datasets.rebuild(store, "AB12") == (2, True)
    second = built(store)
    assert second.previous == 1
    assert second.digest != first.digest
    assert second.tests[0].blocks == first.tests[0].blocks
    assert cycles_of(store, 1).height == 3
    assert cycles_of(store).height == 6


def test_the_efficiency_of_the_cell_type_reaches_the_dataset(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1)
    built(store)
    before = cycles_of(store)["coulombic_efficiency"].to_list()
    samples.set_fields(store, "AB12", {"cell_type": "half_negative"})
    assert datasets.version_of("AB12").version == 2
    assert cycles_of(store)["coulombic_efficiency"].drop_nulls().to_list() == pytest.approx(
        [1 / each for each in before if each is not None]
    )


def test_records_of_all_tests_carry_the_numbers_of_the_cell(store: Store, tmp_path: Path) -> None:
    first = add(store, tmp_path, 1, 3)
    second = add(store, tmp_path, 2, 2, frame=cycling_frame(2).drop("aux_humidity"))
    built(store)
    dataset = load_dataset(store, "AB12")
    frame = dataset.frame(form="polars")
    assert isinstance(frame, pl.DataFrame)
    assert frame.height == 100
    assert frame["aux_humidity"].null_count() == 40
    assert frame["cycle_count"].unique().sort().to_list() == [1, 2, 3, 4, 5]
    assert frame["running_time_second"].is_sorted()
    ends = frame.group_by("cycle_count", maintain_order=True).last()
    assert ends["running_throughput_ah"].to_list() == pytest.approx(cycles_of(store)["running_throughput_ah"].to_list())

    some = dataset.frame(["voltage_volt", "running_throughput_ah"], cycles=(3, 4), form="polars")
    assert isinstance(some, pl.DataFrame)
    assert some.columns == [
        *("test_id", "cycle_count", "test_cycle_count", "running_time_second", "voltage_volt", "running_throughput_ah")
    ]
    assert some.select(pl.col("test_id").cast(pl.String), "cycle_count", "test_cycle_count").unique(
        maintain_order=True
    ).rows() == [(str(first.id), 3, 3), (str(second.id), 4, 1)]
    same = frame.filter(pl.col("cycle_count").is_between(3, 4))
    assert some["running_throughput_ah"].to_list() == pytest.approx(same["running_throughput_ah"].to_list())
    assert some["running_time_second"].to_list() == same["running_time_second"].to_list()
    with pytest.raises(NotFoundError, match="no test of cell AB12 has a column power_watt"):
        dataset.frame(["power_watt"])


def test_pandas_by_default_polars_and_arrow_on_request(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1)
    built(store)
    dataset = load_dataset(store, "AB12")
    for table in (dataset.cycles, dataset.tests, dataset.frame):
        kinds = [type(table()), *(type(table(form=form)) for form in ("polars", "arrow"))]  # type: ignore[operator]
        assert [kind.__module__.split(".")[0] for kind in kinds] == ["pandas", "polars", "pyarrow"]
