"""Copies are what was hashed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from battery_analysis.errors import IngestError, ReadError
from battery_analysis.ingest.spool import open_spool


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@given(data=st.binary(max_size=300), cuts=st.sets(st.integers(0, 400)))
def test_digests_of_beginnings_are_those_of_the_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    source = folder / "a.csv"
    source.write_bytes(data)
    with open_spool(folder) as spool, spool.copy(source) as spooled:
        assert spooled.path.read_bytes() == data
        assert (spooled.sha256, spooled.size) == (sha256(data), len(data))
        assert spooled.prefix_digests(cuts) == {cut: sha256(data[:cut]) for cut in cuts if cut <= len(data)}


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("x")
    with open_spool(tmp_path) as spool, spool.copy(source) as spooled:
        spooled.parcel.write_text("encoded")
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_source_that_is_gone_is_that_files_fault(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool, pytest.raises(ReadError, match=r"gone\.csv: No such file"):  # noqa: SIM117
        with spool.copy(tmp_path / "gone.csv"):
            pass


def test_a_spool_that_cannot_be_written_ends_the_import(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(IngestError, match="cannot keep a copy"), open_spool(tmp_path):
        pass


def test_companions_are_copied_beside_under_their_names(tmp_path: Path) -> None:
    for name in ("run.mpr", "run.mpl"):
        (tmp_path / name).write_text(name)
    with open_spool(tmp_path) as spool:
        with spool.copy(tmp_path / "run.mpr", [tmp_path / "run.mpl", tmp_path / "gone.mpl"]) as spooled:
            [companion] = spooled.companions
            assert companion.path == spooled.path.with_suffix(".mpl")
            assert companion.path.read_text() == "run.mpl"
            assert companion.sha256 == sha256(b"run.mpl")
            assert sorted(path.name for path in spooled.path.parent.iterdir()) == ["run.mpl", "run.mpr"]
        assert not companion.path.exists()
