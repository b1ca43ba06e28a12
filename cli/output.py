"""What commands print: tables, facts, JSON."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from math import isfinite
from pathlib import Path, PurePath
from typing import Any

from battery_analysis.analysis.wording import counted as counted
from battery_analysis.errors import one_line

_UNITS = {
    "mah_cm2": "(mAh/cm2)",
    "mah_cm3": "(mAh/cm3)",
    "mah_g": "(mAh/g)",
    "mwh_cm2": "(mWh/cm2)",
    "wh_kg": "(Wh/kg)",
    "wh_l": "(Wh/L)",
    "ohm_cm2": "(Ohm cm2)",
    "ohm_cm": "(Ohm cm)",
    "mg_cm2": "(mg/cm2)",
    "ah_per_volt": "(Ah/V)",
    "volt_per_ah": "(V/Ah)",
    "volt_per_cycle": "(V/cycle)",
    "volt_per_hour": "(V/h)",
    "volt_per_root_second": "(V/s^0.5)",
    "cm2_per_second": "(cm2/s)",
    "per_second": "(1/s)",
    "cm2": "cm2",
    "cm3": "cm3",
    "um": "um",
    "ul": "ul",
    "mg": "mg",
    "g": "g",
    "gram": "g",
    "ah": "Ah",
    "wh": "Wh",
    "volt": "V",
    "ampere": "A",
    "ohm": "Ohm",
    "celsius": "degC",
    "hertz": "Hz",
    "henry": "H",
    "farad": "F",
    "watt": "W",
    "seconds": "s",
    "second": "s",
}
"""Endings of names, longest first, and the units they mean."""

FOLDED_WIDTH = 26
"""No value this wide or narrower, such as an id or a time, is folded in a drawn table."""

_GAP = 2


def print_json(document: object) -> None:
    """Print one JSON document: times in ISO format, ids as texts, values that are no numbers as null."""
    import json

    json.dump(to_plain(document), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def to_plain(value: object) -> Any:
    """Turn a value into what JSON knows; naive times are UTC, as everywhere in the project.

    >>> to_plain({"at": datetime(2026, 3, 1, 12, 30), "efficiency": float("nan"), "path": PurePath("a.csv")})
    {'at': '2026-03-01T12:30:00+00:00', 'efficiency': None, 'path': 'a.csv'}

    Raises:
        TypeError: The value has no form in JSON.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, PurePath) or type(value).__name__ == "ObjectId":  # bson stays unimported
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON: {value!r}")


def print_table(rows: Iterable[Mapping[str, object]], columns: Sequence[str] | Mapping[str, str]) -> None:
    """Print rows as a table: drawn on a terminal and folded between words, aligned and never cut in a pipe.

    Args:
        rows: One mapping per row; keys that ``columns`` does not name are left out.
        columns: Keys in order, or key to heading; without one, ``heading`` makes it.
    """
    headings = list(columns.values()) if isinstance(columns, Mapping) else [heading(key) for key in columns]
    values = [[row.get(key) for key in columns] for row in rows]
    numeric = [all(isinstance(row[i], int | float | None) for row in values) for i in range(len(headings))]
    cells = [[one_line(cell_text(value)) for value in row] for row in values]
    if sys.stdout.isatty():
        _print_drawn(headings, cells, numeric)
    else:
        _print_aligned(headings, cells, numeric)


def cell_text(value: object) -> str:
    """Text of a value in a table.

    >>> [cell_text(value) for value in (None, True, 0.123456789, datetime(2026, 3, 1, 9, 5), ["a", "b"], {"k": 1})]
    ['', 'yes', '0.123457', '2026-03-01 09:05', 'a, b', 'k 1']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if isfinite(value) else ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell_text, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell_text(each)}" for key, each in value.items())
    return str(value)


def _print_drawn(headings: list[str], cells: list[list[str]], numeric: list[bool]) -> None:
    """Fold long texts between words until the table fits; where it cannot, print each row as a block of lines."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    widths = _fitted_widths(headings, cells, console.width)
    if widths is None:
        _print_blocks(headings, cells, console.width)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading, right, width in zip(headings, numeric, widths, strict=True):
        table.add_column(Text(heading), justify="right" if right else "left", width=width)
    for row in cells:
        table.add_row(*map(Text, row))  # Text, because names of files may look like markup
    console.print(table)


def _fitted_widths(headings: list[str], cells: list[list[str]], room: int) -> list[int] | None:
    """Return a width for each column so that nothing is folded inside a word; None where that does not fit."""
    wanted = _widths(headings, cells)
    least = [max(_longest_word(headings[i]), *(_least_width(row[i]) for row in cells), 1) for i in range(len(headings))]
    spare = room - sum(least) - _GAP * (len(headings) - 1)
    if spare < 0:
        return None
    fitted = list(least)
    hungry = sorted(range(len(headings)), key=lambda i: wanted[i] - least[i])
    for place, i in enumerate(hungry):
        more = min(wanted[i] - least[i], spare // (len(hungry) - place))
        fitted[i] += more
        spare -= more
    return fitted


def _least_width(text: str) -> int:
    from rich.cells import cell_len

    width = cell_len(text)
    return width if width <= FOLDED_WIDTH else _longest_word(text)


def _longest_word(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split()), default=0)


def _print_blocks(headings: list[str], cells: list[list[str]], room: int) -> None:
    """Print each row as lines of heading and value, with an empty line between rows; what is not known is left out."""
    width = max(map(len, headings))
    for number, row in enumerate(cells):
        if number:
            print()
        for heading, text in zip(headings, row, strict=True):
            if text:
                lines = textwrap.wrap(
                    text, max(room - width - 2, 1), break_long_words=False, break_on_hyphens=False
                ) or [text]
                print(f"{heading:<{width}}  {lines[0]}", *(" " * (width + 2) + line for line in lines[1:]), sep="\n")


def _widths(headings: list[str], cells: list[list[str]]) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(line[i]) for line in (headings, *cells)) for i in range(len(headings))]


def _print_aligned(headings: list[str], cells: list[list[str]], numeric: list[bool]) -> None:
    from rich.cells import cell_len

    widths = _widths(headings, cells)
    for line in (headings, *cells):
        padded = [
            " " * (width - cell_len(text)) + text if right else text + " " * (width - cell_len(text))
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(padded).rstrip())


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values in two columns; values that are not known are left out."""
    known = {heading(name): text for name, value in facts.items() if (text := one_line(_fact_text(value)))}
    width = max(map(len, known), default=0)
    for name, text in known.items():
        print(f"{name:<{width}}  {text}")


def print_notes(notes: Iterable[Mapping[str, Any]]) -> None:
    """Print the notes of a document, oldest first."""
    for note in notes:
        author = f", {note['author']}" if note.get("author") else ""
        print(one_line(f"note of {note['written_at']:%Y-%m-%d}{author}: {note['text']}"))


def _fact_text(value: object) -> str:
    return f"{cell_text(value)} UTC" if isinstance(value, datetime) else cell_text(value)


def heading(name: str) -> str:
    """Write a name for people: with spaces, its unit behind a stroke, in brackets if it is made of several.

    >>> [heading(name) for name in ("cell_code", "nominal_capacity_ah", "loading_mg_cm2", "metadata.rig_ah")]
    ['cell code', 'nominal capacity / Ah', 'loading / (mg/cm2)', 'metadata.rig_ah']
    >>> [heading(name) for name in ("height_error_ah_per_volt", "frequency_hertz", "r_0_1s_ohm")]
    ['height error / (Ah/V)', 'frequency / Hz', 'r 0.1s / Ohm']
    """
    if "." in name:  # named by a person
        return name
    name = re.sub(r"(?<=_)(\d+)_(\d+s)(?=_)", r"\1.\2", name)
    for ending, unit in _UNITS.items():
        if name.endswith(f"_{ending}"):
            return f"{name.removesuffix(f'_{ending}').replace('_', ' ')} / {unit}"
    return name.replace("_", " ")


def say_written(path: Path) -> None:
    """Say on standard error what was written to a file."""
    size = f"{counted(path.stat().st_size, 'byte')} " if path.is_file() else ""
    print(one_line(f"wrote {size}to {path}"), file=sys.stderr)


def duration_text(seconds: float | None) -> str:
    """Spell a duration in its two largest units.

    >>> [duration_text(seconds) for seconds in (0.25, 90, 3700, 100_000, None)]
    ['0.25 s', '1 min 30 s', '1 h 1 min', '1 d 3 h', '']
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
