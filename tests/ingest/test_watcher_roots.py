"""What a watcher hears of its folders: searches and events, and what happens to folders that go and come back."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from battery_analysis.errors import IngestError
from battery_analysis.ingest import watch_roots
from battery_analysis.ingest.discover import Candidate, Selection
from battery_analysis.ingest.watch_roots import Found, Roots, Searched
from battery_analysis.ingest.watcher import checked_roots

SECONDS = 20.0


class Heard:
    """Collects what roots tell, with the names of files below them."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self.found: set[str] = set()
        self.searched: list[Searched] = []
        self.touched: set[str] = set()
        self.gone: set[str] = set()

    def until(self, done: Callable[[Heard], object]) -> None:
        """Listen until something is true."""
        end = time.monotonic() + SECONDS
        while not done(self):
            assert time.monotonic() < end, vars(self)
            touched, gone = self.roots.events_so_far()
            self.touched |= {Path(path).name for path in touched}
            self.gone |= {Path(path).name for path in gone}
            try:
                message = self.roots.found.get(timeout=0.02)
            except Empty:
                continue
            match message:
                case Found(candidates):
                    self.found |= {str(each.relative) for each in candidates}
                case Searched():
                    self.searched.append(message)


@contextmanager
def listening(*folders: Path, **options: Any) -> Iterator[Heard]:
    given = {"selection": Selection(), "every": 3600.0, "is_known": lambda _: False, "wake": lambda: None}
    roots = Roots(folders, **{**given, **options})
    roots.start()
    try:
        yield Heard(roots)
    finally:
        roots.leave()


def test_a_search_finds_what_is_there_and_says_when_it_has_seen_all(lab: Path) -> None:
    (lab / "sub").mkdir()
    for name in ("a.csv", "sub/b.csv", "sub/c.doc"):
        (lab / name).write_text("x")
    with listening(lab, selection=Selection(include=["*.csv"]), once=True) as heard:
        heard.until(lambda each: each.roots.are_done())
    assert heard.found == {"a.csv", "sub/b.csv"}
    assert [each.paths for each in heard.searched] == [{str(lab / "a.csv"), str(lab / "sub" / "b.csv")}]


def test_files_that_are_known_are_not_told_again(lab: Path) -> None:
    (lab / "old.csv").write_text("x")
    (lab / "new.csv").write_text("x")

    def is_known(candidate: Candidate) -> bool:
        return candidate.path.name == "old.csv"

    with listening(lab, is_known=is_known, once=True) as heard:
        heard.until(lambda each: each.roots.are_done())
    assert heard.found == {"new.csv"}


def test_events_tell_of_files_that_come_change_move_and_go(lab: Path) -> None:
    (lab / "old.csv").write_text("x")
    (lab / "leaving.csv").write_text("x")
    with listening(lab) as heard:
        heard.until(lambda each: each.searched)
        (lab / "new.csv").write_text("x")
        with (lab / "old.csv").open("a") as file:
            file.write("y")
        (lab / "leaving.csv").rename(lab / "left.csv")
        heard.until(lambda each: each.touched >= {"new.csv", "old.csv", "left.csv"} and "leaving.csv" in each.gone)
        (lab / "new.csv").unlink()
        heard.until(lambda each: "new.csv" in each.gone)


def test_a_folder_that_is_moved_in_is_searched_with_all_below_it(lab: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    (elsewhere / "AB12.csv").write_text("x")
    with listening(lab) as heard:
        heard.until(lambda each: each.searched)
        elsewhere.parent.rename(lab / "in")
        heard.until(lambda each: "in/deep/AB12.csv" in each.found)
        (lab / "in").rename(lab / "renamed")
        heard.until(lambda each: "renamed/deep/AB12.csv" in each.found)
        (lab / "renamed" / "deep" / "CD34.csv").write_text("x")
        heard.until(lambda each: "CD34.csv" in each.touched)


def test_polling_finds_changes_without_any_event(lab: Path) -> None:
    with listening(lab, every=0.1, events=False) as heard:
        heard.until(lambda each: each.searched)
        (lab / "AB12.csv").write_text("x")
        heard.until(lambda each: "AB12.csv" in each.found)
    assert heard.touched == set()


def test_a_root_that_goes_is_said_once_and_watched_again_when_it_is_back(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch_roots, "ROOT_SECONDS", 0.05)
    other = lab.parent / "other"
    other.mkdir()
    (lab / "AB12.csv").write_text("x")
    with listening(lab, other) as heard, caplog.at_level(logging.WARNING):
        heard.until(lambda each: len(each.searched) == 2)
        lab.rename(lab.parent / "away")
        heard.until(lambda each: each.roots.is_lost(lab) and each.roots.troubles)
        assert "No such file or directory" in heard.roots.troubles[str(lab)]
        (other / "CD34.csv").write_text("x")  # the other root goes on
        heard.until(lambda each: "CD34.csv" in each.touched)
        (lab.parent / "away").rename(lab)
        (lab / "EF56.csv").write_text("x")
        heard.until(lambda each: {"AB12.csv", "EF56.csv"} <= each.found and not each.roots.troubles)
        (lab / "GH78.csv").write_text("x")
        heard.until(lambda each: "GH78.csv" in each.touched)
    about = [record.getMessage() for record in caplog.records if str(lab) in record.getMessage()]
    assert about == [
        f"{lab}: No such file or directory; it is watched again once it is back",
        f"{lab} is back",
    ]


def test_a_root_that_is_exchanged_for_another_folder_is_searched_and_heard(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_roots, "ROOT_SECONDS", 0.05)
    with listening(lab) as heard:
        heard.until(lambda each: each.searched)
        fresh = lab.parent / "fresh"
        fresh.mkdir()
        (fresh / "AB12.csv").write_text("x")
        lab.rename(lab.parent / "before")
        fresh.rename(lab)
        heard.until(lambda each: "AB12.csv" in each.found)
        (lab / "CD34.csv").write_text("x")
        heard.until(lambda each: "CD34.csv" in each.touched)


def test_a_root_may_be_a_link(lab: Path) -> None:
    link = lab.parent / "link"
    link.symlink_to(lab)
    (lab / "sub").mkdir()
    (lab / "AB12.csv").write_text("x")
    with listening(link) as heard:
        heard.until(lambda each: each.searched)
        assert heard.found == {"AB12.csv"}
        for name in ("CD34.csv", "sub/EF56.csv"):
            (lab / name).write_text("x")
        heard.until(lambda each: each.touched >= {"CD34.csv", "EF56.csv"})


def test_a_limit_of_the_system_is_said_in_one_line_and_searches_go_on(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.inotify.InotifyEmitter.start", refuse)
    monkeypatch.setattr(watch_roots, "ROOT_SECONDS", 0.05)
    with listening(lab, every=0.1) as heard, caplog.at_level(logging.WARNING):
        heard.until(lambda each: len(each.searched) > 2)
        (lab / "AB12.csv").write_text("x")
        heard.until(lambda each: "AB12.csv" in each.found)
    about = [record.getMessage() for record in caplog.records if str(lab) in record.getMessage()]
    assert about == [
        f"{lab}: changes are found only every 0.1 s: inotify watch limit reached: "
        "set fs.inotify.max_user_watches higher (sysctl)"
    ]


def test_a_limit_that_only_folders_below_a_root_meet_is_noticed_too(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from watchdog.observers import inotify

    start = inotify.InotifyEmitter.start

    def start_at_root(emitter: inotify.InotifyEmitter) -> None:
        if not emitter.watch.is_recursive:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        start(emitter)

    monkeypatch.setattr(inotify.InotifyEmitter, "start", start_at_root)
    with listening(lab) as heard, caplog.at_level(logging.WARNING):
        heard.until(lambda each: each.searched)
    assert "some folders: changes are found only every 3600 s: inotify watch limit reached" in caplog.text
    assert list(heard.roots.troubles) == ["events"]


def test_a_folder_that_cannot_be_read_does_not_make_its_files_gone(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab / "locked").mkdir()
    (lab / "AB12.csv").write_text("x")
    scandir = os.scandir

    def refuse(path: Path) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with listening(lab, once=True) as heard:
        heard.until(lambda each: each.roots.are_done())
    assert "AB12.csv" in heard.found
    assert heard.searched == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_search_that_ends_by_a_fault_of_ours_does_not_end_in_silence(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(watch_roots, "discover", fail)
    with listening(lab) as heard:
        heard.until(lambda each: each.roots.are_done())
        with pytest.raises(RuntimeError, match="the search for changes has ended"):
            heard.roots.check()


def test_a_search_goes_on_although_a_folder_fails_in_the_middle(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab / "AB12.csv").write_text("x")
    search, failures = watch_roots.discover, iter([OSError(errno.ESTALE, "Stale file handle")])

    def fail_once(*given: Any) -> Iterator[Candidate]:
        if (failure := next(failures, None)) is not None:
            raise failure
        return search(*given)

    monkeypatch.setattr(watch_roots, "discover", fail_once)
    with listening(lab, every=0.1) as heard:
        heard.until(lambda each: "AB12.csv" in each.found)
        heard.roots.check()


def test_roots_that_are_missing_no_folders_or_within_another_are_refused(lab: Path) -> None:
    (lab / "sub").mkdir()
    (lab / "file.csv").write_text("x")
    (lab / "link").symlink_to(lab / "sub")
    assert checked_roots([lab / "sub" / ".." / "sub"]) == [lab / "sub"]
    for given, said in (
        ([lab / "gone"], f"{lab}/gone: No such file or directory"),
        ([lab / "file.csv"], f"{lab}/file.csv: Not a directory"),
        ([lab, lab / "sub"], f"{lab}/sub lies in {lab}, which is watched too; leave one out"),
        ([lab / "sub", lab / "link"], f"{lab}/sub lies in {lab}/link, which is watched too; leave one out"),
    ):
        with pytest.raises(IngestError) as refused:
            checked_roots(given)
        assert str(refused.value) == said
