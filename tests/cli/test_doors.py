"""The ways in: processes, signals and pipes, and databases, folders and disks that are not as they should be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pymongo
import pytest

from battery_analysis.store import mongod
from tests.builders import arbin_csv
from tests.cli.conftest import ROOT, Cli, as_root

PASSWORD = "s3cret-word"


def test_every_door_leads_to_its_command(cli: Cli, lab: Path) -> None:
    doors = {
        "import_directory": ([lab, "--depth", "0"], b"1 created, 1 skipped"),
        "search_tests": (["--sample", "AB12"], b"AB12"),
        "raw_file_cli": (["list"], b"AB12_ageing.csv"),
    }
    for name, (words, shown) in doors.items():
        child = cli.process(*words, module=f"battery_analysis.utils.{name}")
        out, err = child.communicate()
        assert (child.returncode, err) == (0, b"")
        assert shown in out


def many_files(lab: Path) -> Path:
    """A folder whose import takes longer than it takes to interrupt it."""
    lab.mkdir()
    for number in range(100):
        (lab / f"AB{number + 100}.csv").write_text(arbin_csv(2, records=20 + 2 * number))
    return lab


def test_ctrl_c_finishes_the_files_in_hand_and_the_job_goes_on_where_it_stopped(cli: Cli, tmp_path: Path) -> None:
    child = cli.process("import", many_files(tmp_path / "lab"), start_new_session=True)
    child.stdout.readline()
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, err = child.communicate()
    assert child.returncode == 130
    finishing, resume = err.decode().splitlines()
    assert finishing.startswith("finishing the files in hand")
    assert out.decode().splitlines()[-1].startswith("job ")
    done = 1 + out.count(b"\ncreated ") + out.startswith(b"created ")
    [job] = cli.json("import", "--status")
    assert (job["state"], job["done"], job["total"]) == ("interrupted", done, 100)
    assert done < 100
    assert len(cli.json("search")) == len(cli.json("raw", "list")) == done

    assert resume.startswith("interrupted; go on with: ")
    command = resume.removeprefix("interrupted; go on with: ")
    again = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.splitlines()[-1].startswith(f"job {job['id']}: {100 - done} created in ")
    assert len(cli.json("search")) == 100
    assert cli.json("import", "--status", job["id"])["state"] == "completed"


def test_a_second_ctrl_c_ends_at_once_and_says_how_to_go_on(cli: Cli, tmp_path: Path) -> None:
    child = cli.process("import", many_files(tmp_path / "lab"), start_new_session=True)
    child.stdout.readline()
    os.killpg(child.pid, signal.SIGINT)
    assert child.stderr.readline().startswith(b"finishing the files in hand")
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate()
    [job] = cli.json("import", "--status")
    assert child.returncode == 130
    assert err.decode().startswith("interrupted; go on with: ")
    assert err.decode().count("\n") == 1
    assert f"import --resume {job['id']}" in err.decode()
    assert job["state"] == "interrupted"


def test_an_import_whose_server_goes_away_ends_with_one_line_and_can_go_on(
    cli: Cli, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATTERY_DATA_DIR", str(data_dir))
    cli.database = ()
    child = cli.process("import", many_files(tmp_path / "lab"), "--retries", "1")
    child.stdout.readline()
    assert cli("db", "stop", "--force").status == 0
    _, err = child.communicate()
    assert child.returncode == 2
    waiting, error = err.decode().splitlines()
    assert waiting.endswith("; waiting, tried again in 1 s")
    assert error.startswith("error: no answer from ")
    command = err.decode().partition("go on with: ")[2]
    again = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, check=False)
    assert (again.returncode, again.stderr) == (0, b"")
    assert len(cli.json("search")) == 100


def test_a_killed_import_shows_as_interrupted_and_can_be_resumed(cli: Cli, lab: Path) -> None:
    for number in range(40):
        (lab / f"EF{number + 10}.csv").write_text(arbin_csv(2, records=20 + 2 * number))
    child = cli.process("import", lab)
    child.stdout.readline()
    child.kill()
    child.communicate()
    [job] = cli.json("import", "--status")
    assert job["state"] == "interrupted"
    done = cli("import", "--resume", job["id"])
    assert (done.status, done.err) == (1, "")  # the broken file fails again
    tests = cli.json("search")
    assert len({test["id"] for test in tests}) == len({test["sha256"] for test in tests}) == 42
    assert cli.ok("raw", "verify").out == "42 of 42 raw files are as they were\n"


def test_whoever_stops_reading_ends_a_search_quietly(cli: Cli, lab: Path) -> None:
    cli("import", lab)
    child = cli.process("search", "--csv")
    child.stdout.close()
    assert (child.stderr.read(), child.wait()) == (b"", 141)
    child.stderr.close()


@contextmanager
def locked_server() -> Iterator[str]:
    """A MongoDB that asks for a password; yields its address."""
    folder = Path(tempfile.mkdtemp(prefix="ba-auth-"))
    program = mongod.choose(folder, None).path
    socket = folder / "s.sock"
    words = [program, "--auth", "--dbpath", folder, "--bind_ip", socket, "--unixSocketPrefix", folder, "--quiet"]
    server = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL)
    try:
        host = quote(str(socket), safe="")
        with pymongo.MongoClient(f"mongodb://{host}/", serverSelectionTimeoutMS=20_000) as client:
            rights = [{"role": "readWrite", "db": "lab"}]
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
            root = pymongo.MongoClient(f"mongodb://root:{PASSWORD}@{host}/")
            root.lab.command("createUser", "ada", pwd=PASSWORD, roles=rights)
            root.lab.command("createUser", "reader", pwd=PASSWORD, roles=[{"role": "read", "db": "lab"}])
            root.close()
        yield host
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def test_a_database_with_passwords_lets_in_who_may_and_shows_none(cli: Cli, lab: Path) -> None:
    def typed(user: str, password: str, *words: object, name: str = "lab") -> tuple[int, str]:
        cli.database = ("--db-uri", f"mongodb://{user}:{password}@{host}/{name}")
        done = cli(*words)
        assert PASSWORD not in done.out + done.err
        assert password not in done.out + done.err
        return done.status, done.out + done.err

    with locked_server() as host:
        status, shown = typed("ada", PASSWORD, "demo", lab, "--no-dashboard")
        assert status == 0
        assert "--db-uri URI" in shown
        assert typed("ada", PASSWORD, "search", "--csv")[1].count("AB12") == 3
        assert typed("reader", PASSWORD, "search", "--csv")[0] == 0
        for user, password, words in (
            ("ada", "wrong-word", ("search",)),
            ("ada", "wrong-word", ("import", lab)),
            ("nobody", PASSWORD, ("import", "--history")),
            ("reader", PASSWORD, ("import", lab)),
            ("reader", PASSWORD, ("sample", "set", "AB12", "area_cm2=2")),
        ):
            status, shown = typed(user, password, *words)
            assert status == 2
            assert shown.count("\n") == 1
            assert "refuses this user" in shown


BAD_DATABASES = {
    "no server": (f"mongodb://ada:{PASSWORD}@localhost:1/", "no answer from localhost:1"),
    "another scheme": (f"http://ada:{PASSWORD}@localhost/", "must have the form mongodb://"),
    "an @ in the password": (f"mongodb://ada:x@{PASSWORD}@localhost/", "must have the form mongodb://"),
    "no such port": (f"mongodb://ada:{PASSWORD}@localhost:99999/", "localhost:99999"),
    "no such option": (f"mongodb://ada:{PASSWORD}@localhost/?colour=red", "colour"),
    "no such mechanism": (f"mongodb://ada:{PASSWORD}@localhost/?authMechanism=RED", "is not usable"),
    "no certificate": (f"mongodb://ada:{PASSWORD}@localhost/?tls=true&tlsCAFile=/nowhere.pem", "/nowhere.pem"),
}


@pytest.mark.parametrize(("uri", "message"), BAD_DATABASES.values(), ids=list(BAD_DATABASES))
@pytest.mark.parametrize("given", ["option", "variable"])
def test_a_database_that_cannot_be_reached_is_one_line_without_the_password(
    cli: Cli, lab: Path, uri: str, message: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.database = ("--db-uri", uri) if given == "option" else ()
    if given == "variable":
        monkeypatch.setenv("MONGO_URI", uri)
    began = time.monotonic()
    line = cli.refused("import", lab)
    assert time.monotonic() - began < 4
    assert message in line
    assert PASSWORD not in line


def test_host_and_port_are_used_where_there_is_no_uri(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.database = ()
    monkeypatch.setenv("MONGO_PORT", "1")
    assert "no answer from localhost:1" in cli.refused("search")
    monkeypatch.setenv("MONGO_PORT", "many")
    assert "MONGO_PORT: db_port = 'many'" in cli.refused("search")


def test_a_data_folder_that_cannot_be_written_is_one_line(
    cli: Cli, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("BATTERY_DATA_DIR", str(tmp_path / "file" / "data"))
    assert "cannot keep a copy to read from: Not a directory" in cli.refused("import", lab)
    assert cli.json("raw", "list") == cli.json("sample", "list") == []
    cli.database = ()
    assert "the embedded MongoDB cannot use its folder" in cli.refused("search")


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    if not as_root():
        pytest.skip("only root may mount a small disk")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_import_with_nothing_half_stored(
    cli: Cli, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab / "XY99_long.csv").write_text(arbin_csv(500))
    with small_disk(tmp_path / "small", "size=100k") as disk:
        monkeypatch.setenv("BATTERY_DATA_DIR", str(disk))
        done = cli("import", lab, "--report", tmp_path / "report.csv")
        assert done.status == 2
        assert done.err.count("\n") == 1
        assert "cannot keep a copy to read from: No space left on device" in done.err
        assert list((disk / "spool").iterdir()) == []
    [job] = cli.json("import", "--history")
    assert (job["state"], "No space left" in job["reason"]) == ("failed", True)
    assert f"import --resume {job['id']}" in done.err
    named = {test["id"] for test in cli.json("search")}
    assert len(named) == cli("import", "--status", job["id"], "--json").json["counts"].get("created", 0)
    monkeypatch.setenv("BATTERY_DATA_DIR", str(tmp_path / "data"))
    assert cli("import", "--resume", job["id"]).status == 1  # the broken file
    assert {test["sample"] for test in cli.json("search")} == {"AB12", "CD34", "XY99"}


def test_a_full_disk_leaves_an_older_file_as_it_was(cli: Cli, lab: Path, tmp_path: Path) -> None:
    (lab / "XY99_long.csv").write_text(arbin_csv(500))
    cli.ok("import", lab / "XY99_long.csv")
    [test] = cli.json("search")
    with small_disk(tmp_path / "small", "size=100k") as disk:
        out = disk / "original.csv"
        out.write_text("older")
        line = cli.refused("raw", "by-test", test["id"], "--out", out)
        assert f"{out}: cannot be written: No space left on device" in line
        assert out.read_text() == "older"
        assert list(disk.iterdir()) == [out]


def test_a_read_only_folder_is_imported_from_and_not_written_to(cli: Cli, lab: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "share", "size=1m") as disk:
        shutil.copytree(lab, disk / "lab")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert cli("import", disk / "lab").status == 1
        report = disk / "report.csv"
        assert f"{report}: cannot be written: Read-only file system" in cli.refused("import", lab, "--report", report)
    assert {test["sample"] for test in cli.json("search")} == {"AB12", "CD34"}
    assert len(cli.json("import", "--history")) == 1
