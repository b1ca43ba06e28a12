"""Where faults happen: a lab folder in two states, private MongoDB servers, and commands as users type them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psutil
from pymongo import MongoClient

from battery_analysis.settings import Settings
from battery_analysis.store import Store, open_store, server
from benchmarks.faults.picture import Picture, differences, picture, repaired, shortened
from examples.bulk import write_large_ndax, write_many_csv
from examples.lab import make_lab

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 180.0
"""How long anything may take on a busy machine."""

LARGEST_OF_LAB = 320_000
AN_HOUR = 3600.0

T = TypeVar("T")


@dataclass(frozen=True)
class Try:
    """One fault: whether it came while there was something to break, and which promises it broke."""

    injected: bool
    broken: list[str]


@dataclass(frozen=True)
class Course:
    """An import that faults disturb: on a copy of which database, how it ends undisturbed, and how long it works."""

    origin: str | None
    expected: Picture
    seconds: float


class Stage:
    """A server of its own, databases on it, and the commands of users who have set nothing but its data folder."""

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.tree = folder / "lab"
        self._uri = uri
        self._numbers = count()

    @property
    def uri(self) -> str:
        """Connection string; an embedded server is started if it does not run."""
        return self._uri or server.ensure_running(self.data_dir)

    def database(self, origin: str | None = None) -> str:
        """Name a fresh database, with all that another one holds."""
        name = f"faults_{next(self._numbers)}"
        if origin is not None:
            with self.client() as client:
                for collection in client[origin].list_collection_names():
                    client[origin][collection].aggregate([{"$out": {"db": name, "coll": collection}}])
        return name

    def drop(self, name: str) -> None:
        """Remove a database."""
        with self.client() as client:
            client.drop_database(name)

    @contextmanager
    def client(self) -> Iterator[MongoClient[dict[str, Any]]]:
        """Connect beside the product."""
        with MongoClient(self.uri, serverSelectionTimeoutMS=30_000) as client:
            yield client

    @contextmanager
    def store(self, name: str) -> Iterator[Store]:
        """Open a database as the product does."""
        with open_store(Settings.load(environ={}, db_uri=self.uri, db_name=name, data_dir=self.data_dir)) as opened:
            yield opened

    def start(self, name: str, *words: object, data_dir: Path | None = None) -> Command:
        """Start a command on a database."""
        where = ["--db-name", name, *(["--db-uri", self._uri] if self._uri else [])]
        return Command([*map(str, words), *where], self.folder, data_dir or self.data_dir)

    def check(self, name: str, expected: Picture) -> list[str]:
        """Return what ``verify --repair`` finds, and what is not as it is after an undisturbed import."""
        with self.store(name) as store:
            return shortened([*repaired(store), *differences(expected, picture(store))])

    def jobs(self, name: str) -> list[dict[str, Any]]:
        """Return the import jobs of a database, newest first."""
        with self.client() as client:
            return list(client[name]["import_jobs"].find().sort("started_at", -1))

    def rehearse(self, origin: str | None = None, *options: object) -> Course:
        """Import the lab undisturbed."""
        name = self.database(origin)
        began = _begun_import(self, name, *options)
        seconds_from = time.monotonic()
        done = began.end()
        if done not in (0, 1):
            raise RuntimeError(f"the undisturbed import ended with {done}: {began.errors}")
        seconds = time.monotonic() - seconds_from
        with self.store(name) as store:
            wrong, expected = list(repaired(store)), picture(store)
        if wrong:
            raise RuntimeError(f"the undisturbed import left {wrong}")
        return Course(origin, expected, seconds)

    def courses(self, *options: object) -> list[Course]:
        """Make the lab, and rehearse its first import and that of what has grown."""
        make_tree(self.tree, grown=False)
        before = self.database()
        if (done := self.start(before, "import", self.tree, *options).end()) not in (0, 1):
            raise RuntimeError(f"the first import ended with {done}")
        make_tree(self.tree, grown=True)
        return [self.rehearse(None, *options), self.rehearse(before, *options)]

    def begin(self, name: str, *options: object, data_dir: Path | None = None) -> Command:
        """Start an import of the lab and return once its job is under way."""
        return _begun_import(self, name, *options, data_dir=data_dir)


class Command:
    """A process as a user starts it, in a group of its own."""

    def __init__(self, words: list[str], folder: Path, data_dir: Path) -> None:
        own = {"HOME": str(folder), "BATTERY_DATA_DIR": str(data_dir), "BATTERY_WORKERS": "2"}
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("BATTERY_", "MONGO_", "XDG_"))
        }
        place = Path(tempfile.mkdtemp(prefix="command-", dir=folder))
        self._output, self._errors = place / "output", place / "errors"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *words],
                cwd=ROOT,
                env={**kept, **own},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def end(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and return its status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.process.args!r} has not ended within {seconds:.0f} s") from None

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C or the system does."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def kill(self) -> list[psutil.Process]:
        """Kill it alone, and return the processes it had started."""
        children = self.children()
        self.process.kill()
        self.process.wait()
        return children

    def children(self) -> list[psutil.Process]:
        """Return the processes it has started."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self._output.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        return self._errors.read_text(errors="replace")


@contextmanager
def stage(uri: str | None = None, folder: Path | None = None) -> Iterator[Stage]:
    """Set up a stage that is gone afterwards, server and all."""
    place = Path(tempfile.mkdtemp(prefix="faults-", dir=folder))
    made = Stage(place, uri)
    try:
        yield made
    finally:
        if made.data_dir.exists():
            server.stop(made.data_dir)
        shutil.rmtree(place, ignore_errors=True)


def make_tree(root: Path, *, grown: bool) -> None:
    """Write a lab folder: small exports, runs of several files, a copy, broken and foreign files; some grow later."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path in make_lab(root):
        if path.stat().st_size > LARGEST_OF_LAB:
            path.unlink()
    small = write_many_csv(root, 16)
    copy = root / "copies" / small[0].name
    copy.parent.mkdir()
    shutil.copy(small[0], copy)
    (root / "empty.csv").touch()
    (root / "readme.doc").write_text("nothing to import")
    for number in range(3):
        write_large_ndax(root / f"GN{number:03d}.ndax", 3_000 if grown else 2_000, seed=number)
    if not grown:
        for path in small[8:14]:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) * 2 // 3])
        small[15].unlink()
    quiet_since = time.time() - (AN_HOUR if grown else 2 * AN_HOUR)
    for path in root.rglob("*"):
        os.utime(path, (quiet_since, quiet_since))


def eventually(look: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Look again and again until there is something to return."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)
    return found


def _begun_import(stage: Stage, name: str, *options: object, data_dir: Path | None = None) -> Command:
    with stage.client() as client:
        jobs = client[name]["import_jobs"]
        before = jobs.count_documents({})
        command = stage.start(name, "import", stage.tree, *options, data_dir=data_dir)
        eventually(
            lambda: jobs.count_documents({}) > before or command.process.poll() is not None, "the job of an import"
        )
    return command
