"""Any delimited text, read as a mapping file says (``.csv``, ``.tsv``, ``.txt``).

File structure:
    Whatever lines, one line of column names, and one row for each record. A file has the layout of a mapping where a
    line holds exactly the column names of the mapping, in any order: an unknown header is never read by guess.

Choices:
    The reader's version is the digest of the mapping file, so that a stored test says by which words it was read.
    Where stamps give the test time, it counts from the first record, and the stamps are kept as clock time as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, aux_name
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.mapping import unused_name
from battery_analysis.readers.mapping_files import AUX, CLOCK, IGNORE, SERIES, Layout, MappedColumn, load_layouts
from battery_analysis.readers.preamble import Below, find_table
from battery_analysis.readers.sniff import column_names, head_text, load_text, sample_lines
from battery_analysis.readers.stamps import local_to_unix
from battery_analysis.readers.table import parse_table
from battery_analysis.readers.terms import as_numbers, keep_words
from battery_analysis.readers.typed import date_by_clock

_UNNAMED = "unnamed "
_HOUR = 3600.0


def delimited_readers(folder: Path | None) -> tuple[DelimitedText, ...]:
    """Return a reader for every mapping of a folder.

    Raises:
        SettingsError: A mapping is malformed; names file, line and key.
    """
    return tuple(DelimitedText(layout) for layout in load_layouts(folder))


class DelimitedText:
    """Reads delimited text of one layout."""

    suffixes = frozenset({".csv", ".tsv", ".txt", ".dat"})

    def __init__(self, layout: Layout) -> None:
        self.name = f"delimited:{layout.name}"
        self.version = layout.digest
        self.tester = layout.tester
        self.description = f"Delimited text with the column names of the mapping {layout.name}.toml"
        self._layout = layout
        self._names = _named(each.name for each in layout.columns)

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a line, or the one that the mapping tells, holds the column names of the mapping."""
        return self._find(head_text(head).encode()) is not None

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one file.

        Raises:
            CorruptFileError: There is no line of the mapping's column names.
            SchemaError: A column does not hold what the mapping says.
        """
        text, _, warnings = load_text(path, keep_returns=True)
        below = self._find(text)
        if below is None:
            raise CorruptFileError(path, f"no line holds the column names of {self._layout.name}.toml", self.name)
        raw, table_warnings = self._table(below)
        metadata = TestMetadata(tester=self.tester)
        metadata.header = {f"line {number}": line for number, line in enumerate(below.lines, 1) if line.strip()}
        frame = self._frame(raw, metadata)
        frame, clock_warnings = self._with_stamps(frame, raw, metadata, time_zone)
        date_by_clock(frame, metadata)
        return Reading(frame, metadata, [*warnings, *table_warnings, *clock_warnings])

    def _find(self, text: bytes) -> Below | None:
        lines = 0

        def is_header(line: str) -> bool:
            nonlocal lines
            lines += 1
            if self._layout.header_row not in (None, lines) or self._layout.delimiter not in line:
                return False
            return _named(column_names(line, self._layout.delimiter, ())[0]) == self._names

        return find_table(text, is_header)

    def _table(self, below: Below) -> tuple[pl.DataFrame, list[str]]:
        layout = self._layout
        names, name_warnings = column_names(below.header, layout.delimiter, sample_lines(below.text, start=below.start))
        required = [each.name for each in layout.columns if each.to in {column.name for column in SERIES}]
        frame, warnings = parse_table(
            below.text,
            names,
            delimiter=layout.delimiter,
            decimal=layout.decimal,
            first_line=below.first_line,
            start=below.start,
            required=required,
            real={each.name for each in layout.columns if each.unit or _holds(each, pl.Float64())},
            words={each.name for each in layout.columns if each.format or _holds(each, columns.STEP_TYPE.dtype)},
        )
        return frame, [*name_warnings, *warnings]

    def _frame(self, raw: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
        """Everything but stamps, which need the test time."""
        chosen: dict[str, pl.Series] = {}
        mapped = {each.name: each for each in self._layout.columns}
        for name in raw.columns:
            column = mapped.get(name, MappedColumn(name, AUX))
            values = raw[name]
            if column.to == IGNORE or _is_stamp(column):
                continue
            if column.to not in BY_NAME and not (values.dtype.is_numeric() and values.count()):
                keep_words(raw.select(name), metadata)
                continue
            target = unused_name(aux_name(name), chosen) if column.to == AUX else column.to
            chosen[target] = _values(values, column).alias(target)
            metadata.sources[target] = ColumnSource(name, column.unit)
        return pl.DataFrame(list(chosen.values()))

    def _with_stamps(
        self, frame: pl.DataFrame, raw: pl.DataFrame, metadata: TestMetadata, time_zone: str
    ) -> tuple[pl.DataFrame, list[str]]:
        test_name, clock_name = columns.TEST_TIME.name, columns.UNIX_TIME.name
        warnings: list[str] = []
        stamped = [each for each in self._layout.columns if _is_stamp(each)]
        for column in sorted(stamped, key=lambda each: each.to == clock_name):  # the test time first
            clock, lost = _parsed(raw[column.name], column)
            warnings += lost
            zone = column.zone or time_zone
            if clock.dtype == pl.Datetime("us"):
                seconds = local_to_unix(clock, _elapsed(frame, clock), zone)
                metadata.time_zone = zone
            else:
                seconds = clock.dt.epoch("us") / 1e6
            metadata.sources[column.to] = ColumnSource(column.name)
            if column.to == test_name:
                frame = frame.with_columns((seconds - seconds.drop_nulls().first()).alias(test_name))
            if column.to == clock_name or clock_name not in frame.columns:
                frame = frame.with_columns(seconds.alias(clock_name))
                metadata.sources[clock_name] = ColumnSource(column.name)
        return frame, warnings


def _named(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if not name.startswith(_UNNAMED))


def _holds(column: MappedColumn, dtype: pl.DataType) -> bool:
    return column.to in BY_NAME and BY_NAME[column.to].dtype == dtype and not column.format


def _is_stamp(column: MappedColumn) -> bool:
    return column.format not in (None, CLOCK)


def _values(values: pl.Series, column: MappedColumn) -> pl.Series:
    """Bring one column to canonical unit and sign."""
    target = BY_NAME.get(column.to)
    if target and target.dtype == pl.String():
        return values.cast(pl.String)
    if column.format == CLOCK:
        values = as_numbers(values.cast(pl.String), "", columns.TEST_TIME)
    if not values.dtype.is_numeric():
        example = values.drop_nulls().first()
        wanted = "clock times such as 1d 02:03:04" if column.format == CLOCK else "numbers"
        raise SchemaError(f"column {column.name!r} does not hold {wanted}, but texts such as {example!r}")
    if target and target.dtype == pl.Int64() and values.dtype.is_float() and not (values.round() == values).all():
        raise SchemaError(f"column {column.name!r} holds fractions, which {target.name} must not")
    if column.factor != 1.0:
        values = values * column.factor
    if column.offset:
        values = values + column.offset
    return -values if column.sign < 0 else values


def _parsed(stamps: pl.Series, column: MappedColumn) -> tuple[pl.Series, list[str]]:
    """Stamps as ``Datetime`` in microseconds, with a zone where they carry one."""
    written = str(column.format)
    texts = stamps.cast(pl.String).str.strip_chars(' \t"')
    if ",%f" in written:
        texts = texts.str.replace(r"(:\d\d),(\d+)", "${1}.${2}")
        written = written.replace(",%f", ".%f")
    try:
        clock = texts.str.to_datetime(written.replace(".%f", "%.f"), time_unit="us", strict=False)
    except pl.exceptions.PolarsError as exc:
        raise SchemaError(f"column {column.name!r}: stamps cannot be read as {column.format!r}: {exc}") from exc
    lost = clock.null_count() - texts.null_count()
    if not clock.count():
        example = texts.drop_nulls().first()
        raise SchemaError(f"column {column.name!r} holds no stamps written as {column.format!r}, but {example!r}")
    return clock, [f"{lost} stamps of column {column.name!r} are not written as {column.format!r}"] if lost else []


def _elapsed(frame: pl.DataFrame, clock: pl.Series) -> pl.Series:
    """What tells stamps apart in an hour that the clock repeats: the test time, else the clock itself."""
    if columns.TEST_TIME.name in frame.columns:
        return frame[columns.TEST_TIME.name].cast(pl.Float64)
    seconds = (clock.dt.epoch("us") / 1e6).fill_null(strategy="forward").fill_null(0.0)
    turned_back = seconds.diff().is_between(-_HOUR, 0.0, closed="left").fill_null(False)
    return seconds + _HOUR * turned_back.cum_sum()
