"""The order by what the lab has added to samples and tests: entries of their metadata.

People type numbers as text, and no index knows every entry: those that have the entry are put in order here, and only
their ids and this value are read. Those without it come last, whichever way the others go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mongoengine import QuerySet

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.models.base import can_name_entry

ADDED = "metadata."
"""With what the sort key of an entry begins."""


def page(
    sort: str, matching: Callable[[Mapping[str, Any]], QuerySet], usual: str, skip: int, limit: int | None
) -> list[Any]:
    """Return ids of what fits, ordered by an entry: numbers, then texts, each alike in the usual order.

    Args:
        sort: ``metadata.KEY``, with ``-`` before it for downwards.
        matching: Returns the documents that fit and also meet this condition.
        usual: The order of those that have the same value or none, as mongoengine takes it.
        skip: How many ids to pass over.
        limit: How many to return; None: all.

    Raises:
        InvalidDocumentError: No entry can have this key.
    """
    field = sort.removeprefix("-")
    key = field.removeprefix(ADDED)
    if not can_name_entry(key):
        raise InvalidDocumentError(f"sort: no entry of the metadata can be named {key!r}")
    held = matching({field: {"$nin": [None, ""]}}).order_by(usual).only(field).as_pymongo()
    values = [(row["_id"], _rank(row["metadata"][key])) for row in held]
    values.sort(key=lambda each: each[1], reverse=sort.startswith("-"))
    last = None if limit is None else skip + limit
    found = [identity for identity, _ in values[skip:last]]
    if limit is not None and len(found) == limit:
        return found
    rest = matching({field: {"$in": [None, ""]}}).order_by(usual).skip(max(skip - len(values), 0))
    rest = rest if limit is None else rest.limit(limit - len(found))
    return [*found, *rest.scalar("id")]


def in_order(documents: QuerySet, ids: list[Any]) -> list[dict[str, Any]]:
    """Return documents as they are stored, in the order of their ids."""
    found = {row["_id"]: row for row in documents.filter(id__in=ids).as_pymongo()}
    return [found[identity] for identity in ids if identity in found]


def _rank(value: Any) -> tuple[int, float, str]:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    return (0, number, "") if number == number else (1, 0.0, str(value).casefold())
