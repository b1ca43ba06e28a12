"""Landt's texts, workbooks, binary files, and what is said of ``.cex``."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError, UnknownFormatError
from battery_analysis.readers.arbin import ArbinCsv
from battery_analysis.readers.landt import LandtText, LandtWorkbook
from battery_analysis.readers.landt_ccs import LandtCcs
from battery_analysis.readers.landt_terms import direction
from tests.analysis.cells import ideal_cycles
from tests.readers import vendor_exports as exports
from tests.realdata import real


def saved(folder: Path, text: str, name: str = "cell.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def claims(text: str) -> list[str]:
    head = text.encode()
    return [each.name for each in (LandtText(), ArbinCsv()) if each.recognises(head, Path("cell.csv"))]


def test_a_current_in_milliampere_under_arbins_names_is_landts(tmp_path: Path) -> None:
    text = "Test_Time(s),Voltage(V),Current(mA)\n0,3.6,100,\n1,3.7,-100,\n"
    result = ba.read(saved(tmp_path, text))
    assert result.reader == "landt_csv"
    assert result.frame["current_ampere"].to_list() == [0.1, -0.1]
    assert any("do not name the tester" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    "names",
    [
        "Test_Time(s),Voltage(V),Current(A)",
        "Test_Time(s),Voltage(V),Current(mA),Data_Point",
        "Test_Time(s),Voltage(V),Current(mA),Charge_Capacity(Ah),Discharge_Capacity(Ah)",
        "Test Time (s),Voltage (V),Current (mA)",
    ],
)
def test_what_may_be_arbins_stays_arbins(names: str) -> None:
    assert claims(f"{names}\n1,2,3\n") == ["arbin_csv"]


@pytest.mark.parametrize(
    "names",
    [
        "test_time_second,voltage_volt,current_ampere",
        "test_time_s,voltage_V,current_A",
        "time/s,Ewe/V,I/mA",
        "Rec#,Cyc#,Step,Test (Sec),Amps,Volts,State,DPt Time",
        "DataPoint,Cycle Index,Total Time,Current(mA),Voltage(V)",
        "TestTime/Sec,Voltage/V",
    ],
)
def test_other_names_are_not_landts(names: str) -> None:
    assert "landt_csv" not in claims(f"{names}\n1,2,3\n")


def test_chinese_names_and_states(tmp_path: Path) -> None:
    text = (
        "记录序号,测试时间,步骤时间,电压/V,电流/mA,容量/mAh,系统时间,状态\n"
        "1,0-00:00:00,0-00:00:00,3.6,100,0,2024-03-15 12:00:00,恒流充电,\n"
        "2,1-00:00:01,1-00:00:01,4.2,100,2400,2024-03-16 12:00:01,恒流充电,\n"
        "3,1-01:00:01,0-01:00:00,3.0,-100,100,2024-03-16 13:00:01,恒流放电,\n"
    )
    frame = ba.read(saved(tmp_path, text)).frame
    assert frame["test_time_second"].to_list() == [0.0, 86_401.0, 90_001.0]
    assert frame["schedule_charging_capacity_ah"].to_list() == pytest.approx([0.0, 2.4, 0.0])
    assert frame["schedule_discharging_capacity_ah"].to_list() == pytest.approx([0.0, 0.0, 0.1])


@pytest.mark.parametrize(
    ("states", "way"),
    [
        (("RateC", "C_CC", "c_rate", "CCC", "CCCV_C", "CCVC_C", "C_CRATE", "CC_Chg", "charge CV", "C"), 1),
        (("RateD", "D_CC", "d_rate", "CCD", "D_CRATE", "CC_DChg", "discharge CC", "D", "放电"), -1),
        (("R", "REST", "rest", "FINISH", "", None, "OCV", "静置"), 0),
    ],
)
def test_states_say_the_direction(states: tuple[str | None, ...], way: int) -> None:
    assert {direction(state) for state in states} == {way}


def test_hyphens_are_missing_values_and_no_fault(tmp_path: Path) -> None:
    result = ba.read(saved(tmp_path, exports.landt_slashes(every=600.0)))
    assert result.warnings == []
    assert result.frame["temperature_t1_celsius"].null_count() == result.frame.height


def test_lines_above_the_table_become_metadata(tmp_path: Path) -> None:
    metadata = ba.read(saved(tmp_path, exports.landt_snakes(every=600.0))).metadata
    assert metadata.sample_name == "AB12"
    assert metadata.nominal_capacity_ah == pytest.approx(1.1)
    assert metadata.header["cell id"] == "AB12"


def test_nothing_above_the_table_is_needed(tmp_path: Path) -> None:
    table = exports.landt_snakes(every=600.0).partition("channel_index")
    result = ba.read(saved(tmp_path, table[1] + table[2]))
    assert result.reader == "landt_csv"
    assert result.frame["record_index"].to_list() == list(range(1, result.frame.height + 1))
    assert result.frame["cycle_count"].unique().to_list() == [1, 2]


def workbook(folder: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path = folder / "cell.xlsx"
    book.save(path)
    return path


def record_sheets(parts: int) -> dict[str, list[list[Any]]]:
    """The text export as sheets, its records spread over several."""
    names, *rows = [line.rstrip(",").split(",") for line in exports.landt_slashes(every=600.0).splitlines()]
    cells = [[cell if not cell.replace(".", "").lstrip("-").isdigit() else float(cell) for cell in row] for row in rows]
    size = -(-len(cells) // parts)
    cycles = {"Cycle-Tab": [["Cycle", "CapC/mAh", "CapD/mAh"], [1.0, 1000.0, 1000.0]]}
    return cycles | {f"Record-Tab{at or ''}": [names, *cells[at * size : (at + 1) * size]] for at in range(parts)}


@pytest.mark.parametrize("parts", [1, 2])
def test_a_workbook_reads_as_the_text_does(tmp_path: Path, parts: int) -> None:
    information = {"Test information": [["Test name", "Process", "Channel"], ["formation", "LC-1", "Group_00_6"]]}
    result = ba.read(workbook(tmp_path, information | record_sheets(parts)))
    expected = ba.read(saved(tmp_path, exports.landt_slashes(every=600.0)))
    assert result.reader == "landt_xlsx"
    assert result.frame.drop("unix_time_second").equals(
        expected.frame.select(result.frame.columns).drop("unix_time_second")
    )
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    metadata = result.metadata
    assert (metadata.test_name, metadata.protocol, metadata.channel) == ("formation", "LC-1", "Group_00_6")


@pytest.mark.parametrize("names", [("Record1", "Record2", "Record3"), ("Record", "Record_1", "Record_2")])
def test_sheets_that_go_on_without_names_are_read(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Only the first of several sheets has a row of names, and not every column has cells."""
    first, *others = [rows for name, rows in record_sheets(3).items() if name.startswith("Record")]
    first = [["Remark", *first[0]], *(["", *row] for row in first[1:])]
    goes_on = [[["", *row] for row in rows[1:]] for rows in others]
    path = workbook(tmp_path, {"Cycle": [["Cycle"], [1.0]]} | dict(zip(names, (first, *goes_on), strict=True)))
    result = ba.read(path)
    expected = ba.read(saved(tmp_path, exports.landt_slashes(every=600.0)))
    assert result.frame["voltage_volt"].equals(expected.frame["voltage_volt"])
    assert result.frame["test_time_second"].equals(expected.frame["test_time_second"])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])


def test_names_and_steps_among_the_records_are_left_out_with_a_warning(tmp_path: Path) -> None:
    names, *rows = record_sheets(1)["Record-Tab"]
    among = [["Step", "rest"], names]
    path = workbook(tmp_path, {"Sheet1": [["Cycle", "CapC/mAh"], *among, *rows[:5], *among, *rows[5:]]})
    result = ba.read(path)
    assert result.frame.height == len(rows)
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert any("no records; left out: 1" in each for each in result.warnings)


def test_a_workbook_without_records_is_not_claimed(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Cycle-Tab": [["Cycle", "CapC/mAh"], [1.0, 2.0]]})
    assert not LandtWorkbook().recognises(path.read_bytes(), path)
    with pytest.raises(CorruptFileError, match="no sheet with columns such as TestTime/Sec"):
        ba.read(path, reader="landt_xlsx")


def test_the_real_workbook_counts_half_cycles() -> None:
    result = ba.read(real("landt/custom_data_002.xlsx"))
    assert result.warnings == []
    assert result.cycles["capacity_method"].unique().to_list() == ["counter"]
    assert result.metadata.started_at == datetime(2021, 2, 25, 13, 41, 24, tzinfo=UTC)
    assert result.frame["step_count"].max() == 59


def ccs(record_bytes: int = 20, every: float = 600.0, data_at: int = 0xA80) -> bytes:
    """A .ccs file of the ideal cell, its records in blocks of their step."""
    header = bytearray(data_at)
    header[0xB0:0xB9] = b"formation"
    header[0x494:0x49E] = b"WuHan LAND"
    struct.pack_into("<Q", header, 0xA38, int(exports.START.replace(tzinfo=UTC).timestamp() * 1000))
    places = 120 // record_bytes
    blocks = []
    for number, step in enumerate(ideal_cycles(exports.CYCLES), 1):
        blocks.append(struct.pack("<II", 2, number).ljust(128, b"\0"))
        moved = step.current * every / 3600
        record = struct.pack("<Iffff", int(every * 1000), step.voltage, step.current, moved, moved * step.voltage)
        record += struct.pack("<f", 0.05) if record_bytes == 24 else b""
        records = [record] * int(step.seconds / every)
        for at in range(0, len(records), places):
            part = records[at : at + places]
            head = struct.pack("<BBHI", 3, len(part), 0, number)
            blocks.append((head + b"".join(part)).ljust(128, b"\0"))
    return bytes(header) + b"".join(blocks)


@pytest.mark.parametrize("data_at", [0xA80, 0x1000])
@pytest.mark.parametrize(("record_bytes", "every"), [(20, 300.0), (24, 180.0)])
def test_blocks_hold_an_ideal_cell(tmp_path: Path, record_bytes: int, every: float, data_at: int) -> None:
    path = tmp_path / "cell.ccs"
    path.write_bytes(ccs(record_bytes, every, data_at))
    result = ba.read(path)
    assert result.reader == "landt_ccs"
    assert result.warnings == []
    assert result.frame.height == exports.CYCLES * 10_800 / every
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], rel=1e-6)
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], rel=1e-6)
    assert result.frame["test_time_second"][0] == every
    assert result.frame["step_count"].unique().to_list() == list(range(1, 9))
    assert result.frame["step_time_second"].max() == 3600.0
    assert ("internal_resistance_ohm" in result.frame.columns) is (record_bytes == 24)
    assert result.metadata.started_at == exports.START.replace(tzinfo=UTC)
    assert result.metadata.test_name == "formation"


def test_the_description_says_that_no_real_file_was_seen() -> None:
    assert "not yet checked on a real file" in LandtCcs.description


def test_damaged_blocks_are_named(tmp_path: Path) -> None:
    content = bytearray(ccs())
    content[0xA80 + 7 * 128] = 0x77
    path = tmp_path / "cell.ccs"
    path.write_bytes(content[:-5])
    result = ba.read(path)
    assert any(f"(offset {0xA80 + 7 * 128:#x})" in warning for warning in result.warnings)
    assert any("123 bytes into a block" in warning for warning in result.warnings)


def test_a_binary_file_without_blocks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cell.ccs"
    path.write_bytes(bytes(0x3000))
    with pytest.raises(CorruptFileError, match="no blocks of records"):
        ba.read(path, reader="landt_ccs")
    with pytest.raises(UnknownFormatError):
        ba.read(path)


def test_a_cex_file_is_told_which_export_to_use(tmp_path: Path) -> None:
    path = tmp_path / "cell.cex"
    path.write_bytes(b"\x01\x00\x02\x00" * 100)
    with pytest.raises(UnknownFormatError, match=r"export the records as Excel \(\.xlsx\) or as text"):
        ba.read(path)
