"""What a Maccor export does not say about its columns, but its other columns tell.

Units: numbers of ``TestTime`` carry none, and are minutes as a rule; the clock stamps beside them, or the charge that
current and time make, say it for certain. ``Volts`` holds mV in exports scaled to mA and mAh; energy divided by
charge is the voltage. Resets: capacity and energy begin from zero at each step, at each half cycle, or never.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

MINUTE = 60.0
TIME_SCALES = {1.0: "s", MINUTE: "min", 3600.0: "h"}

MILLI_VOLTS_ABOVE = 100.0
"""A voltage in an export scaled to mA, where nothing but its size tells that it is in mV."""

_SAMPLES = 2_000
_SURE_FACTOR = 2.0
_LEAST_CELL_VOLT = 0.1


def time_scale(
    time: pl.Series, clock: pl.Series | None, current: pl.Series | None, capacity: pl.Series | None
) -> float | None:
    """Find out of how many seconds a unit of time is.

    Args:
        time: Test time in the unknown unit.
        clock: Seconds since 1970.
        current: Magnitude, in A.
        capacity: A counter in Ah that grows with the current.

    Returns:
        One of ``TIME_SCALES``; None where neither clock nor capacity tells.

    >>> time_scale(pl.Series([0.0, 1.0, 2.0]), pl.Series([100.0, 160.0, 220.0]), pl.Series([0.0] * 3), None)
    60.0
    """
    passed = _differences(time.head(_SAMPLES))
    if clock is not None and (scale := _nearest(_differences(clock.head(_SAMPLES)), passed)):
        return scale
    if capacity is None or current is None:
        return None
    charge = 3600.0 * _differences(capacity)
    flowed = _differences(time) * np.abs(_numbers(current)[1:])
    return _nearest(charge, flowed)


def voltage_scale(
    voltage: pl.Series, capacity: pl.Series | None, energy: pl.Series | None, milli: bool
) -> tuple[float, str | None]:
    """Find out whether a voltage without a unit is in V or mV.

    Args:
        voltage: Its numbers.
        capacity: A counter in Ah.
        energy: The counter in Wh beside it.
        milli: Whether the export's other columns are in mA and mAh.

    Returns:
        What to multiply the voltage by, and what has to be said about it.

    >>> voltage_scale(pl.Series([3700.0, 3700.0]), pl.Series([0.0, 1.0]), pl.Series([0.0, 3.7]), milli=True)[0]
    0.001
    """
    shown = np.abs(_numbers(voltage))
    if capacity is not None and energy is not None:
        charge, work = _differences(capacity), _differences(energy)
        grew = (charge > 0) & (work > 0)
        if grew.any():
            told = float(work[grew].sum() / charge[grew].sum())
            ratio = float(np.nansum(shown[1:][grew] * charge[grew]) / charge[grew].sum()) / told
            if abs(ratio / 1000 - 1) < 0.5 and told > _LEAST_CELL_VOLT:
                return 1e-3, "the voltage column holds mV: energy divided by capacity is a thousandth of it"
            return 1.0, None
    if milli and shown.size and np.nanmedian(shown) > MILLI_VOLTS_ABOVE:
        return 1e-3, "the voltage has no unit; taken as mV, as the other columns are in mA and mAh"
    return 1.0, None


def goes_on_after_steps(frame: pl.DataFrame, counter: pl.Series, *, turned: bool = False) -> bool:
    """Say whether a counter goes on from step to step of one direction, rather than from zero.

    Args:
        frame: Canonical columns, with ``step_count``, ``current_ampere`` and ``test_time_second``.
        counter: Running total in Ah.
        turned: Ask of steps behind one of the other direction instead.

    >>> frame = pl.DataFrame({
    ...     "test_time_second": [0.0, 3600.0, 7200.0], "current_ampere": [1.0, 1.0, 0.5], "step_count": [1, 1, 2],
    ... })
    >>> goes_on_after_steps(frame, pl.Series([0.0, 1.0, 1.5])), goes_on_after_steps(frame, pl.Series([0.0, 1.0, 0.5]))
    (True, False)
    >>> turn = frame.with_columns(current_ampere=pl.Series([1.0, 1.0, -0.5]))
    >>> goes_on_after_steps(turn, pl.Series([0.0, 1.0, 1.5]), turned=True)
    True
    """
    step, current = _numbers(frame["step_count"]), np.nan_to_num(_numbers(frame["current_ampere"]))
    values, time = np.nan_to_num(_numbers(counter)), _numbers(frame["test_time_second"])
    first = np.append(0, np.flatnonzero(np.diff(step) != 0) + 1)
    last = np.append(first[1:], step.size) - 1
    direction = np.sign(current[last])
    flowing = np.flatnonzero(direction)
    before, after = flowing[:-1], flowing[1:]
    asked = ((direction[before] != direction[after]) == turned) & (values[last[before]] > 0)
    if "cycle_count" in frame.columns:
        cycle = _numbers(frame["cycle_count"])
        asked &= cycle[last[before]] == cycle[first[after]]
    before, after = before[asked], after[asked]
    starts, reached = first[after], values[last[before]]
    hours = np.nan_to_num(time[starts] - time[starts - 1]) / 3600.0
    expected = np.abs(current[starts]) * hours
    on = np.abs(values[starts] - reached - expected) < np.abs(values[starts] - expected)
    return bool(2 * on.sum() > on.size)


def _numbers(series: pl.Series) -> Floats:
    return series.cast(pl.Float64).to_numpy()


def _differences(series: pl.Series) -> Floats:
    return np.diff(_numbers(series))


def _nearest(seconds: Floats, units: Floats) -> float | None:
    """The scale that most of the intervals show."""
    with np.errstate(invalid="ignore"):
        clear = (seconds > 0) & (units > 0)
    if not clear.any():
        return None
    ratio = float(np.median(seconds[clear] / units[clear]))
    nearest = min(TIME_SCALES, key=lambda scale: abs(np.log(ratio / scale)))
    return nearest if abs(np.log(ratio / nearest)) < np.log(_SURE_FACTOR) else None
