"""Rows of a text export to columns.

An ordinary file goes through one strict parse with the types that its first, middle and last lines suggest. Only where
a file turns out to be irregular is it handled line by line, and nothing is dropped or changed without a warning that
names it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection, Container, Iterable, Sequence

import numpy as np
import polars as pl

from battery_analysis.columns import infinite_values
from battery_analysis.errors import SchemaError
from battery_analysis.readers.rows import Layout, UnfitError, read_rows
from battery_analysis.readers.sniff import MAX_LINE_BYTES, sample_lines, split_cells

LAST_LINE = "the last line is incomplete"
"""How a warning begins that goes once the file is written on."""

_NAMED_LINES = 10
_MANY_LINES = 40
_COUNTED_BYTES = 1 << 18
_NUMBER = re.compile(
    r"[+-]?((\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|\d{1,3}([.,]\d{3}){2,}|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(\.\d{3})+,\d*"
    r"|nan|inf|infinity)",
    re.IGNORECASE,
)
_QUOTED = re.compile(rb'"[^"\n]*"')
_GROUPED = r"^[+-]?[1-9]\d{0,2}(?:%s\d{3})+(?:%s\d*)?$"
"""A number whose thousands are set apart by the one mark, in a file whose decimals are by the other."""


def parse_table(
    text: bytes,
    names: Sequence[str],
    *,
    delimiter: str,
    decimal: str,
    first_line: int,
    required: Sequence[str] = (),
    real: Container[str] = (),
    words: Container[str] = (),
    repeated: Container[str] = (),
    unread: Collection[str] = (),
    start: int = 0,
) -> tuple[pl.DataFrame, list[str]]:
    """Parse rows without a header into columns of ``Int64``, ``Float64`` and, where most cells are words, ``String``.

    Empty cells are null; so are words and values that are not finite, with their count in a warning. Repeated
    header lines, lines with too few or too many fields and lines over ``MAX_LINE_BYTES`` are left out, with a
    warning that gives their number. Thousands may be set apart by the mark that is not the decimal one, where the
    other cells of the column show that it is that.

    Args:
        text: The rows from ``start`` on, as ``load_text`` gives them.
        names: Column names, all different.
        delimiter: Between fields.
        decimal: ``"."`` or ``","``.
        first_line: Number in the file of the first row.
        required: Columns in which an empty cell counts as a missing value, too.
        real: Columns whose numbers are ``Float64`` even where all of them are whole.
        words: Columns of texts, even where they look like numbers.
        repeated: Columns of few texts that come again and again, such as units; they may become ``Categorical``.
        unread: Columns that nobody needs; left out of the table where every row surely has all its fields.
        start: Where in ``text`` the rows begin; a text of many megabytes is not copied just to leave a header out.

    Raises:
        SchemaError: The rows cannot be parsed at all.
    """
    text, warnings = _without_cut_off_line(text, start, names, delimiter, decimal, first_line)
    types, grouped = _guess_types(text, start, names, delimiter, decimal, real, words)
    types = tuple(pl.Categorical() if name in repeated else dtype for name, dtype in zip(names, types, strict=True))
    layout = Layout(tuple(names), delimiter, decimal, types, grouped)
    frame = _read_strictly(text, start, layout._replace(unread=unread))
    lost: dict[str, int] = {}
    if frame is None:
        rows = text[start:].replace(b"\r\n", b"\n")
        regular, line_warnings = _regular_lines(rows, layout, first_line)
        warnings = [*line_warnings, *warnings]
        frame = _read_strictly(regular, 0, layout) if regular != rows else None
        if frame is None:
            frame, lost, ungrouped = _read_leniently(regular, layout)
            if ungrouped:
                warnings.append(f"thousands are set apart in column {', '.join(ungrouped)}; read without the marks")
    frame, lost = _finite_only(_without_empty_texts(frame), lost, required)
    if lost:
        where = ", ".join(f"{name} {count}" for name, count in lost.items())
        warnings.append(f"{sum(lost.values())} values are not finite numbers and are kept as missing ({where})")
    return _whole_numbers(frame, layout), warnings


def _without_cut_off_line(
    text: bytes, start: int, names: Sequence[str], delimiter: str, decimal: str, first_line: int
) -> tuple[bytes, list[str]]:
    """Drop a last line without line end that lacks fields, a closing quote, or what all other lines end with.

    The file was cut, or is still written.
    """
    begin = max(start, text.rfind(b"\n", start) + 1)
    if not 0 < len(text) - begin <= MAX_LINE_BYTES or not text[begin:].strip():
        return text, []
    cells = split_cells(text[begin:].removesuffix(b"\r").decode("utf-8", "replace"), delimiter)
    if len(cells) < len(names):
        fault = f"has {_fields(len(cells))} instead of {len(names)}"
    elif cells[-1].startswith('"') and cells[-1].count('"') % 2:
        fault = "ends inside quotes"
    elif len(cells) == len(names) and _is_cut_short(cells[-1], _last_cells(text, start, names, delimiter), decimal):
        fault = "ends inside its last field"
    else:
        return text, []
    number = first_line + text.count(b"\n", start, begin)
    return text[:begin], [f"{LAST_LINE} (line {number} {fault}); left out"]


def _last_cells(text: bytes, start: int, names: Sequence[str], delimiter: str) -> list[str]:
    rows = (split_cells(line, delimiter) for line in sample_lines(text, start=start))
    return [cells[-1] for cells in rows if len(cells) == len(names)]


def _is_cut_short(cell: str, others: Sequence[str], decimal: str) -> bool:
    """Say whether a cell is empty where no other of its column is, or lacks some of the decimals that all others have.

    >>> _is_cut_short("25.", ["25.500", "24.125"] * 20, "."), _is_cut_short("25.", ["25.5", "24.125"] * 20, ".")
    (True, False)
    """
    if len(others) < _MANY_LINES:
        return False  # many testers end finished files so, and some leave out zeros at the end of a number
    decimals = {len(other.partition(decimal)[2]) for other in others}
    return (not cell and all(others)) or (len(decimals) == 1 and len(cell.partition(decimal)[2]) < decimals.pop())


def _guess_types(
    text: bytes,
    start: int,
    names: Sequence[str],
    delimiter: str,
    decimal: str,
    real: Container[str],
    words: Container[str],
) -> tuple[tuple[pl.DataType, ...], bool]:
    """Judge the columns by lines from the beginning, the middle and the end; also say whether points may group."""
    lines = sample_lines(text, start=start)
    rows = [cells for line in lines if len(cells := split_cells(line, delimiter)) == len(names)]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    bare = [[cell for cell in (each.strip(' \t"') for each in cells) if cell] for cells in columns]
    types = tuple(
        pl.String() if name in words else _guess_type(cells, name in real)
        for name, cells in zip(names, bare, strict=True)
    )
    grouped = re.compile(_GROUPED % (r"\.", ","))
    numbers = (cell for dtype, cells in zip(types, bare, strict=True) if dtype.is_numeric() for cell in cells)
    return types, decimal == "," and any(grouped.match(cell) for cell in numbers)


def _guess_type(cells: Sequence[str], real: bool) -> pl.DataType:
    if cells and not real and _all_are(int, cells):
        return pl.Int64()
    if _all_are(float, cells):
        return pl.Float64()
    numbers = sum(_NUMBER.fullmatch(cell) is not None for cell in cells)
    return pl.Float64() if 2 * numbers >= len(cells) else pl.String()


def _all_are(kind: Callable[[str], float], cells: Iterable[str]) -> bool:
    try:
        for cell in cells:
            kind(cell)
    except ValueError:
        return False
    return "_" not in "".join(cells)  # Python takes 1_000 for a number, no tester writes one like that


def _read_strictly(text: bytes, start: int, layout: Layout) -> pl.DataFrame | None:
    """Parse with the guessed types; None where a cell or a line may not fit them."""
    frame = None if layout.grouped or _has_long_line(text, start) else _read_typed(text, start, layout)
    if frame is None:
        return None
    if text.find(b'"', start) >= 0 and frame.height != _count_lines(text, start):  # quotes can hide line ends
        return None
    return None if _may_have_empty_rows(frame) else frame


def _read_typed(text: bytes, start: int, layout: Layout) -> pl.DataFrame | None:
    """Parse columns of the guessed types; None where a line has too few or too many fields or a cell is of another."""
    broken = tuple(pl.Float64() if dtype.is_integer() else dtype for dtype in layout.types)
    for types in dict.fromkeys((layout.types, broken)):
        try:
            return read_rows(text, start, layout._replace(types=types))
        except UnfitError:  # a column may be whole only in the sample
            continue
    return None


def _may_have_empty_rows(frame: pl.DataFrame) -> bool:
    """Say whether there is a row without any number, as a line of nothing but delimiters and spaces makes it."""
    columns = [name for name, dtype in frame.schema.items() if dtype.is_numeric()] or frame.columns
    if not all(frame[name].null_count() for name in columns):
        return False
    return bool(frame.select(pl.all_horizontal(pl.col(columns).is_null()).any()).item())


def _count_lines(text: bytes, start: int) -> int:
    return _count(text, b"\n", start) + (not text.endswith(b"\n")) if start < len(text) else 0


def _count(text: bytes, mark: bytes, start: int) -> int:
    """Count one byte from ``start`` on, several times faster than ``bytes.count`` does."""
    codes = np.frombuffer(text, np.uint8)
    blocks = (codes[at : at + _COUNTED_BYTES] for at in range(start, codes.size, _COUNTED_BYTES))
    return sum(int(np.count_nonzero(block == mark[0])) for block in blocks)


def _has_long_line(text: bytes, start: int) -> bool:
    half = MAX_LINE_BYTES // 2  # a line that is too long spans at least one whole window of half that size
    return any(text.find(b"\n", window, window + half) < 0 for window in range(start, len(text) - half, half))


def _read_leniently(text: bytes, layout: Layout) -> tuple[pl.DataFrame, dict[str, int], list[str]]:
    """Parse as texts, then cast; also count the words that each numeric column loses, and name those with thousands."""
    try:
        frame = read_rows(text, 0, layout._replace(types=(pl.String(),) * len(layout.names)))
    except UnfitError as exc:
        raise SchemaError(f"no table found: {str(exc).splitlines()[0]}") from exc
    lost = {}
    ungrouped = []
    for name, dtype in zip(layout.names, layout.types, strict=True):
        if not dtype.is_numeric():
            continue
        cells = frame[name].str.strip_chars(' \t"').replace("", None)
        plain = _without_groups(cells, layout.decimal)
        pointed = plain.str.replace(",", ".", literal=True) if layout.decimal == "," else plain
        numbers = pointed.cast(pl.Float64, strict=False)
        words = numbers.null_count() - cells.null_count()
        if 2 * words > frame.height - cells.null_count():
            continue
        frame = frame.with_columns(numbers)
        lost[name] = words
        if plain is not cells and plain.null_count() == cells.null_count():
            ungrouped.append(name)
    return frame, {name: count for name, count in lost.items() if count}, ungrouped


def _without_groups(cells: pl.Series, decimal: str) -> pl.Series:
    """Take away the marks between thousands; null where a mark may as well be a decimal one.

    >>> [_without_groups(pl.Series(cells), ".").to_list() for cells in (["999", "1,000"], ["1,000", "2,000"])]
    [['999', '1000'], [None, None]]
    """
    mark = "," if decimal == "." else "."
    grouped = cells.str.contains(_GROUPED % (re.escape(mark), re.escape(decimal))).fill_null(False)
    if not grouped.any():
        return cells
    there, rest = cells.filter(grouped), cells.filter(~grouped).drop_nulls()
    if rest.str.contains(mark, literal=True).any():
        return cells  # the column has decimals of its own
    both = there.str.contains(decimal, literal=True) | (there.str.count_matches(mark, literal=True) > 1)
    small = rest.len() > 0 and not rest.str.contains(r"^[+-]?\d{4}").any()
    plain = cells.str.replace_all(mark, "", literal=True) if both.any() or small else cells.clear(cells.len())
    return pl.select(pl.when(grouped).then(plain).otherwise(cells).alias(cells.name)).to_series()


def _without_empty_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Take columns without any cell for numbers, whatever a line that was left out had there."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    empty = [name for name in texts if frame[name].null_count() == frame.height]
    return frame.with_columns(pl.col(empty).cast(pl.Float64)) if empty else frame


def _finite_only(
    frame: pl.DataFrame, lost: dict[str, int], required: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Set what is not finite to null; ``lost`` counts it, and the empty cells of required columns, too."""
    numeric = [name for name, dtype in frame.schema.items() if dtype.is_numeric()]
    counts = {name: frame[name].null_count() if name in required else lost.get(name, 0) for name in numeric}
    if numeric:
        infinite = infinite_values(frame)
        if infinite:
            values = pl.col(infinite.keys())
            frame = frame.with_columns(pl.when(values.is_finite()).then(values))
        for name, count in infinite.items():
            counts[name] += count
    return frame, {name: count for name, count in counts.items() if count}


def _whole_numbers(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Cast the columns that looked like integers and hold nothing else."""
    names = [name for name, dtype in zip(layout.names, layout.types, strict=True) if dtype.is_integer()]
    broken = [name for name in names if name in frame.columns and frame.schema[name].is_float()]
    if not broken:
        return frame
    values = pl.col(broken)
    fits = frame.select(((values.round() == values) & (values.abs() < 2**53)).all()).row(0)
    return frame.with_columns(pl.col(name).cast(pl.Int64) for name, fit in zip(broken, fits, strict=True) if fit)


def _regular_lines(text: bytes, layout: Layout, first_line: int) -> tuple[bytes, list[str]]:
    """Keep the lines that have the right number of fields, and say which were left out and why."""
    name = layout.names[0].encode()
    header_starts = tuple(bom + quote + name for bom in (b"", codecs.BOM_UTF8) for quote in (b"", b'"'))
    mark, width = layout.mark, len(layout.names)
    blank = b' \t"' + mark
    kept: list[bytes] = []
    headers: list[int] = []
    faults: list[str] = []
    for number, line in enumerate(text.split(b"\n"), first_line):
        if len(line) > MAX_LINE_BYTES:
            faults.append(f"line {number} is too long ({len(line)} bytes); left out")
            continue
        if b'"' in line:
            line = _without_stray_quote(line)
        fields = 1 + (_QUOTED.sub(b"", line) if b'"' in line else line).count(mark)
        if line.startswith(header_starts) and _is_header(line, layout):
            headers.append(number)
        elif line[:1] in blank and not line.strip(blank):
            continue
        elif fields == width:
            kept.append(line)
        else:
            faults.append(f"line {number} has {_fields(fields)} instead of {width}; left out")
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


def _is_header(line: bytes, layout: Layout) -> bool:
    cells = [cell.strip(' \t"\ufeff') for cell in line.decode("utf-8", "replace").split(layout.delimiter)]
    same = sum(cell == name for cell, name in zip(cells, layout.names, strict=False))
    return 2 * same > len(layout.names)
