"""Text exports of any encoding, line end, delimiter and decimal mark are recognised as such."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from battery_analysis.readers.sniff import (
    column_names,
    head_text,
    load_text,
    sample_lines,
    sniff_decimal,
    sniff_delimiter,
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_text_is_the_same_in_every_encoding_and_line_end(tmp_path: Path, encoding: str, line_end: str) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(line_end.join(["t,T (°C),I (µA)", "1,25,3", ""]).encode(encoding))
    assert load_text(file).text.decode() == "t,T (°C),I (µA)\n1,25,3\n"
    assert head_text(file.read_bytes()).startswith("t,T (°C),I (µA)\n")


def test_a_byte_that_windows_1252_does_not_know_is_latin_1(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(b"a,b\x81\n")
    assert load_text(file)[:2] == ("a,b\x81\n".encode(), "latin-1")


@pytest.mark.parametrize("text", ["循环号,电压(V)\n1,3.7\n", "Voltage(V),T1(℃)\n3.7,25\n", "I(μA)\n1\n", "R(mΩ)\n1\n"])
def test_text_of_chinese_windows_is_known_by_words_and_signs_of_reports(tmp_path: Path, text: str) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(text.encode("gbk"))
    assert load_text(file)[:2] == (text.encode(), "gb18030")
    assert head_text(file.read_bytes()) == text


@pytest.mark.parametrize("text", ["Prüfgröße (°C);I (µA)\n", "Kapazität (mA·h);Fläche (cm²)\n", "Größe\n", "±1°\n"])
def test_european_text_is_not_taken_for_chinese(tmp_path: Path, text: str) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(text.encode("cp1252"))
    assert load_text(file)[:2] == (text.encode(), "cp1252")


def test_chinese_text_that_was_cut_inside_a_character_is_still_chinese(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes("工步类型\n恒流充电".encode("gb18030")[:-1])
    assert load_text(file).text.decode().startswith("工步类型\n恒流充")


def test_utf_8_that_was_cut_inside_a_character_stays_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes("I (µA)\n1 µ".encode()[:-1])
    text, encoding, _ = load_text(file)
    assert encoding == "utf-8"
    assert text.decode().startswith("I (µA)\n1 ")


def test_nul_bytes_are_removed_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(b"a,b\n1,2\n" + bytes(4096) + b"\n3,4\n")
    assert load_text(file) == (b"a,b\n1,2\n\n3,4\n", "utf-8", ["4096 NUL bytes removed at line 3"])


def test_halves_of_two_records_around_nul_bytes_do_not_make_a_third(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_bytes(b"a,b\n1,2" + bytes(512) + b"3\n" + b"4,5\0\0\0")
    text, _, warnings = load_text(file)
    assert text == b"a,b\n1,2\n3\n4,5"
    assert warnings == ["515 NUL bytes removed in 2 places, the first at line 2"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_header_and_rows_share(delimiter: str) -> None:
    header = delimiter.join(["Test Time (s)", "Voltage (V)", "dQ/dV, smoothed"]) if delimiter != "," else "t,V,I"
    assert sniff_delimiter(header, [delimiter.join("123")] * 3) == delimiter


def test_a_line_without_delimiters_has_none() -> None:
    assert sniff_delimiter("operator stopped the test", []) is None


@pytest.mark.parametrize(
    ("line", "delimiter", "mark"),
    [("1,5;2", ";", ","), ("1.5;2", ";", "."), ("1;2", ";", "."), ('"1,5","2"', ",", ","), ("1.5,2", ",", ".")],
)
def test_the_decimal_mark_is_the_one_the_numbers_have(line: str, delimiter: str, mark: str) -> None:
    assert sniff_decimal([line], delimiter) == mark


def test_a_name_that_comes_twice_is_kept_twice_and_said() -> None:
    names, warnings = column_names('"V",V,,V', ",", ["1,2,3,4"])
    assert names == ["V", "V duplicate 2", "unnamed 3", "V duplicate 3"]
    assert [warning.startswith("the column name 'V' appears twice") for warning in warnings] == [True, True]


@pytest.mark.parametrize(("header", "rows"), [("a,b,", ["1,2"]), ("a,b", ["1,2"])])
def test_a_delimiter_that_ends_only_the_header_is_no_column(header: str, rows: list[str]) -> None:
    assert column_names(header, ",", rows)[0] == ["a", "b"]


def test_a_delimiter_that_ends_only_the_rows_is_an_unnamed_column() -> None:
    assert column_names("a,b", ",", ["1,2,", "3,4,"])[0] == ["a", "b", "unnamed 3"]


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    assert head_text(codecs.BOM_UTF8 + b"Test_Time(s)") == "Test_Time(s)"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "gb18030"])
@pytest.mark.parametrize("before", [65_534, 65_535, 65_536, 200_000])
def test_single_signs_deep_in_a_large_text_are_decoded(tmp_path: Path, encoding: str, before: int) -> None:
    sign = {"latin-1": "\x81µ", "gb18030": "温度℃"}.get(encoding, "µ°")
    head = "温度℃\n" if encoding == "gb18030" else ""
    text = head + "1\n" * (before // 2) + "1" * (before % 2) + sign + "\n" + "2\n" * 50_000
    file = tmp_path / "export.txt"
    file.write_bytes(text.encode(encoding))
    loaded = load_text(file)
    assert loaded.encoding == encoding
    assert loaded.text.decode() == text


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_line_ends_of_a_large_text_are_all_the_same(tmp_path: Path, line_end: str) -> None:
    file = tmp_path / "export.txt"
    lines = [f"{row};{'3,7' * (row % 7)};µ" for row in range(20_000)]
    file.write_bytes(line_end.join([*lines, ""]).encode("cp1252"))
    assert load_text(file).text.decode().split("\n") == [*lines, ""]


def test_a_last_line_without_line_end_does_not_count_beside_whole_ones() -> None:
    assert set(sample_lines(b'22,"20,130.0",450.0\n23,"21,7')) == {'22,"20,130.0",450.0'}
    assert sample_lines(b'23,"21,7') == ['23,"21,7']


def test_no_sampled_line_is_a_part_of_one() -> None:
    lines = [f"{row},{'9' * 900},{row}" for row in range(200)]
    assert set(sample_lines("\n".join(lines).encode())) < set(lines)
