"""``battery-analysis read`` and ``formats``."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from battery_analysis.readers import READERS
from battery_analysis.readers.beside import BESIDE
from cli.main import main
from tests.realdata import real, real_entries

HEADER = "Data_Point,Test_Time(s),Date_Time,Step_Time(s),Step_Index,Cycle_Index,Current(A),Voltage(V)"
COUNTERS = ",Charge_Capacity(Ah),Discharge_Capacity(Ah),Charge_Energy(Wh),Discharge_Energy(Wh)"


def arbin_csv(folder: Path, cycles: int = 2, name: str = "cell7.csv") -> Path:
    """Write a test of ``cycles`` cycles: one hour at 2 A, then one hour at -2 A, a record each half hour."""
    lines = [HEADER + COUNTERS]
    for record in range(4 * cycles):
        cycle, half, half_hours = record // 4 + 1, record % 4 // 2, record % 2 + 1
        current, voltage = (2.0, 4.0) if half == 0 else (-2.0, 3.5)
        passed = half_hours * 1.0
        charged, discharged = (passed, 0.0) if half == 0 else (2.0, passed)
        lines.append(
            f"{record + 1},{1800.0 * (record + 1)},2026-03-01 {record % 24:02}:30:00,{1800.0 * half_hours},{half + 1},"
            f"{cycle},{current},{voltage},{charged},{discharged},{charged * 4.0},{discharged * 3.5}"
        )
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_json(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, object]:
    assert main(["read", *args, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_json_holds_what_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = read_json(capsys, str(arbin_csv(tmp_path)))
    assert seen["reader"] == "arbin_csv"
    assert seen["records"] == 8
    assert seen["duration_second"] == 1800.0 * 7
    assert seen["columns"]["voltage_volt"] == {
        "min": 3.5,
        "max": 4.0,
        "unit": "V",
        "source": "Voltage(V)",
        "source_unit": "V",
    }
    assert seen["metadata"]["tester"] == "Arbin"
    assert seen["cycle_method"] == "tester"
    assert [cycle["cycle_count"] for cycle in seen["cycles"]] == [1, 2]
    assert [cycle["discharge_capacity_ah"] for cycle in seen["cycles"]] == [2.0, 2.0]


def test_text_shows_columns_cycles_and_where_they_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", str(arbin_csv(tmp_path))]) == 0
    shown = capsys.readouterr().out
    assert "tester     Arbin" in shown
    assert "3 h 30 min" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("voltage_volt")] == [
        ["voltage_volt", "V", "3.5", "4", "Voltage(V)", "V"]
    ]
    assert "2 cycles" in shown


def test_a_long_cycle_table_shows_its_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", str(arbin_csv(tmp_path, cycles=40))]) == 0
    shown = capsys.readouterr().out
    table = shown[shown.index("40 cycles") :].splitlines()[2:]
    assert [int(line.split()[0]) for line in table[:15]] == [*range(1, 11), *range(36, 41)]
    assert "25 cycles" in shown


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_out_writes_the_records(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / f"out{suffix}"
    seen = read_json(capsys, str(arbin_csv(tmp_path)), "--out", str(out))
    frame = pl.read_parquet(out) if suffix == ".parquet" else pl.read_csv(out)
    assert frame.columns == list(seen["columns"])
    assert frame["voltage_volt"].to_list() == [4.0, 4.0, 3.5, 3.5] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cell7.csv", f"out{suffix}"]


def test_bdf_csv_is_valid_for_the_format_s_own_validator(tmp_path: Path) -> None:
    pytest.importorskip("bdf")
    out = tmp_path / "cell7.bdf.csv"
    assert main(["read", str(arbin_csv(tmp_path)), "--out", str(out)]) == 0
    validator = Path(sys.executable).with_name("bdf")
    done = subprocess.run([validator, "validate", out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_out_replaces_a_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    assert main(["read", str(arbin_csv(tmp_path)), "--out", str(out)]) == 0
    assert out.read_text().startswith("test_time_second,")


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("out.mat", "ends in '.mat', not in .parquet, .csv, .bdf.csv, .h5, .xlsx or .json"),
        ("absent/out.csv", "No such file or directory"),
    ],
)
def test_out_that_cannot_be_written_is_one_line(
    out: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["read", str(arbin_csv(tmp_path)), "--out", str(tmp_path / out)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert reason in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"a,b\n1,2\n", "a mapping can say what its columns hold"),
        (struct.pack("<500i", *range(500)), "export it as text"),
        (None, "No such file or directory"),
    ],
    ids=["empty", "unknown", "binary", "absent"],
)
def test_a_file_that_cannot_be_read_is_one_line(
    content: bytes | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["read", str(path), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert str(path) in printed.err
    assert reason in printed.err
    assert printed.err.count("\n") == 1


def test_an_unknown_reader_names_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", str(arbin_csv(tmp_path)), "--reader", "arbin"]) == 2
    assert "arbin_csv" in capsys.readouterr().err


def test_stamps_are_taken_in_the_given_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(arbin_csv(tmp_path))
    utc = read_json(capsys, path)
    new_york = read_json(capsys, path, "--time-zone", "America/New_York")
    moved = new_york["columns"]["unix_time_second"]["min"] - utc["columns"]["unix_time_second"]["min"]
    assert moved == 5 * 3600
    assert main(["read", path, "--time-zone", "Mars/Olympus"]) == 2


def test_a_name_that_looks_like_markup_is_shown_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = arbin_csv(tmp_path, name="cell[red]7[bold].csv")
    assert main(["read", str(path)]) == 0
    assert "cell[red]7[bold].csv" in capsys.readouterr().out


def test_formats_lists_every_reader_and_what_lies_beside_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == [each.name for each in (*READERS, *BESIDE)]
    assert main(["formats"]) == 0
    shown = capsys.readouterr().out
    assert all(each.name in shown and each.description in shown for each in (*READERS, *BESIDE))
    assert "EC-Lab settings, attached to the tests of its run" in shown


@pytest.mark.parametrize(
    "vendor", sorted({entry["vendor"] for entry in real_entries()} & {"arbin", "biologic", "neware"})
)
def test_a_real_file_is_described(vendor: str, capsys: pytest.CaptureFixture[str]) -> None:
    readable = {suffix for reader in READERS for suffix in reader.suffixes}
    entry = next(each for each in real_entries(vendor) if Path(each["path"]).suffix.lower() in readable)
    seen = read_json(capsys, str(real(entry["path"])))
    assert seen["records"] == entry["reference"]["rows"]


def test_what_the_checks_found_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = arbin_csv(tmp_path)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(right.read_text(encoding="utf-8").replace(",2.0,4.0,", ",-2.0,4.0,"), encoding="utf-8")
    checks = {check["name"]: check for check in read_json(capsys, str(right))["checks"]}
    assert checks["sign"]["status"] == "passed"
    checks = {check["name"]: check for check in read_json(capsys, str(wrong))["checks"]}
    assert checks["sign"]["status"] == "failed"
    assert checks["sign"]["numbers"] == {"records_against_counters": 4}
    assert checks["sign"]["records"] == [[0, 1], [4, 5]]
    assert main(["read", str(wrong)]) == 0
    assert "sign failed: " in capsys.readouterr().out


def test_numbers_too_large_to_multiply_end_in_no_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    rows = [f"{60 * at},{current},{current},1" for at, current in enumerate(("1", "1e300", "1"))]
    path.write_text("\n".join(["Test_Time(s),Current(A),Voltage(V),Cycle_Index", *rows, ""]))
    assert main(["read", str(path), "--json"]) == 0
    assert capsys.readouterr().err == ""
