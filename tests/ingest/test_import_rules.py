"""Import rules, of the settings and of folders: which files they fit, which of them counts, and where it ends up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from battery_analysis.errors import IngestError
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.import_rules import ImportRules
from battery_analysis.ingest.importer import candidates_of
from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.preview import preview_files
from battery_analysis.ingest.watcher import Watcher, WatchRequest
from battery_analysis.models import RawDataFile, Sample, TestResult
from battery_analysis.settings import Settings
from battery_analysis.settings.rules import RULES, ImportRule
from battery_analysis.store import Store
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.samples import get_or_create
from tests.builders import arbin_csv


def candidate(root: Path, relative: str) -> Candidate:
    return Candidate(root / relative, PurePosixPath(relative))


def rules(*tables: dict[str, object]) -> tuple[ImportRule, ...]:
    found: tuple[ImportRule, ...] = RULES.check(list(tables))
    return found


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".battery_rules.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({}, {"a.csv", "nmc/a.csv", "nmc/rate/b.mpr", "lfp/nmc_old/a.csv"}),
        ({"folder": "nmc"}, {"nmc/a.csv", "nmc/rate/b.mpr"}),
        ({"folder": "nmc/"}, {"nmc/a.csv", "nmc/rate/b.mpr"}),
        ({"folder": "rate"}, {"nmc/rate/b.mpr"}),
        ({"folder": "*/nmc*"}, {"lfp/nmc_old/a.csv"}),
        ({"folder": "nmc/rate"}, {"nmc/rate/b.mpr"}),
        ({"folder": "/srv/lab"}, {"a.csv", "nmc/a.csv", "nmc/rate/b.mpr", "lfp/nmc_old/a.csv"}),
        ({"folder": "/srv/other"}, set()),
        ({"pattern": "*.mpr"}, {"nmc/rate/b.mpr"}),
        ({"pattern": "a.*"}, {"a.csv", "nmc/a.csv", "lfp/nmc_old/a.csv"}),
        ({"folder": "nmc", "pattern": "a.*"}, {"nmc/a.csv"}),
        ({"tester": "neware"}, {"a.csv", "nmc/a.csv", "nmc/rate/b.mpr", "lfp/nmc_old/a.csv"}),
        ({"tester": ["Arbin", "Maccor"]}, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_rule_fits_by_folder_by_pattern_and_by_tester(rule: dict[str, object], fits: set[str]) -> None:
    asked = ImportRules(rules({**rule, "tags": ["x"]}))
    files = ("a.csv", "nmc/a.csv", "nmc/rate/b.mpr", "lfp/nmc_old/a.csv")
    found = {name for name in files if asked.of(candidate(Path("/srv/lab"), name), "Neware").labels.tags}
    assert found == fits


def test_the_first_rule_that_says_something_counts_and_tags_add_up(lab: Path) -> None:
    listed = rules(
        {"folder": "nmc", "operator": "Ada", "tags": ["nmc"]},
        {"operator": "Bob", "device": "rack 2", "tags": ["lab", "nmc"], "time_zone": "Asia/Tokyo"},
    )
    said = ImportRules(listed, Labels(tags=["mine"])).of(candidate(lab, "nmc/a.csv"))
    assert said.labels == Labels(tags=("mine", "nmc", "lab"), operator="Ada", device="rack 2")
    assert said.time_zone == "Asia/Tokyo"
    said = ImportRules(listed, Labels(operator="Eve", metadata={"k": "v"}), "UTC").of(candidate(lab, "a.csv"))
    assert said.labels == Labels(tags=("lab", "nmc"), operator="Eve", device="rack 2", metadata={"k": "v"})


def test_inner_rule_files_count_before_outer_ones_and_those_before_the_settings(lab: Path) -> None:
    write(lab, 'operator = "root"\ndevice = "root"\nproject = "root"')
    write(lab / "nmc", 'operator = "nmc"\ndevice = "nmc"\n[[rules]]\npattern = "*.mpr"\noperator = "mpr"')
    write(lab / "nmc" / "rate", 'operator = "rate"')
    asked = ImportRules(rules({"operator": "settings", "time_zone": "Asia/Tokyo"}))

    def said(relative: str) -> tuple[str | None, str | None, str | None, str]:
        found = asked.of(candidate(lab, relative))
        return found.labels.operator, found.labels.device, found.labels.project, found.time_zone

    assert said("nmc/rate/a.csv") == ("rate", "nmc", "root", "Asia/Tokyo")
    assert said("nmc/a.mpr") == ("mpr", "nmc", "root", "Asia/Tokyo")
    assert said("a.csv") == ("root", "root", "root", "Asia/Tokyo")
    write(lab / "nmc" / "rate", 'operator = "another, longer"')
    assert said("nmc/rate/a.csv")[0] == "another, longer"
    (lab / "nmc" / "rate" / ".battery_rules.toml").unlink()
    assert said("nmc/rate/a.csv")[0] == "nmc"


def test_a_rule_file_above_the_root_does_not_count(lab: Path) -> None:
    write(lab.parent, 'operator = "above"')
    assert ImportRules().of(candidate(lab, "a.csv")).labels.operator is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tags = ['x']\ncolour = 'red'", "2: unknown key 'colour'; there are folder, pattern, tester, tags"),
        ("time_zone = 'Mars/X'", "1: time_zone = 'Mars/X': must be an IANA time zone"),
        ("sample_pattern = '('", "1: sample_pattern = '(': must be a regular expression"),
        ("folder = 'x'", "1: folder stands in [[rules]] here; what stands outside fits all files"),
        ("rules = 3", "1: rules: must be a list of tables"),
        ("[[rules]]\nfolder = 3", "1: rules 1.folder = 3: must be a text"),
        ("tester = 'Arbin'", " says nothing; give one of tags"),
        ("tags = [", "1: "),
    ],
)
def test_a_broken_rule_file_names_file_line_key_and_value(lab: Path, text: str, message: str) -> None:
    file = write(lab, text)
    with pytest.raises(IngestError) as caught:
        ImportRules().of(candidate(lab, "a.csv"))
    assert str(caught.value).startswith(f"{file}:{message}")


def imported(store: Store, settings: Settings, lab: Path, **options: object) -> dict[str, Outcome]:
    request = runs.ImportRequest(root=str(lab), **options)  # type: ignore[arg-type]
    return {str(Path(each.path).relative_to(lab)): each for each in runs.begin(store, settings, request)}


def test_an_import_stores_what_rules_say(store: Store, settings: Settings, lab: Path) -> None:
    write(lab / "nmc", "project = 'NMC'\nsample_pattern = 'cell-(\\d+)'\ntags = ['nmc']")
    (lab / "nmc" / "day1").mkdir()
    (lab / "nmc" / "day1" / "cell-07.csv").write_text(arbin_csv(2))
    (lab / "nmc" / "day1" / "CD34.csv").write_text(arbin_csv(3))
    (lab / "AB12.csv").write_text(arbin_csv(4))
    known = get_or_create("CD34")
    with_rules = replace(settings, rules=rules({"operator": "Ada", "device": "rack 1", "project": "other"}))
    outcomes = imported(store, with_rules, lab, operator="Bob", tags=["today"])
    assert {name: each.outcome for name, each in outcomes.items()} == {
        "AB12.csv": "created",
        "nmc/.battery_rules.toml": "skipped",
        "nmc/day1/CD34.csv": "created",
        "nmc/day1/cell-07.csv": "created",
    }
    assert outcomes["nmc/.battery_rules.toml"].reason == "rules for the files of its folder"

    test = TestResult.objects(name="cell-07.csv").get()
    assert (test.sample_name, test.sample_rule, test.ruled_sample) == ("07", "rule nmc", "07")
    assert (test.project, test.operator, test.device, test.tags) == ("NMC", "Bob", "rack 1", ["today", "nmc"])
    raw = RawDataFile.objects(filename="cell-07.csv").get()
    assert (raw.operator, raw.acquisition_device, raw.tags) == ("Bob", "rack 1", ["today", "nmc"])
    other = TestResult.objects(name="CD34.csv").get()
    assert (other.sample_rule, other.project) == ("pattern in file name", None)
    assert Sample.objects(id=known.id).get().project is None
    assert Sample.objects(name="AB12").get().project == "other"


def test_the_preview_shows_what_the_import_decides(settings: Settings, lab: Path) -> None:
    write(lab, "sample_pattern = '^[^_]+'")
    (lab / "one_AB12.csv").write_text(arbin_csv())
    for extra, rule in (({}, "rule lab"), ({"sample": "fixed"}, "fixed")):
        options = runs.ImportRequest(root=str(lab), **extra).options(settings)
        (seen,) = (each for each in preview_files(options, candidates_of(options)) if each.decision)
        assert seen.decision is not None
        assert (seen.decision.sample, seen.decision.cell_code) == (extra.get("sample", "one"), "AB12")
        assert seen.decision.rule == rule


def test_a_map_counts_before_a_sample_pattern_and_without_map_in_the_order_it_does_not_count(
    store: Store, settings: Settings, lab: Path
) -> None:
    (lab / "one_AB12.csv").write_text(arbin_csv(2))
    (lab / "two_AB12.csv").write_text(arbin_csv(3))
    sheet = lab.parent / "map.csv"
    sheet.write_text("file_path,sample\ntwo_AB12.csv,mapped\n")
    ruled = replace(settings, rules=rules({"sample_pattern": "^[^_]+"}))
    found = imported(store, ruled, lab, sample_map=str(sheet))
    assert (found["one_AB12.csv"].sample, found["two_AB12.csv"].sample) == ("one", "mapped")
    other = replace(ruled, sample_rules=("header", "pattern"), db_name=f"{settings.database}_b")
    options = runs.ImportRequest(root=str(lab)).options(other)
    assert {each.decision.sample for each in preview_files(options, candidates_of(options)) if each.decision} == {
        "AB12"
    }


ARBIN_WITH_STAMPS = (
    "Date_Time,Test_Time(s),Cycle_Index,Step_Index,Step_Time(s),Current(A),Voltage(V)\n"
    "03/04/2026 12:00:00,0,1,1,0,1.0,3.1\n03/04/2026 12:00:10,10,1,1,10,1.0,3.2\n"
    "03/04/2026 12:00:20,20,1,1,20,1.0,3.3\n"
)


def test_stamps_are_taken_in_the_zone_of_the_rule_for_the_tester(store: Store, settings: Settings, lab: Path) -> None:
    (lab / "AB12.csv").write_text(ARBIN_WITH_STAMPS)
    listed = rules({"tester": "Neware", "time_zone": "Asia/Tokyo"}, {"tester": "Arbin", "time_zone": "America/Denver"})
    imported(store, replace(settings, rules=listed), lab)
    test = TestResult.objects.get()
    assert test.time_zone == "America/Denver"
    assert test.started_at.isoformat() == "2026-03-04T19:00:00+00:00"


def test_a_file_under_a_broken_rule_fails_with_its_bytes_kept_until_the_rule_is_mended(
    store: Store, settings: Settings, lab: Path
) -> None:
    file = write(lab / "nmc", "tags = 3")
    (lab / "nmc" / "AB12.csv").write_text(arbin_csv(2))
    (lab / "CD34.csv").write_text(arbin_csv(3))
    outcomes = imported(store, settings, lab)
    assert outcomes["CD34.csv"].outcome == "created"
    failed = outcomes["nmc/AB12.csv"]
    assert (failed.outcome, failed.reason) == ("failed", f"{file}:1: tags = 3: must be a list")
    assert RawDataFile.objects(filename="AB12.csv").count() == 1
    write(lab / "nmc", "tags = ['nmc']")
    assert imported(store, settings, lab)["nmc/AB12.csv"].outcome == "created"
    assert TestResult.objects(name="AB12.csv").get().tags == ["nmc"]
    assert RawDataFile.objects(filename="AB12.csv").count() == 1


def test_tags_of_rules_are_added_to_stored_files_only_when_asked_for_and_mark_no_test_as_edited_again(
    store: Store, settings: Settings, lab: Path
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv(2))
    imported(store, settings, lab)
    ruled = replace(settings, rules=rules({"tags": ["nmc"]}))
    assert imported(store, ruled, lab, checksum=True)["AB12.csv"].outcome == "unchanged"
    edited = TestResult.objects.get()
    assert edited.tags == ["nmc"]
    imported(store, ruled, lab, checksum=True)
    assert TestResult.objects.get().updated_at == edited.updated_at


def test_a_watcher_tries_files_again_whose_rules_have_been_mended(settings: Settings, lab: Path) -> None:
    watched = replace(settings, debounce=0.05)
    (lab / "nmc").mkdir()
    (lab / "nmc" / "AB12.csv").write_text(arbin_csv(2))

    def watch() -> dict[str, str]:
        seen: dict[str, str] = {}
        request = WatchRequest([lab], runs.ImportRequest(root=str(lab)), once=True)
        Watcher(watched, request, lambda outcome: seen.update({Path(outcome.path).name: outcome.outcome})).run()
        return seen

    write(lab / "nmc", "tags = 3")
    assert watch() == {"AB12.csv": "failed", ".battery_rules.toml": "skipped"}
    assert watch() == {}
    write(lab / "nmc", "tags = ['nmc']")
    assert watch() == {"AB12.csv": "created", ".battery_rules.toml": "skipped"}
