"""What was measured, per area, mass and volume: numbers that cells of different size can be compared by.

Every number names its unit and its formula. One that cannot be known is None and says what is missing: a property of
the sample, or the measurement itself. Areal resistance is resistance x area: the larger the cell, the smaller its
resistance. Resistivity further divides by the thickness of the electrode and is a property of the whole stack through
which the current flows, not of one material.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite

MEASURED = {
    "capacity_ah": "discharge capacity",
    "energy_wh": "discharge energy",
    "internal_resistance_ohm": "internal resistance as the tester reports it",
    "ohmic_resistance_ohm": "ohmic resistance from an impedance spectrum",
    "high_frequency_impedance_ohm": "real part of an impedance spectrum at its highest frequency",
}


@dataclass(frozen=True)
class Formula:
    """How a number follows from one that was measured and from properties of the sample."""

    name: str
    unit: str
    text: str
    measured: str
    properties: tuple[str, ...]
    compute: Callable[..., float]


FORMULAS: tuple[Formula, ...] = (
    Formula(
        "areal_capacity_mah_cm2",
        "mAh/cm2",
        "1000 * capacity_ah / area_cm2",
        "capacity_ah",
        ("area_cm2",),
        lambda capacity, area: 1e3 * capacity / area,
    ),
    Formula(
        "specific_capacity_mah_g",
        "mAh/g",
        "1000 * capacity_ah / (active_mass_mg / 1000)",
        "capacity_ah",
        ("active_mass_mg",),
        lambda capacity, mass: 1e6 * capacity / mass,
    ),
    Formula(
        "volumetric_capacity_mah_cm3",
        "mAh/cm3",
        "1000 * capacity_ah / volume_cm3",
        "capacity_ah",
        ("volume_cm3",),
        lambda capacity, volume: 1e3 * capacity / volume,
    ),
    Formula(
        "areal_energy_mwh_cm2",
        "mWh/cm2",
        "1000 * energy_wh / area_cm2",
        "energy_wh",
        ("area_cm2",),
        lambda energy, area: 1e3 * energy / area,
    ),
    Formula(
        "specific_energy_wh_kg",
        "Wh/kg",
        "energy_wh / (active_mass_mg / 1e6)",
        "energy_wh",
        ("active_mass_mg",),
        lambda energy, mass: 1e6 * energy / mass,
    ),
    Formula(
        "sample_specific_energy_wh_kg",
        "Wh/kg",
        "energy_wh / (mass_g / 1000)",
        "energy_wh",
        ("mass_g",),
        lambda energy, mass: 1e3 * energy / mass,
    ),
    Formula(
        "volumetric_energy_wh_l",
        "Wh/L",
        "1000 * energy_wh / volume_cm3",
        "energy_wh",
        ("volume_cm3",),
        lambda energy, volume: 1e3 * energy / volume,
    ),
    Formula(
        "areal_resistance_ohm_cm2",
        "Ohm cm2",
        "internal_resistance_ohm * area_cm2",
        "internal_resistance_ohm",
        ("area_cm2",),
        lambda resistance, area: resistance * area,
    ),
    Formula(
        "resistivity_ohm_cm",
        "Ohm cm",
        "internal_resistance_ohm * area_cm2 / (thickness_um / 1e4)",
        "internal_resistance_ohm",
        ("area_cm2", "thickness_um"),
        lambda resistance, area, thickness: 1e4 * resistance * area / thickness,
    ),
    Formula(
        "areal_ohmic_resistance_ohm_cm2",
        "Ohm cm2",
        "ohmic_resistance_ohm * area_cm2",
        "ohmic_resistance_ohm",
        ("area_cm2",),
        lambda resistance, area: resistance * area,
    ),
    Formula(
        "ohmic_resistivity_ohm_cm",
        "Ohm cm",
        "ohmic_resistance_ohm * area_cm2 / (thickness_um / 1e4)",
        "ohmic_resistance_ohm",
        ("area_cm2", "thickness_um"),
        lambda resistance, area, thickness: 1e4 * resistance * area / thickness,
    ),
    Formula(
        "areal_impedance_ohm_cm2",
        "Ohm cm2",
        "high_frequency_impedance_ohm * area_cm2",
        "high_frequency_impedance_ohm",
        ("area_cm2",),
        lambda resistance, area: resistance * area,
    ),
    Formula(
        "impedance_resistivity_ohm_cm",
        "Ohm cm",
        "high_frequency_impedance_ohm * area_cm2 / (thickness_um / 1e4)",
        "high_frequency_impedance_ohm",
        ("area_cm2", "thickness_um"),
        lambda resistance, area, thickness: 1e4 * resistance * area / thickness,
    ),
)


@dataclass(frozen=True)
class Measured:
    """What was measured of a cell, in Ah, Wh and ohm; ``reasons`` say why something was not, by field."""

    capacity_ah: float | None = None
    energy_wh: float | None = None
    internal_resistance_ohm: float | None = None
    ohmic_resistance_ohm: float | None = None
    high_frequency_impedance_ohm: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Properties:
    """What a sample is, as far as somebody said; ``sources`` say where a value came from, by field."""

    area_cm2: float | None = None
    thickness_um: float | None = None
    volume_cm3: float | None = None
    mass_g: float | None = None
    active_mass_mg: float | None = None
    loading_mg_cm2: float | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Normalised:
    """One number with its unit and formula; without a value, ``missing`` says what keeps it from being known."""

    name: str
    value: float | None
    unit: str
    formula: str
    missing: str | None = None


def completed(properties: Properties) -> Properties:
    """Fill area and active mass where each follows from the other and the loading, and say so.

    Example:
        >>> found = completed(Properties(area_cm2=2.0, loading_mg_cm2=5.0))
        >>> found.active_mass_mg, found.sources["active_mass_mg"]
        (10.0, 'loading_mg_cm2 * area_cm2')
    """
    area, mass, loading = properties.area_cm2, properties.active_mass_mg, properties.loading_mg_cm2
    sources = dict(properties.sources)
    if mass is None and area and loading:
        sources["active_mass_mg"] = "loading_mg_cm2 * area_cm2"
        return replace(properties, active_mass_mg=loading * area, sources=sources)
    if area is None and mass and loading:
        sources["area_cm2"] = "active_mass_mg / loading_mg_cm2"
        return replace(properties, area_cm2=mass / loading, sources=sources)
    return properties


def normalise(measured: Measured, properties: Properties) -> list[Normalised]:
    """Relate what was measured to the size of the sample.

    Args:
        measured: Of one cycle, or one spectrum, of the sample.
        properties: Of the sample; one that is zero is as good as missing.

    Returns:
        One entry for each of ``FORMULAS``, in their order.

    Example:
        3 mAh on 2 cm2; the mass is not known:

        >>> found = normalise(Measured(capacity_ah=0.003), Properties(area_cm2=2.0))
        >>> [(each.value, each.unit, each.missing) for each in found[:2]]
        [(1.5, 'mAh/cm2', None), (None, 'mAh/g', 'active_mass_mg of the sample is not known')]
    """
    return [_computed(formula, measured, completed(properties)) for formula in FORMULAS]


def _computed(formula: Formula, measured: Measured, properties: Properties) -> Normalised:
    amount = getattr(measured, formula.measured)
    sizes = {name: getattr(properties, name) for name in formula.properties}
    sources = [f"{name} = {properties.sources[name]}" for name in sizes if name in properties.sources]
    text = "; ".join([formula.text, *sources])
    lacks = []
    if amount is None or not isfinite(amount):
        lacks.append(measured.reasons.get(formula.measured) or f"{MEASURED[formula.measured]} is not known")
    for name, size in sizes.items():
        if not size:
            lacks.append(f"{name} of the sample is {'not known' if size is None else 'zero'}")
    if lacks:
        return Normalised(formula.name, None, formula.unit, text, "; ".join(lacks))
    return Normalised(formula.name, formula.compute(amount, *sizes.values()), formula.unit, text)
