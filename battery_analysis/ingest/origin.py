"""Files that lie elsewhere than in a folder of this computer: what a source lists, and how bytes come here."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from battery_analysis.errors import CorruptFileError, ReadError
from battery_analysis.ingest import crates
from battery_analysis.ingest.discover import Candidate, Selection, stored_text
from battery_analysis.ingest.spool import spool_errors
from battery_analysis.readers.base import Reader
from battery_analysis.readers.beside import BESIDE
from battery_analysis.reading import companions_of

LONGEST_NAME_BYTES = 255
"""What a file may be called on the file systems in use."""

_LOGS = {suffix for each in BESIDE if each.kind == "log" and not each.tail for suffix in each.suffixes}


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as its source lists it.

    ``name`` is its path below the root of the search, parts separated by ``/``; ``problem`` says why it is passed
    over, ``damage`` why it fails.
    """

    name: str
    size: int = 0
    modified_at: datetime | None = None
    problem: str | None = None
    damage: str | None = None


class Source(Protocol):
    """A place that files come from."""

    prefix: str
    """What stands before a file's name where it is stored."""
    root: str
    """What stands for the name of the folder in which the search began."""

    def listing(self, selection: Selection) -> Iterable[Listed]:
        """Yield its files, in any order; folders that the selection excludes are not entered.

        Raises:
            IngestError: The source is lost.
        """
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Bring a file's bytes to a path of this computer.

        Raises:
            ReadError: This file cannot be had.
            IngestError: The source is lost, or the target cannot be written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file lies that is none of this computer's; ``beside`` names the files there with the same stem."""

    source: Source
    folder: str
    name: str
    damage: str | None = None
    beside: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """How the file is called where it is stored."""
        return stored_text(f"{self.source.prefix}{self.folder}{self.name}")

    @property
    def has_log_beside(self) -> bool:
        """Whether a tester's log lies beside it, from which a reader may take facts."""
        return any(PurePosixPath(name).suffix.lower() in _LOGS for name in self.beside)

    def bring(self, target: Path) -> None:
        """Bring the file here.

        Raises:
            ReadError: It cannot be had.
            IngestError: The source is lost, or the target cannot be written.
        """
        if self.damage is not None:
            raise CorruptFileError(self.address, self.damage)
        self.source.fetch(f"{self.folder}{self.name}", target)

    def bring_companions(self, reader: Reader, here: Path) -> list[Path]:
        """Bring what a reader needs beside a file that is here already.

        Raises:
            IngestError: As ``bring``.
        """
        stand_ins = {here.with_name(name): name for name in self.beside}
        for path in stand_ins:
            path.touch()
        try:
            wanted = [path for path in companions_of(reader, here) if path in stand_ins]
        finally:
            for path in stand_ins:
                path.unlink()
        for path in wanted:
            with suppress(ReadError):  # EC-Lab removes a log when its technique ends
                self.source.fetch(f"{self.folder}{stand_ins[path]}", path)
        return wanted


def candidates(source: Source, selection: Selection) -> Iterator[Candidate]:
    """Yield the wanted files of a source, by name.

    Raises:
        IngestError: The source is lost.
    """
    listed = sorted(source.listing(selection), key=lambda each: each.name.split("/"))
    in_crates = _passed_over(source, listed)
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for each in listed:
        if not (each.problem or each.damage):
            folder, name = _parted(each.name)
            alike[folder + PurePosixPath(name).stem].append(name)
    for each in listed:
        relative = PurePosixPath(stored_text(each.name))
        if selection.takes(relative) and selection.reaches(relative):
            folder, name = _parted(each.name)
            problem = each.problem or in_crates.get(each.name)
            damage = each.damage or (None if problem else unsafe(each.name))
            beside = _others(name, alike[folder + PurePosixPath(name).stem])
            origin = Origin(source, folder, name, damage, beside)
            yield Candidate(Path(stored_text(name)), relative, each.size, each.modified_at, problem, origin)


def _passed_over(source: Source, listed: Sequence[Listed]) -> dict[str, str]:
    """Return what crates among the files say need not be taken, with the reason."""
    found: dict[str, str] = {}
    whole = [each.name for each in listed if not (each.problem or each.damage)]
    for each in listed:
        folder, name = _parted(each.name)
        if name != crates.METADATA or each.name not in whole or unsafe(each.name) or each.size > crates.MAX_BYTES:
            continue
        inside = [other.removeprefix(folder) for other in whole if other.startswith(folder)]
        with tempfile.TemporaryDirectory() as here, suppress(ReadError):
            description = Path(here) / name
            source.fetch(each.name, description)
            reasons = {name: crates.DESCRIPTION} | crates.passed_over(description.read_bytes(), inside)
            found |= {folder + path: reason for path, reason in reasons.items()}
    return found


def unsafe(name: str) -> str | None:
    r"""Say why a name may not become that of a file here, or return None.

    >>> unsafe("cells/AB12.csv"), unsafe("../AB12.csv"), unsafe("C:\\AB12.csv")
    (None, 'an unsafe name: it leads out of its folder', 'an unsafe name: it begins with a drive')
    """
    parts = re.split(r"[/\\]", name)
    match name:
        case _ if "\0" in name:
            return "an unsafe name: it holds a NUL character"
        case _ if not parts[0]:
            return "an unsafe name: it is absolute"
        case _ if re.match(r"[A-Za-z]:", name):
            return "an unsafe name: it begins with a drive"
        case _ if ".." in parts:
            return "an unsafe name: it leads out of its folder"
        case _ if (length := len(stored_text(parts[-1]).encode())) > LONGEST_NAME_BYTES:
            return f"a name of {length} bytes; a file's may have {LONGEST_NAME_BYTES}"
    return None


@dataclass
class Transfer:
    """A file on its way here: where it breaks, what has arrived stays, and a next try goes on if it is unchanged."""

    target: Path
    version: object = None

    def arrived(self, version: object) -> int:
        """Return how many bytes of a version are here."""
        return self.target.stat().st_size if version is not None and version == self.version else 0

    def go_on(self, version: object, chunks: Iterable[bytes]) -> None:
        """Append to what has arrived of a version; of another one, begin anew.

        Raises:
            IngestError: The target cannot be written.
        """
        with spool_errors(self.target.parent):
            file = self.target.open("ab" if self.arrived(version) else "wb")
        self.version = version
        with file:
            for chunk in chunks:
                with spool_errors(self.target.parent):
                    file.write(chunk)
                    file.flush()


def _parted(name: str) -> tuple[str, str]:
    at = name.rfind("/") + 1
    return name[:at], name[at:]


def _others(name: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)
