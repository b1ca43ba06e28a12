"""Clock stamps of text exports to seconds since 1970.

Testers write the local wall time of their computer, in the order of its locale and without a zone. A day order that
the stamps themselves leave open is settled by the test time beside them, and an hour that the clock repeats, too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from battery_analysis.errors import SettingsError
from battery_analysis.readers.digits import datetimes_of
from battery_analysis.readers.spelled_dates import in_numbers

_SHAPE = re.compile(
    r"(?P<date>\d{1,4}(?P<part>[/.-])\d{1,2}(?P=part)\d{1,4})"
    r"((?P<gap>[ T]+)\d{1,2}:\d{2}(?P<seconds>:\d{2}(?P<mark>[.,:])?\d*)?)?"
    r"(?P<half> *[AaPp][Mm])?(?P<zone> *(Z|[+-]\d{2}:?\d{2}))?"
)
_EXCEL_DAYS_TO_1970 = 25_569
_EXCEL_DAYS = (10_000.0, 100_000.0)
_UNIX_MILLISECONDS = 1e11
_SECONDS_A_DAY = 86_400.0
_MONTHS = 12
_SAMPLE = 1_000


class Stamps(NamedTuple):
    """Stamps as seconds since 1970-01-01 00:00 UTC.

    ``local`` says that they were written without a zone and taken in the given one.
    """

    unix_time: pl.Series
    local: bool
    warnings: list[str]


def unix_time(stamps: pl.Series, test_time: pl.Series, time_zone: str) -> Stamps:
    """Convert a column of stamps, whatever its notation.

    Texts are dates with or without time, zone and AM or PM, also with words in them; year first, month first with
    slashes or hyphens unless only day first is possible, day first with points. Numbers are serial days of a
    spreadsheet (1900 system), or seconds or milliseconds since 1970. Stamps in an hour that the clock repeats are told
    apart by the test time; stamps in an hour that the clock leaves out are taken with the offset before the change.

    Args:
        stamps: Texts or numbers.
        test_time: Seconds since the start of the test, for the same records.
        time_zone: IANA zone of stamps that carry none.

    Raises:
        SettingsError: There is no such zone.
    """
    _check_zone(time_zone)
    if stamps.dtype.is_numeric():
        return _from_numbers(stamps.cast(pl.Float64), test_time, time_zone)
    texts = stamps.cast(pl.String)
    parsed = _from_texts(texts, test_time, time_zone)
    if parsed.unix_time.null_count() == texts.null_count():
        return parsed
    bare = pl.col(stamps.name).str.strip_chars(" \t\"'")  # only now, since few testers pad or quote their stamps
    texts = texts.to_frame().select(pl.when(bare != "").then(bare)).to_series()
    return _from_texts(texts, test_time, time_zone)


def local_to_unix(clock: pl.Series, test_time: pl.Series, time_zone: str) -> pl.Series:
    """Convert local wall time (``Datetime`` without a zone) to seconds since 1970.

    >>> night = pl.Series(["2023-10-29 02:59:00", "2023-10-29 02:01:00"]).str.to_datetime()
    >>> seconds = local_to_unix(night, pl.Series([0.0, 120.0]), "Europe/Berlin")
    >>> seconds[1] - seconds[0]
    120.0
    """
    if time_zone == "UTC":
        return _epoch(clock)
    before = _epoch(clock.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null"))
    after = _epoch(clock.dt.replace_time_zone(time_zone, ambiguous="latest", non_existent="null"))
    if before.null_count() > clock.null_count():
        hour = pl.duration(hours=1)
        shifted = clock.to_frame("clock").select(
            (pl.col("clock") - hour).dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
        )
        earlier = _epoch(shifted["clock"]) + 3600.0
        before, after = before.fill_null(earlier), after.fill_null(earlier)
    if before.equals(after):
        return before
    # Where the clock repeats an hour, the start of the test that the last certain stamp gives decides.
    table = pl.DataFrame({"before": before, "after": after, "test": test_time.cast(pl.Float64)})
    start = pl.when(pl.col("before") == pl.col("after")).then(pl.col("before") - pl.col("test"))
    first = pl.col("before").drop_nulls().first() - pl.col("test").drop_nulls().first()
    expected = pl.col("test") + start.forward_fill().backward_fill().fill_null(first)
    late = ((pl.col("after") - expected).abs() < (pl.col("before") - expected).abs()).fill_null(False)
    return table.select(pl.when(late).then("after").otherwise("before").alias(clock.name)).to_series()


def certain_ends(clock: pl.Series, test_time: pl.Series) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Clock and test time of the first and the last record that have both; None where no record has.

    >>> certain_ends(pl.Series([None, 101.0, 102.0]), pl.Series([0, 1, 2]))
    ((101.0, 1.0), (102.0, 2.0))
    """
    if clock.null_count() or test_time.null_count():
        both = clock.is_not_null() & test_time.is_not_null()
        clock, test_time = clock.filter(both), test_time.filter(both)
    if not clock.len():
        return None
    return (float(clock[0]), float(test_time[0])), (float(clock[-1]), float(test_time[-1]))


def moment(seconds: float) -> datetime | None:
    """Seconds since 1970 as a time in UTC; None where damage has made them one that no calendar has.

    >>> moment(0.0), moment(1e30)
    (datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), None)
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _check_zone(time_zone: str) -> None:
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise SettingsError(f"time_zone: there is no time zone {time_zone!r}") from exc


def _epoch(clock: pl.Series) -> pl.Series:
    return clock.dt.epoch("us") / 1e6


def _from_numbers(stamps: pl.Series, test_time: pl.Series, time_zone: str) -> Stamps:
    typical = stamps.median()
    if not isinstance(typical, float):
        return Stamps(stamps, False, [])
    if _EXCEL_DAYS[0] < typical < _EXCEL_DAYS[1]:
        microseconds = ((stamps - _EXCEL_DAYS_TO_1970) * _SECONDS_A_DAY * 1e3).round() * 1e3  # days hold no more
        clock = microseconds.cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
        return Stamps(local_to_unix(clock, test_time, time_zone), True, [])
    if typical < _EXCEL_DAYS[1]:
        nothing = pl.Series(stamps.name, [None] * stamps.len(), pl.Float64)
        return Stamps(nothing, False, [f"the clock stamps are no dates, such as {typical}"])
    return Stamps(stamps / 1e3 if typical > _UNIX_MILLISECONDS else stamps, False, [])


def _from_texts(texts: pl.Series, test_time: pl.Series, time_zone: str) -> Stamps:
    """Convert stamps of one notation."""
    first = texts[0] if texts.len() and texts[0] else texts.drop_nulls().first()
    written = texts.len() - texts.null_count()
    shape = _SHAPE.fullmatch(first) if isinstance(first, str) else None
    if shape is None and isinstance(first, str):
        texts = in_numbers(texts)
        numbered = texts.drop_nulls().first()
        shape = _SHAPE.fullmatch(numbered) if isinstance(numbered, str) else None
    if shape is None:
        nothing = pl.Series(texts.name, [None] * texts.len(), pl.Float64)
        there = [f"the clock stamps could not be read, such as {first!r}"] if first else []
        return Stamps(nothing, False, there)
    if shape["mark"] in (",", ":"):
        texts = texts.str.replace(r"(:\d\d:\d\d)[,:](\d+)", "${1}.${2}")

    clock, warnings = _parse(texts, shape, test_time)
    lost = written - clock.count()
    if lost:
        warnings.append(f"{lost} clock stamps could not be read and are kept as missing")
    if shape["zone"]:
        return Stamps(_epoch(clock), False, warnings)
    return Stamps(local_to_unix(clock, test_time, time_zone), True, warnings)


def _parse(texts: pl.Series, shape: re.Match[str], test_time: pl.Series) -> tuple[pl.Series, list[str]]:
    """Parse with the one order of day, month and year that all stamps and the test time allow."""
    time_format = _time_format(shape)
    if shape["zone"]:
        texts = texts.str.replace(r" *Z$", "+00:00")
    formats = [date + time_format for date in _date_formats(shape["date"])]
    clock = _clock(texts, formats[0])
    if len(formats) == 1:
        return clock, []
    if clock.null_count() > texts.null_count():
        other = _clock(texts, formats[1])
        if other.null_count() != clock.null_count():
            return min(clock, other, key=pl.Series.null_count), []
    elif (clock.dt.day() > _MONTHS).any():
        return clock, []
    certain = (clock.is_not_null() & test_time.is_not_null()).arg_true()
    ends = certain.head(1).append(certain.tail(1))
    stamps, times = texts.gather(ends), test_time.gather(ends)
    month_first, day_first = (_drift(_clock(stamps, each), times) for each in formats)
    if abs(month_first - day_first) > 1.0:
        return (_clock(texts, formats[1]) if day_first < month_first else clock), []
    if (clock.dt.day() == clock.dt.month()).all():
        return clock, []
    return clock, [f"day and month of the clock stamps cannot be told apart ({texts.drop_nulls()[0]}); month first"]


def _clock(texts: pl.Series, format_: str) -> pl.Series:
    """Stamps as times; null where they are not of the format."""
    clock = datetimes_of(texts, format_)
    if clock is not None:
        return clock
    sample = texts.head(_SAMPLE)
    cache = 2 * sample.n_unique() < sample.len()  # looking stamps up takes half as long as reading them
    whole = texts.str.to_datetime(format_.replace("%.f", ""), time_unit="us", strict=False, cache=cache)
    if whole.null_count() == texts.null_count() or "%.f" not in format_:
        return whole
    return texts.str.to_datetime(format_, time_unit="us", strict=False, cache=cache)


def _drift(clock: pl.Series, test_time: pl.Series) -> float:
    """Seconds by which the clock and the test time disagree about the time from the first to the last record."""
    ends = certain_ends(clock.to_physical(), test_time)
    if ends is None:
        return 0.0
    (first_clock, first_test), (last_clock, last_test) = ends
    return abs((last_clock - first_clock) / 1e6 - (last_test - first_test))


def _date_formats(date: str) -> list[str]:
    mark = next(char for char in date if not char.isdigit())
    parts = date.split(mark)
    if len(parts[0]) == 4:
        orders = [("%Y", "%m", "%d")]
    else:
        year = "%Y" if len(parts[2]) == 4 else "%y"
        orders = [("%d", "%m", year)] if mark == "." else [("%m", "%d", year), ("%d", "%m", year)]
    return [mark.join(order) for order in orders]


def _time_format(shape: re.Match[str]) -> str:
    if not shape["gap"]:
        return ""
    hour = "%I" if shape["half"] else "%H"
    half = " " * shape["half"].count(" ") + "%p" if shape["half"] else ""
    zone = " " * shape["zone"].count(" ") + "%z" if shape["zone"] else ""
    return f"{shape['gap']}{hour}:%M{':%S%.f' if shape['seconds'] else ''}{half}{zone}"
