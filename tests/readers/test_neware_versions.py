"""Versions of Neware files of which no real one lies beside the project, built from their layouts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pytest import approx

from battery_analysis.columns import conform
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading
from battery_analysis.readers.neware import NewareNda, NewareNdax
from battery_analysis.readers.neware_columns import from_fastnda, step_type_names, to_frame, total_time
from tests.readers.neware_bytes import (
    BTS_9_1,
    NDA_8,
    NDA_22,
    NDA_29,
    NDA_AUX,
    NDC_5,
    archive,
    bts_9_1,
    nda,
    ndc,
    rows,
)

START = 1_700_000_000
CALENDAR = {"year": 2024, "month": 7, "day": 1, "hour": 12, "minute": 0, "second": [0, 10, 20, 30]}
# Two steps: 10 s of charge at 1 mA, 10 s of discharge at 1 mA, in the units of the 10 mA range.
STEPS = {
    "index": [1, 2, 3, 4],
    "step": [1, 1, 2, 2],
    "kind": [1, 1, 2, 2],
    "volt": [36000, 37000, 36500, 35000],
    "curr": [1000, 1000, -1000, -1000],
}
PAIR = {"chg": [0, 10_000, 0, 0], "dchg": [0, 0, 0, 10_000], "range": 10}
TEN_SECONDS_AT_1_MA_IN_AH = 10 / 3600 * 1e-3


def read_nda(folder: Path, content: bytes, time_zone: str = "UTC") -> Reading:
    path = folder / "test.nda"
    path.write_bytes(content)
    return NewareNda().read(path, time_zone=time_zone)


def test_version_8_has_one_counter_for_both_directions_and_seconds_since_1970(tmp_path: Path) -> None:
    records = rows(
        NDA_8, **STEPS, cycle=1, time=[0, 10, 0, 10], cap=[0, 10_000, 0, 10_000],
        unix=[START, START + 10, START + 10, START + 20],
    )  # fmt: skip
    reading = read_nda(tmp_path, nda(8, records, texts={36: "2023.11.14 23:13:00", 76: "王"}), "Europe/Berlin")
    frame = reading.frame
    assert frame["test_time_second"].to_list() == [0, 10, 10, 20]
    assert frame["voltage_volt"].to_list() == approx([3.6, 3.7, 3.65, 3.5])
    assert frame["current_ampere"].to_list() == approx([1e-3, 1e-3, -1e-3, -1e-3])
    assert frame["step_cumulative_capacity_ah"].to_list() == approx(
        [0, TEN_SECONDS_AT_1_MA_IN_AH, 0, TEN_SECONDS_AT_1_MA_IN_AH]
    )
    assert frame["step_count"].to_list() == frame["step_id"].to_list() == [1, 1, 2, 2]
    assert frame["cycle_count"].to_list() == [1] * 4
    assert reading.metadata.started_at == datetime.fromtimestamp(START, UTC)
    assert reading.metadata.operator == "王"
    assert reading.metadata.time_zone is None


def test_version_22_has_a_counter_each_way_and_auxiliary_records(tmp_path: Path) -> None:
    records = rows(NDA_22, **STEPS, **PAIR, identifier=85, cycle=[0, 0, 1, 1], time=[0, 10_000, 0, 10_000], unix=START)
    aux = rows(NDA_AUX, identifier=101, aux=[1, 1, 1, 1, 2, 2, 2, 2], index=[1, 2, 3, 4] * 2, temp=250, volt=12_345)
    reading = read_nda(tmp_path, nda(22, records, aux=aux, texts={343: "CELL07", 227: "made of bytes"}))
    frame = conform(reading.frame).frame
    assert frame["step_charging_capacity_ah"].to_list() == approx([0, TEN_SECONDS_AT_1_MA_IN_AH, 0, 0])
    assert frame["step_discharging_capacity_ah"].to_list() == approx([0, 0, 0, TEN_SECONDS_AT_1_MA_IN_AH])
    assert frame["cycle_count"].to_list() == [1, 1, 2, 2]
    assert frame["temperature_t1_celsius"].to_list() == frame["temperature_t2_celsius"].to_list() == approx([25.0] * 4)
    assert frame["aux_v2"].to_list() == approx([1.2345] * 4)
    assert reading.metadata.sources["aux_v2"].unit == "V"
    assert (reading.metadata.sample_name, reading.metadata.comment) == ("CELL07", "made of bytes")


def test_version_29_stamps_records_with_local_dates(tmp_path: Path) -> None:
    records = rows(NDA_29, **STEPS, **PAIR, **CALENDAR, identifier=85, jump=[0, 0, 1, 1], time=[0, 10_000, 0, 10_000])
    reading = read_nda(tmp_path, nda(29, records, texts={383: "life", 443: "CC.xml"}), "Europe/Berlin")
    assert reading.metadata.started_at == datetime(2024, 7, 1, 10, tzinfo=UTC)
    assert (reading.metadata.test_name, reading.metadata.protocol) == ("life", "CC.xml")
    assert reading.frame["step_count"].to_list() == [1, 1, 2, 2]


def test_bts_9_1_has_one_signed_counter_and_a_temperature(tmp_path: Path) -> None:
    records = rows(
        BTS_9_1, identifier=0x0155, index=[1, 2, 3, 4], step=[1, 1, 2, 2], kind=[17, 17, 4, 4], time=[0, 10, 10, 20],
        time_ns=[0, 500_000_000, 500_000_000, 0], volt=3.6, curr=[1, -1, 0, 0], cap=[3.6, -3.6, 0, 0], unix=START,
        cycle=0, temp=21.5,
    )  # fmt: skip
    reading = read_nda(tmp_path, bts_9_1(records))
    frame = reading.frame
    assert frame["test_time_second"].to_list() == [0.0, 10.5, 10.5, 20.0]
    assert frame["step_net_capacity_ah"].to_list() == approx([1e-6, -1e-6, 0, 0])
    assert frame["temperature_t1_celsius"].to_list() == [21.5] * 4
    assert frame["cycle_count"].to_list() == [1] * 4
    assert frame["step_type"].to_list() == ["SIM", "SIM", "Rest", "Rest"]


def test_members_of_version_5_hold_everything_with_local_dates(tmp_path: Path) -> None:
    records = rows(NDC_5, **STEPS, **PAIR, **CALENDAR, time=[0, 10_000, 0, 10_000])
    path = tmp_path / "old.ndax"
    path.write_bytes(archive({"data.ndc": ndc(5, 1, records)}))
    assert NewareNdax().recognises(path.read_bytes(), path)
    reading = NewareNdax().read(path, time_zone="Asia/Shanghai")
    assert reading.metadata.started_at == datetime(2024, 7, 1, 4, tzinfo=UTC)
    assert reading.metadata.time_zone == "Asia/Shanghai"
    assert reading.frame["aux_range"].to_list() == [10] * 4
    assert reading.frame["step_discharging_capacity_ah"].to_list() == approx([0, 0, 0, TEN_SECONDS_AT_1_MA_IN_AH])


def test_a_format_nobody_has_verified_is_read_with_a_warning(tmp_path: Path) -> None:
    records = rows(NDC_5, **STEPS, **PAIR, **CALENDAR, time=[0, 10_000, 0, 10_000])
    old = np.zeros(512, np.uint8)
    old[0], old[2] = 1, 4
    path = tmp_path / "rare.ndax"
    page = bytearray(512)
    body = b"\0" * 7 + records[0].tobytes()
    page[5 : 5 + len(body)] = body
    path.write_bytes(archive({"data.ndc": old.tobytes() + bytes(page)}))
    reading = NewareNdax().read(path)
    assert reading.frame.height == 1
    assert reading.warnings == [
        "ndc version 4 filetype 1 has not been verified against real Neware data - results may be incorrect"
    ]


def test_a_header_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="no records"):
        read_nda(tmp_path, nda(22, rows(NDA_22, identifier=0, index=[0])))
    with pytest.raises(CorruptFileError, match="ends early"):
        read_nda(tmp_path, b"NEWARE20200325\x1d")


def test_channels_beyond_the_sensors_and_of_unknown_kinds_are_kept() -> None:
    channels = {f"aux{number}_temperature_degC": [20.0 + number] for number in range(1, 8)}
    table = pl.DataFrame(
        {
            "voltage_V": [3.6], "current_mA": [1.0], "total_time_s": [0.0], **channels,
            "aux3_temperature_setpoint_degC": [25.0], "aux9_clamp_weight_kg": [1.5], "aux12_?": [7.0],
        }
    )  # fmt: skip
    frame, sources = to_frame(*from_fastnda(table))
    assert frame["temperature_t5_celsius"].item() == 25.0
    assert frame["aux_t7"].item() == 27.0
    assert frame["aux_temperature_setpoint3"].item() == 25.0
    assert (frame["aux_clamp_weight9"].item(), sources["aux_clamp_weight9"].unit) == (1.5, "kg")
    assert frame["aux_channel12"].item() == 7.0


def test_numbers_that_the_records_leave_out_are_missed(tmp_path: Path) -> None:
    records = rows(NDA_22, **{**STEPS, "index": [1, 2, 8, 9]}, **PAIR, identifier=85, time=[0, 10_000, 0, 10_000])
    assert read_nda(tmp_path, nda(22, records)).warnings == ["5 records between number 1 and 9 are missing"]


def test_a_step_type_without_a_name_stays_visible() -> None:
    assert step_type_names(pl.Series([1, 99, None], dtype=pl.UInt8)).to_list() == ["CC_Chg", "Type 99", None]


def test_time_since_the_start_adds_the_longest_time_of_each_step() -> None:
    steps, times = pl.Series([None, 1, 1, 1, 2]), pl.Series([None, 0.0, 5.0, 4.0, 1.0])
    assert total_time(steps, times).to_list()[1:] == [0.0, 5.0, 4.0, 6.0]
    assert total_time(pl.Series([], dtype=pl.UInt32), pl.Series([], dtype=pl.Float64)).len() == 0
