"""What lives are compared by: groups of like ones, means with spread, and numbers that sum a life up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from battery_analysis.analysis.correlations import correlations
from battery_analysis.analysis.features import cell_features
from battery_analysis.analysis.summary import CYCLE_LIFE_FRACTION, cycle_life_below
from battery_analysis.errors import AnalysisError
from dashboard.quantities import Choice, points

if TYPE_CHECKING:
    from dashboard.data.lives import Life

EACH = ""
ALL = "all"
UNKNOWN = "not known"

SPREADS = {"deviation": "Standard deviation", "range": "Smallest to largest", "quartiles": "Quartiles"}

PLACES = 200
"""Along an axis that is no count, means are taken at so many places."""

FEATURES: Mapping[str, tuple[str, str, float]] = {
    "capacity_retention": ("Capacity retention", "%", 100),
    "initial_capacity_ah": ("Initial capacity", "Ah", 1),
    "fade_per_cycle": ("Fade per cycle", "%", 100),
    "cycle_life": ("Cycles to 80 %", "", 1),
    "cycles": ("Cycles", "", 1),
    "mean_coulombic_efficiency": ("Mean coulombic efficiency", "%", 100),
    "mean_energy_efficiency": ("Mean energy efficiency", "%", 100),
    "mean_discharge_voltage_volt": ("Mean discharge voltage", "V", 1),
    "discharge_voltage_slope_volt_per_cycle": ("Discharge voltage per cycle", "mV", 1e3),
    "cv_share": ("Constant-voltage share of the charge", "%", 100),
    "median_internal_resistance_ohm": ("Median internal resistance", "Ω", 1),
    "resistance_growth": ("Resistance, last to first", "%", 100),
}
"""Title, unit and factor of the numbers that ``summed_up`` gives; see ``analysis.features.cell_features``."""

_TRAITS = {
    "parent": "Made from",
    "test_type": "Type of test",
    "cell_type": "Type of cell",
    "temperature_celsius": "Temperature / °C",
    "nominal_capacity_ah": "Nominal capacity / Ah",
    "area_cm2": "Electrode area / cm²",
    "thickness_um": "Electrode thickness / µm",
    "volume_cm3": "Volume / cm³",
    "mass_g": "Mass / g",
    "active_mass_mg": "Active mass / mg",
    "loading_mg_cm2": "Loading / mg/cm²",
}


def trait_titles(lives: Sequence[Life]) -> dict[str, str]:
    """Return what is known of at least one of these lives: titles by name."""
    names = dict.fromkeys(name for life in lives for name in life.traits)
    return {name: _TRAITS.get(name) or name.replace("_", " ").capitalize() for name in names}


def grouped(lives: Sequence[Life], by: str) -> list[str]:
    """Return the group of each life: its own, one for all, or what a trait says."""
    if by == EACH:
        return [life.name for life in lives]
    if by == ALL:
        return ["all"] * len(lives)
    return [_said(life.traits.get(by)) for life in lives]


def _said(trait: str | float | None) -> str:
    if trait is None:
        return UNKNOWN
    return trait if isinstance(trait, str) else f"{trait:g}"


def in_order(names: Sequence[str]) -> list[str]:
    """Return different names in order: numbers by what they count, texts by their letters, the unknown last.

    >>> in_order(["10", "2", "not known", "2"])
    ['2', '10', 'not known']
    """

    def key(name: str) -> tuple[bool, float, str]:
        try:
            return name == UNKNOWN, float(name), name
        except ValueError:
            return name == UNKNOWN, float("inf"), name

    return sorted(set(names), key=key)


def drawn(lives: Sequence[Life], choice: Choice, *, incomplete: bool) -> tuple[dict[int, pl.DataFrame], list[str]]:
    """Return the points of each life by its place, and why some have none."""
    found, reasons = {}, []
    for place, life in enumerate(lives):
        try:
            found[place] = points(life, choice, incomplete=incomplete)
        except AnalysisError as exc:
            reasons.append(str(exc))
    return found, reasons


def mean_with_spread(parts: Sequence[pl.DataFrame], spread: str, *, counts: bool) -> pl.DataFrame:
    """Return the mean of several lines, and how far they spread around it.

    Args:
        parts: Each with ``x`` and ``y``.
        spread: One of ``SPREADS``; the standard deviation is that of a sample (over n - 1).
        counts: Whether ``x`` counts, as cycles do, so that lines meet at the same places. Otherwise each is taken to
            be straight between its points, and to be nothing before its first and after its last.

    Returns:
        ``x``, ``mean``, ``low``, ``high`` and ``n``, the number of lines that reach so far.

    Example:
        >>> one, other = pl.DataFrame({"x": [1, 2], "y": [1.0, 2.0]}), pl.DataFrame({"x": [1], "y": [3.0]})
        >>> mean_with_spread([one, other], "range", counts=True).rows()
        [(1, 2.0, 1.0, 3.0, 2), (2, 2.0, 2.0, 2.0, 1)]
    """
    lines = [part.select("x", "y") for part in parts] if counts else _at_same_places(parts)
    y, by = pl.col("y"), pl.concat(lines).group_by("x")
    low, high = {
        "range": (y.min(), y.max()),
        "quartiles": (y.quantile(0.25, "linear"), y.quantile(0.75, "linear")),
        "deviation": (y.mean() - y.std().fill_null(0.0), y.mean() + y.std().fill_null(0.0)),
    }[spread]
    found = by.agg(y.mean().alias("mean"), low.alias("low"), high.alias("high"), y.len().cast(pl.Int64).alias("n"))
    return found.sort("x")


def _at_same_places(parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    parts = [part.sort("x") for part in parts]  # tests of a cell may have run at the same time
    ends = [float(each) for part in parts for each in (part["x"][0], part["x"][-1])]
    places = np.linspace(min(ends), max(ends), PLACES)
    lines = []
    for part in parts:
        x, y = part["x"].to_numpy(), part["y"].to_numpy()
        within = places[(places >= x[0]) & (places <= x[-1])]
        lines.append(pl.DataFrame({"x": within, "y": np.interp(within, x, y)}))
    return lines


def summed_up(life: Life) -> dict[str, float | None]:
    """Return the numbers of ``FEATURES`` for a life, in SI units and ratios."""
    features = cell_features(life.cycles)
    complete = life.cycles.filter(pl.col("complete").fill_null(False))
    initial = features["initial_capacity_ah"]
    reached = cycle_life_below(complete, CYCLE_LIFE_FRACTION * initial) if initial else None
    return {**features, "cycle_life": reached, "cycles": float(life.cycles.height)}


def shown(feature: str, value: float | None) -> float | None:
    """Return a number of ``summed_up`` in the unit of ``FEATURES``."""
    return None if value is None else value * FEATURES[feature][2]


def title_of(feature: str) -> str:
    """Return the title of a number of ``FEATURES`` with its unit."""
    title, unit, _ = FEATURES[feature]
    return f"{title} / {unit}" if unit else title


def retention(life: Life, cycles: Sequence[int], reference: int | None = None) -> dict[int, float | None]:
    """Return the share of the discharge capacity that is left at some cycles, as a ratio.

    Args:
        life: The cell or test.
        cycles: Numbers of cycles; a cycle that it has not completed has none.
        reference: The cycle that counts as 1, the first complete one without.
    """
    try:
        found = points(life, Choice(by="first", reference=reference), incomplete=False)
    except AnalysisError:
        return dict.fromkeys(cycles)
    known = dict(found.select("cycle_count", pl.col("y") / 100).iter_rows())
    return {cycle: known.get(cycle) for cycle in cycles}


def table_of_numbers(lives: Sequence[Life]) -> pl.DataFrame:
    """Return a row for each life with all numbers that can go together: ``FEATURES`` and numeric traits, by title."""
    titles = trait_titles(lives)
    numeric = [name for name in titles if any(isinstance(life.traits.get(name), float) for life in lives)]
    rows = []
    for life in lives:
        of_life: dict[str, Any] = {title_of(name): shown(name, each) for name, each in summed_up(life).items()}
        for name in numeric:
            each = life.traits.get(name)
            of_life[titles[name]] = each if isinstance(each, float) else None
        rows.append(of_life)
    names = [*map(title_of, FEATURES), *(titles[name] for name in numeric)]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64))


def matrix(table: pl.DataFrame, measure: str) -> tuple[list[str], list[list[float | None]]]:
    """Correlate every column of numbers with every other.

    Args:
        table: A row for each life.
        measure: ``pearson_r`` or ``spearman_rho``.

    Returns:
        The names of the columns that go with any other, and a square of numbers; null where too few lives have both.

    Example:
        >>> numbers = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [4.0, 3.0, 2.0, 1.0], "c": [1.0] * 4})
        >>> names, square = matrix(numbers, "pearson_r")
        >>> names, [[round(each, 6) for each in row] for row in square]
        (['a', 'b'], [[1.0, -1.0], [-1.0, 1.0]])
    """
    pairs: dict[tuple[str, str], float | None] = {}
    for place, name in enumerate(table.columns):
        rest = table.columns[place + 1 :]
        for row in correlations(table, [name], rest).iter_rows(named=True) if rest else ():
            pairs[name, row["result"]] = pairs[row["result"], name] = row[measure]
    names = [name for name in table.columns if any(pairs.get((name, other)) is not None for other in table.columns)]
    return names, [[1.0 if one == other else pairs[one, other] for other in names] for one in names]
