"""Workbooks, their records spread over sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import xlsxwriter

from tests.layouts.cell import CHARGE, DISCHARGE, REST, START, Record, Reset, spread
from tests.layouts.table import Fields, Layout, clock
from tests.layouts.testers_by_step import NEWARE_TYPES, neware_levels, neware_rows
from tests.readers.neware_reports import FLAT_NAMES

Rows = Sequence[Sequence[object]]
_BEGUN = START.replace(tzinfo=None)


def save(path: Path, sheets: Mapping[str, Rows]) -> None:
    """Write sheets; moments and durations as such."""
    with xlsxwriter.Workbook(path) as book:
        stamp = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        span = book.add_format({"num_format": "[h]:mm:ss"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if isinstance(cell, datetime):
                        sheet.write_datetime(at, column, cell, stamp)
                    elif isinstance(cell, timedelta):
                        sheet.write_datetime(at, column, cell, span)
                    elif cell is not None and cell != "":
                        sheet.write(at, column, cell)


def _table(fields: Fields, records: Sequence[Record]) -> Rows:
    return [[name for name, _ in fields], *([value(record) for _, value in fields] for record in records)]


def arbin(path: Path, records: Sequence[Record], reset: Reset) -> None:
    """Global_Info, and the channel's records on two sheets."""
    fields: Fields = (
        ("Data_Point", lambda r: r.number),
        ("Date_Time", lambda r: r.stamp.replace(tzinfo=None)),
        ("Test_Time(s)", lambda r: r.time),
        ("Step_Time(s)", lambda r: r.step_time),
        ("Step_Index", lambda r: r.step_id),
        ("Cycle_Index", lambda r: r.cycle),
        ("Current(A)", lambda r: r.current),
        ("Voltage(V)", lambda r: r.voltage),
        ("Charge_Capacity(Ah)", lambda r: r.since[reset].charge_ah),
        ("Discharge_Capacity(Ah)", lambda r: r.since[reset].discharge_ah),
        ("Charge_Energy(Wh)", lambda r: r.since[reset].charge_wh),
        ("Discharge_Energy(Wh)", lambda r: r.since[reset].discharge_wh),
    )
    information: Rows = [
        ["", "", "", "TEST REPORT"],
        ["", "", "", "cell_7", "Serial Number"],
        ["", "", "", _BEGUN, 206951],
        ["Channel", "Start DateTime", "Schedule File Name", "Creator", "Comments", "Software Version", "Item ID"],
        [3, _BEGUN, "lab\\cycling.sdu", "eva", "", "PV7.0", "B-0007"],
    ]
    parts = {f"Channel_3_{at}": _table(fields, part) for at, part in enumerate(spread(records, 2), 1)}
    save(path, {"Global_Info": information, **parts})


def neware(path: Path, records: Sequence[Record]) -> None:
    """BTSDA 8: a sheet of records with the names of the flat text."""
    words = (3, 4, 5, 14, 17)
    cells = neware_rows(records, 9)
    typed = [[cell if at in words else float(cell) for at, cell in enumerate(row)] for row in cells]
    info: Rows = [["Test report"], [], ["device", "Unit", "Channel"], [27, 3, 5]]
    save(path, {"info": info, "record": [FLAT_NAMES.split(","), *typed]})


def neware_nested(path: Path, records: Sequence[Record]) -> None:
    """BTS 7: cycles, steps and records in one sheet."""
    save(path, {"Detail": [[*[None] * level, *map(_number, cells)] for level, cells in neware_levels(records)]})


def neware_details(path: Path, records: Sequence[Record]) -> None:
    """BTS 5: sheets of records with unsigned current and one capacity."""
    fields: Fields = (
        ("Record number", lambda r: r.number),
        ("State", lambda r: NEWARE_TYPES[r.kind].replace(" ", "_")),
        ("Jump", lambda r: r.step_id),
        ("Cycle", lambda r: r.cycle),
        ("Steps", lambda r: r.step),
        ("Current(mA)", lambda r: abs(r.current) * 1e3),
        ("Voltage(V)", lambda r: r.voltage),
        ("Capacity(mAh)", lambda r: r.since["step"].both_ah * 1e3),
        ("Energy(mWh)", lambda r: r.since["step"].both_wh * 1e3),
        ("Relative Time(h:min:s.ms)", lambda r: clock(r.step_time)),
        ("Date(h:min:s.ms)", lambda r: f"{r.stamp:%Y-%m-%d %H:%M:%S}"),
    )
    parts = [_table(fields, part) for part in spread(records, 2)]
    save(path, {f"Detail_27_3_5_{at}": part for at, part in enumerate(parts)})


_STATES = {CHARGE: "C", DISCHARGE: "D", REST: "R"}


def maccor(path: Path, records: Sequence[Record], durations: bool = False) -> None:
    """Minutes or durations, unsigned current, two sheets."""

    def time(seconds: float) -> object:
        return timedelta(seconds=seconds) if durations else seconds / 60

    fields: Fields = (
        ("Cyc#", lambda r: r.cycle),
        ("Step", lambda r: r.step_id),
        ("TestTime", lambda r: time(r.time)),
        ("StepTime", lambda r: time(r.step_time)),
        ("Amp-hr", lambda r: r.since["step"].both_ah),
        ("Watt-hr", lambda r: r.since["step"].both_wh),
        ("Amps", lambda r: abs(r.current)),
        ("Volts", lambda r: r.voltage),
        ("State", lambda r: _STATES[r.kind]),
        ("Temp 1", lambda r: 25.0),
        ("Units", lambda r: " C "),
    )
    above = ["Today''s Date", _BEGUN, "Date of Test:", _BEGUN, "Filename:", "C:\\cell.002", "Procedure", "cycling.000"]
    parts = spread(records, 2)
    save(path, {name: [above, *_table(fields, part)] for name, part in zip(("Data", "Data 2"), parts, strict=True)})


_LANDT_STATES = {CHARGE: "RateC", DISCHARGE: "RateD", REST: "R"}


def landt(path: Path, records: Sequence[Record]) -> None:
    """Records on two sheets beside a table of cycles; one counter of each half cycle."""
    fields: Fields = (
        ("Record", lambda r: r.number),
        ("TestTime/Sec.", lambda r: r.time),
        ("StepTime/Sec.", lambda r: r.step_time),
        ("Current/mA", lambda r: r.current * 1e3),
        ("Capacity/mAh", lambda r: r.since["half"].both_ah * 1e3),
        ("Energy/mWh", lambda r: r.since["half"].both_wh * 1e3),
        ("Voltage/V", lambda r: r.voltage),
        ("SysTime", lambda r: f"{r.stamp:%Y-%m-%d %H:%M:%S}"),
        ("Cycle-Index", lambda r: r.cycle),
        ("Step-Index", lambda r: r.step),
        ("Step-State", lambda r: _LANDT_STATES[r.kind]),
    )
    parts = {f"Record-Tab{at or ''}": _table(fields, part) for at, part in enumerate(spread(records, 2))}
    save(path, {"Cycle-Tab": [["Cycle", "CapC/mAh", "CapD/mAh"], [1.0, 1500.0, 1500.0]], **parts})


def _number(cell: str) -> object:
    try:
        return float(cell)
    except ValueError:
        return cell


LAYOUTS: tuple[Layout, ...] = (
    *(
        Layout(
            f"arbin xlsx, counters by {reset}", "arbin_xlsx", "cell.xlsx", partial(arbin, reset=reset), 9, energy=True
        )
        for reset in ("step", "cycle", "never")
    ),
    Layout("neware xlsx", "neware_workbook", "cell.xlsx", neware, 9, energy=True),
    Layout("neware nested xlsx", "neware_workbook", "cell.xlsx", neware_nested, 7, energy=True),
    Layout("neware details xlsx", "neware_workbook", "cell.xlsx", neware_details, 9, energy=True),
    Layout("maccor xlsx", "maccor_workbook", "cell.xlsx", maccor, 9, energy=True),
    Layout("maccor xlsx durations", "maccor_workbook", "cell.xlsx", partial(maccor, durations=True), 9, energy=True),
    Layout("landt xlsx", "landt_xlsx", "cell.xlsx", landt, 9, energy=True),
)
