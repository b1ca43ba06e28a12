"""An ideal cell (1 A for an hour each way, with rests, two cycles) as several testers export it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from tests.analysis.cells import ideal_cycles, logged, with_counters

START = datetime(2024, 3, 15, 12, 0, 0)
CYCLES = 2
_COUNTERS = (
    ("pair", "never"),
    ("pair", "cycle"),
    ("pair", "step"),
    ("net", "never"),
    ("net", "step"),
    ("cumulative", "step"),
)
_NOVONIX_TYPES = {"CC Chg": 1, "CC DChg": 2, "Rest": 0}
_LANDT_STATES = {"CC Chg": "RateC", "CC DChg": "RateD", "Rest": "R"}
_BASYTEC_COMMANDS = {"CC Chg": "Charge", "CC DChg": "Discharge", "Rest": "Pause"}


@functools.lru_cache(maxsize=8)
def records(every: float = 60.0) -> list[dict[str, Any]]:
    """Records of the cell at the ends of intervals, with every counter a tester may keep."""
    frame = logged(ideal_cycles(CYCLES), every)
    for direction, reset in _COUNTERS:
        frame = with_counters(frame, direction, reset)
    # LAND's counter goes on through rests, and from zero when the direction changes.
    half = pl.col("step_cumulative_capacity_ah")
    rest = pl.col("step_type") == "Rest"
    return frame.with_columns(half=pl.when(rest).then(None).otherwise(half).forward_fill().fill_null(0.0)).to_dicts()


def stamp(record: dict[str, Any], form: str) -> str:
    """The clock of a record."""
    return (START + timedelta(seconds=record["test_time_second"])).strftime(form)


def clock_time(seconds: float, days: bool = False) -> str:
    """Hours, minutes and seconds, which go on past a day or begin with the days.

    >>> clock_time(90061.5), clock_time(90061.5, days=True)
    ('25:01:01.500', '1-01:01:01.500')
    """
    whole, hours = divmod(seconds, 86_400) if days else (0, seconds)
    hours, rest = divmod(hours, 3600)
    minutes, rest = divmod(rest, 60)
    bare = f"{int(hours):02d}:{int(minutes):02d}:{rest:06.3f}"
    return f"{int(whole)}-{bare}" if days else bare


def table(
    fields: Sequence[tuple[str, Callable[[dict[str, Any]], object]]],
    delimiter: str,
    decimal: str = ".",
    ending: str = "",
    every: float = 60.0,
) -> str:
    """A line of names and one row for each record; ``ending`` closes the rows but not the names."""
    rows = [
        delimiter.join(_spelled(value(record), decimal) for _, value in fields) + ending for record in records(every)
    ]
    return "\n".join([delimiter.join(name for name, _ in fields), *rows]) + "\n"


def basytec(
    delimiter: str = "\t", decimal: str = ".", hours: bool = True, parted: bool = False, every: float = 60.0
) -> str:
    """A BaSyTec result export, in hours or seconds, with date and time of day in one column or in two."""
    day, time_of_day = "%d.%m.%Y", "%H:%M:%S"
    unit, scale = ("h", 3600) if hours else ("s", 1)
    fields = [
        (f"~Time[{unit}]", lambda record: record["test_time_second"] / scale),
        ("DataSet", lambda record: record["record_index"]),
        ("Date" if parted else "DateTime", lambda record: stamp(record, day if parted else f"{day} {time_of_day}")),
        *([("Time", lambda record: stamp(record, time_of_day))] if parted else []),
        (f"t-Step[{unit}]", lambda record: record["step_time_second"] / scale),
        ("Line", lambda record: 2 + record["step_count"] % 4),
        ("Command", lambda record: _BASYTEC_COMMANDS[record["step_type"]]),
        ("U[V]", lambda record: record["voltage_volt"]),
        ("I[A]", lambda record: record["current_ampere"]),
        ("Ah[Ah]", lambda record: record["net_capacity_ah"]),
        ("Ah-Cyc-Charge", lambda record: record["cycle_charging_capacity_ah"]),
        ("Ah-Cyc-Discharge", lambda record: -record["cycle_discharging_capacity_ah"]),
        ("Ah-Step", lambda record: record["step_net_capacity_ah"]),
        ("T1[°C]", lambda record: 25.5),
        ("Cyc-Count", lambda record: record["cycle_count"]),
        ("State", lambda record: 1),
    ]
    head = "~Resultfile from Basytec Battery Test System\n~\n~Name of Test: formation\n~Battery: AB12\n"
    times = "~Testplan: plan.pln\n~Start of Test: 15.03.2024 12:00:00\n~End of Test: 15.03.2024 18:00:00\n~\n"
    return head + times + table(fields, delimiter, decimal, every=every)


NOVONIX_SUMMARY = (
    "[Summary]\nNovonix {product} data file\nNovonix\nChannel: 07\nCell: AB12\nSerial Number: \nDescription: pouch\n"
    "Protocol: C:\\cycles.pro2\nMass (g): 1.000\nCapacity (Ah): 1.1\nArea (cm2): 12.5\n"
    "DC Offset Voltage (V): 0.00000\nStarted: 2024-03-15 12:00:00\nVersion: 2.13.0\n[End Summary]\n[Protocol]\n"
)


def novonix(quoted: bool = False, every: float = 60.0) -> str:
    """A Novonix export: UHPC, or HPC with every row in quotes as a whole."""
    form = "%Y-%m-%d %I:%M:%S %p" if quoted else "%Y-%m-%d %H:%M:%S"
    fields = [
        ("Date and Time", lambda record: stamp(record, form)),
        ("Cycle Number", lambda record: record["cycle_count"]),
        ("Step Type", lambda record: _NOVONIX_TYPES[record["step_type"]]),
        ("Run Time (h)", lambda record: record["test_time_second"] / 3600),
        (" Step Time (h)", lambda record: record["step_time_second"] / 3600),
        ("Current (A)", lambda record: record["current_ampere"]),
        ("Potential (V)", lambda record: record["voltage_volt"]),
        ("Capacity (Ah)", lambda record: record["net_capacity_ah"]),
        ("Temperature (°C)", lambda record: 30.5),
        ("Circuit Temperature (°C)", lambda record: 25),
        ("Step Number", lambda record: record["step_count"]),
        ("Step position", lambda record: 0),
    ]
    rows = table(fields, ",", every=every)
    if quoted:
        rows = "".join(f'"{row}"\n' for row in rows.splitlines())
    protocol = "[0: Open_circuit_storage:]\n" if quoted else '{"Version":"UHPC Control: 2.13.0"}\n'
    summary = NOVONIX_SUMMARY.format(product="HPC" if quoted else "UHPC")
    return f"{summary}{protocol}[End Protocol]\n[Data]\n{rows}"


def pec(new: bool = False, every: float = 60.0) -> str:
    """A PEC export: as of 2019 in mV, mA and seconds, or as of 2026 in V, A and clock times."""
    fields = [
        ("Test", lambda record: 187),
        ("Cell", lambda record: 1),
        ("Rack", lambda record: "SBT0550"),
        ("Shelf", lambda record: "001"),
        ("Position", lambda record: 1),
        ("Cell ID", lambda record: "AB_12"),
        ("Step", lambda record: 1 + record["step_count"] % 4),
        *([("Instruction Name", lambda record: record["step_type"])] if new else []),
        ("Cycle", lambda record: record["cycle_count"] - 1),
        (
            ("Total Time (Hours in hh:mm:ss.xxx)", lambda record: clock_time(record["test_time_second"]))
            if new
            else ("Total Time (Seconds)", lambda record: record["test_time_second"])
        ),
        ("Step Time (Decimal Hours)", lambda record: record["step_time_second"] / 3600),
        ("Real Time", lambda record: stamp(record, "%m/%d/%Y %H:%M:%S")),
        (
            ("Voltage (V)", lambda record: record["voltage_volt"])
            if new
            else ("Voltage (mV)", lambda record: record["voltage_volt"] * 1e3)
        ),
        (
            ("Current (A)", lambda record: record["current_ampere"])
            if new
            else ("Current (mA)", lambda record: record["current_ampere"] * 1e3)
        ),
        ("Charge Capacity (mAh)", lambda record: record["cycle_charging_capacity_ah"] * 1e3),
        ("Discharge Capacity (mAh)", lambda record: record["cycle_discharging_capacity_ah"] * 1e3),
        (f"Charge {'Energy' if new else 'Capacity'} (mWh)", lambda record: record["cycle_charging_capacity_ah"] * 4e3),
        ("Internal Resistance 1 (mOhm)", lambda record: 12.5),
        ("", lambda record: ""),
    ]
    parameters = (
        "Parameter names:,C-Rate (mAh),Mass (kg)\nParameter values:,1100,1.161\n" if new else "Parameter names:,\n"
    )
    check = (
        ""
        if new
        else "#RESULTS CHECK\nReqYear,Test,CellNr,Type,Value,Reason,\n2019,187,1,1,3272,3,\n#END RESULTS CHECK\n"
    )
    ended = "03/15/2024 18:00:00" if new else "1/1/0001 0:00"
    head = f"Request Year:,2019\nTest:,187\nTestRegime Name:,C/25\n{parameters}Requestor:,Admin\nEnd Time:,{ended}\n"
    return head + check + table(fields, ",", every=every)


def landt_slashes(delimiter: str = ",", unsigned: bool = False, every: float = 60.0, days: bool = False) -> str:
    """A LANDdt export, whose rows have a field more than the line of names, and hyphens for what is missing."""
    fields = [
        ("Record", lambda record: record["record_index"]),
        (
            ("TestTime", lambda record: clock_time(record["test_time_second"], days=True))
            if days
            else ("TestTime/Sec.", lambda record: record["test_time_second"])
        ),
        ("StepTime/Sec.", lambda record: record["step_time_second"]),
        ("Current/mA", lambda record: (abs if unsigned else float)(record["current_ampere"]) * 1e3),
        ("Capacity/mAh", lambda record: record["half"] * 1e3),
        ("SpeCap/mAh/g", lambda record: record["half"] * 100),
        ("Voltage/V", lambda record: record["voltage_volt"]),
        ("AuxTemp/dC.", lambda record: "-"),
        ("AuxVolt/V", lambda record: "-"),
        ("SysTime", lambda record: stamp(record, "%Y-%m-%d %H:%M:%S")),
        ("Cycle-Index", lambda record: record["cycle_count"]),
        ("Step-Index", lambda record: record["step_count"]),
        ("Step-State", lambda record: _LANDT_STATES[record["step_type"]]),
    ]
    return table(fields, delimiter, ending=delimiter, every=every)


def landt_snakes(every: float = 60.0) -> str:
    """A Landt export with lines above the table."""
    names = {"CC Chg": "charge CC", "CC DChg": "discharge CC", "Rest": "rest"}
    fields = [
        ("channel_index", lambda record: record["record_index"]),
        ("cycle_index", lambda record: record["cycle_count"]),
        ("step_index", lambda record: 1 + record["step_count"] % 4),
        ("date_time_iso_string", lambda record: stamp(record, "%m/%d/%Y %H:%M:%S")),
        ("test_time_s", lambda record: record["test_time_second"]),
        ("step_time_s", lambda record: record["step_time_second"]),
        ("current_A", lambda record: record["current_ampere"]),
        ("voltage_V", lambda record: record["voltage_volt"]),
        ("discharge_capacity_Ah", lambda record: record["step_discharging_capacity_ah"]),
        ("charge_capacity_Ah", lambda record: record["step_charging_capacity_ah"]),
        ("Pressure_Psi", lambda record: 14.5),
        ("temperature_1_C", lambda record: 25.5),
        ("step_name", lambda record: names[record["step_type"]]),
    ]
    head = (
        f"cell model:{',' * 12}\ncell id: AB12{',' * 12}\nNominal capacity used to define the C rate:Ah,1.1{',' * 11}\n"
    )
    return head + table(fields, ",", ending=",", every=every)


def landt_numbers(every: float = 60.0) -> str:
    """A Landt export with the short names and currents without a sign."""
    states = {"CC Chg": "C", "CC DChg": "D", "Rest": "R"}
    fields = [
        ("Rec#", lambda record: record["record_index"]),
        ("Cyc#", lambda record: record["cycle_count"]),
        ("Step", lambda record: 1 + record["step_count"] % 4),
        ("Test(Sec)", lambda record: record["test_time_second"]),
        ("Step(Sec)", lambda record: record["step_time_second"]),
        ("Amp-hr", lambda record: record["step_cumulative_capacity_ah"]),
        ("Amps", lambda record: abs(record["current_ampere"])),
        ("Volts", lambda record: record["voltage_volt"]),
        ("State", lambda record: states[record["step_type"]]),
        ("ES", lambda record: 1),
        ("DPt-Time", lambda record: stamp(record, "%m/%d/%Y %H:%M:%S")),
    ]
    return table(fields, "\t", ending="\t", every=every)


def _spelled(value: object, decimal: str) -> str:
    return f"{value:.9f}".replace(".", decimal) if isinstance(value, float) else str(value)
