"""Differential curves of a cell whose charge is a known function of its voltage."""

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.differential import DifferentialCurves, change_from, dqdv, dvdq
from battery_analysis.analysis.halves import half_cycles
from battery_analysis.analysis.peaks import find_peaks
from battery_analysis.analysis.records import FloatArray
from battery_analysis.analysis.smoothing import Kind, Smoother
from battery_analysis.errors import AnalysisError

LOW, HIGH = 3.0, 4.2
PEAKS = ((3.5, 0.05, 0.6), (3.8, 0.04, 0.4))
"""Position (V), width of the hyperbolic tangent (V) and capacity (Ah) of each."""


def charge_at(volt: FloatArray, fade: float = 0.0, shift: float = 0.0) -> FloatArray:
    """Charge at a voltage in Ah: a slope of 0.3 Ah/V and a step at each peak."""
    steps = sum((1 - fade) * amount / 2 * (1 + np.tanh((volt - at - shift) / width)) for at, width, amount in PEAKS)
    return 0.3 * (volt - LOW) + steps


def dqdv_at(volt: FloatArray, fade: float = 0.0, shift: float = 0.0) -> FloatArray:
    """Its derivative in Ah/V."""
    return 0.3 + sum(
        (1 - fade) * amount / 2 / width / np.cosh((volt - at - shift) / width) ** 2 for at, width, amount in PEAKS
    )


def cell(
    cycles: int = 1,
    *,
    points: int = 2000,
    noise: float = 0.0,
    resolution: float = 0.0,
    current: float = 1.0,
    **aging: float,
) -> pl.DataFrame:
    """Charge and discharge at a constant current; ``aging`` is what fades and shifts with each cycle."""
    random = np.random.default_rng(7)
    parts, begun = [], 0.0
    for cycle in range(cycles):
        fine = np.linspace(LOW, HIGH, 20001)
        charge = charge_at(fine, **{name: value * cycle for name, value in aging.items()})
        even = np.linspace(charge[0], charge[-1], points)
        volt = np.interp(even, charge, fine)
        for sign, step in ((1, volt), (-1, volt[::-1])):
            seconds = (even - even[0]) * 3600 / current
            recorded = step + noise * random.standard_normal(points)
            recorded = np.round(recorded / resolution) * resolution if resolution else recorded
            amperes = sign * current * (1 + (1e-4 if noise else 0.0) * random.standard_normal(points))
            parts.append(
                pl.DataFrame(
                    {
                        "test_time_second": begun + seconds,
                        "voltage_volt": recorded,
                        "current_ampere": amperes,
                        "cycle_count": np.full(points, cycle + 1),
                    }
                )
            )
            begun += float(seconds[-1]) + 1.0
    return pl.concat(parts)


def deviation(curves: DifferentialCurves, direction: str) -> FloatArray:
    """Distance from the truth over the largest true value."""
    curve = curves.curves.filter(pl.col("direction") == direction)
    inner = curve.filter(pl.col("voltage_volt").is_between(LOW + 0.01, HIGH - 0.01))
    truth = dqdv_at(inner["voltage_volt"].to_numpy())
    return (inner["dqdv_ah_per_volt"].to_numpy() - truth) / truth.max()


@pytest.mark.parametrize("direction", ["charge", "discharge"])
@pytest.mark.parametrize(("kind", "within"), [("savitzky_golay", 0.004), ("gaussian", 0.02), ("spline", 0.004)])
def test_a_known_curve_is_recovered(kind: Kind, within: float, direction: str) -> None:
    curves = dqdv(cell(), smoother=Smoother(kind))
    assert np.abs(deviation(curves, direction)).max() < within


@pytest.mark.parametrize("kind", ["savitzky_golay", "gaussian", "spline"])
def test_a_known_curve_is_recovered_from_noise_of_a_tenth_of_a_millivolt(kind: Kind) -> None:
    curves = dqdv(cell(noise=1e-4), smoother=Smoother(kind, 0.02))
    assert np.abs(deviation(curves, "charge")).max() < 0.08
    assert np.sqrt(np.mean(deviation(curves, "charge") ** 2)) < 0.02


def test_the_stated_errors_hold() -> None:
    curves = dqdv(cell(noise=1e-4))
    inner = curves.curves.filter(pl.col("voltage_volt").is_between(LOW + 0.01, HIGH - 0.01))
    off = np.abs(inner["dqdv_ah_per_volt"].to_numpy() - dqdv_at(inner["voltage_volt"].to_numpy()))
    error = inner["dqdv_error_ah_per_volt"].to_numpy()
    assert np.mean(off < error) > 0.68
    assert np.mean(off < 3 * error) > 0.99
    assert np.median(error) < 0.02 * dqdv_at(np.array([3.5]))[0]


@pytest.mark.parametrize("resolution", [3e-4, 1e-3, 5e-3])
def test_a_coarse_voltage_makes_no_comb(resolution: float) -> None:
    curves = dqdv(cell(resolution=resolution), smoother=Smoother("gaussian", 0.02))
    assert np.abs(deviation(curves, "charge")).max() < 0.09


def test_no_charge_is_lost() -> None:
    for noise in (0.0, 1e-4, 5e-3):
        halves = half_cycles(cell(noise=noise))
        curves = dqdv(halves, smoother=Smoother("none"))
        total = curves.curves.filter(pl.col("direction") == "charge")["dqdv_ah_per_volt"].sum() * curves.step
        assert total == pytest.approx(halves.table["capacity_ah"][0], rel=2e-3)


def test_a_plateau_is_a_peak_of_its_capacity() -> None:
    hours = np.linspace(0.0, 1.0, 1001)
    volt = np.interp(hours, [0.0, 0.1, 0.9, 1.0], [3.0, 3.4, 3.4, 4.0])
    frame = pl.DataFrame(
        {"test_time_second": 3600 * hours, "voltage_volt": volt, "current_ampere": np.ones(1001), "cycle_count": 1}
    )
    peak = find_peaks(dqdv(frame)).row(0, named=True)
    assert peak["position_volt"] == pytest.approx(3.4, abs=0.002)
    assert peak["area_ah"] == pytest.approx(0.8, rel=0.03)


def test_a_narrow_peak_on_a_sagging_flank_has_no_area() -> None:
    volt = np.linspace(3.0, 4.2, 2401)
    charge = 1 - np.exp(-(volt - 3.0) / 0.2) + 0.03 * (1 + np.tanh((volt - 3.1) / 0.01))
    frame = pl.DataFrame(
        {
            "test_time_second": 3600 * charge,
            "voltage_volt": volt,
            "current_ampere": np.ones(volt.size),
            "cycle_count": np.ones(volt.size, dtype=int),
        }
    )
    peak = find_peaks(dqdv(frame)).row(0, named=True)
    assert peak["position_volt"] == pytest.approx(3.1, abs=0.005)
    assert peak["area_ah"] is None
    assert peak["reason"] == "no area: most of the curve lies below the line between the valleys"


def test_where_the_voltage_is_held_there_is_no_differential_capacity() -> None:
    frame = cell()
    held = pl.DataFrame(
        {
            "test_time_second": frame["test_time_second"][1999] + 0.5 * np.arange(1, 1001),
            "voltage_volt": np.full(1000, HIGH),
            "current_ampere": np.exp(-np.arange(1000) / 200),
            "cycle_count": np.ones(1000, dtype=np.int64),
        }
    )
    later = frame[2000:].with_columns(pl.col("test_time_second") + 1000.0)
    with_hold = dqdv(pl.concat([frame[:2000], held, later])).curves.filter(pl.col("direction") == "charge")
    without = dqdv(frame).curves.filter(pl.col("direction") == "charge")
    both = with_hold.join(without, on="voltage_volt")
    assert both.height >= without.height - 3
    both = both.filter(pl.col("voltage_volt") < HIGH - 0.03)
    assert both["dqdv_ah_per_volt"].to_numpy() == pytest.approx(both["dqdv_ah_per_volt_right"].to_numpy(), rel=1e-6)


def test_voltage_is_differentiated_by_capacity() -> None:
    curves = dvdq(cell())
    for direction in ("charge", "discharge"):
        curve = curves.curves.filter(pl.col("direction") == direction)
        fine = np.linspace(LOW, HIGH, 20001)
        capacity = charge_at(fine) - charge_at(np.array([LOW]))
        at = curve["capacity_ah"].to_numpy()
        volt = np.interp(at if direction == "charge" else capacity[-1] - at, capacity, fine)
        truth = 1 / dqdv_at(volt)
        assert np.abs(curve["dvdq_volt_per_ah"].to_numpy() - truth).max() < 0.04 * truth.max()


def test_voltage_is_differentiated_by_capacity_with_noise() -> None:
    noisy, clean = (dvdq(cell(noise=noise), step_ah=0.003).curves for noise in (1e-4, 0.0))
    both = noisy.join(clean, on=["half_cycle", "capacity_ah"])
    off = np.abs(both["dvdq_volt_per_ah"].to_numpy() - both["dvdq_volt_per_ah_right"].to_numpy())
    assert np.mean(off < 3 * both["dvdq_error_volt_per_ah"].to_numpy()) > 0.97
    assert off.max() < 0.05


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_peaks_are_where_they_are_known_to_be(noise: float) -> None:
    peaks = find_peaks(dqdv(cell(noise=noise)))
    assert peaks["peak"].to_list() == [1, 2, 1, 2]
    for peak, (at, width, amount) in zip(peaks.rows(named=True), 2 * PEAKS, strict=True):
        assert abs(peak["position_volt"] - at) < 0.001 + 2 * peak["position_error_volt"]
        assert peak["position_volt"] == pytest.approx(at, abs=0.002)
        # Smoothing over 10 mV lowers and widens peaks of 70 to 90 mV by 2 %.
        assert peak["height_ah_per_volt"] == pytest.approx(0.3 + amount / 2 / width, rel=0.03)
        assert peak["width_volt"] == pytest.approx(2 * width * np.arccosh(np.sqrt(2)), rel=0.04)
        assert peak["area_ah"] == pytest.approx(amount, rel=0.04)


def test_peaks_are_tracked_while_they_move() -> None:
    curves = dqdv(cell(20, points=500, noise=1e-4, shift=0.004, fade=0.01))
    peaks = find_peaks(curves).filter(pl.col("direction") == "discharge")
    for number, (at, _, amount) in enumerate(PEAKS, start=1):
        track = peaks.filter(pl.col("peak") == number)
        cycle = np.arange(20)
        assert track["cycle_count"].to_list() == list(range(1, 21))
        assert track["position_volt"].to_numpy() == pytest.approx(at + 0.004 * cycle, abs=0.003)
        assert track["area_ah"].to_numpy() == pytest.approx(amount * (1 - 0.01 * cycle), rel=0.05)


def test_a_track_waits_for_its_peak() -> None:
    frame = cell(3, points=500)
    flat = np.linspace(LOW, HIGH, 500)
    frame = frame.with_columns(
        voltage_volt=pl.when((pl.col("cycle_count") == 2) & (pl.col("current_ampere") > 0))
        .then(pl.Series(np.tile(flat, 6)))
        .otherwise(pl.col("voltage_volt"))
    )
    peaks = find_peaks(dqdv(frame)).filter(pl.col("direction") == "charge")
    assert peaks.select("cycle_count", "peak").rows() == [(1, 1), (1, 2), (3, 1), (3, 2)]


def test_changes_between_cycles() -> None:
    curves = dqdv(cell(2, fade=0.1))
    change = change_from(curves, 1)
    assert change.filter(pl.col("cycle_count") == 1)["change_dqdv_ah_per_volt"].abs().max() == 0.0
    faded = change.filter((pl.col("half_cycle") == 2) & pl.col("voltage_volt").is_between(LOW + 0.01, HIGH - 0.01))
    volt = faded["voltage_volt"].to_numpy()
    expected = dqdv_at(volt, fade=0.1) - dqdv_at(volt)
    assert faded["change_dqdv_ah_per_volt"].to_numpy() == pytest.approx(expected, abs=0.04)
    with pytest.raises(AnalysisError, match="cycle 9 has no curve to compare with: no such cycle"):
        change_from(curves, 9)


def test_what_cannot_be_answered_has_a_reason() -> None:
    frame = cell(4, points=300, current=20.0)  # so short that no interval can be a gap
    cycle, place = pl.col("cycle_count"), pl.int_range(pl.len()).over("cycle_count")
    few = frame.filter((cycle != 2) | (place % 100 == 0))
    narrow = pl.when(cycle == 3).then(3.7 + 1e-3 * (pl.col("voltage_volt") - 3.7)).otherwise(pl.col("voltage_volt"))
    for differentiated, reason in ((dqdv, "spans 0 steps of 0.002 V, the smoother needs 5"), (dvdq, None)):
        halves = differentiated(few.with_columns(voltage_volt=narrow)).halves
        assert halves["reason"].to_list()[:2] == [None, None]
        assert halves["reason"].to_list()[2:4] == ["3 records before the voltage is held, fewer than 5"] * 2
        assert halves["reason"].to_list()[4:6] == [reason] * 2
        assert (halves["points"] > 0).to_list() == [each is None for each in halves["reason"]]


def test_a_gap_that_hides_charge_is_a_reason() -> None:
    frame = cell(2).with_row_index("record_index").with_columns(pl.col("record_index").cast(pl.Int64))
    halves = dqdv(frame.filter(~pl.col("record_index").is_between(500, 600))).halves
    assert halves["reason"].to_list() == ["a gap in the records: what flowed there is unknown", None, None, None]


def test_bad_questions_are_errors() -> None:
    frame = cell()
    with pytest.raises(AnalysisError, match="voltage_volt: no values"):
        dqdv(frame.with_columns(voltage_volt=pl.lit(None, pl.Float64)))
    with pytest.raises(AnalysisError, match="none of the cycles"):
        dqdv(frame, cycles=[5])
    with pytest.raises(AnalysisError, match="step_volt must be above 0, got 0"):
        dqdv(frame, step_volt=0.0)
    with pytest.raises(AnalysisError, match="more than 100000"):
        dqdv(frame, step_volt=1e-6)
    with pytest.raises(AnalysisError, match="current_ampere: no values"):
        dvdq(frame.with_columns(current_ampere=pl.lit(None, pl.Float64)))
    with pytest.raises(AnalysisError, match="between 0 and 1, got 2"):
        find_peaks(dqdv(frame), min_prominence_fraction=2.0)


def test_a_constant_voltage_has_no_curve_and_no_peaks() -> None:
    curves = dqdv(cell().with_columns(voltage_volt=pl.lit(3.7)))
    assert curves.curves.height == 0
    assert all(curves.halves["reason"].is_not_null())
    assert find_peaks(curves).height == 0


def test_only_the_cycles_that_are_asked_for() -> None:
    frame = cell(5, points=300)
    some = dqdv(frame, cycles=[2, 4])
    assert some.halves["half_cycle"].to_list() == [2, 3, 6, 7]
    everything = dqdv(frame).curves.filter(pl.col("cycle_count").is_in([2, 4]))
    assert some.curves.equals(everything)


def test_a_voltage_that_is_held_throughout_has_no_curves() -> None:
    decay = np.exp(-np.arange(200) / 50)
    frame = pl.DataFrame(
        {"test_time_second": 10.0 * np.arange(200), "voltage_volt": np.full(200, 4.2), "current_ampere": decay}
    )
    for differentiated in (dqdv, dvdq):
        curves = differentiated(frame)
        assert curves.halves["reason"].to_list() == ["0 records before the voltage is held, fewer than 5"]
        assert find_peaks(curves).height == 0
