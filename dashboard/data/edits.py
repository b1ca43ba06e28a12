"""What people type into the cells of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Edit:
    """One cell that somebody has changed."""

    row: str
    """The row's ``id``."""
    field: str
    """Of the column."""
    seen: Any
    """What the cell held before."""
    value: Any
    """What was typed; words of a list are taken apart already."""
    author: str | None = None
