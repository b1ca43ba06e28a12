"""Metrohm Autolab NOVA text exports (``.txt``, ``.csv``).

File structure:
    One line of labels with units in parentheses, then the records, set apart by semicolons, tabs or commas as the
    user chose; decimal mark and encoding follow the computer. Which columns there are is the user's choice:
    ``Index``, ``Frequency (Hz)``, ``Z' (Ω)``, ``-Z'' (Ω)``, ``Z (Ω)``, ``-Phase (°)``, ``Time (s)`` of a frequency
    scan; ``Potential applied (V)``, ``WE(1).Potential (V)``, ``WE(1).Current (A)``, ``Scan`` of other procedures.

Choices:
    A leading minus belongs to the label: the stored value has the physical sign. The potential that was measured
    counts before the one that was applied. Currents are kept as NOVA writes them.

Seen in:
    Layouts of NOVA 1.11 and 2.1 as published; not yet checked on a real file.
"""

from __future__ import annotations

from pathlib import Path

from battery_analysis import columns
from battery_analysis.readers.base import Reading
from battery_analysis.readers.potentiostat import Terms, read_labelled, split_label
from battery_analysis.readers.sniff import head_text, sniff_delimiter, split_cells

TERMS: Terms = {
    "Time": (columns.TEST_TIME, 1),
    "Corrected time": (columns.TEST_TIME, 1),
    "WE(1).Potential": (columns.VOLTAGE, 1),
    "Potential": (columns.VOLTAGE, 1),
    "Potential (DC)": (columns.VOLTAGE, 1),
    "Potential applied": (columns.VOLTAGE, 1),
    "WE(1).Current": (columns.CURRENT, 1),
    "Current": (columns.CURRENT, 1),
    "WE(1).Power": (columns.POWER, 1),
    "Scan": (columns.CYCLE_COUNT, 1),
    "Index": (columns.RECORD_INDEX, 1),
    "Frequency": (columns.FREQUENCY, 1),
    "Z'": (columns.REAL_IMPEDANCE, 1),
    "-Z''": (columns.IMAGINARY_IMPEDANCE, -1),
    "Z''": (columns.IMAGINARY_IMPEDANCE, 1),
    "Z": (columns.ABSOLUTE_IMPEDANCE, 1),
    "-Phase": (columns.PHASE, -1),
    "Phase": (columns.PHASE, 1),
}
_SPECTRUM = {"Frequency", "Z'"}
_IMAGINARY = {"-Z''", "Z''"}


class AutolabText:
    """Reads NOVA text exports."""

    name = "autolab_text"
    version = "1"
    tester = "Metrohm Autolab"
    suffixes = frozenset({".txt", ".csv"})
    description = (
        "Autolab NOVA text exports; labels such as WE(1).Current (A), or Frequency (Hz), Z' (Ω), -Z'' (Ω); "
        "not yet checked on a real file"
    )

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line holds NOVA's labels."""
        line, _, rows = head_text(head).lstrip().partition("\n")
        quantities = _quantities(line, sniff_delimiter(line, rows.split("\n", 20)[:20]))
        return "WE(1).Potential" in quantities or (quantities >= _SPECTRUM and bool(quantities & _IMAGINARY))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export; NOVA writes neither date nor device into it.

        Raises:
            CorruptFileError: There are no records.
            SchemaError: The records cannot be parsed.
        """
        reading = read_labelled(path, self, TERMS)
        if reading.metadata.test_type is None and columns.CYCLE_COUNT.name in reading.frame.columns:
            reading.metadata.test_type = "cv"
        return reading


def _quantities(line: str, delimiter: str | None) -> set[str]:
    return {split_label(cell.strip('" ')).quantity for cell in split_cells(line, delimiter)} if delimiter else set()
