"""Figures of models, spectra and correlations, held against plotly's own checks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis import answers
from battery_analysis.analysis.circuit_fit import fit_circuit
from battery_analysis.analysis.correlations import correlations
from battery_analysis.analysis.impedance import Spectrum
from battery_analysis.analysis.kramers_kronig import kramers_kronig
from battery_analysis.analysis.relaxation import relaxation_times
from dashboard.data.spectra import Measured
from dashboard.figures_analysis import roles
from dashboard.figures_correlations import correlated, pair
from dashboard.figures_models import beside_model, half_cell_fit, residuals_of_model
from dashboard.figures_spectra import (
    fits_of_spectra,
    parameters_of_spectra,
    relaxations_of_spectra,
    residuals_of_spectra,
)

HERTZ = np.logspace(4, -2, 40)


def measured(number: int, resistance: float) -> Measured:
    """A spectrum of one arc."""
    spectrum = Spectrum.of(HERTZ, 0.02 + resistance / (1 + 2j * np.pi * HERTZ * 0.01))
    return Measured("id", "<b>test</b>", f"<b>test</b> #{number}", number, 2, spectrum, None)


def test_spectra_beside_one_another_keep_their_colours_and_names() -> None:
    both = [measured(1, 0.1), measured(2, 0.2)]
    tables = {each.label: kramers_kronig(each.spectrum).residuals for each in both}
    residuals = residuals_of_spectra(tables, 0.01)
    assert [trace.showlegend for trace in residuals.data] == [True, False, True, False]
    assert residuals.data[0].line.color == residuals.data[1].line.color != residuals.data[2].line.color
    assert residuals.data[0].name == "&lt;b&gt;test&lt;/b&gt; #1"
    found = [(each, fit_circuit(each.spectrum, "R0-p(R1,C1)")) for each in both]
    plane = fits_of_spectra(found)
    assert plane.layout.xaxis.title.text == "Re Z / mΩ"
    assert plane.layout.yaxis.scaleanchor == "x"
    followed = {trace.name: list(trace.y) for trace in parameters_of_spectra(found).data}
    assert followed["R1"] == pytest.approx([100, 200], rel=1e-3)
    times = relaxations_of_spectra({each.label: relaxation_times(each.spectrum).distribution for each in both})
    assert times.layout.yaxis.title.text == "γ(ln τ) / Ω"
    assert max(times.data[1].y) == pytest.approx(2 * max(times.data[0].y), rel=0.05)


def test_half_cells_of_a_small_cell_are_drawn_in_milliampere_hours_and_dashed_later() -> None:
    names = ("voltage_volt", "fitted_volt", "positive_volt", "negative_volt")
    curve = pl.DataFrame({"charge_ah": [0.0, 0.003], **{name: [3.0, 4.0] for name in names}})
    drawn = half_cell_fit(curve, curve)
    assert drawn.layout.xaxis.title.text == "Charge from the discharged end / mAh"
    assert list(drawn.data[0].x) == [0.0, 3.0]
    assert [trace.line.dash for trace in drawn.data] == ["solid"] * 4 + ["dash"] * 4


def test_simulated_voltages_keep_their_extremes_when_there_are_many() -> None:
    count = 20_000
    residual = np.zeros(count)
    residual[12_345] = -0.2
    columns = {"test_time_second": np.arange(count) * 10.0, "voltage_volt": 4 + residual, "residual_volt": residual}
    table = pl.DataFrame({**columns, "simulated_volt": np.full(count, 4.0)})
    voltages, difference = beside_model(table), residuals_of_model(table)
    assert min(voltages.data[0].y) == pytest.approx(3.8)
    assert min(difference.data[0].y) == pytest.approx(-200)
    assert len(voltages.data[0].x) <= 4_000
    assert voltages.layout.xaxis.title.text == "Test time / h"


def test_roles_have_a_sign_each_and_cycles_without_one_are_shown() -> None:
    count = 12
    cycles = pl.DataFrame(
        {
            "cycle_count": range(1, count + 1),
            "discharge_capacity_ah": [0.002] * count,
            "discharge_time_second": [36000.0] * 2 + [3600.0] * (count - 3) + [0.0],
            "min_voltage_volt": [3.0] * count,
            "max_voltage_volt": [4.2] * count,
        }
    )
    drawn = roles(answers.roles(cycles))
    assert {trace.name: len(trace.x) for trace in drawn.data} == {"Cycling": 9, "Formation": 2, "cannot be told": 1}
    assert drawn.layout.yaxis.title.text == "Discharge capacity / mAh"


def test_numbers_are_points_and_categories_are_boxes() -> None:
    cells = pl.DataFrame(
        {
            "cell": ["A1", "A2", "B1", "B2"],
            "loading_mg_cm2": [1.0, 2.0, 3.0, 4.0],
            "chemistry": ["<i>LFP</i>", "<i>LFP</i>", "NMC", None],
            "capacity_retention": [0.9, 0.8, 0.7, float("nan")],
        }
    )
    found = correlations(
        cells.with_columns(capacity_retention=pl.lit(1.0) / pl.col("loading_mg_cm2")),
        ["loading_mg_cm2"],
        ["capacity_retention"],
    )
    heat = correlated(found)
    assert [list(row) for row in heat.data[0].z] == [[pytest.approx(-1.0)]]
    points = pair(cells, "loading_mg_cm2", "capacity_retention")
    assert (points.data[0].type, len(points.data[0].x)) == ("scatter", 3)
    assert points.layout.xaxis.title.text == "Loading / mg/cm²"
    boxes = pair(cells, "chemistry", "capacity_retention")
    assert (boxes.data[0].type, boxes.data[0].x[0]) == ("box", "&lt;i&gt;LFP&lt;/i&gt;")
