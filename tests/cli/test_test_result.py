"""One test, as users look at it and tag it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from battery_analysis.analysis.checks import Check
from tests.builders import cycling_frame, read_result, save
from tests.cli.conftest import Cli


@pytest.fixture
def test_id(cli: Cli, tmp_path: Path) -> str:
    with cli.store() as store:
        facts = {"device": "BT2000", "comment": "first\nsecond [red]line", "header": {"a.b$c": "1"}}
        return str(save(store, tmp_path, read_result(cycling_frame(4), **facts)).id)


def test_a_test_is_shown_with_units_and_without_raw_objects(cli: Cli, test_id: str) -> None:
    shown = cli.ok("test", "show", test_id)
    facts = dict(line.split("  ", 1) for line in shown.lines[: shown.lines.index("")])
    facts = {name: value.strip() for name, value in facts.items()}
    assert (facts["test"], facts["sample"], facts["cycles"]) == (test_id, "AB12", "4")
    assert facts["comment"] == r"first\nsecond [red]line"
    assert facts["started at"] == "2026-03-02 08:00 UTC"
    assert facts["initial capacity / Ah"] == "0.166667"
    assert not {"ObjectId", "{", "None", "BaseList"} & set(shown.out.replace("}", "{").split())
    assert "current_ampere" in shown.out


def test_as_json_a_test_has_the_names_of_a_search(cli: Cli, test_id: str) -> None:
    [found], shown = cli.json("search"), cli.json("test", "show", test_id)
    assert {name: shown[name] for name in found} == found
    assert shown["columns"]["voltage_volt"] == {
        "min": 3.0,
        "max": 3.019,
        "unit": "V",
        "source": None,
        "source_unit": None,
    }


def test_a_failed_check_is_shown_with_its_records(cli: Cli, tmp_path: Path) -> None:
    flag = Check("clock", "failed", "paused twice", {"pauses": 2.0}, [(3, 7), (9, 9)])
    with cli.store() as store:
        result = read_result(cycling_frame(2))
        identity = save(store, tmp_path, replace(result, checks=[flag, Check("sign", "failed", "no range")])).id
    assert cli.json("test", "show", identity)["flags"] == ["clock", "sign"]
    assert [line for line in cli.ok("test", "show", identity).lines if line.startswith("check")] == [
        "check clock failed: paused twice (records 3-7, 9, counted from 0)",
        "check sign failed: no range",
    ]


def test_the_cycle_table_is_shown_on_request(cli: Cli, test_id: str) -> None:
    table = cli.json("test", "show", test_id, "--cycles")["cycle_table"]
    assert [cycle["cycle_count"] for cycle in table] == [1, 2, 3, 4]
    last = cli.ok("test", "show", test_id, "--cycles").lines[-4:]
    assert [line.split()[0] for line in last] == ["1", "2", "3", "4"]


def test_tags_and_notes_are_added_and_taken_away(cli: Cli, test_id: str) -> None:
    cli.ok("test", "tag", test_id, "good", "best", "--note", "swelled\nafter week 3")
    assert cli.json("search", "--tag", "good", "--text", "swell")[0]["id"] == test_id
    assert r"swelled\nafter week 3" in cli.ok("test", "show", test_id).out
    tagged = cli.json("test", "tag", test_id, "--remove", "good")
    assert (tagged["id"], tagged["tags"]) == (test_id, ["best"])
    assert [note["text"] for note in tagged["notes"]] == ["swelled\nafter week 3"]
    assert cli.json("search", "--tag", "good") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "seven"), "no test result has the id 'seven'"),
        (("show", "0" * 24), f"no test result has the id {'0' * 24}"),
        (("tag", "0" * 24, "a"), f"no test result has the id {'0' * 24}"),
        (("tag", "TEST"), "a tag to add, --remove or --note is wanted"),
        (("tag", "TEST", ""), "tags"),
        (("tag", "TEST", "x" * 200), "tags"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_line(cli: Cli, test_id: str, words: tuple[str, ...], message: str) -> None:
    assert message in cli.refused("test", *(test_id if word == "TEST" else word for word in words))
    assert cli.json("search")[0]["tags"] == []
