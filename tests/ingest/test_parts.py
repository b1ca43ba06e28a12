"""Files of one run become one test, in any order of arrival; files of two runs never do."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from battery_analysis import read
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.parts import named_run
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, frames, removal
from examples.lab import make_lab
from tests.builders import arbin_csv
from tests.ingest.conftest import Importing

PARTS = 4


def workbooks(cycles: int = 6, start: float = 1_600_000_000.0) -> list[str]:
    """One Arbin export with record numbers and clock, cut into parts as the tester splits workbooks."""
    header, *rows = arbin_csv(cycles=cycles).splitlines()
    lines = [f"{number},{start + float(row.split(',')[0])},{row}" for number, row in enumerate(rows, 1)]
    size = len(lines) // PARTS
    cuts = [lines[place * size : (place + 1) * size if place < PARTS - 1 else None] for place in range(PARTS)]
    return ["\n".join([f"Data_Point,DateTime,{header}", *part]) + "\n" for part in cuts]


def whole(cycles: int = 6) -> str:
    header, *_ = workbooks(cycles)[0].splitlines()
    return "\n".join([header, *(line for part in workbooks(cycles) for line in part.splitlines()[1:])]) + "\n"


def write(lab: Path, number: int, text: str, name: str = "AB12_Channel_5") -> None:
    (lab / f"{name}_Wb_{number}.CSV").write_text(text)


def the_test(store: Store, lab: Path, importing: Importing) -> TestResult:
    """Return the one test, once it is seen to equal one import of the whole."""
    [test] = TestResult.objects(raw_files__size=PARTS)
    assert [part.filename for part in test.raw_files] == [f"AB12_Channel_5_Wb_{n}.CSV" for n in range(1, PARTS + 1)]
    assert test.name == "AB12_Channel_5_Wb_1.CSV"
    assert test.sha256 == RawDataFile.objects.get(filename=f"AB12_Channel_5_Wb_{PARTS}.CSV").sha256
    (lab / "AB12 whole.csv").write_text(whole())
    single = importing()["AB12 whole.csv"]
    assert single.test_id is not None
    joined = frames.load_frame(store, test.id, form="polars")
    assert joined.equals(frames.load_frame(store, single.test_id, form="polars"))
    other = TestResult.objects.get(id=single.test_id)
    assert frames.cycle_table(store, test).equals(frames.cycle_table(store, other))
    for name in ("started_at", "record_count", "cycle_count", "initial_capacity_ah", "capacity_retention", "columns"):
        assert test[name] == other[name], name
    return test


@pytest.mark.parametrize("order", random.Random(5).sample(list(itertools.permutations(range(PARTS))), 4))
def test_workbooks_of_one_test_are_one_test_in_any_order_of_arrival(
    store: Store, lab: Path, importing: Importing, order: Sequence[int]
) -> None:
    parts = workbooks()
    for place in order:
        write(lab, place + 1, parts[place])
        importing()
    assert the_test(store, lab, importing).revision == PARTS


def test_parts_that_arrive_together_are_one_test(
    store: Store, settings: Settings, lab: Path, importing: Importing
) -> None:
    for number, text in enumerate(workbooks(), 1):
        write(lab, number, text)

    def run(_: int) -> list[str]:
        return [each.outcome for each in runs.begin(store, settings, runs.ImportRequest(root=str(lab)))]

    with ThreadPoolExecutor(3) as importers:
        outcomes = [outcome for each in importers.map(run, range(3)) for outcome in each]
    assert set(outcomes) <= {"created", "updated", "unchanged", "duplicate"}
    the_test(store, lab, importing)


def test_the_last_part_may_grow_while_others_are_there(store: Store, lab: Path, importing: Importing) -> None:
    parts = workbooks()
    for number, text in enumerate(parts, 1):
        write(lab, number, text if number < PARTS else "\n".join(text.splitlines()[:10]) + "\n")
    importing()
    write(lab, PARTS, parts[-1])
    outcomes = importing()
    assert outcomes[f"AB12_Channel_5_Wb_{PARTS}.CSV"].outcome == "updated"
    assert outcomes["AB12_Channel_5_Wb_1.CSV"].outcome == "unchanged"
    test = the_test(store, lab, importing)
    assert [len(part.versions) for part in test.raw_files] == [1, 1, 1, 2]


def test_a_second_run_under_the_same_names_is_another_test(store: Store, lab: Path, importing: Importing) -> None:
    for start in (1_600_000_000.0, 1_700_000_000.0):
        for number, text in enumerate(workbooks(start=start), 1):
            write(lab, number, text)
            importing()
    assert sorted(test.record_count for test in TestResult.objects) == [120, 120]
    assert sorted(len(test.raw_files) for test in TestResult.objects) == [PARTS, PARTS]


def test_parts_of_two_folders_are_two_tests(lab: Path, importing: Importing) -> None:
    for folder, number in (("first AB12", 1), ("second AB13", 2)):
        (lab / folder).mkdir()
        write(lab / folder, number, workbooks()[number - 1], name="x")
    importing()
    assert [len(test.raw_files) for test in TestResult.objects] == [1, 1]


def test_a_part_that_begins_before_the_last_one_ended_is_no_continuation(lab: Path, importing: Importing) -> None:
    parts = workbooks()
    write(lab, 1, parts[2])
    write(lab, 2, parts[0])
    importing()
    assert [len(test.raw_files) for test in TestResult.objects] == [1, 1]


def test_a_part_in_a_folder_that_was_renamed_still_joins(store: Store, lab: Path, importing: Importing) -> None:
    parts = workbooks()
    before, after = lab / "AB12 old", lab / "AB12 new"
    before.mkdir()
    for number in (1, 2):
        write(before, number, parts[number - 1])
    importing()
    before.rename(after)
    importing()
    write(after, 3, parts[2])
    importing()
    [test] = TestResult.objects
    assert len(test.raw_files) == 3


def test_parts_without_their_bytes_are_not_joined(lab: Path, importing: Importing) -> None:
    for number, text in enumerate(workbooks()[:2], 1):
        write(lab, number, text)
        importing(archive=False)
    assert [len(test.raw_files) for test in TestResult.objects] == [1, 1]


def test_a_deleted_run_takes_all_its_files_along_and_can_come_again(
    store: Store, lab: Path, importing: Importing
) -> None:
    for number, text in enumerate(workbooks(), 1):
        write(lab, number, text)
    importing()
    _, raws = removal.delete_test(store, TestResult.objects.get().id)
    assert (len(raws), RawDataFile.objects.count()) == (PARTS, 0)
    importing()
    the_test(store, lab, importing)


@pytest.fixture(scope="module")
def techniques(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of one sequence of the example lab."""
    folder = tmp_path_factory.mktemp("example")
    make_lab(folder)
    return sorted(folder.rglob("NC051_0*_C02.mpt"))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_techniques_of_one_sequence_are_one_test(
    store: Store, lab: Path, importing: Importing, techniques: list[Path], order: Sequence[int]
) -> None:
    files = techniques
    assert [file.name.split("_")[2] for file in files] == ["PEIS", "GCPL", "PEIS"]
    for place in order:
        shutil.copy(files[place], lab)
        importing()
    [test] = TestResult.objects
    assert [part.filename for part in test.raw_files] == [file.name for file in files]
    assert (test.test_type, test.cell_code, test.quality_flags) == ("cycling", "NC051", [])
    alone = read(files[1])
    cycles = frames.cycle_table(store, test)
    same = ["cycle_count", "charge_capacity_ah", "discharge_capacity_ah", "charge_energy_wh", "complete"]
    assert cycles.select(same).equals(alone.cycles.select(same))
    frame = frames.load_frame(store, test.id, form="polars")
    assert frame.filter(pl.col("frequency_hertz") > 0).height == sum(read(files[n]).frame.height for n in (0, 2))
    assert frame["test_time_second"].is_sorted()


@pytest.mark.parametrize(
    ("name", "tester", "run"),
    [
        ("AB12_Channel_5_Wb_2.CSV", "Arbin", ("/lab/AB12_Channel_5.csv", 2)),
        ("AB12_Channel_5_Wb_13.xlsx", "Arbin", ("/lab/AB12_Channel_5.xlsx", 13)),
        ("AB12_02_GCPL_C01.mpr", "BioLogic", ("/lab/AB12_c01.mpr", 2)),
        ("AB12_07_PEIS_CD8.mpt", "BioLogic", ("/lab/AB12_cd8.mpt", 7)),
        ("AB12_GCPL_C01.mpr", "BioLogic", None),
        ("AB12_Wb_1.csv", "Neware", None),
        ("AB12.csv", "Arbin", None),
    ],
)
def test_names_of_parts_speak_of_their_run(name: str, tester: str, run: tuple[str, int] | None) -> None:
    assert named_run(f"/lab/{name}", tester) == run
