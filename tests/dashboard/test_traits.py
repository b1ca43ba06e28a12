"""Any property filters samples and tests, and a filter is found again under its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.dashboard.conftest import ROOT, Lab, serving, settled

if TYPE_CHECKING:
    from playwright.sync_api import Locator
    from playwright.sync_api import Page as Tab

Visit = Callable[[str], "Tab"]


def control(tab: Tab, name: str) -> Locator:
    """The control whose value the address holds under a name."""
    return tab.locator(f'[id=\'{{"page":"traits","query":"{name}"}}\']')


def add(tab: Tab, property_: str, operator: str, value: str) -> None:
    """Add a condition as a person does."""
    tab.locator("#traits-property").click()
    tab.get_by_role("searchbox", name="Search", exact=True).fill(property_)
    tab.get_by_role("option", name=property_).first.click()
    tab.locator("#traits-operator").select_option(label=operator)
    tab.locator("#traits-value").fill(value)
    tab.get_by_role("button", name="Add condition").click()


def names(tab: Tab, table: str) -> list[str]:
    """What the table shows in its first column."""
    return sorted(tab.locator(f"#{table} .ag-cell[col-id=name]").all_inner_texts())


def test_conditions_join_and_what_does_not_fit_is_said_where_it_was_typed(visit: Visit) -> None:
    tab = visit("/traits")
    tab.get_by_text("No condition yet: everything fits.").wait_for()
    add(tab, "Test: capacity retention", "<", "most")
    tab.get_by_role("alert").get_by_text("capacity_retention: a number is wanted, got 'most'").wait_for()
    tab.locator("#traits-value").fill("70")
    tab.get_by_role("button", name="Add condition").click()
    tab.get_by_text("Test: capacity retention / % < 70", exact=True).wait_for()
    tab.get_by_text("1 test", exact=True).wait_for()
    assert names(tab, "traits-tests") == ["LG014_ageing_21_1_3.ndax"]
    add(tab, "Sample: chemistry", "is", "LFP/graphite")
    tab.get_by_text("0 tests").wait_for()
    control(tab, "match").select_option("any")
    tab.get_by_text("3 tests").wait_for()
    control(tab, "of").select_option("samples")
    tab.get_by_text("3 samples").wait_for()
    assert names(tab, "traits-samples") == ["FE021", "FE022", "LG014"]
    tab.reload()
    tab.get_by_text("3 samples").wait_for()
    tab.get_by_role("button", name="Remove this condition").first.click()
    tab.get_by_text("2 samples").wait_for()
    assert tab.url.endswith("/traits?where=sample.chemistry%7Cis%7CLFP%2Fgraphite&of=samples&match=any")


def test_a_condition_that_a_link_has_wrong_hides_everything_and_says_why(visit: Visit) -> None:
    tab = visit("/traits?where=sample.colour%7Cis%7C%3Cb%3Ered")
    assert tab.get_by_text("no property 'colour' of a sample").is_visible()
    tab.get_by_text("0 tests").wait_for()


def test_a_saved_filter_is_found_again_after_a_restart(visit: Visit, lab: Lab, faults: list[str]) -> None:
    tab = visit("/traits?where=test.cycle_count%7Cge%7C200")
    tab.get_by_text("2 tests").wait_for()
    tab.locator("summary", has_text="Saved views").click()
    tab.get_by_label("Keep this selection as").fill("long tests")
    tab.get_by_role("button", name="Save view").click()
    tab.get_by_role("link", name="long tests").wait_for()
    environment = {**os.environ, "BATTERY_DATA_DIR": str(lab.data_dir), "PYTHONPATH": str(ROOT)}
    with serving(environment, *lab.options) as url:
        tab.goto(f"{url}/traits")
        settled(tab)
        tab.locator("summary", has_text="Saved views").click()
        tab.get_by_role("link", name="long tests").click()
        tab.get_by_text("2 tests").wait_for()
        assert tab.get_by_text("Test: cycle count ≥ 200").is_visible()
        tab.goto("about:blank")
    faults[:] = [each for each in faults if not each.startswith(f"request to {url}")]  # this server is ours, too
