"""Tell by its beginning what a file is: one with records, or one that lies beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from battery_analysis.errors import CorruptFileError, ReadError, UnknownFormatError
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.source_archive import is_called_archive
from battery_analysis.readers.base import Reader
from battery_analysis.readers.beside import BesideFormat, beside_format
from battery_analysis.reading import companions_of, find_reader, read_head
from battery_analysis.settings.rules import RULE_FILE


@dataclass(frozen=True)
class Recognised:
    """What a file is: read by ``reader``, ``damage`` that its beginning shows, or a file ``beside`` data.

    ``companions`` are the files that the reader needs beside it.
    """

    reader: Reader | None = None
    damage: CorruptFileError | None = None
    beside: BesideFormat | None = None
    companions: tuple[Path, ...] = ()


def recognise(candidate: Candidate, mappings: Path | None) -> Recognised:
    """Look at the beginning of a file.

    Raises:
        UnknownFormatError: It is of no known kind, or it is no file to read.
        ReadError: It cannot be opened.
    """
    if candidate.problem:
        raise UnknownFormatError(candidate.source, candidate.problem)
    origin = candidate.origin
    if candidate.path.name == RULE_FILE:
        raise UnknownFormatError(candidate.source, "rules for the files of its folder")
    try:
        head = read_head(candidate.path)
        try:
            reader = find_reader(candidate.path, head, mappings)
        except UnknownFormatError:
            if beside := beside_format(head):
                return Recognised(beside=beside)
            if is_called_archive(candidate.filename):
                raise UnknownFormatError(candidate.source, _about_archive(candidate)) from None
            raise
        needed = origin.bring_companions(reader, candidate.path) if origin else companions_of(reader, candidate.path)
        return Recognised(reader, companions=tuple(needed))
    except CorruptFileError as exc:
        return Recognised(damage=exc)
    except ReadError as exc:
        raise type(exc)(candidate.source, exc.reason, exc.reader) from exc


def _about_archive(candidate: Candidate) -> str:
    if candidate.origin is None:
        return f"an archive; to import the files in it, name it: import {candidate.source}"
    return "an archive; to import the files in it, copy it here and name it"
