"""Import jobs on the page of imports: the list, one of them, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import grid, links, parts
from dashboard.data import jobs, processes
from dashboard.grid import Column
from dashboard.links import Given

FILES = "import-files"

COLUMNS = (
    Column("name", "File", sort="path", width=280),
    Column("outcome", "Outcome", sort="outcome", width=110),
    Column("reason", "Reason", width=360),
    Column("test", "Test", link="/test/", link_field="test_id", width=80),
    Column("sample", "Sample", sort="sample", link="/sample?sample=", link_field="sample", width=130),
    Column("reader", "Reader", sort="reader", width=130),
    Column("records", "Records", kind="whole"),
    Column("cycles", "Cycles", kind="whole"),
    Column("seconds", "Time", "s", kind="number", sort="seconds"),
    Column("size", "Size", "B", kind="whole", hidden=True),
    Column("path", "Path", width=420, hidden=True),
    Column("sha256", "SHA-256", width=220, hidden=True),
    Column("test_id", "Test id", width=220, hidden=True),
)

_TONES: dict[str, parts.Tone] = {
    "running": "good",
    "completed": "plain",
    "paused": "warning",
    "interrupted": "bad",
    "failed": "bad",
}
_LABELS = {"pause": "Pause", "resume": "Resume", "cancel": "Cancel", "rollback": "Roll back"}


def state(progress: jobs.Progress) -> Component:
    """Return the state of a job in a word."""
    if progress.is_undone:
        return parts.badge("rolling back", tone="warning")
    asked = progress.job.asked if progress.state == "running" else None
    if asked and progress.is_watched:
        return parts.badge("stopping", tone="warning")
    word = f"{progress.state}, asked to {asked}" if asked else progress.state.replace("_", " ")
    return parts.badge(word, tone=_TONES.get(progress.state, "plain"))


def table(listed: Sequence[jobs.Progress], beginning: Sequence[processes.Started]) -> list[Component]:
    """Return the newest jobs, with those that have only begun before them."""
    columns = {
        "root": "From",
        "state": "State",
        "done": "Done →",
        "outcomes": "Outcomes",
        "left": "Time left →",
        "started": "Started (UTC)",
    }
    rows = [
        {
            "root": html.Span(each.about, className="path"),
            "state": parts.badge("could not start", tone="bad")
            if each.problem
            else parts.badge("looking for files", tone="good"),
            "outcomes": each.problem or "",
            "started": parts.moment(each.at),
        }
        for each in beginning
    ]
    rows += [
        {
            "root": html.Span(parts.job_link(each.job.id, each.title), className="path"),
            "state": state(each),
            "done": f"{each.done:,}" + (f" of {each.job.total:,}" if each.job.total else "") + " files",
            "outcomes": outcomes(each),
            "left": f"{parts.duration(each.remaining)} left" if each.remaining else "",
            "started": parts.moment(each.job.started_at),
        }
        for each in listed
    ]
    if not rows:
        step = ["Upload files above, or type ", html.Code("battery-analysis import FOLDER")]
        return [parts.empty("Nothing was imported yet.", step)]
    return [html.Div(parts.table("Imports, the newest first", columns, rows), className="lines")]


def outcomes(progress: jobs.Progress) -> str:
    """Spell how many files had which outcome."""
    counts = progress.job.counts
    return ", ".join(f"{counts[name]:,} {name}" for name in jobs.OUTCOMES if counts.get(name)) or parts.UNKNOWN


def facts(progress: jobs.Progress) -> list[Component | None]:
    """Return how far a job is, which changes while it runs."""
    job = progress.job
    share = progress.done / job.total if job.total else None
    bar = (
        html.Progress(
            value=str(share), max="1", className="progress-bar", **{"aria-label": f"{share:.0%} of the files are done"}
        )
        if share is not None and progress.state == "running"
        else None
    )
    hidden = {"root", "roots", "archive"}
    if progress.title.startswith("uploaded: "):
        hidden |= {"include", "sample_map"}
    options = {
        name: value
        for name, value in job.options.items()
        if value not in (None, [], {}, (), "", False) and name not in hidden
    }
    known: dict[str, parts.Children] = {
        "State": state(progress),
        "Why": job.reason,
        "Files": f"{progress.done:,}" + (f" of {job.total:,}" if job.total else ""),
        "Outcomes": outcomes(progress),
        "Rate": f"{progress.rate:.3g} files/s" if progress.rate else None,
        "Left": parts.duration(progress.remaining) if progress.remaining is not None else None,
        "Started (UTC)": parts.moment(job.started_at),
        "Ended (UTC)": parts.moment(job.finished_at) if job.finished_at else None,
        "Process": f"{job.pid} on {job.host}" if progress.state == "running" else None,
        "Options": "; ".join(f"{name} {_spelled(value)}" for name, value in options.items()),
    }
    problem = parts.problem(progress.problem) if progress.problem else None
    soon = parts.note(progress.soon, tone="good") if progress.soon else None
    return [problem, soon, bar, parts.facts(known)]


def _spelled(value: object) -> str:
    if isinstance(value, list | tuple):
        shown = ", ".join(map(str, value[:5]))
        return shown + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    return "yes" if value is True else str(value)


def actions(progress: jobs.Progress) -> list[Component]:
    """Return the buttons for what can be asked of a job."""
    buttons = []
    for wish in progress.wishes:
        label = _LABELS[wish]
        if wish == "resume" and progress.state in ("completed", "stopped"):
            label = "Retry failed files"
        if wish == "cancel" and progress.is_watched and progress.state == "running":
            label = "Stop watching"
        id = {"type": "job-wish", "wish": wish, "job": str(progress.job.id)}
        buttons.append(parts.button(label, id, kind="danger" if wish == "rollback" else "plain"))
    return buttons


def rows(progress: jobs.Progress, found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what became of files without the way to tests that a rollback has removed."""
    if progress.state != "rolled_back":
        return list(found)
    return [{**each, "test": None} if each["outcome"] == "created" else each for each in found]


def card(progress: jobs.Progress, outcome: str | None, text: str | None, query: Mapping[str, Given]) -> Component:
    """Return one job with what became of each of its files."""
    job = progress.job
    filters = parts.toolbar(
        parts.select(links.control("import", "outcome"), "Outcome", jobs.OUTCOMES, outcome, every="All outcomes"),
        parts.text_input(links.control("import", "text"), "File or reason", text),
    )
    back = dcc.Link("All imports", href="/import", className="button plain")
    tests = dcc.Link("Its tests", href=links.href("/tests", job=str(job.id)), className="button plain")
    raw = dcc.Link("Its raw files", href=links.href("/raw-files", job=str(job.id)), className="button plain")
    return parts.card(
        progress.title,
        html.Div(
            [
                html.Div(actions(progress), id="job-actions", className="actions"),
                html.Div(id="job-said"),
                html.Div(facts(progress), id="job-facts", className="stack"),
                filters,
                grid.server_grid(FILES, COLUMNS, query, height="46vh"),
            ],
            className="stack",
        ),
        actions=[tests, raw, back],
        wide=True,
    )
