"""Efficiencies of cycles, and by which convention."""

from __future__ import annotations

from typing import Literal

import polars as pl

EfficiencyConvention = Literal["same_cycle", "previous_charge", "charge_per_discharge"]
"""Discharge / charge of the same cycle, discharge / charge of the cycle before, charge / discharge of the same."""


def efficiency_convention(cycles: pl.DataFrame, cell_type: str | None) -> EfficiencyConvention:
    """Choose the convention from what is known of the cell, never from the shape of the data alone.

    Args:
        cycles: Cycle table; its ``first_direction`` says with what the test starts.
        cell_type: ``full``, ``half_positive``, ``half_negative``, ``symmetric``, or None where nobody said.

    Example:
        >>> started_by_discharge = pl.DataFrame({"first_direction": ["discharge", "discharge"]})
        >>> [efficiency_convention(started_by_discharge, cell) for cell in (None, "full", "half_negative")]
        ['same_cycle', 'previous_charge', 'charge_per_discharge']
    """
    if cell_type == "half_negative":
        return "charge_per_discharge"
    started_by = cycles["first_direction"].drop_nulls().head(1).to_list()
    if cell_type == "full" and started_by == ["discharge"]:
        return "previous_charge"
    return "same_cycle"


def with_efficiencies(cycles: pl.DataFrame, convention: EfficiencyConvention) -> pl.DataFrame:
    """Fill ``coulombic_efficiency``, ``energy_efficiency`` and ``voltage_efficiency`` by a convention.

    A ratio is null where its divisor is zero or unknown, or where the cycle is not complete. Voltage efficiency
    is energy efficiency / coulombic efficiency, the ratio of the mean voltages.

    Args:
        cycles: Cycle table with ``charge_capacity_ah``, ``discharge_capacity_ah``, ``charge_energy_wh``,
            ``discharge_energy_wh`` and ``complete``.
        convention: Which half is divided by which.

    Example:
        2 Ah in at 4 V, 1 Ah out at 3 V:

        >>> cycle = pl.DataFrame({
        ...     "charge_capacity_ah": [2.0], "discharge_capacity_ah": [1.0],
        ...     "charge_energy_wh": [8.0], "discharge_energy_wh": [3.0], "complete": [True],
        ... })
        >>> with_efficiencies(cycle, "same_cycle").row(0)[-3:]
        (0.5, 0.375, 0.75)
    """
    back = 1 if convention == "previous_charge" else 0
    capacity = _ratio("discharge_capacity_ah", "charge_capacity_ah", convention, back)
    energy = _ratio("discharge_energy_wh", "charge_energy_wh", convention, back)
    return cycles.with_columns(
        coulombic_efficiency=capacity, energy_efficiency=energy, voltage_efficiency=_divided(energy, capacity)
    )


def _ratio(discharge: str, charge: str, convention: EfficiencyConvention, back: int) -> pl.Expr:
    out, into = pl.col(discharge), pl.col(charge).shift(back) if back else pl.col(charge)
    ratio = _divided(into, out) if convention == "charge_per_discharge" else _divided(out, into)
    return pl.when(pl.col("complete")).then(ratio)


def _divided(dividend: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    return pl.when(divisor != 0).then(dividend / divisor)
