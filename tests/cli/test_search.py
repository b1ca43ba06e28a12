"""Search as users type it."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pymongo
import pytest

from battery_analysis.settings import Settings
from battery_analysis.store import open_store, samples, test_edits
from cli.main import main
from tests.builders import cycling_frame, read_result, save
from tests.cli.conftest import Cli

KEYS = {
    *("id", "sample", "cell_code", "tester", "type", "started_at", "records", "cycles", "initial_capacity_ah"),
    *("final_capacity_ah", "capacity_retention", "sha256", "tags"),
}


@pytest.fixture(scope="module")
def database(server_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three tests, only looked at: AB12 in March, CD34 in April by Neware, EF56 without a date."""
    name, folder = f"test_{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("three")
    with open_store(Settings.load(environ={}, db_uri=server_uri, db_name=name)) as store:
        march, april = datetime(2026, 3, 31, 23, 59, 59, 999000, UTC), datetime(2026, 4, 1, tzinfo=UTC)
        first = save(store, folder, read_result(cycling_frame(3), started_at=march), name="AB12_ageing.csv")
        second = read_result(cycling_frame(8), started_at=april, tester="Neware", test_type="eis", protocol="rate 5C")
        save(store, folder, second, name="CD34.ndax", sample="CD34")
        save(store, folder, read_result(cycling_frame(5), started_at=None), name="EF56.csv", sample="EF56")
        samples.set_fields(store, "CD34", {"chemistry": "LFP/graphite", "project": "fast"})
        test_edits.tag(first.id, add=["a", "b"])
    yield name
    with pymongo.MongoClient(server_uri, serverSelectionTimeoutMS=2000) as client:
        client.drop_database(name)


@pytest.fixture
def three(capsys: pytest.CaptureFixture[str], server_uri: str, database: str) -> Cli:
    return Cli(capsys, server_uri, database)


def found(cli: Cli, *options: str) -> list[str]:
    return [test["sample"] for test in cli("search", *options, "--json").json]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--sample", "AB12"), ["AB12"]),
        (("--cell", "CD34"), ["CD34"]),
        (("--chemistry", "LFP/graphite"), ["CD34"]),
        (("--project", "fast"), ["CD34"]),
        (("--tester", "neware"), ["CD34"]),
        (("--type", "eis"), ["CD34"]),
        (("--tag", "a", "--tag", "b"), ["AB12"]),
        (("--tag", "a", "--tag", "c"), []),
        (("--min-cycles", "5"), ["CD34", "EF56"]),
        (("--max-cycles", "5", "--min-cycles", "5"), ["EF56"]),
        (("--text", "RATE"), ["CD34"]),
        (("--text", "age ab"), ["AB12"]),
        (("--date-range", "2026-03-31:2026-03-31"), ["AB12"]),
        (("--date-range", "2026-04-01:"), ["CD34"]),
        (("--date-range", ":9999-12-31"), ["CD34", "AB12"]),
        (("--sort", "sample", "--limit", "2"), ["AB12", "CD34"]),
        (("--sort", "-cycles"), ["CD34", "EF56", "AB12"]),
        ((), ["CD34", "AB12", "EF56"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_filter_finds_its_tests(three: Cli, options: tuple[str, ...], expected: list[str]) -> None:
    assert found(three, *options) == expected


def test_tests_without_a_date_are_counted_where_a_range_leaves_them_out(three: Cli) -> None:
    done = three("search", "--date-range", "2026-01-01:2026-12-31")
    assert done.status == 0
    assert done.err == "1 test without a date left out by the date range\n"
    assert three("search", "--date-range", "2026-01-01:", "--sample", "AB12").err == ""


def test_json_is_a_list_of_objects_with_what_was_promised(three: Cli) -> None:
    [test] = three.json("search", "--sample", "AB12")
    assert set(test) >= KEYS
    assert (test["started_at"], test["records"], test["cycles"]) == ("2026-03-31T23:59:59.999000+00:00", 60, 3)
    assert test["tags"] == ["a", "b"]
    assert three.json("search", "--sample", "nobody") == []


def test_csv_is_one_line_a_test(three: Cli) -> None:
    rows = list(csv.DictReader(three.ok("search", "--csv", "--sort", "sample").lines))
    assert [(row["sample"], row["cycles"], row["tags"]) for row in rows] == [
        ("AB12", "3", "a, b"),
        ("CD34", "8", ""),
        ("EF56", "5", ""),
    ]
    assert set(rows[0]) >= KEYS


def test_the_table_is_aligned_and_says_its_units(three: Cli) -> None:
    head, first, *_ = three.ok("search", "--sort", "sample").lines
    assert head.split("  ")[0] == "id"
    assert "initial / Ah" in head
    assert head.index("sample") == first.index("AB12")
    assert head.index("date") == first.index("2026-03-31 23:59")
    assert three.ok("search", "--sample", "nobody").out == "no test fits\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--date-range", "2026-01-01"), "--date-range: FIRST:LAST wanted"),
        (("--date-range", "2026-13-01:"), "days are written YYYY-MM-DD, got '2026-13-01:'"),
        (("--date-range", "2026-02-02:2026-01-01"), "the first day is after the last"),
        (("--sort", "size"), "sort: one of started, sample"),
        (("--type", "cycle"), "'cycling', 'eis'"),
        (("--limit", "0"), "--limit"),
        (("--min-cycles", "9" * 20), "--min-cycles"),
        (("--min-cycles", "5", "--max-cycles", "2"), "5 is more than --max-cycles 2"),
        (("--sample", "caf\udce9"), "is no text in UTF-8"),
    ],
    ids=lambda value: " ".join(value).encode("ascii", "replace").decode() if isinstance(value, tuple) else "",
)
def test_a_bad_filter_is_one_line(three: Cli, options: tuple[str, ...], message: str) -> None:
    assert message in three.refused("search", *options)


def test_within_one_process_the_database_in_memory_keeps_what_was_imported(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USE_MONGO_MOCK", "1")
    monkeypatch.setenv("BATTERY_DATA_DIR", str(tmp_path / "data"))
    database = ["--db-name", tmp_path.name.replace(".", "_")]
    assert main(["import", str(lab / "AB12_ageing.csv"), *database]) == 0
    assert main(["import", str(lab / "AB12_ageing.csv"), "--reset", *database]) == 0
    capsys.readouterr()
    assert main(["search", "--csv", "--cell", "AB12", *database]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert dict(zip(head.split(","), row.split(","), strict=True))["cycles"] == "3"
    assert main(["raw", "verify", *database]) == 0
    assert main(["sample", "set", "AB12", "cell_type=full", *database]) == 0


def test_an_empty_database_says_what_to_do(cli: Cli) -> None:
    out = cli.ok("search").out
    assert out.startswith("there are no tests yet; import some: ")
    assert "import FOLDER" in out


def test_an_unknown_type_is_refused_in_plain_words(cli: Cli) -> None:
    assert "Invalid value for '--type': 'foo' is not one of 'cycling', " in cli.refused("search", "--type", "foo")


def test_failed_checks_stand_beside_the_tests_they_are_of(cli: Cli, tmp_path: Path) -> None:
    charges = pl.when(pl.col("current_ampere") > 0)
    for code, (forth, back) in {"AB12": ("CC Chg", "CC DChg"), "CD34": ("CC DChg", "CC Chg")}.items():
        step_type = charges.then(pl.lit(forth)).otherwise(pl.lit(back)).alias("step_type")
        cycling_frame().with_columns(step_type).write_csv(tmp_path / f"{code}.bdf.csv")
    cli.ok("import", tmp_path)
    flags = {test["cell_code"]: test["flags"] for test in cli.json("search")}
    assert flags == {"AB12": [], "CD34": ["sign"]}
    head, *rows = cli.ok("search", "--sort", "cell").lines
    assert head.endswith("failed checks")
    assert [row.endswith("sign") for row in rows] == [False, True]
