"""Experiment plans in the browser: made, filled, exported, removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def test_a_plan_is_made_from_factors_filled_by_hand_exported_and_removed(visit: Callable[[str], Tab]) -> None:
    tab = visit("/plans")
    tab.get_by_text("NAME=LEVEL,LEVEL or, of numbers, NAME=LOW..HIGH").wait_for()
    tab.get_by_label("Name", exact=True).fill("formats")
    tab.get_by_label("Factors, a line each").fill("chemistry=NMC/graphite")
    tab.wait_for_timeout(500)  # fields are sent 0.4 s after the last key
    tab.get_by_role("button", name="Make the plan").click()
    tab.get_by_text("factor chemistry: a factorial design needs two levels or more").wait_for()
    tab.get_by_label("Factors, a line each").fill("chemistry=NMC/graphite, LFP/graphite\nform_factor=coin, pouch")
    tab.wait_for_timeout(500)
    tab.get_by_role("button", name="Make the plan").click()
    tab.get_by_role("heading", name="formats", level=1).wait_for()
    tab.wait_for_url("**plan=formats")
    assert tab.locator(".stat", has_text="Cells with tests").locator(".stat-value").inner_text() == "2 of 4"

    tab.get_by_label("Shown").select_option("Gaps: cells without tests")
    gaps = tab.get_by_role("region", name="Gaps: cells without tests")
    gaps.wait_for()
    assert gaps.locator("tbody tr").count() == 2
    tab.wait_for_url("**cells=open**")

    tab.locator("summary", has_text="Assign a sample").click()
    tab.get_by_label("Sample", exact=True).fill("ZN031")
    tab.get_by_label("Cell; empty takes the assignment back").fill("2")
    tab.wait_for_timeout(500)
    tab.get_by_role("button", name="Assign", exact=True).click()
    tab.get_by_text("Sample ZN031 is in cell 2.").wait_for()
    tab.get_by_text("3 of 4", exact=True).wait_for()

    tab.locator(".page-head summary", has_text="Export").click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="CSV", exact=True).click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "cell,chemistry,form_factor,state,samples,tests,cycles"
    assert lines[2].startswith("2,NMC/graphite,pouch,done,ZN031")

    tab.locator("summary", has_text="Delete").click()
    tab.get_by_role("button", name="Delete this plan").click()
    tab.get_by_role("heading", name="Experiment plans", level=1).wait_for()
    assert tab.get_by_role("link", name="formats").count() == 0


def test_a_plan_that_is_not_there_is_said_in_its_place(visit: Callable[[str], Tab]) -> None:
    tab = visit("/plans?plan=nowhere")
    assert "no experiment plan is named 'nowhere'" in tab.locator("main").inner_text()
