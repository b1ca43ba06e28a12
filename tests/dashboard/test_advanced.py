"""Advanced analyses in the browser: the numbers of the commands, chosen in the address, stopped, exported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.conftest import ROOT, Lab

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.thorough

LONG = 40_000


def command(lab: Lab, *words: str) -> Any:
    """Return what a command says on the same store."""
    asked = [sys.executable, "-m", "cli.main", *words, *lab.options, "--json"]
    return json.loads(subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def stat(tab: Tab, label: str) -> str:
    return tab.locator(".stat", has_text=label).locator(".stat-value").inner_text(timeout=LONG)


def test_fade_shows_the_numbers_of_the_command(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit("/advanced?cell=LG014&law=linear&threshold=70")
    predicted = stat(tab, "Cycle life, predicted")
    said = command(lab, "analyse", "fade", "LG014", "--law", "linear", "--threshold", "0.7")
    assert predicted == f"{said['predicted_cycle']:,.0f}"
    assert stat(tab, "Law") == "linear"
    laws = tab.get_by_role("region", name="Laws of fade").locator("tbody tr")
    assert laws.count() == len(said["laws"])
    tab.get_by_label("Predict by").select_option("knee")
    tab.locator(".stat", has_text="Law").get_by_text("knee").wait_for(timeout=LONG)
    tab.wait_for_url("**law=knee**")


def test_other_analyses_of_a_test_are_a_click_away_and_their_tables_can_be_taken_along(
    visit: Callable[[str], Tab], lab: Lab
) -> None:
    tab = visit("/advanced?cell=LG012&view=rate")
    tab.get_by_text("cell LG012 has 2 tests; choose one of them above").wait_for(timeout=LONG)
    test = next(each for each in command(lab, "search", "--cell", "LG012") if each["tester"] == "Arbin")["id"]
    tab.locator("select[id*='\"test\"']").select_option(test)
    levels = tab.get_by_role("region", name="Rates")
    levels.wait_for(timeout=LONG)
    assert levels.locator("tbody tr").count() == len(command(lab, "analyse", "rate", test)["levels"])
    card = tab.locator(".card", has=levels)
    card.locator("summary", has_text="Export").click()
    with tab.expect_download() as download:
        card.get_by_role("button", name="CSV").click()
    assert "Relative capacity" in Path(download.value.path()).read_text()
    tab.locator(".segmented").get_by_text("Pulses").click()
    tab.get_by_role("region", name="Pulses").wait_for(timeout=LONG)
    tab.wait_for_url(f"**test={test}**")
    assert "view=pulses" in tab.url


def test_a_cell_for_its_size_says_what_the_sample_lacks(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit("/advanced?cell=NC051&view=normalised")
    table = tab.get_by_role("region", name="Normalised")
    table.wait_for(timeout=LONG)
    (cell,) = command(lab, "normalize", "NC051")
    areal = next(each["value"] for each in cell["quantities"] if each["name"] == "areal_capacity_mah_cm2")
    assert f"{areal:.5g}" in table.inner_text()
    assert "volume_cm3 of the sample is not known" in table.inner_text()
