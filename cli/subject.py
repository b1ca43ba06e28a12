"""What an analysis is about: a stored test, the dataset of a cell, or a file that nobody has imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from battery_analysis.errors import NotFoundError
from cli.common import Context, open_store, type_next

if TYPE_CHECKING:
    from battery_analysis.store import Store
    from battery_analysis.store.subjects import Subject

ID_LENGTH = 24
NAMED = "a test id, a cell code or a file that can be read"


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
    from battery_analysis.store.subjects import Subject

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
    from battery_analysis.store.subjects import of_cell, of_test

    if len(target) == ID_LENGTH and all(char in "0123456789abcdef" for char in target.lower()):
        return of_test(store, target)
    try:
        return of_cell(store, target, f"name one of them by its id: {type_next(context, 'search', '--cell', target)}")
    except NotFoundError as exc:
        raise NotFoundError(f"{target!r} is none of these: {NAMED}") from exc
