"""What a notebook works with: one open database, and tables from it.

The database is opened by the first call that needs it, with the settings of the user, or by ``connect``, which says
otherwise; it stays open until the program ends.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from battery_analysis.errors import InvalidDocumentError, StoreError
from battery_analysis.models import TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, frames, open_store
from battery_analysis.store import search as searching
from battery_analysis.store.access import by_id
from battery_analysis.store.connection import one_line_errors
from battery_analysis.store.dataset_frames import Dataset
from battery_analysis.store.dataset_frames import load_dataset as dataset_of
from battery_analysis.store.frames import Form, Range

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    Table: TypeAlias = pd.DataFrame | pl.DataFrame | pa.Table


@dataclass
class _Open:
    """The database of this process."""

    store: Store
    settings: Settings
    closing: ExitStack


_open: _Open | None = None


def connect(*, config: str | Path | None = None, **settings: Any) -> Store:
    """Open a database and keep it open; what was open before is closed if it is another one.

    Args:
        config: Settings file, in place of the one in the home folder.
        settings: Values that count before environment and file, by key, such as ``db_uri`` or ``db_name``.

    Raises:
        SettingsError: A key, variable or file is unknown or malformed.
        StoreUnavailableError: No server answered.
    """
    global _open
    wanted = Settings.load(config=None if config is None else Path(config), **settings)
    if _open is not None:
        if _open.settings == wanted and _answers(_open.store):
            return _open.store
        close()
    closing = ExitStack()
    store = closing.enter_context(open_store(wanted))
    _open = _Open(store, wanted, closing)
    atexit.register(close)
    return store


def close() -> None:
    """Close the database that is open, if any is; the next call that needs one opens it again."""
    global _open
    atexit.unregister(close)
    if _open is not None:
        closing, _open = _open.closing, None
        closing.close()


def search(
    *,
    type: str | None = None,
    first_day: date | str | None = None,
    last_day: date | str | None = None,
    form: Form = "pandas",
    **filters: Any,
) -> Table:
    """Find tests; every filter that is given must fit.

    Args:
        type: Such as ``cycling`` or ``eis``.
        first_day: Tests that began on this day or later; a date or ``YYYY-MM-DD``. Tests without a date are left out.
        last_day: Tests that began on this day or earlier.
        form: pandas by default; polars or Arrow on request.
        filters: ``sample``, ``cell``, ``chemistry``, ``tester``, ``tags``, ``project``, ``min_cycles``, ``max_cycles``,
            ``text``, ``sort`` and ``limit``, as of ``battery-analysis search``.

    Raises:
        InvalidDocumentError: There is no such filter, sort key, day or form.
        StoreError: The database is lost.
    """
    import polars as pl

    known = {each.name for each in fields(searching.Query)} - {"ids", "test_type", "first_day", "last_day"}
    if strange := sorted(filters.keys() - known):
        raise InvalidDocumentError(f"search has no filter {strange[0]!r}; there are {', '.join(sorted(known))}")
    tags = filters.pop("tags", ())
    query = searching.Query(
        test_type=type,
        first_day=_day("first_day", first_day),
        last_day=_day("last_day", last_day),
        tags=[tags] if isinstance(tags, str) else tags,
        **filters,
    )
    with _at_work():
        rows = [{**asdict(found), "id": str(found.id)} for found in searching.search(query)]
    names = [each.name for each in fields(searching.Found)]
    return frames.in_form(pl.DataFrame(rows, schema=None if rows else names, infer_schema_length=None), form)


def load_frame(
    test_id: str,
    columns: Sequence[str] | None = None,
    cycles: Range | None = None,
    time: Range | None = None,
    form: Form = "pandas",
) -> Table:
    """Return the records of a test; see ``store.frames.load_frame``.

    Raises:
        InvalidDocumentError: There is no such form.
        NotFoundError: No such test or column.
        StoreError: Data that the test names is missing, or the database is lost.
    """
    with _at_work() as store:
        return frames.in_form(frames.select(store, by_id(TestResult, test_id), columns, cycles, time), form)


def load_cycles(test_id: str, form: Form = "pandas") -> Table:
    """Return the cycle table of a test, one row per cycle.

    Raises:
        InvalidDocumentError: There is no such form.
        NotFoundError: No such test.
        StoreError: Data that the test names is missing, or the database is lost.
    """
    with _at_work() as store:
        return frames.load_cycles(store, test_id, form)


def load_dataset(code: str, version: int | None = None) -> Dataset:
    """Return the dataset of a cell: all its tests as one, with ``cycles()``, ``frame()`` and ``tests()``.

    Raises:
        NotFoundError: No test has this cell code, or there is no such version.
        StoreError: The database is lost.
    """
    with _at_work() as store:
        return dataset_of(store, code, version)


@contextmanager
def _at_work() -> Iterator[Store]:
    """Give the open database, opened if none is."""
    store = _open.store if _open is not None else connect()
    with one_line_errors(store.where):
        yield store


def _answers(store: Store) -> bool:
    try:
        with one_line_errors(store.where):
            store.database.command("ping")
    except StoreError:
        return False
    return True


def _day(name: str, value: date | str | None) -> date | None:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError as exc:
        raise InvalidDocumentError(f"{name}: a day is written YYYY-MM-DD, got {value!r}") from exc
