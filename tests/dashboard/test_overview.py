"""The overview shows what is going on, and goes on showing it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from battery_analysis.models import ImportedFile, ImportJob
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from dashboard import data
from dashboard.data import lab as state
from dashboard.pages import overview
from tests.dashboard.conftest import ROOT, Lab

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def number(tab: Tab, label: str) -> str:
    """Return the number beside a label."""
    return tab.locator(".stat", has_text=label).locator(".stat-value").inner_text()


def test_a_file_that_fails_now_is_shown_without_reloading(
    visit: Callable[[str], Tab], lab: Lab, tmp_path: Path
) -> None:
    tab = visit("/")
    tab.evaluate("window.stayed = true")
    before = int(number(tab, "Failed files"))
    (tmp_path / "cut <b>off.csv").write_bytes(b"")
    words = [sys.executable, "-m", "cli.main", "import", str(tmp_path), *lab.options]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode == 1
    tab.locator("td", has_text="cut <b>off.csv").wait_for(timeout=4 * overview.REFRESH_MILLISECONDS)
    assert int(number(tab, "Failed files")) == before + 1
    assert tab.evaluate("window.stayed") is True


def test_what_has_a_recent_record_runs_what_is_silent_is_stalled(store: Store, settings: Settings) -> None:
    now = datetime.now(UTC)
    states = {"runs": (1, None), "ended": (1, True), "silent": (48, False), "old": (48, None), "ancient": (1000, False)}
    written = [
        {"_id": name, "name": name, "updated_at": now, "ended_at": now - timedelta(hours=hours), "finished": finished}
        for name, (hours, finished) in states.items()
    ]
    store.database["test_results"].insert_many([{**each, "sample_name": "S", "cell_code": "C"} for each in written])
    data.use(store, settings)
    assert [test.name for test in state.running(now)] == ["runs"]
    assert [test.name for test in state.stalled(now)] == ["silent"]
    assert {test.name for test in state.finished_today(now)} <= {"ended"}


def test_a_file_fails_when_it_does_not_when_its_watcher_was_started(store: Store, settings: Settings) -> None:
    now = datetime.now(UTC)
    days = {"today": 0.1, "long ago": 20}
    job = ImportJob(root="/data", started_at=now - timedelta(days=30), heartbeat_at=now).save()
    for name, ago in days.items():
        ImportedFile(job=job.id, path=name, outcome="failed", updated_at=now - timedelta(days=ago)).save()
    ended = ImportJob(root="/data", heartbeat_at=now - timedelta(days=8)).save()
    ImportedFile(job=ended.id, path="before", outcome="failed", updated_at=now - timedelta(days=8)).save()
    data.use(store, settings)
    files, count = state.failed_files(now)
    assert ([each.path for each in files], count) == (["today"], 1)


def test_files_count_on_the_day_they_were_seen_to_not_when_their_watcher_was_started(
    store: Store, settings: Settings
) -> None:
    now = datetime(2026, 5, 20, 10, tzinfo=UTC)
    watcher = ImportJob(root="/data", started_at=now - timedelta(days=40), state="running").save()
    undone = ImportJob(root="/wrong", state="rolled_back", finished_at=now).save()

    def seen_to(job: ImportJob, path: str, outcome: str, day: int, minute: int = 0) -> None:
        moment = datetime(2026, 5, day, 9, minute, tzinfo=UTC)
        found = ImportedFile.objects(job=job.id, path=path)
        found.update_one(upsert=True, set__outcome=outcome, set__updated_at=moment)

    def counted() -> dict[tuple[int, str], int]:
        rows = state.imports_by_day(now).iter_rows(named=True)
        return {(row["day"].day, row["outcome"]): row["files"] for row in rows}

    data.use(store, settings)
    for path, outcome, day in (("a", "created", 1), ("b", "created", 19), ("c", "created", 20), ("d", "failed", 20)):
        seen_to(watcher, path, outcome, day)
    ImportedFile(job=watcher.id, path="before", outcome="created", updated_at=now - timedelta(days=31)).save()
    seen_to(undone, "e", "created", 19)
    assert counted() == {
        (1, "created"): 1,
        (19, "created"): 1,
        (19, "rolled back"): 1,
        (20, "created"): 1,
        (20, "failed"): 1,
    }
    seen_to(watcher, "a", "updated", 20, minute=1)  # it grew: the job, too, counts it once
    assert sum(files for (_, outcome), files in counted().items() if outcome != "rolled back") == 4
    assert counted()[20, "updated"] == 1


def test_imports_are_stacked_by_what_became_of_the_files() -> None:
    days = [date(2026, 5, 1), date(2026, 5, 2), date(2026, 5, 3)]
    table = pl.DataFrame({"day": days, "outcome": ["created", "failed", "created"], "files": [3, 1, 2]})
    drawn = overview.imports_figure(table, date(2026, 5, 3))
    assert drawn.layout.xaxis.range == (datetime(2026, 4, 3, 12), datetime(2026, 5, 3, 12))  # quiet days show as gaps
    assert [(bar.name, bar.x, bar.y) for bar in drawn.data] == [
        ("created", ("2026-05-01", "2026-05-03"), (3, 2)),
        ("failed", ("2026-05-02",), (1,)),
    ]


def test_an_empty_store_is_shown_with_what_to_do_next(store: Store, settings: Settings) -> None:
    data.use(store, settings)
    shown = str(overview.layout())
    assert "No test had a record within the last 24 hours." in shown
    assert "battery-analysis watch FOLDER" in shown
