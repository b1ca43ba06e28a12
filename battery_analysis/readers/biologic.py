"""BioLogic EC-Lab and BT-Lab text exports (``.mpt``, ``.txt``, ``.csv``, ``.tsv``).

File structure:
    ``EC-Lab ASCII FILE`` or ``BT-Lab ASCII FILE``, the number of header lines, the technique, lines ``key : value``
    about run, device and cell, the technique's parameters in fields of 20 characters (one for each sequence ``Ns``),
    the records of each linked loop, then one line of column labels and the records, separated by tabs (``.csv``: by
    commas or semicolons). An export may also hold nothing but the labels before the records.

Latin-1 as a rule, often converted since; numbers and header carry the decimal mark of the computer's locale.
Times are seconds since the acquisition started (a linked technique does not begin at 0), or, where so exported,
local date and time of each record, in the order of day and month that ``Time format`` names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.biologic_columns import TIME_LABEL, to_frame
from battery_analysis.readers.biologic_header import filled_in, in_utc, kind_of_test, parse_stamp, quantity
from battery_analysis.readers.sniff import (
    column_names,
    head_text,
    lines_of,
    load_text,
    sample_lines,
    sniff_decimal,
)
from battery_analysis.readers.stamps import local_to_unix
from battery_analysis.readers.table import parse_table

MAGICS = ("EC-Lab ASCII FILE", "BT-Lab ASCII FILE")

_HEAD_BYTES = 8_192
_CONTENT = re.compile(rb"\S")
_MOST_HEADER_LINES = 50_000
_PARAMETER_WIDTH = 20
_PARAMETERS = re.compile(r".{19} .{20}")  # the name of a technique may be as long, but has no gap there
_COUNT = re.compile(r"Nb header lines\s*:\s*(\d+)")
_SOFTWARE = re.compile(r"(EC|BT)-Lab for windows v([\w.]+)", re.IGNORECASE)
_LOOP = re.compile(r"Loop \d+ from point number (\d+) to (\d+)")
_LIMIT = re.compile(r"E(?:we|cell) (min|max) = (.*)")
_CERTAIN_LABELS = {TIME_LABEL, "freq/Hz", "Ewe/V", "<Ewe>/V", "<Ewe/V>", "Ecell/V", "<Ecell>/V", "Ewe-Ece/V"}
_TELLING_LABELS = _CERTAIN_LABELS | {"<I>/mA", "(Q-Qo)/mA.h", "Re(Z)/Ohm"}
_STAMP_ORDERS = {"MMDDYYYY": "%m{0}%d{0}%Y", "YYYYMMDD": "%Y{0}%m{0}%d", "DDMMYYYY": "%d{0}%m{0}%Y"}
_STAMP_CLOCKS = ("%H:%M:%S%.f", "%I:%M:%S%.f %p")
_SAMPLED_STAMPS = 1_000
_STAMP_DECIMALS = 6


class BiologicText:
    """Reads EC-Lab and BT-Lab text exports."""

    name = "biologic_mpt"
    version = "1"
    tester = "BioLogic"
    suffixes = frozenset({".mpt", ".txt", ".csv", ".tsv"})
    description = "EC-Lab and BT-Lab text exports; the first line is 'EC-Lab ASCII FILE', 'BT-Lab ASCII FILE' or labels"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line names the program, or is a line of EC-Lab's column labels."""
        first_line = head_text(head[:_HEAD_BYTES]).lstrip().split("\n")[0]
        return first_line.startswith(MAGICS) or _delimiter_of(first_line, at_least=2) is not None

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There is no line of column labels, or no records.
            SchemaError: The records cannot be parsed.
        """
        text, _, warnings = load_text(path, keep_returns=True)
        found = _split(text)
        del text
        if not found:
            raise CorruptFileError(path, "no line of column labels such as time/s, Ewe/V, freq/Hz", self.name)
        if not _CONTENT.search(found.text, found.start):
            raise CorruptFileError(path, f"no data rows after the {len(found.lines)} header lines", self.name)
        if found.warning:
            warnings.append(found.warning)

        raw, table_warnings = _table(found)
        if not raw.height:
            nothing = f"no data rows after the {len(found.lines)} header lines"
            raise CorruptFileError(path, "; ".join([nothing, *table_warnings[:1]]), self.name)
        found = found._replace(text=b"")  # many megabytes of which nothing more is needed
        metadata = _metadata(_header(found.lines[:-1]), found.lines[:-1], time_zone)
        loops = [(int(first), int(last)) for first, last in _LOOP.findall("\n".join(found.lines))]
        metadata.announced_records = loops[-1][1] + 1 if loops else None
        raw, unix_time, time_warnings = _timed(raw, metadata)
        if metadata.header.get("Potential control") == "Ewe-Ece" and "Ewe-Ece/V" in raw.columns:
            time_warnings.append("the test was controlled by Ewe-Ece, the voltage is Ewe; Ewe-Ece is in aux_ewe_ece_v")
        frame, metadata.sources = to_frame(
            raw,
            metadata.technique,
            loop_starts=[first for first, _ in loops],
            sequence_types=_sequence_types(found.lines),
        )
        if metadata.technique is None and columns.TEST_TIME.name not in frame.columns:
            metadata.test_type = "eis"  # nothing but a spectrum needs no time
        if unix_time is not None:
            frame = frame.with_columns(unix_time.alias(columns.UNIX_TIME.name))
            metadata.sources[columns.UNIX_TIME.name] = ColumnSource(TIME_LABEL, "s")
        return Reading(frame, metadata, [*warnings, *table_warnings, *time_warnings])


class _Split(NamedTuple):
    lines: list[str]
    delimiter: str
    text: bytes
    start: int
    warning: str | None


def _split(text: bytes) -> _Split | None:
    """Part the header, which ends with the line of labels, from the records.

    The labels are found by what they are; the header's own count is only checked.
    """
    lines: list[str] = []
    counted: int | None = None
    for line, position in islice(lines_of(text), _MOST_HEADER_LINES):
        lines.append(line)
        if len(lines) <= 3 and (match := _COUNT.match(line)):
            counted = int(match[1])
        if delimiter := _delimiter_of(line):
            differs = counted is not None and counted != len(lines)
            warning = f"the header says it has {counted} lines, but the labels stand in line {len(lines)}"
            return _Split(lines, delimiter, text, position, warning if differs else None)
    return None


def _delimiter_of(line: str, at_least: int = 1) -> str | None:
    """What sets the labels of a line apart; None where it does not hold as many that nobody else spells so."""
    for delimiter, needed in (("\t", at_least), (";", 2), (",", 2)):  # a comment may hold a comma
        if delimiter in line and len(_TELLING_LABELS & {cell.strip(' "') for cell in line.split(delimiter)}) >= needed:
            return delimiter
    return None


def _table(found: _Split) -> tuple[pl.DataFrame, list[str]]:
    sample = sample_lines(found.text, start=found.start)
    labels, warnings = _labels(found.lines[-1], found.delimiter, sample)
    may_lack = {"freq/Hz"} if TIME_LABEL in labels else set()  # only points of a spectrum have a frequency
    raw, table_warnings = parse_table(
        found.text,
        labels,
        delimiter=found.delimiter,
        decimal=sniff_decimal(sample, found.delimiter),
        first_line=len(found.lines) + 1,
        required=[label for label in labels if label in _CERTAIN_LABELS - may_lack],
        start=found.start,
    )
    raw = raw.select(label for label in raw.columns if not _is_filler(label, raw[label]))
    return raw, [*warnings, *table_warnings]


def _labels(line: str, delimiter: str, sample: Sequence[str]) -> tuple[list[str], list[str]]:
    """Name the columns that the records have; labels behind an empty one may announce columns that are not there."""
    cells = line.rstrip(delimiter).split(delimiter)
    widths = Counter(row.rstrip(delimiter).count(delimiter) + 1 for row in sample if row.strip())
    width = widths.most_common(1)[0][0] if widths else len(cells)
    warnings = []
    if width < len(cells) and not cells[width].strip():
        missing = ", ".join(cell for cell in cells[width:] if cell.strip())
        warnings.append(f"the columns {missing} are announced, but no record has them")
        line = delimiter.join(cells[:width])
    labels, name_warnings = column_names(line, delimiter, sample)
    return labels, [*warnings, *name_warnings]


def _is_filler(label: str, values: pl.Series) -> bool:
    return label.startswith("unnamed ") and values.null_count() == values.len()


def _header(lines: Sequence[str]) -> dict[str, str]:
    """Read every line of the header as key and value; a key that comes again goes with the one before it."""
    header: dict[str, str] = {}
    group = ""
    for line in lines:
        if not line.strip() or _LOOP.match(line):
            continue
        key, colon, value = (part.strip() for part in line.partition(" :"))
        if not colon and line[:1].strip() and _PARAMETERS.match(line):
            cells = _cells(line)
            key, value = cells[0], " | ".join(cells[1:]).rstrip(" |")
        if key in header and colon:
            header[key] = "\n".join(filter(None, (header[key], value)))
            continue
        if key in header:
            key = f"{group} {key}"
        header[key] = value
        group = key
    return header


def _cells(line: str) -> list[str]:
    return [line[start : start + _PARAMETER_WIDTH].strip() for start in range(0, len(line), _PARAMETER_WIDTH)]


def _sequence_types(lines: Sequence[str]) -> dict[int, str]:
    """Kind of each sequence of a Modulo Bat, in the programs' own words."""
    for line in lines:
        if line.startswith("ctrl_type "):
            return {number: kind for number, kind in enumerate(_cells(line)[1:]) if kind}
    return {}


def _metadata(header: Mapping[str, str], lines: Sequence[str], time_zone: str) -> TestMetadata:
    technique = next((line.strip() for line in lines[2:6] if line.strip() and " :" not in line), None)
    software = next((match for line in lines if (match := _SOFTWARE.match(line))), None)
    setting_file = header.get("Loaded Setting File", "")
    return TestMetadata(
        tester="BioLogic",
        device=header.get("Device") or None,
        channel=header.get("Run on channel", "").split(" (")[0] or None,
        technique=technique,
        test_type=kind_of_test(technique),
        test_name=header.get("File", "").removesuffix(".mpr").strip("* ") or None,
        protocol=setting_file if setting_file.upper() != "NONE" and setting_file else None,
        operator=header.get("User") or None,
        comment=header.get("Comments") or None,
        software=f"{software[1].upper()}-Lab {software[2]}" if software else None,
        started_at=in_utc(parse_stamp(header.get("Acquisition started on", "")), time_zone),
        time_zone=time_zone,
        active_mass_gram=filled_in(header.get("Mass of active material"), "gram")
        or filled_in(header.get("Characteristic mass"), "gram"),
        electrode_area_cm2=filled_in(header.get("Electrode surface area"), "cm2"),
        nominal_capacity_ah=filled_in(header.get("Battery capacity"), "ah"),
        voltage_limits_volt=_safety_limits(lines),
        header=dict(header),
    )


def _safety_limits(lines: Sequence[str]) -> tuple[float, float] | None:
    limits = {match[1]: quantity(match[2], "volt") for line in lines if (match := _LIMIT.match(line.strip()))}
    low, high = limits.get("min"), limits.get("max")
    return (low, high) if low is not None and high is not None and low < high else None


def _timed(raw: pl.DataFrame, metadata: TestMetadata) -> tuple[pl.DataFrame, pl.Series | None, list[str]]:
    """Turn dates into seconds since the acquisition started; also return the Unix times, where the start is known."""
    if TIME_LABEL not in raw.columns:
        return raw, None, []
    time = raw[TIME_LABEL]
    if time.dtype != pl.String:
        start = metadata.started_at
        return raw, time + start.timestamp() if start else None, []
    zone = metadata.time_zone or "UTC"
    spelled = time.str.strip_chars().str.replace(",", ".", literal=True)
    form, warnings = _stamp_format(spelled, metadata)
    local = spelled.str.to_datetime(form, time_unit="us", strict=False)
    unix_time = local_to_unix(local, local.dt.epoch("us") / 1e6, zone)
    if metadata.started_at is None and unix_time.count():
        metadata.started_at = datetime.fromtimestamp(unix_time.drop_nulls()[0], tz=UTC)
    start_second = metadata.started_at.timestamp() if metadata.started_at else 0.0
    if lost := unix_time.null_count() - time.null_count():
        warnings.append(f"{lost} times are no dates and are kept as missing")
    test_time = (unix_time - start_second).round(_STAMP_DECIMALS)  # stamps hold no more
    return raw.with_columns(test_time.alias(TIME_LABEL)), unix_time, warnings


def _stamp_format(spelled: pl.Series, metadata: TestMetadata) -> tuple[str, list[str]]:
    """Say how stamps are written: in the order that the header states, else in one that fits most of them.

    Of several that fit it is the one nearest to the start; month first, with a warning, where no start is known.
    """
    sample = spelled.drop_nulls().gather_every(1 + spelled.len() // _SAMPLED_STAMPS)
    example = "".join(sample.head(1))
    mark = next((mark for mark in "/-." if mark in example[:5]), "/")
    clock = _STAMP_CLOCKS[example.upper().endswith("M")]
    forms = {order: f"{day.format(mark)} {clock}" for order, day in _STAMP_ORDERS.items()}
    readings = {order: sample.str.to_datetime(form, time_unit="us", strict=False) for order, form in forms.items()}
    most = max(reading.count() for reading in readings.values())
    firsts = {order: reading.drop_nulls()[0] for order, reading in readings.items() if reading.count() == most > 0}
    stated = metadata.header.get("Time format", "").rpartition(" ")[2]
    if stated in firsts or not firsts:
        return forms.get(stated, forms["MMDDYYYY"]), []
    start = parse_stamp(metadata.header.get("Acquisition started on", ""))
    if start is not None:
        return forms[min(firsts, key=lambda order: abs(firsts[order] - start))], []
    alike = f"day and month of the times cannot be told apart ({example}); month first"
    return forms[next(iter(firsts))], [alike] if len(set(firsts.values())) > 1 else []
