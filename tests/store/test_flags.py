"""Flags follow the checks of their tests, and what people said of them stays."""

from __future__ import annotations

import pytest
from bson import ObjectId

from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.models import Flag, TestResult
from battery_analysis.store import Store, flags


def a_test(*failing: str, identity: ObjectId | None = None) -> TestResult:
    """Return a test of which checks failed, each given as ``name: message``."""
    said = [dict(zip(("name", "message"), each.split(": "), strict=True)) for each in failing]
    return TestResult(id=identity or ObjectId(), quality_flags=[{**each, "records": [[0, 9]]} for each in said])


def states(test: TestResult) -> dict[str, str]:
    return {flag.check: flag.state for flag in Flag.objects(test_result=test.id)}


def test_a_failed_check_raises_one_flag_however_often_the_test_is_stored(store: Store) -> None:
    test = a_test("clock: 1 jump", "sign: reversed")
    flags.follow(test)
    flags.follow(test)
    assert states(test) == {"clock": "open", "sign": "open"}
    assert Flag.objects(check="clock").first().records == [[0, 9]]


def test_a_resolved_flag_stays_so_until_its_check_says_something_else(store: Store) -> None:
    test = a_test("clock: 1 jump")
    flags.follow(test)
    flag = flags.settle(Flag.objects.first().id, "resolved", "daylight saving", "Ada")
    assert (flag.state, flag.settled_by, flag.notes_log[0].text) == ("resolved", "Ada", "daylight saving")
    flags.follow(test)
    assert states(test) == {"clock": "resolved"}
    flags.follow(a_test("clock: 2 jumps", identity=test.id))
    changed = Flag.objects.first()
    assert (changed.state, changed.message, len(changed.notes_log)) == ("open", "2 jumps", 1)


def test_a_check_that_passes_takes_its_flag_back_and_leaves_what_people_said(store: Store) -> None:
    test = a_test("clock: 1 jump", "sign: reversed")
    flags.follow(test)
    flags.settle(Flag.objects(check="clock").first().id, "reviewed", "looked at it")
    flags.follow(a_test(identity=test.id))
    assert states(test) == {"clock": "cleared"}
    flags.follow(test)
    assert states(test) == {"clock": "open", "sign": "open"}


def test_resolving_wants_a_note_and_states_are_those_of_people(store: Store) -> None:
    flags.follow(a_test("clock: 1 jump"))
    flag = Flag.objects.first()
    with pytest.raises(InvalidDocumentError, match="why the flag is resolved"):
        flags.settle(flag.id, "resolved", "  ")
    with pytest.raises(InvalidDocumentError, match="got 'cleared'"):
        flags.settle(flag.id, "cleared", "")
    with pytest.raises(NotFoundError):
        flags.raise_flag(ObjectId(), "of no test")


def test_flags_are_found_by_state_origin_check_and_words(store: Store) -> None:
    test = a_test("clock: 1 jump", "sign: reversed")
    flags.follow(test)
    flags.settle(Flag.objects(check="sign").first().id, "reviewed", "Asked the operator")

    def found(**query: str) -> list[str | None]:
        return [each.check for each in flags.search_flags(flags.FlagQuery(**query, sort="check"))]

    assert found() == ["clock", "sign"]
    assert found(state="open") == ["clock"]
    assert found(text="OPERATOR") == ["sign"]
    assert found(check="sign", raised_by="checks") == ["sign"]
    assert found(raised_by="people") == []
    flags.forget(test.id)
    assert found() == []
