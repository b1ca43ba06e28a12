"""What the dashboard, and the imports and watchers that it started, have said lately, and the jobs of all commands.

Commands in a terminal keep no log but what stands there; that they ran, and how it ended, stands in the store.
"""

from __future__ import annotations

import logging
import logging.handlers
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from battery_analysis.errors import BatteryAnalysisError, one_line
from dashboard.data import jobs, processes

LEVELS = ("debug", "info", "warning", "error")
MOST = 300
"""Lines that are shown."""

JOBS = "jobs"
"""The source that is no file: when imports and watchers began and how they ended, wherever they were started."""

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_OWN = "dashboard.log"
_OWN_BYTES = 4 << 20
_READ_FILES = 20
_READ_JOBS = 100
_READ_BYTES = 128 << 10
_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) ([\w.]+): (.*)")
_ECHO = re.compile(r"(created|updated|unchanged|duplicate|failed|skipped) +\S")
"""How commands print an outcome, which their log says as well, with its time."""
_FAILED = re.compile(r": failed ")


@dataclass(frozen=True)
class Line:
    """One line of a log; what stands below it, such as where an error came from, belongs to its text."""

    at: datetime
    level: str
    """One of ``LEVELS``."""
    source: str
    text: str
    job: str | None = None
    """Id of the job that it is about."""


class _OneLine(logging.Formatter):
    """Keeps names of files from breaking a line of the log."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return one_line(super().formatMessage(record))


def keep(data_dir: Path) -> None:
    """Write what this process logs into the data folder, too; a folder that cannot be written is said."""
    path = data_dir / "logs" / _OWN
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=_OWN_BYTES, backupCount=1, encoding="utf-8")
    except OSError as exc:
        logging.getLogger(__name__).warning("%s: the log is not kept: %s", path, exc.strerror)
        return
    handler.setFormatter(_OneLine(FORM))
    logging.getLogger().addHandler(handler)


def sources() -> dict[str, str]:
    """Return the logs that there are, the one written last first: their names for people, by file name."""
    return {JOBS: "jobs, wherever started", **{path.name: _spelled(path) for path in _files()}}


def lines(source: str | None, level: str, text: str | None) -> list[Line]:
    """Return the newest lines, newest first.

    Args:
        source: File name of one log, or ``JOBS``; None: of all.
        level: One of ``LEVELS``: the least that is shown.
        text: What lines must hold, in any case.
    """
    least = LEVELS.index(level)
    wanted = (text or "").casefold()
    files = [path for path in _files() if source in (None, path.name)]
    read = [line for path in files[:_READ_FILES] for line in _read(path)]
    read += _of_jobs() if source in (None, JOBS) else []
    found = [
        line for line in read if LEVELS.index(line.level) >= least and wanted in f"{line.source} {line.text}".casefold()
    ]
    return sorted(found, key=lambda line: line.at)[: -MOST - 1 : -1]


def _of_jobs() -> list[Line]:
    """Return when jobs began and how they ended; that the store does not answer is a line, too."""
    try:
        recent = jobs.recent(_READ_JOBS)
    except BatteryAnalysisError as exc:
        return [Line(datetime.now(UTC), "error", JOBS, one_line(str(exc)))]
    return [line for each in recent for line in _of_job(each)]


def _of_job(progress: jobs.Progress) -> list[Line]:
    job, about, state = progress.job, one_line(progress.title), progress.state
    began = Line(job.started_at, "info", JOBS, f"{about}: began, process {job.pid} on {job.host}", str(job.id))
    if state == "running":
        return [began]
    failed = int(job.counts.get("failed", 0))
    level = "error" if state == "failed" else "warning" if failed or state == "interrupted" else "info"
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(job.counts.items()) if count) or "no files"
    why = f" ({one_line(job.reason)})" if job.reason else ""
    ended = f"{about}: {state.replace('_', ' ')}{why}: {counts}"
    return [began, Line(job.finished_at or job.heartbeat_at, level, JOBS, ended, str(job.id))]


def _files() -> list[Path]:
    found = [(path.stat().st_mtime, path) for path in processes.logs_folder().glob("*.log") if path.is_file()]
    return [path for _, path in sorted(found, reverse=True)]


def _spelled(path: Path) -> str:
    at = processes.began(path)
    return path.stem if at is None else f"{path.name.partition('-')[0]} of {at:%Y-%m-%d %H:%M:%S}"


def _read(path: Path) -> list[Line]:
    source = _spelled(path)
    at = processes.began(path) or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    found: list[Line] = []
    for text in processes.tail(path, _READ_BYTES).splitlines():
        if parsed := _LINE.fullmatch(text):
            at = datetime.strptime(parsed[1], "%Y-%m-%d %H:%M:%S").astimezone(UTC)  # logs are in local time
            level = "warning" if parsed[2] == "INFO" and _FAILED.search(parsed[4]) else parsed[2].lower()
            found.append(Line(at, "error" if level == "critical" else level, source, parsed[4]))
        elif _ECHO.match(text) or not text.strip():
            continue
        elif found and (text.startswith((" ", "Traceback")) or "\n" in found[-1].text):
            found[-1] = Line(found[-1].at, found[-1].level, source, f"{found[-1].text}\n{text}")
        else:
            found.append(Line(at, "error" if text.startswith("error: ") else "info", source, text))
    return found
