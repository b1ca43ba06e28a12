"""Spectra in the browser: drawn, chosen, taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from battery_analysis.analysis.impedance import Spectrum
from battery_analysis.errors import AnalysisError
from dashboard.data.spectra import Measured
from dashboard.pages.eis import among

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.thorough

NYQUIST = "document.querySelector('[aria-label=\"Nyquist plot\"] .js-plotly-plot')"


def spectra(*numbers: int) -> list[Measured]:
    spectrum = Spectrum.of([10.0, 1.0], [1.0, 2.0])
    return [Measured("id", "test", f"#{number}", number, len(numbers), spectrum, None) for number in numbers]


def test_spectra_are_chosen_by_numbers_and_ranges() -> None:
    found = spectra(1, 2, 3, 4, 5, 6)
    assert [each.number for each in among(found, "1, 3-5")] == [1, 3, 4, 5]
    assert among(found, " ") == found
    with pytest.raises(AnalysisError, match="numbers such as 1, 3-5 wanted, got 'all'"):
        among(found, "all")


def test_the_nyquist_plot_has_equal_axes_and_says_frequencies(visit: Callable[[str], Tab]) -> None:
    tab = visit("/eis")
    tab.wait_for_function(f"() => {NYQUIST}?.data.length === 1", timeout=30_000)
    x, y = tab.evaluate(f"[{NYQUIST}._fullLayout.xaxis._m, -{NYQUIST}._fullLayout.yaxis._m]")
    assert x == pytest.approx(y, rel=1e-6)
    tab.evaluate(f"Plotly.Fx.hover({NYQUIST}, [{{curveNumber: 0, pointNumber: 0}}])")
    assert "100kHz" in (tab.locator(".hovertext").text_content() or "")


def test_a_circuit_is_fitted_by_name_and_by_text_and_a_wrong_one_says_why(visit: Callable[[str], Tab]) -> None:
    tab = visit("/eis?circuit=arc&drt=tikhonov")
    parameters = tab.get_by_role("region", name="Parameters of arc")
    parameters.wait_for(timeout=30_000)
    assert "R0" in parameters.inner_text()
    assert tab.get_by_text("Passed: largest residual").count() == 1
    assert tab.get_by_role("region", name="Relaxations").locator("tbody tr").count() >= 2
    tab.get_by_label("Own circuit").fill("R0-p(R1,X1)")
    tab.get_by_text("unknown element X1").first.wait_for(timeout=30_000)
    assert parameters.count() == 1
    assert "own=R0-p%28R1%2CX1%29" in tab.url


def test_spectra_of_a_test_are_chosen_in_the_address(visit: Callable[[str], Tab]) -> None:
    tab = visit("/eis")
    tab.locator("label", has_text="Tests with spectra").locator("button.dash-dropdown").click()
    tab.get_by_role("option", name="NC051_01_PEIS", exact=False).click()
    tab.wait_for_function(f"() => {NYQUIST}?.data.length === 3", timeout=30_000)
    tab.keyboard.press("Escape")
    tab.get_by_label("Spectra of each test").fill("2")
    tab.wait_for_function(f"() => {NYQUIST}?.data.length === 1", timeout=30_000)
    tab.wait_for_url("**numbers=2**")
    tab.reload()
    tab.wait_for_function(f"() => {NYQUIST}?.data.length === 1", timeout=30_000)
    assert "2 of 2" in tab.get_by_role("region", name="Spectra").inner_text()
    tab.get_by_label("Spectra of each test").fill("two")
    tab.get_by_text("numbers such as 1, 3-5 wanted, got 'two'").wait_for(timeout=30_000)


def test_a_long_calculation_is_cancelled_and_begun_again(visit: Callable[[str], Tab]) -> None:
    circuits = ("two_arcs_diffusion", "two_arcs", "randles_cpe", "arc_diffusion", "inductive_arc", "randles")
    tab = visit("/eis?" + "&".join(f"circuit={each}" for each in circuits))
    tab.get_by_text(re.compile(r"\d of 7 done")).wait_for(timeout=30_000)
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_text("cancelled after").wait_for()
    tab.get_by_role("button", name="Calculate again").click()
    tab.get_by_text(re.compile(r"\d of 7 done")).wait_for(timeout=30_000)
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_text("cancelled after").wait_for()
