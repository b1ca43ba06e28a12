"""What a watcher makes of files that are locked, change under its hands, vanish, or that the database refuses."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from battery_analysis.errors import StoreError, StoreUnavailableError
from battery_analysis.ingest import watch_files
from battery_analysis.ingest.discover import Candidate, Selection, look_at
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.watch_files import WatchedFiles
from battery_analysis.ingest.watch_queue import WatchQueue
from battery_analysis.ingest.watch_roots import Found, Roots, Searched
from battery_analysis.store import Store
from tests.ingest.test_watcher_queue import Clock

DIGEST = "0" * 64


class Hands:
    """Hands that are told what comes of each file."""

    are_full = False

    def __init__(self, result: Callable[[Candidate], Outcome]) -> None:
        self.result = result
        self.taken: list[Candidate] = []
        self._in_hand: list[Candidate] = []

    def take(self, candidate: Candidate) -> None:
        self.taken.append(candidate)
        self._in_hand.append(candidate)

    def done(self) -> Iterator[tuple[Candidate, Future[Outcome]]]:
        while self._in_hand:
            candidate = self._in_hand.pop()
            future: Future[Outcome] = Future()
            try:
                future.set_result(self.result(candidate))
            except StoreError as exc:
                future.set_exception(exc)
            yield candidate, future


def created(candidate: Candidate) -> Outcome:
    return Outcome(candidate.source, "created", sha256=DIGEST)


class Bench:
    """Files, roots that are never searched by themselves, and a clock."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        self.clock = Clock()
        self.files = WatchedFiles(Selection(), WatchQueue(1.0, retries=2, clock=self.clock))
        self.roots = Roots([lab], Selection(), 3600, self.files.knows, lambda: None)

    def notice(self, name: str) -> Path:
        path = self.lab / name
        candidate = look_at(self.lab, path, Selection())
        assert candidate is not None
        self.files.queue.notice(candidate)
        return path

    def turn(self, hands: Hands, seconds: float = 1.0) -> list[str]:
        """Let time pass, hand out and collect, and return the new outcomes."""
        self.clock.now += seconds
        self.files.hand_out(self.roots, hands)  # type: ignore[arg-type]
        self.files.collect(self.roots, hands)  # type: ignore[arg-type]
        outcomes, self.files.outcomes = self.files.outcomes, []
        return [outcome.outcome for outcome in outcomes]


@pytest.fixture
def bench(lab: Path) -> Bench:
    return Bench(lab)


def test_a_quiet_file_is_taken_once(bench: Bench) -> None:
    (bench.lab / "AB12.csv").write_text("x")
    bench.notice("AB12.csv")
    hands = Hands(created)
    assert bench.turn(hands, 0.5) == []
    assert bench.turn(hands, 0.5) == ["created"]
    bench.notice("AB12.csv")  # an event without a change
    assert bench.turn(hands) == []
    assert (len(hands.taken), len(bench.files.queue)) == (1, 0)


def test_a_file_that_changed_while_it_was_copied_is_taken_again(bench: Bench) -> None:
    path = bench.lab / "AB12.csv"
    path.write_text("x")
    bench.notice("AB12.csv")

    def growing(candidate: Candidate) -> Outcome:
        if path.stat().st_size < 3:
            path.write_text(path.read_text() + "y")
            return Outcome(candidate.source, "failed", "cut short", sha256=DIGEST)
        return created(candidate)

    hands = Hands(growing)
    # That a state between failed says nothing, and nobody is told.
    assert [bench.turn(hands) for _ in range(3)] == [[], [], ["created"]]
    assert [each.size for each in hands.taken] == [1, 2, 3]
    assert bench.files.failures == {}


def test_a_file_that_cannot_be_copied_is_tried_again_and_then_recorded(bench: Bench) -> None:
    (bench.lab / "AB12.csv").write_text("x")
    bench.notice("AB12.csv")
    hands = Hands(lambda each: Outcome(each.source, "failed", "Resource busy"))
    assert bench.turn(hands) == []
    assert bench.turn(hands, 1.0) == []
    assert bench.turn(hands, 4.0) == ["failed"]
    assert [failure.reason for failure in bench.files.failures.values()] == ["Resource busy"]
    assert len(hands.taken) == 3


def test_a_file_that_cannot_even_be_looked_at_is_tried_again_with_every_search(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.lab / "AB12.csv").write_text("x")
    path = bench.notice("AB12.csv")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    hands = Hands(created)
    with monkeypatch.context() as patch:
        patch.setattr(watch_files, "look_at", refuse)
        patch.setattr(Path, "open", refuse)
        assert [bench.turn(hands, seconds) for seconds in (1.0, 1.0, 4.0)] == [[], [], ["failed"]]
    assert [failure.reason for failure in bench.files.failures.values()] == ["Permission denied"]
    candidate = look_at(bench.lab, path, Selection())
    assert candidate is not None
    assert not bench.files.knows(candidate)
    bench.notice("AB12.csv")
    assert bench.turn(hands) == ["created"]
    assert bench.files.failures == {}


def test_data_are_taken_again_once_what_they_need_is_beside_them(bench: Bench) -> None:
    def kept_or_created(candidate: Candidate) -> Outcome:
        beside = candidate.path.suffix == ".mpl"
        return Outcome(candidate.source, "skipped" if beside else "created", "a log", sha256=DIGEST)

    hands = Hands(kept_or_created)
    for name in ("AB12.mpr", "CD34.mpr"):
        (bench.lab / name).write_text("x")
        bench.notice(name)
    assert bench.turn(hands) == ["created", "created"]
    (bench.lab / "AB12.mpl").write_text("x")
    bench.notice("AB12.mpl")
    assert [bench.turn(hands), bench.turn(hands), bench.turn(hands)] == [["skipped"], ["created"], []]
    assert hands.taken[-1].path.name == "AB12.mpr"


def test_a_file_that_the_database_refuses_waits_and_others_do_not(bench: Bench) -> None:
    (bench.lab / "AB12.csv").write_text("x")
    (bench.lab / "CD34.csv").write_text("x")
    full = True

    def refusing(candidate: Candidate) -> Outcome:
        if full and candidate.path.name == "AB12.csv":
            raise StoreError("no space left")
        return created(candidate)

    hands = Hands(refusing)
    bench.notice("AB12.csv")
    bench.turn(hands)
    assert bench.files.refused == "no space left"
    bench.notice("CD34.csv")
    assert [bench.turn(hands, seconds) for seconds in (1.0, 4.0, 16.0)] == [["created"], [], []]
    assert (len(bench.files.queue), bench.files.failures) == (1, {})
    full = False
    assert bench.turn(hands, watch_files.STUCK_SECONDS) == ["created"]
    assert bench.files.refused is None


def test_a_lost_database_puts_back_what_was_in_hand_and_what_was_stored_last(bench: Bench) -> None:
    lost = False

    def losing(candidate: Candidate) -> Outcome:
        if lost:
            raise StoreUnavailableError("no answer")
        return created(candidate)

    hands = Hands(losing)
    for name, pause in (("AB10.csv", 1.0), ("AB11.csv", watch_files.DOUBT_SECONDS + 1)):
        (bench.lab / name).write_text("x")
        bench.notice(name)
        assert bench.turn(hands, pause) == ["created"]
    lost = True
    (bench.lab / "AB12.csv").write_text("x")
    bench.notice("AB12.csv")
    with pytest.raises(StoreUnavailableError):
        bench.turn(hands)
    bench.files.doubt()
    lost = False
    hands.taken.clear()
    assert bench.turn(hands) == ["created", "created"]
    # A server that is killed loses a moment, not half a minute.
    assert sorted(each.path.name for each in hands.taken) == ["AB11.csv", "AB12.csv"]


def test_a_file_that_is_gone_is_forgotten_and_one_whose_root_is_gone_is_not(bench: Bench) -> None:
    hands = Hands(created)
    (bench.lab / "AB12.csv").write_text("x")
    bench.notice("AB12.csv").unlink()
    assert bench.turn(hands) == []
    assert len(bench.files.queue) == 0

    (bench.lab / "CD34.csv").write_text("x")
    bench.notice("CD34.csv")
    away = bench.lab.with_name("away")
    bench.lab.rename(away)
    assert bench.turn(hands) == []
    assert len(bench.files.queue) == 1
    away.rename(bench.lab)
    assert bench.turn(hands, watch_files.GONE_SECONDS) == ["created"]


def test_what_a_search_no_longer_finds_is_forgotten(bench: Bench, store: Store) -> None:
    hands = Hands(lambda each: Outcome(each.source, "failed", "damaged", sha256=DIGEST))
    for name in ("AB12.csv", "CD34.csv"):
        (bench.lab / name).write_text("x")
        bench.notice(name)
    assert bench.turn(hands) == ["failed", "failed"]
    bench.roots.found.put(Searched(bench.lab, {str(bench.lab / "CD34.csv")}))
    bench.files.hear(bench.roots)
    assert list(bench.files.failures) == [str(bench.lab / "CD34.csv")]
    assert list(bench.files.seen) == [str(bench.lab / "CD34.csv")]


def test_searches_wait_while_many_files_do(bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_files, "MOST_WAITING", 2)
    for number in range(4):
        (bench.lab / f"AB{number + 10}.csv").write_text("x")
    for number in range(0, 4, 2):
        names = [f"AB{number + 10}.csv", f"AB{number + 11}.csv"]
        found = [look_at(bench.lab, bench.lab / name, Selection()) for name in names]
        bench.roots.found.put(Found([each for each in found if each]))
    bench.files.hear(bench.roots)
    assert (len(bench.files.queue), bench.roots.found.qsize()) == (2, 1)
    hands = Hands(created)
    assert bench.turn(hands) == ["created", "created"]
    bench.files.hear(bench.roots)
    assert bench.turn(hands) == ["created", "created"]
