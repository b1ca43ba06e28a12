"""``battery-analysis schedule`` as users run it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from battery_analysis.models import ScheduledImport, now
from tests.builders import arbin_csv
from tests.cli.conftest import Cli


@pytest.fixture
def config(tmp_path: Path, lab: Path) -> Path:
    (lab / "rate" / "broken.csv").unlink()
    file = tmp_path / "settings.toml"
    file.write_text(f'time_zone = "Asia/Tokyo"\n[[schedule]]\nname = "night"\ncron = "0 3 * * *"\nroot = "{lab}"\n')
    return file


def test_the_schedule_is_listed_and_one_is_run_now(cli: Cli, lab: Path, config: Path) -> None:
    (row,) = cli.json("schedule", "list", "--config", config)
    assert (row["name"], row["root"], row["state"], row["job"]) == ("night", str(lab), None, None)
    assert "T18:00:00" in row["next_at"]
    listed = cli.ok("schedule", "list", "--config", config).lines
    assert "next (Asia/Tokyo)" in listed[0]
    assert " 03:00 " in listed[1]
    assert "2 created" in cli.ok("schedule", "run", "night", "--config", config).lines[-1]
    (row,) = cli.json("schedule", "list", "--config", config)
    assert (row["state"], row["problem"]) == ("completed", None)


def test_once_runs_what_was_missed_and_says_by_its_status_whether_all_went_well(
    cli: Cli, lab: Path, config: Path
) -> None:
    assert cli.ok("schedule", "--once", "--config", config).lines == []
    for expected in (0, 1):
        with cli.store():
            ScheduledImport.objects.update(served_until=now().replace(year=2025))
        done = cli("schedule", "--once", "--config", config)
        assert done.status == expected
        assert done.lines[0].startswith("night: job ")
        (lab / "broken.csv").write_bytes(b"")
    assert "is completed: 1 failed, 1 skipped, 2 unchanged" in done.lines[1]


def test_what_does_not_go_together_is_refused(cli: Cli, config: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert "the settings schedule no import" in cli.refused("schedule", "list", "--config", empty)
    assert "leave out list" in cli.refused("schedule", "list", "--once", "--config", config)
    assert "a NAME goes with run" in cli.refused("schedule", "run", "--config", config)
    assert "no scheduled import is called 'day'" in cli.refused("schedule", "run", "day", "--config", config)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "ctrl-c"])
def test_it_runs_until_it_is_stopped(cli: Cli, lab: Path, config: Path, number: signal.Signals) -> None:
    config.write_text(config.read_text().replace("0 3 * * *", "* * * * *"))
    cli.ok("schedule", "--once", "--config", config)
    with cli.store():
        ScheduledImport.objects.update(served_until=now().replace(year=2025))
    (lab / "EF56.csv").write_text(arbin_csv(4))
    process = cli.process("schedule", "--config", config)
    assert process.stdout is not None
    # Where the import takes until the next minute, that one's is passed over, which is said meanwhile.
    done = next(line for line in iter(process.stdout.readline, b"") if b" is completed: " in line)
    assert done.endswith(b": 3 created, 1 skipped\n")
    time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode().splitlines()) == (
        0,
        ["finishing the files in hand; once more ends at once"],
    )
