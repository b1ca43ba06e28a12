"""Archives and buckets are imported as folders are, and what cannot be is said in one line."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.builders import arbin_csv
from tests.cli.conftest import Cli
from tests.ingest.test_sources_s3 import BUCKET, account, bucket, put, service  # noqa: F401


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two good files and one that leads out of its folder."""
    path = tmp_path / "lab.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("AB12.csv", arbin_csv(2))
        made.writestr("rates/CD34.csv", arbin_csv(3))
        made.writestr("../EF56.csv", arbin_csv(4))
    return path


def test_an_archive_is_imported_and_its_job_shown(cli: Cli, archive: Path) -> None:
    done = cli("import", archive)
    assert done.status == 1
    assert f"created   {archive}!/rates/CD34.csv | sample CD34, 60 records, 3 cycles" in done.lines
    assert f"failed    {archive}!/../EF56.csv | an unsafe name: it leads out of its folder" in done.lines
    assert cli.json("import", archive, "--history")[0]["root"] == str(archive)
    assert "1 failed, 2 unchanged" in cli("import", archive).lines[-1]


def test_an_archive_is_planned_and_previewed(cli: Cli, archive: Path) -> None:
    assert cli.ok("import", archive, "--dry-run").lines[-1] == "would be: 2 created, 1 failed"
    shown = {row["file"]: row["sample"] for row in cli.json("import", archive, "--preview-samples")}
    assert shown == {"AB12.csv": "AB12", "rates/CD34.csv": "CD34", "../EF56.csv": None}
    assert cli.json("raw", "list") == []


def test_a_bucket_is_imported_and_its_job_goes_on(cli: Cli, bucket: Any) -> None:  # noqa: F811
    put(bucket, "lab/AB12.csv", arbin_csv(2))
    put(bucket, "lab/CD34.csv", "")
    done = cli("import", "--remote", f"s3://{BUCKET}/lab/")
    assert f"created   s3://{BUCKET}/lab/AB12.csv | sample AB12, 40 records, 2 cycles" in done.lines
    (job,) = cli.json("import", "--history")
    assert (job["root"], job["counts"]) == (f"s3://{BUCKET}/lab", {"created": 1, "failed": 1})
    put(bucket, "lab/CD34.csv", arbin_csv(3))
    assert "1 created" in cli.ok("import", "--resume", job["id"]).lines[-1]
    assert "2 unchanged" in cli.ok("import", "--remote", f"s3://{BUCKET}/lab").lines[-1]


def test_what_does_not_go_together_is_refused(cli: Cli, archive: Path) -> None:
    assert "in folders of this computer" in cli.refused("import", archive, "--verify")
    assert "--remote takes the place of ROOT" in cli.refused("import", archive, "--remote", "s3://bucket")
    assert "goes with --remote: import --remote sftp://" in cli.refused("import", "sftp://lab/cells")
    assert "sftp://… or s3://… wanted" in cli.refused("import", "--remote", "/lab")


def test_a_password_in_an_address_is_not_repeated(cli: Cli) -> None:
    said = cli.refused("import", "--remote", "sftp://ada:secret@lab/cells")
    assert "may hold no password" in said
    assert "secret" not in said
    assert cli.json("import", "--history") == []
