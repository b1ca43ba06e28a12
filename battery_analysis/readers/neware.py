"""Neware binary files: ``.nda`` and ``.ndax``."""

from battery_analysis.readers.neware_nda import NewareNda
from battery_analysis.readers.neware_ndax import NewareNdax

__all__ = ["NewareNda", "NewareNdax"]
