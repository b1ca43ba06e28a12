"""Galvanostatic intermittent titration: diffusion coefficients and pseudo-open-circuit voltages.

A titration is a stretch of constant current (``levels``) between two rests. For a slab into which one face lets
lithium, Weppner and Huggins (J. Electrochem. Soc. 124, 1569, 1977) give::

    D = 4/π · (L · ΔEs / (τ · dE/d√t))²           cm²/s, for τ << L²/D

with L the diffusion length, ΔEs the change of the voltage at rest over the titration, τ its duration and dE/d√t the
slope of the voltage under current. The slope is fitted, by least squares over the second nine tenths of τ, so that the
ohmic drop at the beginning does not enter.

The diffusion length comes from one of three sets of parameters (``diffusion_length_cm``)::

    L = thickness                                     a slab that lithium enters from one face
    L = radius / 3                                    volume over surface of a sphere
    L = mass · molar volume / (molar mass · area)     volume over surface of any shape

Assumed is a small titration, over which the voltage at rest is linear in charge and D constant, a current that is the
diffusing species' alone, one kind of particle, and a counter electrode whose voltage stays. For spheres the formula
holds for √(Dτ) << radius: the coefficient comes out too high by a share of about 2 √(πDτ) / radius.

Validity. Each titration is checked, and a coefficient that fails is given with ``valid`` false and the reason:

- τ D / L² at most 0.1: the slab is still semi-infinite;
- the voltage is linear in √t: R² of the fit at least 0.98, or its scatter at most three times the noise;
- the beginning of the titration is known well enough (from the time within the step, else it lies anywhere between the
  last record at rest and the first under current): D changes by at most 10 % if it is taken as late as it may be;
- the rest has come to rest: at the rate of its last tenth, the voltage moves by at most 5 % of ΔEs within that tenth
  and within L² / (π² D), the time in which a slab evens out.

Uncertainty. ``relative_error`` is one standard error of D over D, from the errors of the slope (its fit), of ΔEs (the
noise of two readings) and of the beginning, where it is not known. Errors of L count twice and come on top, as do those
of the assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from battery_analysis.analysis.charge import cycling_records, known, net_charge
from battery_analysis.analysis.integration import gaps
from battery_analysis.analysis.levels import Level, levels
from battery_analysis.analysis.noise import voltage_noise
from battery_analysis.analysis.records import FloatArray, Records, cycle_column, numbers
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import VOLTAGE
from battery_analysis.errors import AnalysisError

FIT_FROM = 0.1
LONGEST_SHARE = 0.1
LEAST_R_SQUARED = 0.98
SCATTER_NOISES = 3.0
REST_DRIFT = 0.05
START_SHARE = 0.1
FEWEST_RECORDS = 5

_UM_PER_CM = 1e4


@dataclass(frozen=True)
class Geometry:
    """What the diffusion length is computed from: a thickness, a radius, or all four of the last; the rest is None."""

    thickness_um: float | None = None
    particle_radius_um: float | None = None
    mass_g: float | None = None
    molar_mass_g_per_mol: float | None = None
    molar_volume_cm3_per_mol: float | None = None
    area_cm2: float | None = None


def diffusion_length_cm(geometry: Geometry) -> float:
    """Compute the diffusion length.

    Raises:
        AnalysisError: No form, or more than one, is given; one lacks a parameter (it is named), or is not positive.

    Example:
        >>> diffusion_length_cm(Geometry(particle_radius_um=3.0))
        0.0001
        >>> diffusion_length_cm(Geometry(mass_g=1.0, molar_mass_g_per_mol=100.0, molar_volume_cm3_per_mol=20.0))
        Traceback (most recent call last):
        battery_analysis.errors.AnalysisError: gitt: area_cm2 is lacking
    """
    by_volume = {
        name: getattr(geometry, name)
        for name in ("mass_g", "molar_mass_g_per_mol", "molar_volume_cm3_per_mol", "area_cm2")
    }
    given = {
        name: value
        for name, value in {
            "thickness_um": geometry.thickness_um,
            "particle_radius_um": geometry.particle_radius_um,
            **by_volume,
        }.items()
        if value is not None
    }
    for name, value in given.items():
        if not (np.isfinite(value) and value > 0):
            raise AnalysisError(f"gitt: {name} must be positive, got {value}")
    forms = [name for name in ("thickness_um", "particle_radius_um") if name in given]
    if len(forms) + bool(by_volume.keys() & given.keys()) > 1:
        raise AnalysisError(f"gitt: one form of the diffusion length is needed, got {sorted(given)}")
    if not given:
        raise AnalysisError("gitt: thickness_um, particle_radius_um, or mass_g and its companions are lacking")
    if geometry.thickness_um is not None:
        return geometry.thickness_um / _UM_PER_CM
    if geometry.particle_radius_um is not None:
        return geometry.particle_radius_um / 3 / _UM_PER_CM
    lacking = [name for name in by_volume if name not in given]
    if lacking:
        raise AnalysisError(f"gitt: {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} lacking")
    volume = given["mass_g"] / given["molar_mass_g_per_mol"] * given["molar_volume_cm3_per_mol"]
    return float(volume / given["area_cm2"])


def gitt(frame: pl.DataFrame, geometry: Geometry | None = None) -> pl.DataFrame:
    """Tabulate the titrations of a test.

    Args:
        frame: Canonical time series in time order.
        geometry: The diffusion length; without one, all that needs none is tabulated.

    Returns:
        One row per titration: ``titration`` (from 1), ``first_record``, ``last_record``, ``cycle_count``,
        ``direction``, ``charge_ah`` (at its end), ``current_ampere``, ``pulse_seconds``, ``rest_seconds``,
        ``voltage_before_volt`` and ``voltage_after_volt`` (both at rest), ``delta_es_volt``,
        ``slope_volt_per_root_second``, ``r_squared``,
        ``d_per_length_squared_per_second`` (D/L²), ``diffusion_coefficient_cm2_per_second``, ``relative_error``,
        ``valid`` (null where there is no D/L²) and ``reason``.

    Raises:
        AnalysisError: Time, voltage or current is missing, no current stands between two rests, or ``geometry`` is
            incomplete.

    Example:
        A voltage that rises by 10 mV per root second for 100 s, and ends 20 mV higher:

        >>> second = np.arange(0.0, 201.0)
        >>> frame = pl.DataFrame({
        ...     "test_time_second": np.concatenate(([-10.0, -5.0], second)) + 10,
        ...     "voltage_volt": np.concatenate(([3, 3], np.where(second <= 100, 3 + 0.01 * np.sqrt(second), 3.02))),
        ...     "current_ampere": np.concatenate(([0, 0], np.where((0 < second) & (second <= 100), 0.1, 0.0))),
        ... })
        >>> row = gitt(frame, Geometry(thickness_um=10)).row(0, named=True)
        >>> round(row["slope_volt_per_root_second"], 6), round(row["delta_es_volt"], 6)
        (0.01, 0.02)
        >>> round(row["diffusion_coefficient_cm2_per_second"] * np.pi / 4, 15)  # (1e-3 cm * 0.02 V / (100 * 0.01 V√s))²
        4e-10
    """
    length = None if geometry is None else diffusion_length_cm(geometry)
    records = cycling_records(frame, "gitt")
    charge = net_charge(records).ah
    found = _titrations(levels(records))
    if not found:
        raise AnalysisError("gitt: no stretch of constant current stands between two rests")
    cycle = cycle_column(frame)
    voltage, lost = numbers(frame, VOLTAGE.name), gaps(records)
    rows = []
    for number, stretches in enumerate(found, start=1):
        titration = _Titration(records, voltage, *stretches)
        missing = bool(np.any((lost >= titration.pulse.first) & (lost < titration.after.end)))
        rows.append(
            {
                "titration": number,
                "first_record": titration.pulse.first,
                "last_record": titration.pulse.end - 1,
                "cycle_count": frame[cycle][titration.pulse.first] if cycle else None,
                "direction": "charge" if titration.pulse.direction > 0 else "discharge",
                "charge_ah": known(charge[titration.pulse.end - 1]),
                "current_ampere": titration.pulse.current,
                **titration.row(length, missing=missing),
            }
        )
    return pl.DataFrame(rows, schema=GITT_SCHEMA)


GITT_SCHEMA: dict[str, type[pl.DataType]] = {
    "titration": pl.Int64,
    "first_record": pl.Int64,
    "last_record": pl.Int64,
    "cycle_count": pl.Int64,
    "direction": pl.String,
    "charge_ah": pl.Float64,
    "current_ampere": pl.Float64,
    "pulse_seconds": pl.Float64,
    "rest_seconds": pl.Float64,
    "voltage_before_volt": pl.Float64,
    "voltage_after_volt": pl.Float64,
    "delta_es_volt": pl.Float64,
    "slope_volt_per_root_second": pl.Float64,
    "r_squared": pl.Float64,
    "d_per_length_squared_per_second": pl.Float64,
    "diffusion_coefficient_cm2_per_second": pl.Float64,
    "relative_error": pl.Float64,
    "valid": pl.Boolean,
    "reason": pl.String,
}


def pseudo_ocv(frame: pl.DataFrame) -> pl.DataFrame:
    """Tabulate the voltage at the end of each rest against charge.

    Returns:
        One row per rest that follows a current: ``record``, ``cycle_count``, ``direction`` of the current before it,
        ``charge_ah`` since the test's beginning (null after a gap), ``voltage_volt``, ``rest_seconds`` and
        ``drift_volt_per_hour`` over the rest's last tenth (null where fewer than two records tell).

    Raises:
        AnalysisError: Time, voltage or current is missing, or no rest follows a current.

    Example:
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 3600.0, 7200.0], "step_count": [1, 1, 2],
        ...     "voltage_volt": [3.0, 3.6, 3.5], "current_ampere": [2.0, 2.0, 0.0],
        ... })
        >>> pseudo_ocv(frame).select("charge_ah", "voltage_volt").row(0)
        (2.0, 3.5)
    """
    records = cycling_records(frame, "gitt")
    charge, voltage, cycle = net_charge(records).ah, numbers(frame, VOLTAGE.name), cycle_column(frame)
    stretches = levels(records)
    rows = [
        {
            "record": rest.end - 1,
            "cycle_count": frame[cycle][rest.end - 1] if cycle else None,
            "direction": "charge" if before.direction > 0 else "discharge",
            "charge_ah": known(charge[rest.end - 1]),
            "voltage_volt": known(voltage[rest.end - 1]),
            "rest_seconds": float(records.time[rest.end - 1]) - rest.start_second,
            "drift_volt_per_hour": _scaled(_drift(records, voltage, rest), 3600.0),
        }
        for before, rest in pairwise(stretches)
        if before.direction and not rest.direction
    ]
    if not rows:
        raise AnalysisError("gitt: no rest follows a current")
    return pl.DataFrame(rows, schema_overrides={"cycle_count": pl.Int64, "drift_volt_per_hour": pl.Float64})


def _titrations(stretches: list[Level]) -> list[tuple[Level, Level, Level]]:
    triples = zip(stretches, stretches[1:], stretches[2:], strict=False)
    return [(a, b, c) for a, b, c in triples if b.direction and not a.direction and not c.direction]


class _Titration:
    """One stretch of constant current between two rests."""

    def __init__(self, records: Records, voltage: FloatArray, before: Level, pulse: Level, after: Level) -> None:
        self.records, self.voltage = records, voltage
        self.pulse, self.after = pulse, after
        self.start_volt = float(voltage[before.end - 1])
        self.end_volt = float(voltage[after.end - 1])
        self.seconds = float(records.time[pulse.end - 1]) - pulse.start_second

    def row(self, length: float | None, *, missing: bool) -> dict[str, Any]:
        """What is known of it."""
        rest = float(self.records.time[self.after.end - 1]) - self.after.start_second
        delta = self.end_volt - self.start_volt
        facts: dict[str, Any] = {
            "pulse_seconds": self.seconds,
            "rest_seconds": rest,
            "voltage_before_volt": known(self.start_volt),
            "voltage_after_volt": known(self.end_volt),
            "delta_es_volt": known(delta),
        }
        line = self._line(self.pulse.start_second)
        if missing or not np.isfinite(delta) or isinstance(line, str):
            lost = "records are missing" if missing else "no voltage at rest"
            return facts | {"reason": line if isinstance(line, str) else lost}
        facts |= {"slope_volt_per_root_second": line.slope, "r_squared": line.r_squared}
        if not line.slope or not delta:
            return facts | {"reason": "the voltage does not change"}
        rate = 4 / np.pi * (delta / (self.seconds * line.slope)) ** 2
        shift = self._shift(line)
        parts = (2 * line.slope_error / line.slope, 2 * np.sqrt(2) * line.noise / delta, shift / np.sqrt(3))
        error = np.linalg.norm(parts)
        reasons = self._doubts(line, delta, rate, shift)
        return facts | {
            "d_per_length_squared_per_second": float(rate),
            "diffusion_coefficient_cm2_per_second": None if length is None else float(rate * length**2),
            "relative_error": known(float(error)),
            "valid": not reasons,
            "reason": "; ".join(reasons) or None,
        }

    def _line(self, start_second: float) -> _Line | str:
        """Fit the voltage under current against the root of time, or say why that cannot be."""
        since = self.records.time[self.pulse.own] - start_second
        volt = self.voltage[self.pulse.own]
        used = np.isfinite(volt) & (since >= FIT_FROM * float(since[-1])) & (since > 0)
        if np.unique(since[used]).size < FEWEST_RECORDS:
            records = counted(np.unique(since[used]).size, "record")
            return f"{records} under current after its first tenth, {FEWEST_RECORDS} needed"
        return _fit_line(np.sqrt(since[used]), volt[used])

    def _shift(self, line: _Line) -> float:
        """Share by which D changes if the titration began as late as it may have; infinite if it then has no slope."""
        late = self.pulse.latest_start_second - self.pulse.start_second
        if not late:
            return 0.0
        later = self._line(self.pulse.latest_start_second)
        if isinstance(later, str) or not later.slope:
            return np.inf
        return float(abs((self.seconds * line.slope / ((self.seconds - late) * later.slope)) ** 2 - 1))

    def _doubts(self, line: _Line, delta: float, rate: float, shift: float) -> list[str]:
        reasons = []
        if shift > START_SHARE:
            late = self.pulse.latest_start_second - self.pulse.start_second
            reasons.append(
                f"it may have begun up to {late:.3g} s after the last record at rest, no time within the step tells"
            )
        if (share := rate * self.seconds) > LONGEST_SHARE:
            reasons.append(f"the pulse lasts {share:.2g} L²/D, at most {LONGEST_SHARE:g} is short")
        if line.r_squared < LEAST_R_SQUARED and line.scatter > SCATTER_NOISES * line.noise:
            reasons.append(f"the voltage is not linear in the root of time: R² {line.r_squared:.3f}")
        if np.sign(line.slope) != np.sign(delta):
            reasons.append("the voltage at rest moves against that under current")
        tenth = 0.1 * (float(self.records.time[self.after.end - 1]) - self.after.start_second)
        relaxing = max(tenth, 1 / (np.pi**2 * rate))
        drift = _drift(self.records, self.voltage, self.after)
        if drift is None:
            reasons.append("too few records of the rest to tell whether it came to rest")
        elif abs(drift) * relaxing > REST_DRIFT * abs(delta) + 2 * line.noise:
            reasons.append(f"at the end of the rest the voltage moves by {1e3 * drift * 3600:.2g} mV/h")
        return reasons


@dataclass(frozen=True)
class _Line:
    slope: float
    slope_error: float
    r_squared: float
    scatter: float
    noise: float


def _fit_line(x: FloatArray, y: FloatArray) -> _Line:
    """Fit a straight line by least squares."""
    x_mean, y_mean = x.mean(), y.mean()
    spread = float(np.sum((x - x_mean) ** 2))
    slope = float(np.sum((x - x_mean) * (y - y_mean)) / spread)
    residual = y - y_mean - slope * (x - x_mean)
    scatter = float(np.sqrt(np.sum(residual**2) / (x.size - 2)))
    total = float(np.sum((y - y_mean) ** 2))
    r_squared = 1 - float(np.sum(residual**2)) / total if total else 0.0
    noise = voltage_noise(y)
    return _Line(slope, scatter / np.sqrt(spread), r_squared, scatter, scatter if noise is None else noise)


def _drift(records: Records, voltage: FloatArray, rest: Level) -> float | None:
    """Slope of the voltage in V/s over the last tenth of a rest, or over its last two records; None if unknown."""
    time, volt = records.time[rest.own], voltage[rest.own]
    time, volt = time[np.isfinite(volt)], volt[np.isfinite(volt)]
    if time.size < 2:
        return None
    late = time >= time[-1] - 0.1 * (time[-1] - rest.start_second)
    late[-2:] = True
    time, volt = time[late] - time[-1], volt[late]
    if not np.ptp(time):
        return None
    return float(np.sum((time - time.mean()) * (volt - volt.mean())) / np.sum((time - time.mean()) ** 2))


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
