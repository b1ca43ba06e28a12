"""All that the dashboard knows of the store: the pages ask here, by subject, and get plain values and frames.

``opened`` connects once for the process; the driver's connection pool serves all threads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from battery_analysis.errors import StoreUnavailableError

if TYPE_CHECKING:
    from battery_analysis.settings import Settings
    from battery_analysis.store import Store as Store

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Used:
    store: Store
    settings: Settings
    config: Path | None


_used: _Used | None = None


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """Open the store that the settings name, for a ``with`` block.

    Raises:
        StoreUnavailableError: No server answered.
    """
    from battery_analysis.store import open_store

    with open_store(settings) as store:
        yield store


def use(store: Store, settings: Settings, config: Path | None = None) -> None:
    """Say what all pages of this process show, and which file the settings came from if one was named."""
    global _used
    _used = _Used(store, settings, config)


def store() -> Store:
    """Return the open store."""
    return _in_use().store


def settings() -> Settings:
    """Return the settings the dashboard was started with."""
    return _in_use().settings


def config() -> Path | None:
    """Return the settings file that was named on the command line."""
    return _in_use().config


def _in_use() -> _Used:
    if _used is None:
        raise RuntimeError("dashboard.data.use was not called: no store is open")
    return _used


def asked(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function's errors of the driver ``StoreError``, on one line and without a password.

    An embedded server that has stopped is not started again: whoever stopped it meant to.
    """

    @functools.wraps(function)
    def ask(*args: P.args, **options: P.kwargs) -> T:
        from battery_analysis.store.connection import one_line_errors

        try:
            with one_line_errors(store().where):
                return function(*args, **options)
        except StoreUnavailableError as exc:
            if settings().mode != "embedded":
                raise
            raise StoreUnavailableError("the database has stopped; start it with: battery-analysis db start") from exc

    return ask
