"""What a filter lets through, counted by the values of one property: a table above the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import parts

_MEANS = {
    "mean_initial_capacity_ah": "Mean initial capacity / Ah →",
    "mean_capacity_retention": "Mean retention / % →",
    "mean_coulombic_efficiency": "Mean coulombic efficiency / % →",
}


class Group(Protocol):
    """Things that have one value in common; its counts are further attributes."""

    @property
    def value(self) -> str | None:
        """What they have in common; None where nobody has said."""

    @property
    def mean_initial_capacity_ah(self) -> float | None:
        """In Ah."""

    @property
    def mean_capacity_retention(self) -> float | None:
        """Last to first."""

    @property
    def mean_coulombic_efficiency(self) -> float | None:
        """As a ratio."""


def card(
    by: str, what: str, groups: Sequence[Group], counts: Sequence[str], address: Callable[[str], str]
) -> Component:
    """Return a table of groups.

    Args:
        by: The property, as people write it.
        what: What is counted, such as ``tests``.
        groups: In their order.
        counts: Attributes of a group that are numbers of things.
        address: Returns where the members of a group are, by its value.
    """
    headings = {"value": by, **{name: f"{name.capitalize()} →" for name in counts}, **_MEANS}
    rows = [
        {
            "value": dcc.Link(each.value, href=address(each.value))
            if each.value
            else html.Span("not stated", className="hint"),
            **{name: f"{getattr(each, name):,}" for name in counts},
            **_means(each),
        }
        for each in groups
    ]
    if not rows:
        return parts.card(f"By {by.lower()}", parts.empty(f"No {what} fit these filters."))
    table = parts.table(f"Groups of {what}", headings, rows)
    return parts.card(f"By {by.lower()}", html.Div(table, className="scroll", tabIndex="0"))


def _means(group: Group) -> Mapping[str, str]:
    return {
        "mean_initial_capacity_ah": parts.quantity(group.mean_initial_capacity_ah),
        "mean_capacity_retention": _percent(group.mean_capacity_retention),
        "mean_coulombic_efficiency": _percent(group.mean_coulombic_efficiency),
    }


def _percent(ratio: float | None) -> str:
    return parts.UNKNOWN if ratio is None else f"{ratio * 100:.2f}"
