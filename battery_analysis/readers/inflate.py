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
_CHUNK_BYTES = 1 << 20


def gunzipped(path: Path, data: bytes, most: int, reader: str | None = None) -> tuple[bytes, list[str]]:
    """Unpack what gzip compressed, and say whether it ended early.

    Raises:
        CorruptFileError: It is damaged, or grows beyond ``most`` bytes or 200 times its size.
    """
    limit = min(most, max(_MAX_RATIO * len(data), _MIN_LIMIT))
    unpacker = zlib.decompressobj(wbits=_GZIP)
    parts: list[bytes] = []
    total = 0
    try:
        for at in range(0, len(data), _CHUNK_BYTES):
            parts.append(unpacker.decompress(data[at : at + _CHUNK_BYTES], limit + 1 - total))
            total += len(parts[-1])
            if total > limit:
                what = f"{len(data)} bytes to more than {limit}"
                raise CorruptFileError(path, f"the compressed content expands beyond the limit: {what}", reader)
    except inflate_errors() as exc:
        raise CorruptFileError(path, f"the compressed content is damaged ({exc})", reader) from exc
    return b"".join(parts), [] if unpacker.eof else ["the compressed file is incomplete: it ends before its content"]


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
