"""Before the first import every page says what it lacks, and leads to where that comes from."""

from __future__ import annotations

import pytest

from battery_analysis.settings import Settings
from battery_analysis.store import Store
from dashboard import data
from dashboard.adhoc_scripts import fastest_fade
from dashboard.pages import PAGES, Page, adhoc, import_, logs, overview, plans, sample, test, watchers

NEED_NO_DATA = (adhoc, import_, logs, overview, plans, sample, test, watchers)


def shown(page: Page) -> str:
    """Return what a page shows, as the text of its components."""
    return str(page.layout())


@pytest.fixture(autouse=True)
def empty(store: Store, settings: Settings) -> None:
    data.use(store, settings)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in NEED_NO_DATA], ids=lambda page: page.PATH)
def test_a_page_without_data_says_so_and_leads_to_the_import(page: Page) -> None:
    said = shown(page)
    assert " yet." in said
    assert "href='/import'" in said


def test_what_begins_elsewhere_leads_there() -> None:
    assert "href='/watchers'" in shown(overview)
    assert "href='/samples'" in shown(sample)
    assert "There are no tests yet." in str(fastest_fade.layout())
    assert "Add one below" not in shown(watchers)  # nobody has opened a folder to the dashboard
