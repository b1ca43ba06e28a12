"""What stands around every page: side bar, top bar, place for messages."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from dash import dcc, html, set_props
from dash.development.base_component import Component

from dashboard import parts
from dashboard.pages import GROUPS, Page


def layout(pages: Sequence[Page]) -> Component:
    """Return the shell; the page itself is drawn into ``#page``."""
    return html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="route"),
            dcc.Store(id="page-title"),
            dcc.Store(id="arrived"),
            html.A("Skip to the content", href="#page", className="skip-link"),
            _top_bar(),
            _side_bar(pages),
            html.Div(className="backdrop", **{"data-action": "close-nav"}),
            html.Main([], id="page", tabIndex="-1", className="main"),
            html.Div(id="messages", className="messages", role="status", **{"aria-live": "polite"}),
        ],
        className="shell",
    )


def _top_bar() -> Component:
    menu = html.Button(
        parts.icon("menu"),
        className="icon-button only-narrow",
        **{"data-action": "toggle-nav", "aria-label": "Menu", "aria-controls": "side-bar", "aria-expanded": "false"},
    )
    search = html.Form(
        [
            html.Label("Search tests", htmlFor="search", className="visually-hidden"),
            parts.icon("search"),
            dcc.Input(id="search", name="text", type="search", placeholder="Search tests", autoComplete="off"),
            html.Kbd("/", className="only-wide"),
        ],
        role="search",
        className="search",
        action="/tests",
        method="get",
        **{"data-action": "search"},
    )
    theme = html.Button(
        [parts.icon("sun"), parts.icon("moon")],
        id="theme-switch",
        className="icon-button theme-switch",
        **{"data-action": "toggle-theme", "aria-label": "Dark theme", "aria-pressed": "false"},
    )
    home = dcc.Link([parts.icon("cell"), html.Span("battery-analysis")], href="/", className="brand")
    return html.Header([menu, home, search, theme], className="top-bar")


def _side_bar(pages: Sequence[Page]) -> Component:
    listed = [page for page in pages if page.GROUP is not None]
    groups = itertools.groupby(sorted(listed, key=lambda page: GROUPS.index(page.GROUP)), key=lambda page: page.GROUP)
    return html.Nav(
        [
            html.Div(
                [
                    html.H2(group, id=f"nav-{group}", className="nav-group"),
                    html.Ul(
                        [html.Li(dcc.Link(page.TITLE, href=page.PATH, className="nav-item")) for page in members],
                        **{"aria-labelledby": f"nav-{group}"},
                    ),
                ]
            )
            for group, members in groups
        ],
        id="side-bar",
        className="side-bar",
        **{"aria-label": "Pages"},
    )


def report(error: Exception) -> Any:
    """Say in the corner that a callback failed, until somebody closes it or goes elsewhere; all else stays as it is."""
    parts.log(error, "a callback failed")
    close = html.Button("Close", type="button", className="button plain", **{"data-action": "close-message"})
    set_props("messages", {"children": html.Div([parts.problem(error), close], className="message")})
