"""All tests of a cell as one: in order, numbered through, in versions, at the cost of what has changed."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from battery_analysis.analysis.dataset import DATASET_SCHEMA
from battery_analysis.analysis.features import cell_features
from battery_analysis.errors import ArchiveError, InvalidDocumentError, NotFoundError
from battery_analysis.models import CellDataset, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, dataset_build, datasets, frames, garbage, removal, samples, test_edits, tests
from battery_analysis.store.backup import backup, restore
from battery_analysis.store.dataset_frames import load_dataset
from battery_analysis.store.search import Query, search
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


def test_cycles_that_each_test_counts_for_itself_are_never_shared(store: Store, tmp_path: Path) -> None:
    whole = cycling_frame(4).drop("cycle_count")
    for name, frame in (("AB12_a.csv", whole.head(20)), ("AB12_b.csv", whole.slice(20))):
        add(store, tmp_path, 0, frame=frame, name=name)
    built(store)
    assert load_dataset(store, "AB12").tests()["continues"].tolist() == [False, False]
    assert cycles_of(store)["test_cycle_count"].to_list() == [1, 1, 2, 3]


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


def test_figures_of_a_test_are_those_of_all_complete_cycles_wherever_they_are_asked_for(
    store: Store, tmp_path: Path
) -> None:
    """Two slow formation cycles that hold more, then eight, of which the last is incomplete."""
    slow = cycling_frame(2, records=60)
    fast = cycling_frame(8).with_columns(
        pl.col("test_time_second") + slow["test_time_second"][-1],
        pl.col("cycle_count") + 2,
        pl.col("step_count") + 4,
        pl.col("current_ampere") * pl.when(pl.col("cycle_count") > 4).then(0.96).otherwise(1.0) * 2,
    )
    test = add(store, tmp_path, 1, frame=pl.concat([slow, fast]))
    built(store)
    cycles = cycles_of(store)
    assert cycles["role"].to_list()[:3] == ["formation", "formation", "cycling"]
    [found] = search(Query())
    features = cell_features(cycles)
    assert (found.initial_capacity_ah, found.final_capacity_ah) == (pytest.approx(0.5), pytest.approx(0.32))
    assert found.capacity_retention == features["capacity_retention"] == pytest.approx(0.64)
    stored = TestResult.objects.get(id=test.id)
    for name in ("coulombic_efficiency", "energy_efficiency"):
        assert getattr(stored, f"mean_{name}") == pytest.approx(features[f"mean_{name}"])
        assert features[f"mean_{name}"] == pytest.approx(cycles.filter("complete")[name].mean())


def test_a_sample_that_is_renamed_gives_a_version_that_says_so(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1)
    first = built(store)
    samples.set_fields(store, "AB12", {"name": "AB12 (cathode B)"})
    second = datasets.version_of("AB12")
    assert (first.version, second.version, second.digest == first.digest) == (1, 2, False)
    assert (second.sample_name, second.tests[0].sample_name) == ("AB12 (cathode B)", "AB12 (cathode B)")
    assert second.tests[0].blocks == first.tests[0].blocks
    assert datasets.rebuild(store, "AB12") == (2, False)


def test_a_new_version_only_for_new_content(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1)
    assert datasets.rebuild(store, "AB12") == (1, True)
    first = built(store)
    test_edits.tag(first.tests[0].test, add=["good"])
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


def test_going_back_makes_a_version_that_stays_until_a_test_changes(store: Store, tmp_path: Path) -> None:
    first = add(store, tmp_path, 1)
    built(store)
    add(store, tmp_path, 2)
    datasets.refresh(store, ["AB12"])
    assert datasets.roll_back(store, "AB12", 1) == 3
    restored = datasets.version_of("AB12")
    assert (restored.restores, restored.digest) == (1, datasets.version_of("AB12", 1).digest)
    assert cycles_of(store)["test_id"].unique().to_list() == [str(first.id)]
    assert (datasets.refresh(store, ["AB12"]), datasets.refresh_left_behind(store)) == (0, 0)
    assert not set(block_ids(store, 3)) & set(block_ids(store, 1))

    with pytest.raises(InvalidDocumentError, match="version 3 is the newest already"):
        datasets.roll_back(store, "AB12", 3)
    add(store, tmp_path, 3)
    assert datasets.refresh(store, ["AB12"]) == 1
    assert cycles_of(store).height == 9
    removal.delete_test(store, first.id)
    with pytest.raises(NotFoundError, match=rf"version 1 of cell 'AB12' names test {first.id} \(AB12_1.csv\)"):
        datasets.roll_back(store, "AB12", 1)


def block_ids(store: Store, version: int) -> set[object]:
    return dataset_build.block_ids(datasets.version_of("AB12", version).to_mongo())


def test_a_test_that_is_deleted_or_moved_leaves_its_dataset(store: Store, tmp_path: Path) -> None:
    first, second, third = (add(store, tmp_path, day, day) for day in (1, 2, 3))
    built(store)
    removal.delete_test(store, second.id)
    assert [test.test for test in datasets.version_of("AB12").tests] == [first.id, third.id]
    assert cycles_of(store)["cycle_count"].to_list() == [1, 2, 3, 4]
    samples.get_or_create("CD34")
    tests.move(store, third.id, samples.by_name("CD34"), "CD34")
    assert [test.test for test in datasets.version_of("AB12").tests] == [first.id]
    assert [test.test for test in datasets.version_of("CD34").tests] == [third.id]
    assert load_dataset(store, "CD34").frame(["voltage_volt"]).shape == (60, 5)  # type: ignore[union-attr]
    removal.delete_test(store, first.id)
    assert datasets.version_of("AB12").tests == []
    assert (cycles_of(store).height, records(store).height) == (0, 0)
    assert list(garbage.missing(store)) == []


def test_versions_that_nobody_asked_for_are_thinned(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 0, 1)
    datasets.rebuild(store, "AB12")
    for day in range(1, 14):
        add(store, tmp_path, day, 1)
        datasets.refresh(store, ["AB12"])
    kept = [each.version for each in datasets.versions("AB12")]
    assert kept == [*range(14, 4, -1), 1]
    assert cycles_of(store, 1).height == 1
    assert garbage.find(store, NOW)[dataset_build.BLOCKS] == []
    assert list(garbage.missing(store)) == []

    CellDataset.objects.update(set__created_at=STARTED_AT)
    add(store, tmp_path, 14, 1)
    datasets.refresh(store, ["AB12"])
    assert [each.version for each in datasets.versions("AB12")] == [*range(15, 5, -1), 1]  # 14 is the last of its day


def test_of_two_that_build_at_once_the_second_looks_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, tmp_path, 1)
    built(store)
    add(store, tmp_path, 2)
    write, rivals = dataset_build.Build.write, []

    def write_late(build: dataset_build.Build, writing: dataset_build.Writing) -> object:
        if not rivals:
            rivals.append(add(store, tmp_path, 3))
            assert datasets.rebuild(store, "AB12") == (2, True)
        return write(build, writing)

    monkeypatch.setattr(dataset_build.Build, "write", write_late)
    assert datasets.rebuild(store, "AB12") == (2, False)
    assert cycles_of(store).height == 9
    assert garbage.find(store, NOW)[dataset_build.BLOCKS] == []


def test_a_crash_before_the_document_leaves_garbage_and_the_version_before(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, tmp_path, 1)
    built(store)
    add(store, tmp_path, 2)

    def dies(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "_insert", dies)
        with pytest.raises(KeyboardInterrupt):
            datasets.rebuild(store, "AB12")
    assert cycles_of(store).height == 3
    orphans = garbage.find(store, NOW)
    assert len(orphans[dataset_build.BLOCKS]) == 1  # the numbers; both tests have equal cycles, stored once
    assert sum(map(len, garbage.find(store).values())) == 0
    garbage.sweep(store, orphans)
    assert datasets.refresh_left_behind(store) == 1
    assert cycles_of(store).height == 6


def test_blocks_that_are_lost_are_named_and_written_anew_by_a_build(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1)
    built(store)
    store.database[dataset_build.BLOCKS].delete_many({})
    assert list(garbage.missing(store)) == ["dataset AB12 version 1: 2 of 2 blocks are missing"]
    with pytest.raises(ArchiveError, match="dataset_blocks: 1 of 1 documents are missing"):
        cycles_of(store)
    assert datasets.rebuild(store, "AB12") == (2, True)
    assert cycles_of(store).height == 3


def test_a_dataset_whose_test_lacks_data_stays_as_it_was(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, tmp_path, 1)
    built(store)
    test = add(store, tmp_path, 2, 4)
    frames.drop(store.database, frames.CYCLE_BLOCKS, [block.id for block in test.cycle_blocks])
    assert datasets.refresh(store, ["AB12"]) == 0
    assert "the dataset of cell AB12 is as it was: cycle_blocks: 1 of 1 documents are missing" in caplog.text
    assert cycles_of(store).height == 3


def test_only_what_is_new_of_a_cell_is_read_and_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(8):
        add(store, tmp_path, day, day + 2)
    built(store)
    add(store, tmp_path, 9, 30)
    before = {each["_id"] for each in store.database[dataset_build.BLOCKS].find({}, {"_id": 1})}
    decoded: list[int] = []
    decode = dataset_build.columnar.decode

    def counting(columns: dict[str, bytes]) -> pl.DataFrame:
        table = decode(columns)
        decoded.append(table.height)
        return table

    monkeypatch.setattr(dataset_build.columnar, "decode", counting)
    assert datasets.rebuild(store, "AB12") == (2, True)
    assert sorted(decoded) == [30, sum(range(2, 10))]  # the new test's cycles, and the numbers of the others
    written = {each["_id"] for each in store.database[dataset_build.BLOCKS].find({}, {"_id": 1})} - before
    assert len(written) == 2


def test_a_hundred_thousand_cycles_are_no_limit(store: Store, tmp_path: Path) -> None:
    cycles = 100_000
    add(store, tmp_path, 1, frame=cycling_frame(cycles, 2))
    add(store, tmp_path, 400, 3)
    began = time.monotonic()
    built(store)
    table = cycles_of(store)
    assert time.monotonic() - began < 20
    assert table["cycle_count"].to_list() == list(range(1, cycles + 4))
    last = records(store, ["current_ampere"], cycles=(cycles, cycles + 1))
    assert last["test_cycle_count"].unique(maintain_order=True).to_list() == [cycles, 1]


def test_records_that_are_no_longer_those_of_the_dataset_are_refused(store: Store, tmp_path: Path) -> None:
    test = add(store, tmp_path, 1)
    built(store)
    TestResult.objects(id=test.id).update(set__segments__0__digest="another")
    with pytest.raises(ArchiveError, match=r"test \w+ \(AB12_1.csv\) was read anew since version 1 of cell AB12"):
        records(store)
    assert cycles_of(store).height == 3


def test_texts_and_numbers_of_one_name_stand_together_as_texts(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1, frame=cycling_frame(1).with_columns(aux_humidity=pl.lit("dry")))
    add(store, tmp_path, 2, 1)
    built(store)
    humidity = records(store, ["aux_humidity"])["aux_humidity"]
    assert (humidity[0], humidity[-1]) == ("dry", "19.5")


def test_a_backup_brings_datasets_back(store: Store, settings: Settings, tmp_path: Path) -> None:
    add(store, tmp_path, 1)
    built(store)
    before = cycles_of(store)
    backup(store.database, tmp_path / "lab.tar")
    store.database[dataset_build.BLOCKS].delete_many({})
    store.database[CellDataset._get_collection_name()].delete_many({})
    restore(store.database, tmp_path / "lab.tar", force=True)
    assert_frame_equal(cycles_of(store), before)
    assert list(garbage.missing(store)) == []


def test_a_dataset_that_names_a_lost_test_is_found_and_mended(store: Store, tmp_path: Path) -> None:
    test = add(store, tmp_path, 1)
    add(store, tmp_path, 2)
    built(store)
    removal.delete_test(store, test.id, refresh=False)  # whoever removed it died before the dataset followed
    [line] = garbage.missing(store)
    assert line.startswith("dataset AB12 version 1: names AB12_1.csv, gone or of another cell; build it again")
    assert datasets.refresh_left_behind(store) == 1
    assert list(garbage.missing(store)) == []
