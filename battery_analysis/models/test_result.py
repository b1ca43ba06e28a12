"""One run of a tester on one sample."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FloatField,
    IntField,
    ListField,
    LongField,
    ObjectIdField,
    ReferenceField,
    StringField,
    ValidationError,
)

from battery_analysis.models.base import AddedLabels, Note, StoredDocument
from battery_analysis.models.raw_file import SHA256
from battery_analysis.models.sample import CELL_TYPES, Sample

TEST_TYPES = ("cycling", "eis", "cv", "gitt", "hppc", "ocv", "other")


class SegmentRef(EmbeddedDocument):
    """A segment of the frame and what it covers, so that a query touches only those it needs."""

    id = ObjectIdField(required=True, db_field="id")
    digest = StringField(required=True, help_text="Of its content: an equal segment is kept when a test grows")
    first_record = LongField(required=True, min_value=0)
    records = IntField(required=True, min_value=1)
    first_cycle = LongField()
    last_cycle = LongField()
    first_time_second = FloatField()
    last_time_second = FloatField()


class BlockRef(EmbeddedDocument):
    """A block of the cycle table."""

    id = ObjectIdField(required=True, db_field="id")
    digest = StringField(required=True)
    cycles = IntField(required=True, min_value=1)


class PartSpan(EmbeddedDocument):
    """First and last record, test time and moment of a part, as far as the file says."""

    first_record = FloatField()
    last_record = FloatField()
    first_time_second = FloatField()
    last_time_second = FloatField()
    first_unix_second = FloatField()
    last_unix_second = FloatField()
    started_at = DateTimeField(help_text="Start of this part as its header says, UTC")


class RawPart(EmbeddedDocument):
    """One of the files a test was written to, and the versions of it that were read, newest last."""

    raw_file = ObjectIdField(required=True)
    filename = StringField(required=True)
    versions = ListField(StringField(regex=SHA256), required=True)
    number = LongField(help_text="Its place in a run of several files")
    span = EmbeddedDocumentField(PartSpan)


class HeaderLine(EmbeddedDocument):
    """One key and value of a file's header; a list, since vendors' keys hold what document keys must not."""

    key = StringField(required=True)
    value = StringField()


class FormerState(EmbeddedDocument):
    """What a test was before an import job first changed it: enough to bring that back."""

    digests = ListField(StringField(regex=SHA256), required=True, help_text="Of what was read of each part")
    revision = IntField(required=True)
    import_job = ObjectIdField(help_text="The job that had written it")


class TestResult(StoredDocument):
    """One test: facts, summary, and the list of what holds its data. What a file does not say stays empty.

    ``segments`` in order are the frame, ``cycle_blocks`` the cycle table, ``overview`` a thinned
    frame for the first plot. Nothing else is true of the test: what no document names is garbage.
    """

    __test__ = False  # not a test class, whatever its name

    sample = ReferenceField(Sample, required=True)
    sample_name = StringField(required=True, help_text="Copied from the sample, to search without a join")
    sample_rule = StringField(help_text="Which rule decided the sample")
    ruled_sample = StringField(help_text="Sample that the rules gave; stays when a person moves the test")
    chemistry = StringField(help_text="Copied from the sample")
    project = StringField(help_text="Copied from the sample")
    cell_type = StringField(choices=CELL_TYPES, help_text="Copied from the sample")
    cell_code = StringField(required=True)
    name = StringField(required=True)
    tester = StringField(required=True, help_text="The vendor")
    device = StringField(help_text="Model and serial number")
    channel = StringField()
    test_type = StringField(choices=TEST_TYPES)
    technique = StringField()
    protocol = StringField()
    operator = StringField()
    comment = StringField()
    software = StringField()
    started_at = DateTimeField(help_text="First record, UTC; empty if the file does not say")
    ended_at = DateTimeField()
    time_zone = StringField(help_text="Zone in which stamps without one were taken")
    finished = BooleanField(help_text="Empty if the file does not say")
    continuation = BooleanField(
        default=False, help_text="Counters of the first record go on from a file before, as this one says"
    )
    temperature_celsius = FloatField(help_text="Mean over the test")
    voltage_limits_volt = ListField(FloatField())
    nominal_capacity_ah = FloatField(min_value=0.0, help_text="As the file says")
    active_mass_gram = FloatField(min_value=0.0, help_text="As the file says")
    c_rates = ListField(
        FloatField(), help_text="Mean C-rates of its half cycles in 1/h, where a nominal capacity is known"
    )

    record_count = LongField(required=True, min_value=0)
    cycle_count = LongField(required=True, min_value=0)
    duration_second = FloatField()
    # Formation and check-ups count as any complete cycle: roles depend on the whole cell, and change with more tests.
    initial_capacity_ah = FloatField(help_text="Discharge capacity of the first complete cycle, whatever its role")
    final_capacity_ah = FloatField(help_text="Discharge capacity of the last complete cycle, whatever its role")
    capacity_retention = FloatField(help_text="Final / initial capacity")
    mean_coulombic_efficiency = FloatField(help_text="Over all complete cycles, whatever their role")
    mean_energy_efficiency = FloatField(help_text="Over all complete cycles, whatever their role")
    mean_voltage_efficiency = FloatField(help_text="Over all complete cycles, whatever their role")
    median_internal_resistance_ohm = FloatField()
    cycle_life_80 = LongField()
    throughput_ah = FloatField()
    throughput_wh = FloatField()
    cycle_method = StringField(choices=("tester", "derived"))
    efficiency_convention = StringField()
    gap_cycles = LongField(default=0, help_text="Number of cycles with a gap")
    quality_flags = ListField(
        DictField(),
        help_text="Checks that failed: name, message, numbers, records (first and last, from 0), and faults one by one",
    )
    warnings = ListField(StringField())
    columns = DictField(help_text="For each frame column: dtype, minimum, maximum, and its source and unit in the file")
    header = EmbeddedDocumentListField(HeaderLine, help_text="Every key and value of the file's own header")
    metadata = DictField(help_text="What people added")
    labelled = EmbeddedDocumentListField(AddedLabels, help_text="What imports that did not make it added")
    notes_log = EmbeddedDocumentListField(Note)

    lead_bytes = LongField(help_text="Header and first records of a text that can be read on from any line")
    reader = StringField(required=True)
    reader_version = StringField(required=True)
    sha256 = StringField(required=True, regex=SHA256, help_text="Digest of the newest bytes")
    revision = IntField(required=True, min_value=1)
    segments = EmbeddedDocumentListField(SegmentRef)
    cycle_blocks = EmbeddedDocumentListField(BlockRef)
    overview = ObjectIdField()
    raw_files = EmbeddedDocumentListField(RawPart)
    runs = ListField(StringField(), help_text="What further files of the same run have in common, for each folder")
    run_claim = StringField(help_text="One test for a run: two importers cannot both make it")
    companions = ListField(ObjectIdField(), help_text="Attachments read along with the raw file, such as its .mpl")
    import_job = ObjectIdField(help_text="The job that wrote the present revision")
    created_in = ObjectIdField(help_text="The job that made the test")
    former = EmbeddedDocumentListField(FormerState, help_text="Before each job that changed it, newest last")
    edited_at = DateTimeField(help_text="When a person last changed it, UTC")
    words = ListField(StringField(), help_text="Lower-case words of names, tags and protocol, for text search")

    meta: ClassVar[dict[str, Any]] = {
        "collection": "test_results",
        # Every filter of a search stands before the default order, newest first.
        "indexes": [
            ("-started_at", "_id"),
            ("sample", "-started_at"),
            ("sample_name", "-started_at"),
            ("cell_code", "-started_at"),
            ("chemistry", "-started_at"),
            ("project", "-started_at"),
            ("tester", "-started_at"),
            ("test_type", "-started_at"),
            ("tags", "-started_at"),
            ("words", "-started_at"),
            ("cycle_count", "-started_at"),
            ("capacity_retention", "-started_at"),
            # Of several filters that are none of them rare, these leave few tests to sort by anything else.
            ("chemistry", "tester", "test_type", "-started_at"),
            ("chemistry", "tester", "test_type", "capacity_retention"),
            "initial_capacity_ah",
            "final_capacity_ah",
            "sha256",
            "import_job",
            "-updated_at",
            "former.import_job",
            "raw_files.raw_file",
            "runs",
            {"fields": ["run_claim"], "unique": True, "sparse": True},
            {
                "fields": ["-started_at"],
                "name": "with_spectra",
                "partialFilterExpression": {"columns.frequency_hertz": {"$exists": True}},
            },
        ],
    }

    def clean(self) -> None:
        """Refuse segments that do not follow one another, or do not add up to the record count."""
        expected = 0
        for segment in self.segments:
            if segment.first_record != expected:
                raise ValidationError(f"segments: record {expected} expected next, got {segment.first_record}")
            expected += segment.records
        if expected != self.record_count:
            raise ValidationError(f"record_count: segments hold {expected} records, got {self.record_count}")
