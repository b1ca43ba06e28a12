"""Compare: lines, groups, what goes with what, and views that are kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.cycles import CYCLE_SCHEMA
from battery_analysis.analysis.dataset import DATASET_SCHEMA
from battery_analysis.store.lives import Life
from dashboard import comparing
from dashboard.comparing import mean_with_spread
from dashboard.figures_compare import Looks, boxes, overlay, scatter
from dashboard.quantities import Choice, undated_cycles
from dashboard.retention import group_means, retention_table

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

PLOT = "document.querySelectorAll('.js-plotly-plot')"


def life(name: str, capacities: list[float], **traits: str | float) -> Life:
    """A cell with these capacities, cycle by cycle."""
    count = len(capacities)
    columns: Mapping[str, Any] = {
        "cycle_count": range(1, count + 1),
        "discharge_capacity_ah": capacities,
        "charge_capacity_ah": capacities,
        "coulombic_efficiency": [1.0] * count,
        "complete": [True] * count,
        "running_time_second": [7200.0 * (number + 1) for number in range(count)],
    }
    cycles = pl.DataFrame(columns, schema_overrides={"cycle_count": CYCLE_SCHEMA["cycle_count"]})
    absent = {each: dtype for each, dtype in DATASET_SCHEMA.items() if each not in columns}
    cycles = cycles.with_columns(pl.lit(None, dtype).alias(each) for each, dtype in absent.items())
    return Life("cell", name, name, cycles, traits={"cell": name, **traits})


LIVES = [
    life("A1", [2.0, 1.9, 1.8, 1.5, 1.4], binder="PVDF", temperature=25.0),
    life("A2", [2.2, 2.1, 2.0], binder="PVDF", temperature=25.0),
    life("B1", [1.0, 0.9, 0.8], binder="CMC", temperature=45.0),
    life("C1", [1.0, 0.5, 0.5]),
]


def test_each_line_is_a_life_in_the_colour_of_its_group() -> None:
    drawn, missing = overlay(LIVES, Looks(LIVES, "binder", ""), Choice(by="first"))
    colours = [trace.line.color for trace in drawn.data]
    assert colours[0] == colours[1]
    assert len(set(colours)) == 3
    assert [trace.name for trace in drawn.data if trace.showlegend] == ["PVDF", "CMC", "not known"]
    assert list(drawn.data[2].y) == pytest.approx([100, 90, 80], abs=1e-4)
    assert missing == []


def test_more_groups_than_signs_are_told_apart_by_order() -> None:
    lives = [life(f"A{number}", [1.0, 0.9]) for number in range(40)]
    lines, _ = overlay(lives, Looks(lives, comparing.EACH, ""), Choice())
    assert len({trace.line.color for trace in lines.data}) == 40
    assert {trace.line.dash for trace in lines.data} == {"solid"}
    assert not lines.layout.showlegend


def test_names_are_never_read_as_tags() -> None:
    lives = [life("<a href='https://evil.example'>A</a>", [1.0, 0.9], binder="<b>PVDF</b>"), LIVES[0]]
    looks = Looks(lives, "binder", "")
    lines, _ = overlay(lives, looks, Choice())
    box, _ = boxes(lives, looks, "capacity_retention")
    assert lines.data[0].name == "&lt;b&gt;PVDF&lt;/b&gt;"
    assert lines.data[0].meta[0].startswith("&lt;a href")
    assert "&lt;b&gt;PVDF&lt;/b&gt;" in [trace.name for trace in box.data]
    assert "<" not in str(lines.to_plotly_json()["data"]).replace("<br>", "").replace("<extra></extra>", "")


def test_a_mean_counts_only_the_lives_that_reach_so_far() -> None:
    drawn, _ = overlay(LIVES[:2], Looks(LIVES[:2], "binder", ""), Choice(), spread="range")
    mean = drawn.data[-1]
    assert list(mean.y) == pytest.approx([2.1, 2.0, 1.9, 1.5, 1.4])
    assert [row[0] for row in mean.customdata] == [2, 2, 2, 1, 1]
    high, low = drawn.data[0], drawn.data[1]
    assert (list(high.y)[:3], list(low.y)[:3]) == (pytest.approx([2.2, 2.1, 2.0]), pytest.approx([2.0, 1.9, 1.8]))


def test_along_time_a_mean_is_taken_between_points_and_never_beyond_them() -> None:
    one = pl.DataFrame({"x": [0.0, 10.0], "y": [0.0, 10.0]})
    other = pl.DataFrame({"x": [0.0, 20.0], "y": [2.0, 2.0]})
    found = mean_with_spread([one, other], "deviation", counts=False)
    beyond = found.filter(pl.col("x") > 10)
    assert beyond["n"].unique().to_list() == [1]
    assert beyond["mean"].unique().to_list() == [2.0]
    first = found.row(0, named=True)
    assert (first["mean"], first["high"]) == (1.0, pytest.approx(1 + 2**0.5))


def test_a_mean_along_dates_does_not_depend_on_the_order_of_tests() -> None:
    one = pl.DataFrame({"x": [5.0, 10.0, 0.0], "y": [5.0, 10.0, 0.0]})
    other = pl.DataFrame({"x": [0.0, 10.0], "y": [0.0, 10.0]})
    found = mean_with_spread([one, other], "range", counts=False)
    assert found["n"].unique().to_list() == [2]
    assert found["mean"].to_list() == pytest.approx(found["x"].to_list())


def test_a_life_without_the_number_is_named_not_filled_in() -> None:
    drawn, without = boxes(LIVES, Looks(LIVES, comparing.ALL, ""), "cycle_life")
    assert sorted(drawn.data[0].y) == [2, 4]  # C1 falls below 80 % at once, A1 later
    assert without == ["A2", "B1"]


def test_the_table_says_what_is_left_at_the_cycles_asked_for() -> None:
    columns, rows = retention_table(LIVES, "binder", "2, 3, 5, 900", None)
    assert [column.heading for column in columns if column.field.startswith("at_")] == [
        "At 2 / %",
        "At 3 / %",
        "At 5 / %",
    ]
    assert [(row["at_3"], row["at_5"]) for row in rows[:2]] == [
        (pytest.approx(0.9), pytest.approx(0.7)),
        (pytest.approx(2 / 2.2), None),
    ]
    assert [row["group"] for row in rows] == ["PVDF", "PVDF", "CMC", "not known"]
    assert rows[0]["cycle_life"] == 4


def test_groups_have_their_means_over_the_lives_that_have_the_number() -> None:
    columns, rows = retention_table(LIVES, "binder", "2, 5", None)
    (mean,) = group_means(columns, rows)  # the other groups are of one life each
    assert (mean["cell"], mean["group"], mean["cycles"]) == ("Mean of 2", "PVDF", 4)
    assert mean["at_2"] == pytest.approx((1.9 / 2.0 + 2.1 / 2.2) / 2)
    assert mean["at_5"] == pytest.approx(0.7)  # one of them has not come so far
    assert "cycle_life" not in mean
    assert group_means(*retention_table(LIVES, comparing.EACH, "2", None)) == []


def test_a_cycle_has_the_date_at_which_it_ended() -> None:
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    cycles = LIVES[0].cycles.with_columns(
        pl.Series("test_id", ["a", "a", "a", "b", "b"]), end_time_second=pl.col("running_time_second")
    )
    dated = replace(LIVES[0], cycles=cycles, starts={"a": start})
    for spread in ("", "range"):
        drawn, _ = overlay([dated], Looks([dated], comparing.ALL, ""), Choice(against="date"), spread=spread)
        assert drawn.layout.xaxis.title.text == "Date / UTC"
        ends = np.array(drawn.data[-1].x, dtype="datetime64[s]")
        assert ends[0] == np.datetime64("2026-03-02T10:00:00")
        assert ends[-1] == np.datetime64("2026-03-02T14:00:00")
    assert undated_cycles(dated) == 2
    _, missing = overlay(LIVES[:1], Looks(LIVES[:1], "", ""), Choice(against="date"))
    assert missing == ["A1: no cycle has discharge capacity and a date"]


def test_in_a_scatter_symbols_are_of_the_second_property() -> None:
    looks = Looks(LIVES[:3], "binder", "temperature")
    drawn = scatter(LIVES[:3], looks, comparing.table_of_numbers(LIVES[:3]), "Cycles", "Initial capacity / Ah")
    assert [(trace.name, trace.marker.symbol) for trace in drawn.data] == [
        ("CMC, 45", "diamond"),
        ("PVDF, 25", "circle"),
    ]
    assert [row[1] for row in drawn.data[1].customdata] == ["/cell?cell=A1", "/cell?cell=A2"]


def test_numbers_that_too_few_have_go_with_nothing() -> None:
    table = comparing.table_of_numbers(LIVES)
    assert table["Temperature"].to_list() == [25.0, 25.0, 45.0, None]
    names, square = comparing.matrix(table, "pearson_r")
    assert "Temperature" not in names  # three have it, four are needed
    assert square[names.index("Cycles")][names.index("Cycles")] == 1.0


def choose(tab: Tab, label: str, *typed: str) -> None:
    """Choose by typing, as a reader does."""
    field = tab.locator(f"label:has(span:text-is('{label}')) .dash-dropdown")
    field.click()
    for text in typed:
        tab.keyboard.type(text)
        tab.get_by_role("option", name=text).first.click()
        tab.locator(".dash-dropdown-search").fill("")
    tab.keyboard.press("Escape")


def test_cells_are_chosen_by_typing_and_stand_in_the_address(visit: Callable[[str], Tab]) -> None:
    tab = visit("/compare")
    tab.get_by_text("Nothing is chosen yet.").wait_for()
    choose(tab, "Cells", "FE021", "FE022")
    tab.wait_for_url("**/compare?*cell=FE021&cell=FE022*")
    tab.wait_for_function(f"() => {PLOT}[0]?.data?.length === 2")
    tab.get_by_label("Show").select_option("Mean, smallest to largest")
    tab.wait_for_function(f"() => {PLOT}[0]?.data?.length === 3")
    tab.get_by_label("Divided by").select_option("Share of the nominal capacity")
    tab.wait_for_function(f"() => {PLOT}[0]?.layout?.yaxis?.title?.text === 'Discharge capacity / %'")


def test_a_test_that_is_not_there_is_named_beside_the_cells(visit: Callable[[str], Tab]) -> None:
    tab = visit(f"/compare?cell=LG012&test={'0' * 24}")
    tab.get_by_text(f"there is no test '{'0' * 24}'").first.wait_for(timeout=30_000)


def test_all_cells_of_a_project_are_compared_by_what_is_known_of_them(visit: Callable[[str], Tab]) -> None:
    tab = visit("/compare")
    tab.get_by_label("Add all cells of").select_option("Project: 2026-03 ageing")
    tab.wait_for_function(f"() => {PLOT}[0]?.data?.length === 5")
    tab.get_by_label("Colour and group by").select_option("Chemistry")
    tab.wait_for_function(f"() => {PLOT}[3]?.data?.length === 2")  # a box for each chemistry
    tab.wait_for_function(f"() => new Set({PLOT}[0]?.data?.map(trace => trace.line.color)).size === 2")
    cycles = tab.get_by_label("Retention at cycles")
    assert cycles.evaluate("field => field.scrollWidth <= field.clientWidth")  # it shows all that it holds
    cycles.fill("20")
    tab.get_by_role("columnheader", name="At 20 / %").wait_for()


def test_a_click_on_a_correlation_shows_the_two_numbers(visit: Callable[[str], Tab]) -> None:
    tab = visit("/compare?" + "&".join(f"cell={code}" for code in ("LG012", "LG013", "LG014", "FE021", "FE022")))
    tab.wait_for_function(f"() => {PLOT}[1]?.data?.length === 1")
    x, y = (f"{PLOT}[1]?._fullLayout.{axis}" for axis in ("xaxis.d2p('Cycles')", "yaxis.d2p('Initial capacity / Ah')"))
    square = tab.evaluate(f"({{x: {x}, y: {y}}})")
    drawn = tab.locator(".js-plotly-plot").nth(1).locator(".nsewdrag").first
    drawn.hover(position=square)
    tab.locator(".hoverlayer .hovertext").wait_for()
    drawn.click(position=square)
    upwards = f"{PLOT}[2]?.layout?.yaxis?.title?.text"
    tab.wait_for_function(f"() => {upwards} === 'Initial capacity / Ah'")
    assert tab.evaluate(f"{PLOT}[2]?.layout?.xaxis?.title?.text") == "Cycles"
    tab.get_by_text("Pearson's r").last.wait_for()


def test_a_click_on_a_line_opens_its_cell_and_dates_are_an_axis(visit: Callable[[str], Tab]) -> None:
    tab = visit("/compare?cell=LG012&cell=LG013&x=date&group=chemistry&at=20")
    tab.wait_for_function(f"() => {PLOT}[0]?._fullLayout?.xaxis?.type === 'date'")
    assert tab.evaluate(f"{PLOT}[0].data[0].x[0]").startswith("2026-03-0")
    tab.get_by_role("gridcell", name="Mean of 2").wait_for()
    assert tab.get_by_role("link", name="Mean of 2").count() == 0
    plot = tab.locator(".js-plotly-plot").first
    plot.scroll_into_view_if_needed()
    middle = tab.evaluate(
        f"(() => {{ const plot = {PLOT}[0], trace = plot._fullData[1], full = plot._fullLayout;"
        " const at = Math.floor(trace.x.length / 2);"
        " return {x: full.xaxis.d2p(trace.x[at]), y: full.yaxis.d2p(trace.y[at])}; })()"
    )
    plot.locator(".nsewdrag").first.hover(position=middle)
    tab.locator(".hoverlayer .hovertext").first.wait_for()
    plot.locator(".nsewdrag").first.click(position=middle)
    tab.wait_for_url("**/cell?cell=LG013")
    tab.locator("#cell-numbers").wait_for()


def test_a_view_is_kept_found_again_and_removed(visit: Callable[[str], Tab]) -> None:
    tab = visit("/compare?cell=FE021&y=energy_efficiency")
    tab.get_by_text("Saved views").click()
    tab.get_by_label("Keep this selection as").fill("<b>iron</b>")
    tab.get_by_role("button", name="Save view").click()
    tab.get_by_role("link", name="<b>iron</b>").wait_for()
    tab = visit("/compare")
    tab.get_by_text("Saved views").click()
    tab.get_by_role("link", name="<b>iron</b>").click()
    tab.wait_for_function(f"() => {PLOT}[0]?.layout?.yaxis?.title?.text === 'Energy efficiency / %'")
    tab.get_by_text("Saved views").click()
    tab.get_by_role("button", name="Remove the view <b>iron</b>").click()
    tab.get_by_text("No view of this page is saved yet.").wait_for()


def test_the_table_is_exported_with_units_and_selection(visit: Callable[[str], Tab]) -> None:
    tab = visit("/compare?cell=FE021&at=10")
    tab.get_by_role("link", name="FE021").wait_for()
    card = tab.locator("section.card", has=tab.get_by_role("heading", name="What is left"))
    card.get_by_text("Export").click()
    with tab.expect_download() as download:
        card.get_by_role("button", name="CSV").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert '# filter: {"cell": ["FE021"], "at": "10"}' in text
    table = pl.read_csv(io.StringIO(text), comment_prefix="#")
    assert table["Cell"].to_list() == ["FE021"]
    assert 90 < table["At 10 / %"][0] < 101
