"""Fill in what samples lack, many at once; what somebody has stated meanwhile stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bson import ObjectId

from battery_analysis.errors import ConflictError, InvalidDocumentError, NotFoundError
from battery_analysis.models import Sample
from battery_analysis.store import samples
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store
from battery_analysis.store.sample_search import SampleQuery, checked_field, matching

_EMPTY: tuple[Any, ...] = (None, "", [])


@dataclass
class Filled:
    """What became of samples."""

    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """That had a value meanwhile, or are gone."""
    problems: list[str] = field(default_factory=list)


def lacking(query: SampleQuery, name: str, among: Sequence[ObjectId] = ()) -> list[tuple[ObjectId, str]]:
    """Return id and name of the samples that fit and lack a field, by name.

    Args:
        query: Which samples.
        name: A field, or ``metadata.KEY``.
        among: Only these, if any are given.
    """
    found = matching(replace(query, lacks=name))
    found = found.filter(id__in=list(among)) if among else found
    return list(found.order_by("name").scalar("id", "name"))


def check(sample: ObjectId, name: str, value: str) -> None:
    """Refuse a value that a field of a sample cannot hold; nothing is stored.

    Raises:
        InvalidDocumentError: It is empty, or does not fit.
        NotFoundError: It names a sample that does not exist.
    """
    checked_field(name)
    if not value.strip():
        raise InvalidDocumentError(f"{name}: a value is wanted")
    samples.with_fields(by_id(Sample, sample), {name: value.strip()})


def fill(store: Store, identities: Iterable[ObjectId], name: str, value: str, author: str | None = None) -> Filled:
    """Set a field of those of these samples that still lack it; their tests follow, their history tells who did."""
    filled = Filled()
    for identity in identities:
        sample: Sample | None = visible(Sample).filter(id=identity).first()
        if sample is None or _held(sample, name) not in _EMPTY:
            filled.kept.append(sample.name if sample is not None else str(identity))
            continue
        try:
            samples.set_fields(store, sample.name, {name: value.strip()}, author, seen={})
        except (ConflictError, InvalidDocumentError, NotFoundError) as exc:
            filled.problems.append(str(exc))
        else:
            filled.done.append(sample.name)
    return filled


def _held(sample: Sample, name: str) -> object:
    key = name.removeprefix("metadata.")
    held = sample.metadata.get(key) if key != name else getattr(sample, checked_field(name))
    return list(held) if isinstance(held, list) else held
