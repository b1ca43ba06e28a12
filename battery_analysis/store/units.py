"""Units that stand in the names of fields."""

from __future__ import annotations

_UNITS = {
    "mg_cm2": "mg/cm2",
    **{unit: unit for unit in ("cm2", "cm3", "um", "ul", "mg", "g")},
    **{"ah": "Ah", "wh": "Wh", "second": "s", "gram": "g", "celsius": "degC"},
}


def unit_of(name: str) -> str:
    """Return the unit that stands in a field's name.

    >>> unit_of("loading_mg_cm2"), unit_of("throughput_wh"), unit_of("protocol")
    ('mg/cm2', 'Wh', '')
    """
    return next((unit for ending, unit in _UNITS.items() if name.endswith(f"_{ending}")), "")


def spelled(name: str) -> str:
    """Write a field's name for people, its unit behind a stroke, in brackets if it is made of several.

    >>> spelled("loading_mg_cm2"), spelled("cell_type")
    ('loading / (mg/cm2)', 'cell type')
    """
    ending = next((each for each in _UNITS if name.endswith(f"_{each}")), None)
    if ending is None:
        return name.replace("_", " ")
    unit = f"({_UNITS[ending]})" if "/" in _UNITS[ending] else _UNITS[ending]
    return f"{name.removesuffix(f'_{ending}').replace('_', ' ')} / {unit}"
