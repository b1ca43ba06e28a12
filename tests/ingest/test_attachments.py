"""Settings and logs find the tests they belong to, whichever of the two comes first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from battery_analysis.errors import ConflictError, NotFoundError
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.importer import import_files
from battery_analysis.ingest.preview import plan_files, preview_files
from battery_analysis.models import Attachment, RawDataFile, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, attachments
from tests.builders import cycling_frame, read_result, save
from tests.ingest.conftest import Importing
from tests.readers.biologic_bytes import log_file, whole
from tests.readers.maccor_files import amps, ideal_cell

SETTINGS = "EC-LAB SETTING FILE\r\n\r\nNumber of linked techniques : 2\r\n"
PROCEDURE = '<?maccor-application progid="Maccor Procedure File"?>\n<MaccorTestProcedure/>'
SCHEDULE = "[Version_Section]\r\nm_szVersion=1\r\n[Schedule_Step0]\r\nm_szLabel=Rest\r\n"
STARTED_AT = datetime(2024, 3, 4, 12, tzinfo=UTC)
UNFINISHED = whole(LOG=b"")


def attached(store: Store) -> dict[str, set[str]]:
    """Names of the tests that each attachment belongs to."""
    names = {test.id: test.name for test in TestResult.objects.only("name")}
    return {each.name: {names[test] for test in each.test_results} for each in Attachment.objects}


def kept_bytes(store: Store) -> list[int]:
    return sorted(file["length"] for file in store.database["attached.files"].find())


def original(store: Store, name: str) -> bytes:
    return b"".join(attachments.stream(store, Attachment.objects.get(name=name)))


FILES = {
    "AB12.mps": SETTINGS.encode(),
    "AB12_01_OCV_C01.mpr": whole(),
    "AB12_02_GCPL_C01.mpr": whole(Set=b"\x04" + bytes(699)),
    "AB1.mps": SETTINGS.replace("2", "1").encode(),
}
SETTINGS_FIRST = ("AB12.mps", "AB12_01_OCV_C01.mpr", "AB12_02_GCPL_C01.mpr")
ORDERS = (SETTINGS_FIRST, SETTINGS_FIRST[::-1], ("AB12_01_OCV_C01.mpr", "AB12.mps", "AB12_02_GCPL_C01.mpr"))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: " ".join(name[5:7] for name in order))
def test_settings_find_their_run_in_any_order_of_arrival(
    store: Store, lab: Path, importing: Importing, order: tuple[str, ...]
) -> None:
    for name in order:
        (lab / name).write_bytes(FILES[name])
        importing(include=[name])
    [settings] = Attachment.objects
    assert attached(store) == {"AB12.mps": {"AB12_01_OCV_C01.mpr", "AB12_02_GCPL_C01.mpr"}}
    assert (settings.kind, settings.title, settings.size) == ("settings", "EC-Lab settings", len(SETTINGS))
    assert settings.sample == TestResult.objects.first().sample.id
    assert original(store, "AB12.mps") == SETTINGS.encode()
    assert [each.name for each in attachments.of_test(TestResult.objects.first().id)] == ["AB12.mps"]


def test_a_second_import_doubles_nothing(store: Store, lab: Path, importing: Importing) -> None:
    for name, content in FILES.items():
        (lab / name).write_bytes(content)
    first, second = importing(tags=["march"]), importing()
    for outcomes in (first, second):
        assert outcomes["AB1.mps"].reason == "EC-Lab settings, kept until its data come"
        assert {outcomes[name].outcome for name in ("AB1.mps", "AB12.mps")} == {"skipped"}
    assert second["AB12.mps"].reason == "EC-Lab settings, attached to 2 tests"
    assert attached(store) == {"AB12.mps": {"AB12_01_OCV_C01.mpr", "AB12_02_GCPL_C01.mpr"}, "AB1.mps": set()}
    assert kept_bytes(store) == [len(SETTINGS)] * 2
    assert Attachment.objects.first().tags == ["march"]
    assert RawDataFile.objects.count() == 2


def test_all_at_once_from_many_threads_every_file_finds_its_own(
    store: Store, settings: Settings, lab: Path, importing: Importing
) -> None:
    for number in range(8):
        (lab / f"AB{10 + number}.mps").write_text(SETTINGS + f"Comments : {number}")
        (lab / f"AB{10 + number}_C01.mpr").write_bytes(whole(Set=b"\x04" + bytes([number] * 6) + bytes(700)))
    options = runs.ImportRequest(root=str(lab), workers=4).options(settings)
    candidates = runs.candidates_of(options)

    def run(order: int) -> None:
        list(import_files(store, options, candidates[::order]))

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(run, order) for order in (1, -1)]:
            done.result()
    assert attached(store) == {f"AB{10 + number}.mps": {f"AB{10 + number}_C01.mpr"} for number in range(8)}
    assert len(kept_bytes(store)) == 8
    assert TestResult.objects.count() == 8


def test_the_same_settings_in_two_folders_are_kept_once(store: Store, lab: Path, importing: Importing) -> None:
    for folder, content in (("AB12", whole()), ("CD34", whole(Set=b"\x04" + bytes(699)))):
        (lab / folder).mkdir()
        (lab / folder / "run.mps").write_text(SETTINGS)
        (lab / folder / f"run_{folder}.mpr").write_bytes(content)
    importing()
    assert attached(store) == {"run.mps": {"run_AB12.mpr", "run_CD34.mpr"}}
    assert kept_bytes(store) == [len(SETTINGS)]
    assert len(Attachment.objects.get().sources) == 2


def test_settings_that_were_changed_belong_to_what_comes_after(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.mps").write_text(SETTINGS)
    (lab / "AB12_01_C01.mpr").write_bytes(whole())
    importing()
    (lab / "AB12.mps").write_text(SETTINGS.replace("2", "3"))
    importing()
    (lab / "AB12_02_C01.mpr").write_bytes(FILES["AB12_02_GCPL_C01.mpr"])
    importing()
    tests = {each.sha256: len(each.test_results) for each in Attachment.objects}
    assert sorted(tests.values()) == [1, 2]
    newer = Attachment.objects.get(sources__link__ne=None)
    assert tests[newer.sha256] == 2


def test_data_under_a_second_path_find_the_settings_there(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12.mpr").write_bytes(whole())
    importing()
    (lab / "CD34.mps").write_text(SETTINGS)
    assert importing()["CD34.mps"].reason == "EC-Lab settings, kept until its data come"
    (lab / "CD34_C01.mpr").write_bytes(whole())
    assert importing(include=["*.mpr"])["CD34_C01.mpr"].outcome == "duplicate"
    assert attached(store) == {"CD34.mps": {"AB12.mpr"}}


def test_without_archive_no_bytes_are_kept_until_an_import_keeps_them(
    store: Store, lab: Path, importing: Importing
) -> None:
    (lab / "AB12.mps").write_text(SETTINGS)
    assert importing(archive=False)["AB12.mps"].reason == "EC-Lab settings, noted until its data come"
    assert kept_bytes(store) == []
    with pytest.raises(NotFoundError, match=r"AB12\.mps: imported without keeping its bytes"):
        original(store, "AB12.mps")
    importing()
    assert original(store, "AB12.mps") == SETTINGS.encode()


@pytest.mark.parametrize("procedure_first", [True, False])
def test_a_procedure_belongs_to_tests_that_name_it_wherever_they_lie(
    store: Store, lab: Path, importing: Importing, procedure_first: bool
) -> None:
    (lab / "procedures").mkdir()
    files = {lab / "procedures" / "Cycling.000": PROCEDURE, lab / "AB12.txt": amps(ideal_cell())}
    for path, text in list(files.items())[:: 1 if procedure_first else -1]:
        path.write_text(text)
        importing()
    assert attached(store) == {"Cycling.000": {"AB12.txt"}}
    assert Attachment.objects.get().kind == "settings"


@pytest.mark.parametrize("folder", ["lab", "elsewhere"])
def test_a_schedule_belongs_to_tests_beside_it_that_name_it(
    store: Store, lab: Path, importing: Importing, folder: str
) -> None:
    place = lab / folder
    place.mkdir()
    save(store, place, read_result(cycling_frame(), protocol="rig 3\\cycling.sdu"), name="AB12.res")
    save(store, place, read_result(cycling_frame(), protocol="rig 3\\other.sdu"), name="CD34.res")
    (lab / "lab").mkdir(exist_ok=True)
    (lab / "lab" / "cycling.sdu").write_text(SCHEDULE)
    importing(include=["*.sdu"])
    assert attached(store) == {"cycling.sdu": {"AB12.res"} if folder == "lab" else set()}


def test_data_that_arrive_later_find_the_schedule(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "cycling.sdu").write_text(SCHEDULE)
    importing()
    test = save(store, lab, read_result(cycling_frame(), protocol="rig 3\\cycling.sdu"), name="AB12.res")
    attachments.attach_to_test(test, str(lab / "AB12.res"))
    assert attached(store) == {"cycling.sdu": {"AB12.res"}}


def test_an_unfinished_file_starts_when_its_log_says(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12_C03.mpr").write_bytes(UNFINISHED)
    (lab / "AB12_C03.mpl").write_text(log_file())
    outcomes = importing()
    test = TestResult.objects.get()
    assert outcomes["AB12_C03.mpr"].warnings == (
        "the file holds no log: its start, device and channel are those in AB12_C03.mpl beside it",
    )
    assert outcomes["AB12_C03.mpl"].outcome == "skipped"
    assert (test.started_at, test.device, test.channel) == (STARTED_AT, "VMP-300 (SN 0815)", "3")
    assert {line.key: line.value for line in test.header}["Log file"] == "AB12_C03.mpl"
    log = Attachment.objects.get()
    assert (log.kind, log.test_results, test.companions) == ("log", [test.id], [log.id])
    assert original(store, "AB12_C03.mpl") == (lab / "AB12_C03.mpl").read_bytes()
    assert {name: each.outcome for name, each in importing().items()} == {
        "AB12_C03.mpr": "unchanged",
        "AB12_C03.mpl": "skipped",
    }
    assert TestResult.objects.get().revision == 1


def test_a_log_that_is_left_out_is_read_and_kept_with_its_data(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12_C03.mpr").write_bytes(UNFINISHED)
    (lab / "AB12_C03.mpl").write_text(log_file())
    importing(include=["*.mpr"])
    assert TestResult.objects.get().started_at == STARTED_AT
    assert attached(store) == {"AB12_C03.mpl": {"AB12_C03.mpr"}}


def test_data_are_read_again_once_their_log_has_come(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12_C03.mpr").write_bytes(UNFINISHED)
    assert importing()["AB12_C03.mpr"].outcome == "created"
    assert TestResult.objects.get().started_at is None
    (lab / "AB12_C03.mpl").write_text(log_file())
    importing(include=["*.mpl"])
    assert importing()["AB12_C03.mpr"].outcome == "updated"
    assert importing()["AB12_C03.mpr"].outcome == "unchanged"
    test = TestResult.objects.get()
    assert (test.started_at, test.revision) == (STARTED_AT, 2)


def test_a_run_that_ends_stays_one_test(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12_C03.mpr").write_bytes(UNFINISHED)
    (lab / "AB12_C03.mpl").write_text(log_file())
    running = importing()["AB12_C03.mpr"]
    (lab / "AB12_C03.mpl").unlink()
    (lab / "AB12_C03.mpr").write_bytes(whole(Set=b"\x04" + bytes(699)))  # no longer begins with the same bytes
    ended = importing()["AB12_C03.mpr"]
    assert (ended.outcome, ended.test_id) == ("updated", running.test_id)
    test = TestResult.objects.get()
    assert (test.finished, test.companions) == (True, [])
    assert attached(store) == {"AB12_C03.mpl": {"AB12_C03.mpr"}}


def test_a_log_that_grows_takes_the_place_of_its_beginning(store: Store, lab: Path, importing: Importing) -> None:
    (lab / "AB12_C03.mpr").write_bytes(UNFINISHED)
    for text in (log_file(), log_file() + "Modified on : 03/05/2024 09:00:00.000\r\n"):
        (lab / "AB12_C03.mpl").write_text(text)
        importing()
        assert original(store, "AB12_C03.mpl") == (lab / "AB12_C03.mpl").read_bytes()
    assert Attachment.objects.count() == 1
    assert kept_bytes(store) == [(lab / "AB12_C03.mpl").stat().st_size]
    assert TestResult.objects.get().revision == 1


def test_settings_with_another_end_do_not_replace_those_of_earlier_tests(
    store: Store, lab: Path, importing: Importing
) -> None:
    for text in (SETTINGS, SETTINGS + "Technique : 1"):
        (lab / "AB12.mps").write_text(text)
        importing()
    assert kept_bytes(store) == [len(SETTINGS), len(SETTINGS) + 13]


def test_a_log_that_vanishes_meanwhile_is_left_out(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    from battery_analysis.ingest import recognise

    (lab / "AB12_C03.mpr").write_bytes(UNFINISHED)
    monkeypatch.setattr(recognise, "companions_of", lambda reader, path: [path.with_suffix(".mpl")])
    assert importing()["AB12_C03.mpr"].outcome == "created"
    assert Attachment.objects.count() == 0


def test_importers_that_race_for_the_same_settings_keep_them_once(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab / "AB12.mps").write_text(SETTINGS)
    (lab / "copy of AB12.mps").write_text(SETTINGS)
    importing(include=["copy*"])
    answers: Iterator[bool] = iter([True])
    kept = attachments._kept
    monkeypatch.setattr(attachments, "_kept", lambda *args: None if next(answers, False) else kept(*args))
    assert importing(include=["AB12.mps"])["AB12.mps"].outcome == "skipped"
    assert next(answers, None) is None
    assert len(Attachment.objects.get().sources) == 2
    assert kept_bytes(store) == [len(SETTINGS)]


def test_a_beginning_that_was_replaced_meanwhile_is_a_conflict(
    store: Store, lab: Path, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab / "AB12.mpl").write_text(log_file())
    importing()
    (lab / "AB12.mpl").write_text(log_file() + "more")
    lies_here = attachments._found

    def stale(wanted: dict[str, object], *only: str) -> Iterator[dict[str, object]]:
        for each in lies_here(wanted, *only):
            Attachment.objects(id=each["_id"]).update(sha256="0" * 64)
            yield dict(each)

    with monkeypatch.context() as patch, pytest.raises(ConflictError):
        from battery_analysis.store.raw_files import Arrival, Labels

        content = (lab / "AB12.mpl").read_bytes()
        before = Attachment.objects.get()
        digests = {before.size: before.sha256}
        source = str(lab / "AB12.mpl")
        arrival = Arrival(source, "AB12.mpl", lab / "AB12.mpl", "1" * 64, len(content), None, digests)
        patch.setattr(attachments, "_found", stale)
        attachments.keep(store, arrival, None, Labels())
    assert len(kept_bytes(store)) == 1


def test_plans_and_previews_say_what_such_a_file_is(store: Store, settings: Settings, lab: Path) -> None:
    (lab / "AB12.mps").write_text(SETTINGS)
    options = runs.ImportRequest(root=str(lab)).options(settings)
    candidates = runs.candidates_of(options)
    [planned] = plan_files(store, options, candidates)
    [previewed] = preview_files(options, candidates)
    words = "EC-Lab settings, to be attached to the tests it belongs to"
    assert (planned.outcome, planned.reason, previewed.problem) == ("skipped", words, words)
    assert Attachment.objects.count() == 0


def test_names_that_are_no_text_are_kept(store: Store, lab: Path, importing: Importing) -> None:
    for name, content in ((b"AB12 \xff(.mps", SETTINGS.encode()), (b"AB12 \xff(_C01.mpr", whole())):
        Path(os.fsdecode(os.fsencode(lab) + b"/" + name)).write_bytes(content)
    importing()
    importing()
    assert list(attached(store).values()) == [{"AB12 \\xff(_C01.mpr"}]
