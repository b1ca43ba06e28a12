"""What the columns of Neware reports are called, in the languages and versions of the vendor's software.

BTS 5 to 7 (``Record ID``, ``Capacitance_Chg(mAh)``, ``Relative Time(h:min:s.ms)``), BTSDA 8 (``DataPoint``,
``Chg. Cap.(Ah)``, ``Total Time``) and the Chinese versions of both. Units stand in parentheses.

Choices:
    ``Step ID`` of BTS 5 to 7 counts executed steps and never repeats; its ``Raw Step ID`` is the step of the
    programme, as ``Step Index`` is in BTSDA 8. Counters start from zero in every step; ``Capacity`` and ``Energy``
    are one magnitude for both directions. Temperature without a place is sensor 1. In a unit, the letter that an
    encoding has lost can only have been µ, the only one outside ASCII; Ω is often written O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.readers import headings

_COUNTERS = {
    "chgcap": "step_charging_capacity_ah",
    "capacitancechg": "step_charging_capacity_ah",
    "chgcapacity": "step_charging_capacity_ah",
    "chargecapacity": "step_charging_capacity_ah",
    "充电容量": "step_charging_capacity_ah",
    "dchgcap": "step_discharging_capacity_ah",
    "capacitancedchg": "step_discharging_capacity_ah",
    "dchgcapacity": "step_discharging_capacity_ah",
    "dischargecapacity": "step_discharging_capacity_ah",
    "放电容量": "step_discharging_capacity_ah",
    "chgenergy": "step_charging_energy_wh",
    "engychg": "step_charging_energy_wh",
    "chargeenergy": "step_charging_energy_wh",
    "充电能量": "step_charging_energy_wh",
    "dchgenergy": "step_discharging_energy_wh",
    "engydchg": "step_discharging_energy_wh",
    "dischargeenergy": "step_discharging_energy_wh",
    "放电能量": "step_discharging_energy_wh",
    "capacity": "step_cumulative_capacity_ah",
    "容量": "step_cumulative_capacity_ah",
    "energy": "step_cumulative_energy_wh",
    "能量": "step_cumulative_energy_wh",
}
_CYCLES = ("cycleindex", "cycleid", "cyclenumber", "cycle", "循环号", "循环序号", "循环")
_EXECUTED_STEPS = ("stepnumber", "stepid", "step", "steps", "工步序号", "步次")
_PROGRAMME_STEPS = ("stepindex", "rawstepid", "工步号", "原始工步号")
_STEP_TYPES = ("steptype", "stepname", "status", "state", "工步类型", "工步名称", "状态")
_RECORDS = (
    *("datapoint", "dataserialnumber", "recordid", "recordindex", "recordnumber"),
    *("数据序号", "记录序号", "记录号"),
)
_TOTAL_TIMES = ("totaltime", "cumulativetime", "总时间", "累计时间")
_STEP_TIMES = ("time", "relativetime", "steptime", "时间", "相对时间", "工步时间")
_STAMPS = ("date", "realtime", "absolutetime", "datetime", "绝对时间", "系统时间")

TERMS: dict[str, Column] = {
    **dict.fromkeys(_TOTAL_TIMES, columns.TEST_TIME),
    "voltage": columns.VOLTAGE,
    "vol": columns.VOLTAGE,
    "电压": columns.VOLTAGE,
    "current": columns.CURRENT,
    "cur": columns.CURRENT,
    "电流": columns.CURRENT,
    **dict.fromkeys(_CYCLES, columns.CYCLE_COUNT),
    **dict.fromkeys(_PROGRAMME_STEPS, columns.STEP_ID),
    **dict.fromkeys(_EXECUTED_STEPS, columns.STEP_COUNT),
    **dict.fromkeys(_STEP_TYPES, columns.STEP_TYPE),
    **dict.fromkeys(_STEP_TIMES, columns.STEP_TIME),
    **dict.fromkeys((*_RECORDS, "record"), columns.RECORD_INDEX),
    **{key: columns.BY_NAME[name] for key, name in _COUNTERS.items()},
    "power": columns.POWER,
    "功率": columns.POWER,
    "dcir": columns.DC_INTERNAL_RESISTANCE,
    "temperature": columns.SENSOR_TEMPERATURES[0],
    "temp": columns.SENSOR_TEMPERATURES[0],
    "温度": columns.SENSOR_TEMPERATURES[0],
    **dict.fromkeys(_STAMPS, columns.UNIX_TIME),
}
"""The vendor's names without units, spaces, marks and capitals, in order of preference."""

CLOCK_UNIT = "clock"
"""Unit of times that are written as hours, minutes and seconds."""

_OWN = frozenset(
    (
        *_RECORDS,
        *_TOTAL_TIMES,
        *(key for key in _COUNTERS if key not in ("chargecapacity", "dischargecapacity", "capacity", "energy")),
        *("steptype", "relativetime", "realtime", "rawstepid", "jumpto", "cmpeng", "capacitydensity"),
        *("speccap", "chgspeccap", "dchgspeccap", "工步类型", "工步序号", "步次", "跳转", "绝对时间", "相对时间"),
    )
)
_OTHER_TESTERS = frozenset({"testtime", "cyclec", "dpttime"})  # Arbin, Landt and Maccor
_CYCLE_TOTALS = (
    {"chgcap", "capchg", "chargecap", "充电容量"},
    {"dchgcap", "capdchg", "dischargecap", "放电容量"},
)

_SENSOR = re.compile(
    r"(?:aux(?:iliary)?(?:ch(?:annel)?)?|辅助通道)?(?:temp(?:erature)?|tu?|温度)(?P<number>[1-5])(?:t|温度)?"
)
_FIRST_UNIT = re.compile(r"^(?P<kind>temp)1_(?=\d)", re.IGNORECASE)
"""``temp1_2`` is the second sensor of the first auxiliary unit."""
_CLOCK = re.compile(r".*h.*:.*m.*", re.IGNORECASE)
_LOST_LETTER = re.compile(r"^[?\ufffd](?=[A-Za-z])")


class Heading(headings.Heading):
    """A column name of the file, and what it means in a Neware report."""

    @property
    def column(self) -> Column | None:
        """The canonical column that it holds; None where there is none."""
        sensor = _SENSOR.fullmatch(self.key)
        return columns.SENSOR_TEMPERATURES[int(sensor["number"]) - 1] if sensor else TERMS.get(self.key)


@lru_cache(maxsize=4096)
def heading(name: str) -> Heading:
    """Take a column name apart.

    >>> heading("Chg. Cap.(mAs)")
    Heading(name='Chg. Cap.(mAs)', key='chgcap', unit='mAs')
    """
    words, unit = headings.split_unit(name)
    words = _FIRST_UNIT.sub(r"\g<kind>", words)
    return Heading(name, re.sub(r"[\W_]", "", words.lower()), unit)


def unit_scale(unit: str, column: Column) -> float | None:
    """By what values in ``unit`` are multiplied to become those of ``column``; None for an unknown or missing unit.

    >>> unit_scale("mAs", columns.BY_NAME["step_charging_capacity_ah"]) == 1e-3 / 3600
    True
    >>> unit_scale("µA", columns.CURRENT), unit_scale("", columns.CURRENT)
    (1e-06, None)
    """
    if column.unit == "":
        return 1.0
    if column.unit == "degC":
        return None if unit.strip("°º").upper() in ("K", "F") else 1.0
    if column.unit == "s" and is_clock(unit):
        return 1.0
    return headings.unit_scale(_LOST_LETTER.sub("u", unit), column) if unit else None


def is_clock(unit: str) -> bool:
    """Say whether times of this unit are written as hours, minutes and seconds, as they are where no unit stands.

    >>> is_clock("h:min:s.ms"), is_clock(""), is_clock("min")
    (True, True, False)
    """
    return unit in ("", CLOCK_UNIT) or _CLOCK.fullmatch(unit) is not None


def describes_records(names: Iterable[str], above: Iterable[str] = ()) -> bool:
    """Say whether these are the column names of Neware records; ``above`` are those of the levels they stand under."""
    keys = {heading(name).key for name in names}
    found = {column for key in keys if (column := TERMS.get(key))}
    own = (keys | {heading(name).key for name in above}) & _OWN
    has_time = not found.isdisjoint((columns.TEST_TIME, columns.STEP_TIME, columns.UNIX_TIME))
    return {columns.VOLTAGE, columns.CURRENT} <= found and has_time and len(own) >= 2 and not keys & _OTHER_TESTERS


def describes_totals(names: Iterable[str]) -> bool:
    """Say whether these are the column names of Neware's totals of cycles or steps, which are no records."""
    keys = {heading(name).key for name in names}
    both = all(keys & each for each in _CYCLE_TOTALS)
    return both and any(key in keys for key in _CYCLES) and not any(TERMS.get(key) is columns.CURRENT for key in keys)
