"""What is to be told, each thing once: kept in the database, so that no restart and no second watcher repeats it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from battery_analysis.ingest.job import Outcome
from battery_analysis.ingest.news import News, of_failed_file, of_retention, of_stalled_test
from battery_analysis.ingest.notify import send
from battery_analysis.models import Notice, RawDataFile, TestResult, now
from battery_analysis.settings.notify import Notify
from battery_analysis.store.access import visible

TOLD_WITHIN = timedelta(days=7)
"""What could not be sent for so long is not sent any more."""

LOOKED_BACK = timedelta(days=30)
"""Tests that ended before then are history, not stalled."""

_NAMES = ("name", "sample_name", "cell_code", "channel")
_SHORT = (*_NAMES, "record_count", "cycle_count", "capacity_retention", "finished")


def note(news: Iterable[tuple[str, News]]) -> int:
    """Keep news under their keys, those that are not known yet, and return how many those are."""
    new = 0
    for key, each in news:
        at = now()
        said = {"key": key, "event": each.event, "text": each.text, "facts": dict(each.facts)}
        try:
            Notice._get_collection().insert_one({**said, "tags": [], "created_at": at, "updated_at": at})
            new += 1
        except DuplicateKeyError:
            continue
    return new


def send_noted(notify: Notify) -> int:
    """Send what is noted and not sent, unless something was sent within the quiet time; return how many news.

    What reaches nobody stays, and is tried again after the quiet time.
    """
    at, quiet = now(), timedelta(minutes=notify.quiet_minutes)
    if visible(Notice).filter(sent_at__gt=at - quiet).first() is not None:
        return 0
    waiting = visible(Notice).filter(sent_at=None, created_at__gt=at - TOLD_WITHIN).order_by("created_at")
    taken = [notice for notice in waiting if _take(notice, at, quiet)]
    if not taken:
        return 0
    news = [News(notice.event, notice.text, facts=notice.facts) for notice in taken]
    if not send(notify, news):
        return 0
    sent = {"$set": {"sent_at": now(), "updated_at": now()}}
    Notice._get_collection().update_many({"_id": {"$in": [notice.id for notice in taken]}}, sent)
    return len(taken)


def _take(notice: Notice, at: datetime, quiet: timedelta) -> bool:
    """Take a notice to send it; False where another process has it in hand."""
    if notice.taken_at is not None and notice.taken_at > at - quiet:
        return False
    seen = {"_id": notice.id, "sent_at": None, "taken_at": notice.taken_at}
    return bool(Notice._get_collection().update_one(seen, {"$set": {"taken_at": at}}).modified_count)


def failed_files(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, News]]:
    """Return the files that failed, each once as long as it holds the same bytes."""
    for each in outcomes:
        if each.outcome == "failed":
            state = each.sha256 or f"{each.size} {each.modified_at}"
            yield f"failed {each.path} {state}", of_failed_file(each.path, each.reason, each.sha256)


def aged_cells(job: ObjectId, limit: float) -> Iterator[tuple[str, News]]:
    """Return the tests that a job wrote and whose capacity retention is under a limit."""
    found = visible(TestResult).filter(import_job=job, capacity_retention__lt=limit).only(*_SHORT)
    for test in found:
        facts = {
            "id": str(test.id),
            "name": test.name,
            "sample": test.sample_name,
            "cell_code": test.cell_code,
            "cycles": test.cycle_count,
            "capacity_retention": test.capacity_retention,
        }
        yield f"retention {test.id}", of_retention(facts, limit)


def stalled_tests(hours: float) -> Iterator[tuple[str, News]]:
    """Return the tests that were running and got no new records for some hours.

    A test runs if its file has grown, or says that it has not finished, and was fresh when it was last read.
    """
    at, patience = now(), timedelta(hours=hours)
    unfinished = visible(TestResult).filter(finished__ne=True, updated_at__gt=at - patience - LOOKED_BACK)
    for test in unfinished.only(*_SHORT, "raw_files.raw_file"):
        identities = [part.raw_file for part in test.raw_files]
        raws = list(visible(RawDataFile).filter(id__in=identities).only("versions", "sources"))
        if not raws or not (test.finished is False or any(len(raw.versions) > 1 for raw in raws)):
            continue
        newest = max(raws, key=lambda raw: raw.versions[-1].seen_at)
        last = newest.versions[-1].seen_at
        fresh = any(place.modified_at and place.modified_at > last - patience for place in newest.sources)
        if fresh and at - patience - LOOKED_BACK < last < at - patience:
            facts: dict[str, Any] = {
                "id": str(test.id),
                "name": test.name,
                "sample": test.sample_name,
                "channel": test.channel,
                "records": test.record_count,
                "last_records_at": last,
                "finished": test.finished,
            }
            yield f"stalled {test.id}", of_stalled_test(facts, (at - last).total_seconds() / 3600)
