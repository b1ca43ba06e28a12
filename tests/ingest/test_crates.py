"""What crates say of their files is believed only as far as it cannot lose any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from battery_analysis.ingest.crates import METADATA, passed_over
from battery_analysis.ingest.discover import Selection, discover


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
