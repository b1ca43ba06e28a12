"""A plan of experiments: factors, the matrix of their levels, and how far it has come."""

from __future__ import annotations

from typing import Any, ClassVar

from mongoengine import (
    DateTimeField,
    DynamicField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FloatField,
    IntField,
    ListField,
    LongField,
    ObjectIdField,
    StringField,
    ValidationError,
)

from battery_analysis.models.base import Note, StoredDocument, now

DESIGNS = ("full", "fractional", "latin_hypercube")
LINKS = ("assigned", "properties")


class PlanFactor(EmbeddedDocument):
    """What is varied: a property of samples or tests, by levels or over a range."""

    name = StringField(required=True, min_length=1)
    levels = ListField(DynamicField(), help_text="Texts and numbers")
    low = FloatField()
    high = FloatField()


class PlanCell(EmbeddedDocument):
    """One cell of the matrix; its number is its place, from 1."""

    levels = ListField(DynamicField(), required=True, help_text="In the order of the factors")
    assigned = ListField(ObjectIdField(), help_text="Samples that a person put here")


class PlanLink(EmbeddedDocument):
    """A sample that belongs to a cell, as of the last count."""

    cell = IntField(required=True, min_value=1)
    sample = ObjectIdField(required=True)
    sample_name = StringField(required=True)
    how = StringField(required=True, choices=LINKS)
    tests = IntField(required=True, min_value=0)
    cycles = LongField(min_value=0)


class PlanProgress(EmbeddedDocument):
    """How far the plan had come at the last count."""

    cells = IntField(required=True, min_value=0)
    cells_with_tests = IntField(required=True, min_value=0)
    samples = IntField(required=True, min_value=0)
    tests = IntField(required=True, min_value=0)
    counted_at = DateTimeField(default=now)


class ExperimentPlan(StoredDocument):
    """A matrix and the samples that fill it. Links and progress are found anew from samples and tests at any time."""

    name = StringField(required=True, min_length=1, max_length=300, unique=True)
    description = StringField()
    project = StringField(help_text="Only samples of this project count")
    chemistry = StringField(help_text="Only samples of this chemistry count")
    design = StringField(required=True, choices=DESIGNS)
    factors = EmbeddedDocumentListField(PlanFactor, required=True)
    matrix = EmbeddedDocumentListField(PlanCell, required=True)
    replicates = IntField(default=1, min_value=1)
    generators = ListField(StringField(), help_text="Of a fractional design")
    resolution = IntField(min_value=1)
    words = ListField(StringField(), help_text="Its defining relation")
    seed = LongField(help_text="Of a Latin hypercube")
    links = EmbeddedDocumentListField(PlanLink)
    progress = EmbeddedDocumentField(PlanProgress)
    notes_log = EmbeddedDocumentListField(Note)

    meta: ClassVar[dict[str, Any]] = {"collection": "experiment_plans", "indexes": ["links.sample", "project"]}

    def clean(self) -> None:
        """Refuse a matrix whose rows do not have a level for each factor."""
        for number, cell in enumerate(self.matrix, start=1):
            if len(cell.levels) != len(self.factors):
                raise ValidationError(
                    f"matrix: cell {number} must have {len(self.factors)} levels, one for each factor, "
                    f"got {len(cell.levels)}"
                )
