"""What crates say of their files is believed only as far as it cannot lose any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from battery_analysis.ingest.crates import METADATA, passed_over
from battery_analysis.ingest.discover import Selection, discover, look_at


def described(**made_from: list[str]) -> bytes:
    graph = [{"@id": name, "isBasedOn": [{"@id": base} for base in bases]} for name, bases in made_from.items()]
    return json.dumps({"@graph": graph}).encode()


def test_what_is_made_from_what_is_passed_over_is_passed_over() -> None:
    found = passed_over(described(records=["original"], cycles=["records"]), ["original", "records", "cycles"])
    assert set(found) == {"records", "cycles"}


def test_files_that_are_said_to_be_made_from_one_another_are_all_taken() -> None:
    assert passed_over(described(a=["b"], b=["a"], c=["c"]), ["a", "b", "c"]) == {}


def test_records_are_taken_where_one_of_their_originals_is_not_there() -> None:
    assert passed_over(described(records=["one", "two"]), ["one", "records"]) == {}


@pytest.mark.parametrize("text", [b"", b"[]", b'{"@graph": [1]}', b'{"@graph": [{}]}', b"[" * 100_000, b"\xff\xfe"])
def test_a_damaged_description_says_nothing(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert passed_over(text, ["a", "b"]) == {}
    assert "the description of a crate cannot be read" in caplog.text


@pytest.mark.parametrize("name", ["#" + "x" * 400, "a\0b", "\ud800"])
def test_names_that_no_file_can_have_do_not_stop_an_import(tmp_path: Path, name: str) -> None:
    (tmp_path / METADATA).write_bytes(described(**{name: ["original"], "records.csv": ["original.csv"]}))
    (tmp_path / "original.csv").touch()
    (tmp_path / "records.csv").touch()
    found = {candidate.filename: candidate.problem for candidate in discover(tmp_path, Selection())}
    assert found["original.csv"] is None
    assert found["records.csv"] == "made from original.csv, which is in the same crate"


def test_a_watcher_looks_at_a_file_of_a_crate_as_a_search_does(tmp_path: Path) -> None:
    """Whatever it looks at, wherever the crate lies, and whether the search begins at the root or within the crate."""
    crate = tmp_path / "share" / "crate"
    inner = crate / "tests" / "inner"
    inner.mkdir(parents=True)
    names = ["tests/a.csv", "tests/a.bdf.csv", "tests/a_cycles.csv", "tests/alone.csv", "tests/inner/b.csv", "c.csv"]
    for name in names:
        (crate / name).touch()
    (crate / METADATA).write_bytes(
        described(
            **{
                "tests/a.bdf.csv": ["tests/a.csv"],
                "./tests/a_cycles.csv": ["tests/a.bdf.csv"],
                "tests/alone.csv": ["tests/lost.csv"],
                "tests/inner/b.csv": ["c.csv"],
            }
        )
    )
    (inner / METADATA).write_bytes(described(**{"b.csv": ["b.csv"]}))
    searched = {each.path: each.problem for each in discover(tmp_path, Selection())}
    assert {path.name for path, problem in searched.items() if problem is None} == {"a.csv", "alone.csv", "c.csv"}
    assert searched[inner / "b.csv"] == "made from c.csv, which is in the same crate"
    for path, problem in searched.items():
        candidate = look_at(tmp_path, path, Selection())
        assert candidate is not None
        assert candidate.problem == problem
    for folder in (crate, crate / "tests", inner):
        within = {each.path: each.problem for each in discover(tmp_path, Selection(), folder)}
        assert within == {path: problem for path, problem in searched.items() if path.is_relative_to(folder)}
