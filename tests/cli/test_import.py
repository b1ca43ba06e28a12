"""Import as users type it: what it takes, shows, keeps and reports."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from battery_analysis.models import RawDataFile, Sample, TestResult
from tests.builders import arbin_csv
from tests.cli.conftest import Cli
from tests.ingest.targets import web_server
from tests.realdata import hostile, hostile_entries


def test_every_file_gets_a_line_and_the_job_a_sum(cli: Cli, lab: Path) -> None:
    done = cli("import", lab)
    assert done.status == 1  # one file failed
    *files, last = done.lines
    assert sorted(line.split()[0] for line in files) == ["created", "created", "failed", "skipped"]
    assert f"created   {lab}/AB12_ageing.csv | sample AB12, 60 records, 3 cycles" in files
    assert f"failed    {lab}/rate/broken.csv | the file is empty (0 bytes)" in files
    assert "2 created, 1 failed, 1 skipped in " in last


def test_a_second_import_changes_nothing_and_reset_reads_again(cli: Cli, lab: Path) -> None:
    (lab / "rate" / "broken.csv").unlink()
    cli.ok("import", lab)
    before = cli.json("search")
    assert "2 unchanged" in cli.ok("import", lab).lines[-1]
    assert "2 updated" in cli.ok("import", lab, "--reset").lines[-1]
    assert cli.json("search") == before


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (("--include", "AB*", "--include", "CD*"), {"AB12_ageing.csv", "CD34_rate.csv"}),
        (("--exclude", "*/rate/*", "--exclude", "*.doc"), {"AB12_ageing.csv"}),
        (("--depth", "0"), {"AB12_ageing.csv", "notes.doc"}),
        (("--include", "nothing"), set()),
    ],
    ids=["include", "exclude", "depth", "none"],
)
def test_globs_and_depth_choose_the_files(cli: Cli, lab: Path, options: tuple[str, ...], taken: set[str]) -> None:
    planned = cli.json("import", lab, "--dry-run", *options)
    assert {Path(each["path"]).name for each in planned} == taken


def test_a_dry_run_says_what_would_be_and_stores_nothing(cli: Cli, lab: Path) -> None:
    done = cli.ok("import", lab, "--dry-run")
    assert done.lines[-1] == "would be: 2 created, 1 failed, 1 skipped"
    assert cli.json("search") == cli.json("import", "--history") == cli.json("raw", "list") == []
    cli("import", lab)
    assert cli.ok("import", lab, "--dry-run").lines[-1] == "would be: 1 failed, 1 skipped, 2 unchanged"


def test_labels_are_kept_on_files_tests_and_samples(cli: Cli, lab: Path) -> None:
    cli.ok("sample", "set", "AB12", "metadata.rig=old", "tags=mine")
    labels = ("--tags", "march", "--tags", "rate", "--operator", "Ada", "--device", "BT2000", "--metadata", "rig=7")
    cli.ok("import", lab, "--depth", "0", *labels)
    with cli.store():
        raw, test, sample = RawDataFile.objects.get(), TestResult.objects.get(), Sample.objects.get()
        assert (raw.tags, raw.operator, raw.acquisition_device) == (["march", "rate"], "Ada", "BT2000")
        assert (test.tags, test.operator, test.device) == (["march", "rate"], "Ada", "BT2000")
        assert raw.metadata == test.metadata == {"rig": "7"}
        assert sample.tags == ["mine", "march", "rate"]
        assert sample.metadata == {"rig": "old", "operator": "Ada", "device": "BT2000"}  # what people set stays


def test_without_archive_the_test_is_stored_and_its_bytes_are_not(cli: Cli, lab: Path) -> None:
    cli.ok("import", lab / "AB12_ageing.csv", "--no-archive")
    [test] = cli.json("search")
    assert "imported without keeping its bytes" in cli.refused("raw", "by-test", test["id"])
    assert cli.json("test", "show", test["id"])["records"] == 60


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_report_has_a_line_for_each_file(cli: Cli, lab: Path, tmp_path: Path, suffix: str) -> None:
    report = tmp_path / f"report{suffix}"
    report.write_text("an older report")
    cli("import", lab, "--report", report)
    text = report.read_text()
    rows = json.loads(text) if suffix == ".json" else list(csv.DictReader(text.splitlines()))
    assert list(rows[0])[:2] == ["path", "outcome"]
    by_name = {Path(row["path"]).name: row for row in rows}
    good, broken = by_name["CD34_rate.csv"], by_name["broken.csv"]
    assert (good["outcome"], good["reader"], str(good["records"]), str(good["cycles"])) == (
        "created",
        "arbin_csv",
        "100",
        "5",
    )
    assert good["test_id"] in {test["id"] for test in cli.json("search")}
    assert float(good["seconds"]) > 0
    assert (broken["outcome"], broken["reason"]) == ("failed", "the file is empty (0 bytes)")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "lab", report.name]


def test_as_json_an_import_is_one_document(cli: Cli, lab: Path) -> None:
    done = cli("import", lab, "--json")
    assert (done.status, done.err) == (1, "")
    document = done.json
    assert document["counts"] == {"created": 2, "failed": 1, "skipped": 1}
    assert {Path(each["path"]).name: each["outcome"] for each in document["files"]}["notes.doc"] == "skipped"
    assert cli.json("import", "--status", document["id"])["failures"] == [
        {"path": f"{lab}/rate/broken.csv", "reason": "the file is empty (0 bytes)"}
    ]


def test_a_preview_names_sample_and_rule_and_imports_nothing(cli: Cli, lab: Path) -> None:
    shown = {row["file"]: row for row in cli.json("import", lab, "--preview-samples")}
    assert (shown["AB12_ageing.csv"]["sample"], shown["AB12_ageing.csv"]["why"]) == ("AB12", "pattern in file name")
    assert shown["rate/broken.csv"]["sample"] is None
    assert "empty" in shown["rate/broken.csv"]["why"]
    assert cli.json("raw", "list") == []


@pytest.mark.parametrize("suffix", [".csv", ".toml"])
def test_a_preview_writes_the_map_that_the_import_then_follows(
    cli: Cli, lab: Path, tmp_path: Path, suffix: str
) -> None:
    names = tmp_path / f"samples{suffix}"
    shown = cli.ok("import", lab, "--preview-samples", "--sample-map", names)
    assert str(names) in shown.lines[-1]
    names.write_text(names.read_text().replace("AB12", "Left cell").replace("Left cell_", "AB12_"))
    cli("import", lab, "--sample-map", names)
    assert {test["sample"] for test in cli.json("search")} == {"Left cell", "CD34"}


def test_a_map_that_gives_one_name_to_several_files_is_refused(cli: Cli, tmp_path: Path) -> None:
    for folder in ("left", "right"):
        (tmp_path / "rig" / folder).mkdir(parents=True)
        (tmp_path / "rig" / folder / "data.csv").write_text(arbin_csv())
    names = tmp_path / "map.csv"
    names.write_text("file_path,sample\ndata.csv,Left cell\n")
    done = cli("import", tmp_path / "rig", "--sample-map", names)
    assert done.status == 2
    assert "data.csv stands for 2 files" in done.err
    names.write_text("file_path,sample\nleft/data.csv,Left cell\n")
    cli.ok("import", tmp_path / "rig", "--sample-map", names)


def test_a_confirmed_preview_is_imported(cli: Cli, lab: Path, tmp_path: Path) -> None:
    done = cli("import", lab, "--preview-samples", "--confirm", "--sample-map", tmp_path / "map.csv", "--json")
    assert done.json["counts"] == {"created": 2, "failed": 1, "skipped": 1}
    assert {test["sample"] for test in cli.json("search")} == {"AB12", "CD34"}


def test_a_fixed_sample_goes_before_all_rules(cli: Cli, lab: Path) -> None:
    cli("import", lab, "--sample", "my cell")
    assert {(test["sample"], test["cell_code"]) for test in cli.json("search")} == {
        ("my cell", "AB12"),
        ("my cell", "CD34"),
    }


def test_with_lookup_a_file_whose_header_names_no_sample_fails(cli: Cli, lab: Path) -> None:
    done = cli("import", lab, "--sample-lookup", "--depth", "0")
    assert done.status == 1
    assert "no sample found by header" in done.out
    assert cli.json("search") == []


def test_the_same_bytes_elsewhere_are_a_duplicate_whose_other_sample_is_said(cli: Cli, lab: Path) -> None:
    cli.ok("import", lab / "AB12_ageing.csv")
    (lab / "EF56.csv").write_text(arbin_csv(3))
    line = cli.ok("import", lab / "EF56.csv").lines[0]
    assert line.startswith(f"duplicate {lab}/EF56.csv")
    assert line.endswith(f"same bytes as {lab}/AB12_ageing.csv; here the sample would be EF56, it stays AB12")


def test_jobs_are_listed_newest_first_and_shown_one_by_one(cli: Cli, lab: Path) -> None:
    assert cli.ok("import", "--status").out == "no import yet\n"
    cli.ok("import", lab / "AB12_ageing.csv")
    cli("import", lab)
    newest, oldest = cli.json("import", "--history")
    assert (newest["root"], newest["state"], newest["done"], newest["total"]) == (str(lab), "completed", 4, 4)
    assert oldest["counts"] == {"created": 1}
    assert [job["id"] for job in cli.json("import", lab, "--status")] == [newest["id"]]
    shown = cli.ok("import", "--status", newest["id"]).out
    assert "1 created, 1 failed, 1 skipped, 1 unchanged" in shown
    assert f"{lab}/rate/broken.csv  the file is empty (0 bytes)" in shown


def test_a_resumed_job_tries_failed_files_again(cli: Cli, lab: Path) -> None:
    job = cli("import", lab, "--json").json
    (lab / "rate" / "broken.csv").write_text(arbin_csv(2))
    done = cli.ok("import", "--resume", job["id"])
    assert [line.split(" | ")[0] for line in done.lines[:-1]] == [f"created   {lab}/rate/broken.csv"]
    assert cli.json("import", "--status", job["id"])["counts"] == {"created": 3, "skipped": 1}
    assert "nothing is left to do" in cli.refused("import", "--resume", job["id"])


def test_a_name_that_breaks_lines_stays_on_one(cli: Cli, lab: Path) -> None:
    (lab / "AB12\n\x1b[31mred.csv").write_text(arbin_csv(4))
    done = cli("import", lab)
    assert rf"{lab}/AB12\n\x1b[31mred.csv | sample AB12" in done.out
    assert len(done.lines) == 6


def test_a_root_whose_name_is_no_text_can_be_imported_and_resumed(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "caf\udce9"
    try:
        root.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system refuses names that are no text")
    (root / "bad.csv").write_bytes(b"")
    job = cli("import", root, "--json").json
    (root / "bad.csv").write_text(arbin_csv(2))
    assert "1 created" in cli.ok("import", "--resume", job["id"]).lines[-1]


BAD_OPTIONS = {
    "no root": ((), "a folder, file or archive to import is wanted"),
    "absent root": (("/nowhere/lab",), "/nowhere/lab: No such file or directory"),
    "two roots": (("LAB", "other"), "one ROOT wanted, got 'other' beside it"),
    "two ways to a sample": (("LAB", "--sample", "A", "--sample-lookup"), "exclude one another"),
    "absent map": (("LAB", "--sample-map", "/nowhere/map.csv"), "/nowhere/map.csv: No such file or directory"),
    "empty sample": (("LAB", "--sample", " "), "sample: String value is too short, got ''"),
    "empty tag": (("LAB", "--tags", ""), "tags"),
    "long tag": (("LAB", "--tags", "x" * 200), "tags"),
    "metadata without key": (("LAB", "--metadata", "seven"), "--metadata: KEY=VALUE wanted, got 'seven'"),
    "metadata with a dollar": (("LAB", "--metadata", "$rig=7"), "metadata: Invalid dictionary key name"),
    "negative depth": (("LAB", "--depth", "-1"), "--depth"),
    "huge depth": (("LAB", "--depth", "9" * 20), "--depth"),
    "no workers": (("LAB", "--workers", "0"), "--workers"),
    "unknown report": (("LAB", "--report", "report.txt"), "report.txt must end in .csv or .json"),
    "report in no folder": (("LAB", "--report", "/nowhere/report.csv"), "/nowhere/report.csv: cannot be written"),
    "confirm alone": (("LAB", "--confirm"), "--confirm goes with --preview-samples"),
    "two modes": (("LAB", "--dry-run", "--preview-samples"), "--preview-samples and --dry-run exclude one another"),
    "resume with options": (
        ("--resume", "0" * 24, "--reset"),
        "goes on with the options of its job; leave out --reset",
    ),
    "no job": (("--resume", "0" * 24), f"no import job has the id {'0' * 24}"),
    "no id": (("--status", "seven"), "no import job has the id 'seven': 24 hexadecimal digits wanted"),
    "no text": (("LAB", "--tags", "caf\udce9"), r"tags: b'caf\xe9' is no text in UTF-8"),
}


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=list(BAD_OPTIONS))
def test_a_bad_option_is_one_line_and_nothing_is_stored(
    cli: Cli, lab: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in cli.refused("import", *(str(lab) if word == "LAB" else word for word in options))
    assert cli.json("import", "--history") == cli.json("raw", "list") == cli.json("sample", "list") == []


def test_hostile_files_get_their_outcome_and_the_job_goes_on(cli: Cli, tmp_path: Path) -> None:
    folder = hostile("zero_byte.csv").parent
    report = tmp_path / "report.json"
    done = cli("import", folder, "--report", report)
    assert done.status == 1
    seen = {str(Path(row["path"]).relative_to(folder)): row for row in json.loads(report.read_text())}
    read = ("created", "duplicate", "unchanged")
    problems = []
    for entry in hostile_entries():
        row, expected = seen.get(entry["path"]), entry["expect"]
        if row is None:  # a folder of links, or a name that this file system does not hold
            continue
        rows = expected["rows"] if isinstance(expected["rows"], list) else [expected["rows"]]
        refused = row["outcome"] in ("failed", "skipped") and row["reason"]
        stored = row["outcome"] in read and row["records"] in rows
        partly = row["outcome"] in read and row["warnings"]
        if not (
            ("error" in expected["outcome"] and refused)
            or ("rows" in expected["outcome"] and stored)
            or ("partial" in expected["outcome"] and partly)
        ):
            problems.append((entry["path"], row))
    assert problems == []
    linked = {name: row for name, row in seen.items() if name.startswith("symlink_loop")}
    assert sorted(row["outcome"] for row in linked.values()) == ["created", "skipped", "skipped", "skipped"]


def test_what_was_skipped_is_kept_with_its_reason(cli: Cli, lab: Path) -> None:
    for number in range(25):
        (lab / f"note{number:02}.doc").write_text("nothing to see")
    job = cli("import", lab, "--json").json
    skipped = cli.json("import", "--status", job["id"])["skipped"]
    assert len(skipped) == 26
    assert skipped[0]["path"] == f"{lab}/note00.doc"
    assert "no reader knows the suffix '.doc'" in skipped[0]["reason"]
    shown = cli.ok("import", "--status", job["id"]).lines
    assert sum("no reader knows" in line for line in shown) == 20
    assert shown[-1].startswith("and 6 more skipped; all of them: ")


def test_on_a_terminal_a_failure_is_shown_once_and_what_was_skipped_is_summed_up(
    cli: Cli, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    done = cli("import", lab)
    skipped, why, last = done.lines[-3:]
    assert (done.out + done.err).count(f"{lab}/rate/broken.csv") == 1
    assert skipped.startswith("skipped: 1 .doc; what can be read: ")
    assert "import --status" in why
    assert "2 created, 1 failed, 1 skipped" in last


def test_files_named_by_their_folder_alone_are_pointed_out(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "assorted cells"
    folder.mkdir()
    (folder / "left.csv").write_text(arbin_csv(2))
    assert len(cli.ok("import", folder).lines) == 2
    for number in (3, 4):
        (folder / f"cell{number}.csv").write_text(arbin_csv(number))
    *_, hint, last = cli.ok("import", folder).lines
    assert hint.startswith("2 files got their sample from the folder's name alone (assorted cells);")
    assert "--preview-samples" in hint
    assert "2 created, 1 unchanged" in last


def test_a_folder_without_files_is_said_to_be_empty(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.ok("import", tmp_path / "empty").out.endswith(f": no files found in {tmp_path}/empty\n")
    assert cli.ok("import", tmp_path / "empty", "--dry-run").out == f"no files found in {tmp_path}/empty\n"


def test_on_a_terminal_the_list_of_failures_is_bounded_and_elsewhere_it_is_whole(
    cli: Cli, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(24):
        (lab / f"broken{number:02}.csv").write_bytes(b"")
    done = cli("import", lab)
    assert done.out.count("the file is empty") == 25
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    done = cli("import", lab)
    assert (done.out + done.err).count("the file is empty") == 20
    assert done.out.startswith("5 more failed; why: ")


def test_notify_tells_the_targets_how_it_ended(cli: Cli, lab: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("")
    assert "the settings name nobody to notify" in cli.refused("import", lab, "--notify", "--config", config)
    assert "imports nothing; leave out --notify" in cli.refused("import", lab, "--dry-run", "--notify")
    with web_server() as hook:
        config.write_text(f'[notify.webhook]\nurl = "{hook.url}"\n')
        assert cli("import", lab, "--config", config).status == 1
        assert hook.bodies == []
        done = cli("import", lab, "--notify", "--config", config)
        assert (done.status, done.err) == (1, "")
    (body,) = hook.bodies
    assert body["subject"].endswith(f"import of {lab} completed: 1 failed, 1 skipped, 2 unchanged")
    assert "hunter2" not in done.out
