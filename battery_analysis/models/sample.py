"""A cell or a component of one."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
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

from battery_analysis.models.base import Note, StoredDocument

CELL_TYPES = ("full", "half_positive", "half_negative", "symmetric")
COMPONENTS = ("anode", "cathode", "separator", "electrolyte")


SORTED = (
    *("chemistry", "project", "manufacturer", "form_factor", "cell_type", "nominal_capacity_ah", "updated_at"),
    *("aggregates.test_count", "aggregates.cycle_count", "aggregates.last_started_at"),
    *("aggregates.mean_initial_capacity_ah", "aggregates.mean_final_capacity_ah"),
    "aggregates.mean_capacity_retention",
)
"""What large tables of samples are sorted by without reading all of them."""


class SampleAggregates(EmbeddedDocument):
    """What the tests of a sample say together: means over its tests, median for the resistance."""

    test_count = IntField(min_value=0)
    revisions = LongField(min_value=0, help_text="Sum over its tests: says whether one was stored anew since")
    cycle_count = IntField(min_value=0)
    first_started_at = DateTimeField()
    last_started_at = DateTimeField()
    mean_initial_capacity_ah = FloatField()
    mean_final_capacity_ah = FloatField()
    mean_capacity_retention = FloatField()
    mean_coulombic_efficiency = FloatField()
    mean_energy_efficiency = FloatField()
    median_internal_resistance_ohm = FloatField()


def _above_zero(value: float) -> None:
    if not value > 0:
        raise ValidationError("must be above 0")


def _positive(unit: str, help_text: str) -> FloatField:
    return FloatField(validation=_above_zero, help_text=f"{help_text}, {unit}")


class Sample(StoredDocument):
    """A cell, half cell or component, under the name the lab gives it."""

    name = StringField(required=True, min_length=1, max_length=300, unique=True)
    chemistry = StringField(help_text="Such as NMC811/graphite")
    manufacturer = StringField()
    form_factor = StringField(help_text="Such as coin, pouch, 18650")
    cell_type = StringField(choices=CELL_TYPES, help_text="Decides which efficiency is shown")
    description = StringField()
    project = StringField()
    nominal_capacity_ah = _positive("Ah", "Nominal capacity")
    area_cm2 = _positive("cm2", "Geometric electrode area")
    thickness_um = _positive("um", "Electrode thickness")
    volume_cm3 = _positive("cm3", "Volume")
    mass_g = _positive("g", "Mass of the whole sample")
    active_mass_mg = _positive("mg", "Active mass of the working electrode")
    electrode_mass_mg = _positive("mg", "Mass of the working electrode with its collector")
    collector_mass_mg = FloatField(min_value=0.0, help_text="Mass of its current collector, 0 where it has none, mg")
    loading_mg_cm2 = _positive("mg/cm2", "Active mass per area")
    electrolyte_volume_ul = _positive("ul", "Volume of the electrolyte")
    parent = ReferenceField("self", help_text="The sample this one was made from")
    anode = ReferenceField("self")
    cathode = ReferenceField("self")
    separator = ReferenceField("self")
    electrolyte = ReferenceField("self")
    metadata = DictField(help_text="Whatever else the lab keeps about it")
    notes_log = EmbeddedDocumentListField(Note)
    aggregates = EmbeddedDocumentField(SampleAggregates)
    words = ListField(StringField(), help_text="Lower-case words of name, properties, tags and notes, for text search")
    default_dataset = ObjectIdField(help_text="Cell dataset to show first")
    created_in = ObjectIdField(help_text="The import job that made it, where none of the lab's people did")

    meta: ClassVar[dict[str, Any]] = {
        "collection": "samples",
        # What tables are sorted by stands before the name, which breaks ties in the same direction.
        "indexes": [
            *((field, "name") for field in SORTED),
            *("words", "tags", "parent", *COMPONENTS),
            "-created_at",
        ],
    }

    def clean(self) -> None:
        """Refuse a component that is not saved yet, or the sample itself."""
        for role in ("parent", *COMPONENTS):
            other: Any = self._data.get(role)
            if other is None:
                continue
            identity = getattr(other, "pk", other)
            if identity is None:
                raise ValidationError(f"{role} must be a saved sample, got unsaved {other.name!r}")
            if identity == self.pk:
                raise ValidationError(f"{role} must be another sample, got {self.name!r} itself")
