"""What every document has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from mongoengine import (
    DateTimeField,
    Document,
    EmbeddedDocument,
    ListField,
    ObjectIdField,
    StringField,
    ValidationError,
)

from battery_analysis.errors import InvalidDocumentError


def now() -> datetime:
    """Return this moment in UTC, to the millisecond that BSON keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class StoredDocument(Document):
    """When, by whom, and under which tags a document was made."""

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False}

    created_at = DateTimeField(default=now, help_text="When the document was first stored, UTC")
    updated_at = DateTimeField(default=now, help_text="When it last changed, UTC")
    created_by = StringField(help_text="Who stored it")
    tags = ListField(StringField(min_length=1, max_length=100), help_text="Free words to find it by")


class Note(EmbeddedDocument):
    """One note of a person; notes are added, never overwritten."""

    text = StringField(required=True)
    author = StringField()
    written_at = DateTimeField(default=now)


class AddedLabels(EmbeddedDocument):
    """What an import job said of a document that was stored before it: enough to take it back."""

    import_job = ObjectIdField(required=True)
    tags = ListField(StringField())
    keys = ListField(StringField(), help_text="Of the metadata")
    fields = ListField(StringField(), help_text="That were empty")


def checked(document: Document) -> Document:
    """Return the document if it is valid.

    Raises:
        InvalidDocumentError: Names the document, the field, what is wrong and what was there.
    """
    try:
        document.validate()
    except ValidationError as exc:
        raise InvalidDocumentError(_explain(document, exc)) from exc
    return document


def _explain(document: Document, error: ValidationError) -> str:
    name = getattr(document, "name", None) or getattr(document, "filename", None) or document.pk
    problems = "; ".join(_problems(document, error.to_dict()))
    return f"{type(document).__name__} {name!r}: {problems or error.message}"


def _problems(document: Any, errors: Mapping[str, Any]) -> list[str]:
    lines = []
    for field, problem in errors.items():
        value = document[int(field)] if isinstance(document, list) else getattr(document, str(field), None)
        if isinstance(problem, Mapping):
            lines += [f"{field}.{line}" for line in _problems(value, problem)]
        elif field == "__all__":
            lines.append(str(problem))
        else:
            lines.append(f"{field}: {problem}, got {value!r}")
    return lines


def can_name_entry(key: str) -> bool:
    """Say whether an entry of a document's metadata can have this name: MongoDB takes dots and dollars for more.

    >>> can_name_entry("test rig"), can_name_entry("rig.1"), can_name_entry("$rig"), can_name_entry("")
    (True, False, False, False)
    """
    return bool(key) and not key.startswith("$") and "." not in key and "\0" not in key
