"""Lives of many cells and tests at once are what each alone is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from battery_analysis.analysis.dataset import DATASET_SCHEMA
from battery_analysis.analysis.halves import half_cycles
from battery_analysis.models import Sample
from battery_analysis.store import Store, datasets, frames
from battery_analysis.store.dataset_frames import load_dataset
from battery_analysis.store.kept_tables import KeptTables
from battery_analysis.store.lives import cell_codes, load_cycle, load_lives
from tests.builders import cycling_frame, read_result, save


def add(store: Store, folder: Path, code: str, name: str = "", **facts: object) -> str:
    """Store a test of three cycles and return its id."""
    result = read_result(cycling_frame(3), **facts)
    return str(save(store, folder, result, name=f"{code}{name}.csv", sample=code).id)


def test_lives_of_many_are_what_each_dataset_and_cycle_table_say(store: Store, tmp_path: Path) -> None:
    test = add(store, tmp_path, "AB12")
    add(store, tmp_path, "AB12", "_b")
    add(store, tmp_path, "CD34")
    datasets.rebuild(store, "AB12")
    found, absent = load_lives(store, ["CD34", "AB12", "EF56"], [test, "nonsense"])
    assert [(life.of, life.id) for life in found] == [("cell", "CD34"), ("cell", "AB12"), ("test", test)]
    for life in found[:2]:
        assert_frame_equal(life.cycles, load_dataset(store, life.id).cycles(form="polars"))  # type: ignore[arg-type]
    own = frames.load_cycles(store, test, form="polars")
    assert found[2].cycles.columns == list(DATASET_SCHEMA)
    assert_frame_equal(found[2].cycles.select(own.columns), own)  # type: ignore[arg-type]
    # Twenty records a minute apart in a cycle, at 1 A all the time.
    assert found[2].cycles["running_throughput_ah"].to_list() == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert absent == ["cell 'EF56' has no tests", "there is no test 'nonsense'"]


def test_a_life_knows_when_the_clocks_of_its_tests_began(store: Store, tmp_path: Path) -> None:
    began = datetime(2026, 3, 2, 8, tzinfo=UTC)
    late = cycling_frame(3).with_columns(pl.col("test_time_second") + 60.0)
    result = read_result(late, started_at=began)
    dated = str(save(store, tmp_path, result, name="AB12.csv", sample="AB12").id)
    add(store, tmp_path, "AB12", "_b", started_at=None)
    datasets.rebuild(store, "AB12")
    (cell, test), _ = load_lives(store, ["AB12"], [dated])
    assert cell.starts == test.starts == {dated: began - timedelta(seconds=late["test_time_second"][0])}


def test_kept_tables_are_used_again_and_a_new_version_is_seen(store: Store, tmp_path: Path) -> None:
    test = add(store, tmp_path, "AB12")
    kept = KeptTables(most_rows=1000)
    before, _ = load_lives(store, ["AB12"], [test], kept)
    again, _ = load_lives(store, ["AB12"], [test], kept)
    assert [one.cycles is other.cycles for one, other in zip(before, again, strict=True)] == [True, True]
    add(store, tmp_path, "AB12", "_b")
    datasets.rebuild(store, "AB12")
    after, _ = load_lives(store, ["AB12"], [test], kept)
    assert [life.cycles.height for life in after] == [6, 3]


def test_tables_asked_for_longest_ago_make_room() -> None:
    made: list[int] = []

    def make(wanted: Mapping[int, int]) -> dict[int, pl.DataFrame]:
        made.extend(wanted)
        return {key: pl.DataFrame({"cycle_count": range(rows)}) for key, rows in wanted.items()}

    kept = KeptTables(most_rows=10)
    for key in (1, 2, 1, 3, 1, 2):
        assert kept.those({key: 5}, make)[key].height == 5
    assert made == [1, 2, 3, 2]
    assert kept.those({9: 11}, make)[9].height == 11  # too large to be kept, but never refused


def test_a_life_knows_its_sample_and_what_that_was_made_of(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, "AB12", device="A1", active_mass_gram=0.01)
    sample = Sample.objects(name="AB12").get()
    sample.electrolyte = Sample(name="LP57").save()
    sample.nominal_capacity_ah, sample.area_cm2, sample.metadata = 0.2, 2.0, {"binder": "PVDF", "pictures": [1]}
    sample.save()
    (life,), _ = load_lives(store, ["AB12"])
    assert life.nominal_capacity_ah == 0.2
    assert (life.properties.area_cm2, life.properties.active_mass_mg) == (2.0, 10.0)
    assert life.properties.sources == {"active_mass_mg": "as the file AB12.csv says"}
    told = {"electrolyte": "LP57", "binder": "PVDF", "tester": "Arbin", "device": "A1", "area_cm2": 2.0, "cell": "AB12"}
    assert told.items() <= life.traits.items()
    assert "pictures" not in life.traits


@pytest.mark.parametrize("of", ["cell", "test"])
def test_one_cycle_comes_with_what_tells_its_charge(of: str, store: Store, tmp_path: Path) -> None:
    test = add(store, tmp_path, "AB12")
    (life,), _ = load_lives(store, ["AB12"] if of == "cell" else [], [test] if of == "test" else [])
    records = load_cycle(store, life, 2)
    assert records["cycle_count"].unique(maintain_order=True).to_list() == [1, 2]
    assert "aux_humidity" not in records.columns
    halves = half_cycles(records).of_cycle(2).table
    wanted = life.cycles.filter(cycle_count=2).row(0, named=True)
    assert dict(halves.select("direction", "capacity_ah").iter_rows()) == {
        "charge": pytest.approx(wanted["charge_capacity_ah"]),
        "discharge": pytest.approx(wanted["discharge_capacity_ah"]),
    }


def test_cells_are_found_by_any_part_of_their_code(store: Store, tmp_path: Path) -> None:
    for code in ("AB12", "CD12", "XAB1"):
        add(store, tmp_path, code)
    assert cell_codes("ab") == ["AB12", "XAB1"]
    assert cell_codes("12", most=1) == ["AB12"]
    assert cell_codes() == ["AB12", "CD12", "XAB1"]
