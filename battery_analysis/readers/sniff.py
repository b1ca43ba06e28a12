"""What all text exports share: encoding, line ends, delimiter, decimal mark, and rows to columns.

Testers write text with whatever locale their computer has, are cut off by power failures, and pass through
spreadsheets. Nothing here knows a vendor; nothing here drops or changes a line without a warning that names it.
Whole files are handled as bytes, and line by line only where a file turns out to be irregular.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis.errors import SchemaError

MAX_LINE_BYTES = 1 << 20
"""Longer lines are damage, not records."""

DELIMITERS = (",", ";", "\t", "|")

_NAMED_LINES = 10
_SAMPLE_BYTES = 16_384
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?((\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_NUL_BLOCK = re.compile(rb"\0+")
_QUOTED = re.compile(rb'"[^"]*"')


class Text(NamedTuple):
    """A text file as UTF-8 with LF line ends, without byte order mark and NUL bytes."""

    text: bytes
    encoding: str
    warnings: list[str]


def load_text(path: Path) -> Text:
    """Load a text file of any encoding and line end.

    UTF-8 and UTF-16 are recognised, everything else is taken as Windows-1252 (or Latin-1, where a byte has no
    meaning there). NUL bytes, as a power failure leaves them, are removed with a warning.
    """
    raw = path.read_bytes()
    encoding = guess_encoding(raw)
    text = _as_utf8(raw, encoding)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    warnings = []
    if b"\0" in text:
        text, warning = _without_nul(text)
        warnings.append(warning)
    return Text(text, encoding, warnings)


def head_text(head: bytes) -> str:
    """Decode the beginning of a file, which may end inside a character, with LF line ends."""
    text = _as_utf8(head, guess_encoding(head)).decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def guess_encoding(raw: bytes) -> str:
    """Name the encoding: ``utf-8``, ``utf-8-sig``, ``utf-16…``, ``cp1252`` or ``latin-1``.

    >>> guess_encoding("Temperature (°C)".encode("latin-1"))
    'cp1252'
    """
    if raw.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = raw[:256:2], raw[1:256:2]  # ASCII text in UTF-16 without a byte order mark has a NUL in every character
    if 2 * odd.count(0) > len(odd) and not even.count(0):
        return "utf-16-le"
    if 2 * even.count(0) > len(even) and not odd.count(0):
        return "utf-16-be"
    if raw.isascii():
        return "utf-8"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        if exc.end < len(raw) or exc.reason != "unexpected end of data":
            return "cp1252" if _decodes(raw, "cp1252") else "latin-1"
    return "utf-8"


def sniff_delimiter(header_line: str, sample: Sequence[str]) -> str | None:
    """Find the character that cuts the header and most of the sample's rows into the same number of fields.

    Returns:
        One of ``DELIMITERS``, or None where the header has none of them.

    >>> sniff_delimiter("Test Time (s);Voltage (V)", ["1,5;3,7", "2,5;3,7"])
    ';'
    """

    def fitness(delimiter: str) -> tuple[int, int]:
        fields = header_line.count(delimiter)
        return sum(abs(row.count(delimiter) - fields) <= 1 for row in sample), fields

    found = [delimiter for delimiter in DELIMITERS if delimiter in header_line]
    return max(found, key=fitness, default=None)


def sniff_decimal(sample_lines: Sequence[str], delimiter: str) -> str:
    """Say whether the numbers of the sample are written with a comma or a point.

    >>> sniff_decimal(["1,5;3,7"], ";")
    ','
    """
    cells = [cell.strip(' \t"') for line in sample_lines for cell in line.split(delimiter)]
    if delimiter == ",":
        return "," if any('"' in line for line in sample_lines) and _quoted_commas(sample_lines) else "."
    commas = sum(_COMMA_NUMBER.fullmatch(cell) is not None for cell in cells)
    points = sum(_POINT_NUMBER.fullmatch(cell) is not None for cell in cells)
    return "," if commas > points else "."


def column_names(header_line: str, delimiter: str, sample: Sequence[str]) -> tuple[list[str], list[str]]:
    """Cut a header line into names that are all different, with warnings about those that were not.

    A name that comes again is kept as ``<name> duplicate 2`` and so on; empty names become ``unnamed 1`` and so on.
    A delimiter that ends only the header or only the rows is not a column.
    """
    names = [cell.strip().strip('"').strip() for cell in split_cells(header_line, delimiter)]
    widths = [len(split_cells(row, delimiter)) for row in sample if row.strip()]
    width = Counter(widths).most_common(1)[0][0] if widths else len(names)
    if width == len(names) - 1 and not names[-1]:
        names.pop()
    elif width == len(names) + 1 and all(row.endswith(delimiter) for row in sample if row.strip()):
        names.append("")

    unique: list[str] = []
    warnings = []
    for position, name in enumerate(names, 1):
        new = name or f"unnamed {position}"
        if name in unique:
            new = f"{name} duplicate {1 + names[:position].count(name) - 1}"
            warnings.append(f"the column name {name!r} appears twice; column {position} is kept as {new!r}")
        unique.append(new)
    return unique, warnings


def split_cells(line: str, delimiter: str) -> list[str]:
    """Cut a line at its delimiters, except inside double quotes.

    >>> split_cells('1,"a,b",2', ",")
    ['1', '"a,b"', '2']
    """
    if '"' not in line:
        return line.split(delimiter)
    cells: list[str] = []
    for part in line.split(delimiter):
        if cells and cells[-1].count('"') % 2:
            cells[-1] += delimiter + part
        else:
            cells.append(part)
    return cells


def parse_table(
    text: bytes,
    names: Sequence[str],
    *,
    delimiter: str,
    decimal: str,
    first_line: int,
    required: Sequence[str] = (),
) -> tuple[pl.DataFrame, list[str]]:
    """Parse rows without a header into columns of ``Int64``, ``Float64`` and, where most cells are words, ``String``.

    Empty cells are null; so are words and values that are not finite, with their count in a warning. Repeated
    header lines, lines with too few or too many fields and lines over ``MAX_LINE_BYTES`` are left out, with a
    warning that gives their number.

    Args:
        text: The rows, as ``load_text`` gives them.
        names: Column names, all different.
        delimiter: Between fields.
        decimal: ``"."`` or ``","``.
        first_line: Number in the file of the first line of ``text``.
        required: Columns in which an empty cell counts as a missing value, too.

    Raises:
        SchemaError: The rows cannot be parsed at all.
    """
    text, warnings = _without_cut_off_line(text, names, delimiter, first_line)
    layout = _Layout(tuple(names), delimiter, decimal, _guess_types(text, len(names), delimiter))
    frame = _read_strictly(text, layout)
    lost: dict[str, int] = {}
    if frame is None:
        text, line_warnings = _regular_lines(text, layout, first_line)
        warnings = [*line_warnings, *warnings]
        frame = _read_strictly(text, layout) if line_warnings else None
    if frame is None:
        frame, lost = _read_leniently(text, layout)
    frame, lost = _finite_only(frame, lost, required)
    if lost:
        where = ", ".join(f"{name} {count}" for name, count in lost.items())
        warnings.append(f"{sum(lost.values())} values are not finite numbers and are kept as missing ({where})")
    return _whole_numbers(frame, layout), warnings


class _Layout(NamedTuple):
    names: tuple[str, ...]
    delimiter: str
    decimal: str
    types: tuple[pl.DataType, ...]

    @property
    def mark(self) -> bytes:
        return self.delimiter.encode()

    @property
    def marks_per_line(self) -> int:
        return len(self.names) - 1


def _as_utf8(raw: bytes, encoding: str) -> bytes:
    if encoding in ("utf-8", "utf-8-sig"):
        body = raw.removeprefix(codecs.BOM_UTF8)
        if body.isascii() or _decodes(body, "utf-8"):
            return body
        return body.decode("utf-8", "replace").encode()  # cut inside the last character, or two encodings in one file
    return raw.decode(encoding, "ignore").encode("utf-8", "replace")  # UTF-16 may be cut inside a character


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _without_nul(text: bytes) -> tuple[bytes, str]:
    blocks = list(_NUL_BLOCK.finditer(text))
    line = text.count(b"\n", 0, blocks[0].start()) + 1
    where = f"at line {line}" if len(blocks) == 1 else f"in {len(blocks)} places, the first at line {line}"

    def fill(block: re.Match[bytes]) -> bytes:
        inside_line = text[block.start() - 1 : block.start()] != b"\n" and text[block.end() : block.end() + 1] != b"\n"
        # The halves of two records must not make a third one.
        return b"\n" if inside_line and len(block[0]) > 1 and block.end() < len(text) else b""

    return _NUL_BLOCK.sub(fill, text), f"{text.count(0)} NUL bytes removed {where}"


def _quoted_commas(lines: Sequence[str]) -> bool:
    cells = [cell.strip(' \t"') for line in lines for cell in split_cells(line, ",") if cell.startswith('"')]
    return any(_COMMA_NUMBER.fullmatch(cell) for cell in cells)


def _without_cut_off_line(
    text: bytes, names: Sequence[str], delimiter: str, first_line: int
) -> tuple[bytes, list[str]]:
    """Drop a last line that has neither a line end nor all its fields: the file was cut, or is still written."""
    if text.endswith(b"\n"):
        return text, []
    rest, line_end, last = text.rpartition(b"\n")
    fields = len(split_cells(last.decode("utf-8", "replace"), delimiter)) if len(last) <= MAX_LINE_BYTES else 0
    if not last.strip() or fields >= len(names) or not fields:
        return text, []
    number = first_line + rest.count(b"\n") + len(line_end)
    warning = f"the last line is incomplete (line {number} has {_fields(fields)} instead of {len(names)}); left out"
    return rest + line_end, [warning]


def _guess_types(text: bytes, width: int, delimiter: str) -> tuple[pl.DataType, ...]:
    """Judge the columns by lines from the beginning, the middle and the end."""
    rows = [cells for line in sample_lines(text) if len(cells := split_cells(line, delimiter)) == width]
    return tuple(_guess_type([row[column].strip(' \t"') for row in rows]) for column in range(width))


def sample_lines(text: bytes, per_place: int = 40) -> list[str]:
    """Some whole lines from the beginning, the middle and the end of a text."""
    lines: list[bytes] = []
    for start in sorted({0, len(text) // 2, max(0, len(text) - _SAMPLE_BYTES)}):
        part = text[start : start + _SAMPLE_BYTES].split(b"\n")
        lines += part[bool(start) : per_place + 1] if len(part) > 2 else part
    return [line.decode("utf-8", "replace") for line in lines if line]


def _guess_type(cells: Sequence[str]) -> pl.DataType:
    filled = [cell for cell in cells if cell]
    if filled and all(_INTEGER.fullmatch(cell) for cell in filled):
        return pl.Int64()
    numbers = sum(_NUMBER.fullmatch(cell) is not None for cell in filled)
    return pl.Float64() if 2 * numbers >= len(filled) else pl.String()


def _read_strictly(text: bytes, layout: _Layout) -> pl.DataFrame | None:
    """Parse with the guessed types; None where a cell or a line may not fit them."""
    if _has_long_line(text):
        return None
    types = [pl.Float64() if dtype.is_integer() else dtype for dtype in layout.types]
    try:
        frame = _read_csv(text, layout, types)
    except pl.exceptions.PolarsError:
        return None
    if frame.height != _count_lines(text):  # quotes can hide line ends
        return None
    # The parser refuses long rows, but fills short and empty ones with nulls: then the last column has some.
    if frame[layout.names[-1]].null_count() and not _totals_fit(text, layout):
        return None
    return frame


def _totals_fit(text: bytes, layout: _Layout) -> bool:
    empty_row = b"\n" + layout.mark * layout.marks_per_line + b"\n"
    return (
        text.count(layout.mark) == _count_lines(text) * layout.marks_per_line
        and b'"' not in text  # quotes can hide delimiters
        and empty_row not in b"\n" + text
    )


def _count_lines(text: bytes) -> int:
    return text.count(b"\n") + (not text.endswith(b"\n")) if text else 0


def _has_long_line(text: bytes) -> bool:
    half = MAX_LINE_BYTES // 2  # a line that is too long spans at least one whole window of half that size
    return any(text.find(b"\n", start, start + half) < 0 for start in range(0, len(text) - half, half))


def _read_leniently(text: bytes, layout: _Layout) -> tuple[pl.DataFrame, dict[str, int]]:
    """Parse as texts, then cast; also count, for each numeric column, the words that are lost."""
    try:
        frame = _read_csv(text, layout, [pl.String()] * len(layout.names))
    except pl.exceptions.PolarsError as exc:
        raise SchemaError(f"no table found: {str(exc).splitlines()[0]}") from exc
    lost = {}
    for name, dtype in zip(layout.names, layout.types, strict=True):
        if not dtype.is_numeric():
            continue
        cells = frame[name].str.strip_chars(' \t"').replace("", None)
        pointed = cells.str.replace(",", ".", literal=True) if layout.decimal == "," else cells
        numbers = pointed.cast(pl.Float64, strict=False)
        words = numbers.null_count() - cells.null_count()
        if 2 * words > frame.height - cells.null_count():
            continue
        frame = frame.with_columns(numbers)
        lost[name] = words
    return frame, {name: count for name, count in lost.items() if count}


def _read_csv(text: bytes, layout: _Layout, types: Sequence[pl.DataType]) -> pl.DataFrame:
    schema = dict(zip(layout.names, types, strict=True))
    if not text:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(
        text, has_header=False, schema=schema, separator=layout.delimiter, decimal_comma=layout.decimal == ","
    )


def _finite_only(
    frame: pl.DataFrame, lost: dict[str, int], required: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Set what is not finite to null; ``lost`` counts it, and the empty cells of required columns, too."""
    counts = {}
    for name, dtype in frame.schema.items():
        if not dtype.is_float():
            continue
        values = frame[name]
        infinite = values.len() - values.null_count() - int(values.is_finite().sum())
        missing = values.null_count() if name in required else lost.get(name, 0)
        counts[name] = infinite + missing
        if infinite:
            frame = frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name))
    return frame, {name: count for name, count in counts.items() if count}


def _whole_numbers(frame: pl.DataFrame, layout: _Layout) -> pl.DataFrame:
    """Cast the columns that looked like integers and hold nothing else."""
    casts = []
    for name, dtype in zip(layout.names, layout.types, strict=True):
        if dtype.is_integer() and frame.schema[name].is_float():
            values = frame[name]
            if (values.round() == values).all() and (values.abs() < 2**53).all():
                casts.append(pl.col(name).cast(pl.Int64))
    return frame.with_columns(casts)


def _regular_lines(text: bytes, layout: _Layout, first_line: int) -> tuple[bytes, list[str]]:
    """Keep the lines that have the right number of fields, and say which were left out and why."""
    name = layout.names[0].encode()
    header_starts = tuple(bom + quote + name for bom in (b"", codecs.BOM_UTF8) for quote in (b"", b'"'))
    blank = b' \t"' + layout.mark
    kept: list[bytes] = []
    headers: list[int] = []
    faults: list[str] = []
    for number, line in enumerate(text.split(b"\n"), first_line):
        if len(line) > MAX_LINE_BYTES:
            faults.append(f"line {number} is too long ({len(line)} bytes); left out")
            continue
        if b'"' in line:
            line = _without_stray_quote(line)
        fields = 1 + (_QUOTED.sub(b"", line) if b'"' in line else line).count(layout.mark)
        if line.startswith(header_starts) and _is_header(line, layout):
            headers.append(number)
        elif line[:1] in blank and not line.strip(blank):
            continue
        elif fields == len(layout.names):
            kept.append(line)
        else:
            faults.append(f"line {number} has {_fields(fields)} instead of {len(layout.names)}; left out")
    warnings = faults[:_NAMED_LINES]
    if len(faults) > _NAMED_LINES:
        warnings.append(f"{len(faults) - _NAMED_LINES} more lines do not fit the columns and are left out")
    if headers:
        numbers = ", ".join(map(str, headers[:_NAMED_LINES])) + (", …" if len(headers) > _NAMED_LINES else "")
        warnings.append(f"repeated column line left out {len(headers)} times (line {numbers})")
    return b"\n".join([*kept, b""]) if kept else b"", warnings


def _fields(count: int) -> str:
    return f"{count} field" if count == 1 else f"{count} fields"


def _without_stray_quote(line: bytes) -> bytes:
    """Remove quotes that enclose nothing, such as an inch sign."""
    return line.replace(b'"', b"") if line.count(b'"') % 2 else line


def _is_header(line: bytes, layout: _Layout) -> bool:
    cells = [cell.strip(' \t"\ufeff') for cell in line.decode("utf-8", "replace").split(layout.delimiter)]
    same = sum(cell == name for cell, name in zip(cells, layout.names, strict=False))
    return 2 * same > len(layout.names)
