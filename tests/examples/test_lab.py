"""The lab is the same every time, says that it is synthetic, and reads back as what it was made to be."""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import fastnda
import polars as pl
import pytest
from pytest import approx

from examples import SYNTHETIC
from examples.bulk import many_records, write_large_ndax, write_many_csv
from examples.lab import BROKEN_COPY, CELLS, TESTS, Lab, LabFile, build_lab, make_cells

CELL_CODE = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2,4}\d{2,4}(?![A-Za-z0-9])")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return build_lab(tmp_path_factory.mktemp("lab"))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def file_of(lab: Lab, path: str) -> LabFile:
    return next(file for file in lab.files if file.test.path == path)


def paths(*kinds: str) -> list[str]:
    return [test.path for test in TESTS if test.kind in kinds]


def test_another_seed_makes_other_cells(lab: Lab) -> None:
    made = make_cells(2)
    assert made.keys() == lab.designs.keys()
    assert all(made[code].design != lab.designs[code] for code in made)


def test_it_stays_small(lab: Lab) -> None:
    assert sum(path.stat().st_size for path in lab.folder.rglob("*") if path.is_file()) < 15e6


def test_every_file_says_that_it_is_synthetic(lab: Lab) -> None:
    for file in lab.files:
        if file.path.suffix == ".ndax":
            text = zipfile.ZipFile(file.path).read("TestInfo.xml").decode("gb2312")
        else:
            text = file.path.read_text("cp1252")
        assert SYNTHETIC in text, file.path


def test_every_file_names_its_cell_and_no_other(lab: Lab) -> None:
    for file in lab.files:
        assert CELL_CODE.findall(file.path.relative_to(lab.folder).as_posix()) == [file.test.code]


def test_no_cell_is_on_two_testers_at_once(lab: Lab) -> None:
    for cell in CELLS:
        tests = [file for file in lab.files if file.test.code == cell.code]
        assert all(before.ended_at < after.test.started_at for before, after in pairwise(tests)), cell.code


def test_the_sample_sheet_lists_every_cell(lab: Lab) -> None:
    with lab.sample_sheet.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [cell.code for cell in CELLS]
    assert {row["cell_type"] for row in rows} == {"full", "half_negative"}
    assert all(float(row["nominal_capacity_ah"]) > 0 for row in rows)


def test_one_copy_is_broken_off(lab: Lab) -> None:
    assert lab.broken_copy == lab.folder / BROKEN_COPY
    assert not zipfile.is_zipfile(lab.broken_copy)


@pytest.mark.parametrize("path", paths("neware"))
def test_fastnda_finds_the_cycles_that_were_made(lab: Lab, path: str) -> None:
    truth = file_of(lab, path)
    read = fastnda.read(truth.path, cycle_mode="raw")
    assert read.height == truth.records
    steps = read.group_by("cycle_count", "step_count", maintain_order=True).agg(pl.last("capacity_mAh"))
    moved = steps.group_by("cycle_count", maintain_order=True).agg(
        charged=pl.col("capacity_mAh").cast(pl.Float64).clip(lower_bound=0.0).sum() / 1000,
        discharged=-pl.col("capacity_mAh").cast(pl.Float64).clip(upper_bound=0.0).sum() / 1000,
    )
    assert truth.cycles is not None
    assert moved["cycle_count"].to_list() == truth.cycles["cycle_count"].to_list()
    assert moved["charged"].to_list() == approx(truth.cycles["charge_capacity_ah"].to_list(), rel=5e-7)
    assert moved["discharged"].to_list() == approx(truth.cycles["discharge_capacity_ah"].to_list(), rel=5e-7)


def test_cells_fade_and_one_dies_early(lab: Lab) -> None:
    def retention(path: str) -> float:
        cycles = file_of(lab, path).cycles
        assert cycles is not None
        return float(cycles["discharge_capacity_ah"][-1] / cycles["discharge_capacity_ah"][0])

    ageing = [path for path in paths("neware") if "ageing_21" in path]
    early = next(path for path in ageing if "LG014" in path)
    assert retention(early) < 0.65
    assert all(0.8 < retention(path) < 0.95 for path in ageing if path != early)


def test_a_rate_test_gives_less_the_faster_it_goes(lab: Lab) -> None:
    cycles = file_of(lab, next(path for path in paths("arbin") if "LG012_rate" in path)).cycles
    assert cycles is not None
    capacities = cycles["discharge_capacity_ah"].to_list()[::3]
    assert capacities[:6] == sorted(capacities[:6], reverse=True)
    assert capacities[6] == approx(capacities[1], rel=0.03)


def test_resistance_grows_as_the_cell_ages(lab: Lab) -> None:
    spectra = [file_of(lab, path).impedance_ohm for path in paths("peis")]
    fresh, formed, aged = (spectrum[0].real for spectrum in spectra if spectrum is not None)
    assert fresh < formed < aged
    assert aged > 1.2 * fresh


def test_the_command_writes_the_same_bytes_again_and_refuses_a_folder_that_is_a_file(lab: Lab, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples"]
    done = subprocess.run([*command, tmp_path / "lab"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{len(TESTS) + 1} files, ")
    assert digests(tmp_path / "lab") == digests(lab.folder)
    (tmp_path / "file").write_text("")
    refused = subprocess.run([*command, tmp_path / "file"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr == f"{tmp_path / 'file'}: Not a directory\n"


def test_a_large_file_has_as_many_records_as_asked(tmp_path: Path) -> None:
    write_large_ndax(tmp_path / "large.ndax", 20_000)
    assert fastnda.read(tmp_path / "large.ndax").height == 20_000


def test_cycles_of_a_large_test_run_on_and_each_has_its_own_capacity() -> None:
    records = many_records(5000)
    assert records.height == 5000
    assert records["test_time_second"].is_sorted()
    assert (records["step_count"].diff().drop_nulls().is_between(0, 1)).all()
    ends = records.group_by("cycle_count").agg(pl.max("step_discharging_capacity_ah"))
    assert ends["step_discharging_capacity_ah"].n_unique() == ends.height


def test_many_small_files_all_differ(tmp_path: Path) -> None:
    written = write_many_csv(tmp_path, 120)
    assert len(set(digests(tmp_path).values())) == len(written) == 120
    assert all(13_000 < path.stat().st_size < 17_000 for path in written)
    assert {path.parent.name for path in written} == {"batch 00", "batch 01"}
