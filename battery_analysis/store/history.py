"""Who changed what, and when: every change that a person makes to a sample or a test, one line a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from battery_analysis.models import Change, now
from battery_analysis.store.access import visible

SHOWN = 200


def record(document: ObjectId, before: Mapping[str, Any], after: Mapping[str, Any], author: str | None) -> None:
    """Keep what differs of two states of a document, of which nothing means empty.

    Called once the change is stored: a history may lack the last line after a crash, but tells of nothing that was not.
    """
    moment = now()
    lines = [
        Change(
            document=document,
            field=field,
            before=_said(before.get(field)),
            after=_said(after.get(field)),
            created_by=author,
            created_at=moment,
            updated_at=moment,
        )
        for field in dict.fromkeys([*before, *after])
        if _said(before.get(field)) != _said(after.get(field))
    ]
    if lines:
        Change.objects.insert(lines, load_bulk=False)


def of(document: ObjectId, most: int = SHOWN) -> list[Change]:
    """Return the changes of a document, newest first."""
    return list(visible(Change).filter(document=document).order_by("-created_at", "-id").limit(most))


def _said(value: Any) -> Any:
    return None if value in ("", [], {}) else value
