"""Time series: what a reader sees of a test, from the whole of it to single records."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import numpy as np
import polars as pl
import pytest

from battery_analysis.errors import BatteryAnalysisError
from battery_analysis.models import TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from battery_analysis.store.frames import load_cycles
from dashboard import data
from dashboard.data import series
from dashboard.data.series import as_csv, as_parquet, moment, moments, title_of, unit_of
from dashboard.figures import PALETTES
from dashboard.figures_series import Strip, View, series_figure
from tests.builders import cycling_frame, read_result, save
from tests.dashboard.conftest import Lab

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.thorough  # a page at length; every page is opened by default, too

PLOT = "document.querySelector('.js-plotly-plot')"


def two_strips() -> list[Strip]:
    times = np.arange(3.0)
    voltage = Strip("voltage_volt", "Voltage", "V", [("A.csv", times, times), ("B.csv", times, times)])
    return [voltage, Strip("cycle_count", "Cycle count", "", [("A.csv", times, times)], counted=True)]


def test_signals_share_one_axis_of_time_and_have_their_own_units() -> None:
    drawn = series_figure(two_strips(), View("Test time / h", (0.5, 2.0), [(1.0, "7")]))
    assert [trace.xaxis for trace in drawn.data] == ["x"] * 3
    assert [trace.yaxis for trace in drawn.data] == ["y", "y", "y2"]
    assert drawn.layout.xaxis.range == (0.5, 2.0)
    assert (drawn.layout.yaxis.title.text, drawn.layout.yaxis2.title.text) == ("Voltage / V", "Cycle count")
    assert drawn.layout.yaxis.domain[0] > drawn.layout.yaxis2.domain[1]
    assert drawn.layout.xaxis.anchor == "y2"  # below the lowest strip


def test_a_test_has_one_colour_and_one_place_in_the_legend() -> None:
    first, second, counted = series_figure(two_strips(), View("Test time / h")).data
    assert first.line.color == counted.line.color != second.line.color
    assert [trace.showlegend for trace in (first, second, counted)] == [True, True, False]
    assert counted.line.shape == "hv"


@pytest.mark.parametrize(
    ("column", "in_file", "title", "unit"),
    [
        ("voltage_volt", "mV", "Voltage", "V"),
        ("temperature_t1_celsius", "", "Temperature t1", "°C"),
        ("cycle_count", "", "Cycle count", ""),
        ("aux_flow", "ml/s", "Flow(ml/s)", "ml/s"),
    ],
)
def test_columns_are_called_as_the_field_and_else_the_file_calls_them(
    column: str, in_file: str, title: str, unit: str
) -> None:
    assert (title_of(column, "Flow(ml/s)"), unit_of(column, in_file)) == (title, unit)


def test_moments_are_written_with_or_without_a_zone() -> None:
    assert moment("2026-03-02 08:30") == datetime(2026, 3, 2, 8, 30, tzinfo=UTC).timestamp()
    assert moment("2026-03-02T09:30+01:00") == moment("2026-03-02 08:30")
    assert str(moments(np.array([1.5]), moment("2026-03-02"))[0]) == "2026-03-02T00:00:01.500"
    with pytest.raises(BatteryAnalysisError, match="not 'Monday'"):
        moment("Monday")


def test_records_come_as_one_file_however_many_parts_they_have() -> None:
    parts = [pl.DataFrame({"voltage_volt": [1.0, 2.0]}), pl.DataFrame({"voltage_volt": [3.0]})]
    assert b"".join(as_csv(iter(parts))) == b"voltage_volt\n1.0\n2.0\n3.0\n"
    assert pl.read_parquet(b"".join(as_parquet(iter(parts))))["voltage_volt"].to_list() == [1.0, 2.0, 3.0]
    assert list(as_csv(iter([]))) == list(as_parquet(iter([]))) == []


def test_cycles_are_marked_where_they_begin_within_a_window(store: Store, settings: Settings, tmp_path: Path) -> None:
    data.use(store, settings)
    test = save(store, tmp_path, read_result(cycling_frame(cycles=40)))
    table = load_cycles(store, test.id, form="polars")
    starts = dict(table.select("cycle_count", "start_time_second").rows())
    marks = series.cycle_marks(test, (None, None))
    assert [(int(each.label), each.second) for each in marks] == [(n, starts[n]) for n in starts if n % 5 == 0]
    first, last = starts[7], starts[9]
    assert [each.label for each in series.cycle_marks(test, (first, last))] == ["7", "8", "9"]
    assert [each.label for each in series.cycle_marks(test, (None, first))] == [str(n) for n in starts if n <= 7]
    assert series.cycle_marks(TestResult(cycle_blocks=[]), (None, None)) == []


def drawn(tab: Tab, condition: str) -> None:
    tab.wait_for_function(f"() => {{ const plot = {PLOT}; return plot && plot._fullData?.length && ({condition}); }}")


def test_dragging_over_the_figure_asks_the_server_for_the_records_there(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit(f"/series?test={lab.named['test_id']}")
    drawn(tab, "plot.data.length === 2")
    coarse = tab.evaluate(f"{PLOT}._fullData[0].x.length")
    box = tab.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 300, box["y"] + 40)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 330, box["y"] + 42, steps=3)
    tab.mouse.up()
    tab.wait_for_url("**from=*")
    first, last = (float(tab.get_by_label(name, exact=True).input_value()) for name in ("From", "To"))
    inside = f"[...plot._fullData[0].x].every(x => x >= {first} && x <= {last})"
    drawn(tab, inside)
    assert coarse > tab.evaluate(f"{PLOT}._fullData[0].x.length") > 20
    assert tab.evaluate(f"{PLOT}.layout.xaxis.range.map(x => x.toFixed(3))") == [f"{first:.3f}", f"{last:.3f}"]
    tab.get_by_role("button", name="Whole test").click()
    drawn(tab, f"plot._fullData[0].x.length === {coarse}")
    assert "from=" not in tab.url


def test_a_link_brings_back_tests_signals_window_and_marks(visit: Callable[[str], Tab], lab: Lab) -> None:
    query = "signal=temperature_t1_celsius&signal=voltage_volt&axis=s&marks=steps&from=0&to=20000"
    tab = visit(f"/series?test={lab.named['test_id']}&{query}")
    drawn(tab, "plot.layout.yaxis2")
    assert tab.evaluate(f"[{PLOT}.layout.yaxis.title.text, {PLOT}.layout.yaxis2.title.text]") == [
        "Temperature t1 / °C",
        "Voltage / V",
    ]
    assert tab.evaluate(f"{PLOT}.layout.xaxis.title.text") == "Test time / s"
    assert tab.evaluate(f"{PLOT}.layout.shapes.length") > 2
    tab.get_by_label("Marks").select_option("None")
    drawn(tab, "!plot.layout.shapes?.length")
    tab.get_by_label("Axis").select_option("Date and time (UTC)")
    drawn(
        tab, "plot.layout.xaxis.title.text === 'Date and time (UTC)' && String(plot._fullData[0].x[0]).startsWith('20')"
    )
    assert tab.get_by_label("From", exact=True).input_value() == ""


def test_all_records_of_the_window_are_downloaded(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit(f"/series?test={lab.named['test_id']}&axis=s&from=1000&to=90000")
    drawn(tab, "plot.data.length === 2")
    tab.get_by_text("Records", exact=True).click()
    links = [tab.get_by_role("link", name=name).get_attribute("href") or "" for name in ("Parquet", "CSV")]
    with urlopen(lab.url + links[0]) as answer:
        content = answer.read()
    records = pl.read_parquet(io.BytesIO(content))
    times = records["test_time_second"]
    assert 1000 <= times.min() < times.max() <= 90000  # type: ignore[operator]
    assert {"voltage_volt", "current_ampere", "cycle_count", "test_id"} <= set(records.columns)
    shown = tab.evaluate(f"{PLOT}._fullData[0].x.length")
    assert records.height == shown  # so narrow a window is not thinned

    about = {
        name: value for name, value in pl.read_parquet_metadata(io.BytesIO(content)).items() if name != "ARROW:schema"
    }
    assert about["window"] == "Test time / s from 1000 to 90000"
    chosen = json.loads(about["filter"])
    assert (chosen["test"], chosen["from"], chosen["axis"]) == ([lab.named["test_id"]], "1000", "s")
    assert chosen["signal"] == ["voltage_volt", "current_ampere"]
    assert list(json.loads(about["tests"])) == chosen["test"]
    units = json.loads(about["units"])
    assert (units["voltage_volt"], units["test_time_second"]) == ("V", "s")
    with urlopen(lab.url + links[1]) as answer:
        text = answer.read().decode()
    head = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))
    assert {**head, "exported": ""} == {**about, "exported": ""}
    assert pl.read_csv(io.StringIO(text), comment_prefix="#").height == records.height


def test_what_is_wrong_with_a_window_is_said_in_its_place(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit(f"/series?test={lab.named['test_id']}")
    drawn(tab, "plot.data.length === 2")
    tab.get_by_label("From", exact=True).fill("tomorrow")
    tab.get_by_text("From must be a number in h, got 'tomorrow'").wait_for()
    tab.get_by_label("From", exact=True).fill("9000000")
    tab.get_by_text("There are no records in this window.").wait_for()


def test_without_a_test_the_page_says_how_to_choose_one(visit: Callable[[str], Tab]) -> None:
    tab = visit("/series")
    tab.get_by_text("No test is chosen.").wait_for()
    tab.locator("label", has_text="Tests").locator(".dash-dropdown").click()
    tab.keyboard.type("LG012")
    tab.get_by_role("option").filter(has_text="LG012_ageing").first.click()
    drawn(tab, "plot.data.length === 2")
    assert parse_qs(urlsplit(tab.url).query)["test"]


def test_a_link_to_records_that_cannot_be_is_refused_with_the_reason(lab: Lab) -> None:
    def refused(query: str) -> Any:
        from urllib.error import HTTPError

        with pytest.raises(HTTPError) as told:
            urlopen(f"{lab.url}/series/records?{query}")
        with told.value as answer:
            return answer.status, answer.read().decode()

    test = lab.named["test_id"]
    assert refused(f"test={test}&signal=x&form=exe") == (400, "form: one of csv, parquet wanted, got 'exe'")
    assert refused("test=../../etc&signal=voltage_volt")[0] == 400
    beyond = refused(f"test={test}&signal=voltage_volt&from=9000000")
    assert beyond == (404, "there are no records in this window")
    assert "From must be before To" in refused(f"test={test}&signal=voltage_volt&from=5&to=1")[1]


def test_lines_follow_a_switch_of_the_theme(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit(f"/series?test={lab.named['test_id']}")
    drawn(tab, "plot.data.length === 2")
    tab.get_by_role("button", name="Dark theme").click()
    drawn(tab, f"plot.data[0].line.color === '{PALETTES['dark'][0]}'")


def test_a_cell_brings_all_its_tests_in_their_order_in_time(visit: Callable[[str], Tab]) -> None:
    tab = visit("/series?cell=LG012")
    drawn(tab, "new Set(plot.data.map(trace => trace.name)).size === 2")
    assert tab.evaluate(f"[...new Set({PLOT}.data.map(trace => trace.name))].map(name => name.split('_')[1])") == [
        "rate",
        "ageing",
    ]
    assert tab.evaluate(f"{PLOT}.layout.xaxis.title.text") == "Date and time (UTC)"


def test_the_page_of_a_test_leads_to_its_records(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit(f"/test/{lab.named['test_id']}")
    tab.locator("main").get_by_role("link", name="Time series").click()
    drawn(tab, "plot.data.length === 2")
    assert lab.named["test_id"] in tab.url
