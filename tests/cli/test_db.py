"""``battery-analysis db`` as users run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pymongo
import pytest

from battery_analysis.store.server_folder import Layout
from cli import db
from cli.common import run
from tests.cli.conftest import Cli


@pytest.fixture
def data_dir(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BATTERY_DATA_DIR", str(data_dir))
    return data_dir


def json_of(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert run(db.app, [*args, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_embedded_server_is_started_shown_and_stopped(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json_of(capsys, "status")["running"] is False
    started = json_of(capsys, "start")
    assert (started["running"], started["mode"], started["database"]) == (True, "embedded", "battery_test_db")
    assert Path(started["log"]).is_file()
    assert json_of(capsys, "status")["pid"] == started["pid"]
    assert run(db.app, ["status"]) == 0
    assert str(data_dir) in capsys.readouterr().out
    assert json_of(capsys, "stop") == {"running": False, "stopped": True}
    assert json_of(capsys, "stop") == {"running": False, "stopped": False}


def test_a_backup_is_restored_into_another_database(
    server_uri: str,
    database_name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MONGO_URI", server_uri)
    monkeypatch.setenv("BATTERY_DB_NAME", database_name)
    file, other = tmp_path / "lab.backup", f"{database_name}_other"
    with pymongo.MongoClient(server_uri) as client:
        client[database_name].notes.insert_one({"_id": 1})
        assert json_of(capsys, "backup", str(file))["documents"] == 1
        assert run(db.app, ["restore", str(file)]) == 2
        assert "is not empty (notes …); restore --into another name" in capsys.readouterr().err
        try:
            assert json_of(capsys, "restore", str(file), "--into", other)["database"] == other
            assert client[other].notes.find_one() == {"_id": 1}
        finally:
            client.drop_database(other)
        assert json_of(capsys, "restore", str(file), "--force")["database"] == database_name
    status = json_of(capsys, "status")
    assert (status["mode"], status["running"], status["database"]) == ("server", True, database_name)


def test_with_another_server_in_the_settings_there_is_nothing_to_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://ada:secret@db.example.org")
    assert run(db.app, ["start"]) == 2
    assert capsys.readouterr().err == (
        "error: the settings name another database (db.example.org); there is nothing to start\n"
    )


def test_a_server_in_use_is_stopped_only_by_force(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_of(capsys, "start")
    with pymongo.MongoClient(Layout.of(data_dir).uri, serverSelectionTimeoutMS=500) as client:
        client.admin.command("ping")
        assert run(db.app, ["stop"]) == 2
        assert capsys.readouterr().err.startswith("error: 1 other program is connected to the database; ")
        assert json_of(capsys, "status")["running"] is True
        assert json_of(capsys, "stop", "--force")["stopped"] is True


def test_migrate_says_what_it_changed_and_may_be_run_twice(cli: Cli) -> None:
    with cli.store() as store:
        store.database.samples.insert_one({"name": "AB12"})
    done = cli.ok("db", "migrate")
    assert done.lines[0].split(maxsplit=1) == ["1", "documents without a time of creation or change"]
    assert done.lines[-1] == "schema version 1"
    assert cli.ok("db", "migrate").out == "nothing to change; schema version 1\n"
    assert cli.json("db", "migrate")["changed"]["times"] == 0
