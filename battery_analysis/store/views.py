"""Saved views: selections that people find again by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mongoengine import NotUniqueError

from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.models import SavedView, checked, now
from battery_analysis.store.access import visible

Selection = Mapping[str, str | Sequence[str]]
"""What the query of an address holds, by name."""


def of_page(page: str) -> list[SavedView]:
    """Return the views that are kept of a page, by name."""
    return list(visible(SavedView).filter(page=page).order_by("name"))


def save(page: str, name: str, query: Selection, author: str | None = None, *, replace: bool = False) -> SavedView:
    """Keep a selection under a name and return it.

    Args:
        page: Path of the page, such as ``/traits``.
        name: What people call it; spaces around it do not count.
        query: What the address holds.
        author: Who keeps it.
        replace: Whether a view of this name may be overwritten.

    Raises:
        InvalidDocumentError: The name is empty or too long, or the page has a view of this name already.
    """
    kept: SavedView | None = visible(SavedView).filter(page=page, name=name.strip()).first()
    if kept is None or not replace:
        kept = SavedView(page=page, name=name.strip())
    kept.query = {key: value if isinstance(value, str) else list(value) for key, value in query.items() if value}
    kept.created_by = author or kept.created_by
    kept.updated_at = now()
    checked(kept)
    try:
        kept.save(validate=False)
    except NotUniqueError as exc:
        raise InvalidDocumentError(f"SavedView {name.strip()!r}: {page} has a view of this name already") from exc
    return kept


def delete(page: str, name: str) -> None:
    """Forget a view.

    Raises:
        NotFoundError: The page has no view of this name.
    """
    if not visible(SavedView).filter(page=page, name=name).delete():
        raise NotFoundError(f"{page} has no saved view named {name!r}")
