"""Cell datasets as users build, list and export them; numbers by area and mass."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from battery_analysis.models import TestResult
from battery_analysis.store import columnar, datasets, frames
from tests.builders import arbin_csv, cycling_frame, read_result, save
from tests.cli.conftest import ROOT, Cli


def versions(cli: Cli, code: str = "AB12") -> list[tuple[int, int, int, str]]:
    listed = cli.json("dataset", "--list", code)
    return [(each["version"], each["tests"], each["cycles"], each["made_by"]) for each in listed]


def test_an_import_keeps_datasets_up_to_date_only_where_something_changed(cli: Cli, lab: Path) -> None:
    cli("import", lab)
    assert cli.ok("dataset", "--count").out == "2\n"
    assert versions(cli) == [(1, 1, 3, "import")]
    assert versions(cli, "CD34") == [(1, 1, 5, "import")]
    cli("import", lab)
    (lab / "AB12_rate.csv").write_text(arbin_csv(2))
    cli("import", lab)
    (lab / "AB12_ageing.csv").write_text(arbin_csv(4))
    cli("import", lab, "--checksum")
    assert versions(cli) == [(3, 2, 6, "import"), (2, 2, 5, "import"), (1, 1, 3, "import")]
    assert versions(cli, "CD34") == [(1, 1, 5, "import")]
    assert cli.ok("dataset", "--all").out == "2 cells: 2 unchanged\n"
    assert cli.ok("dataset", "--cell", "CD34").out.startswith("CD34: unchanged since version 1, 1 test, 5 cycles")

    tests = {test["cycles"]: test["id"] for test in cli.json("search", "--cell", "AB12")}
    cli.ok("test", "move", tests[2], "CD34")
    assert (versions(cli)[0], versions(cli, "CD34")[0]) == ((4, 1, 4, "import"), (2, 2, 7, "import"))
    cli.ok("test", "delete", tests[4], "--yes")
    assert versions(cli)[0] == (5, 0, 0, "import")
    assert cli.ok("dataset", "--count").out == "1\n"


def test_a_cell_whose_tests_are_gone_says_so_and_keeps_its_versions(cli: Cli, lab: Path) -> None:
    cli("import", lab)
    cli.ok("test", "delete", cli.json("search", "--cell", "AB12")[0]["id"], "--yes")
    assert cli.ok("dataset", "--all").out == "2 cells: 1 unchanged, 1 without tests\n"
    assert [(each["cell_code"], each["outcome"]) for each in cli.json("dataset", "--all")] == [
        ("AB12", "without tests"),
        ("CD34", "unchanged"),
    ]
    said = cli.ok("dataset", "--cell", "AB12").out
    assert said == "AB12: no tests any more since version 2; former versions stay\n"
    _, newest, former = cli.ok("dataset", "--list", "AB12").lines
    assert ("no tests" in newest, "no tests" in former) == (True, False)
    assert versions(cli) == [(2, 0, 0, "import"), (1, 1, 3, "import")]
    cli("import", lab)
    assert cli.ok("dataset", "--cell", "AB12").out.startswith("AB12: unchanged since version 3, 1 test, 3 cycles")


def test_a_watcher_and_a_reprocess_keep_datasets_up_to_date(cli: Cli, lab: Path) -> None:
    cli("watch", lab, "--once", "--debounce", "0")
    assert versions(cli) == [(1, 1, 3, "import")]
    cli.ok("reprocess", "--all")
    assert versions(cli) == [(1, 1, 3, "import")]
    with cli.store() as store:  # as an older reader would have left it
        test = TestResult.objects.get(cell_code="AB12")
        shorter = columnar.encode(frames.cycle_table(store, test).head(2), together=True)
        blocks = [block.to_mongo() for block in frames.write_cycles(store.database, shorter)]
        TestResult.objects(id=test.id).update(set__cycle_blocks=blocks)
        assert datasets.refresh(store, ["AB12"]) == 1
    cli.ok("reprocess", "--all")
    assert versions(cli) == [(3, 1, 3, "import"), (2, 1, 2, "import"), (1, 1, 3, "import")]


def test_a_rollback_of_the_import_takes_its_datasets_along(cli: Cli, lab: Path) -> None:
    cli("import", lab / "AB12_ageing.csv")
    cli("import", lab)
    [job, _] = cli.json("import", "--history")
    cli.ok("import", "--rollback", job["id"])
    assert cli.ok("dataset", "--count").out == "1\n"
    assert versions(cli) == [(1, 1, 3, "import")]
    assert "cell 'CD34' has no dataset" in cli.refused("dataset", "--list", "CD34")


def test_a_version_is_gone_back_to(cli: Cli, lab: Path) -> None:
    cli("import", lab)
    (lab / "AB12_rate.csv").write_text(arbin_csv(2))
    cli("import", lab)
    assert cli.ok("dataset", "--rollback", "AB12", "1").out.startswith("AB12: new version 3, 1 test, 3 cycles")
    cli("import", lab, "--checksum")
    assert [made_by for *_, made_by in versions(cli)] == ["rollback to 1", "import", "import"]
    assert cli.ok("dataset", "--cell", "AB12").out.startswith("AB12: new version 4, 2 tests, 5 cycles")


def test_undated_tests_are_named_where_a_dataset_is_built(cli: Cli, lab: Path) -> None:
    cli("import", lab)
    assert "(AB12_ageing.csv) has no date; it stands after the dated ones" in cli.ok("dataset", "--cell", "AB12").out


def test_cycles_and_records_are_exported(cli: Cli, lab: Path, tmp_path: Path) -> None:
    cli("import", lab)
    (lab / "AB12_rate.csv").write_text(arbin_csv(2))
    cli("import", lab)
    done = cli("dataset", "--cell", "AB12", "--export", tmp_path / "cycles.csv")
    assert (done.status, done.out) == (0, "")
    table = pl.read_csv(tmp_path / "cycles.csv")
    assert table["cycle_count"].to_list() == [1, 2, 3, 4, 5]
    assert table["test_cycle_count"].to_list() == [1, 2, 3, 1, 2]
    cli("dataset", "--cell", "AB12", "--export", tmp_path / "records.parquet", "--records", "--version", "1")
    records = pl.read_parquet(tmp_path / "records.parquet")
    assert (records.height, records["cycle_count"].max()) == (60, 3)
    assert versions(cli)[0][3] == "import"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "one of --cell, --all, --count, --list and --rollback is wanted; none is given"),
        (("--all", "--cell", "AB12"), "is wanted; got --all and --cell"),
        (("--cell", "XX99"), "no test has the cell code 'XX99'"),
        (("--list", "XX99"), "cell 'XX99' has no dataset"),
        (("--rollback", "AB12", "7"), "cell 'AB12' has no dataset of version 7"),
        (("--rollback", "AB12", "1"), "version 1 is the newest already"),
        (("--all", "--export", "a.csv"), "--export goes with --cell, not with --all"),
        (("--cell", "AB12", "--records"), "--records goes with --export"),
        (("--cell", "AB12", "--export", "a.docx"), "a.docx: ends in '.docx', not in .parquet or .csv"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_line(cli: Cli, lab: Path, words: tuple[str, ...], message: str) -> None:
    cli("import", lab)
    assert message in cli.refused("dataset", *words)


def test_with_no_tests_there_is_nothing_to_build(cli: Cli) -> None:
    assert cli.ok("dataset", "--count").out == "0\n"
    assert cli.ok("dataset", "--all").out.startswith("there are no tests yet; import some: ")


@pytest.mark.parametrize("how", [["-m", "cli.{}"], ["cli/{}.py"]], ids=["module", "file"])
def test_both_doors_open_from_the_project_s_folder(cli: Cli, lab: Path, how: list[str]) -> None:
    cli("import", lab)
    for door, words, shown in (
        ("update_cell_dataset_cli", ("--count",), "2\n"),
        ("normalize_cli", ("AB12", "--csv"), "cell_code,sample,cycle_count,"),
    ):
        program = [sys.executable, *(part.format(door) for part in how), *words, *cli.database]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(shown)


def test_numbers_for_the_size_of_a_cell_say_what_the_sample_lacks(cli: Cli, tmp_path: Path) -> None:
    frame = cycling_frame(3).with_columns(internal_resistance_ohm=0.5)
    with cli.store() as store:
        save(store, tmp_path, read_result(frame))
    cli.ok("sample", "set", "AB12", "area_cm2=2", "loading_mg_cm2=10", "thickness_um=50")
    [cell] = cli.json("normalize", "AB12")
    numbers = {each["name"]: each for each in cell["quantities"]}
    capacity = 10 / 60
    assert cell["measured"]["capacity_ah"] == pytest.approx(capacity)
    assert {name: each["value"] for name, each in numbers.items() if each["value"] is not None} == pytest.approx(
        {
            "areal_capacity_mah_cm2": capacity * 1000 / 2,
            "specific_capacity_mah_g": capacity * 1000 / 0.020,
            "areal_energy_mwh_cm2": cell["measured"]["energy_wh"] * 1000 / 2,
            "specific_energy_wh_kg": cell["measured"]["energy_wh"] / 20e-6,
            "areal_resistance_ohm_cm2": 0.5 * 2,
            "resistivity_ohm_cm": 0.5 * 2 / 50e-4,
        }
    )
    assert numbers["specific_capacity_mah_g"]["unit"] == "mAh/g"
    assert numbers["specific_capacity_mah_g"]["formula"].endswith("active_mass_mg = loading_mg_cm2 * area_cm2")
    assert numbers["volumetric_capacity_mah_cm3"]["missing"] == "volume_cm3 of the sample is not known"
    assert numbers["areal_ohmic_resistance_ohm_cm2"]["missing"] == "no impedance spectrum was measured"
    assert cell["lacks"] == ["volume_cm3", "mass_g"]

    [row] = csv.DictReader(io.StringIO(cli.ok("normalize", "AB12", "--csv").out))
    assert (row["cell_code"], float(row["areal_resistance_ohm_cm2"])) == ("AB12", 1)
    assert row["volumetric_capacity_mah_cm3"] == ""
    headings, line = cli.ok("normalize", "AB12").lines
    assert headings.split("  ") == [
        *("cell", "sample", "cycle", "areal capacity / (mAh/cm2)", "specific capacity / (mAh/g)"),
        *("areal energy / (mWh/cm2)", "specific energy / (Wh/kg)", "areal resistance / (Ohm cm2)"),
        *("resistivity / (Ohm cm)", "the sample lacks"),
    ]
    assert line.endswith("volume_cm3, mass_g")


def test_spectra_are_related_to_area_and_thickness(cli: Cli, tmp_path: Path) -> None:
    spectrum = pl.DataFrame(
        {
            "frequency_hertz": [1e4, 1e3, 1e2, 10.0, 1.0],
            "real_impedance_ohm": [1.0, 1.2, 2.0, 3.0, 3.2],
            "imaginary_impedance_ohm": [0.1, -0.1, -1.0, -0.5, -0.1],
        }
    )
    with cli.store() as store:
        save(store, tmp_path, read_result(spectrum, test_type="eis"))
    cli.ok("sample", "set", "AB12", "area_cm2=2", "thickness_um=50")
    [cell] = cli.json("normalize", "AB12")
    numbers = {each["name"]: each for each in cell["quantities"]}
    assert cell["measured"]["ohmic_resistance_ohm"] == pytest.approx(1.1)
    assert numbers["areal_ohmic_resistance_ohm_cm2"]["value"] == pytest.approx(2.2)
    assert numbers["ohmic_resistivity_ohm_cm"]["value"] == pytest.approx(440)
    assert numbers["areal_impedance_ohm_cm2"]["value"] == pytest.approx(2.0)
    assert numbers["areal_impedance_ohm_cm2"]["formula"].startswith("high_frequency_impedance_ohm * area_cm2")
    assert numbers["areal_capacity_mah_cm2"]["missing"] == "no cycle is complete"
    headings = cli.ok("normalize", "AB12").lines[0]
    assert "areal ohmic resistance / (Ohm cm2)  ohmic resistivity / (Ohm cm)  areal impedance / (Ohm cm2)" in headings


def test_a_cell_that_is_not_there_does_not_stop_the_others(cli: Cli, lab: Path) -> None:
    cli("import", lab)
    done = cli("normalize", "XX99", "AB12", "--cycle", "2", "--json")
    assert (done.status, [cell["cycle_count"] for cell in done.json]) == (1, [2])
    assert done.err == "XX99: no test has the cell code 'XX99'\n"
    assert "cell 'AB12' has no cycle 9; it has 3" in cli("normalize", "AB12", "--cycle", "9").err
