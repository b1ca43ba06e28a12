"""Choices of cells and tests out of as many as there are: what is offered is searched by the server while one types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, State, dcc, no_update
from dash.development.base_component import Component

from dashboard import links, parts
from dashboard.data import lives
from dashboard.links import Given

ALL_TESTS = "All tests of the cell"

TestsOfCell = Callable[[str | None], dict[str, str]]
"""Returns the tests of a cell that are offered: names by id."""


def named_cell(query: Mapping[str, Given]) -> str | None:
    """Return the cell of the test or the cell that the address names, else the one tested last; None without any."""
    test = links.text(query.get("test"))
    return lives.cell_of(test) if test else links.text(query.get("cell")) or lives.newest_cell()


def nothing(title: str) -> Component:
    """Return a page of cells while there are none."""
    return parts.page(title, parts.empty("No test has cycles yet.", parts.to_import()))


def test_of(page: str, cell: str, chosen: str | None, offered: TestsOfCell = lives.tests_of_cell) -> Component:
    """Return a choice of one test of the chosen cell or of all, which the address of the page holds as ``?test=``."""
    return parts.select(links.control(page, "test"), "Test", offered(cell), chosen, every=ALL_TESTS)


def register_test_of(app: Dash, page: str, offered: TestsOfCell = lives.tests_of_cell) -> None:
    """Let a page offer the tests of another cell once it is chosen."""

    def offer(cell: str | None) -> tuple[Any, str]:
        return _options({"": ALL_TESTS, **offered(cell)}), ""

    app.callback(
        Output(links.control(page, "test"), "options"),
        Output(links.control(page, "test"), "value"),
        Input(links.control(page, "cell"), "value"),
        prevent_initial_call=True,
    )(offer)


def cell(page: str, chosen: str | None) -> Component:
    """Return a choice of one cell, which the address of the page holds as ``?cell=``."""
    options = list(dict.fromkeys([*([chosen] if chosen else []), *lives.cells()]))
    control = dcc.Dropdown(
        id=links.control(page, "cell"), options=options, value=chosen, clearable=False, placeholder="Type a cell code"
    )
    return parts.labelled("Cell", control)


def cells(page: str, chosen: Sequence[str]) -> Component:
    """Return a choice of several cells, which the address of the page holds as ``?cell=…&cell=…``."""
    options = list(dict.fromkeys([*chosen, *lives.cells()]))
    control = dcc.Dropdown(
        id=links.control(page, "cell"), options=options, value=list(chosen), multi=True, placeholder="Type cell codes"
    )
    return parts.labelled("Cells", control, roomy=True)


def tests(page: str, chosen: Sequence[str], *, label: str = "Single tests", with_cycles: bool = True) -> Component:
    """Return a choice of several tests, which the address of the page holds as ``?test=…&test=…``."""
    options = _options(lives.names(chosen) | lives.tests(with_cycles=with_cycles))
    control = dcc.Dropdown(
        id=links.control(page, "test"), options=options, value=list(chosen), multi=True, placeholder="Type words"
    )
    return parts.labelled(label, control, roomy=True)


def _options(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"label": label, "value": value} for value, label in named.items()]


def offer_cells(typed: str | None, chosen: Any) -> Any:
    """Offer cells whose code holds what is typed; those that are chosen stay among them."""
    if typed is None:
        return no_update
    return list(dict.fromkeys([*links.texts(chosen), *lives.cells(typed)]))


def offer_tests(typed: str | None, chosen: Any) -> Any:
    """Offer tests in which words begin as is typed; those that are chosen stay among them."""
    if typed is None:
        return no_update
    return _options(lives.names(links.texts(chosen)) | lives.tests(typed))


def offer_any_tests(typed: str | None, chosen: Any) -> Any:
    """Offer tests as ``offer_tests`` does, also those without cycles."""
    if typed is None:
        return no_update
    return _options(lives.names(links.texts(chosen)) | lives.tests(typed, with_cycles=False))


def register_callbacks(app: Dash, page: str, *names: str) -> None:
    """Wire the choices of a page.

    Args:
        app: The application.
        page: The page's word.
        names: ``cell`` and ``test``, or ``any test`` for those without cycles, too.
    """
    for name, offer in (("cell", offer_cells), ("test", offer_tests), ("any test", offer_any_tests)):
        if name in names:
            control = links.control(page, name.removeprefix("any "))
            app.callback(
                Output(control, "options"),
                Input(control, "search_value"),
                State(control, "value"),
                prevent_initial_call=True,
            )(offer)
