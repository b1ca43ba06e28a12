"""Maccor: text exports, workbooks, and files of the frequency response analyser."""

from battery_analysis.readers.maccor_impedance import MaccorImpedance
from battery_analysis.readers.maccor_text import MaccorText
from battery_analysis.readers.maccor_workbook import MaccorWorkbook

__all__ = ["MaccorImpedance", "MaccorText", "MaccorWorkbook"]
