"""What texts of potentiostats and impedance analysers share, whoever made them.

Labels with their unit, the stamp of the start, the kind of a technique, and spectra among other records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reader, Reading, TestMetadata, TestType
from battery_analysis.readers.headings import split_unit, unit_scale
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.sniff import column_names, load_text, sample_lines, sniff_decimal, sniff_delimiter
from battery_analysis.readers.stamps import moment, unix_time
from battery_analysis.readers.table import parse_table

SPECTRUM = (
    columns.FREQUENCY,
    columns.REAL_IMPEDANCE,
    columns.IMAGINARY_IMPEDANCE,
    columns.ABSOLUTE_IMPEDANCE,
    columns.PHASE,
)

Terms = Mapping[str, tuple[Column, int]]
"""What a vendor's quantities are: canonical column and sign, in order of preference."""

_LOST_OHM = re.compile(r"[?\ufffd]+")
_KELVIN = 273.15
_KEPT_WORDS = 20
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED_MONTH = re.compile(
    r"(?:[A-Za-z]+,\s*)?(?:(?P<month>[A-Za-z]{3})[a-z]*\.?\s+(?P<day>\d{1,2})|"
    r"(?P<day_first>\d{1,2})\.?\s+(?P<month_second>[A-Za-z]{3})[a-z]*\.?),?\s+(?P<year>\d{4})\s+(?P<clock>\d.*)"
)
_DATE = re.compile(r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}(\s|$)")
_KINDS: tuple[tuple[str, TestType], ...] = (
    (r"impedance|eis", "eis"),
    (r"cyclic voltammetry|\bcv\b", "cv"),
    (r"open[ -]circuit|\bocp\b|\bocv\b|corpot|readvoltage", "ocv"),
    (r"charge|cycling|\bpwr", "cycling"),
)


class Label(NamedTuple):
    """A column label taken apart."""

    quantity: str
    unit: str


def split_label(label: str) -> Label:
    """Cut a label into quantity and unit, however the unit is set apart.

    >>> split_label("WE(1).Current (A)"), split_label("E(V)"), split_label("Phase/deg")
    (Label(quantity='WE(1).Current', unit='A'), Label(quantity='E', unit='V'), Label(quantity='Phase', unit='deg'))
    """
    return Label(*split_unit(label, slash=True))


def read_records(
    rows: bytes,
    labels: Mapping[str, Label],
    terms: Terms,
    metadata: TestMetadata,
    *,
    delimiter: str,
    first_line: int,
) -> tuple[pl.DataFrame, list[str]]:
    """Parse the rows below a line of labels; sources and words go into the metadata.

    Args:
        rows: The rows, as ``load_text`` gives them.
        labels: Quantity and unit of each column, under names that are all different, in the order of the file.
        terms: What the quantities are.
        metadata: Gets the source of each column, and the words of columns that hold no numbers.
        delimiter: Between fields.
        first_line: Number in the file of the first row.

    Returns:
        The frame, its impedance empty where a record is no impedance point, and what had to be said.

    Raises:
        SchemaError: The rows cannot be parsed.
    """
    if rows.endswith(b'"') and rows.count(b'"') % 2:
        rows = rows[:-1]  # polars panics at a text that ends with a cell of one quote
    raw, warnings = parse_table(
        rows,
        list(labels),
        delimiter=delimiter,
        decimal=sniff_decimal(sample_lines(rows), delimiter),
        first_line=first_line,
        required=[name for name, label in labels.items() if label.quantity in terms],
        real={name for name, label in labels.items() if label.unit.strip("#")},
    )
    raw = raw.drop(name for name in raw.columns if _is_filler(name, raw[name]))
    _keep_words(metadata, raw)
    frame, sources, map_warnings = _to_frame(raw, labels, terms)
    for name, source in sources.items():
        before = metadata.sources.get(name)
        if before is not None and source.name not in before.name.split(", "):
            source = ColumnSource(f"{before.name}, {source.name}", source.unit)
        metadata.sources[name] = source
    return _without_idle(frame), [*warnings, *map_warnings]


def read_labelled(path: Path, reader: Reader, terms: Terms, *, delimiter: str | None = None) -> Reading:
    """Read a file of nothing but a line of labels with units, and records.

    Args:
        path: The file.
        reader: Who reads it.
        terms: What the quantities are.
        delimiter: Between fields; found out where it is not given.

    Raises:
        CorruptFileError: There are no records.
        SchemaError: The records cannot be parsed.
    """
    text, _, warnings = load_text(path)
    blank = len(text) - len(text.lstrip(b"\n"))
    line, _, rows = text[blank:].partition(b"\n")
    label_line, sample = line.decode("utf-8", "replace"), sample_lines(rows)
    delimiter = delimiter or sniff_delimiter(label_line, sample)
    if delimiter is None or not rows.strip():
        raise CorruptFileError(path, "no data rows after the line of labels", reader.name)
    names, name_warnings = column_names(label_line, delimiter, sample)
    labels = {name: split_label(name) for name in names}
    metadata = TestMetadata(tester=reader.tester)
    frame, record_warnings = read_records(rows, labels, terms, metadata, delimiter=delimiter, first_line=blank + 2)
    if not frame.height:
        raise CorruptFileError(path, "; ".join(["the file has no data rows", *record_warnings[:3]]), reader.name)
    if columns.FREQUENCY.name in frame.columns and frame[columns.FREQUENCY.name].count():
        metadata.test_type = "eis"
    return Reading(frame, metadata, [*warnings, *name_warnings, *record_warnings])


def set_start(metadata: TestMetadata, stamp: str, time_zone: str) -> list[str]:
    """Set when the test started from a local stamp in any order; return what could not be told.

    Months may be numbers or English names: ``Feb. 20, 2020   15:55:08``, ``Thursday, July 19, 2018 9:40:30 AM``.

    Raises:
        SettingsError: There is no such zone.
    """
    stamp = stamp.strip()
    if not stamp:
        return []
    named = _NAMED_MONTH.fullmatch(stamp)
    month = (named["month"] or named["month_second"]).lower() if named else ""
    if named and month in _MONTHS:
        day = int(named["day"] or named["day_first"])
        stamp = f"{named['year']}-{_MONTHS.index(month) + 1:02d}-{day:02d} {named['clock']}"
    if not _DATE.match(stamp):
        return [f"the start stamp could not be read: {stamp!r}"]
    stamps = unix_time(pl.Series("start", [stamp]), pl.Series("time", [0.0]), time_zone)
    seconds = stamps.unix_time[0]
    if isinstance(seconds, float):
        metadata.started_at = moment(seconds)
        metadata.time_zone = time_zone if stamps.local else None
    return [warning.replace("clock stamps", "start stamp") for warning in stamps.warnings]


def kind_of_test(technique: str | None) -> TestType | None:
    """Name the kind of test that a technique is.

    >>> kind_of_test("Potentiostatic EIS"), kind_of_test("Cyclic Charge Discharge"), kind_of_test("Chronoamperometry")
    ('eis', 'cycling', 'other')
    """
    if not technique:
        return None
    return next((kind for words, kind in _KINDS if re.search(words, technique.lower())), "other")


def number(text: str | None) -> float | None:
    """Read the number that a text begins with, whatever its decimal mark.

    >>> number("1,5 cm2"), number("none")
    (1.5, None)
    """
    match = re.match(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?", (text or "").strip())
    return float(match[0].replace(",", ".")) if match else None


def filled_in(text: str | None) -> float | None:
    """Read like ``number``, but leave empty what programs fill in themselves: 0 and 1."""
    value = number(text)
    return None if value in (0.0, 1.0) else value


def count_warning(announced: int | None, found: int, what: str) -> list[str]:
    """Say where a file holds another number of records than it announces."""
    if announced is None or announced == found:
        return []
    return [f"{what} announces {announced} records, the file holds {found}"]


def _to_frame(
    raw: pl.DataFrame, labels: Mapping[str, Label], terms: Terms
) -> tuple[pl.DataFrame, dict[str, ColumnSource], list[str]]:
    """Bring a table to canonical and ``aux_`` columns.

    Args:
        raw: The table under the vendor's labels.
        labels: Quantity and unit of each label.
        terms: What the quantities are; of several for one column the first that is there counts.

    Returns:
        The frame, the vendor's name and unit of each of its columns, and what could not be mapped.
    """
    maps = []
    warnings = []
    by_quantity = {labels[name].quantity: name for name in reversed(raw.columns)}
    for quantity, (column, sign) in terms.items():
        name = by_quantity.get(quantity)
        if name is None:
            continue
        unit = labels[name].unit
        scale = _scale(unit, column)
        if scale is None:
            warnings.append(f"the unit {unit!r} of column {name!r} is not known; kept as it is")
        elif not raw.schema[name].is_numeric():
            warnings.append(f"column {name!r} holds no numbers; left out")
        elif not _is_unconnected(raw[name], column):
            maps.append(Map(name, column, sign * scale, unit))
    frame, sources = to_canonical(raw, maps, {name: label.unit for name, label in labels.items()})
    return frame, sources, warnings


def _without_idle(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave the impedance empty where a record is no impedance point, which testers write as frequency 0."""
    if columns.FREQUENCY.name not in frame.columns:
        return frame
    held = [column.name for column in SPECTRUM if column.name in frame.columns]
    return frame.with_columns(pl.when(pl.col(columns.FREQUENCY.name) > 0).then(pl.col(held)).name.keep())


def _keep_words(metadata: TestMetadata, raw: pl.DataFrame) -> None:
    """Keep in the header what columns of words say, such as flags of overload, each word once."""
    for name, dtype in raw.schema.items():
        if dtype == pl.String:
            words = raw[name].drop_nulls().unique(maintain_order=True)
            known = metadata.header[name].split("; ") if name in metadata.header else []
            kept = dict.fromkeys([*known, *words.head(_KEPT_WORDS)])
            metadata.header[name] = "; ".join(kept)


def _scale(unit: str, column: Column) -> float | None:
    if column.unit == "deg":
        return 1.0 if unit.lower() in ("", "deg", "degree", "degrees", "°") or _LOST_OHM.fullmatch(unit) else None
    if column.unit == "ohm" and (not unit or _LOST_OHM.fullmatch(unit)):  # the sign for ohm rarely survives
        return 1.0
    return unit_scale(unit.split(" vs")[0].strip(), column)


def _is_unconnected(values: pl.Series, column: Column) -> bool:
    """Say whether a temperature was read without a sensor: such values lie at absolute zero or below."""
    lowest = values.min() if column.unit == "degC" else None
    return isinstance(lowest, int | float) and lowest <= -_KELVIN


def _is_filler(name: str, values: pl.Series) -> bool:
    return name.startswith("unnamed ") and values.null_count() == values.len()
