"""What a reader is and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import polars as pl

TestType = Literal["cycling", "eis", "cv", "gitt", "hppc", "ocv", "other"]

HEAD_BYTES = 65_536
"""How much of a file ``recognises`` gets to see."""


@dataclass(frozen=True)
class ColumnSource:
    """Where a frame column comes from: the vendor's name and unit for it."""

    name: str
    unit: str = ""


@dataclass
class TestMetadata:
    """What a file says about its test, beside the records. What it does not say stays empty.

    Times are UTC and aware. ``time_zone`` is the zone in which stamps without one were
    taken. ``header`` keeps every key and value of the file's own header as text.
    """

    __test__ = False  # not a test class, whatever its name

    tester: str
    device: str | None = None
    channel: str | None = None
    technique: str | None = None
    test_type: TestType | None = None
    test_name: str | None = None
    sample_name: str | None = None
    barcode: str | None = None
    protocol: str | None = None
    operator: str | None = None
    comment: str | None = None
    software: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    time_zone: str | None = None
    active_mass_gram: float | None = None
    electrode_area_cm2: float | None = None
    nominal_capacity_ah: float | None = None
    voltage_limits_volt: tuple[float, float] | None = None
    announced_records: int | None = None
    finished: bool | None = None
    """True where the file says that the test has ended, None where it does not say."""
    continuation: bool = False
    """True where the counters of the first record go on from another file."""
    sources: dict[str, ColumnSource] = field(default_factory=dict)
    """For every frame column: what the vendor calls it, and the vendor's unit."""
    header: dict[str, str] = field(default_factory=dict)


@dataclass
class Reading:
    """What a reader returns: records in canonical and ``aux_`` columns, as the file holds them."""

    frame: pl.DataFrame
    metadata: TestMetadata
    warnings: list[str] = field(default_factory=list)


class Reader(Protocol):
    """Reads one file format. Knows no database, and writes no file.

    A reader that takes facts from files beside the one with records has a method ``companions(path) -> list[Path]``
    as well: those that are there and that it will open.
    """

    name: str
    """Identifier of the format, such as ``arbin_csv``; stored with every test."""
    version: str
    """Changes when the same bytes would give another frame."""
    tester: str
    """The vendor, as users write it."""
    suffixes: frozenset[str]
    """Usual suffixes, lower case with dot: a hint that decides who is asked first."""
    description: str
    """One line: which files, and how they are recognised."""

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether content that begins with ``head`` (up to ``HEAD_BYTES``) is this format.

        ``path`` is there for containers such as workbooks, whose beginning does not tell; whatever
        is wrong inside them is no reason to raise, but to answer no.
        """
        ...

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the whole file; stamps without a zone are taken in ``time_zone``.

        Raises:
            CorruptFileError: The file is damaged, incomplete beyond use or has no records.
            MissingExtraError: An optional package is not installed.
            SchemaError: A required column is absent.
        """
        ...
