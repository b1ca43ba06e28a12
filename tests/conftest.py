"""What tests of several packages share: a home folder of their own, and a real MongoDB."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from battery_analysis.processes import Processes
    from battery_analysis.settings import Settings
    from battery_analysis.store import Store

# A busy machine is no failure; and what passes once in CI passes again.
hypothesis.settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("project")

_ROOM_BYTES = 4 << 30
_SETTINGS = ("MONGO_", "USE_MONGO_", "BATTERY_")


@pytest.fixture(scope="session", autouse=True)
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep every test out of the user's home folder and settings; a server started by default stops at the end."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in os.environ:
            if variable.startswith(_SETTINGS) and variable != "BATTERY_TEST_DATA":
                patch.delenv(variable)
        patch.setenv("HOME", str(home))
        for variable, folder in (("DATA", "data"), ("CONFIG", "config"), ("CACHE", "cache"), ("STATE", "state")):
            patch.setenv(f"XDG_{variable}_HOME", str(home / folder))
        yield home
        from battery_analysis.settings import Settings
        from battery_analysis.store.server import stop

        stop(Settings.load().data_dir)


@pytest.fixture(scope="session", autouse=True)
def lent_readers() -> Iterator[None]:
    """Imports in this process hand the processes that read to the next one; to start them is most of a small import.

    Those of an import that ends with an error are stopped, as all are without this: they may be at work.
    """
    from battery_analysis.ingest import reader_pool, rollback

    free: dict[tuple[int, int], Processes] = {}

    class LentReaders(reader_pool.ReaderPool):
        def __init__(self, workers: int, mappings: Path | None = None) -> None:
            super().__init__(workers, mappings)
            self._limits = (workers, reader_pool.MEMORY_BYTES)
            self._processes = free.pop(self._limits, self._processes)

        def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
            if error is None and self._limits not in free:
                free[self._limits] = self._processes
            else:
                super().__exit__(kind, error, traceback)

    with pytest.MonkeyPatch.context() as patch:
        for module in (reader_pool, rollback):
            patch.setattr(module, "ReaderPool", LentReaders)
        yield
    for processes in free.values():
        processes.close()


@pytest.fixture(scope="session")
def server_uri() -> Iterator[str]:
    """Connection string of one embedded MongoDB for the whole session of this test process."""
    import pymongo

    from battery_analysis.store import server

    data_dir = Path(tempfile.mkdtemp(prefix="ba-", dir=_memory()))
    try:
        uri = server.ensure_running(data_dir)
        with pymongo.MongoClient(uri) as client:
            client.admin.command("ping")  # whoever is connected keeps it running, however long no test needs it
            yield uri
        server.stop(data_dir)
    finally:
        shutil.rmtree(data_dir)


def _memory() -> str | None:
    """Where files need no disk, if there is such a place with room for every worker's database.

    A database of a test's own is dozens of new files, each of which the server waits for to be on the disk.
    """
    place = "/dev/shm"
    return place if os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM_BYTES else None


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder of this test's own; an embedded MongoDB that was started there stops at the end."""
    from battery_analysis.store import server

    folder = Path(tempfile.mkdtemp(prefix="ba-", dir=_memory()))
    yield folder
    server.stop(folder)
    shutil.rmtree(folder)


@pytest.fixture
def database_name(server_uri: str) -> Iterator[str]:
    """A database name of this test's own; what it holds is dropped afterwards."""
    import pymongo

    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient(server_uri, serverSelectionTimeoutMS=2000) as client:
        client.drop_database(name)


@pytest.fixture
def settings(server_uri: str, database_name: str, tmp_path: Path) -> Settings:
    """Settings that name a database of this test's own."""
    from battery_analysis.settings import Settings

    return Settings.load(environ={}, db_uri=server_uri, db_name=database_name, data_dir=tmp_path / "data", workers=2)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """An open store on a real MongoDB."""
    from battery_analysis.store import open_store

    with open_store(settings) as opened:
        yield opened
