"""What is missing of samples is found, and filled in after a look at what would happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from battery_analysis.settings import Settings
from battery_analysis.store import Store
from dashboard import data
from dashboard.data import samples
from dashboard.pages import missing
from tests.dashboard.conftest import settled

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

Visit = Callable[[str], "Tab"]

ZINC = "/missing?project=2026-04+zinc"


def test_a_property_is_filled_in_after_a_preview_for_the_chosen_rows_first(visit: Visit) -> None:
    tab = visit(ZINC)
    lacking = tab.get_by_role("table", name="What samples lack")
    lacking.get_by_role("link", name="Collector mass / mg").click()
    tab.wait_for_url("**field=collector_mass_mg*")
    tab.get_by_text("2 samples").wait_for()
    tab.get_by_label("Your name").fill("Ada")
    tab.get_by_label("Collector mass / mg of all of them").fill("heavy")
    tab.get_by_role("button", name="Preview").click()
    tab.get_by_text("collector_mass_mg: a number is wanted, got 'heavy'").wait_for()
    assert not tab.get_by_role("button", name="Fill in", exact=True).is_visible()
    tab.get_by_label("Collector mass / mg of all of them").fill("4.5")
    tab.locator("#missing .ag-row", has_text="ZN032").locator("[col-id=chemistry]").click()
    tab.get_by_role("button", name="Preview").click()
    tab.get_by_text("1 sample: Collector mass / mg = 4.5").wait_for()
    tab.get_by_role("button", name="Fill in", exact=True).click()
    tab.get_by_text("1 sample filled in.").wait_for()
    tab.get_by_text("1 sample", exact=True).wait_for()
    row = lacking.get_by_role("row").filter(has=tab.get_by_role("link", name="Collector mass / mg"))
    row.get_by_text("1 of 2").wait_for()
    tab.goto(tab.url.replace("/missing", "/sample").replace("project", "sample=ZN032&project"))
    assert "Ada" in tab.locator("#sample-history li").first.inner_text()


def test_the_page_begins_with_what_is_missing_and_says_of_what_is_not(visit: Visit) -> None:
    tab = visit("/missing?project=2026-03+ageing")
    field = tab.locator('[id=\'{"page":"missing","query":"field"}\']')
    assert field.input_value() == "manufacturer"  # chemistry, which comes before it, is known of all
    assert tab.get_by_role("button", name="Preview").is_visible()
    field.select_option("chemistry")
    tab.get_by_text("No sample here lacks Chemistry").wait_for()
    assert not tab.get_by_role("button", name="Preview").is_visible()
    field.select_option("volume_cm3")
    tab.get_by_label("Volume / cm³ of all of them").wait_for()


def test_it_is_said_when_nothing_is_missing(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    data.use(store, settings)
    samples.create("whole", None)
    samples.change("whole", {"chemistry": "NMC", "project": "P1"}, None, {})
    monkeypatch.setattr(missing.missing, "fields", lambda: ["chemistry", "project"])
    assert "Nothing is missing of 1 sample." in str(missing.coverage())
    samples.create("bare", None)
    assert "Nothing is missing" not in str(missing.coverage())


def test_another_property_takes_the_preview_and_the_selection_back(visit: Visit) -> None:
    tab = visit(f"{ZINC}&field=volume_cm3")
    tab.get_by_label("Volume / cm³ of all of them").fill("1")
    tab.locator("#missing .ag-row", has_text="ZN032").locator("[col-id=chemistry]").click()
    tab.get_by_role("button", name="Preview").click()
    tab.get_by_text("1 sample: Volume / cm³ = 1").wait_for()
    tab.locator('[id=\'{"page":"missing","query":"field"}\']').select_option("mass_g")
    tab.get_by_label("Mass / g of all of them").wait_for()
    assert not tab.get_by_role("button", name="Fill in", exact=True).is_visible()
    assert "field=mass_g" in tab.url
    settled(tab)
    tab.get_by_label("Mass / g of all of them").fill("2")
    tab.get_by_role("button", name="Preview").click()
    tab.get_by_text("2 samples: Mass / g = 2").wait_for()
