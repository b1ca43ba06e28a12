"""Commands as users give them, on a database of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from battery_analysis.settings import Settings
from battery_analysis.store import Store, open_store
from cli.main import main
from tests.builders import arbin_csv

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Cli:
    """Runs commands on one database, in this process or as processes of their own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], uri: str, name: str) -> None:
        self._capsys = capsys
        self._where = {"db_uri": uri, "db_name": name}
        self.database = ("--db-uri", uri, "--db-name", name)

    def __call__(self, *args: object) -> Done:
        """Run a command and return its status and output."""
        self._capsys.readouterr()
        status = main([*map(str, args), *self.database])
        printed = self._capsys.readouterr()
        return Done(status, printed.out, printed.err)

    def ok(self, *args: object) -> Done:
        """Run a command that must end with status 0."""
        done = self(*args)
        assert (done.status, done.err) == (0, ""), done.err
        return done

    def json(self, *args: object) -> Any:
        """Run a command that must end with status 0 and return its JSON."""
        return self.ok(*args, "--json").json

    def refused(self, *args: object) -> str:
        """Run a command that must not start, and return its one line."""
        done = self(*args)
        assert (done.status, done.out) == (2, "")
        assert done.err.count("\n") == 1
        return done.err

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the database, to put tests there without reading files; no command may run meanwhile."""
        with open_store(Settings.load(environ={}, **self._where)) as opened:
            yield opened

    def process(self, *args: object, module: str = "cli.main", **options: Any) -> subprocess.Popen[bytes]:
        """Start a command as a process of its own."""
        words = [sys.executable, "-m", module, *map(str, args), *self.database]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(words, cwd=ROOT, bufsize=0, **{**pipes, **options})


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str],
    server_uri: str,
    database_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    monkeypatch.setenv("BATTERY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BATTERY_WORKERS", "1")
    return Cli(capsys, server_uri, database_name)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A small lab: two good files, one in a folder below, a broken one, and one of no known format."""
    folder = tmp_path / "lab"
    (folder / "rate").mkdir(parents=True)
    (folder / "AB12_ageing.csv").write_text(arbin_csv(3))
    (folder / "rate" / "CD34_rate.csv").write_text(arbin_csv(5))
    (folder / "rate" / "broken.csv").write_bytes(b"")
    (folder / "notes.doc").write_text("nothing to see")
    return folder


def as_root() -> bool:
    """Whether this process may mount file systems."""
    return sys.platform == "linux" and os.geteuid() == 0
