"""A vendor's columns and their canonical names, units and signs, declared as a table."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import polars as pl

from battery_analysis.columns import Column, aux_name
from battery_analysis.readers.base import ColumnSource


@dataclass(frozen=True)
class Map:
    """Vendor column ``source`` holds ``column``: canonical value = value * scale.

    ``unit`` is what the vendor writes, kept in the metadata. Where several vendor names
    map to the same column, the first that the file has wins and the others are kept as ``aux_``.
    """

    source: str
    column: Column
    scale: float = 1.0
    unit: str = ""


def to_canonical(
    raw: pl.DataFrame, maps: Sequence[Map], units: dict[str, str] | None = None
) -> tuple[pl.DataFrame, dict[str, ColumnSource]]:
    """Rename and scale the mapped columns and keep every other one that holds numbers as ``aux_``.

    Args:
        raw: The vendor's table under the vendor's names. Text columns without a map are left out
            (readers put what matters of them into the metadata).
        maps: Declared columns, in order of preference.
        units: Unit of each vendor column, where the reader knows it from the header.

    Returns:
        The frame, and for each of its columns the vendor's name and unit.

    >>> from battery_analysis import columns
    >>> raw = pl.DataFrame({"I/mA": [1000.0], "dV/dt": [0.1]})
    >>> frame, sources = to_canonical(raw, [Map("I/mA", columns.CURRENT, 1e-3, "mA")])
    >>> frame.to_dicts(), sources["current_ampere"].unit
    ([{'current_ampere': 1.0, 'aux_dv_dt': 0.1}], 'mA')
    """
    units = units or {}
    chosen: dict[str, pl.Expr] = {}
    sources: dict[str, ColumnSource] = {}
    schema = raw.schema
    used: set[str] = set()
    for entry in maps:
        if entry.source not in schema or entry.column.name in chosen:
            continue
        values = pl.col(entry.source)
        chosen[entry.column.name] = (values if entry.scale == 1.0 else values * entry.scale).alias(entry.column.name)
        sources[entry.column.name] = ColumnSource(entry.source, entry.unit or units.get(entry.source, ""))
        used.add(entry.source)
    for name, dtype in schema.items():
        if name in used or not (dtype.is_numeric() or dtype == pl.Boolean):
            continue
        target = unused_name(aux_name(name), chosen)
        chosen[target] = pl.col(name).alias(target)
        sources[target] = ColumnSource(name, units.get(name, ""))
    return raw.select(chosen.values()), sources


def unused_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, numbered where two vendor columns come out under the same name."""
    number = 2
    candidate = name
    while candidate in taken:
        candidate = f"{name}_{number}"
        number += 1
    return candidate
