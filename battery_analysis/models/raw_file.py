"""An original file: its bytes, every version of it, and everywhere it was seen."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    EmbeddedDocument,
    EmbeddedDocumentListField,
    LongField,
    ObjectIdField,
    StringField,
)

from battery_analysis.models.base import StoredDocument, now

SHA256 = r"^[0-9a-f]{64}$"


class Extent(EmbeddedDocument):
    """A run of bytes in GridFS. The bytes of a version are its extents, one after the other."""

    file_id = ObjectIdField(required=True)
    length = LongField(required=True, min_value=0)
    sha256 = StringField(required=True, regex=SHA256)


class RawVersion(EmbeddedDocument):
    """The bytes of a file at one time. A file that grew by appending shares the extents of its past."""

    sha256 = StringField(required=True, regex=SHA256)
    size = LongField(required=True, min_value=0)
    seen_at = DateTimeField(default=now)
    archived = BooleanField(default=True, help_text="False where the import was told to keep no bytes")
    extents = EmbeddedDocumentListField(Extent)


class SourcePath(EmbeddedDocument):
    """One place where these bytes were found."""

    path = StringField(required=True)
    modified_at = DateTimeField(help_text="Modification time of the file when it was read, UTC")
    seen_at = DateTimeField(default=now)


class RawDataFile(StoredDocument):
    """One original file with all its versions, newest last.

    ``test_result`` is drawn before anything else is stored, so that importers which race for the
    same bytes write the same test; the file counts as imported once a test names it.
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

    def version(self, sha256: str) -> RawVersion | None:
        """Return the version with this digest, None where there is none."""
        return next((each for each in self.versions if each.sha256 == sha256), None)
