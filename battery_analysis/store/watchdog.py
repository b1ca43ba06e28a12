"""The watchdog of an embedded MongoDB: a small process of its own that stops the server once nobody uses it.

Run as ``python -m battery_analysis.store.watchdog FOLDER IDLE_SECONDS``. There is one for each folder: it holds
``watch.lock`` while it lives, a second one ends at once. If it is killed, the next process that asks for the server
starts another. It ends with its server.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

logger = logging.getLogger(__name__)

_IMPORT_ROOT = Path(__file__).parents[2]


def ensure_watched(root: Path, idle_seconds: float) -> None:
    """Start a watchdog for the server in ``root`` unless there is one."""
    import filelock

    lock = filelock.FileLock(root / "watch.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout:
        return
    lock.release()
    command = [sys.executable, "-m", "battery_analysis.store.watchdog", str(root), str(idle_seconds)]
    if sys.platform == "win32":
        from battery_analysis.store.mongod import spawn_detached

        spawn_detached(command, _IMPORT_ROOT)
        return
    null = subprocess.DEVNULL
    # It forks, and its first process ends at once: nobody has to wait for the second one.
    done = subprocess.run(command, cwd=_IMPORT_ROOT, stdin=null, stdout=null, stderr=null, start_new_session=True)
    if done.returncode:
        logger.warning("MongoDB in %s will not stop by itself: its watchdog did not start", root)


def watch(root: Path, idle_seconds: float) -> None:
    """Look after the server in ``root`` until it has stopped, by itself or because nobody used it for so long."""
    import filelock
    from pymongo.errors import PyMongoError

    from battery_analysis.store import server
    from battery_analysis.store.server_folder import Layout, rotate_log

    layout = Layout(root)
    lock = filelock.FileLock(root / "watch.lock", timeout=1, mode=0o600)
    try:
        lock.acquire()
    except (filelock.Timeout, OSError):
        return
    interval = min(15.0, max(0.1, idle_seconds / 4))
    last_asked, quiet_since = _last_asked(root), time.monotonic()
    process = server.server_process(layout)
    while True:
        time.sleep(interval)
        if not root.exists():
            if process and process.is_running():
                process.terminate()  # its data are gone
            return
        try:
            with server.own_client(layout) as client:
                users: int | None = server.count_users(client)
                if rotate_log(layout):
                    client.admin.command("logRotate")
        except (PyMongoError, OSError):
            users = None
        asked = _last_asked(root)
        if users or asked != last_asked:
            last_asked, quiet_since = asked, time.monotonic()
        quiet = users == 0 and time.monotonic() - quiet_since >= idle_seconds
        if not quiet and users is not None:
            continue
        # Under the lock nobody can be told that the server runs between our last look and its end.
        with server.locked(layout):
            if quiet and _last_asked(root) == last_asked:
                server.shut_down(layout)
            process = server.server_process(layout)
            if process is None:
                lock.release()  # before the other lock: who starts the server next must see that nobody watches
                return


def _last_asked(root: Path) -> int:
    try:
        return (root / "used").stat().st_mtime_ns
    except OSError:
        return 0


def main() -> None:
    """Leave the process that started us, then watch."""
    root, idle_seconds = Path(sys.argv[1]), float(sys.argv[2])
    if sys.platform != "win32":
        if os.fork():
            return
        os.setsid()
        os.chdir("/")
    watch(root, idle_seconds)


if __name__ == "__main__":
    main()
