"""A rollback restores what a job updated and removes what it created, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from battery_analysis.errors import ConflictError, IngestError, InvalidDocumentError, NotFoundError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import rollback
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.rollback import Undone, roll_back
from battery_analysis.models import ImportJob, RawDataFile, Sample, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, frames, removal, samples, test_edits, tests
from battery_analysis.store.search import Query, search
from tests.builders import arbin_csv

RunJob = Callable[..., str]


@pytest.fixture
def run_job(store: Store, settings: Settings, lab: Path) -> RunJob:
    """Import the lab and return the job's id."""

    def run(**options: object) -> str:
        job_run = runs.begin(store, settings, runs.ImportRequest(root=str(lab), **options))  # type: ignore[arg-type]
        list(job_run)
        return str(job_run.job.id)

    return run


def undo(store: Store, settings: Settings, job_id: str) -> list[Undone]:
    return list(roll_back(store, settings, job_id))


def bytes_of(store: Store, raw: RawDataFile) -> bytes:
    return b"".join(store.archive.stream(raw))


def test_what_a_job_created_is_gone_and_nothing_is_left_behind(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    (lab / "broken AB13.csv").write_text(arbin_csv()[:80] + "\n")
    job = run_job()
    assert [each.what for each in undo(store, settings, job)] == ["removed"]
    assert (TestResult.objects.count(), RawDataFile.objects.count(), Sample.objects.count()) == (0, 0, 0)
    left = {name: store.database[name].count_documents({}) for name in store.database.list_collection_names()}
    assert {name for name, count in left.items() if count} == {"import_jobs", "imported_files"}
    assert jobs.present_state(ImportJob.objects.get()) == "rolled_back"


def test_a_test_that_grew_is_as_it_was_before_the_job(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    whole = arbin_csv(cycles=4)
    half = "\n".join(whole.splitlines()[:50]) + "\n"
    (lab / "AB12.csv").write_text(half)
    first = run_job()
    before = TestResult.objects.get()
    frame, cycles = frames.load_frame(store, before.id, form="polars"), frames.cycle_table(store, before)
    (lab / "AB12.csv").write_text(whole)
    second = run_job()
    test_edits.add_note(before.id, "keep me")

    assert [each.what for each in undo(store, settings, second)] == ["restored"]
    after = TestResult.objects.get()
    assert (after.id, after.sha256, after.record_count) == (before.id, before.sha256, before.record_count)
    assert (str(after.import_job), after.former, after.revision) == (first, [], 3)
    assert [note.text for note in after.notes_log] == ["keep me"]
    assert frames.load_frame(store, after.id, form="polars").equals(frame)
    assert frames.cycle_table(store, after).equals(cycles)
    raw = RawDataFile.objects.get()
    assert (len(raw.versions), bytes_of(store, raw)) == (1, half.encode())
    assert after.raw_files[0].versions == [raw.sha256]

    (lab / "AB12.csv").write_text(whole + " ")
    (lab / "AB12.csv").write_text(whole)
    run_job()
    assert frames.load_frame(store, after.id, form="polars").height == 80
    assert bytes_of(store, RawDataFile.objects.get()) == whole.encode()


def test_jobs_are_undone_from_the_newest_to_the_oldest(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    lines = arbin_csv(cycles=4).splitlines()
    ids = []
    for end in (30, 50, 81):
        (lab / "AB12.csv").write_text("\n".join(lines[:end]) + "\n")
        ids.append(run_job())
    for early in ids[:2]:
        with pytest.raises(IngestError, match=r"has updated test \w+ \(AB12\.csv\) since; roll that one back first"):
            undo(store, settings, early)
    assert TestResult.objects.get().record_count == 80
    for job, records in ((ids[2], 49), (ids[1], 29)):
        undo(store, settings, job)
        assert TestResult.objects.get().record_count == records
    undo(store, settings, ids[0])
    assert TestResult.objects.count() == 0


def test_a_job_whose_process_was_killed_before_it_noted_anything_is_undone(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    job = run_job()
    store.database["imported_files"].delete_many({})
    ImportJob.objects.update(set__state="interrupted")
    assert [each.what for each in undo(store, settings, job)] == ["removed"]
    assert TestResult.objects.count() == 0


def test_bytes_that_are_not_kept_leave_the_test_as_it_is_and_say_so(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv(cycles=2))
    run_job(archive=False)
    (lab / "AB12.csv").write_text(arbin_csv(cycles=3))
    job = run_job(archive=False)
    [undone] = undo(store, settings, job)
    assert (undone.what, undone.reason) == ("kept", "AB12.csv: its former bytes are not kept")
    assert TestResult.objects.get().record_count == 60
    assert ImportJob.objects.get(id=job).reason == "1 updated tests stay: AB12.csv: its former bytes are not kept"


def test_labels_that_a_job_added_to_what_was_stored_go_with_it(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    first = run_job(tags=["check-up"], operator="Ada")
    before = TestResult.objects.get().to_mongo(), RawDataFile.objects.get().to_mongo()
    second = run_job(tags=["check-up", "ageing"], operator="Eve", device="C1", metadata={"rig": "7"})
    test, raw = TestResult.objects.get(), RawDataFile.objects.get()
    assert test.tags == raw.tags == ["check-up", "ageing"]
    assert (raw.operator, raw.acquisition_device, raw.metadata, test.metadata) == (
        "Ada",
        "C1",
        {"rig": "7"},
        {"rig": "7"},
    )
    with pytest.raises(IngestError, match=f"job {second} has added labels .*; roll that one back first"):
        undo(store, settings, first)
    assert undo(store, settings, second) == []
    for was, document in zip(before, (TestResult.objects.get(), RawDataFile.objects.get()), strict=True):
        now_is = document.to_mongo()
        lasting = [name for name in was if name not in ("updated_at", "sources")]  # it was seen there once more
        assert {name: now_is.get(name) for name in lasting} == {name: was[name] for name in lasting}
    assert [each.what for each in undo(store, settings, first)] == ["removed"]


def test_a_rollback_that_another_import_overtakes_can_be_made_again(
    store: Store, settings: Settings, lab: Path, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = arbin_csv(cycles=4)
    (lab / "AB12.csv").write_text("\n".join(whole.splitlines()[:50]) + "\n")
    run_job()
    before = TestResult.objects.get()
    (lab / "AB12.csv").write_text(whole)
    job = run_job()

    def overtaken(*_: object, **__: object) -> None:
        raise ConflictError("AB12.csv: stored by another process meanwhile")

    with monkeypatch.context() as race:
        race.setattr(rollback, "save_test", overtaken)
        with pytest.raises(IngestError, match=r"another import changed .*; roll back again"):
            undo(store, settings, job)
    assert ImportJob.objects.get(id=job).state == "completed"
    assert [each.what for each in undo(store, settings, job)] == ["restored"]
    assert TestResult.objects.get().record_count == before.record_count


def test_a_test_that_a_person_changed_since_is_not_taken_away(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    job = run_job()
    test = TestResult.objects.get()
    test_edits.tag(test.id, add=["good"])
    with pytest.raises(IngestError, match=rf"a person has changed test {test.id} \(AB12\.csv\)"):
        undo(store, settings, job)
    assert TestResult.objects.count() == 1


def test_samples_that_existed_or_got_more_since_stay(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    samples.set_fields(store, "AB12", {"chemistry": "NMC/graphite"})
    (lab / "AB12.csv").write_text(arbin_csv())
    (lab / "AB13.csv").write_text(arbin_csv(cycles=2))
    job = run_job()
    samples.set_fields(store, "AB13", {"area_cm2": 1.0})
    undo(store, settings, job)
    assert sorted(Sample.objects.scalar("name")) == ["AB12", "AB13"]
    assert {sample.aggregates.test_count for sample in Sample.objects} == {0}


def test_a_sample_made_with_labels_goes_with_its_job(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    job = run_job(tags=("rate",), operator="Ada", metadata={"batch": "7"})
    sample = Sample.objects.get()
    assert (sample.tags, sample.metadata) == (["rate"], {"operator": "Ada", "batch": "7"})
    undo(store, settings, job)
    assert Sample.objects.count() == 0


def test_only_the_path_of_a_duplicate_is_forgotten(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    run_job()
    (lab / "copy of AB12.csv").write_text(arbin_csv())
    undo(store, settings, run_job())
    assert [Path(place.path).name for place in RawDataFile.objects.get().sources] == ["AB12.csv"]
    assert TestResult.objects.count() == 1


def test_a_job_is_rolled_back_once_and_never_while_it_runs(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    job_run = runs.begin(store, settings, runs.ImportRequest(root=str(lab)))
    with pytest.raises(IngestError, match=r"is running on .*; cancel it first"):
        undo(store, settings, str(job_run.job.id))
    list(job_run)
    undo(store, settings, str(job_run.job.id))
    with pytest.raises(IngestError, match="is rolled back already"):
        undo(store, settings, str(job_run.job.id))


def test_a_deleted_test_takes_its_data_along(store: Store, lab: Path, run_job: RunJob) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    run_job()
    test, raws = removal.delete_test(store, TestResult.objects.get().id)
    assert [raw.filename for raw in raws] == ["AB12.csv"]
    names = ("frame_segments", "cycle_blocks", "overviews", "raw.files", "raw.chunks", "raw_data_files", "test_results")
    assert {name: store.database[name].count_documents({}) for name in names} == dict.fromkeys(names, 0)
    with pytest.raises(NotFoundError):
        removal.delete_test(store, test.id)


def test_a_sample_with_tests_or_made_into_another_stays(store: Store, lab: Path, run_job: RunJob) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    run_job()
    samples.set_fields(store, "anode 7", {})
    samples.set_fields(store, "AB12", {"anode": "anode 7"})
    with pytest.raises(InvalidDocumentError, match=r"Sample 'AB12' has 1 test \(\w+\); it is not deleted"):
        removal.delete_sample("AB12")
    with pytest.raises(InvalidDocumentError, match="Sample 'anode 7' is the anode of 'AB12'"):
        removal.delete_sample("anode 7")
    removal.delete_test(store, TestResult.objects.get().id)
    removal.delete_sample("AB12")
    removal.delete_sample("anode 7")
    assert Sample.objects.count() == 0


def test_a_moved_test_stays_with_its_new_sample_when_its_file_grows(store: Store, lab: Path, run_job: RunJob) -> None:
    (lab / "AB12.csv").write_text(arbin_csv(cycles=2))
    run_job()
    other = samples.set_fields(store, "CD34", {"chemistry": "LFP"})
    moved = tests.move(store, TestResult.objects.get().id, other, "CD34")
    assert (moved.sample_name, moved.cell_code, moved.chemistry, moved.sample_rule) == (
        "CD34",
        "CD34",
        "LFP",
        "by hand",
    )
    (lab / "AB12.csv").write_text(arbin_csv(cycles=3))
    run_job()
    grown = TestResult.objects.get()
    assert (grown.sample_name, grown.cell_code, grown.record_count) == ("CD34", "CD34", 60)
    assert RawDataFile.objects.get().sample == other.id
    assert "cd34" in grown.words


def test_a_test_that_grew_is_still_found_by_its_tags_notes_and_cell(store: Store, lab: Path, run_job: RunJob) -> None:
    (lab / "AB12.csv").write_text(arbin_csv(cycles=2))
    run_job(tags=["precious"])
    test = TestResult.objects.get()
    test_edits.add_note(test.id, "swollen")
    tests.move(store, test.id, samples.set_fields(store, "CD34", {}), "XY99")
    (lab / "AB12.csv").write_text(arbin_csv(cycles=3))
    run_job()
    assert TestResult.objects.get().record_count == 60
    assert [found.id for found in search(Query(text="precious swollen XY99 CD34 AB12"))] == [test.id]


def test_frames_of_restored_tests_read_like_any_other(
    store: Store, settings: Settings, lab: Path, run_job: RunJob
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv(cycles=2))
    run_job()
    (lab / "AB12.csv").write_text(arbin_csv(cycles=4))
    undo(store, settings, run_job())
    test = TestResult.objects.get()
    part = frames.load_frame(store, test.id, columns=["voltage_volt"], cycles=(2, 2), form="polars")
    assert part.height == 20
    assert part.schema == {"voltage_volt": pl.Float64}
