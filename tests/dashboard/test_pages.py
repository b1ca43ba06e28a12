"""What holds for every page, and for the shell around them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dashboard.pages import GROUPS, PAGES, Page
from tests.dashboard.conftest import Lab, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

PHONE = {"width": 390, "height": 844}


def axe(tab: Tab) -> list[str]:
    """Return the serious and critical faults that axe finds."""
    from axe_playwright_python.sync_playwright import Axe

    found: list[dict[str, Any]] = Axe().run(tab).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_every_page_is_open_to_everybody_in_both_themes_and_fits_a_phone(
    each_page: Page, lab: Lab, visit: Callable[[str], Tab]
) -> None:
    tab = visit(lab.address(each_page))
    assert tab.locator("main .problem").count() == 0
    assert axe(tab) == []
    tab.get_by_role("button", name="Dark theme").click()
    assert axe(tab) == []
    tab.set_viewport_size(PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_very_wide_screen_is_filled_by_tall_figures_and_larger_letters(page: Tab, lab: Lab) -> None:
    page.set_viewport_size({"width": 3840, "height": 2160})
    page.goto(f"{lab.url}/compare?cell=LG012&cell=FE021")
    settled(page)
    edges = page.locator("section.card").evaluate_all(
        "cards => cards.map(card => Math.round(card.getBoundingClientRect().right))"
    )
    right = page.locator(".page").first.evaluate("page => Math.round(page.getBoundingClientRect().right)")
    assert edges[-1] == right  # the two figures of the last row share it
    for figure in page.locator(".js-plotly-plot").all():
        box = figure.bounding_box()
        assert box is not None
        assert box["width"] / box["height"] < 5
    page.goto(f"{lab.url}/tests")
    settled(page)
    table = page.locator("#tests .ag-header-viewport").evaluate("table => table.clientWidth")
    columns = page.locator("#tests .ag-header-row").evaluate("row => row.clientWidth")
    assert columns >= table - 1
    assert page.locator("main h1").evaluate("title => getComputedStyle(title).fontSize") == "25px"


def test_every_page_says_where_it_is() -> None:
    assert len({page.PATH for page in PAGES}) == len(PAGES)
    for page in PAGES:
        assert page.TITLE
        assert page.GROUP is None or page.GROUP in GROUPS
        assert page.PATH.startswith("/")


def test_the_side_bar_leads_to_every_listed_page_without_reloading(visit: Callable[[str], Tab]) -> None:
    tab = visit("/")
    tab.evaluate("window.stayed = true")
    for page in (page for page in PAGES if page.GROUP):
        link = tab.locator("nav").get_by_role("link", name=page.TITLE, exact=True)
        link.click()
        tab.wait_for_function("title => document.title.startsWith(title)", arg=page.TITLE)
        assert link.get_attribute("aria-current") == "page"
    assert tab.evaluate("window.stayed") is True


def test_the_theme_follows_the_system_until_one_is_chosen_and_is_remembered(visit: Callable[[str], Tab]) -> None:
    tab = visit("/")
    tab.locator("html[data-bs-theme=light]").wait_for()
    tab.emulate_media(color_scheme="dark")
    tab.locator("html[data-bs-theme=dark]").wait_for()
    tab.get_by_role("button", name="Dark theme").click()
    tab.locator("html[data-bs-theme=light]").wait_for()
    tab.reload()
    settled(tab)
    assert tab.locator("html").get_attribute("data-bs-theme") == "light"
    assert tab.get_by_role("button", name="Dark theme").get_attribute("aria-pressed") == "false"


def test_figures_follow_the_theme_on_screen_and_from_the_server(visit: Callable[[str], Tab]) -> None:
    ink = "() => document.querySelector('.js-plotly-plot')._fullLayout.font.color"
    tab = visit("/")
    light = tab.evaluate(ink)
    tab.get_by_role("button", name="Dark theme").click()
    tab.wait_for_function(f"{ink} !== '{light}'")  # a function: the content policy forbids evaluating texts
    dark = tab.evaluate(ink)
    tab.reload()
    settled(tab)
    assert tab.evaluate(ink) == dark


def test_the_search_box_finds_tests_from_every_page(visit: Callable[[str], Tab]) -> None:
    tab = visit("/")
    tab.keyboard.press("/")
    tab.keyboard.type("LG012")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/tests?text=LG012")
    tab.get_by_text(re.compile(r"^\d+ tests?$")).wait_for()
    assert tab.get_by_label("Words").input_value() == "LG012"


def test_a_reader_at_the_keyboard_reaches_the_content_first(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "page"


def test_on_a_phone_the_pages_are_behind_a_button(visit: Callable[[str], Tab], page: Tab) -> None:
    page.set_viewport_size(PHONE)
    tab = visit("/")
    assert not tab.locator("nav").is_visible()
    tab.get_by_role("button", name="Menu").click()
    tab.locator("nav").get_by_role("link", name="Tests").click()
    tab.wait_for_url("**/tests")
    tab.locator("nav").wait_for(state="hidden")


def test_a_page_says_when_the_dashboard_does_not_answer_and_when_it_does_again(
    visit: Callable[[str], Tab], faults: list[str]
) -> None:
    tab = visit("/tests")
    tab.context.set_offline(True)
    tab.get_by_label("Words").fill("LG")
    tab.get_by_role("alert").get_by_text("The dashboard does not answer").wait_for()
    tab.context.set_offline(False)
    tab.get_by_role("alert").get_by_text("The dashboard answers again").wait_for()
    tab.get_by_role("button", name="Reload").click()
    tab.get_by_text("4 tests", exact=True).wait_for()
    faults.clear()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/test/abc", "24 hexadecimal digits wanted"),
        ("/test/6b013d7b778b17a928abd8ff", "no test result has the id"),
        ("/nowhere/at/all", "There is no page /nowhere/at/all"),
    ],
)
def test_what_cannot_be_shown_says_why_in_its_own_place(path: str, said: str, visit: Callable[[str], Tab]) -> None:
    tab = visit(path)
    assert said in tab.locator("main").inner_text()
    tab.locator("nav").get_by_role("link", name="Tests").click()
    tab.get_by_role("heading", name="Tests", level=1).wait_for()
