"""Numbers that describe the life of a cell, from its cycle table: what cells are compared by.

What has the name of a quantity of ``summary.TestSummary`` is defined as there: over complete cycles, formation and
check-ups among them. Slopes per cycle are over those that age the cell (``checkups.ageing_cycles``) alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from battery_analysis.analysis.checkups import NEEDED, ageing_cycles
from battery_analysis.analysis.records import FloatArray
from battery_analysis.errors import AnalysisError

CELL = "cell"
FEWEST_FOR_SLOPE = 5


def cell_features(cycles: pl.DataFrame) -> dict[str, float | None]:
    """Reduce a cycle table to numbers by which cells can be compared; complete cycles count.

    Returns:
        ``initial_capacity_ah`` and ``capacity_retention`` (first and last cycle), ``fade_per_cycle`` (least-squares
        slope of the discharge capacity over that of the first ageing cycle, positive where it fades),
        ``mean_coulombic_efficiency`` and ``mean_energy_efficiency``, ``mean_discharge_voltage_volt``,
        ``discharge_voltage_slope_volt_per_cycle``, ``cv_share`` (of the charge capacity),
        ``median_internal_resistance_ohm`` and ``resistance_growth`` (last over first). None where the table does not
        tell, or fewer than five cycles do for a slope, or their rates are too different for one.

    Example:
        >>> cycles = pl.DataFrame({"complete": [True] * 5, "discharge_capacity_ah": [2.0, 1.98, 1.96, 1.94, 1.92]})
        >>> features = cell_features(cycles)
        >>> round(features["capacity_retention"], 3), round(features["fade_per_cycle"], 3), features["cv_share"]
        (0.96, 0.01, None)
    """
    measured = _known(cycles, "internal_resistance_ohm")
    if "complete" in cycles.columns:
        cycles = cycles.filter(pl.col("complete"))
    ageing = _ageing(cycles)
    capacity, aged = _known(cycles, "discharge_capacity_ah"), _known(ageing, "discharge_capacity_ah")
    resistance = _known(cycles, "internal_resistance_ohm")
    initial = float(capacity[0]) if capacity.size else None
    slope = _slope(ageing, "discharge_capacity_ah")
    held, charged = _known(cycles, "cv_charge_capacity_ah"), _known(cycles, "charge_capacity_ah")
    return {
        "initial_capacity_ah": initial,
        "capacity_retention": float(capacity[-1]) / initial if initial else None,
        "fade_per_cycle": -slope / float(aged[0]) if slope is not None and aged[0] else None,
        "mean_coulombic_efficiency": _mean(_known(cycles, "coulombic_efficiency")),
        "mean_energy_efficiency": _mean(_known(cycles, "energy_efficiency")),
        "mean_discharge_voltage_volt": _mean(_known(cycles, "mean_discharge_voltage_volt")),
        "discharge_voltage_slope_volt_per_cycle": _slope(ageing, "mean_discharge_voltage_volt"),
        "cv_share": float(held.sum() / charged.sum()) if held.size and charged.sum() > 0 else None,
        "median_internal_resistance_ohm": float(np.median(measured)) if measured.size else None,
        "resistance_growth": float(resistance[-1] / resistance[0]) if resistance.size > 1 and resistance[0] else None,
    }


def _ageing(cycles: pl.DataFrame) -> pl.DataFrame:
    """Cycles at the usual rate; none where there is no such rate, all where the table does not tell."""
    if not set(NEEDED) <= set(cycles.columns):
        return cycles
    try:
        return ageing_cycles(cycles).cycles
    except AnalysisError:
        return cycles.clear()


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


def _slope(cycles: pl.DataFrame, name: str) -> float | None:
    """Least-squares slope over the numbers of the cycles, or over their places where they have none."""
    if name not in cycles.columns:
        return None
    known = cycles.filter(pl.col(name).cast(pl.Float64).is_finite())
    if known.height < FEWEST_FOR_SLOPE:
        return None
    number = known["cycle_count"] if "cycle_count" in known.columns else pl.int_range(known.height, eager=True)
    away = number.cast(pl.Float64).to_numpy() - float(np.mean(number.to_numpy()))
    values = _known(known, name)
    if not away.any():
        return None
    return float(np.sum(away * (values - values.mean())) / np.sum(away**2))
