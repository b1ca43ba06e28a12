"""ZPlot and ZView impedance data (``.z``, ``.txt``), also as other programs export them for ZView.

File structure:
    Either ``ZPLOT2 ASCII`` and lines ``key: value`` up to ``End Comments``, then the points between tabs; or, without
    comments, ``"ZPlotW Data File: Version …"`` or ``"Z60W Data File: Version …"``, some lines about the experiment,
    the number of points, a line of labels between quotes, and the points between commas. The columns are always
    frequency, amplitude, bias, time, real part, imaginary part, GD, error and range.

Choices:
    The imaginary part has its physical sign. Dates are taken month first, as in ``12-17-2019``. Programs
    that export for ZView write a time of 0 for every point: then there is no test time. Surface areas of 0 and 1 cm²
    are the program's own and count as not filled in.

Seen in:
    ZPlot 3.2 with comments; a Z60W file exported by another program. ZPlotW files as published.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.potentiostat import (
    Label,
    Terms,
    count_warning,
    filled_in,
    number,
    read_records,
    set_start,
)
from battery_analysis.readers.sniff import head_text, load_text

MAGICS = ("zplot2 ascii", "zplotw data file", "z60w data file")

LABELS = {
    "Freq": Label("Freq", "Hz"),
    "Ampl": Label("Ampl", ""),
    "Bias": Label("Bias", ""),
    "Time": Label("Time", "s"),
    "Z'": Label("Z'", "ohm"),
    "Z''": Label("Z''", "ohm"),
    "GD": Label("GD", ""),
    "Err": Label("Err", ""),
    "Range": Label("Range", ""),
}
"""The columns, in the order that the format gives them."""

TERMS: Terms = {
    "Freq": (columns.FREQUENCY, 1),
    "Time": (columns.TEST_TIME, 1),
    "Z'": (columns.REAL_IMPEDANCE, 1),
    "Z''": (columns.IMAGINARY_IMPEDANCE, 1),
}

_END = "End Comments"
_LABEL_LINE = re.compile(r"[\"']*\s*Freq\s*\(Hz\).*Z'", re.IGNORECASE)
_DATE = re.compile(r"Date:\s*([\d/.-]+)\s+Time:\s*([\d:.]+(?:\s*[AP]M)?)", re.IGNORECASE)
_MONTH_FIRST = re.compile(r"(\d\d)-(\d\d)-(\d{4})")
_MOST_HEADER_LINES = 2_000
_TIMED = {
    "\t": re.compile(rb"^(?:[^\t\n]*\t){3}[^\t\n]*?[1-9]", re.MULTILINE),
    ",": re.compile(rb"^(?:[^,\n]*,){3}[^,\n]*?[1-9]", re.MULTILINE),
}
"""A row whose fourth field, its time, is not zero, by what is between its fields."""


class ZPlotText:
    """Reads ZPlot and ZView data files."""

    name = "zplot_z"
    version = "1"
    tester = "Scribner"
    suffixes = frozenset({".z"})
    description = "ZPlot and ZView data; the first line is ZPLOT2 ASCII, ZPlotW Data File or Z60W Data File"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line names one of the three layouts."""
        first_line = head_text(head[:256]).lstrip().split("\n")[0]
        return first_line.strip("\"' ").lower().startswith(MAGICS)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one spectrum.

        Raises:
            CorruptFileError: There are no points, or not the nine columns of the format.
            SchemaError: The points cannot be parsed.
        """
        text, _, warnings = load_text(path)
        found = _split(text)
        if found is None:
            raise CorruptFileError(path, f"neither the line {_END!r} nor a line of labels such as Freq(Hz)", self.name)
        rows = re.sub(rb",[ \t]+", b"\t", found.points)  # a comma before a space is no decimal mark
        if not rows.strip():
            raise CorruptFileError(path, f"no data rows after the {len(found.lines)} header lines", self.name)
        delimiter = "\t" if b"\t" in rows else ","
        width = len(rows.lstrip().split(b"\n")[0].rstrip().decode("utf-8", "replace").split(delimiter))
        if width != len(LABELS):
            raise CorruptFileError(
                path, f"line {len(found.lines) + 1} has {width} fields instead of {len(LABELS)}", self.name
            )
        metadata = _metadata(found)
        terms = dict(TERMS)
        if not _TIMED[delimiter].search(rows):
            del terms["Time"]
        frame, record_warnings = read_records(
            rows, LABELS, terms, metadata, delimiter=delimiter, first_line=len(found.lines) + 1
        )
        if not frame.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *record_warnings[:3]]), self.name)
        date = _MONTH_FIRST.sub(r"\3-\1-\2", metadata.header.get("Date", ""))
        warnings += set_start(metadata, f"{date} {metadata.header.get('Time', '')}", time_zone)
        announced = count_warning(metadata.announced_records, frame.height, "the header")
        return Reading(frame, metadata, [*warnings, *record_warnings, *announced])


class _Split(NamedTuple):
    lines: list[str]
    points: bytes


def _split(text: bytes) -> _Split | None:
    """Part the header, which ends with ``End Comments`` or the line of labels, from the points."""
    lines: list[str] = []
    has_comments = text[:64].lstrip(b"\"' \n").lower().startswith(MAGICS[0].encode())
    position = 0
    while position < len(text) and len(lines) < _MOST_HEADER_LINES:
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end].decode("utf-8", "replace")
        lines.append(line.strip())
        position = end + 1
        if line.strip("\"' ") == _END or (not has_comments and _LABEL_LINE.match(line)):
            return _Split(lines, text[position:])
    return None


def _metadata(found: _Split) -> TestMetadata:
    header: dict[str, str] = {}
    group = ""
    for line in found.lines[1:]:
        bare = line.strip('" ')
        dated = _DATE.search(bare)
        key, colon, value = (part.strip() for part in bare.partition(":"))
        if dated:
            header |= {"Date": dated[1], "Time": dated[2]}
        elif key.startswith("Begin "):
            group = key.removeprefix("Begin ")
        elif key.startswith("End ") or _LABEL_LINE.match(line):
            group = ""
        elif colon:
            header[key if key not in header else f"{group} {key}".strip()] = value
        elif bare:
            _add(header, "User Comments" if group == "User Comments" else "other lines", bare)
    lines = header.get("other lines", "").split("\n")
    count = header.get("Data Points") or next((line for line in reversed(lines) if line.isdecimal()), "")
    experiment = header.get("Experiment Type") or header.get("Sweep Frequency")
    version = header.get("Measured Data, ZPlot") or found.lines[0].strip('" ').rpartition("Version ")[2]
    return TestMetadata(
        tester="Scribner",
        technique=experiment or None,
        test_type="eis",
        comment=header.get("User Comments") or _free_lines(found.lines[0], lines),
        software=_software(found.lines[0], version),
        electrode_area_cm2=filled_in(header.get("Surface Area")),
        announced_records=int(number(count) or 0) or None,
        header=header,
    )


def _add(header: dict[str, str], key: str, line: str) -> None:
    header[key] = "\n".join(filter(None, (header.get(key, ""), line)))


def _free_lines(first_line: str, lines: list[str]) -> str | None:
    """Lines that are neither numbers nor words of the program, where comments have no place of their own."""
    if first_line.strip("\"' ").lower().startswith(MAGICS[0]):
        return None
    own = ("Raw Data", "Frequency")
    return "\n".join(line for line in lines if line not in own and not re.fullmatch(r"[\d.,;eE+ -]*", line)) or None


def _software(first_line: str, version: str) -> str | None:
    if "z60w" in first_line.lower():  # the layout that other programs export, so it names none
        return None
    return f"ZPlot {version}" if version[:1].isdigit() else "ZPlot"
