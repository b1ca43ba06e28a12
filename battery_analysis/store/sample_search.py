"""Find samples by words, properties and what they lack; counted by group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bson import ObjectId
from mongoengine import QuerySet

from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.models import Sample, StoredDocument
from battery_analysis.models.sample import COMPONENTS
from battery_analysis.store import added_order, samples
from battery_analysis.store.access import visible
from battery_analysis.store.added_order import ADDED
from battery_analysis.store.words import words_of

RELATIVES = ("parent", *COMPONENTS)
"""Fields that hold another sample."""

PROPERTIES = tuple(name for name in samples.EDITABLE if name not in ("name", "tags", "metadata", *RELATIVES))
"""What a sample is, without its name, its relatives and what the lab adds."""

AGGREGATES = (
    "test_count",
    "cycle_count",
    "last_started_at",
    "mean_initial_capacity_ah",
    "mean_final_capacity_ah",
    "mean_capacity_retention",
    "mean_coulombic_efficiency",
    "median_internal_resistance_ohm",
)
"""What the tests of a sample say together."""

SORTS = {
    **{name: name for name in ("name", *PROPERTIES, "updated_at", "created_at")},
    **{name: f"aggregates.{name}" for name in AGGREGATES},
}

GROUPS = ("project", "chemistry", "parent", "manufacturer", "form_factor", "cell_type")
"""Fields by which samples can be counted."""

MOST_GROUPS = 500


@dataclass(frozen=True)
class SampleQuery:
    """What to look for; filters that are left out let everything pass. Texts are compared exactly.

    ``text`` finds samples that have, for each of its words, a word that begins with it, in names, properties, tags,
    notes or what the lab added.
    """

    text: str | None = None
    project: str | None = None
    chemistry: str | None = None
    manufacturer: str | None = None
    form_factor: str | None = None
    cell_type: str | None = None
    tags: Sequence[str] = ()
    parent: str | None = None
    """Name of the sample that they were made from."""
    part: str | None = None
    """Name of a sample that is one of their components."""
    lacks: str | None = None
    """A field, or ``metadata.KEY``, that is empty."""
    where: Sequence[Mapping[str, Any]] = ()
    """Further conditions as MongoDB has them."""
    sort: str = "name"
    limit: int | None = None
    skip: int = 0


@dataclass(frozen=True)
class Group:
    """Samples that have one value in common."""

    value: str | None
    samples: int
    tests: int
    cycles: int
    mean_initial_capacity_ah: float | None
    mean_capacity_retention: float | None
    mean_coulombic_efficiency: float | None


def matching(query: SampleQuery) -> QuerySet:
    """Return the samples that fit."""
    same = ("project", "chemistry", "manufacturer", "form_factor", "cell_type")
    conditions: list[Mapping[str, Any]] = [{name: value} for name in same if (value := getattr(query, name))]
    conditions += [{"tags": tag} for tag in query.tags]
    # As text: a compiled pattern carries the Unicode flag, with which the server cannot use an index.
    conditions += [{"words": {"$regex": f"^{re.escape(word)}"}} for word in words_of(query.text or "")]
    if query.parent:
        conditions.append({"parent": _id_of(query.parent)})
    if query.part:
        identity = _id_of(query.part)
        conditions.append({"$or": [{role: identity} for role in COMPONENTS]})
    if query.lacks:
        conditions.append({checked_field(query.lacks): {"$in": [None, "", []]}})
    conditions += query.where
    return visible(Sample).filter(__raw__={"$and": conditions} if conditions else {})


def rows(query: SampleQuery) -> Iterator[dict[str, Any]]:
    """Yield what is known of the samples that fit, in the order asked for; relatives by name.

    Raises:
        InvalidDocumentError: The sort key is none of ``SORTS`` and no ``metadata.KEY``.
    """
    shown = ("name", *PROPERTIES, *RELATIVES, "tags", "metadata", "updated_at", "created_at")
    fields = (*shown, *(f"aggregates.{name}" for name in AGGREGATES))
    documents = _documents(query, fields)
    names = _names({document[role] for document in documents for role in RELATIVES if document.get(role)})
    for document in documents:
        aggregates = document.get("aggregates") or {}
        yield {
            **{name: document.get(name) for name in shown if name not in RELATIVES},
            **{role: names.get(document.get(role)) for role in RELATIVES},
            **{name: aggregates.get(name) for name in AGGREGATES},
            "id": document["_id"],
            "tags": document.get("tags") or [],
            "metadata": document.get("metadata") or {},
            "test_count": aggregates.get("test_count") or 0,
            "cycle_count": aggregates.get("cycle_count") or 0,
        }


def _documents(query: SampleQuery, fields: Sequence[str]) -> list[dict[str, Any]]:
    backwards, key = query.sort.startswith("-"), query.sort.removeprefix("-")
    if key.startswith(ADDED):

        def fitting(condition: Mapping[str, Any]) -> QuerySet:
            return matching(replace(query, where=[*query.where, condition]))

        ids = added_order.page(query.sort, fitting, "name", query.skip, query.limit)
        return added_order.in_order(visible(Sample).only(*fields), ids)
    if key not in SORTS:
        raise InvalidDocumentError(f"sort: one of {', '.join(SORTS)} wanted, got {query.sort!r}")
    sign = "-" if backwards else "+"
    order = dict.fromkeys([f"{sign}{SORTS[key]}", f"{sign}name"])  # an index serves both in the same direction
    found = matching(query).order_by(*order).skip(query.skip)
    found = found.limit(query.limit) if query.limit is not None else found
    return list(found.only(*fields).as_pymongo())


def groups(query: SampleQuery, by: str) -> list[Group]:
    """Return the samples that fit, counted by the values of one of ``GROUPS``, most first.

    Raises:
        InvalidDocumentError: Samples cannot be counted by this.
    """
    if by not in GROUPS:
        raise InvalidDocumentError(f"group: one of {', '.join(GROUPS)} wanted, got {by!r}")
    means = ("mean_initial_capacity_ah", "mean_capacity_retention", "mean_coulombic_efficiency")
    group = {
        "_id": f"${by}",
        "samples": {"$sum": 1},
        "tests": {"$sum": "$aggregates.test_count"},
        "cycles": {"$sum": "$aggregates.cycle_count"},
        **{name: {"$avg": f"$aggregates.{name}"} for name in means},
    }
    pipeline = [{"$group": group}, {"$sort": {"samples": -1, "_id": 1}}, {"$limit": MOST_GROUPS}]
    found = list(matching(query).aggregate(pipeline))
    names = _names({row["_id"] for row in found if row["_id"]}) if by == "parent" else {}
    return [Group(value=names.get(row.pop("_id")) if by == "parent" else row.pop("_id"), **row) for row in found]


def lacking(query: SampleQuery, fields: Sequence[str]) -> tuple[dict[str, int], int]:
    """Return of how many samples that fit each field is empty, and how many samples fit."""
    empty = {
        # Dots cannot stand in the names of results.
        f"field{place}": {
            "$sum": {"$cond": [{"$in": [{"$ifNull": [f"${checked_field(field)}", None]}, [None, "", []]]}, 1, 0]}
        }
        for place, field in enumerate(fields)
    }
    found = list(matching(query).aggregate([{"$group": {"_id": None, "samples": {"$sum": 1}, **empty}}]))
    counted = found[0] if found else {}
    return {field: counted.get(f"field{place}", 0) for place, field in enumerate(fields)}, counted.get("samples", 0)


def metadata_keys(document: type[StoredDocument] = Sample, most: int = 100) -> list[str]:
    """Return the keys that the metadata of samples, or other documents, have, the most frequent first."""
    pipeline: list[dict[str, Any]] = [
        {"$project": {"entry": {"$objectToArray": {"$ifNull": ["$metadata", {}]}}}},
        {"$unwind": "$entry"},
        {"$group": {"_id": "$entry.k", "samples": {"$sum": 1}}},
        {"$sort": {"samples": -1, "_id": 1}},
        {"$limit": most},
    ]
    return [row["_id"] for row in visible(document).aggregate(pipeline)]


def checked_field(name: str) -> str:
    """Return the name of a field that a person sets, or an entry of the metadata.

    Raises:
        InvalidDocumentError: There is no such field.
    """
    key = name.removeprefix("metadata.")
    if (name != key and key and not key.startswith("$") and "\0" not in key) or name in samples.EDITABLE:
        return name
    raise InvalidDocumentError(f"no field {name!r} of samples; there are {', '.join(samples.EDITABLE)}, metadata.KEY")


def _id_of(name: str) -> ObjectId | None:
    """Return the id of a sample; of one that does not exist, one that no sample has."""
    try:
        return ObjectId(samples.by_name(name).id)
    except NotFoundError:
        return ObjectId()


def _names(identities: set[ObjectId]) -> dict[Any, str]:
    return dict(visible(Sample).filter(id__in=list(identities)).scalar("id", "name")) if identities else {}
