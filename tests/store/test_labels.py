"""Several jobs may say something of one document at once, and each takes back only what it alone brought."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bson import ObjectId

from battery_analysis.errors import ConflictError
from battery_analysis.models import RawDataFile, Sample, TestResult, checked
from battery_analysis.store import Store, labels, samples, test_edits, words
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.search import Query, search
from tests.builders import cycling_frame, meanwhile, read_result, save

ONE, OTHER = ObjectId(), ObjectId()


@pytest.fixture
def add(store: Store, tmp_path: Path) -> Callable[[Labels], None]:
    """Say something of the only file and its test."""
    test = save(store, tmp_path, read_result(cycling_frame()))
    return lambda said: labels.add(test.raw_files[0].raw_file, test.id, said)


def said_of_both() -> list[tuple[list[str], dict[str, str]]]:
    documents = (TestResult.objects.get(), RawDataFile.objects.get())
    return [(sorted(each.tags), dict(each.metadata)) for each in documents]


def test_labels_that_two_jobs_add_at_once_all_arrive(
    add: Callable[[Labels], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Labels(tags=("b",), metadata={"rack": "2", "a.b": "1"}, operator="Eve", import_job=OTHER)
    meanwhile(monkeypatch, labels, "checked", lambda: add(other))
    add(Labels(tags=("a",), metadata={"rig": "7"}, operator="Ada", import_job=ONE))
    assert said_of_both() == [(["a", "b"], {"rig": "7", "rack": "2", "a.b": "1"})] * 2
    assert RawDataFile.objects.get().operator == "Eve"
    assert [found.tags for found in search(Query(text="a"))] == [found.tags for found in search(Query(text="b"))]
    assert len(list(search(Query(text="a b")))) == 1
    labels.take_back(ONE)
    assert said_of_both() == [(["b"], {"rack": "2", "a.b": "1"})] * 2
    labels.take_back(OTHER)
    assert said_of_both() == [([], {})] * 2
    assert RawDataFile.objects.get().operator is None


@pytest.mark.parametrize("first", [ONE, OTHER])
def test_what_two_jobs_brought_goes_with_the_last_of_them(add: Callable[[Labels], None], first: ObjectId) -> None:
    second = OTHER if first == ONE else ONE
    for job in (ONE, OTHER, OTHER):
        add(Labels(tags=("both",), metadata={"rig": "7"}, operator="Ada", import_job=job))
    add(Labels(metadata={"rig": "8"}, tags=("mine",), import_job=second))
    labels.take_back(first)
    assert said_of_both() == [(["both", "mine"], {"rig": "7"})] * 2
    assert RawDataFile.objects.get().operator == "Ada"
    labels.take_back(second)
    assert said_of_both() == [([], {})] * 2
    assert (RawDataFile.objects.get().operator, TestResult.objects.get().labelled) == (None, [])


def test_what_a_person_said_before_stays(add: Callable[[Labels], None]) -> None:
    test = TestResult.objects.get()
    test_edits.tag(test.id, add=["good"])
    add(Labels(tags=("good", "new"), import_job=ONE))
    labels.take_back(ONE)
    assert TestResult.objects.get().tags == ["good"]


def test_a_tag_taken_back_meanwhile_stays_for_the_job_that_brings_it_too(
    add: Callable[[Labels], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(Labels(tags=("a",), import_job=ONE))
    meanwhile(monkeypatch, labels, "checked", lambda: labels.take_back(ONE))
    add(Labels(tags=("a",), import_job=OTHER))
    assert said_of_both() == [(["a"], {})] * 2


def test_tags_and_notes_of_people_and_jobs_do_not_overwrite_each_other(
    add: Callable[[Labels], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = TestResult.objects.get()
    meanwhile(monkeypatch, test_edits, "checked", lambda: add(Labels(tags=("job",), import_job=ONE)))
    test_edits.tag(test.id, add=["mine"])
    meanwhile(monkeypatch, test_edits, "checked", lambda: test_edits.add_note(test.id, "swollen"))
    test_edits.add_note(test.id, "warm")
    now_is = TestResult.objects.get()
    assert (sorted(now_is.tags), sorted(note.text for note in now_is.notes_log)) == (
        ["job", "mine"],
        ["swollen", "warm"],
    )
    assert len(list(search(Query(text="job mine swollen warm")))) == 1


def test_words_follow_what_is_said_while_they_are_gathered(
    add: Callable[[Labels], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = TestResult.objects.get()
    meanwhile(monkeypatch, words, "search_words", lambda: add(Labels(tags=("job",), import_job=ONE)))
    test_edits.tag(test.id, add=["mine"])
    assert {"job", "mine"} <= set(TestResult.objects.get().words)


def test_whoever_is_never_first_gives_up(add: Callable[[Labels], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(document: TestResult) -> TestResult:
        collection = type(document)._get_collection()
        collection.update_one({"_id": document.id}, {"$push": {"tags": str(ObjectId())}})
        return checked(document)  # type: ignore[return-value]

    monkeypatch.setattr(labels, "checked", overtaken)
    with pytest.raises(ConflictError, match="labelled it again and again"):
        add(Labels(tags=("a",), import_job=ONE))


def test_what_two_jobs_say_of_a_sample_at_once_all_arrives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.get_or_create("AB12")
    other = Labels(tags=("b",), metadata={"rack": "2"})
    meanwhile(monkeypatch, samples, "now", lambda: samples.get_or_create("AB12", other))
    samples.get_or_create("AB12", Labels(tags=("a",), metadata={"rig": "7"}))
    sample = Sample.objects.get()
    assert (sorted(sample.tags), sample.metadata) == (["a", "b"], {"rig": "7", "rack": "2"})
