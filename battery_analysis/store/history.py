"""Who changed what, and when: every change that a person makes to a sample or a test, one line a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from battery_analysis.errors import ConflictError
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


def refuse_changed(what: str, present: Mapping[str, Any], wanted: Mapping[str, Any], seen: Mapping[str, str]) -> None:
    """Refuse to overwrite what somebody else has changed since it was looked at.

    Args:
        what: The document, for the message.
        present: What its fields hold now.
        wanted: What they are to hold; a field that holds it already is no conflict.
        seen: What they held when whoever changes them looked, as ``written`` writes it.

    Raises:
        ConflictError: A field holds neither what was seen nor what is wanted.
    """
    for name, value in present.items():
        held, was = written(value), seen.get(name, "")
        if held not in (was, written(wanted.get(name))):
            by_now = f"is {held!r} by now" if held else "is empty by now"
            raise ConflictError(f"{what}: {name} {by_now}, no longer {was!r}; nothing of yours is stored")


def written(value: Any) -> str:
    """Write a value as a person would type it.

    Example:
        >>> written(1.5), written(None), written(["dry", "old"]), written(0.0)
        ('1.5', '', 'dry, old', '0')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _said(value: Any) -> Any:
    return None if value in ("", [], {}) else value
