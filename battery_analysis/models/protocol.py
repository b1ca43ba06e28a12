"""A test protocol: what tests do, under the name that people give it."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    EmbeddedDocument,
    EmbeddedDocumentListField,
    FloatField,
    IntField,
    ObjectIdField,
    StringField,
)

from battery_analysis.models.base import Note, StoredDocument

STEP_KINDS = ("rest", "constant_current", "constant_voltage", "constant_power", "profile")


class PlannedStep(EmbeddedDocument):
    """One step of a group of cycles; currents and powers are magnitudes, empty what nothing tells."""

    group = IntField(required=True, min_value=1)
    cycles = IntField(required=True, min_value=1, help_text="How many cycles the group had")
    kind = StringField(required=True, choices=STEP_KINDS)
    direction = StringField(choices=("charge", "discharge", ""))
    current_ampere = FloatField(min_value=0.0)
    c_rate = FloatField(min_value=0.0, help_text="In 1/h")
    power_watt = FloatField(min_value=0.0)
    voltage_volt = FloatField(help_text="Held, or what ends a current")
    cutoff_current_ampere = FloatField(min_value=0.0)
    cutoff_c_rate = FloatField(min_value=0.0)
    seconds = FloatField(min_value=0.0)
    ended_by = StringField(choices=("voltage", "time", "current"))
    text = StringField(required=True)
    loop = IntField(help_text="Steps of one loop follow one another again and again")
    times = IntField(default=1, min_value=1)


class TestProtocol(StoredDocument):
    """A protocol as a test was found to follow it; tests with the same signature followed it, too."""

    __test__ = False  # not a test class, whatever its name

    name = StringField(required=True, min_length=1, max_length=300, unique=True)
    description = StringField()
    summary = StringField(required=True, help_text="Such as 3x C/10, 100x C/2")
    signature = StringField(required=True)
    nominal_capacity_ah = FloatField(
        min_value=0.0, help_text="That rates are multiples of; empty where they are currents"
    )
    steps = EmbeddedDocumentListField(PlannedStep)
    found_in = ObjectIdField(help_text="The test it was found in")
    notes_log = EmbeddedDocumentListField(Note)

    meta: ClassVar[dict[str, Any]] = {"collection": "test_protocols", "indexes": ["signature"]}
