"""What is going on in the lab, live."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from dashboard import figures, live, parts
from dashboard.data import lab
from dashboard.pages import overview_cards as cards

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

PATH = "/"
TITLE = "Overview"
GROUP = "Watch"

REFRESH_MILLISECONDS = 5_000

_OUTCOMES = ("created", "updated", "unchanged", "duplicate", "skipped", "failed", lab.ROLLED_BACK)
_FIGURE_HEIGHT = 260
_DAYS = 30
_BAR = 0.7 * 86_400_000  # of a day, in milliseconds


def layout(**_: Any) -> Component:
    """Return the page as things stand."""
    return parts.page(
        TITLE,
        html.Div(state(datetime.now(UTC)), id="overview-state", className="page"),
        figures.figure_card(
            "imports", f"Files imported in the last {_DAYS} days", draw(), height=_FIGURE_HEIGHT, wide=True
        ),
        dcc.Interval(id="overview-tick", interval=REFRESH_MILLISECONDS),
        dcc.Store(id="overview-seen"),
        dcc.Store(id="imports-seen"),
    )


def state(now: datetime) -> list[Component]:
    """Return what changes: numbers, tests, failures, watchers, the store."""
    running, stalled, finished = lab.running(now), lab.stalled(now), lab.finished_today(now)
    failed, failures = lab.failed_files(now)
    health = lab.health()
    return [
        parts.stats(
            parts.stat("Running", f"{len(running):,}", "a record within 24 h", tone="good" if running else "plain"),
            parts.stat("Stalled", f"{len(stalled):,}", "silent for over 24 h", tone="bad" if stalled else "plain"),
            parts.stat("Finished today", f"{len(finished):,}", "as their files say"),
            parts.stat("Failed files", f"{failures:,}", "in the last 7 days", tone="bad" if failures else "plain"),
            parts.stat("Tests", f"{health.tests:,}", "in the store"),
        ),
        parts.grid(
            cards.tests("Running tests", running, now),
            cards.tests("Stalled tests", stalled, now) if stalled else None,
            cards.tests("Finished today", finished, now) if finished else None,
            cards.failed(failed, failures),
            cards.imports(lab.active_jobs()),
            cards.watchers(lab.watchers(), now),
            cards.health(health),
        ),
    ]


def draw() -> go.Figure:
    """Draw the imports of the last days."""
    now = datetime.now(UTC)
    return imports_figure(lab.imports_by_day(now, _DAYS), now.date())


def imports_figure(by_day: pl.DataFrame, today: date) -> go.Figure:
    """Draw files by day (``day``, ``outcome``, ``files``), stacked by what became of them, up to today."""
    import plotly.graph_objects as go
    import polars as pl

    traces = []
    for outcome in _OUTCOMES:
        of_it = by_day.filter(pl.col("outcome") == outcome)
        if of_it.height:
            days = of_it["day"].cast(pl.String).to_list()
            traces.append(
                go.Bar(x=days, y=of_it["files"].to_list(), name=outcome, width=_BAR, hovertemplate="%{x}: %{y}")
            )
    first = datetime.combine(today, time()) - timedelta(days=_DAYS - 0.5)
    axis = {"xaxis": {"type": "date", "range": [first, first + timedelta(days=_DAYS)], "tickformat": "%Y-%m-%d"}}
    looks = axis if traces else figures.nothing(f"No file was imported in the last {_DAYS} days.")
    x = "Day (UTC)"
    return figures.figure(traces, x=x, y="Files", height=_FIGURE_HEIGHT, barmode="stack", **looks)


def refresh(_: int, seen: str | None) -> Any:
    """Draw the state anew where it changed."""
    return live.if_changed(state(datetime.now(UTC)), seen)


def refresh_imports(_: int, seen: str | None) -> Any:
    """Draw the imports anew where they changed."""
    return live.if_changed(draw(), seen)


def register_callbacks(app: Dash) -> None:
    """Look again every few seconds."""
    tick = Input("overview-tick", "n_intervals")
    places = {
        refresh: (Output("overview-state", "children"), "overview-seen"),
        refresh_imports: (Output(figures.graph("imports"), "figure"), "imports-seen"),
    }
    for function, (place, seen) in places.items():
        app.callback(place, Output(seen, "data"), tick, State(seen, "data"), prevent_initial_call=True)(function)
