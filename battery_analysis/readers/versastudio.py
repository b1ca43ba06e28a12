"""VersaStudio data files of Princeton Applied Research (``.par``).

File structure:
    Groups ``<Name>`` … ``</Name>`` of lines ``key=value``: application, instrument, experiment, actions (what was
    run), views. ``<Segment1>``, ``<Segment2>``, … hold the records: after ``Definition=`` with the labels, one line
    for each, between commas. A file saved as binary has no records in readable form.

Choices:
    The records of all segments are those of one test. ``Segment #`` counts the segments in the order they ran;
    ``Point #`` starts again with each. A frequency of 0 marks a record that is no impedance point. The second
    electrometer's columns are kept as ``aux_``. Masses of 0 and areas of 0 and 1 cm² count as not filled in.

Seen in:
    VersaStudio 2.52 potentiostatic EIS; layouts of 2.66 as published.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.potentiostat import (
    Terms,
    filled_in,
    kind_of_test,
    read_records,
    set_start,
    split_label,
)
from battery_analysis.readers.sniff import column_names, head_text, load_text

TERMS: Terms = {
    "Elapsed Time": (columns.TEST_TIME, 1),
    "E": (columns.VOLTAGE, 1),
    "I": (columns.CURRENT, 1),
    "Segment #": (columns.STEP_COUNT, 1),
    "Point #": (columns.STEP_RECORD_INDEX, 1),
    "Frequency": (columns.FREQUENCY, 1),
    "Z Real": (columns.REAL_IMPEDANCE, 1),
    "Z Imag": (columns.IMAGINARY_IMPEDANCE, 1),
}

_GROUP = re.compile(rb"^<(/?)([A-Za-z]+\d*)>[ \t]*$", re.MULTILINE)
_MOST_GROUPS = 100_000


class VersaStudioPar:
    """Reads VersaStudio data files."""

    name = "versastudio_par"
    version = "1"
    tester = "Princeton Applied Research"
    suffixes = frozenset({".par"})
    description = "VersaStudio data files; the first line is <Application>, then Name=VersaStudio"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the file begins with VersaStudio's group of its program."""
        start = head_text(head[:4096]).lstrip()
        return start.startswith("<Application>") and "VersaStudio" in start.split("</Application>")[0]

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read all segments.

        Raises:
            CorruptFileError: There is no segment, none has records, or they are binary.
            SchemaError: The records cannot be parsed.
        """
        text, _, warnings = load_text(path)
        header, segments = _split(text)
        metadata = _metadata(header)
        frames = []
        for name, (body, first_line) in segments.items():
            settings, _, table = body.partition(b"Definition=")
            labels, whole, rows = table.partition(b"\n")
            if not whole:  # no records, and the labels may be cut
                continue
            position = first_line + settings.count(b"\n") + 1
            frame, segment_warnings = _frame(labels.decode("utf-8", "replace"), rows, position, metadata)
            if frame.height:  # columns without values would have other types than those of the other segments
                frames.append(frame)
            warnings += [f"{name}: {warning}" for warning in segment_warnings]
        if not frames:
            binary = header.get("Experiment DataFormat", "").lower() == "binary"
            reason = "its records are binary; save it as ASCII" if binary else "no segment with records"
            raise CorruptFileError(path, "; ".join([reason, *warnings[:3]]), self.name)
        frame = pl.concat(frames, how="diagonal_relaxed")
        acquired = f"{header.get('Experiment DateAcquired', '')} {header.get('Experiment TimeAcquired', '')}"
        warnings += set_start(metadata, acquired, time_zone)
        return Reading(_ordered(frame, metadata), metadata, warnings)


def _split(text: bytes) -> tuple[dict[str, str], dict[str, tuple[bytes, int]]]:
    """Part the settings (``group key`` to value) from the segments (text and number of their first line)."""
    header: dict[str, str] = {}
    segments: dict[str, tuple[bytes, int]] = {}
    marks = [match for match, _ in zip(_GROUP.finditer(text), range(_MOST_GROUPS), strict=False)]
    line, counted = 1, 0
    for position, mark in enumerate(marks):
        line, counted = line + text.count(b"\n", counted, mark.end()), mark.end()
        if mark[1]:
            continue
        end = marks[position + 1].start() if position + 1 < len(marks) else len(text)
        body = text[mark.end() : end].removeprefix(b"\n")
        group = mark[2].decode()
        if re.fullmatch(r"Segment\d+", group):
            segments[group] = (body, line + 1)
            continue
        for entry in body.decode("utf-8", "replace").split("\n"):
            key, equals, value = entry.partition("=")
            if equals and key.strip():
                header[f"{group} {key.strip()}"] = value.strip()
    return header, segments


def _metadata(header: dict[str, str]) -> TestMetadata:
    actions = [value for key, value in header.items() if re.fullmatch(r"Action\d+ Name", key) and value != "Common"]
    technique = ", ".join(dict.fromkeys(actions)) or None
    device = "".join(filter(None, (header.get("Instrument Type"), header.get("Instrument Model")))) or None
    serial = header.get("Instrument SN")
    version = header.get("Application Version")
    return TestMetadata(
        tester="Princeton Applied Research",
        device=f"{device or ''} (SN {serial})".strip() if serial else device,
        technique=technique,
        test_type=kind_of_test(technique),
        comment=header.get("Action0 Comment") or None,
        software=f"VersaStudio {version}" if version else None,
        active_mass_gram=filled_in(header.get("Action0 Mass (g)")),
        electrode_area_cm2=filled_in(header.get("Action0 Working Electrode Area (cm2)")),
        header=header,
    )


def _frame(label_line: str, rows: bytes, first_line: int, metadata: TestMetadata) -> tuple[pl.DataFrame, list[str]]:
    width = rows.lstrip(b"\n").split(b"\n")[0].count(b",") + 1
    cells = [cell.strip() for cell in label_line.split(",")]
    if len(cells) == width + 1 and cells[-1] == "0":  # an end mark, for which the records have nothing
        cells.pop()
    names, warnings = column_names(",".join(cells), ",", [])
    labels = {name: split_label(name) for name in names}
    frame, record_warnings = read_records(rows, labels, TERMS, metadata, delimiter=",", first_line=first_line)
    return frame, [*warnings, *record_warnings]


def _ordered(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Take the number of the segment for the step's in the programme where segments come again."""
    count, identity = columns.STEP_COUNT.name, columns.STEP_ID.name
    if count not in frame.columns or (frame[count].diff().drop_nulls() >= 0).all():
        return frame
    metadata.sources[identity] = metadata.sources.pop(count)
    return frame.rename({count: identity})
