"""Raw files: found, shown, and their exact bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from battery_analysis.errors import NotFoundError
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.store import raw_search
from battery_analysis.store.access import by_id, visible
from dashboard import links
from dashboard.data import asked, store

RawFile = RawDataFile
FILTERS = ("name", "sha256", "test", "sample", "operator", "file_type", "job")


def query(chosen: Mapping[str, Any], sort: str | None = None) -> raw_search.RawQuery:
    """Return what to search for, from values of controls or of an address."""
    given: dict[str, Any] = {name: links.text(chosen.get(name)) or None for name in FILTERS}
    return raw_search.RawQuery(**given, sort=sort or "-kept")


@asked
def listed(wanted: raw_search.RawQuery, first: int, last: int | None) -> tuple[list[dict[str, Any]], int]:
    """Return the raw files of a search from number ``first`` to before ``last``, and how many fit in all."""
    cut = replace(wanted, skip=first, limit=None if last is None else last - first)
    rows = [plain(each) for each in raw_search.search_raw(cut)]
    return rows, len(rows) if last is None else int(raw_search.matching_raw(wanted).count())


def plain(found: raw_search.RawFound) -> dict[str, Any]:
    """Return a found raw file as a row of a table."""
    texts = {"id": str(found.id), "test_id": str(found.test_id), "job": str(found.job) if found.job else None}
    times = {"created_at": found.created_at.isoformat(), "updated_at": found.updated_at.isoformat()}
    return {**asdict(found), **texts, **times}


@asked
def choices() -> dict[str, list[str]]:
    """Return the operators and kinds of file that there are."""
    return {
        name: sorted(each for each in visible(RawDataFile).distinct(name) if each) for name in ("operator", "file_type")
    }


@asked
def one(raw_id: str) -> RawFile:
    """Return a raw file.

    Raises:
        NotFoundError: No such file.
    """
    return by_id(RawDataFile, raw_id)


@asked
def test_of(raw: RawFile) -> TestResult | None:
    """Return name, sample and cell of the test that a raw file belongs to; None where its import failed."""
    found: TestResult | None = (
        visible(TestResult).filter(id=raw.test_result).only("id", "name", "sample_name", "cell_code").first()
    )
    return found


@asked
def opened(raw_id: str, sha256: str | None) -> tuple[RawFile, int, Iterator[bytes]]:
    """Return a raw file, the size of the version with a digest (the newest without), and its bytes.

    Raises:
        NotFoundError: There is no such file or version, or it was imported without its bytes.
    """
    raw = by_id(RawDataFile, raw_id)
    wanted = sha256 or raw.sha256
    version = next((each for each in raw.versions if each.sha256 == wanted), None)
    if version is None:
        raise NotFoundError(f"{raw.filename}: no version with SHA-256 {wanted}")
    if version.extent is None:
        raise NotFoundError(f"{raw.filename}: imported without keeping its bytes")
    return raw, int(version.size), store().archive.stream(raw, wanted)
