"""Readers: bytes of one file format to canonical columns.

``READERS`` is the registry: order is visible, content decides, a suffix is only a hint.
"""

from __future__ import annotations

from battery_analysis.readers.arbin import ArbinCsv
from battery_analysis.readers.base import Reader
from battery_analysis.readers.biologic import BiologicText
from battery_analysis.readers.biologic_mpr import BiologicMpr
from battery_analysis.readers.neware import NewareNda, NewareNdax
from battery_analysis.readers.neware_text import NewareText

READERS: tuple[Reader, ...] = (NewareNdax(), NewareNda(), BiologicMpr(), BiologicText(), ArbinCsv(), NewareText())
