"""Put the records of several files of one run behind one another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from battery_analysis.analysis.records import has_values
from battery_analysis.columns import CYCLE_COUNT, DERIVED_CYCLE_COUNT, FREQUENCY

CYCLE_OF_SPECTRUM = "aux_cycle_of_spectrum"
"""What a file of spectra counts as cycles, in a run whose other files count real ones."""


def join(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the records of all parts in order, with the columns of all.

    The tester's cycle numbers stay. A spectrum between cycles belongs to the cycle before it. Where a later part counts
    from the beginning again, ``derived_cycle_count`` counts on, from 1.

    Raises:
        polars.exceptions.PolarsError: A column holds texts in one part and numbers in another.

    Example:
        >>> run = join([pl.DataFrame({"cycle_count": [0, 1]}), pl.DataFrame({"cycle_count": [0, 1]})])
        >>> run["derived_cycle_count"].to_list()
        [1, 2, 3, 4]
    """
    spectra = [_holds_only_spectra(part) for part in parts]
    if not all(spectra):
        names = {CYCLE_COUNT.name: CYCLE_OF_SPECTRUM}
        parts = [part.rename(names, strict=False) if only else part for part, only in zip(parts, spectra, strict=True)]
    return pl.concat(_counted_on(parts), how="diagonal_relaxed")


def _holds_only_spectra(part: pl.DataFrame) -> bool:
    return FREQUENCY.name in part.columns and bool((part[FREQUENCY.name].fill_null(0.0) > 0).all())


def _counted_on(parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Add derived numbers to all parts, if the tester's begin anew in one."""
    numbers = [part[CYCLE_COUNT.name] if has_values(part, CYCLE_COUNT.name) else None for part in parts]
    known = [number.drop_nulls() for number in numbers if number is not None]
    if all(later[0] >= earlier[-1] for earlier, later in pairwise(known)):
        return list(parts)
    counted, before = [], 0
    offset: int | None = None
    last: int | None = None
    for part, number in zip(parts, numbers, strict=True):
        if number is None:
            counted.append(part)
            continue
        values = number.drop_nulls()
        if offset is None or (last is not None and values[0] < last):
            offset = before + 1 - int(values[0])
        counted.append(part.with_columns((number + offset).cast(pl.Int64).alias(DERIVED_CYCLE_COUNT.name)))
        last = int(values[-1])
        before = max(before, int(values.max()) + offset)  # type: ignore[arg-type]
    return counted
