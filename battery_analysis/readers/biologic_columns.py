"""Columns of EC-Lab and BT-Lab and their canonical names, for the text and the binary reader alike.

A column is labelled ``quantity/unit``. What is not in the table below is kept as ``aux_``. Facts that
are not in the label, each seen in files of both kinds:

* ``Ewe`` is the voltage, as in every two-electrode cell; ``Ecell`` and ``Ewe-Ece`` count only where it is absent.
* ``(Q-Qo)`` starts again, from a residue, whenever a linked loop starts the technique again, and may start from
  an offset. ``dq`` is the charge of each interval, so its running sum is the net capacity since the file's start;
  ``(Q-Qo)`` counts, with its restarts joined, only where ``dq`` is absent.
* ``Q charge/discharge``, ``Q charge``, ``Q discharge``, ``Capacity`` start again with every half cycle, for which
  there is no canonical term; ``Energy charge`` and ``Energy discharge`` with every cycle.
* ``step time`` stays 0 in rests and runs from the start of the test in the first half cycle: not a step time.
* ``R`` is the voltage over the current, no internal resistance.
* Binary cycling files leave out the current. EC-Lab's own export then shows ``dq`` over the interval: so do we,
  except at the first record, whose interval is unknown.
* A half cycle is one charge or one discharge; a cycle number is half of an even one, as in EC-Lab's exports.
* Records that are no impedance point hold a frequency of 0.
* Some exports write, instead of each flag, the byte that holds them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.readers.base import ColumnSource
from battery_analysis.readers.mapping import Map, to_canonical

TIME_LABEL = "time/s"
FLAGS = ("mode", "ox/red", "error", "control changes", "Ns changes", "counter inc.")
_MODE_BITS = 0x03
_FLAG_BITS = dict(zip((*FLAGS, "ox"), (_MODE_BITS, 0x04, 0x08, 0x10, 0x20, 0x80, 0x04), strict=True))
MODES = {1: "galvanostatic", 2: "potentiostatic", 3: "rest"}
HOLDING_MODES = {1: "CC", 2: "CV", 3: "Rest"}
"""Modes of techniques that hold a current or a voltage, rather than sweep it."""

_QUANTITIES: tuple[tuple[str, Column, int], ...] = (
    ("time", columns.TEST_TIME, 1),
    ("Ewe", columns.VOLTAGE, 1),
    ("<Ewe>", columns.VOLTAGE, 1),
    ("Ecell", columns.VOLTAGE, 1),
    ("<Ecell>", columns.VOLTAGE, 1),
    ("Ewe-Ece", columns.VOLTAGE, 1),
    ("<Ewe-Ece>", columns.VOLTAGE, 1),
    ("I", columns.CURRENT, 1),
    ("<I>", columns.CURRENT, 1),
    ("P", columns.POWER, 1),
    ("Pwe", columns.POWER, 1),
    ("cycle number", columns.CYCLE_COUNT, 1),
    ("Ns", columns.STEP_ID, 1),
    ("Energy charge", columns.BY_NAME["cycle_charging_energy_wh"], 1),
    ("Energy we charge", columns.BY_NAME["cycle_charging_energy_wh"], 1),
    ("Energy discharge", columns.BY_NAME["cycle_discharging_energy_wh"], 1),
    ("Energy we discharge", columns.BY_NAME["cycle_discharging_energy_wh"], 1),
    ("Rdc", columns.DC_INTERNAL_RESISTANCE, 1),
    ("Rac", columns.AC_INTERNAL_RESISTANCE, 1),
    ("Temperature", columns.AMBIENT_TEMPERATURE, 1),
    ("freq", columns.FREQUENCY, 1),
    ("Re(Z)", columns.REAL_IMPEDANCE, 1),
    ("-Im(Z)", columns.IMAGINARY_IMPEDANCE, -1),
    ("Im(Z)", columns.IMAGINARY_IMPEDANCE, 1),
    ("|Z|", columns.ABSOLUTE_IMPEDANCE, 1),
    ("Phase(Z)", columns.PHASE, 1),
    ("-Phase(Z)", columns.PHASE, -1),
)

_UNITS: dict[str, dict[str, float]] = {
    "": {"": 1.0},
    "s": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0},
    "V": {"V": 1.0, "mV": 1e-3},
    "A": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9},
    "Ah": {"A.h": 1.0, "mA.h": 1e-3, "uA.h": 1e-6, "nA.h": 1e-9, "C": 1 / 3600, "mC": 1 / 3.6e6},
    "W": {"W": 1.0, "mW": 1e-3, "uW": 1e-6},
    "Wh": {"W.h": 1.0, "mW.h": 1e-3, "uW.h": 1e-6},
    "ohm": {"Ohm": 1.0, "mOhm": 1e-3, "kOhm": 1e3, "MOhm": 1e6},
    "Hz": {"Hz": 1.0, "mHz": 1e-3, "kHz": 1e3, "MHz": 1e6},
    "deg": {"deg": 1.0},
    "degC": {"degC": 1.0},
}
_OTHER_UNITS = ("%", "F", "mF", "uF", "nF", "pF", "uF-2", "Ohm-1", "Ohm.cm", "mS/cm", "V/mA")
_KNOWN_UNITS = {unit for scales in _UNITS.values() for unit in scales if unit} | set(_OTHER_UNITS)

_AVERAGED = re.compile(r"<([^<>/]+)/([^<>/]+)>")
_HOLDING = re.compile(r"Galvanostatic Cycling|Battery Capacity|Chrono|Constant (Current|Voltage)")

_NET_CAPACITY = columns.BY_NAME["net_capacity_ah"]
_DISCHARGED_ENERGY = columns.BY_NAME["cycle_discharging_energy_wh"].name
_SPECTRUM = (
    columns.FREQUENCY,
    columns.REAL_IMPEDANCE,
    columns.IMAGINARY_IMPEDANCE,
    columns.ABSOLUTE_IMPEDANCE,
    columns.PHASE,
)


@lru_cache(maxsize=1024)
def split_label(label: str) -> tuple[str, str]:
    """Cut a column label into quantity and unit, spelled in ASCII; a unit that is not known stays in the quantity.

    >>> split_label("Q charge/discharge/mA.h"), split_label("ox/red"), split_label("Cs/µF")
    (('Q charge/discharge', 'mA.h'), ('ox/red', ''), ('Cs', 'uF'))
    >>> split_label("<Ewe/V>")  # as some techniques spell <Ewe>/V
    ('<Ewe>', 'V')
    """
    spelled = label.replace("µ", "u").replace("μ", "u")
    if averaged := _AVERAGED.fullmatch(spelled):
        spelled = f"<{averaged[1]}>/{averaged[2]}"
    if spelled.startswith("Temperature/") and spelled.endswith("C"):  # the degree sign rarely survives
        return "Temperature", "degC"
    for quantity, slash, unit in (_cut(spelled, 2), _cut(spelled, 1)):
        if slash and unit in _KNOWN_UNITS:
            return quantity, unit
    return spelled, ""


def _cut(label: str, parts: int) -> tuple[str, str, str]:
    pieces = label.rsplit("/", parts)
    return pieces[0], "/" if len(pieces) > parts else "", "/".join(pieces[1:])


def to_frame(
    raw: pl.DataFrame,
    technique: str | None,
    *,
    loop_starts: Sequence[int] = (),
    sequence_types: Mapping[int, str] | None = None,
) -> tuple[pl.DataFrame, dict[str, ColumnSource]]:
    """Bring a table under the programs' own labels to canonical and ``aux_`` columns.

    Args:
        raw: The table; all that is to be kept is numeric.
        technique: Name of the technique, which says what its modes mean.
        loop_starts: Positions of the records with which linked loops start the technique again.
        sequence_types: Kind of each sequence (``Ns``), where the header tells; else the mode does.

    Returns:
        The frame, and the vendor's name and unit of each column.
    """
    raw = _with_flags_apart(raw)
    schema = raw.schema
    labels = {split_label(label): label for label in reversed(raw.columns) if schema[label].is_numeric()}
    loop_starts = [start for start in loop_starts if 0 < start < raw.height]
    restarts = pl.int_range(pl.len()).is_in(loop_starts) if loop_starts else pl.lit(False)
    maps = [*_maps(labels), *([] if loop_starts else _counter_maps(labels))]
    derived = [
        *_cycles(labels),
        *_steps(labels, restarts, technique, sequence_types or {}),
        *_net_capacity(labels, restarts),
        *_current(labels),
    ]

    scaled = [entry.source for entry in maps if schema[entry.source] == pl.Float32]
    raw = raw.with_columns(pl.col(scaled).cast(pl.Float64), *_compact_flags(raw))
    frame, sources = to_canonical(raw, maps, {label: split_label(label)[1] for label in raw.columns})
    added = {name: (values, source) for name, values, source in derived if name not in frame.columns}
    frame = frame.hstack(raw.select(values.alias(name) for name, (values, _) in added.items()))
    sources.update((name, source) for name, (_, source) in added.items())
    return _without_fillers(_positive_discharge(frame)), sources


_Derived = tuple[str, pl.Expr, ColumnSource]
_Labels = Mapping[tuple[str, str], str]


def _maps(labels: _Labels) -> list[Map]:
    return [
        Map(label, column, sign * scale, unit)
        for quantity, column, sign in _QUANTITIES
        for unit, scale in _UNITS[column.unit].items()
        if (label := labels.get((quantity, unit)))
    ]


def _counter_maps(labels: _Labels) -> list[Map]:
    """Take ``(Q-Qo)`` as it is where nothing better is there and nothing starts it again."""
    if _charge(labels, "dq"):
        return []
    return [Map(label, _NET_CAPACITY, scale, unit) for label, unit, scale in _charge(labels, "(Q-Qo)")]


def _charge(labels: _Labels, quantity: str) -> list[tuple[str, str, float]]:
    """Find a charge: its label, unit and scale to Ah."""
    found = ((labels.get((quantity, unit)), unit, scale) for unit, scale in _UNITS["Ah"].items())
    return [(label, unit, scale) for label, unit, scale in found if label]


def _compact_flags(raw: pl.DataFrame) -> list[pl.Expr]:
    flags = [raw[flag] for flag in FLAGS if flag in raw.columns]
    wide = [flag for flag in flags if flag.dtype.is_integer() and flag.dtype != pl.UInt8]
    return [pl.col(flag.name).cast(pl.UInt8) for flag in wide if flag.is_between(0, 255).all()]


def _with_flags_apart(raw: pl.DataFrame) -> pl.DataFrame:
    """Part the flags that stand together in one byte, the same under the name of each."""
    if "mode" not in raw.columns or not raw.schema["mode"].is_integer() or (raw["mode"] <= _MODE_BITS).all():
        return raw
    together = [flag for flag in _FLAG_BITS if flag in raw.columns and raw[flag].equals(raw["mode"])]
    bits = {flag: _FLAG_BITS[flag] for flag in together}
    return raw.with_columns((pl.col(flag) & mask) // (mask & -mask) for flag, mask in bits.items())


def _cycles(labels: _Labels) -> list[_Derived]:
    label = labels.get(("half cycle", ""))
    if not label:
        return []
    return [(columns.CYCLE_COUNT.name, pl.col(label).cast(pl.Int64) // 2, ColumnSource(f"{label}, two to a cycle"))]


def _steps(labels: _Labels, restarts: pl.Expr, technique: str | None, kinds: Mapping[int, str]) -> list[_Derived]:
    """Number the steps in order of execution and name their kind, as sequence, mode and loops tell."""
    sequence, mode = labels.get(("Ns", "")), labels.get(("mode", ""))
    told_by = [label for label in (sequence, mode) if label]
    if not told_by:
        return []
    changes = pl.any_horizontal(restarts, *(pl.col(label) != pl.col(label).shift() for label in told_by))
    count = 1 + changes.fill_null(False).cast(pl.Int64).cum_sum()
    steps = [(columns.STEP_COUNT.name, count, ColumnSource(f"changes of {' and '.join(told_by)}"))]
    if sequence and kinds:
        steps.append((columns.STEP_TYPE.name, _in_words(sequence, kinds), ColumnSource(sequence)))
    elif mode:
        words = HOLDING_MODES if _HOLDING.match(technique or "") else MODES
        steps.append((columns.STEP_TYPE.name, _in_words(mode, words), ColumnSource(mode)))
    return steps


def _in_words(label: str, words: Mapping[int, str]) -> pl.Expr:
    # A look-up by position takes a sixth of the time of a replacement.
    by_code = pl.Series([words.get(code) for code in range(max(words) + 1)], dtype=pl.String)
    return pl.lit(by_code).gather(pl.col(label).cast(pl.UInt32, strict=False), null_on_oob=True)


def _net_capacity(labels: _Labels, restarts: pl.Expr) -> list[_Derived]:
    for label, unit, scale in _charge(labels, "dq"):
        return [(_NET_CAPACITY.name, pl.col(label).cum_sum() * scale, ColumnSource(f"running sum of {label}", unit))]
    for label, unit, scale in _charge(labels, "(Q-Qo)"):
        values = pl.col(label)
        fallen = restarts & (values.abs() < values.shift().abs() / 2)
        return [(_NET_CAPACITY.name, _joined(values, fallen) * scale, ColumnSource(f"{label}, restarts joined", unit))]
    for label, unit, scale in _charge(labels, "Q charge/discharge"):
        half_cycle = labels.get(("half cycle", ""))
        values = pl.col(label)
        turned = values * values.shift() < 0
        if half_cycle:
            turned = pl.col(half_cycle) != pl.col(half_cycle).shift()
        return [(_NET_CAPACITY.name, _joined(values, turned) * scale, ColumnSource(f"{label}, restarts joined", unit))]
    return []


def _joined(values: pl.Expr, restarts: pl.Expr) -> pl.Expr:
    """Let a counter go on where it started again from zero."""
    return values + pl.when(restarts).then(values.shift()).otherwise(0.0).fill_null(0.0).cum_sum()


def _current(labels: _Labels) -> list[_Derived]:
    time = labels.get(("time", "s"))
    if not time:
        return []
    for label, unit, scale in _charge(labels, "dq"):
        interval = pl.col(time).diff()
        current = pl.when(interval > 0).then(pl.col(label) * (scale * 3600) / interval)
        return [(columns.CURRENT.name, current, ColumnSource(f"{label} over the interval before", f"{unit}/s"))]
    return []


def _positive_discharge(frame: pl.DataFrame) -> pl.DataFrame:
    """Make discharged energy positive in files of versions that count it below zero."""
    if _DISCHARGED_ENERGY not in frame.columns:
        return frame
    energy = frame[_DISCHARGED_ENERGY]
    return frame.with_columns(-energy) if (energy <= 0).all() and (energy < 0).any() else frame


def _without_fillers(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave the impedance empty where a record is no impedance point."""
    if columns.FREQUENCY.name not in frame.columns:
        return frame
    spectrum = [column.name for column in _SPECTRUM if column.name in frame.columns]
    measured = pl.col(columns.FREQUENCY.name) > 0
    if frame.select(measured.all()).item():
        return frame
    return frame.with_columns(pl.when(measured).then(pl.col(spectrum)).name.keep())
