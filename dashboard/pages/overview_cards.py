"""The cards of the overview."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import parts
from dashboard.data import lab

if TYPE_CHECKING:
    from dashboard.data.tests import Test

_TONES: dict[str, parts.Tone] = {"running": "good", "paused": "warning", "interrupted": "bad"}

LOW_SHARE = 0.05
"""Less free disk than this share is said."""


def tests(title: str, listed: Sequence[Test], now: datetime) -> Component:
    """Return tests with the time since their last record."""
    if not listed:
        step = [dcc.Link("A watcher", href="/watchers"), " or ", dcc.Link("an import", href="/import"), " brings them."]
        none = parts.empty("No test had a record within the last 24 hours.", step)
        return parts.card(title, none)
    columns = {"test": "Test", "cell": "Cell", "tester": "Tester", "cycles": "Cycles →", "since": "Last record →"}
    rows = [
        {
            "test": parts.test_link(each.id, each.name),
            "cell": parts.cell_link(each.cell_code),
            "tester": " ".join(filter(None, (each.tester, each.channel))),
            "cycles": f"{each.cycle_count:,}",
            "since": ago(each.ended_at, now),
        }
        for each in listed
    ]
    return parts.card(title, parts.table(title, columns, rows))


def failed(files: Sequence[lab.File], total: int) -> Component:
    """Return files that failed, with why."""
    title = "Failed files"
    if not files:
        return parts.card(title, parts.empty("No file failed in the last 7 days."))
    columns = {"file": "File", "reason": "Reason", "when": "When (UTC)"}
    rows = [
        {
            "file": html.Span(each.path.rsplit("/", 1)[-1], title=each.path),
            "reason": each.reason or parts.UNKNOWN,
            "when": parts.moment(each.updated_at),
        }
        for each in files
    ]
    more = parts.note(f"and {total - len(rows):,} more") if total > len(rows) else None
    return parts.card(title, parts.table(title, columns, rows), more)


def imports(under_way: Sequence[tuple[lab.Job, str]]) -> Component | None:
    """Return the imports that are under way; nothing where there are none."""
    if not under_way:
        return None
    title = "Imports under way"
    columns = {"root": "Folder", "state": "State", "done": "Files →"}
    rows = [
        {
            "root": parts.job_link(job.id, job.root),
            "state": parts.badge(state, tone=_TONES.get(state, "plain")),
            "done": f"{sum(job.counts.values()):,}" + (f" of {job.total:,}" if job.total else ""),
        }
        for job, state in under_way
    ]
    return parts.card(title, parts.table(title, columns, rows))


def watchers(listed: Sequence[lab.Watcher], now: datetime) -> Component:
    """Return the watchers with how far they are."""
    title = "Watchers"
    if not listed:
        step = [dcc.Link("Watch one", href="/watchers"), ", or type ", html.Code("battery-analysis watch FOLDER")]
        return parts.card(title, parts.empty("No folder is being watched.", step))
    columns = {
        "roots": "Folder",
        "state": "State",
        "waiting": "Waiting →",
        "quarantined": "Failed →",
        "last": "Last import →",
    }
    rows = [
        {
            "roots": ", ".join(each.roots),
            "state": parts.badge(each.state, tone=_TONES.get(each.state, "plain")),
            "waiting": f"{each.waiting:,}",
            "quarantined": f"{each.quarantined:,}",
            "last": ago(each.last_import_at, now),
        }
        for each in listed
    ]
    troubles = [parts.note(trouble, tone="warning") for each in listed for trouble in each.troubles]
    return parts.card(title, parts.table(title, columns, rows), *troubles)


def health(store: lab.Health) -> Component:
    """Return how the store is."""
    known: dict[str, parts.Children] = {
        "Database": store.where,
        "MongoDB": store.version,
        "Data": f"{parts.size(store.data_bytes)}, on disk {parts.size(store.disk_bytes)}",
    }
    warning = None
    if store.free_bytes is not None and store.total_bytes:
        known["Free in the data folder"] = f"{parts.size(store.free_bytes)} of {parts.size(store.total_bytes)}"
        if store.free_bytes < LOW_SHARE * store.total_bytes:
            said = f"Less than {LOW_SHARE:.0%} of the disk is free; imports fail once it is full."
            warning = parts.note(said, tone="bad")
    return parts.card("Store", parts.facts(known), warning)


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago something was, to the minute, so that it changes only once a minute."""
    if at is None:
        return parts.UNKNOWN
    minutes = max((now - at).total_seconds() // 60, 0)
    return f"{parts.duration(minutes * 60)} ago" if minutes else "just now"
