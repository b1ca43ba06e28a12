"""Exchange formats and potentiostats' cycling tables in text, and delimited text with a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from battery_analysis.readers.bdf_terms import preferred_label
from tests.layouts.cell import START, Record
from tests.layouts.table import Fields, Layout, clock, lines, rows, text
from tests.layouts.testers_by_step import NEWARE_TYPES

_BDF: Fields = (
    ("test_time_second", lambda r: r.time),
    ("voltage_volt", lambda r: r.voltage),
    ("current_ampere", lambda r: r.current),
    ("unix_time_second", lambda r: START.timestamp() + r.time),
    ("cycle_count", lambda r: r.cycle),
    ("step_count", lambda r: r.step),
    ("step_type", lambda r: r.kind),
    ("step_time_second", lambda r: r.step_time),
    ("record_index", lambda r: r.number),
)
_BDF_COUNTERS: dict[str, Fields] = {
    "step": (
        ("step_charging_capacity_ah", lambda r: r.since["step"].charge_ah),
        ("step_discharging_capacity_ah", lambda r: r.since["step"].discharge_ah),
        ("step_charging_energy_wh", lambda r: r.since["step"].charge_wh),
        ("step_discharging_energy_wh", lambda r: r.since["step"].discharge_wh),
    ),
    "cycle": (
        ("cycle_charging_capacity_ah", lambda r: r.since["cycle"].charge_ah),
        ("cycle_discharging_capacity_ah", lambda r: r.since["cycle"].discharge_ah),
        ("cycle_charging_energy_wh", lambda r: r.since["cycle"].charge_wh),
        ("cycle_discharging_energy_wh", lambda r: r.since["cycle"].discharge_wh),
    ),
    "never": (
        ("charging_capacity_ah", lambda r: r.since["never"].charge_ah),
        ("discharging_capacity_ah", lambda r: r.since["never"].discharge_ah),
        ("charging_energy_wh", lambda r: r.since["never"].charge_wh),
        ("discharging_energy_wh", lambda r: r.since["never"].discharge_wh),
    ),
    "net": (("net_capacity_ah", lambda r: r.since["never"].net_ah),),
    "both": (
        ("step_cumulative_capacity_ah", lambda r: r.since["step"].both_ah),
        ("step_cumulative_energy_wh", lambda r: r.since["step"].both_wh),
    ),
}


def bdf(
    records: Sequence[Record], counters: str, labels: bool = False, delimiter: str = ",", decimal: str = "."
) -> str:
    """Machine names, or the labels that the ontology prefers."""
    fields = [*_BDF, *_BDF_COUNTERS[counters]]
    if labels:
        fields = [(preferred_label(name), value) for name, value in fields]
    return lines(fields, records, delimiter, decimal=decimal, decimals=9)


def battery_archive(records: Sequence[Record]) -> str:
    """batteryarchive.org's time series."""
    fields: Fields = (
        ("Date_Time", lambda r: f"{r.stamp:%Y-%m-%d %H:%M:%S}.000"),
        ("Test_Time (s)", lambda r: r.time),
        ("Cycle_Index", lambda r: float(r.cycle)),
        ("Current (A)", lambda r: r.current),
        ("Voltage (V)", lambda r: r.voltage),
        ("Charge_Capacity (Ah)", lambda r: r.since["cycle"].charge_ah),
        ("Discharge_Capacity (Ah)", lambda r: r.since["cycle"].discharge_ah),
        ("Charge_Energy (Wh)", lambda r: r.since["cycle"].charge_wh),
        ("Discharge_Energy (Wh)", lambda r: r.since["cycle"].discharge_wh),
        ("Environment_Temperature (C)", lambda r: 25.0),
        ("Cell_Temperature (C)", lambda r: ""),
    )
    return lines(fields, records, ",", decimals=9)


def gamry(records: Sequence[Record]) -> str:
    """A table for each step, their times going on."""
    head = (
        "EXPLAIN\nTAG\tPWR800_CHARGEDISCHARGE\nTITLE\tLABEL\tcell 7\tTest &Identifier\n"
        f"DATE\tLABEL\t{START:%m/%d/%Y}\tDate\nTIME\tLABEL\t{START:%H:%M:%S}\tTime\n"
    )
    labels = "\tPt\tT\tVf\tIm\tVu\tPwr\tIERange\tOver\n\t#\ts\tV vs. Ref.\tA\tV\tW\t#\tbits\n"
    tables = []
    for step, part in groupby(records, lambda r: r.step):
        of_step = list(part)
        fields: Fields = (
            ("", lambda r: ""),
            ("", lambda r: r.number - 1),
            ("", lambda r: r.time),
            ("", lambda r: r.voltage),
            ("", lambda r: r.current),
            ("", lambda r: 0.0),
            ("", lambda r: r.power),
            ("", lambda r: 9),
            ("", lambda r: "...."),
        )
        body = "".join("\t".join(row) + "\n" for row in rows(fields, of_step))
        tables.append(f"CURVE{step}\tTABLE\t{len(of_step)}\n{labels}{body}")
    return head + "".join(tables)


def ivium(records: Sequence[Record]) -> str:
    """Three columns and nothing else."""
    fields: Fields = (
        ("time /s", lambda r: r.time),
        ("I /mA", lambda r: r.current * 1000),
        ("E /V", lambda r: r.voltage),
    )
    return lines(fields, records, "\t")


def versastudio(records: Sequence[Record]) -> str:
    """A segment for each step."""
    head = (
        "<Application>\nName=VersaStudio\nVersion=2.66.2.0\n</Application>\n\n"
        f"<Experiment>\nTimeAcquired={START:%I:%M:%S %p}\nDateAcquired={START:%A, %B %d, %Y}\n</Experiment>\n\n"
        "<Action1>\nName=Galvanostatic Charge\n</Action1>\n"
    )
    segments = []
    for step, part in groupby(records, lambda r: r.step):
        fields: Fields = (
            ("", lambda r: r.step - 1),
            ("", lambda r: int(r.step_time)),
            ("", lambda r: r.voltage),
            ("", lambda r: r.current),
            ("", lambda r: r.time),
            ("", lambda r: 0),
        )
        body = "".join(",".join(row) + "\n" for row in rows(fields, list(part)))
        definition = "Definition=Segment #, Point #, E(V), I(A), Elapsed Time(s), Status\n"
        segments.append(f"<Segment{step}>\nType=2\nVersion=3\n{definition}{body}</Segment{step}>\n")
    return head + "".join(segments)


def parstat(records: Sequence[Record]) -> str:
    """Records without a step or cycle; a tab at the end of every line."""
    fields: Fields = (
        ("Potential (V)", lambda r: r.voltage),
        ("Current (A)", lambda r: r.current),
        ("Elapsed Time (s)", lambda r: r.time),
        ("Frequency (Hz)", lambda r: 0),
        ("Zre (ohms)", lambda r: 0),
        ("Zim (ohms)", lambda r: 0),
        ("", lambda r: ""),
    )
    return lines(fields, records, "\t")


def autolab(records: Sequence[Record]) -> str:
    """NOVA's records between semicolons."""
    fields: Fields = (
        ("Index", lambda r: r.number),
        ("Time (s)", lambda r: r.time),
        ("WE(1).Potential (V)", lambda r: r.voltage),
        ("WE(1).Current (A)", lambda r: r.current),
    )
    return lines(fields, records, ";", decimal=",")


MAPPING = """
tester = "Rig 3"
delimiter = ";"
decimal = ","

[columns]
"Zeit" = { to = "test_time_second", format = "clock" }
"U" = { to = "voltage_volt", unit = "mV" }
"I" = { to = "current_ampere", unit = "mA", sign = -1 }
"Zyklus" = { to = "cycle_count" }
"Schritt" = { to = "step_count" }
"Art" = { to = "step_type" }
"Ladung" = { to = "step_charging_capacity_ah", unit = "mAh" }
"Entladung" = { to = "step_discharging_capacity_ah", unit = "mAh" }
"""


def mapped(records: Sequence[Record]) -> str:
    """A rig of the lab's own, whose current is positive on discharge."""
    fields: Fields = (
        ("Zeit", lambda r: clock(r.time, days="d ", decimals=0)),
        ("U", lambda r: r.voltage * 1e3),
        ("I", lambda r: -r.current * 1e3),
        ("Zyklus", lambda r: r.cycle),
        ("Schritt", lambda r: r.step),
        ("Art", lambda r: NEWARE_TYPES[r.kind]),
        ("Ladung", lambda r: r.since["step"].charge_ah * 1e3),
        ("Entladung", lambda r: r.since["step"].discharge_ah * 1e3),
    )
    return "Prüfstand 3\n" + lines(fields, records, ";", decimal=",")


_COUNTED_ENERGY = {"step": True, "cycle": True, "never": True, "net": False, "both": True}

LAYOUTS: tuple[Layout, ...] = (
    *(
        Layout(
            f"bdf csv, counters {counters}",
            "bdf_csv",
            "cell.bdf.csv",
            text(partial(bdf, counters=counters)),
            9,
            energy=energy,
            lines_like="" if counters == "step" else "bdf csv, counters step",
        )
        for counters, energy in _COUNTED_ENERGY.items()
    ),
    Layout(
        "bdf labels",
        "bdf_csv",
        "cell.csv",
        text(partial(bdf, counters="step", labels=True), line_end="\r\n"),
        9,
        energy=True,
    ),
    Layout(
        "bdf labels, decimal comma",
        "bdf_csv",
        "cell.csv",
        text(partial(bdf, counters="cycle", labels=True, delimiter=";", decimal=","), encoding="utf-8-sig"),
        9,
        energy=True,
    ),
    Layout(
        "batteryarchive",
        "battery_archive_csv",
        "cell_timeseries.csv",
        text(battery_archive),
        9,
        energy=True,
        step_starts=True,
    ),
    Layout(
        "gamry",
        "gamry_dta",
        "cell.DTA",
        text(gamry, encoding="latin-1", line_end="\r\n"),
        9,
        counted=False,
        step_starts=True,
        numberings=(),
    ),
    Layout(
        "versastudio",
        "versastudio_par",
        "cell.par",
        text(versastudio),
        9,
        counted=False,
        step_starts=True,
        numberings=(),
    ),
    Layout(
        "ivium",
        "ivium_txt",
        "cell.txt",
        text(ivium, line_end="\r\n"),
        9,
        counted=False,
        step_starts=True,
        numberings=(),
    ),
    Layout("parstat", "parstat_text", "cell.txt", text(parstat), 9, counted=False, step_starts=True, numberings=()),
    Layout("autolab", "autolab_text", "cell.txt", text(autolab), 9, counted=False, step_starts=True, numberings=()),
    Layout("mapped", "delimited:rig", "cell.csv", text(mapped, encoding="latin-1"), 9, mapping=MAPPING),
)
