"""What is wrong with a test is found, in made-up cells and in altered copies of real files; what is right is not."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import battery_analysis
from battery_analysis.analysis.checks import Check, run_checks
from battery_analysis.analysis.clock import steady_time
from battery_analysis.analysis.cycles import number_cycles, summarise_cycles
from battery_analysis.analysis.steps import step_direction, step_hold
from battery_analysis.readers.base import TestMetadata
from battery_analysis.reading import ReadResult
from tests.analysis.cells import ideal_cycles, logged, with_counters
from tests.realdata import real, real_entries

FAILING: dict[str, set[str]] = {
    # Pulses and drive cycles that change faster than they are logged.
    "neware/2-1-6_61[07005012].nda": {"charge_balance", "energy_balance"},
    "indigo/indigo_test_sample.h5": {"charge_balance", "energy_balance", "plausibility"},
    # Efficiencies above 1.02, as seen by discharge / charge of the same cycle.
    "neware/nw4-120-1-6-53.ndax": {"plausibility"},
    "neware/neware_uio.csv": {"plausibility"},
    "landt/custom_data_002.xlsx": {"plausibility"},
    # A pause of three hours; a test time that stands still during an impedance sweep; 18 h between two records.
    "arbin/BL_Zn_SymCell_072023_03_1mAh_Channel_53_Wb_1.CSV": {"clock"},
    "maccor/maccor_test_file_4267-66-6519.041": {"clock"},
    "maccor/maccor_example.xls": {"clock"},
    # Excerpts whose header still tells of the whole, and a test that was running.
    "basytec/sample_data_basytec.txt": {"completeness"},
    "zplot/exampleDataZPlot.z": {"completeness"},
    "pec/pec.csv": {"completeness"},
}
NUMBERED = (
    "neware/new_nda_file.nda",
    "neware/nw4-120-1-6-53.ndax",
    "neware/neware_uio.csv",
    "arbin/20160805_test001_45_cc_01.res",
    "maccor/maccor_001.txt",
    "maccor/xTESLADIAG_000038con.078",
    "landt/custom_data_002.xlsx",
    "biologic/jdb11-1_c3_gcpl_5cycles_2V-3p8V_C-24_data_C09.mpr",
    "biologic/gcpl.issue_149.mpt",
    "biologic/250116_kigr_gen6_01_02_GCPL_CD8.mpr",
)
CLOCKED = (*NUMBERED, "arbin/bs542_004_gr_li_50ua_50mv_1v_191020_Channel_11.xlsx", "pec/pec.csv")
FLOWING = (*CLOCKED, "novonix/sample_data_novonix.csv", "basytec/sample_data_basytec.txt")
MAKER = TestMetadata("Maker")


def cell(**columns: pl.Expr) -> pl.DataFrame:
    """Three cycles at 1 A with counters of each step, a record each minute; some columns altered."""
    return with_counters(logged(ideal_cycles(3), 60.0), "pair", "step").with_columns(**columns)


def checked(frame: pl.DataFrame, metadata: TestMetadata = MAKER) -> dict[str, Check]:
    frame, _ = steady_time(frame.drop("derived_cycle_count", "aux_reported_test_time_second", strict=False))
    frame, _ = number_cycles(frame)
    cycles = summarise_cycles(frame, finished=bool(metadata.finished), continuation=metadata.continuation)
    return {check.name: check for check in run_checks(frame, cycles, metadata)}


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if check.status == "failed"}


@functools.cache
def read(path: str) -> ReadResult:
    return battery_analysis.read(real(path))


def scaled(result: ReadResult, name: str, factor: float) -> dict[str, Check]:
    return checked(result.frame.with_columns(pl.col(name) * factor), result.metadata)


def test_an_ideal_cell_passes() -> None:
    checks = checked(cell())
    assert {name: check.status for name, check in checks.items()} == {
        "sign": "passed",
        "charge_balance": "passed",
        "energy_balance": "not_applicable",
        "clock": "passed",
        "plausibility": "passed",
        "completeness": "passed",
    }
    assert checks["charge_balance"].numbers == pytest.approx({"integral_ah": 6.0, "counter_ah": 6.0})


def test_without_a_second_source_nothing_is_judged() -> None:
    checks = checked(logged(ideal_cycles(1), 60.0).select("test_time_second", "voltage_volt", "current_ampere"))
    assert {check.status for check in checks.values()} == {"not_applicable"}
    assert all(check.message and not check.records for check in checks.values())


def test_a_flipped_sign_is_found_by_states_and_by_counters() -> None:
    flipped = cell(current_ampere=-pl.col("current_ampere"))
    for columns in (["step_type"], ["step_charging_capacity_ah", "step_discharging_capacity_ah"]):
        check = checked(flipped.drop(columns))["sign"]
        assert check.status == "failed"
        assert len(check.records) == 6
        assert check.records[0] == (0, 59)


def test_one_flipped_step_is_found_where_it_is() -> None:
    second = pl.col("step_count") == 5
    check = checked(cell(current_ampere=pl.when(second).then(-1.0).otherwise(pl.col("current_ampere"))))["sign"]
    assert check.status == "failed"
    assert check.records == [(180, 239)]


def test_a_current_in_a_rest_is_found() -> None:
    check = checked(cell(current_ampere=pl.when(step_type="Rest").then(1.0).otherwise(pl.col("current_ampere"))))[
        "sign"
    ]
    assert check.status == "failed"
    assert check.numbers["records_against_states"] == 6 * 30


@pytest.mark.parametrize("every", [10.0, 60.0, 300.0, 1800.0])
def test_the_balance_allows_for_the_logging_interval(every: float) -> None:
    frame = with_counters(logged(ideal_cycles(3), every), "pair", "step")
    assert checked(frame)["charge_balance"].status == "passed"
    off = frame.with_columns(pl.col("current_ampere") * 1000)
    check = checked(off)["charge_balance"]
    assert check.status == "failed"
    assert check.numbers["integral_per_counter"] == pytest.approx(1000)
    assert "mA and A" in check.message


def test_only_the_cycle_that_is_off_is_named() -> None:
    second = pl.col("cycle_count") == 2
    check = checked(cell(current_ampere=pl.col("current_ampere") * pl.when(second).then(0.9).otherwise(1.0)))
    assert check["charge_balance"].records == [(180, 359)]
    assert check["charge_balance"].numbers["cycles_off"] == 1


def test_a_wall_clock_that_changes_to_winter_time_is_said() -> None:
    stamps = 1.7e9 + pl.col("test_time_second")
    assert checked(cell(unix_time_second=stamps))["clock"].status == "passed"
    late = stamps - pl.when(pl.col("record_index") > 300).then(3600.0).otherwise(0.0)
    check = checked(cell(unix_time_second=late))["clock"]
    assert check.status == "failed"
    assert "daylight-saving" in check.message


def test_a_pause_is_as_long_as_the_wall_clock_says() -> None:
    late = pl.col("test_time_second") + 1.7e9 + pl.when(pl.col("cycle_count") > 1).then(7200.0).otherwise(0.0)
    check = checked(cell(unix_time_second=late))["clock"]
    assert (check.numbers["pauses"], check.numbers["pauses_second"]) == (1.0, 7200.0)


def test_a_restarted_clock_is_said() -> None:
    restarted = pl.col("test_time_second") - pl.when(pl.col("cycle_count") > 1).then(3 * 3600.0).otherwise(0.0)
    check = checked(cell(test_time_second=restarted))["clock"]
    assert check.status == "failed"
    assert check.records == [(179, 180)]


def test_limits_nominal_capacity_and_efficiency_are_held_against_the_numbers() -> None:
    limits = TestMetadata("Maker", voltage_limits_volt=(3.2, 4.2))
    check = checked(cell(), limits)["plausibility"]
    assert check.status == "failed"
    assert check.numbers == {"min_voltage_volt": 3.0, "max_voltage_volt": 4.0, "records_beyond_limits": 180}
    assert checked(cell(), TestMetadata("Maker", nominal_capacity_ah=0.7))["plausibility"].status == "passed"
    assert checked(cell(), TestMetadata("Maker", nominal_capacity_ah=0.6))["plausibility"].status == "failed"
    more = (
        pl.when(pl.col("current_ampere") < 0).then(1.03 * pl.col("current_ampere")).otherwise(pl.col("current_ampere"))
    )
    frame = logged(ideal_cycles(3), 60.0).with_columns(current_ampere=more)
    check = checked(frame)["plausibility"]
    assert check.status == "failed"
    assert check.numbers["max_coulombic_efficiency"] == pytest.approx(1.03)
    assert check.records == [(180, 539)], "how full the cell was before its first cycle is unknown"


def test_what_is_announced_has_to_be_there() -> None:
    assert checked(cell(), TestMetadata("Maker", announced_records=540))["completeness"].status == "passed"
    assert checked(cell(), TestMetadata("Maker", announced_records=541))["completeness"].status == "failed"
    assert checked(cell(), TestMetadata("Maker", finished=False))["completeness"].status == "failed"
    begun = datetime(2026, 3, 2, tzinfo=UTC)
    early = TestMetadata("Maker", started_at=begun, ended_at=begun.replace(day=3))
    assert checked(cell(), early)["completeness"].numbers["missing_second"] == 86400 - 9 * 3600
    check = checked(pl.concat([cell()[:100], cell()[150:]]))["completeness"]
    assert check.status == "failed"
    assert check.records == [(99, 100)]


@pytest.mark.parametrize(
    ("word", "hold", "direction"),
    [
        ("搁置", "rest", 0),
        ("恒流充电", "cc", 1),
        ("恒流放电", "cc", -1),
        ("恒压充电", "cv", 1),
        ("恒流恒压充电", "cccv", 1),
        ("恒流恒压放电", "cccv", -1),
        ("C", "other", 1),
        ("D", "other", -1),
        *((letter, "rest", 0) for letter in "RPSO"),
        ("CCCV_DChg", "cccv", -1),
        ("CC-CV charge", "cccv", 1),
        ("Discharge", "other", -1),
        ("Charge/Discharge", "other", None),
        ("CC", "cc", None),
    ],
)
def test_words_for_steps(word: str, hold: str, direction: int | None) -> None:
    assert (step_hold(word), step_direction(word)) == (hold, direction)


def test_every_real_file_fails_only_what_it_should() -> None:
    for entry in real_entries():
        if not entry["path"].endswith(".mps"):  # settings, no records
            found = {check.name for check in read(entry["path"]).checks if check.status == "failed"}
            assert found == FAILING.get(entry["path"], set()), entry["path"]


def test_undersampled_pulses_are_called_so() -> None:
    check = next(c for c in read("neware/2-1-6_61[07005012].nda").checks if c.name == "charge_balance")
    assert check.numbers["integral_per_counter"] == pytest.approx(3.0, rel=0.01)
    assert "faster than it is logged" in check.message


@pytest.mark.parametrize("path", FLOWING)
def test_a_flipped_sign_of_a_real_file_is_found(path: str) -> None:
    assert "sign" in failed(scaled(read(path), "current_ampere", -1))


@pytest.mark.parametrize("factor", [1000.0, 0.001])
@pytest.mark.parametrize("path", FLOWING)
def test_milliamperes_of_a_real_file_are_found(path: str, factor: float) -> None:
    assert "charge_balance" in failed(scaled(read(path), "current_ampere", factor))


@pytest.mark.parametrize("factor", [3600.0, 1 / 3600])
@pytest.mark.parametrize("path", CLOCKED)
def test_hours_for_seconds_in_a_real_file_are_found(path: str, factor: float) -> None:
    assert {"clock", "charge_balance"} <= failed(scaled(read(path), "test_time_second", factor))


@pytest.mark.parametrize("path", NUMBERED)
def test_records_dropped_from_a_real_file_are_found(path: str) -> None:
    result = read(path)
    rng = np.random.default_rng(7)
    for first in rng.integers(1, result.frame.height - 20, 5):
        rest = pl.concat([result.frame[: int(first)], result.frame[int(first) + 10 :]])
        metadata: Any = result.metadata
        if "record_index" not in rest.columns and metadata.announced_records is None:
            pytest.fail(f"{path} neither numbers nor announces its records")
        assert "completeness" in failed(checked(rest, metadata)), first


def test_records_without_a_cycle_number_belong_to_the_cycle_before() -> None:
    number = pl.when(pl.col("record_index") % 50 != 7).then(pl.col("cycle_count"))
    assert failed(checked(cell(cycle_count=number))) == set()
