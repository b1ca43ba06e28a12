"""A file becomes a stored test, once, whole, and whatever happens on the way."""

from __future__ import annotations

import hashlib
import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymongo.errors
import pytest
from polars.testing import assert_frame_equal

import battery_analysis as ba
from battery_analysis.errors import ArchiveError, BatteryAnalysisError, ConflictError, NotFoundError, ReaderLimitError
from battery_analysis.ingest import job as jobs
from battery_analysis.ingest import reader_pool
from battery_analysis.ingest import run as runs
from battery_analysis.models import ImportedFile, ImportJob, RawDataFile, Sample, TestResult, now
from battery_analysis.settings import Settings
from battery_analysis.store import Store, frames, open_store, raw_files, samples, test_edits, tests
from battery_analysis.store.parcel import pack
from battery_analysis.store.provenance import PartRead, Source
from battery_analysis.store.raw_files import Arrival, Labels
from battery_analysis.store.tests import Belonging, save_test
from examples.bulk import write_large_ndax
from tests.builders import arbin_csv, cycling_frame, read_result, save
from tests.ingest.conftest import Importing

GRIDFS_BYTES = "raw.files"


def archived_bytes(store: Store) -> int:
    return sum(file["length"] for file in store.database[GRIDFS_BYTES].find())


def original(store: Store, raw: RawDataFile, sha256: str | None = None) -> bytes:
    out = io.BytesIO()
    store.archive.copy(raw, out, sha256)
    return out.getvalue()


def test_a_file_becomes_a_test_of_its_sample_with_its_bytes(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12_ageing.csv").write_text(arbin_csv())
    outcome = importing()["AB12_ageing.csv"]
    assert (outcome.outcome, outcome.sample, outcome.records, outcome.cycles) == ("created", "AB12", 60, 3)

    test = TestResult.objects.get(id=outcome.test_id)
    assert (test.sample.name, test.cell_code, test.tester, test.revision) == ("AB12", "AB12", "Arbin", 1)
    assert test.sample_rule == "pattern in file name"
    result = ba.read(lab / "AB12_ageing.csv")
    assert_frame_equal(frames.load_frame(store, test.id, form="polars"), result.frame)
    raw = RawDataFile.objects.get(id=test.raw_files[0].raw_file)
    assert original(store, raw) == (lab / "AB12_ageing.csv").read_bytes()
    assert Sample.objects.get(name="AB12").aggregates.test_count == 1


def test_the_job_counts_and_keeps_one_record_a_file(lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    (lab / "notes.doc").write_text("nothing to see")
    importing(tags=["march"], operator="Ada", metadata={"rig": "7"})
    job = ImportJob.objects.get()
    assert (job.state, job.total, dict(job.counts)) == ("completed", 2, {"created": 1, "skipped": 1})
    records = {Path(each.path).name: each for each in ImportedFile.objects(job=job.id)}
    assert records["AB12.csv"].reader == "arbin_csv"
    assert "no reader knows" in records["notes.doc"].reason
    raw = RawDataFile.objects.get()
    assert (raw.tags, raw.operator, raw.metadata) == (["march"], "Ada", {"rig": "7"})
    assert TestResult.objects.get().tags == ["march"]
    assert Sample.objects.get().tags == ["march"]


def test_the_same_bytes_are_imported_once(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    first = importing()["AB12.csv"]
    again = importing()["AB12.csv"]
    assert (again.outcome, again.test_id) == ("unchanged", first.test_id)
    shutil.copy(lab / "AB12.csv", lab / "CD34.csv")
    copied = importing()["CD34.csv"]
    assert (copied.outcome, copied.test_id, copied.sample) == ("duplicate", first.test_id, "AB12")
    assert "here the sample would be CD34, it stays AB12" in (copied.reason or "")
    raw = RawDataFile.objects.get()
    assert {Path(place.path).name for place in raw.sources} == {"AB12.csv", "CD34.csv"}
    assert TestResult.objects.count() == 1
    assert archived_bytes(store) == raw.size


def test_a_file_that_cannot_be_read_fails_and_keeps_its_bytes(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.ndax").write_bytes(b"PK\x03\x04" + b"data.ndc VersionInfo.xml" + bytes(100))
    (lab / "CD34.csv").write_text(arbin_csv())
    outcomes = importing()
    assert outcomes["AB12.ndax"].outcome in ("failed", "skipped")
    assert outcomes["CD34.csv"].outcome == "created"
    (lab / "EF56.csv").write_text("Test_Time(s),Current(A),Cycle_Index\n1,2,3\n")
    failed = importing()["EF56.csv"]
    assert (failed.outcome, failed.test_id) == ("failed", None)
    assert "oltage" in (failed.reason or "")
    raw = RawDataFile.objects.get(id=failed.raw_id)
    assert original(store, raw) == (lab / "EF56.csv").read_bytes()


def test_what_is_skipped_leaves_no_bytes(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    assert importing()["photo.jpg"].outcome == "skipped"
    assert RawDataFile.objects.count() == 0
    assert archived_bytes(store) == 0


def test_an_empty_file_fails_by_name(lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").touch()
    outcome = importing()["AB12.csv"]
    assert (outcome.outcome, outcome.reason) == ("failed", "the file is empty (0 bytes)")


def test_without_archive_the_test_is_stored_and_the_bytes_are_not(
    store: Store, lab: Path, importing: Importing
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    assert importing(archive=False)["AB12.csv"].outcome == "created"
    assert archived_bytes(store) == 0
    with pytest.raises(NotFoundError, match="imported without keeping its bytes"):
        original(store, RawDataFile.objects.get())
    assert importing()["AB12.csv"].outcome == "unchanged"
    assert original(store, RawDataFile.objects.get()) == (lab / "AB12.csv").read_bytes()


def test_a_reset_makes_the_next_revision_and_leaves_what_people_set(
    store: Store, lab: Path, importing: Importing
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    first = importing()["AB12.csv"]
    assert first.test_id is not None
    test_edits.tag(first.test_id, add=["keep me"])
    test_edits.add_note(first.test_id, "looked fine")
    again = importing(reset=True)["AB12.csv"]
    assert (again.outcome, again.test_id) == ("updated", first.test_id)
    test = TestResult.objects.get()
    assert (test.revision, test.tags, [note.text for note in test.notes_log]) == (2, ["keep me"], ["looked fine"])
    assert archived_bytes(store) == RawDataFile.objects.get().size


def test_a_grown_text_file_is_the_same_test_and_adds_only_what_was_appended(
    store: Store, lab: Path, importing: Importing
) -> None:
    whole = arbin_csv(cycles=4)
    half = "\n".join(whole.splitlines()[:50]) + "\n"
    (lab / "AB12.csv").write_text(half)
    first = importing()["AB12.csv"]
    (lab / "AB12.csv").write_text(whole)
    grown = importing()["AB12.csv"]
    assert (grown.outcome, grown.test_id, grown.records) == ("updated", first.test_id, 80)
    raw = RawDataFile.objects.get()
    assert [version.size for version in raw.versions] == [len(half), len(whole)]
    assert archived_bytes(store) == len(whole)
    assert original(store, raw) == whole.encode()
    assert original(store, raw, raw.versions[0].sha256) == half.encode()
    assert TestResult.objects.get().raw_files[0].versions == [version.sha256 for version in raw.versions]


def test_another_test_under_the_same_path_is_a_test_of_its_own(lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    first = importing()["AB12.csv"]
    (lab / "AB12.csv").write_text(arbin_csv(cycles=2, records=30))
    second = importing()["AB12.csv"]
    assert second.outcome == "created"
    assert second.test_id != first.test_id
    assert importing()["AB12.csv"].outcome == "unchanged"


def test_importers_that_race_for_the_same_files_store_each_once(store: Store, settings: Settings, lab: Path) -> None:
    for number in range(6):
        (lab / f"AB{number:02d}.csv").write_text(arbin_csv(records=20 + 2 * number))
    begun = [runs.begin(store, settings, runs.ImportRequest(str(lab), workers=1)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        outcomes = [outcome for job in pool.map(list, begun) for outcome in job]
    assert {outcome.outcome for outcome in outcomes} <= {"created", "unchanged"}
    assert sum(outcome.outcome == "created" for outcome in outcomes) == 6
    assert TestResult.objects.count() == RawDataFile.objects.count() == 6
    named = {segment.id for test in TestResult.objects for segment in test.segments}
    assert {each["_id"] for each in store.database[frames.SEGMENTS].find({}, {"_id": 1})} == named
    assert archived_bytes(store) == sum(raw.size for raw in RawDataFile.objects)


STEPS = ("write_segments", "write_cycles", "write_overview")


@pytest.mark.parametrize("step", [*STEPS, "insert"])
def test_a_crash_on_the_way_leaves_no_test_and_the_next_run_completes_it(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())

    def crash(*_: object, **__: object) -> None:
        raise pymongo.errors.AutoReconnect("the server is gone")

    with monkeypatch.context() as broken:
        if step == "insert":
            broken.setattr(tests, "_insert", crash)
        else:
            broken.setattr(frames, step, crash)
        with pytest.raises(pymongo.errors.AutoReconnect):
            importing()
    assert TestResult.objects.count() == 0
    reserved = RawDataFile.objects.get().test_result

    outcome = importing()["AB12.csv"]
    assert (outcome.outcome, outcome.test_id) == ("created", reserved)
    assert RawDataFile.objects.count() == 1
    assert archived_bytes(store) == RawDataFile.objects.get().size
    assert frames.load_frame(store, reserved).shape[0] == 60


def test_a_crash_while_a_test_is_updated_leaves_the_old_revision(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = arbin_csv(cycles=4)
    (lab / "AB12.csv").write_text("\n".join(whole.splitlines()[:50]) + "\n")
    first = importing()["AB12.csv"]
    assert first.test_id is not None
    before = frames.load_frame(store, first.test_id, form="polars")
    (lab / "AB12.csv").write_text(whole)

    def crash(*_: object) -> None:
        raise pymongo.errors.AutoReconnect("the server is gone")

    with monkeypatch.context() as broken:
        broken.setattr(tests, "_replace", crash)
        with pytest.raises(pymongo.errors.AutoReconnect):
            importing()
    assert TestResult.objects.get().revision == 1
    assert_frame_equal(frames.load_frame(store, first.test_id, form="polars"), before)
    assert importing()["AB12.csv"].outcome == "updated"
    assert frames.load_frame(store, first.test_id).shape[0] == 80


def test_a_job_that_was_stopped_goes_on_where_it_stopped(store: Store, settings: Settings, lab: Path) -> None:
    for number in range(20):
        (lab / f"AB{number:02d}.csv").write_text(arbin_csv(records=20 + 2 * number))
    begun = runs.begin(store, settings, runs.ImportRequest(str(lab), workers=1))
    done = []
    for outcome in begun:
        done.append(outcome)
        begun.stop()
    begun.job.reload()
    assert begun.job.state == "interrupted"
    assert 0 < len(done) < 20
    rest = list(runs.resume(store, settings, str(begun.job.id)))
    assert len(done) + len(rest) == 20
    job = ImportJob.objects.get()
    assert (job.state, dict(job.counts)) == ("completed", {"created": 20})
    with pytest.raises(BatteryAnalysisError, match="completed without failures"):
        runs.resume(store, settings, str(job.id))


def test_a_resumed_job_tries_failed_files_again(store: Store, settings: Settings, lab: Path) -> None:
    (lab / "AB12.csv").touch()
    (lab / "CD34.csv").write_text(arbin_csv())
    job = runs.begin(store, settings, runs.ImportRequest(str(lab), workers=1))
    assert len(list(job)) == 2
    (lab / "AB12.csv").write_text(arbin_csv(cycles=2))
    (again,) = runs.resume(store, settings, str(job.job.id))
    assert again.outcome == "created"
    job.job.reload()
    assert {name: count for name, count in job.job.counts.items() if count} == {"created": 2}


def test_damaged_archive_bytes_are_an_error(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing()
    raw = RawDataFile.objects.get()
    chunk = store.database["raw.chunks"].find_one()
    assert chunk is not None
    damaged = bytes([chunk["data"][0] ^ 1]) + chunk["data"][1:]
    store.database["raw.chunks"].update_one({"_id": chunk["_id"]}, {"$set": {"data": damaged}})
    with pytest.raises(ArchiveError, match=f"instead of {raw.sha256}"):
        store.archive.verify(raw)


def test_the_cell_type_of_a_sample_decides_the_efficiency_of_its_tests(
    store: Store, lab: Path, importing: Importing
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    samples.set_fields(store, "AB12", {"cell_type": "half_negative", "chemistry": "graphite/Li"})
    outcome = importing()["AB12.csv"]
    assert outcome.test_id is not None
    test = TestResult.objects.get()
    assert (test.efficiency_convention, test.chemistry) == ("charge_per_discharge", "graphite/Li")
    test_edits.tag(outcome.test_id, add=["keep me"])
    samples.set_fields(store, "AB12", {"cell_type": "", "project": "P1"})
    test.reload()
    assert (test.efficiency_convention, test.cell_type, test.project) == ("same_cycle", None, "P1")
    assert test.tags == ["keep me"]


def test_everything_works_in_memory_within_one_process(tmp_path: Path, lab: Path) -> None:
    settings = Settings.load(environ={"USE_MONGO_MOCK": "1"}, data_dir=tmp_path / "data", db_name="in_memory")
    (lab / "AB12.csv").write_text(arbin_csv())
    with open_store(settings) as store:
        (outcome,) = runs.begin(store, settings, runs.ImportRequest(str(lab), workers=1))
        assert outcome.outcome == "created"
    with open_store(settings) as store:
        assert outcome.test_id is not None
        assert frames.load_frame(store, outcome.test_id).shape[0] == 60
        assert hashlib.sha256(original(store, RawDataFile.objects.get())).hexdigest() == outcome.sha256


def test_a_nominal_capacity_gives_c_rates(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing()
    assert list(TestResult.objects.get().c_rates) == []
    samples.set_fields(store, "AB12", {"nominal_capacity_ah": "2"})
    assert list(TestResult.objects.get().c_rates) == [0.5]
    importing(reset=True)
    assert list(TestResult.objects.get().c_rates) == [0.5]


def test_a_pointer_to_data_elsewhere_fails_and_is_kept(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.mpr").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n")
    outcome = importing()["AB12.mpr"]
    assert (outcome.outcome, "git-lfs pointer" in (outcome.reason or "")) == ("failed", True)
    assert original(store, RawDataFile.objects.get(id=outcome.raw_id)) == (lab / "AB12.mpr").read_bytes()
    assert importing()["AB12.mpr"].raw_id == outcome.raw_id


HEADER = "Test_Time(s),Cycle_Index,Step_Index,Step_Time(s),Current(A),Voltage(V)\n"


def test_two_runs_that_began_with_equal_bytes_stay_two_tests(lab: Path, importing: Importing) -> None:
    for name in ("AB12.csv", "AB12 copy.csv"):
        (lab / name).write_text(HEADER)
    assert {outcome.outcome for outcome in importing(sample="AB12").values()} == {"failed"}
    assert {Path(place.path).name for place in RawDataFile.objects.get().sources} == {"AB12.csv", "AB12 copy.csv"}
    (lab / "AB12.csv").write_text(arbin_csv(cycles=2))
    (lab / "AB12 copy.csv").write_text(arbin_csv(cycles=3, records=30))
    outcomes = importing(sample="AB12")
    assert {outcome.outcome for outcome in outcomes.values()} == {"created"}
    assert sorted(outcome.records or 0 for outcome in outcomes.values()) == [40, 90]
    assert {test.record_count for test in TestResult.objects} == {40, 90}


def test_a_reply_that_is_lost_loses_no_data(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    insert = tests._insert

    def insert_without_reply(test: TestResult) -> None:
        insert(test)
        raise pymongo.errors.AutoReconnect("connection closed")

    with monkeypatch.context() as broken:
        broken.setattr(tests, "_insert", insert_without_reply)
        with pytest.raises(pymongo.errors.AutoReconnect):
            importing(retries=0)
    outcome = importing()["AB12.csv"]
    assert outcome.outcome == "unchanged"
    assert outcome.test_id is not None
    assert frames.load_frame(store, outcome.test_id).shape[0] == 60


def test_an_update_forgets_what_the_new_bytes_do_not_say(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing()
    assert TestResult.objects.get().initial_capacity_ah is not None
    test = TestResult.objects.get()
    TestResult._get_collection().update_one({"_id": test.id}, {"$set": {"comment": "of older bytes"}})
    importing(reset=True)
    assert (TestResult.objects.get().comment, TestResult.objects.get().revision) == (None, 2)


def test_an_older_copy_does_not_throw_a_reset_test_back(lab: Path, importing: Importing) -> None:
    whole = arbin_csv(cycles=4)
    half = "\n".join(whole.splitlines()[:50]) + "\n"
    (lab / "AB12.csv").write_text(half)
    importing()
    (lab / "AB12.csv").write_text(whole)
    importing()
    (lab / "old AB12.csv").write_text(half)
    outcomes = importing(reset=True)
    assert {name: outcome.outcome for name, outcome in outcomes.items()} == {
        "AB12.csv": "updated",
        "old AB12.csv": "duplicate",
    }
    assert TestResult.objects.get().record_count == 80


def test_copies_under_a_reset_are_read_once(lab: Path, importing: Importing) -> None:
    for number in range(8):
        (lab / f"AB12 {number}.csv").write_text(arbin_csv())
    importing()
    outcomes = [outcome.outcome for outcome in importing(reset=True, workers=4).values()]
    assert sorted(outcomes) == ["unchanged"] * 7 + ["updated"]
    assert TestResult.objects.get().revision == 2


def test_an_older_reading_does_not_overwrite_a_newer_one(store: Store, tmp_path: Path) -> None:
    first = save(store, tmp_path, read_result(cycling_frame(cycles=2)), content=b"1")
    raw = raw_files.look_up(hashlib.sha256(b"1").hexdigest(), "").owner
    assert raw is not None
    parcel = pack(read_result(cycling_frame(cycles=2)), tmp_path / "old")
    arrival = Arrival("/lab/AB12.csv", "AB12.csv", tmp_path / "AB12.csv", "f" * 64, 2, now())
    raw_files.append(store, raw, arrival, archive=False)
    belonging = Belonging(first.sample, "AB12", "fixed", "AB12")
    late = Source(first.id, (PartRead(raw.id, "AB12.csv", "e" * 64),))
    with pytest.raises(ConflictError, match=r"a later version of AB12\.csv was stored meanwhile"):
        save_test(store, parcel, late, belonging, Labels())


def test_a_version_that_failed_does_not_cut_a_test_in_two(
    lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = arbin_csv(cycles=4)
    (lab / "AB12.csv").write_text("\n".join(whole.splitlines()[:50]) + "\n")
    first = importing()["AB12.csv"]
    (lab / "AB12.csv").write_text(whole)

    def fail(*_: object) -> None:
        raise ReaderLimitError("AB12.csv", "the process that read it died")

    with monkeypatch.context() as broken:
        broken.setattr(reader_pool._InProcess, "result", fail)
        assert importing()["AB12.csv"].outcome == "failed"
    again = importing()["AB12.csv"]
    assert (again.outcome, again.test_id) == ("updated", first.test_id)
    assert RawDataFile.objects.count() == 1


def test_a_binary_version_that_failed_is_a_version_of_its_file_once_it_is_read(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lab / "AB12.ndax"
    write_large_ndax(path, 400)
    first, before = importing()["AB12.ndax"], path.read_bytes()
    write_large_ndax(path, 500)

    def fail(*_: object) -> None:
        raise ReaderLimitError("AB12.ndax", "the process that read it died")

    with monkeypatch.context() as broken:
        broken.setattr(reader_pool._InProcess, "result", fail)
        assert importing()["AB12.ndax"].outcome == "failed"
    again = importing()["AB12.ndax"]
    assert (again.outcome, again.test_id) == ("updated", first.test_id)
    raw, part = RawDataFile.objects.get(), TestResult.objects.get().raw_files[0]
    assert part.versions == [version.sha256 for version in raw.versions] == [first.sha256, again.sha256]
    assert original(store, raw) == path.read_bytes()
    assert original(store, raw, first.sha256) == before
    assert [place.path for place in raw.sources] == [str(path)]


def test_a_sample_edited_while_its_test_is_stored_is_followed(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    write = frames.write_segments

    def edit_and_write(*arguments: Any) -> Any:
        samples.set_fields(store, "AB12", {"chemistry": "LFP/graphite", "cell_type": "half_negative"})
        return write(*arguments)

    monkeypatch.setattr(frames, "write_segments", edit_and_write)
    importing()
    test = TestResult.objects.get()
    assert (test.chemistry, test.efficiency_convention) == ("LFP/graphite", "charge_per_discharge")


def test_aggregates_that_a_killed_importer_left_behind_are_made_by_the_next(lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing()
    Sample._get_collection().update_many({}, {"$unset": {"aggregates": ""}})
    importing()
    assert Sample.objects.get().aggregates.test_count == 1


def test_labels_of_a_later_import_reach_what_is_stored(lab: Path, importing: Importing) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    importing(tags=["one"])
    importing(tags=["two"], operator="Ada", metadata={"rig": "7"})
    raw, test = RawDataFile.objects.get(), TestResult.objects.get()
    assert (sorted(raw.tags), raw.operator, raw.metadata) == (["one", "two"], "Ada", {"rig": "7"})
    assert (sorted(test.tags), test.metadata) == (["one", "two"], {"rig": "7"})


def test_a_job_whose_process_number_was_given_to_another_is_interrupted(
    settings: Settings, store: Store, lab: Path
) -> None:
    job = jobs.start(str(lab), {})
    assert jobs.present_state(job) == "running"
    job.modify(process_started=1.0)
    assert jobs.present_state(job) == "interrupted"
