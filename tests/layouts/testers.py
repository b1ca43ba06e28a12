"""Text exports of Arbin, BioLogic, BaSyTec, Digatron, Novonix, PEC and Voltaiq."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tests.layouts.cell import CHARGE, DISCHARGE, REST, START, Record, Reset
from tests.layouts.table import Fields, Layout, clock, lines, rows, text
from tests.readers.vendor_exports import NOVONIX_SUMMARY

_DAY_FIRST, _MONTH_FIRST, _ISO = "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"


def _arbin_fields(reset: Reset, scale: float = 1.0) -> Fields:
    return (
        ("Data_Point", lambda r: r.number),
        ("Date_Time", lambda r: f"{r.stamp:{_MONTH_FIRST}}.{r.stamp.microsecond // 1000:03}"),
        ("Test_Time(s)", lambda r: r.time),
        ("Step_Time(s)", lambda r: r.step_time),
        ("Cycle_Index", lambda r: r.cycle),
        ("Step_Index", lambda r: r.step_id),
        ("Current(A)", lambda r: r.current * scale),
        ("Voltage(V)", lambda r: r.voltage),
        ("Charge_Capacity(Ah)", lambda r: r.since[reset].charge_ah * scale),
        ("Discharge_Capacity(Ah)", lambda r: r.since[reset].discharge_ah * scale),
        ("Charge_Energy(Wh)", lambda r: r.since[reset].charge_wh),
        ("Discharge_Energy(Wh)", lambda r: r.since[reset].discharge_wh),
        ("Internal_Resistance(Ohm)", lambda r: 0.025),
        ("dV/dt(V/s)", lambda r: 0.0),
        ("Aux_Temperature_1(C)", lambda r: 25.5),
    )


def arbin(records: Sequence[Record], reset: Reset) -> str:
    """MITS Pro 7: names joined by underscores."""
    return lines(_arbin_fields(reset), records, ",", decimals=7)


def arbin_spaced(records: Sequence[Record]) -> str:
    """MITS Pro 8: names of several words, no record number."""
    fields = [(name.replace("_", " ").replace("(", " ("), value) for name, value in _arbin_fields("never")[1:]]
    return lines(fields, records, ",", decimals=5)


def arbin_bare(records: Sequence[Record]) -> str:
    """As published test series have it: no units, a clock in seconds, records from 0."""
    fields = [(name.partition("(")[0], value) for name, value in _arbin_fields("cycle")]
    fields[0] = ("Data_Point", lambda r: r.number - 1)
    fields[1] = ("DateTime", lambda r: START.timestamp() + r.time)
    return lines(fields, records, ",", decimals=6)


def arbin_german(records: Sequence[Record]) -> str:
    """A computer that writes decimal commas, and days first."""
    fields = [*_arbin_fields("cycle")]
    fields[1] = ("Date_Time", lambda r: r.stamp.strftime(_DAY_FIRST))
    return lines(fields, records, ";", decimal=",", decimals=6)


def arbin_small(records: Sequence[Record]) -> str:
    """Current and capacities in thousandths, times with days."""
    fields = [(name.replace("(A", "(mA"), value) for name, value in _arbin_fields("step", 1e3)]
    fields[2:4] = [
        ("Test_Time", lambda r: clock(r.time, days="d ")),
        ("Step_Time", lambda r: clock(r.step_time, days="d ")),
    ]
    return lines(fields, records, "\t", decimals=6)


_SEQUENCES = ("Ns", "0", "1", "2", "3", "4", "5")
_KINDS = ("ctrl_type", "Rest", "CC", "CC", "Rest", "CC", "Rest")
_MODES = {CHARGE: 1, DISCHARGE: 1, REST: 3}


def biologic(
    records: Sequence[Record], *, program: str = "EC-Lab", decimal: str = ".", counter: str = "dq", cycles: bool = True
) -> str:
    """A GCPL or Modulo Bat export: ``counter`` is that of its charge; half cycles where cycles are not numbered."""
    net = [1e3 * record.since["never"].net_ah for record in records]
    numbers = [record.number for record in records]
    moved = dict(zip(numbers, (now - before for before, now in zip([0.0, *net], net, strict=False)), strict=True))
    charge: dict[str, tuple[str, Callable[[Record], object]]] = {
        "dq": ("dq/mA.h", lambda r: moved[r.number]),
        "net": ("(Q-Qo)/mA.h", lambda r: 1e3 * r.since["never"].net_ah),
        "half": ("Q charge/discharge/mA.h", lambda r: 1e3 * r.since["half"].net_ah),
    }
    fields: Fields = (
        ("mode", lambda r: _MODES[r.kind]),
        ("ox/red", lambda r: int(r.current >= 0)),
        ("error", lambda r: 0),
        ("Ns changes", lambda r: int(r.step_time == 0)),
        ("Ns", lambda r: r.step_id - 1),
        ("time/s", lambda r: r.time),
        charge[counter],
        ("Ewe/V" if program == "EC-Lab" else "Ecell/V", lambda r: r.voltage),
        ("Energy charge/W.h", lambda r: r.since["cycle"].charge_wh),
        ("Energy discharge/W.h", lambda r: r.since["cycle"].discharge_wh),
        ("<I>/mA", lambda r: 1e3 * r.current),
        ("cycle number", lambda r: float(r.cycle)) if cycles else ("half cycle", _half_cycle),
    )
    header = [
        "",
        "Galvanostatic Cycling with Potential Limitation" if program == "EC-Lab" else "Modulo Bat",
        "",
        "Run on channel : 3 (SN 0335)",
        f"Acquisition started on : {START:{_MONTH_FIRST}}.000",
        f"Technique started on : {START:{_MONTH_FIRST}}.000",
        "Saved on :",
        "\tFile : cell.mpr",
        "Device : VMP3 (SN 0433)",
        f"{program} for windows v11.50 (software)",
        "Electrode surface area : 0,001 cm²".replace(",", decimal),
        "Cycle Definition : Charge/Discharge alternance",
        "".join(f"{cell:<20}" for cell in _SEQUENCES),
        *(["".join(f"{cell:<20}" for cell in _KINDS)] if program != "EC-Lab" else []),
        "",
    ]
    table = lines([*fields, ("", lambda r: "")], records, "\t", decimal=decimal, decimals=9)
    first = [f"{program} ASCII FILE", f"Nb header lines : {len(header) + 3:<28}"]
    return "\n".join([*first, *header, table.replace("\t\n", "\n").replace("\n", "\t\n", 1)])


def _half_cycle(record: Record) -> int:
    """Half cycles count from 0, and change with the direction: a rest belongs to the half before it."""
    return max(0, 2 * record.nth - (3 if record.step_id == 1 else 2 if record.step_id < 5 else 1))


_BASYTEC_COMMANDS = {CHARGE: "Charge", DISCHARGE: "Discharge", REST: "Pause"}


def basytec(records: Sequence[Record], delimiter: str = "\t", decimal: str = ".", unit: str = "h") -> str:
    """A result file: counters of step and cycle, totals of the discharge below zero."""
    scale = {"h": 3600, "s": 1}[unit]
    fields: Fields = (
        (f"~Time[{unit}]", lambda r: r.time / scale),
        ("DataSet", lambda r: r.number),
        ("DateTime", lambda r: r.stamp.strftime(_DAY_FIRST)),
        (f"t-Step[{unit}]", lambda r: r.step_time / scale),
        ("Line", lambda r: 2 + r.step_id),
        ("Command", lambda r: _BASYTEC_COMMANDS[r.kind]),
        ("U[V]", lambda r: r.voltage),
        ("I[A]", lambda r: r.current),
        ("Ah[Ah]", lambda r: r.since["never"].net_ah),
        ("Ah-Cyc-Charge", lambda r: r.since["cycle"].charge_ah),
        ("Ah-Cyc-Discharge", lambda r: -r.since["cycle"].discharge_ah),
        ("Ah-Step", lambda r: r.since["step"].net_ah),
        ("T1[°C]", lambda r: 25.5),
        ("Cyc-Count", lambda r: r.cycle),
        ("State", lambda r: 1),
    )
    head = "~Resultfile from Basytec Battery Test System\n~\n~Name of Test: cell\n~Battery: AB12\n"
    head += f"~Start of Test: {START:{_DAY_FIRST}}\n~\n"
    return head + lines(fields, records, delimiter, decimal=decimal, decimals=9)


_DIGATRON_STATES = {CHARGE: "CHA", DISCHARGE: "DCH", REST: "PAU"}


def digatron(records: Sequence[Record]) -> str:
    """Totals that the programme never set to zero; names above units, a comma at the end of every line."""
    named: tuple[tuple[str, str, Callable[[Record], object]], ...] = (
        ("Time Stamp", "", lambda r: r.stamp.strftime("%m/%d/%Y %I:%M:%S %p")),
        ("Step", "", lambda r: r.step_id),
        ("Status", "", lambda r: _DIGATRON_STATES[r.kind]),
        ("Prog Time", "", lambda r: clock(r.time)),
        ("Step Time", "", lambda r: clock(r.step_time)),
        ("Cycle", "", lambda r: r.cycle),
        ("Cycle Level", "", lambda r: 0),
        ("Procedure", "", lambda r: "formation"),
        ("Voltage", "[V]", lambda r: r.voltage),
        ("Current", "[A]", lambda r: r.current),
        ("Temperature", "[C]", lambda r: 25.5),
        ("Capacity", "[Ah]", lambda r: r.since["never"].net_ah),
        ("Cnt", "[Cnt]", lambda r: 2),
    )
    cells = rows([(name, value) for name, _, value in named], records)
    heads = [[name for name, _, _ in named], [unit for _, unit, _ in named]]
    table = "".join(",".join(row) + ",\n" for row in [*heads, *cells])
    return f"\nMeasurement ID,557\nBattery Name,LG HG2_7\nTest section,Charge10\n{table}"


_NOVONIX_TYPES = {REST: 0, CHARGE: 1, DISCHARGE: 2}


def novonix(records: Sequence[Record], quoted: bool = False) -> str:
    """UHPC, or HPC with every row in quotes as a whole; hours, and a signed net capacity."""
    fields: Fields = (
        ("Date and Time", lambda r: r.stamp.strftime("%Y-%m-%d %I:%M:%S %p" if quoted else _ISO)),
        ("Cycle Number", lambda r: r.cycle),
        ("Step Type", lambda r: _NOVONIX_TYPES[r.kind]),
        ("Run Time (h)", lambda r: r.time / 3600),
        (" Step Time (h)", lambda r: r.step_time / 3600),
        ("Current (A)", lambda r: r.current),
        ("Potential (V)", lambda r: r.voltage),
        ("Capacity (Ah)", lambda r: r.since["never"].net_ah),
        ("Temperature (°C)", lambda r: 30.5),
        ("Step Number", lambda r: r.step),
        ("Step position", lambda r: 0),
    )
    table = lines(fields, records, ",", decimals=9)
    if quoted:
        table = "".join(f'"{row}"\n' for row in table.splitlines())
    protocol = "[0: Open_circuit_storage:]\n" if quoted else '{"Version":"UHPC Control: 2.13.0"}\n'
    summary = NOVONIX_SUMMARY.format(product="HPC" if quoted else "UHPC").replace("(Ah): 1.1", "(Ah): 1.5")
    return f"{summary}{protocol}[End Protocol]\n[Data]\n{table}"


def pec(records: Sequence[Record], new: bool = False) -> str:
    """As of 2019 in mV, mA and seconds, or as of 2026 in V, A and clock times."""
    milli = 1.0 if new else 1e3
    fields: Fields = (
        ("Test", lambda r: 187),
        ("Cell", lambda r: 1),
        ("Rack", lambda r: "SBT0550"),
        ("Shelf", lambda r: "001"),
        ("Position", lambda r: 1),
        ("Cell ID", lambda r: "AB_12"),
        ("Step", lambda r: r.step_id),
        ("Cycle", lambda r: r.cycle),
        ("Total Time (Hours in hh:mm:ss.xxx)", lambda r: clock(r.time))
        if new
        else ("Total Time (Seconds)", lambda r: r.time),
        ("Step Time (Decimal Hours)", lambda r: r.step_time / 3600),
        ("Real Time", lambda r: r.stamp.strftime(_MONTH_FIRST)),
        ("Voltage (V)" if new else "Voltage (mV)", lambda r: r.voltage * milli),
        ("Current (A)" if new else "Current (mA)", lambda r: r.current * milli),
        ("Charge Capacity (mAh)", lambda r: r.since["cycle"].charge_ah * 1e3),
        ("Discharge Capacity (mAh)", lambda r: r.since["cycle"].discharge_ah * 1e3),
        (f"Charge {'Energy' if new else 'Capacity'} (mWh)", lambda r: r.since["cycle"].charge_wh * 1e3),
        (f"Discharge {'Energy' if new else 'Capacity'} (mWh)", lambda r: r.since["cycle"].discharge_wh * 1e3),
        ("", lambda r: ""),
    )
    head = "Request Year:,2019\nTest:,187\nTestRegime Name:,C/25\nRequestor:,Admin\n"
    return head + lines(fields, records, ",", decimals=9)


def voltaiq(records: Sequence[Record], reset: Reset) -> str:
    """Names above units that are spelled out."""
    named: tuple[tuple[str, str, Callable[[Record], object]], ...] = (
        ("Test Time", "hour-dec", lambda r: r.time / 3600),
        ("Current", "milliamp", lambda r: r.current * 1e3),
        ("Potential", "volt", lambda r: r.voltage),
        ("Cycle Number", "none", lambda r: r.cycle),
        ("Charge Capacity", "milliamp-hour", lambda r: r.since[reset].charge_ah * 1e3),
        ("Discharge Capacity", "coulomb", lambda r: r.since[reset].discharge_ah * 3600),
        ("Temperature", "kelvin", lambda r: 298.15),
    )
    cells = rows([(name, value) for name, _, value in named], records, decimals=9)
    heads = [[name for name, _, _ in named], [unit for _, unit, _ in named]]
    table = "".join("\t".join(row) + "\n" for row in [*heads, *cells])
    return f"Start Time: {START.timestamp() * 1000:.0f}\nTimezone: UTC\nChannel Number: 7\n[DATA START]\n{table}"


LAYOUTS: tuple[Layout, ...] = (
    *(
        Layout(
            f"arbin csv, counters by {reset}",
            "arbin_csv",
            "cell.csv",
            text(partial(arbin, reset=reset)),
            7,
            energy=True,
            lines_like="" if reset == "step" else "arbin csv, counters by step",
        )
        for reset in ("step", "cycle", "never")
    ),
    Layout(
        "arbin spaced",
        "arbin_csv",
        "cell.csv",
        text(arbin_spaced, encoding="utf-8-sig", line_end="\r\n"),
        5,
        energy=True,
    ),
    Layout("arbin without units", "arbin_csv", "cell_CH8.csv", text(arbin_bare), energy=True),
    Layout("arbin decimal comma", "arbin_csv", "cell.csv", text(arbin_german, encoding="utf-16"), energy=True),
    Layout("arbin in mA and days", "arbin_csv", "cell.txt", text(arbin_small), 7, energy=True),
    Layout("ec-lab", "biologic_mpt", "cell.mpt", text(biologic, encoding="latin-1", line_end="\r\n"), 9, energy=True),
    Layout(
        "ec-lab decimal comma",
        "biologic_mpt",
        "cell.mpt",
        text(partial(biologic, decimal=",", counter="net"), encoding="latin-1"),
        9,
        energy=True,
    ),
    Layout(
        "ec-lab half cycles",
        "biologic_mpt",
        "cell.mpt",
        text(partial(biologic, counter="half", cycles=False), line_end="\r"),
        9,
        lines_like="ec-lab",
        energy=True,
        numberings=(),
    ),
    Layout(
        "bt-lab",
        "biologic_mpt",
        "cell.txt",
        text(partial(biologic, program="BT-Lab"), encoding="cp1252"),
        9,
        energy=True,
    ),
    Layout("basytec tabs", "basytec_txt", "cell.txt", text(basytec, encoding="cp1252"), 9),
    Layout("basytec spaces", "basytec_txt", "cell.txt", text(partial(basytec, delimiter=" ")), 9),
    Layout("basytec decimal comma", "basytec_txt", "cell.txt", text(partial(basytec, decimal=","), line_end="\r\n"), 9),
    Layout(
        "basytec semicolons", "basytec_txt", "cell.txt", text(partial(basytec, delimiter=";", decimal=",", unit="s")), 9
    ),
    Layout("digatron", "digatron_csv", "cell.csv", text(digatron), 9, counted=False, step_starts=True),
    Layout("novonix uhpc", "novonix_csv", "cell.csv", text(novonix), 9),
    Layout("novonix hpc", "novonix_csv", "cell.csv", text(partial(novonix, quoted=True)), 9),
    Layout("pec 2019", "pec_csv", "cell.csv", text(pec), 9, energy=True),
    Layout("pec 2026", "pec_csv", "cell.csv", text(partial(pec, new=True)), 9, energy=True),
    *(
        Layout(
            f"voltaiq, counters by {reset}",
            "voltaiq_csv",
            "cell.csv",
            text(partial(voltaiq, reset=reset)),
            9,
            step_starts=True,
            lines_like="" if reset == "step" else "voltaiq, counters by step",
        )
        for reset in ("step", "cycle", "never")
    ),
)
