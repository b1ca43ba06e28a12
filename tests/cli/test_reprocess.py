"""``battery-analysis reprocess`` and ``--scheduler`` as users give them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from battery_analysis.models import ImportJob, TestResult
from tests.builders import arbin_csv
from tests.cli.conftest import Cli


@pytest.fixture
def stale(cli: Cli, tmp_path: Path) -> Path:
    """A lab of which one test was read by an older reader, and one can no longer be read."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "AB12.csv").write_text(arbin_csv(3))
    (folder / "CD34.csv").write_text(arbin_csv(5))
    (folder / "EF56.csv").write_text(arbin_csv(4))
    cli.ok("import", folder)
    with cli.store() as store:
        TestResult.objects(name="AB12.csv").update(set__reader_version="0", set__record_count=59)
        lost = TestResult.objects(name="EF56.csv").first()
        TestResult.objects(name="EF56.csv").update(set__reader="gone")
        store.database["raw.chunks"].delete_many(
            {
                "files_id": store.database["raw_data_files"].find_one({"test_result": lost.id})["versions"][0][
                    "extent"
                ]["file_id"]
            }
        )
    return folder


def test_a_line_says_what_has_changed_in_each_test_that_was_read_again(cli: Cli, stale: Path, tmp_path: Path) -> None:
    report = tmp_path / "again.json"
    planned = cli("reprocess", "--dry-run")
    assert planned.status == 1
    assert planned.lines[-1] == "would be: 1 failed, 1 unchanged, 1 updated"
    done = cli("reprocess", "--report", report)
    assert (done.status, done.err) == (1, "")
    [updated] = [line for line in done.lines if line.startswith("updated")]
    assert "AB12.csv (" in updated
    assert updated.endswith("| reader arbin_csv 0 -> arbin_csv 1; records 59 -> 60")
    [failed] = [line for line in done.lines if line.startswith("failed")]
    assert "EF56.csv: archived bytes are missing or damaged" in failed
    assert not [line for line in done.lines if "CD34" in line]
    assert ": 1 failed, 1 unchanged, 1 updated in " in done.lines[-1]
    rows = {row["outcome"]: row for row in json.loads(report.read_text())}
    assert set(rows) == {"updated", "unchanged", "failed"}
    row = cli("reprocess", "--all", "--json").json
    assert {"what": "records", "before": 59, "after": 60} not in row["files"][0]["changes"]
    assert row["counts"] == {"failed": 1, "updated": 2}


def test_a_job_that_failed_in_part_is_resumed_by_its_own_command_and_not_rolled_back(cli: Cli, stale: Path) -> None:
    cli("reprocess")
    with cli.store():
        job = str(ImportJob.objects(kind="reprocess").get().id)
    assert f"job {job} is of the command reprocess; go on with: reprocess --resume {job}" in cli.refused(
        "import", "--resume", job
    )
    again = cli("reprocess", "--resume", job)
    assert again.status == 1
    assert ": 1 failed in " in again.lines[-1]
    assert f"job {job} only read archived bytes again" in cli.refused("import", "--rollback", job)
    assert "the archive" in cli.ok("import", "--status", job).out


def test_tests_are_chosen_by_options(cli: Cli, stale: Path) -> None:
    assert ": 1 updated in " in cli.ok("reprocess", "--sample", "AB12").lines[-1]
    assert ": 1 unchanged in " in cli.ok("reprocess", "--sample", "CD34").lines[-1]
    with cli.store():
        identity = str(TestResult.objects(name="CD34.csv").get().id)
    assert "no difference" in cli.ok("reprocess", "--test", identity).lines[0]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--test", "0" * 24), f"no test result has the id {'0' * 24}"),
        (("--sample", "XX99"), "no sample is named 'XX99'"),
        (("--tester", "Maccor"), "--tester: no test is of Maccor; there is no test"),
        (("--resume", "0" * 24, "--all"), "--resume goes on with the options of its job; leave out --all"),
        (("--failed", "--sample", "X"), "--failed tries files that belong to no test; leave out --sample"),
        (("--report", "again.xlsx"), "--report: again.xlsx must end in .csv or .json"),
        (("--scheduler", "localhost"), "--scheduler: tcp://host:port wanted, got 'localhost'"),
    ],
)
def test_what_makes_no_sense_is_refused(cli: Cli, words: tuple[str, ...], line: str) -> None:
    assert line in cli.refused("reprocess", *words)


def test_a_scheduler_that_does_not_answer_is_one_line(cli: Cli, lab: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        line = f"error: no Dask scheduler answers at {address}: Connection refused\n"
        assert cli.refused("import", lab, "--scheduler", address) == line
    with cli.store():
        assert ImportJob.objects.count() == 0
