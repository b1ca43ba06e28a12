"""Delimited text is read as a mapping file says, and never by guess."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tomli

from battery_analysis.errors import CorruptFileError, SettingsError, UnknownFormatError
from battery_analysis.ingest.reader_pool import ReaderPool
from battery_analysis.readers.mapping_files import load_layouts
from battery_analysis.readers.mapping_suggestion import suggest_mapping
from battery_analysis.reading import ReadResult, read
from cli.main import main

RIG = """
tester = "Rig 3"
delimiter = ";"
decimal = ","

[columns]
"Zeit" = { to = "test_time_second", unit = "min" }
"U" = { to = "voltage_volt", unit = "mV" }
"I" = { to = "current_ampere", unit = "mA", sign = -1 }
"""
TEXT = "Prüfstand 3\nZeit;U;I\n0,0;3700,5;-1000\n0,5;3710,5;-1000\n"
BARE = """
delimiter = ","
decimal = "."
[columns]
t = {to="test_time_second", unit="s"}
U = {to="voltage_volt", unit="V"}
"""
VOLTAGE_AGAIN = RIG.replace('current_ampere", unit = "mA"', 'voltage_volt", unit = "V"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    return mappings


def read_as(folder: Path, mapping: str, text: str | bytes, time_zone: str = "UTC") -> ReadResult:
    (folder / "rig3.toml").write_text(mapping, encoding="utf-8")
    path = folder.parent / "cell.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, time_zone=time_zone, mappings=folder)


def with_column(line: str) -> str:
    return f"{BARE}I = {{to='current_ampere', unit='A', sign=1}}\n{line}\n"


def test_units_sign_and_decimal_comma_are_those_of_the_mapping(folder: Path) -> None:
    result = read_as(folder, RIG, TEXT.encode("latin-1"))
    frame = result.frame.drop("derived_cycle_count")
    assert frame.to_dict(as_series=False) == {
        "test_time_second": [0.0, 30.0],
        "voltage_volt": [3.7005, 3.7105],
        "current_ampere": [1.0, 1.0],
    }
    assert result.metadata.tester == "Rig 3"
    assert result.metadata.header == {"line 1": "Prüfstand 3"}
    assert result.metadata.sources["current_ampere"].unit == "mA"
    assert result.warnings == []


def test_the_reader_s_version_changes_with_the_mapping(folder: Path) -> None:
    first = read_as(folder, RIG, TEXT)
    second = read_as(folder, RIG.replace("-1", "1"), TEXT)
    assert first.reader == second.reader == "delimited:rig3"
    assert first.reader_version != second.reader_version
    assert second.frame["current_ampere"].to_list() == [-1.0, -1.0]


def test_the_order_of_the_columns_does_not_matter(folder: Path) -> None:
    result = read_as(folder, RIG, "I;Zeit;U\n-1000;0;3700\n-1000;1;3701\n")
    assert result.frame["voltage_volt"].to_list() == [3.7, 3.701]


@pytest.mark.parametrize("header", ["Zeit;U;I;T", "Zeit;U", "Zeit;u;I", "Zeit,U,I"])
def test_other_names_are_not_read(folder: Path, header: str) -> None:
    with pytest.raises(UnknownFormatError, match="--suggest-mapping"):
        read_as(folder, RIG, f"{header}\n1;2;3;4\n")


def test_without_mappings_nothing_is_read(folder: Path) -> None:
    read_as(folder, RIG, TEXT)
    with pytest.raises(UnknownFormatError):
        read(folder.parent / "cell.csv")
    with pytest.raises(UnknownFormatError):
        read(folder.parent / "cell.csv", mappings=folder / "absent")


def test_a_header_row_that_is_told_is_the_only_one(folder: Path) -> None:
    with pytest.raises(UnknownFormatError):
        read_as(folder, "header_row = 1\n" + RIG, TEXT)
    assert read_as(folder, "header_row = 2\n" + RIG, TEXT).frame.height == 2


def test_a_named_reader_refuses_other_files(folder: Path) -> None:
    read_as(folder, RIG, TEXT)
    other = folder.parent / "other.csv"
    other.write_text("a;b\n1;2\n")
    with pytest.raises(CorruptFileError, match=r"no line holds the column names of rig3\.toml"):
        read(other, reader="delimited:rig3", mappings=folder)


def test_stamps_give_the_test_time_and_the_clock_across_a_change_of_the_clock(folder: Path) -> None:
    mapping = RIG.replace('unit = "min"', 'format = "%d.%m.%Y %H:%M:%S,%f", zone = "Europe/Berlin"')
    stamps = ["29.10.2023 02:59:59,500", "29.10.2023 02:00:09,500", "29.10.2023 03:00:09,500"]
    result = read_as(folder, mapping, "Zeit;U;I\n" + "".join(f"{stamp};3700;0\n" for stamp in stamps))
    assert result.frame["test_time_second"].to_list() == [0.0, 10.0, 3610.0]
    assert result.metadata.started_at == datetime(2023, 10, 29, 0, 59, 59, 500_000, tzinfo=UTC)
    assert result.metadata.time_zone == "Europe/Berlin"


def test_stamps_without_a_zone_are_taken_in_the_setting_s(folder: Path) -> None:
    mapping = with_column("c = {to='unix_time_second', format='%Y-%m-%d %H:%M:%S'}")
    text = "t,U,I,c\n0,3.7,1,2024-07-01 12:00:00\n5,3.7,1,2024-07-01 12:00:05\n"
    result = read_as(folder, mapping, text, time_zone="America/New_York")
    assert result.metadata.started_at == datetime(2024, 7, 1, 16, tzinfo=UTC)
    assert read_as(folder, "time_zone = 'Asia/Tokyo'\n" + mapping, text).metadata.started_at == datetime(
        2024, 7, 1, 3, tzinfo=UTC
    )


def test_stamps_with_a_zone_keep_it(folder: Path) -> None:
    mapping = with_column("c = {to='unix_time_second', format='%Y-%m-%dT%H:%M:%S%z'}")
    result = read_as(folder, mapping, "t,U,I,c\n0,3.7,1,2024-07-01T12:00:00+0200\n", time_zone="Asia/Tokyo")
    assert result.metadata.started_at == datetime(2024, 7, 1, 10, tzinfo=UTC)
    assert result.metadata.time_zone is None


@pytest.mark.parametrize(
    ("column", "cells", "name", "values"),
    [
        ("{to='surface_temperature_celsius', unit='K'}", ["298.15"], "surface_temperature_celsius", [25.0]),
        ("{to='surface_temperature_celsius', unit='°F'}", ["77"], "surface_temperature_celsius", [25.0]),
        ("{to='ambient_pressure_pa', factor=100, offset=5}", ["10"], "ambient_pressure_pa", [1005.0]),
        ("{to='step_time_second', format='clock'}", ["1d 00:00:10"], "step_time_second", [86410.0]),
        ("{to='step_type'}", ["7"], "step_type", ["7"]),
        ("{to='cycle_count'}", ["3"], "cycle_count", [3]),
        ("{to='aux'}", ["1.5"], "aux_x", [1.5]),
        ("{to='aux_fan_speed', sign=-1}", ["1.5"], "aux_fan_speed", [-1.5]),
    ],
)
def test_every_kind_of_column(folder: Path, column: str, cells: list[str], name: str, values: list[object]) -> None:
    result = read_as(folder, with_column(f"x = {column}"), f"t,U,I,x\n0,3.7,1,{cells[0]}\n")
    assert result.frame[name].to_list() == pytest.approx(values)


def test_words_go_to_the_header_and_ignored_columns_nowhere(folder: Path) -> None:
    mapping = with_column("note = {to='aux'}\nx = {to='ignore'}")
    result = read_as(folder, mapping, "t,U,I,note,x\n0,3.7,1,rest,9\n1,3.7,1,charge,9\n")
    assert {"note", "x", "aux_note", "aux_x"}.isdisjoint(result.frame.columns)
    assert result.metadata.header == {"note": "rest; charge"}


def test_a_spectrum_needs_no_current(folder: Path) -> None:
    mapping = """delimiter = "\\t"
decimal = "."
[columns]
f = { to = "frequency_hertz", unit = "kHz" }
"Z'" = { to = "real_impedance_ohm", unit = "mOhm" }
"-Z''" = { to = "imaginary_impedance_ohm", unit = "mOhm", sign = -1 }
"""
    result = read_as(folder, mapping, "f\tZ'\t-Z''\n1\t20\t5\n")
    assert result.frame.row(0) == pytest.approx((1000.0, 0.02, -0.005))


@pytest.mark.parametrize(
    ("line", "row", "reason"),
    [
        ("x = {to='cycle_count'}", "0,3.7,1,1.5", "'x' holds fractions"),
        ("x = {to='power_watt', unit='W'}", "0,3.7,1,much", "'x' does not hold numbers, but texts such as 'much'"),
        ("x = {to='step_time_second', format='clock'}", "0,3.7,1,noon", "does not hold clock times"),
        ("x = {to='unix_time_second', format='%Y'}", "0,3.7,1,noon", "'noon'|cannot be read"),
    ],
)
def test_a_column_that_does_not_hold_what_the_mapping_says(folder: Path, line: str, row: str, reason: str) -> None:
    with pytest.raises(CorruptFileError, match=reason):
        read_as(folder, with_column(line), f"t,U,I,x\n{row}\n{row}\n")


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        (RIG.replace('";"', '"x"'), r"rig3\.toml:3: delimiter: must be one of .* got 'x'"),
        (RIG.replace('decimal = ","', ""), r"decimal: must be '\.' or ',', got None"),
        (RIG.replace("voltage_volt", "voltage"), r"rig3\.toml:8: U: to must be .* got 'voltage'"),
        (RIG.replace("voltage_volt", "step_kind"), r"rig3\.toml:8: U: to must not be step_kind, which is derived"),
        (RIG.replace('"mV"', '"furlong"'), r"rig3\.toml:8: U: unit 'furlong' is not one of voltage_volt \(V\)"),
        (RIG.replace(', unit = "mV"', ""), r"rig3\.toml:8: U: voltage_volt \(V\) needs a unit or a factor"),
        (RIG.replace(", sign = -1", ""), r"rig3\.toml:9: I: sign must be 1 \(positive values charge\)"),
        (RIG.replace("sign = -1", "sgn = -1"), r"rig3\.toml:9: I: unknown key 'sgn'"),
        (RIG.replace("sign = -1", "factor = 0"), r"I: factor must not be 0"),
        (VOLTAGE_AGAIN, r"rig3\.toml:9: I: 'U' gives voltage_volt, too"),
        (RIG.replace('"U" = { to = "voltage_volt", unit = "mV" }', ""), r"rig3\.toml:6: columns: no column gives volt"),
        (RIG.replace('unit = "min"', 'format = "clock", unit = "s"'), r"Zeit: unit and format exclude each other"),
        (RIG.replace('unit = "min"', 'format = "seconds"'), r"Zeit: format must be 'clock' or one such as"),
        (RIG.replace('unit = "min"', 'format = "%H", zone = "Mars"'), r"Zeit: must be an IANA time zone .* 'Mars'"),
        (RIG.replace('unit = "mV"', 'format = "clock"'), r"U: format 'clock' is for step_time_second and test_time"),
        ("colour = 1\n" + RIG, r"rig3\.toml:1: colour: unknown key 'colour'"),
        ("header_row = 0\n" + RIG, r"rig3\.toml:1: header_row: must be the number of a line"),
        (RIG + "oops", r"rig3\.toml:10: "),
    ],
)
def test_a_bad_mapping_names_file_line_and_key(folder: Path, mapping: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        read_as(folder, mapping, TEXT)


def test_two_mappings_of_the_same_names_contradict_each_other(folder: Path) -> None:
    (folder / "a.toml").write_text(RIG)
    (folder / "b.toml").write_text(RIG)
    with pytest.raises(SettingsError, match=r"b\.toml: a\.toml is for the same column names"):
        load_layouts(folder)


def test_worker_processes_see_the_mappings(folder: Path) -> None:
    expected = read_as(folder, RIG, TEXT)
    path = folder.parent / "cell.csv"
    with ReaderPool(1, folder) as pool:
        parcel = pool.submit(path, path.with_suffix(".parcel"), str(path), "UTC").result()
    assert (parcel.reader, parcel.reader_version) == (expected.reader, expected.reader_version)
    assert parcel.record_count == 2


def suggested(folder: Path, text: str) -> tuple[str, dict[str, dict[str, object]]]:
    path = folder.parent / "first.csv"
    path.write_text(text, encoding="utf-8")
    suggestion = suggest_mapping(text.encode(), path)
    return suggestion, tomli.loads(suggestion)["columns"]


def test_a_suggestion_says_only_what_the_names_say(folder: Path) -> None:
    text, columns = suggested(folder, 'Rig\nZeit;Voltage (mV);Current [A];T/°C;"a ""b"\n0,5;3700;1;25,5;x\n')
    assert columns["Zeit"] == {"to": "aux"}
    assert columns["Voltage (mV)"] == {"to": "voltage_volt", "unit": "mV"}
    assert columns["Current [A]"] == {"to": "current_ampere", "unit": "A", "sign": "?"}
    assert columns["T/°C"] == {"to": "aux", "unit": "°C"}
    assert len(columns) == 5
    assert tomli.loads(text)["header_row"] == 2
    assert (tomli.loads(text)["delimiter"], tomli.loads(text)["decimal"]) == (";", ",")
    assert "which column is test_time_second?" in text
    assert "which column is voltage_volt?" not in text


def test_a_suggestion_reads_nothing_until_it_is_filled_in(folder: Path) -> None:
    content = "Zeit;Voltage (mV);Current [A]\n0,5;3700;1\n1,5;3701;1\n"
    text, _ = suggested(folder, content)
    with pytest.raises(SettingsError, match="sign must be"):
        read_as(folder, text, content)
    with pytest.raises(SettingsError, match="no column gives test_time_second"):
        read_as(folder, text.replace('"?"', "1"), content)
    filled = text.replace('"?"', "1").replace('"Zeit" = { to = "aux"', '"Zeit" = { to = "test_time_second", unit = "s"')
    assert read_as(folder, filled, content).frame["voltage_volt"].to_list() == [3.7, 3.701]


def test_canonical_names_need_no_filling_in(folder: Path) -> None:
    content = "test_time_second,voltage_volt,current_ampere,cycle_count\n0,3.7,1,1\n1,3.7,1,1\n"
    text, _ = suggested(folder, content)
    (folder / "own.toml").write_text(text)
    assert [each.to for each in load_layouts(folder)[0].columns] == content.split("\n")[0].split(",")


@pytest.mark.parametrize("text", ["", "just words\nand more\n", "1,2\n3,4\n", "\0\1\2"])
def test_what_is_no_table_gets_no_suggestion(folder: Path, text: str) -> None:
    with pytest.raises(UnknownFormatError, match="no line of column names"):
        suggested(folder, text)


def test_the_command_suggests_and_then_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder.parent / "settings.toml"
    config.write_text(f"mappings = {json.dumps(str(folder))}\n")
    path = folder.parent / "cell.csv"
    path.write_text("Elapsed Time (s),Voltage (V),Current (A)\n0,3.7,1\n1,3.7,1\n")
    assert main(["read", str(path), "--suggest-mapping", "--config", str(config)]) == 0
    text = capsys.readouterr().out
    assert str(folder) in text.splitlines()[0]
    (folder / "mine.toml").write_text(text.replace('"?"', "-1"))
    assert main(["read", str(path), "--json", "--config", str(config)]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["reader"] == "delimited:mine"
    assert seen["columns"]["current_ampere"]["max"] == -1.0
    assert main(["formats", "--json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["name"] == "delimited:mine"


@pytest.mark.parametrize(
    ("name", "head", "what"),
    [
        ("a.mps", b"EC-LAB SETTING FILE\n\nNumber of linked techniques : 1\n", "EC-Lab settings file"),
        ("a.mpl", b"EC-Lab LOG FILE\r\n\r\nOpen Circuit Voltage\r\n", "EC-Lab log"),
        ("a.000", b'<?maccor-application progid="Maccor Procedure File"?>\n<MaccorTestProcedure/>', "Maccor procedure"),
        ("a.sdu", b"[Version_Section]\r\nm_szVersion=1\r\n[Schedule_Step0]\r\nm_szLabel=Rest\r\n", "Arbin schedule"),
    ],
)
def test_files_beside_the_data_are_named(tmp_path: Path, name: str, head: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(head)
    with pytest.raises(UnknownFormatError, match=f"{what}.*, which holds no records"):
        read(tmp_path / name)


def test_a_damaged_workbook_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "cell.xlsx"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml" + b"\0" * 100)
    with pytest.raises(CorruptFileError):
        read(path)
