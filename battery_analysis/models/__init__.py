"""Documents: shape and validation only."""

from battery_analysis.models.attachment import Attachment, AttachmentSource
from battery_analysis.models.base import AddedLabels, Note, StoredDocument, checked, now
from battery_analysis.models.cell_dataset import BuiltFrom, CellDataset, DatasetTest
from battery_analysis.models.change import Change
from battery_analysis.models.flag import Flag
from battery_analysis.models.import_job import ImportedFile, ImportJob
from battery_analysis.models.notice import Notice
from battery_analysis.models.plan import ExperimentPlan, PlanCell, PlanFactor, PlanLink, PlanProgress
from battery_analysis.models.protocol import PlannedStep, TestProtocol
from battery_analysis.models.raw_file import Extent, RawDataFile, RawVersion, SourcePath
from battery_analysis.models.sample import Sample, SampleAggregates
from battery_analysis.models.saved_view import SavedView
from battery_analysis.models.scheduled_import import ScheduledImport
from battery_analysis.models.test_result import (
    BlockRef,
    FormerState,
    HeaderLine,
    PartSpan,
    RawPart,
    SegmentRef,
    TestResult,
)
from battery_analysis.models.watched_folder import QuarantinedFile, WatchedFolder

DOCUMENTS: tuple[type[StoredDocument], ...] = (
    Sample,
    TestResult,
    CellDataset,
    RawDataFile,
    Attachment,
    ImportJob,
    ImportedFile,
    WatchedFolder,
    Flag,
    Notice,
    ScheduledImport,
    TestProtocol,
    ExperimentPlan,
    SavedView,
    Change,
)

__all__ = [
    "DOCUMENTS",
    "AddedLabels",
    "Attachment",
    "AttachmentSource",
    "BlockRef",
    "BuiltFrom",
    "CellDataset",
    "Change",
    "DatasetTest",
    "ExperimentPlan",
    "Extent",
    "Flag",
    "FormerState",
    "HeaderLine",
    "ImportJob",
    "ImportedFile",
    "Note",
    "Notice",
    "PartSpan",
    "PlanCell",
    "PlanFactor",
    "PlanLink",
    "PlanProgress",
    "PlannedStep",
    "QuarantinedFile",
    "RawDataFile",
    "RawPart",
    "RawVersion",
    "Sample",
    "SampleAggregates",
    "SavedView",
    "ScheduledImport",
    "SegmentRef",
    "SourcePath",
    "StoredDocument",
    "TestProtocol",
    "TestResult",
    "WatchedFolder",
    "checked",
    "now",
]
