"""Errors of whichever decompressor is at work.

At the first ``.ndax`` of a process, fastnda replaces ``zlib.decompress`` and ``zlib.decompressobj`` by those of isal,
which raise exceptions of their own: whoever unpacks anything in such a process meets them.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import cast


def inflate_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Return the exceptions that mean damaged compressed data or a damaged archive, and ``others``."""
    try:
        from isal import igzip_lib
    except ImportError:
        return zipfile.BadZipFile, zlib.error, *others
    # Its type information takes the class for an instance.
    return zipfile.BadZipFile, zlib.error, cast("type[Exception]", igzip_lib.IsalError), *others
