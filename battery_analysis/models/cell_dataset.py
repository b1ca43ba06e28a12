"""The life of one cell: its tests in order, their cycles numbered through."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    BooleanField,
    DateTimeField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FloatField,
    IntField,
    LongField,
    ObjectIdField,
    StringField,
)

from battery_analysis.models.base import StoredDocument
from battery_analysis.models.raw_file import SHA256
from battery_analysis.models.test_result import BlockRef

PLACINGS = ("start", "end", "name")


class DatasetTest(EmbeddedDocument):
    """A test as it was when the dataset was built, and where it stands in the life of the cell."""

    test = ObjectIdField(required=True)
    name = StringField(required=True)
    sample = ObjectIdField(required=True)
    sample_name = StringField(required=True)
    tester = StringField(required=True)
    device = StringField()
    channel = StringField()
    started_at = DateTimeField()
    ended_at = DateTimeField()
    placed_by = StringField(required=True, choices=PLACINGS, help_text="What says where it stands; name: nothing does")
    continues = BooleanField(default=False, help_text="It goes on where the test before it stopped")
    revision = IntField(required=True, min_value=1)
    sha256 = StringField(required=True, regex=SHA256, help_text="Of the newest bytes it was read from")
    reader = StringField(required=True, help_text="Name and version")
    records = LongField(required=True, min_value=0)
    records_digest = StringField(required=True, help_text="Of the test's segments")
    cycles = LongField(required=True, min_value=0, help_text="Rows of its cycle table")
    cycles_digest = StringField(required=True, help_text="Of its cycle table")
    first_cycle = LongField(help_text="Number within the cell; empty without cycles")
    last_cycle = LongField()
    test_first_cycle = LongField(help_text="The test's own number")
    test_last_cycle = LongField()
    first_time_second = FloatField(help_text="Test time of its first record")
    last_time_second = FloatField()
    blocks = EmbeddedDocumentListField(BlockRef, help_text="A copy of its cycle table")


class BuiltFrom(EmbeddedDocument):
    """How the tests of the cell stood when somebody last looked: says whether one was stored anew since."""

    tests = IntField(required=True, min_value=0)
    revisions = LongField(required=True, min_value=0, help_text="Sum over the tests")
    digest = StringField(required=True, help_text="Of what a build from them gives")


class CellDataset(StoredDocument):
    """One version of the dataset of a cell code. Versions are never changed; going back makes a new one.

    ``blocks`` say of each cycle its number within the cell and what else only the whole cell tells; the cycles
    themselves are those of each test. Blocks are shared by versions that have the same tests.
    """

    cell_code = StringField(required=True)
    version = IntField(required=True, min_value=1)
    previous = IntField(min_value=1, help_text="The version before it")
    restores = IntField(min_value=1, help_text="The version that it goes back to")
    sample = ObjectIdField(help_text="The sample of its first test")
    sample_name = StringField()
    by_hand = BooleanField(default=False, help_text="A person asked for it; versions that nobody asked for are thinned")
    digest = StringField(required=True, regex=SHA256, help_text="Of its tests, their samples, data and numbering")
    tests = EmbeddedDocumentListField(DatasetTest)
    test_count = IntField(required=True, min_value=0)
    cycle_count = LongField(required=True, min_value=0)
    record_count = LongField(required=True, min_value=0)
    blocks = EmbeddedDocumentListField(BlockRef)
    seams = EmbeddedDocumentListField(BlockRef, help_text="Cycles between tests of which one goes on with the other")
    built_from = EmbeddedDocumentField(BuiltFrom, required=True)

    meta: ClassVar[dict[str, Any]] = {
        "collection": "cell_datasets",
        "indexes": [
            {"fields": ["cell_code", "version"], "unique": True},
            # All that is asked for the newest version of every cell stands in the index.
            ("cell_code", "-version", "built_from.tests", "built_from.revisions"),
            "tests.test",
        ],
    }
