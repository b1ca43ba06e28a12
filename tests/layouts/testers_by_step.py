"""Text exports of testers whose counters begin with each step: Neware, Maccor, Landt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tests.layouts.cell import CHARGE, DISCHARGE, REST, START, Counters, Record, Reset
from tests.layouts.table import Fields, Layout, clock, lines, rows, text
from tests.readers.neware_reports import CHINESE_NAMES, CHINESE_TYPES, FLAT_NAMES, SMALL_NAMES

NEWARE_TYPES = {CHARGE: "CC Chg", DISCHARGE: "CC DChg", REST: "Rest"}
_STATES = {CHARGE: "C", DISCHARGE: "D", REST: "R"}
_ISO, _MONTH_FIRST = "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M:%S"


def _neware_values(current: float = 1.0, voltage: float = 1.0, charge: float = 1.0) -> list[Callable[[Record], object]]:
    """Values in the order of ``FLAT_NAMES``, each unit as many times as small as told."""
    return [
        lambda r: r.number,
        lambda r: r.cycle,
        lambda r: r.step_id,
        lambda r: NEWARE_TYPES[r.kind],
        lambda r: clock(r.step_time),
        lambda r: clock(r.time),
        lambda r: r.current * current,
        lambda r: r.voltage * voltage,
        lambda r: r.since["step"].both_ah * charge,
        lambda r: r.since["step"].charge_ah * charge,
        lambda r: r.since["step"].discharge_ah * charge,
        lambda r: r.since["step"].both_wh * charge,
        lambda r: r.since["step"].charge_wh * charge,
        lambda r: r.since["step"].discharge_wh * charge,
        lambda r: r.stamp.strftime(_ISO),
        lambda r: r.power * voltage,
        lambda r: 0.0,
        lambda r: "Close",
    ]


def neware_rows(records: Sequence[Record], decimals: int = 7, **scales: float) -> list[list[str]]:
    """Cells below ``FLAT_NAMES``."""
    return rows([("", value) for value in _neware_values(**scales)], records, decimals=decimals)


def neware(records: Sequence[Record]) -> str:
    """BTSDA 8 in A, V and Ah."""
    return "\n".join([FLAT_NAMES, *map(",".join, neware_rows(records)), ""])


def neware_milli(records: Sequence[Record]) -> str:
    """The same in mA, mV and mAh, between tabs."""
    names = FLAT_NAMES.replace("(A", "(mA").replace("(V)", "(mV)").replace("(W", "(mW").replace(",", "\t")
    cells = neware_rows(records, 4, current=1e3, voltage=1e3, charge=1e3)
    return "\n".join([names, *map("\t".join, cells), ""])


def neware_micro(records: Sequence[Record]) -> str:
    """The same in µA, mV, mAs and mWs, a comma at the end of each line."""
    cells = neware_rows(records, 3, current=1e6, voltage=1e3, charge=3.6e6)
    return "\n".join([SMALL_NAMES + ",", *(",".join(row) + "," for row in cells), ""])


def neware_chinese(records: Sequence[Record]) -> str:
    """The same from a Chinese program."""
    cells = [[CHINESE_TYPES.get(cell, cell) for cell in row] for row in neware_rows(records)]
    return "\n".join([CHINESE_NAMES, *map(",".join, cells), ""])


def neware_levels(records: Sequence[Record]) -> Iterator[tuple[int, list[str]]]:
    """BTS 7, level by level: names of cycles, steps and records, then their rows; totals of a cycle say nothing."""
    fields: Fields = (
        ("Record ID", lambda r: r.number),
        ("Time(h:min:s.ms)", lambda r: clock(r.step_time)),
        ("Voltage(V)", lambda r: r.voltage),
        ("Current(mA)", lambda r: r.current * 1e3),
        ("Temperature(°C)", lambda r: 25.5),
        ("Capacity(mAh)", lambda r: r.since["step"].both_ah * 1e3),
        ("Realtime", lambda r: r.stamp.strftime(_MONTH_FIRST)),
        ("Capacitance_Chg(mAh)", lambda r: r.since["step"].charge_ah * 1e3),
        ("Capacitance_DChg(mAh)", lambda r: r.since["step"].discharge_ah * 1e3),
        ("Engy_Chg(mWh)", lambda r: r.since["step"].charge_wh * 1e3),
        ("Engy_DChg(mWh)", lambda r: r.since["step"].discharge_wh * 1e3),
    )
    yield 0, ["Cycle ID", "Cap_Chg(mAh)", "Cap_DChg(mAh)", "Chg/DChg Efficiency(%)"]
    yield 1, ["Step ID", "Step Name", "Step Time(h:min:s.ms)", "Capacity(mAh)", "DCIR(O)", "Raw Step ID"]
    yield 2, [name for name, _ in fields]
    cycle = step = -1
    for record, cells in zip(records, rows(fields, records), strict=True):
        if record.cycle != cycle:
            cycle = record.cycle
            yield 0, [str(cycle), "1000.0", "1000.0", "100.0"]
        if record.step != step:
            step = record.step
            kind = NEWARE_TYPES[record.kind].replace(" ", "_")
            yield 1, [str(step), kind, "1:00:00.000", "1000.0", "0.025", str(record.step_id)]
        yield 2, cells


def neware_nested(records: Sequence[Record]) -> str:
    """Between commas: cells in quotes and padded with tabs, all lines as wide as the widest."""
    written = []
    for level, cells in neware_levels(records):
        quoted = [cell if not level and not at else f'"\t{cell}"' for at, cell in enumerate(cells)]
        row = [*[""] * level, *quoted, '"\t"']
        written.append(",".join([*row, *[""] * (15 - len(row))]))
    return "\n".join([*written, ""])


def neware_nested_tabs(records: Sequence[Record]) -> str:
    """Between tabs: two for each level, and more to line the columns up."""
    written = []
    for level, cells in neware_levels(records):
        padded = [f"{cell}\t" if len(cell) < 12 else cell for cell in cells]
        written.append("\t\t" * level + "\t".join(padded).rstrip())
    return "\n".join([*written, ""])


def _maccor_days(seconds: float) -> str:
    return "  " + clock(seconds, days="d ", decimals=4)


def maccor(records: Sequence[Record]) -> str:
    """Unsigned current and State, times with days, counters of each step, a unit behind each auxiliary input."""
    fields: Fields = (
        ("Rec#", lambda r: r.number),
        ("Cyc#", lambda r: r.cycle),
        ("Step", lambda r: r.step_id),
        ("TestTime", lambda r: _maccor_days(r.time)),
        ("StepTime", lambda r: _maccor_days(r.step_time)),
        ("Amp-hr", lambda r: r.since["step"].both_ah),
        ("Watt-hr", lambda r: r.since["step"].both_wh),
        ("Amps", lambda r: abs(r.current)),
        ("Volts", lambda r: r.voltage),
        ("State", lambda r: _STATES[r.kind]),
        ("ES", lambda r: 1),
        ("DPt Time", lambda r: r.stamp.strftime(_MONTH_FIRST)),
        ("DCIR/Ohms", lambda r: 0.05),
        ("Aux #1", lambda r: 25.5),
        (" Units", lambda r: " C  "),
        ("WF Chg Cap", lambda r: "N/A"),
    )
    head = (
        f"Today's Date:\t16 March 2024\tDate of Test:\t{START:%d %B %Y, %I:%M:%S %p}\n"
        "    Filename:\tcell_01\tTester Channel:\t7\nProcedure:\tcycling.000\tDescription:\tideal\n"
    )
    return head + lines(fields, records, "\t")


def _in_half(record: Record) -> Counters:
    """What Maccor counts of a half cycle, which it does not show while nothing flows."""
    return Counters() if record.kind == REST else record.since["half"]


def maccor_milli(records: Sequence[Record]) -> str:
    """Current and counters in thousandths; counters of each half cycle."""
    fields: Fields = (
        ("Rec#", lambda r: r.number),
        ("Cyc#", lambda r: r.cycle),
        ("Step", lambda r: r.step_id),
        ("TestTime", lambda r: _maccor_days(r.time)),
        ("StepTime", lambda r: _maccor_days(r.step_time)),
        ("mAmp-hr", lambda r: _in_half(r).both_ah * 1e3),
        ("mWatt-hr", lambda r: _in_half(r).both_wh * 1e3),
        ("mAmps", lambda r: abs(r.current) * 1e3),
        ("Volts", lambda r: r.voltage),
        ("State", lambda r: _STATES[r.kind]),
        ("ES", lambda r: 1),
        ("DPt Time", lambda r: r.stamp.strftime("%m/%d/%Y %I:%M:%S %p")),
    )
    return f"Today''s Date\t03/16/2024\n\nDate of Test:\t{START:{_MONTH_FIRST}}\n\n" + lines(fields, records, "\t")


def maccor_minutes(records: Sequence[Record]) -> str:
    """Decimal comma, times in minutes without saying so, Md for the state, a header of keys and values."""
    fields: Fields = (
        ("Rec", lambda r: r.number),
        ("Cycle P", lambda r: 0),
        ("Cycle C", lambda r: r.cycle),
        ("Step", lambda r: r.step_id),
        ("TestTime", lambda r: r.time / 60),
        ("StepTime", lambda r: r.step_time / 60),
        ("Cap. [Ah]", lambda r: r.since["step"].both_ah),
        ("Ener. [Wh]", lambda r: r.since["step"].both_wh),
        ("Current [A]", lambda r: abs(r.current)),
        ("Voltage [V]", lambda r: r.voltage),
        ("Md", lambda r: _STATES[r.kind]),
        ("ES", lambda r: 1),
        ("DPT Time", lambda r: r.stamp.strftime(_MONTH_FIRST)),
    )
    head = (
        f"Name:\tKIT-013.081\nChannel:\t81\nTester\tMaccor #4\nStarted\t{START:{_MONTH_FIRST}}\nCh. max. V\t6,00 V\n\n"
    )
    return head + lines(fields, records, "\t", decimal=",", decimals=8)


def maccor_seconds(records: Sequence[Record], reset: Reset = "step") -> str:
    """As numbered files have it: one line of facts, times in seconds."""
    fields: Fields = (
        ("Rec#", lambda r: r.number),
        ("Cyc#", lambda r: r.cycle),
        ("Step", lambda r: r.step_id),
        ("Test (Sec)", lambda r: r.time),
        ("Step (Sec)", lambda r: r.step_time),
        ("Amp-hr", lambda r: r.since[reset].both_ah),
        ("Watt-hr", lambda r: r.since[reset].both_wh),
        ("Amps", lambda r: abs(r.current)),
        ("Volts", lambda r: r.voltage),
        ("State", lambda r: _STATES[r.kind]),
        ("ES", lambda r: 1),
        ("DPt Time", lambda r: r.stamp.strftime(_MONTH_FIRST)),
        ("VAR1", lambda r: 0.0),
    )
    head = f"Today's Date 03/16/2024  Date of Test:\t{START:%m/%d/%Y}\t Filename:\tC:\\cell.078 Procedure: "
    head += "cycling.000\tComment/Barcode: AB12\n"
    return head + lines(fields, records, "\t", decimals=10)


def maccor_csv(records: Sequence[Record]) -> str:
    """Between commas: signed current, no state, names of months, thousands set apart."""
    fields: Fields = (
        ("Rec", lambda r: r.number),
        ("Cycle C", lambda r: r.cycle),
        ("Step", lambda r: r.step_id),
        ("Test Time (sec)", lambda r: f'"{r.time:,.4f}"'),
        ("Step Time (sec)", lambda r: r.step_time),
        ("Capacity", lambda r: r.since["step"].both_ah),
        ("Energy", lambda r: r.since["step"].both_wh),
        ("Current", lambda r: r.current),
        ("Voltage", lambda r: r.voltage),
        ("DPT Time", lambda r: r.stamp.strftime("%d-%b-%y %I:%M:%S %p")),
        ("Temp 1", lambda r: 22.25),
    )
    return f"Today's Date ,16-Mar-24\nDate of Test:,{START:%d-%b-%y %I:%M:%S %p}\n" + lines(fields, records, ",")


_LANDT_STATES = {CHARGE: "RateC", DISCHARGE: "RateD", REST: "R"}
_LANDT_NAMES = {CHARGE: "charge CC", DISCHARGE: "discharge CC", REST: "rest"}


def landt(records: Sequence[Record], delimiter: str = ",", unsigned: bool = False, days: bool = False) -> str:
    """LANDdt: quantity / unit, one counter of each half cycle, hyphens, rows with a field more than the names."""
    fields: Fields = (
        ("Record", lambda r: r.number),
        ("TestTime", lambda r: clock(r.time, days="-")) if days else ("TestTime/Sec.", lambda r: r.time),
        ("StepTime/Sec.", lambda r: r.step_time),
        ("Current/mA", lambda r: (abs(r.current) if unsigned else r.current) * 1e3),
        ("Capacity/mAh", lambda r: r.since["half"].both_ah * 1e3),
        ("SpeCap/mAh/g", lambda r: r.since["half"].both_ah * 100),
        ("Energy/mWh", lambda r: r.since["half"].both_wh * 1e3),
        ("Voltage/V", lambda r: r.voltage),
        ("AuxTemp/dC.", lambda r: "-"),
        ("SysTime", lambda r: r.stamp.strftime(_ISO)),
        ("Cycle-Index", lambda r: r.cycle),
        ("Step-Index", lambda r: r.step),
        ("Step-State", lambda r: _LANDT_STATES[r.kind]),
    )
    return lines(fields, records, delimiter, end=delimiter)


def landt_snakes(records: Sequence[Record]) -> str:
    """Lines above the table, two counters of each step."""
    fields: Fields = (
        ("channel_index", lambda r: r.number),
        ("cycle_index", lambda r: r.cycle),
        ("step_index", lambda r: r.step_id),
        ("date_time_iso_string", lambda r: r.stamp.strftime(_MONTH_FIRST)),
        ("test_time_s", lambda r: r.time),
        ("step_time_s", lambda r: r.step_time),
        ("current_A", lambda r: r.current),
        ("voltage_V", lambda r: r.voltage),
        ("discharge_capacity_Ah", lambda r: r.since["step"].discharge_ah),
        ("charge_capacity_Ah", lambda r: r.since["step"].charge_ah),
        ("discharge_energy_Wh", lambda r: r.since["step"].discharge_wh),
        ("charge_energy_Wh", lambda r: r.since["step"].charge_wh),
        ("temperature_1_C", lambda r: 25.5),
        ("step_name", lambda r: _LANDT_NAMES[r.kind]),
    )
    return f"cell model:{',' * 13}\ncell id: AB12{',' * 13}\n" + lines(fields, records, ",", end=",")


def landt_numbers(records: Sequence[Record]) -> str:
    """Short names, currents without a sign."""
    fields: Fields = (
        ("Rec#", lambda r: r.number),
        ("Cyc#", lambda r: r.cycle),
        ("Step", lambda r: r.step_id),
        ("Test(Sec)", lambda r: r.time),
        ("Step(Sec)", lambda r: r.step_time),
        ("Amp-hr", lambda r: r.since["step"].both_ah),
        ("Watt-hr", lambda r: r.since["step"].both_wh),
        ("Amps", lambda r: abs(r.current)),
        ("Volts", lambda r: r.voltage),
        ("State", lambda r: _STATES[r.kind]),
        ("ES", lambda r: 1),
        ("DPt-Time", lambda r: r.stamp.strftime(_MONTH_FIRST)),
    )
    return lines(fields, records, "\t", end="\t")


def landt_bare(records: Sequence[Record]) -> str:
    """Time, voltage and current alone."""
    fields: Fields = (
        ("Test_Time(s)", lambda r: r.time),
        ("Voltage(V)", lambda r: r.voltage),
        ("Current(mA)", lambda r: r.current * 1e3),
    )
    return lines(fields, records, ",", end=",")


_UNNAMED = "the columns do not name the tester"
_UNSIGNED = "the current has no sign"

LAYOUTS: tuple[Layout, ...] = (
    Layout("neware", "neware_text", "cell.csv", text(neware), 7, energy=True),
    Layout("neware in mA", "neware_text", "cell.csv", text(neware_milli, line_end="\r\n"), 7, energy=True),
    Layout("neware in µA and mAs", "neware_text", "cell.csv", text(neware_micro, encoding="cp1252"), 9, energy=True),
    Layout("neware chinese", "neware_text", "cell.csv", text(neware_chinese, encoding="gb18030"), 7, energy=True),
    Layout(
        "neware with step starts",
        "neware_text",
        "cell.csv",
        text(neware),
        7,
        energy=True,
        step_starts=True,
        lines_like="neware",
    ),
    Layout("neware nested", "neware_text", "cell.csv", text(neware_nested, encoding="cp1252"), 7, energy=True),
    Layout("neware nested tabs", "neware_text", "cell.txt", text(neware_nested_tabs), 7, energy=True),
    Layout("maccor", "maccor_text", "cell.txt", text(maccor, encoding="latin-1", line_end="\r\n"), energy=True),
    Layout("maccor in mA by half cycle", "maccor_text", "cell.txt", text(maccor_milli), 9, energy=True),
    Layout("maccor in minutes", "maccor_text", "cell.txt", text(maccor_minutes), 8, energy=True),
    Layout("maccor numbered", "maccor_text", "cell.078", text(maccor_seconds), 9, energy=True),
    Layout(
        "maccor, counters by never",
        "maccor_text",
        "cell.078",
        text(partial(maccor_seconds, reset="never")),
        9,
        lines_like="maccor numbered",
        energy=True,
    ),
    Layout("maccor csv", "maccor_text", "cell.csv", text(maccor_csv), energy=True),
    Layout("landt", "landt_csv", "cell.csv", text(landt), 9, energy=True),
    Layout(
        "landt tabs", "landt_csv", "cell.txt", text(partial(landt, delimiter="\t"), line_end="\r\n"), 9, energy=True
    ),
    Layout("landt days", "landt_csv", "cell.csv", text(partial(landt, days=True)), 9, energy=True, lines_like="landt"),
    Layout(
        "landt unsigned",
        "landt_csv",
        "cell.csv",
        text(partial(landt, unsigned=True)),
        9,
        lines_like="landt",
        energy=True,
        warnings=(_UNSIGNED,),
    ),
    Layout("landt snakes", "landt_csv", "cell.csv", text(landt_snakes), energy=True),
    Layout("landt numbers", "landt_csv", "cell.txt", text(landt_numbers), energy=True, warnings=(_UNSIGNED,)),
    Layout(
        "landt bare",
        "landt_csv",
        "cell.csv",
        text(landt_bare),
        9,
        counted=False,
        step_starts=True,
        numberings=(),
        warnings=(_UNNAMED,),
    ),
)
