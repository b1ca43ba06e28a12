"""Saved views: a menu in which the selection of a page is kept under a name, found again, and removed.

A page puts ``views.menu(PATH)`` beside its title; ``register_callbacks`` wires the menus of all pages there are.
"""

from __future__ import annotations

from typing import Any

from dash import ALL, MATCH, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import links, parts
from dashboard.data import views


def menu(page: str) -> Component:
    """Return the menu of the saved views of a page.

    Args:
        page: The path of the page, whose controls have ids of ``links.control``.
    """
    return parts.menu(
        "Saved views",
        html.Div(_listed(page), id=_id("list", page), className="views"),
        parts.text_input(_id("name", page), "Keep this selection as", placeholder="name", at_once=True),
        parts.button("Save view", _id("save", page)),
        html.Div(id=_id("problem", page)),
    )


def _id(what: str, page: str | Any) -> dict[str, Any]:
    return {"type": f"view-{what}", "page-path": page}


def _listed(page: str) -> list[Component]:
    saved = views.of_page(page)
    if not saved:
        return [html.P("No view of this page is saved yet.", className="hint")]
    return [_line(page, each) for each in saved]


def _line(page: str, view: views.View) -> Component:
    remove = html.Button(
        "×",
        id={**_id("remove", page), "name": view.name},
        type="button",
        className="icon-button",
        **{"aria-label": f"Remove the view {view.name}"},
    )
    return html.Div([dcc.Link(view.name, href=links.href(page, **view.query)), remove], className="view")


def change(_: int | None, __: list[int | None], name: str | None, search: str | None) -> tuple[Any, Any, Any]:
    """Save the present selection or remove a view, whichever button was pressed, and return the menu's new content."""
    pressed = ctx.triggered_id
    if not pressed or not any(each["value"] for each in ctx.triggered):
        return no_update, no_update, no_update
    page = pressed["page-path"]
    try:
        if pressed["type"] == "view-save":
            if not (name or "").strip():
                return no_update, no_update, parts.problem("Give the view a name first.")
            views.save(page, name or "", {key: given for key, given in links.read(search).items() if given})
        else:
            views.delete(page, pressed["name"])
    except BatteryAnalysisError as exc:
        return _listed(page), no_update, parts.problem(exc)
    return _listed(page), "", None


def register_callbacks(app: Dash) -> None:
    """Wire the menus of all pages."""
    app.callback(
        Output(_id("list", MATCH), "children"),
        Output(_id("name", MATCH), "value"),
        Output(_id("problem", MATCH), "children"),
        Input(_id("save", MATCH), "n_clicks"),
        Input({**_id("remove", MATCH), "name": ALL}, "n_clicks"),
        State(_id("name", MATCH), "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )(change)
