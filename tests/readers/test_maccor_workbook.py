"""Maccor workbooks come out as the text exports do, over all their sheets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import HEAD_BYTES
from battery_analysis.readers.maccor import MaccorWorkbook
from tests.readers.maccor_files import CHARGED_AH, START, Record, ideal_cell
from tests.realdata import real

openpyxl = pytest.importorskip("openpyxl")

ABOVE = [
    "Today''s Date",
    datetime(2023, 11, 24),
    "Date of Test:",
    START,
    "Filename:",
    "C:\\Maccor\\cell.002",
    "Procedure",
]
NAMES = ["Cyc#", "Step", "TestTime", "StepTime", "Amp-hr", "Watt-hr", "Amps", "Volts", "State", "Temp 1", "Units"]


def row(record: Record, durations: bool) -> list[Any]:
    times = [timedelta(seconds=record.time), timedelta(seconds=record.step_time)]
    return [
        record.cycle,
        record.step,
        *(times if durations else [time / timedelta(minutes=1) for time in times]),
        record.capacity,
        record.capacity * record.volt,
        record.current,
        record.volt,
        record.state,
        25.0,
        " C ",
    ]


def write(folder: Path, durations: bool = False) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    records = ideal_cell()
    for name, part in (("Data", records[:30]), ("Data 2", records[30:])):
        sheet = book.create_sheet(name)
        sheet.append([*ABOVE, "cycling.000", "ideal cell"])
        sheet.append(NAMES)
        for record in part:
            sheet.append(row(record, durations))
    book.create_sheet("Notes").append(["checked by nobody"])
    path = folder / "cell.xlsx"
    book.save(path)
    return path


@pytest.mark.parametrize("durations", [False, True], ids=["minutes", "durations"])
def test_an_ideal_cell_over_two_sheets_is_ideal(tmp_path: Path, durations: bool) -> None:
    result = ba.read(write(tmp_path, durations))
    assert result.reader == "maccor_workbook"
    assert result.frame.height == len(ideal_cell())
    assert result.frame["test_time_second"][-1] == pytest.approx(25_200.0)
    assert result.frame["current_ampere"].min() == -1.5
    assert result.frame["temperature_t1_celsius"].unique().to_list() == [25.0]
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([CHARGED_AH] * 2)
    assert result.cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0, 1.0])
    assert result.warnings == ["sheet Notes has no column names of Maccor's; left out"]


def test_the_row_above_the_names_says_what_was_tested(tmp_path: Path) -> None:
    metadata = ba.read(write(tmp_path)).metadata
    assert (metadata.channel, metadata.test_name, metadata.protocol) == ("2", "cell", "cycling.000")
    assert metadata.comment == "ideal cell"
    assert metadata.started_at == START.replace(tzinfo=UTC)


def test_the_real_workbook_is_read_over_both_sheets() -> None:
    result = ba.read(real("maccor/maccor_example.xls"))
    assert result.frame.height == 56
    assert result.frame["test_time_second"][-1] == pytest.approx(67_328.58)
    assert result.metadata.sources["test_time_second"].unit == "min"
    assert result.metadata.header["Today's Date"].startswith("2018-05-17")
    assert result.warnings == []


def test_a_workbook_of_someone_else_is_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "other.xlsx"
    pl.DataFrame({"Cycle": [1], "Voltage": [3.5]}).write_excel(path)
    assert not MaccorWorkbook().recognises(path.read_bytes()[:HEAD_BYTES], path)
    with pytest.raises(CorruptFileError, match="no sheet has a row of column names"):
        MaccorWorkbook().read(path)


def test_a_damaged_workbook_is_a_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert not MaccorWorkbook().recognises(content[:HEAD_BYTES], path)
    with pytest.raises(CorruptFileError):
        MaccorWorkbook().read(path)
