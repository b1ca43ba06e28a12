"""Altered copies of text exports: what a program, or a person, may do to a file without anybody noticing.

Columns are found by the vendor's names that a reading tells; nothing else is known of the file's layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from battery_analysis.reading import ReadResult

Mutation = Callable[[Path, ReadResult], bytes]

HOUR = 3600
_CLOCK = re.compile(r"(?P<days>\s*(?P<day>\d+)d )?(?P<hour>\d+):(?P<minute>\d+):(?P<second>\d+(?:\.\d+)?)")
_TIMES = ("test_time_second", "step_time_second")


def flipped_sign(path: Path, result: ReadResult) -> bytes:
    """The current, positive where it was negative."""
    return _altered(path, result, ["current_ampere"], lambda cell: _scaled(cell, -1))


def milliampere(path: Path, result: ReadResult) -> bytes:
    """Thousands of the current's unit."""
    return _altered(path, result, ["current_ampere"], lambda cell: _scaled(cell, 1000))


def hours(path: Path, result: ReadResult) -> bytes:
    """Times 3600 times as long, those of the steps as well."""
    return _altered(path, result, _TIMES, lambda cell: _longer(cell) or _scaled(cell, HOUR))


def dropped_block(path: Path, result: ReadResult) -> bytes:
    """A tenth of the lines of records missing in the middle, and at least five."""
    lines, header, _, _ = _table(path, result, "voltage_volt")
    size = max(5, (len(lines) - header) // 10)
    middle = (header + len(lines)) // 2
    return "\n".join([*lines[:middle], *lines[middle + size :]]).encode("latin-1")


def _altered(path: Path, result: ReadResult, names: Iterable[str], change: Callable[[str], str]) -> bytes:
    lines, header, delimiter, _ = _table(path, result, "voltage_volt")
    for name in names:
        if name not in result.metadata.sources:
            continue
        _, at, _, place = _table(path, result, name)
        assert at == header
        for number in range(header + 1, len(lines)):
            cells = lines[number].split(delimiter)
            if len(cells) > place:
                cells[place] = change(cells[place])
                lines[number] = delimiter.join(cells)
    return "\n".join(lines).encode("latin-1")


def _table(path: Path, result: ReadResult, name: str) -> tuple[list[str], int, str, int]:
    """Lines, position of that with the names, what parts its cells, and the place of the column among them."""
    lines = path.read_bytes().decode("latin-1").split("\n")
    vendors = result.metadata.sources[name].name.strip()
    spellings = {vendors, vendors.encode().decode("latin-1")}
    for at, line in enumerate(lines):
        for delimiter in "\t,;":
            cells = [cell.strip(' "\r~\xef\xbb\xbf') for cell in line.split(delimiter)]
            place = next((place for place, cell in enumerate(cells) if cell in spellings), None)
            if len(cells) > 2 and place is not None:
                return lines, at, delimiter, place
    raise LookupError(f"{path}: no line of names holds {vendors!r}")


def _scaled(cell: str, factor: int) -> str:
    """Multiply a number whatever its decimal mark; words stay."""
    try:
        value = float(cell.replace(",", ".")) * factor
    except ValueError:
        return cell
    return f"{value:.12g}".replace(".", "," if "," in cell else ".")


def _longer(cell: str) -> str:
    """Write a clock time that is as many hours as it was seconds; nothing where the cell holds none."""
    clock = _CLOCK.fullmatch(cell.strip('"'))
    if clock is None:
        return ""
    of_day = (int(clock["hour"]) * 60 + int(clock["minute"])) * 60 + float(clock["second"])
    total = int(clock["day"] or 0) * 86_400 + of_day
    days, rest = divmod(int(total), 24) if clock["days"] else (0, int(total))
    return f"  {days}d {rest:02}:00:00.0" if clock["days"] else f"{rest:02}:00:00"
