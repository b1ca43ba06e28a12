"""Impedance spectra of Maccor's frequency response analyser (``.EDA0001.041`` and so on).

File structure:
    ``MACCOR, INC.    AC Impedance Test``, what was swept, the procedure, the name of the file, the start, the
    settings in one line, the column names, and one line for each frequency, separated by tabs. Names of columns
    that were not exported follow the others, without anything below them. The extension is the channel; the test
    itself, with its marks ``FRA``, is the file without ``.EDA0001``.

    ``Z''(b)`` has its physical sign; ``Polar(V)`` is the angular frequency, in 1/s.

Seen in:
    An export of 2016.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from pathlib import Path

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.maccor_header import read_stamp, split_procedure
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.sniff import (
    MAX_LINE_BYTES,
    column_names,
    head_text,
    load_text,
    sample_lines,
    sniff_decimal,
)
from battery_analysis.readers.table import parse_table

MAPS = (
    Map("Freq(Hz)", columns.FREQUENCY, unit="Hz"),
    Map("Z'(a)", columns.REAL_IMPEDANCE, unit="ohm"),
    Map("Z''(b)", columns.IMAGINARY_IMPEDANCE, unit="ohm"),
    Map("Z-Mag", columns.ABSOLUTE_IMPEDANCE, unit="ohm"),
    Map("Phase_Angle", columns.PHASE, unit="deg"),
    Map("time(sec)", columns.TEST_TIME, unit="s"),
    Map("V-DC", columns.VOLTAGE, unit="V"),
)

_REQUIRED = ("Freq(Hz)", "Z'(a)", "Z''(b)")
_UNITS = {"Polar(V)": "1/s", "C(F)": "F", "VMag": "V", "IMag": "A"}
_MOST_HEADER_LINES = 100
_START = re.compile(r"Start Date:\s*(?P<date>.*?)\s*Start Time:\s*(?P<time>\d{1,2}:\d{2}(:\d{2})?( *[AP]M)?)")
_SWEEP = re.compile(r"Frequency Sweep:\s*(?P<what>.*\S)")
_FILE = re.compile(r"(?P<name>.+)\.EDA\d+\.(?P<channel>\d+)", re.IGNORECASE)


class MaccorImpedance:
    """Reads impedance spectra of Maccor testers."""

    name = "maccor_impedance"
    version = "1"
    tester = "Maccor"
    suffixes = frozenset(f".{number:03}" for number in range(1, 1000))
    description = "Maccor impedance spectra (.EDA0001.041); the first line is 'MACCOR, INC.    AC Impedance Test'"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line names the analyser and another one the columns."""
        text = head_text(head)
        return text.lstrip().startswith("MACCOR") and _find_names(text) is not None

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one spectrum; its start is written without a zone, so it is taken in ``time_zone``.

        Raises:
            CorruptFileError: There is no line of column names, or no points.
        """
        text, _, warnings = load_text(path)
        lines = _find_names(text[: 2 * MAX_LINE_BYTES].decode("utf-8", "ignore"))
        if lines is None:
            raise CorruptFileError(path, f"no line of column names such as {', '.join(_REQUIRED)}", self.name)
        above = sum(len(line.encode()) + 1 for line in lines)
        rows = text[above:].lstrip(b"\n")
        sample = sample_lines(rows)
        names, name_warnings = column_names(_announced(lines[-1], sample), "\t", sample)
        try:
            raw, table_warnings = parse_table(
                rows,
                names,
                delimiter="\t",
                decimal=sniff_decimal(sample, "\t"),
                first_line=text.count(b"\n", 0, len(text) - len(rows)) + 1,
                required=_REQUIRED,
                real=names,
            )
        except SchemaError as exc:
            raise CorruptFileError(path, str(exc), self.name) from exc
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        empty = [name for name in raw.columns if name not in _REQUIRED and not raw[name].count()]
        frame, sources = to_canonical(raw.drop(empty), MAPS, _UNITS)
        metadata = _metadata(lines[:-1], path, time_zone)
        metadata.sources = sources
        return Reading(frame, metadata, [*warnings, *name_warnings, *table_warnings])


def _find_names(text: str) -> list[str] | None:
    """Lines up to that with the column names."""
    lines = text.split("\n", _MOST_HEADER_LINES)[:_MOST_HEADER_LINES]
    for at, line in enumerate(lines):
        if set(_REQUIRED) <= {cell.strip() for cell in line.split("\t")}:
            return lines[: at + 1]
    return None


def _announced(names: str, sample: list[str]) -> str:
    """The names of the columns that the points have."""
    widths = Counter(row.rstrip("\t").count("\t") + 1 for row in sample if row.strip())
    width = widths.most_common(1)[0][0] if widths else None
    return "\t".join(names.split("\t")[:width])


def _metadata(lines: list[str], path: Path, time_zone: str) -> TestMetadata:
    filled = [line.strip() for line in lines if line.strip()]
    header = {f"line {number}": line for number, line in enumerate(filled, 1)}
    own = next((match for line in filled[:6] if (match := _FILE.fullmatch(line))), None)
    own = own or _FILE.fullmatch(path.name)
    sweep = _SWEEP.search("\n".join(filled))
    called = filled[2] if len(filled) > 2 and sweep and filled[1].startswith("Frequency Sweep") else ""
    protocol, comment = split_procedure(called)
    started_at = _started(filled, time_zone)
    return TestMetadata(
        tester="Maccor",
        channel=str(int(own["channel"])) if own else None,
        technique=sweep["what"] if sweep else None,
        test_type="eis",
        test_name=own["name"] if own else None,
        protocol=protocol or None,
        comment=comment or None,
        started_at=started_at,
        time_zone=time_zone if started_at else None,
        header=header,
    )


def _started(lines: list[str], time_zone: str) -> datetime | None:
    start = _START.search("\n".join(lines))
    return read_stamp(f"{start['date']} {start['time']}", time_zone) if start else None
