"""How much charge a cell holds at each record, relative to where its test began.

The charge is what ``counters`` and ``integration`` say flowed, summed: charging counts positive, discharging negative.
An integral is unknown from the first gap on, since what flowed there is; a counter goes on counting over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from battery_analysis.analysis.cycles import flows_of_runs
from battery_analysis.analysis.integration import gaps
from battery_analysis.analysis.records import FloatArray, Records, has_values
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import CURRENT, TEST_TIME, VOLTAGE
from battery_analysis.errors import AnalysisError


@dataclass(frozen=True)
class Charge:
    """Charge at the end of each record's interval in Ah, NaN where it is unknown, and how it is known."""

    ah: FloatArray
    method: Literal["counter", "integrated"] | None


def net_charge(records: Records) -> Charge:
    """Sum what flowed, record by record.

    Example:
        Two hours at 1 A, then one hour at -1 A:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 7200.0, 10800.0],
        ...     "current_ampere": [1.0, 1.0, -1.0],
        ...     "step_count": [1, 1, 2],
        ... })
        >>> net_charge(Records.of(frame)).ah.tolist()
        [0.0, 2.0, 1.0]
    """
    flows, method = flows_of_runs(records, "capacity", np.arange(records.current.size))
    charge = np.cumsum(flows.charge - flows.discharge)
    if method != "counter" and (lost := gaps(records)).size:
        charge[lost.min() :] = np.nan
    return Charge(charge, method)


def cycling_records(frame: pl.DataFrame, analysis: str) -> Records:
    """Take apart a frame of which an analysis needs time, voltage and current.

    Raises:
        AnalysisError: One of the three is missing or empty, or no current ever flowed.
    """
    for column in (TEST_TIME, VOLTAGE, CURRENT):
        if not has_values(frame, column.name):
            state = "is empty" if column.name in frame.columns else f"not found; the frame has {frame.columns}"
            raise AnalysisError(f"{analysis}: column {column.name} {state}")
    records = Records.of(frame)
    if not records.largest:
        raise AnalysisError(f"{analysis}: current_ampere is zero in {counted(frame.height, 'record')}")
    return records


def known(value: float) -> float | None:
    """Give a number, None for one that is not finite.

    >>> known(1.0), known(float("nan"))
    (1.0, None)
    """
    return float(value) if np.isfinite(value) else None
