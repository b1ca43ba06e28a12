"""Clock stamps become seconds since 1970, whatever their notation."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from battery_analysis.errors import SettingsError
from battery_analysis.readers.stamps import unix_time


def convert(stamps: list[str] | list[float], *seconds: float, zone: str = "UTC") -> tuple[list[str], list[str]]:
    test_time = seconds or tuple(10.0 * n for n in range(len(stamps)))
    clock, _, warnings = unix_time(pl.Series("stamp", stamps), pl.Series("test_time", test_time), zone)
    return [datetime.fromtimestamp(each, UTC).strftime("%m-%d %H:%M:%S") for each in clock], warnings


@pytest.mark.parametrize(
    "stamps",
    [
        ["05/31/2023 23:59:59", "06/01/2023 00:00:09"],
        ["\t05/31/2023 23:59:59.000", " 06/01/2023 00:00:09.000"],
        ["05/31/2023 23:59:59,000", "06/01/2023 00:00:09,000"],
        ["05/31/2023 11:59:59 PM", "06/01/2023 12:00:09 AM"],
        ["5/31/23 23:59:59", "6/1/23 00:00:09"],
        ["31/05/2023 23:59:59", "01/06/2023 00:00:09"],
        ["31.05.2023 23:59:59", "01.06.2023 00:00:09"],
        ["31-05-2023 23:59:59:000", "01-06-2023 00:00:09:000"],
        ["2023-05-31 23:59:59", "2023-06-01 00:00:09"],
        ["2023-05-31T23:59:59Z", "2023-06-01T00:00:09Z"],
        ["2023-06-01T01:59:59+02:00", "2023-06-01T02:00:09+02:00"],
        ["2023/05/31 23:59:59", "2023/06/01 00:00:09"],
        ["2023/5/31 23:59:59", "2023/6/1 0:00:09"],
        ["31-May-2023 23:59:59", "01-Jun-2023 00:00:09"],
        ["31-May-23 11:59:59 PM", "1-Jun-23 12:00:09 AM"],
        ["31 Mai 2023 23:59:59", "1 Juni 2023 00:00:09"],
        ["May 31, 2023, 11:59:59 PM", "June 1, 2023, 12:00:09 AM"],
        ["2023年05月31日 23:59:59", "2023年06月01日 00:00:09"],
        ["2023/5/31 下午 11:59:59", "2023/6/1 上午 12:00:09"],
        ["2023-05-31 오후 11:59:59", "2023-06-01 오전 12:00:09"],
        [1685577599.0, 1685577609.0],
        [1685577599000.0, 1685577609000.0],
        [45077.999988426, 45078.000104167],
    ],
    ids=str,
)
def test_every_notation_means_the_same(stamps: list[str] | list[float]) -> None:
    assert convert(stamps) == (["05-31 23:59:59", "06-01 00:00:09"], [])


def test_the_test_time_settles_the_order_of_day_and_month() -> None:
    assert convert(["05/06/2023 23:59:59", "06/06/2023 00:00:09"]) == (["06-05 23:59:59", "06-06 00:00:09"], [])
    assert convert(["05/06/2023 12:00:00", "05/07/2023 12:00:00"], 0, 86_400)[0] == ["05-06 12:00:00", "05-07 12:00:00"]


def test_a_damaged_stamp_settles_no_order() -> None:
    stamps = pl.Series(["05/06/2023 12:00:00", "06/06/2023 12:00:00", "07/0"])
    clock = unix_time(stamps, pl.Series([0.0, 86_400.0, 172_800.0]), "UTC").unix_time
    assert clock.to_list() == [datetime(2023, 6, 5, 12, tzinfo=UTC).timestamp(), 1686052800.0, None]


def test_an_order_that_nothing_settles_is_month_first_and_said() -> None:
    stamps, warnings = convert(["05/06/2023 12:00:00", "05/06/2023 12:00:10"])
    assert stamps == ["05-06 12:00:00", "05-06 12:00:10"]
    assert warnings == ["day and month of the clock stamps cannot be told apart (05/06/2023 12:00:00); month first"]


def test_local_time_is_taken_in_the_zone() -> None:
    assert convert(["2023-05-31 12:00:00", "2023-12-31 12:00:00"], zone="Europe/Berlin")[0] == [
        "05-31 10:00:00",
        "12-31 11:00:00",
    ]


def test_an_hour_that_the_clock_repeats_is_settled_by_the_test_time() -> None:
    night = ["10/29/2023 01:59:55", "10/29/2023 02:00:05", "10/29/2023 02:00:05", "10/29/2023 03:00:05"]
    expected = ["10-28 23:59:55", "10-29 00:00:05", "10-29 01:00:05", "10-29 02:00:05"]
    assert convert(night, 0, 10, 3610, 7210, zone="Europe/Berlin") == (expected, [])


def test_an_hour_that_the_clock_leaves_out_goes_on_with_the_old_offset() -> None:
    assert convert(["2023-03-26 01:59:55", "2023-03-26 02:00:05"], zone="Europe/Berlin")[0] == [
        "03-26 00:59:55",
        "03-26 01:00:05",
    ]


@pytest.mark.parametrize("stamps", [["yesterday", "today"], [0.5, 1.5], ["4/23-2018", "4/24-2018"]])
def test_what_is_no_stamp_is_missing_and_said(stamps: list[str] | list[float]) -> None:
    clock, local, warnings = unix_time(pl.Series(stamps), pl.Series([0.0, 1.0]), "UTC")
    assert clock.to_list() == [None, None]
    assert not local
    assert len(warnings) == 1


def test_single_stamps_that_cannot_be_read_are_counted() -> None:
    stamps = pl.Series(["05/31/2023 12:00", None, "noon"])
    assert unix_time(stamps, pl.Series([0.0, 1.0, 2.0]), "UTC").warnings == [
        "1 clock stamps could not be read and are kept as missing"
    ]


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(SettingsError, match="no time zone 'Mars/Olympus'"):
        convert(["2023-05-31 12:00:00"], zone="Mars/Olympus")


def test_stamps_with_words_that_cannot_be_read_are_counted() -> None:
    clock, _, warnings = unix_time(
        pl.Series("stamp", ["31-May-2023", "31-Mxy-2023", None]), pl.Series([0.0, 1.0, 2.0]), "UTC"
    )
    assert clock.null_count() == 2
    assert warnings == ["1 clock stamps could not be read and are kept as missing"]
