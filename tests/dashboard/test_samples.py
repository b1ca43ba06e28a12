"""Samples are found, grouped, described, photographed and remembered."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from battery_analysis.errors import BatteryAnalysisError
from dashboard import parts
from dashboard.data import samples
from dashboard.pages import sample_cards
from tests.dashboard.conftest import Lab, settled

if TYPE_CHECKING:
    from playwright.sync_api import Locator
    from playwright.sync_api import Page as Tab

Visit = Callable[[str], "Tab"]

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cf50df00000581027ff4fb9b"
    "e10000000049454e44ae426082"
)


def control(tab: Tab, name: str) -> Locator:
    """The control whose value the address holds under a name."""
    return tab.locator(f'[id=\'{{"page":"samples","query":"{name}"}}\']')


def names(tab: Tab) -> list[str]:
    """What the table shows in its first column, once it has come to rest."""
    settled(tab)
    return tab.locator("#samples .ag-cell[col-id=name]").all_inner_texts()


def test_filters_stand_in_the_address_and_come_back_from_it(visit: Visit) -> None:
    tab = visit("/samples")
    tab.get_by_text(re.compile(r"1\d samples")).wait_for()
    control(tab, "chemistry").select_option("LFP/graphite")
    tab.get_by_text("2 samples").wait_for()
    assert sorted(names(tab)) == ["FE021", "FE022"]
    assert "chemistry=LFP%2Fgraphite" in tab.url
    tab.reload()
    tab.get_by_text("2 samples").wait_for()
    assert control(tab, "chemistry").input_value() == "LFP/graphite"


def test_groups_count_samples_and_lead_to_them(visit: Visit) -> None:
    tab = visit("/samples?columns=name,project")
    tab.locator("#samples").get_by_role("columnheader", name="Sample").click()
    control(tab, "group").select_option("project")
    row = tab.get_by_role("row").filter(has=tab.get_by_role("link", name="2026-04 zinc"))
    row.wait_for()
    assert row.get_by_role("cell").all_inner_texts()[1:4] == ["2", "2", "121"]
    row.get_by_role("link").click()
    tab.get_by_text("2 samples").wait_for()
    assert sorted(names(tab)) == ["ZN031", "ZN032"]
    assert "sort=name" in tab.url
    assert tab.locator("#samples .ag-header-cell-text").all_inner_texts() == ["Sample", "Project"]


def test_a_property_is_edited_and_the_history_tells_by_whom(visit: Visit) -> None:
    tab = visit("/sample?sample=ZN032")
    tab.get_by_label("Your name").fill("Ada")
    tab.locator("summary", has_text="Edit").click()
    tab.get_by_label("Area / cm²").fill("wide")
    tab.get_by_role("button", name="Save", exact=True).click()
    tab.get_by_role("alert").get_by_text("area_cm2: a number is wanted, got 'wide'").wait_for()
    tab.get_by_label("Area / cm²").fill("2.25")
    tab.get_by_label("Tags").fill("dry, <b>bold</b>")
    tab.get_by_label("Further properties").fill("rig = 7")
    tab.get_by_role("button", name="Save", exact=True).click()
    tab.get_by_text("Saved: Area, Tags, rig.").wait_for()
    tab.reload()
    settled(tab)
    assert tab.locator("#sample-properties").get_by_text("<b>bold</b>").is_visible()
    latest = tab.locator("#sample-history li").first.inner_text()
    assert "Ada" in latest
    assert "→ 2.25" in latest
    assert "rig: 7" in latest


def test_a_note_and_a_photograph_stay_with_the_sample(lab: Lab, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "opened.png").write_bytes(PIXEL)
    (tmp_path / "page.html").write_bytes(b"<script>alert(1)</script>")
    tab = visit("/sample?sample=ZN031")
    tab.get_by_label("New note").fill("swollen after a week")
    tab.get_by_role("button", name="Add note").click()
    tab.locator("#sample-notes").get_by_text("swollen after a week").wait_for()
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose files").click()
    chooser.value.set_files([tmp_path / "opened.png", tmp_path / "page.html"])
    tab.get_by_text("2 files attached").wait_for()
    picture = tab.get_by_role("img", name="opened.png")
    picture.wait_for()
    tab.wait_for_function("() => document.querySelector('.photograph img').naturalWidth === 1")
    href = tab.get_by_role("link", name="page.html").get_attribute("href")
    answer = tab.request.get(f"{lab.url}{href}")
    assert answer.body() == b"<script>alert(1)</script>"
    assert answer.headers["content-disposition"].startswith("attachment")
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.get_by_role("button", name="Remove opened.png").click()
    picture.wait_for(state="detached")


def test_a_sample_made_by_hand_has_a_page_and_one_name(visit: Visit) -> None:
    tab = visit("/samples")
    tab.locator("summary", has_text="New sample").click()
    tab.get_by_label("Name", exact=True).fill("../odd & <new>")
    tab.get_by_role("button", name="Make sample").click()
    tab.get_by_role("heading", name="../odd & <new>", exact=True).wait_for()
    tab.get_by_text("Nothing is known of this sample yet.").wait_for()
    tab.go_back()
    tab.locator("summary", has_text="New sample").click()
    tab.get_by_label("Name", exact=True).fill("LG012")
    tab.get_by_role("button", name="Make sample").click()
    tab.get_by_text("there is a sample of this name already").wait_for()


def test_too_much_and_strange_samples_are_refused_with_a_reason(lab: Lab, visit: Visit) -> None:
    tab = visit("/sample?sample=ZN031")
    answer = tab.request.post(f"{lab.url}/attachments?sample=nobody&name=a.txt", data=b"abc")
    assert (answer.status, answer.text()) == (404, "no sample is named 'nobody'")


def test_lines_without_a_name_are_refused() -> None:
    ids = [{sample_cards.FIELD: "area_cm2"}, {sample_cards.FIELD: sample_cards.METADATA}]
    assert sample_cards.typed(ids, [" 1.5 ", "rig = 7\n\nsupplier=A=B"]) == {
        "area_cm2": "1.5",
        "metadata.rig": "7",
        "metadata.supplier": "A=B",
    }
    with pytest.raises(BatteryAnalysisError, match="name = value wanted, got 'rig 7'"):
        sample_cards.typed(ids, ["", "rig 7"])


def test_what_people_add_to_a_test_is_told_in_its_history(lab: Lab, visit: Visit) -> None:
    tab = visit(f"/test/{lab.named['test_id']}")
    tab.get_by_label("Your name").fill("Ada")
    tab.get_by_label("Further properties").fill("rig")
    tab.get_by_role("button", name="Save properties").click()
    tab.get_by_text("name = value wanted, got 'rig'").wait_for()
    tab.get_by_label("Further properties").fill("rig = 7")
    tab.get_by_role("button", name="Save properties").click()
    tab.locator("#test-history").get_by_text("rig: 7").first.wait_for()
    assert "Ada" in tab.locator("#test-history li").first.inner_text()


def test_what_people_add_under_the_name_of_a_fact_stands_below_the_fact() -> None:
    facts = parts.facts({"SHA-256": "4f0e", "Operator": None}, {"SHA-256": "checked", "Operator": "Ada", "rig": "7"})
    told = [each.children for each in facts.children]
    assert told == ["SHA-256", "4f0e", "SHA-256 (added)", "checked", "Operator (added)", "Ada", "rig", "7"]
    sample = samples.Sample(name="A1", chemistry="NMC", metadata={"Chemistry": "as labelled", "SHA-256": "none"})
    told = [each.children for each in sample_cards.known(sample).children]
    assert told == ["Chemistry", "NMC", "Chemistry (added)", "as labelled", "SHA-256", "none"]
