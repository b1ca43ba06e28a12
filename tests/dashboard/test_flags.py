"""Flags through the browser: what checks raised is resolved with a note, people raise their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.dashboard.conftest import Lab, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def test_a_flag_of_a_check_is_resolved_only_with_a_note_which_is_kept(lab: Lab, visit: Callable[[str], Tab]) -> None:
    tab = visit("/flags?raised_by=checks")
    tab.get_by_role("gridcell", name="open", exact=True).first.click()
    tab.get_by_label("The selected flags are").select_option("resolved")
    tab.get_by_role("button", name="Save").click()
    tab.get_by_text("a note is wanted that says why").wait_for()
    tab.get_by_label("Note", exact=True).fill("Rate test after a long rest <i>as planned</i>")
    tab.get_by_label("Your name").fill("Ada")
    tab.get_by_role("button", name="Save").click()
    tab.get_by_text("1 flag: resolved.").wait_for()
    settled(tab)
    tab.get_by_role("button", name="Save").click()  # what is out of sight is selected no longer
    tab.get_by_text("No flag is selected").wait_for()
    tab.goto(f"{lab.url}/flags?state=resolved")
    settled(tab)
    tab.get_by_role("gridcell", name="as planned").wait_for()
    tab.get_by_role("gridcell", name="coulombic efficiency").get_by_role("link").click()
    told = tab.locator("#flags-head")
    told.get_by_text("Rate test after a long rest <i>as planned</i>").first.wait_for()
    told.get_by_text("Ada").first.wait_for()


def test_a_person_flags_a_test_and_its_name_is_remembered(lab: Lab, visit: Callable[[str], Tab]) -> None:
    tab = visit(f"/flags?test={lab.named['test_id']}")
    tab.get_by_label("What should its readers know?").fill("The mass was entered wrong")
    tab.get_by_label("Your name").first.fill("Grace")
    tab.get_by_role("button", name="Flag", exact=True).click()
    tab.get_by_text("The test is flagged.").wait_for()
    tab.get_by_role("gridcell", name="The mass was entered wrong").wait_for()
    tab.get_by_role("gridcell", name="Grace").wait_for()


def test_flags_are_set_and_seen_on_the_pages_of_a_cell_and_a_test(lab: Lab, visit: Callable[[str], Tab]) -> None:
    tab = visit("/cell?cell=LG012")
    here = tab.locator("#flags-here")
    here.get_by_text("raised by check: plausibility").wait_for()
    tab.get_by_label("Your name").fill("Grace")
    tab.get_by_role("button", name="Set flag").click()
    tab.get_by_text("Say what is to be flagged.").wait_for()
    tab.get_by_label("New flag").fill("Connector was <i>loose</i>")
    tab.locator("#flag-here-test").select_option(label="LG012_ageing_21_1_1.ndax")
    tab.get_by_role("button", name="Set flag").click()
    line = here.get_by_role("listitem").filter(has_text="Connector was <i>loose</i>")
    line.wait_for()
    assert "Open" in line.inner_text()
    assert "raised by Grace" in line.inner_text()
    line.get_by_role("link", name="LG012_ageing_21_1_1.ndax").click()
    tab.get_by_role("heading", name="LG012_ageing_21_1_1.ndax").wait_for()
    line.get_by_role("link", name="Connector was").click()
    tab.get_by_label("This flag is").select_option("resolved")
    tab.get_by_label("Note", exact=True).fill("Tightened, capacity came back")
    tab.get_by_label("Your name").fill("Ada")
    tab.get_by_role("button", name="Save", exact=True).click()
    tab.get_by_text("1 flag: resolved.").wait_for()
    tab = visit("/cell?cell=LG012")
    told = line.inner_text()
    assert "Resolved" in told
    assert "resolved by Ada" in told
    assert "“Tightened, capacity came back”" in told
    tab.get_by_role("link", name="All its flags").click()
    tab.get_by_role("gridcell", name="Connector was").wait_for()
    assert "cell=LG012" in tab.url


def test_what_a_table_cannot_be_filtered_by_is_said_above_it_and_no_rows_are_pretended(
    visit: Callable[[str], Tab],
) -> None:
    tab = visit("/flags")
    tab.get_by_placeholder("id").fill("nonsense")
    tab.locator("#flags-count").get_by_role("alert").get_by_text("nonsense").wait_for()
    tab.get_by_role("grid").get_by_text("Nothing is here, or nothing fits the filters.").wait_for()
