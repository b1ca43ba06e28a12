"""Cells of tables are edited where they stand; what is refused says why, and nobody's change is overwritten."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.dashboard.conftest import Lab, run_command, settled

if TYPE_CHECKING:
    from playwright.sync_api import Locator
    from playwright.sync_api import Page as Tab

Visit = Callable[[str], "Tab"]


def cell(tab: Tab, row: str, column: str) -> Locator:
    """Return a cell, by a text that its row holds."""
    return tab.locator(".ag-row", has_text=row).locator(f".ag-cell[col-id='{column}']")


def type_into(tab: Tab, place: Locator, text: str) -> None:
    """Edit a cell as a person does."""
    settled(tab)  # an answer on its way would draw the cell anew under the letters
    place.dblclick()
    tab.locator(".ag-cell-inline-editing input:focus").wait_for()
    tab.keyboard.press("Control+A")
    tab.keyboard.type(text)
    tab.keyboard.press("Enter")


def edits(tab: Tab, author: str) -> None:
    """Let cells be edited, under a name."""
    tab.get_by_label("Edit cells").click()
    tab.get_by_label("Your name").fill(author)


def test_cells_of_samples_are_edited_and_refused_and_the_history_tells_by_whom(lab: Lab, visit: Visit) -> None:
    tab = visit("/samples?text=ZN03&columns=name,manufacturer,cell_type,area_cm2,tags")
    place = cell(tab, "ZN031", "manufacturer")
    place.dblclick()
    assert tab.locator("#samples .ag-cell input").count() == 0  # nobody edits by mistake
    edits(tab, "Ada")
    type_into(tab, place, "The <i>zinc</i> works")
    place.get_by_text("The <i>zinc</i> works").wait_for()
    area = cell(tab, "ZN031", "area_cm2")
    before = area.inner_text()
    type_into(tab, area, "wide")
    tab.get_by_role("alert").get_by_text("area_cm2: a number is wanted, got 'wide'").wait_for()
    assert area.inner_text() == before
    type_into(tab, cell(tab, "ZN031", "tags"), "dry, old, dry")
    cell(tab, "ZN031", "tags").locator(".tag", has_text="old").wait_for()
    run_command(lab, "sample", "set", "ZN031", "manufacturer=Somebody else")
    type_into(tab, place, "Mine")
    tab.get_by_role("alert").get_by_text("manufacturer is 'Somebody else' by now").wait_for()
    assert place.inner_text() == "Somebody else"
    tab.goto(f"{lab.url}/sample?sample=ZN031")
    settled(tab)
    told = tab.locator("#sample-history").inner_text()
    assert "Ada" in told
    assert "The <i>zinc</i> works → Somebody else" in told
    assert "Mine" not in told


@pytest.mark.parametrize("kind", ["sample", "test"])
def test_what_the_lab_has_added_is_a_column_that_is_edited_and_exported(kind: str, lab: Lab, visit: Visit) -> None:
    tab = visit("/sample?sample=ZN031" if kind == "sample" else f"/test/{lab.named['test_id']}")
    if kind == "sample":
        tab.locator("summary", has_text="Edit").click()
    tab.get_by_label("Further properties").fill("test rig = 7")
    tab.get_by_role("button", name="Save" if kind == "sample" else "Save properties", exact=True).click()
    tab.get_by_text("Saved").first.wait_for()
    tab = visit(f"/{kind}s?columns=name,metadata.test rig")
    edits(tab, "Ada")
    column = ".ag-cell[col-id='metadata.test rig']"
    row = tab.locator(".ag-row", has=tab.locator(column, has_text="7")).get_attribute("row-id")
    place = tab.locator(f".ag-row[row-id='{row}'] {column}")
    type_into(tab, place, "<b>8</b>")
    place.get_by_text("<b>8</b>").wait_for()
    assert tab.locator(f".ag-row[row-id='{row}']").get_attribute("row-index") != "0"
    tab.locator(f"#{kind}s").get_by_role("columnheader", name="test rig").click()
    tab.locator(f".ag-row[row-index='0'][row-id='{row}']").wait_for()
    tab.wait_for_url(re.compile(r"[?&]sort=metadata\.test\+rig"))
    tab.locator("summary", has_text="Export").click()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="CSV").click()
    table = pl.read_csv(waiting.value.path(), comment_prefix="#")
    assert table["metadata.test rig"].drop_nulls().to_list() == ["<b>8</b>"]


def test_a_form_does_not_overwrite_what_somebody_else_has_changed_meanwhile(lab: Lab, visit: Visit) -> None:
    tab = visit("/sample?sample=ZN032")
    tab.locator("summary", has_text="Edit").click()
    run_command(lab, "sample", "set", "ZN032", "manufacturer=Somebody else")
    tab.get_by_label("Manufacturer").fill("Mine")
    tab.get_by_role("button", name="Save", exact=True).click()
    tab.get_by_role("alert").get_by_text("manufacturer is 'Somebody else' by now").wait_for()
    run_command(lab, "sample", "set", "ZN032", "description=by a colleague")
    tab.get_by_label("Further properties").fill("shelf = 3")
    tab.get_by_role("button", name="Load what is stored now").click()
    tab.locator("#sample-said").get_by_text("Manufacturer: Somebody else").wait_for()
    assert tab.get_by_label("Manufacturer").input_value() == "Mine"
    assert tab.get_by_label("Further properties").input_value() == "shelf = 3"
    assert tab.get_by_label("Description").input_value() == "by a colleague"  # where nothing was typed
    assert tab.locator("#sample-properties").get_by_text("Somebody else").is_visible()
    tab.get_by_role("button", name="Save", exact=True).click()
    tab.get_by_text("Saved: Manufacturer, shelf.").wait_for()


def test_what_is_typed_of_a_test_stays_when_somebody_else_was_faster(lab: Lab, visit: Visit) -> None:
    address = f"/test/{lab.named['test_id']}"
    tab = visit(address)
    other = tab.context.new_page()
    other.goto(lab.url + address)
    for one, text in ((other, "shelf = theirs\nroom = 2"), (tab, "shelf = mine")):
        one.get_by_label("Further properties").fill(text)
        one.get_by_role("button", name="Save properties").click()
        one.locator("#test-further-said *").first.wait_for()
    other.close()
    tab.get_by_label("Further properties").fill("shelf")
    tab.get_by_role("button", name="Load what is stored now").click()
    tab.locator("#test-further-said").get_by_text("name = value wanted").wait_for()
    tab.get_by_label("Further properties").fill("shelf = mine")
    tab.get_by_role("button", name="Save properties").click()
    tab.get_by_role("button", name="Load what is stored now").click()
    tab.locator("#test-further-said").get_by_text("shelf: theirs").wait_for()
    assert tab.get_by_label("Further properties").input_value().splitlines() == ["room = 2", "shelf = mine"]
    tab.get_by_role("button", name="Save properties").click()
    tab.locator("#test-further-said").get_by_text("Saved.").wait_for()


def test_tags_and_samples_of_tests_are_edited_in_the_table(lab: Lab, visit: Visit) -> None:
    tab = visit("/tests?text=ZN032&columns=name,sample,cell_code,tags")
    edits(tab, "Grace")
    tags, sample = cell(tab, "ZN032_rate", "tags"), cell(tab, "ZN032_rate", "sample")
    known = [each for each in tags.inner_text().split("\n") if each]
    test_id = tab.locator(".ag-row", has_text="ZN032_rate").get_attribute("row-id")
    run_command(lab, "test", "tag", str(test_id), "by a colleague")
    type_into(tab, tags, ", ".join([*known, "by me"]))
    tags.locator(".tag", has_text="by a colleague").wait_for()  # which the table had not shown yet
    assert "by me" in tags.inner_text()
    type_into(tab, sample, "nobody")
    tab.get_by_role("alert").get_by_text("no sample is named 'nobody'").wait_for()
    assert sample.inner_text() == "ZN032"
    type_into(tab, sample, "ZN031")
    cell(tab, "ZN032_rate", "cell_code").get_by_text("ZN031").wait_for()
    type_into(tab, sample, "ZN032")
    cell(tab, "ZN032_rate", "cell_code").get_by_text("ZN032").wait_for()
    tab.goto(f"{lab.url}/test/{test_id}")
    settled(tab)
    assert "Sample: ZN032 → ZN031" in tab.locator("#test-history").inner_text()


def test_tags_typed_on_the_page_of_a_test_keep_those_that_a_colleague_adds_meanwhile(lab: Lab, visit: Visit) -> None:
    tab = visit(f"/test/{lab.named['test_id']}")
    field = tab.get_by_label("Tags")
    before = field.input_value()
    run_command(lab, "test", "tag", lab.named["test_id"], "meanwhile")
    field.fill(f"{before}, typed here")
    tab.get_by_role("button", name="Save tags").click()
    tab.locator("#test-tags").get_by_text("meanwhile").wait_for()
    assert field.input_value() == f"{before}, meanwhile, typed here"
    field.fill(before)
    tab.get_by_role("button", name="Save tags").click()
    tab.locator("#test-tags").get_by_text("meanwhile").wait_for(state="detached")
