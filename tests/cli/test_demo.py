"""The demo, from an empty home folder to commands that work when pasted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.builders import arbin_csv
from tests.cli.conftest import ROOT, Cli


def test_from_an_empty_home_to_tests_and_commands_that_work(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "BATTERY_", "MONGO"))}
    environ = {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT)}

    def run(command: list[str] | str) -> subprocess.CompletedProcess[str]:
        options = {"cwd": home, "env": environ, "capture_output": True, "text": True, "check": False}
        return subprocess.run(command, shell=isinstance(command, str), **options)

    here = [sys.executable, "-m", "cli.main"]
    try:
        done = run([*here, "demo"])
        assert (done.returncode, done.stderr) == (0, "")
        table, commands = done.stdout.split("\nType next:\n")
        *_, said = table.strip().splitlines()
        with urlopen(said.removeprefix("dashboard: "), timeout=20) as answer:
            assert b"battery-analysis" in answer.read()
        assert "13 created, 1 failed, 1 skipped, 2 updated" in table
        assert "NC051" in table.rsplit("retention", 1)[1]
        pasted = {command: run(command) for command in commands.splitlines() if "import" not in command}
        assert next(each.stdout for command, each in pasted.items() if "--stop" in command) == "stopped\n"
        assert {command: each.stderr for command, each in pasted.items() if each.returncode} == {}
        [saved] = [path for path in home.iterdir() if path.is_file()]
        assert saved.stat().st_size > 0
        again = run(next(command for command in commands.splitlines() if "import" in command))
        assert "1 failed, 1 skipped, 15 unchanged" in again.stdout
        assert run([*here, "dashboard", "--stop"]).stdout == "no dashboard was running in the background\n"
    finally:
        run([*here, "dashboard", "--stop"])
        run([*here, "db", "stop"])


def test_own_files_are_imported_instead_and_their_tests_shown(cli: Cli, lab: Path) -> None:
    cli.ok("import", lab / "AB12_ageing.csv")
    (lab / "rate" / "GH78.csv").write_text(arbin_csv(7))
    done = cli("demo", lab / "rate", "--no-dashboard")
    assert done.status == 0
    assert "AB12" not in done.out.split("\n\n")[1]
    assert {"GH78", "CD34"} <= set(done.out.split())
    assert "Type next:" in done.out
    for option in cli.database:
        assert option in done.lines[-3]
    assert {test["tags"] == [] for test in cli.json("search")} == {True}


def test_in_memory_the_demo_says_that_nothing_stays(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setenv("USE_MONGO_MOCK", "1")
    done = cli("demo", lab)
    assert done.status == 0
    assert "The database was in memory and ends here" in done.lines[-1]


def test_a_folder_that_is_not_there_is_one_line(cli: Cli) -> None:
    done = cli("demo", "/nowhere/lab")
    assert (done.status, done.err) == (2, "error: /nowhere/lab: No such file or directory\n")
