"""PowerSUITE impedance text of Princeton Applied Research (``.txt``).

File structure:
    One line of labels without units, ``Frequency``, ``Zre``, ``Zimg``, then the points, set apart by tabs.

Choices:
    The file names no units: frequencies are in Hz and impedances in ohm, and the imaginary part has its physical sign,
    as other readers of the format take them.

Seen in:
    The layout as published; not yet checked on a real file.
"""

from __future__ import annotations

from pathlib import Path

from battery_analysis import columns
from battery_analysis.readers.base import Reading
from battery_analysis.readers.potentiostat import Terms, read_labelled
from battery_analysis.readers.sniff import head_text

TERMS: Terms = {
    "Frequency": (columns.FREQUENCY, 1),
    "Zre": (columns.REAL_IMPEDANCE, 1),
    "Zimg": (columns.IMAGINARY_IMPEDANCE, 1),
    "Zim": (columns.IMAGINARY_IMPEDANCE, 1),
}


class PowerSuiteText:
    """Reads PowerSUITE impedance text."""

    name = "powersuite_text"
    version = "1"
    tester = "Princeton Applied Research"
    suffixes = frozenset({".txt"})
    description = "PowerSUITE impedance text; the labels Frequency, Zre, Zimg; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the first line is PowerSUITE's line of labels."""
        cells = [cell.strip() for cell in head_text(head[:1024]).lstrip().split("\n")[0].split("\t")]
        return cells[:2] == ["Frequency", "Zre"] and len(cells) > 2 and cells[2] in TERMS

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one spectrum, which is all that the file says.

        Raises:
            CorruptFileError: There are no points.
            SchemaError: The points cannot be parsed.
        """
        return read_labelled(path, self, TERMS, delimiter="\t")
