"""Verification finds what differs between a tree, the archive and the store, and sweeps only what nothing names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from battery_analysis.ingest import run as runs
from battery_analysis.ingest.discover import Selection
from battery_analysis.ingest.verify import compare_tree, damaged
from battery_analysis.models import RawDataFile, RawVersion, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, frames, garbage, removal
from battery_analysis.store.retention import superfluous
from tests.builders import arbin_csv
from tests.ingest.conftest import Importing

NOW = timedelta(0)


def states(store: Store, lab: Path, **selection: object) -> dict[str, str]:
    compared = compare_tree(store, lab, Selection(**selection))  # type: ignore[arg-type]
    return {Path(each.path).name: each.state for each in compared}


def test_a_tree_is_compared_with_the_archive_file_by_file(store: Store, lab: Path, importing: Importing) -> None:
    for name, cycles in (("same", 1), ("changed", 2), ("grown", 3), ("gone", 4)):
        (lab / f"{name}.csv").write_text(arbin_csv(cycles))
        importing()
    (lab / "grown.csv").write_text(arbin_csv(6))
    importing()
    (lab / "grown.csv").write_text(arbin_csv(3))
    (lab / "changed.csv").write_text(arbin_csv(7))
    (lab / "unknown.csv").write_text(arbin_csv(8))
    (lab / "notes.md").write_text("nothing to import")
    (lab / "gone.csv").unlink()
    assert states(store, lab) == {
        "same.csv": "same",
        "changed.csv": "changed",
        "grown.csv": "older",
        "gone.csv": "missing",
        "unknown.csv": "unknown",
        "notes.md": "unsupported",
    }
    assert states(store, lab, include=["s*.csv", "gone.csv"]) == {"same.csv": "same", "gone.csv": "missing"}
    (lab / "same.csv").rename(lab / "moved.csv")
    assert states(store, lab, include=["same.csv", "moved.csv"]) == {"moved.csv": "same", "same.csv": "missing"}


def test_a_file_that_was_imported_without_its_bytes_is_not_the_same(
    store: Store, lab: Path, importing: Importing
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing(archive=False)
    [compared] = compare_tree(store, lab, Selection())
    assert (compared.state, compared.reason) == ("changed", "imported without keeping its bytes")


def test_bytes_that_changed_in_the_archive_are_found(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing()
    assert list(damaged(store)) == []
    chunk = store.database["raw.chunks"].find_one()
    assert chunk is not None
    store.database["raw.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": b"x" * len(chunk["data"])}})
    [line] = damaged(store)
    assert "AB12.csv: archived bytes have SHA-256" in line


def test_data_that_a_test_names_and_is_not_there_is_found(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing()
    test = TestResult.objects.get()
    assert list(garbage.missing(store)) == []
    frames.drop(store.database, frames.SEGMENTS, [test.segments[0].id])
    frames.drop(store.database, frames.OVERVIEWS, [test.overview])
    assert list(garbage.missing(store)) == [
        f"test {test.id} (AB12.csv): 1 of 1 segments are missing",
        f"test {test.id} (AB12.csv): its overview is missing",
    ]


def test_only_what_nothing_names_is_swept_and_only_once_it_is_old(
    store: Store, lab: Path, importing: Importing
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv(2))
    importing()
    (lab / "AB12.csv").write_text(arbin_csv(3))
    importing()
    test = TestResult.objects.get()
    before = frames.load_frame(store, test.id, form="polars")
    orphan = store.archive.put(lab / "AB12.csv")

    found = garbage.find(store, NOW)
    assert {name: len(ids) for name, ids in found.items()} == {
        "frame_segments": 1,
        "segment_sketches": 1,
        "cycle_blocks": 1,
        "overviews": 1,
        "dataset_blocks": 0,
        "raw.files": 1,
        "attached.files": 0,
    }
    assert found["raw.files"] == [orphan.file_id]
    assert sum(map(len, garbage.find(store).values())) == 0
    assert garbage.sweep(store, found) == 5
    assert sum(map(len, garbage.find(store, NOW).values())) == 0
    assert store.database["raw.chunks"].count_documents({"files_id": orphan.file_id}) == 0
    assert frames.load_frame(store, test.id, form="polars").equals(before)
    assert b"".join(store.archive.stream(RawDataFile.objects.get())) == (lab / "AB12.csv").read_bytes()
    assert list(garbage.missing(store)) == []


def test_nothing_is_left_of_a_deleted_test(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing()
    removal.delete_test(store, TestResult.objects.get().id)
    assert sum(map(len, garbage.find(store, NOW).values())) == 0


def version(number: int, day: int, grown_from: int | None = None) -> RawVersion:
    seen = datetime(2026, 1, day, 12, number % 60, tzinfo=UTC)
    return RawVersion(
        sha256=f"{number:064d}",
        size=number,
        seen_at=seen,
        grown_from=None if grown_from is None else f"{grown_from:064d}",
        extent={"file_id": "0" * 24, "length": 1, "sha256": "0" * 64},
    )


def gone(versions: list[RawVersion], policy: str) -> list[int]:
    return sorted(int(sha256) for sha256 in superfluous(versions, policy))  # type: ignore[arg-type]


def test_the_last_ten_versions_and_one_of_each_day_keep_their_bytes() -> None:
    versions = [version(number, day=1 + number // 4) for number in range(24)]
    assert gone(versions, "recent") == [n for n in range(14) if n % 4 != 3]
    assert gone(versions, "newest") == list(range(23))
    assert gone(versions, "all") == []


def test_what_a_kept_version_begins_with_is_kept() -> None:
    chain = [version(0, 1), *(version(number, 1, grown_from=number - 1) for number in range(1, 20))]
    assert gone(chain, "newest") == []
    replaced = [*chain, version(20, 1), version(21, 1, grown_from=20)]
    assert gone(replaced, "newest") == list(range(20))


def stamped_csv(first_voltage: float) -> str:
    """An export with a clock, so that it is known again although it does not begin as before."""
    header, first, *rows = arbin_csv().splitlines()
    lines = [first.rpartition(",")[0] + f",{first_voltage}", *rows]
    stamped = [f"{1_600_000_000.0 + float(line.split(',')[0])},{line}" for line in lines]
    return "\n".join([f"DateTime,{header}", *stamped]) + "\n"


@pytest.mark.parametrize(("policy", "kept"), [("newest", 1), ("recent", 3), ("all", 3)])
def test_an_import_gives_up_older_bytes_as_the_settings_say(
    store: Store, settings: Settings, lab: Path, policy: str, kept: int
) -> None:
    for first_voltage in (3.1, 3.2, 3.3):
        (lab / "AB12.csv").write_text(stamped_csv(first_voltage))
        list(runs.begin(store, replace(settings, keep_versions=policy), runs.ImportRequest(root=str(lab))))
    raw = RawDataFile.objects.get()
    assert (len(raw.versions), sum(bool(each.extent) for each in raw.versions)) == (3, kept)
    assert b"".join(store.archive.stream(raw)) == stamped_csv(3.3).encode()
    assert garbage.find(store, NOW)["raw.files"] == []
