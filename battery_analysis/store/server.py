"""The embedded MongoDB: a private ``mongod`` per data folder, started on demand, shared by the user's processes.

Nothing here trusts a file: a server runs if it answers, and a process is ours if it is a ``mongod``
on this very folder, whatever number the last one left behind.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from battery_analysis.errors import StoreError, StoreUnavailableError
from battery_analysis.store import mongod, watchdog
from battery_analysis.store.server_folder import (
    Layout,
    make_private,
    port,
    rotate_log,
    short_folder,
    size_on_disk,
    usable_folder,
)

if TYPE_CHECKING:
    import psutil
    from pymongo import MongoClient

IDLE_SECONDS = 600.0
"""How long a server waits for the next user before it stops."""

STOP_SECONDS = 60.0

APP_NAME = "battery-analysis server"
"""How our own look at the server introduces itself, so that it does not count as a user."""


@dataclass(frozen=True)
class ServerStatus:
    """What there is to know of an embedded server; ``pid``, ``version`` and ``users`` are None where it says nothing.

    ``version`` is that of the running server, else of the one that last opened the data; ``users`` the number of
    programs connected; ``size_bytes`` the room its data take on disk.
    """

    running: bool
    pid: int | None
    version: str | None
    socket: str
    log: Path
    data: Path
    size_bytes: int
    users: int | None


def ensure_running(data_dir: Path, *, idle_seconds: float = IDLE_SECONDS) -> str:
    """Return the connection string of the embedded server, which is started if it does not run.

    It goes on when this process ends, and stops by itself ``idle_seconds`` after the last connection was closed.

    Raises:
        StoreUnavailableError: There is no ``mongod``, it cannot use the folder, or it does not come up.
    """
    layout = Layout.of(data_dir)
    with usable_folder(layout), locked(layout):
        (layout.root / "used").touch()
        if not answers(layout):
            _start(layout)
        watchdog.ensure_watched(layout.root, idle_seconds)
    return layout.uri


def stop(data_dir: Path) -> bool:
    """Shut the embedded server down cleanly and wait for its end; False if it did not run.

    Raises:
        StoreError: It does not end.
    """
    layout = Layout.of(data_dir)
    if not layout.data.exists():
        return False
    with usable_folder(layout), locked(layout):
        return shut_down(layout)


def status(data_dir: Path) -> ServerStatus:
    """Look at the embedded server without starting it or creating anything."""
    from pymongo.errors import PyMongoError

    layout = Layout.of(data_dir)
    running = answers(layout)
    process = server_process(layout) if layout.data.exists() else None
    recorded = layout.recorded_version()
    pid = process.pid if process else None
    version = mongod.version_text(recorded) if recorded else None
    users = None
    if running:
        with suppress(PyMongoError), own_client(layout) as client:
            said: dict[str, Any] = client.admin.command("serverStatus")
            pid, version = int(said["pid"]), str(said["version"])
            users = count_users(client)
    return ServerStatus(
        running, pid, version, layout.address, layout.log, layout.data, size_on_disk(layout.data), users
    )


def answers(layout: Layout) -> bool:
    """Whether a server answers a ping; spoken by hand, so that asking costs a millisecond and loads no driver."""
    if sys.platform == "win32":
        family, address = socket.AF_INET, ("127.0.0.1", port(layout))
    else:
        family, address = socket.AF_UNIX, str(layout.socket)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(address)
            probe.sendall(_PING)
            return len(probe.recv(16)) == 16
        except OSError:
            return False


def _ping() -> bytes:
    document = b"\x10ping\0\x01\0\0\0" + b"\x02$db\0\x06\0\0\0admin\0"
    body = struct.pack("<IB", 0, 0) + struct.pack("<i", len(document) + 5) + document + b"\0"
    return struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body  # 2013: OP_MSG


_PING = _ping()


def server_process(layout: Layout) -> psutil.Process | None:
    """Find the process of the server: a living ``mongod`` on this very folder, not just any with the noted number."""
    import psutil

    try:
        noted = (layout.data / "mongod.lock").read_text(encoding="ascii", errors="replace").strip()
        process = psutil.Process(int(noted))
        if process.status() == psutil.STATUS_ZOMBIE or "mongod" not in process.name():
            return None
        return process if str(layout.data) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def shut_down(layout: Layout) -> bool:
    """Stop the server and wait for its end; the caller holds the lock. False if it did not run.

    Raises:
        StoreError: It does not end.
    """
    from pymongo.errors import PyMongoError

    process = server_process(layout)
    if process is None:
        return False
    if sys.platform == "win32":  # terminate() is no clean shutdown there
        with suppress(PyMongoError), own_client(layout) as client:
            client.admin.command("shutdown", force=True)
    else:
        process.terminate()
    if not _wait(lambda: server_process(layout) is None, STOP_SECONDS):
        raise StoreError(
            f"MongoDB (process {process.pid}) has not stopped within {STOP_SECONDS:.0f} s; see {layout.log}"
        )
    if layout.socket.parent != layout.root:
        with suppress(OSError):
            layout.socket.parent.rmdir()
    return True


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the lock under which the server is started and stopped; a process that dies lets go of it.

    Raises:
        StoreUnavailableError: Another process does not let go.
    """
    import filelock

    lock = filelock.FileLock(layout.root / "start.lock", timeout=STOP_SECONDS + mongod.START_SECONDS, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout as exc:
        raise StoreUnavailableError(f"another process keeps starting or stopping MongoDB ({lock.lock_file})") from exc
    try:
        yield
    finally:
        lock.release()


@contextmanager
def own_client(layout: Layout) -> Iterator[MongoClient[dict[str, Any]]]:
    """Connect for a short look that does not count as use."""
    from pymongo import MongoClient

    client: MongoClient[dict[str, Any]] = MongoClient(
        layout.uri,
        appname=APP_NAME,
        directConnection=True,
        serverMonitoringMode="poll",
        serverSelectionTimeoutMS=2000,
        socketTimeoutMS=5000,
    )
    try:
        yield client
    finally:
        client.close()


def count_users(client: MongoClient[dict[str, Any]]) -> int:
    """Count the programs that are connected, idle ones too, and ourselves not."""
    theirs = {"connectionId": {"$exists": True}, "appName": {"$ne": APP_NAME}}
    seen = list(
        client.admin.aggregate(
            [
                {"$currentOp": {"allUsers": True, "idleConnections": True}},
                {"$match": theirs},
                {"$project": {"waits": "$command.maxAwaitTimeMS"}},
            ]
        )
    )
    # A driver holds several connections; one of them waits for news of the server at all times.
    return max(sum("waits" in each for each in seen), 1 if seen else 0)


def _start(layout: Layout) -> None:
    for _ in range(3):  # again only where a server was just dying, or had lost its socket
        with server_lock(layout) as lock:
            if lock is not None:
                _launch(layout, lock)
        _wait(lambda: answers(layout) or _lost_its_socket(layout) or not _lives(layout), mongod.START_SECONDS)
        if answers(layout):
            return
        if _lost_its_socket(layout):
            shut_down(layout)
        elif _lives(layout):
            break
    raise StoreUnavailableError(f"MongoDB in {layout.root} does not answer; see its log {layout.log}")


@contextmanager
def server_lock(layout: Layout) -> Iterator[int | None]:
    """Take the lock that a server holds from before its first step until its end; None where one holds it.

    The server inherits the open file, so the system itself lets go of the lock, however the server ends, and a server
    whose starter was killed before it noted its process number is known too. A second one beside it must not start: it
    would take the first one's socket away before it finds the data locked.
    """
    if sys.platform == "win32":
        yield 0 if server_process(layout) is None else None
        return
    import fcntl

    file = os.open(layout.root / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
    try:
        yield file if free else None
    finally:
        os.close(file)


def _lives(layout: Layout) -> bool:
    with server_lock(layout) as lock:
        return lock is None


def _lost_its_socket(layout: Layout) -> bool:
    """Whether a server runs whose socket someone removed (it is there before the process number is noted)."""
    return sys.platform != "win32" and not layout.socket.exists() and server_process(layout) is not None


def _launch(layout: Layout, lock: int) -> None:
    program = mongod.choose(layout.data, layout.recorded_version())
    layout.record_version(program.version)
    rotate_log(layout)
    mongod.launch(program, _arguments(layout), layout.root, layout.log, lock)


def _arguments(layout: Layout) -> list[str]:
    if sys.platform == "win32":
        network = ["--bind_ip", "127.0.0.1", "--port", str(port(layout, new=True))]
    else:
        if layout.socket.parent != layout.root:
            make_private(short_folder())
            make_private(layout.socket.parent)
        network = ["--bind_ip", str(layout.socket), "--unixSocketPrefix", str(layout.socket.parent)]
        network += ["--filePermissions", "0600"]
    return [
        *("--dbpath", str(layout.data), *network),
        *("--logpath", str(layout.log), "--logappend", "--logRotate", "reopen", "--quiet", "--slowms", "1000"),
        *("--wiredTigerCacheSizeGB", f"{cache_gigabytes(_memory_bytes()):.2f}"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),  # up to 200 MB of metrics nobody reads
    ]


def cache_gigabytes(memory_bytes: int) -> float:
    """Cache for a machine's memory: an eighth, from a quarter gigabyte to one, so that analysis keeps the rest.

    >>> [cache_gigabytes(memory * 2**30) for memory in (1, 4, 64)]
    [0.25, 0.5, 1.0]
    """
    return min(1.0, max(0.25, memory_bytes / 2**30 / 8))


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
