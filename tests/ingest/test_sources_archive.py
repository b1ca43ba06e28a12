"""Files in archives become tests, whatever else is in the archive."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from battery_analysis.errors import IngestError, ReadError
from battery_analysis.ingest.discover import Selection
from battery_analysis.ingest.origin import candidates
from battery_analysis.ingest.source_archive import Limits, open_archive
from battery_analysis.ingest.sources import is_archive, search
from battery_analysis.ingest.verify import compare_tree
from battery_analysis.models import TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from examples.bulk import write_large_ndax
from tests.builders import arbin_csv
from tests.ingest.conftest import Importing
from tests.ingest.places import LONG_AGO, Taking, said, taking
from tests.realdata import real

FILES = {"AB12.csv": arbin_csv(2), "rates/CD34.csv": arbin_csv(3), "rates/deep/EF56.csv": arbin_csv(4)}


def make_zip(path: Path, files: dict[str, str] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            member = zipfile.ZipInfo(name, LONG_AGO.timetuple()[:6])
            archive.writestr(member, text, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path: Path, files: dict[str, str] = FILES) -> Path:
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, text in files.items():
            archive.addfile(member_of(name, len(text)), io.BytesIO(text.encode()))
    return path


def member_of(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname, member.mtime = size, kind, target, int(LONG_AGO.timestamp())
    return member


@pytest.fixture
def take(store: Store, settings: Settings) -> Taking:
    return taking(store, settings)


MAKERS: dict[str, Callable[[Path], Path]] = {
    "lab.zip": make_zip,
    **dict.fromkeys(("lab.tar", "lab.tar.gz", "lab.tgz", "lab.tar.bz2", "lab.tar.xz"), make_tar),
}


def listed(path: Path, tmp_path: Path, limits: Limits | None = None, **selection: object) -> dict[str, str | None]:
    """What would be taken of an archive, with what is wrong with each file."""
    found = candidates(open_archive(path, tmp_path, limits=limits), Selection(**selection))  # type: ignore[arg-type]
    return {str(each.relative): each.problem or (each.origin and each.origin.damage) for each in found}


@pytest.mark.parametrize("name", ["lab.zip", "lab.tar.gz"])
def test_files_of_an_archive_become_tests_and_are_known_when_they_come_again(
    take: Taking, lab: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MAKERS[name](lab / name)
    first = take(archive)
    assert said(first) == dict.fromkeys(FILES, "created")
    assert first["rates/CD34.csv"].path == f"{archive}!/rates/CD34.csv"
    assert {each.modified_at for each in first.values()} == {LONG_AGO}
    monkeypatch.setattr("battery_analysis.ingest.origin.Origin.bring", None)  # nothing is unpacked again
    again = take(archive)
    assert said(again) == dict.fromkeys(FILES, "unchanged")
    assert {each.test_id for each in again.values()} == {each.test_id for each in first.values()}


@pytest.mark.parametrize("name", MAKERS)
def test_every_kind_of_archive_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    archive = MAKERS[name](tmp_path / name)
    found = list(search(archive, Selection(), data_dir=tmp_path / "data"))
    for each in found:
        target = tmp_path / each.filename
        assert each.origin is not None
        each.origin.bring(target)
        assert target.read_text() == FILES[str(each.relative)]
    assert [str(each.relative) for each in found] == list(FILES)


def test_an_archive_leaves_nothing_in_the_spool(take: Taking, settings: Settings, lab: Path) -> None:
    take(make_tar(lab / "lab.tar.gz"))
    assert list((settings.data_dir / "spool").iterdir()) == []


def test_a_member_that_changed_is_a_new_version_of_its_test(take: Taking, lab: Path) -> None:
    take(make_zip(lab / "lab.zip"))
    grown = make_zip(lab / "lab.zip", {**FILES, "AB12.csv": arbin_csv(5)})
    assert said(take(grown)) == {**dict.fromkeys(FILES, "unchanged"), "AB12.csv": "updated"}
    assert TestResult.objects.count() == 3


def test_samples_come_from_names_of_files_and_folders_and_last_of_the_archive(take: Taking, lab: Path) -> None:
    archive = make_zip(lab / "GH78_march.zip", {"one.csv": arbin_csv(2), "IJ90/two.csv": arbin_csv(3)})
    decided = {name: each.sample for name, each in take(archive).items()}
    assert decided == {"one.csv": "GH78", "IJ90/two.csv": "IJ90"}
    plain = make_zip(lab / "march.zip", {"three.csv": arbin_csv(4)})
    assert take(plain)["three.csv"].sample == "march"


def test_globs_and_depth_count_from_the_archive(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "lab.tar")
    assert list(listed(archive, tmp_path, depth=1)) == ["AB12.csv", "rates/CD34.csv"]
    assert list(listed(archive, tmp_path, exclude=["*/rates/*"])) == ["AB12.csv"]
    assert list(listed(archive, tmp_path, include=["*EF*"])) == ["rates/deep/EF56.csv"]


UNSAFE = ("../AB12.csv", "/etc/AB12.csv", "cells/../../AB12.csv", "C:\\AB12.csv", "..\\AB12.csv", "x" * 300 + ".csv")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_members_with_unsafe_names_are_refused_by_name_and_the_others_taken(
    take: Taking, lab: Path, make: Callable[[Path, dict[str, str]], Path]
) -> None:
    files = {**dict.fromkeys(UNSAFE, arbin_csv(7)), "AB12.csv": arbin_csv(2)}
    archive = make(lab / ("lab.zip" if make is make_zip else "lab.tar"), files)
    outcomes = take(archive)
    good = {name: each for name, each in outcomes.items() if each.outcome == "created"}
    assert list(good) == ["AB12.csv"]
    assert sorted(each.path.partition("!/")[2] for each in outcomes.values() if each.outcome == "failed") == sorted(
        UNSAFE
    )
    reasons = {(each.reason or "").partition(":")[0] for each in outcomes.values() if each.outcome == "failed"}
    assert reasons == {"an unsafe name", "a name of 304 bytes; a file's may have 255"}
    assert sorted(path.name for path in lab.parent.iterdir()) == ["data", "lab"]


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "lab.zip"
    make_zip(archive, {"AB12.csvX.exe": "a", "CD34.csv": "b"})
    archive.write_bytes(archive.read_bytes().replace(b"AB12.csvX", b"AB12.csv\0"))
    assert sorted(map(str, listed(archive, tmp_path).values())) == ["None", "an unsafe name: it holds a NUL character"]


def test_links_and_devices_are_passed_over_by_name(take: Taking, lab: Path) -> None:
    with tarfile.open(lab / "lab.tar", "w") as archive:
        text = arbin_csv()
        archive.addfile(member_of("AB12.csv", len(text)), io.BytesIO(text.encode()))
        archive.addfile(member_of("link.csv", kind=tarfile.SYMTYPE, target="/etc/passwd"))
        archive.addfile(member_of("hard.csv", kind=tarfile.LNKTYPE, target="AB12.csv"))
        archive.addfile(member_of("pipe.csv", kind=tarfile.FIFOTYPE))
        archive.addfile(member_of("disk.csv", kind=tarfile.BLKTYPE))
    outcomes = take(lab / "lab.tar")
    assert outcomes.pop("AB12.csv").outcome == "created"
    link, file = "a link; links are not followed", "not a regular file"
    assert {name: (each.outcome, each.reason) for name, each in outcomes.items()} == {
        "link.csv": ("skipped", link),
        "hard.csv": ("skipped", link),
        "pipe.csv": ("skipped", file),
        "disk.csv": ("skipped", file),
    }


def test_a_link_in_a_zip_is_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lab.zip", "w") as archive:
        member = zipfile.ZipInfo("link.csv")
        member.create_system, member.external_attr = 3, 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    assert listed(tmp_path / "lab.zip", tmp_path) == {"link.csv": "a link; links are not followed"}


def test_an_encrypted_member_is_refused_by_name(take: Taking, lab: Path) -> None:
    archive = make_zip(lab / "lab.zip", {"AB12.csv": arbin_csv(), "secret.csv": arbin_csv(4)})
    data = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature, data.index(signature) + 4)  # the second member's
        data[at + flags] |= 1
    archive.write_bytes(data)
    outcomes = take(archive)
    assert said(outcomes) == {"AB12.csv": "created", "secret.csv": "failed"}
    assert "encrypted" in (outcomes["secret.csv"].reason or "")


def test_a_member_that_blows_up_is_refused_and_the_others_taken(take: Taking, lab: Path) -> None:
    with zipfile.ZipFile(lab / "lab.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", bytes(70 << 20))
        archive.writestr("AB12.csv", arbin_csv())
    outcomes = take(lab / "lab.zip")
    assert said(outcomes) == {"AB12.csv": "created", "bomb.csv": "failed"}
    assert "beyond the limit of 200:1" in (outcomes["bomb.csv"].reason or "")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_limits_of_size_sum_and_number_name_what_they_refuse(
    tmp_path: Path, make: Callable[[Path, dict[str, str]], Path]
) -> None:
    archive = make(tmp_path / ("lab.zip" if make is make_zip else "lab.tar"), {"a.csv": "x" * 600, "b.csv": "y" * 700})
    name = archive.name
    assert listed(archive, tmp_path, Limits(member_bytes=650)) == {
        "a.csv": None,
        "b.csv": "700 bytes, beyond the limit of 650 for one file",
    }
    assert listed(archive, tmp_path, Limits(total_bytes=1000)) == {
        "a.csv": None,
        "b.csv": "with it the archive expands to more than 1000 bytes, its limit",
    }
    few = listed(archive, tmp_path, Limits(members=1))
    assert few.pop("a.csv") is None
    assert "more than 1 member" in (few.pop(name) or "")
    assert few == {}


def test_a_compressed_tar_that_blows_up_is_not_unpacked_to_its_end(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "lab.tar.gz", "w:gz") as archive:
        archive.addfile(member_of("AB12.csv", 100), io.BytesIO(bytes(100)))
        archive.addfile(member_of("bomb.csv", 50 << 20), io.BytesIO(bytes(50 << 20)))
        archive.addfile(member_of("CD34.csv", 100), io.BytesIO(bytes(100)))
    found = listed(tmp_path / "lab.tar.gz", tmp_path, Limits(small_bytes=1 << 20, ratio=2))
    assert found["AB12.csv"] is None
    assert "expands to more than 1048576 bytes" in (found["lab.tar.gz"] or "")
    assert "CD34.csv" not in found


def test_of_a_tar_cut_off_what_is_whole_is_imported_and_one_line_speaks_of_the_rest(take: Taking, lab: Path) -> None:
    whole = gzip.decompress(make_tar(lab / "lab.tar.gz").read_bytes())
    begin = whole.index(b"rates/deep/EF56.csv")
    (lab / "cut.tar").write_bytes(whole[: begin + 600])
    outcomes = take(lab / "cut.tar")
    assert said(outcomes) == {"AB12.csv": "created", "rates/CD34.csv": "created", "cut.tar": "failed"}
    assert "ends within rates/deep/EF56.csv" in (outcomes["cut.tar"].reason or "")


@pytest.mark.parametrize(
    ("mark", "whole"),
    [(b"PK\x05\x06", 3), (b"PK\x01\x02", 3), (b"rates/deep/EF56.csv", 2)],
    ids=["end", "directory", "member"],
)
def test_of_a_zip_cut_off_what_is_whole_is_imported_and_one_line_speaks_of_the_rest(
    take: Taking, lab: Path, mark: bytes, whole: int
) -> None:
    data = make_zip(lab / "lab.zip").read_bytes()
    (lab / "cut.zip").write_bytes(data[: data.index(mark) + 50][: len(data) - 1])
    outcomes = take(lab / "cut.zip")
    assert said(outcomes) == {**dict.fromkeys(list(FILES)[:whole], "created"), "cut.zip": "failed"}
    assert f"of the archive {whole} members could be seen" in (outcomes["cut.zip"].reason or "")


@pytest.mark.parametrize("at", [0, 200], ids=["header", "end mark"])
def test_of_a_tar_damaged_in_the_middle_what_comes_before_is_taken(tmp_path: Path, at: int) -> None:
    data = bytearray(make_tar(tmp_path / "lab.tar").read_bytes())
    begin = data.index(b"rates/CD34.csv")
    data = bytearray(data[:begin]) if at else data
    if not at:
        data[begin : begin + 30] = os.urandom(30)
    (tmp_path / "lab.tar").write_bytes(data)
    found = listed(tmp_path / "lab.tar", tmp_path)
    assert list(found) == ["AB12.csv", "lab.tar"]
    assert found["AB12.csv"] is None
    assert "1 member could be seen" in (found["lab.tar"] or "")


def test_a_compressed_tar_that_is_damaged_says_so(take: Taking, lab: Path) -> None:
    archive = make_tar(lab / "lab.tar.gz", {"AB12.csv": arbin_csv(), "noise.bin": os.urandom(150_000).hex()})
    archive.write_bytes(archive.read_bytes()[:100_000])
    outcomes = take(archive)
    assert said(outcomes) == {"AB12.csv": "created", "lab.tar.gz": "failed"}
    assert "damaged" in (outcomes["lab.tar.gz"].reason or "")


def test_a_damaged_member_of_a_zip_fails_alone(take: Taking, lab: Path) -> None:
    archive = make_zip(lab / "lab.zip")
    data = bytearray(archive.read_bytes())
    at = data.index(b"rates/CD34.csv") + 60
    data[at : at + 40] = bytes(40)
    archive.write_bytes(data)
    outcomes = take(archive)
    assert said(outcomes) == {**dict.fromkeys(FILES, "created"), "rates/CD34.csv": "failed"}
    assert "cannot be unpacked" in (outcomes["rates/CD34.csv"].reason or "")


@pytest.mark.parametrize("name", ["lab.zip", "lab.tar", "lab.tar.gz"])
def test_what_is_no_archive_at_all_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04" if name == "lab.zip" else b"no archive" * 100)
    with pytest.raises(IngestError, match=f"{name}: no (zip|tar) archive"):
        open_archive(tmp_path / name, tmp_path)


def test_of_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "lab.tar", "w") as archive:
        for text in (b"older", b"newest"):
            archive.addfile(member_of("./AB12.csv", len(text)), io.BytesIO(text))
    (found,) = search(tmp_path / "lab.tar", Selection(), data_dir=tmp_path)
    assert found.origin is not None
    found.origin.bring(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"newest"


def test_of_a_zip_that_holds_a_name_twice_a_line_says_which_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lab.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("AB12.csv", "older")
        archive.writestr("AB12.csv", "newest")
    found, line = search(tmp_path / "lab.zip", Selection(), data_dir=tmp_path)
    assert line.problem == "several members of the name AB12.csv; the last of each is taken"
    assert found.origin is not None
    found.origin.bring(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "newest"


def test_times_in_a_zip_are_of_its_zone_unless_a_member_says_more(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lab.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("plain.csv", (2026, 7, 1, 12, 0, 0)), "a")
        member = zipfile.ZipInfo("exact.csv", (2026, 7, 1, 12, 0, 0))
        member.extra = struct.pack("<HHBi", 0x5455, 5, 1, int(LONG_AGO.timestamp()))
        archive.writestr(member, "b")
    source = open_archive(tmp_path / "lab.zip", tmp_path, "Europe/Berlin")
    moments = {each.name: each.modified_at for each in source.listing(Selection())}
    assert moments == {"plain.csv": datetime(2026, 7, 1, 10, tzinfo=UTC), "exact.csv": LONG_AGO}


def test_an_archive_in_a_folder_is_skipped_with_what_to_type(lab: Path, importing: Importing) -> None:
    make_zip(lab / "cells.zip")
    make_tar(lab / "cells.tar.gz")
    outcomes = importing()
    assert said(outcomes) == {"cells.zip": "skipped", "cells.tar.gz": "skipped"}
    assert f"name it: import {lab}/cells.zip" in (outcomes["cells.zip"].reason or "")


def test_an_archive_in_an_archive_is_skipped(take: Taking, lab: Path) -> None:
    make_zip(lab / "inner.zip")
    with zipfile.ZipFile(lab / "lab.zip", "w") as archive:
        archive.write(lab / "inner.zip", "inner.zip")
    outcome = take(lab / "lab.zip")["inner.zip"]
    assert (outcome.outcome, outcome.reason) == (
        "skipped",
        "an archive; to import the files in it, copy it here and name it",
    )


def test_files_in_a_zip_archive_need_not_be_compressed(take: Taking, lab: Path) -> None:
    with zipfile.ZipFile(lab / "lab.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("rate/AB12.csv", arbin_csv())
    assert [each.outcome for each in take(lab / "lab.zip").values()] == ["created"]


def test_a_format_that_is_a_zip_archive_may_lie_uncompressed_in_one(lab: Path) -> None:
    write_large_ndax(lab / "AB12.ndax", 100)
    with zipfile.ZipFile(lab / "lab.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.write(lab / "AB12.ndax", "AB12.ndax")
    assert is_archive(lab / "lab.zip")


@pytest.mark.parametrize(
    "name", ["neware/interp-test.ndax", "arbin/bs542_004_gr_li_50ua_50mv_1v_191020_Channel_11.xlsx"]
)
def test_a_format_that_is_a_zip_archive_is_a_file_whatever_its_name(tmp_path: Path, name: str) -> None:
    disguised = tmp_path / "cell.zip"
    shutil.copy(real(name), disguised)
    assert not is_archive(disguised)
    assert is_archive(make_zip(tmp_path / "lab.zip"))


def test_files_in_archives_are_not_missed_in_the_folder(store: Store, take: Taking, lab: Path) -> None:
    take(make_zip(lab / "lab.zip"))
    assert [each.state for each in compare_tree(store, lab, Selection())] == ["unsupported"]


def test_an_archive_that_goes_while_it_is_read_is_this_file_s_fault(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "lab.tar")
    first = next(iter(search(archive, Selection(), data_dir=tmp_path)))
    os.truncate(archive, 600)
    assert first.origin is not None
    with pytest.raises(ReadError, match="changed meanwhile"):
        first.origin.bring(tmp_path / "out")
