"""Find the files below a folder: which, how deep, and without following links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from battery_analysis.errors import IngestError
from battery_analysis.ingest import crates

if TYPE_CHECKING:
    from battery_analysis.ingest.origin import Origin


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look at.

    ``problem`` says why it cannot be imported, if that shows from outside. A file with an ``origin`` lies elsewhere,
    and ``path`` is a file of this computer only once it was brought here.
    """

    path: Path
    relative: PurePosixPath
    size: int = 0
    modified_at: datetime | None = None
    problem: str | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def source(self) -> str:
        """Absolute path or address as it is stored; bytes that are no text are written as escapes."""
        return self.origin.address if self.origin else stored_text(normal_path(self.path))

    @property
    def filename(self) -> str:
        """Name as it is stored."""
        return stored_text(self.path.name)

    @property
    def folders(self) -> list[str]:
        """Names of the folders it lies in, from the inside out, up to the root of the search."""
        if self.origin:
            return [*reversed(self.relative.parts[:-1]), stored_text(self.origin.source.root)]
        levels = max(len(self.relative.parts), 1)
        return [stored_text(folder.name) for folder in list(self.path.absolute().parents)[:levels]]

    def beside(self, name: str) -> Candidate:
        """Return the file of a name beside this one."""
        origin = replace(self.origin, name=name, beside=()) if self.origin else None
        return Candidate(self.path.with_name(name), self.relative.with_name(stored_text(name)), origin=origin)


@dataclass(frozen=True)
class Selection:
    """Which files below a root are wanted.

    Globs are matched against the path relative to the root and against the name; ``*/archive/*``
    also means files directly in ``archive``. Excluded folders are not entered. ``depth`` counts
    folder levels below the root: 0 takes the files in the root alone.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    depth: int | None = None

    def takes(self, relative: PurePosixPath) -> bool:
        """Say whether a file is wanted."""
        spellings = (str(relative), f"/{relative}", relative.name)
        return (not self.include or _matches(self.include, spellings)) and not _matches(self.exclude, spellings)

    def enters(self, relative: PurePosixPath) -> bool:
        """Say whether a folder is looked into."""
        deep_enough = self.depth is None or len(relative.parts) <= self.depth
        return deep_enough and not _matches(self.exclude, (str(relative), f"/{relative}/", relative.name))

    def reaches(self, relative: PurePosixPath) -> bool:
        """Say whether a search gets to the folder that something lies in."""
        return all(self.enters(folder) for folder in list(relative.parents)[:-1])


def discover(root: Path, selection: Selection, folder: Path | None = None) -> Iterator[Candidate]:
    """Yield the wanted files below ``root`` (or ``root`` itself), by name, folder by folder.

    Args:
        root: Where the search begins; depth and globs count from there.
        selection: Which files are wanted.
        folder: Look into this folder below the root alone.

    Raises:
        IngestError: The root does not exist or cannot be entered.
    """
    try:
        status = root.stat()
        if not stat.S_ISDIR(status.st_mode):
            yield _regular(root, PurePosixPath(root.name), status)
            return
        with os.scandir(root):
            pass
    except OSError as exc:
        raise IngestError(f"{root}: {exc.strerror}") from exc
    if folder is None:
        yield from _walk(root, PurePosixPath(), selection)
    elif selection.reaches(below := _relative(root, folder)) and selection.enters(below):
        yield from _walk(folder, below, selection)


def look_at(root: Path, path: Path, selection: Selection) -> Candidate | None:
    """Return the file at a path below ``root`` as ``discover`` would find it; None where it would yield nothing.

    Raises:
        OSError: It is gone, or cannot be looked at.
    """
    relative = _relative(root, path)
    if not (selection.takes(relative) and selection.reaches(relative)):
        return None
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Candidate(path, relative, problem=_about_link(path))
    if stat.S_ISDIR(status.st_mode):
        return None
    found = _regular(path, relative, status)
    return replace(found, problem=found.problem or _said_by_crates(path, relative))


def stored_text(name: str) -> str:
    """Return a file name in a form that every database and screen can hold."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def normal_path(path: Path) -> str:
    """Return a path without ``..``; links stay as they are, so that it is the path a user sees."""
    return os.path.normpath(path.absolute())


def _relative(root: Path, path: Path) -> PurePosixPath:
    return PurePosixPath(*map(stored_text, path.relative_to(root).parts))


def _walk(folder: Path, relative: PurePosixPath, selection: Selection) -> Iterator[Candidate]:
    # A stack of folders under way rather than recursion: a tree may be deeper than Python's own stack.
    in_crates: dict[str, str] = {}
    for crate, below in zip(folder.parents, relative.parents, strict=False):
        in_crates = _named_below(crate, below) | in_crates
    under_way = [_entries(folder, relative, selection, in_crates)]
    while under_way:
        for found in under_way[-1]:
            if not isinstance(found, Candidate):
                under_way.append(_entries(*found, selection, in_crates))
                break
            yield found
        else:
            under_way.pop()


def _entries(
    folder: Path, relative: PurePosixPath, selection: Selection, in_crates: dict[str, str]
) -> Iterator[Candidate | tuple[Path, PurePosixPath]]:
    """Yield what is wanted of a folder by name: files, and folders to enter.

    ``in_crates`` says which files an unpacked crate itself says were made from others in it, by path below the root.
    """
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as exc:
        yield Candidate(folder, relative, problem=f"the folder cannot be read: {exc.strerror}")
        return
    if any(entry.name == crates.METADATA for entry in listed):
        in_crates |= _named_below(folder, relative)
    for entry in listed:
        below = relative / stored_text(entry.name)
        if entry.is_symlink():
            if selection.takes(below):
                yield Candidate(Path(entry.path), below, problem=_about_link(Path(entry.path)))
        elif entry.is_dir(follow_symlinks=False):
            if selection.enters(below):
                yield Path(entry.path), below
        elif selection.takes(below):
            try:
                found = _regular(Path(entry.path), below, entry.stat(follow_symlinks=False))
                yield replace(found, problem=found.problem or in_crates.get(str(below)))
            except OSError as exc:  # gone since the folder was listed
                yield Candidate(Path(entry.path), below, problem=exc.strerror or str(exc))


def _said_by_crates(path: Path, relative: PurePosixPath) -> str | None:
    """Return why a file need not be taken, as the crates that it lies in say; the inner one decides."""
    for crate, below in zip(path.parents, relative.parents, strict=False):
        text, own = _description(crate), str(relative.relative_to(below))
        if text is not None and (reason := _passed_over(crate, text, crates.made_from(text, own)).get(own)):
            return reason
    return None


def _named_below(crate: Path, relative: PurePosixPath) -> dict[str, str]:
    """Return what an unpacked crate says need not be taken, by path below the root, with the reason."""
    text = _description(crate)
    if text is None:
        return {}
    return {str(relative / path): why for path, why in _passed_over(crate, text, crates.mentioned(text)).items()}


def _description(crate: Path) -> bytes | None:
    """Return what a folder says of itself as a crate, if it does."""
    description = crate / crates.METADATA
    try:
        status = description.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > crates.MAX_BYTES:
            return None
        return description.read_bytes()
    except OSError:
        return None


def _passed_over(crate: Path, text: bytes, names: set[str]) -> dict[str, str]:
    # Path.is_file would refuse names that are too long for a file.
    there = {name for name in names if crates.is_below(name) and os.path.isfile(crate / name)}  # noqa: PTH113
    return {crates.METADATA: crates.DESCRIPTION} | crates.passed_over(text, there)


def _regular(path: Path, relative: PurePosixPath, status: os.stat_result) -> Candidate:
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    problem = None if stat.S_ISREG(status.st_mode) else "not a regular file"
    return Candidate(path, relative, status.st_size, modified, problem)


def _about_link(path: Path) -> str:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: how Python before 3.13 reports a loop
        return f"a dangling link, to {stored_text(str(path.readlink()))}"
    if target.is_dir() and target in (path.parent.resolve(), *path.parent.resolve().parents):
        return "a link into a folder it lies in (symlink loop); links are not followed"
    return "a link; links are not followed"


def _matches(patterns: Sequence[str], spellings: Sequence[str]) -> bool:
    return any(fnmatch(spelling, pattern) for pattern in patterns for spelling in spellings)
