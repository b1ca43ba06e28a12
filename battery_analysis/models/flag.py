"""What should make a reader of a test think twice: raised by people or by checks at import, until it is settled."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import DateTimeField, EmbeddedDocumentListField, ListField, ObjectIdField, StringField

from battery_analysis.models.base import Note, StoredDocument

FLAG_STATES = ("open", "reviewed", "resolved", "cleared")
"""``cleared``: the check that raised it passes by now; the others are what people say."""


class Flag(StoredDocument):
    """One flag of one test; ``created_by`` is the person who raised it."""

    test_result = ObjectIdField(required=True)
    check = StringField(help_text="Check that raised it, such as clock; empty where a person did")
    key = StringField(help_text="Test and check: a check raises one flag for a test")
    message = StringField(required=True, min_length=1, max_length=4000)
    records = ListField(help_text="Pairs of first and last record it is about, from 0")
    state = StringField(required=True, choices=FLAG_STATES, default="open")
    settled_at = DateTimeField(help_text="When its state last changed, UTC")
    settled_by = StringField()
    notes_log = EmbeddedDocumentListField(Note)

    meta: ClassVar[dict[str, Any]] = {
        "collection": "flags",
        "indexes": [
            ("state", "-created_at"),
            ("test_result", "state"),
            "check",
            "-created_at",
            "-updated_at",
            {"fields": ["key"], "unique": True, "sparse": True},
        ],
    }
