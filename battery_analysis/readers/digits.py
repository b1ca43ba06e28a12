"""The numbers in texts that are all written alike, such as clock stamps: found in all of them at once.

Parsing stamps one by one takes ten times as long.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

_ZERO = ord("0")
_MOST = 9
_MOST_DIGITS = 9
_TEXTS_A_RUN = 200
_DIRECTIVE = re.compile(r"%\.?[A-Za-z]")
_FRACTION = "%.f"
_RANGES = {"%Y": (1000, 9999), "%m": (1, 12), "%d": (1, 31), "%H": (0, 23), "%M": (0, 59), "%S": (0, 59)}


class Digits(NamedTuple):
    """What stands between the numbers of each text, and the numbers in order, each with how many digits it has."""

    marks: bytes
    numbers: list[NDArray[np.int64]]
    widths: list[NDArray[np.int64] | int]

    def decimal(self, at: int) -> NDArray[np.float64]:
        """The number at a place with the one behind it as its decimals."""
        scale = 10 ** self.widths[at + 1]
        return np.asarray((self.numbers[at] * scale + self.numbers[at + 1]) / scale)


def digits_of(texts: pl.Series) -> Digits | None:
    """Take texts apart into the numbers they hold; None where one is missing or has other marks than the first.

    >>> found = digits_of(pl.Series(["1d 08:59", "12d 10:00"]))
    >>> found.marks, [numbers.tolist() for numbers in found.numbers]
    (b'd :', [[1, 12], [8, 10], [59, 0]])
    >>> digits_of(pl.Series(["08:59", "8.59"])) is None
    True
    """
    if not texts.len() or texts.null_count():
        return None
    _, offsets, content = texts.to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()
    bounds = np.frombuffer(offsets, np.int64)[: texts.len() + 1]
    if bounds[-1] == bounds[0]:
        return None
    codes = np.frombuffer(content, np.uint8)[bounds[0] : bounds[-1]] - np.uint8(_ZERO)
    bounds = bounds - bounds[0]
    return _in_runs(codes, bounds) or _between_marks(codes, bounds)


def _in_runs(codes: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Digits | None:
    """Take texts apart in runs of equally long ones, as a clock writes them; None where that is not how they lie."""
    lengths = np.diff(bounds)
    edges = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), lengths.size]
    if lengths.size < _TEXTS_A_RUN * (len(edges) - 2) or not lengths.all():
        return None
    runs: list[Digits] = []
    for first, end in pairwise(edges):
        run = _in_columns(codes[bounds[first] : bounds[end]].reshape(end - first, -1))
        if run is None or (runs and (run.marks != runs[0].marks or len(run.numbers) != len(runs[0].numbers))):
            return None
        runs.append(run)
    if len(runs) == 1:
        return runs[0]
    sizes = np.diff(edges)
    numbers = [np.concatenate(parts) for parts in zip(*(run.numbers for run in runs), strict=True)]
    widths = [
        parts[0] if len({*parts}) == 1 else np.repeat(parts, sizes)
        for parts in zip(*(run.widths for run in runs), strict=True)
    ]
    return Digits(runs[0].marks, numbers, widths)


def _in_columns(codes: NDArray[np.uint8]) -> Digits | None:
    """Take apart texts that are equally long, a row for each; None where their marks do not stand in columns."""
    is_mark = codes[0] > _MOST
    places = np.ascontiguousarray(codes.T)  # arithmetic along whole columns takes a fraction of the time
    if (places[is_mark] != places[is_mark, :1]).any() or (places[~is_mark] > _MOST).any():
        return None
    numbers: list[NDArray[np.int64]] = []
    widths: list[NDArray[np.int64] | int] = []
    for group in np.split(np.arange(is_mark.size), np.flatnonzero(is_mark)):
        digits = places[group[~is_mark[group]]]
        if len(digits) > _MOST_DIGITS:
            return None
        if len(digits):
            numbers.append(_number(digits))
            widths.append(len(digits))
    return Digits((codes[0, is_mark] + np.uint8(_ZERO)).tobytes(), numbers, widths)


def _number(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Numbers of up to ``_MOST_DIGITS`` digits, a row for each place; the smallest type that holds them is fastest."""
    value: NDArray[np.unsignedinteger] = digits[0]
    for places, digit in enumerate(digits[1:], 2):
        ten = np.uint8(10) if places < 3 else np.uint16(10) if places < 5 else np.uint32(10)
        value = value * ten + digit
    return value.astype(np.int64)


def _between_marks(codes: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Digits | None:
    """Take apart texts that lie one behind the other between bounds."""
    places = _places_of_marks(codes, bounds)
    if places is None:
        return None
    numbers: list[NDArray[np.int64]] = []
    widths: list[NDArray[np.int64] | int] = []
    for begin, end in zip([bounds[:-1], *(places + 1)], [*places, bounds[1:]], strict=True):
        width = end - begin
        fewest, most = int(width.min()), int(width.max())
        if most > _MOST_DIGITS or (most and not fewest):
            return None
        if most:
            numbers.append(_values(codes, end, width, fewest, most))
            widths.append(width)
    return Digits((codes[places[:, 0]] + np.uint8(_ZERO)).tobytes(), numbers, widths)


def datetimes_of(texts: pl.Series, format_: str) -> pl.Series | None:
    """Take stamps for times without a zone; None where one is missing or not plainly of the format.

    Args:
        texts: The stamps.
        format_: In the notation of ``strptime``, a fraction of seconds as ``%.f``, which stamps may lack.

    >>> datetimes_of(pl.Series(["2.3.2026 08:00:00.5"]), "%d.%m.%Y %H:%M:%S%.f").item()
    datetime.datetime(2026, 3, 2, 8, 0, 0, 500000)
    >>> datetimes_of(pl.Series(["30.2.2026 08:00:00"]), "%d.%m.%Y %H:%M:%S") is None
    True
    """
    found = digits_of(texts)
    if found is None:
        return None
    directives = _DIRECTIVE.findall(format_)
    marks = _DIRECTIVE.sub(lambda each: "." if each[0] == _FRACTION else "", format_).encode()
    if found.marks == marks.removesuffix(b".") != marks:
        directives.remove(_FRACTION)
    elif found.marks != marks:
        return None
    if len(found.numbers) != len(directives):
        return None
    part = dict(zip(directives, found.numbers, strict=True))
    fraction = part.pop(_FRACTION, None)
    if not part.keys() <= _RANGES.keys() or any(_outside(values, *_RANGES[name]) for name, values in part.items()):
        return None
    days = _days(part["%Y"], part["%m"], part["%d"])
    if days is None:
        return None
    microseconds = days * 24
    for name, next_parts in (("%H", 60), ("%M", 60), ("%S", 1_000_000)):
        microseconds = (microseconds + part.get(name, 0)) * next_parts
    if fraction is not None:
        microseconds += fraction * 1_000_000 // 10 ** found.widths[-1]
    return pl.Series(texts.name, microseconds).cast(pl.Datetime("us"))


def _outside(values: NDArray[np.int64], least: int, most: int) -> bool:
    return bool(values.min() < least or values.max() > most)


def _days(year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Days since 1970, looked up once for all stamps of a day in a row; None where a month has no such day."""
    months = (year - 1970) * 12 + month - 1
    starts = np.flatnonzero(np.diff(months * 32 + day, prepend=-1))
    first = months[starts].astype("datetime64[M]")
    dates = first.astype("datetime64[D]") + (day[starts] - 1)
    if (dates.astype("datetime64[M]") != first).any():
        return None
    return np.repeat(dates.astype(np.int64), np.diff(starts, append=year.size))


def _places_of_marks(codes: NDArray[np.uint8], bounds: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Where the marks stand: a row for each mark, a column for each text; None where the texts differ in them."""
    texts = bounds.size - 1
    found = np.flatnonzero(codes > _MOST)
    if found.size % texts:
        return None
    places = np.ascontiguousarray(found.reshape(texts, -1).T)
    if not places.size:
        return places
    inside = (places[0] >= bounds[:-1]).all() and (places[-1] < bounds[1:]).all()
    return places if inside and all((codes[row] == codes[row[0]]).all() for row in places) else None


def _values(
    codes: NDArray[np.uint8], end: NDArray[np.int64], width: NDArray[np.int64], fewest: int, most: int
) -> NDArray[np.int64]:
    values = np.zeros(end.size, np.int64)
    for place in range(most):
        digit = codes[np.maximum(end - (place + 1), 0)]
        values += (digit if place < fewest else np.where(width > place, digit, 0)) * np.int64(10**place)
    return values
