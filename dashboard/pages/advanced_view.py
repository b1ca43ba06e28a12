"""What every analysis of the page is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dash.development.base_component import Component

from dashboard import links
from dashboard.background import Work
from dashboard.data import subjects
from dashboard.data.subjects import Subject
from dashboard.links import Given

PAGE = "advanced"

Query: TypeAlias = Mapping[str, Given]


@dataclass(frozen=True)
class View:
    """One analysis: its options, and what is to be calculated."""

    name: str
    """As the address writes it."""
    title: str
    controls: Callable[[Query], Sequence[Component]]
    """Returns its options as the address holds them."""
    options: tuple[str, ...]
    """Names of the controls whose values ``begin`` gets after those of ``about``."""
    begin: Callable[..., Work | Component]
    about: tuple[str, ...] = ("cell", "test")

    @property
    def is_of_one(self) -> bool:
        """Whether it is about one cell or test."""
        return "cell" in self.about


def id_of(name: str) -> dict[str, str]:
    """Return the id of a control of the page."""
    return links.control(PAGE, name)


def subject(cell: str | None, test: str | None) -> Subject:
    """Return what is analysed.

    A test of another cell, as it is still chosen at the moment when the cell changes, does not count.
    """
    return subjects.chosen(cell, test if test in subjects.tests_of_cell(cell) else None)
