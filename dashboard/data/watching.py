"""Watchers: what they do, what they could not import, and how they are started and stopped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from battery_analysis.errors import IngestError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import watch_record
from battery_analysis.models import ImportJob, WatchedFolder
from battery_analysis.store.access import by_id, visible
from dashboard import links
from dashboard.data import asked, folders, processes, settings
from dashboard.data.requests import Asked

Watch = WatchedFolder

_NUMBERS = {"poll": "--poll", "rescan": "--rescan", "debounce": "--debounce"}


@dataclass(frozen=True)
class Watcher:
    """A watcher as the page shows it."""

    watch: Watch
    state: str
    lag: timedelta | None
    """How long the file has been waiting that has waited longest; None: none waits."""
    may_start: bool
    """Whether it can be started here: it does not run, and its folders are below ``import_roots``."""
    command: str
    """What starts it in a terminal."""
    is_leaving: bool
    """Whether it was asked to stop."""


@asked
def everyone(now: datetime) -> list[Watcher]:
    """Return all watchers, the one started last first."""
    return [_watcher(each, now) for each in watch_record.everyone()]


@asked
def one(watch_id: str, now: datetime) -> Watcher:
    """Return a watcher.

    Raises:
        NotFoundError: No such watcher.
    """
    return _watcher(by_id(WatchedFolder, watch_id), now)


def _watcher(watch: Watch, now: datetime) -> Watcher:
    state = watch_record.state_of(watch)
    is_running = state == "running"
    lag = now - watch.waiting_since if is_running and watch.waiting_since else None
    starting = any(each.is_running and each.about == _about(watch.roots) for each in _own())
    leaving = is_running and _is_asked(watch)
    may_start = not (is_running or starting) and all(_is_open(root) for root in watch.roots)
    command = " ".join(["battery-analysis watch", *(_quoted(each) for each in _words(watch))])
    return Watcher(watch, "starting" if starting and not is_running else state, lag, may_start, command, leaving)


def log(watch: Watch) -> str | None:
    """Return the name of the log that holds what a watcher says; None: it says it in a terminal or elsewhere."""
    path = processes.log_of(watch)
    return path.name if path else None


def _is_asked(watch: Watch) -> bool:
    job = visible(ImportJob).filter(id=watch.import_job).only("asked").first()
    return job is not None and job.asked is not None


def _own() -> list[processes.Started]:
    return [each for each in processes.recent() if each.kind == "watch"]


def _is_open(root: str) -> bool:
    try:
        folders.checked(root)
    except IngestError:
        return False
    return True


@asked
def beginning() -> list[processes.Started]:
    """Return watchers that were started here and have not told of themselves yet, or could not start."""
    pids = {each.pid for each in watch_record.everyone()}
    return [each for each in _own() if each.pid not in pids and (each.is_running or each.problem)]


@asked
def add(places: Sequence[str], how: Asked, poll: float | None) -> None:
    """Watch folders.

    Args:
        places: Folders below ``import_roots``.
        how: How their files are imported.
        poll: Look for changes at this interval in s, for shares that tell of none; None: listen.

    Raises:
        IngestError: None is given, one is not open for import, or the watcher cannot be started.
    """
    if not places:
        raise IngestError("a folder to watch is wanted")
    roots = [str(folders.checked(each)) for each in places]
    running = {
        root for each in watch_record.everyone() if watch_record.state_of(each) == "running" for root in each.roots
    }
    if twice := running.intersection(roots):
        raise IngestError(f"{min(twice)} is being watched already")
    how.request(roots[0]).options(settings())  # what is wrong with what was asked shows here
    words = ["watch", *how.words(), *([f"--poll={poll:g}"] if poll else []), "--", *roots]
    processes.start("watch", words, about=_about(roots))


@asked
def start(watch_id: str) -> None:
    """Start a watcher again, as it was.

    Raises:
        NotFoundError: No such watcher.
        IngestError: It runs, one of its folders is not open for import, or it cannot be started.
    """
    watch = by_id(WatchedFolder, watch_id)
    if watch_record.state_of(watch) == "running":
        raise IngestError(f"the watcher of {_about(watch.roots)} is running")
    for root in watch.roots:
        folders.checked(root)
    processes.start("watch", ["watch", *_words(watch)], about=_about(watch.roots))


@asked
def stop(watch_id: str) -> None:
    """Ask a watcher to finish the files in hand and end, wherever it runs.

    Raises:
        NotFoundError: No such watcher.
        IngestError: It does not run.
    """
    watch = by_id(WatchedFolder, watch_id)
    if watch_record.state_of(watch) != "running":
        raise IngestError(f"the watcher of {_about(watch.roots)} is not running")
    jobs.ask(str(watch.import_job), "cancel")


@asked
def quarantine(watch_id: str, chosen: Mapping[str, Any], first: int, last: int | None) -> tuple[list[Any], int]:
    """Return the files that a watcher could not import, with why, and how many of them fit ``text``."""
    watch = by_id(WatchedFolder, watch_id)
    text = (links.text(chosen.get("text")) or "").casefold()
    rows = [
        {"id": each.path, "path": each.path, "reason": each.reason, "since": each.since.isoformat()}
        for each in watch.quarantine
        if text in f"{each.path} {each.reason}".casefold()
    ]
    return rows[first:last], len(rows)


def _about(roots: Sequence[str]) -> str:
    return ", ".join(roots)


def _words(watch: Watch) -> list[str]:
    """Return the options that a watcher was started with, and its folders."""
    options = watch.options
    names = {"sample": "--sample", "operator": "--operator", "device": "--device", "sample_map": "--sample-map"}
    words = [f"{word}={options[name]}" for name, word in names.items() if options.get(name)]
    for name in ("include", "exclude", "tags"):
        words += [f"--{name}={each}" for each in options.get(name) or ()]
    words += [f"--metadata={key}={value}" for key, value in (options.get("metadata") or {}).items()]
    words += [
        f"--{name}={options[name]}" for name in ("depth", "workers", "scheduler") if options.get(name) is not None
    ]
    words += ["--sample-lookup"] if options.get("sample_lookup") else []
    words += [] if options.get("archive", True) else ["--no-archive"]
    times = {**_NUMBERS}
    if options.get("poll"):
        times.pop("rescan")  # the command takes one of them
    words += [f"{word}={options[name]:g}" for name, word in times.items() if options.get(name)]
    return [*words, "--", *watch.roots]


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word) else "'" + word.replace("'", "'\\''") + "'"
