"""Find raw files by name, digest, test, sample, operator and import job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from mongoengine import QuerySet

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.models import RawDataFile, Sample, TestResult
from battery_analysis.store.access import visible

SORTS = {
    "name": "filename",
    "size": "size",
    "operator": "operator",
    "device": "acquisition_device",
    "type": "file_type",
    "kept": "created_at",
    "changed": "updated_at",
}

_SHOWN = (
    *("filename", "size", "sha256", "file_type", "test_result", "import_job", "operator", "acquisition_device"),
    *("tags", "created_at", "updated_at", "versions.sha256", "versions.extent.length", "sources.path"),
)
_HEX = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True)
class RawQuery:
    """What to look for; filters that are left out let everything pass.

    ``name`` is any part of the file's name, in any case. ``sha256`` is the beginning of the digest of any version.
    ``test`` is the id of a test, or any part of its name; ``sample`` is the name of one.
    """

    name: str | None = None
    sha256: str | None = None
    test: str | None = None
    operator: str | None = None
    file_type: str | None = None
    job: str | None = None
    sample: str | None = None
    sort: str = "-kept"
    skip: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class RawFound:
    """One raw file as a search lists it; sizes in bytes."""

    id: ObjectId
    filename: str
    size: int
    sha256: str
    file_type: str | None
    versions: int
    is_kept: bool
    """Whether the bytes of the newest version are in the archive."""
    test_id: ObjectId
    test: str | None
    """Name of its test; None: no test names it, its import failed."""
    sample: str | None
    cell_code: str | None
    job: ObjectId | None
    operator: str | None
    device: str | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    paths: list[str]


def search_raw(query: RawQuery) -> list[RawFound]:
    """Return the raw files that fit, in the order asked for.

    Raises:
        InvalidDocumentError: The sort key is none of ``SORTS``, or a digest is none.
    """
    backwards, key = query.sort.startswith("-"), query.sort.removeprefix("-")
    if key not in SORTS:
        raise InvalidDocumentError(f"sort: one of {', '.join(SORTS)} wanted, got {query.sort!r}")
    found = matching_raw(query).order_by(f"{'-' if backwards else '+'}{SORTS[key]}").skip(query.skip)
    found = found.limit(query.limit) if query.limit else found
    rows = list(found.only(*_SHOWN).as_pymongo())
    tests = _tests([row["test_result"] for row in rows])
    return [_found(row, tests.get(row["test_result"], {})) for row in rows]


def matching_raw(query: RawQuery) -> QuerySet:
    """Return the raw files that fit.

    Raises:
        InvalidDocumentError: A digest holds other signs than hexadecimal digits.
    """
    wanted: dict[str, Any] = {}
    if query.name:
        wanted["filename"] = {"$regex": re.escape(query.name), "$options": "i"}
    if query.sha256:
        digest = query.sha256.strip().lower()
        if not _HEX.fullmatch(digest):
            raise InvalidDocumentError(f"SHA-256: hexadecimal digits wanted, got {query.sha256!r}")
        wanted["versions.sha256"] = {"$regex": f"^{digest}"}
    if query.test:
        wanted["test_result"] = {"$in": _named(query.test)}
    if query.operator:
        wanted["operator"] = query.operator
    if query.file_type:
        wanted["file_type"] = query.file_type
    if query.sample:
        wanted["sample"] = {"$in": list(visible(Sample).filter(name=query.sample).scalar("id"))}
    if query.job:
        wanted["import_job"] = {"$in": _identities(query.job)}
    return visible(RawDataFile).filter(__raw__=wanted)


def _named(test: str) -> list[ObjectId]:
    if identities := _identities(test.strip()):
        return identities
    pattern = {"$regex": re.escape(test), "$options": "i"}
    return list(visible(TestResult).filter(__raw__={"name": pattern}).limit(1000).scalar("id"))


def _identities(text: str) -> list[ObjectId]:
    try:
        return [ObjectId(text)]
    except InvalidId:
        return []


def _tests(identities: Sequence[ObjectId]) -> dict[ObjectId, dict[str, Any]]:
    shown = visible(TestResult).filter(id__in=identities).only("name", "sample_name", "cell_code")
    return {row["_id"]: row for row in shown.as_pymongo()}


def _found(row: dict[str, Any], test: dict[str, Any]) -> RawFound:
    newest: dict[str, Any] = next((each for each in row["versions"] if each["sha256"] == row["sha256"]), {})
    return RawFound(
        id=row["_id"],
        filename=row["filename"],
        size=row["size"],
        sha256=row["sha256"],
        file_type=row.get("file_type"),
        versions=len(row["versions"]),
        is_kept=newest.get("extent") is not None,
        test_id=row["test_result"],
        test=test.get("name"),
        sample=test.get("sample_name"),
        cell_code=test.get("cell_code"),
        job=row.get("import_job"),
        operator=row.get("operator"),
        device=row.get("acquisition_device"),
        tags=row.get("tags", []),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        paths=[each["path"] for each in row.get("sources", [])],
    )
