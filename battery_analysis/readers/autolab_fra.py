"""Spectra of Metrohm Autolab's (Eco Chemie's) FRA program (``.dfr``, ``.P00``).

File structure, as public readers have it:
    A ``.dfr`` begins with ``version8.0``, the number of points and one more line; then come nine lines for each point:
    frequency, real part, negative imaginary part, dc potential, dc current, time, and three of unknown meaning. A
    ``.P00`` holds some lines about the procedure, a line of labels, ``f/Hz``, ``Z'/Ohm``, ``-Z''/Ohm``, ``time/s``,
    ``Edc/V``, ``Idc/A``, the number of points, and the points between tabs.

Choices:
    The imaginary part has its physical sign. What is of unknown meaning is kept as ``aux_``.

Seen in:
    Layouts as published; not yet checked on a real file.
"""

from __future__ import annotations

import re
from pathlib import Path

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.potentiostat import Label, Terms, count_warning, number, read_records
from battery_analysis.readers.sniff import column_names, head_text, load_text

TERMS: Terms = {
    "time": (columns.TEST_TIME, 1),
    "Edc": (columns.VOLTAGE, 1),
    "Idc": (columns.CURRENT, 1),
    "f": (columns.FREQUENCY, 1),
    "Z'": (columns.REAL_IMPEDANCE, 1),
    "-Z''": (columns.IMAGINARY_IMPEDANCE, -1),
}

_VERSION = re.compile(r"version8\.0", re.IGNORECASE)
_POINT = ("f/Hz", "Z'/Ohm", "-Z''/Ohm", "Edc/V", "Idc/A", "time/s", "unknown 1", "unknown 2", "unknown 3")
_LINES_ABOVE = 3
_LABELS = re.compile(r"^[ \t]*f/Hz[ \t]+Z'/Ohm[ \t]+-Z''/Ohm\b.*$", re.MULTILINE)


class AutolabFra:
    """Reads spectra of the FRA program."""

    name = "autolab_fra"
    version = "1"
    tester = "Metrohm Autolab"
    suffixes = frozenset({".dfr", ".p00"})
    description = (
        "Autolab FRA spectra; version8.0, or the labels f/Hz, Z'/Ohm, -Z''/Ohm; not yet checked on a real file"
    )

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the file begins with the program's version and a count, or holds its labels."""
        text = head_text(head)
        lines = text.lstrip().split("\n", 2)
        counted = len(lines) > 1 and lines[1].strip().isdecimal() and _VERSION.fullmatch(lines[0].strip())
        return bool(counted or ("f/Hz" in text and _LABELS.search(text)))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one spectrum.

        Raises:
            CorruptFileError: There are no points.
            SchemaError: The points cannot be parsed.
        """
        text, _, warnings = load_text(path)
        lines = text.decode("utf-8", "replace").strip("\n").split("\n")
        metadata = TestMetadata(tester=self.tester, test_type="eis")
        is_dfr = bool(_VERSION.fullmatch(lines[0].strip()))
        above, names, rows = _from_dfr(lines) if is_dfr else _from_table(lines)
        metadata.header = {f"line {position}": line.strip() for position, line in enumerate(above, 1) if line.strip()}
        metadata.announced_records = int(number(above[1 if is_dfr else -1]) or 0) or None
        labels = {name: Label(*name.rsplit("/", 1)) if "/" in name else Label(name, "") for name in names}
        frame, record_warnings = read_records(
            "\n".join(rows).encode(), labels, TERMS, metadata, delimiter="\t", first_line=len(above) + 1
        )
        if not frame.height:
            raise CorruptFileError(path, "; ".join(["the file has no points", *record_warnings[:3]]), self.name)
        announced = count_warning(metadata.announced_records, frame.height, "the header")
        return Reading(frame, metadata, [*warnings, *record_warnings, *announced])


def _from_dfr(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Part a ``.dfr``: the lines above the points, the names of the columns, and one row for each whole point."""
    above, values = lines[:_LINES_ABOVE], [line.strip() for line in lines[_LINES_ABOVE:]]
    points = min(len(values) // len(_POINT), int(number(above[1]) or 0))
    rows = ["\t".join(values[point * len(_POINT) : (point + 1) * len(_POINT)]) for point in range(points)]
    return above, list(_POINT), [*rows, ""]


def _from_table(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Part a ``.P00``: the lines above the points, of which the last is their number, the names, and the rows."""
    at = next((position for position, line in enumerate(lines) if _LABELS.match(line)), len(lines) - 1)
    names, _ = column_names("\t".join(cell.strip() for cell in lines[at].strip().split("\t")), "\t", [])
    rows = ["\t".join(cell.strip() for cell in line.strip().split("\t")) for line in lines[at + 2 :]]
    return lines[: at + 2], names, [*rows, ""]
