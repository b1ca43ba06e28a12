"""What importers say of files that are stored already: added to what is there, and taken back with their job."""

from __future__ import annotations

from bson import ObjectId

from battery_analysis.models import AddedLabels, RawDataFile, TestResult, checked, now
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.words import search_words

_OF_A_FILE = {"operator": "operator", "acquisition_device": "device"}


def add(raw_id: ObjectId, test_id: ObjectId, labels: Labels) -> None:
    """Add labels to a file and its test; what was said before, or set by people, stays."""
    if not labels.say_something:
        return
    raw = by_id(RawDataFile, raw_id)
    said = {name: getattr(labels, label) for name, label in _OF_A_FILE.items()}
    empty = [name for name, value in said.items() if value and not getattr(raw, name)]
    for name in empty:
        setattr(raw, name, said[name])
    if _add(raw, labels, empty):
        _save(raw)
    test = by_id(TestResult, test_id)
    if _add(test, labels, []):
        test.words = search_words(test)
        _save(test)


def take_back(job: ObjectId) -> None:
    """Remove what a job has added to files and tests that were stored before."""
    for kind in (RawDataFile, TestResult):
        for document in visible(kind).filter(labelled__import_job=job):
            for added in [each for each in document.labelled if each.import_job == job]:
                document.tags = [tag for tag in document.tags if tag not in added.tags]
                document.metadata = {key: value for key, value in document.metadata.items() if key not in added.keys}
                for name in added.fields:
                    setattr(document, name, None)
                document.labelled.remove(added)
            if kind is TestResult:
                document.words = search_words(document)
            _save(document)


def _add(document: RawDataFile | TestResult, labels: Labels, fields: list[str]) -> bool:
    """Add tags and metadata, note which were not there, and say whether there is anything to save."""
    tags = [tag for tag in dict.fromkeys(labels.tags) if tag not in document.tags]
    keys = [key for key in labels.metadata if key not in document.metadata]
    if not (tags or keys or fields):
        return False
    document.tags = [*document.tags, *tags]
    document.metadata = {**labels.metadata, **document.metadata}
    if labels.import_job is not None:
        document.labelled.append(AddedLabels(import_job=labels.import_job, tags=tags, keys=keys, fields=fields))
    return True


def _save(document: RawDataFile | TestResult) -> None:
    document.updated_at = now()
    checked(document)
    document.save(validate=False)  # only the changed fields travel
