r"""Where the records of a Neware report stand in its rows: flat, or nested below cycles and steps.

Flat: one row of column names, then one for each record.

Nested: three rows of column names, of cycles, steps and records, the second and third indented by empty cells; then a
row for each cycle, below it one for each of its steps, below that its records, indented in the same way. Record rows
do not repeat their cycle and step. Some versions write the first step of a cycle into the row of the cycle, behind the
cells that have names there. Cells may be padded with tabs (``,"\t3.5047"``), and tab-delimited reports fill up
with further tabs to line their columns up.

Totals of cycles and steps are not kept: cycle number, step number, step type and the step's resistance are repeated
on the records below them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.readers.neware_headings import describes_records, describes_totals, heading
from battery_analysis.readers.sniff import (
    DELIMITERS,
    column_names,
    line_start,
    may_name,
    sample_lines,
    sniff_decimal,
    sniff_delimiter,
    split_cells,
)
from battery_analysis.readers.table import parse_table

HEAD_LINES = 30

_REQUIRED = (columns.VOLTAGE, columns.CURRENT)
_OF_STEPS = (columns.STEP_ID, columns.STEP_COUNT, columns.STEP_TYPE, columns.DC_INTERNAL_RESISTANCE)
_OWNER = "step row"
_FILLING = re.compile(rb"[ \t]*\t[ \t]*")
_SAMPLED_LINES = 20


class Names(NamedTuple):
    """Where the names of the columns stand."""

    before: list[str]
    """Lines ahead of them."""
    levels: list[str]
    """Their lines: only that of the records, or those of cycles, steps and records."""
    delimiter: str
    indents: tuple[int, ...]
    """Empty cells ahead of the names of steps and of records; nothing where the layout is flat."""

    @property
    def lines(self) -> int:
        """Number of lines up to the first row."""
        return len(self.before) + len(self.levels)

    @property
    def filled(self) -> bool:
        """Whether tabs fill up columns, so that several in a row are one delimiter."""
        inner = [line.strip("\t ") for line in self.levels]
        return self.delimiter == "\t" and any("\t\t" in line for line in inner)


class Layers(NamedTuple):
    """What a nested report holds beside its records."""

    rows: list[bytes]
    """For each line: the record behind the number of its step row; empty where another row stands."""
    steps: list[tuple[bytes, bytes]]
    """For each step row that of its cycle, and itself."""


def find_names(lines: Sequence[str]) -> Names | None:
    """Find the line with the names of the records and, where it is indented, those above it; None where none is."""
    for place, line in enumerate(lines[:HEAD_LINES]):
        if not may_name(line, b"vol", "电"):
            continue
        delimiter = sniff_delimiter(line, lines[place + 1 : place + _SAMPLED_LINES])
        if delimiter is None:
            continue
        indent = _indent(line, delimiter)
        if not indent and describes_records(_filled_cells(line, delimiter)):
            return Names(list(lines[:place]), [line], delimiter, ())
        if not indent or place < 2:
            continue
        cycles, steps = lines[place - 2 : place]
        in_order = 0 == _indent(cycles, delimiter) < _indent(steps, delimiter) < indent
        above = [*_filled_cells(cycles, delimiter), *_filled_cells(steps, delimiter)]
        if in_order and describes_records(_filled_cells(line, delimiter), above):
            indents = (_indent(steps, delimiter), indent)
            return Names(list(lines[: place - 2]), [cycles, steps, line], delimiter, indents)
    return None


def is_table_of_totals(lines: Sequence[str]) -> bool:
    """Say whether one of the first lines names totals of cycles or steps."""
    named = [line for line in lines[:3] if may_name(line, b"cap", "容")]
    return any(describes_totals(_filled_cells(line, delimiter)) for line in named for delimiter in DELIMITERS)


def flat_table(text: bytes, names: Names) -> tuple[pl.DataFrame, list[str]]:
    """Parse the rows of a flat report.

    Raises:
        SchemaError: They cannot be parsed at all.
    """
    start, header = line_start(text, names.lines), names.levels[-1]
    if names.filled:
        text, start, header = _FILLING.sub(b"\t", text[start:]), 0, _one_tab(header)
    elif names.delimiter != "\t" and text.find(b"\t", start) >= 0:
        text, start = _without_padding(text[start:], names.delimiter), 0
    return _table(text, header, names.delimiter, names.lines + 1, start)


def nested_table(text: bytes, names: Names) -> tuple[pl.DataFrame, list[str]]:
    """Parse the records of a nested report, and join what the rows above them say.

    Raises:
        SchemaError: The records cannot be parsed at all.
    """
    _, _, records = names.levels
    body = records.lstrip(names.delimiter)
    header = names.delimiter.join([_OWNER, _one_tab(body) if names.filled else body])
    text = text.replace(b"\r\n", b"\n")
    rows, steps = _layers(_without_padding(text, names.delimiter), names)
    line_end = b"\n" if text.endswith(b"\n") else b""
    table, warnings = _table(b"\n".join(filter(None, rows)) + line_end, header, names.delimiter, names.lines + 1)
    if warnings:  # they name the right lines only where every line of the file is there
        table, warnings = _table(b"\n".join(rows) + line_end, header, names.delimiter, names.lines + 1)
    owners = _owners(steps, names)
    owners = owners.drop(name for name in owners.columns if name in table.columns and name != _OWNER)
    table = table.with_columns(pl.col(_OWNER).cast(pl.Int64))
    return table.join(owners, on=_OWNER, how="left", maintain_order="left").drop(_OWNER), warnings


def level_cells(line: str, names: Names) -> list[str]:
    """Cells of a line of names, or of a row of cycles or steps, from the first that is not empty on."""
    body = line.lstrip(names.delimiter)
    return [cell.strip(' \t"') for cell in split_cells(_one_tab(body) if names.filled else body, names.delimiter)]


def _layers(text: bytes, names: Names) -> Layers:
    mark = names.delimiter.encode()
    inner, outer = names.indents
    ahead = mark * outer
    filled = names.filled
    repeated = {_without_padding(line.encode(), names.delimiter) for line in names.levels}
    layers = Layers([], [])
    cycle = b""
    for line in text.split(b"\n")[names.lines :]:
        row = b""
        body = line.lstrip(mark)
        indent = len(line) - len(body)
        if line.startswith(ahead) and body and line not in repeated:
            row = b"%d%b%b" % (len(layers.steps) - 1, mark, _FILLING.sub(b"\t", body) if filled else line[outer:])
        elif not body.strip(b' \t"') or line in repeated:
            pass
        elif indent >= inner:
            layers.steps.append((cycle, body))
        else:
            cycle = line
            if first_step := _first_step(line, names):
                layers.steps.append((cycle, first_step))
        layers.rows.append(row)
    return layers


def _first_step(cycle: bytes, names: Names) -> bytes:
    """What stands in the row of a cycle behind its own cells: its first step, in some versions; else nothing."""
    row = cycle.decode("utf-8", "replace")
    cells = split_cells(_one_tab(row) if names.filled else row, names.delimiter)
    step = cells[len(level_cells(names.levels[0].rstrip(names.delimiter), names)) :]
    return names.delimiter.join(step).encode() if any(cell.strip(' \t"') for cell in step) else b""


def _without_padding(text: bytes, delimiter: str) -> bytes:
    """Remove tabs that are no delimiters, and the quotes around them unless they protect a delimiter."""
    if delimiter == "\t" or b"\t" not in text:
        return text
    protected = re.compile(rb'"\t[^"\n]*' + re.escape(delimiter.encode()) + rb'[^"\n]*"')
    return text.translate(None, b"\t" if protected.search(text) else b'\t"')


def _owners(steps: Sequence[tuple[bytes, bytes]], names: Names) -> pl.DataFrame:
    """One row for each step row: its number, and what of it and of its cycle belongs to its records."""
    of_cycles, of_steps = (level_cells(line, names) for line in names.levels[:2])
    cycle_at = {name: at for at, name in enumerate(of_cycles) if heading(name).column is columns.CYCLE_COUNT}
    step_at = {name: at for at, name in enumerate(of_steps) if heading(name).column in _OF_STEPS}
    found: dict[str, list[str | None]] = {name: [] for name in (*cycle_at, *step_at)}
    for rows in steps:
        cycle, step = (level_cells(row.decode("utf-8", "replace"), names) for row in rows)
        for places, cells in ((cycle_at, cycle), (step_at, step)):
            for name, at in places.items():
                found[name].append(cells[at] if at < len(cells) else None)
    owners = pl.DataFrame(found, schema=dict.fromkeys(found, pl.String)).with_row_index(_OWNER)
    numbers = [name for name in found if heading(name).column is not columns.STEP_TYPE]
    return owners.with_columns(pl.col(_OWNER).cast(pl.Int64), pl.col(numbers).cast(pl.Float64, strict=False))


def _table(text: bytes, header: str, delimiter: str, first_line: int, start: int = 0) -> tuple[pl.DataFrame, list[str]]:
    sample = sample_lines(text, start=start)
    names, warnings = column_names(_as_wide_as(sample, header, delimiter), delimiter, sample)
    headings = [heading(name) for name in names]
    table, table_warnings = parse_table(
        text,
        names,
        delimiter=delimiter,
        decimal=sniff_decimal(sample, delimiter),
        first_line=first_line,
        required=[each.name for each in headings if each.column in _REQUIRED],
        real={each.name for each in headings if (each.column.dtype.is_float() if each.column else each.unit)},
        start=start,
    )
    return table, [*warnings, *table_warnings]


def _as_wide_as(sample: Sequence[str], header: str, delimiter: str) -> str:
    """Add or take empty names at the end until there are as many as cells: rows may be filled differently."""
    cells = split_cells(header, delimiter)
    widths = Counter(len(split_cells(row, delimiter)) for row in sample if row.strip())
    width = widths.most_common(1)[0][0] if widths else len(cells)
    while len(cells) > width and not cells[-1].strip(' \t"'):
        cells.pop()
    return delimiter.join([*cells, *[""] * (width - len(cells))])


def _filled_cells(line: str, delimiter: str) -> list[str]:
    return [bare for cell in split_cells(line, delimiter) if (bare := cell.strip(' \t"'))]


def _indent(line: str, delimiter: str) -> int:
    """Number of empty cells at the start of a line."""
    return len(line) - len(line.lstrip(delimiter))


def _one_tab(line: str) -> str:
    """Take tabs that fill a column up for one."""
    return _FILLING.sub(b"\t", line.encode()).decode()
