"""Keep bytes where they belong: as a new file, as a later state of one, or as one that was seen at a further path."""

from __future__ import annotations

from datetime import datetime

from bson import ObjectId

from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.sample_rules import Decision
from battery_analysis.ingest.spool import Spooled
from battery_analysis.models import TestResult
from battery_analysis.readers.beside import BesideFormat, beside_format
from battery_analysis.reading import read_head
from battery_analysis.store import Store, attachments, raw_files
from battery_analysis.store.parcel import Parcel
from battery_analysis.store.raw_files import Arrival, Holding, Labels, Past


class Keeping:
    """Puts the bytes of files away, or only notes them where no archive is wanted."""

    def __init__(self, store: Store, *, archive: bool) -> None:
        self._store = store
        self._archive = archive

    def note(self, owner: Holding, arrival: Arrival) -> None:
        """Remember where stored bytes were seen, and put them away if an earlier import did not."""
        if self._archive:
            raw_files.archive_late(self._store, owner, arrival)
        raw_files.note_source(owner, arrival)

    def create(self, arrival: Arrival, past: Past, labels: Labels) -> Holding:
        """Keep bytes as a new file."""
        return raw_files.create(self._store, arrival, labels, archive=self._archive, past=past)

    def append(self, holding: Holding, arrival: Arrival) -> Holding:
        """Keep bytes as the next version of a file."""
        return raw_files.append(self._store, holding, arrival, archive=self._archive)

    def place(
        self, arrival: Arrival, past: Past, parcel: Parcel, decision: Decision, labels: Labels
    ) -> tuple[Holding, ObjectId]:
        """Keep bytes that were read where they belong, and say to which test.

        They belong to the test that was imported from the same path and that they are a later state of;
        else to the file that holds them or that they have grown from unread; else they are a new file.
        """
        stored = raw_files.tests_of(past.holdings)
        later = (
            each for each in past.seen_here if _is_later(stored.get(each.test_id), each, arrival, parcel, decision)
        )
        same = next(later, None)
        if past.owner is not None:
            self.note(past.owner, arrival)
            if same is None or past.owner.test_id in stored:
                return past.owner, past.owner.test_id
            return raw_files.absorb(same, past.owner), same.test_id
        not_read = (each for each in past.seen_here if each.test_id not in stored and each.grew_into(arrival))
        earlier = same or next(not_read, None)
        holding = self.append(earlier, arrival) if earlier else self.create(arrival, past, labels)
        return holding, holding.test_id

    def unread(self, arrival: Arrival, past: Past, labels: Labels) -> Holding | None:
        """Keep bytes that could not be read, with what was kept of the file before; an empty file has none."""
        if not arrival.size:
            return None
        if past.owner is not None:
            self.note(past.owner, arrival)
            return past.owner
        stored = raw_files.tests_of(past.seen_here)
        earlier = (each for each in past.seen_here if each.test_id not in stored or each.grew_into(arrival))
        before = next(earlier, None)
        return self.append(before, arrival) if before else self.create(arrival, past, labels)

    def companions(self, candidate: Candidate, spooled: Spooled, labels: Labels) -> list[ObjectId]:
        """Keep what was read along with a file."""
        kept = []
        for each in spooled.companions:
            found = candidate.beside(each.path.name)
            kept.append(self.beside(found, each, beside_format(read_head(each.path)), labels))
        return kept

    def beside(self, candidate: Candidate, spooled: Spooled, format: BesideFormat | None, labels: Labels) -> ObjectId:
        """Keep settings or a log."""
        arrival = arrival_of(candidate, spooled, attachments.sizes_at(candidate.source))
        return attachments.keep(self._store, arrival, format, labels, archive=self._archive)


def arrival_of(candidate: Candidate, spooled: Spooled, lengths: set[int]) -> Arrival:
    """Return a copied file as the store takes it, with the digests of its beginnings of these lengths."""
    return Arrival(
        source=candidate.source,
        filename=candidate.filename,
        spooled=spooled.path,
        sha256=spooled.sha256,
        size=spooled.size,
        modified_at=candidate.modified_at,
        prefix_digests=spooled.prefix_digests(lengths),
    )


def _is_later(test: TestResult | None, holding: Holding, arrival: Arrival, parcel: Parcel, decision: Decision) -> bool:
    """Say whether bytes are a later state of a test.

    They are if the rules give it the same sample, and it has grown from the newest bytes or device, channel and
    start are equal.
    """
    if test is None or test.ruled_sample != decision.sample:
        return False
    if holding.grew_into(arrival):
        return True
    new, started_at = parcel.metadata, _start_of_part(test, holding)
    return (
        new.started_at is not None
        and started_at is not None
        and abs((new.started_at - started_at).total_seconds()) < 0.001
        and (new.device or test.device, new.channel) == (test.device, test.channel)
    )


def _start_of_part(test: TestResult, holding: Holding) -> datetime | None:
    """Return when a file of a test began: the first began with it, others later."""
    spans = (part.span for part in test.raw_files if part.raw_file == holding.id and part.span)
    started_at: datetime | None = next((span.started_at for span in spans), None) or test.started_at
    return started_at
