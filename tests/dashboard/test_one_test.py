"""The page of a test: what it shows, and what people write there."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.conftest import Lab, command

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def shown(lab: Lab) -> dict[str, Any]:
    """Return what the command says of the same test."""
    return dict(command(lab, "test", "show", lab.named["test_id"]))


@pytest.fixture
def tab(visit: Callable[[str], Tab], lab: Lab) -> Tab:
    return visit(f"/test/{lab.named['test_id']}")


def test_the_page_says_what_the_command_says(tab: Tab, lab: Lab) -> None:
    known, text = shown(lab), tab.locator("main").inner_text()
    assert tab.get_by_role("heading", level=1).inner_text() == known["name"]
    assert f"{known['records']:,}" in text
    assert f"{known['initial_capacity_ah']:.4g} Ah" in text
    assert known["sha256"] in text


def test_the_cycles_are_a_table_that_sorts(tab: Tab, lab: Lab) -> None:
    tab.get_by_text(f"{shown(lab)['cycles']} cycles", exact=True).wait_for()
    heading = tab.get_by_role("columnheader", name="Cycle", exact=True)
    heading.click()
    heading.click()
    tab.locator(f".ag-row[row-index='0'][row-id='{shown(lab)['cycles']}']").wait_for()


def test_a_note_stays(tab: Tab, lab: Lab) -> None:
    tab.get_by_label("New note").fill("Opened in the glove box.\n<b>not bold</b>")
    tab.get_by_label("Your name").fill("Ada")
    tab.get_by_role("button", name="Add note").click()
    tab.locator(".notes", has_text="<b>not bold</b>").wait_for()
    assert tab.get_by_label("New note").input_value() == ""
    assert [(note["author"], note["text"]) for note in shown(lab)["notes_log"]] == [
        ("Ada", "Opened in the glove box.\n<b>not bold</b>")
    ]


def test_tags_are_saved_and_a_refused_one_says_why_where_it_was_typed(tab: Tab, lab: Lab) -> None:
    field = tab.get_by_label("Tags")
    field.fill("example, to publish, example")
    tab.get_by_role("button", name="Save tags").click()
    tab.get_by_text("Saved.").wait_for()
    assert shown(lab)["tags"] == ["example", "to publish"]
    field.fill("x" * 101)
    tab.get_by_role("button", name="Save tags").click()
    assert "tags" in tab.locator("#test-tags-said [role=alert]").inner_text()
    assert shown(lab)["tags"] == ["example", "to publish"]


def test_a_photograph_stays_with_the_test_and_shows_on_the_page_of_its_cell(
    tab: Tab, lab: Lab, visit: Callable[[str], Tab], tmp_path: Path
) -> None:
    (tmp_path / "rig <i>.gif").write_bytes(b"GIF89a\x01\0\x01\0\0\0\0;")
    tab.get_by_label("Your name").fill("Ada")
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose files").click()
    chooser.value.set_files([tmp_path / "rig <i>.gif"])
    picture = tab.get_by_role("img", name="rig <i>.gif")
    picture.wait_for()
    assert "Ada" in tab.locator("#attached-files").inner_text()
    tab = visit(f"/cell?cell={shown(lab)['cell_code']}")
    tab.get_by_role("heading", name="Of its tests").first.wait_for()
    tab.locator("#attached-files").get_by_role("link", name=shown(lab)["name"]).first.wait_for()
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.get_by_role("button", name="Remove rig <i>.gif").click()
    tab.get_by_text("rig <i>.gif was removed.").wait_for()
    assert picture.count() == 0


def test_test_sample_raw_file_and_import_lead_to_each_other(tab: Tab, lab: Lab) -> None:
    name, sample = shown(lab)["name"], shown(lab)["sample"]
    heading = tab.get_by_role("heading", level=1)
    tab.locator(".subtitle").get_by_role("link", name=sample).first.click()
    tab.locator("main").get_by_role("link", name="Raw files").click()
    tab.wait_for_url("**/raw-files?sample=*")
    tab.locator("#raw-files").get_by_role("link", name=name).first.click()
    tab.get_by_role("link", name="job", exact=True).click()
    tab.get_by_role("link", name="Its tests").click()
    tab.get_by_text(re.compile("^13 tests$")).wait_for()
    tab.locator("#tests").get_by_role("link", name=name).click()
    tab.get_by_role("heading", name="Photographs and documents").wait_for()
    assert heading.inner_text() == name
    tab.goto(f"{lab.url}/tests?job=nonsense")
    tab.get_by_text(re.compile("^0 tests$")).wait_for()


def test_a_figure_is_exported_in_every_form_with_what_was_selected(tab: Tab, lab: Lab) -> None:
    card = tab.locator("section", has=tab.get_by_role("heading", name="Capacity by cycle"))
    for form, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("HTML", b"<!doctype html>")):
        card.locator("details", has_text="Export").evaluate("menu => { menu.open = false; }")
        card.locator("summary", has_text="Export").click()
        with tab.expect_download() as waiting:
            card.get_by_role("button", name=form, exact=True).click()
        assert waiting.value.suggested_filename == f"Capacity by cycle.{form.lower()}"
        content = Path(waiting.value.path()).read_bytes()
        assert content.startswith(begins)
        assert form == "PNG" or lab.named["test_id"].encode() in content


def test_the_numbers_behind_a_figure_are_exported_under_the_titles_of_its_axes(tab: Tab, lab: Lab) -> None:
    import polars as pl

    card = tab.locator("section", has=tab.get_by_role("heading", name="Capacity by cycle"))
    card.locator("summary", has_text="Export").click()
    with tab.expect_download() as waiting:
        card.get_by_role("button", name="Data as CSV").click()
    content = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert f'# filter: {{"page": "/test/{lab.named["test_id"]}"}}' in content
    table = pl.read_csv(io.StringIO(content), comment_prefix="#")
    assert table.columns == ["trace", "Cycle", "Capacity / Ah"]
    assert table.height == 2 * shown(lab)["cycles"]
