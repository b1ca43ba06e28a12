"""A cell's page tells everything about a cell code, and keeps up with what is done there."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.analysis.dataset import DATASET_SCHEMA
from battery_analysis.models import TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, datasets, open_store, samples
from battery_analysis.store import tests as stored_tests
from dashboard import figures_cell
from dashboard.data import cells
from tests.builders import cycling_frame, read_result, save
from tests.dashboard.conftest import Lab, command

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

Visit = Callable[[str], "Tab"]


def test_a_cell_is_shown_with_its_life_and_the_address_follows_the_choice(visit: Visit) -> None:
    tab = visit("/cell?cell=LG012")
    numbers = tab.locator("#cell-numbers")
    numbers.get_by_text("221", exact=True).wait_for()
    assert numbers.get_by_text("27 d 17 h").is_visible()
    assert tab.locator(".js-plotly-plot .ytitle").all_text_contents() == ["Capacity / Ah", "Efficiency / %", "Test"]
    assert tab.get_by_text("coulombic efficiency above 1.02").is_visible()
    tests = tab.get_by_role("table", name="Tests of LG012")
    assert tests.get_by_text("22 to 221").is_visible()
    tab.locator('[id=\'{"page":"cell","query":"cell"}\']').click()
    tab.get_by_role("option", name="NC052").click()
    tab.get_by_role("table", name="Tests of NC052").wait_for()
    numbers.get_by_text("153", exact=True).wait_for()
    assert numbers.get_by_text("mAh").count() == 2
    assert tab.url.endswith("/cell?cell=NC052")


def test_a_code_that_no_test_has_is_said(visit: Visit) -> None:
    tab = visit("/cell?cell=%3Cb%3Enobody%3C/b%3E")
    assert tab.get_by_text("no test has the cell code '<b>nobody</b>'").is_visible()


def test_an_older_version_of_the_dataset_comes_back_as_a_new_one(visit: Visit, lab: Lab) -> None:
    settings = Settings.load(environ={}, db_uri=lab.db_uri, db_name=lab.db_name, data_dir=lab.data_dir)
    with open_store(settings) as store:
        test = datasets.version_of("FE022").tests[0].test
        stored_tests.move(store, test, samples.by_name("FE021"), "FE021")
        stored_tests.move(store, test, samples.by_name("FE022"), "FE022")
    tab = visit("/cell?cell=FE022")
    versions = tab.get_by_role("table", name="Versions of the dataset")
    assert versions.get_by_role("row").nth(1).get_by_role("cell").all_inner_texts()[3:] == ["1", "120"]
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.get_by_role("button", name="Go back to it").click()
    tab.get_by_text("Version 4 is new and equals version 2.").wait_for()
    assert versions.get_by_role("row").nth(1).get_by_role("cell").all_inner_texts()[2:] == ["goes back to 2", "0", "0"]
    tab.get_by_role("button", name="Build anew").click()
    tab.get_by_text("Version 5 is new.").wait_for()


def saved(tab: Tab, form: str, folder: Path) -> Path:
    """Choose a form, let the page prepare it, and save what it offers."""
    tab.locator("#cell-form").select_option(form)
    tab.get_by_role("button", name="Prepare").click()
    link = tab.locator("a.primary", has_text="Save").and_(tab.locator(f"a[download$='{SUFFIXES[form]}']"))
    link.wait_for(timeout=90_000)
    with tab.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == link.get_attribute("download")
    target = folder / download.value.suggested_filename
    download.value.save_as(target)
    return target


SUFFIXES = {
    "report-html": ".html",
    "report-pdf": ".pdf",
    "bdf-csv": ".bdf.csv",
    "bdf-parquet": ".bdf.parquet",
    "batteryarchive": ".zip",
    "hdf5": ".h5",
    "excel": ".xlsx",
    "json": ".json",
    "crate": ".crate.zip",
}


def test_reports_of_a_cell_are_prepared_in_the_background_and_saved(visit: Visit, lab: Lab, tmp_path: Path) -> None:
    tab = visit("/cell?cell=ZN032")
    page = saved(tab, "report-html", tmp_path).read_text(encoding="utf-8")
    assert "Cell ZN032" in page
    assert "coulombic" in page
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    sheets = saved(tab, "report-pdf", tmp_path).read_bytes()
    assert sheets.startswith(b"%PDF-")
    assert sheets.rstrip().endswith(b"%%EOF")
    assert sheets.count(b"/Type /Page\n") >= 2
    answer = tab.request.get(f"{lab.url}{tab.get_by_role('link', name='Save ZN032.pdf').get_attribute('href')}")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.body() == sheets
    assert tab.request.get(f"{lab.url}/prepared/guessed").status == 404


def test_all_records_and_cycles_of_a_cell_are_saved_in_every_form(visit: Visit, lab: Lab, tmp_path: Path) -> None:
    (test,) = command(lab, "search", "--cell", "GR041")
    tab = visit("/cell?cell=GR041")
    offered = tab.locator("#cell-form option").evaluate_all("options => options.map(option => option.value)")
    files = {form: saved(tab, form, tmp_path) for form in offered if form in SUFFIXES and "report" not in form}
    assert set(files) == set(SUFFIXES) - {"report-html", "report-pdf"}
    for form in ("bdf-csv", "bdf-parquet"):
        again = ba.read(files[form])
        assert (again.frame.height, again.cycles.height) == (test["records"], test["cycles"])
        assert again.cycles["discharge_capacity_ah"][0] == pytest.approx(test["initial_capacity_ah"])
    with zipfile.ZipFile(files["batteryarchive"]) as archive:
        lines = {name: archive.read(name).count(b"\n") for name in archive.namelist()}
    assert lines == {"GR041_timeseries.csv": test["records"] + 1, "GR041_cycle_data.csv": test["cycles"] + 1}
    sheets = openpyxl.load_workbook(files["excel"], read_only=True)
    assert [sheets[name].max_row - 1 for name in ("Cycles", "Records")] == [test["cycles"], test["records"]]
    assert files["hdf5"].read_bytes().startswith(b"\x89HDF")
    assert json.loads(files["json"].read_text())["columns"]["voltage_volt"] == "V"
    with zipfile.ZipFile(files["crate"]) as crate:
        digests = {hashlib.sha256(crate.read(name)).hexdigest() for name in crate.namelist()}
        assert "ro-crate-metadata.json" in crate.namelist()
    assert test["sha256"] in digests


def test_a_cell_is_written_in_every_form(settings: Settings, store: Store, tmp_path: Path) -> None:
    save(store, tmp_path, read_result(cycling_frame()))
    datasets.rebuild(store, "AB12")
    for form in (*cells.EXPORTS, *cells.CRATES):
        folder = tmp_path / form
        folder.mkdir()
        files = cells.write(settings, "AB12", form, folder)
        assert sorted(files) == sorted(folder.iterdir())
        assert all(file.stat().st_size for file in files)


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A cycle table of a cell with these values."""
    absent = dict.fromkeys(DATASET_SCHEMA)
    return pl.DataFrame([{**absent, **row} for row in rows], schema=DATASET_SCHEMA)


def test_cycles_that_are_not_complete_are_hollow_and_units_fit_the_size() -> None:
    cycles = table(
        [
            {
                "cycle_count": number,
                "test_id": "a" if number < 3 else "b",
                "complete": number < 4,
                "discharge_capacity_ah": 0.003,
            }
            for number in (1, 2, 3, 4)
        ]
    )
    drawn = figures_cell.capacity(cycles)
    assert drawn.layout.yaxis.title.text == "Capacity / mAh"
    assert list(drawn.data[0].y) == [3.0, 3.0, 3.0, 3.0]
    assert list(drawn.data[0].marker.symbol) == ["circle", "circle", "circle", "circle-open"]
    assert [shape.x0 for shape in drawn.layout.shapes] == [2.5]


def test_few_strange_efficiencies_do_not_hide_the_others() -> None:
    values = [0.999] * 99 + [14.0]
    cycles = table(
        [
            {"cycle_count": number, "test_id": "a", "complete": True, "coulombic_efficiency": value}
            for number, value in enumerate(values)
        ]
    )
    drawn = figures_cell.efficiency(cycles)
    assert drawn.layout.yaxis.range[1] < 101
    assert max(drawn.data[0].y) == 1400
    assert figures_cell.efficiency(cycles.head(50)).layout.yaxis.range is None


def test_tests_stand_in_time_by_their_names_taken_literally() -> None:
    day = datetime(2026, 3, 2, tzinfo=UTC)
    tests = [
        TestResult(
            name="<b>first</b>", tester="Arbin", started_at=day, ended_at=day + timedelta(hours=2), cycle_count=1
        ),
        TestResult(name="undated", tester="Arbin"),
        TestResult(name="second", tester="Maccor", started_at=day + timedelta(days=1), duration_second=60.0),
    ]
    drawn = figures_cell.timeline(tests)
    assert [(bar.name, list(bar.text), list(bar.x)) for bar in drawn.data] == [
        ("Arbin", ["&lt;b&gt;first&lt;/b&gt;"], [7_200_000.0]),
        ("Maccor", ["second"], [60_000.0]),
    ]
    assert drawn.layout.xaxis.title.text == "Time (UTC)"


def test_a_spectrum_is_no_cycle_without_capacity() -> None:
    rows = [
        {"cycle_count": number, "test_id": "a", "discharge_capacity_ah": value}
        for number, value in ((1, 2.0), (2, 0.0))
    ]
    assert list(figures_cell.capacity(table(rows)).data[0].x) == [1]
