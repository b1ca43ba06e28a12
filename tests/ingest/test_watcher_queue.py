"""The queue of a watcher, on a clock that moves only when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.watch_queue import WatchQueue

START = datetime(2026, 3, 2, tzinfo=UTC)
DEBOUNCE = 2.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def seen(name: str = "AB12.csv", size: int = 10, seconds: float = 0.0) -> Candidate:
    return Candidate(Path("/lab", name), PurePosixPath(name), size, START + timedelta(seconds=seconds))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WatchQueue:
    return WatchQueue(DEBOUNCE, retries=3, clock=clock)


def test_a_file_is_ripe_once_it_has_waited_for_the_debounce_time(queue: WatchQueue, clock: Clock) -> None:
    queue.notice(seen())
    clock.now += DEBOUNCE - 0.1
    assert queue.ripe() is None
    assert queue.idle_seconds() == pytest.approx(0.1)
    clock.now += 0.1
    assert queue.ripe() == seen()
    assert queue.ripe() is None


@pytest.mark.parametrize("changed", [seen(size=11), seen(seconds=1)], ids=["size", "time"])
def test_a_change_makes_it_wait_anew(queue: WatchQueue, clock: Clock, changed: Candidate) -> None:
    queue.notice(seen())
    clock.now += DEBOUNCE - 0.5
    queue.notice(changed)
    clock.now += 0.5
    assert queue.ripe() is None
    clock.now += DEBOUNCE - 0.5
    assert queue.ripe() == changed


def test_an_event_without_a_change_makes_nobody_wait(queue: WatchQueue, clock: Clock) -> None:
    queue.notice(seen())
    clock.now += DEBOUNCE
    queue.notice(seen())
    assert queue.ripe() == seen()


def test_a_file_that_differs_at_the_second_look_waits_anew(queue: WatchQueue, clock: Clock) -> None:
    queue.notice(seen())
    clock.now += DEBOUNCE
    assert queue.ripe() is not None
    queue.notice(seen(size=20))
    assert queue.ripe() is None
    clock.now += DEBOUNCE
    assert queue.ripe() == seen(size=20)


def test_a_file_in_hand_is_not_given_out_twice(queue: WatchQueue, clock: Clock) -> None:
    queue.notice(seen())
    clock.now += DEBOUNCE
    assert queue.ripe() is not None
    queue.take(seen().path)
    queue.notice(seen(size=20))
    clock.now += 100
    assert queue.ripe() is None
    assert (len(queue), queue.waiting(), queue.idle_seconds()) == (1, [], None)


def test_a_file_that_could_not_be_read_comes_back_after_growing_pauses_and_then_no_more(
    queue: WatchQueue, clock: Clock
) -> None:
    queue.notice(seen())
    clock.now += DEBOUNCE
    for pause in (1.0, 4.0, 16.0):
        assert queue.ripe() is not None
        queue.take(seen().path)
        assert queue.again(seen().path)
        assert queue.idle_seconds() == pause
        clock.now += pause
    assert queue.ripe() is not None
    assert not queue.again(seen().path)


def test_a_changed_file_gets_its_tries_back(queue: WatchQueue) -> None:
    queue.notice(seen())
    for _ in range(3):
        assert queue.again(seen().path)
    queue.notice(seen(size=20))
    assert queue.again(seen().path)


def test_when_the_database_was_lost_files_in_hand_are_due_at_once_and_others_as_before(
    queue: WatchQueue, clock: Clock
) -> None:
    queue.notice(seen("AB12.csv"))
    clock.now += DEBOUNCE
    assert queue.ripe() is not None
    queue.take(seen("AB12.csv").path)
    queue.notice(seen("CD34.csv"))
    queue.release()
    assert queue.ripe() == seen("AB12.csv")
    assert queue.ripe() is None
    assert queue.idle_seconds() == DEBOUNCE


def test_a_file_that_was_ripe_when_the_database_was_lost_is_not_forgotten(queue: WatchQueue, clock: Clock) -> None:
    queue.notice(seen())
    clock.now += DEBOUNCE
    assert queue.ripe() is not None
    queue.release()
    assert queue.ripe() == seen()


def test_what_is_gone_waits_no_longer(queue: WatchQueue, clock: Clock) -> None:
    queue.notice(seen())
    queue.forget(seen().path)
    queue.forget(seen("never.csv").path)
    clock.now += DEBOUNCE
    assert queue.ripe() is None
    assert (len(queue), queue.idle_seconds(), queue.oldest_seconds()) == (0, None, None)
    assert not queue.again(seen().path)


def test_the_oldest_is_the_one_noticed_first_however_often_it_changed(queue: WatchQueue, clock: Clock) -> None:
    queue.notice(seen("AB12.csv"))
    clock.now += 5
    queue.notice(seen("CD34.csv"))
    queue.notice(seen("AB12.csv", size=20))
    clock.now += 1
    assert queue.oldest_seconds() == 6


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 3)), min_size=1, max_size=60))
def test_however_a_file_changes_it_is_given_out_after_it_was_quiet_and_in_its_last_state(
    steps: list[tuple[float, int]],
) -> None:
    clock = Clock()
    queue = WatchQueue(DEBOUNCE, retries=3, clock=clock)
    size, since = 0, 0.0
    for pause, new_size in steps:
        clock.now += pause
        if (ripe := queue.ripe()) is not None:
            assert ripe.size == size
            assert clock.now >= since + DEBOUNCE
            queue.forget(ripe.path)
            size = 0
        queue.notice(seen(size=new_size))
        if new_size != size:
            size, since = new_size, clock.now
    clock.now += DEBOUNCE
    assert queue.ripe() == seen(size=size)
