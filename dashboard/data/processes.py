"""Commands that the dashboard starts, as processes of their own: they go on when the browser or the dashboard ends.

Each writes what it says into a file of its own below ``logs`` in the data folder.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal

from battery_analysis.errors import IngestError, one_line
from battery_analysis.models import WatchedFolder
from battery_analysis.store.access import visible
from dashboard.data import config, settings

if TYPE_CHECKING:
    from battery_analysis.settings import Settings

Kind = Literal["import", "rollback", "watch"]

TIDY_SECONDS = 7 * 24 * 3600
"""How long the files with what ended commands said are kept."""

REMEMBERED = 50

NAMED = re.compile(r"(import|rollback|watch)-(\d{8}T\d{6}\.\d+)\.log")
"""Names of the files that commands write to: what they are, and when they were started."""

_STAMP = "%Y%m%dT%H%M%S.%f"
_START_SECONDS = 60.0
"""A process begins at most this long after its file was made, and no other of its number does."""
_HEAD_BYTES = 4096

_PROJECT = Path(__file__).resolve().parents[2]
_SERVER_VARIABLES = ("MONGO_URI", "MONGO_HOST", "MONGO_PORT", "USE_MONGO_MOCK")

_lock = Lock()
_started: list[Started] = []


@dataclass(frozen=True)
class Started:
    """A command that this dashboard has started."""

    kind: Kind
    about: str
    """What it works on, for people to read."""
    job: str | None
    """The job that it goes on with or undoes; None for one that makes its own."""
    log: Path
    process: subprocess.Popen[bytes]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    @property
    def problem(self) -> str | None:
        """Why it could not do its work, None if it did or still does; files that failed are no such reason."""
        if self.process.poll() in (None, 0, 1, 130):
            return None
        said = [line for line in tail(self.log).splitlines() if line.strip() and _begun(self.pid) not in line]
        return said[-1].removeprefix("error: ") if said else f"it ended with status {self.process.returncode}"


def start(
    kind: Kind,
    words: Sequence[str],
    *,
    about: str,
    job: str | None = None,
    then: Callable[[], None] | None = None,
) -> Started:
    """Start ``battery-analysis WORDS`` on the same store, and return at once.

    Args:
        kind: What it is.
        words: The command with its options.
        about: What it works on, for people to read.
        job: The job that it goes on with or undoes.
        then: Called, in a thread, when it has ended.

    Raises:
        IngestError: The store lives and dies with the dashboard, or the process cannot be started.
    """
    if settings().mode == "mock":
        raise IngestError("the database is in memory (USE_MONGO_MOCK=1), where no other process can reach it")
    folder = logs_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        log = folder / f"{kind}-{datetime.now(UTC):{_STAMP}}.log"
        with log.open("wb", buffering=0) as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", words[0], "--log-level=info", *_config(), *words[1:]],
                cwd=_PROJECT,
                env=_environment(settings()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C on the dashboard is not meant for it
            )
            line = f"{datetime.now():%Y-%m-%d %H:%M:%S},000 INFO dashboard: {_begun(process.pid)}: {one_line(about)}\n"
            with suppress(OSError):  # the disk is full, but the process has begun
                output.write(line.encode("utf-8", "replace"))  # they write to the same place in turn
    except OSError as exc:
        raise IngestError(f"{exc.filename or folder}: {exc.strerror or exc}") from exc
    started = Started(kind, about, job, log, process)
    with _lock:
        _started.append(started)
        del _started[:-REMEMBERED]
    Thread(target=_wait, args=(process, then), name=f"{kind} {process.pid}", daemon=True).start()
    return started


def recent() -> list[Started]:
    """Return what this dashboard has started, the newest first."""
    with _lock:
        return _started[::-1]


def logs_folder() -> Path:
    """Return where what commands say is kept."""
    return settings().data_dir / "logs"


def began(log: Path) -> datetime | None:
    """Return when the command was started that writes to a file, as its name says; None: no command does."""
    named = NAMED.fullmatch(log.name)
    return datetime.strptime(named[2], _STAMP).replace(tzinfo=UTC) if named else None


def log_of(watch: WatchedFolder) -> Path | None:
    """Return the file that a watcher on record writes to; None if no dashboard has started it on this computer."""
    if watch.host != socket.gethostname() or watch.process_started is None:
        return None
    for path in logs_folder().glob("watch-*.log"):
        at = began(path)
        is_near = at is not None and abs(at.timestamp() - watch.process_started) < _START_SECONDS
        if is_near and _begun(watch.pid) in _head(path):
            return path
    return None


def _begun(pid: int) -> str:
    return f"started as process {pid}"


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def tail(path: Path, most: int = 64 << 10) -> str:
    """Return the end of a file, from the beginning of a line on; nothing where the file is gone."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - most, 0))
            text = file.read()
    except OSError:
        return ""
    if size > most:
        text = text.partition(b"\n")[2]
    return text.decode("utf-8", "replace")


def _wait(process: subprocess.Popen[bytes], then: Callable[[], None] | None) -> None:
    process.wait()
    if then is not None:
        then()


def _config() -> list[str]:
    named = config()
    return [] if named is None else [f"--config={named.absolute()}"]


def _environment(used: Settings) -> dict[str, str]:
    """Return the variables that lead to the same store; here a password shows in no list of processes."""
    kept = {name: value for name, value in os.environ.items() if name not in _SERVER_VARIABLES}
    server = {"MONGO_URI": uri} if (uri := used.uri()) else {}
    return {
        **kept,
        **server,
        "BATTERY_DB_NAME": used.database,
        "BATTERY_DATA_DIR": str(used.data_dir.absolute()),
        "PYTHONUNBUFFERED": "1",
    }


def _sweep(folder: Path) -> None:
    limit = datetime.now(UTC).timestamp() - TIDY_SECONDS
    # A watcher may have nothing to say for weeks, also one that was started before this dashboard.
    written = {each.log for each in recent() if each.is_running} | {log_of(each) for each in visible(WatchedFolder)}
    for path in folder.glob("*-*.log"):
        with suppress(FileNotFoundError):  # somebody else starts something, too
            if path not in written and path.stat().st_mtime < limit:
                path.unlink()
