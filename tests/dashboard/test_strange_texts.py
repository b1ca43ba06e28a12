"""Names of any length and with any signs in them, addresses that lead nowhere, and figures of nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import polars as pl
import pytest
from plotly.io.json import to_json_plotly

from battery_analysis.errors import BatteryAnalysisError
from dashboard import figures, shell
from dashboard.adhoc_scripts import fastest_fade
from dashboard.data import tests
from dashboard.figures_series import Strip, View, series_figure
from dashboard.pages.overview import imports_figure
from tests.dashboard.conftest import Lab, run_command

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

Visit = Callable[[str], "Tab"]

LINK = '<a href="http://elsewhere.example">LG012</a>.ndax'


def strips(*names: str, title: str = "Voltage", unit: str = "V") -> list[Strip]:
    places = np.array([0.0, 1.0])
    return [Strip("voltage_volt", title, unit, [(name, places, places + 3.0) for name in names])]


def test_names_of_tests_are_no_links_in_the_legend_and_whole_in_exports() -> None:
    drawn = series_figure(strips(LINK, "other.ndax"), View("Test time / h"))
    assert not any("<" in trace.name.replace("<br>", "") for trace in drawn.data)  # long names have two lines
    assert set(figures.numbers(drawn.to_plotly_json())["trace"]) == {LINK, "other.ndax"}


def test_columns_of_a_file_are_called_as_there_and_never_read_as_values() -> None:
    drawn = series_figure(strips("one.ndax", title="<b>T1</b>", unit="%{x}"), View("Test time / h"))
    assert "<" not in drawn.layout.yaxis.title.text
    assert drawn.data[0].hovertemplate.count("%{") == 1
    assert figures.numbers(drawn.to_plotly_json()).columns == ["trace", "Test time / h", "<b>T1</b> / %{x}"]


def test_a_figure_of_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    none = pl.DataFrame(schema={"day": pl.Date, "outcome": pl.String, "files": pl.Int64})
    assert "No file was imported" in imports_figure(none, date(2026, 5, 1)).layout.annotations[0].text
    monkeypatch.setattr(tests, "query", lambda *_, **__: None)
    monkeypatch.setattr(tests, "listed", lambda *_: ([], 0))
    drawn = fastest_fade.draw(50)
    assert "No test has so many cycles" in drawn.layout.annotations[0].text
    assert drawn.layout.xaxis.visible is False


def test_the_fastest_fade_is_exported_with_the_names_of_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": f"{number}", "cell_code": "A<1>", "name": name, "capacity_retention": 0.5, "cycles": 60}
        for number, name in enumerate(("run", "run", "rest"))
    ]
    monkeypatch.setattr(tests, "query", lambda *_, **__: None)
    monkeypatch.setattr(tests, "listed", lambda *_: (rows, 3))
    names = figures.numbers(fastest_fade.draw(50).to_plotly_json())["y"].to_list()
    assert names == ["A<1> · run (A<1>, 0)", "A<1> · run (A<1>, 1)", "A<1> · rest"]


def test_a_very_long_name_is_broken_into_lines(lab: Lab, visit: Visit) -> None:
    name = "NMC811_" + "graphite" * 30
    run_command(lab, "sample", "set", name, "chemistry=NMC")
    tab = visit(f"/sample?sample={name}")
    assert tab.locator("h1").inner_text() == name
    assert width_beyond_window(tab) <= 0
    tab.set_viewport_size({"width": 390, "height": 844})
    assert width_beyond_window(tab) <= 0


def width_beyond_window(tab: Tab) -> Any:
    return tab.evaluate("() => document.documentElement.scrollWidth - innerWidth")


def test_an_address_that_chooses_what_is_not_there_leads_to_the_page_without_it(visit: Visit) -> None:
    tab = visit(f"/cycles?test={quote('<script>alert(1)</script>')}")
    assert "no test result has the id '<script>alert(1)</script>'" in tab.locator("main .problem").inner_text()
    tab.get_by_role("link", name="Cycles without this choice").click()
    tab.locator("main h1", has_text="Cycles").wait_for()
    tab.locator("main .js-plotly-plot").first.wait_for()


def test_a_message_in_the_corner_goes_when_it_is_closed_or_left(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {}
    monkeypatch.setattr(shell, "set_props", lambda _, props: said.update(props))
    shell.report(BatteryAnalysisError("no answer from the database"))
    tab = visit("/samples")
    message = tab.locator("#messages", has_text="no answer from the database")
    for leave in (tab.get_by_role("button", name="Close"), tab.locator(".side-bar").get_by_role("link", name="Logs")):
        tab.evaluate("(props) => dash_clientside.set_props('messages', props)", json.loads(to_json_plotly(said)))
        message.wait_for()
        leave.click()
        message.wait_for(state="detached")
