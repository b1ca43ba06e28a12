"""What the store has confirmed is there after its server was killed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from battery_analysis.settings import Settings
from battery_analysis.store import open_store, server


@pytest.fixture
def own_server() -> Iterator[Path]:
    """A data folder with a server that may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="ba-"))
    yield folder
    server.stop(folder)
    shutil.rmtree(folder)


def test_what_was_confirmed_survives_the_death_of_the_server(own_server: Path) -> None:
    settings = Settings.load(environ={}, data_dir=own_server)
    with open_store(settings) as store:
        for number in range(50):
            store.database["notes"].insert_one({"_id": number})
        process = psutil.Process(server.status(own_server).pid)
        process.kill()
        psutil.wait_procs([process], timeout=10)
    with open_store(settings) as store:
        assert store.database["notes"].count_documents({}) == 50


def test_an_address_that_says_how_writes_are_confirmed_is_followed(own_server: Path) -> None:
    uri = server.ensure_running(own_server)
    for options, concern in (("", {"w": "majority", "j": True}), ("?w=1&journal=false", {"w": 1, "j": False})):
        with open_store(Settings.load(environ={}, db_uri=f"{uri}{options}", data_dir=own_server)) as store:
            assert store.database.write_concern.document == concern
