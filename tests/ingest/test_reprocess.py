"""Archived bytes are read again with the present readers; what people set stays, and what cannot be read stays."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from battery_analysis.errors import IngestError, NotFoundError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import reprocess
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.kept import kept_file
from battery_analysis.ingest.reprocess import ReprocessRequest
from battery_analysis.ingest.rereading import Change
from battery_analysis.ingest.rollback import roll_back
from battery_analysis.models import ImportedFile, ImportJob, RawDataFile, SourcePath, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, frames, samples, test_edits
from tests.builders import arbin_csv, cycling_frame, read_result, save
from tests.ingest.test_parts import PARTS, workbooks, write

MAPPING = """
tester = "Rig"
delimiter = ";"
decimal = "."

[columns]
t = { to = "test_time_second", unit = "s" }
U = { to = "voltage_volt", unit = "mV" }
I = { to = "current_ampere", unit = "mA", sign = 1 }
n = { to = "cycle_count" }
"""

RIG = "t;U;I;n\n" + "".join(f"{60 * n};{3000 + n};{1000 if n % 20 < 10 else -1000};{n // 20 + 1}\n" for n in range(60))

COMMAS = re.sub(r"(\d+);(\d+);(-?\d+);", r"\1,0;\2,0;\3,0;", RIG)


@pytest.fixture
def rig(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a mapping that takes millivolts for volts, as somebody once wrote it."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "rig.toml").write_text(MAPPING.replace('"mV"', '"V"'))
    return replace(settings, mappings=folder)


def mend(rig: Settings) -> None:
    (rig.mappings / "rig.toml").write_text(MAPPING)


def bring_in(store: Store, settings: Settings, lab: Path, **options: object) -> str:
    job_run = runs.begin(store, settings, runs.ImportRequest(root=str(lab), **options))  # type: ignore[arg-type]
    list(job_run)
    return str(job_run.job.id)


def again(store: Store, settings: Settings, **options: object) -> dict[str, reprocess.Outcome]:
    """Read again and return the outcomes by file name."""
    job_run = reprocess.begin(store, settings, ReprocessRequest(workers=1, **options))  # type: ignore[arg-type]
    return {Path(outcome.path).name.partition(" (")[0]: outcome for outcome in job_run}


def of_a_former_reader(store: Store, lab: Path, name: str = "AB12.csv", sample: str = "AB12") -> TestResult:
    """A test that a reader which is gone made of an Arbin export: it missed the last cycle."""
    return save(
        store,
        lab,
        read_result(cycling_frame(2)),
        name=name,
        sample=sample,
        content=arbin_csv().encode() + b"\n" * int(name[2:4]),
    )


def test_a_corrected_mapping_reaches_the_tests_that_were_read_by_it(store: Store, rig: Settings, lab: Path) -> None:
    (lab / "AB12.csv").write_text(RIG)
    (lab / "CD34.csv").write_text(arbin_csv())
    job = bring_in(store, rig, lab)
    before = TestResult.objects.get(name="AB12.csv")
    test_edits.tag(before.id, add=["good"])
    test_edits.add_note(before.id, "keep me")
    assert {each.outcome for each in again(store, rig).values()} == {"unchanged"}

    mend(rig)
    outcomes = again(store, rig)
    assert (outcomes["AB12.csv"].outcome, outcomes["CD34.csv"].outcome) == ("updated", "unchanged")
    after = TestResult.objects.get(name="AB12.csv")
    assert after.id == before.id
    assert after.revision == before.revision + 1
    assert (after.tags, [note.text for note in after.notes_log]) == (["good"], ["keep me"])
    assert (str(after.import_job), str(after.created_in), after.former) == (job, job, [])
    assert frames.load_frame(store, after.id, form="polars")["voltage_volt"].max() == pytest.approx(3.059)
    changes = {change.what: str(change) for change in outcomes["AB12.csv"].changes}
    assert changes["voltage_volt"] == "voltage_volt 3000…3059 -> 3…3.059"
    assert changes["reader"].startswith("reader delimited:rig ")
    assert "voltage_volt 3000…3059 -> 3…3.059" in outcomes["AB12.csv"].reason
    assert {each.outcome for each in again(store, rig).values()} == {"unchanged"}


def test_what_a_reader_that_is_gone_missed_is_found_and_said(store: Store, settings: Settings, lab: Path) -> None:
    before = of_a_former_reader(store, lab)
    outcome = again(store, settings)["AB12.csv"]
    assert (outcome.outcome, outcome.records, outcome.reader) == ("updated", 60, "arbin_csv")
    assert {Change("records", 40, 60), Change("cycles", 2, 3)} <= {
        each for each in outcome.changes if not isinstance(each.before, list)
    }
    [columns] = [each for each in outcome.changes if each.what == "columns"]
    assert columns.before == ["step_count", "aux_humidity"]
    assert str(columns).startswith("columns -step_count -aux_humidity")
    after = TestResult.objects.get()
    assert (after.id, after.record_count, after.reader) == (before.id, 60, "arbin_csv")
    assert samples.by_name("AB12").aggregates.test_count == 1


def test_bytes_that_another_reader_claims_today_are_stale(store: Store, settings: Settings, lab: Path) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    bring_in(store, settings, lab)
    maccor = next(each for each in reprocess_readers() if each.name == "maccor_text")
    TestResult.objects.update(set__reader=maccor.name, set__reader_version=maccor.version)
    assert again(store, settings)["AB12.csv"].outcome == "updated"
    assert TestResult.objects.get().reader == "arbin_csv"


def reprocess_readers() -> list[object]:
    from battery_analysis.readers import READERS

    return list(READERS)


def test_only_what_was_asked_for_is_read(store: Store, settings: Settings, lab: Path) -> None:
    for name in ("AB12", "CD34", "EF56"):
        of_a_former_reader(store, lab, f"{name}.csv", name)
    cd34 = TestResult.objects.get(name="CD34.csv")
    assert set(again(store, settings, samples=["AB12"])) == {"AB12.csv"}
    assert TestResult.objects.get(name="CD34.csv").record_count == 40
    assert set(again(store, settings, tests=[str(cd34.id)])) == {"CD34.csv"}
    assert again(store, settings, tests=[str(cd34.id)])["CD34.csv"].reason == "no difference"
    assert set(again(store, settings, testers=["arbin"])) == {"AB12.csv", "CD34.csv", "EF56.csv"}
    assert {each.outcome for each in again(store, settings, everything=True).values()} == {"updated"}
    with pytest.raises(IngestError, match=r"--tester: no test is of Maccor; there is Arbin"):
        again(store, settings, testers=["Maccor"])
    with pytest.raises(NotFoundError, match="no sample is named 'XX99'"):
        again(store, settings, samples=["XX99"])


def test_the_parts_of_a_run_are_read_together(store: Store, settings: Settings, lab: Path) -> None:
    for number, text in enumerate(workbooks(), 1):
        write(lab, number, text)
    bring_in(store, settings, lab)
    before = TestResult.objects.get()
    frame = frames.load_frame(store, before.id, form="polars")
    TestResult.objects.update(set__reader_version="0", set__record_count=1)
    [outcome] = again(store, settings).values()
    assert outcome.changes == (
        Change("reader", "arbin_csv 0", f"arbin_csv {before.reader_version}"),
        Change("records", 1, before.record_count),
    )
    after = TestResult.objects.get()
    assert len(after.raw_files) == PARTS
    assert [part.span for part in after.raw_files] == [part.span for part in before.raw_files]
    assert frames.load_frame(store, after.id, form="polars").equals(frame)


def test_a_dry_run_reads_and_stores_nothing(store: Store, rig: Settings, lab: Path) -> None:
    of_a_former_reader(store, lab)
    before = TestResult.objects.get().to_mongo()
    [outcome] = reprocess.plan(store, rig, ReprocessRequest())
    assert (outcome.outcome, outcome.records) == ("updated", 60)
    assert TestResult.objects.get().to_mongo() == before
    assert ImportJob.objects.count() == 0


def test_what_can_no_longer_be_read_stays_as_it_is(store: Store, settings: Settings, lab: Path) -> None:
    save(store, lab, read_result(cycling_frame(2)), name="AB12.csv", content=arbin_csv()[:80].encode())
    save(store, lab, read_result(cycling_frame(2)), name="CD34.csv", content=b"a file of no known kind")
    save(store, lab, read_result(cycling_frame(2)), name="EF56.csv", content=arbin_csv(4).encode())
    store.database["raw.chunks"].delete_many(
        {"files_id": RawDataFile.objects.get(filename="EF56.csv").versions[0].extent.file_id}
    )
    outcomes = again(store, settings)
    assert {each.outcome for each in outcomes.values()} == {"failed"}
    assert "data rows" in outcomes["AB12.csv"].reason
    assert "archived bytes are missing or damaged" in outcomes["EF56.csv"].reason
    assert {(test.record_count, test.revision) for test in TestResult.objects} == {(40, 1)}
    assert ImportJob.objects.get().counts["failed"] == 3


def test_a_stale_test_without_bytes_fails_and_a_present_one_does_not(
    store: Store, settings: Settings, lab: Path
) -> None:
    for cycles, name in enumerate(("AB12", "CD34"), 2):
        (lab / f"{name}.csv").write_text(arbin_csv(cycles))
    bring_in(store, settings, lab, archive=False)
    TestResult.objects(name="AB12.csv").update(set__reader_version="0")
    outcomes = again(store, settings)
    assert outcomes["AB12.csv"].outcome == "failed"
    assert outcomes["AB12.csv"].reason == "AB12.csv: imported without keeping its bytes"
    assert outcomes["CD34.csv"].outcome == "unchanged"


def test_files_that_failed_are_tried_again_as_files_of_the_job_that_kept_them(
    store: Store, rig: Settings, lab: Path
) -> None:
    (lab / "rate").mkdir()
    (lab / "rate" / "AB12.csv").write_text(COMMAS)
    job = bring_in(store, rig, lab, sample="cell 7", tags=["first"])
    assert (TestResult.objects.count(), RawDataFile.objects.count()) == (0, 1)
    before = RawDataFile.objects.get()
    (rig.mappings / "rig.toml").write_text(MAPPING.replace('decimal = "."', 'decimal = ","'))
    (lab / "rate" / "AB12.csv").unlink()
    assert again(store, rig) == {}
    [planned] = reprocess.plan(store, rig, ReprocessRequest(failed=True))
    assert (planned.outcome, planned.sample, TestResult.objects.count()) == ("created", "cell 7", 0)

    job_run = reprocess.begin(store, rig, ReprocessRequest(failed=True))
    [outcome] = job_run
    assert (outcome.outcome, outcome.path) == ("created", str(lab / "rate" / "AB12.csv"))
    test = TestResult.objects.get()
    assert (test.sample_name, test.tags, test.created_in) == ("cell 7", ["first"], job_run.job.id)
    after = RawDataFile.objects.get()
    assert (after.id, str(after.import_job), len(after.sources)) == (before.id, job, 1)

    assert [each.what for each in roll_back(store, rig, str(job_run.job.id))] == ["removed"]
    assert TestResult.objects.count() == 0
    assert b"".join(store.archive.stream(RawDataFile.objects.get())) == COMMAS.encode()


@pytest.mark.parametrize(
    ("path", "root", "relative", "folders"),
    [
        ("s3://lab/2026/rate/AB12.csv", "s3://lab/2026", "rate/AB12.csv", ["rate", "2026"]),
        ("s3://lab/a//AB12.csv", "s3://lab", "a/AB12.csv", ["a", "lab"]),
        ("sftp://me@host/data/AB12.csv", "sftp://me@host/data/AB12.csv", "AB12.csv", ["data"]),
        ("/x/lab.zip!/rate/AB12.csv", "/x/lab.zip", "rate/AB12.csv", ["rate", "lab"]),
        ("/x/lab.tar.gz!/AB12.csv", None, "AB12.csv", ["lab"]),
        ("/x/labs/AB12.csv", "/x/lab", "AB12.csv", ["labs"]),
        ("/AB12.csv", "/", "AB12.csv", [""]),
    ],
)
def test_a_kept_file_is_called_as_it_was_where_it_came_from(
    store: Store, path: str, root: str | None, relative: str, folders: list[str]
) -> None:
    raw = RawDataFile(filename="AB12.csv", size=1, sources=[SourcePath(path=path)])
    candidate = kept_file(store, raw, root)
    assert (candidate.source, str(candidate.relative), candidate.folders) == (path, relative, folders)


def test_reading_again_is_no_step_that_could_be_taken_back_and_stands_in_no_other_s_way(
    store: Store, settings: Settings, lab: Path
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    imported = bring_in(store, settings, lab)
    TestResult.objects.update(set__reader_version="0")
    job_run = reprocess.begin(store, settings, ReprocessRequest())
    assert [each.outcome for each in job_run] == ["updated"]
    with pytest.raises(IngestError, match=r"only read archived bytes again; what former readers made of them is not"):
        list(roll_back(store, settings, str(job_run.job.id)))
    assert jobs.present_state(ImportJob.objects.get(id=job_run.job.id)) == "completed"
    assert [each.what for each in roll_back(store, settings, imported)] == ["removed"]


def test_a_job_that_was_stopped_goes_on_with_what_is_left(store: Store, settings: Settings, lab: Path) -> None:
    for number in range(12):
        of_a_former_reader(store, lab, f"AB{number + 10}.csv")
    job_run = reprocess.begin(store, replace(settings, workers=1), ReprocessRequest())
    for outcome in job_run:
        assert outcome.outcome == "updated"
        job_run.stop()
    job = ImportJob.objects.get()
    assert (job.state, job.total) == ("interrupted", 12)
    done = ImportedFile.objects(job=job.id).count()
    assert 0 < done < 12
    with pytest.raises(IngestError, match=rf"job {job.id} is of the command reprocess; go on with: reprocess --resume"):
        runs.resume(store, settings, str(job.id))
    rest = list(reprocess.resume(store, settings, str(job.id)))
    assert len(rest) == 12 - done
    assert {test.revision for test in TestResult.objects} == {2}
    assert ImportJob.objects.get().counts == {"updated": 12}
    with pytest.raises(IngestError, match="nothing is left to do"):
        reprocess.resume(store, settings, str(job.id))


def test_frames_of_tests_read_again_equal_those_of_an_import(store: Store, settings: Settings, lab: Path) -> None:
    before = of_a_former_reader(store, lab)
    (lab / "CD34.csv").write_text(arbin_csv())
    bring_in(store, settings, lab)
    again(store, settings)
    one, other = (frames.load_frame(store, test.id, form="polars") for test in TestResult.objects.order_by("id"))
    assert one.height == 60
    assert one.equals(other)
    table = frames.load_cycles(store, before.id, form="polars")
    assert isinstance(table, pl.DataFrame)
    assert table.height == 3
