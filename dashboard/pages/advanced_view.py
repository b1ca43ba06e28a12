"""What every analysis of the page is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import links, parts
from dashboard.background import Work
from dashboard.data import subjects
from dashboard.data.subjects import SeveralTestsError, Subject
from dashboard.links import Given

PAGE = "advanced"
PATH = "/advanced"

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

    def begun(self, *values: Any) -> Work | Component:
        """Begin with the values of the controls; where one test of several is wanted, offer them with these values."""
        try:
            return self.begin(*values)
        except SeveralTestsError as exc:
            given = dict(zip((*self.about, *self.options), values, strict=True))
            return _choice(str(exc), {**given, "view": self.name})


def _choice(what: str, selected: dict[str, Any]) -> Component:
    named = subjects.tests_of_cell(selected["cell"])
    tests = [
        html.Li(dcc.Link(name, href=links.href(PATH, **{**selected, "test": test}))) for test, name in named.items()
    ]
    cut = parts.note(f"The first {len(tests)} are listed.") if len(tests) == subjects.MOST_TESTS else None
    return html.Div(
        [html.P(f"{what[:1].upper()}{what[1:]}:"), html.Ul(tests, className="stack"), cut], className="empty"
    )


def id_of(name: str) -> dict[str, str]:
    """Return the id of a control of the page."""
    return links.control(PAGE, name)


def subject(cell: str | None, test: str | None) -> Subject:
    """Return what is analysed.

    A test of another cell, as it is still chosen at the moment when the cell changes, does not count.
    """
    return subjects.chosen(cell, test if test in subjects.tests_of_cell(cell) else None)
