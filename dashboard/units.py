"""Units with the signs that people write; names of fields and files hold the letters of a keyboard."""

from __future__ import annotations

import re

_SIGNS = {"cm2": "cm²", "cm3": "cm³", "ohm": "Ω", "degc": "°C", "um": "µm", "ul": "µL"}
_PLAIN = re.compile(r"cm2|cm3|ohm|degc|\bum\b|\bul\b", re.IGNORECASE)


def written(unit: str) -> str:
    """Return a unit as people write it.

    Example:
        >>> written("mg/cm2"), written("um"), written("mOhm cm2"), written("Ah")
        ('mg/cm²', 'µm', 'mΩ cm²', 'Ah')
    """
    return _PLAIN.sub(lambda found: _SIGNS[found[0].lower()], unit)
