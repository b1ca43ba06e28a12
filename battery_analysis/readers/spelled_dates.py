"""Clock stamps with words in them, written in numbers.

Months have English or German names; Chinese, Korean and Japanese computers mark year, month and day, and put the half
of the day before the time.
"""

from __future__ import annotations

import re

import polars as pl

_ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {
    **{name: at for at, name in enumerate(_ENGLISH, 1)},
    **{"mai": 5, "okt": 10, "dez": 12, "mrz": 3, "mär": 3},
}
_NAMED_MONTH = r"^(?:[A-Za-z]+, *)?(\d{1,2})[- ]([A-Za-zä]{3})[A-Za-z]*[- ](\d{2,4}),?( .*)?$"
_MONTH_FIRST = r"^(?:[A-Za-z]+, *)?([A-Za-zä]{3})[A-Za-z]* +(\d{1,2}), *(\d{4}),?( .*)?$"
_MARKED = r"^(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월]\s*(\d{1,2})\s*[日일]\s*"
_HALVES = {"AM": "上午|午前|오전", "PM": "下午|午後|오후"}


def in_numbers(stamps: pl.Series) -> pl.Series:
    """Write stamps year first where the month has a name, and with AM or PM at the end; leave all others.

    >>> in_numbers(pl.Series(["23-Nov-23 3:56:11 PM"]))[0], in_numbers(pl.Series(["2023年11月23日 下午 3:56:11"]))[0]
    ('2023-11-23 3:56:11 PM', '2023-11-23 3:56:11 PM')
    """
    first = stamps.drop_nulls().first()
    if stamps.dtype != pl.String or not isinstance(first, str):
        return stamps
    if not first.isascii() and re.search(f"[年년]|{'|'.join(_HALVES.values())}", first):
        return _without_marks(stamps)
    return _with_numbered_month(stamps, first) if re.search(r"[A-Za-zä]{3}", first.strip()) else stamps


def _without_marks(stamps: pl.Series) -> pl.Series:
    texts = stamps.str.strip_chars().str.replace(_MARKED, "${1}-${2}-${3} ")
    for half, words in _HALVES.items():
        texts = texts.str.replace(rf"^(\S+)\s*(?:{words})\s*(\S+)$", f"${{1}} ${{2}} {half}")
    return texts


def _with_numbered_month(stamps: pl.Series, first: str) -> pl.Series:
    day_first = re.match(_NAMED_MONTH, first.strip()) is not None
    parts = stamps.str.strip_chars().str.extract_groups(_NAMED_MONTH if day_first else _MONTH_FIRST).struct.unnest()
    one, two, year, time = parts.iter_columns()
    day, month = (one, two) if day_first else (two, one)
    number = month.str.to_lowercase().replace_strict(_MONTHS, default=None, return_dtype=pl.Int64)
    table = pl.DataFrame({"year": year, "month": number, "day": day, "time": time.fill_null("")})
    century = pl.when(pl.col("year").str.len_chars() == 2).then(pl.lit("20")).otherwise(pl.lit(""))
    two_digits = (pl.col(name).cast(pl.String).str.zfill(2) for name in ("month", "day"))
    return table.select(
        (pl.concat_str(pl.concat_str(century, pl.col("year")), *two_digits, separator="-") + pl.col("time")).alias(
            stamps.name
        )
    ).to_series()
