"""What an analysis is about: a stored test, or the dataset of a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import polars as pl

from battery_analysis.analysis.features import feature_table
from battery_analysis.analysis.halves import HalfCycles, half_cycles
from battery_analysis.errors import AnalysisError, NotFoundError
from battery_analysis.models import Sample, TestResult
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_frames import load_dataset
from battery_analysis.store.frames import load_cycles, load_frame
from battery_analysis.store.samples import EDITABLE

PROPERTIES = tuple(name for name in EDITABLE if name not in ("name", "description", "parent", "tags", "metadata"))
"""Fields of samples that results may go together with."""


class SeveralTestsError(AnalysisError):
    """The records of one test are wanted, of a cell with several."""


@dataclass(frozen=True)
class Subject:
    """Whatever is analysed; its tables are loaded when an analysis asks for them."""

    name: str
    frame: Callable[[], pl.DataFrame]
    """Records of one test.

    Raises:
        SeveralTestsError: It is a cell with several tests.
    """
    cycles: Callable[[], pl.DataFrame]
    nominal_capacity_ah: float | None = None
    finished: bool = False
    continuation: bool = False
    sample: Sample | None = None
    record_count: int = 0
    """Of the stored test that it is, or has alone."""

    def half_cycles(self) -> HalfCycles:
        """Return its half cycles; what came before a test that goes on with another is not taken for its own.

        Raises:
            SeveralTestsError: It is a cell with several tests.
            AnalysisError: Its records make no half cycles.
        """
        return half_cycles(self.frame(), finished=self.finished, continuation=self.continuation)


def of_test(store: Store, identity: str) -> Subject:
    """Return a stored test.

    Raises:
        NotFoundError: No such test.
    """
    test = by_id(TestResult, identity)
    return Subject(
        test.name,
        frame=lambda: load_frame(store, test.id, form="polars"),
        cycles=lambda: cast("pl.DataFrame", load_cycles(store, test.id, form="polars")),
        nominal_capacity_ah=test.sample.nominal_capacity_ah or test.nominal_capacity_ah,
        finished=bool(test.finished),
        continuation=bool(test.continuation),
        sample=test.sample,
        record_count=test.record_count,
    )


def of_cell(store: Store, code: str, next_step: str = "name one of them by its id") -> Subject:
    """Return a cell: its dataset, and the records of its test if it has only one.

    Args:
        store: An open store.
        code: The cell.
        next_step: What the user is told to do who wants the records of a cell with several tests.

    Raises:
        NotFoundError: No test has this cell code.
    """
    tests = list(visible(TestResult).filter(cell_code=code).order_by("started_at", "id").only("id", "name", "sample"))
    if not tests:
        raise NotFoundError(f"no test has the cell code {code!r}")
    if len(tests) == 1:
        return replace(of_test(store, str(tests[0].id)), name=code)

    def frame() -> pl.DataFrame:
        raise SeveralTestsError(f"cell {code} has {len(tests)} tests; {next_step}")

    def cycles() -> pl.DataFrame:
        found: Any = load_dataset(store, code).cycles(form="polars")
        return cast("pl.DataFrame", found)

    sample = tests[0].sample
    return Subject(code, frame, cycles, nominal_capacity_ah=sample.nominal_capacity_ah, sample=sample)


def properties(samples: Sequence[tuple[str, Sample | None]]) -> pl.DataFrame:
    """Tabulate what is known of samples, one row each; columns that no sample fills are left out.

    Metadata under the name of a feature of cycles, or of a field, has ``metadata.`` before it.

    Args:
        samples: Each with the name of what was made of it.

    Raises:
        AnalysisError: One has no sample.
    """
    taken = {*feature_table({}).columns, *EDITABLE}
    rows: list[dict[str, Any]] = []
    for name, sample in samples:
        if sample is None:
            raise AnalysisError(f"{name} is no stored test or cell, so no sample is known")
        own = {field: getattr(sample, field) for field in PROPERTIES}
        named = {field: getattr(value, "name", value) for field, value in own.items()}
        metadata = {f"metadata.{key}" if key in taken else key: value for key, value in sample.metadata.items()}
        rows.append({**named, **metadata})
    table = pl.DataFrame(rows, infer_schema_length=None, strict=False)
    return table.select(name for name, dtype in table.schema.items() if table[name].count() and not dtype.is_nested())
