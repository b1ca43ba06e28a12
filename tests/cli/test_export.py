"""What is exported comes back with the same numbers, whatever the format."""

from __future__ import annotations

import hashlib
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import polars as pl
import pymongo
import pytest
from polars.testing import assert_frame_equal
from rocrate.rocrate import ROCrate

import battery_analysis as ba
from battery_analysis.store import frames
from battery_analysis.store.dataset_frames import load_dataset
from tests.builders import STARTED_AT, arbin_csv, cycling_frame, read_result, save
from tests.cli.conftest import Cli, Done

ENDINGS = ("bdf.csv", "bdf.parquet", "h5", "xlsx", "json")


@dataclass(frozen=True)
class Lab:
    """A database with three tests of two cells, and a folder to write to."""

    cli: Cli
    folder: Path
    ids: dict[str, str]

    def frame(self, name: str) -> pl.DataFrame:
        with self.cli.store() as store:
            return frames.load_frame(store, self.ids[name], form="polars")

    def cycles(self, name: str) -> pl.DataFrame:
        with self.cli.store() as store:
            return frames.load_cycles(store, self.ids[name], form="polars")  # type: ignore[return-value]


@pytest.fixture
def stored(cli: Cli, tmp_path: Path) -> Lab:
    lab = tmp_path / "lab" / "Cell 7"
    lab.mkdir(parents=True)
    (lab / "first.csv").write_text(arbin_csv(3))
    (lab / "second.csv").write_text(arbin_csv(5).replace(",1.0,", ",0.9,"))
    (lab.parent / "AB12_ageing.csv").write_text(arbin_csv(4))
    assert cli("import", lab.parent).status == 0
    cli.ok("sample", "set", "Cell 7", "chemistry=LFP/graphite", "area_cm2=2.5")
    out = tmp_path / "out"
    out.mkdir()
    return Lab(cli, out, {row["name"]: row["id"] for row in cli.json("search")})


@pytest.fixture
def elsewhere(capsys: pytest.CaptureFixture[str], server_uri: str) -> Iterator[Cli]:
    """Another database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield Cli(capsys, server_uri, name)
    with pymongo.MongoClient(server_uri, serverSelectionTimeoutMS=2000) as client:
        client.drop_database(name)


def rows(cli: Cli, *options: str) -> list[dict[str, Any]]:
    return list(cli.json("search", "--sort", "cycles", *options))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_test_reads_back_equal(stored: Lab, ending: str) -> None:
    target = stored.folder / f"test.{ending}"
    assert stored.cli.ok("export", stored.ids["second.csv"], "--out", target).out == f"{target}\n"
    again = ba.read(target)
    typed = not ending.endswith(("csv", "xlsx"))
    assert_frame_equal(again.frame, stored.frame("second.csv"), check_dtypes=typed, check_exact=True)
    assert_frame_equal(again.cycles, stored.cycles("second.csv"), check_exact=True)
    if ending != "bdf.csv":
        assert (again.metadata.sample_name, again.metadata.tester) == ("Cell 7", "Arbin")


def test_the_pair_has_the_same_capacities(stored: Lab) -> None:
    done = stored.cli.ok("export", stored.ids["first.csv"], "--out", stored.folder / "a_timeseries.csv")
    assert done.out.count("a_timeseries.csv") == done.out.count("a_cycle_data.csv") == 1
    again = ba.read(stored.folder / "a_timeseries.csv")
    wanted = ["cycle_count", "charge_capacity_ah", "discharge_capacity_ah"]
    assert_frame_equal(again.cycles.select(wanted), stored.cycles("first.csv").select(wanted))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_selection_becomes_a_folder_that_imports_as_it_was(stored: Lab, elsewhere: Cli, ending: str) -> None:
    kind = {"bdf.csv": "bdf-csv", "bdf.parquet": "bdf-parquet", "h5": "hdf5", "xlsx": "excel"}.get(ending, ending)
    folder = stored.folder / "Cell 7"
    done = stored.cli.ok("export", "--sample", "Cell 7", "--format", kind, "--out", folder)
    assert done.lines[-1] == "2 tests written"
    assert sorted(path.name for path in folder.iterdir()) == [f"first.{ending}", f"second.{ending}"]
    assert elsewhere("import", folder).status == 0
    same = ("sample", "cell_code", "records", "cycles", "initial_capacity_ah", "final_capacity_ah")
    assert [[row[key] for key in same] for row in rows(elsewhere)] == [
        [row[key] for key in same] for row in rows(stored.cli, "--sample", "Cell 7")
    ]


def crate_of(stored: Lab, *options: str) -> tuple[Path, dict[str, dict[str, Any]]]:
    target = stored.folder / "lab.zip"
    stored.cli.ok("export", *(options or ("--all",)), "--out", target)
    with zipfile.ZipFile(target) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    return target, {each["@id"]: each for each in graph}


def test_a_crate_holds_originals_records_and_where_they_come_from(stored: Lab, tmp_path: Path) -> None:
    target, entities = crate_of(stored, "--all", "--license", "https://creativecommons.org/licenses/by/4.0/")
    with zipfile.ZipFile(target) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        archive.extractall(tmp_path / "unpacked")
    assert files["tests/first/Cell 7/first.csv"] == (tmp_path / "lab/Cell 7/first.csv").read_bytes()
    for name, data in files.items():
        if name != "ro-crate-metadata.json":
            described = entities[name.replace(" ", "%20")]
            assert described["sha256"] == hashlib.sha256(data).hexdigest()
            assert described["contentSize"] == str(len(data))
    assert {each["@id"] for each in entities["./"]["hasPart"]} == {
        "samples.csv", "tests/first/", "tests/second/", "tests/AB12_ageing/",
    }  # fmt: skip
    assert entities["./"]["license"] == {"@id": "https://creativecommons.org/licenses/by/4.0/"}
    reading = entities[f"#reading-{stored.ids['first.csv']}"]
    assert [each["@id"] for each in reading["object"]] == ["tests/first/Cell%207/first.csv"]
    assert {each["@id"] for each in reading["instrument"]} >= {"#battery-analysis"}
    area = entities["#sample-Cell%207-area_cm2"]
    assert (area["value"], area["unitText"]) == (2.5, "cm2")
    assert entities["#import-" + hashlib.sha256(files["tests/first/Cell 7/first.csv"]).hexdigest()]["endTime"]
    references = {ref for each in entities.values() for ref in _references(each)}
    assert references - {"https://w3id.org/ro/crate/1.1"} <= entities.keys()
    assert "Cell 7,LFP/graphite,2.5" in files["samples.csv"].decode()
    # An independent reader of crates finds all of it.
    crate = ROCrate(tmp_path / "unpacked")
    assert {entity.id for entity in crate.data_entities} >= set(entities["tests/first/"]["hasPart"][0].values())


RULES = {
    "the whole": {"name", "description", "datePublished", "license", "hasPart"},
    "File": {"name", "description", "contentSize", "encodingFormat", "sha256"},
    "CreativeWork": {"name", "description"},
}
"""What RO-Crate 1.1 asks of the root, and what is said here of every file and license."""


@pytest.mark.parametrize(("license", "identity"), [(None, "#license"), ("MIT", "#license"), ("https://x.org/l", None)])
def test_a_crate_follows_the_rules_of_its_profile(cli: Cli, tmp_path: Path, license: str | None, identity: str) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "AB12_a.csv").write_text(arbin_csv(2))
    with cli.store() as store:
        save(store, tmp_path, read_result(cycling_frame()), name="AB12.mpr", content=b"BIO-LOGIC\0\0")
        save(store, tmp_path, read_result(cycling_frame()), name="AB12.ndax", content=b"PK\x03\x04rest")
        save(store, tmp_path, read_result(cycling_frame()), name="AB12.mpt", content=b"EC-Lab ASCII FILE")
    cli.ok("import", tmp_path / "lab")
    target = tmp_path / "lab.zip"
    cli.ok("export", "--all", "--out", target, *(("--license", license) if license else ()))
    with zipfile.ZipFile(target) as archive:
        described = json.loads(archive.read("ro-crate-metadata.json"))
        members = {name for name in archive.namelist() if name != "ro-crate-metadata.json"}
    assert described["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root, *others = described["@graph"]
    assert descriptor == {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    assert (root["@id"], root["@type"], root["license"]) == ("./", "Dataset", {"@id": identity or license})
    assert datetime.fromisoformat(root["datePublished"])
    assert root["description"] == "4 battery tests: 4 original files, records and cycle tables."
    for entity, kind in [(root, "the whole"), *((each, each["@type"]) for each in others)]:
        assert {key for key in RULES.get(kind, {"name"}) if entity.get(key)} == RULES.get(kind, {"name"}), entity
    files = {unquote(each["@id"]): each["encodingFormat"] for each in others if each["@type"] == "File"}
    assert files.keys() == members
    by_ending = {Path(name).suffix: kind for name, kind in files.items()}
    assert by_ending == {
        ".csv": "text/csv",
        ".parquet": "application/vnd.apache.parquet",
        ".mpr": "application/octet-stream",
        ".ndax": "application/zip",
        ".mpt": "text/plain",
    }
    entities = {each["@id"]: each for each in (root, *others)}
    assert len(entities) == len(described["@graph"]) - 1
    assert {ref for each in entities.values() for ref in _references(each)} <= entities.keys()
    inside = [root["@id"]]
    for identity in inside:
        inside += [each["@id"] for each in entities[identity].get("hasPart", [])]
    assert {quote(name) for name in members} <= set(inside)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.keys() == {"@id"}:
            yield value["@id"]
        else:
            for each in value.values():
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


@pytest.mark.parametrize("unpacked", [False, True])
def test_importing_a_crate_doubles_nothing(stored: Lab, elsewhere: Cli, tmp_path: Path, unpacked: bool) -> None:
    root, _ = crate_of(stored)
    if unpacked:
        with zipfile.ZipFile(root) as archive:
            archive.extractall(tmp_path / "unpacked")
        root = tmp_path / "unpacked"
    report = tmp_path / "report.json"
    assert elsewhere("import", root, "--report", report).status == 0
    told = {row["path"].rpartition("/")[2]: row for row in json.loads(report.read_text())}
    assert told["first.bdf.parquet"]["outcome"] == "skipped"
    assert told["first.bdf.parquet"]["reason"] == "made from first.csv, which is in the same crate"
    assert told["first.cycles.csv"]["reason"] == "made from first.bdf.parquet, which is in the same crate"
    assert told["ro-crate-metadata.json"]["reason"] == "describes the crate"
    same = ("sample", "cell_code", "sha256", "records", "cycles", "name")
    assert [[row[key] for key in same] for row in rows(elsewhere)] == [
        [row[key] for key in same] for row in rows(stored.cli)
    ]


def test_records_are_taken_of_a_crate_without_originals(cli: Cli, elsewhere: Cli, tmp_path: Path) -> None:
    (tmp_path / "AB12_ageing.csv").write_text(arbin_csv(4))
    assert cli("import", tmp_path / "AB12_ageing.csv", "--no-archive").status == 0
    done = cli("export", "--all", "--out", tmp_path / "lab.zip")
    assert done.status == 0
    assert done.err == "AB12_ageing.csv: imported without keeping its bytes; the crate holds its records\n"
    assert elsewhere("import", tmp_path / "lab.zip").status == 0
    [row] = rows(elsewhere)
    assert (row["name"], row["sample"], row["cycles"]) == ("AB12_ageing.bdf.parquet", "AB12", 4)


def test_a_dataset_becomes_one_test_with_its_cycles_numbered_through(stored: Lab) -> None:
    with stored.cli.store() as store:
        cycles = load_dataset(store, "Cell 7").cycles(form="polars")
    for ending in ENDINGS:
        stored.cli.ok("export", "--cell", "Cell 7", "--out", stored.folder / f"life.{ending}")
        again = ba.read(stored.folder / f"life.{ending}")
        wanted = [
            "cycle_count",
            "charge_capacity_ah",
            "discharge_capacity_ah",
            "charge_energy_wh",
            "discharge_energy_wh",
        ]
        assert_frame_equal(again.cycles.select(wanted), cycles.select(wanted))  # type: ignore[union-attr]
        assert again.frame["aux_test"].unique().sort().to_list() == [1, 2]
    entities = crate_of(stored, "--cell", "Cell 7")[1]
    assert [each["@id"] for each in entities["datasets/Cell%207.cycles.csv"]["isBasedOn"]] == [
        "tests/first/Cell%207/first.bdf.parquet",
        "tests/second/Cell%207/second.bdf.parquet",
    ]


@pytest.mark.parametrize("ending", [*ENDINGS, "_timeseries.csv"])
def test_between_the_tests_of_a_dataset_nothing_is_missing(cli: Cli, tmp_path: Path, ending: str) -> None:
    a_day = 86_400.0
    with cli.store() as store:
        for day in (0, 1):
            clock = pl.col("test_time_second") + STARTED_AT.timestamp() + day * a_day
            result = read_result(cycling_frame(2).with_columns(unix_time_second=clock))
            result.metadata.started_at = STARTED_AT + timedelta(days=day)
            save(store, tmp_path, result, name=f"AB12_{day}.csv")
    target = tmp_path / ("life" + (ending if ending.startswith("_") else f".{ending}"))
    cli.ok("export", "--cell", "AB12", "--out", target)
    with cli.store() as store:
        cycles = load_dataset(store, "AB12").cycles(form="polars")
    again = ba.read(target)
    wanted = ["cycle_count", "charge_capacity_ah", "discharge_capacity_ah", "has_gap"]
    assert_frame_equal(again.cycles.select(wanted), cycles.select(wanted))  # type: ignore[union-attr]
    assert again.cycles["has_gap"].to_list() == [False] * 4
    assert again.frame["unix_time_second"].max() - again.frame["unix_time_second"].min() > a_day  # type: ignore[operator]


def test_a_pause_within_a_cycle_of_two_tests_stays_a_gap() -> None:
    clock = pl.col("test_time_second") + pl.when(pl.col("test_time_second") > 600).then(7200.0).otherwise(0.0)
    halves = pl.when(pl.col("test_time_second") > 600).then(2).otherwise(1)
    frame = cycling_frame(1).with_columns(unix_time_second=clock, aux_test=halves)
    assert read_result(frame).cycles["has_gap"].to_list() == [True]


def test_what_cannot_be_written_stops_nothing_else(cli: Cli, tmp_path: Path) -> None:
    spectrum = pl.DataFrame({"frequency_hertz": [1.0], "real_impedance_ohm": [2.0], "imaginary_impedance_ohm": [-3.0]})
    with cli.store() as store:
        save(store, tmp_path, read_result(spectrum, test_type="eis"), name="CD34.z")
        save(store, tmp_path, read_result(cycling_frame()), name="AB12: run.csv")
    done: Done = cli("export", "--all", "--format", "batteryarchive", "--out", tmp_path / "out")
    assert done.status == 1
    assert "a time series of batteryarchive.org requires" in done.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "AB12_ run_cycle_data.csv",
        "AB12_ run_timeseries.csv",
    ]
    assert cli.ok("export", "--all", "--format", "bdf-csv", "--out", tmp_path / "csv").lines[-1] == "2 tests written"
    assert {path.name for path in (tmp_path / "csv").iterdir()} == {"CD34.csv", "AB12_ run.bdf.csv"}


def test_what_has_no_place_in_a_file_is_named_and_is_no_success(cli: Cli, tmp_path: Path) -> None:
    point = {"frequency_hertz": [1e3], "real_impedance_ohm": [0.01], "imaginary_impedance_ohm": [-0.02]}
    timed = {"test_time_second": [1e5], "voltage_volt": [3.5], "cycle_count": [1]}
    frame = pl.concat([cycling_frame(), pl.DataFrame({**timed, **point}), pl.DataFrame(point)], how="diagonal")
    with cli.store() as store:
        test = save(store, tmp_path, read_result(frame), name="AB12.mpt")
    out, series = tmp_path / "out", "AB12_timeseries.csv"
    lost = "the impedance of {} records is left out: batteryarchive.org has no place for it\n"
    done = cli("export", "--all", "--format", "batteryarchive", "--out", out)
    assert (done.status, done.err) == (1, "AB12.mpt: " + lost.format(2))
    done = cli("export", test.id, "--out", out / series, "--json")
    assert (done.status, done.err, done.json[0]["left_out"]) == (1, "AB12.mpt: " + lost.format(2), lost.format(2)[:-1])
    done = cli("export", "--cell", "AB12", "--out", tmp_path / "life.h5")
    assert (done.status, done.err) == (1, "AB12: 1 record without a time or a voltage, as of a spectrum, left out\n")
    assert cli.ok("export", test.id, "--out", tmp_path / "whole.h5").status == 0
    done = cli("read", tmp_path / "whole.h5", "--out", tmp_path / series)
    assert (done.status, done.err.splitlines()[1] + "\n") == (1, f"{tmp_path / series}: " + lost.format(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "a.csv"), "say which tests"),
        (("--all",), "--out: say where to write"),
        (("--all", "--out", "a.mat"), "--format: say which; 'a.mat' ends in none of"),
        (
            ("--all", "--out", "a.csv", "--format", "bdf-parquet"),
            "a.csv ends as bdf-csv does, --format says bdf-parquet",
        ),
        (
            ("--all", "--out", "a_timeseries.csv", "--format", "bdf-csv"),
            "ends as batteryarchive does, --format says bdf",
        ),
        (("--cell", "AB12", "--out", "a.csv", "--format", "hdf5"), "says hdf5, whose files end in .h5 or .hdf5"),
        (("--all", "--cell", "AB12", "--out", "a.zip"), "exclude one another"),
        (("0" * 24, "--out", "a.csv"), "no test result has the id"),
        (("--cell", "nobody", "--out", "a.csv"), "the cell code 'nobody'"),
        (("--all", "--out", "a.csv", "--license", "MIT"), "--license goes with a crate"),
        (("--all", "--out", "a", "--format", "crate"), "a crate is a file that ends in .zip"),
        (("--sample", "nobody", "--out", "a.csv"), "no test fits"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_question_that_contradicts_itself_is_one_line(
    cli: Cli, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    with cli.store() as store:
        save(store, tmp_path, read_result(cycling_frame()))
    assert message in cli.refused("export", *options)
