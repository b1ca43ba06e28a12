"""Text exports of any encoding, line end, delimiter and decimal mark come out as the same columns."""

from __future__ import annotations

import codecs
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from battery_analysis.readers.sniff import (
    MAX_LINE_BYTES,
    column_names,
    head_text,
    load_text,
    parse_table,
    sniff_decimal,
    sniff_delimiter,
)

NAMES = ["time", "voltage", "step", "note"]


def parse(text: str, names: list[str] = NAMES, **options: str) -> tuple[pl.DataFrame, list[str]]:
    return parse_table(
        text.encode(),
        names,
        **{"delimiter": ",", "decimal": ".", "first_line": 2, **options},  # type: ignore[arg-type]
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


def test_columns_are_whole_numbers_numbers_or_texts() -> None:
    frame, warnings = parse("0.5,3,1,rest\n1.5,,2,\n")
    assert frame.schema == {"time": pl.Float64, "voltage": pl.Int64, "step": pl.Int64, "note": pl.String}
    assert frame.rows() == [(0.5, 3, 1, "rest"), (1.5, None, 2, None)]
    assert warnings == []


def test_a_column_that_turns_from_whole_to_broken_numbers_late_is_broken_from_the_start() -> None:
    frame, _ = parse("".join(f"{n},1,1,\n" for n in range(5000)) + "5000.5,1,1,\n" + "5001,1,1,\n" * 3000)
    assert frame["time"].dtype == pl.Float64
    assert frame["time"][5000] == 5000.5


@pytest.mark.parametrize("word", ["NaN", "-inf", "1e999", "OVERFLOW", "#N/A"])
def test_what_is_no_finite_number_is_missing_and_counted(word: str) -> None:
    frame, warnings = parse(f"1.0,3.5,1,a\n2.0,{word},1,b\n3.0,3.7,1,c\n4.0,3.7,1,d\n")
    assert frame["voltage"].to_list() == [3.5, None, 3.7, 3.7]
    assert warnings == ["1 values are not finite numbers and are kept as missing (voltage 1)"]


def test_empty_cells_count_only_where_a_value_is_required() -> None:
    rows = b"1.0,,1,a\n2.0,3.5,,b\n"
    _, warnings = parse_table(rows, NAMES, delimiter=",", decimal=".", first_line=2, required=["voltage"])
    assert warnings == ["1 values are not finite numbers and are kept as missing (voltage 1)"]


@pytest.mark.parametrize("ending", ["", "\n"])
def test_lines_that_do_not_fit_are_left_out_and_named(ending: str) -> None:
    rows = ["1,3.5,1,a", "2,3.5", "3,3.5,1,c,,", "operator's note", "", " , ,,", "6,3.6,1,f"]
    frame, warnings = parse("\n".join(rows) + ending, first_line=10)
    assert frame["time"].to_list() == [1, 6]
    assert warnings == [
        "line 11 has 2 fields instead of 4; left out",
        "line 12 has 6 fields instead of 4; left out",
        "line 13 has 1 field instead of 4; left out",
    ]


def test_a_short_and_a_long_line_do_not_make_up_for_each_other() -> None:
    frame, warnings = parse("1,3.5,1,a\n2,3.5,1\n3,3.5,1,c,5\n4,3.5,1,d\n")
    assert frame["time"].to_list() == [1, 4]
    assert len(warnings) == 2


def test_a_delimiter_inside_quotes_does_not_hide_a_short_line() -> None:
    frame, warnings = parse('1,3.5,1,"a,b"\n2,3.5,1\n')
    assert frame.rows() == [(1, 3.5, 1, "a,b")]
    assert warnings == ["line 3 has 3 fields instead of 4; left out"]


def test_a_stray_quote_does_not_swallow_lines() -> None:
    frame, warnings = parse('1,3.5,1,3" disk\n2,3.5,1,\n3,3.5,1,"b\n')
    assert frame["time"].to_list() == [1, 2, 3]
    assert warnings == []


def test_many_bad_lines_make_few_warnings() -> None:
    _, warnings = parse("1,2\n" * 1000 + "1,3.5,1,a\n")
    assert len(warnings) == 11
    assert warnings[-1] == "990 more lines do not fit the columns and are left out"


def test_a_line_without_end_is_too_long() -> None:
    frame, warnings = parse("1,3.5,1,a\n" + "x" * (MAX_LINE_BYTES + 1) + "\n2,3.5,1,b\n")
    assert frame["time"].to_list() == [1, 2]
    assert warnings == [f"line 3 is too long ({MAX_LINE_BYTES + 1} bytes); left out"]


def test_a_long_line_with_the_right_number_of_fields_is_too_long_as_well() -> None:
    frame, warnings = parse("1,3.5,1,a\n2,3.5,1," + "x" * MAX_LINE_BYTES + "\n3,3.5,1,b\n")
    assert frame["time"].to_list() == [1, 3]
    assert len(warnings) == 1


def test_repeated_column_lines_are_left_out() -> None:
    frame, warnings = parse("1,3.5,1,a\ntime,voltage,step,note\n\ufefftime,voltage,step,note\n2,3.5,1,b\n")
    assert frame["time"].to_list() == [1, 2]
    assert warnings == ["repeated column line left out 2 times (line 3, 4)"]


def test_a_cut_off_last_line_is_left_out_and_said() -> None:
    frame, warnings = parse("1,3.5,1,a\n2,3.")
    assert frame.height == 1
    assert warnings == ["the last line is incomplete (line 3 has 2 fields instead of 4); left out"]


def test_a_last_line_without_line_end_is_whole_when_it_has_all_fields() -> None:
    frame, warnings = parse("1,3.5,1,a\n2,3.5,1,b")
    assert frame.height == 2
    assert warnings == []


def test_padded_cells_are_numbers() -> None:
    assert parse("1, 3.5 ,1,a\n2,\t3.6,1,b\n")[0]["voltage"].to_list() == [3.5, 3.6]


def test_decimal_commas_are_read_with_and_without_quotes() -> None:
    semicolons, _ = parse("1,5;3,5;1;a\n", delimiter=";", decimal=",")
    commas, _ = parse('"1,5","3,5",1,a\n', delimiter=",", decimal=",")
    assert semicolons.rows() == commas.rows() == [(1.5, 3.5, 1, "a")]


def test_no_rows_make_an_empty_table() -> None:
    frame, warnings = parse("")
    assert frame.columns == NAMES
    assert frame.height == 0
    assert warnings == []


FINITE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


@given(
    rows=st.lists(st.tuples(FINITE, FINITE, st.integers(-99, 99)), min_size=2, max_size=8),
    delimiter=st.sampled_from(";\t|"),
    decimal=st.sampled_from(".,"),
    broken=st.booleans(),
)
def test_every_table_comes_out_as_it_went_in(
    rows: list[tuple[float, float, int]], delimiter: str, decimal: str, broken: bool
) -> None:
    lines = [delimiter.join(repr(cell).replace(".", decimal) for cell in row) for row in rows]
    if broken:  # whatever takes the careful way must not change the rows around it
        lines.insert(1, "not a row")
    text = "\n".join([*lines, ""]).encode()
    frame, warnings = parse_table(text, ["x", "y", "n"], delimiter=delimiter, decimal=decimal, first_line=1)
    assert frame.rows() == rows
    assert len(warnings) == broken


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    assert head_text(codecs.BOM_UTF8 + b"Test_Time(s)") == "Test_Time(s)"
