"""A file that belongs to tests or a sample and holds no records: settings, a log, a photograph, a document."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    DateTimeField,
    DictField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    ListField,
    LongField,
    ObjectIdField,
    StringField,
)

from battery_analysis.models.base import StoredDocument, now
from battery_analysis.models.raw_file import SHA256, Extent

ATTACHMENT_KINDS = ("settings", "log", "photograph", "document")


class AttachmentSource(EmbeddedDocument):
    """One place where these bytes were found."""

    path = StringField(required=True)
    link = StringField(help_text="What data it belongs to share with it; empty once other bytes lie at this path")
    modified_at = DateTimeField(help_text="Modification time of the file when it was read, UTC")
    seen_at = DateTimeField(default=now)


class Attachment(StoredDocument):
    """One file, kept once for its owner however often it is found; without tests it waits for its data."""

    name = StringField(required=True, help_text="File name where it was first found")
    kind = StringField(required=True, choices=ATTACHMENT_KINDS)
    title = StringField(help_text="What it is, such as EC-Lab settings")
    sha256 = StringField(required=True, regex=SHA256)
    size = LongField(required=True, min_value=0)
    extent = EmbeddedDocumentField(Extent, help_text="Empty where the import was told to keep no bytes")
    sources = EmbeddedDocumentListField(AttachmentSource)
    test_results = ListField(ObjectIdField())
    sample = ObjectIdField(help_text="That of the first test it was attached to")
    owner = ObjectIdField(help_text="Test or sample that a person attached it to; empty for what an import found")
    import_job = ObjectIdField()
    operator = StringField()
    metadata = DictField()

    meta: ClassVar[dict[str, Any]] = {
        "collection": "attachments",
        "indexes": [
            {"fields": ["sha256", "owner"], "unique": True},
            "sources.link",
            "sources.path",
            "test_results",
            "sample",
            "owner",
            "import_job",
        ],
    }
