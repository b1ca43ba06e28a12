"""Canonical columns of a frame: one name, one unit, one sign, in one place.

Names, units and meanings are those of the Battery Data Format, ontology 1.3
(https://w3id.org/battery-data-alliance/ontology/battery-data-format). Positive
current charges. Impedances carry their physical sign: a capacitive arc has a
negative imaginary part. Columns that the format does not know are kept behind
the prefix ``aux_``.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import polars as pl

from battery_analysis.errors import SchemaError

AUX_PREFIX = "aux_"

Quantity = Literal["capacity", "energy"]
Direction = Literal["charging", "discharging", "cumulative", "net"]
Reset = Literal["step", "cycle", "schedule", "never"]


@dataclass(frozen=True)
class Column:
    """One column of a frame.

    ``unit`` is empty for texts and counts; ``dtype`` is what ``conform`` casts to.
    """

    name: str
    unit: str
    dtype: pl.DataType
    description: str


@dataclass(frozen=True)
class Counter(Column):
    """A running total kept by the tester.

    ``direction``: charging and discharging totals are positive, cumulative is the
    throughput of both, net is charging minus discharging. ``reset`` says what sets it
    to zero: every new step, every new cycle, the schedule at will, or nothing.
    """

    quantity: Quantity
    direction: Direction
    reset: Reset


def _real(name: str, unit: str, description: str) -> Column:
    return Column(name, unit, pl.Float64(), description)


def _whole(name: str, description: str) -> Column:
    return Column(name, "", pl.Int64(), description)


TEST_TIME = _real("test_time_second", "s", "Time since the start of the test; never runs backwards.")
UNIX_TIME = _real("unix_time_second", "s", "Seconds since 1970-01-01 00:00 UTC.")
VOLTAGE = _real("voltage_volt", "V", "Voltage across the terminals.")
CURRENT = _real("current_ampere", "A", "Current; positive charges the cell.")
POWER = _real("power_watt", "W", "Power.")

CYCLE_COUNT = _whole("cycle_count", "Cycle number of the tester, never renumbered.")
DERIVED_CYCLE_COUNT = _whole(
    "derived_cycle_count",
    "Cycle number derived where the tester's own is absent, stays the same, or begins anew in a later file of the run.",
)
STEP_COUNT = _whole("step_count", "Number of the step in order of execution; never repeats.")
STEP_ID = _whole("step_id", "Number of the step in the tester's programme; repeats in every cycle.")
STEP_TYPE = Column("step_type", "", pl.String(), "Kind of step in the tester's own words.")
STEP_KIND = Column(
    "step_kind", "", pl.String(), "Kind of step in words that are the same for all testers; empty for unknown words."
)
STEP_TIME = _real("step_time_second", "s", "Time since the start of the step.")
RECORD_INDEX = _whole("record_index", "Number of the record as the tester counts.")
STEP_RECORD_INDEX = _whole("step_record_index", "Number of the record within its step.")

INTERNAL_RESISTANCE = _real("internal_resistance_ohm", "ohm", "Internal resistance as the tester reports it.")
DC_INTERNAL_RESISTANCE = _real("dc_internal_resistance_ohm", "ohm", "Internal resistance from a current pulse.")
AC_INTERNAL_RESISTANCE = _real("ac_internal_resistance_ohm", "ohm", "Internal resistance from an alternating current.")

AMBIENT_TEMPERATURE = _real("ambient_temperature_celsius", "degC", "Temperature around the cell.")
SURFACE_TEMPERATURE = _real("surface_temperature_celsius", "degC", "Temperature of the cell's surface.")
SENSOR_TEMPERATURES = tuple(
    _real(f"temperature_t{number}_celsius", "degC", f"Temperature of sensor {number}.") for number in range(1, 6)
)
AMBIENT_PRESSURE = _real("ambient_pressure_pa", "Pa", "Pressure around the cell.")
APPLIED_PRESSURE = _real("applied_pressure_pa", "Pa", "Pressure applied to the cell.")
SURFACE_PRESSURE = _real("surface_pressure_pa", "Pa", "Pressure at the cell's surface.")

FREQUENCY = _real("frequency_hertz", "Hz", "Frequency of the excitation.")
REAL_IMPEDANCE = _real("real_impedance_ohm", "ohm", "Real part of the impedance.")
IMAGINARY_IMPEDANCE = _real("imaginary_impedance_ohm", "ohm", "Imaginary part; negative for a capacitive arc.")
ABSOLUTE_IMPEDANCE = _real("absolute_impedance_ohm", "ohm", "Modulus of the impedance.")
PHASE = _real("phase_degree", "deg", "Phase of the impedance; negative for a capacitive arc.")

_MEANING: dict[Direction, str] = {
    "charging": "charged",
    "discharging": "discharged",
    "cumulative": "charged plus discharged",
    "net": "charged minus discharged",
}
_SINCE: dict[Reset, str] = {
    "step": "the step began",
    "cycle": "the cycle began",
    "schedule": "the schedule last set it",
    "never": "the test began",
}


def _counter(quantity: Quantity, direction: Direction, reset: Reset) -> Counter:
    unit = {"capacity": "Ah", "energy": "Wh"}[quantity]
    scope = "" if reset == "never" else f"{reset}_"
    return Counter(
        name=f"{scope}{direction}_{quantity}_{unit.lower()}",
        unit=unit,
        dtype=pl.Float64(),
        description=f"{quantity.capitalize()} {_MEANING[direction]} since {_SINCE[reset]}.",
        quantity=quantity,
        direction=direction,
        reset=reset,
    )


COUNTERS: tuple[Counter, ...] = tuple(
    _counter(quantity, direction, reset)
    for reset in ("step", "cycle", "schedule", "never")
    for quantity in ("capacity", "energy")
    for direction in ("charging", "discharging", "cumulative", "net")
    # The format has no term for a schedule-reset total of both directions.
    if not (reset == "schedule" and direction in ("cumulative", "net"))
)

CANONICAL: tuple[Column, ...] = (
    TEST_TIME,
    UNIX_TIME,
    VOLTAGE,
    CURRENT,
    CYCLE_COUNT,
    DERIVED_CYCLE_COUNT,
    STEP_COUNT,
    STEP_ID,
    STEP_TYPE,
    STEP_KIND,
    STEP_TIME,
    RECORD_INDEX,
    STEP_RECORD_INDEX,
    *COUNTERS,
    POWER,
    INTERNAL_RESISTANCE,
    DC_INTERNAL_RESISTANCE,
    AC_INTERNAL_RESISTANCE,
    AMBIENT_TEMPERATURE,
    SURFACE_TEMPERATURE,
    *SENSOR_TEMPERATURES,
    AMBIENT_PRESSURE,
    APPLIED_PRESSURE,
    SURFACE_PRESSURE,
    FREQUENCY,
    REAL_IMPEDANCE,
    IMAGINARY_IMPEDANCE,
    ABSOLUTE_IMPEDANCE,
    PHASE,
)
BY_NAME: dict[str, Column] = {column.name: column for column in CANONICAL}
DERIVED = (DERIVED_CYCLE_COUNT, STEP_KIND)
"""Columns that no file has: they are derived from others once a file was read."""

_SERIES = (TEST_TIME.name, VOLTAGE.name)
_SPECTRUM = (FREQUENCY.name, REAL_IMPEDANCE.name, IMAGINARY_IMPEDANCE.name)
_AT_THE_END = r"(?<=\w){sign}(?=\s*$|[)\]/,]|\s+[(\[])|(?<=[(\[]){sign}(?=[)\]])"
_SPELLED_OUT = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(?<![\w)\]])-(?=[^\W\d]|\|)|" + _AT_THE_END.format(sign="-"), " minus "),  # within words it only parts them
        (_AT_THE_END.format(sign=r"\+"), " plus "),
        (r"\|", " abs "),
        ("μ", "u"),
        ("Ω", "ohm"),
        ("°", "deg"),
    )
)


class Conformed(NamedTuple):
    """A frame in canonical columns, and what had to be said about it."""

    frame: pl.DataFrame
    warnings: list[str]


@lru_cache(maxsize=1024)
def aux_name(vendor_name: str) -> str:
    """Make the name under which a column without a canonical term is kept.

    Letters of every language stay, signs and units that mean something are spelled out, and all else parts words.

    >>> aux_name("dV/dt (V/s)"), aux_name("-Im(Zce)/Ohm"), aux_name("电压差(mV)")
    ('aux_dv_dt_v_s', 'aux_minus_im_zce_ohm', 'aux_电压差_mv')
    """
    # One character for those that look alike, such as the micro sign and the Greek letter.
    spelled = unicodedata.normalize("NFKC", vendor_name.replace("º", "°").replace("\u2212", "-"))
    for pattern, words in _SPELLED_OUT:
        spelled = pattern.sub(words, spelled)
    letters = "".join(char if f"_{char}".isidentifier() else " " for char in spelled.lower().replace("_", " "))
    return AUX_PREFIX + ("_".join(letters.split()) or "unnamed")


def is_aux(name: str) -> bool:
    """Say whether a name can be that of a column without a canonical term."""
    return name.startswith(AUX_PREFIX) and name.isidentifier() and name == name.lower() and name != AUX_PREFIX


def insert(frame: pl.DataFrame, values: pl.Series) -> pl.DataFrame:
    """Insert a canonical column where it belongs; the frame has none of that name.

    >>> frame = pl.DataFrame({"voltage_volt": [3.7], "step_id": [1]})
    >>> insert(frame, pl.Series("current_ampere", [1.0])).columns
    ['voltage_volt', 'current_ampere', 'step_id']
    """
    earlier = {column.name for column in CANONICAL[: CANONICAL.index(BY_NAME[values.name])]}
    place = sum(name in earlier for name in frame.columns)
    return frame.clone().insert_column(place, values)


def infinite_values(frame: pl.DataFrame) -> dict[str, int]:
    """Count, in the columns that have some, the values that are infinite or not a number.

    >>> infinite_values(pl.DataFrame({"a": [1.0, float("nan")], "b": [1.0, None], "c": [1, 2]}))
    {'a': 1}
    """
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    totals = frame.select(pl.col(floats).sum()).row(0, named=True) if floats else {}
    suspects = [name for name, total in totals.items() if not math.isfinite(total)]  # one such value spoils the sum
    if not suspects:
        return {}
    counts = frame.select((~pl.col(suspects).is_finite()).sum()).row(0, named=True)
    return {name: count for name, count in counts.items() if count}


def conform(frame: pl.DataFrame) -> Conformed:
    """Bring a frame to canonical dtypes and order, and set values that are no numbers to null.

    A frame holds a time series (``test_time_second``, ``voltage_volt``; a series without
    a current gets a null ``current_ampere``), an impedance spectrum (``frequency_hertz``,
    ``real_impedance_ohm``, ``imaginary_impedance_ohm``), or both.

    Raises:
        SchemaError: A required column is absent, a name is neither canonical nor ``aux_…``,
            or a column cannot be cast.

    >>> conform(pl.DataFrame({"voltage_volt": [3.7], "test_time_second": [0]})).frame.columns
    ['test_time_second', 'voltage_volt', 'current_ampere']
    """
    strangers = [name for name in frame.columns if name not in BY_NAME and not is_aux(name)]
    if strangers:
        raise SchemaError(f"columns {strangers} are neither canonical nor aux_ columns")
    absent = [name for name in _SERIES if name not in frame.columns]
    if absent and not set(_SPECTRUM) <= set(frame.columns):
        raise SchemaError(f"columns {absent} not found; the frame has {frame.columns}")
    if not absent and CURRENT.name not in frame.columns:
        frame = frame.with_columns(pl.lit(None, CURRENT.dtype).alias(CURRENT.name))

    schema = frame.schema
    present = [column for column in CANONICAL if column.name in schema]
    casts = [pl.col(column.name).cast(column.dtype) for column in present if schema[column.name] != column.dtype]
    try:
        frame = frame.with_columns(casts)
    except pl.exceptions.PolarsError as exc:
        raise SchemaError(f"a column does not hold its type: {exc}") from exc

    warnings = []
    if lost := infinite_values(frame):
        frame = frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in lost)
        where = ", ".join(f"{name} {count}" for name, count in lost.items())
        warnings.append(f"{sum(lost.values())} values are not finite numbers and are kept as missing ({where})")

    others = [name for name in frame.columns if name not in BY_NAME]
    return Conformed(frame.select(*(column.name for column in present), *others), warnings)
