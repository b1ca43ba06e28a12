"""What importers say of files that are stored already: added to what is there, and taken back with their job.

Several jobs may say something of one document at once: what each reads, changes and writes counts only if nobody has
said anything meanwhile, else it looks again. What two jobs have brought goes with the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bson import ObjectId

from battery_analysis.errors import ConflictError
from battery_analysis.models import AddedLabels, RawDataFile, TestResult, checked, now
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.raw_files import Labels
from battery_analysis.store.words import refresh_words

TRIES = 20

_SAID = ("tags", "metadata", "labelled", "operator", "acquisition_device")

Labelled = RawDataFile | TestResult


def add(raw_id: ObjectId, test_id: ObjectId, labels: Labels) -> None:
    """Add labels to a file and its test; what was said before, or set by people, stays.

    Raises:
        NotFoundError: One of them is gone.
        InvalidDocumentError: A label does not fit.
        ConflictError: Other processes said something of it again and again meanwhile.
    """
    if not labels.say_something:
        return
    of_a_file = {"operator": labels.operator, "acquisition_device": labels.device}
    _change(RawDataFile, raw_id, partial(_say, labels=labels, fields={k: v for k, v in of_a_file.items() if v}))
    if _change(TestResult, test_id, partial(_say, labels=labels, fields={})):
        refresh_words(test_id)


def take_back(job: ObjectId) -> None:
    """Remove what a job has added to files and tests that were stored before, except what others brought as well.

    Raises:
        ConflictError: Other processes said something of one again and again meanwhile.
    """
    for kind in (RawDataFile, TestResult):
        for identity in list(visible(kind).filter(labelled__import_job=job).scalar("id")):
            if _change(kind, identity, partial(_unsay, job=job)) and kind is TestResult:
                refresh_words(identity)


def _say(document: Labelled, labels: Labels, fields: Mapping[str, str]) -> bool:
    """Add what is not there yet, note who brought it, and say whether there is anything to store."""
    job = labels.import_job
    others = [each for each in document.labelled if each.import_job != job] if job else []
    mine = [each for each in document.labelled if each.import_job == job]

    def owed(what: str, value: str) -> bool:
        """Whether it is there for the sake of one other job only; a list of all would grow with every import."""
        return sum(value in each[what] for each in others) == 1 and not any(value in each[what] for each in mine)

    said = document.metadata
    tags = [tag for tag in dict.fromkeys(labels.tags) if tag not in document.tags or owed("tags", tag)]
    keys = [
        key for key, value in labels.metadata.items() if key not in said or (said[key] == value and owed("keys", key))
    ]
    names = [
        name
        for name, value in fields.items()
        if not document[name] or (document[name] == value and owed("fields", name))
    ]
    if not (tags or keys or names):
        return False
    document.tags = list(dict.fromkeys([*document.tags, *tags]))
    document.metadata = {**labels.metadata, **said}
    for name in names:
        document[name] = fields[name]
    if job is not None:
        document.labelled.append(AddedLabels(import_job=job, tags=tags, keys=keys, fields=names))
    return True


def _unsay(document: Labelled, job: ObjectId) -> bool:
    """Take away what only this job brought, and say whether there is anything to store."""
    mine = [each for each in document.labelled if each.import_job == job]
    others = [each for each in document.labelled if each.import_job != job]

    def gone(what: str) -> set[str]:
        of_mine, of_others = ({value for each in added for value in each[what]} for added in (mine, others))
        return of_mine - of_others

    document.tags = [tag for tag in document.tags if tag not in gone("tags")]
    document.metadata = {key: value for key, value in document.metadata.items() if key not in gone("keys")}
    for name in gone("fields"):
        document[name] = None
    document.labelled = others
    return bool(mine)


def _change(kind: type[Labelled], identity: ObjectId, change: Callable[[Labelled], bool]) -> bool:
    """Change what was said of a document, unless there is nothing to change; only those fields travel."""
    for _ in range(TRIES):
        stored: Any = visible(kind).filter(id=identity).as_pymongo().first()
        document: Labelled = by_id(kind, identity) if stored is None else kind._from_son(stored)
        if not change(document):
            return False
        checked(document)
        after = document.to_mongo()
        known = {name: after[name] for name in _SAID if name in after}
        before = {name: stored.get(name) for name in _SAID}
        if any(known.get(name) != before[name] for name in _SAID if name != "labelled"):
            known["updated_at"] = now()  # who else says what is there already is no news
        update = {"$set": known, "$unset": {name: "" for name in _SAID if name not in after}}
        changed = kind._get_collection().update_one({"_id": identity, **before}, {k: v for k, v in update.items() if v})
        if changed.matched_count:
            return True
    raise ConflictError(f"{kind.__name__} {identity}: other processes labelled it again and again meanwhile")
