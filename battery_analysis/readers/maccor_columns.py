"""What the columns of Maccor exports are called, and in which units they are.

The programs (MacTest32, MIMS Client) let the user choose columns, their names, and whether units stand in them:
``Amps``, ``mAmps``, ``Current``, ``Current [A]`` and ``Current(A)`` are one column. A name without any unit is in A, V,
Ah and Wh, one that begins with a small m in the thousandth of it; numbers of ``TestTime`` and ``StepTime`` without a
unit are minutes as a rule (``maccor_evidence`` holds them against the file's other columns).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.readers import headings
from battery_analysis.readers.headings import split_unit, unit_scale

STAMP_KEYS = ("dpttime", "dpt")

CAPACITY = columns.BY_NAME["step_cumulative_capacity_ah"]
ENERGY = columns.BY_NAME["step_cumulative_energy_wh"]

_CAPACITY_KEYS = ("amphr", "mamphr", "capacity", "cap")
_ENERGY_KEYS = ("watthr", "mwatthr", "energy", "ener")
_PAIRS = {
    f"{maccor}{quantity}": columns.BY_NAME[f"schedule_{direction}_{quantity}_{unit}"]
    for maccor, direction in (("chg", "charging"), ("dchg", "discharging"))
    for quantity, unit in (("capacity", "ah"), ("energy", "wh"))
}
_SENSORS = {
    f"{name}{number}": column
    for name in ("temp", "temperature")
    for number, column in enumerate(columns.SENSOR_TEMPERATURES, 1)
}

TERMS: dict[str, Column] = {
    "testtime": columns.TEST_TIME,
    **dict.fromkeys(("volts", "mvolts", "voltage"), columns.VOLTAGE),
    **dict.fromkeys(("amps", "mamps", "current"), columns.CURRENT),
    **dict.fromkeys(("cyc", "cyclec", "cycle", "cyclep"), columns.CYCLE_COUNT),
    "step": columns.STEP_ID,
    **dict.fromkeys(("state", "md", "mode"), columns.STEP_TYPE),
    "steptime": columns.STEP_TIME,
    **dict.fromkeys(("rec", "record"), columns.RECORD_INDEX),
    **dict.fromkeys(_CAPACITY_KEYS, CAPACITY),
    **dict.fromkeys(_ENERGY_KEYS, ENERGY),
    **_PAIRS,
    **dict.fromkeys(("power", "watts"), columns.POWER),
    **dict.fromkeys(("acimp", "acimpedance", "acr", "acz"), columns.AC_INTERNAL_RESISTANCE),
    "dcir": columns.DC_INTERNAL_RESISTANCE,
    **_SENSORS,
    "temperaturecell": columns.SURFACE_TEMPERATURE,
    **dict.fromkeys(("temperaturechamber", "evtemp"), columns.AMBIENT_TEMPERATURE),
}
"""Maccor's names, without units, spaces, signs and capitals, in order of preference."""

REQUIRED = (columns.TEST_TIME, columns.VOLTAGE, columns.CURRENT)

_WHOLE_KEYS = {"rec", "record", "cyc", "cyclec", "cycle", "cyclep", "step", "es", "range"}
_CYCLE_KEYS = {"cyc", "cyclec", "cyclep"}
_MILLI_KEYS = {"mamps", "mamphr", "mwatthr", "mvolts"}


class Heading(headings.Heading):
    """A column name of the file, and what it means in a Maccor export."""

    @property
    def column(self) -> Column | None:
        """The canonical column of that name."""
        return TERMS.get(self.key)

    @property
    def in_milli(self) -> bool:
        """Whether the name says that values are in mA, mAh, mWh or mV."""
        return self.key in _MILLI_KEYS

    @property
    def is_whole(self) -> bool:
        """Whether the column counts something."""
        return self.key in _WHOLE_KEYS or bool(re.fullmatch(r"loop\d*", self.key))


@lru_cache(maxsize=1024)
def heading(name: str) -> Heading:
    """Take a column name apart.

    >>> heading("Cap. [Ah]"), heading("Test (Sec)").key, heading("ACImp/Ohms").unit
    (Heading(name='Cap. [Ah]', key='cap', unit='Ah'), 'testtime', 'Ohms')
    """
    name = name.strip().strip('"').strip()
    words, unit = split_unit(name, slash=True)
    key = re.sub(r"[^a-z0-9]", "", words.lower())
    if key in ("test", "step") and unit and unit_scale(unit, columns.TEST_TIME):
        key += "time"
    return Heading(name, key, unit)


def scale_of(source: Heading, column: Column) -> float | None:
    """By what values under a heading are multiplied to become those of ``column``; None for an unknown unit.

    >>> scale_of(heading("mAmp-hr"), CAPACITY), scale_of(heading("Current(mA)"), columns.CURRENT)
    (0.001, 0.001)
    """
    return 1e-3 if source.in_milli else unit_scale(source.unit, column)


def is_header(cells: Sequence[str]) -> bool:
    """Say whether cells are a line of Maccor's column names."""
    if any(cell.strip(' "') == "DPt-Time" for cell in cells):
        return False  # Landt's programs write nearly the same names
    keys = {heading(cell).key for cell in cells if cell.strip()}
    known = {columns.TEST_TIME, columns.VOLTAGE} <= {TERMS.get(key) for key in keys}
    return known and "step" in keys and bool(keys & {*_CYCLE_KEYS, *STAMP_KEYS})


def is_time(column: Column) -> bool:
    """Whether a column is a duration, which may be written as ``1d 10:10:05``."""
    return column in (columns.TEST_TIME, columns.STEP_TIME)
