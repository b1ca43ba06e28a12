"""How far a scheduled import has come: which of its times have been served, and by which job."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import DateTimeField, ObjectIdField, StringField

from battery_analysis.models.base import StoredDocument


class ScheduledImport(StoredDocument):
    """What schedulers remember of one entry of the settings, by its name."""

    name = StringField(required=True, unique=True)
    served_until = DateTimeField(required=True, help_text="Times up to this moment have been seen to, UTC")
    started_at = DateTimeField(help_text="When it was last started, UTC")
    import_job = ObjectIdField(help_text="The job it last ran as")
    problem = StringField(help_text="Why it could not be started last time; empty if it could")

    meta: ClassVar[dict[str, Any]] = {"collection": "scheduled_imports"}
