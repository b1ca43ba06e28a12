"""An import, and what became of each of its files."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    DateTimeField,
    DictField,
    FloatField,
    IntField,
    LongField,
    MapField,
    ObjectIdField,
    StringField,
)

from battery_analysis.models.base import StoredDocument, now
from battery_analysis.models.raw_file import SHA256

STATES = ("running", "paused", "interrupted", "completed", "stopped", "failed", "cancelled", "rolled_back")
"""A watcher's job is ``stopped`` when the watcher was, an import's ``completed`` once all files were looked at."""
KINDS = ("import", "reprocess")
OUTCOMES = ("created", "updated", "unchanged", "duplicate", "failed", "skipped")


class ImportJob(StoredDocument):
    """One run of the importer: from where, with which options, how far."""

    kind = StringField(choices=KINDS, default="import", help_text="What reads: files of a root, or the archive again")
    root = StringField(required=True)
    asked = StringField(choices=("pause", "cancel"), help_text="What a user asks the importing process to do")
    options = DictField()
    state = StringField(required=True, choices=STATES, default="running")
    reason = StringField(help_text="Why it ended, unless all files were looked at")
    started_at = DateTimeField(default=now)
    finished_at = DateTimeField()
    heartbeat_at = DateTimeField(default=now, help_text="Last sign of life of the importing process")
    host = StringField()
    pid = IntField()
    process_started = FloatField(help_text="When that process began, s since 1970: numbers of processes come again")
    total = LongField(help_text="Files to look at; empty until all are found")
    counts = MapField(LongField(), help_text="Files by outcome")
    seconds = FloatField(help_text="Time spent working, over all resumptions")

    meta: ClassVar[dict[str, Any]] = {"collection": "import_jobs", "indexes": ["-started_at", "state"]}


class ImportedFile(StoredDocument):
    """What became of one file in one job."""

    job = ObjectIdField(required=True)
    path = StringField(required=True)
    outcome = StringField(required=True, choices=OUTCOMES)
    reason = StringField()
    sha256 = StringField(regex=SHA256)
    size = LongField()
    modified_at = DateTimeField()
    test_result = ObjectIdField()
    raw_file = ObjectIdField()
    sample_name = StringField()
    reader = StringField()
    record_count = LongField()
    cycle_count = LongField()
    seconds = FloatField()

    meta: ClassVar[dict[str, Any]] = {
        "collection": "imported_files",
        "indexes": [
            {"fields": ["job", "path"], "unique": True},
            ("job", "outcome"),
            ("path", "-created_at"),
            "test_result",
            ("updated_at", "outcome"),
        ],
    }
