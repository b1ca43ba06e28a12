"""Known arcs appear at their time constants with their resistances, and noise makes no others."""

from __future__ import annotations

import numpy as np
import pytest

from battery_analysis import read
from battery_analysis.analysis.impedance import Spectrum, spectra
from battery_analysis.analysis.relaxation import MAIN_SHARE, relaxation_times
from battery_analysis.errors import AnalysisError
from tests.analysis.spectra import HERTZ, arc, battery, measured
from tests.realdata import real

TAUS = [1e-3, 0.1, 3.0]
OHMS = [0.005, 0.02, 0.01]


def three_arcs(exponent: float = 0.95) -> np.ndarray:
    return np.asarray(0.01 + sum(arc(ohm, tau, exponent) for ohm, tau in zip(OHMS, TAUS, strict=True)))


@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-3])
def test_three_arcs_are_three_peaks_with_their_resistances(noise: float) -> None:
    found = relaxation_times(measured(three_arcs(), noise))
    large = found.peaks.filter(found.peaks["resistance_ohm"] > 0.03 * sum(OHMS))
    assert large["tau_second"].to_list() == pytest.approx(TAUS, rel=0.3)
    assert large["frequency_hertz"].to_list() == pytest.approx([0.1592 / tau for tau in TAUS], rel=0.3)
    assert large["resistance_ohm"].to_list() == pytest.approx(OHMS, rel=0.12)
    assert found.polarisation_ohm == pytest.approx(sum(OHMS), rel=0.03)
    assert found.ohmic_resistance_ohm == pytest.approx(0.01, rel=0.02)
    assert found.rms_residual == pytest.approx(noise, rel=0.3, abs=3e-4)
    assert found.regularisation.startswith("second derivative, non-negative, λ = ")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("exponent", [1.0, 0.9, 0.8, 0.7])
def test_noise_makes_no_second_main_peak_of_one_arc(exponent: float, seed: int) -> None:
    found = relaxation_times(measured(1 + arc(2.0, 0.1, exponent), 1e-3, seed))
    main = found.peaks.filter(found.peaks["share"] >= MAIN_SHARE)
    assert main["tau_second"].to_list() == pytest.approx([0.1], rel=0.2)
    assert main["share"].item() > 0.9
    assert found.rms_residual == pytest.approx(1e-3, rel=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_diffusion_beyond_the_measurement_leaves_no_peaks_of_noise(seed: int) -> None:
    warburg = 2.67 * (1 - 1j) / np.sqrt(2 * 2 * np.pi * HERTZ)
    found = relaxation_times(measured(5.5 + arc(8.0, 1.5e-3, 0.85) + warburg, 1e-3, seed))
    assert found.lambda_value is not None and found.lambda_value >= 2e-3
    assert found.rms_residual == pytest.approx(1e-3, rel=0.2)
    fast = found.peaks.filter((found.peaks["tau_second"] < 0.1) & (found.peaks["share"] >= MAIN_SHARE))
    assert fast["tau_second"].to_list() == pytest.approx([1.5e-3], rel=0.2)
    assert fast["resistance_ohm"].to_list() == pytest.approx([8.0], rel=0.1)
    assert found.capacitance_farad is not None


def test_the_distribution_of_a_constant_phase_arc_is_the_known_one() -> None:
    exponent, tau, ohm = 0.8, 0.1, 2.0
    found = relaxation_times(measured(1 + arc(ohm, tau, exponent), 1e-4))
    log = np.log(found.distribution["tau_second"].to_numpy() / tau)
    # Cole and Cole 1941: the distribution of a ZARC.
    known = ohm / (2 * np.pi) * np.sin((1 - exponent) * np.pi)
    known = known / (np.cosh(exponent * log) - np.cos((1 - exponent) * np.pi))
    inner = np.abs(log) < np.log(100)
    assert found.distribution["gamma_ohm"].to_numpy()[inner] == pytest.approx(known[inner], abs=0.05 * known.max())


def test_the_stated_error_of_a_resistance_is_that_of_repeated_measurements() -> None:
    found = [relaxation_times(measured(three_arcs(), 2e-3, seed), lambda_value=0.003) for seed in range(20)]
    middle = [each.peaks.filter(each.peaks["tau_second"].is_between(0.03, 0.3)).row(0, named=True) for each in found]
    scatter = np.std([each["resistance_ohm"] for each in middle], ddof=1)
    assert np.mean([each["resistance_error_ohm"] for each in middle]) == pytest.approx(scatter, rel=0.5)
    assert found[0].lambda_value == 0.003
    assert "(given)" in found[0].regularisation


def test_stronger_regularisation_is_smoother() -> None:
    spectrum = measured(three_arcs(), 1e-3)
    tops = [
        relaxation_times(spectrum, lambda_value=each).distribution["gamma_ohm"].max() for each in (1e-3, 1e-1, 10.0)
    ]
    assert tops[0] > tops[1] > tops[2]


def test_inductance_and_capacitance_are_no_relaxations() -> None:
    omega = 2 * np.pi * HERTZ
    inductive = relaxation_times(measured(three_arcs() + 1j * omega * 2e-7, 1e-4))
    assert inductive.inductance_henry == pytest.approx(2e-7, rel=0.05)
    assert inductive.polarisation_ohm == pytest.approx(sum(OHMS), rel=0.05)
    blocking = relaxation_times(measured(three_arcs() - 1j / (omega * 200.0), 1e-4))
    assert blocking.capacitance_farad == pytest.approx(200.0, rel=0.1)
    assert blocking.polarisation_ohm == pytest.approx(sum(OHMS), rel=0.15)
    assert inductive.capacitance_farad is None


@pytest.mark.parametrize("method", ["tr-nnls", "lm"])
def test_methods_of_pyimpspec_find_the_same_times(method: str) -> None:
    pytest.importorskip("pyimpspec")
    spectrum = measured(0.01 + arc(0.005, 1e-3) + arc(0.02, 0.1), 1e-4)
    found = relaxation_times(spectrum, method=method)  # type: ignore[arg-type]
    largest = found.peaks.sort("resistance_ohm", descending=True)[:2].sort("tau_second")
    assert largest["tau_second"].to_list() == pytest.approx([1e-3, 0.1], rel=0.4)
    assert largest["resistance_ohm"].to_list() == pytest.approx([0.005, 0.02], rel=0.2)
    assert found.polarisation_ohm == pytest.approx(0.025, rel=0.02)
    assert found.regularisation.startswith("zeroth order" if method == "tr-nnls" else "none but the rank")


def test_a_real_circuit_of_two_arcs_shows_two() -> None:
    (spectrum,) = spectra(read(real("biologic/Circuit1_EIS_1.z")).frame)
    found = relaxation_times(spectrum)
    assert found.rms_residual < 0.003
    assert found.polarisation_ohm == pytest.approx(float(np.ptp(spectrum.impedance.real)), rel=0.1)


def test_a_battery_s_diffusion_does_not_hide_its_arcs() -> None:
    found = relaxation_times(measured(battery(), 1e-4))
    taus = found.peaks["tau_second"].to_numpy()
    for tau in (1e-3, 0.1):
        assert np.min(np.abs(np.log10(taus / tau))) < 0.2


def test_too_few_points_wrong_arguments_and_constants() -> None:
    with pytest.raises(AnalysisError, match="relaxation: 3 different frequencies, at least 10 needed"):
        relaxation_times(Spectrum.of([3.0, 2.0, 1.0], [1.0, 1.0, 1.0]))
    spectrum = measured(three_arcs())
    with pytest.raises(AnalysisError, match="lambda_value must be positive"):
        relaxation_times(spectrum, lambda_value=0.0)
    with pytest.raises(AnalysisError, match="method must be tikhonov"):
        relaxation_times(spectrum, method="magic")  # type: ignore[arg-type]
    flat = relaxation_times(Spectrum.of(HERTZ, np.full(HERTZ.size, 2.0)))
    assert flat.polarisation_ohm < 1e-3
    assert flat.ohmic_resistance_ohm == pytest.approx(2.0)


def test_without_pyimpspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = __import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name.split(".")[0] == "pyimpspec":
            raise ImportError("No module named 'pyimpspec'", name="pyimpspec")
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("builtins.__import__", absent)
    with pytest.raises(AnalysisError, match=r"relaxation: needs pyimpspec \(pip install 'battery-analysis\[drt\]'\)"):
        relaxation_times(measured(three_arcs()), method="lm")
