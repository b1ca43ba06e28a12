"""Read one file without a database: find its reader, read, conform, steady the clock, summarise, check."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from battery_analysis.analysis.checks import Check, run_checks
from battery_analysis.analysis.clock import steady_time
from battery_analysis.analysis.cycles import CycleMethod, EfficiencyConvention, number_cycles, summarise_cycles
from battery_analysis.analysis.joining import join
from battery_analysis.analysis.steps import with_step_kind
from battery_analysis.columns import conform
from battery_analysis.errors import CorruptFileError, ReadError, SchemaError, UnknownFormatError
from battery_analysis.readers import READERS, plug_ins
from battery_analysis.readers.base import HEAD_BYTES, Reader, TestMetadata, TestType
from battery_analysis.readers.beside import beside_format
from battery_analysis.readers.delimited import delimited_readers
from battery_analysis.readers.sniff import guess_encoding
from battery_analysis.readers.workbook import fault
from battery_analysis.writing import write

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_TELLING: tuple[TestType, ...] = ("gitt", "hppc", "cycling", "cv", "eis", "ocv", "other")
"""Types of tests, the one first that says most about a run of several."""

_GIT_LFS = b"version https://git-lfs.github.com/spec/"
_DELIMITED = frozenset({".csv", ".tsv", ".txt", ".dat"})
_MOST_NAMED = 3
_BINARY_NULS = 20
"""One byte of so many is a NUL at least in numbers, but not in a text that a power failure has torn."""


@dataclass
class ReadResult:
    """One file, read: records, cycles, metadata and everything that had to be said about them.

    ``frame`` holds one row per record in the columns of ``battery_analysis.columns``, ``cycles``
    one row per cycle (empty where no current was recorded), ``checks`` how each check of the numbers ended.
    """

    frame: pl.DataFrame
    cycles: pl.DataFrame
    metadata: TestMetadata
    reader: str
    reader_version: str
    warnings: list[str] = field(default_factory=list)
    cycle_method: CycleMethod | None = None
    efficiency_convention: EfficiencyConvention = "same_cycle"
    checks: list[Check] = field(default_factory=list)

    def to_pandas(self) -> pd.DataFrame:
        """Return the records as a pandas DataFrame."""
        return self.frame.to_pandas()

    def to_arrow(self) -> pa.Table:
        """Return the records as an Arrow table."""
        return self.frame.to_arrow()

    def write(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write the test as Parquet, CSV, Battery Data Format or batteryarchive.org's pair; see ``writing``."""
        return write(Path(path), self.frame, self.cycles, self.metadata)


def read(
    path: str | os.PathLike[str],
    *,
    reader: str | None = None,
    time_zone: str = "UTC",
    mappings: Path | None = None,
) -> ReadResult:
    """Read one cycler or impedance file.

    Args:
        path: The file.
        reader: Name of the reader to use, such as ``arbin_csv``; without it the content decides.
        time_zone: IANA zone of time stamps that carry none.
        mappings: Folder of mapping files for delimited text that no reader knows.

    Raises:
        UnknownFormatError: No reader recognises the content.
        CorruptFileError: The file is damaged, incomplete beyond use or has no records.
        MissingExtraError: The format needs an optional package.
        ReadError: The file cannot be opened.
        SettingsError: A mapping file is malformed.
    """
    taken = _taken(Path(path), reader, time_zone, mappings)
    return _concluded(taken)


def read_parts(
    paths: Sequence[str | os.PathLike[str]], *, time_zone: str = "UTC", mappings: Path | None = None
) -> ReadResult:
    """Read the files that one test was written to, in their order, as one test.

    Facts are those of the first file, the end is that of the last; warnings name their file.

    Raises:
        ReadError: As ``read``, for any of the files; or one file's column holds texts where another's holds numbers.
    """
    parts = [_taken(Path(path), None, time_zone, mappings) for path in paths]
    if len(parts) == 1:
        return _concluded(parts[0])
    first, last = parts[0], parts[-1]
    try:
        frame, _ = conform(join([part.frame for part in parts]))
    except pl.exceptions.PolarsError as exc:
        raise CorruptFileError(last.path, f"its columns do not fit those of {first.path.name}: {exc}") from exc
    metadata = replace(
        first.metadata,
        ended_at=last.metadata.ended_at,
        finished=last.metadata.finished,
        technique=", ".join(dict.fromkeys(each for part in parts if (each := part.metadata.technique))) or None,
        test_type=_type_of_all([part.metadata.test_type for part in parts]),
        announced_records=None,
        sources={name: source for part in reversed(parts) for name, source in part.metadata.sources.items()},
    )
    warnings = [f"{part.path.name}: {warning}" for part in parts for warning in part.warnings]
    return _concluded(replace(first, frame=frame, metadata=metadata, warnings=warnings))


def read_from(
    path: str | os.PathLike[str], record: int, *, time_zone: str = "UTC", mappings: Path | None = None
) -> ReadResult:
    """Read a file and leave out its first records: facts are those of the file, everything else is of the rest.

    Raises:
        ReadError: As ``read``; or it has no more records.
    """
    taken = _taken(Path(path), None, time_zone, mappings)
    rest = taken.frame.slice(record)
    if not rest.height:
        raise CorruptFileError(path, f"the file has only {taken.frame.height} records", taken.reader.name)
    metadata = replace(taken.metadata, continuation=True) if record else taken.metadata
    return _concluded(replace(taken, frame=rest, metadata=metadata))


def _type_of_all(types: Sequence[TestType | None]) -> TestType | None:
    """Return the type of a run whose files have these: what is measured between its cycles does not change it."""
    return next((each for each in _TELLING if each in types), None)


@dataclass(frozen=True)
class _Taken:
    """What a reader made of one file, in canonical columns."""

    path: Path
    reader: Reader
    frame: pl.DataFrame
    metadata: TestMetadata
    warnings: list[str]


def _taken(path: Path, reader: str | None, time_zone: str, mappings: Path | None) -> _Taken:
    head = read_head(path)
    chosen = _named(path, reader, mappings) if reader else find_reader(path, head, mappings)
    try:
        reading = chosen.read(path, time_zone=time_zone)
        frame, conform_warnings = conform(reading.frame)
    except SchemaError as exc:
        raise CorruptFileError(path, str(exc), chosen.name) from exc
    except OSError as exc:
        if exc.errno == errno.EINVAL:  # of a seek to before the beginning, as damaged containers ask for
            raise CorruptFileError(path, "damaged: a part of it is said to lie outside the file", chosen.name) from exc
        raise ReadError(path, exc.strerror or str(exc), chosen.name) from exc
    except ReadError as exc:
        if warning := _suffix_warning(path, chosen):
            raise type(exc)(path, f"{exc.reason}; {warning[0]}", chosen.name) from exc
        raise
    if not frame.height:
        raise CorruptFileError(path, "the file has no data rows", chosen.name)
    warnings = [*_suffix_warning(path, chosen), *reading.warnings, *conform_warnings]
    return _Taken(path, chosen, frame, reading.metadata, warnings)


def _concluded(taken: _Taken) -> ReadResult:
    """Steady the clock, number and summarise cycles, and check."""
    metadata, reader = taken.metadata, taken.reader
    with np.errstate(over="ignore", invalid="ignore"):  # damage may make numbers that are too large to multiply
        frame, clock_warnings = steady_time(taken.frame)
        frame, cycle_method = number_cycles(with_step_kind(frame))
        cycles = summarise_cycles(frame, finished=bool(metadata.finished), continuation=metadata.continuation)
        checks = run_checks(frame, cycles, metadata)
    warnings = [*taken.warnings, *clock_warnings]
    return ReadResult(frame, cycles, metadata, reader.name, reader.version, warnings, cycle_method, checks=checks)


def find_reader(path: Path, head: bytes, mappings: Path | None = None) -> Reader:
    """Return the reader that recognises the content; those whose suffix fits are asked first.

    Readers of other packages come after those of this one, the mapping files of a folder last.

    Raises:
        UnknownFormatError: None does; the reason says what the content looks like.
        CorruptFileError: The file is empty, a damaged workbook, or a pointer to data that was never fetched.
        SettingsError: A mapping file is malformed.
    """
    if not head:
        raise CorruptFileError(path, "the file is empty (0 bytes)")
    if head.startswith(_GIT_LFS):
        raise CorruptFileError(path, "a git-lfs pointer, not the data; fetch the file with 'git lfs pull'")
    suffix = path.suffix.lower()
    for candidate in sorted(READERS, key=lambda each: suffix not in each.suffixes):
        if candidate.recognises(head, path):
            return candidate
    for plug_in in plug_ins().readers:
        if _plug_in_recognises(plug_in, head, path):
            return plug_in
    for delimited in delimited_readers(mappings):
        if delimited.recognises(head, path):
            return delimited
    if damage := fault(head, path):
        raise CorruptFileError(path, damage)
    raise UnknownFormatError(path, _unrecognised(suffix, head))


def companions_of(reader: Reader, path: Path) -> list[Path]:
    """Return the files beside ``path`` without which ``reader`` could not say all it says of it.

    Raises:
        ReadError: A reader of another package fails to say.
    """
    find = getattr(reader, "companions", None)
    if find is None:
        return []
    try:
        return [Path(each) for each in find(path)]
    except Exception as exc:
        raise ReadError(path, f"could not say what it needs: {type(exc).__name__}: {exc}", reader.name) from exc


def read_head(path: Path) -> bytes:
    """Return as much of a file as readers see to recognise it.

    Raises:
        ReadError: The file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as exc:
        raise ReadError(path, exc.strerror or str(exc)) from exc


def _named(path: Path, name: str, mappings: Path | None) -> Reader:
    known: list[Reader] = [*READERS, *plug_ins().readers, *delimited_readers(mappings)]
    for each in known:
        if each.name == name:
            return each
    raise UnknownFormatError(path, f"there is no reader {name!r}; there are {', '.join(each.name for each in known)}")


def _plug_in_recognises(reader: Reader, head: bytes, path: Path) -> bool:
    try:
        return bool(reader.recognises(head, path))
    except Exception as exc:
        raise ReadError(path, f"could not say whether it reads it: {type(exc).__name__}: {exc}", reader.name) from exc


def _unrecognised(suffix: str, head: bytes) -> str:
    claimed = [each for each in READERS if suffix in each.suffixes]
    start = _start(head)
    if beside := beside_format(head):
        return f"{beside.what}, which holds no records"
    hint = _way_out(suffix, head)
    if len(claimed) > _MOST_NAMED:
        return f"none of the {len(claimed)} formats named {suffix} (see 'formats'); it starts with {start}{hint}"
    if claimed:
        names = " or ".join(f"{each.tester} ({each.name})" for each in claimed)
        return f"named {suffix} but its content is not {names}; it starts with {start}{hint}"
    return f"no reader knows the suffix {suffix!r} or recognises content that starts with {start}{hint}"


def _way_out(suffix: str, head: bytes) -> str:
    """What can be done about a file of unknown content whose suffix promises text."""
    if suffix not in _DELIMITED and not suffix[1:].isdigit():
        return ""
    if _BINARY_NULS * head.count(0) > len(head) and not guess_encoding(head).startswith("utf-16"):
        return "; it is no text: if it is a file of the tester's own, export it as text"
    return "; a mapping can say what its columns hold (see --suggest-mapping)" if suffix in _DELIMITED else ""


def _start(head: bytes) -> str:
    """Show how a file begins: text as text, anything else as bytes."""
    start = head[:24].splitlines()[0]
    if start.isascii() and start.decode("ascii").replace("\t", " ").isprintable():
        return repr(start.decode("ascii"))
    return f"the bytes {head[:8].hex(' ')}"


def _suffix_warning(path: Path, chosen: Reader) -> list[str]:
    if path.suffix.lower() in chosen.suffixes:
        return []
    return [f"named {path.suffix or 'without suffix'}, but the content is {chosen.tester} ({chosen.name})"]
