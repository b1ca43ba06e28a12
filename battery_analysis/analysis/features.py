"""Numbers that describe the life of a cell, from its cycle table: what cells are compared by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from battery_analysis.analysis.records import FloatArray

CELL = "cell"
FEWEST_FOR_SLOPE = 5


def cell_features(cycles: pl.DataFrame) -> dict[str, float | None]:
    """Reduce a cycle table to numbers by which cells can be compared; complete cycles count.

    Returns:
        ``initial_capacity_ah`` and ``capacity_retention`` (first and last cycle), ``fade_per_cycle`` (least-squares
        slope of the discharge capacity over the initial one, positive where it fades), mean ``coulombic_efficiency``
        and ``energy_efficiency``, ``mean_discharge_voltage_volt``, ``discharge_voltage_slope_volt_per_cycle``,
        ``cv_share`` (of the charge capacity), ``internal_resistance_ohm`` (median) and ``resistance_growth`` (last
        over first). None where the table does not tell, or fewer than five cycles do for a slope.

    Example:
        >>> cycles = pl.DataFrame({"complete": [True] * 5, "discharge_capacity_ah": [2.0, 1.98, 1.96, 1.94, 1.92]})
        >>> features = cell_features(cycles)
        >>> round(features["capacity_retention"], 3), round(features["fade_per_cycle"], 3), features["cv_share"]
        (0.96, 0.01, None)
    """
    if "complete" in cycles.columns:
        cycles = cycles.filter(pl.col("complete"))
    capacity, voltage = _known(cycles, "discharge_capacity_ah"), _known(cycles, "mean_discharge_voltage_volt")
    resistance = _known(cycles, "internal_resistance_ohm")
    initial = float(capacity[0]) if capacity.size else None
    slope = _slope(capacity)
    held, charged = _known(cycles, "cv_charge_capacity_ah"), _known(cycles, "charge_capacity_ah")
    return {
        "initial_capacity_ah": initial,
        "capacity_retention": float(capacity[-1]) / initial if initial else None,
        "fade_per_cycle": -slope / initial if slope is not None and initial else None,
        "coulombic_efficiency": _mean(_known(cycles, "coulombic_efficiency")),
        "energy_efficiency": _mean(_known(cycles, "energy_efficiency")),
        "mean_discharge_voltage_volt": _mean(voltage),
        "discharge_voltage_slope_volt_per_cycle": _slope(voltage),
        "cv_share": float(held.sum() / charged.sum()) if held.size and charged.sum() > 0 else None,
        "internal_resistance_ohm": float(np.median(resistance)) if resistance.size else None,
        "resistance_growth": float(resistance[-1] / resistance[0]) if resistance.size > 1 and resistance[0] else None,
    }


def feature_table(cells: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Make the table of features of several cells from their cycle tables.

    >>> feature_table({"AB12": pl.DataFrame({"discharge_capacity_ah": [2.0, 1.8]})})["capacity_retention"].to_list()
    [0.9]
    """
    rows = [{CELL: name, **cell_features(cycles)} for name, cycles in cells.items()]
    return pl.DataFrame(rows, schema={CELL: pl.String, **dict.fromkeys(cell_features(pl.DataFrame()), pl.Float64)})


def _known(cycles: pl.DataFrame, name: str) -> FloatArray:
    if name not in cycles.columns:
        return np.empty(0)
    values = cycles[name].cast(pl.Float64).drop_nulls().to_numpy()
    finite: FloatArray = values[np.isfinite(values)]
    return finite


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size else None


def _slope(values: FloatArray) -> float | None:
    """Least-squares slope per cycle."""
    if values.size < FEWEST_FOR_SLOPE:
        return None
    place = np.arange(values.size) - (values.size - 1) / 2
    return float(np.sum(place * (values - values.mean())) / np.sum(place**2))
