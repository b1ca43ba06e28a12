"""The one gate for reading: every query of the store starts here."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from bson import ObjectId
from bson.errors import InvalidId
from mongoengine import QuerySet

from battery_analysis.errors import NotFoundError
from battery_analysis.models import StoredDocument

D = TypeVar("D", bound=StoredDocument)


def visible(document: type[StoredDocument]) -> QuerySet:
    """Return the documents that the present user may see: until there are accounts, all of them."""
    return document.objects


def by_id(document: type[D], identity: str | ObjectId) -> D:
    """Return the document with this id.

    Raises:
        NotFoundError: The id is not one, or no visible document has it.
    """
    found: Any = visible(document).filter(id=object_id(document, identity)).first()
    if found is None:
        raise NotFoundError(f"no {_word(document)} has the id {identity}")
    return cast(D, found)


def object_id(document: type[StoredDocument], identity: str | ObjectId) -> ObjectId:
    """Return an id as the database keeps it.

    Raises:
        NotFoundError: The text is not an id.
    """
    try:
        return ObjectId(identity)
    except (InvalidId, TypeError) as exc:
        raise NotFoundError(f"no {_word(document)} has the id {identity!r}: 24 hexadecimal digits wanted") from exc


def _word(document: type[StoredDocument]) -> str:
    return str(document._meta["collection"]).replace("_", " ").removesuffix("s")
