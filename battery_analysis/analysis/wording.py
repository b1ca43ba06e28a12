"""How counts are said in messages."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Count things; a plural that is not the noun with an s is given.

    >>> counted(1, "cycle"), counted(12_000, "record"), counted(2, "spectrum", "spectra")
    ('1 cycle', '12000 records', '2 spectra')
    """
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
