"""Princeton Applied Research PARSTAT records saved as text (``.txt``).

File structure:
    One line of labels, ``Potential (V)``, ``Current (A)``, ``Elapsed Time (s)``, ``Frequency (Hz)``, ``Zre (ohms)``,
    ``Zim (ohms)``, ``|Vac| (V)``, ``|Iac| (A)``, then the records, set apart by tabs; every line ends with one.

Choices:
    A frequency of 0 marks a record that is no impedance point: its impedance is empty, its potential and current
    count. The imaginary part has its physical sign.

Seen in:
    PARSTAT discharge with spectra between the pulses.
"""

from __future__ import annotations

from pathlib import Path

from battery_analysis import columns
from battery_analysis.readers.base import Reading
from battery_analysis.readers.potentiostat import Terms, read_labelled, split_label
from battery_analysis.readers.sniff import head_text

TERMS: Terms = {
    "Elapsed Time": (columns.TEST_TIME, 1),
    "Potential": (columns.VOLTAGE, 1),
    "Current": (columns.CURRENT, 1),
    "Frequency": (columns.FREQUENCY, 1),
    "Zre": (columns.REAL_IMPEDANCE, 1),
    "Zim": (columns.IMAGINARY_IMPEDANCE, 1),
    "|Z|": (columns.ABSOLUTE_IMPEDANCE, 1),
    "Phase of Z": (columns.PHASE, 1),
}
_MARKS = {"Elapsed Time", "Potential", "Current"}


class ParstatText:
    """Reads PARSTAT text."""

    name = "parstat_text"
    version = "1"
    tester = "Princeton Applied Research"
    suffixes = frozenset({".txt"})
    description = "PARSTAT text; labels Potential (V), Current (A), Elapsed Time (s), often Frequency (Hz), Zre (ohms)"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line holds PARSTAT's labels between tabs."""
        line = head_text(head[:4096]).lstrip().split("\n")[0]
        return {split_label(cell).quantity for cell in line.split("\t")} >= _MARKS

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one file, which says nothing about its test but the records.

        Raises:
            CorruptFileError: There are no records.
            SchemaError: The records cannot be parsed.
        """
        return read_labelled(path, self, TERMS, delimiter="\t")
