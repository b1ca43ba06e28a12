"""Samples: found, shown, edited, with their history and what lies beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from battery_analysis.models import Change, Sample, TestResult
from battery_analysis.models.sample import CELL_TYPES
from battery_analysis.store import history, sample_search, samples
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.sample_search import AGGREGATES, GROUPS, PROPERTIES, RELATIVES, SampleQuery
from battery_analysis.store.units import spelled, unit_of
from dashboard import links, units
from dashboard.data import added, asked, store
from dashboard.data.edits import Edit

__all__ = [
    "AGGREGATES",
    "CELL_TYPES",
    "GROUPS",
    "NUMBERS",
    "PROPERTIES",
    "RELATIVES",
    "Change",
    "Sample",
    "SampleQuery",
]

NUMBERS = samples.NUMBERS
SHOWN = 20

written = history.written

FILTERS = ("text", "project", "chemistry", "manufacturer", "form_factor", "cell_type", "tags", "parent", "part")


def title(field: str) -> tuple[str, str]:
    """Return how a field is written for people, and its unit.

    Example:
        >>> title("area_cm2"), title("metadata.rig")
        (('Area', 'cm²'), ('rig', ''))
    """
    if field.startswith("metadata."):
        return field.removeprefix("metadata."), ""
    words = spelled(field).partition(" / ")[0]
    return words[0].upper() + words[1:], units.written(unit_of(field))


def query(chosen: Mapping[str, Any], sort: str | None = None) -> SampleQuery:
    """Return what to search for, from values of controls or of an address, by the names in ``FILTERS``."""
    words: dict[str, Any] = {name: links.text(chosen.get(name)) or None for name in FILTERS if name != "tags"}
    lacks = links.text(chosen.get("lacks")) or None
    return SampleQuery(**words, tags=links.texts(chosen.get("tags")), lacks=lacks, sort=sort or "name")


@asked
def listed(wanted: SampleQuery, first: int = 0, last: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """Return the samples of a search from number ``first`` to before ``last``, and how many fit in all."""
    cut = replace(wanted, skip=first, limit=None if last is None else last - first)
    found = [_plain(row) for row in sample_search.rows(cut)]
    return found, len(found) if last is None else int(sample_search.matching(wanted).count())


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    moments = {name: row[name].isoformat() for name in ("last_started_at", "updated_at", "created_at") if row[name]}
    metadata = {f"metadata.{key}": _text(value) for key, value in row["metadata"].items()}
    return {
        **{name: value for name, value in row.items() if name != "metadata"},
        **metadata,
        **moments,
        "id": str(row["id"]),
    }


def _text(value: Any) -> str | float | None:
    return value if isinstance(value, int | float) or value is None else str(value)


@asked
def grouped(wanted: SampleQuery, by: str) -> list[sample_search.Group]:
    """Return the samples of a search counted by a field, most first."""
    return sample_search.groups(wanted, by)


@asked
def choices() -> dict[str, list[str]]:
    """Return the values that samples have, by filter."""
    fields = ("project", "chemistry", "manufacturer", "form_factor", "cell_type", "tags")
    return {name: sorted(each for each in visible(Sample).distinct(name) if each) for name in fields}


@asked
def is_empty() -> bool:
    """Say whether there is no sample at all."""
    return visible(Sample).only("id").first() is None


@asked
def metadata_keys() -> list[str]:
    """Return the keys of the samples' metadata, the most frequent first."""
    return sample_search.metadata_keys()


@asked
def one(name: str) -> Sample:
    """Return a sample.

    Raises:
        NotFoundError: There is none of this name.
    """
    return samples.by_name(name)


@asked
def some(identity: Any) -> Sample:
    """Return the sample with an id."""
    return by_id(Sample, identity)


@dataclass(frozen=True)
class Relatives:
    """Samples by name, the first ``SHOWN`` of them."""

    names: list[str]
    more: int
    """How many there are beyond those named."""


@dataclass(frozen=True)
class Around:
    """What a sample has to do with."""

    cells: list[str]
    tests: list[TestResult]
    """The newest ``SHOWN``."""
    test_count: int
    made_from_it: Relatives
    part_of: dict[str, Relatives]
    """By role."""


@asked
def around(sample: Sample) -> Around:
    """Return cells, tests, and samples that were made from a sample or hold it."""
    tests = visible(TestResult).filter(sample=sample.id)
    shown = tests.only("id", "name", "cell_code", "tester", "channel", "test_type", "started_at", "cycle_count")
    children, *parts = [_relatives(role, sample) for role in RELATIVES]
    newest = list(shown.order_by("-started_at").limit(SHOWN))
    part_of = dict(zip(RELATIVES[1:], parts, strict=True))
    return Around(sorted(tests.distinct("cell_code")), newest, tests.count(), children, part_of)


def _relatives(role: str, sample: Sample) -> Relatives:
    found = visible(Sample).filter(**{role: sample.id})
    names = list(found.order_by("name").limit(SHOWN).scalar("name"))
    return Relatives(names, found.count() - len(names) if len(names) == SHOWN else 0)


def values(sample: Sample) -> dict[str, str]:
    """Return what a person can edit of a sample, as texts by field; metadata as ``metadata.KEY``."""
    plain = {name: getattr(sample, name) for name in ("name", *PROPERTIES)}
    relatives = {role: getattr(getattr(sample, role), "name", None) for role in RELATIVES}
    metadata = {f"metadata.{key}": value for key, value in sample.metadata.items()}
    known = {**plain, **relatives, "tags": ", ".join(sample.tags), **metadata}
    return {name: written(value) for name, value in known.items()}


@asked
def change(name: str, wanted: Mapping[str, Any], author: str | None, seen: Mapping[str, str]) -> Sample:
    """Set fields of a sample that exists, by name or ``metadata.KEY``; an empty value clears one.

    Args:
        name: Of the sample.
        wanted: What is set, by field.
        author: Who sets it.
        seen: What the fields held, as ``values`` has it, when their reader began.

    Raises:
        NotFoundError: No such sample, or a component names one that does not exist.
        InvalidDocumentError: A value does not fit its field.
        ConflictError: Somebody else has changed one of the fields since.
    """
    changed = samples.set_fields(store(), name, wanted, author or None, seen=seen)
    added.forget()
    return changed


@asked
def edit(typed: Edit) -> None:
    """Set one field of a sample, as somebody typed it into a cell of a table.

    Raises:
        NotFoundError: No such sample, or a component names one that does not exist.
        InvalidDocumentError: The value does not fit the field.
        ConflictError: Somebody else has changed the field since.
    """
    name, seen = by_id(Sample, typed.row).name, {typed.field: written(typed.seen)}
    samples.set_fields(store(), name, {typed.field: typed.value}, typed.author, seen=seen)


@asked
def row(identity: str) -> dict[str, Any]:
    """Return one sample as a row of a table.

    Raises:
        NotFoundError: No such sample.
    """
    return _plain(next(sample_search.rows(SampleQuery(where=[{"_id": by_id(Sample, identity).id}]))))


@asked
def create(name: str, author: str | None) -> Sample:
    """Make a sample.

    Raises:
        InvalidDocumentError: The name is empty, or taken.
    """
    return samples.create(store(), name, author or None)


@asked
def add_note(name: str, text: str, author: str | None) -> Sample:
    """Add a note to a sample.

    Raises:
        InvalidDocumentError: The note is empty.
    """
    return samples.add_note(name, text, author or None)


@asked
def changes(sample: Sample) -> list[Change]:
    """Return what people changed of a sample, newest first."""
    return history.of(sample.id)


@asked
def lacking(wanted: SampleQuery, fields: Sequence[str]) -> tuple[dict[str, int], int]:
    """Return of how many samples each field is empty, and how many samples there are."""
    return sample_search.lacking(wanted, fields)
