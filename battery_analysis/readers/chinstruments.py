"""CH Instruments text exports (``.txt``, ``.csv``).

File structure:
    Date and time, the technique, lines ``key: value`` about file, instrument and notes, parameters ``key = value``
    with units in the key, sometimes results, then one line of labels with units, an empty line, and the records
    between commas: ``Freq/Hz, Z'/ohm, Z"/ohm, Z/ohm, Phase/deg``; ``Time/sec, Potential/V``;
    ``Potential/V, Current/A``. Lines above the technique may be left out of the export, and tabs or spaces may
    separate the records although commas separate the labels.

Choices:
    The imaginary part has its physical sign. Which direction of the current is positive is a setting of the program
    that the file does not hold: currents are kept as written, with a warning. A sweep has no times: they follow from
    the potentials and the scan rate, with a warning. Currents at one potential (``i-t``) come without it: the applied
    one, ``Init E (V)``, counts, with a warning. Applied currents stay in the header, for no record says which flowed.

Seen in:
    CHI660E impedance; layouts of CHI400 to CHI1040 as published.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.potentiostat import Terms, kind_of_test, number, read_records, set_start, split_label
from battery_analysis.readers.sniff import column_names, head_text, load_text

TERMS: Terms = {
    "Time": (columns.TEST_TIME, 1),
    "Potential": (columns.VOLTAGE, 1),
    "E": (columns.VOLTAGE, 1),
    "Current": (columns.CURRENT, 1),
    "i1": (columns.CURRENT, 1),
    "Freq": (columns.FREQUENCY, 1),
    "Z'": (columns.REAL_IMPEDANCE, 1),
    'Z"': (columns.IMAGINARY_IMPEDANCE, 1),
    "Z''": (columns.IMAGINARY_IMPEDANCE, 1),
    "Z": (columns.ABSOLUTE_IMPEDANCE, 1),
    "Phase": (columns.PHASE, 1),
}

_LABELS = re.compile(r"(?:Freq/Hz|Time/s(?:ec)?|Potential/V)[ \t]*[,\t].*\S", re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<key>[^=]+?)\s*=\s*(?P<value>.*)")
_OWN = re.compile(r"^(Instrument Model:\s+CHI|Init E \(V\) = |High Frequency \(Hz\) = )", re.MULTILINE)
_OWN_WORDS = ("Model:", "(V) = ", "(Hz) = ")
_MOST_HEADER_LINES = 2_000
_SCAN_RATE = "Scan Rate (V/s)"
_POTENTIAL = "Init E (V)"


class ChInstrumentsText:
    """Reads CH Instruments text exports."""

    name = "chinstruments_text"
    version = "1"
    tester = "CH Instruments"
    suffixes = frozenset({".txt", ".csv"})
    description = "CH Instruments text exports; Instrument Model: CHI… and labels such as Freq/Hz, Z'/ohm"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether CHI's parameters stand above a line of its labels."""
        text = head_text(head)
        if not any(word in text for word in _OWN_WORDS):
            return False
        found = re.search(f"^{_LABELS.pattern}$", text, re.MULTILINE | re.IGNORECASE)
        return bool(found and _OWN.search(text[: found.start()]))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There is no line of labels, or no records.
            SchemaError: The records cannot be parsed.
        """
        text, _, warnings = load_text(path)
        found = _split(text)
        if found is None:
            raise CorruptFileError(path, "no line of labels such as Freq/Hz, Time/sec, Potential/V", self.name)
        metadata, start = _metadata(found.lines[:-1])
        # The " of Z" is no quote, and stands alone in its line.
        names, name_warnings = column_names(found.lines[-1].replace('"', "''").replace("\t", ","), ",", [])
        labels = {name: split_label(name) for name in names}
        rows, delimiter = _bare(found.rows)
        frame, record_warnings = read_records(
            rows, labels, TERMS, metadata, delimiter=delimiter, first_line=len(found.lines) + 1
        )
        if not frame.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *record_warnings[:3]]), self.name)
        frame, time_warnings = _timed(frame, metadata)
        frame, applied_warnings = _with_applied(frame, metadata)
        warnings += [*set_start(metadata, start, time_zone), *applied_warnings]
        if columns.CURRENT.name in frame.columns:
            warnings.append("the file does not say whether anodic or cathodic current is positive; kept as written")
        return Reading(frame, metadata, [*warnings, *name_warnings, *record_warnings, *time_warnings])


class _Split(NamedTuple):
    lines: list[str]
    rows: bytes


def _split(text: bytes) -> _Split | None:
    """Part the header, which ends with the line of labels, from the records."""
    lines: list[str] = []
    position = 0
    while position < len(text) and len(lines) < _MOST_HEADER_LINES:
        end = text.find(b"\n", position)
        end = len(text) if end < 0 else end
        lines.append(text[position:end].decode("utf-8", "replace").strip())
        position = end + 1
        if _LABELS.fullmatch(lines[-1]):
            return _Split(lines, text[position:])
    return None


def _bare(rows: bytes) -> tuple[bytes, str]:
    """Take away the spaces around the fields; also return what is left between these."""
    first = rows.lstrip().partition(b"\n")[0].strip()
    if b"," in first and b"\t" not in first:
        return re.sub(rb"^[ \t]+|(?<=,)[ \t]+", b"", rows, flags=re.MULTILINE), ","
    rows = re.sub(rb"^[ \t]+|[ \t]+$", b"", rows, flags=re.MULTILINE)
    return re.sub(rb"[ \t]+", b"\t", rows), "\t"


def _metadata(lines: list[str]) -> tuple[TestMetadata, str]:
    """Read what stands above the labels; also return the stamp of the start."""
    header: dict[str, str] = {}
    free = []
    for line in lines:
        parameter = _PARAMETER.fullmatch(line)
        key, colon, value = (part.strip() for part in line.partition(":"))
        if parameter:
            key, value = parameter["key"], parameter["value"]
            header[key] = "\n".join(filter(None, (header.get(key, ""), value)))
        elif colon and not re.search(r"\d$", key):
            header[key] = value
        elif line:
            free.append(line)
    start = free.pop(0) if free and re.search(r"\d{4}\s+\d+:\d+", free[0]) else ""
    technique = free.pop(0) if free and free[0] == _line_after(lines, start) else None
    if technique is None and "High Frequency (Hz)" in header:
        technique = "A.C. Impedance"
    name = header.get("File", "")
    metadata = TestMetadata(
        tester="CH Instruments",
        device=header.get("Instrument Model") or None,
        technique=technique,
        test_type=kind_of_test(technique),
        test_name=re.split(r"[\\/]", name)[-1].removesuffix(".bin") or None,
        comment="\n".join(filter(None, (header.get("Header"), header.get("Note")))) or None,
        header=header,
    )
    return metadata, start


def _line_after(lines: list[str], start: str) -> str | None:
    """The line below the date, which names the technique."""
    filled = [line for line in lines if line]
    return filled[1] if start and len(filled) > 1 else None


def _timed(frame: pl.DataFrame, metadata: TestMetadata) -> tuple[pl.DataFrame, list[str]]:
    """Give a sweep its times: the potential moves at the scan rate."""
    time, voltage = columns.TEST_TIME.name, columns.VOLTAGE.name
    rate = number(metadata.header.get(_SCAN_RATE))
    if time in frame.columns or voltage not in frame.columns or not rate or rate < 0:
        return frame, []
    moved = pl.col(voltage).diff().abs().fill_null(0.0).cum_sum()
    metadata.sources[time] = ColumnSource(f"Potential over {_SCAN_RATE}", "s")
    return frame.with_columns((moved / rate).alias(time)), [
        f"the file has no times: they follow from the potential and the scan rate of {rate:g} V/s"
    ]


def _with_applied(frame: pl.DataFrame, metadata: TestMetadata) -> tuple[pl.DataFrame, list[str]]:
    """Give currents at one potential that potential, and say where the currents of a chronopotentiometry are."""
    time, voltage, current = columns.TEST_TIME.name, columns.VOLTAGE.name, columns.CURRENT.name
    applied = {key: value for key, value in metadata.header.items() if key.endswith(" Current (A)")}
    if voltage in frame.columns and current not in frame.columns and applied:
        said = ", ".join(f"{key} = {value}" for key, value in applied.items())
        return frame, [f"the file has no currents of its records; the header says {said}"]
    potential = number(metadata.header.get(_POTENTIAL))
    is_held = time in frame.columns and current in frame.columns and voltage not in frame.columns
    if not is_held or potential is None or "i-t" not in (metadata.technique or ""):
        return frame, []
    metadata.sources[voltage] = ColumnSource(_POTENTIAL, "V")
    said = f"the file has no voltages: they are the applied {_POTENTIAL} = {potential:g}"
    return frame.with_columns(pl.lit(potential).alias(voltage)), [said]
