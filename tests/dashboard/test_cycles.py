"""Cycles: what a reader sees of a cell's cycles, and within those that are clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from battery_analysis.analysis.cycles import CYCLE_SCHEMA
from battery_analysis.analysis.normalise import Properties
from battery_analysis.errors import AnalysisError
from battery_analysis.store.lives import Life
from dashboard.cycle_numbers import cycles_named
from dashboard.figures_per_cycle import per_cycle
from dashboard.quantities import Choice, points
from tests.dashboard.conftest import settled

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def life(**known: Any) -> Life:
    """Three cycles of a cell that fades by a tenth each, and one that is not complete."""
    rows = [(1, 2.0, True), (2, 1.8, True), (3, 1.62, True), (4, 0.5, False)]
    cycles = pl.DataFrame(
        {
            "cycle_count": [number for number, _, _ in rows],
            "discharge_capacity_ah": [capacity for _, capacity, _ in rows],
            "charge_capacity_ah": [capacity for _, capacity, _ in rows[:3]] + [0.0],
            "coulombic_efficiency": [1.0, 1.0, 1.0, None],
            "complete": [whole for _, _, whole in rows],
            "first_direction": "discharge",
        },
        schema_overrides={name: CYCLE_SCHEMA[name] for name in ("complete", "first_direction")},
    ).with_columns(
        test_cycle_count=pl.col("cycle_count"),
        test_id=pl.lit("t"),
        role=pl.lit(None, pl.String),
        running_time_second=pl.col("cycle_count") * 7200.0,
        running_throughput_ah=(pl.col("charge_capacity_ah") + pl.col("discharge_capacity_ah")).cum_sum(),
    )
    return Life("cell", "AB12", "AB12", cycles, **known)


@pytest.mark.parametrize(
    ("choice", "x", "y"),
    [
        (Choice(), [1, 2, 3], [2.0, 1.8, 1.62]),
        (Choice(by="first", reference=2), [1, 2, 3], [111.111, 100.0, 90.0]),
        (Choice(by="nominal"), [1, 2, 3], [80.0, 72.0, 64.8]),
        (Choice(by="area"), [1, 2, 3], [200.0, 180.0, 162.0]),
        (Choice(by="mass"), [1, 2, 3], [100.0, 90.0, 81.0]),
        (Choice(against="time"), [7200.0, 14400.0, 21600.0], [2.0, 1.8, 1.62]),
        (Choice(against="full_cycles"), [0.8, 1.52, 2.168], [2.0, 1.8, 1.62]),
        (Choice("coulombic_efficiency", by="mass"), [1, 2, 3], [100.0, 100.0, 100.0]),
    ],
)
def test_quantities_are_divided_and_drawn_against_what_was_asked(
    choice: Choice, x: list[float], y: list[float]
) -> None:
    of = life(nominal_capacity_ah=2.5, properties=Properties(area_cm2=10.0, active_mass_mg=20_000.0))
    found = points(of, choice, incomplete=False)
    assert found["x"].to_list() == pytest.approx(x)
    assert found["y"].to_list() == pytest.approx(y, rel=1e-4)


def test_halves_are_numbered_in_the_order_in_which_they_come() -> None:
    found = points(life(), Choice("capacity", against="half"))
    halves = dict(found.group_by("direction").agg("x").iter_rows())
    assert halves == {"discharge": [1, 3, 5, 7], "charge": [2, 4, 6]}  # the last cycle has not charged


def test_what_a_quantity_cannot_be_divided_by_is_named() -> None:
    with pytest.raises(AnalysisError, match="AB12: active_mass_mg of the sample is not known"):
        points(life(), Choice(by="mass"))
    with pytest.raises(AnalysisError, match="AB12: cycle 9 has no value to refer to"):
        points(life(), Choice(by="first", reference=9))
    with pytest.raises(AnalysisError, match="AB12: nominal_capacity_ah of the sample is not known"):
        points(life(), Choice(against="full_cycles"))


def test_incomplete_cycles_are_drawn_hollow_or_not_at_all() -> None:
    shown, _ = per_cycle(life(), Choice(), incomplete=True)
    assert list(shown.data[0].marker.symbol) == ["circle", "circle", "circle", "circle-open"]
    whole, _ = per_cycle(life(), Choice())
    assert len(whole.data[0].x) == 3


def test_cycles_are_named_by_numbers_and_ranges() -> None:
    known = range(101)
    assert cycles_named(" 1,5 - 8; 90-200:10 ", known) == ([1, 5, 6, 7, 8, 90, 100], None)
    assert cycles_named("", known) == ([], None)
    assert cycles_named("5-", known)[1] == "cycles: numbers and ranges such as 1, 5-8, 10-100:10 wanted, got '5-'"


def test_a_click_on_a_point_shows_what_happens_within_that_cycle_and_another_hides_it(
    visit: Callable[[str], Tab],
) -> None:
    tab = visit("/cycles?cell=NC052")
    assert not tab.get_by_role("heading", name="dQ/dV").is_visible()
    point = tab.locator(".js-plotly-plot").first.locator(".point").nth(20)
    point.click(force=True)
    tab.get_by_role("heading", name="dQ/dV").wait_for()
    chosen = tab.get_by_label("Chosen cycles")
    cycle = chosen.input_value()
    tab.wait_for_url(f"**/cycles?*cycles={cycle}*")
    drawn = "number => document.querySelectorAll('.js-plotly-plot')[number].data.map(trace => trace.name)"
    tab.wait_for_function("() => document.querySelectorAll('.js-plotly-plot')[1]?.data?.length === 2")
    assert tab.evaluate(drawn, 1) == [f"cycle {cycle}"] * 2
    assert tab.evaluate(drawn, 3) == [f"cycle {cycle}"]
    settled(tab)
    tab.mouse.move(0, 0)  # a figure that was drawn anew under the pointer has not felt it
    point.hover(force=True)
    point.click(force=True)
    tab.get_by_role("heading", name="dQ/dV").wait_for(state="hidden")
    assert chosen.input_value() == ""


def test_every_control_changes_what_the_figures_say(visit: Callable[[str], Tab]) -> None:
    tab = visit("/cycles?cell=NC052&cycles=5,50")
    plot = "document.querySelectorAll('.js-plotly-plot')"

    def axis(number: int, name: str, said: str) -> None:
        tab.wait_for_function(
            f"([number, name, said]) => {plot}[number]?._fullLayout?.[name]?.title.text === said",
            arg=[number, name, said],
        )

    axis(0, "yaxis", "Discharge capacity / mAh")
    tab.get_by_label("Quantity").select_option("Energy efficiency")
    axis(0, "yaxis", "Energy efficiency / %")
    tab.get_by_label("And at the right").select_option("Charge capacity")
    axis(0, "yaxis2", "Charge capacity / mAh")
    tab.get_by_label("Against").select_option("Equivalent full cycles")
    axis(0, "xaxis", "Equivalent full cycles")
    tab.get_by_label("Divided by").select_option("Per electrode area")
    axis(0, "yaxis2", "Charge capacity / mAh/cm²")
    axis(1, "xaxis", "Charge moved / mAh/cm²")
    tab.get_by_text("Energy efficiency is as measured").wait_for()
    tab.get_by_label("Signal over time").select_option("Current")
    axis(3, "yaxis", "Current / A")
    tab.get_by_label("Halves").select_option("Discharge")
    tab.wait_for_function(f"() => {plot}[1]?.data.length === 2")
    tab.get_by_label("Chosen cycles").fill("fifth")
    tab.get_by_text("got 'fifth'").wait_for()


def test_a_link_brings_back_cell_test_and_cycles(visit: Callable[[str], Tab]) -> None:
    tab = visit("/cycles?cell=NC051&cycles=2,3&y=mean_voltage&incomplete=yes")
    names = "() => document.querySelectorAll('.js-plotly-plot')[0]?.data?.map(trace => trace.name)"
    tab.wait_for_function(f"() => ({names})().length > 1")
    assert tab.evaluate(names)[:1] == ["Mean voltage, charge"]
    assert tab.get_by_label("Incomplete cycles").is_checked()
    options = tab.locator("""[id*='"query":"test"'] option""").all_inner_texts()
    assert options[0] == "All tests of the cell"
    assert len(options) > 1


def test_a_link_draws_the_page_once_although_the_controls_complete_the_address(
    page: Tab, visit: Callable[[str], Tab]
) -> None:
    drawn: list[str] = []
    drawing = '"output":"..page.children'
    page.on("request", lambda request: drawn.append("once") if drawing in (request.post_data or "") else None)
    tab = visit("/cycles?cell=NC052")
    tab.wait_for_url("**/cycles?cell=NC052&y=discharge_capacity*")
    settled(tab)
    assert drawn == ["once"]


def test_what_the_sample_does_not_say_is_named_with_the_way_to_mend_it(visit: Callable[[str], Tab]) -> None:
    tab = visit("/cycles?cell=LG012&by=mass")
    tab.get_by_text("LG012: active_mass_mg of the sample is not known").first.wait_for()
    assert tab.get_by_role("link", name="Edit the sample").get_attribute("href") == "/sample?sample=LG012"
