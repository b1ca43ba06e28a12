"""An original file: its bytes, every version of it, and everywhere it was seen."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    DateTimeField,
    DictField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    LongField,
    ObjectIdField,
    StringField,
)

from battery_analysis.models.base import AddedLabels, StoredDocument, now

SHA256 = r"^[0-9a-f]{64}$"


class Extent(EmbeddedDocument):
    """A run of bytes in GridFS."""

    file_id = ObjectIdField(required=True)
    length = LongField(required=True, min_value=0)
    sha256 = StringField(required=True, regex=SHA256)


class RawVersion(EmbeddedDocument):
    """The bytes of a file at one time: those of the version it has grown from, then its own extent."""

    sha256 = StringField(required=True, regex=SHA256)
    size = LongField(required=True, min_value=0)
    seen_at = DateTimeField(default=now)
    grown_from = StringField(regex=SHA256, help_text="Digest of the version that its bytes begin with")
    extent = EmbeddedDocumentField(Extent, help_text="Empty where the import was told to keep no bytes")


class SourcePath(EmbeddedDocument):
    """One place where these bytes were found."""

    path = StringField(required=True)
    modified_at = DateTimeField(help_text="Modification time of the file when it was read, UTC")
    seen_at = DateTimeField(default=now)


class RawDataFile(StoredDocument):
    """One original file with all its versions, newest last.

    ``test_result`` is drawn before anything else is stored, so that importers which race for the
    same bytes write the same test; a version counts as imported once a test names it.
    """

    filename = StringField(required=True)
    sha256 = StringField(required=True, regex=SHA256, help_text="Digest of the newest version")
    size = LongField(required=True, min_value=0, help_text="Bytes of the newest version")
    file_type = StringField(help_text="Suffix, lower case with dot")
    versions = EmbeddedDocumentListField(RawVersion)
    sources = EmbeddedDocumentListField(SourcePath)
    test_result = ObjectIdField(required=True)
    sample = ObjectIdField()
    import_job = ObjectIdField()
    operator = StringField()
    acquisition_device = StringField()
    metadata = DictField()
    labelled = EmbeddedDocumentListField(AddedLabels, help_text="What later imports added")

    meta: ClassVar[dict[str, Any]] = {
        "collection": "raw_data_files",
        "indexes": [
            {"fields": ["versions.sha256"], "unique": True},
            "sources.path",
            "test_result",
            "sample",
            "filename",
            "operator",
            "import_job",
            "tags",
            "-created_at",
        ],
    }
