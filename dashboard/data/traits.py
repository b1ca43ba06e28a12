"""Conditions on any property, and the samples and tests that fit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from battery_analysis.store import search, traits
from battery_analysis.store.sample_search import SampleQuery
from battery_analysis.store.traits import OPERATORS, WITHOUT_VALUE, Condition, Subject
from dashboard.data import asked, samples, tests

__all__ = ["OPERATORS", "WITHOUT_VALUE", "Condition"]

Of = Literal["tests", "samples"]

_SUBJECTS: tuple[Subject, ...] = ("sample", "test")
_HINTS = {"number": "a number", "day": "YYYY-MM-DD", "yes": "yes or no", "sample": "name of a sample"}


@asked
def properties() -> dict[str, str]:
    """Return all properties there are, with how they are written, by ``subject.field``."""
    return {
        f"{subject}.{field}": heading(subject, field)
        for subject in _SUBJECTS
        for field in (*traits.properties(subject), *(f"metadata.{key}" for key in traits.added_keys(subject)))
    }


def heading(subject: str, field: str) -> str:
    """Return how a property is written.

    Example:
        >>> heading("sample", "area_cm2"), heading("test", "capacity_retention"), heading("test", "metadata.rig")
        ('Sample: area / cm²', 'Test: capacity retention / %', 'Test: rig')
    """
    if field.startswith("metadata."):
        return f"{subject.capitalize()}: {field.removeprefix('metadata.')}"
    title, unit = samples.title({"quality_flags.name": "failed_check"}.get(field, field.removeprefix("aggregates.")))
    words, unit = title[0].lower() + title[1:], "%" if _is_share(field) else unit
    return f"{subject.capitalize()}: {words} / {unit}" if unit else f"{subject.capitalize()}: {words}"


def _is_share(field: str) -> bool:
    return not field.startswith("metadata.") and field.endswith(("_retention", "_efficiency"))


def described(condition: Condition) -> str:
    """Return a condition in words.

    Example:
        >>> described(Condition("test", "capacity_retention", "lt", "0.9"))
        'Test: capacity retention / % < 90'
    """
    words = f"{heading(condition.subject, condition.field)} {OPERATORS[condition.operator]}"
    value = condition.value.strip()
    if condition.operator in WITHOUT_VALUE:
        return words
    if not _is_share(condition.field):
        return f"{words} {value}"
    return f"{words} {value.removesuffix('%').strip() if value.endswith('%') else f'{100 * float(value):g}'}"


@asked
def read(texts: Sequence[str]) -> list[Condition]:
    """Return conditions from an address.

    Raises:
        InvalidDocumentError: One of them says no condition.
    """
    return [Condition.read(text) for text in texts]


@asked
def built(property_: str, operator: str, value: str) -> Condition:
    """Return a condition from what somebody chose and typed; shares are typed in percent, as tables show them.

    Raises:
        InvalidDocumentError: The value does not fit the property, or is missing.
    """
    subject, _, field = property_.partition(".")
    condition = Condition(subject, field, operator, "" if operator in WITHOUT_VALUE else value.strip())  # type: ignore[arg-type]
    if not condition.value or not _is_share(field) or condition.value.endswith("%"):
        return condition
    return replace(condition, value=f"{condition.value} %")


@asked
def operators(property_: str) -> dict[str, str]:
    """Return how a property can be compared."""
    subject, _, field = property_.partition(".")
    return {each: OPERATORS[each] for each in traits.operators(subject, field)}  # type: ignore[arg-type]


@asked
def values(property_: str) -> tuple[list[str], str]:
    """Return values that a property has, and what may be typed."""
    subject, _, field = property_.partition(".")
    hint = "percent" if _is_share(field) else _HINTS.get(traits.kind_of(subject, field), "")  # type: ignore[arg-type]
    return traits.values(subject, field), hint  # type: ignore[arg-type]


@asked
def found(
    of: Of, conditions: Sequence[Condition], *, every: bool, sort: str | None, first: int, last: int | None
) -> tuple[list[dict[str, Any]], int, bool]:
    """Return the tests or samples that fit, from ``first`` to before ``last``, how many do, and if more than those."""
    if of == "samples":
        where = traits.matching("sample", conditions, every=every)
        return (*samples.listed(SampleQuery(where=where, sort=sort or "name"), first, last), False)
    where = traits.matching("test", conditions, every=every)
    return tests.listed(search.Query(where=where, sort=sort or "-started"), first, last)
