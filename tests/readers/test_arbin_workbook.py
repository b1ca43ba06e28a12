"""Arbin workbooks come out as Arbin's text exports do, over all their sheets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.arbin_workbook import ArbinXlsx
from battery_analysis.readers.base import HEAD_BYTES
from tests.realdata import real, real_entries

xlsxwriter = pytest.importorskip("xlsxwriter")

REPORT = "arbin/bs542_004_gr_li_50ua_50mv_1v_191020_Channel_11.xlsx"
START = datetime(2024, 5, 2, 9, 30)
NAMES = ["Data_Point", "Date_Time", "Test_Time(s)", "Step_Time(s)", "Step_Index", "Cycle_Index", "Current(A)",
         "Voltage(V)", "Charge_Capacity(Ah)", "Discharge_Capacity(Ah)", "Aux_Temperature(C)_1"]  # fmt: skip
INFO = ["Channel", "Start DateTime", "Schedule File Name", "Creator", "Comments", "Software Version", "Item ID"]


def records() -> list[list[Any]]:
    """Two cycles of an hour at 1 A and an hour at -1 A, a record a minute, with counters that are never set back."""
    found = []
    for number in range(1, 241):
        half, minute = divmod(number - 1, 60)
        charging = half % 2 == 0
        share = (minute + 1) / 60
        charged, discharged = half // 2 + half % 2 + share * charging, half // 2 + share * (not charging)
        current = 1.0 if charging else -1.0
        stamp = START + timedelta(minutes=number)
        step = [number, stamp, 60.0 * number, 60.0 * (minute + 1), half % 2 + 1, half // 2 + 1]
        found.append([*step, current, 3.5, charged, discharged, 25.0])
    return found


def information(*rows: Sequence[Any], heading: Sequence[str] = INFO) -> list[list[Any]]:
    title = ["", "", "", "TEST REPORT"], ["", "", "", "cell_7", "Serial Number"], ["", "", "", START, 206951]
    return [*map(list, title), list(heading), *map(list, rows)]


CHANNEL_3 = [3, START, "lab\\cycling.sdu", "eva", "second of three", "PV7.0", "B-0007"]


def write(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        stamp = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if isinstance(cell, datetime):
                        sheet.write_datetime(at, column, cell, stamp)
                    elif cell is not None and cell != "":
                        sheet.write(at, column, cell)
            if name == "Global_Info":
                sheet.merge_range(1, 6, 1, 10, "C:\\ArbinSoftware\\Result")
    return path


def test_an_ideal_cell_has_its_capacity_and_efficiency(tmp_path: Path) -> None:
    rows = records()
    sheets = {"Global_Info": information(CHANNEL_3), "Channel_3_1": [NAMES, *rows]}
    result = ba.read(write(tmp_path / "cell.xlsx", sheets))
    assert result.reader == "arbin_xlsx"
    assert result.warnings == []
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.cycles["coulombic_efficiency"][0] == pytest.approx(1.0)
    assert result.frame["temperature_t1_celsius"].unique().to_list() == [25.0]


def test_sheets_are_joined_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    rows = records()
    parts = {f"Channel_3_{part + 1}": [NAMES, *rows[20 * part : 20 * part + 20]] for part in range(12)}
    shuffled = dict(sorted(parts.items()))  # 1, 10, 11, 12, 2, …
    result = ba.read(write(tmp_path / "cell.xlsx", {"Global_Info": information(CHANNEL_3), **shuffled}))
    assert result.frame["record_index"].to_list() == list(range(1, 241))
    assert result.warnings == []


def test_the_sheet_of_information_describes_the_channel(tmp_path: Path) -> None:
    other = [5, START, "lab\\other.sdu", "adam", "", "PV7.0", "B-0009"]
    sheets = {"Global_Info": information(other, CHANNEL_3), "Channel_3_1": [NAMES, *records()]}
    metadata = ba.read(write(tmp_path / "cell.xlsx", sheets), time_zone="Europe/Berlin").metadata
    assert (metadata.channel, metadata.device, metadata.test_name) == ("3", "206951", "cell_7")
    assert (metadata.protocol, metadata.operator) == ("lab\\cycling.sdu", "eva")
    assert (metadata.comment, metadata.software) == ("second of three", "PV7.0")
    assert metadata.sample_name == metadata.barcode == "B-0007"
    assert metadata.started_at == datetime(2024, 5, 2, 7, 30, tzinfo=UTC)
    assert metadata.time_zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("mass", "capacity", "grams", "ampere_hours"),
    [("MASS(mg)", "Specific Capacity(mAh/g)", 0.012, 0.0018), ("MASS(g)", "Capacity(Ah)", 12.0, 150.0)],
)
def test_masses_and_capacities_are_converted(
    tmp_path: Path, mass: str, capacity: str, grams: float, ampere_hours: float
) -> None:
    info = information([*CHANNEL_3, 12.0, 150.0], heading=[*INFO, mass, capacity])
    sheets = {"Global_Info": info, "Channel_3_1": [NAMES, *records()]}
    metadata = ba.read(write(tmp_path / "cell.xlsx", sheets)).metadata
    assert metadata.active_mass_gram == pytest.approx(grams)
    assert metadata.nominal_capacity_ah == pytest.approx(ampere_hours)


def test_the_start_is_that_of_information_where_records_have_no_clock(tmp_path: Path) -> None:
    rows = [[row[0], *row[2:]] for row in records()]
    sheets = {"Global_Info": information(CHANNEL_3), "Channel_3_1": [[NAMES[0], *NAMES[2:]], *rows]}
    assert ba.read(write(tmp_path / "cell.xlsx", sheets)).metadata.started_at == START.replace(tzinfo=UTC)


def test_statistics_are_left_out_with_a_word(tmp_path: Path) -> None:
    statistics = [["Cycle_Index", "Test_Time(s)", "Vmax_On_Cycle(V)", "Coulombic_Efficiency", "Current(A)"], [1] * 5]
    sheets = {
        "Global_Info": information(CHANNEL_3),
        "Channel_3_1": [NAMES, *records()],
        "Statistics_3": statistics,
        "Channel_Chart": [],
    }
    result = ba.read(write(tmp_path / "cell.xlsx", sheets))
    assert result.frame.height == 240
    assert result.warnings == ["sheets without records are left out: Statistics_3"]


@pytest.mark.parametrize(
    "names",
    [
        ["Cycle_Index", "Test_Time(s)", "Current(A)", "Voltage(V)", "Charge_Capacity(Ah)", "Vmax_On_Cycle(V)"],
        ["Cycle_Index", "Test_Time(s)", "Current(A)", "Voltage(V)", "Charge_Time(s)", "DisCharge_Time(s)"],
        ["Cycle_Index", "Test_Time(s)", "Current(A)", "Voltage(V)", "Charge_Capacity(Ah)", "dV/dt(V/s)"],
    ],
)
def test_a_table_beside_the_channel_is_not_taken_for_it(tmp_path: Path, names: list[str]) -> None:
    """Older programs write statistics with fewer columns; the names of its sheets say what is a channel."""
    sheets = {
        "Info": information(CHANNEL_3),
        "Channel_1-003": [NAMES, *records()],
        "Statistics_1-003": [names, [1] * 6],
    }
    result = ba.read(write(tmp_path / "cell.xlsx", sheets))
    assert result.frame.height == len(records())
    assert result.warnings == ["sheets without records are left out: Statistics_1-003"]


def test_other_channels_are_named(tmp_path: Path) -> None:
    rows = records()
    sheets = {
        "Global_Info": information(CHANNEL_3),
        "Channel_10_1": [NAMES, *rows[:50]],
        "Channel_3_1": [NAMES, *rows],
        "Channel_10_2": [NAMES, *rows[50:]],
    }
    result = ba.read(write(tmp_path / "cell.xlsx", sheets))
    assert result.frame.height == 240
    assert result.metadata.channel == "3"
    assert result.warnings == ["the workbook holds 2 channels; read is 3, not Channel_10_1, Channel_10_2"]


def test_units_of_the_headings_are_converted(tmp_path: Path) -> None:
    names = [{"Current(A)": "Current(mA)", "Test_Time(s)": "Test_Time(h)"}.get(name, name) for name in NAMES]
    frame = ba.read(write(tmp_path / "cell.xlsx", {"Channel_3_1": [names, *records()]})).frame
    assert frame["current_ampere"][0] == pytest.approx(0.001)
    assert frame["test_time_second"][0] == 60.0 * 3600.0


def test_older_names_of_channel_sheets_are_known(tmp_path: Path) -> None:
    result = ba.read(write(tmp_path / "cell.xlsx", {"Info": [["a"]], "Channel_1-008": [NAMES, *records()]}))
    assert result.reader == "arbin_xlsx"
    assert result.metadata.channel == "1-008"


def test_a_second_workbook_is_a_continuation(tmp_path: Path) -> None:
    sheets = {"Channel53_1": [NAMES, *records()]}
    assert ba.read(write(tmp_path / "cell_Channel_53_Wb_2.xlsx", sheets)).metadata.continuation
    assert not ba.read(write(tmp_path / "cell_Channel_53_Wb_1.xlsx", sheets)).metadata.continuation


def test_words_among_the_numbers_are_counted(tmp_path: Path) -> None:
    rows = records()
    rows[5][7] = "overload"
    result = ba.read(write(tmp_path / "cell.xlsx", {"Channel_3_1": [NAMES, *rows]}))
    assert result.frame["voltage_volt"].null_count() == 1
    assert any("Voltage(V) 1" in warning for warning in result.warnings)


def test_a_channel_without_records_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "cell.xlsx", {"Global_Info": information(CHANNEL_3), "Channel_3_1": [NAMES]})
    with pytest.raises(CorruptFileError, match="no data rows in Channel_3_1"):
        ba.read(path)


def test_a_missing_voltage_is_named(tmp_path: Path) -> None:
    rows = [[*row[:7], *row[8:]] for row in records()]
    path = write(tmp_path / "cell.xlsx", {"Channel_3_1": [[*NAMES[:7], *NAMES[8:]], *rows]})
    with pytest.raises(CorruptFileError, match="voltage"):
        ba.read(path)


def test_a_cut_workbook_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.xlsx", {"Channel_3_1": [NAMES, *records()]}).read_bytes()
    for share in (0.1, 0.5, 0.99):
        path = tmp_path / "cut.xlsx"
        path.write_bytes(whole[: int(share * len(whole))])
        for reader in (None, "arbin_xlsx"):
            with pytest.raises(CorruptFileError, match="the workbook is incomplete"):
                ba.read(path, reader=reader)


def test_a_real_workbook_agrees_with_its_reference() -> None:
    entry = next((each for each in real_entries("arbin") if each["path"] == REPORT), None)
    result = ba.read(real(REPORT))
    assert entry is not None
    want = entry["reference"]
    assert result.frame.height == want["rows"]
    assert result.warnings == []
    time = result.frame["test_time_second"]
    assert (time[0], time[-1]) == pytest.approx((want["test_time_s"]["first"], want["test_time_s"]["last"]))
    first = datetime.fromisoformat(want["timestamps"]["first"]).replace(tzinfo=UTC)
    assert result.frame["unix_time_second"][0] == pytest.approx(first.timestamp(), abs=1e-3)
    for name, key in (("voltage_volt", "voltage_V"), ("current_ampere", "current_A")):
        assert result.frame[name].min() == pytest.approx(want[key]["min"])
        assert result.frame[name].max() == pytest.approx(want[key]["max"])
    (total,) = want["capacity"]["per_cycle"]
    assert result.cycles["charge_capacity_ah"].sum() == pytest.approx(total["charge_Ah"], rel=1e-4)
    assert result.cycles["discharge_capacity_ah"].sum() == pytest.approx(total["discharge_Ah"], rel=1e-4)
    metadata = result.metadata
    assert (metadata.channel, metadata.device, metadata.operator) == ("11", "206951", "ben")
    assert metadata.test_name == "bs542_004_gr_li_50ua_50mv_1v_191020"


def test_real_files_of_others_are_not_claimed() -> None:
    claimed = []
    for entry in real_entries():
        path = real(entry["path"])
        with path.open("rb") as file:
            if ArbinXlsx().recognises(file.read(HEAD_BYTES), path):
                claimed.append(entry["path"])
    assert claimed in ([], [REPORT])
