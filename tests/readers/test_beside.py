"""Files beside data tell what they are, and to which data they belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import ReadError
from battery_analysis.readers.arbin import ArbinCsv
from battery_analysis.readers.beside import BESIDE, BesideFormat, beside_format, links_of_data
from battery_analysis.readers.biologic_mpr import BiologicMpr
from battery_analysis.reading import companions_of, read
from tests.readers.biologic_bytes import log_file, whole
from tests.realdata import real, real_entries

BY_NAME = {each.name: each for each in BESIDE}


def belongs(format: BesideFormat, path: str, data: str, tester: str, protocol: str | None = None) -> bool:
    return format.link(path) in links_of_data(data, tester, protocol)


@pytest.mark.parametrize(
    ("name", "path", "data", "expected"),
    [
        ("eclab_settings", "/a/run.mps", "/a/run.mpr", True),
        ("eclab_settings", "/a/run.mps", "/a/run_C01.mpr", True),
        ("eclab_settings", "/a/run.mps", "/a/run_01_OCV_C01.mpr", True),
        ("eclab_settings", "/a/run.mps", "/a/run_01_OCV_C01.mpt", True),
        ("eclab_settings", "/a/run-3p8V_C-24.x.mps", "/a/run-3p8V_C-24.x_C09.mpr", True),
        ("eclab_settings", "/a/run.mps", "/a/run2_C01.mpr", False),
        ("eclab_settings", "/a/run.mps", "/a/rerun_C01.mpr", False),
        ("eclab_settings", "/a/run.mps", "/b/run_C01.mpr", False),
        ("eclab_settings", "/a/run.mps", "/a/b/run_C01.mpr", False),
        ("eclab_log", "/a/run_01_OCV_C01.mpl", "/a/run_01_OCV_C01.mpr", True),
        ("eclab_log", "/a/run_01_OCV_C01.mpl", "/a/run_01_OCV_C01_2.mpr", False),
        ("eclab_loops", "/a/run_01_GCPL_C01_LOOP.txt", "/a/run_01_GCPL_C01.mpr", True),
        ("eclab_loops", "/a/run_LOOP.txt", "/a/run_01_GCPL_C01.mpr", False),
    ],
)
def test_files_of_ec_lab_belong_together_by_name(name: str, path: str, data: str, expected: bool) -> None:
    assert belongs(BY_NAME[name], path, data, "BioLogic") is expected
    assert not belongs(BY_NAME[name], path, data, "Maccor")


@pytest.mark.parametrize(
    ("name", "path", "protocol", "expected"),
    [
        ("arbin_schedule", "/a/Cycling.sdu", "lab\\cycling.sdu", True),
        ("arbin_schedule", "/a/cycling.sdu", "D:/lab/CYCLING.SDU", True),
        ("arbin_schedule", "/b/cycling.sdu", "lab\\cycling.sdu", False),
        ("arbin_schedule", "/a/cycling.sdu", "lab\\slow cycling.sdu", False),
        ("arbin_schedule", "/a/cycling.sdu", None, False),
        ("arbin_schedule", "/a/cycling.sdu", "", False),
        ("maccor_procedure", "/b/EIS 1.000", "EIS 1.000", True),
        ("maccor_procedure", "/b/EIS 1.000", "EIS 2.000", False),
    ],
)
def test_schedules_and_procedures_belong_to_what_names_them(
    name: str, path: str, protocol: str | None, expected: bool
) -> None:
    format = BY_NAME[name]
    assert belongs(format, path, "/a/data.x", format.tester, protocol) is expected


@pytest.mark.parametrize("entry", [each for each in real_entries() if each["path"].endswith(".mps")],
                         ids=lambda entry: entry["path"])  # fmt: skip
def test_real_settings_belong_to_the_run_beside_them(entry: dict[str, str]) -> None:
    path = real(entry["path"])
    format = beside_format(path.read_bytes()[:1000])
    assert format is BY_NAME["eclab_settings"]
    beside = [each.name for each in path.parent.iterdir() if belongs(format, str(path), str(each), "BioLogic")]
    assert set(beside) == {path.name, path.stem + "_C09.mpr"}


def test_a_reader_without_companions_needs_none(tmp_path: Path) -> None:
    (tmp_path / "run.mpr").write_bytes(whole(LOG=b""))
    (tmp_path / "run.mpl").write_text(log_file())
    assert companions_of(ArbinCsv(), tmp_path / "run.mpr") == []
    assert companions_of(BiologicMpr(), tmp_path / "run.mpr") == [tmp_path / "run.mpl"]


def test_a_foreign_reader_that_fails_to_say_is_named(tmp_path: Path) -> None:
    class Foreign(ArbinCsv):
        name = "foreign"

        def companions(self, path: Path) -> list[Path]:
            raise KeyError("index")

    with pytest.raises(ReadError, match="could not say what it needs: KeyError"):
        companions_of(Foreign(), tmp_path / "a.csv")


@pytest.mark.parametrize("first", ["", "index,", '"",'])
def test_the_description_of_an_arbin_test_belongs_to_the_data_of_its_name(tmp_path: Path, first: str) -> None:
    head = f"{first or ','}test_id,device_id,iv_ch_id,first_start_datetime\n0,296,0,3,2024-03-05\n"
    found = beside_format(head.encode())
    assert found is BY_NAME["arbin_metadata"]
    assert belongs(found, "/a/run_CH33_Metadata.csv", "/a/run_CH33.csv", "Arbin")
    assert not belongs(found, "/a/run_CH33_Metadata.csv", "/a/run_CH3.csv", "Arbin")
    path = tmp_path / "run_CH33_Metadata.csv"
    path.write_text(head)
    with pytest.raises(ReadError, match=r"the description of an Arbin test .* holds no records"):
        read(path)
