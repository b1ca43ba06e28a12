"""What the store has confirmed is there after its server was killed."""

from __future__ import annotations

from pathlib import Path

import psutil

from battery_analysis.settings import Settings
from battery_analysis.store import open_store, server


def test_what_was_confirmed_survives_the_death_of_the_server(data_dir: Path) -> None:
    settings = Settings.load(environ={}, data_dir=data_dir)
    with open_store(settings) as store:
        for number in range(50):
            store.database["notes"].insert_one({"_id": number})
        process = psutil.Process(server.status(data_dir).pid)
        process.kill()
        psutil.wait_procs([process], timeout=10)
    with open_store(settings) as store:
        assert store.database["notes"].count_documents({}) == 50


def test_an_address_that_says_how_writes_are_confirmed_is_followed(data_dir: Path) -> None:
    uri = server.ensure_running(data_dir)
    for options, concern in (("", {"w": "majority", "j": True}), ("?w=1&journal=false", {"w": 1, "j": False})):
        with open_store(Settings.load(environ={}, db_uri=f"{uri}{options}", data_dir=data_dir)) as store:
            assert store.database.write_concern.document == concern
