"""Bytes come back as they were put away, in every version, and are kept once."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from battery_analysis.errors import ArchiveError, NotFoundError
from battery_analysis.models import RawDataFile, now
from battery_analysis.store import Store, raw_archive, raw_files
from battery_analysis.store.raw_files import Arrival, Labels, look_up


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def kept(store: Store, folder: Path, content: bytes, source: str = "/lab/AB12.csv") -> RawDataFile:
    """Keep ``content`` as the present bytes of the file at ``source``."""
    path = folder / "spooled"
    path.write_bytes(content)
    past = look_up(sha256(content), source)
    prefixes = {length: sha256(content[:length]) for length in past.lengths if length <= len(content)}
    arrival = Arrival(source, Path(source).name, path, sha256(content), len(content), now(), prefixes)
    if past.owner:
        raw_files.note_source(past.owner, arrival)
        held = past.owner
    elif past.seen_here:
        held = raw_files.append(store, past.seen_here[0], arrival, archive=True)
    else:
        held = raw_files.create(store, arrival, Labels(), archive=True)
    return RawDataFile.objects.get(id=held.id)


def bytes_of(store: Store, raw: RawDataFile, digest: str | None = None) -> bytes:
    out = io.BytesIO()
    store.archive.copy(raw, out, digest)
    return out.getvalue()


def stored_bytes(store: Store) -> int:
    return sum(file["length"] for file in store.database["raw.files"].find())


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(whole=st.binary(min_size=1, max_size=200), cuts=st.sets(st.integers(1, 200), min_size=1, max_size=6))
def test_a_file_that_grows_takes_no_more_room_than_its_bytes(
    store: Store, tmp_path: Path, whole: bytes, cuts: set[int]
) -> None:
    store.database.client.drop_database(store.database.name)
    RawDataFile.ensure_indexes()
    versions = [whole[:cut] for cut in sorted({min(cut, len(whole)) for cut in cuts})]
    for content in versions:
        raw = kept(store, tmp_path, content)
    assert RawDataFile.objects.count() == 1
    assert stored_bytes(store) == len(versions[-1])
    assert [bytes_of(store, raw, sha256(content)) for content in versions] == versions


def test_a_file_that_changed_in_the_middle_keeps_both_versions(store: Store, tmp_path: Path) -> None:
    first, second = b"a" * 50, b"a" * 20 + b"b" * 60
    kept(store, tmp_path, first)
    raw = kept(store, tmp_path, second)
    assert [version.sha256 for version in raw.versions] == [sha256(first), sha256(second)]
    assert bytes_of(store, raw, sha256(first)) == first
    assert bytes_of(store, raw) == second


def test_bytes_longer_than_a_chunk_are_streamed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_archive, "CHUNK_BYTES", 10)
    raw = kept(store, tmp_path, bytes(range(95)))
    chunks = list(store.archive.stream(raw))
    assert b"".join(chunks) == bytes(range(95))
    assert max(map(len, chunks)) <= 10


def test_the_same_bytes_under_two_paths_are_one_file(store: Store, tmp_path: Path) -> None:
    kept(store, tmp_path, b"x" * 30, "/lab/AB12.csv")
    raw = kept(store, tmp_path, b"x" * 30, "/copy/CD34.csv")
    raw.reload()
    assert [place.path for place in raw.sources] == ["/lab/AB12.csv", "/copy/CD34.csv"]
    assert stored_bytes(store) == 30


def test_missing_bytes_are_an_error(store: Store, tmp_path: Path) -> None:
    raw = kept(store, tmp_path, b"x" * 30)
    store.database["raw.chunks"].delete_many({})
    with pytest.raises(ArchiveError, match=r"AB12\.csv: archived bytes are missing or damaged"):
        bytes_of(store, raw)


def test_an_unknown_version_is_named(store: Store, tmp_path: Path) -> None:
    raw = kept(store, tmp_path, b"x" * 30)
    with pytest.raises(NotFoundError, match=r"AB12\.csv: no version with SHA-256 0{64}"):
        bytes_of(store, raw, "0" * 64)
