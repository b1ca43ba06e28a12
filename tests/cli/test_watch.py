"""Watching as users start it: a process of its own on a real database, seen through what the commands show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from battery_analysis.ingest import job as jobs
from battery_analysis.store import server
from tests.builders import arbin_csv
from tests.cli.conftest import Cli

SECONDS = 60.0
"""How long anything may take on a busy machine; nothing waits for so long on a quiet one."""

DEBOUNCE = "0.2"


class Watching:
    """A watcher in a process of its own, and what it printed so far."""

    def __init__(self, cli: Cli, child: subprocess.Popen[bytes]) -> None:
        self.cli = cli
        self.child = child
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=pipe, daemon=True)
            for pipe in ((child.stdout, self.out), (child.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def until_said(self, *words: str) -> str:
        """Wait until a line was printed that holds all these words, and return the newest."""
        found = eventually(lambda: [line for line in self.out + self.err if all(word in line for word in words)], self)
        return found[-1]

    def until_searched(self) -> dict[str, Any]:
        """Wait until everything was looked at and nothing waits, and return what ``--status`` says."""

        def rested() -> dict[str, Any] | None:
            rows = self.cli.json("watch", "--status")
            rested = [row for row in rows if row["scanned_at"] and row["state"] == "running" and not row["waiting"]]
            return rested[0] if rested else None

        return eventually(rested, self)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it and return its exit status."""
        self.child.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait for its end and return its exit status."""
        status = self.child.wait(SECONDS)
        for reader in self._readers:
            reader.join(SECONDS)
        return status

    def has_died(self) -> bool:
        """Whether it ended, and all it said was read."""
        return self.child.poll() is not None and self.end() is not None

    @staticmethod
    def _read(pipe: Any, lines: list[str]) -> None:
        with pipe:
            for line in iter(pipe.readline, b""):
                lines.append(line.decode().rstrip("\n"))


def eventually(what: Callable[[], Any], about: Watching | None = None) -> Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + SECONDS
    while not (answer := what()):
        has_died = about is not None and about.has_died()
        assert not has_died or what(), about.err
        assert time.monotonic() < end, about and (about.out, about.err)
        time.sleep(0.05)
    return answer


@contextmanager
def watching(cli: Cli, *words: object, debounce: str = DEBOUNCE) -> Iterator[Watching]:
    child = cli.process("watch", *words, "--debounce", debounce)
    seen = Watching(cli, child)
    try:
        yield seen
    finally:
        if child.poll() is None:
            child.kill()
        seen.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to watch."""
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


def samples(cli: Cli) -> dict[str, int]:
    """Records of each test, by sample."""
    return {test["sample"]: test["records"] for test in cli.json("search")}


def test_whatever_happens_in_a_folder_is_imported(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (folder / "AB10_there.csv").write_text(arbin_csv(2))
    with watching(cli, folder) as watcher:
        watcher.until_said("created", "AB10_there.csv")

        (folder / "AB11_new.csv").write_text(arbin_csv(3))
        watcher.until_said("created", "AB11_new.csv", "60 records")

        (folder / "AB11_new.csv").write_text(arbin_csv(4))
        watcher.until_said("updated", "AB11_new.csv", "80 records")

        (folder / "AB11_new.csv").rename(folder / "AB11_renamed.csv")
        watcher.until_said("duplicate", "AB11_renamed.csv")

        (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
        (tmp_path / "elsewhere" / "deep" / "CD12.csv").write_text(arbin_csv(5))
        (tmp_path / "elsewhere").rename(folder / "moved")
        watcher.until_said("created", "moved/deep/CD12.csv", "100 records")
        (folder / "moved" / "deep" / "CD13.csv").write_text(arbin_csv(6))
        watcher.until_said("created", "moved/deep/CD13.csv")

        (folder / "AB10_there.csv").unlink()  # nothing is removed from the store

        (folder / "EF14.csv").write_text("")
        watcher.until_said("failed", "EF14.csv", "the file is empty")
        eventually(lambda: cli.json("watch", "--status")[0]["failed"] == 1, watcher)
        [row] = cli.json("watch", "--status")
        assert [(Path(each["path"]).name, each["reason"]) for each in row["failures"]] == [
            ("EF14.csv", "the file is empty (0 bytes)")
        ]
        (folder / "EF14.csv").write_text(arbin_csv(7))
        watcher.until_said("created", "EF14.csv", "140 records")
        eventually(lambda: not cli.json("watch", "--status")[0]["failed"], watcher)

        [row] = cli.json("watch", "--status")
        assert (row["state"], row["pid"], row["waiting"], row["troubles"]) == ("running", watcher.child.pid, 0, [])
        assert row["files"] == 4
        assert watcher.stop() == 0
    assert watcher.err == ["finishing the files in hand; once more ends at once"]
    assert watcher.out[-1].startswith("job ")
    assert samples(cli) == {"AB10": 40, "AB11": 80, "CD12": 100, "CD13": 120, "EF14": 140}
    [row] = cli.json("watch", "--status")
    assert row["state"] == "stopped"
    job = cli.json("import", "--status", row["job"])
    assert (job["state"], job["reason"], job["failures"]) == ("stopped", "stopped by a user", [])
    assert cli.ok("raw", "verify").status == 0


def test_a_file_that_is_written_slowly_ends_up_as_it_is(cli: Cli, folder: Path) -> None:
    path = folder / "AB12_slow.csv"
    lines = arbin_csv(6).splitlines(keepends=True)
    with watching(cli, folder) as watcher:
        watcher.until_searched()
        with path.open("w") as file:
            for place in range(0, len(lines), 12):
                file.writelines(lines[place : place + 12])
                file.flush()
                # Pauses shorter and longer than the debounce time: some states are read, others are not.
                time.sleep(0.05 if place % 48 else 0.5)
        watcher.until_said("AB12_slow.csv", "120 records")
        assert watcher.stop() == 0
    [test] = cli.json("search")
    assert (test["sample"], test["records"]) == ("AB12", 120)
    assert test["sha256"] == digest(path)
    assert cli.ok("raw", "verify").status == 0


def digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_watchers_on_one_folder_do_what_one_would(cli: Cli, folder: Path) -> None:
    with watching(cli, folder) as one, watching(cli, folder) as other:
        for number in range(12):
            (folder / f"AB{number + 10}.csv").write_text(arbin_csv(2, records=20 + 2 * number))
        for watcher in (one, other):
            for number in range(12):
                watcher.until_said(f"AB{number + 10}.csv")
        (folder / "AB10.csv").write_text(arbin_csv(3))
        for watcher in (one, other):
            eventually(lambda watcher=watcher: sum("AB10.csv" in line for line in watcher.out) > 1, watcher)
        rows = cli.json("watch", "--status")
        assert sorted(row["pid"] for row in rows) == sorted([one.child.pid, other.child.pid])
        assert len({row["id"] for row in rows}) == 2
        assert (one.stop(signal.SIGINT), other.stop(signal.SIGINT)) == (0, 0)
    assert not [line for line in one.out + other.out if line.startswith("failed")]
    tests = cli.json("search")
    assert {test["sample"]: test["records"] for test in tests} == {
        "AB10": 60,
        **{f"AB{number + 10}": 40 + 4 * number for number in range(1, 12)},
    }
    assert len(tests) == len(cli.json("raw", "list")) == 12
    assert cli.ok("raw", "verify").status == 0


def test_a_stop_finishes_the_files_in_hand_and_the_next_start_does_the_rest(cli: Cli, folder: Path) -> None:
    for number in range(60):
        (folder / f"AB{number + 100}.csv").write_text(arbin_csv(2, records=20 + 2 * number))
    with watching(cli, folder) as watcher:
        watcher.until_said("created")
        assert watcher.stop() == 0
    done = sum(line.startswith("created") for line in watcher.out)
    assert 0 < done < 60
    assert len(cli.json("search")) == len(cli.json("raw", "list")) == done
    [row] = cli.json("watch", "--status")
    assert (row["state"], row["counts"]) == ("stopped", {"created": done})

    again = cli.json("watch", folder, "--once", "--debounce", DEBOUNCE)
    assert (again["counts"].get("created"), again["failures"]) == (60 - done, [])
    assert len(cli.json("search")) == 60
    assert [each["id"] for each in cli.json("watch", "--status")] == [row["id"]]


def test_what_failed_or_was_skipped_is_left_alone_until_it_changes_or_somebody_asks(cli: Cli, folder: Path) -> None:
    def once(*options: str) -> dict[str, Any]:
        done = cli("watch", folder, "--once", "--debounce", "0", "--json", *options)
        assert (done.status, done.err) == (1 if done.json["failures"] else 0, "")
        return {**done.json, "failures": [Path(each["path"]).name for each in done.json["failures"]]}

    (folder / "AB12.csv").write_text(arbin_csv(2))
    (folder / "CD34.csv").write_text("")
    (folder / "notes.doc").write_text("nothing to see")
    os.utime(folder / "AB12.csv", (time.time() - 60, time.time() - 60))
    first = once()
    assert (first["counts"], first["failures"]) == ({"created": 1, "failed": 1, "skipped": 1}, ["CD34.csv"])
    second = once()
    assert (second["counts"], second["failures"]) == ({}, ["CD34.csv"])
    asked = once("--retry-failed")
    assert (asked["counts"], asked["failures"]) == ({"failed": 1, "skipped": 1}, ["CD34.csv"])
    resumed = cli("import", "--resume", first["job"])  # its failures, as those of any job
    assert (resumed.status, resumed.lines[-1].split(": ")[1].split(" in ")[0]) == (1, "1 failed")
    (folder / "CD34.csv").write_text(arbin_csv(3))
    fixed = once()
    assert (fixed["counts"], fixed["failures"]) == ({"created": 1}, [])
    shown = cli.ok("watch", "--status", folder).out
    assert "stopped" in shown
    assert "CD34.csv" not in shown


def test_a_job_of_several_folders_is_gone_on_with_by_watching(cli: Cli, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other lab"
    other.mkdir()
    (folder / "CD34.csv").write_text("")
    assert cli("watch", folder, other, "--once", "--debounce", "0").status == 1
    [job] = cli.ok("import", "--status", "--json").json
    refused = cli.refused("import", "--resume", job["id"])
    assert f"is a watcher's of several folders; go on with: watch {folder} '{other}'" in refused


@pytest.fixture
def own_server(cli: Cli, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of an embedded MongoDB of this test's own, which the commands use."""
    monkeypatch.setenv("BATTERY_DATA_DIR", str(data_dir))
    cli.database = ()
    return data_dir


def kill_server(data_dir: Path) -> None:
    pid = server.status(data_dir).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_watcher_outlives_its_server_and_catches_up(cli: Cli, folder: Path, own_server: Path) -> None:
    (folder / "AB10.csv").write_text(arbin_csv(2))
    with watching(cli, folder) as watcher:
        watcher.until_said("created", "AB10.csv")
        kill_server(own_server)
        for number in range(8):
            (folder / f"AB{number + 11}.csv").write_text(arbin_csv(3, records=20 + 2 * number))
        for number in range(8):
            watcher.until_said("created", f"AB{number + 11}.csv")
        eventually(lambda: not cli.json("watch", "--status")[0]["waiting"], watcher)
        assert watcher.stop() == 0
    lost, found, _ = watcher.err  # one line when it was lost, one when it was back, one at the end
    assert "no answer from" in lost
    assert "at work again" in found
    tests = cli.json("search")
    assert len({test["sha256"] for test in tests}) == len(tests) == 9
    assert cli.json("watch", "--status")[0]["state"] == "stopped"
    assert cli.ok("raw", "verify").status == 0


@contextmanager
def no_way_back(data_dir: Path) -> Iterator[None]:
    """Kill the server, and put something in the place of its data while the block runs."""
    data = server.status(data_dir).data
    kill_server(data_dir)
    eventually(lambda: server.status(data_dir).pid is None)
    data.rename(data.with_name("away"))
    data.write_text("no folder: the server cannot be started again")
    yield
    data.unlink()
    data.with_name("away").rename(data)


@pytest.mark.thorough
def test_while_the_server_cannot_come_back_a_watcher_waits_and_does_nothing(
    cli: Cli, folder: Path, own_server: Path
) -> None:
    import psutil

    with watching(cli, folder) as watcher:
        watcher.until_searched()
        with no_way_back(own_server):
            (folder / "AB12.csv").write_text(arbin_csv(2))
            watcher.until_said("WARNING", "wait until it is mended")
            process = psutil.Process(watcher.child.pid)
            before = process.cpu_times()
            time.sleep(2)
            after = process.cpu_times()
            assert after.user + after.system - before.user - before.system < 0.5
        watcher.until_said("created", "AB12.csv")
        assert watcher.stop() == 0
    assert sum("WARNING" in line for line in watcher.err) == 2


@pytest.mark.thorough
def test_a_watcher_that_waits_for_its_server_can_be_stopped(cli: Cli, folder: Path, own_server: Path) -> None:
    with watching(cli, folder) as watcher:
        watcher.until_searched()
        with no_way_back(own_server):
            watcher.until_said("WARNING", "wait until it is mended")
            assert watcher.stop() == 0
    assert cli.json("watch", "--status")[0]["state"] == "interrupted"


def test_several_roots_are_watched_and_globs_and_depth_choose_the_files(cli: Cli, tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        (root / "archive").mkdir(parents=True)
        (root / "deep" / "er").mkdir(parents=True)
    options = ("--exclude", "*/archive/*", "--depth", "1", "--tags", "watched", "--poll", "0.3")
    with watching(cli, *roots, *options) as watcher:
        watcher.until_searched()
        for number, root in enumerate(roots):
            for name in ("archive/XX10.csv", "deep/er/XX11.csv", f"AB{number + 12}.csv", f"deep/CD{number + 12}.csv"):
                (root / name).write_text(arbin_csv(2, records=20 + 2 * len(name) + 40 * number))
        for name in ("AB12.csv", "AB13.csv", "deep/CD12.csv", "deep/CD13.csv"):
            watcher.until_said("created", name)
        assert watcher.stop() == 0
    tests = cli.json("search")
    assert {test["sample"] for test in tests} == {"AB12", "AB13", "CD12", "CD13"}
    assert all(test["tags"] == ["watched"] for test in tests)


def test_a_watcher_that_is_killed_shows_as_interrupted_and_its_successor_goes_on(cli: Cli, folder: Path) -> None:
    with watching(cli, folder) as watcher:
        before = watcher.until_searched()
        watcher.child.kill()
    [row] = cli.json("watch", "--status")
    assert row["state"] == "interrupted"
    (folder / "AB12.csv").write_text(arbin_csv(2))
    assert cli.json("watch", folder, "--once", "--debounce", "0")["counts"] == {"created": 1}
    [row] = cli.json("watch", "--status")
    assert (row["id"], row["state"]) == (before["id"], "stopped")


def test_a_watcher_whose_job_is_cancelled_stops(cli: Cli, folder: Path) -> None:
    with watching(cli, folder) as watcher:
        job = watcher.until_searched()["job"]
        with cli.store():
            jobs.ask(job, "cancel")
        assert watcher.end() == 0
    assert cli.json("import", "--status", job)["state"] == "stopped"
    assert cli.json("watch", "--status")[0]["state"] == "stopped"


def test_the_door_leads_to_the_command(cli: Cli, folder: Path) -> None:
    (folder / "AB12.csv").write_text(arbin_csv(2))
    words = (folder, "--once", "--debounce", "0", "--json")
    child = cli.process(*words, module="battery_analysis.utils.import_watcher")
    out, err = child.communicate()
    assert (child.returncode, err) == (0, b"")
    assert json.loads(out)["counts"] == {"created": 1}


def test_without_a_server_it_does_not_start(cli: Cli, folder: Path) -> None:
    cli.database = ("--db-uri", "mongodb://localhost:1/")
    assert "no answer from localhost:1" in cli.refused("watch", folder)


REFUSED = {
    "nothing": ((), "a folder to watch is wanted"),
    "missing": (("{folder}/gone",), "{folder}/gone: No such file or directory"),
    "nested": (("{folder}", "{folder}/sub"), "{folder}/sub lies in {folder}, which is watched too; leave one out"),
    "twice": (("{folder}", "{folder}"), "{folder} lies in {folder}, which is watched too; leave one out"),
    "poll and rescan": (("{folder}", "--poll", "5", "--rescan", "9"), "leave out --rescan"),
    "once and poll": (("{folder}", "--once", "--poll", "5"), "leave out --poll"),
    "too often": (("{folder}", "--poll", "0"), "--poll: at least 0.1 seconds wanted, got 0"),
    "never": (("{folder}", "--rescan", "inf"), "--rescan: at least 0.1 seconds wanted, got inf"),
    "debounce": (("{folder}", "--debounce", "-1"), "debounce = -1.0: must be a number of seconds, 0 or more"),
    "two samples": (("{folder}", "--sample", "A", "--sample-lookup"), "exclude one another"),
    "status and more": (("--status", "--once"), "--status imports nothing; leave out --once"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_contradicts_itself_is_refused_in_one_line(
    cli: Cli, folder: Path, words: tuple[str, ...], said: str
) -> None:
    (folder / "sub").mkdir()
    assert said.format(folder=folder) in cli.refused("watch", *(word.format(folder=folder) for word in words))
    assert cli.json("watch", "--status") == cli.json("import", "--history") == []
