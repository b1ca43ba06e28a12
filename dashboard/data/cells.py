"""Cells: all tests of one cell code, their datasets in versions, and what is written of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from battery_analysis.errors import NotFoundError
from battery_analysis.models import CellDataset, Sample, TestResult
from battery_analysis.store import datasets, lives
from battery_analysis.store.access import visible
from dashboard.data import asked, store

if TYPE_CHECKING:
    from battery_analysis.settings import Settings

Test = TestResult
Version = CellDataset

EXPORTS = {
    "bdf-csv": "Battery Data Format, CSV",
    "bdf-parquet": "Battery Data Format, Parquet",
    "batteryarchive": "Battery Archive, CSV",
    "hdf5": "HDF5",
    "excel": "Excel",
    "json": "JSON",
}
"""What all records and cycles of a cell are written as."""

REPORTS = {"report-pdf": "Report as PDF", "report-html": "Report as HTML"}
CRATES = {"crate": "Everything with original files, RO-Crate"}

_SHOWN = (
    *("id", "name", "sample", "sample_name", "tester", "device", "channel", "test_type", "started_at", "ended_at"),
    *("duration_second", "record_count", "cycle_count", "quality_flags", "warnings", "notes_log", "finished"),
)
_VERSION = (
    *("version", "created_at", "created_by", "by_hand", "restores", "test_count", "cycle_count", "record_count"),
    *("tests.test", "tests.placed_by", "tests.name", "tests.first_cycle", "tests.last_cycle", "tests.continues"),
)


@dataclass(frozen=True)
class Cell:
    """A cell code and what belongs to it."""

    code: str
    tests: list[TestResult]
    """In the order of their start, undated ones last."""
    samples: list[Sample]
    """That its tests belong to, the one with the most tests first."""
    versions: list[CellDataset]
    """Of its dataset, newest first."""


@asked
def one(code: str) -> Cell:
    """Return what belongs to a cell code.

    Raises:
        NotFoundError: No test has it, and none ever had.
    """
    tests = list(visible(TestResult).filter(cell_code=code).only(*_SHOWN).no_dereference())
    versions = list(visible(CellDataset).filter(cell_code=code).order_by("-version").only(*_VERSION))
    if not tests and not versions:
        raise NotFoundError(f"no test has the cell code {code!r}")
    owners: list[Any] = [each.sample.id for each in tests]
    owners += [each.sample for each in versions[:1] if each.sample] if not owners else []
    found = visible(Sample).filter(id__in=list(set(owners)))
    samples = sorted(found, key=lambda each: (-owners.count(each.id), each.name))
    return Cell(code, sorted(tests, key=_start), samples, versions)


def _start(test: TestResult) -> tuple[bool, float, str]:
    return test.started_at is None, test.started_at.timestamp() if test.started_at else 0.0, test.name


@asked
def cycles(code: str) -> pl.DataFrame:
    """Return the cycles of a cell, see ``analysis.dataset.DATASET_SCHEMA``.

    Raises:
        NotFoundError: The cell has no dataset.
        ArchiveError: A block that it names is missing.
    """
    found, absent = lives.load_lives(store(), [code])
    if not found:
        raise NotFoundError(absent[0])
    return found[0].cycles


@asked
def build(code: str) -> tuple[int, bool]:
    """Build the dataset of a cell from its tests; return its version and whether that is new.

    Raises:
        NotFoundError: The cell has no tests and never had.
        ArchiveError: What a test names is missing.
    """
    built = datasets.rebuild(store(), code)
    return built.version, built.is_new


@asked
def roll_back(code: str, version: int) -> int:
    """Make a new version that equals an older one, and return its number.

    Raises:
        NotFoundError: There is no such version, or it names a test that is gone.
        InvalidDocumentError: It is the newest.
    """
    return datasets.roll_back(store(), code, version)


def write(settings: Settings, code: str, form: str, folder: Path) -> list[Path]:
    """Write a cell into a folder, in a process of its own: it opens the store anew.

    Args:
        settings: That name the store.
        code: The cell.
        form: A key of ``EXPORTS``, ``REPORTS`` or ``CRATES``.
        folder: Where files go.

    Raises:
        NotFoundError: The cell has no tests.
        MissingExtraError: The form needs a package that is not installed.
        ArchiveError: Stored data is missing.
    """
    from battery_analysis.store import open_store

    with open_store(settings) as opened:
        if form in REPORTS:
            return [_report(opened, code, form, folder)]
        if form in CRATES:
            return [_crate(opened, code, folder)]
        from battery_analysis.store.exporting import content_of_dataset

        content = content_of_dataset(opened, code)
        return content.write(folder / f"{content.name}{content.ending(form)}")  # type: ignore[arg-type]


def _report(opened: Any, code: str, form: str, folder: Path) -> Path:
    from datetime import UTC, datetime

    from battery_analysis import __version__
    from battery_analysis.files import safe_name
    from battery_analysis.reports.composing import made_at, report_of
    from battery_analysis.store.reporting import load_cell

    composed = report_of([load_cell(opened, code)], made_at(datetime.now(UTC), __version__))
    target = folder / f"{safe_name(code)}.{form.removeprefix('report-')}"
    if form == "report-pdf":
        from battery_analysis.reports.sheets import to_pdf as written
    else:
        from battery_analysis.reports.page import to_html as written
    target.write_bytes(written(composed))
    return target


def _crate(opened: Any, code: str, folder: Path) -> Path:
    from battery_analysis.files import safe_name
    from battery_analysis.store.crating import ids_of_dataset, write_crate

    target = folder / f"{safe_name(code)}.crate.zip"
    write_crate(opened, target, ids_of_dataset(code), name=f"dataset {code}", cell=code)
    return target
