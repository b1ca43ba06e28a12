"""What happens is told once, whoever watches: failures, tests that stall, cells that age, and how an import ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from battery_analysis.errors import SettingsError, StoreUnavailableError
from battery_analysis.ingest import messenger, notices
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.messenger import require_targets, tells_at_the_end
from battery_analysis.ingest.news import News
from battery_analysis.ingest.watcher import Watcher, WatchRequest
from battery_analysis.models import ImportJob, Notice, RawDataFile, TestResult, now
from battery_analysis.settings import Settings
from battery_analysis.settings.notify import Notify, UrlTarget
from battery_analysis.store import Store, open_store
from tests.builders import arbin_csv
from tests.ingest.targets import web_server

NEWS = News("failed", "x.csv: empty")


def told(hook: Any) -> list[list[str]]:
    return [[each["event"] for each in body["news"]] for body in hook.bodies]


def test_the_same_is_noted_once(store: Store) -> None:
    bad = Outcome("/lab/x.csv", "failed", "empty", sha256="a" * 64)
    good = Outcome("/lab/y.csv", "created")
    assert notices.note(notices.failed_files([bad, good])) == 1
    assert notices.note(notices.failed_files([bad, bad])) == 0
    assert notices.note(notices.failed_files([replace(bad, sha256="b" * 64)])) == 1
    (first, _) = Notice.objects.order_by("created_at")
    assert (first.event, first.text, first.facts["path"]) == ("failed", "/lab/x.csv: empty", "/lab/x.csv")


def test_what_is_noted_is_sent_together_and_then_quietly_gathered(store: Store) -> None:
    with web_server() as hook:
        notify = Notify((UrlTarget("webhook", hook.url),), quiet_minutes=10)
        notices.note([("a", NEWS), ("b", NEWS)])
        assert notices.send_noted(notify) == 2
        assert notices.send_noted(notify) == 0
        notices.note([("c", NEWS)])
        assert notices.send_noted(notify) == 0
        Notice.objects.filter(sent_at__ne=None).update(sent_at=now() - timedelta(minutes=11))
        assert notices.send_noted(notify) == 1
    assert told(hook) == [["failed", "failed"], ["failed"]]


def test_what_reaches_nobody_is_tried_again_later_but_not_for_ever(store: Store) -> None:
    with web_server() as hook:
        hook.status = 500
        notify = Notify((UrlTarget("webhook", hook.url),), quiet_minutes=10)
        notices.note([("a", NEWS), ("old", NEWS)])
        Notice.objects(key="old").update(created_at=now() - notices.TOLD_WITHIN)
        assert [notices.send_noted(notify) for _ in range(2)] == [0, 0]
        assert len(hook.bodies) == 1
        hook.status = 200
        Notice.objects.update(taken_at=now() - timedelta(minutes=11))
        assert notices.send_noted(notify) == 1
        assert list(Notice.objects(sent_at=None).scalar("key")) == ["old"]


def grown(store: Store, settings: Settings, lab: Path, *, times: int = 2) -> TestResult:
    """A test whose file has grown."""
    for cycles in range(2, 2 + times):
        (lab / "AB12.csv").write_text(arbin_csv(cycles))
        for _ in runs.begin(store, settings, runs.ImportRequest(root=str(lab), checksum=True)):
            pass
    found: TestResult = TestResult.objects.get()
    return found


def age(hours: float, *, file_was_old: bool = False) -> None:
    """Let all files have been read for the last time some hours ago."""
    at = now() - timedelta(hours=hours)
    raw = RawDataFile.objects.get()
    for version in raw.versions:
        version.seen_at = at
    for place in raw.sources:
        place.modified_at = at - timedelta(days=400 if file_was_old else 0)
    raw.save()


def test_a_test_that_grew_is_stalled_after_the_set_time_and_told_once(
    store: Store, settings: Settings, lab: Path
) -> None:
    test = grown(store, settings, lab)
    assert list(notices.stalled_tests(24)) == []
    age(25)
    ((key, news),) = notices.stalled_tests(24)
    assert (key, news.event) == (f"stalled {test.id}", "stalled")
    assert news.text.startswith("test AB12.csv of AB12: no new records for 25 h (60 so far)")
    assert list(notices.stalled_tests(26)) == []
    assert [notices.note([(key, news)]) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize(
    ("hours", "change", "stalled"),
    [
        (25, {}, True),
        (25, {"finished": True}, False),
        (24 * 40, {}, False),
    ],
    ids=["running", "finished", "history"],
)
def test_what_has_finished_or_is_history_is_not_stalled(
    store: Store, settings: Settings, lab: Path, hours: float, change: dict[str, Any], stalled: bool
) -> None:
    test = grown(store, settings, lab)
    age(hours)
    if change:
        TestResult.objects(id=test.id).update(**change)
    assert bool(list(notices.stalled_tests(24))) == stalled


def test_a_file_that_never_grew_is_not_stalled_unless_it_says_that_it_has_not_finished(
    store: Store, settings: Settings, lab: Path
) -> None:
    grown(store, settings, lab, times=1)
    age(25)
    assert list(notices.stalled_tests(24)) == []
    TestResult.objects.update(finished=False)
    assert len(list(notices.stalled_tests(24))) == 1
    age(25, file_was_old=True)
    assert list(notices.stalled_tests(24)) == []


def test_cells_under_the_retention_are_those_of_the_job(store: Store, settings: Settings, lab: Path) -> None:
    test = grown(store, settings, lab, times=1)
    TestResult.objects.update(capacity_retention=0.75)
    ((key, news),) = notices.aged_cells(test.import_job, 0.8)
    assert key == f"retention {test.id}"
    assert "capacity retention 75.0% after 2 cycles, under 80%" in news.text
    assert list(notices.aged_cells(test.import_job, 0.7)) == []
    assert list(notices.aged_cells(ImportJob(root="x").save().id, 0.8)) == []


@pytest.mark.parametrize(("broken", "event"), [(False, "completed"), (True, "failed")], ids=["good", "bad"])
def test_the_end_of_an_import_is_told(store: Store, settings: Settings, lab: Path, broken: bool, event: str) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    if broken:
        (lab / "x.csv").write_bytes(b"")
    with web_server() as hook:
        run = runs.begin(store, settings, runs.ImportRequest(root=str(lab)))
        with tells_at_the_end(Notify((UrlTarget("webhook", hook.url),)), run.job):
            list(run)
    ((news,),) = (body["news"] for body in hook.bodies)
    assert (news["event"], news["job"], news["state"]) == (event, str(run.job.id), "completed")
    assert ("x.csv: the file is empty" in hook.bodies[0]["text"]) == broken


def test_an_import_that_ends_by_an_error_is_told_and_the_error_goes_on(
    store: Store, settings: Settings, lab: Path
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    (settings.data_dir).mkdir()
    (settings.data_dir / "spool").write_text("in the way")
    with web_server() as hook:
        run = runs.begin(store, settings, runs.ImportRequest(root=str(lab)))
        with (
            pytest.raises(Exception, match="spool"),
            tells_at_the_end(Notify((UrlTarget("webhook", hook.url),)), run.job),
        ):
            list(run)
    assert told(hook) == [["failed"]]
    assert "cannot keep a copy" in hook.bodies[0]["text"]


def test_messages_cannot_be_promised_without_a_target() -> None:
    with pytest.raises(SettingsError, match="name nobody to notify"):
        require_targets(Notify())


def watch_once(settings: Settings, lab: Path, **options: Any) -> None:
    files = runs.ImportRequest(root=str(lab))
    Watcher(settings, WatchRequest([lab], files, once=True, **options), lambda outcome: None).run()


def test_a_watcher_tells_of_a_failure_once(settings: Settings, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messenger, "GATHER_SECONDS", 0.1)
    with web_server() as hook:
        notify = Notify((UrlTarget("webhook", hook.url),), quiet_minutes=1e-6)
        told_by = replace(settings, notify=notify, debounce=0.05)
        (lab / "AB12.csv").write_text(arbin_csv())
        watch_once(told_by, lab)
        assert hook.bodies == []
        (lab / "y.csv").write_bytes(b"")
        watch_once(told_by, lab, retry_failed=True)
        (body,) = hook.bodies
        assert [each["event"] for each in body["news"]] == ["failed"]
        assert body["news"][0]["path"] == str(lab / "y.csv")
        watch_once(told_by, lab, retry_failed=True)
        assert len(hook.bodies) == 1


def test_a_watcher_tells_of_stalled_tests_and_aged_cells_in_one_message(settings: Settings, lab: Path) -> None:
    def write(cycles: int, *names: str) -> None:
        for name in names:
            (lab / f"{name}.csv").write_text(arbin_csv(cycles, records=20 if name == "AB12" else 30))

    quiet = replace(settings, debounce=0.05)
    write(2, "AB12", "CD34")
    watch_once(quiet, lab)
    write(3, "AB12", "CD34")
    watch_once(quiet, lab)
    with open_store(settings):
        long_ago = now() - timedelta(hours=30)
        changes = {"versions.$[].seen_at": long_ago, "sources.$[].modified_at": long_ago}
        RawDataFile._get_collection().update_one({"filename": "CD34.csv"}, {"$set": changes})
    write(4, "AB12")
    with web_server() as hook:
        notify = Notify((UrlTarget("webhook", hook.url),), retention=2.0)
        watch_once(replace(quiet, notify=notify), lab)
        watch_once(replace(quiet, notify=notify), lab)
    assert [sorted(events) for events in told(hook)] == [["retention", "stalled"]]
    by_event = {each["event"]: each["name"] for each in hook.bodies[0]["news"]}
    assert by_event == {"stalled": "CD34.csv", "retention": "AB12.csv"}


def test_failures_heard_while_the_database_is_away_are_told_once_it_is_back(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = ImportJob(root="x").save().id
    with web_server() as hook:
        messenger_ = messenger.Messenger(Notify((UrlTarget("webhook", hook.url),)))
        messenger_.hear([Outcome("/lab/x.csv", "failed", "empty", sha256="a" * 64)])

        def away(news: object) -> int:
            raise StoreUnavailableError("no answer")

        with monkeypatch.context() as patch:
            patch.setattr(notices, "note", away)
            with messenger_.at_work(job):
                pass
        assert "what is to be told waits: no answer" in caplog.text
        assert hook.bodies == []
        with messenger_.at_work(job):
            pass
    assert told(hook) == [["failed"]]
