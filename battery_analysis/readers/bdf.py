"""Battery Data Format (``.bdf.csv``, ``.bdf.gz``, ``.bdf.parquet``), and plain tables with its column names.

File structure:
    A table of one row for each record. Columns carry the terms of the ontology, see ``bdf_terms``: machine names,
    preferred labels, older names, or replaced terms such as times in milliseconds. Anything else that holds numbers is
    an addition of its author. Positive current charges; counters follow the reset rule of their term.

Choices:
    A file must hold a time and a voltage (or the three columns of an impedance spectrum) under names of the format;
    above them may stand lines that begin with "# ", as the dashboard's exports have them.
    Where two columns are the same term, the present name wins over an older one. The format does not say which
    tester recorded; files that this project wrote as Parquet carry what the original said. ``derived_cycle_count``
    and ``step_kind`` are left out, since they are derived again. Published files exist whose times are 3600 times too
    large: values are kept, and a current that flows in one direction for longer than any test lasts is named in a
    warning.

Seen in:
    Reference data and test files of the Battery Data Alliance (Basytec, Neware, Landt, Maccor, Novonix, Arbin data).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import AUX_PREFIX, BY_NAME, Column, aux_name
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import HEAD_BYTES, Reading, TestMetadata, TestType
from battery_analysis.readers.bdf_terms import REPLACED, Term, term_of
from battery_analysis.readers.inflate import gunzipped_start
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.notes import NOTE_KEY, from_note
from battery_analysis.readers.preamble import find_table
from battery_analysis.readers.sniff import (
    column_names,
    head_lines,
    load_text,
    sample_lines,
    sniff_decimal,
    sniff_delimiter,
    split_cells,
)
from battery_analysis.readers.table import parse_table
from battery_analysis.readers.typed import PARQUET_MAGIC, date_by_clock, parquet_names, plain, read_parquet

_SERIES = {columns.TEST_TIME.name, columns.VOLTAGE.name}
_SPECTRUM = {columns.FREQUENCY.name, columns.REAL_IMPEDANCE.name, columns.IMAGINARY_IMPEDANCE.name}
_LANDTS_ALONE = {"channel_index", "date_time_iso_string"}  # beside which older names of the format are Landt's own
_REMARK = "# "  # a column may be called "#"
_TRUTH = {"true": True, "false": False}

LONGEST_DIRECTION_HOURS = 1000.0
"""At a steady current no charge or discharge lasts that long: six weeks, C/1000."""
HOURS_PER_YEAR = 8766.0


class BdfCsv:
    """Reads text tables in the terms of the Battery Data Format."""

    name = "bdf_csv"
    version = "1"
    tester = "BDF"
    suffixes = frozenset({".bdf", ".csv", ".gz"})
    description = "Battery Data Format tables (.bdf.csv, .bdf, .bdf.gz); columns named by terms of its ontology"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line with content names time and voltage, or a spectrum, in terms of the format."""
        if head.startswith(PARQUET_MAGIC):
            return False
        lines = head_lines(gunzipped_start(head, HEAD_BYTES) or head)
        at = next((at for at, line in enumerate(lines) if _has_content(line)), None)
        delimiter = None if at is None else sniff_delimiter(lines[at], lines[at + 1 : at + 21])
        if at is None or delimiter is None:
            return False
        return holds_terms([cell.strip(' \t"') for cell in split_cells(lines[at], delimiter)])

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one table; the format's clock is UTC."""
        text, _, warnings = load_text(path, keep_returns=True)
        below = find_table(text, _has_content)
        sample = sample_lines(text, start=below.start) if below else []
        delimiter = sniff_delimiter(below.header, sample) if below else None
        if below is None or delimiter is None:
            raise CorruptFileError(path, "no table found: its first line is not a line of column names", self.name)
        names, name_warnings = column_names(below.header, delimiter, sample)
        terms = {name: term for name in names if (term := term_of(name))}
        raw, table_warnings = parse_table(
            text,
            names,
            delimiter=delimiter,
            decimal=sniff_decimal(sample, delimiter),
            first_line=below.first_line,
            required=[name for name, term in terms.items() if term.column.name in _SERIES],
            real={name for name, term in terms.items() if term.column.dtype.is_float()},
            words={name for name, term in terms.items() if term.column.dtype == pl.String},
            start=below.start,
        )
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        del text, below  # many megabytes of which nothing more is needed
        reading = to_reading(_with_truth(raw), TestMetadata(tester=self.tester), time_zone)
        reading.warnings[:0] = [*warnings, *name_warnings, *table_warnings]
        return reading


class BdfParquet:
    """Reads Parquet tables in the terms of the Battery Data Format."""

    name = "bdf_parquet"
    version = "1"
    tester = "BDF"
    suffixes = frozenset({".parquet"})
    description = "Battery Data Format tables (.bdf.parquet); columns named by terms of its ontology"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the columns name time and voltage, or a spectrum; a file without its end may be one, too."""
        names = parquet_names(head, path)
        return head.startswith(PARQUET_MAGIC) if names is None else holds_terms(names)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one table; a clock column without a zone is taken in ``time_zone``."""
        table, notes = read_parquet(path, self.name)
        if not holds_terms(table.columns):
            raise CorruptFileError(path, f"no time and voltage among the columns {table.columns}", self.name)
        return with_note(table, notes.get(NOTE_KEY, ""), time_zone)


def holds_terms(names: Sequence[str]) -> bool:
    """Say whether columns name a time series or a spectrum in terms of the format.

    >>> holds_terms(["Test Time / s", "Voltage / V"]), holds_terms(["Test Time (s)", "Voltage (V)"])
    (True, False)
    """
    if _LANDTS_ALONE & set(names):
        return False
    found = {term.column.name for name in names if (term := term_of(name))}
    return found >= _SERIES or found >= _SPECTRUM


def with_note(table: pl.DataFrame, note: str, time_zone: str) -> Reading:
    """Map a table in terms of the format, beside which this project may have noted what was said of its test."""
    kept = from_note(note)
    reading = to_reading(table, kept or TestMetadata(tester=BdfParquet.tester), time_zone)
    if kept is not None and kept.sources:
        reading.metadata.sources |= {name: source for name, source in kept.sources.items() if name in table.columns}
    return reading


def to_reading(table: pl.DataFrame, metadata: TestMetadata, time_zone: str) -> Reading:
    """Map a table in terms of the format; ``metadata`` gets sources, dates, and what is left to say."""
    terms = {name: term for name in table.columns if (term := term_of(name))}
    table = table.drop((column.name for column in columns.DERIVED), strict=False)
    texts = {name for name, term in terms.items() if term.column.dtype == pl.String}
    table, warnings = plain(table, texts, metadata, time_zone)
    table, terms, number_warnings = _whole_counts(table, terms)

    offsets = {name: term.offset for name, term in terms.items() if term.offset and name in table.columns}
    table = table.with_columns(pl.col(name) + offset for name, offset in offsets.items())
    preferred = sorted(terms, key=lambda name: (name not in BY_NAME, name in REPLACED))
    maps = [Map(name, terms[name].column, terms[name].scale, terms[name].unit) for name in preferred]
    maps += [Map(name, Column(name, "", dtype, "")) for name, dtype in table.schema.items() if _is_aux(name)]
    units = {name: name.partition(" / ")[2] for name in table.columns}
    sources = metadata.sources
    frame, metadata.sources = to_canonical(table, maps, units)
    metadata.sources |= {name: source for name, source in sources.items() if name in metadata.sources}
    metadata.test_type = metadata.test_type or _test_type(frame)
    if metadata.started_at is None:
        date_by_clock(frame, metadata)
    return Reading(frame, metadata, [*warnings, *number_warnings, *_too_slow(frame)])


def _has_content(line: str) -> bool:
    return bool(line.strip(' \t,;|"')) and not line.startswith(_REMARK)


def _is_aux(name: str) -> bool:
    """Say whether a column already is called what this project calls an addition."""
    return name.startswith(AUX_PREFIX) and aux_name(name) == AUX_PREFIX + name


def _with_truth(raw: pl.DataFrame) -> pl.DataFrame:
    """Take texts that are nothing but ``true`` and ``false`` for what they say."""
    texts = [name for name, dtype in raw.schema.items() if dtype == pl.String and _is_aux(name)]
    truths = [name for name in texts if set(raw[name].drop_nulls().unique()) <= _TRUTH.keys()]
    return raw.with_columns(pl.col(truths).replace_strict(_TRUTH, return_dtype=pl.Boolean)) if truths else raw


def _whole_counts(table: pl.DataFrame, terms: dict[str, Term]) -> tuple[pl.DataFrame, dict[str, Term], list[str]]:
    """Keep counts that are not whole as additions, and those that are no numbers as missing."""
    present = {name: term for name, term in terms.items() if name in table.columns}
    counts = [name for name, term in present.items() if term.column.dtype == pl.Int64 and table.schema[name].is_float()]
    table = table.with_columns(pl.col(counts).fill_nan(None)) if counts else table
    broken = [name for name in counts if not (table[name].round() == table[name]).all()]
    warnings = [f"{name} holds numbers that are not whole and is kept as {aux_name(name)}" for name in broken]
    return table, {name: term for name, term in present.items() if name not in broken}, warnings


def _test_type(frame: pl.DataFrame) -> TestType:
    if columns.FREQUENCY.name in frame.columns and 2 * (frame[columns.FREQUENCY.name] > 0).sum() >= frame.height:
        return "eis"
    current = columns.CURRENT.name
    return "cycling" if current in frame.columns and frame[current].null_count() < frame.height else "ocv"


def _too_slow(frame: pl.DataFrame) -> list[str]:
    """Warn where a current flows in one direction for longer than any test lasts.

    Only intervals between two records of the same direction count, weighted by the current over its maximum: a rest,
    a pause or the tail of a constant voltage is no slow discharge.
    """
    if not {columns.TEST_TIME.name, columns.CURRENT.name} <= set(frame.columns):
        return []
    sign, size = pl.col("current").sign(), pl.col("current").abs()
    flowed = (
        frame.select(time=columns.TEST_TIME.name, current=columns.CURRENT.name)
        .cast(pl.Float64, strict=False)
        .filter(pl.all_horizontal(pl.all().is_finite()))
        .with_columns(flowed=pl.when(sign == sign.shift()).then(size * pl.col("time").diff()).fill_null(0.0))
        .with_columns(direction=pl.when(sign != 0).then(sign).forward_fill().fill_null(0.0).rle_id())
        .group_by("direction")
        .agg(((pl.col("flowed").sum() - pl.col("flowed").max()) / size.max()).alias("seconds"))
    )
    seconds = flowed["seconds"].filter(flowed["seconds"].is_finite()).max()
    hours = seconds / 3600.0 if isinstance(seconds, float) else 0.0
    if hours <= LONGEST_DIRECTION_HOURS:
        return []
    return [
        f"test time may be in wrong units: a current flows in one direction for {hours:.0f} h"
        f" ({hours / HOURS_PER_YEAR:.1f} years); files with times 3600 times too large are known; values are kept"
    ]
