"""Circuits are recovered from their spectra within the stated errors; the right one is preferred."""

from __future__ import annotations

import numpy as np
import pytest

from battery_analysis import read
from battery_analysis.analysis.circuit_fit import compare_circuits, fit_circuit
from battery_analysis.analysis.circuits import NAMED, parse_circuit
from battery_analysis.analysis.impedance import Spectrum, spectra
from battery_analysis.errors import AnalysisError
from tests.analysis.spectra import HERTZ, measured
from tests.realdata import real

TRUTH: dict[str, list[float]] = {
    "R0-p(R1,C1)": [0.01, 0.02, 5.0],
    "arc": [0.01, 0.02, 4.0, 0.85],
    "arc_diffusion": [0.01, 0.02, 4.0, 0.85, 0.003],
    "randles": [1.0, 20.0, 4.0, 1e-3],
    "randles_cpe": [100.0, 2000.0, 300.0, 1e-5, 0.9],
    "inductive_arc": [1e-7, 0.01, 0.02, 4.0, 0.9],
    "two_arcs": [1e-7, 0.01, 0.005, 0.3, 0.9, 0.02, 5.0, 0.85],
    "two_arcs_diffusion": [1e-7, 0.01, 0.005, 0.3, 0.9, 0.02, 5.0, 0.85, 0.004],
    "R0-p(R1,CPE1)-Wo1": [0.01, 0.02, 4.0, 0.85, 0.03, 20.0],
    "R0-p(R1,CPE1)-Ws1": [0.01, 0.02, 4.0, 0.85, 0.03, 20.0],
    "R0-Zarc1-CPE1": [0.01, 0.02, 1e-3, 0.8, 40.0, 0.7],
    "R0-K1-K2": [1.0, 2.0, 1e-3, 5.0, 1.0],
    "R0-TLMQ1": [1.0, 20.0, 0.02, 0.9],
    "R0-p(R1,C1)-p(R2,C2)-p(R3,C3)": [0.01, 0.004, 0.05, 0.01, 1.0, 0.02, 100.0],
}


def spectrum_of(circuit: str, noise: float, seed: int = 0) -> Spectrum:
    return measured(parse_circuit(circuit).impedance(np.array(TRUTH[circuit]), HERTZ), noise, seed)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
@pytest.mark.parametrize("circuit", TRUTH)
def test_a_known_circuit_is_recovered_within_its_errors(circuit: str, noise: float) -> None:
    fit = fit_circuit(spectrum_of(circuit, noise), circuit)
    truth = np.array(TRUTH[circuit])
    off = np.abs(fit.parameters["value"].to_numpy() - truth)
    assert fit.parameters["error"].null_count() == 0
    assert (off < 4.5 * fit.parameters["error"].to_numpy() + 1e-5 * truth).all()
    assert fit.rms_residual == pytest.approx(noise, rel=0.3, abs=1e-6)


def test_stated_errors_are_those_of_repeated_measurements() -> None:
    fits = [fit_circuit(spectrum_of("arc_diffusion", 1e-3, seed), "arc_diffusion") for seed in range(40)]
    values = np.array([fit.parameters["value"].to_list() for fit in fits])
    stated = np.array([fit.parameters["error"].to_list() for fit in fits]).mean(axis=0)
    assert stated == pytest.approx(values.std(axis=0, ddof=1), rel=0.4)


def test_arcs_come_in_order_of_their_time_constants() -> None:
    fit = fit_circuit(spectrum_of("two_arcs", 1e-4), "two_arcs", start={"R1": 0.02, "CPE1_0": 5.0})
    assert fit.time_constants["part"].to_list() == ["p(R1,CPE1)", "p(R2,CPE2)"]
    expected = [(0.005 * 0.3) ** (1 / 0.9), (0.02 * 5.0) ** (1 / 0.85)]
    assert fit.time_constants["seconds"].to_list() == pytest.approx(expected, rel=0.01)
    assert fit.time_constants["frequency_hertz"].to_list() == pytest.approx(
        [0.1592 / each for each in expected], rel=0.01
    )
    off = np.abs(np.log(fit.time_constants["seconds"].to_numpy() / expected))
    assert (off < 4.5 * fit.time_constants["relative_error"].to_numpy()).all()


def test_the_circuit_that_made_the_spectrum_is_preferred() -> None:
    table = compare_circuits(
        spectrum_of("arc_diffusion", 1e-3), ["arc", "arc_diffusion", "two_arcs_diffusion", "nonsense"]
    )
    assert table["circuit"].to_list()[0] == "arc_diffusion"
    assert table["weight"][0] > 0.8
    assert table["weight"].drop_nulls().sum() == pytest.approx(1.0)
    assert table["circuit"].to_list()[-1] == "nonsense"
    assert table["reason"][-1].startswith("circuit 'nonsense': neither one of")


def test_what_the_data_do_not_determine_has_no_error() -> None:
    fit = fit_circuit(spectrum_of("R0-p(R1,C1)", 0.0), "R0-R2-p(R1,C1)")
    reasons = dict(zip(fit.parameters["parameter"], fit.parameters["reason"], strict=True))
    assert reasons == {
        "R0": "the data do not determine it",
        "R2": "the data do not determine it",
        "R1": None,
        "C1": None,
    }
    assert fit.values["R0"] + fit.values["R2"] == pytest.approx(0.01)


def test_agrees_with_impedance_py_on_the_same_spectrum() -> None:
    circuits = pytest.importorskip("impedance.models.circuits")
    spectrum = spectrum_of("two_arcs_diffusion", 1e-3)
    theirs = circuits.CustomCircuit(NAMED["two_arcs_diffusion"], initial_guess=TRUTH["two_arcs_diffusion"])
    theirs.fit(spectrum.frequency, spectrum.impedance, weight_by_modulus=True)
    ours = fit_circuit(spectrum, "two_arcs_diffusion")
    assert ours.parameters["value"].to_numpy() == pytest.approx(theirs.parameters_, rel=1e-3)
    assert ours.parameters["error"].to_numpy() == pytest.approx(theirs.conf_, rel=0.02)


@pytest.mark.parametrize(
    ("path", "circuit", "rms"),
    [
        ("biologic/Circuit1_EIS_1.z", "R0-p(R1,C1)-p(R2,C2)", 0.006),
        ("zplot/exampleDataZPlot.z", "R0-p(R1,CPE1)", 0.03),
        ("versastudio/exampleDataVersaStudio.par", "two_arcs_diffusion", 0.03),
    ],
)
def test_real_spectra_are_fitted_without_start_values(path: str, circuit: str, rms: float) -> None:
    (spectrum,) = spectra(read(real(path)).frame)
    assert fit_circuit(spectrum, circuit).rms_residual < rms


def test_unit_weights_lean_on_the_large_impedances() -> None:
    spectrum = spectrum_of("arc_diffusion", 1e-3)
    assert fit_circuit(spectrum, "arc_diffusion", weighting="unit").rms_residual > (
        fit_circuit(spectrum, "arc_diffusion").rms_residual
    )


def test_too_few_points_and_wrong_arguments_are_errors() -> None:
    three = Spectrum.of([100.0, 1.0, 0.01], [1.0, 2 - 1j, 3.0])
    with pytest.raises(AnalysisError, match="circuit 'arc': 3 different frequencies, at least 5 needed"):
        fit_circuit(three, "arc")
    with pytest.raises(AnalysisError, match="3 different frequencies"):
        compare_circuits(three, ["arc", "randles"])
    with pytest.raises(AnalysisError, match="none given"):
        compare_circuits(three, [])
    spectrum = spectrum_of("arc", 0.0)
    with pytest.raises(AnalysisError, match="no parameter R9 to start with"):
        fit_circuit(spectrum, "arc", start={"R9": 1.0})
    with pytest.raises(AnalysisError, match="start value of R0 must be positive"):
        fit_circuit(spectrum, "arc", start={"R0": -1.0})
    with pytest.raises(AnalysisError, match="weighting must be"):
        fit_circuit(spectrum, "arc", weighting="none")  # type: ignore[arg-type]


def test_a_constant_impedance_leaves_the_arc_undetermined() -> None:
    fit = fit_circuit(Spectrum.of(HERTZ, np.ones(HERTZ.size)), "arc")
    assert fit.parameters["error"].null_count() >= 2
    assert fit.rms_residual < 1e-3
