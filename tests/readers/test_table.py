"""Rows of text exports come out as the columns they hold, and what does not fit is said."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from battery_analysis.readers import table
from battery_analysis.readers.sniff import MAX_LINE_BYTES
from battery_analysis.readers.table import parse_table

NAMES = ["time", "voltage", "step", "note"]


def parse(text: str, names: list[str] = NAMES, **options: str) -> tuple[pl.DataFrame, list[str]]:
    return parse_table(
        text.encode(),
        names,
        **{"delimiter": ",", "decimal": ".", "first_line": 2, **options},  # type: ignore[arg-type]
    )


def test_columns_are_whole_numbers_numbers_or_texts() -> None:
    frame, warnings = parse("0.5,3,1,rest\n1.5,,2,\n")
    assert frame.schema == {"time": pl.Float64, "voltage": pl.Int64, "step": pl.Int64, "note": pl.String}
    assert frame.rows() == [(0.5, 3, 1, "rest"), (1.5, None, 2, None)]
    assert warnings == []


@pytest.mark.parametrize(
    "rows",
    [
        '0.5,3.5,1,"read, and written"\n1.5,,2,\n',
        '0.5,3.5,1,"a ""quoted"" word"\n1.5,3.6,,""\n,3.6,1,a\n',
        "0.5,3.5,1,\n1.5,3.6,2,",
    ],
)
def test_ordinary_rows_are_parsed_once(monkeypatch: pytest.MonkeyPatch, rows: str) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("ordinary rows took the careful way")

    monkeypatch.setattr(table, "_regular_lines", refuse)
    monkeypatch.setattr(table, "_read_leniently", refuse)
    assert parse(rows)[0]["time"].to_list()[:2] == [0.5, 1.5]


def test_numbers_of_a_real_column_are_never_whole() -> None:
    frame, _ = parse_table(b"1,3,1,a\n", NAMES, delimiter=",", decimal=".", first_line=2, real={"time", "note"})
    assert frame.schema == {"time": pl.Float64, "voltage": pl.Int64, "step": pl.Int64, "note": pl.String}


def test_long_whole_numbers_keep_all_digits() -> None:
    assert parse("0,3.5,9007199254740993,a\n")[0]["step"].to_list() == [2**53 + 1]


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
    rows = b"1.0,,1,a\n2.0,3,,b\n"
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


def test_rows_without_any_value_are_left_out_wherever_cells_are_missing() -> None:
    frame, warnings = parse('1,,1,\n,3.5,,"b, c"\n,,,\n\n , , , \n4,3.5,1,d\n')
    assert frame.rows() == [(1, None, 1, None), (None, 3.5, None, "b, c"), (4, 3.5, 1, "d")]
    assert warnings == []


def test_missing_cells_in_every_column_leave_out_no_row() -> None:
    assert parse(",3.5,1,a\n2,,1,b\n3,3.5,,c\n4,3.5,1,\n")[0].height == 4


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


def test_the_name_in_a_repeated_column_line_makes_no_text_of_an_empty_column() -> None:
    frame, _ = parse("time,voltage,step,note\n1,,1,a\n")
    assert frame.schema["voltage"] == pl.Float64
    assert frame.rows() == [(1, None, 1, "a")]


def test_a_cut_off_last_line_is_left_out_and_said() -> None:
    frame, warnings = parse("1,3.5,1,a\n2,3.")
    assert frame.height == 1
    assert warnings == ["the last line is incomplete (line 3 has 2 fields instead of 4); left out"]


@pytest.mark.parametrize("last", ['2,3.5,1,"', '2,3.5,1,"b'])
def test_a_last_line_cut_off_inside_quotes_is_left_out_and_said(last: str) -> None:
    frame, warnings = parse(f"1,3.5,1,a\n{last}")
    assert frame.rows() == [(1, 3.5, 1, "a")]
    assert warnings == ["the last line is incomplete (line 3 ends inside quotes); left out"]


def test_a_last_line_without_line_end_is_whole_when_it_has_all_fields() -> None:
    frame, warnings = parse("1,3.5,1,a\n2,3.5,1,b")
    assert frame.height == 2
    assert warnings == []


MANY = "".join(f"{row},3.5,1,{row}.250\n" for row in range(60))


@pytest.mark.parametrize("last", ["60,3.5,1,", "60,3.5,1,6", "60,3.5,1,60.", "60,3.5,1,60.25"])
def test_a_last_line_without_line_end_is_cut_when_it_lacks_what_all_others_end_with(last: str) -> None:
    frame, warnings = parse(MANY + last)
    assert frame.height == 60
    assert warnings == ["the last line is incomplete (line 62 ends inside its last field); left out"]


@pytest.mark.parametrize("last", ["60,3.5,1,60.250", "60,3.5,1,60.2500"])
def test_a_last_line_without_line_end_is_whole_when_it_ends_as_all_others(last: str) -> None:
    frame, warnings = parse(MANY + last)
    assert frame.height == 61
    assert warnings == []


@pytest.mark.parametrize("odd", ["0", "", "60.1"])
def test_a_last_line_without_line_end_is_whole_when_another_ends_like_it(odd: str) -> None:
    frame, warnings = parse(f"{MANY}60,3.5,1,{odd}\n61,3.5,1,{odd}")
    assert frame.height == 62
    assert warnings == []


def test_texts_that_come_again_and_again_are_kept_once() -> None:
    rows = b"1, C \n2, C \n"
    frame, _ = parse_table(rows, ["t", "unit"], delimiter=",", decimal=".", first_line=2, repeated={"unit"})
    assert frame.schema["unit"] == pl.Categorical()
    assert frame["unit"].cast(pl.String).to_list() == [" C ", " C "]


def test_columns_that_nobody_needs_are_not_read() -> None:
    frame, warnings = parse_table(
        b"1,C,3.5\n2,C,3.6\n", ["t", "unit", "v"], delimiter=",", decimal=".", first_line=2, unread={"unit"}
    )
    assert frame.rows(named=True) == [{"t": 1, "v": 3.5}, {"t": 2, "v": 3.6}]
    assert warnings == []


@pytest.mark.parametrize("odd", ["2,C,3.6,9", "2,C", "2,C,3.6,9\n3,C", "2,C,,9\n3,C,"])
@pytest.mark.parametrize("unread", ["unit", "v"])
def test_columns_that_nobody_needs_hide_no_odd_row(odd: str, unread: str) -> None:
    rows = f"1,C,3.5\n{odd}\n4,C,3.7\n".encode()
    read_all, said_of_all = parse_table(rows, ["t", "unit", "v"], delimiter=",", decimal=".", first_line=2)
    frame, warnings = parse_table(rows, ["t", "unit", "v"], delimiter=",", decimal=".", first_line=2, unread={unread})
    assert frame.equals(read_all)
    assert warnings == said_of_all != []


def test_padded_cells_are_numbers() -> None:
    assert parse("1, 3.5 ,1,a\n2,\t3.6,1,b\n")[0]["voltage"].to_list() == [3.5, 3.6]


def test_decimal_commas_are_read_with_and_without_quotes() -> None:
    semicolons, _ = parse("1,5;3,5;1;a\n", delimiter=";", decimal=",")
    commas, _ = parse('"1,5","3,5",1,a\n', delimiter=",", decimal=",")
    assert semicolons.rows() == commas.rows() == [(1.5, 3.5, 1, "a")]


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ('"998.5",3.5\n"1,000.5",3.5\n"1,234,567.5",3.5\n', {}),
        ('998.5,3.5\n"1,000.5",3.5\n"1,234,567.5",3.5\n', {}),
        ("998.5\t3.5\n1,000.5\t3.5\n1,234,567.5\t3.5\n", {"delimiter": "\t"}),
        ("998,5;3,5\n1.000,5;3,5\n1.234.567,5;3,5\n", {"delimiter": ";", "decimal": ","}),
    ],
)
def test_thousands_that_are_set_apart_are_read_and_said(rows: str, options: dict[str, str]) -> None:
    frame, warnings = parse(rows, ["time", "voltage"], **options)
    assert frame.rows() == [(998.5, 3.5), (1000.5, 3.5), (1234567.5, 3.5)]
    assert warnings == ["thousands are set apart in column time; read without the marks"]


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ('"1,000",3.5\n"2,000",3.5\n', {}),
        ("1.000;3,5\n2.000;3,5\n", {"delimiter": ";", "decimal": ","}),
    ],
)
def test_a_mark_that_may_be_one_of_thousands_or_decimals_is_not_guessed(rows: str, options: dict[str, str]) -> None:
    frame, _ = parse(rows, ["time", "voltage"], **options)
    assert frame.schema["time"] == pl.String
    assert frame["voltage"].to_list() == [3.5, 3.5]


def test_a_column_with_decimal_points_among_decimal_commas_keeps_them() -> None:
    frame, warnings = parse("0.250;3,5\n1.250;3,5\n", ["time", "voltage"], delimiter=";", decimal=",")
    assert frame.rows() == [(0.25, 3.5), (1.25, 3.5)]
    assert warnings == []


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


@pytest.mark.parametrize(
    "rows",
    [
        "0.5,3,1,rest\n1.5,,2,\n",
        "",
        "0.5,3,1\n1,2,3,a\n",
        "\n\n1,2,3,a\n",
        '1,2,3,"a\nb"\n',
        "1,2,3,a\n2,3",
        "1,2,3,a\n2,3,4,b",
    ],
)
def test_rows_that_stand_below_other_lines_are_parsed_as_if_nothing_stood_there(rows: str) -> None:
    above = 'Cell: "A1\n,,,,,\ntime,voltage,step,note\n'
    frame, warnings = parse(rows)
    below, same = parse_table(
        (above + rows).encode(), NAMES, delimiter=",", decimal=".", first_line=2, start=len(above)
    )
    assert below.equals(frame) and below.schema == frame.schema
    assert same == warnings


@pytest.mark.parametrize("window", [1, 9, 20, 64])
@pytest.mark.parametrize(
    "rows",
    [
        "0.5,3,1,rest\n1.5,,2,\n2.5,4,2,charge\n",
        "0.5,3,1,rest\r\n1.5,3,2,\r\n2.5,4,2,charge",
        '1,2,3,"a\nb"\n2,3,4,c\n',
        '1,2,3,"a\n2,3,4,b"\n3,4,5,c\n',
        "1,2,3,a\n\n\n\n2,3\n4,5,6,b\n",
        "1,2,3,a\n2,word,3,a\n2.5,2,3,b\n",
    ],
)
def test_windows_that_are_parsed_one_by_one_make_the_table_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, rows: str, window: int
) -> None:
    options = {"delimiter": ",", "decimal": ".", "first_line": 2, "repeated": ["note"]}
    whole, warnings = parse_table(rows.encode(), NAMES, **options)  # type: ignore[arg-type]
    monkeypatch.setattr("battery_analysis.readers.rows._WINDOW_BYTES", window)
    frame, same = parse_table(rows.encode(), NAMES, **options)  # type: ignore[arg-type]
    assert frame.equals(whole) and frame.schema == whole.schema
    assert same == warnings
