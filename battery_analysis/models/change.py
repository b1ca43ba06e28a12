"""What a person changed: one field of one document."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import DynamicField, ObjectIdField, StringField

from battery_analysis.models.base import StoredDocument


class Change(StoredDocument):
    """A value before and after; ``created_at`` and ``created_by`` say when and by whom it was changed."""

    document = ObjectIdField(required=True, help_text="Of the sample or test, which may be gone since")
    field = StringField(required=True, help_text="Such as area_cm2 or metadata.supplier")
    before = DynamicField(help_text="Empty where there was none; of a component, its name")
    after = DynamicField(help_text="Empty where it was cleared")

    meta: ClassVar[dict[str, Any]] = {"collection": "changes", "indexes": [("document", "-created_at")]}
