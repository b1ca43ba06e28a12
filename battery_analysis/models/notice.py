"""What people were told, so that nobody is told twice."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import DateTimeField, DictField, StringField

from battery_analysis.models.base import StoredDocument


class Notice(StoredDocument):
    """Something to tell once: a file that failed, a test that stalled, a cell that aged."""

    key = StringField(required=True, unique=True, help_text="What it is about: the same is never told twice")
    event = StringField(required=True)
    text = StringField(required=True)
    facts = DictField()
    taken_at = DateTimeField(help_text="When somebody last tried to send it")
    sent_at = DateTimeField(help_text="When it reached the first of its targets")

    meta: ClassVar[dict[str, Any]] = {"collection": "notices", "indexes": [("sent_at", "created_at")]}
