"""Cells of a sheet of a workbook as typed columns.

A column is ``Float64``, ``Datetime`` (µs, without a zone), ``Duration``, ``Boolean`` or ``String``, as most of its
cells say. Cells that are empty, ``-`` or ``--`` are null, and so are those that do not fit their column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from datetime import date, datetime, time, timedelta

import polars as pl

Cell = str | float | bool | date | time | timedelta

_MISSING = frozenset({"", "-", "--"})
_ZERO_DAY = datetime(1899, 12, 31)
_DURATION_YEAR = 1900


def assembled(
    sheet: str,
    header: Sequence[Cell],
    offset: int,
    columns: Sequence[list[pl.Series | list[Cell]]],
    texts: Container[str],
) -> tuple[pl.DataFrame, list[str]]:
    """Make a table of columns that were read in parts, with what has to be said about it.

    Args:
        sheet: Its name, for warnings.
        header: The cells that name the columns.
        offset: How many empty columns lie before the first.
        columns: The parts of each column, as ``uniform`` gives them.
        texts: Names of columns whose cells are texts whatever they look like.
    """
    series, lost = [], {}
    names, warnings = _unique_names(sheet, [str(cell).strip() for cell in header], offset)
    for title, name, parts in zip(header, names, columns, strict=True):
        values, words = (_texts(parts), 0) if name in texts else _column(parts)
        if title == "" and values.null_count() == values.len():
            continue
        series.append(values.alias(name))
        if words:
            lost[name] = words
    frame = pl.DataFrame(series)
    if frame.width and frame[frame.columns[0]].null_count():
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if lost:
        where = ", ".join(f"{name} {count}" for name, count in lost.items())
        warnings.append(f"sheet {sheet}: {sum(lost.values())} cells do not fit their column; kept as missing ({where})")
    return frame, warnings


def _unique_names(sheet: str, header: Sequence[str], offset: int) -> tuple[list[str], list[str]]:
    names: list[str] = []
    warnings = []
    seen: Counter[str] = Counter()
    for position, name in enumerate(header, offset + 1):
        seen[name] += 1
        new = name or f"unnamed {position}"
        if name and seen[name] > 1:
            new = f"{name} duplicate {seen[name]}"
            warnings.append(
                f"sheet {sheet}: the column name {name!r} appears twice; column {position} is kept as {new!r}"
            )
        names.append(new)
    return names, warnings


def uniform(cells: Sequence[Cell]) -> pl.Series | list[Cell]:
    """Cells of one kind as a series, which takes a quarter of the memory; others as they are."""
    kinds = set(map(type, cells))
    if kinds == {float}:
        return pl.Series(cells, dtype=pl.Float64)
    if kinds == {datetime}:
        return pl.Series(cells, dtype=pl.Datetime("us"))
    return list(cells)


def _column(parts: Sequence[pl.Series | list[Cell]]) -> tuple[pl.Series, int]:
    """Join the parts of a column; also count the cells that do not fit its type."""
    series = [part for part in parts if isinstance(part, pl.Series)]
    if series and len(series) == len(parts) and len({part.dtype for part in series}) == 1:
        return pl.concat(series), 0
    cells = [_none_if_missing(cell) for part in parts for cell in part]
    counts = Counter(map(type, cells))
    filled = len(cells) - counts.pop(type(None), 0)
    numbers = counts[float] + counts[int]
    dates = counts[datetime] + counts[date]
    if counts[time] + counts[timedelta] and not numbers:
        return _cast(cells, _as_duration, pl.Duration("us"))
    if 2 * dates > filled:
        return _cast(cells, _as_datetime, pl.Datetime("us"))
    if counts[bool] == filled and filled:
        return pl.Series(cells, dtype=pl.Boolean), 0
    texts = counts[str]
    if 2 * numbers < filled and texts:
        spelled = pl.Series([None if cell is None else _spelled(cell) for cell in cells], dtype=pl.String)
        values = _numbers_of(spelled)
        words = values.null_count() - spelled.null_count()
        return (values, words) if 2 * words < filled else (spelled, 0)
    return _cast(cells, _as_number, pl.Float64())


def _texts(parts: Sequence[pl.Series | list[Cell]]) -> pl.Series:
    cells = (cell for part in parts for cell in part)
    spelled = (cell if isinstance(cell, str) else _spelled(cell) for cell in cells)
    return pl.Series([text or None for text in spelled], dtype=pl.String)


def _none_if_missing(cell: Cell) -> Cell | None:
    return None if isinstance(cell, str) and cell.strip() in _MISSING else cell


def _cast(cells: Sequence[Cell | None], convert: Callable[[Cell], object], dtype: pl.DataType) -> tuple[pl.Series, int]:
    values = pl.Series([None if cell is None else convert(cell) for cell in cells], dtype=dtype)
    return values, values.null_count() - sum(cell is None for cell in cells)


def _as_number(cell: Cell) -> float | None:
    if isinstance(cell, str):
        number: float | None = _numbers_of(pl.Series([cell]))[0]
        return number
    return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def _as_datetime(cell: Cell) -> datetime | None:
    if isinstance(cell, datetime):
        return cell
    return datetime(cell.year, cell.month, cell.day) if isinstance(cell, date) else None  # midnight comes as a date


def _as_duration(cell: Cell) -> timedelta | None:
    """Times from one day on come as a date in the year that serial days start with."""
    if isinstance(cell, time):
        return datetime.combine(_ZERO_DAY, cell) - _ZERO_DAY
    moment = cell if isinstance(cell, timedelta) else _as_datetime(cell)
    if isinstance(moment, datetime):
        return moment - _ZERO_DAY if moment.year <= _DURATION_YEAR else None
    return moment


def _numbers_of(texts: pl.Series) -> pl.Series:
    bare = texts.str.strip_chars()
    if not bare.str.contains(".", literal=True).any():
        bare = bare.str.replace(",", ".", literal=True)
    return bare.cast(pl.Float64, strict=False)


def _spelled(cell: Cell) -> str:
    """A cell as it reads on the screen; workbooks keep every number as a float."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat(" ") if isinstance(cell, datetime) else str(cell).strip()
