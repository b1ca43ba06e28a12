"""Compressed files within limits, and the errors of whichever decompressor is at work.

At the first ``.ndax`` of a process, fastnda replaces ``zlib.decompress`` and ``zlib.decompressobj`` by those of isal,
which raise exceptions of their own: whoever unpacks anything in such a process meets them.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import cast

from battery_analysis.errors import CorruptFileError

GZIP_MAGIC = b"\x1f\x8b"

_GZIP = 31  # for zlib: a gzip header, and the largest window
_MAX_RATIO = 200
_MIN_LIMIT = 64 << 20
_CHUNK_BYTES = 1 << 16


def gunzipped(path: Path, data: bytes, most: int, reader: str | None = None) -> tuple[bytes, list[str]]:
    """Unpack what gzip compressed, in one piece or in several, one after another, and say what of it is damaged.

    Raises:
        CorruptFileError: It cannot be unpacked, or grows beyond ``most`` bytes or 200 times its size.
    """
    limit = min(most, max(_MAX_RATIO * len(data), _MIN_LIMIT))
    parts: list[bytes] = []
    at, room, is_whole = 0, limit + 1, False
    try:
        while data.startswith(GZIP_MAGIC, at):
            unpacker = zlib.decompressobj(wbits=_GZIP)
            while at < len(data) and not unpacker.eof:
                chunk = data[at : at + _CHUNK_BYTES]
                parts.append(unpacker.decompress(chunk, room))
                at += len(chunk) - len(unpacker.unused_data)
                room -= len(parts[-1])
                if not room:
                    what = f"{len(data)} bytes to more than {limit}"
                    raise CorruptFileError(path, f"the compressed content expands beyond the limit: {what}", reader)
            is_whole = unpacker.eof
    except inflate_errors() as exc:
        raise CorruptFileError(path, f"the compressed content is damaged ({exc})", reader) from exc
    warnings = [] if is_whole else ["the compressed file is incomplete: it ends before its content"]
    if data[at:].strip(b"\0"):  # some programs fill the file up
        warnings.append(f"{len(data) - at} bytes after the compressed content are left out")
    return b"".join(parts), warnings


def gunzipped_start(head: bytes, size: int) -> bytes:
    """Return how the content of a compressed file begins, nothing where ``head`` is none."""
    try:
        return zlib.decompressobj(wbits=_GZIP).decompress(head, size) if head.startswith(GZIP_MAGIC) else b""
    except inflate_errors():
        return b""


def inflate_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Return the exceptions that mean damaged compressed data or a damaged archive, and ``others``."""
    try:
        from isal import igzip_lib
    except ImportError:
        return zipfile.BadZipFile, zlib.error, *others
    # Its type information takes the class for an instance.
    return zipfile.BadZipFile, zlib.error, cast("type[Exception]", igzip_lib.IsalError), *others
