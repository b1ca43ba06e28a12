"""Imports by the clock: when they are due, what is made up for, and what one that fails does to the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from battery_analysis.errors import IngestError, NotFoundError, SettingsError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import schedule as schedules
from battery_analysis.ingest.schedule import Scheduler, claim, next_time, standings
from battery_analysis.models import ImportJob, ScheduledImport, TestResult
from battery_analysis.settings import Settings
from battery_analysis.settings.notify import Notify, UrlTarget
from battery_analysis.settings.schedules import Schedule
from battery_analysis.store import Store, open_store
from tests.builders import arbin_csv
from tests.ingest.targets import web_server

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 3 * * *", "UTC", NOON, "2026-03-02T03:00"),
        ("0 3 * * *", "Europe/Berlin", NOON, "2026-03-02T02:00"),
        ("0 12 * * *", "UTC", NOON, "2026-03-02T12:00"),
        ("*/15 * * * *", "UTC", NOON + timedelta(seconds=1), "2026-03-01T12:15"),
        # Clocks go forward from 02:00 to 03:00: what is set for 02:30 runs, once, when they have.
        ("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), "2026-03-29T01:00"),
        # Clocks go back from 03:00 to 02:00: what is set for 02:30 runs once.
        ("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-26T01:30"),
    ],
)
def test_times_are_those_of_the_time_zone_also_when_clocks_change(
    cron: str, zone: str, after: datetime, expected: str
) -> None:
    found = next_time(Schedule(cron, Path("/lab"), "lab"), after, zone)
    assert found.isoformat(timespec="minutes") == f"{expected}+00:00"


def scheduled(settings: Settings, lab: Path, *, cron: str = "* * * * *", **options: Any) -> Settings:
    return replace(settings, schedule=(Schedule(cron, lab, "lab", **options),))


def served(minutes: float, name: str = "lab") -> None:
    """Let the times of an import be served until some minutes ago."""
    assert ScheduledImport.objects(name=name).update(served_until=schedules.now() - timedelta(minutes=minutes)) == 1


def test_an_import_that_was_never_seen_missed_nothing_and_missed_times_are_made_up_for_once(
    store: Store, settings: Settings, lab: Path
) -> None:
    asked = scheduled(settings, lab)
    (schedule,) = asked.schedule
    moment = schedules.now()
    assert not claim(schedule, asked, moment + timedelta(hours=5))
    served(300)
    assert [claim(schedule, asked, moment) for _ in range(3)] == [True, False, False]
    served(300)
    assert claim(schedule, replace(asked, time_zone="Asia/Tokyo"), moment)


def test_of_two_schedulers_one_runs_it(store: Store, settings: Settings, lab: Path) -> None:
    asked = scheduled(settings, lab)
    (schedule,) = asked.schedule
    claim(schedule, asked, schedules.now())
    served(5)
    done: list[bool] = []
    threads = [Thread(target=lambda: done.append(claim(schedule, asked, schedules.now()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, False, False, True]


def missed(settings: Settings, minutes: float, *names: str) -> None:
    with open_store(settings):
        for name in names or ("lab",):
            served(minutes, name)


def run_once(settings: Settings) -> tuple[list[str], int]:
    """Run what is due, over a connection of its own."""
    lines: list[str] = []
    scheduler = Scheduler(settings, lines.append)
    scheduler.run(once=True)
    return lines, scheduler.failed


def test_what_is_due_runs_with_its_options_and_one_that_fails_harms_no_other(
    settings: Settings, lab: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    (lab / "notes.doc").write_text("nothing")
    both = replace(
        settings,
        schedule=(
            Schedule("* * * * *", lab / "absent", "absent"),
            Schedule("* * * * *", lab, "lab", include=("*.csv",), tags=("nightly",), operator="Ada"),
        ),
    )
    assert run_once(both) == ([], 0)
    missed(both, 2, "lab", "absent")
    lines, failed = run_once(both)
    assert failed == 1
    assert f"absent: {lab / 'absent'}: No such file or directory" in caplog.text
    with open_store(both):
        job = ImportJob.objects.get()
        assert sorted(lines) == [f"lab: job {job.id} imports {lab}", f"lab: job {job.id} is completed: 1 created"]
        test = TestResult.objects.get()
        assert (test.tags, test.operator) == (["nightly"], "Ada")

        absent, good = standings(both)
        assert (absent.state, absent.problem, absent.job) == (
            "failed",
            f"{lab / 'absent'}: No such file or directory",
            None,
        )
        assert (good.state, good.problem, good.job) == ("completed", None, job)
        assert good.next_at > schedules.now() - timedelta(seconds=5)
    assert run_once(both) == ([], 0)


def test_one_that_still_runs_is_not_started_again(settings: Settings, lab: Path) -> None:
    asked = scheduled(settings, lab)
    (schedule,) = asked.schedule
    with open_store(asked) as store:
        run = schedules.begin(store, asked, schedule)
        with pytest.raises(IngestError, match=f"lab still runs, as job {run.job.id}"):
            schedules.begin(store, asked, schedule)
        served(2)
    assert run_once(asked) == (["lab: still runs; this time is passed over"], 0)
    with open_store(asked):
        jobs.finish(run.job, "completed", None, seconds=0.0)
        served(2)
    assert len(run_once(asked)[0]) == 2


def test_who_is_to_be_told_is_told(settings: Settings, lab: Path) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    silent = scheduled(settings, lab, notify=True)
    with open_store(silent) as store, pytest.raises(SettingsError, match="name nobody to notify"):
        schedules.begin(store, silent, silent.schedule[0])
    with web_server() as hook:
        told = replace(silent, notify=Notify((UrlTarget("webhook", hook.url),)))
        run_once(told)
        missed(told, 2)
        run_once(told)
        missed(told, 2)
        lab.rename(lab.with_name("moved"))
        run_once(told)
    first, second = (body["news"][0] for body in hook.bodies)
    assert (first["event"], first["root"]) == ("completed", str(lab))
    assert second["text"].startswith("scheduled import lab could not start: ")


def test_an_import_is_found_by_name(settings: Settings, lab: Path) -> None:
    asked = scheduled(settings, lab)
    assert schedules.named(asked, "lab") is asked.schedule[0]
    with pytest.raises(NotFoundError, match="no scheduled import is called 'x'; there are: lab"):
        schedules.named(asked, "x")


def until(done: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_clock_starts_imports_and_a_stop_leaves_none_behind(
    settings: Settings, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "LOOK_SECONDS", 0.1)
    (lab / "AB12.csv").write_text(arbin_csv())
    ahead, lines = [timedelta()], list[str]()
    scheduler = Scheduler(scheduled(settings, lab), lines.append, clock=lambda: schedules.now() + ahead[0])
    thread = Thread(target=scheduler.run)
    thread.start()
    until(lambda: scheduler._is_at_work)
    for hours in (1, 2):
        ahead[0] = timedelta(hours=hours)
        until(lambda: sum("completed" in line for line in lines) >= hours)  # noqa: B023
    scheduler.stop()
    thread.join(30)
    assert not thread.is_alive()
    with open_store(settings):
        assert [job.state for job in ImportJob.objects] == ["completed", "completed"]
