"""Titrations of a slab and of a sphere whose diffusion coefficient is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from battery_analysis.analysis.gitt import Geometry, diffusion_length_cm, gitt, pseudo_ocv
from battery_analysis.errors import AnalysisError

THICKNESS_CM = 1e-3
COEFFICIENT = 1e-10
SLAB = Geometry(thickness_um=10.0)
PULSES = 6
PULSE_SECONDS, REST_SECONDS = 600.0, 60_000.0
SLOPE = 0.4
"""Volt for each unit of surface concentration, which a titration raises by STEP."""
STEP = 0.03


def surface(seconds: NDArray[np.float64], coefficient: float, *, sphere: bool) -> NDArray[np.float64]:
    """Concentration at the surface for a constant flux, in units of the mean concentration after one pulse.

    The series of Crank (The Mathematics of Diffusion, 4.3.2 and 6.3.2) for a slab that one face feeds, and a sphere.
    """
    late = np.maximum(seconds, 0.0)
    if sphere:
        from scipy.optimize import brentq

        roots = np.array([brentq(lambda x: np.sin(x) - x * np.cos(x), (n + 0.01) * np.pi, (n + 0.4999999) * np.pi)
                          for n in range(1, 400)])  # fmt: skip
        radius = 3 * THICKNESS_CM
        reduced = coefficient * late / radius**2
        series = np.exp(-np.outer(reduced, roots**2)) @ (2 / roots**2)
        value = 3 * reduced + 0.2 - series
        mean = 3 * coefficient * PULSE_SECONDS / radius**2
    else:
        orders = np.arange(1, 400) ** 2
        reduced = coefficient * late / THICKNESS_CM**2
        series = np.exp(-np.outer(reduced, orders) * np.pi**2) @ (2 / (np.pi**2 * orders))
        value = reduced + 1 / 3 - series
        mean = coefficient * PULSE_SECONDS / THICKNESS_CM**2
    return np.where(seconds > 0, value / mean, 0.0)


def titrations(
    coefficient: float = COEFFICIENT, *, sphere: bool = False, noise_volt: float = 0.0, rest: float = REST_SECONDS
) -> pl.DataFrame:
    """Pulses of 0.1 A and rests, with an ohmic drop of 5 mV; each rest still shows what all pulses before left."""
    within_pulse = np.unique(np.concatenate((np.arange(0.5, 10, 0.5), np.arange(10.0, PULSE_SECONDS + 1, 5.0))))
    within_rest = np.unique(np.concatenate((np.arange(1.0, 60, 5.0), np.linspace(60.0, rest, 500))))
    parts = [(0, 0.0, np.arange(60.0, 601.0, 60.0), 0.0)]
    begins = [600.0 + number * (PULSE_SECONDS + rest) for number in range(PULSES)]
    for number, begin in enumerate(begins):
        parts.append((2 * number + 1, 0.1, within_pulse, begin))
        parts.append((2 * number + 2, 0.0, within_rest, begin + PULSE_SECONDS))
    frames = []
    for number, current, within, begin in parts:
        time = begin + within
        filled = sum(
            surface(time - start, coefficient, sphere=sphere)
            - surface(time - start - PULSE_SECONDS, coefficient, sphere=sphere)
            for start in begins
        )
        frames.append(
            pl.DataFrame(
                {
                    "test_time_second": time,
                    "voltage_volt": 3.5 + SLOPE * STEP * filled + 0.05 * current,
                    "current_ampere": np.full(time.size, current),
                    "step_count": np.full(time.size, number + 1),
                    "step_time_second": within,
                }
            )
        )
    frame = pl.concat(frames)
    noise = noise_volt * np.random.default_rng(8).normal(size=frame.height)
    return frame.with_columns(voltage_volt=pl.col("voltage_volt") + pl.Series(noise))


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_the_coefficient_of_a_slab_is_recovered(noise: float) -> None:
    table = gitt(titrations(noise_volt=noise), SLAB)
    assert table.height == PULSES
    assert table["reason"].to_list() == [None] * PULSES
    assert table["valid"].all()
    off = table["diffusion_coefficient_cm2_per_second"].to_numpy() / COEFFICIENT - 1
    # Within three standard errors of the noise, and the part in a thousand that a rest of 6 L²/D leaves.
    assert np.abs(off).max() < 1e-3 + 3 * table["relative_error"].to_numpy().max()
    assert table["relative_error"].max() < (1e-3 if not noise else 0.05)


def test_a_titration_whose_beginning_is_not_known_is_not_valid() -> None:
    frame = titrations().drop("step_time_second")
    rests = pl.col("current_ampere") == 0
    begun = gitt(frame, SLAB)
    assert begun["valid"].all()  # records at the end of each rest and soon after tell nearly as well
    assert begun["relative_error"].max() < 0.01
    # The first rest is last recorded a minute before its end.
    lost = frame.filter(~(rests & pl.col("test_time_second").is_between(541, 600)))
    row = gitt(lost, SLAB).row(0, named=True)
    assert row["valid"] is False
    assert (
        row["reason"] == "it may have begun up to 60.5 s after the last record at rest, no time within the step tells"
    )
    assert abs(row["diffusion_coefficient_cm2_per_second"] / COEFFICIENT - 1) < 2 * row["relative_error"]
    told = gitt(titrations().filter(~(rests & pl.col("test_time_second").is_between(541, 600))), SLAB)
    assert told["valid"].all()
    assert told["diffusion_coefficient_cm2_per_second"][0] == pytest.approx(COEFFICIENT, rel=2e-3)


def test_the_stated_error_is_that_of_repeated_measurements() -> None:
    frame = titrations()
    found, stated = [], []
    rng = np.random.default_rng(1)
    for _ in range(8):
        noisy = frame.with_columns(voltage_volt=pl.col("voltage_volt") + pl.Series(rng.normal(0, 1e-4, frame.height)))
        table = gitt(noisy, SLAB)
        found += table["diffusion_coefficient_cm2_per_second"].to_list()
        stated.append(table["relative_error"].mean())
    assert np.std(found) / COEFFICIENT == pytest.approx(np.mean(stated), rel=0.35)


def test_a_sphere_comes_out_too_high_by_the_stated_share() -> None:
    coefficient = 1e-11
    table = gitt(titrations(coefficient, sphere=True, rest=600_000.0)[:9500], Geometry(particle_radius_um=30.0))
    share = 2 * np.sqrt(np.pi * coefficient * PULSE_SECONDS) / (3 * THICKNESS_CM)
    found = table["diffusion_coefficient_cm2_per_second"][0]
    assert abs(found / coefficient - 1) == pytest.approx(share, rel=0.6)


def test_a_pulse_that_is_too_long_is_not_valid() -> None:
    table = gitt(titrations(1e-8, rest=6000.0), SLAB)
    assert not table["valid"].any()
    assert "the pulse lasts" in table["reason"][0]


def test_a_rest_that_is_too_short_is_not_valid() -> None:
    table = gitt(titrations(rest=1500.0), SLAB)
    assert not table["valid"][0]
    assert "at the end of the rest the voltage moves by" in table["reason"][0]


def test_a_voltage_that_is_not_linear_in_the_root_of_time_is_not_valid() -> None:
    frame = titrations().with_columns(
        voltage_volt=pl.when(pl.col("current_ampere") > 0)
        .then(pl.col("voltage_volt") + 0.02 * (pl.col("step_time_second") / 40).cos())
        .otherwise(pl.col("voltage_volt"))
    )
    table = gitt(frame, SLAB)
    assert not table["valid"].any()
    assert "not linear" in table["reason"][0]


def test_without_a_length_all_but_the_coefficient_is_known() -> None:
    table = gitt(titrations())
    assert table["diffusion_coefficient_cm2_per_second"].null_count() == PULSES
    assert table["d_per_length_squared_per_second"].to_list() == pytest.approx([1e-4] * PULSES, rel=2e-3)


def test_pseudo_ocv_rises_with_the_charge() -> None:
    table = pseudo_ocv(titrations())
    assert table["charge_ah"].to_list() == pytest.approx([0.1 * 600 / 3600 * n for n in range(1, PULSES + 1)])
    expected = [3.5 + SLOPE * STEP * n for n in range(1, PULSES + 1)]
    assert table["voltage_volt"].to_list() == pytest.approx(expected, abs=1e-4)
    assert table["drift_volt_per_hour"].abs().max() < 1e-4


def test_too_few_records_and_lost_ones_are_null_with_the_reason() -> None:
    frame = titrations(rest=6000.0)
    sparse = frame.filter((pl.col("current_ampere") == 0) | (pl.col("step_time_second").is_in([0.5, 300.0, 600.0])))
    table = gitt(sparse, SLAB)
    assert table["diffusion_coefficient_cm2_per_second"].null_count() == PULSES
    assert "2 records under current" in table["reason"][0]
    holed = frame.with_row_index("record_index").with_columns(pl.col("record_index").cast(pl.Int64))
    holed = holed.filter(~pl.col("record_index").is_between(50, 60))
    table = gitt(holed, SLAB)
    assert table["reason"][0] == "records are missing"
    assert table["d_per_length_squared_per_second"].null_count() == 1


def test_a_current_without_rests_is_an_error() -> None:
    frame = titrations(rest=6000.0).filter(pl.col("current_ampere") > 0)
    with pytest.raises(AnalysisError, match="no stretch of constant current stands between two rests"):
        gitt(frame, SLAB)
    with pytest.raises(AnalysisError, match="no rest follows"):
        pseudo_ocv(frame)


def test_a_voltage_that_is_constant_gives_no_coefficient() -> None:
    table = gitt(titrations(rest=6000.0).with_columns(voltage_volt=pl.lit(3.5)), SLAB)
    assert table["reason"].unique().to_list() == ["the voltage does not change"]
    assert table["valid"].null_count() == PULSES


VOLUME = Geometry(mass_g=0.01, molar_mass_g_per_mol=100.0, molar_volume_cm3_per_mol=20.0, area_cm2=2.0)


def test_all_forms_give_a_length_or_name_what_is_lacking() -> None:
    assert diffusion_length_cm(VOLUME) == pytest.approx(1e-3)
    for name in ("mass_g", "molar_mass_g_per_mol", "molar_volume_cm3_per_mol", "area_cm2"):
        with pytest.raises(AnalysisError, match=f"gitt: {name} is lacking"):
            diffusion_length_cm(dataclasses.replace(VOLUME, **{name: None}))
    with pytest.raises(AnalysisError, match="one form"):
        diffusion_length_cm(dataclasses.replace(VOLUME, thickness_um=1.0))
    with pytest.raises(AnalysisError, match="thickness_um must be positive, got -1"):
        diffusion_length_cm(Geometry(thickness_um=-1.0))
    with pytest.raises(AnalysisError, match="are lacking"):
        diffusion_length_cm(Geometry())
