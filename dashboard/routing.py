"""From the address to a page.

One callback on the address instead of Dash's own pages: those draw a page anew whenever its query changes, also when it
was the page itself that wrote its selection there, and keep their registry in a global of the process.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from dash import ClientsideFunction, Dash, Input, Output, ctx, dcc, html
from dash.development.base_component import Component

from dashboard import links, parts
from dashboard.pages import PAGES, Page


def find(path: str) -> tuple[Page, dict[str, str]] | None:
    """Return the page of a path and what its template names, such as ``test_id`` in ``/test/<test_id>``."""
    for page in PAGES:
        pattern = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", page.PATH)
        found = re.fullmatch(pattern, path.rstrip("/") or "/")
        if found:
            return page, {name: unquote(value) for name, value in found.groupdict().items()}
    return None


def show(route: dict[str, str]) -> tuple[Component, str]:
    """Draw the page that the address names, and its title."""
    found = find(route["path"])
    if found is None:
        return parts.page("Not found", parts.empty(f"There is no page {route['path']}.", _ways_on())), ""
    page, named = found
    return page.layout(**{**links.read(route["search"]), **named}), page.TITLE


def _ways_on() -> list[Any]:
    return [dcc.Link("All tests", href="/tests"), ", ", dcc.Link("all samples", href="/samples"), ", or the side bar."]


def show_failure(error: Exception) -> tuple[Component, str]:
    """Draw what went wrong in the page's own place, and offer the page without what the address chose."""
    parts.log(error, "a page could not be drawn")
    route = ctx.inputs["route.data"]
    found = find(route["path"]) if route["search"] else None
    way_out = html.P(html.A(f"{found[0].TITLE} without this choice", href=route["path"]) if found else _ways_on())
    return parts.page("This page could not be shown", parts.problem(error), way_out), "Error"


def register_callbacks(app: Dash) -> None:
    """Wire the address to the page."""
    app.clientside_callback(
        ClientsideFunction("dashboard", "route"),
        Output("route", "data"),
        Input("url", "pathname"),
        Input("url", "search"),
    )
    drawn: Any = (Output("page", "children"), Output("page-title", "data"))
    app.callback(*drawn, Input("route", "data"), prevent_initial_call=True, on_error=show_failure)(show)
    app.clientside_callback(
        ClientsideFunction("dashboard", "arrive"),
        Output("arrived", "data"),
        Input("page-title", "data"),
        prevent_initial_call=True,
    )
