"""Uploads: in pieces, under safe names, within the room there is, and gone once they have served."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from battery_analysis.errors import ConflictError, IngestError, NotFoundError
from battery_analysis.ingest import uploads
from battery_analysis.ingest.uploads import Announced, Batch, Uploads
from battery_analysis.models import ImportedFile, ImportJob, now
from battery_analysis.store import Store


@pytest.fixture
def spool(tmp_path: Path) -> Uploads:
    """The uploads of an empty data folder."""
    return Uploads(tmp_path)


def received(spool: Uploads, **files: bytes) -> Batch:
    """Upload files whole."""
    batch = spool.begin([Announced(f"{name}.csv", len(content)) for name, content in files.items()])
    for number, each in enumerate(batch.files):
        with spool.writing(batch.id, number, 0) as piece:
            piece.write(files[each.path.removesuffix(".csv")])
    return batch


def age(path: Path, seconds: float) -> None:
    """Make a file or folder, with all in it, older."""
    for each in (*path.rglob("*"), path):
        os.utime(each, (time.time() - seconds,) * 2)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/abs",
        "a/../b",
        "..",
        "a//b",
        "./a",
        "a\\b",
        "a\nb",
        "nul\0",
        "half \ud83d sign",
        "x" * 256,
        "/".join("a" * 21),
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(spool: Uploads, path: str) -> None:
    with pytest.raises(IngestError, match="the name"):
        spool.begin([Announced(path, 1)])
    assert not spool.folder.exists()


def test_strange_but_harmless_names_are_kept(spool: Uploads) -> None:
    names = ["-rf --help.csv", "<script>.csv", "測試 µAh.csv", "a/b [1]*?.csv"]
    batch = spool.begin([Announced(name, 0) for name in names])
    assert spool.take_in(batch.id).paths == tuple(sorted(names))
    assert sorted(str(path.relative_to(spool.files)) for path in spool.files.rglob("*.csv")) == sorted(names)


def test_too_many_too_large_and_doubled_files_are_refused(spool: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IngestError, match="500 files at once"):
        spool.begin([Announced(str(number), 1) for number in range(501)])
    with pytest.raises(IngestError, match="named twice"):
        spool.begin([Announced("A.csv", 1), Announced("a.csv", 1)])
    with pytest.raises(IngestError, match="the most for one file"):
        spool.begin([Announced("a", uploads.MAX_BYTES + 1)])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, uploads.SPARE_BYTES + 9))
    with pytest.raises(IngestError, match="10 bytes are to come"):
        spool.begin([Announced("a", 10)])


def test_pieces_follow_one_another_and_one_writer_writes(spool: Uploads) -> None:
    batch = spool.begin([Announced("a.csv", 10)])
    with spool.writing(batch.id, 0, 0) as piece:
        piece.write(b"01234")
        with pytest.raises(ConflictError, match="another window"), spool.writing(batch.id, 0, 0):
            pass
    with pytest.raises(ConflictError, match="5 bytes are here"), spool.writing(batch.id, 0, 4):
        pass
    with spool.writing(batch.id, 0, 5) as piece, pytest.raises(IngestError, match="more arrive"):
        piece.write(b"567890")
    with pytest.raises(IngestError, match="5 of 10 bytes"):
        spool.take_in(batch.id)
    with pytest.raises(NotFoundError), spool.writing(batch.id, 1, 0):
        pass
    with pytest.raises(NotFoundError):
        spool.batch("../../etc")


def test_archives_with_files_in_them_are_told_from_other_files(spool: Uploads, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lab.zip", "w") as archive:
        archive.writestr("one.csv", "1")
    content = (tmp_path / "lab.zip").read_bytes()
    batch = spool.begin([Announced("lab.zip", len(content)), Announced("one.csv", 1)])
    for number, bytes_ in enumerate((content, b"1")):
        with spool.writing(batch.id, number, 0) as piece:
            piece.write(bytes_)
    taken = spool.take_in(batch.id)
    assert (taken.archives, taken.plain) == (("lab.zip",), ("one.csv",))


def test_what_was_imported_goes_at_once_and_everything_else_after_a_day(store: Store, spool: Uploads) -> None:
    spool.take_in(received(spool, good=b"1", bad=b"2").id)
    waiting = received(spool, later=b"3")
    job = ImportJob(root=str(spool.files), state="completed").save()
    moment = now() + timedelta(seconds=1)
    for name, outcome in (("good", "created"), ("bad", "failed")):
        ImportedFile(job=job.id, path=str(spool.files / f"{name}.csv"), outcome=outcome, updated_at=moment).save()
    spool.tidy()
    assert [path.name for path in spool.files.iterdir()] == ["bad.csv"]
    assert spool.under_way() == [waiting]
    age(spool.folder, uploads.KEPT_SECONDS + 60)
    spool.tidy()
    assert list(spool.files.iterdir()) == []
    assert spool.under_way() == []


def test_a_file_that_waited_is_not_taken_for_its_namesake_that_was_imported_meanwhile(
    store: Store, spool: Uploads
) -> None:
    waiting = received(spool, a=b"2")
    age(waiting.folder, 60)
    job = ImportJob(root=str(spool.files), state="completed").save()
    moment = now() - timedelta(seconds=5)
    ImportedFile(job=job.id, path=str(spool.files / "a.csv"), outcome="created", updated_at=moment).save()
    spool.take_in(waiting.id)
    spool.tidy()
    assert (spool.files / "a.csv").read_bytes() == b"2"


def test_a_file_whose_import_has_only_begun_to_start_is_not_replaced(store: Store, spool: Uploads) -> None:
    spool.take_in(received(spool, a=b"1").id)
    other, again = received(spool, b=b"2"), received(spool, a=b"2")
    with pytest.raises(IngestError, match="a file of this name is being imported"):
        spool.take_in(again.id, is_starting=True)
    assert (spool.files / "a.csv").read_bytes() == b"1"
    assert spool.under_way() == [again, other]
    assert spool.take_in(other.id, is_starting=True).paths == ("b.csv",)


def test_files_of_an_import_under_way_stay_and_are_not_replaced(store: Store, spool: Uploads) -> None:
    spool.take_in(received(spool, a=b"1").id)
    job = ImportJob(root=str(spool.files), state="running", host="elsewhere", heartbeat_at=now()).save()
    age(spool.files, uploads.KEPT_SECONDS + 60)
    spool.tidy()
    assert (spool.files / "a.csv").exists()
    again = received(spool, a=b"2")
    with pytest.raises(IngestError, match="a file of this name is being imported"):
        spool.take_in(again.id)
    job.modify(state="completed")
    assert spool.take_in(again.id).paths == ("a.csv",)
    assert (spool.files / "a.csv").read_bytes() == b"2"
