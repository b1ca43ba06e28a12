"""The terms of the Battery Data Format, ontology 1.3.0, under every name that files give them.

Names and units: https://w3id.org/battery-data-alliance/ontology/battery-data-format. A column may be called by the
term's machine name (``voltage_volt``), its preferred label (``Voltage / V``), an older or alternative spelling
(``voltage_v``, ``cycle_dimensionless``), or a term that the ontology has replaced (``test_time_millisecond``). Some
producers write a label with another unit (``Current / mA``); the unit then scales the values.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.readers.headings import unit_scale

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "current_ampere": ("current_a",),
    "test_time_second": ("test_time_s",),
    "voltage_volt": ("voltage_v",),
    "ambient_temperature_celsius": ("ambient_temperature_degc",),
    "cycle_count": ("cycle_count_1", "cycle_dimensionless"),
    "step_count": ("step_count_1", "step_dimensionless"),
    "unix_time_second": ("unix_time_s",),
    "ac_internal_resistance_ohm": ("ac_resistance_ohm", "acr"),
    "dc_internal_resistance_ohm": ("dc_resistance_ohm", "dcir"),
    "ambient_pressure_pa": ("ambient_pressure_pascal",),
    "applied_pressure_pa": ("applied_pressure_pascal",),
    "surface_pressure_pa": ("surface_pressure_pascal",),
    "power_watt": ("power_w",),
    "surface_temperature_celsius": ("surface_temperature_degc",),
    "step_record_index": ("step_record_index_1", "step_index", "step_index_1"),
    **{
        f"temperature_t{number}_celsius": (
            f"Surface Temperature T{number} / degC",
            f"surface_temperature_t{number}_celsius",
            f"temperature_t{number}_degc",
        )
        for number in range(1, 6)
    },
    **{
        counter.name: (
            re.sub("_(ah|wh)$", {"Ah": "_ampere_hour", "Wh": "_watt_hour"}[counter.unit], counter.name),
            *(
                (counter.name.replace("charging", "charge"),)
                if counter.reset in ("step", "cycle") and counter.direction in ("charging", "discharging")
                else ()
            ),
        )
        for counter in columns.COUNTERS
    },
}
"""Alternative names of each term; ``charge`` for ``charging`` only where a counter is reset by step or cycle."""

REPLACED: dict[str, tuple[str, float]] = {
    "test_time_millisecond": ("test_time_second", 1e-3),
    "test_time_ms": ("test_time_second", 1e-3),
    "unix_time_millisecond": ("unix_time_second", 1e-3),
    "unix_time_ms": ("unix_time_second", 1e-3),
    "date_time_millisecond": ("unix_time_second", 1e-3),
    "step_capacity_ah": ("step_cumulative_capacity_ah", 1.0),
    "step_capacity_ampere_hour": ("step_cumulative_capacity_ah", 1.0),
    "step_energy_wh": ("step_cumulative_energy_wh", 1.0),
    "step_energy_watt_hour": ("step_cumulative_energy_wh", 1.0),
}
"""Terms that were replaced: their successor, and by what their values are multiplied.

``date_time_millisecond`` is older than the ontology and stands in published files.
"""

LABELS_WITHOUT_UNIT = {"step_id": "Step ID", "step_type": "Step Type"}

_UPPER = {"ac": "AC", "dc": "DC", "id": "ID", **{f"t{number}": f"T{number}" for number in range(1, 6)}}
_UNIT_WORDS = {"second", "volt", "ampere", "celsius", "ohm", "watt", "hertz", "degree", "pa", "ah", "wh"}
_OWN = {column.name for column in columns.DERIVED}  # of this project, not of the ontology
_LABEL = re.compile(r"(?P<name>[^/]+?) / (?P<unit>\S+)")
_KELVIN = {"k", "kelvin"}


class Term(NamedTuple):
    """What a file's column means: canonical value = value * ``scale`` + ``offset``."""

    column: Column
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    """The unit in the file."""


def preferred_label(name: str) -> str:
    """Return the preferred label of a term.

    >>> preferred_label("ac_internal_resistance_ohm"), preferred_label("step_count"), preferred_label("step_id")
    ('AC Internal Resistance / ohm', 'Step Count / 1', 'Step ID')
    """
    if name in LABELS_WITHOUT_UNIT:
        return LABELS_WITHOUT_UNIT[name]
    words = name.split("_")
    if words[-1] in _UNIT_WORDS:
        words.pop()
    spelled = " ".join(_UPPER.get(word, word.capitalize()) for word in words)
    return f"{spelled} / {BY_NAME[name].unit or '1'}"


TERMS: dict[str, Term] = {
    called: Term(column, unit=column.unit)
    for column in columns.CANONICAL
    if column.name not in _OWN
    for called in (column.name, preferred_label(column.name), *OTHER_NAMES.get(column.name, ()))
}
TERMS |= {name: Term(BY_NAME[new], scale, unit="ms" if scale < 1 else "") for name, (new, scale) in REPLACED.items()}
TERMS |= {"Test Time / ms": TERMS["test_time_ms"], "Unix Time / ms": TERMS["unix_time_ms"]}
TERMS |= {
    "Step Capacity / Ah": TERMS["step_capacity_ah"],
    "Step Energy / Wh": TERMS["step_energy_wh"],
    "Step Index / 1": TERMS["step_index"],
    **{f"{label} / 1": TERMS[label] for label in LABELS_WITHOUT_UNIT.values()},
}
_BY_LABEL: dict[str, Column] = {
    label.partition(" / ")[0].lower(): term.column for label, term in TERMS.items() if " / " in label
}


def term_of(name: str) -> Term | None:
    """Return what a column is in the Battery Data Format, None where it is nothing of it.

    >>> term = term_of("Current / mA")
    >>> term.column.name, term.scale, term_of("Test Time (s)")
    ('current_ampere', 0.001, None)
    """
    name = " ".join(name.split())
    if term := TERMS.get(name) or TERMS.get(name.lower()):
        return term
    label = _LABEL.fullmatch(name)
    column = _BY_LABEL.get(label["name"].lower()) if label else None
    if label is None or column is None:
        return None
    if column.unit == "degC" and label["unit"].lower() in _KELVIN:
        return Term(column, 1.0, -273.15, label["unit"])
    scale = unit_scale(label["unit"], column) if column.unit else None
    return Term(column, scale, 0.0, label["unit"]) if scale is not None else None
