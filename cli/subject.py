"""What an analysis is about: a stored test, the dataset of a cell, or a file that nobody has imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from battery_analysis.errors import AnalysisError, NotFoundError
from cli.common import Context, open_store, type_next

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.analysis.halves import HalfCycles
    from battery_analysis.models import Sample
    from battery_analysis.store import Store

ID_LENGTH = 24
NAMED = "a test id, a cell code or a file that can be read"


@dataclass(frozen=True)
class Subject:
    """Whatever is analysed; its tables are loaded when an analysis asks for them."""

    name: str
    frame: Callable[[], pl.DataFrame]
    """Records of one test.

    Raises:
        AnalysisError: It is a cell with several tests.
    """
    cycles: Callable[[], pl.DataFrame]
    nominal_capacity_ah: float | None = None
    finished: bool = False
    continuation: bool = False
    sample: Sample | None = None

    def half_cycles(self) -> HalfCycles:
        """Return its half cycles; what came before a test that goes on with another is not taken for its own.

        Raises:
            AnalysisError: It is a cell with several tests, or its records make no half cycles.
        """
        from battery_analysis.analysis.halves import half_cycles

        return half_cycles(self.frame(), finished=self.finished, continuation=self.continuation)


@contextmanager
def open_subjects(context: Context, targets: list[str]) -> Iterator[list[Subject]]:
    """Find what is named, for a ``with`` block; no database is opened where all are files.

    Raises:
        NotFoundError: There is no such test, cell or file.
        ReadError: A file cannot be read.
        StoreUnavailableError: No server answered.
    """
    if all(Path(target).is_file() for target in targets):
        yield [_of_file(context, Path(target)) for target in targets]
        return
    with open_store(context) as store:
        yield [
            _of_file(context, Path(target)) if Path(target).is_file() else _stored(context, store, target)
            for target in targets
        ]


def _of_file(context: Context, path: Path) -> Subject:
    from battery_analysis.reading import read

    settings = context.settings
    result = read(path, time_zone=settings.time_zone, mappings=settings.mappings)
    return Subject(
        path.name,
        frame=lambda: result.frame,
        cycles=lambda: result.cycles,
        nominal_capacity_ah=result.metadata.nominal_capacity_ah,
        finished=bool(result.metadata.finished),
        continuation=result.metadata.continuation,
    )


def _stored(context: Context, store: Store, target: str) -> Subject:
    if len(target) == ID_LENGTH and all(char in "0123456789abcdef" for char in target.lower()):
        return _of_test(store, target)
    return _of_cell(context, store, target)


def _of_test(store: Store, identity: str) -> Subject:
    from battery_analysis.models import TestResult
    from battery_analysis.store.access import by_id
    from battery_analysis.store.frames import load_cycles, load_frame

    test = by_id(TestResult, identity)
    return Subject(
        test.name,
        frame=lambda: load_frame(store, test.id, form="polars"),
        cycles=lambda: cast("pl.DataFrame", load_cycles(store, test.id, form="polars")),
        nominal_capacity_ah=test.sample.nominal_capacity_ah or test.nominal_capacity_ah,
        finished=bool(test.finished),
        continuation=bool(test.continuation),
        sample=test.sample,
    )


def _of_cell(context: Context, store: Store, code: str) -> Subject:
    from battery_analysis.models import TestResult
    from battery_analysis.store.access import visible
    from battery_analysis.store.dataset_frames import load_dataset

    tests = list(visible(TestResult).filter(cell_code=code).order_by("started_at", "id").only("id", "name", "sample"))
    if not tests:
        raise NotFoundError(f"{code!r} is none of these: {NAMED}")
    if len(tests) == 1:
        return replace(_of_test(store, str(tests[0].id)), name=code)

    def frame() -> pl.DataFrame:
        listed = type_next(context, "search", "--cell", code)
        raise AnalysisError(f"cell {code} has {len(tests)} tests; name one of them by its id: {listed}")

    def cycles() -> pl.DataFrame:
        found: Any = load_dataset(store, code).cycles(form="polars")
        return cast("pl.DataFrame", found)

    sample = tests[0].sample
    return Subject(code, frame, cycles, nominal_capacity_ah=sample.nominal_capacity_ah, sample=sample)
