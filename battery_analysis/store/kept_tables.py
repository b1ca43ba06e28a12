"""Tables that never change, kept in memory for whoever asks for the same ones again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import polars as pl

K = TypeVar("K", bound=Hashable)
D = TypeVar("D")


class KeptTables:
    """Tables by key; those that were asked for longest ago make room once there are more than so many rows."""

    def __init__(self, most_rows: int) -> None:
        self._most_rows = most_rows
        self._tables: OrderedDict[Hashable, pl.DataFrame] = OrderedDict()
        self._lock = threading.Lock()

    def those(
        self, wanted: Mapping[K, D], make: Callable[[Mapping[K, D]], Mapping[K, pl.DataFrame]]
    ) -> dict[K, pl.DataFrame]:
        """Return the tables of all keys.

        Args:
            wanted: What each table is made from, by key.
            make: Makes those that are not kept, all at once. Of several threads one makes them, the others wait.
        """
        with self._lock:
            missing = {key: each for key, each in wanted.items() if key not in self._tables}
            made = make(missing) if missing else {}
            found = {key: made[key] if key in made else self._tables[key] for key in wanted}
            for key, table in found.items():
                self._tables[key] = table
                self._tables.move_to_end(key)
            rows = sum(table.height for table in self._tables.values())
            while rows > self._most_rows:
                rows -= self._tables.popitem(last=False)[1].height
        return found
