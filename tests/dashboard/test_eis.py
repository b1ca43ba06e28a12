"""Spectra in the browser: drawn, chosen, taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl
import pytest

from battery_analysis.analysis.circuit_fit import CircuitFit
from battery_analysis.analysis.impedance import Spectrum
from battery_analysis.errors import AnalysisError
from dashboard.data.spectra import Measured
from dashboard.figures_spectra import parameters_of_spectra
from dashboard.pages.eis import among

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.thorough  # minutes of calculations; every page is opened by default, too

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


def test_a_test_that_is_not_there_is_named_where_it_was_asked_for(visit: Callable[[str], Tab]) -> None:
    tab = visit("/eis?test=nope")
    tab.get_by_text("there is no test 'nope'").wait_for(timeout=30_000)
    assert "nope (no such test)" in tab.inner_text("main")


def test_several_spectra_are_taken_apart_side_by_side(visit: Callable[[str], Tab]) -> None:
    tab = visit("/eis")
    tab.locator("label", has_text="Tests with spectra").locator("button.dash-dropdown").click()
    tab.get_by_role("option", name="NC051_01_PEIS", exact=False).click()
    tab.keyboard.press("Escape")
    tab.wait_for_function(f"() => {NYQUIST}?.data.length === 3", timeout=30_000)
    tab.locator("select[id*='\"spectrum\"']").select_option("All that are drawn")
    tab.get_by_text("3 of 3 tested spectra passed").wait_for(timeout=30_000)
    residuals = "document.querySelector('[aria-label=\"Kramers–Kronig residuals\"] .js-plotly-plot')"
    assert tab.evaluate(f"{residuals}.data.length") == 6
    tab.get_by_label("Own circuit").fill("R0-p(R1,CPE1)")
    table = tab.get_by_role("region", name="Circuit R0-p(R1,CPE1): parameters with standard errors")
    table.wait_for(timeout=60_000)
    assert table.locator("tbody tr").count() == 3
    assert "± R1 / Ω" in table.inner_text()
    tab.get_by_label("Relaxation times (DRT)").select_option("Tikhonov")
    tab.get_by_role("region", name="Relaxations").wait_for(timeout=60_000)
    tab.get_by_label("Spectra of each test").fill("1")
    tab.get_by_text("2 of 2 tested spectra passed").wait_for(timeout=60_000)
    assert "spectrum=all" in tab.url


def test_only_parameters_that_every_spectrum_determines_are_followed() -> None:
    def fit(values: dict[str, tuple[float, float | None]]) -> CircuitFit:
        rows = [
            {"parameter": name, "value": value, "error": error, "unit": "Ohm", "reason": None}
            for name, (value, error) in values.items()
        ]
        return CircuitFit("R0-L0", pl.DataFrame(rows), pl.DataFrame(), pl.DataFrame(), 0.0, 0.0, 0.0, "modulus")

    fits = [
        fit({"R0": (2.0, 0.1), "L0": (1e-30, 1.0), "R1": (3.0, 0.1)}),
        fit({"R0": (1.0, 0.1), "L0": (1e-6, 1e-8), "R1": (3.0, None)}),
    ]
    drawn = parameters_of_spectra(list(zip(spectra(1, 2), fits, strict=True)))
    assert [(trace.name, list(trace.y)) for trace in drawn.data] == [("R0", [100.0, 50.0])]
    assert list(drawn.data[0].error_y.array) == [5.0, 5.0]


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
