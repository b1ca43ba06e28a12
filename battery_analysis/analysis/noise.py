"""The noise of a measured voltage, from how its records scatter around their neighbours."""

from __future__ import annotations

import numpy as np

from battery_analysis.analysis.records import FloatArray

FEWEST_RECORDS = 6


def voltage_noise(voltage: FloatArray) -> float | None:
    """Estimate the standard deviation of one reading, in V, whatever the slope; None for fewer than six records.

    Second differences of independent readings have a variance of six times theirs; a bend of the voltage from
    record to record counts as noise.

    >>> voltage_noise(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]))
    0.0
    """
    voltage = voltage[np.isfinite(voltage)]
    if voltage.size < FEWEST_RECORDS:
        return None
    return float(np.sqrt(np.mean(np.diff(voltage, 2) ** 2) / 6))
