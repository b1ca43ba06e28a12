"""Every page, in the order of the side bar. A new page is a module here and a word in ``PAGES``."""

from __future__ import annotations

from typing import Any, Protocol, cast

from dash import Dash
from dash.development.base_component import Component

from dashboard.pages import (
    adhoc,
    advanced,
    cell,
    compare,
    cycles,
    differential,
    eis,
    flags,
    import_,
    logs,
    missing,
    overview,
    plans,
    raw_files,
    sample,
    samples,
    series,
    test,
    tests,
    traits,
    watchers,
)

WATCH, FIND, LOOK, THINK = GROUPS = ("Watch", "Find", "Look", "Think")


class Page(Protocol):
    """What a page's module has."""

    PATH: str
    """Where it is; ``/test/<test_id>`` hands ``test_id`` to its layout."""
    TITLE: str
    GROUP: str | None
    """Where the side bar lists it; None: it is reached from other pages."""

    def layout(self, **query: Any) -> Component:
        """Return the page for what the address holds; raise and the reason stands in its place."""
        ...

    def register_callbacks(self, app: Dash) -> None:
        """Wire its controls to its functions."""
        ...


PAGES = cast(
    "tuple[Page, ...]",
    (
        overview,
        import_,
        watchers,
        logs,
        samples,
        tests,
        cell,
        raw_files,
        traits,
        missing,
        flags,
        cycles,
        series,
        compare,
        differential,
        eis,
        advanced,
        plans,
        adhoc,
        test,
        sample,
    ),
)
