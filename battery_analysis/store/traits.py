"""Conditions on any property of samples and tests, and what fits them: a filter that people build and keep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from mongoengine import QuerySet

from battery_analysis.errors import InvalidDocumentError
from battery_analysis.models import Sample, TestResult
from battery_analysis.store.access import visible
from battery_analysis.store.sample_search import AGGREGATES, PROPERTIES, RELATIVES, metadata_keys
from battery_analysis.store.samples import NUMBERS

Subject = Literal["sample", "test"]
Kind = Literal["text", "number", "day", "any", "sample", "yes"]

OPERATORS = {
    "is": "is",
    "not": "is not",
    "has": "contains",
    "begins": "begins with",
    "lt": "<",
    "le": "≤",
    "gt": ">",
    "ge": "≥",
    "known": "is known",
    "empty": "is empty",
}
"""How operators are written for people."""

WITHOUT_VALUE = frozenset({"known", "empty"})

_BY_OTHERS: Mapping[Subject, tuple[str, type[Sample | TestResult], str]] = {
    "sample": ("_id", TestResult, "sample"),
    "test": ("sample", Sample, "_id"),
}
"""How the others tell what is looked for: its field, the others, and the field of theirs that it equals."""

_OF_KIND: Mapping[Kind, tuple[str, ...]] = {
    "text": ("is", "not", "has", "begins", "known", "empty"),
    "number": ("lt", "le", "gt", "ge", "is", "known", "empty"),
    "day": ("lt", "le", "gt", "ge", "is", "known", "empty"),
    "any": tuple(OPERATORS),
    "sample": ("is", "not", "known", "empty"),
    "yes": ("is", "known", "empty"),
}
_ORDER = {"lt": "$lt", "le": "$lte", "gt": "$gt", "ge": "$gte"}
_EMPTY: list[Any] = [None, "", []]

_TEXTS_OF_TEST = (
    *("name", "cell_code", "tester", "device", "channel", "test_type", "technique", "protocol", "operator", "comment"),
    *("software", "reader", "cycle_method", "efficiency_convention", "tags", "quality_flags.name", "warnings"),
)
_NUMBERS_OF_TEST = (
    *("cycle_count", "record_count", "duration_second", "initial_capacity_ah", "final_capacity_ah"),
    *("capacity_retention", "mean_coulombic_efficiency", "mean_energy_efficiency", "mean_voltage_efficiency"),
    *("median_internal_resistance_ohm", "cycle_life_80", "throughput_ah", "throughput_wh", "gap_cycles"),
    *("nominal_capacity_ah", "active_mass_gram", "temperature_celsius"),
)

_KINDS: Mapping[Subject, Mapping[str, Kind]] = {
    "sample": {
        "name": "text",
        **{name: "number" if name in NUMBERS else "text" for name in PROPERTIES},
        "tags": "text",
        **dict.fromkeys(RELATIVES, "sample"),
        **{f"aggregates.{name}": "day" if name == "last_started_at" else "number" for name in AGGREGATES},
        "created_at": "day",
        "updated_at": "day",
    },
    "test": {
        **dict.fromkeys(_TEXTS_OF_TEST, "text"),
        **dict.fromkeys(_NUMBERS_OF_TEST, "number"),
        **dict.fromkeys(("started_at", "ended_at", "created_at", "edited_at"), "day"),
        "finished": "yes",
    },
}


@dataclass(frozen=True)
class Condition:
    """A property, how it is compared, and with what."""

    subject: Subject
    field: str
    """Of the sample or test; ``metadata.KEY`` for what people added."""
    operator: str
    """A key of ``OPERATORS``."""
    value: str = ""

    def __post_init__(self) -> None:
        if self.subject not in get_args(Subject):
            raise InvalidDocumentError(f"condition: sample or test wanted, got {self.subject!r}")
        allowed = operators(self.subject, self.field)
        if self.operator not in allowed:
            raise InvalidDocumentError(f"{self.field}: one of {', '.join(allowed)} wanted, got {self.operator!r}")
        if self.operator not in WITHOUT_VALUE and not self.value.strip():
            raise InvalidDocumentError(f"{self.field} {OPERATORS[self.operator]}: a value is wanted")
        self.wanted()

    @classmethod
    def read(cls, text: str) -> Condition:
        """Return what ``str`` of a condition says.

        Raises:
            InvalidDocumentError: It says no condition.

        Example:
            >>> Condition.read("sample.area_cm2|gt|1.5")
            Condition(subject='sample', field='area_cm2', operator='gt', value='1.5')
        """
        property_, _, rest = text.partition("|")
        operator, _, value = rest.partition("|")
        subject, _, field = property_.partition(".")
        return cls(subject, field, operator, value)  # type: ignore[arg-type] # checked by the class itself

    def __str__(self) -> str:
        return f"{self.subject}.{self.field}|{self.operator}|{self.value}"

    def wanted(self) -> dict[str, Any]:
        """Return the condition as MongoDB has it.

        Raises:
            InvalidDocumentError: The value is no number, or no day.
        """
        if self.operator == "empty":
            return {self.field: {"$in": _EMPTY}}
        if self.operator == "known":
            return {self.field: {"$exists": True, "$nin": _EMPTY}}
        value = self.value.strip()
        match kind_of(self.subject, self.field):
            case "number":
                return {self.field: _compared(self.operator, _number(self.field, value))}
            case "day":
                return {self.field: _on_days(self.operator, _day(self.field, value))}
            case "yes":
                return {self.field: value.lower() in ("yes", "true", "1")}
            case "any":
                return self._added(value)
            case "sample":
                return self._relative(value)
        return {self.field: _of_text(self.operator, value)}

    def _relative(self, name: str) -> dict[str, Any]:
        identities = list(visible(Sample).filter(name=name).scalar("id"))
        return {self.field: {"$in" if self.operator == "is" else "$nin": identities}}

    def _added(self, value: str) -> dict[str, Any]:
        """Compare what people added: it may be a text or a number, whichever way it was typed."""
        if self.operator in ("has", "begins"):
            return {self.field: _of_text(self.operator, value)}
        try:
            number: float | None = _number(self.field, value)
        except InvalidDocumentError:
            number = None
        if self.operator in ("is", "not"):
            same = [value, *([number] if number is not None else [])]
            return {self.field: {"$in" if self.operator == "is" else "$nin": same}}
        held: Any = {"$convert": {"input": f"${self.field}", "to": "double", "onError": None, "onNull": None}}
        if number is None:
            raise InvalidDocumentError(f"{self.field}: a number is wanted, got {value!r}")
        return {"$expr": {"$and": [{"$ne": [held, None]}, {_ORDER[self.operator]: [held, number]}]}}


def operators(subject: Subject, field: str) -> tuple[str, ...]:
    """Return the operators that a property can be compared with.

    Raises:
        InvalidDocumentError: There is no such property.
    """
    return _OF_KIND[kind_of(subject, field)]


def kind_of(subject: Subject, field: str) -> Kind:
    """Return what a property holds.

    Raises:
        InvalidDocumentError: There is no such property.
    """
    if field in _KINDS[subject]:
        return _KINDS[subject][field]
    key = field.removeprefix("metadata.")
    if key and key != field and not key.startswith("$") and "\0" not in key:
        return "any"
    raise InvalidDocumentError(f"no property {field!r} of a {subject}; there are {', '.join(_KINDS[subject])}")


def properties(subject: Subject) -> list[str]:
    """Return the properties of samples or of tests, without what people added."""
    return list(_KINDS[subject])


def added_keys(subject: Subject, most: int = 100) -> list[str]:
    """Return the keys of what people added to samples or tests, the most frequent first."""
    return metadata_keys(Sample if subject == "sample" else TestResult, most)


def values(subject: Subject, field: str, most: int = 100) -> list[str]:
    """Return values that a property has, for whoever looks for one; none for numbers and days."""
    kind = kind_of(subject, field)
    if kind == "sample":
        identities = visible(Sample).filter(**{f"{field}__ne": None}).distinct(field)
        return sorted(visible(Sample).filter(id__in=[each.id for each in identities][:most]).scalar("name"))
    if kind not in ("text", "any"):
        return []
    document = Sample if subject == "sample" else TestResult
    steps: list[dict[str, Any]] = [
        {"$unwind": f"${field.partition('.')[0]}"} if field in ("tags", "warnings", "quality_flags.name") else {},
        {"$group": {"_id": f"${field}", "count": {"$sum": 1}}},
        {"$sort": {"count": -1, "_id": 1}},
        {"$limit": most},
    ]
    found = visible(document).aggregate([step for step in steps if step])
    return [str(row["_id"]) for row in found if row["_id"] not in _EMPTY]


def matching(subject: Subject, conditions: Sequence[Condition], *, every: bool = True) -> list[dict[str, Any]]:
    """Return what samples or tests must satisfy.

    Conditions on tests are satisfied by a sample of which one test satisfies all; those on samples by a test of such a
    sample.

    Args:
        subject: What is looked for.
        conditions: What shall hold.
        every: Whether all of them must hold, or one is enough.
    """
    own = [each.wanted() for each in conditions if each.subject == subject]
    theirs = [each.wanted() for each in conditions if each.subject != subject]
    if theirs:
        field, document, link = _BY_OTHERS[subject]
        own.append({field: {"$in": _ids_in(visible(document).filter(__raw__=_joined(theirs, every)), link)}})
    return [_joined(own, every)] if own else []


def _ids_in(found: QuerySet, field: str) -> list[Any]:
    # Grouped rather than distinct: its answer may not be larger than one document.
    return [row["_id"] for row in found.aggregate([{"$group": {"_id": f"${field}"}}])]


def _joined(conditions: Sequence[dict[str, Any]], every: bool) -> dict[str, Any]:
    return {"$and" if every else "$or": list(conditions)}


def _of_text(operator: str, value: str) -> Any:
    if operator in ("has", "begins"):
        return {"$regex": ("^" if operator == "begins" else "") + re.escape(value), "$options": "i"}
    return {"$ne": value} if operator == "not" else value


def _compared(operator: str, value: Any) -> Any:
    return {_ORDER[operator]: value} if operator in _ORDER else value


def _number(field: str, text: str) -> float:
    """Return a number; ``80 %`` is 0.8."""
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = float("nan")
    if number - number != 0:
        raise InvalidDocumentError(f"{field}: a number is wanted, got {text!r}")
    return number / 100 if percent else number


def _day(field: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as exc:
        raise InvalidDocumentError(f"{field}: a day is wanted, YYYY-MM-DD, got {text!r}") from exc


def _on_days(operator: str, day: datetime) -> dict[str, Any]:
    """Compare moments with a whole day, UTC."""
    after = day + timedelta(days=1)
    return {
        "is": {"$gte": day, "$lt": after},
        "lt": {"$lt": day},
        "le": {"$lt": after},
        "gt": {"$gte": after},
        "ge": {"$gte": day},
    }[operator]
