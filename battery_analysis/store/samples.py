"""Samples: made when their first test arrives or when a person describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from math import isfinite, nan
from typing import Any

from bson import ObjectId
from bson.errors import BSONError
from mongoengine import FloatField, NotUniqueError, ReferenceField
from mongoengine.base import BaseField
from mongoengine.errors import SaveConditionError

from battery_analysis.errors import ConflictError, InvalidDocumentError, NotFoundError, StoreError
from battery_analysis.models import Note, Sample, SampleAggregates, TestResult, checked, now
from battery_analysis.models.base import can_name_entry
from battery_analysis.store import history, tests
from battery_analysis.store.access import visible
from battery_analysis.store.connection import Store
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.words import words_of, words_of_sample

TRIES = 20

_NOT_BY_HAND = frozenset(
    {
        "id",
        "created_at",
        "updated_at",
        "created_by",
        "created_in",
        "aggregates",
        "notes_log",
        "default_dataset",
        "words",
    }
)
EDITABLE: tuple[str, ...] = tuple(name for name in Sample._fields_ordered if name not in _NOT_BY_HAND)

NUMBERS = frozenset(name for name in EDITABLE if isinstance(Sample._fields[name], FloatField))
"""Fields that hold a number."""

# Headings that sheets use; compared in lower case with everything but letters and digits left out.
_ALIASES = {
    "sample": "name",
    "samplename": "name",
    "sampleid": "name",
    "cell": "name",
    "cellid": "name",
    "cellname": "name",
    "barcode": "name",
    "nominalcapacity": "nominal_capacity_ah",
    "capacity": "nominal_capacity_ah",
    "capacityah": "nominal_capacity_ah",
    "ratedcapacityah": "nominal_capacity_ah",
    "area": "area_cm2",
    "electrodearea": "area_cm2",
    "electrodeareacm2": "area_cm2",
    "thickness": "thickness_um",
    "thicknessmicron": "thickness_um",
    "volume": "volume_cm3",
    "mass": "mass_g",
    "massgram": "mass_g",
    "activemass": "active_mass_mg",
    "activematerialmassmg": "active_mass_mg",
    "loading": "loading_mg_cm2",
    "arealloadingmgcm2": "loading_mg_cm2",
    "chem": "chemistry",
    "format": "form_factor",
    "type": "cell_type",
    "supplier": "manufacturer",
    "notes": "description",
    "comment": "description",
}


def by_name(name: str) -> Sample:
    """Return the sample with this name.

    Raises:
        NotFoundError: There is none.
    """
    found: Sample | None = visible(Sample).filter(name=name).first()
    if found is None:
        raise NotFoundError(f"no sample is named {name!r}")
    return found


def get_or_create(name: str, labels: Labels | None = None) -> Sample:
    """Return the sample with this name, made if it does not exist; it gets what it lacks of the labels.

    Operator and device of an import are kept in the sample's metadata. What people set stays.

    Raises:
        InvalidDocumentError: The name cannot be that of a sample.
        ConflictError: Other processes changed it again and again meanwhile.
    """
    sample: Sample | None = visible(Sample).filter(name=name).first()
    if sample is None:
        sample = _new(name, labels or Labels())
        checked(sample)
        try:
            sample.save(force_insert=True, validate=False)
        except NotUniqueError:  # made by another importer just now
            sample = by_name(name)
    if labels is not None:
        _label(sample, labels)
    return sample


def _new(name: str, labels: Labels) -> Sample:
    """Return a sample that has all of its labels from the moment it is made: later changes are those of others."""
    moment = now()
    sample = Sample(
        name=name,
        created_at=moment,
        updated_at=moment,
        created_in=labels.import_job,
        project=labels.project,
        tags=list(dict.fromkeys(labels.tags)),
        metadata=_said(labels),
    )
    sample.words = words_of_sample(sample)
    return sample


def _said(labels: Labels) -> dict[str, Any]:
    said = {"operator": labels.operator, "device": labels.device, **labels.metadata}
    return {key: value for key, value in said.items() if value is not None}


def _label(sample: Sample, labels: Labels) -> None:
    """Add what a sample lacks; again, if another process has changed it meanwhile."""
    said = _said(labels)
    if said.keys() <= sample.metadata.keys() and set(labels.tags) <= set(sample.tags):
        return
    words = {word for text in (*labels.tags, *map(str, said.values())) for word in words_of(text)}
    tags = {"$addToSet": {"tags": {"$each": list(labels.tags)}, "words": {"$each": sorted(words)}}}
    for _ in range(TRIES):
        known: Any = visible(Sample).filter(id=sample.id).only("metadata").as_pymongo().first() or {}
        metadata = {**said, **known.get("metadata", {})}
        as_read = {"_id": sample.id, "metadata": known.get("metadata")}
        kept = {"$set": {"metadata": metadata, "updated_at": now()}}
        if Sample._get_collection().update_one(as_read, {**tags, **kept}).matched_count:
            sample.tags, sample.metadata = list(dict.fromkeys([*sample.tags, *labels.tags])), metadata
            return
    raise ConflictError(f"sample {sample.name!r}: other processes changed it again and again meanwhile")


def set_fields(
    store: Store,
    name: str,
    values: Mapping[str, Any],
    author: str | None = None,
    *,
    seen: Mapping[str, str] | None = None,
) -> Sample:
    """Set fields of a sample, made if it does not exist; its tests follow, and its history tells who changed what.

    Keys are field names or their aliases; ``metadata.KEY`` sets an entry of the metadata. An empty
    value clears the field. ``parent``, ``anode``, ``cathode``, ``separator`` and ``electrolyte`` take
    the name of a sample, ``tags`` words separated by commas.

    Args:
        store: Where it is kept.
        name: Of the sample.
        values: What is set, by field.
        author: Who sets it.
        seen: What the fields held, as ``history.written`` writes it, when whoever changes them looked; the sample has
            to exist then, and nothing is changed where somebody else has changed one of them since.

    Raises:
        InvalidDocumentError: No such field, or a value that does not fit it.
        NotFoundError: A component names a sample that does not exist, or there is none of this name to be changed.
        ConflictError: A field does not hold any longer what was ``seen``.
    """
    try:
        existing: Sample | None = by_name(name) if seen is not None else visible(Sample).filter(name=name).first()
        sample = existing or Sample(name=name, created_by=author)
        before = _state(sample, values) if existing else {}
        as_read = _as_read(sample, before)
        with_fields(sample, values).updated_at = now()
        after = _state(sample, values)
        if seen is not None:
            history.refuse_changed(f"Sample {name!r}", before, after, seen)
        sample.save(validate=False, save_condition={"__raw__": as_read} if seen is not None else None)
    except SaveConditionError as exc:
        raise ConflictError(f"Sample {name!r}: somebody else changed it just now; nothing of yours is stored") from exc
    except NotUniqueError as exc:
        raise InvalidDocumentError(f"Sample {name!r}: another sample is already named {sample.name!r}") from exc
    except (BSONError, OverflowError, UnicodeEncodeError) as exc:  # a number or text that no database holds
        raise InvalidDocumentError(f"Sample {name!r}: cannot be stored: {exc}") from exc
    history.record(sample.id, before, after, author)
    tests.follow_sample(store, sample)
    return sample


def with_fields(sample: Sample, values: Mapping[str, Any]) -> Sample:
    """Return a sample with fields set as ``set_fields`` does, not stored yet.

    Raises:
        InvalidDocumentError: No such field, or a value that does not fit it.
        NotFoundError: A component names a sample that does not exist.
    """
    for key, value in values.items():
        _set_field(sample, key, value)
    sample.words = words_of_sample(sample)
    checked(sample)
    return sample


def create(store: Store, name: str, author: str | None = None) -> Sample:
    """Make a sample.

    Raises:
        InvalidDocumentError: A sample has this name already, or it cannot be that of a sample.
    """
    name = name.strip()
    if visible(Sample).filter(name=name).first() is not None:
        raise InvalidDocumentError(f"Sample {name!r}: there is a sample of this name already")
    return set_fields(store, name, {}, author)


def add_note(name: str, text: str, author: str | None = None) -> Sample:
    """Add a note to a sample.

    Raises:
        NotFoundError: There is no such sample.
        InvalidDocumentError: The note is empty.
    """
    sample = by_name(name)
    note = Note(text=text.strip() or None, author=author)
    sample.notes_log.append(note)
    checked(sample)
    # In one step, so that a note which somebody else adds at the same time is not overwritten.
    added = {
        "$push": {"notes_log": note.to_mongo()},
        "$addToSet": {"words": {"$each": sorted(set(words_of(note.text)))}},
    }
    Sample._get_collection().update_one({"_id": sample.id}, {**added, "$set": {"updated_at": now()}})
    return by_name(name)


def set_many(
    store: Store, rows: Iterable[Mapping[str, Any]], author: str | None = None
) -> tuple[list[Sample], list[str]]:
    """Set the samples of a sheet, one per row, and return them with what was wrong in other rows.

    Empty cells leave a field as it is, empty rows are passed over.
    """
    done: list[Sample] = []
    problems: list[str] = []
    for number, row in enumerate(rows, start=1):
        filled = {field_name(key): value for key, value in row.items() if value not in (None, "")}
        if not filled:
            continue
        name = filled.pop("name", None)
        if isinstance(name, list | Mapping):
            problems.append(f"row {number}: a sample name is wanted, got {name!r}")
            continue
        if name is None:
            problems.append(f"row {number}: no sample name; the columns are {', '.join(map(str, row))}")
            continue
        try:
            done.append(set_fields(store, str(name).strip(), filled, author))
        except StoreError as exc:
            problems.append(f"row {number}: {exc}")
    return done, problems


def field_name(key: str) -> str:
    """Return the field that a heading means; a heading without one is returned as it is.

    >>> field_name("Area (cm2)"), field_name("Cell ID"), field_name("colour")
    ('area_cm2', 'name', 'colour')
    """
    if key in EDITABLE or key.startswith("metadata."):
        return key
    letters = "".join(char for char in key.lower().replace("µ", "u").replace("²", "2") if char.isalnum())
    for name in EDITABLE:
        if letters == name.replace("_", ""):
            return name
    return _ALIASES.get(letters, key)


def refresh_aggregates(sample_ids: Iterable[ObjectId]) -> None:
    """Recompute what the tests of these samples say together."""
    for sample_id in sample_ids:
        rows = list(
            visible(TestResult)
            .filter(sample=sample_id)
            .only(
                "revision",
                "started_at",
                "cycle_count",
                "initial_capacity_ah",
                "final_capacity_ah",
                "capacity_retention",
                "mean_coulombic_efficiency",
                "mean_energy_efficiency",
                "median_internal_resistance_ohm",
            )
            .as_pymongo()
        )
        Sample._get_collection().update_one({"_id": sample_id}, {"$set": {"aggregates": _aggregates(rows).to_mongo()}})


def refresh_left_behind() -> None:
    """Recompute samples whose aggregates do not count all their tests: an importer that died had no time for them."""
    sums = {"_id": "$sample", "tests": {"$sum": 1}, "revisions": {"$sum": "$revision"}}
    counted = {
        row["_id"]: (row["tests"], row["revisions"]) for row in visible(TestResult).aggregate([{"$group": sums}])
    }
    known = {
        row["_id"]: (row.get("aggregates", {}).get("test_count"), row.get("aggregates", {}).get("revisions"))
        for row in visible(Sample).only("aggregates.test_count", "aggregates.revisions").as_pymongo()
    }
    refresh_aggregates(identity for identity, found in counted.items() if known.get(identity) != found)


def _aggregates(rows: list[dict[str, Any]]) -> SampleAggregates:
    from statistics import fmean, median

    def known(name: str) -> list[Any]:
        return [row[name] for row in rows if row.get(name) is not None]

    def mean(name: str) -> float | None:
        values = known(name)
        return fmean(values) if values else None

    resistances, starts = known("median_internal_resistance_ohm"), known("started_at")
    return SampleAggregates(
        test_count=len(rows),
        revisions=sum(row["revision"] for row in rows),
        cycle_count=sum(known("cycle_count")),
        first_started_at=min(starts, default=None),
        last_started_at=max(starts, default=None),
        mean_initial_capacity_ah=mean("initial_capacity_ah"),
        mean_final_capacity_ah=mean("final_capacity_ah"),
        mean_capacity_retention=mean("capacity_retention"),
        mean_coulombic_efficiency=mean("mean_coulombic_efficiency"),
        mean_energy_efficiency=mean("mean_energy_efficiency"),
        median_internal_resistance_ohm=median(resistances) if resistances else None,
    )


def _state(sample: Sample, keys: Iterable[str]) -> dict[str, Any]:
    """Return what fields hold, as a history tells it."""
    state: dict[str, Any] = {}
    for name in map(field_name, keys):
        if name.startswith("metadata."):
            state[name] = sample.metadata.get(name.removeprefix("metadata."))
        elif name in EDITABLE:
            value = getattr(sample, name)
            state[name] = value.name if isinstance(value, Sample) else value
    return deepcopy(state)


def _as_read(sample: Sample, fields: Iterable[str]) -> dict[str, Any]:
    """Return what fields hold, as MongoDB compares it."""
    stored = sample.to_mongo()
    entries, plain = stored.get("metadata", {}), [name for name in fields if not name.startswith("metadata.")]
    keys = [name.removeprefix("metadata.") for name in fields if name.startswith("metadata.")]
    held = {name: stored.get(name) for name in plain} | {f"metadata.{key}": entries.get(key) for key in keys}
    # A list that was emptied is not stored at all, one that was never filled is stored empty.
    return {name: {"$in": [[], None]} if value == [] else value for name, value in held.items()}


def _set_field(sample: Sample, key: str, value: Any) -> None:
    name = field_name(key)
    if name.startswith("metadata."):
        entry = name.removeprefix("metadata.")
        if not entry:
            raise InvalidDocumentError(f"Sample {sample.name!r}: {key!r} names no entry; metadata.KEY is wanted")
        if not can_name_entry(entry):
            raise InvalidDocumentError(f"Sample {sample.name!r}: metadata: no entry can be named {entry!r}")
        if value is None or value == "":
            sample.metadata.pop(entry, None)
        else:
            sample.metadata[entry] = value
        return
    if name not in EDITABLE:
        raise InvalidDocumentError(f"Sample {sample.name!r}: no field {key!r}; there are {', '.join(EDITABLE)}")
    setattr(sample, name, _parsed(sample, name, Sample._fields[name], value))


def _parsed(sample: Sample, name: str, field: BaseField, value: Any) -> Any:
    if value is None or value == "":
        return [] if name == "tags" else None
    if isinstance(field, ReferenceField):
        return by_name(str(value))
    if isinstance(field, FloatField):
        return _number(sample, name, value)
    if name == "tags" and isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    if name in ("tags", "metadata"):
        return value
    if isinstance(value, list | Mapping):
        raise InvalidDocumentError(f"Sample {sample.name!r}: {name}: a text is wanted, got {value!r}")
    return str(value)


def _number(sample: Sample, name: str, value: Any) -> float:
    try:
        number = float("not a number" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        number = nan
    if not isfinite(number):
        raise InvalidDocumentError(f"Sample {sample.name!r}: {name}: a number is wanted, got {value!r}")
    return number
