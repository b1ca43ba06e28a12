"""What the columns of Neware binary files mean, shared by ``.nda`` and ``.ndax``.

Both decoders, fastnda and NewareNDA, are brought to the names that the vendor's software
shows; one table then says what each is in a frame. Facts behind the table:

- Step counters start from zero in every step. Most versions keep charge and discharge apart;
  older ones keep one magnitude for both (``Capacity``), which fastnda signs by the step's
  direction; the BTS 9 record of version 19 keeps one signed number (``Net Capacity``).
- ``Step Index`` is the step of the programme and comes again in every cycle; ``Step Count``
  runs on.
- ``Total Time`` is the sum of the steps so far and the time in this one: a pause is not in it.
- Cycle numbers are the recorder's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl
import polars.selectors as cs

from battery_analysis import columns
from battery_analysis.readers.base import ColumnSource, TestType
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.stamps import local_to_unix

_FASTNDA = {
    "index": "DataPoint",
    "voltage_V": "Voltage",
    "current_mA": "Current",
    "unix_time_s": "Date",
    "step_time_s": "Time",
    "total_time_s": "Total Time",
    "cycle_count": "Cycle Index",
    "step_count": "Step Count",
    "step_index": "Step Index",
    "step_type": "Step Type",
    "charge_capacity_mAh": "Chg. Cap.",
    "discharge_capacity_mAh": "DChg. Cap.",
    "charge_energy_mWh": "Chg. Energy",
    "discharge_energy_mWh": "DChg. Energy",
    "capacity_mAh": "Capacity",
    "energy_mWh": "Energy",
}
_NEWARENDA = {
    "Index": "DataPoint",
    "Cycle": "Cycle Index",
    "Step": "Step Count",
    "Step_Index": "Step Index",
    "Status": "Step Type",
    "Time": "Time",
    "Voltage": "Voltage",
    "Current(mA)": "Current",
    "Charge_Capacity(mAh)": "Chg. Cap.",
    "Discharge_Capacity(mAh)": "DChg. Cap.",
    "Charge_Energy(mWh)": "Chg. Energy",
    "Discharge_Energy(mWh)": "DChg. Energy",
    "Timestamp": "Date",
}
# What fastnda leaves in its tables from its own arithmetic.
_LEFTOVERS = ("identifier", "index_right", "multiplier", "timestamp")

_MAPS = (
    Map("Total Time", columns.TEST_TIME, unit="s"),
    Map("Date", columns.UNIX_TIME, unit="s"),
    Map("Voltage", columns.VOLTAGE, unit="V"),
    Map("Current", columns.CURRENT, 1e-3, "mA"),
    Map("Cycle Index", columns.CYCLE_COUNT),
    Map("Step Count", columns.STEP_COUNT),
    Map("Step Index", columns.STEP_ID),
    Map("Step Type", columns.STEP_TYPE),
    Map("Time", columns.STEP_TIME, unit="s"),
    Map("DataPoint", columns.RECORD_INDEX),
    Map("Chg. Cap.", columns.BY_NAME["step_charging_capacity_ah"], 1e-3, "mAh"),
    Map("DChg. Cap.", columns.BY_NAME["step_discharging_capacity_ah"], 1e-3, "mAh"),
    Map("Capacity", columns.BY_NAME["step_cumulative_capacity_ah"], 1e-3, "mAh"),
    Map("Net Capacity", columns.BY_NAME["step_net_capacity_ah"], 1e-3, "mAh"),
    Map("Chg. Energy", columns.BY_NAME["step_charging_energy_wh"], 1e-3, "mWh"),
    Map("DChg. Energy", columns.BY_NAME["step_discharging_energy_wh"], 1e-3, "mWh"),
    Map("Energy", columns.BY_NAME["step_cumulative_energy_wh"], 1e-3, "mWh"),
    Map("Net Energy", columns.BY_NAME["step_net_energy_wh"], 1e-3, "mWh"),
)

_AUX = re.compile(r"(?:aux(?P<channel>-?\d*)_)?(?P<what>.+?)(?:_(?P<unit>V|degC|mA|kg|kPa|bar|mm|N|%))?")
_AUX_SHORT = {"temperature": "T", "voltage": "V", "current": "I", "humidity": "H", "?": "channel"}
_NEWARENDA_AUX = {"T": ("T", "degC"), "V": ("V", "V"), "t": ("temperature_setpoint", "degC"), "H": ("H", "%")}

_WITHOUT_CURRENT = frozenset({"Rest", "OCV", "Pause", "Control", "End", "Cycle", "Undefined", "IR"})


def from_fastnda(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Bring a table of fastnda to the vendor's names; returns it with the units of its further columns."""
    table = table.drop(_LEFTOVERS, strict=False)
    names = dict(_FASTNDA)
    units: dict[str, str] = {}
    for column in table.columns:
        match = _AUX.fullmatch(column)
        if column in names or match is None:
            continue
        name = _AUX_SHORT.get(match["what"], match["what"]) + (match["channel"] or "").replace("-", "_")
        names[column] = name
        units[name] = match["unit"] or ""
    table = table.rename(names, strict=False)
    return table.with_columns(step_type_names(table["Step Type"])) if "Step Type" in table else table, units


def from_newarenda(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Bring a table of NewareNDA to the vendor's names; returns it with the units of its further columns.

    Its time stamps are aware where the file holds seconds since 1970, and naive local time where it
    holds a calendar date, just as fastnda counts them.
    """
    names = dict(_NEWARENDA)
    units: dict[str, str] = {}
    for column in table.columns:
        short, channel = column[:1], column[1:]
        if column not in names and short in _NEWARENDA_AUX and channel.lstrip("-").isdigit():
            names[column] = _NEWARENDA_AUX[short][0] + channel.replace("-", "_")
            units[names[column]] = _NEWARENDA_AUX[short][1]
    table = table.rename(names, strict=False).with_columns(
        pl.col("Date").dt.epoch("us") / 1e6,
        pl.col("Step Type").cast(pl.String),
        # BTS 9.0 may write discharge as a negative number.
        pl.col("Chg. Cap.", "DChg. Cap.", "Chg. Energy", "DChg. Energy").abs(),
    )
    # BTS 9.0 records carry no cycle; the decoder writes zeros.
    if not table["Cycle Index"].max():
        table = table.drop("Cycle Index")
    return table, units


def to_frame(
    table: pl.DataFrame, units: dict[str, str], *, local_zone: str | None = None
) -> tuple[pl.DataFrame, dict[str, ColumnSource]]:
    """Turn a table under the vendor's names into canonical and ``aux_`` columns.

    Args:
        table: Records in order.
        units: Units of the columns beyond the fixed ones.
        local_zone: Zone of the dates, where the file holds a calendar date instead of seconds since 1970.

    Returns:
        The frame, and for each of its columns the vendor's name and unit.
    """
    table = table.with_columns(cs.by_dtype(pl.Float32).cast(pl.Float64))
    if "Total Time" not in table and {"Step Count", "Time"} <= set(table.columns):
        table = table.with_columns(total_time(table["Step Count"], table["Time"]))
    if local_zone is not None and {"Date", "Total Time"} <= set(table.columns):
        table = table.with_columns(_as_utc(table["Date"], table["Total Time"], local_zone))
    table = table.with_columns(
        *(pl.col(name).round(6) for name in ("Time", "Total Time") if name in table),
        *(pl.col(name).abs() for name in ("Capacity", "Energy") if name in table),
    )
    return to_canonical(table, [*_MAPS, *_sensors(units)], units)


def total_time(step_count: pl.Series, step_time: pl.Series) -> pl.Series:
    """Return the time since the start of the test: the steps so far and the time in this one.

    >>> total_time(pl.Series([1, 1, 2, 2]), pl.Series([0.0, 10.0, 0.0, 5.0])).to_list()
    [0.0, 10.0, 10.0, 15.0]
    """
    import numpy as np

    steps = step_count.fill_null(0).to_numpy()
    times = step_time.to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], steps[1:] != steps[:-1])))[: len(steps)]
    if not len(starts):
        return pl.Series("Total Time", [], dtype=pl.Float64)
    durations = np.nan_to_num(np.fmax.reduceat(times, starts))
    before = np.concatenate(([0.0], np.cumsum(durations)[:-1]))
    records = np.diff(np.append(starts, len(steps)))
    return pl.Series("Total Time", times + np.repeat(before, records))


def step_type_names(codes: pl.Series) -> pl.Series:
    """Write the vendor's step types out; a code that nobody has named yet stays visible as ``Type 99``."""
    from fastnda import step_type_map

    known = {code: step_type_map.get(code, f"Type {code}") for code in codes.unique().drop_nulls().to_list()}
    return codes.replace_strict(known, return_dtype=pl.String) if known else codes.cast(pl.String)


def describe_steps(frame: pl.DataFrame) -> tuple[str | None, TestType | None]:
    """Return the step types that occur, in order of appearance, and the kind of test they make."""
    if "step_type" not in frame:
        return None, None
    kinds = frame["step_type"].drop_nulls().unique(maintain_order=True).to_list()
    if not kinds:
        return None, None
    if "CyclicVoltammetry" in kinds:
        return ", ".join(kinds), "cv"
    return ", ".join(kinds), "ocv" if set(kinds) <= _WITHOUT_CURRENT else "cycling"


def missing_numbers(frame: pl.DataFrame) -> list[str]:
    """Say how many records are missing, where the recorder's numbers leave some out.

    >>> missing_numbers(pl.DataFrame({"record_index": [1, 2, 5]}))
    ['2 records between number 1 and 5 are missing']
    """
    if "record_index" not in frame or not frame.height:
        return []
    first, last = int(frame["record_index"][0]), int(frame["record_index"][-1])
    missing = last - first + 1 - frame.height
    return [f"{missing} records between number {first} and {last} are missing"] if missing > 0 else []


def _sensors(units: Iterable[str]) -> list[Map]:
    """Map temperature channels to sensors in their order; those beyond the last sensor stay ``aux_``."""
    channels = [name for name in units if re.fullmatch(r"T_?\d*", name)]
    return [Map(name, sensor, unit="degC") for name, sensor in zip(channels, columns.SENSOR_TEMPERATURES, strict=False)]


def _as_utc(seconds: pl.Series, test_time: pl.Series, zone: str) -> pl.Series:
    """Read seconds that count local calendar time."""
    clock = (seconds * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
    return local_to_unix(clock, test_time, zone)
