"""Names of columns are taken apart in one way, whatever brackets, units and clocks a vendor writes."""

from __future__ import annotations

import polars as pl
import pytest

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.readers.headings import clock_seconds, heading, split_unit, unit_scale

CAPACITY = BY_NAME["charging_capacity_ah"]
ENERGY = BY_NAME["charging_energy_wh"]
RESISTANCE = columns.INTERNAL_RESISTANCE


@pytest.mark.parametrize(
    ("name", "words", "unit"),
    [
        ("Test_Time(s)", "Test_Time", "s"),
        ("Current [mA]", "Current", "mA"),
        ("充电容量（mAh）", "充电容量", "mAh"),
        ("WE(1).Current (A)", "WE(1).Current", "A"),
        ("Aux_Temperature(℃)_1", "Aux_Temperature_1", "℃"),
        ("Voltage( V )", "Voltage", "V"),
        ("Cycle_Index", "Cycle_Index", ""),
        ("dV/dt", "dV/dt", ""),
        ("Count()", "Count", ""),
        ("(V)", "(V)", ""),
        ("Time (h", "Time (h", ""),
    ],
)
def test_the_unit_stands_in_brackets(name: str, words: str, unit: str) -> None:
    assert split_unit(name) == (words, unit)


@pytest.mark.parametrize(
    ("name", "words", "unit"),
    [
        ("Phase/deg", "Phase", "deg"),
        ("ACImp / Ohms", "ACImp", "Ohms"),
        ("dV/dt (V/s)", "dV/dt", "V/s"),
        ("E/V vs Ref/mV", "E/V vs Ref", "mV"),
        ("SOC/%", "SOC", "%"),
        ("Loop/2", "Loop/2", ""),
        ("a/", "a/", ""),
    ],
)
def test_or_behind_a_slash_where_a_vendor_puts_it_there(name: str, words: str, unit: str) -> None:
    assert split_unit(name, slash=True) == (words, unit)


def test_names_are_the_same_whatever_their_spelling() -> None:
    assert {heading(name).key for name in ("Step_Index", "step index", '"Step Index"', " STEP-INDEX ")} == {"stepindex"}


@pytest.mark.parametrize(
    ("unit", "column", "scale"),
    [
        ("", columns.CURRENT, 1.0),
        ("A", columns.CURRENT, 1.0),
        ("mA", columns.CURRENT, 1e-3),
        ("µA", columns.CURRENT, 1e-6),
        ("μA", columns.CURRENT, 1e-6),
        ("nA", columns.CURRENT, 1e-9),
        ("Amps", columns.CURRENT, 1.0),
        ("mVolts", columns.VOLTAGE, 1e-3),
        ("mA.h", CAPACITY, 1e-3),
        ("mA·h", CAPACITY, 1e-3),
        ("Amp-hr", CAPACITY, 1.0),
        ("mAs", CAPACITY, 1e-3 / 3600),
        ("C", CAPACITY, 1 / 3600),
        ("mWh", ENERGY, 1e-3),
        ("kJ", ENERGY, 1e3 / 3600),
        ("Ws", ENERGY, 1 / 3600),
        ("mΩ", RESISTANCE, 1e-3),
        ("k\u2126", RESISTANCE, 1e3),
        ("Ohms", RESISTANCE, 1.0),
        ("MOhm", RESISTANCE, 1e6),
        ("kHz", columns.FREQUENCY, 1e3),
        ("min", columns.TEST_TIME, 60.0),
        ("Hours", columns.TEST_TIME, 3600.0),
        ("d", columns.TEST_TIME, 86_400.0),
        ("ms", columns.STEP_TIME, 1e-3),
        ("°C", columns.AMBIENT_TEMPERATURE, 1.0),
        ("A", columns.VOLTAGE, None),
        ("Ah", ENERGY, None),
        ("Ah/g", CAPACITY, None),
        ("xA", columns.CURRENT, None),
        ("week", columns.TEST_TIME, None),
    ],
)
def test_units_are_prefixes_before_what_a_column_is_measured_in(unit: str, column: Column, scale: float | None) -> None:
    assert unit_scale(unit, column) == (None if scale is None else pytest.approx(scale, rel=1e-15))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:01", 1.0),
        (" 144:02:18.5 ", 518_538.5),
        ("00:00:01,25", 1.25),
        ("1d 02:03:04", 93_784.0),
        ("1d02:03:04", 93_784.0),
        ("1 day, 02:03:04", 93_784.0),
        ("1-02:03:04", 93_784.0),
        ("1.02:03:04", 93_784.0),
        ("1天02:03:04", 93_784.0),
        ("-1:02:03", None),
        ("12:30:15:123", None),
        ("12:30", None),
        ("soon", None),
    ],
)
def test_clock_times_are_seconds(text: str, seconds: float | None) -> None:
    assert clock_seconds(pl.Series([text, None])).to_list() == [seconds, None]


def test_a_colon_stands_behind_the_days_where_a_vendor_puts_it_there() -> None:
    texts = pl.Series(["1:02:03:04", ":1:02:03:04", "02:03:04"])
    assert clock_seconds(texts, colon_after_days=True).to_list() == [93_784.0, 93_784.0, 7_384.0]


@pytest.mark.parametrize("form", ["{h}:{m:02}:{s:02}", "{d}d {r:02}:{m:02}:{s:02}.5"])
def test_clock_times_that_grow_longer_within_a_column_are_read_like_one_by_one(form: str) -> None:
    seconds = range(0, 1_500_000, 613)  # past 9, 99 and 416 hours, and 17 days
    texts = [form.format(h=t // 3600, d=t // 86_400, r=t // 3600 % 24, m=t // 60 % 60, s=t % 60) for t in seconds]
    half = 0.5 if form.endswith(".5") else 0.0
    assert clock_seconds(pl.Series(texts)).to_list() == [t + half for t in seconds]
