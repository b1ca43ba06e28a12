"""Parts of a page that are drawn anew every few seconds, and sent only where they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, no_update
from dash.development.base_component import Component


def ticking(name: str, milliseconds: int = 2_000) -> list[Component]:
    """Return what the browser needs to look again: put it into the layout beside the part."""
    return [dcc.Interval(id=f"{name}-tick", interval=milliseconds), dcc.Store(id=f"{name}-seen")]


def register(app: Dash, name: str, place: Any, draw: Callable[..., Any], *states: State) -> None:
    """Draw a part of a page at every tick.

    Args:
        app: The application.
        name: As given to ``ticking``.
        place: Id of the element whose children it is, or an ``Output``.
        draw: Returns what is shown; called with the values of ``states``.
        states: What it depends on.
    """
    output = place if isinstance(place, Output) else Output(place, "children")

    def look(_: int, seen: str | None, *values: Any) -> tuple[Any, Any]:
        return if_changed(draw(*values), seen)

    seen = f"{name}-seen"
    app.callback(
        output,
        Output(seen, "data"),
        Input(f"{name}-tick", "n_intervals"),
        State(seen, "data"),
        *states,
        prevent_initial_call=True,
    )(look)


def refresh_grid(app: Dash, name: str, grid: str) -> None:
    """Fetch the rows of a table anew whenever the part ``name`` has changed."""
    app.clientside_callback(
        ClientsideFunction("grid", "refresh"),
        Output(f"{grid}-stale", "data", allow_duplicate=True),
        Input(f"{name}-seen", "data"),
        prevent_initial_call=True,
    )


def if_changed(shown: Any, seen: str | None) -> tuple[Any, Any]:
    """Return what is shown and its digest, neither of which is sent if the digest is the one that was ``seen``."""
    from plotly.io.json import to_json_plotly

    digest = hashlib.sha256(to_json_plotly(shown).encode()).hexdigest()
    return (no_update, no_update) if digest == seen else (shown, digest)
