"""The table of all tests: filters, links to it, order, columns, exports."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

TESTS_IN_THE_LAB = 13


def counted(tab: Tab, number: int) -> None:
    """Wait until the table says that it shows so many tests."""
    tab.get_by_text(re.compile(rf"^{number} tests?$")).wait_for()


def rows(tab: Tab) -> list[str]:
    """Return the names of the tests in sight, from top to bottom."""
    cells = tab.locator(".ag-center-cols-container .ag-row")
    found = [(int(row.get_attribute("row-index") or 0), row.locator("a").first.inner_text()) for row in cells.all()]
    return [name for _, name in sorted(found)]


def test_all_tests_are_listed_the_newest_first(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests")
    counted(tab, TESTS_IN_THE_LAB)
    assert rows(tab)[0] == "NC051_aged_01_PEIS_C02.mpt"


def test_a_link_restores_its_filters(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests?text=ageing&tester=Neware&min_cycles=150")
    counted(tab, 2)
    assert sorted(rows(tab)) == ["LG012_ageing_21_1_1.ndax", "LG013_ageing_21_1_2.ndax"]
    assert tab.get_by_role("combobox", name="Tester").input_value() == "Neware"
    assert tab.get_by_label("Cycles from").input_value() == "150"


def test_what_is_filtered_stands_in_the_address_without_reloading(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests")
    tab.evaluate("window.stayed = true")
    tab.get_by_role("combobox", name="Tester").select_option("Arbin")
    counted(tab, 4)
    tab.get_by_label("Words").fill("ZN031")
    counted(tab, 1)
    assert tab.url.endswith("/tests?text=ZN031&tester=Arbin")
    tab.get_by_label("Words").fill("")
    counted(tab, 4)
    assert tab.url.endswith("/tests?tester=Arbin")
    assert tab.evaluate("window.stayed") is True


def test_back_returns_to_the_selection_that_was_left(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests")
    tab.get_by_role("combobox", name="Chemistry").select_option("Zn/MnO2")
    counted(tab, 2)
    tab.get_by_role("link", name="ZN032_rate_22_1_8.ndax").click()
    tab.get_by_role("heading", name="ZN032_rate_22_1_8.ndax").wait_for()
    tab.go_back()
    counted(tab, 2)
    assert tab.get_by_role("combobox", name="Chemistry").input_value() == "Zn/MnO2"


def test_a_click_on_a_heading_sorts_at_the_server(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests?type=cycling")
    tab.get_by_role("columnheader", name="Retention / %").click()
    tab.locator(".ag-row[row-index='0']", has_text="LG014").wait_for()


def test_a_link_restores_order_columns_and_groups_of_a_table(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests?type=cycling")
    tab.locator("#tests").get_by_role("columnheader", name="Retention / %").click()
    tab.wait_for_url("**/tests?type=cycling&sort=capacity_retention")
    tab.locator("#tests-box summary", has_text="Columns").click()
    for name in ("Tester", "Chemistry", "Started (UTC)", "Tags"):
        tab.locator("#tests-columns").get_by_label(name, exact=True).click()
    tab.keyboard.press("Escape")
    tab.get_by_label("Group by").select_option("chemistry")
    groups = tab.get_by_role("region", name="Groups of tests")
    groups.get_by_role("row", name="LFP/graphite 2 240").wait_for()
    tab.wait_for_url("**group=chemistry**")
    link = tab.url
    tab.evaluate("localStorage.clear()")  # what a colleague has
    tab = visit("/")
    tab.goto(link)
    tab.locator(".ag-row[row-index='0']", has_text="LG014").wait_for()
    heads = tab.locator("#tests .ag-header-cell-text").all_inner_texts()
    assert heads[:5] == ["Test", "Cell", "Sample", "Type", "Cycles"]
    assert not {"Tester", "Chemistry", "Tags"}.intersection(heads)
    assert tab.url == link
    groups.get_by_role("link", name="LFP/graphite").click()
    counted(tab, 2)
    assert "sort=capacity_retention" in tab.url  # order and columns go along
    tab.locator(".ag-row[row-index='0']", has_text="FE022").wait_for()
    assert "Tester" not in tab.locator("#tests .ag-header-cell-text").all_inner_texts()
    tab = visit("/tests")
    assert "Chemistry" in tab.locator("#tests .ag-header-cell-text").all_inner_texts()  # the link taught nothing


def test_an_order_that_no_column_has_counts_as_not_given(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests?sort=-nonsense&columns=no,such")
    counted(tab, TESTS_IN_THE_LAB)
    assert rows(tab)[0] == "NC051_aged_01_PEIS_C02.mpt"
    tab.wait_for_url("**/tests")


def test_columns_are_chosen_and_remembered(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests")
    assert tab.get_by_role("columnheader", name="Records").count() == 0
    tab.locator("summary", has_text="Columns").click()
    tab.get_by_role("checkbox", name="Records").click()
    tab.get_by_role("checkbox", name="Chemistry").click()
    tab.keyboard.press("Escape")
    for _ in ("at once", "after reloading"):
        tab.get_by_role("columnheader", name="Records").wait_for()
        tab.get_by_role("columnheader", name="Chemistry").wait_for(state="detached")
        tab.reload()


@pytest.mark.parametrize("form", ["CSV", "Excel", "JSON", "Parquet"])
def test_the_filtered_table_is_exported_with_its_filter_and_units(form: str, visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests?tester=Arbin")
    counted(tab, 4)
    shown = tab.locator(".ag-row [col-id=capacity_retention]").all_inner_texts()
    tab.locator("summary", has_text="Export").click()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name=form).click()
    content = Path(waiting.value.path()).read_bytes()
    assert waiting.value.suggested_filename.startswith("tests.")
    match form:
        case "CSV":
            table = pl.read_csv(io.BytesIO(content), comment_prefix="#")
            assert b'# filter: {"tester": "Arbin"}' in content
        case "Excel":
            table = pl.read_excel(io.BytesIO(content), sheet_name="tests", engine="openpyxl")
            about = dict(
                pl.read_excel(io.BytesIO(content), sheet_name="about", has_header=False, engine="openpyxl").rows()
            )
            assert json.loads(about["filter"]) == {"tester": "Arbin"}
        case "JSON":
            document = json.loads(content)
            assert json.loads(document["about"]["filter"]) == {"tester": "Arbin"}
            table = pl.DataFrame(document["rows"], infer_schema_length=None).rename(document["columns"])
        case _:
            table = pl.read_parquet(io.BytesIO(content))
            about = pl.read_parquet_metadata(io.BytesIO(content))
            assert json.loads(about["filter"]) == {"tester": "Arbin"}
    assert table.height == 4
    assert table["Cycles"].sum() == 120 + 120 + 21 + 100
    assert [f"{share:.2f}" for share in table["Retention / %"]] == shown
    assert {"Initial / Ah", "SHA-256"} <= set(table.columns)


def test_a_search_that_finds_nothing_says_so(visit: Callable[[str], Tab]) -> None:
    tab = visit("/tests?text=nothing-is-called-so")
    counted(tab, 0)
    tab.locator(".ag-overlay-no-rows-center").wait_for()
