"""Watchers and logs through the browser, with a folder of the server that the settings open."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from battery_analysis.models import WatchedFolder
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from dashboard import data
from dashboard.data import logs, processes, watching
from tests.dashboard.conftest import ROOT, SCREEN, WAIT_MILLISECONDS, Lab, serving, settled, watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab


@pytest.fixture(scope="module")
def share(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the server with one file in it, of which half is missing."""
    whole = next(lab.data_dir.rglob("ZN032_rate*.ndax")).read_bytes()
    folder = tmp_path_factory.mktemp("share")
    (folder / "cells").mkdir()
    (folder / "cells" / "broken.ndax").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def many(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the server with so many tests that their import takes its time."""
    folder = tmp_path_factory.mktemp("many")
    lines = next(lab.data_dir.rglob("LG012_rate_Channel*.CSV")).read_bytes().splitlines(keepends=True)
    for number in range(1, 81):
        (folder / f"MM{number:03}.csv").write_bytes(b"".join(lines[:-number]))
    return folder


@pytest.fixture(scope="module")
def mixed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the server with many tests, and with one that has no records yet."""
    folder = tmp_path_factory.mktemp("mixed")
    lines = next(lab.data_dir.rglob("ZN031_cycling_Channel*.CSV")).read_bytes().splitlines(keepends=True)
    for number in range(1, 41):
        (folder / f"MX{number:03}.csv").write_bytes(b"".join(lines[:-number]))
    (folder / "MX900.csv").write_bytes(lines[0])
    return folder


@pytest.fixture(scope="module")
def url(lab: Lab, share: Path, many: Path, mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard on the example lab, whose settings open the folder."""
    config = tmp_path_factory.mktemp("settings") / "settings.toml"
    config.write_text(f'import_roots = ["{share}", "{many}", "{mixed}"]\ndebounce = 0.2\n')
    environment = {**os.environ, "BATTERY_DATA_DIR": str(lab.data_dir), "BATTERY_WORKERS": "1", "PYTHONPATH": str(ROOT)}
    with serving(environment, *lab.options, "--config", str(config)) as at:
        yield at


@pytest.fixture
def tab(browser: Browser, url: str) -> Iterator[Tab]:
    """A tab of a new reader."""
    context = browser.new_context(base_url=url)
    context.set_default_timeout(WAIT_MILLISECONDS)
    opened = context.new_page()
    watch(opened)
    yield opened
    context.close()


def test_a_folder_outside_the_open_ones_is_refused_however_it_is_written(tab: Tab, share: Path) -> None:
    for place in ("/etc", f"{share}/../../etc", f"{share}/cells/../../.."):
        tab.goto(f"/import?folder={place}")
        tab.get_by_text("not below a folder that the setting import_roots names").wait_for()
    tab.goto("/import")
    settled(tab)
    tab.get_by_role("link", name=str(share)).click()
    tab.get_by_role("link", name="cells/").click()
    tab.get_by_role("button", name="Look at the first files").click()
    tab.get_by_text("cannot be read").wait_for(timeout=30_000)


def test_a_running_import_is_cancelled_and_taken_back(tab: Tab, many: Path) -> None:
    tab.goto("/import")
    settled(tab)
    tab.get_by_role("link", name=str(many)).click()
    tab.get_by_role("button", name="Import this folder").click()
    tab.locator("#import-jobs").get_by_role("link", name=str(many)).click(timeout=30_000)
    tab.get_by_role("button", name="Cancel").click()
    tab.locator("#job-facts").get_by_text("cancelled", exact=True).wait_for(timeout=30_000)
    assert int(re.findall(r"Files\s+(\d+) of 80", tab.locator("#job-facts").inner_text())[0]) < 80
    tab.get_by_role("button", name="Roll back").click()
    tab.get_by_text("that this import made will be removed").wait_for()
    tab.get_by_role("button", name="Roll back").last.click()
    tab.locator("#job-facts").get_by_text("rolled back", exact=True).wait_for(timeout=60_000)


@pytest.mark.thorough
def test_a_running_import_is_paused_resumed_reported_retried_and_taken_back(tab: Tab, mixed: Path) -> None:
    tab.goto("/import")
    settled(tab)
    tab.get_by_role("link", name=str(mixed)).click()
    tab.get_by_role("button", name="Import this folder").click()
    tab.locator("#import-jobs").get_by_role("link", name=str(mixed)).click(timeout=30_000)
    facts = tab.locator("#job-facts")
    tab.get_by_role("button", name="Pause").click()
    facts.get_by_text("paused", exact=True).wait_for(timeout=30_000)
    done = int(re.findall(r"Files\s+(\d+) of 41", facts.inner_text())[0])
    assert done < 41
    tab.get_by_role("button", name="Resume").click()
    facts.get_by_text("completed", exact=True).wait_for(timeout=120_000)
    assert "41 of 41" in facts.inner_text()
    assert "40 created, 1 failed" in facts.inner_text()

    tab.locator("#import-files-box summary", has_text="Export").click()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="CSV").click()
    report = pl.read_csv(waiting.value.path(), comment_prefix="#")
    assert report["Outcome"].value_counts().sort("Outcome").rows() == [("created", 40), ("failed", 1)]
    assert report.filter(pl.col("Outcome") == "failed")["File"].to_list() == ["MX900.csv"]
    assert report["Test id"].drop_nulls().n_unique() == 40

    lines = (mixed / "MX001.csv").read_bytes().splitlines(keepends=True)
    (mixed / "MX900.csv").write_bytes(b"".join(lines[:-50]))
    tab.get_by_role("button", name="Retry failed files").click()
    facts.get_by_text("41 created").wait_for(timeout=60_000)
    facts.get_by_text("completed", exact=True).wait_for(timeout=60_000)
    assert tab.get_by_role("button", name="Retry failed files").count() == 0
    tab.get_by_role("button", name="Roll back").click()
    tab.get_by_text("41 tests that this import made will be removed").wait_for()
    tab.get_by_role("button", name="Roll back").last.click()
    facts.get_by_text("rolled back", exact=True).wait_for(timeout=60_000)
    tab.goto("/samples?text=MX")
    tab.get_by_text(re.compile("^0 samples$")).wait_for()


def test_a_watcher_is_started_tells_of_its_quarantine_and_is_stopped(tab: Tab, share: Path) -> None:
    tab.goto("/watchers")
    settled(tab)
    tab.get_by_role("textbox", name="Folder").fill("/etc")
    tab.get_by_role("button", name="Watch", exact=True).click()
    tab.get_by_text("not below a folder that the setting import_roots names").wait_for()
    tab.get_by_role("textbox", name="Folder").fill(str(share))
    tab.get_by_role("button", name="Watch", exact=True).click()
    tab.get_by_role("link", name=str(share)).click(timeout=30_000)
    tab.get_by_role("gridcell", name="broken.ndax").wait_for(timeout=30_000)
    tab.get_by_role("button", name=f"Stop watching {share}").click()
    facts = tab.locator("#watcher-facts")
    facts.get_by_text("stopping", exact=True).wait_for(timeout=2_000)
    facts.get_by_text("stopped", exact=True).wait_for(timeout=30_000)
    assert "is asked to" not in tab.locator("main").inner_text()
    facts.get_by_role("link", name="what it says").click()
    tab.get_by_role("row", name=re.compile(f"started as process .*{share.name}")).wait_for()
    tab.go_back()
    settled(tab)
    facts.get_by_role("link", name="job").click()
    tab.locator("#job-facts").get_by_text("stopped by a user").wait_for()
    assert "cancelled" not in tab.locator("main").inner_text()
    tab.goto("/logs?level=warning")
    settled(tab)
    tab.get_by_role("row", name=re.compile("warning.*broken.ndax")).first.wait_for()
    tab.goto("/logs?source=jobs")  # the example lab was imported by a command in a terminal
    settled(tab)
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.locator("#logs-lines .table-scroll").evaluate("table => table.scrollWidth - table.clientWidth") == 0
    tab.set_viewport_size(SCREEN)
    tab.get_by_role("row", name=re.compile("example-lab: completed: 13 created")).get_by_role("link").click()
    tab.locator("#job-facts").get_by_text("completed", exact=True).wait_for()
    tab.go_back()
    settled(tab)
    tab.get_by_label("Words").fill("no line holds this")
    tab.get_by_text("No line fits.").wait_for()
    assert "text=no+line+holds+this" in tab.url


def test_old_logs_go_but_not_that_of_a_watcher_with_nothing_to_say(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.use(store, settings)
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True)
    paths = [folder / f"watch-2026010{day}T000000.000000.log" for day in (1, 2, 3, 4)]
    for number, path in enumerate(paths):
        path.write_text(f"2026-01-01 00:00:00,000 INFO dashboard: started as process {number}: /data\n")
    for path in paths[:3]:
        os.utime(path, (0, 0))
    began = datetime(2026, 1, 2, tzinfo=UTC).timestamp() + 0.3
    on_record = WatchedFolder(roots=["/data"], host=socket.gethostname(), pid=1, process_started=began).save()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(processes, "_started", [processes.Started("watch", "/data", None, paths[0], process)])
        processes._sweep(folder)
        assert sorted(folder.iterdir()) == [paths[0], paths[1], paths[3]]
        process.kill()
    monkeypatch.setattr(processes, "_started", [])  # as after a restart of the dashboard
    processes._sweep(folder)
    assert sorted(folder.iterdir()) == [paths[1], paths[3]]
    assert watching.log(on_record) == paths[1].name
    on_record.delete()
    processes._sweep(folder)
    assert sorted(folder.iterdir()) == [paths[3]]


def test_a_process_that_began_has_started_though_nothing_can_be_written(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    data.use(store, settings)
    monkeypatch.setattr(processes, "_started", [])
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, usual[1]))
    try:
        started = processes.start("import", ["import", "--help"], about="a.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    started.process.wait()
    assert processes.recent() == [started]
    assert started.log.read_bytes() == b""


def test_a_log_that_is_named_is_read_however_many_are_newer(store: Store, settings: Settings) -> None:
    data.use(store, settings)
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True)
    for number in range(30):
        path = folder / f"import-20260101T0000{number:02}.000000.log"
        path.write_text(f"said {number}\n")
        os.utime(path, (number, number))
    assert [line.text for line in logs.lines("import-20260101T000000.000000.log", "info", None)] == ["said 0"]
