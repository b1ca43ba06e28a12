"""Which older versions of a file keep their bytes; the digest and time of every version stay in any case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from battery_analysis.models import RawDataFile, RawVersion
from battery_analysis.store.connection import Store

Policy = Literal["recent", "all", "newest"]

RECENT = 10
"""Versions that ``recent`` keeps beside the last one of every day."""


def superfluous(versions: Sequence[RawVersion], policy: Policy) -> set[str]:
    """Return the digests of the versions whose own bytes a policy gives up.

    A version that a kept one begins with keeps its bytes: they are part of the later one's.

    Args:
        versions: All of a file, oldest first.
        policy: ``all``; ``newest``; or ``recent``: the last ten, and the last one of every day.
    """
    if policy == "all":
        return set()
    wanted = {version.sha256 for version in versions[-(1 if policy == "newest" else RECENT) :]}
    if policy == "recent":
        wanted |= set({version.seen_at.date(): version.sha256 for version in versions}.values())
    by_digest = {version.sha256: version for version in versions}
    for sha256 in list(wanted):
        beginning = by_digest[sha256].grown_from
        while beginning and beginning not in wanted:
            wanted.add(beginning)
            beginning = by_digest[beginning].grown_from if beginning in by_digest else None
    return {version.sha256 for version in versions if version.extent and version.sha256 not in wanted}


def prune(store: Store, raw: RawDataFile, policy: Policy) -> int:
    """Give up the bytes of superfluous versions of a file and return how many versions those were."""
    gone = superfluous(raw.versions, policy)
    for version in raw.versions:
        if version.sha256 not in gone:
            continue
        # First the document, then the bytes: a crash in between leaves garbage, never a version without its bytes.
        own = {"$elemMatch": {"sha256": version.sha256, "extent": version.extent.to_mongo()}}
        changed = RawDataFile._get_collection().update_one(
            {"_id": raw.id, "versions": own}, {"$set": {"versions.$.extent": None}}
        )
        if changed.modified_count:
            store.archive.drop(version.extent)
    return len(gone)
