"""A selection that a person keeps under a name: a filter, or what a page shows."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import DictField, StringField

from battery_analysis.models.base import StoredDocument


class SavedView(StoredDocument):
    """What the address of a page holds, under a name that is unique for the page; ``created_by`` is who kept it."""

    page = StringField(required=True, min_length=1, max_length=100, help_text="Path of the page, such as /traits")
    name = StringField(required=True, min_length=1, max_length=200)
    query = DictField(help_text="Texts, or lists of texts, by name in the query of the address")

    meta: ClassVar[dict[str, Any]] = {
        "collection": "saved_views",
        "indexes": [{"fields": ["page", "name"], "unique": True}],
    }
