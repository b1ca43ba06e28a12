"""Files that are whole or not there."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from battery_analysis.errors import BatteryAnalysisError

_LONGEST_NAME_BYTES = 120
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name beside ``target``, which it replaces once it is whole.

    A link keeps pointing where it points; what is no file, such as ``/dev/null``, is written to and stays.

    Raises:
        BatteryAnalysisError: The folder is missing or read-only, or the disk is full; the old file is as it was.
    """
    draft: Path | None = None
    try:
        place = Path(os.path.realpath(target))
        if place.exists() and not place.is_file():
            with place.open("wb") as file:
                yield file
            return
        handle, name = tempfile.mkstemp(prefix=f".{place.name[:100]}.", dir=place.parent)
        draft = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
        draft.chmod(_usual_mode())
        draft.replace(place)
    except OSError as exc:
        raise BatteryAnalysisError(f"{target}: cannot be written: {_reason(exc)}") from exc
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Find out early whether ``replacing`` could write a file.

    Raises:
        BatteryAnalysisError: The folder is missing or read-only.
    """
    try:
        place = Path(os.path.realpath(target))
        if place.exists() and not place.is_file():
            place.open("wb").close()
        else:
            tempfile.TemporaryFile(dir=place.parent).close()
    except OSError as exc:
        raise BatteryAnalysisError(f"{target}: cannot be written: {_reason(exc)}") from exc


def safe_name(text: str) -> str:
    """Make of any text a name that a file may have on every system; letters of every language stay.

    >>> safe_name("../AB 12: 50% µ"), safe_name("con.txt"), safe_name(" .. ")
    ('_AB 12_ 50% µ', '_con.txt', 'unnamed')
    """
    composed = unicodedata.normalize("NFC", text)
    printable = "".join(char if char.isprintable() else "_" for char in composed)
    name = re.sub(r'[<>:"/\\|?*]+', "_", printable).strip(" .")
    while len(name.encode()) > _LONGEST_NAME_BYTES:
        name = name[:-1]
    if _DEVICES.fullmatch(name):
        name = f"_{name}"
    return name.strip(" .") or "unnamed"


def unused(name: str, taken: set[str]) -> str:
    """Return a name that none of those taken equals, whatever their letters' case, and take it.

    >>> taken: set[str] = set()
    >>> [unused(name, taken) for name in ("AB12", "ab12", "AB12")]
    ['AB12', 'ab12_2', 'AB12_3']
    """
    free, number = name, 2
    while free.casefold() in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free.casefold())
    return free


def _reason(error: OSError) -> str:
    return error.strerror or str(error)  # without the name of a temporary file


def _usual_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
