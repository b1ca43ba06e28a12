"""Scripts of the lab's own, each in its place."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html
from dash.development.base_component import Component

from dashboard import adhoc, links, parts
from dashboard.links import Given

PATH = "/adhoc"
TITLE = "Ad hoc analysis"
GROUP = "Think"


def layout(script: Given = None, **_: Given) -> Component:
    """Return the page with the script that the address names, else the first."""
    found = adhoc.scripts()
    if not found:
        how = "Put a Python file with a function layout() into the folder that the setting adhoc_scripts names."
        return parts.page(TITLE, parts.empty("There are no scripts.", how))
    names = {each.name: each.title for each in found}
    chosen = links.text(script) or next(iter(names))
    tabs = parts.segmented(links.control("adhoc", "script"), "Script", names, chosen)
    return parts.page(
        TITLE,
        tabs,
        html.Div(id="adhoc-place"),
        subtitle="Files with a layout() on the server, put there by whoever runs it.",
    )


def show(name: str | None) -> Component:
    """Show what a script draws."""
    return adhoc.drawn(name or "")


def _failed(error: Exception) -> Any:
    parts.log(error, "an ad hoc script failed")
    return parts.problem(error)


def register_callbacks(app: Dash) -> None:
    """Wire the choice of scripts, and the scripts themselves."""
    chosen = Input(links.control("adhoc", "script"), "value")
    app.callback(Output("adhoc-place", "children"), chosen, on_error=_failed)(show)
    adhoc.register_callbacks(app)
