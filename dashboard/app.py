"""The application: FastAPI, with Dash on it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dash import Dash
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from battery_analysis import __version__
from dashboard import answers, attachments, data, figures, links, prepared, routing, security, shell, views
from dashboard.compression import Compressed
from dashboard.pages import PAGES

if TYPE_CHECKING:
    from battery_analysis.settings import Settings
    from dashboard.data import Store

ASSETS = Path(__file__).parent / "assets"

_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<script src="/assets/theme.js"></script>
{%css%}
</head>
<body>
{%app_entry%}
<footer hidden>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


class ThreadedDash(Dash):
    """Dash on FastAPI whose plain callbacks run in threads.

    The backend calls them on its event loop, where one that waits for the database would keep everybody waiting.
    """

    def callback(self, *wiring: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a callback as ``Dash.callback`` does."""
        register = super().callback(*wiring, **options)

        def off_the_loop(function: Callable[..., Any]) -> Callable[..., Any]:
            register(function if inspect.iscoroutinefunction(function) else threaded(function))
            return function

        return off_the_loop


def threaded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function as one that an event loop can wait for while others go on."""

    @functools.wraps(function)
    async def run(*args: Any, **options: Any) -> Any:
        return await run_in_threadpool(function, *args, **options)

    return run


def create_app(store: Store, settings: Settings, config: Path | None = None) -> FastAPI:
    """Return the application on an open store; ``config`` is the settings file if one was named."""
    data.use(store, settings, config)
    server = FastAPI(title="battery-analysis", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app = ThreadedDash(
        "dashboard",
        server=server,
        backend="fastapi",
        title="battery-analysis",
        update_title=None,
        assets_folder=str(ASSETS),
        assets_ignore=r"theme\.js",  # stands in the head, so that a dark page does not flash
        index_string=_INDEX,
        serve_locally=True,
        suppress_callback_exceptions=True,  # pages come and go
        add_log_handler=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        on_error=shell.report,
    )
    app.backend.websocket_capability = False  # browsers would hold a connection open that nothing here uses
    app.layout = shell.layout(PAGES)
    wired: tuple[Any, ...] = (routing, links, figures, views, attachments, prepared, answers, *PAGES)
    for each in wired:
        each.register_callbacks(app)
    # Dash gathers its scripts at the first request for "/"; whoever opens a deep link first would get a page without.
    app._setup_server()
    server.add_api_route("/figure-templates", _figure_templates, include_in_schema=False)
    server.add_middleware(Compressed)
    server.add_middleware(
        security.Guard, host=settings.host, answer_headers=security.headers(app.csp_hashes())
    )  # the outermost
    return server


def _figure_templates() -> dict[str, Any]:
    return {theme: figures.template(theme) for theme in figures.PALETTES}
