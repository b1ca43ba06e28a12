"""A watcher: what it watches, how it is, and the files it could not import."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    DateTimeField,
    DictField,
    EmbeddedDocument,
    EmbeddedDocumentListField,
    FloatField,
    IntField,
    ListField,
    LongField,
    MapField,
    ObjectIdField,
    StringField,
)

from battery_analysis.models.base import StoredDocument, now

WATCHER_STATES = ("running", "stopped")


class QuarantinedFile(EmbeddedDocument):
    """A file that could not be imported, and is left alone until it changes."""

    path = StringField(required=True)
    reason = StringField()
    since = DateTimeField(default=now)


class WatchedFolder(StoredDocument):
    """One watcher of one or several folders; a watcher that is started again goes on with its document."""

    roots = ListField(StringField(), required=True)
    options = DictField()
    state = StringField(required=True, choices=WATCHER_STATES, default="running")
    host = StringField()
    pid = IntField()
    process_started = FloatField(help_text="When that process began, s since 1970: numbers of processes come again")
    started_at = DateTimeField(default=now)
    stopped_at = DateTimeField()
    heartbeat_at = DateTimeField(default=now, help_text="Last sign of life of the watching process")
    import_job = ObjectIdField(help_text="Job under which its files are imported")
    counts = MapField(LongField(), help_text="Files taken since it was started, by outcome")
    files = LongField(default=0, help_text="Files below the roots that are dealt with")
    waiting = LongField(default=0, help_text="Files that changed and are not imported yet")
    waiting_since = DateTimeField(help_text="When the one was noticed that has been waiting longest")
    last_import_at = DateTimeField()
    scanned_at = DateTimeField(help_text="When all roots had last been looked through")
    troubles = ListField(StringField(), help_text="What keeps it from watching as it should, such as a missing root")
    quarantined = LongField(default=0, help_text="Files that failed, also those beyond the list")
    quarantine = EmbeddedDocumentListField(QuarantinedFile)

    meta: ClassVar[dict[str, Any]] = {"collection": "watched_folders", "indexes": ["roots", "-started_at"]}
