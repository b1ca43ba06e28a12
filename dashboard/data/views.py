"""Saved views of pages."""

from __future__ import annotations

from battery_analysis.models import SavedView
from battery_analysis.store import views as stored
from dashboard.data import asked

View = SavedView


@asked
def of_page(page: str) -> list[View]:
    """Return the saved views of a page, by name."""
    return stored.of_page(page)


@asked
def save(page: str, name: str, query: stored.Selection) -> View:
    """Keep what the address of a page holds under a name.

    Raises:
        InvalidDocumentError: The name is empty or too long, or the page has a view of this name already.
    """
    return stored.save(page, name, query)


@asked
def delete(page: str, name: str) -> None:
    """Forget a saved view.

    Raises:
        NotFoundError: There is none.
    """
    stored.delete(page, name)
