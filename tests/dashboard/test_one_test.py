"""The page of a test: what it shows, and what people write there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.conftest import Lab, command

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.thorough


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


def test_a_figure_is_exported_in_every_form(tab: Tab) -> None:
    card = tab.locator("section", has=tab.get_by_role("heading", name="Capacity by cycle"))
    for form, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("HTML", b"<!doctype html>")):
        card.locator("details", has_text="Export").evaluate("menu => { menu.open = false; }")
        card.locator("summary", has_text="Export").click()
        with tab.expect_download() as waiting:
            card.get_by_role("button", name=form, exact=True).click()
        assert waiting.value.suggested_filename == f"Capacity by cycle.{form.lower()}"
        assert Path(waiting.value.path()).read_bytes().startswith(begins)


def test_the_numbers_behind_a_figure_are_exported_under_the_titles_of_its_axes(tab: Tab, lab: Lab) -> None:
    import polars as pl

    card = tab.locator("section", has=tab.get_by_role("heading", name="Capacity by cycle"))
    card.locator("summary", has_text="Export").click()
    with tab.expect_download() as waiting:
        card.get_by_role("button", name="Data as CSV").click()
    table = pl.read_csv(waiting.value.path())
    assert table.columns == ["trace", "Cycle", "Capacity / Ah"]
    assert table.height == 2 * shown(lab)["cycles"]
