"""Imports that run by the clock: a cron expression, a root, and the options of the import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from battery_analysis.settings import kinds

CRON_FIELDS = 5


@dataclass(frozen=True)
class Schedule:
    """One import: when, from where, how. Options are those of ``import``."""

    cron: str
    root: Path | str
    """A folder, or an address of another computer."""
    name: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    depth: int | None = None
    workers: int | None = None
    sample: str | None = None
    sample_map: Path | None = None
    sample_lookup: bool = False
    archive: bool = True
    checksum: bool = False
    retries: int | None = None
    tags: tuple[str, ...] = ()
    operator: str | None = None
    device: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    notify: bool = False


def _cron(value: Any) -> str:
    from cronsim import CronSim, CronSimError

    text: str = kinds.TEXT.check(value)
    if len(text.split()) != CRON_FIELDS:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as exc:
        raise ValueError(f"must be a cron expression: {str(exc).lower()}") from exc
    except StopIteration as exc:
        raise ValueError("must be a cron expression that comes true one day") from exc
    return text


def _root(value: Any) -> Path | str:
    if isinstance(value, str) and "://" in value:
        return value
    path: Path = kinds.PATH.check(value)
    return path


_KEYS: Mapping[str, kinds.Kind] = {
    "cron": kinds.Kind(_cron),
    "root": kinds.Kind(_root),
    "name": kinds.TEXT,
    "include": kinds.TEXTS,
    "exclude": kinds.TEXTS,
    "depth": kinds.whole(0),
    "workers": kinds.whole(1),
    "sample": kinds.TEXT,
    "sample_map": kinds.PATH,
    "sample_lookup": kinds.TRUTH,
    "archive": kinds.TRUTH,
    "checksum": kinds.TRUTH,
    "retries": kinds.whole(0),
    "tags": kinds.TEXTS,
    "operator": kinds.TEXT,
    "device": kinds.TEXT,
    "metadata": kinds.LABELS,
    "notify": kinds.TRUTH,
}


def _schedule(value: Any) -> Schedule:
    entries = kinds.table(value, _KEYS, required=("cron", "root"))
    answers = [name for name in ("sample", "sample_map", "sample_lookup") if entries.get(name)]
    if len(answers) > 1:
        raise kinds.TableError(f": {' and '.join(answers)} exclude one another")
    root = entries["root"]
    return Schedule(**{"name": (root.name if isinstance(root, Path) else None) or str(root), **entries})


def _schedules(value: Any) -> tuple[Schedule, ...]:
    found: tuple[Schedule, ...] = kinds.tables_of(_schedule).check(value)
    names = [each.name for each in found]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise kinds.TableError(f": two are called {repeated[0]!r}; give each a name of its own")
    return found


SCHEDULES = kinds.Kind(_schedules)
