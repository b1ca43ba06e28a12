"""An ideal cell as Neware's software reports it: 1 A for an hour each way, with rests, in every layout.

Columns follow the exports of BTSDA 8 (``DataPoint``, ``Chg. Cap.(Ah)``) and of BTS 5 to 7 (``Record ID``,
``Capacitance_Chg(mAh)``), each in its own units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

START = datetime(2024, 3, 15, 12, 0, 0)
CYCLES = 2
_STEPS = (
    ("Rest", 600, 0.0, 3.2),
    ("CC Chg", 3600, 1.0, 3.6),
    ("Rest", 600, 0.0, 3.3),
    ("CC DChg", 3600, -1.0, 3.0),
    ("Rest", 600, 0.0, 3.2),
)
SECONDS = CYCLES * sum(duration for _, duration, _, _ in _STEPS)

FLAT_NAMES = (
    "DataPoint,Cycle Index,Step Index,Step Type,Time,Total Time,Current(A),Voltage(V),Capacity(Ah),Chg. Cap.(Ah),"
    "DChg. Cap.(Ah),Energy(Wh),Chg. Energy(Wh),DChg. Energy(Wh),Date,Power(W),dQ/dV(mAh/V),Module start-stop switch"
)
SMALL_NAMES = (
    "DataPoint,Cycle Index,Step Index,Step Type,Time,Total Time,Current(µA),Voltage(mV),Capacity(mAs),Chg. Cap.(mAs),"
    "DChg. Cap.(mAs),Energy(mWs),Chg. Energy(mWs),DChg. Energy(mWs),Date,Power(mW),dQ/dV(mAh/V),"
    "Module start-stop switch"
)
CHINESE_NAMES = (
    "数据序号,循环号,工步号,工步类型,时间,总时间,电流(A),电压(V),容量(Ah),充电容量(Ah),"
    "放电容量(Ah),能量(Wh),充电能量(Wh),放电能量(Wh),绝对时间,功率(W),dQ/dV(mAh/V),模块启停开关"
)
CHINESE_TYPES = {"Rest": "搁置", "CC Chg": "恒流充电", "CC DChg": "恒流放电"}

CYCLE_NAMES = ["Cycle ID", "Cap_Chg(mAh)", "Cap_DChg(mAh)", "Chg/DChg Efficiency(%)"]
STEP_NAMES = ["Step ID", "Step Name", "Step Time(h:min:s.ms)", "Capacity(mAh)", "DCIR(O)", "Raw Step ID"]
RECORD_NAMES = [
    "Record ID",
    "Time(h:min:s.ms)",
    "Voltage(V)",
    "Current(mA)",
    "Temperature(°C)",
    "Capacity(mAh)",
    "Realtime",
    "Capacitance_Chg(mAh)",
    "Capacitance_DChg(mAh)",
]
DETAIL_NAMES = [
    "Record number",
    "State",
    "Jump",
    "Cycle",
    "Steps",
    "Current(mA)",
    "Voltage(V)",
    "Capacity(mAh)",
    "Energy(mWh)",
    "Relative Time(h:min:s.ms)",
    "Date(h:min:s.ms)",
]


@dataclass(frozen=True)
class Record:
    """One record in SI units; capacity is that of its step."""

    number: int
    cycle: int
    step: int
    executed: int
    kind: str
    step_time: float
    total_time: float
    current: float
    voltage: float

    @property
    def capacity(self) -> float:
        return abs(self.current) * self.step_time / 3600

    @property
    def charged(self) -> float:
        return self.capacity if self.current > 0 else 0.0

    @property
    def discharged(self) -> float:
        return self.capacity if self.current < 0 else 0.0

    @property
    def date(self) -> datetime:
        return START + timedelta(seconds=self.total_time)


def records(interval: int = 300) -> Iterator[Record]:
    """Each step begins with a record at its time 0, and ends with one."""
    number = executed = 0
    total = 0.0
    for cycle in range(1, CYCLES + 1):
        for step, (kind, duration, current, voltage) in enumerate(_STEPS, 1):
            executed += 1
            for within in range(0, duration + 1, interval):
                number += 1
                yield Record(number, cycle, step, executed, kind, within, total + within, current, voltage)
            total += duration


def clock(seconds: float, fraction: str = "") -> str:
    """Hours beyond 24 are not days."""
    whole = round(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{fraction}"


def flat_rows(interval: int = 300, charge: float = 1.0, voltage: float = 1.0) -> list[list[str]]:
    """Rows below ``FLAT_NAMES``; with factors of 3.6e6 and 1e3 below ``SMALL_NAMES``."""
    return [
        [
            str(each.number),
            str(each.cycle),
            str(each.step),
            each.kind,
            clock(each.step_time),
            clock(each.total_time),
            f"{each.current * (1e6 if charge > 1 else 1):.4f}",
            f"{each.voltage * voltage:.4f}",
            *(f"{value * charge:.8f}" for value in (each.capacity, each.charged, each.discharged)),
            *(f"{value * charge * each.voltage:.8f}" for value in (each.capacity, each.charged, each.discharged)),
            f"{each.date:%Y-%m-%d %H:%M:%S}",
            f"{each.current * each.voltage * voltage:.4f}",
            "0.0",
            "Close",
        ]
        for each in records(interval)
    ]


def flat(interval: int = 300) -> str:
    """A flat export of BTSDA 8 in A, V, Ah and Wh."""
    return "\n".join([FLAT_NAMES, *(",".join(row) for row in flat_rows(interval))]) + "\n"


def small(interval: int = 300) -> str:
    """The same in µA, mV, mAs and mWs, with a delimiter at the end of each line."""
    return "\n".join([SMALL_NAMES + ",", *(",".join(row) + "," for row in flat_rows(interval, 3.6e6, 1e3))]) + "\n"


def chinese(interval: int = 300) -> str:
    """The same as ``flat`` from a Chinese program."""
    rows = [[CHINESE_TYPES.get(cell, cell) for cell in row] for row in flat_rows(interval)]
    return "\n".join([CHINESE_NAMES, *(",".join(row) for row in rows)]) + "\n"


def nested_rows(interval: int = 300) -> Iterator[tuple[int, list[str]]]:
    """Level and cells of each row of a nested export of BTS 7."""
    cycle = executed = 0
    for each in records(interval):
        if each.cycle != cycle:
            cycle = each.cycle
            yield 0, [str(cycle), "1000.0", "1000.0", "100.0"]
        if each.executed != executed:
            executed = each.executed
            resistance = "-" if each.kind == "Rest" else "0.025"
            kind = each.kind.replace(" ", "_")
            yield 1, [str(executed), kind, "1:00:00.000", "1000.0", resistance, str(each.step)]
        yield (
            2,
            [
                str(each.number),
                clock(each.step_time, ".000"),
                f"{each.voltage:.4f}",
                f"{each.current * 1e3:.1f}",
                "25.5",
                f"{each.capacity * 1e3:.4f}",
                f"{each.date:%m/%d/%Y %H:%M:%S}",
                f"{each.charged * 1e3:.4f}",
                f"{each.discharged * 1e3:.4f}",
            ],
        )


def nested_lines(interval: int = 300) -> Iterator[tuple[int, list[str]]]:
    """Names and rows of a nested export, each with its level."""
    yield from enumerate([CYCLE_NAMES, STEP_NAMES, RECORD_NAMES])
    yield from nested_rows(interval)


def nested(interval: int = 300) -> str:
    """Comma-delimited and quoted, cells padded with tabs, all lines filled up to the same number of commas."""
    lines = []
    for level, cells in nested_lines(interval):
        quoted = [cell if not level and not at else f'"\t{cell}"' for at, cell in enumerate(cells)]
        row = [*[""] * level, *quoted, '"\t"']
        lines.append(",".join([*row, *[""] * (13 - len(row))]))
    return "\n".join(lines) + "\n"


def nested_tabs(interval: int = 300) -> str:
    """Tab-delimited, two tabs for each level, and as many more as it takes to line the columns up."""
    lines = []
    for level, cells in nested_lines(interval):
        padded = [f"{cell}\t" if len(cell) < 12 else cell for cell in cells]
        lines.append("\t\t" * level + "\t".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def nested_joined(interval: int = 300) -> str:
    """As newer versions write it: without padding, and the first step of a cycle in the row of the cycle."""
    lines: list[str] = []
    after_cycle = False
    for at, (level, cells) in enumerate(nested_lines(interval)):
        if after_cycle and level == 1:
            lines[-1] += "," + ",".join(cells)
        else:
            lines.append(",".join([*[""] * level, *cells]))
        after_cycle = level == 0 and at >= 3
    return "\n".join(lines) + "\n"


def detail_rows(interval: int = 300) -> list[list[object]]:
    """Rows below ``DETAIL_NAMES``: current has no sign, capacity is one for both directions."""
    return [
        [
            each.number,
            each.kind.replace(" ", "_"),
            each.step,
            each.cycle,
            each.executed,
            abs(each.current) * 1e3,
            each.voltage,
            each.capacity * 1e3,
            each.capacity * each.voltage * 1e3,
            clock(each.step_time, ".000"),
            f"{each.date:%Y-%m-%d %H:%M:%S}",
        ]
        for each in records(interval)
    ]
