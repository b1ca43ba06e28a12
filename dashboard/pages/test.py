"""One test: what is known of it, what was measured, what people say about it."""

from __future__ import annotations

from typing import Any

from dash import Dash
from dash.development.base_component import Component

from dashboard import parts
from dashboard.data import tests

PATH = "/test/<test_id>"
TITLE = "Test"
GROUP = None


def layout(test_id: str, **_: Any) -> Component:
    """Return the page of a test."""
    return parts.page(tests.one(test_id).name)


def register_callbacks(app: Dash) -> None:
    """Nothing to wire yet."""
