"""IviumSoft data files (``.idf``, ``.ids``): impedance spectra.

File structure, as public readers describe it:
    Text in Latin-1 between control characters. Each data set begins with ``Title=``, holds lines ``key=value``, and
    after the line ``primary_data`` the number of columns, the number of points, and the points: for impedance the
    real part, the imaginary part and the frequency, between spaces, with either decimal mark. An ``.ids`` holds
    several data sets.

Choices:
    The same three columns hold other quantities where the method is another one, so only data sets whose ``Method``,
    ``Technique`` or ``Mode`` says impedance are read; the others need IviumSoft's export. The imaginary part is taken
    as the file has it. Each data set is a step where there are several.

Seen in:
    Not yet checked on a real file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.potentiostat import count_warning

COLUMNS = (columns.REAL_IMPEDANCE, columns.IMAGINARY_IMPEDANCE, columns.FREQUENCY)
"""What the columns of an impedance data set hold, in their order."""

_DATA = "primary_data"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NAMING = ("method", "technique", "mode")


class IviumIdf:
    """Reads impedance data files of IviumSoft."""

    name = "ivium_idf"
    version = "1"
    tester = "Ivium"
    suffixes = frozenset({".idf", ".ids"})
    description = "IviumSoft impedance files; Title= and primary_data between lines; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a line Title= stands above a line primary_data."""
        title = head.find(b"Title=")
        return title >= 0 and title < head.find(_DATA.encode())

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read every impedance data set of the file.

        Raises:
            CorruptFileError: None has points, or none is impedance.
        """
        text = _CONTROL.sub("", path.read_bytes().decode("latin-1"))
        metadata = TestMetadata(tester=self.tester, technique="Impedance", test_type="eis")
        warnings: list[str] = []
        frames = []
        for data_set in _data_sets(text):
            if not data_set.is_impedance:
                warnings.append(
                    f"{data_set.title!r} is no impedance ({data_set.method}); export it from IviumSoft as text"
                )
                continue
            warnings += data_set.warnings
            frames.append(pl.DataFrame(data_set.points, schema=[column.name for column in COLUMNS], orient="row"))
            metadata.header |= data_set.header
            metadata.test_name = metadata.test_name or data_set.title or None
        frames = [frame for frame in frames if frame.height]
        if not frames:
            raise CorruptFileError(path, "; ".join(["no impedance points", *warnings[:3]]), self.name)
        frame = pl.concat(frames)
        metadata.sources = {column.name: ColumnSource(_DATA, column.unit) for column in COLUMNS}
        if len(frames) > 1:
            steps = [step for step, each in enumerate(frames, 1) for _ in range(each.height)]
            frame = frame.with_columns(pl.Series(columns.STEP_COUNT.name, steps))
            metadata.sources[columns.STEP_COUNT.name] = ColumnSource("data sets of the file")
        return Reading(frame, metadata, warnings)


@dataclass
class _DataSet:
    header: dict[str, str] = field(default_factory=dict)
    points: list[tuple[float, ...]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.header.get("Title", "")

    @property
    def method(self) -> str:
        named = [f"{key}={value}" for key, value in self.header.items() if key.lower() in _NAMING]
        return ", ".join(named) or "it names no method"

    @property
    def is_impedance(self) -> bool:
        return "impedance" in self.method.lower()


def _data_sets(text: str) -> Iterator[_DataSet]:
    """Take the data sets out of the text; bytes between them that say nothing are passed over."""
    current = _DataSet()
    lines = enumerate(text.split("\n"), 1)
    for _, line in lines:
        if _DATA in line:
            _read_points(current, lines)
            yield current
            current = _DataSet()
            continue
        title = line.find("Title=")
        key, equals, value = (part.strip() for part in line[max(0, title) :].partition("="))
        if equals and key.isprintable():
            current.header.setdefault(key, value)


def _read_points(data_set: _DataSet, lines: Iterator[tuple[int, str]]) -> None:
    width, count = (next(lines, (0, ""))[1].strip() for _ in range(2))
    if width != str(len(COLUMNS)) or not count.isdecimal():
        data_set.warnings.append(
            f"the data set {data_set.title!r} has {width!r} columns and {count!r} points; left out"
        )
        return
    # One line at a time: what follows the last point belongs to the next data set.
    while len(data_set.points) < int(count) and (found := next(lines, None)):
        number, line = found
        try:
            point = tuple(float(cell) for cell in line.replace(",", ".").split())
        except ValueError:
            point = ()
        if len(point) != len(COLUMNS):
            data_set.warnings.append(f"line {number} is no point; left out, with what follows")
            break
        data_set.points.append(point)
    data_set.warnings += count_warning(int(count), len(data_set.points), f"the data set {data_set.title!r}")
