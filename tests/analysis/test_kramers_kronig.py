"""Valid spectra pass, those of a cell that changed do not; against impedance.py on the same numbers."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from battery_analysis import read
from battery_analysis.analysis.impedance import Spectrum, spectra
from battery_analysis.analysis.kramers_kronig import kramers_kronig
from battery_analysis.errors import AnalysisError
from tests.analysis.spectra import HERTZ, arc, battery, measured
from tests.realdata import real


@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-3])
def test_a_circuit_passes_and_its_residuals_are_the_noise(noise: float) -> None:
    found = kramers_kronig(measured(battery(), noise))
    assert found.passed
    assert found.rms_residual == pytest.approx(noise, rel=0.35, abs=3e-4)
    assert found.residuals["exceeds"].sum() == 0


def test_a_cell_that_changes_while_it_is_measured_fails() -> None:
    growing = 0.010 + arc(1.0, 0.1, 0.85) * np.linspace(0.020, 0.026, HERTZ.size)
    found = kramers_kronig(measured(growing, 1e-4))
    assert not found.passed
    assert found.largest_residual > 0.01
    assert found.residuals["exceeds"].any()


def test_a_single_bad_point_is_named() -> None:
    ohm = battery()
    ohm[30] *= 1.05
    found = kramers_kronig(measured(ohm, 1e-4))
    assert not found.passed
    assert HERTZ[30] in found.residuals.filter("exceeds")["frequency_hertz"].to_list()


def test_a_spectrum_that_ends_in_a_capacitor_needs_one_in_the_model() -> None:
    blocking = measured(0.01 + arc(0.02, 0.01) - 1j / (2 * np.pi * HERTZ * 50.0), 1e-4)
    assert kramers_kronig(blocking).passed
    without = kramers_kronig(blocking, capacitance=False, elements=9)
    assert without.rms_residual > kramers_kronig(blocking, elements=9).rms_residual


def test_agrees_with_impedance_py_on_the_same_spectrum() -> None:
    validation = pytest.importorskip("impedance.validation")
    spectrum = measured(battery(), 1e-3)
    validation.circuit_elements["np"] = np  # its own model does not find numpy otherwise
    with contextlib.redirect_stdout(io.StringIO()):
        _, mu, _, in_phase, quadrature = validation.linKK(
            spectrum.frequency, spectrum.impedance, c=None, max_M=12, fit_type="complex", add_cap=True
        )
    ours = kramers_kronig(spectrum, elements=12)
    assert ours.mu == pytest.approx(mu, abs=1e-6)
    assert ours.residuals["real_residual"].to_numpy() == pytest.approx(in_phase, abs=1e-7)
    assert ours.residuals["imaginary_residual"].to_numpy() == pytest.approx(quadrature, abs=1e-7)


@pytest.mark.parametrize(
    "path",
    [
        "biologic/Circuit1_EIS_1.z",
        "autolab/exampleDataAutolab.txt",
        "zplot/exampleDataZPlot.z",
        "versastudio/exampleDataVersaStudio.par",
    ],
)
def test_good_real_spectra_have_small_residuals(path: str) -> None:
    (spectrum,) = spectra(read(real(path)).frame)
    found = kramers_kronig(spectrum, limit=0.015)
    assert found.passed
    assert found.rms_residual < 0.003


def test_a_real_spectrum_that_scatters_at_low_frequencies_fails_there() -> None:
    (spectrum,) = spectra(read(real("biologic/peis.mpr")).frame)
    found = kramers_kronig(spectrum)
    assert not found.passed
    assert found.largest_residual > 0.5


@pytest.mark.parametrize("asked", [{"limit": 0.0}, {"elements": 0}, {"elements": 99}])
def test_arguments_that_make_no_sense_are_refused(asked: dict[str, float]) -> None:
    with pytest.raises(AnalysisError, match=next(iter(asked))):
        kramers_kronig(measured(battery()), **asked)  # type: ignore[arg-type]


def test_three_points_are_too_few_and_constant_ones_pass() -> None:
    with pytest.raises(AnalysisError, match="3 different frequencies, at least 10 needed"):
        kramers_kronig(Spectrum.of([3.0, 2.0, 1.0], [1.0, 1.0, 1.0]))
    assert kramers_kronig(Spectrum.of(HERTZ, np.ones(HERTZ.size))).largest_residual < 1e-9
