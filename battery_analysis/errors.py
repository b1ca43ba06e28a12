"""Every exception the library raises on purpose.

::

    BatteryAnalysisError
    ├── SettingsError             a key, variable or file of the settings
    ├── SchemaError               a frame that does not follow ``columns``
    ├── ReadError                 one file could not be read
    │   ├── UnknownFormatError        no reader recognises its content
    │   ├── CorruptFileError          its reader found it damaged or incomplete
    │   ├── MissingExtraError         its reader needs a package that is not installed
    │   └── ReaderLimitError          its reader ran out of time, of memory, or died
    ├── StoreError                something about the database
    │   ├── StoreUnavailableError     no server answered
    │   ├── NotFoundError             no such document
    │   ├── InvalidDocumentError      a field does not hold what it should
    │   ├── ConflictError             someone else changed the document meanwhile
    │   └── ArchiveError              archived bytes are missing or differ from their digest
    ├── IngestError               an import that cannot start or go on as asked
    │   └── SpoolError                no room, or no right, to keep what files are read from
    ├── ClusterError              a Dask cluster that cannot be used, or was lost
    └── AnalysisError             data that an analysis cannot answer from

A message is one line: it names the file or field, says what is wrong and what
was there instead. Passwords never appear in one.
"""

from __future__ import annotations

import os


class BatteryAnalysisError(Exception):
    """Base of every error of the library; its text is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class SettingsError(BatteryAnalysisError):
    """A setting is unknown, malformed or contradicts another."""


class SchemaError(BatteryAnalysisError):
    """A frame lacks a required column or holds one that has no canonical name."""


class ReadError(BatteryAnalysisError):
    """One file could not be read.

    Args:
        path: The file, as the caller named it.
        reason: What is wrong and what was there instead.
        reader: Name of the reader that claimed the file, if one did.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str, reader: str | None = None) -> None:
        self.path = os.fspath(path)
        self.reason = one_line(reason)
        self.reader = reader
        claimed = f" ({reader})" if reader else ""
        super().__init__(f"{self.path}{claimed}: {self.reason}")

    def __reduce__(self) -> tuple[type[ReadError], tuple[str, str, str | None]]:
        # Readers run in worker processes: the three parts must survive the way back.
        return type(self), (self.path, self.reason, self.reader)


class UnknownFormatError(ReadError):
    """No reader recognises the content of the file."""


class CorruptFileError(ReadError):
    """The file is of a known format but damaged, incomplete or without records."""


class MissingExtraError(ReadError):
    """The format needs an optional package; the message names the extra to install."""


class ReaderLimitError(ReadError):
    """The reader hit its time or memory limit, or its process died."""


class StoreError(BatteryAnalysisError):
    """Something about the database."""


class StoreUnavailableError(StoreError):
    """No MongoDB server answered."""


class NotFoundError(StoreError):
    """There is no such document."""


class InvalidDocumentError(StoreError):
    """A field of a document does not hold what it should."""


class ConflictError(StoreError):
    """Someone else changed the document between reading and writing it."""


class ArchiveError(StoreError):
    """Archived bytes are missing or differ from their digest."""


class IngestError(BatteryAnalysisError):
    """An import cannot start or go on as asked."""


class SpoolError(IngestError):
    """Copies of files, or what was read of them, cannot be kept until they are stored."""


class ClusterError(BatteryAnalysisError):
    """A Dask cluster cannot be used, or was lost while it read files."""


class AnalysisError(BatteryAnalysisError):
    """What was asked cannot be answered from these data: too few points, nothing that varies, no such column."""


def one_line(text: str) -> str:
    r"""Escape what would break a line or a terminal (line separators, control and direction characters).

    >>> one_line("new\nline.csv")
    'new\\nline.csv'
    """
    return "".join(
        char if char.isprintable() or char == " " else char.encode("unicode_escape").decode("ascii") for char in text
    )
