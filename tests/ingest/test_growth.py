"""The end of a large text that has grown is read alone, and the test is as if the whole had been read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from battery_analysis.ingest import growth, text_lines
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.job import Outcome
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, columnar, frames
from examples.arbin_csv import write_arbin_csv
from examples.bulk import many_records
from tests.ingest.conftest import Importing

RECORDS = 12_000
SEGMENT = 2048

_OF_THE_IMPORT = {"_id", "created_at", "updated_at", "import_job", "created_in", "former", "revision", "overview"}
_REFERENCES = {"segments", "cycle_blocks", "raw_files", "sample"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An Arbin export of some cycles."""
    path = tmp_path_factory.mktemp("whole") / "AB12.csv"
    write_arbin_csv(path, many_records(RECORDS), comment="synthetic")
    return path.read_bytes()


@pytest.fixture(autouse=True)
def small_files_count_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short tests have many segments, and small files be read on."""
    for module in (growth, text_lines):
        monkeypatch.setattr(module, "SMALL_BYTES", 1)
    monkeypatch.setattr(columnar, "RECORDS_PER_SEGMENT", SEGMENT)
    monkeypatch.setattr(growth, "RECORDS_PER_SEGMENT", SEGMENT)
    monkeypatch.setattr(growth, "MOST_READ_AGAIN", 4 * SEGMENT)


@pytest.fixture
def read_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read on from, in order; reading happens in this process, where the segments are small."""
    from battery_analysis.ingest import reader_pool

    seen: list[str] = []

    class Done:
        def __init__(self, value: Any) -> None:
            self._value = value

        def result(self) -> Any:
            return self._value

    def submit_parts(self: Any, paths: list[Path], parcel: Path, source: str, time_zone: str) -> Any:
        return Done(reader_pool.read_parcel(paths, parcel, time_zone))

    def submit_on(self: Any, path: Path, parcel: Path, before: Path, source: str, time_zone: str) -> Any:
        made = reader_pool.read_tail(path, parcel, before, time_zone)
        if made is not None:
            seen.append(source)
        return Done(made)

    monkeypatch.setattr(reader_pool.ReaderPool, "submit_parts", submit_parts)
    monkeypatch.setattr(reader_pool.ReaderPool, "submit_on", submit_on)
    return seen


def after(data: bytes, share: float) -> int:
    """Length of the whole lines in this share of a file."""
    return data.rfind(b"\n", 0, int(len(data) * share)) + 1


def stored(store: Store) -> dict[str, Any]:
    test = TestResult.objects.get()
    facts = {name: value for name, value in test.to_mongo().items() if name not in _OF_THE_IMPORT | _REFERENCES}
    return {
        **facts,
        "frame": frames.load_frame(store, test.id, form="polars").to_dict(as_series=False),
        "cycles": frames.cycle_table(store, test).to_dict(as_series=False),
        "overview": frames.load_overview(store, test.id).to_dict(as_series=False),
        "digests": [segment.digest for segment in test.segments],
        "bytes": b"".join(store.archive.stream(RawDataFile.objects.get())),
    }


def assert_equal(grown: dict[str, Any], at_once: dict[str, Any]) -> None:
    for name in at_once:
        assert grown.get(name) == at_once[name], name


@pytest.mark.parametrize(
    ("shares", "whole_reads"),
    [
        ((0.5, 1.0), 1),
        ((0.9, 0.91, 0.95, 0.999, 1.0), 1),
        ((0.3, 0.302, 0.7), 2),  # what was said of the first days' dates, that they read both ways, ends with the 13th
    ],
)
def test_a_file_that_grew_gives_the_same_test_as_the_whole_at_once(
    store: Store,
    lab: Path,
    importing: Importing,
    whole: bytes,
    shares: tuple[float, ...],
    whole_reads: int,
    read_on: list[str],
) -> None:
    path = lab / "AB12.csv"
    for share in shares:
        path.write_bytes(whole[: after(whole, share)])
        outcome = importing()["AB12.csv"]
        assert outcome.outcome in ("created", "updated")
    assert len(read_on) == len(shares) - whole_reads
    grown = stored(store)
    assert TestResult.objects.get().revision == len(shares)
    assert [version.extent.length for version in RawDataFile.objects.get().versions][1:] == [
        after(whole, later) - after(whole, earlier) for earlier, later in pairwise(shares)
    ]
    TestResult.drop_collection()
    RawDataFile.drop_collection()
    importing()
    assert_equal(grown, stored(store))


def test_a_file_that_goes_on_from_another_still_does_when_it_has_grown(
    store: Store, lab: Path, importing: Importing, whole: bytes, read_on: list[str]
) -> None:
    for name in ("AB12_Wb_2.csv", "CD34_Wb_1.csv"):
        (lab / name).write_bytes(whole[: after(whole, 0.9)] + (b"" if name < "B" else b"\n"))
    importing()
    assert dict(TestResult.objects.scalar("sample_name", "continuation")) == {"AB12": True, "CD34": False}
    (lab / "AB12_Wb_2.csv").write_bytes(whole)
    (lab / "CD34_Wb_1.csv").write_bytes(whole[: after(whole, 0.9)] + b"\n" + whole[after(whole, 0.9) :])
    importing()
    assert dict(TestResult.objects.scalar("sample_name", "continuation")) == {"AB12": True, "CD34": False}
    assert "AB12_Wb_2.csv" in [Path(each).name for each in read_on]


def test_only_new_segments_and_the_last_one_are_written(
    store: Store, lab: Path, importing: Importing, whole: bytes, read_on: list[str]
) -> None:
    path = lab / "AB12.csv"
    path.write_bytes(whole[: after(whole, 0.98)])
    importing()
    before = {segment.id for segment in TestResult.objects.get().segments}
    count = store.database["frame_segments"].count_documents({})
    path.write_bytes(whole)
    importing()
    assert read_on
    segments = TestResult.objects.get().segments
    assert {segment.id for segment in segments[:-2]} <= before
    assert store.database["frame_segments"].count_documents({}) <= count + 2


def _changed_in_the_middle(data: bytes) -> bytes:
    place = after(data, 0.5)
    return data[:place] + data[place:].replace(b",1,", b",2,", 1)


def _other_header(data: bytes) -> bytes:
    return data.replace(b"Current(A)", b"Current(mA)", 1)


@pytest.mark.parametrize("change", [_changed_in_the_middle, _other_header])
def test_a_file_that_changed_before_its_end_is_read_whole(
    store: Store, lab: Path, importing: Importing, whole: bytes, change: Callable[[bytes], bytes], read_on: list[str]
) -> None:
    path = lab / "AB12.csv"
    path.write_bytes(whole[: after(whole, 0.9)])
    importing()
    path.write_bytes(change(whole))
    assert importing()["AB12.csv"].outcome == "updated"
    assert not read_on
    assert b"".join(store.archive.stream(RawDataFile.objects.get())) == change(whole)


def test_a_line_under_way_is_completed(
    store: Store, lab: Path, importing: Importing, whole: bytes, read_on: list[str]
) -> None:
    path = lab / "AB12.csv"
    for end in (after(whole, 0.8), after(whole, 0.85) - 7, len(whole)):
        path.write_bytes(whole[:end])
        importing()
    grown = stored(store)
    TestResult.drop_collection()
    RawDataFile.drop_collection()
    importing()
    assert_equal({**grown, "warnings": []}, stored(store))
    assert grown.get("warnings", []) == []


@pytest.mark.parametrize("cut", [3, 40])
def test_a_first_import_in_the_middle_of_a_line_is_read_on_from(
    store: Store, lab: Path, importing: Importing, whole: bytes, read_on: list[str], cut: int
) -> None:
    path = lab / "AB12.csv"
    for end in (after(whole, 0.9) - cut, len(whole)):
        path.write_bytes(whole[:end])
        importing()
    assert len(read_on) == 1
    grown = stored(store)
    TestResult.drop_collection()
    RawDataFile.drop_collection()
    importing()
    assert_equal(grown, stored(store))


def test_damage_in_what_was_appended_is_told_with_the_line_of_the_file(
    lab: Path, importing: Importing, whole: bytes, read_on: list[str]
) -> None:
    path = lab / "AB12.csv"
    path.write_bytes(whole[: after(whole, 0.9)])
    importing()
    path.write_bytes(whole[: after(whole, 0.95)] + b"1,2,3\n" + whole[after(whole, 0.95) :])
    line = whole[: after(whole, 0.95)].count(b"\n") + 1
    [warning] = importing()["AB12.csv"].warnings
    assert warning.startswith(f"line {line} has 3 fields")
    assert not read_on


def test_another_sample_by_the_rules_is_another_test(lab: Path, importing: Importing, whole: bytes) -> None:
    path = lab / "AB12.csv"
    path.write_bytes(whole[: after(whole, 0.9)])
    importing()
    path.write_bytes(whole)
    importing(sample="CD34")
    assert sorted(TestResult.objects.scalar("sample_name")) == ["AB12", "CD34"]


def test_another_import_in_between_is_no_harm(
    store: Store,
    settings: Settings,
    lab: Path,
    importing: Importing,
    whole: bytes,
    read_on: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = lab / "AB12.csv"
    path.write_bytes(whole[: after(whole, 0.9)])
    importing()
    path.write_bytes(whole)
    save, done = growth.save_before, []

    def save_while_another_imports(*args: Any) -> None:
        save(*args)
        if not done:
            done.append(True)
            other: list[Outcome] = list(runs.begin(store, settings, runs.ImportRequest(root=str(lab))))
            assert other[0].outcome == "updated"

    monkeypatch.setattr(growth, "save_before", save_while_another_imports)
    outcome = importing()["AB12.csv"]
    assert outcome.outcome == "unchanged"
    assert (TestResult.objects.get().revision, TestResult.objects.get().record_count) == (2, outcome.records)
    assert len(RawDataFile.objects.get().versions) == 2


def test_through_the_reading_processes_as_well(store: Store, lab: Path, importing: Importing, whole: bytes) -> None:
    header, _, rows = whole.partition(b"\n")
    path = lab / "AB12.csv"
    path.write_bytes(whole)
    first = importing()["AB12.csv"]
    path.write_bytes(whole + rows.splitlines(keepends=True)[-1].replace(rows.splitlines()[-1][:5], b"99999", 1))
    second = importing()["AB12.csv"]
    assert (second.outcome, second.records) == ("updated", (first.records or 0) + 1)
    assert header
