"""When a Neware test began and ended: clocks of the records before stamps of the header."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def first_stamp(frame: pl.DataFrame) -> datetime | None:
    """Start of the test: the first record's clock less its test time; None where records carry no clock."""
    if not {"unix_time_second", "test_time_second"} <= set(frame.columns):
        return None
    first = frame.head(1).select("unix_time_second", "test_time_second").drop_nulls()
    return from_unix(first.item(0, 0) - first.item(0, 1)) if first.height else None


def last_stamp(frame: pl.DataFrame) -> datetime | None:
    """Clock of the last record; None where records carry no clock."""
    if "unix_time_second" not in frame:
        return None
    last = frame["unix_time_second"].tail(1).drop_nulls()
    return from_unix(last.item()) if last.len() else None


def from_unix(seconds: float) -> datetime | None:
    """Return an aware time to the millisecond; None for what no calendar holds."""
    try:
        return _EPOCH + timedelta(milliseconds=round(seconds * 1000))
    except (OverflowError, ValueError):
        return None


def from_header(stamp: str | None, time_zone: str) -> datetime | None:
    """Read a stamp such as ``2020-03-25 11:16:21`` or ``2009.06.14 02:37:17``; None for anything else.

    One without a zone is taken in ``time_zone``.

    >>> from_header("2020-03-25 11:16:21", "Europe/Oslo").isoformat()
    '2020-03-25T10:16:21+00:00'
    """
    if not stamp:
        return None
    date, _, clock = stamp.strip().replace("T", " ").partition(" ")
    try:
        when = datetime.fromisoformat(f"{date.replace('.', '-')} {clock}")
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)
