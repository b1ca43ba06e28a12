"""dQ/dV: what a reader sees of chosen cycles, their peaks, and what changed between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.halves import HalfCycles, half_cycles, joined
from battery_analysis.errors import AnalysisError
from dashboard.figures_differential import units_of
from dashboard.pages.differential_shown import Asked, Shown

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.thorough  # a page at length; every page is opened by default, too

PLOTS = "document.querySelectorAll('.js-plotly-plot')"


def cycle(number: int, peak_volt: float) -> HalfCycles:
    """One charge that takes half of its 1 Ah at one voltage, and the discharge back."""
    volt = np.linspace(3.0, 4.0, 501)
    charge = 0.5 * (volt - 3.0) + 0.25 * (1 + np.tanh((volt - peak_volt) / 0.03))
    time = 3600 * charge
    frame = pl.DataFrame(
        {
            "test_time_second": np.concatenate([time, time[-1] + 1.0 + time]),
            "voltage_volt": np.concatenate([volt, volt[::-1]]),
            "current_ampere": np.repeat([1.0, -1.0], 501),
            "cycle_count": np.full(1002, number),
        }
    )
    return half_cycles(frame)


def aged() -> HalfCycles:
    return joined([cycle(1, 3.5), cycle(9, 3.52)])


def test_half_cycles_from_several_frames_are_one_row_of_them() -> None:
    halves = aged()
    assert halves.table["half_cycle"].to_list() == [0, 1, 2, 3]
    assert halves.table["cycle_count"].to_list() == [1, 1, 9, 9]
    assert halves.table["direction"].to_list() == ["charge", "discharge"] * 2
    assert np.bincount(halves.half, halves.moved) == pytest.approx(halves.table["capacity_ah"].to_list())
    assert (np.diff(halves.record) >= 1).all()


def test_peaks_are_followed_from_cycle_to_cycle() -> None:
    shown = Shown(aged(), Asked("dqdv", half="charge"))
    assert shown.peaks["peak"].to_list() == [1, 1]
    assert shown.peaks["position_volt"].to_list() == pytest.approx([3.5, 3.52], abs=0.002)
    lost = Shown(aged(), Asked("dqdv", half="charge", shift=5.0))
    assert lost.peaks["peak"].to_list() == [1, 2]


def test_discharges_are_drawn_downwards_and_changes_leave_the_reference_out() -> None:
    curves, tracks, change = Shown(aged(), Asked("dqdv")).figures({1: "#000", 9: "#111"}, 1, "position")
    lines = [trace for trace in curves.data if trace.mode == "lines"]
    assert [np.sign(np.median(trace.y)) for trace in lines] == [1, -1, 1, -1]
    assert {trace.name for trace in change.data} == {"cycle 9"}
    assert change.layout.yaxis.title.text == "dQ/dV less that of cycle 1 / Ah/V"
    assert [trace.name for trace in tracks.data] == ["charge 1", "discharge 1"]


def test_curves_say_how_they_were_made() -> None:
    assert Shown(aged(), Asked("dqdv", smoother="savitzky_golay", step=4.0, order=2)).about == (
        "Grid of 4 mV; Savitzky–Golay of order 2, 40 mV wide. Narrower peaks are lowered."
    )
    inverse = Shown(aged(), Asked("dvdq", smoother="none", step=5.0))
    assert inverse.about.startswith("Grid of 5 mAh, not smoothed")
    assert units_of(inverse.curves).column("position") == "position_ah"


def test_of_small_cells_charge_is_in_milliampere_hours() -> None:
    large = aged()
    small = replace(
        large, moved=large.moved / 1000, table=large.table.with_columns(pl.col("capacity_ah", "current_ampere") / 1000)
    )
    for kind, unit in (("dqdv", "mAh/V"), ("dvdq", "V/mAh")):
        curves, tracks, change = Shown(small, Asked(kind)).figures({1: "#000", 9: "#111"}, 1, "height")
        whole, _, _ = Shown(large, Asked(kind)).figures({1: "#000", 9: "#111"}, 1, "height")
        assert {each.layout.yaxis.title.text.rpartition(" / ")[2] for each in (curves, tracks, change)} == {unit}
        assert curves.data[0].y == pytest.approx(whole.data[0].y, rel=1e-6)
        assert curves.data[0].x == pytest.approx(whole.data[0].x, rel=1e-6)


def test_what_cannot_be_calculated_is_said() -> None:
    with pytest.raises(AnalysisError, match="step_volt must be above 0"):
        Shown(aged(), Asked("dqdv", step=0.0))
    with pytest.raises(AnalysisError, match="cycle 5 has no curve to compare with"):
        Shown(aged(), Asked("dqdv")).figures({1: "#000", 9: "#111"}, 5, "position")


def test_cycles_are_chosen_at_first_and_controls_change_the_curves(visit: Callable[[str], Tab]) -> None:
    tab = visit("/differential?cell=NC052")
    tab.wait_for_function(f"() => {PLOTS}[0]?.data?.length > 6")
    assert len(tab.get_by_label("Cycles", exact=True).input_value().split(",")) == 6
    tab.wait_for_url("**cycles=*")
    tab.get_by_label("Cycles", exact=True).fill("5, 100")
    tab.wait_for_function(f"() => new Set({PLOTS}[2].data.map(trace => trace.name)).size === 1")
    assert tab.get_by_role("cell", name="100", exact=True).count() > 0
    tab.locator("label", has_text="Curve").locator("select").select_option("dV/dQ over charge")
    tab.wait_for_function(f"() => {PLOTS}[0].layout.xaxis.title.text === 'Charge moved / mAh'")
    tab.get_by_text("Step / mAh").wait_for()
    tab.get_by_label("Property").select_option("Height")
    tab.wait_for_function(f"() => {PLOTS}[1].layout.yaxis.title.text === 'Height of the peak / V/mAh'")


def test_a_link_brings_back_smoother_reference_and_halves(visit: Callable[[str], Tab]) -> None:
    query = "cycles=10,20,30&smoother=savitzky_golay&width=20&order=2&half=charge&reference=20"
    tab = visit(f"/differential?cell=NC052&{query}")
    tab.get_by_text("Savitzky–Golay of order 2, 20 mV wide").wait_for()
    tab.wait_for_function(f"() => {PLOTS}[2]?.layout?.yaxis?.title?.text.includes('cycle 20')")
    assert tab.evaluate(f"{PLOTS}[0]._fullData.every(trace => [...trace.y].every(y => y > -1e-3))")
    tab.get_by_label("Difference to cycle").fill("11")
    tab.get_by_text("cycle 11 has no curve to compare with").wait_for()
