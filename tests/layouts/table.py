"""What all layouts share: a layout is a name and a function that writes records into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.layouts.cell import Numbering, Record

Write = Callable[[Path, Sequence[Record]], None]
Text = Callable[[Sequence[Record]], str]
Fields = Sequence[tuple[str, Callable[[Record], object]]]

ALL_NUMBERINGS: tuple[Numbering, ...] = ("from one", "from zero", "stays at one")


@dataclass(frozen=True)
class Layout:
    """One way of writing a test, and what must come back.

    ``decimals`` are those printed of a capacity in Ah, ``energy`` says whether energies are counted,
    ``counted`` whether anything is. ``warnings`` begin what has to be said of every such file. ``mapping`` is the
    text of a mapping file, for delimited text that no reader knows; ``lines_like`` names a layout whose lines are
    built alike, so that what matters of them need be tried with that one only.
    """

    name: str
    reader: str
    file: str
    write: Write
    decimals: int = 6
    counted: bool = True
    energy: bool = False
    step_starts: bool = False
    numberings: tuple[Numbering, ...] = ALL_NUMBERINGS
    warnings: tuple[str, ...] = ()
    mapping: str = ""
    lines_like: str = ""


def text(make: Text, *, encoding: str = "utf-8", line_end: str = "\n") -> Write:
    """Write what ``make`` returns, as a computer of some country would."""

    def write_text(path: Path, records: Sequence[Record]) -> None:
        path.write_bytes(make(records).replace("\n", line_end).encode(encoding))

    return write_text


def rows(fields: Fields, records: Sequence[Record], *, decimal: str = ".", decimals: int = 6) -> list[list[str]]:
    """Spell the cells; numbers with fractions with as many decimals as told."""
    return [[spelled(value(record), decimal, decimals) for _, value in fields] for record in records]


def lines(
    fields: Fields, records: Sequence[Record], delimiter: str, *, decimal: str = ".", decimals: int = 6, end: str = ""
) -> str:
    """A line of names and one for each record, which ``end`` closes."""
    cells = rows(fields, records, decimal=decimal, decimals=decimals)
    return "\n".join([delimiter.join(name for name, _ in fields), *(delimiter.join(row) + end for row in cells), ""])


def spelled(value: object, decimal: str, decimals: int) -> str:
    """Write one cell.

    >>> spelled(1.5, ",", 2), spelled(3, ".", 2)
    ('1,50', '3')
    """
    return f"{value:.{decimals}f}".replace(".", decimal) if isinstance(value, float) else str(value)


def clock(seconds: float, *, days: str = "", decimals: int = 3) -> str:
    """Write a time of the test: hours that go on past a day, or days with the mark behind them.

    >>> clock(90061.5), clock(90061.5, days="d ")
    ('25:01:01.500', '1d 01:01:01.500')
    """
    whole, rest = divmod(seconds, 86_400) if days else (0, seconds)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    bare = f"{int(hours):02}:{int(minutes):02}:{rest:0{decimals + 3 if decimals else 2}.{decimals}f}"
    return f"{int(whole)}{days}{bare}" if days else bare
