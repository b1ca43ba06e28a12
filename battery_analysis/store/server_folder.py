"""Where the files of an embedded MongoDB lie, and who may touch them.

In ``data_dir/mongodb`` lie:

===================  ===========================================================================================
``data/``            what ``mongod`` keeps
``mongod.log``       its log; ``mongod.log.1`` is the part before
``version``          the MongoDB that last opened ``data``
``*.sock``           its socket, the only way in: no TCP port is open (Windows: a port on 127.0.0.1, in ``port``)
``start.lock``       held while one process starts or stops the server
``server.lock``      held by the server itself, from before its first step until its end
``watch.lock``       held by the watchdog, which stops the server once nobody uses it
``used``             touched by every process that asks for the server
===================  ===========================================================================================

The folder is for its owner only. The socket stays beside the data, where every process that sees the data finds it: a
runtime folder such as ``/run/user/1000`` differs between sessions and vanishes at logout, under a server that goes on.
Only where its path would be too long for a socket it moves to a private folder in ``/tmp``.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from battery_analysis.errors import StoreUnavailableError
from battery_analysis.store import mongod

LOG_BYTES = 16 * 2**20
SOCKET_PATH_BYTES = 103
"""Longest socket path: 107 on Linux, 103 on macOS."""


@dataclass(frozen=True)
class Layout:
    """Where the files of one embedded server lie; ``root`` is resolved."""

    root: Path

    @classmethod
    def of(cls, data_dir: Path) -> Layout:
        """Layout below a data folder."""
        return cls(Path(data_dir, "mongodb").resolve())

    @property
    def data(self) -> Path:
        """The folder that ``mongod`` owns."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """The log of ``mongod``."""
        return self.root / "mongod.log"

    @property
    def socket(self) -> Path:
        """The socket: beside the data, or in ``/tmp`` where that path is too long (or holds a comma: a list there)."""
        beside = self.root / "mongodb-27017.sock"
        if len(os.fsencode(beside)) <= SOCKET_PATH_BYTES and "," not in str(beside):
            return beside
        return short_folder() / hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16] / beside.name

    @property
    def address(self) -> str:
        """Where the server listens, for people to read."""
        return f"127.0.0.1:{port(self)}" if sys.platform == "win32" else str(self.socket)

    @property
    def uri(self) -> str:
        """Connection string for pymongo."""
        address = self.address if sys.platform == "win32" else quote(os.fsencode(self.socket), safe="")
        return f"mongodb://{address}/"

    def recorded_version(self) -> mongod.Version | None:
        """Version of the MongoDB that last opened the data; None where there is no record."""
        try:
            return mongod.parse_version((self.root / "version").read_text(encoding="ascii", errors="replace"))
        except OSError:
            return None

    def record_version(self, version: mongod.Version) -> None:
        """Keep the version of the MongoDB that is about to open the data."""
        temporary = self.root / "version.new"
        temporary.write_text(mongod.version_text(version) + "\n", encoding="ascii")
        temporary.replace(self.root / "version")


@contextmanager
def usable_folder(layout: Layout) -> Iterator[None]:
    """Make the folder for its owner only, and put what the system says against it into one line."""
    try:
        layout.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_private(layout.root)
        layout.data.mkdir(mode=0o700, exist_ok=True)
        yield
    except OSError as exc:
        raise StoreUnavailableError(
            f"the embedded MongoDB cannot use its folder {layout.root}: {exc.strerror or exc}; "
            "set data_dir (BATTERY_DATA_DIR) to a folder you may write, or MONGO_URI to a server"
        ) from exc


def make_private(folder: Path) -> None:
    """Make a folder for this user only.

    Raises:
        StoreUnavailableError: It is a link, or belongs to someone else.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if sys.platform == "win32":
        return
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise StoreUnavailableError(f"{folder} must be a folder, not a link or file")
    if facts.st_uid != os.geteuid():
        raise StoreUnavailableError(f"{folder} belongs to user {facts.st_uid}, not to user {os.geteuid()}")
    if stat.S_IMODE(facts.st_mode) != 0o700:
        folder.chmod(0o700)


def short_folder() -> Path:
    """Return the folder of this user's sockets that have no room beside their data."""
    return Path(f"/tmp/battery-analysis-{os.geteuid()}")


def port(layout: Layout, *, new: bool = False) -> int:
    """Windows only: the port noted for this folder, or a free one, which is noted."""
    note = layout.root / "port"
    if new:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            note.write_text(str(free.getsockname()[1]), encoding="ascii")
    return int(note.read_text(encoding="ascii")) if note.exists() else 0


def rotate_log(layout: Layout) -> bool:
    """Put a log that has grown large aside, in place of the one before."""
    if not layout.log.exists() or layout.log.stat().st_size < LOG_BYTES:
        return False
    layout.log.replace(layout.log.with_name("mongod.log.1"))
    return True


def size_on_disk(folder: Path) -> int:
    """Bytes that the files of a folder take; preallocated files count for what they take, not for their length."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # the server removes files at any time
            facts = path.lstat()
            total += getattr(facts, "st_blocks", facts.st_size // 512) * 512
    return total
