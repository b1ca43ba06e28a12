"""The same charge as other testers count it: on from step to step, or from zero in every cycle."""

from __future__ import annotations

import numpy as np
import polars as pl

from examples.cell_model import Array

CHARGING_CAPACITY = "step_charging_capacity_ah"
DISCHARGING_CAPACITY = "step_discharging_capacity_ah"
CHARGING_ENERGY = "step_charging_energy_wh"
DISCHARGING_ENERGY = "step_discharging_energy_wh"


def since_start(records: pl.DataFrame, counter: str) -> Array:
    """Turn a counter that every step resets into one that nothing resets.

    Args:
        records: ``step_count`` 1, 2, 3, … without gaps, and the counter.
        counter: One of this module's names.

    >>> frame = pl.DataFrame({"step_count": [1, 1, 2, 2], CHARGING_CAPACITY: [0.0, 1.0, 0.0, 2.0]})
    >>> since_start(frame, CHARGING_CAPACITY).tolist()
    [0.0, 1.0, 1.0, 3.0]
    """
    steps = records["step_count"].to_numpy()
    return np.asarray(records[counter].to_numpy() + _before_step(records, counter)[steps - 1])


def since_cycle(records: pl.DataFrame, counter: str) -> Array:
    """Turn a counter that every step resets into one that every new ``cycle_count`` resets.

    >>> frame = pl.DataFrame(
    ...     {"cycle_count": [1, 1, 1, 2], "step_count": [1, 2, 2, 3], CHARGING_CAPACITY: [1.0, 0.0, 2.0, 4.0]}
    ... )
    >>> since_cycle(frame, CHARGING_CAPACITY).tolist()
    [1.0, 1.0, 3.0, 4.0]
    """
    first_step = records.select(pl.col("step_count").first().over("cycle_count")).to_series().to_numpy()
    return np.asarray(since_start(records, counter) - _before_step(records, counter)[first_step - 1])


def _before_step(records: pl.DataFrame, counter: str) -> Array:
    at_end = records.group_by("step_count", maintain_order=True).agg(pl.last(counter))[counter].to_numpy()
    return np.concatenate(([0.0], np.cumsum(at_end)[:-1]))
